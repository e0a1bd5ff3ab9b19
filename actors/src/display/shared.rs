//! The shared display actor: one X server with its VNC server for all sessions of a worker.

use std::path::PathBuf;
use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::password::VncPassword;
use super::screen::{RunningScreen, ScreenRequest, authority_file, timed_out};
use super::screenshots::Screenshotter;
use super::{DisplaySettings, Geometry, ScreenSessions};
use crate::host::rundir::{LaunchDir, RunDir};
use crate::metrics::Metrics;
use crate::model::error::{Error, Result};
use crate::model::screen::ScreenHandle;
use crate::process::Os;
use crate::supervision::{ChildExited, Generation, Lifeline};

/// The settings of the one screen that all sessions with a window share.
#[derive(Debug, Clone)]
pub struct SharedDisplaySettings {
    /// The X display's number.
    pub display: u16,
    /// Its size and depth.
    pub geometry: Geometry,
    /// The port that viewers connect to.
    pub vnc_port: u16,
    /// The password that viewers need; `None` if there is none.
    pub password: Option<VncPassword>,
}

/// The shared screen, as launches use it. Clones share it, and it stays valid while its display is restarted.
#[derive(Clone)]
pub(crate) struct SharedScreen {
    pub settings: SharedDisplaySettings,
    /// All sessions on it. Input of a viewer counts as activity of each, because it can't be attributed to one.
    pub clocks: ScreenSessions,
    /// Connects viewers of this process to it.
    pub handle: ScreenHandle,
    /// How to access it; `None` while it is not running.
    access: watch::Sender<Option<ScreenAccess>>,
}

/// What launches need to use a running screen.
#[derive(Clone)]
pub(crate) struct ScreenAccess {
    /// The file with the key to its X server.
    pub authority: PathBuf,
    /// Takes screenshots of it.
    pub screenshotter: Screenshotter,
}

impl SharedScreen {
    pub fn new(settings: SharedDisplaySettings) -> Self {
        let (clocks, handle) = (ScreenSessions::default(), ScreenHandle::default());
        Self { settings, clocks, handle, access: watch::Sender::new(None) }
    }

    pub fn is_running(&self) -> bool {
        self.access.borrow().is_some()
    }

    /// Notifies of every start and every end.
    pub fn watch(&self) -> watch::Receiver<Option<ScreenAccess>> {
        self.access.subscribe()
    }

    /// Waits until it is running.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::LaunchTimedOut`].
    pub async fn ready(&self, display: &DisplaySettings, cancel: &CancellationToken) -> Result<ScreenAccess> {
        let limit = display.startup_timeout;
        let mut access = self.access.subscribe();
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Error::Cancelled),
            access = access.wait_for(Option::is_some) => {
                // This struct holds the sender, so waiting can't fail.
                access.ok().and_then(|access| access.clone()).ok_or(Error::Cancelled)
            }
            () = tokio::time::sleep(limit) => Err(timed_out(limit)),
        }
    }
}

/// Identifies the shared display to its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SharedDisplayKey;

/// What each run of the shared display is started with.
pub(crate) struct SharedDisplayParts {
    pub os: Arc<dyn Os>,
    pub run_dir: RunDir,
    pub metrics: Metrics,
    /// The directory for its files.
    pub dir: LaunchDir,
    pub settings: DisplaySettings,
    pub screen: SharedScreen,
    pub parent: Recipient<ChildExited<SharedDisplayKey>>,
    pub generation: Generation,
}

/// One run of the shared display.
pub(crate) struct SharedDisplay {
    lifeline: Lifeline<SharedDisplayKey>,
    screen: SharedScreen,
    /// `None` until it is ready.
    running: Option<RunningScreen>,
    /// Removed with the display.
    _dir: Arc<LaunchDir>,
}

impl SharedDisplay {
    /// Starts the actor, and with it the display's programs.
    pub fn start(parts: SharedDisplayParts) -> Addr<Self> {
        let SharedDisplayParts { os, run_dir, metrics, dir, settings, screen, parent, generation } = parts;
        Self::create(|ctx| {
            let (dir, shared) = (Arc::new(dir), screen.clone());
            let _dir = Arc::clone(&dir);
            let (screenshotter, screenshots) = Screenshotter::new();
            let started = async move {
                let never = CancellationToken::new();
                let SharedDisplaySettings { display, geometry, vnc_port, password } = shared.settings.clone();
                let running = RunningScreen::start(ScreenRequest {
                    os: &os,
                    run_dir: &run_dir,
                    dir: &dir,
                    metrics: &metrics,
                    settings: &settings,
                    display,
                    name: "camofleet".to_owned(),
                    geometry,
                    vnc_port,
                    password,
                    handle: &shared.handle,
                    slot: None,
                    sessions: shared.clocks.clone(),
                    screenshots,
                    shared: true,
                    cancel: &never,
                });
                running
                    .await
                    .map(|running| (running, ScreenAccess { authority: authority_file(&dir), screenshotter }))
            };
            ctx.spawn(actix::fut::wrap_future(started).map(|started, this: &mut Self, ctx| match started {
                Ok((running, access)) => this.serve(running, access, ctx),
                Err(error) => this.fail(error.to_string(), ctx),
            }));
            let lifeline = Lifeline::new(parent, SharedDisplayKey, generation);
            Self { lifeline, screen, running: None, _dir }
        })
    }

    fn serve(&mut self, mut running: RunningScreen, access: ScreenAccess, ctx: &mut Context<Self>) {
        running.serve(ctx, |this, detail, ctx| {
            // While it is being closed its end is expected.
            if this.running.as_ref().is_some_and(|running| !running.is_closing()) {
                this.fail(detail, ctx);
            }
        });
        self.running = Some(running);
        self.screen.access.send_replace(Some(access));
    }

    /// Fails; the parent starts the next run after this one was cleaned up.
    fn fail(&mut self, detail: String, ctx: &mut Context<Self>) {
        self.lifeline.fail(detail);
        self.close(ctx);
    }

    fn close(&mut self, ctx: &mut Context<Self>) {
        self.screen.access.send_replace(None);
        match &mut self.running {
            Some(running) => running.close(ctx),
            None => ctx.stop(),
        }
    }
}

impl Actor for SharedDisplay {
    type Context = Context<Self>;
}

impl Drop for SharedDisplay {
    fn drop(&mut self) {
        if self.running.as_ref().is_some_and(|running| !running.is_closing()) {
            self.screen.access.send_replace(None);
        }
    }
}

/// Closes the shared display. There is no reply: the request fails when the actor stops, after everything was cleaned up.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CloseSharedDisplay;

impl Handler<CloseSharedDisplay> for SharedDisplay {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: CloseSharedDisplay, ctx: &mut Context<Self>) -> Self::Result {
        self.close(ctx);
        Box::pin(std::future::pending().into_actor(self))
    }
}
