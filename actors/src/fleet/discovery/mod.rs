//! Discovery of remote workers by DNS or the Kubernetes API.

mod dns;
mod endpoints;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{LocalBoxFuture, join_all, select_all};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::worker::WorkerBuilder;

pub use dns::{NameLookup, NameServers};
pub use endpoints::{Endpoints, ServiceName};

/// How many lookups in a row a worker's record has to be missing before the worker counts as gone, because a name server
/// that restarts lacks records for a moment.
const MISSING_LOOKUPS: u32 = 3;
/// The port of workers if neither the record nor the source names one.
const DEFAULT_PORT: u16 = 8080;

/// A DNS name that resolves to workers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source {
    /// The name to look up, for instance of a headless service.
    pub name: String,
    /// The port of its workers; `None` uses the one of their SRV records.
    pub port: Option<u16>,
    /// The name server to query; `None` uses the machine's own.
    pub name_server: Option<SocketAddr>,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "dns://{}", self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// The DNS records of a name.
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
    /// The host's name.
    pub host: String,
    /// The host's address, where only the configured name server can resolve its name.
    pub address: Option<IpAddr>,
    /// The host's port.
    pub port: u16,
}

/// The workers found by one lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Workers by name, from a source that may temporarily lack some.
    Partial(BTreeMap<String, Url>),
    /// The complete list of workers by name: missing ones are gone.
    Whole(BTreeMap<String, Found>),
}

/// A source of workers: DNS or a Kubernetes cluster.
pub trait Lookup {
    /// Its name in the log.
    fn name(&self) -> String;

    /// Looks up the current workers; an empty answer is valid too.
    ///
    /// # Errors
    /// Why there was no answer.
    fn look_up(&self) -> LocalBoxFuture<'_, Result<Answer, String>>;

    /// Resolves when the answer has changed since the last lookup; `None` for sources that have to be polled.
    fn changed(&self) -> Option<LocalBoxFuture<'_, ()>> {
        None
    }
}

/// A source of workers, with the function that builds a worker from its name and the URL of its API.
pub struct Place {
    /// The source.
    pub lookup: Rc<dyn Lookup>,
    /// Builds the workers that it finds.
    pub build: Box<dyn Fn(String, Url) -> WorkerBuilder>,
}

/// A discovered worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The base URL of its API.
    pub url: Url,
    /// The index of the place that found it.
    pub place: usize,
    /// Whether it is shutting down: it keeps its sessions and gets no new ones.
    pub leaving: bool,
}

/// The answers of the queried places, by index.
type Answers = Vec<(usize, Result<Answer, String>)>;

/// The state of discovery at all places.
pub struct Discovery {
    places: Vec<Place>,
    /// The time between two lookups of all places.
    interval: Duration,
    /// When all places are queried again; `None` before the first time. Until then, only places that have changed are.
    due: Option<Instant>,
    /// Each place's workers, with the number of lookups in which they have been missing.
    known: Vec<HashMap<String, (Found, u32)>>,
    /// Places whose last lookup failed, and duplicate names: both are logged only once.
    failing: HashSet<usize>,
    doubled: HashSet<String>,
}

impl Discovery {
    /// Discovers workers at these places. If two workers have the same name, the first place wins.
    pub fn new(places: Vec<Place>, interval: Duration) -> Self {
        let known = places.iter().map(|_| HashMap::new()).collect();
        Self { places, interval, due: None, known, failing: HashSet::new(), doubled: HashSet::new() }
    }

    /// Queries in parallel the places that notify of changes and, once an interval, all others.
    pub(crate) fn look_up(&mut self) -> impl Future<Output = Answers> + use<> {
        let now = Instant::now();
        let all = self.due.is_none_or(|due| due <= now);
        if all {
            self.due = Some(now + self.interval);
        }
        let queried = self.places.iter().map(|place| Rc::clone(&place.lookup)).enumerate();
        let queried: Vec<_> = queried.filter(|(_, lookup)| all || lookup.changed().is_some()).collect();
        async move {
            join_all(queried.iter().map(|(index, lookup)| async move { (*index, lookup.look_up().await) }))
                .await
        }
    }

