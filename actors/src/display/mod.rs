//! The display actor: one X server with its VNC server, on one slot.

mod framebuffer;
mod keyboard;
mod parts;
mod password;
mod picture;
mod pulse;
mod screen;
mod screenshots;
mod shared;
mod tools;
mod viewers;
mod xauthority;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use camofleet_api::view::ViewLinks;
use tokio_util::sync::CancellationToken;

use self::screen::{RunningScreen, ScreenRequest};
use self::screenshots::ScreenshotRequests;
use crate::host::rundir::{LaunchDir, RunDir};
use crate::host::slots::SlotLease;
use crate::metrics::Metrics;
use crate::model::error::Result;
use crate::model::links::LinkBases;
use crate::model::session::VncView;
use crate::process::Os;
use crate::supervision::PulseSettings;
use crate::supervision::part::{Adopt, CheckAlive, CheckResponds, LaunchPart, PartBond};

pub use password::VncPassword;
#[cfg(test)]
pub(crate) use picture::tests::size_of_jpeg;
pub(crate) use screen::{authority_file, finish_later};
pub(crate) use screenshots::Screenshotter;
pub use shared::SharedDisplaySettings;
pub(crate) use shared::{
    CloseSharedDisplay, SharedDisplay, SharedDisplayKey, SharedDisplayParts, SharedScreen,
};
pub use tools::{DisplayTools, Geometry, VncBackend};
pub use viewers::ViewerLimits;
pub(crate) use viewers::{KEY_REQUEST, ScreenSessions, key_preamble};

/// How displays are started.
#[derive(Debug, Clone)]
pub struct DisplaySettings {
    /// The programs; if they are missing, the reason and the remedy.
    pub tools: std::result::Result<DisplayTools, String>,
    /// Size and depth of the screen.
    pub geometry: Geometry,
    /// The address that viewers connect to.
    pub bind: IpAddr,
    /// What viewers may do.
    pub viewers: ViewerLimits,
    /// One screen for all sessions, instead of one for each.
    pub shared: Option<SharedDisplaySettings>,
    /// How long the programs may take until they are ready.
    pub startup_timeout: Duration,
    /// The base URLs of live views.
    pub links: LinkBases,
    /// The environment of the programs.
    pub env: Vec<(String, String)>,
    /// How often the servers are polled, and how long they may be silent.
    pub pulse: PulseSettings,
}

impl DisplaySettings {
    /// The addresses of the live view on a slot.
    pub(crate) fn view(&self, slot: &SlotLease) -> VncView {
        VncView {
            id: Some(slot.vnc_id),
            screen: Some(slot.screen.clone()),
            server: Some(SocketAddr::new(reachable(self.bind), slot.vnc_port)),
            links: self.links.links(slot.vnc_id),
            key: None,
        }
    }

    /// The addresses of the live view of the shared screen: the base URLs, without an id.
    pub(crate) fn shared_view(&self, shared: &SharedDisplaySettings) -> VncView {
        VncView {
            id: None,
            screen: None,
            server: Some(SocketAddr::new(reachable(self.bind), shared.vnc_port)),
            links: ViewLinks {
                ws: self.links.ws.clone(),
                http: self.links.http.clone(),
                password_protected: shared.password.is_some(),
            },
            key: None,
        }
    }
}

/// The address by which this machine connects to a listener: the unspecified address can be listened on, but not
/// connected to.
fn reachable(bind: IpAddr) -> IpAddr {
    match bind {
        IpAddr::V4(bind) if bind.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(bind) if bind.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        bind => bind,
    }
}

/// One session's own X server and VNC server, the port that viewers connect to, and its screenshots.
pub struct Display {
    bond: PartBond,
    screen: RunningScreen,
}

/// What a display needs besides its settings.
pub(crate) struct DisplayRequest<'a> {
    pub os: &'a Arc<dyn Os>,
    pub run_dir: &'a RunDir,
    pub dir: &'a LaunchDir,
    /// Size and depth of the screen.
    pub geometry: Geometry,
    pub slot: Arc<SlotLease>,
    pub bond: PartBond,
    /// The sessions whose activity clocks are reset by input of its viewers.
    pub clocks: ScreenSessions,
    /// Requests for screenshots of it.
    pub screenshots: ScreenshotRequests,
    pub metrics: &'a Metrics,
    pub cancel: &'a CancellationToken,
}

impl Display {
    /// Starts a display and waits until it is ready. If the future is dropped before, everything is cleaned up.
    ///
    /// # Errors
    /// As [`RunningScreen::start`].
    pub(crate) async fn start_ready(
        settings: &DisplaySettings,
        request: DisplayRequest<'_>,
    ) -> Result<Addr<Self>> {
        let DisplayRequest { geometry, os, run_dir, dir, slot, bond, clocks, screenshots, metrics, cancel } =
            request;
        let screen = RunningScreen::start(ScreenRequest {
            os,
            run_dir,
            dir,
            metrics,
            settings,
            display: slot.display,
            name: format!("camofleet {}", slot.vnc_id),
            geometry,
            vnc_port: slot.vnc_port,
            password: None,
            handle: &slot.screen,
            slot: Some(Arc::clone(&slot)),
            sessions: clocks,
            screenshots,
            shared: false,
            cancel,
        })
        .await?;
        Ok(Actor::start(Self { bond, screen }))
    }

    fn on_lost(&mut self, detail: String, ctx: &mut Context<Self>) {
        // While it is being closed its end is expected.
        if !self.screen.is_closing() {
            self.bond.report_loss(LaunchPart::Display, detail);
            self.screen.close(ctx);
        }
    }
}

impl Actor for Display {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.screen.serve(ctx, Self::on_lost);
    }
}

/// Closes the display. There is no reply: the request fails when the actor stops, after the processes have ended, the files
/// were deleted and the slot was released.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CloseDisplay;

impl Handler<CloseDisplay> for Display {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: CloseDisplay, ctx: &mut Context<Self>) -> Self::Result {
        self.screen.close(ctx);
        Box::pin(std::future::pending().into_actor(self))
    }
}

impl Handler<Adopt> for Display {
    type Result = ();

    fn handle(&mut self, Adopt(parent): Adopt, ctx: &mut Context<Self>) {
        self.bond.reassign(parent);
        self.handle(CheckAlive, ctx);
    }
}

impl Handler<CheckAlive> for Display {
    type Result = ();

    fn handle(&mut self, _: CheckAlive, ctx: &mut Context<Self>) {
        if self.screen.is_dead() {
            self.on_lost("the X server is dead".to_owned(), ctx);
        }
    }
}

impl Handler<CheckResponds> for Display {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, _: CheckResponds, _: &mut Context<Self>) -> Self::Result {
        Box::pin(self.screen.responds())
    }
}
