//! The gateway actor: admits viewers to live views, counts them, and drains them.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;
use url::Url;

use crate::error::{Error, Result};
use crate::fleet::Directory;
use crate::metrics::Metrics;
use crate::session::ActivityClock;
use crate::supervision::{ChildExited, Lifeline};
use crate::tunnel::CloseTunnel;

/// How the gateway treats its tunnels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewaySettings {
    /// How many tunnels may be open at once.
    pub max_tunnels: usize,
    /// How long the VNC server may take to accept a connection.
    pub connect_timeout: Duration,
    /// How long a tunnel may be silent in both directions.
    pub idle_timeout: Duration,
}

/// Which VNC server an id belongs to.
#[derive(Debug, Clone)]
pub enum Targets {
    /// That of a session in this process, whose clock the viewer's input sets.
    Sessions,
    /// The one of a screen that all sessions share, whatever the id.
    Shared(SocketAddr),
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
}

/// The gateway's leave for one viewer. Dropped unused, the viewer counts as gone.
pub struct TunnelTicket {
    /// Where the VNC server listens.
    pub(crate) address: (String, u16),
    /// The session's clock, set by what the viewer does.
    pub(crate) activity: ActivityClock,
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

    /// Where the server of a view listens, and the clock of its session.
    fn find(&self, vnc_id: &str) -> Result<((String, u16), ActivityClock)> {
        match &self.targets {
            // Who has the port counts the input.
            Targets::Shared(server) => Ok(((server.ip().to_string(), server.port()), ActivityClock::new())),
            // The session's clock is on the runner, which hears of input by its own ways only.
            Targets::Ports(ports) => Ok((ports.find(vnc_id)?, ActivityClock::new())),
            Targets::Workers(ports) => Ok((ports.find(&self.directory, vnc_id)?, ActivityClock::new())),
            Targets::Sessions => {
                let vnc_id = vnc_id.parse().map_err(|_| Error::ViewNotFound)?;
                let workers = self.directory.workers();
                let view =
                    workers.iter().find_map(|worker| worker.snapshot().session_by_vnc_id(vnc_id).cloned());
                let view = view.ok_or(Error::ViewNotFound)?;
                let server = view.vnc.as_ref().and_then(|vnc| vnc.server).ok_or(Error::ViewNotFound)?;
                Ok(((server.ip().to_string(), server.port()), view.activity.clone()))
            }
        }
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
        let (address, activity) = self.find(&open.vnc_id)?;
        self.last_tunnel += 1;
        self.tunnels.insert(self.last_tunnel, None);
        Ok(TunnelTicket {
            address,
            activity,
            settings: self.settings,
            metrics: self.metrics.clone(),
            gateway: ctx.address().recipient(),
            lifeline: Lifeline::new(ctx.address().recipient(), self.last_tunnel, 0),
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
