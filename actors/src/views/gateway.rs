//! The gateway actor: admits viewers to live views, counts them, and drains them.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use camofleet_api::ids::SessionId;
use camofleet_api::view::ViewKey;
use tokio::sync::{oneshot, watch};
use url::Url;

use crate::metrics::Metrics;
use crate::model::activity::ActivityClock;
use crate::model::error::{Error, Result};
use crate::model::screen::ScreenHandle;
use crate::model::session::SessionView;
use crate::supervision::{ChildExited, Lifeline};
use crate::views::tunnel::{self, CloseTunnel, Destination};
use crate::worker::Directory;

/// How the gateway treats its tunnels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewaySettings {
    /// How many tunnels may be open at once.
    pub max_tunnels: usize,
    /// How long the VNC server may take to accept a connection.
    pub connect_timeout: Duration,
    /// How long a tunnel may be silent in both directions.
    pub idle_timeout: Duration,
    /// How long either end of a tunnel may read nothing of what it is sent.
    pub write_timeout: Duration,
}

/// A handle to the gateway of this process, which stays valid when the gateway is restarted. Cheap to clone.
#[derive(Clone)]
pub struct GatewayHandle(pub(crate) watch::Receiver<Option<Addr<Gateway>>>);

impl GatewayHandle {
    /// The handle of a process without a gateway.
    pub fn none() -> Self {
        Self(watch::channel(None).1)
    }

    /// The gateway's address.
    ///
    /// # Errors
    /// [`Error::Restarting`] while it is not running.
    pub fn get(&self) -> Result<Addr<Gateway>> {
        self.0.borrow().clone().ok_or(Error::Restarting { what: "gateway" })
    }
}

/// How the screen of a view is found.
#[derive(Debug, Clone)]
pub enum Targets {
    /// Ids belong to sessions of this process, whose activity clock is reset by the viewer's input.
    Sessions,
    /// Every id means the shared screen of this process.
    Shared,
    /// Ids are mapped to ports of a remote runner.
    Ports(PortMap),
    /// Ids contain the name of a remote worker, and are mapped to its ports.
    Workers(WorkerPorts),
}

/// Maps ids of the form `{worker}:{id}` to ports of remote workers, whose VNC servers listen on the workers' hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerPorts {
    /// The ids of each worker's views.
    pub ids: RangeInclusive<u16>,
    /// The port of the first id on each worker's host; the others follow in order.
    pub base_port: u16,
}

impl WorkerPorts {
    /// The session with this view, if the worker's snapshot contains it.
    fn session(directory: &Directory, vnc_id: &str) -> Option<Arc<SessionView>> {
        let (worker, id) = vnc_id.rsplit_once(':')?;
        directory.worker(worker).ok()?.snapshot().session_by_vnc_id(id.parse().ok()?).cloned()
    }

    fn find(&self, directory: &Directory, vnc_id: &str) -> Result<(String, u16)> {
        let (worker, id) = vnc_id.rsplit_once(':').ok_or(Error::ViewNotFound)?;
        let worker = directory.worker(worker).map_err(|_| Error::ViewNotFound)?.snapshot();
        let url = worker.machine.as_ref().and_then(|machine| Url::parse(&machine.url).ok());
        let host = url.as_ref().and_then(Url::host_str).ok_or(Error::ViewNotFound)?;
        let ports = PortMap {
            named: BTreeMap::new(),
            host: host.trim_matches(['[', ']']).to_owned(),
            ids: self.ids.clone(),
            base_port: self.base_port,
        };
        // Whether the view exists is left to its port: another control may have created the session a moment ago.
        ports.find(id)
    }
}

/// Maps the ids of views to the ports of a remote runner's VNC servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortMap {
    /// Addresses of single ids, which take precedence.
    pub named: BTreeMap<String, (String, u16)>,
    /// The host of all other ids.
    pub host: String,
    /// Their ids.
    pub ids: RangeInclusive<u16>,
    /// The port of the first id; the others follow in order.
    pub base_port: u16,
}

