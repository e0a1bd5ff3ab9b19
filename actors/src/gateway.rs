//! The gateway actor: admits viewers to live views, counts them, and drains them.

use std::collections::HashMap;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

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

/// Numbers the tunnels of a gateway.
pub type TunnelId = u64;

/// Asks for a tunnel to the live view with this id.
#[derive(Message)]
#[rtype(result = "Result<TunnelTicket>")]
pub struct OpenTunnel {
    /// The id that the viewer gave.
    pub vnc_id: u16,
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
    /// A gateway to the live views of the sessions in a directory.
    pub fn new(settings: GatewaySettings, directory: Directory, metrics: Metrics) -> Self {
        Self {
            _lifeline: None,
            settings,
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
        let workers = self.directory.workers();
        let view =
            workers.iter().find_map(|worker| worker.snapshot().session_by_vnc_id(open.vnc_id).cloned());
        let view = view.ok_or(Error::ViewNotFound)?;
        let vnc = view.vnc.as_ref().ok_or(Error::ViewNotFound)?;
        self.last_tunnel += 1;
        self.tunnels.insert(self.last_tunnel, None);
        Ok(TunnelTicket {
            address: ("127.0.0.1".to_owned(), vnc.port),
            activity: view.activity.clone(),
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
