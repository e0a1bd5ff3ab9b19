//! Discovery of the pods of a Kubernetes Service, by a watch on its EndpointSlices.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::{Answer, DEFAULT_PORT, Found, Lookup, base, in_url};
use crate::net::kubernetes::{Cluster, LIMIT, refusal, status};
use crate::supervision::Backoff;

/// The requested duration of a watch. It is short because a connection that died silently is noticed only by the missing
/// end of its watch.
const WATCH: Duration = Duration::from_secs(20);
/// How much later than that a watch that has not ended counts as dead.
const OVERDUE: Duration = Duration::from_secs(5);
/// A watch that ends sooner than this counts as failed, so that it is retried with a backoff and not in a tight loop.
const SHORTEST: Duration = Duration::from_secs(1);
/// The backoff of retries. The longest wait is shorter than the time for which a new pod is ready before an old one is
/// removed.
const RETRIES: Backoff = Backoff { first: Duration::from_millis(200), longest: Duration::from_secs(5) };
/// How many failures in a row are reported; a single broken connection is resumed without notice.
const TOLERATED: usize = 2;
/// The HTTP status if the API no longer has the requested resource version.
const GONE: u16 = 410;
const REMEDY: &str = "the service account may not list and watch endpointslices of this namespace; see rbac.create in the chart, \
                      or use dns:// in CONTROL_DISCOVERY";

/// A Service whose pods are workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceName {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The port of its pods; `None` uses the Service's port named `http`, or its first.
    pub port: Option<u16>,
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kubernetes://{}.{}", self.name, self.namespace)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// The timeouts of the watch.
#[derive(Debug, Clone, Copy)]
struct Timeouts {
    watch: Duration,
    overdue: Duration,
    shortest: Duration,
}

/// The state of the watch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Known {
    /// The workers; `None` before the first list.
    workers: Option<BTreeMap<String, Found>>,
    /// Why the workers may be out of date.
    failure: Option<String>,
}

/// The pods of a Service, watched until this is dropped.
pub struct Endpoints {
    service: ServiceName,
    known: RefCell<watch::Receiver<Known>>,
    _watch: AbortOnDropHandle<()>,
}

impl Endpoints {
    /// Starts to watch a Service.
    ///
    /// # Errors
    /// The client of the cluster's API can't be built; the text is for users.
    pub fn watch(cluster: &Cluster, service: ServiceName) -> Result<Self, String> {
        Self::with_timeouts(cluster, service, Timeouts { watch: WATCH, overdue: OVERDUE, shortest: SHORTEST })
    }

    fn with_timeouts(cluster: &Cluster, service: ServiceName, timeouts: Timeouts) -> Result<Self, String> {
        let (sender, known) = watch::channel(Known::default());
        let follower = Follower {
            api: Api::namespaced(cluster.client()?, &service.namespace),
            selector: format!("kubernetes.io/service-name={}", service.name),
            port: service.port,
            timeouts,
            slices: BTreeMap::new(),
            version: None,
            published: HashSet::new(),
            known: sender,
        };
        let watch = AbortOnDropHandle::new(actix_rt::spawn(follower.follow()));
        Ok(Self { service, known: RefCell::new(known), _watch: watch })
    }
}

impl Lookup for Endpoints {
    fn name(&self) -> String {
        self.service.to_string()
    }

    fn look_up(&self) -> LocalBoxFuture<'_, Result<Answer, String>> {
        let mut known = self.known.borrow().clone();
        Box::pin(async move {
            let first = known.wait_for(|known| known.workers.is_some() || known.failure.is_some());
            // A timeout shows below as no workers and no failure.
            let _ = timeout(LIMIT, first).await.map(drop);
            let Known { workers, failure } = self.known.borrow_mut().borrow_and_update().clone();
            match (workers, failure) {
                (Some(workers), None) => Ok(Answer::Whole(workers)),
                (_, Some(failure)) => Err(failure),
                (None, None) => Err(format!("Kubernetes did not answer within {} s", LIMIT.as_secs())),
            }
        })
    }

    fn changed(&self) -> Option<LocalBoxFuture<'_, ()>> {
        let mut known = self.known.borrow().clone();
        Some(Box::pin(async move {
            // Never fails, because the sender lives as long as this.
            let _ = known.changed().await;
        }))
    }
}

/// Follows the slices of a Service.
struct Follower {
    api: Api<EndpointSlice>,
    selector: String,
    port: Option<u16>,
    timeouts: Timeouts,
    slices: BTreeMap<String, EndpointSlice>,
    /// The resource version of `slices`; `None` if they have to be listed again.
    version: Option<String>,
    /// The workers that were published: they stay, ready or not, until their pods are gone.
    published: HashSet<String>,
    known: watch::Sender<Known>,
}

impl Follower {
    async fn follow(mut self) {
        let mut failures = 0;
        loop {
            let Err(failure) = self.watch_once(&mut failures).await else { continue };
            failures += 1;
            log::debug!("the endpointslices with {}: {failure}", self.selector);
            self.known.send_if_modified(|known| {
                let report = failures >= TOLERATED || known.workers.is_none();
                let new = report && known.failure.is_none();
                if new {
                    known.failure = Some(failure);
                }
                new
            });
            sleep(RETRIES.delay(failures, fastrand::f64())).await;
        }
    }

