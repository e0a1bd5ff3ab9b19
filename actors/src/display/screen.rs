//! One screen from its start to its end: a session's own, or the one that all share.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::future::{BoxFuture, join};
use tokio_util::sync::CancellationToken;

use super::camera::{self, Lens, Line};
use super::keyboard::Keyboard;
use super::parts::{DisplayParts, Screen};
use super::password::VncPassword;
use super::viewers::{self, Arrivals, ScreenSessions, Stage, ViewerLimits};
use super::{DisplaySettings, Geometry, xauthority};
use crate::host::rundir::{LaunchDir, RunDir};
use crate::host::slots::SlotLease;
use crate::metrics::Metrics;
use crate::model::error::{Error, Result};
use crate::model::screen::ScreenHandle;
use crate::process::Os;

/// What a screen is started with.
pub(super) struct ScreenRequest<'a> {
    pub os: &'a Arc<dyn Os>,
    pub run_dir: &'a RunDir,
    /// Where its files are kept; it must outlive the screen.
    pub dir: &'a LaunchDir,
    pub metrics: &'a Metrics,
    pub settings: &'a DisplaySettings,
    /// The X display's number.
    pub display: u16,
    /// What viewers see as its title.
    pub name: String,
    pub geometry: Geometry,
    /// Where viewers connect.
    pub vnc_port: u16,
    /// What they are asked for.
    pub password: Option<VncPassword>,
    /// Leads viewers of this process to it.
    pub handle: &'a ScreenHandle,
    /// Given back when nothing is left of the screen.
    pub slot: Option<Arc<SlotLease>>,
    /// The sessions on it.
    pub sessions: ScreenSessions,
    /// Requests for pictures of it.
    pub line: Line,
    /// Whether several sessions share it.
    pub shared: bool,
    /// Gives the start up.
    pub cancel: &'a CancellationToken,
}

/// A screen that runs. Dropped, it is taken down in the background.
pub(super) struct RunningScreen {
    /// `None` from the moment it is being closed.
    parts: Option<DisplayParts>,
    viewers: Viewers,
}

