//! The egress actor: the only way out of one browser.
//!
//! Firefox is pointed at a SOCKS 5 server on a Unix socket in its launch directory, for every connection, and resolves no
//! names itself. So camofleet decides for each connection whether it is made, by which route, and counts it. The egress of a
//! browser without a session refuses everything; a session opens it with its route, and may change that at any time.
//!
//! Connections are served on threads of their own, so that a fast download does not delay the actors.

mod batch;
mod blocking;
mod check;
mod dial;
mod exit;
mod names;
mod places;
mod policy;
mod pump;
mod socks;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::prelude::*;
use actix_rt::{Arbiter, ArbiterHandle};
use camofleet_api::egress::{ProxyCheck, Refusal};
use camofleet_api::proxy::ProxyServer;
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

pub use blocking::{BlockLists, PHONE_HOME, SelectedLists};
pub use check::CheckSettings;
pub(crate) use exit::Exit;
pub use exit::{PoolUse, ProxyPoolSettings, ProxyPools};
pub use places::CityDatabase;
pub(crate) use places::timezone_at;
pub use policy::{EgressLevel, EgressPolicy};

use self::dial::{Connected, Dialler};
use self::names::NameService;
use crate::host::rundir::LaunchDir;
use crate::model::error::{Error, Result};
use crate::model::traffic::{EgressMetrics, Traffic};
use crate::process::Os;
use crate::supervision::part::{Adopt, CheckAlive, LaunchPart, PartBond};

/// The socket's name in the launch directory.
const SOCKET: &str = "egress.sock";
/// How many connections a browser may have open. Firefox itself stops at 900.
const MOST_CONNECTIONS: usize = 1000;
/// How long a browser may take to send its request after connecting.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// How long to wait after a connection could not be accepted, as when too many files are open.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// How many proxies are checked at once.
const MOST_CHECKS: usize = 16;
/// How much longer than its own limit a check is waited for: its thread, the place of its address.
const THREAD_MARGIN: Duration = Duration::from_secs(5);
/// How many threads serve connections at most.
const MOST_THREADS: usize = 4;

/// How browsers' connections are made.
#[derive(Debug, Clone)]
pub struct EgressSettings {
    /// Which destinations are refused.
    pub policy: EgressPolicy,
    /// The block lists.
    pub lists: BlockLists,
    /// The pools of proxies.
    pub proxies: BTreeMap<String, ProxyPoolSettings>,
    /// The proxy of the defaults, which is not judged by the policy, as those of the pools.
    pub trusted: Option<ProxyServer>,
    /// How long establishing a connection may take.
    pub connect_timeout: Duration,
    /// How long a connection may be silent before it is closed.
    pub idle_timeout: Duration,
    /// Whether direct connections use IPv6.
    pub ipv6: bool,
    /// The name server for direct connections; `None` for those of this machine.
    pub name_server: Option<SocketAddr>,
    /// How many threads serve connections; 0: those of the actors.
    pub threads: usize,
    /// How proxies are checked.
    pub checks: CheckSettings,
}

impl EgressSettings {
    /// As many threads as serve connections well on this machine.
    pub fn suitable_threads() -> usize {
        std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MOST_THREADS)
    }
}

/// How the connections of one session are made.
pub(crate) struct Route {
    /// By which way they leave.
    pub exit: Exit,
    /// Which hosts are blocked.
    pub block: SelectedLists,
    /// Counts them.
    pub traffic: Traffic,
}

/// Opens and closes the egress of one launch. Clones share it.
#[derive(Clone)]
pub(crate) struct EgressGate(watch::Sender<Option<Arc<Route>>>);

impl EgressGate {
    /// Makes new connections by this route, and closes all that are open.
    pub fn open(&self, route: Route) {
        self.0.send_replace(Some(Arc::new(route)));
    }
}

/// What the egresses of a worker share. Clones share it.
#[derive(Clone)]
pub(crate) struct EgressHost(Arc<Shared>);

struct Shared {
    dialler: Dialler,
    idle_timeout: Duration,
    metrics: EgressMetrics,
    threads: Threads,
    checks: CheckSettings,
    check_permits: Arc<Semaphore>,
}