    /// Resolves when the next lookup is due: after the interval, or when a place has changed.
    pub(crate) fn wait(&self) -> impl Future<Output = ()> + use<> {
        let due = self.due.unwrap_or_else(Instant::now);
        let lookups: Vec<_> = self.places.iter().map(|place| Rc::clone(&place.lookup)).collect();
        async move {
            let changes: Vec<_> = lookups.iter().filter_map(|lookup| lookup.changed()).collect();
            if changes.is_empty() {
                tokio::time::sleep_until(due).await;
            } else {
                // The lookup is due in either case: at the end of the interval or after a change.
                let _ = timeout_at(due, select_all(changes)).await.map(drop);
            }
        }
    }

    /// The builder of a discovered worker.
    pub(crate) fn builder(&self, name: &str, found: &Found) -> WorkerBuilder {
        (self.places[found.place].build)(name.to_owned(), found.url.clone())
    }

    /// Applies the answers of the queried places and returns all workers. A place whose lookup failed keeps its workers.
    pub(crate) fn found(&mut self, answers: Answers) -> BTreeMap<String, Found> {
        for (index, answer) in answers {
            self.apply(index, answer);
        }
        let mut all = BTreeMap::new();
        for (name, (found, _)) in self.known.iter().flatten() {
            let first: &Found = all.entry(name.clone()).or_insert_with(|| found.clone());
            if first.url != found.url && self.doubled.insert(name.clone()) {
                log::warn!("two workers are called {name}: the one at {} is ignored", found.url);
            }
        }
        all
    }

    fn apply(&mut self, index: usize, answer: Result<Answer, String>) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                if self.failing.insert(index) {
                    let name = self.places[index].lookup.name();
                    log::warn!("{name} can't be looked up, so its workers stay as they are: {error}");
                }
                return;
            }
        };
        if self.failing.remove(&index) {
            log::info!("{} can be looked up again", self.places[index].lookup.name());
        }
        let known = &mut self.known[index];
        match answer {
            Answer::Partial(now) => {
                known.retain(|name, (_, missing)| {
                    *missing = if now.contains_key(name) { 0 } else { *missing + 1 };
                    *missing < MISSING_LOOKUPS
                });
                let now =
                    now.into_iter().map(|(name, url)| (name, Found { url, place: index, leaving: false }));
                known.extend(now.map(|(name, found)| (name, (found, 0))));
            }
            Answer::Whole(now) => {
                let now = now.into_iter().map(|(name, found)| (name, (Found { place: index, ..found }, 0)));
                *known = now.collect();
            }
        }
    }
}

