//! Lookups by the DNS.

use std::cell::RefCell;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{LocalBoxFuture, join, try_join_all};
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{Resolver, TokioResolver};

use super::{Answer, Lookup, Records, Service, Source, workers};

/// How long a name server may take to answer one try.
const TRY: Duration = Duration::from_secs(1);
/// How long all tries may take: a source that is not answered is asked again soon.
const LIMIT: Duration = Duration::from_secs(4);

/// The name servers of this machine, and those that sources name themselves.
pub struct NameServers {
    resolvers: HashMap<Option<SocketAddr>, TokioResolver>,
    /// Sources that have had SRV records: their workers must not get other names when those can't be read for once.
    with_services: RefCell<HashSet<Source>>,
}

impl NameServers {
    /// Gets ready to ask for these sources.
    ///
    /// # Errors
    /// Why the machine's own name servers are not known; the text is for people.
    pub fn new<'a>(sources: impl IntoIterator<Item = &'a Source>) -> Result<Self, String> {
        let mut resolvers = HashMap::new();
        for source in sources {
            if let Entry::Vacant(place) = resolvers.entry(source.name_server) {
                place.insert(resolver(source.name_server)?);
            }
        }
        Ok(Self { resolvers, with_services: RefCell::default() })
    }
}

fn resolver(server: Option<SocketAddr>) -> Result<TokioResolver, String> {
    let provider = TokioRuntimeProvider::default();
    let mut builder = match server {
        None => {
            let unknown = |error| format!("the name servers of this machine are not known: {error}");
            Resolver::builder(provider).map_err(unknown)?
        }
        Some(address) => {
            let mut connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
            connections.iter_mut().for_each(|connection| connection.port = address.port());
            let server = NameServerConfig::new(address.ip(), true, connections.to_vec());
            Resolver::builder_with_config(
                ResolverConfig::from_parts(None, Vec::new(), vec![server]),
                provider,
            )
        }
    };
    let options: &mut ResolverOpts = builder.options_mut();
    // Workers come and go faster than records expire.
    options.cache_size = 0;
    options.timeout = TRY;
    builder.build().map_err(|error| format!("there is no asking name servers here: {error}"))
}

/// The records that match, none where there are none, and an error where that is not known.
fn answered<T>(answer: Result<T, NetError>, records: impl FnOnce(T) -> Records) -> Result<Records, String> {
    match answer {
        Ok(answer) => Ok(records(answer)),
        Err(error) if error.is_no_records_found() || error.is_nx_domain() => Ok(Records::default()),
        Err(error) => Err(error.to_string()),
    }
}

/// Adds what only this name server may know: the hosts' addresses.
async fn addressed(resolver: &TokioResolver, records: Records) -> Result<Records, String> {
    let services = records.services.into_iter().map(|service| async move {
        let found = resolver.lookup_ip(service.host.as_str()).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(Service { address: found.iter().next(), ..service })
    });
    Ok(Records { services: try_join_all(services).await?, ..records })
}

/// The workers that one name stands for.
pub struct NameLookup {
    servers: Rc<NameServers>,
    source: Source,
}

impl NameLookup {
    /// Asks these name servers, which have to be ready for this source.
    pub fn new(servers: Rc<NameServers>, source: Source) -> Self {
        Self { servers, source }
    }
}

impl Lookup for NameLookup {
    fn name(&self) -> String {
        self.source.to_string()
    }

    fn look_up(&self) -> LocalBoxFuture<'_, Result<Answer, String>> {
        Box::pin(async {
            let records = self.servers.look_up(&self.source).await?;
            Ok(Answer::Partial(workers(&self.source, &records)))
        })
    }
}

impl NameServers {
    /// What is registered under a source's name.
    async fn look_up(&self, source: &Source) -> Result<Records, String> {
        let Some(resolver) = self.resolvers.get(&source.name_server) else {
            return Err("nobody is there to ask".to_owned());
        };
        let asked = join(
            resolver.lookup(source.name.as_str(), RecordType::SRV),
            resolver.lookup_ip(source.name.as_str()),
        );
        let Ok((services, addresses)) = tokio::time::timeout(LIMIT, asked).await else {
            return Err(format!("no answer within {} s", LIMIT.as_secs()));
        };
        let services = answered(services, |found| {
            let services = found.answers().iter().filter_map(|record| match &record.data {
                RData::SRV(service) => {
                    Some(Service { host: service.target.to_ascii(), address: None, port: service.port })
                }
                _ => None,
            });
            Records { services: services.collect(), addresses: Vec::new() }
        });
        let addresses =
            answered(addresses, |found| Records { services: Vec::new(), addresses: found.iter().collect() });
        let services = match services {
            Ok(services) if source.name_server.is_some() => addressed(resolver, services).await,
            services => services,
        };
        if services.as_ref().is_ok_and(|services| !services.services.is_empty()) {
            self.with_services.borrow_mut().insert(source.clone());
        }
        let has_services = self.with_services.borrow().contains(source);
        match (services, addresses) {
            (Ok(services), Ok(addresses)) => Ok(Records { addresses: addresses.addresses, ..services }),
            // Name servers of container engines know no SRV records, and some refuse to be asked for them.
            (Err(_), Ok(addresses)) if !has_services && !addresses.addresses.is_empty() => Ok(addresses),
            (Ok(services), Err(_)) if !services.services.is_empty() => Ok(services),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }
}
