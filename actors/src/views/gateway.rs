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
    /// How long either end of a tunnel may take nothing of what it is sent.
    pub write_timeout: Duration,
}

/// Reaches the gateway of this process, if it has one: also after a restart. Cheap to clone.
#[derive(Clone)]
pub struct GatewayHandle(pub(crate) watch::Receiver<Option<Addr<Gateway>>>);

impl GatewayHandle {
    /// A handle to none.
    pub fn none() -> Self {
        Self(watch::channel(None).1)
    }

    /// The gateway's address.
    ///
    /// # Errors
    /// [`Error::Restarting`] while there is none.
    pub fn get(&self) -> Result<Addr<Gateway>> {
        self.0.borrow().clone().ok_or(Error::Restarting { what: "gateway" })
    }
}

/// Which VNC server an id belongs to.
#[derive(Debug, Clone)]
pub enum Targets {
    /// That of a session in this process, whose clock the viewer's input sets.
    Sessions,
    /// The one of a screen of this process that all sessions share, whatever the id.
    Shared,
    /// That of a runner elsewhere, by an agreement on ports.
    Ports(PortMap),
    /// That of a worker elsewhere, which the id names too.
    Workers(WorkerPorts),
}

/// The agreement between a control and its workers, whose VNC servers listen on the workers' own hosts. A view is called
/// `{worker}:{id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerPorts {
    /// The ids of each worker's views.
    pub ids: RangeInclusive<u16>,
    /// The port of the first id on each worker's host; the others follow in order.
    pub base_port: u16,
}

impl WorkerPorts {
    /// The session with this view, as far as its worker has shown it.
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
        // Whether there is such a view, its port tells: another control may have made it a moment ago.
        ports.find(id)
    }
}

/// The agreement between a gateway and the runner whose VNC servers it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortMap {
    /// Servers that are named one by one; these win.
    pub named: BTreeMap<String, (String, u16)>,
    /// The host of all others.
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

/// Numbers the tunnels of a gateway.
pub type TunnelId = u64;

/// Asks for a tunnel to the live view with this id.
#[derive(Message)]
#[rtype(result = "Result<TunnelTicket>")]
pub struct OpenTunnel {
    /// The id that the viewer gave.
    pub vnc_id: String,
    /// The key that it gave; one without is let in by the id alone, so whoever sends this has decided that it may be.
    pub key: Option<String>,
}

/// Asks which session a live view shows at present.
#[derive(Message)]
#[rtype(result = "Result<ShownSession>")]
pub struct DescribeView {
    /// The id that the viewer gave.
    pub vnc_id: String,
    /// The key that it gave, as in [`OpenTunnel`].
    pub key: Option<String>,
}

/// What a live view shows at present, as far as this gateway knows: one before another machine's ports knows the key at most.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShownSession {
    /// The session.
    pub id: Option<SessionId>,
    /// What opens its view, and no other session's.
    pub key: Option<ViewKey>,
}

/// The gateway's leave for one viewer. Dropped unused, the viewer counts as gone.
pub struct TunnelTicket {
    pub(crate) destination: Destination,
    pub(crate) settings: GatewaySettings,
    pub(crate) metrics: Metrics,
    pub(crate) gateway: Recipient<TunnelStarted>,
    pub(crate) lifeline: Lifeline<TunnelId>,
}

/// A tunnel is open: the gateway learns how to close it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct TunnelStarted {
    pub(crate) id: TunnelId,
    pub(crate) close: Recipient<CloseTunnel>,
}

/// Opens no more tunnels and closes those that are open after the grace; answered when none is.
#[derive(Message)]
#[rtype(result = "()")]
pub struct DrainTunnels {
    /// How long viewers may go on.
    pub grace: Duration,
}

/// Names the one gateway to its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GatewayKey;

/// Admits and drains VNC tunnels.
pub struct Gateway {
    /// `None` where it has no parent.
    _lifeline: Option<Lifeline<GatewayKey>>,
    settings: GatewaySettings,
    targets: Targets,
    directory: Directory,
    metrics: Metrics,
    tunnels: HashMap<TunnelId, Option<Recipient<CloseTunnel>>>,
    last_tunnel: TunnelId,
    /// The grace of a drain is over.
    closing: bool,
    /// Told when the last tunnel is gone; set while draining.
    drained: Option<Vec<oneshot::Sender<()>>>,
}

impl Gateway {
    /// A gateway to live views: of the sessions in a directory, or of servers elsewhere.
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

    /// The same, with a parent that is told of its end.
    #[must_use]
    pub fn supervised(self, lifeline: Lifeline<GatewayKey>) -> Self {
        Self { _lifeline: Some(lifeline), ..self }
    }

    /// The session that a view shows, as far as it is known here.
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

