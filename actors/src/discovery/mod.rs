//! Which workers there are, as name servers tell it: records come and go, and a fleet's remote workers with them.

mod dns;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::{LocalBoxFuture, join_all};
use url::Url;

use crate::fleet::WorkerBuilder;

pub use dns::NameServers;

/// In so many lookups in a row a worker's record has to be missing before the worker counts as gone: a name server that
/// restarts forgets for a moment what it knew.
const MISSING_LOOKUPS: u32 = 3;
/// Where a worker listens whose record and source name no port.
const DEFAULT_PORT: u16 = 8080;

/// A name that stands for workers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source {
    /// What is looked up: a headless service, for instance.
    pub name: String,
    /// The port that its workers listen on; `None` is the one of their SRV records.
    pub port: Option<u16>,
    /// Who is asked; `None` are the machine's own name servers.
    pub name_server: Option<SocketAddr>,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "dns://{}", self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// What is registered under a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    /// SRV records.
    pub services: Vec<Service>,
    /// A and AAAA records.
    pub addresses: Vec<IpAddr>,
}

/// An SRV record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// A host with a name of its own.
    pub host: String,
    /// The host's address, where its name means something to nobody but the name server that told of it.
    pub address: Option<IpAddr>,
    /// Where the host listens.
    pub port: u16,
}

/// Looks names up.
pub trait Lookup {
    /// What is registered under a source's name: nothing is an answer too.
    ///
    /// # Errors
    /// Why there was no answer.
    fn look_up<'a>(&'a self, source: &'a Source) -> LocalBoxFuture<'a, Result<Records, String>>;
}

/// One place of discovery: where to look, and how to build a worker that is found there, given its name and the URL of
/// its API.
pub struct Place {
    /// Where to look.
    pub source: Source,
    /// Builds what is found there.
    pub build: Box<dyn Fn(String, Url) -> WorkerBuilder>,
}

/// A worker that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Where its API is.
    pub url: Url,
    /// By which of the places, counted from 0.
    pub place: usize,
}

/// What is known of all places.
pub struct Discovery {
    lookup: std::rc::Rc<dyn Lookup>,
    places: Vec<Place>,
    /// How long to wait between two lookups.
    pub(crate) interval: Duration,
    /// What each place had, and in how many lookups it has been missing since.
    known: Vec<HashMap<String, (Url, u32)>>,
    /// Places whose last lookup failed, and names that two workers have: told once.
    failing: HashSet<usize>,
    doubled: HashSet<String>,
}

impl Discovery {
    /// Looks at these places, in this order: where two workers have the same name, the first place wins.
    pub fn new(lookup: std::rc::Rc<dyn Lookup>, places: Vec<Place>, interval: Duration) -> Self {
        let known = places.iter().map(|_| HashMap::new()).collect();
        Self { lookup, places, interval, known, failing: HashSet::new(), doubled: HashSet::new() }
    }

    /// Asks for all places at once.
    pub(crate) fn look_up(&self) -> impl Future<Output = Vec<Result<Records, String>>> + use<> {
        let lookup = std::rc::Rc::clone(&self.lookup);
        let sources: Vec<Source> = self.places.iter().map(|place| place.source.clone()).collect();
        async move { join_all(sources.iter().map(|source| lookup.look_up(source))).await }
    }

    /// The builder of a worker that was found.
    pub(crate) fn builder(&self, name: &str, found: &Found) -> WorkerBuilder {
        (self.places[found.place].build)(name.to_owned(), found.url.clone())
    }

    /// All workers there are, given one answer for each place. A place that gave none keeps what it had.
    pub(crate) fn found(&mut self, answers: Vec<Result<Records, String>>) -> BTreeMap<String, Found> {
        let mut all = BTreeMap::new();
        for (index, answer) in answers.into_iter().enumerate() {
            self.take(index, answer);
            for (name, (url, _)) in &self.known[index] {
                let found = Found { url: url.clone(), place: index };
                let first = all.entry(name.clone()).or_insert_with(|| found.clone());
                if first.url != found.url && self.doubled.insert(name.clone()) {
                    log::warn!("two workers are called {name}: the one at {} is left out", found.url);
                }
            }
        }
        all
    }

    fn take(&mut self, index: usize, answer: Result<Records, String>) {
        let source = &self.places[index].source;
        let records = match answer {
            Ok(records) => records,
            Err(error) => {
                if self.failing.insert(index) {
                    log::warn!("{source} can't be looked up, so its workers stay as they are: {error}");
                }
                return;
            }
        };
        if self.failing.remove(&index) {
            log::info!("{source} is answered again");
        }
        let now = workers(source, &records);
        let known = &mut self.known[index];
        known.retain(|name, (_, missing)| {
            *missing = if now.contains_key(name) { 0 } else { *missing + 1 };
            *missing < MISSING_LOOKUPS
        });
        known.extend(now.into_iter().map(|(name, url)| (name, (url, 0))));
    }
}

/// The workers that a source's records name. Every control that asks gets the same names, so that each finds the sessions
/// that the others have placed.
///
/// SRV records give a worker the first label of its host's name: that of its pod, in a StatefulSet. Without them it is
/// called by its address.
fn workers(source: &Source, records: &Records) -> BTreeMap<String, Url> {
    let wanted = |service: &&Service| source.port.is_none_or(|port| port == service.port);
    let services = records.services.iter().filter(wanted).filter_map(|service| {
        let host = service.host.trim_end_matches('.');
        let name = host.split('.').next().filter(|name| !name.is_empty())?;
        let reached = service.address.map_or_else(|| host.to_owned(), in_url);
        Some((name.to_owned(), base(&reached, service.port)?))
    });
    let services: BTreeMap<_, _> = services.collect();
    if !services.is_empty() {
        return services;
    }
    let port = source.port.unwrap_or(DEFAULT_PORT);
    let addresses = records.addresses.iter().filter_map(|address| {
        Some((address.to_string().replace(['.', ':'], "-"), base(&in_url(*address), port)?))
    });
    addresses.collect()
}