impl PortMap {
    /// Where the server of a view listens.
    ///
    /// # Errors
    /// [`Error::ViewNotFound`].
    pub fn find(&self, id: &str) -> Result<(String, u16)> {
        if let Some(named) = self.named.get(id) {
            return Ok(named.clone());
        }
        let number: u16 = id.parse().map_err(|_| Error::ViewNotFound)?;
        let port = self.ids.contains(&number).then(|| number - self.ids.start());
        let port = port.and_then(|offset| self.base_port.checked_add(offset)).ok_or(Error::ViewNotFound)?;
        Ok((self.host.clone(), port))
    }
}

/// The number of a tunnel, unique in its gateway.
pub type TunnelId = u64;

/// Requests a tunnel to the live view with this id.
#[derive(Message)]
#[rtype(result = "Result<TunnelTicket>")]
pub struct OpenTunnel {
    /// The id that the viewer gave.
    pub vnc_id: String,
    /// The key that the viewer sent. `None` opens the view by its id alone, so the sender has to decide whether that is
    /// allowed.
    pub key: Option<String>,
}

/// Requests which session a live view shows at present.
#[derive(Message)]
#[rtype(result = "Result<ShownSession>")]
pub struct DescribeView {
    /// The id that the viewer gave.
    pub vnc_id: String,
    /// The key that the viewer sent, as in [`OpenTunnel`].
    pub key: Option<String>,
}

/// The session that a live view shows at present, as far as this gateway knows. For a view of another machine it knows at
/// most the key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShownSession {
    /// The session.
    pub id: Option<SessionId>,
    /// The key of its view.
    pub key: Option<ViewKey>,
}

/// Permits one viewer to open a tunnel. It occupies a place until it or the tunnel is dropped.
pub struct TunnelTicket {
    pub(crate) destination: Destination,
    pub(crate) settings: GatewaySettings,
    pub(crate) metrics: Metrics,
    pub(crate) gateway: Recipient<TunnelStarted>,
    pub(crate) lifeline: Lifeline<TunnelId>,
}

/// Notifies the gateway that a tunnel is open, and how to close it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct TunnelStarted {
    pub(crate) id: TunnelId,
    pub(crate) close: Recipient<CloseTunnel>,
}

/// Stops opening tunnels, and closes the open ones after the grace period. The reply is sent when all are closed.
#[derive(Message)]
#[rtype(result = "()")]
pub struct DrainTunnels {
    /// How long open tunnels may continue.
    pub grace: Duration,
}

/// Identifies the gateway to its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GatewayKey;

/// Admits and drains VNC tunnels.
pub struct Gateway {
    /// `None` if it has no parent.
    _lifeline: Option<Lifeline<GatewayKey>>,
    settings: GatewaySettings,
    targets: Targets,
    directory: Directory,
    metrics: Metrics,
    tunnels: HashMap<TunnelId, Option<Recipient<CloseTunnel>>>,
    last_tunnel: TunnelId,
    /// Whether the grace period of a drain is over.
    closing: bool,
    /// Notified when the last tunnel is closed; set while draining.
    drained: Option<Vec<oneshot::Sender<()>>>,
}

impl Gateway {
    /// A gateway to the live views of the sessions in a directory, or of remote servers.
    pub fn new(settings: GatewaySettings, targets: Targets, directory: Directory, metrics: Metrics) -> Self {
        Self {
            _lifeline: None,
            settings,
            targets,
            directory,
            metrics,
            tunnels: HashMap::new(),
            last_tunnel: 0,
            closing: false,
            drained: None,
        }
    }

    /// Adds a parent, which is notified of its end.
    #[must_use]
    pub fn supervised(self, lifeline: Lifeline<GatewayKey>) -> Self {
        Self { _lifeline: Some(lifeline), ..self }
    }