/// The workers in a source's records. The names depend only on the records, so that all controls use the same ones and find
/// each other's sessions.
///
/// With SRV records, a worker's name is the first label of its host name, which in a StatefulSet is the name of its pod.
/// Without them, it is derived from its address.
fn workers(source: &Source, records: &Records) -> BTreeMap<String, Url> {
    let has_port = |service: &&Service| source.port.is_none_or(|port| port == service.port);
    let services = records.services.iter().filter(has_port).filter_map(|service| {
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
    let addresses = records
        .addresses
        .iter()
        .filter_map(|address| Some((name_of(*address), base(&in_url(*address), port)?)));
    addresses.collect()
}

/// The name of a worker without a host name.
fn name_of(address: IpAddr) -> String {
    address.to_string().replace(['.', ':'], "-")
}

/// An address as in a URL.
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

    /// Counts its lookups, and notifies of changes if it is set to.
    #[derive(Default)]
    struct Counting {
        queried: std::cell::Cell<usize>,
        change: Option<tokio::sync::Notify>,
    }

    impl Lookup for Counting {
        fn name(&self) -> String {
            "nobody".to_owned()
        }

        fn look_up(&self) -> LocalBoxFuture<'_, Result<Answer, String>> {
            self.queried.set(self.queried.get() + 1);
            Box::pin(async { Err("nobody is there".to_owned()) })
        }

        fn changed(&self) -> Option<LocalBoxFuture<'_, ()>> {
            Some(Box::pin(self.change.as_ref()?.notified()))
        }
    }

    fn place(lookup: Rc<dyn Lookup>) -> Place {
        Place { lookup, build: Box::new(|_, _| unreachable!()) }
    }

    fn discovery(places: usize) -> Discovery {
        let places = (0..places).map(|_| place(Rc::new(Counting::default()))).collect();
        Discovery::new(places, Duration::from_secs(2))
    }

    fn partial(records: &Records) -> Result<Answer, String> {
        Ok(Answer::Partial(workers(&source(Some(8080)), records)))
    }

    fn names(found: &BTreeMap<String, Found>) -> Vec<&str> {
        found.keys().map(String::as_str).collect()
    }

    #[test]
    fn a_worker_with_a_host_name_is_named_by_it() {
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
    fn the_port_of_a_record_is_used_where_the_source_names_none() {
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
    fn a_worker_without_a_host_name_is_named_by_its_address() {
        let expected = [
            ("10-0-0-7".to_owned(), "http://10.0.0.7:8080/".to_owned()),
            ("fd00--7".to_owned(), "http://[fd00::7]:8080/".to_owned()),
        ];
        assert_eq!(named(&addresses(&["10.0.0.7", "fd00::7"]), None), expected);
        assert_eq!(named(&Records::default(), Some(1)), []);
    }

    #[test]
    fn a_record_that_is_missing_once_or_twice_does_not_remove_its_worker() {
        let mut discovery = discovery(1);
        let both = || vec![(0, partial(&addresses(&["10.0.0.1", "10.0.0.2"])))];
        let one = || vec![(0, partial(&addresses(&["10.0.0.1"])))];
        assert_eq!(names(&discovery.found(both())), ["10-0-0-1", "10-0-0-2"]);
        for _ in 0..2 {
            assert_eq!(names(&discovery.found(one())), ["10-0-0-1", "10-0-0-2"]);
        }
        assert_eq!(names(&discovery.found(both())), ["10-0-0-1", "10-0-0-2"]);
        for _ in 0..2 {
            assert_eq!(names(&discovery.found(one())), ["10-0-0-1", "10-0-0-2"], "the count starts again");
        }
        assert_eq!(names(&discovery.found(one())), ["10-0-0-1"]);
    }

    #[test]
    fn a_failing_name_server_does_not_remove_workers() {
        let mut discovery = discovery(1);
        discovery.found(vec![(0, partial(&addresses(&["10.0.0.1"])))]);
        for _ in 0..10 {
            assert_eq!(names(&discovery.found(vec![(0, Err("timed out".to_owned()))])), ["10-0-0-1"]);
        }
    }

    #[test]
    fn of_two_workers_with_one_name_the_first_place_s_is_kept() {
        let mut discovery = discovery(2);
        let records = |host| partial(&services(&[(host, 8080)]));
        let found = discovery.found(vec![(0, records("a.one.")), (1, records("a.two."))]);
        let url = "http://a.one:8080".parse().unwrap();
        assert_eq!(found["a"], Found { url, place: 0, leaving: false });
    }

    #[test]
    fn a_worker_missing_in_a_complete_answer_is_gone_at_once() {
        let mut discovery = discovery(2);
        let whole = |names: &[&str]| {
            let found = |name: &&str| {
                let url = "http://10.0.0.1:8080".parse().unwrap();
                ((*name).to_owned(), Found { url, place: 0, leaving: *name == "old" })
            };
            Ok(Answer::Whole(names.iter().map(found).collect()))
        };
        let found = discovery.found(vec![(1, whole(&["old", "new"]))]);
        assert_eq!(
            found.values().map(|found| (found.place, found.leaving)).collect::<Vec<_>>(),
            [(1, false), (1, true)]
        );
        assert_eq!(names(&discovery.found(vec![(1, whole(&["new"]))])), ["new"]);
        assert_eq!(
            names(&discovery.found(Vec::new())),
            ["new"],
            "a place that was not queried keeps its workers"
        );
    }

    #[actix::test]
    async fn changes_are_looked_up_at_once_and_other_places_at_the_interval() {
        tokio::time::pause();
        let plain = Rc::new(Counting::default());
        let watched = Rc::new(Counting { change: Some(tokio::sync::Notify::new()), ..Counting::default() });
        let places = vec![place(plain.clone()), place(watched.clone())];
        let mut discovery = Discovery::new(places, Duration::from_secs(2));
        discovery.look_up().await;
        let began = Instant::now();
        for _ in 0..5 {
            watched.change.as_ref().unwrap().notify_one();
            discovery.wait().await;
            discovery.look_up().await;
        }
        assert_eq!((plain.queried.get(), watched.queried.get()), (1, 6));
        assert_eq!(began.elapsed(), Duration::ZERO);
        discovery.wait().await;
        // Timers have a resolution of milliseconds.
        assert_eq!(began.elapsed().as_secs_f64().round(), 2.0);
        discovery.look_up().await;
        assert_eq!((plain.queried.get(), watched.queried.get()), (2, 7));
    }
}