/// An address as it stands in a URL.
fn in_url(address: IpAddr) -> String {
    if address.is_ipv6() { format!("[{address}]") } else { address.to_string() }
}

fn base(host: &str, port: u16) -> Option<Url> {
    Url::parse(&format!("http://{host}:{port}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(port: Option<u16>) -> Source {
        Source { name: "workers.fleet.svc".to_owned(), port, name_server: None }
    }

    fn services(hosts: &[(&str, u16)]) -> Records {
        let service =
            |(host, port): &(&str, u16)| Service { host: (*host).to_owned(), address: None, port: *port };
        Records {
            services: hosts.iter().map(service).collect(),
            addresses: vec!["10.0.0.9".parse().unwrap()],
        }
    }

    fn addresses(addresses: &[&str]) -> Records {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Records { services: Vec::new(), addresses }
    }

    fn named(records: &Records, port: Option<u16>) -> Vec<(String, String)> {
        let workers = workers(&source(port), records).into_iter();
        workers.map(|(name, url)| (name, url.to_string())).collect()
    }

    /// Nobody asks it in these tests.
    struct Silent;

    impl Lookup for Silent {
        fn look_up<'a>(&'a self, _: &'a Source) -> LocalBoxFuture<'a, Result<Records, String>> {
            Box::pin(async { Err("nobody is there".to_owned()) })
        }
    }

    fn discovery(places: usize) -> Discovery {
        let place = |_| Place { source: source(Some(8080)), build: Box::new(|_, _| unreachable!()) };
        Discovery::new(std::rc::Rc::new(Silent), (0..places).map(place).collect(), Duration::from_secs(2))
    }

    fn names(found: &BTreeMap<String, Found>) -> Vec<&str> {
        found.keys().map(String::as_str).collect()
    }

    #[test]
    fn a_worker_with_a_name_of_its_own_is_called_by_it() {
        let records = services(&[
            ("worker-1.workers.fleet.svc.cluster.local.", 8080),
            ("worker-0.workers.fleet.svc.cluster.local", 8080),
            ("worker-0.workers.fleet.svc.cluster.local", 6900),
        ]);
        let expected = [
            ("worker-0".to_owned(), "http://worker-0.workers.fleet.svc.cluster.local:8080/".to_owned()),
            ("worker-1".to_owned(), "http://worker-1.workers.fleet.svc.cluster.local:8080/".to_owned()),
        ];
        assert_eq!(named(&records, Some(8080)), expected);
    }

    #[test]
    fn the_port_of_a_record_counts_where_the_source_names_none() {
        let records = services(&[("a.node.consul.", 20_123)]);
        assert_eq!(named(&records, None), [("a".to_owned(), "http://a.node.consul:20123/".to_owned())]);
        let other_port = [("10-0-0-9".to_owned(), "http://10.0.0.9:8080/".to_owned())];
        assert_eq!(named(&records, Some(8080)), other_port, "nothing but an address has that port");
    }

    #[test]
    fn a_host_that_only_its_name_server_knows_is_reached_by_its_address() {
        let mut records = services(&[("a.node.consul.", 20_123)]);
        records.services[0].address = Some("10.0.0.7".parse().unwrap());
        assert_eq!(named(&records, None), [("a".to_owned(), "http://10.0.0.7:20123/".to_owned())]);
    }

    #[test]
    fn a_worker_without_a_name_is_called_by_its_address() {
        let expected = [
            ("10-0-0-7".to_owned(), "http://10.0.0.7:8080/".to_owned()),
            ("fd00--7".to_owned(), "http://[fd00::7]:8080/".to_owned()),
        ];
        assert_eq!(named(&addresses(&["10.0.0.7", "fd00::7"]), None), expected);
        assert_eq!(named(&Records::default(), Some(1)), []);
    }

    #[test]
    fn a_record_that_is_missing_once_or_twice_is_no_loss() {
        let mut discovery = discovery(1);
        let both = || vec![Ok(addresses(&["10.0.0.1", "10.0.0.2"]))];
        let one = || vec![Ok(addresses(&["10.0.0.1"]))];
        assert_eq!(names(&discovery.found(both())), ["10-0-0-1", "10-0-0-2"]);
        for _ in 0..2 {
            assert_eq!(names(&discovery.found(one())), ["10-0-0-1", "10-0-0-2"]);
        }
        assert_eq!(names(&discovery.found(both())), ["10-0-0-1", "10-0-0-2"]);
        for _ in 0..2 {
            assert_eq!(names(&discovery.found(one())), ["10-0-0-1", "10-0-0-2"], "counted from anew");
        }
        assert_eq!(names(&discovery.found(one())), ["10-0-0-1"]);
    }

    #[test]
    fn a_name_server_that_fails_takes_no_worker_away() {
        let mut discovery = discovery(1);
        discovery.found(vec![Ok(addresses(&["10.0.0.1"]))]);
        for _ in 0..10 {
            assert_eq!(names(&discovery.found(vec![Err("timed out".to_owned())])), ["10-0-0-1"]);
        }
    }

    #[test]
    fn of_two_workers_with_one_name_the_first_place_s_is_kept() {
        let mut discovery = discovery(2);
        let records = |host| Ok(services(&[(host, 8080)]));
        let found = discovery.found(vec![records("a.one."), records("a.two.")]);
        assert_eq!(found["a"], Found { url: "http://a.one:8080".parse().unwrap(), place: 0 });
    }
}