    /// The session that a view shows, if it is known in this process.
    fn session(&self, vnc_id: &str) -> Option<Arc<SessionView>> {
        match &self.targets {
            Targets::Shared | Targets::Ports(_) => None,
            Targets::Workers(_) => WorkerPorts::session(&self.directory, vnc_id),
            Targets::Sessions => {
                let vnc_id = vnc_id.parse().ok()?;
                let workers = self.directory.workers();
                workers.iter().find_map(|worker| worker.snapshot().session_by_vnc_id(vnc_id).cloned())
            }
        }
    }

    /// Refuses the key of an ended session, because another session may have got its id.
    fn check_key(&self, session: Option<&SessionView>, given: Option<&str>) -> Result<()> {
        let Some(given) = given else { return Ok(()) };
        let opens = |session: &SessionView| key_of(session).is_some_and(|key| key.is(given));
        let valid = match (&self.targets, session) {
            // All sessions are on the one screen.
            (Targets::Shared, _) => self
                .directory
                .workers()
                .iter()
                .any(|worker| worker.snapshot().sessions.iter().any(|session| opens(session))),
            (_, Some(session)) => opens(session),
            // The process that listens on the port checks the key.
            (Targets::Ports(_) | Targets::Workers(_), None) => true,
            (Targets::Sessions, None) => false,
        };
        if valid { Ok(()) } else { Err(Error::ViewOver) }
    }

    /// Resolves the id of a view to the location of its screen, its key and its session.
    fn resolve(&self, vnc_id: &str, key: Option<&str>) -> Result<ResolvedView> {
        let session = self.session(vnc_id);
        self.check_key(session.as_deref(), key)?;
        if session.as_ref().is_some_and(|session| session.is_restarting()) {
            // It has no screen at present. The view is not over, as the session keeps its key.
            return Err(Error::Restarting { what: "session" });
        }
        let own = session.as_deref().and_then(key_of).cloned();
        // A malformed key can't be valid elsewhere either.
        let given = key.map(|key| ViewKey::parse(key).ok_or(Error::ViewOver)).transpose()?;
        let location = match &self.targets {
            Targets::Shared => {
                let workers = self.directory.workers();
                let screen = workers.iter().find_map(|worker| worker.snapshot().screen.clone());
                // The default handle refuses viewers.
                ScreenLocation::Screen(screen.unwrap_or_default())
            }
            Targets::Ports(ports) => ScreenLocation::Port(ports.find(vnc_id)?),
            Targets::Workers(ports) => ScreenLocation::Port(ports.find(&self.directory, vnc_id)?),
            Targets::Sessions => {
                let vnc = session.as_ref().and_then(|view| view.vnc.as_ref()).ok_or(Error::ViewNotFound)?;
                match (&vnc.screen, vnc.server) {
                    (Some(screen), _) => ScreenLocation::Screen(screen.clone()),
                    // Its worker runs on this machine in another process.
                    (None, Some(server)) => ScreenLocation::Port((server.ip().to_string(), server.port())),
                    (None, None) => return Err(Error::ViewNotFound),
                }
            }
        };
        // The shared screen has a password instead of a key.
        let key = if matches!(self.targets, Targets::Shared) { None } else { own.or(given) };
        Ok(ResolvedView { location, key, session })
    }

    fn close_all(&mut self) {
        self.closing = true;
        for close in self.tunnels.values().flatten() {
            close_tunnel(close);
        }
    }

    fn notify_if_drained(&mut self) {
        if self.tunnels.is_empty()
            && let Some(waiters) = &mut self.drained
        {
            for waiter in waiters.drain(..) {
                let _ = waiter.send(());
            }
        }
    }
}

/// A view whose id was resolved.
struct ResolvedView {
    location: ScreenLocation,
    /// The key to send there.
    key: Option<ViewKey>,
    /// The session that it shows, if it is known in this process.
    session: Option<Arc<SessionView>>,
}

/// The location of a screen.
enum ScreenLocation {
    /// In this process.
    Screen(ScreenHandle),
    /// On this host and port.
    Port((String, u16)),
}