/// Whoever looks at a screen: its viewers and its camera.
enum Viewers {
    /// Their port is taken, and its connections wait.
    Waiting(BoxFuture<'static, ()>),
    /// They are served by an actor.
    Served(SpawnHandle),
    Closed,
}

impl RunningScreen {
    /// Takes the viewers' port, starts the programs and waits until they are ready. Dropped halfway, it leaves nothing.
    ///
    /// # Errors
    /// [`Error::NoVncTooling`], [`Error::DisplayFailed`] with what the program printed or the port that is taken,
    /// [`Error::LaunchTimedOut`], [`Error::Cancelled`]; nothing is left of it then.
    pub async fn start(request: ScreenRequest<'_>) -> Result<Self> {
        let ScreenRequest { os, dir, settings, cancel, .. } = request;
        let no_tools = |remedy: &String| Error::NoVncTooling { remedy: remedy.clone() };
        let tools = settings.tools.as_ref().map_err(no_tools)?;
        let failed = |error: io::Error| Error::DisplayFailed { detail: error.to_string() };
        let arrivals = listen(os, SocketAddr::new(settings.bind, request.vnc_port), request.handle)?;
        let password_file = match &request.password {
            None => None,
            Some(password) => {
                let path = dir.path().join("vnc.passwd");
                password.write(&path).map_err(failed)?;
                Some(path)
            }
        };
        let screen = Screen {
            display: request.display,
            name: request.name,
            geometry: request.geometry,
            authority: xauthority::write(&authority_file(dir)).map_err(failed)?,
            socket: dir.path().join("vnc.sock"),
            password_file,
            pulse: settings.pulse,
        };
        let env = settings.env.clone();
        let (parts, starting) =
            DisplayParts::start(os, tools, &screen, request.run_dir, env, request.slot).map_err(failed)?;
        let stage = Stage {
            os: Arc::clone(os),
            socket: screen.socket.clone(),
            clocks: request.sessions,
            keyboard: Keyboard::new(Arc::clone(os), screen.display, screen.authority, tools.outlet()),
            asks_password: request.password.is_some(),
            // Who may see a shared screen, its password decides.
            limits: ViewerLimits { open: settings.viewers.open || request.shared, ..settings.viewers },
            shared: request.shared,
        };
        let lens = Lens {
            os: Arc::clone(os),
            socket: screen.socket,
            password: request.password,
            settles_in: tools.settles_in(),
            metrics: request.metrics.clone(),
        };
        let line = request.line;
        let serve = async {
            join(viewers::serve(stage, arrivals), camera::serve(lens, line)).await;
        };
        // From here on its drop cleans up, too.
        let mut screen = Self { parts: Some(parts), viewers: Viewers::Waiting(Box::pin(serve)) };
        let Some(parts) = &mut screen.parts else { return Err(Error::Cancelled) };
        let limit = settings.startup_timeout;
        let up = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Error::Cancelled),
            up = parts.come_up(starting) => up,
            () = tokio::time::sleep(limit) => Err(too_slow(limit)),
        };
        if let Err(error) = up {
            if let Some(parts) = screen.parts.take() {
                parts.dismantle().await;
            }
            return Err(error);
        }
        Ok(screen)
    }

    /// Serves its viewers from now on, and calls `lost` when one of its servers has ended or hangs.
    pub fn serve<A>(&mut self, ctx: &mut Context<A>, lost: fn(&mut A, String, &mut Context<A>))
    where
        A: Actor<Context = Context<A>>,
    {
        if let Viewers::Waiting(serve) = std::mem::replace(&mut self.viewers, Viewers::Closed) {
            self.viewers = Viewers::Served(ctx.spawn(actix::fut::wrap_future(serve)));
        }
        if let Some(parts) = &self.parts {
            let ended = actix::fut::wrap_future::<_, A>(parts.lost());
            ctx.spawn(ended.map(move |detail, actor, ctx| lost(actor, detail, ctx)));
        }
    }

    /// Whether it is being closed.
    pub fn is_closing(&self) -> bool {
        self.parts.is_none()
    }

    /// Whether one of its servers is dead.
    pub fn is_dead(&self) -> bool {
        self.parts.as_ref().is_some_and(DisplayParts::is_dead)
    }

    /// Resolves to true when all its servers have answered, and to false when it is being closed; never, when one hangs.
    pub fn answer(&self) -> impl Future<Output = bool> + use<> {
        let answer = self.parts.as_ref().map(DisplayParts::answer);
        async move {
            match answer {
                Some(answer) => answer.await.is_ok(),
                None => false,
            }
        }
    }

    /// Disconnects its viewers, ends its programs and removes its files; stops the actor when nothing is left.
    pub fn close<A>(&mut self, ctx: &mut Context<A>)
    where
        A: Actor<Context = Context<A>>,
    {
        if let Viewers::Served(viewers) = std::mem::replace(&mut self.viewers, Viewers::Closed) {
            ctx.cancel_future(viewers);
        }
        if let Some(parts) = self.parts.take() {
            ctx.spawn(actix::fut::wrap_future::<_, A>(parts.dismantle()).map(|(), _, ctx| ctx.stop()));
        }
    }
}

impl Drop for RunningScreen {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take() {
            finish_later(parts.dismantle());
        }
    }
}

/// Where the key to a launch's display lies; its browser is told by `XAUTHORITY`.
pub(crate) fn authority_file(dir: &LaunchDir) -> PathBuf {
    dir.path().join("Xauthority")
}

/// Takes the port where viewers connect, and those that come by the handle.
fn listen(os: &Arc<dyn Os>, address: SocketAddr, screen: &ScreenHandle) -> Result<Arrivals> {
    let port = os.listen(address).map_err(|error| Error::DisplayFailed {
        detail: format!(
            "its viewers can't come in at {address}: {error}; end who listens there, or move RUNNER_VNC_PORT_MIN/MAX"
        ),
    })?;
    Ok(Arrivals { port, local: screen.listen() })
}

/// A display that was not ready within its limit.
pub(super) fn too_slow(limit: Duration) -> Error {
    Error::LaunchTimedOut {
        what: "display",
        limit,
        setting: "RUNNER_VNC_STARTUP_TIMEOUT_SECONDS",
        said: String::new(),
    }
}

/// Lets a clean-up outlive the actor that drops it. Without a runtime the process itself is ending, and the kernel
/// and the next start's sweep take over.
pub(crate) fn finish_later(cleanup: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(cleanup);
    }
}