    /// Refuses the key of a session that is over: its number may be another session's by now.
    fn check_key(&self, session: Option<&SessionView>, given: Option<&str>) -> Result<()> {
        let Some(given) = given else { return Ok(()) };
        let opens = |session: &SessionView| key_of(session).is_some_and(|key| key.is(given));
        let known = match (&self.targets, session) {
            // All sessions are on the one screen.
            (Targets::Shared, _) => self
                .directory
                .workers()
                .iter()
                .any(|worker| worker.snapshot().sessions.iter().any(|session| opens(session))),
            (_, Some(session)) => opens(session),
            // Who has the port knows.
            (Targets::Ports(_) | Targets::Workers(_), None) => true,
            (Targets::Sessions, None) => false,
        };
        if known { Ok(()) } else { Err(Error::ViewOver) }
    }

    /// Where the screen of a view is, what it shows, and what opens it there.
    fn find(&self, vnc_id: &str, key: Option<&str>) -> Result<Found> {
        let session = self.session(vnc_id);
        self.check_key(session.as_deref(), key)?;
        let own = session.as_deref().and_then(key_of).cloned();
        // What is no key opens nothing that is known elsewhere either.
        let given = key.map(|key| ViewKey::parse(key).ok_or(Error::ViewOver)).transpose()?;
        let place = match &self.targets {
            Targets::Shared => {
                let workers = self.directory.workers();
                let screen = workers.iter().find_map(|worker| worker.snapshot().screen.clone());
                // One that nobody serves refuses its viewers.
                Place::Screen(screen.unwrap_or_default())
            }
            Targets::Ports(ports) => Place::Port(ports.find(vnc_id)?),
            Targets::Workers(ports) => Place::Port(ports.find(&self.directory, vnc_id)?),
            Targets::Sessions => {
                let vnc = session.as_ref().and_then(|view| view.vnc.as_ref()).ok_or(Error::ViewNotFound)?;
                match (&vnc.screen, vnc.server) {
                    (Some(screen), _) => Place::Screen(screen.clone()),
                    // Its worker is on this machine, and not of this process.
                    (None, Some(server)) => Place::Port((server.ip().to_string(), server.port())),
                    (None, None) => return Err(Error::ViewNotFound),
                }
            }
        };
        // Its password, if any, opens the one screen that there is.
        let key = if matches!(self.targets, Targets::Shared) { None } else { own.or(given) };
        Ok(Found { place, key, session })
    }

    fn close_all(&mut self) {
        self.closing = true;
        for close in self.tunnels.values().flatten() {
            shut(close);
        }
    }

    fn tell_if_drained(&mut self) {
        if self.tunnels.is_empty()
            && let Some(waiters) = &mut self.drained
        {
            for waiter in waiters.drain(..) {
                let _ = waiter.send(());
            }
        }
    }
}

/// A view that was found.
struct Found {
    place: Place,
    /// What to present there.
    key: Option<ViewKey>,
    /// The session that it shows, as far as it is known here.
    session: Option<Arc<SessionView>>,
}

/// Where a screen is.
enum Place {
    /// In this process.
    Screen(ScreenHandle),
    /// Behind this port of this host.
    Port((String, u16)),
}

/// What opens the live view of a session.
fn key_of(session: &SessionView) -> Option<&ViewKey> {
    session.vnc.as_ref()?.key.as_ref()
}

fn shut(tunnel: &Recipient<CloseTunnel>) {
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
        let Found { place, key, session } = self.find(&open.vnc_id, open.key.as_deref())?;
        let destination = match place {
            Place::Screen(screen) => Destination::Screen(screen),
            Place::Port(address) => {
                // The clock of a session elsewhere is there: who has the port counts the input.
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

    fn handle(&mut self, asked: DescribeView, _: &mut Context<Self>) -> Self::Result {
        let found = self.find(&asked.vnc_id, asked.key.as_deref());
        let limit = self.settings.connect_timeout;
        Box::pin(async move {
            let Found { place, key, session } = found?;
            match (session, place, key) {
                (Some(session), _, key) => Ok(ShownSession { id: Some(session.spec.id), key }),
                // The one that all sessions share.
                (None, Place::Screen(_), key) => Ok(ShownSession { id: None, key }),
                (None, Place::Port(address), Some(key)) => {
                    tunnel::check_key(&address, &key, limit).await?;
                    Ok(ShownSession { id: None, key: Some(key) })
                }
                (None, Place::Port(address), None) => {
                    Ok(ShownSession { id: None, key: tunnel::ask_key(&address, limit).await? })
                }
            }
        })
    }
}

impl Handler<TunnelStarted> for Gateway {
    type Result = ();

    fn handle(&mut self, started: TunnelStarted, _: &mut Context<Self>) {
        if self.closing {
            // It was still connecting when all others were closed.
            shut(&started.close);
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
        self.tell_if_drained();
    }
}

impl Handler<DrainTunnels> for Gateway {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, drain: DrainTunnels, ctx: &mut Context<Self>) -> Self::Result {
        let (waiter, drained) = oneshot::channel();
        self.drained.get_or_insert_default().push(waiter);
        self.tell_if_drained();
        ctx.run_later(drain.grace, |this, _| this.close_all());
        Box::pin(async {
            let _ = drained.await;
        })
    }
}

#[cfg(test)]
mod tests;
