//! The life cycle of one screen: a session's own, or the shared one.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::future::{BoxFuture, join};
use tokio_util::sync::CancellationToken;

use super::keyboard::Keyboard;
use super::parts::{DisplayParts, ScreenSpec};
use super::password::VncPassword;
use super::screenshots::{self, CaptureSource, ScreenshotRequests};
use super::viewers::{self, ScreenSessions, ServedScreen, ViewerLimits, ViewerListeners};
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
    /// The directory for its files, which must outlive the screen.
    pub dir: &'a LaunchDir,
    pub metrics: &'a Metrics,
    pub settings: &'a DisplaySettings,
    /// The X display's number.
    pub display: u16,
    /// The title that viewers see.
    pub name: String,
    pub geometry: Geometry,
    /// The port that viewers connect to.
    pub vnc_port: u16,
    /// The password that viewers need; `None` if there is none.
    pub password: Option<VncPassword>,
    /// Connects viewers of this process to it.
    pub handle: &'a ScreenHandle,
    /// Released after everything else of the screen.
    pub slot: Option<Arc<SlotLease>>,
    /// The sessions on it.
    pub sessions: ScreenSessions,
    /// Requests for screenshots of it.
    pub screenshots: ScreenshotRequests,
    /// Whether several sessions share it.
    pub shared: bool,
    /// Cancels the start.
    pub cancel: &'a CancellationToken,
}

/// A running screen. Dropped, it is closed in the background.
pub(super) struct RunningScreen {
    /// `None` from the moment it is being closed.
    parts: Option<DisplayParts>,
    viewers: Viewers,
}

/// The task that serves viewers and screenshots.
enum Viewers {
    /// The port is open, and its connections are queued.
    Waiting(BoxFuture<'static, ()>),
    /// The task runs in an actor.
    Served(SpawnHandle),
    Closed,
}

impl RunningScreen {
    /// Opens the viewers' port, starts the programs and waits until they are ready. If the future is dropped before,
    /// everything is cleaned up.
    ///
    /// # Errors
    /// [`Error::NoVncTooling`], [`Error::DisplayFailed`] with the program's output or the port that is in use,
    /// [`Error::LaunchTimedOut`], [`Error::Cancelled`]; everything is cleaned up then.
    pub async fn start(request: ScreenRequest<'_>) -> Result<Self> {
        let ScreenRequest { os, dir, settings, cancel, .. } = request;
        let no_tools = |remedy: &String| Error::NoVncTooling { remedy: remedy.clone() };
        let tools = settings.tools.as_ref().map_err(no_tools)?;
        let failed = |error: io::Error| Error::DisplayFailed { detail: error.to_string() };
        let listeners = listen(os, SocketAddr::new(settings.bind, request.vnc_port), request.handle)?;
        let password_file = match &request.password {
            None => None,
            Some(password) => {
                let path = dir.path().join("vnc.passwd");
                password.write(&path).map_err(failed)?;
                Some(path)
            }
        };
        let screen = ScreenSpec {
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
        let served = ServedScreen {
            os: Arc::clone(os),
            socket: screen.socket.clone(),
            clocks: request.sessions,
            keyboard: Keyboard::new(
                Arc::clone(os),
                screen.display,
                screen.authority,
                tools.clipboard_source(),
            ),
            requires_password: request.password.is_some(),
            // A shared screen is protected by its password instead of keys.
            limits: ViewerLimits { open: settings.viewers.open || request.shared, ..settings.viewers },
            shared: request.shared,
        };
        let source = CaptureSource {
            os: Arc::clone(os),
            socket: screen.socket,
            password: request.password,
            refresh_delay: tools.refresh_delay(),
            metrics: request.metrics.clone(),
        };
        let requests = request.screenshots;
        let serve = async {
            join(viewers::serve(served, listeners), screenshots::serve(source, requests)).await;
        };
        // From here on, dropping it cleans up.
        let mut screen = Self { parts: Some(parts), viewers: Viewers::Waiting(Box::pin(serve)) };
        let Some(parts) = &mut screen.parts else { return Err(Error::Cancelled) };
        let limit = settings.startup_timeout;
        let ready = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Error::Cancelled),
            ready = parts.wait_until_ready(starting) => ready,
            () = tokio::time::sleep(limit) => Err(timed_out(limit)),
        };
        if let Err(error) = ready {
            if let Some(parts) = screen.parts.take() {
                parts.dismantle().await;
            }
            return Err(error);
        }
        Ok(screen)
    }

    /// Starts to serve its viewers, and calls `on_lost` when one of its servers has ended or hangs.
    pub fn serve<A>(&mut self, ctx: &mut Context<A>, on_lost: fn(&mut A, String, &mut Context<A>))
    where
        A: Actor<Context = Context<A>>,
    {
        if let Viewers::Waiting(serve) = std::mem::replace(&mut self.viewers, Viewers::Closed) {
            self.viewers = Viewers::Served(ctx.spawn(actix::fut::wrap_future(serve)));
        }
        if let Some(parts) = &self.parts {
            let lost = actix::fut::wrap_future::<_, A>(parts.lost());
            ctx.spawn(lost.map(move |detail, actor, ctx| on_lost(actor, detail, ctx)));
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

    /// Polls all its servers: true when they have responded, false if it is being closed. Does not resolve while one hangs.
    pub fn responds(&self) -> impl Future<Output = bool> + use<> {
        let poll = self.parts.as_ref().map(DisplayParts::poll);
        async move {
            match poll {
                Some(poll) => poll.await.is_ok(),
                None => false,
            }
        }
    }

    /// Disconnects its viewers, ends its programs and removes its files; then stops the actor.
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

/// The file with the key to a launch's display, which its browser finds through `XAUTHORITY`.
pub(crate) fn authority_file(dir: &LaunchDir) -> PathBuf {
    dir.path().join("Xauthority")
}

/// Opens the port that viewers connect to, and accepts viewers of the handle.
fn listen(os: &Arc<dyn Os>, address: SocketAddr, screen: &ScreenHandle) -> Result<ViewerListeners> {
    let port = os.listen(address).map_err(|error| Error::DisplayFailed {
        detail: format!(
            "the port for its viewers, {address}, can't be listened on: {error}; end the program that uses it, or change \
             RUNNER_VNC_PORT_MIN/MAX"
        ),
    })?;
    Ok(ViewerListeners { port, local: screen.listen() })
}

/// The error of a display that was not ready within its limit.
pub(super) fn timed_out(limit: Duration) -> Error {
    Error::LaunchTimedOut {
        what: "display",
        limit,
        setting: "RUNNER_VNC_STARTUP_TIMEOUT_SECONDS",
        last_output: String::new(),
    }
}

/// Runs a cleanup in the background, so that it outlives the actor that starts it. Without a runtime this process is ending,
/// and the rest is left to the kernel and to the sweep of the next start.
pub(crate) fn finish_later(cleanup: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(cleanup);
    }
}
