//! Name servers, each queried separately and in order.

use std::net::SocketAddr;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Resolver, TokioResolver};

/// One resolver for each name server, because the library queries all in parallel and accepts a negative answer of one while
/// another is slow. In a container, only the first name server knows the neighbouring containers. `server` replaces those of
/// this machine; `adjust` changes the options of each.
///
/// # Errors
/// Why the machine's own name servers are not known; the text is for users.
pub(crate) fn resolvers(
    server: Option<SocketAddr>,
    adjust: impl Fn(&mut ResolverOpts),
) -> Result<Vec<TokioResolver>, String> {
    let (config, options) = match server {
        None => read_system_conf()
            .map_err(|error| format!("the name servers of this machine are not known: {error}"))?,
        Some(address) => {
            let mut connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
            connections.iter_mut().for_each(|connection| connection.port = address.port());
            let server = NameServerConfig::new(address.ip(), true, connections.to_vec());
            (ResolverConfig::from_parts(None, Vec::new(), vec![server]), ResolverOpts::default())
        }
    };
    let (domain, search) = (config.domain(), config.search());
    let each = config.name_servers().iter().map(|server| {
        let config = ResolverConfig::from_parts(domain.cloned(), search.to_vec(), vec![server.clone()]);
        let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options.clone();
        adjust(builder.options_mut());
        builder.build().map_err(|error| format!("name servers can't be queried here: {error}"))
    });
    each.collect()
}

/// Queries name servers in order, the next one if one does not answer. As in the system's resolver, only a negative answer of
/// the first counts, because the others may lack its records.
///
/// # Errors
/// Why the first did not answer, if no other has a positive answer.
pub(crate) async fn query_in_order<'a, T, F>(
    resolvers: &'a [TokioResolver],
    lookup: impl Fn(&'a TokioResolver) -> F,
) -> Result<Option<T>, String>
where
    F: Future<Output = Result<T, NetError>> + 'a,
{
    let mut silent = None;
    for resolver in resolvers {
        match lookup(resolver).await {
            Ok(answer) => return Ok(Some(answer)),
            Err(error) if error.is_no_records_found() || error.is_nx_domain() => {
                if silent.is_none() {
                    return Ok(None);
                }
            }
            Err(error) => drop(silent.get_or_insert(error.to_string())),
        }
    }
    Err(silent.unwrap_or_else(|| "this machine has no name server".to_owned()))
}