    /// Runs one watch to its end, after a list if there is no version to resume from. Resets `failures` once the watch has
    /// lasted for a while.
    async fn watch_once(&mut self, failures: &mut usize) -> Result<(), String> {
        let version = match &self.version {
            Some(version) => version.clone(),
            None => self.list().await?,
        };
        let Timeouts { watch, overdue, shortest } = self.timeouts;
        let seconds = u32::try_from(watch.as_secs()).unwrap_or(u32::MAX).max(1);
        let parameters = WatchParams::default().labels(&self.selector).timeout(seconds);
        let began = Instant::now();
        let opened = timeout(LIMIT, self.api.watch(&parameters, &version)).await;
        let events = opened.map_err(|_| timed_out("the watch"))?.map_err(|error| self.failed(&error))?;
        let mut events = pin!(events);
        // Whether it has lasted long enough to count as working.
        let mut stands = false;
        loop {
            let until = if stands { began + watch + overdue } else { began + shortest };
            let event = match timeout_at(until, events.next()).await {
                Ok(event) => event,
                Err(_) if stands => {
                    return Err(format!("the watch was silent for {} s", (watch + overdue).as_secs()));
                }
                Err(_) => {
                    (stands, *failures) = (true, 0);
                    self.known.send_if_modified(|known| known.failure.take().is_some());
                    continue;
                }
            };
            match event {
                Some(Ok(WatchEvent::Added(slice) | WatchEvent::Modified(slice))) => {
                    self.version.clone_from(&slice.metadata.resource_version);
                    self.slices.insert(slice.metadata.name.clone().unwrap_or_default(), slice);
                    self.publish();
                }
                Some(Ok(WatchEvent::Deleted(slice))) => {
                    self.version = slice.metadata.resource_version;
                    self.slices.remove(&slice.metadata.name.unwrap_or_default());
                    self.publish();
                }
                Some(Ok(WatchEvent::Bookmark(mark))) => self.version = Some(mark.metadata.resource_version),
                Some(Ok(WatchEvent::Error(status))) => {
                    return Err(self.failed(&kube::Error::Api(status)));
                }
                Some(Err(error)) => return Err(self.failed(&error)),
                None if stands => return Ok(()),
                None => return Err("the watch ended at once".to_owned()),
            }
        }
    }

    /// Lists all slices; returns the version to watch from.
    async fn list(&mut self) -> Result<String, String> {
        let parameters = ListParams::default().labels(&self.selector);
        let listed = timeout(LIMIT, self.api.list(&parameters)).await;
        let listed = listed.map_err(|_| timed_out("the list"))?.map_err(|error| refusal(&error, REMEDY))?;
        let version = listed.metadata.resource_version.ok_or("the list has no version")?;
        let slices = listed.items.into_iter();
        self.slices = slices.map(|slice| (slice.metadata.name.clone().unwrap_or_default(), slice)).collect();
        self.version = Some(version.clone());
        self.publish();
        Ok(version)
    }

    /// Handles a failure: drops the version if the API no longer has it.
    fn failed(&mut self, error: &kube::Error) -> String {
        if status(error) == Some(GONE) {
            self.version = None;
        }
        refusal(error, REMEDY)
    }

    fn publish(&mut self) {
        // Pods that are not ready at the start may have sessions from before.
        let at_first = self.known.borrow().workers.is_none();
        let workers =
            workers(self.slices.values(), self.port, |name| at_first || self.published.contains(name));
        self.published = workers.keys().cloned().collect();
        self.known.send_if_modified(|known| {
            let changed = known.workers.as_ref() != Some(&workers);
            known.workers = Some(workers);
            changed
        });
    }
}

fn timed_out(what: &str) -> String {
    format!("{what} was not answered within {} s", LIMIT.as_secs())
}

/// The workers in the slices, by pod name. A pod that has never been ready is left out unless `regardless` returns true for
/// its name, because calls to it would fail and open its breaker. A terminating pod is included as leaving.
fn workers<'a>(
    slices: impl Iterator<Item = &'a EndpointSlice>,
    port: Option<u16>,
    regardless: impl Fn(&str) -> bool,
) -> BTreeMap<String, Found> {
    let mut slices: Vec<&EndpointSlice> = slices.collect();
    // A pod with addresses of both families is in a slice of each, and slices may overlap for a moment.
    slices.sort_by_key(|slice| (slice.address_type != "IPv4", slice.metadata.name.clone()));
    let mut workers = BTreeMap::new();
    for slice in slices {
        let port = port.or_else(|| port_of(slice)).unwrap_or(DEFAULT_PORT);
        for endpoint in &slice.endpoints {
            let Some(address) = endpoint.addresses.first().and_then(|address| address.parse().ok()) else {
                continue;
            };
            let named = endpoint.target_ref.as_ref().and_then(|pod| pod.name.clone());
            let name = named.unwrap_or_else(|| super::name_of(address));
            let Conditions { serving, terminating } = Conditions::of(endpoint);
            if !(serving || terminating || regardless(&name)) {
                continue;
            }
            if let Some(url) = base(&in_url(address), port) {
                workers.entry(name).or_insert(Found { url, place: 0, leaving: terminating });
            }
        }
    }
    workers
}

/// The port named `http`, else the first.
fn port_of(slice: &EndpointSlice) -> Option<u16> {
    let ports = slice.ports.as_deref().unwrap_or_default();
    let http = ports.iter().find(|port| port.name.as_deref() == Some("http"));
    http.or(ports.first())?.port.and_then(|port| u16::try_from(port).ok())
}

struct Conditions {
    serving: bool,
    terminating: bool,
}

impl Conditions {
    /// Reads the conditions; missing ones get the defaults of the API's documentation.
    fn of(endpoint: &Endpoint) -> Self {
        let conditions = endpoint.conditions.clone().unwrap_or_default();
        Self {
            serving: conditions.serving.or(conditions.ready).unwrap_or(true),
            terminating: conditions.terminating.unwrap_or(false),
        }
    }
}

#[cfg(test)]
mod tests;
