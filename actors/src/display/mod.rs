//! The display actor: one X server with its VNC server, on one slot.

mod camera;
mod framebuffer;
mod keyboard;
mod parts;
mod password;
mod picture;
mod pulse;
mod shared;
mod tools;
mod viewers;
mod xauthority;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use camofleet_api::view::ViewLinks;
use futures_util::future::{BoxFuture, join};
use tokio_util::sync::CancellationToken;

use self::camera::{Lens, Line};
use self::keyboard::Keyboard;
use self::parts::{DisplayParts, Screen};
use self::viewers::{Arrivals, Stage};
use crate::host::rundir::{LaunchDir, RunDir};
use crate::host::slots::SlotLease;
use crate::metrics::Metrics;
use crate::model::error::{Error, Result};
use crate::model::links::LinkBases;
use crate::model::screen::ScreenHandle;
use crate::model::session::VncView;
use crate::process::Os;
use crate::supervision::PulseSettings;
use crate::supervision::part::{Adopt, Answer, CheckAlive, LaunchPart, PartBond};

pub(crate) use camera::Camera;
pub use password::VncPassword;
#[cfg(test)]
pub(crate) use picture::tests::size_of_jpeg;
pub use shared::SharedDisplaySettings;
pub(crate) use shared::{
    CloseSharedDisplay, SharedDisplay, SharedDisplayKey, SharedDisplayParts, SharedScreen,
};
pub use tools::{DisplayTools, Geometry, VncBackend};
pub use viewers::ViewerLimits;
pub(crate) use viewers::{KEY_QUESTION, ScreenSessions, key_preamble};

/// How displays are started.
#[derive(Debug, Clone)]
pub struct DisplaySettings {
    /// Which programs do it; `None` where they are missing, with the reason and remedy.
    pub tools: std::result::Result<DisplayTools, String>,
    /// Size and depth of the screen.
    pub geometry: Geometry,
    /// Where viewers come in.
    pub bind: IpAddr,
    /// What viewers may do.
    pub viewers: ViewerLimits,
    /// One screen for all, instead of one for each.
    pub shared: Option<SharedDisplaySettings>,
    /// How long the programs may take until they are ready.
    pub startup_timeout: Duration,
    /// What the addresses of live views begin with.
    pub links: LinkBases,
    /// The environment that the programs start from.
    pub env: Vec<(String, String)>,
    /// How often the servers are polled, and how long they may be silent.
    pub pulse: PulseSettings,
}

impl DisplaySettings {
    /// How the live view on a slot is reached.
    pub(crate) fn view(&self, slot: &SlotLease) -> VncView {
        VncView {
            id: Some(slot.vnc_id),
            screen: Some(slot.screen.clone()),
            server: Some(SocketAddr::new(reachable(self.bind), slot.vnc_port)),
            links: self.links.links(slot.vnc_id),
            key: None,
        }
    }

    /// How the live view of the shared screen is reached: its addresses are the bases as they are.
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

/// The address by which a machine itself reaches what listens there: "every address" is none that can be called.
fn reachable(bind: IpAddr) -> IpAddr {
    match bind {
        IpAddr::V4(bind) if bind.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(bind) if bind.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        bind => bind,
    }
}

/// One X server and its VNC server, the port where viewers come in, and the camera.
pub struct Display {
    bond: PartBond,
    /// `None` from the moment it is being taken down.
    parts: Option<DisplayParts>,
    viewers: Option<Viewers>,
}

/// Everything a display needs besides its settings.
pub(crate) struct DisplayRequest<'a> {
    pub os: &'a Arc<dyn Os>,
    pub run_dir: &'a RunDir,
    pub dir: &'a LaunchDir,
    pub slot: Arc<SlotLease>,
    pub bond: PartBond,
    /// Whose time the viewers' input is.
    pub clocks: ScreenSessions,
    /// Those who want pictures of it.
    pub line: Line,
    pub metrics: &'a Metrics,
    pub cancel: &'a CancellationToken,
}

