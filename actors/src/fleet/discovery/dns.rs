//! Discovery by DNS.

use std::cell::RefCell;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{LocalBoxFuture, join, try_join_all};
use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::{RData, RecordType};

use super::{Answer, Lookup, Records, Service, Source, workers};
use crate::net::dns::{self, query_in_order};

/// The timeout of one query, and how often it is retried.
const TRY: Duration = Duration::from_secs(1);
const RETRIES: usize = 1;
/// The timeout of all tries at all name servers. A failed lookup is repeated soon anyway.
const LIMIT: Duration = Duration::from_secs(6);

/// The name servers of this machine, and those that sources configure.
pub struct NameServers {
    resolvers: HashMap<Option<SocketAddr>, Vec<TokioResolver>>,
    /// Sources that have had SRV records. If those can't be read temporarily, workers must not be renamed to their addresses.
    with_services: RefCell<HashSet<Source>>,
}

impl NameServers {
    /// Builds the resolvers for these sources.
    ///
    /// # Errors
    /// Why the machine's own name servers are not known; the text is for users.
    pub fn new<'a>(sources: impl IntoIterator<Item = &'a Source>) -> Result<Self, String> {
        let mut resolvers = HashMap::new();
        for source in sources {
            if let Entry::Vacant(place) = resolvers.entry(source.name_server) {
                place.insert(resolvers_of(source.name_server)?);
            }
        }
        Ok(Self { resolvers, with_services: RefCell::default() })
    }
}

/// The resolvers of a source's name server, or of those of this machine.
fn resolvers_of(server: Option<SocketAddr>) -> Result<Vec<TokioResolver>, String> {
    dns::resolvers(server, |options| {
        // Not cached, because workers change faster than records expire.
        options.cache_size = 0;
        options.timeout = TRY;
        options.attempts = RETRIES;
    })
}

/// Adds the hosts' addresses, which only this name server may know.
async fn with_addresses(resolver: &TokioResolver, records: Records) -> Result<Records, String> {
    let services = records.services.into_iter().map(|service| async move {
        let found = resolver.lookup_ip(service.host.as_str()).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(Service { address: found.iter().next(), ..service })
    });
    Ok(Records { services: try_join_all(services).await?, ..records })
}

/// Looks up the workers of one DNS name.
pub struct NameLookup {
    servers: Rc<NameServers>,
    source: Source,
}

impl NameLookup {
    /// A lookup by these name servers, which must have been built for this source.
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
    /// The records of a source's name.
    async fn look_up(&self, source: &Source) -> Result<Records, String> {
        let resolvers = self.resolvers.get(&source.name_server).map_or(&[][..], Vec::as_slice);
        let name = source.name.as_str();
        let queries = join(
            query_in_order(resolvers, |resolver| resolver.lookup(name, RecordType::SRV)),
            query_in_order(resolvers, |resolver| resolver.lookup_ip(name)),
        );
        let Ok((services, addresses)) = tokio::time::timeout(LIMIT, queries).await else {
            return Err(format!("no answer within {} s", LIMIT.as_secs()));
        };
        let services = services.map(|found| {
            let services = found.iter().flat_map(|found| found.answers()).filter_map(|record| {
                let RData::SRV(service) = &record.data else { return None };
                Some(Service { host: service.target.to_ascii(), address: None, port: service.port })
            });
            Records { services: services.collect(), addresses: Vec::new() }
        });
        let addresses = addresses.map(|found| Records {
            services: Vec::new(),
            addresses: found.iter().flat_map(|found| found.iter()).collect(),
        });
        let services = match (services, resolvers.first()) {
            (Ok(services), Some(resolver)) if source.name_server.is_some() => {
                with_addresses(resolver, services).await
            }
            (services, _) => services,
        };
        if services.as_ref().is_ok_and(|services| !services.services.is_empty()) {
            self.with_services.borrow_mut().insert(source.clone());
        }
        let has_services = self.with_services.borrow().contains(source);
        match (services, addresses) {
            (Ok(services), Ok(addresses)) => Ok(Records { addresses: addresses.addresses, ..services }),
            // Name servers of container engines have no SRV records, and some reject queries for them.
            (Err(_), Ok(addresses)) if !has_services && !addresses.addresses.is_empty() => Ok(addresses),
            (Ok(services), Err(_)) if !services.services.is_empty() => Ok(services),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::Resolver;
    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
    use hickory_resolver::net::runtime::TokioRuntimeProvider;
    use tokio::net::UdpSocket;

    use super::*;

    const NAME: &str = "workers.example.";

    /// A name server that answers every query after this time with the same address, or negatively.
    async fn name_server(after: Duration, address: Option<[u8; 4]>) -> TokioResolver {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        actix_rt::spawn(async move {
            let mut question = [0; 512];
            loop {
                let (length, client) = socket.recv_from(&mut question).await.unwrap();
                tokio::time::sleep(after).await;
                // The header and the question, which ends with the end of the name and four bytes (RFC 1035, section 4.1).
                let end = 12 + question[12..length].iter().position(|byte| *byte == 0).unwrap() + 5;
                let is_for_addresses = question[end - 3] == 1;
                let address = address.filter(|_| is_for_addresses);
                let mut answer = question[..end].to_vec();
                answer[2..4].copy_from_slice(&[0x81, if address.is_some() { 0x80 } else { 0x83 }]);
                answer[6..12].copy_from_slice(&[0, u8::from(address.is_some()), 0, 0, 0, 0]);
                if let Some(address) = address {
                    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4]);
                    answer.extend(address);
                }
                socket.send_to(&answer, client).await.unwrap();
            }
        });
        let mut connection = ConnectionConfig::udp();
        connection.port = port;
        let server = NameServerConfig::new([127, 0, 0, 1].into(), true, vec![connection]);
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
        builder.options_mut().timeout = Duration::from_millis(200);
        builder.options_mut().attempts = 0;
        builder.build().unwrap()
    }

    const NOW: Duration = Duration::ZERO;
    const NEVER: Duration = Duration::from_secs(60);

    async fn addresses(servers: Vec<TokioResolver>) -> Result<Vec<String>, String> {
        let resolvers = HashMap::from([(None, servers)]);
        let servers = NameServers { resolvers, with_services: RefCell::default() };
        let source = Source { name: NAME.to_owned(), port: Some(8080), name_server: None };
        let records = servers.look_up(&source).await?;
        Ok(records.addresses.iter().map(ToString::to_string).collect())
    }

    #[actix::test]
    async fn only_a_negative_answer_of_the_first_name_server_counts() {
        let one = Some([10, 0, 0, 1]);
        let other = Some([10, 0, 0, 2]);
        assert_eq!(
            addresses(vec![name_server(NOW, one).await, name_server(NOW, other).await]).await.unwrap(),
            ["10.0.0.1"]
        );
        assert!(
            addresses(vec![name_server(NOW, None).await, name_server(NOW, other).await])
                .await
                .unwrap()
                .is_empty()
        );
        let silent = addresses(vec![name_server(NEVER, one).await, name_server(NOW, None).await]).await;
        assert!(silent.is_err(), "{silent:?}");
        assert_eq!(
            addresses(vec![name_server(NEVER, one).await, name_server(NOW, other).await]).await.unwrap(),
            ["10.0.0.2"]
        );
    }
}