/// The threads that serve connections; they end when it is dropped.
struct Threads {
    arbiters: Vec<Arbiter>,
    next: AtomicUsize,
}

impl Threads {
    fn start(count: usize) -> Self {
        Self { arbiters: (0..count).map(|_| Arbiter::new()).collect(), next: AtomicUsize::new(0) }
    }

    fn pick(&self) -> ArbiterHandle {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let picked = next.checked_rem(self.arbiters.len()).and_then(|index| self.arbiters.get(index));
        picked.map_or_else(Arbiter::current, Arbiter::handle)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
    }
}

impl EgressHost {
    pub fn new(settings: &EgressSettings, os: Arc<dyn Os>, metrics: EgressMetrics) -> Self {
        let names = NameService { server: settings.name_server, ipv6: settings.ipv6 };
        let dialler = Dialler::new(os, settings.policy.clone(), names, settings.connect_timeout);
        let threads = Threads::start(settings.threads);
        Self(Arc::new(Shared {
            dialler,
            idle_timeout: settings.idle_timeout,
            metrics,
            threads,
            checks: settings.checks.clone(),
            check_permits: Arc::new(Semaphore::new(MOST_CHECKS)),
        }))
    }

    /// Checks what sites see of connections by an exit. Dropped, it ends the check.
    ///
    /// # Errors
    /// [`Error::NoExitIpUrl`], and [`Error::TooManyChecks`]. That the exit does not work is no error.
    pub async fn check(self, exit: Exit) -> Result<ProxyCheck> {
        let permit = Arc::clone(&self.0.check_permits).try_acquire_owned();
        self.check_permitted(exit, permit.ok()).await
    }

    /// The same for the session that has this exit, which waits for its turn as long as a check may take.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub async fn check_in_turn(self, exit: Exit) -> Result<ProxyCheck> {
        let permit = Arc::clone(&self.0.check_permits).acquire_owned();
        let permit = tokio::time::timeout(self.0.checks.timeout, permit).await;
        self.check_permitted(exit, permit.ok().and_then(std::result::Result::ok)).await
    }

    /// Whether the places of exits are known.
    pub fn knows_places(&self) -> bool {
        !self.0.checks.urls.is_empty() && self.0.checks.cities.description().is_some()
    }

    async fn check_permitted(self, exit: Exit, permit: Option<OwnedSemaphorePermit>) -> Result<ProxyCheck> {
        if self.0.checks.urls.is_empty() {
            return Err(Error::NoExitIpUrl { field: None });
        }
        let permit = permit.ok_or(Error::TooManyChecks { limit: MOST_CHECKS })?;
        let time = self.0.checks.timeout;
        let (mut sender, checked) = oneshot::channel();
        // Not on the threads of the actors, because of the encryption.
        let started = self.0.threads.pick().spawn_fn(move || {
            actix_rt::spawn(async move {
                let _permit = permit;
                let checked = tokio::select! {
                    biased;
                    () = sender.closed() => return,
                    checked = check::check(&self.0.dialler, &self.0.checks, &exit) => checked,
                };
                // Fails if it is no longer waited for.
                let _ = sender.send(checked);
            });
        });
        // The check keeps its own time; this one is for a thread that hangs.
        let limit = time + THREAD_MARGIN;
        match (started, tokio::time::timeout(limit, checked).await) {
            (true, Ok(Ok(checked))) => Ok(checked),
            _ => Err(Error::Restarting { what: "egress" }),
        }
    }
}

#[cfg(test)]
impl EgressHost {
    /// Hangs the threads that serve connections until the returned guard is dropped.
    pub fn hang(&self) -> HungThreads {
        let hang = |arbiter: &Arbiter| {
            let (release, released) = std::sync::mpsc::channel();
            let (hangs, hung) = std::sync::mpsc::channel();
            arbiter.spawn_fn(move || {
                hangs.send(()).unwrap();
                // Fails when the guard is dropped.
                let _ = released.recv();
            });
            hung.recv().unwrap();
            release
        };
        HungThreads(self.0.threads.arbiters.iter().map(hang).collect())
    }
}