/// Viewers that may come, and those who want pictures.
enum Viewers {
    /// Their port is taken, and its connections wait.
    Expected(BoxFuture<'static, ()>),
    /// They are served.
    Served(SpawnHandle),
}

/// Serves all who look at a screen, for as long as this is polled.
async fn serve(lens: Lens, line: Line, arriving: Arrivals, stage: Stage) {
    join(viewers::serve(stage, arriving), camera::serve(lens, line)).await;
}

impl Display {
    /// Takes the viewers' port, starts the programs and waits until they say that they are ready. Dropped halfway, it
    /// leaves nothing.
    ///
    /// # Errors
    /// [`Error::NoVncTooling`], [`Error::DisplayFailed`] with what the program printed or the port that is taken,
    /// [`Error::LaunchTimedOut`], [`Error::Cancelled`]; nothing is left of it then.
    pub(crate) async fn start_ready(
        settings: &DisplaySettings,
        request: DisplayRequest<'_>,
    ) -> Result<Addr<Self>> {
        let DisplayRequest { os, run_dir, dir, slot, bond, clocks, line, metrics, cancel } = request;
        let tools =
            settings.tools.as_ref().map_err(|remedy| Error::NoVncTooling { remedy: remedy.clone() })?;
        let failed = |error: io::Error| Error::DisplayFailed { detail: error.to_string() };
        let arriving = listen(os, SocketAddr::new(settings.bind, slot.vnc_port), &slot.screen)?;
        let screen = Screen {
            display: slot.display,
            name: format!("camofleet {}", slot.vnc_id),
            geometry: settings.geometry,
            authority: xauthority::write(&authority_file(dir)).map_err(failed)?,
            socket: dir.path().join("vnc.sock"),
            password_file: None,
            pulse: settings.pulse,
        };
        let env = settings.env.clone();
        let (parts, starting) =
            DisplayParts::start(os, tools, &screen, run_dir, env, Some(slot)).map_err(failed)?;
        let metrics = metrics.clone();
        let stage = Stage {
            os: Arc::clone(os),
            socket: screen.socket.clone(),
            clocks,
            keyboard: Keyboard::new(Arc::clone(os), screen.display, screen.authority, tools.outlet()),
            asks_password: false,
            limits: settings.viewers,
            shared: false,
        };
        let lens = Lens {
            os: Arc::clone(os),
            socket: screen.socket,
            password: None,
            settles_in: tools.settles_in(),
            metrics,
        };
        let viewers = Viewers::Expected(Box::pin(serve(lens, line, arriving, stage)));
        // From here on its drop cleans up, too.
        let mut display = Self { bond, parts: Some(parts), viewers: Some(viewers) };
        let Some(parts) = &mut display.parts else { return Err(Error::Cancelled) };
        let limit = settings.startup_timeout;
        let up = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Error::Cancelled),
            up = parts.come_up(starting) => up,
            () = tokio::time::sleep(limit) => Err(too_slow(limit)),
        };
        match up {
            Ok(()) => Ok(Actor::start(display)),
            Err(error) => {
                if let Some(parts) = display.parts.take() {
                    parts.dismantle().await;
                }
                Err(error)
            }
        }
    }

    fn take_down(&mut self, ctx: &mut Context<Self>) {
        if let Some(Viewers::Served(viewers)) = self.viewers.take() {
            ctx.cancel_future(viewers);
        }
        if let Some(parts) = self.parts.take() {
            ctx.spawn(parts.dismantle().into_actor(self).map(|(), _, ctx| ctx.stop()));
        }
    }
}

/// Where the key to a launch's display lies; its browser is told by `XAUTHORITY`.
pub(crate) fn authority_file(dir: &LaunchDir) -> PathBuf {
    dir.path().join("Xauthority")
}

/// Takes the port where viewers come in, and those that come by the handle.
fn listen(os: &Arc<dyn Os>, address: SocketAddr, screen: &ScreenHandle) -> Result<Arrivals> {
    let port = os.listen(address).map_err(|error| Error::DisplayFailed {
        detail: format!(
            "its viewers can't come in at {address}: {error}; end who listens there, or move RUNNER_VNC_PORT_MIN/MAX"
        ),
    })?;
    Ok(Arrivals { port, local: screen.listen() })
}

fn too_slow(limit: Duration) -> Error {
    Error::LaunchTimedOut {
        what: "display",
        limit,
        setting: "RUNNER_VNC_STARTUP_TIMEOUT_SECONDS",
        said: String::new(),
    }
}

impl Actor for Display {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if let Some(Viewers::Expected(serve)) = self.viewers.take() {
            self.viewers = Some(Viewers::Served(ctx.spawn(serve.into_actor(self))));
        }
        let Some(parts) = &self.parts else { return };
        ctx.spawn(parts.lost().into_actor(self).map(|detail, this, ctx| {
            // While it is being closed the end is wanted.
            if this.parts.is_some() {
                this.bond.lose(LaunchPart::Display, detail);
                this.take_down(ctx);
            }
        }));
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take() {
            finish_later(parts.dismantle());
        }
    }
}

/// Takes the display down. Its actor stops, and this request fails with its mailbox, when processes, files and slot
/// are released.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CloseDisplay;

impl Handler<CloseDisplay> for Display {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: CloseDisplay, ctx: &mut Context<Self>) -> Self::Result {
        self.take_down(ctx);
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
        if self.parts.as_ref().is_some_and(DisplayParts::is_dead) {
            self.bond.lose(LaunchPart::Display, "the X server is dead".to_owned());
            self.take_down(ctx);
        }
    }
}

impl Handler<Answer> for Display {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, _: Answer, _: &mut Context<Self>) -> Self::Result {
        let answer = self.parts.as_ref().map(DisplayParts::answer);
        Box::pin(async move {
            match answer {
                Some(answer) => answer.await.is_ok(),
                None => false,
            }
        })
    }
}

/// Lets a clean-up outlive the actor that drops it. Without a runtime the process itself is ending, and the kernel
/// and the next start's sweep take over.
pub(crate) fn finish_later(cleanup: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(cleanup);
    }
}