/// The key of a session's live view.
fn key_of(session: &SessionView) -> Option<&ViewKey> {
    session.vnc.as_ref()?.key.as_ref()
}

fn close_tunnel(tunnel: &Recipient<CloseTunnel>) {
    // One message for each tunnel.
    tunnel.do_send(CloseTunnel { reason: "the gateway is shutting down".to_owned() });
}

impl Actor for Gateway {
    type Context = Context<Self>;
}

impl Handler<OpenTunnel> for Gateway {
    type Result = Result<TunnelTicket>;

    fn handle(&mut self, open: OpenTunnel, ctx: &mut Context<Self>) -> Self::Result {
        if self.drained.is_some() {
            return Err(Error::Draining);
        }
        let limit = self.settings.max_tunnels;
        if self.tunnels.len() >= limit {
            return Err(Error::TunnelLimit { limit });
        }
        let ResolvedView { location, key, session } = self.resolve(&open.vnc_id, open.key.as_deref())?;
        let destination = match location {
            ScreenLocation::Screen(screen) => Destination::Screen(screen),
            ScreenLocation::Port(address) => {
                // The activity of a remote session is tracked where its screen is.
                let here = session.filter(|_| matches!(self.targets, Targets::Sessions));
                let activity = here.map_or_else(ActivityClock::new, |session| session.activity.clone());
                Destination::Port { address, key, activity }
            }
        };
        self.last_tunnel += 1;
        self.tunnels.insert(self.last_tunnel, None);
        Ok(TunnelTicket {
            destination,
            settings: self.settings,
            metrics: self.metrics.clone(),
            gateway: ctx.address().recipient(),
            lifeline: Lifeline::new(ctx.address().recipient(), self.last_tunnel, 0),
        })
    }
}

impl Handler<DescribeView> for Gateway {
    type Result = ResponseFuture<Result<ShownSession>>;

    fn handle(&mut self, describe: DescribeView, _: &mut Context<Self>) -> Self::Result {
        let resolved = self.resolve(&describe.vnc_id, describe.key.as_deref());
        let limit = self.settings.connect_timeout;
        Box::pin(async move {
            let ResolvedView { location, key, session } = resolved?;
            match (session, location, key) {
                (Some(session), _, key) => Ok(ShownSession { id: Some(session.spec.id), key }),
                // The shared screen.
                (None, ScreenLocation::Screen(_), key) => Ok(ShownSession { id: None, key }),
                (None, ScreenLocation::Port(address), Some(key)) => {
                    tunnel::check_key(&address, &key, limit).await?;
                    Ok(ShownSession { id: None, key: Some(key) })
                }
                (None, ScreenLocation::Port(address), None) => {
                    Ok(ShownSession { id: None, key: tunnel::request_key(&address, limit).await? })
                }
            }
        })
    }
}

impl Handler<TunnelStarted> for Gateway {
    type Result = ();

    fn handle(&mut self, started: TunnelStarted, _: &mut Context<Self>) {
        if self.closing {
            // It was still connecting when the others were closed.
            close_tunnel(&started.close);
        }
        if let Some(close) = self.tunnels.get_mut(&started.id) {
            *close = Some(started.close);
        }
    }
}

impl Handler<ChildExited<TunnelId>> for Gateway {
    type Result = ();

    fn handle(&mut self, exited: ChildExited<TunnelId>, _: &mut Context<Self>) {
        self.tunnels.remove(&exited.key);
        self.notify_if_drained();
    }
}

impl Handler<DrainTunnels> for Gateway {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, drain: DrainTunnels, ctx: &mut Context<Self>) -> Self::Result {
        let (waiter, drained) = oneshot::channel();
        self.drained.get_or_insert_default().push(waiter);
        self.notify_if_drained();
        ctx.run_later(drain.grace, |this, _| this.close_all());
        Box::pin(async {
            let _ = drained.await;
        })
    }
}

#[cfg(test)]
mod tests;