/// Threads that hang until it is dropped.
#[cfg(test)]
pub(crate) struct HungThreads(Vec<std::sync::mpsc::Sender<()>>);

#[cfg(test)]
impl HungThreads {
    /// How many hang.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// The socket of the egress in a launch directory.
pub(crate) fn socket(directory: &Path) -> PathBuf {
    directory.join(SOCKET)
}

/// The Firefox preferences that lead every connection to the egress in a launch directory.
///
/// `allow_bypass` is for Firefox's own requests, which it would otherwise repeat without a proxy. The checks for captive
/// portals and connectivity look up names themselves, and its remote control the IPv6 address of `localhost`. WebRTC, where it
/// is on, may use nothing but the proxy, and so only TURN servers over TCP.
pub(crate) fn preferences(directory: &Path) -> BTreeMap<String, Value> {
    // Percent-encoded as in a `file:` URL.
    let address = url::Url::from_file_path(socket(directory)).map(String::from).unwrap_or_default();
    [
        ("network.proxy.type", json!(1)),
        ("network.proxy.socks", json!(address)),
        ("network.proxy.socks_port", json!(0)),
        ("network.proxy.socks_version", json!(5)),
        ("network.proxy.socks_remote_dns", json!(true)),
        ("network.proxy.socks5_remote_dns", json!(true)),
        ("network.proxy.allow_hijacking_localhost", json!(true)),
        ("network.proxy.no_proxies_on", json!("")),
        ("network.proxy.failover_direct", json!(false)),
        ("network.proxy.allow_bypass", json!(false)),
        ("network.dns.disableIPv6", json!(true)),
        ("network.dns.disablePrefetch", json!(true)),
        ("network.dns.disablePrefetchFromHTTPS", json!(true)),
        ("network.trr.mode", json!(5)),
        ("network.captive-portal-service.enabled", json!(false)),
        ("network.connectivity-service.enabled", json!(false)),
        ("media.peerconnection.ice.proxy_only", json!(true)),
        ("media.peerconnection.ice.proxy_only_if_behind_proxy", json!(true)),
        ("media.peerconnection.ice.default_address_only", json!(true)),
        ("media.peerconnection.ice.no_host", json!(true)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// Changes the preferences so that WebRTC connects by UDP, beside the egress. Firefox' network process does not, where there
/// is a proxy.
pub(crate) fn let_webrtc_out(preferences: &mut BTreeMap<String, Value>) {
    preferences.retain(|name, _| !name.starts_with("media.peerconnection.ice."));
    preferences.insert("network.process.enabled".to_owned(), false.into());
}

/// The egress of one launch.
pub(crate) struct Egress {
    bond: PartBond,
    host: EgressHost,
    socket: PathBuf,
    listener: Option<StdListener>,
    route: watch::Receiver<Option<Arc<Route>>>,
}

impl Egress {
    /// Starts the egress of a launch, which is closed until a session opens it.
    ///
    /// # Errors
    /// The socket can't be created; the text names it.
    pub fn start(host: &EgressHost, dir: &LaunchDir, bond: PartBond) -> io::Result<(Addr<Self>, EgressGate)> {
        let socket = socket(dir.path());
        let failed = |error: io::Error| {
            let remedy = "name a shorter directory with RUNNER_RUN_DIR if its path is too long";
            io::Error::other(format!("{} could not be created ({error}); {remedy}", socket.display()))
        };
        let listener = StdListener::bind(&socket).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let (gate, route) = watch::channel(None);
        let host = host.clone();
        let thread = host.0.threads.pick();
        let address = Self::start_in_arbiter(&thread, move |_| Self {
            bond,
            host,
            socket,
            listener: Some(listener),
            route,
        });
        Ok((address, EgressGate(gate)))
    }
}

impl Actor for Egress {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        match self.listener.take().map(UnixListener::from_std) {
            Some(Ok(listener)) => {
                ctx.spawn(serve(listener, self.host.clone(), self.route.clone()).into_actor(self));
            }
            Some(Err(error)) => {
                self.bond.report_loss(LaunchPart::Egress, format!("its egress could not listen: {error}"));
                ctx.stop();
            }
            None => {}
        }
    }
}

/// Accepts connections for ever. Dropped, it closes all.
async fn serve(listener: UnixListener, host: EgressHost, route: watch::Receiver<Option<Arc<Route>>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((browser, _)) => {
                    let connection = Connection {
                        browser,
                        host: host.clone(),
                        route: route.clone(),
                        is_surplus: connections.len() >= MOST_CONNECTIONS,
                    };
                    if connections.len() < 2 * MOST_CONNECTIONS {
                        connections.spawn_local(connection.serve());
                    }
                }
                Err(error) => {
                    log::warn!("a browser's connection could not be accepted: {error}");
                    sleep(ACCEPT_RETRY).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection of a browser.
struct Connection {
    browser: UnixStream,
    host: EgressHost,
    route: watch::Receiver<Option<Arc<Route>>>,
    /// Whether it is one too many.
    is_surplus: bool,
}

impl Connection {
    /// Serves it until it ends, or the session changes its route.
    async fn serve(self) {
        let Self { mut browser, host, mut route, is_surplus } = self;
        let current = route.borrow_and_update().clone();
        let changed = async {
            // Also when the launch is closed.
            let _ = route.changed().await;
        };
        tokio::select! {
            biased;
            () = changed => {}
            () = run(&mut browser, &host, current, is_surplus) => {}
        }
    }
}

async fn run(browser: &mut UnixStream, host: &EgressHost, route: Option<Arc<Route>>, is_surplus: bool) {
    let refuse = |reason: Refusal| match &route {
        Some(route) => route.traffic.refuse(reason),
        None => host.0.metrics.refused(reason),
    };
    // Boxed, so that a connection that is established does not keep the memory that this needed.
    let established = Box::pin(async {
        let destination = match timeout(REQUEST_LIMIT, socks::read_request(browser)).await {
            Ok(Ok(destination)) => destination,
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                refuse(Refusal::Malformed);
                return None;
            }
            // It disconnected, or opened a connection in advance and did not use it.
            Ok(Err(_)) | Err(_) => return None,
        };
        let connected = match &route {
            None => Err(Refusal::NoSession),
            Some(_) if is_surplus => Err(Refusal::TooMany),
            Some(route) => host.0.dialler.connect(route, &destination).await,
        };
        match connected {
            Ok(Connected { upstream, early }) => {
                let traffic = route.as_ref()?.traffic.connection(&destination.host.to_string());
                socks::accept(browser).await.ok()?;
                Some((upstream, early, traffic))
            }
            Err(reason) => {
                log::debug!(
                    "a connection to {}:{} was refused: {}",
                    destination.host,
                    destination.port,
                    reason.as_str()
                );
                refuse(reason);
                // Fails if the browser has disconnected.
                let _ = timeout(REQUEST_LIMIT, socks::refuse(browser, reason)).await;
                None
            }
        }
    })
    .await;
    if let Some((mut upstream, early, traffic)) = established {
        // Its end, and an error, are passed on by closing both sides.
        let _ = pump::pump(browser, &mut upstream, early, &traffic, host.0.idle_timeout).await;
    }
}

/// Closes the egress. There is no reply: the request fails when the actor stops, with its socket and connections closed.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CloseEgress;

impl Handler<CloseEgress> for Egress {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: CloseEgress, ctx: &mut Context<Self>) -> Self::Result {
        ctx.stop();
        Box::pin(std::future::pending().into_actor(self))
    }
}

impl Handler<Adopt> for Egress {
    type Result = ();

    fn handle(&mut self, Adopt(parent): Adopt, ctx: &mut Context<Self>) {
        self.bond.reassign(parent);
        self.handle(CheckAlive, ctx);
    }
}

impl Handler<CheckAlive> for Egress {
    type Result = ();

    fn handle(&mut self, _: CheckAlive, ctx: &mut Context<Self>) {
        if !self.socket.exists() {
            self.bond.report_loss(LaunchPart::Egress, "the socket of its egress was removed".to_owned());
            ctx.stop();
        }
    }
}
