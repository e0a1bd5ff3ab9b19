//! The shared display actor: one X server with its VNC server for all sessions of a worker.

use std::path::PathBuf;
use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::password::VncPassword;
use super::screen::{RunningScreen, ScreenRequest, authority_file, too_slow};
use super::{Camera, DisplaySettings, Geometry, ScreenSessions};
use crate::host::rundir::{LaunchDir, RunDir};
use crate::metrics::Metrics;
use crate::model::error::{Error, Result};
use crate::model::screen::ScreenHandle;
use crate::process::Os;
use crate::supervision::{ChildExited, Generation, Lifeline};

/// The one screen that all sessions with a window share.
#[derive(Debug, Clone)]
pub struct SharedDisplaySettings {
    /// The X display's number.
    pub display: u16,
    /// Its size and depth.
    pub geometry: Geometry,
    /// Where viewers come in.
    pub vnc_port: u16,
    /// What they are asked for.
    pub password: Option<VncPassword>,
}

/// The shared screen, as launches find it. Cloning shares it; it outlives the lives of its display.
#[derive(Clone)]
pub(crate) struct SharedScreen {
    pub settings: SharedDisplaySettings,
    /// Everybody on it: input of a viewer is activity of all of them, for nobody can tell whom it was meant for.
    pub clocks: ScreenSessions,
    /// Leads viewers of this process to it.
    pub handle: ScreenHandle,
    /// What it is reached by, while it is up.
    up: watch::Sender<Option<ScreenAccess>>,
}

/// What launches need of a screen that is up.
#[derive(Clone)]
pub(crate) struct ScreenAccess {
    /// The key to it.
    pub authority: PathBuf,
    /// Takes its picture.
    pub camera: Camera,
}

impl SharedScreen {
    pub fn new(settings: SharedDisplaySettings) -> Self {
        let (clocks, handle) = (ScreenSessions::default(), ScreenHandle::default());
        Self { settings, clocks, handle, up: watch::Sender::new(None) }
    }

    pub fn is_up(&self) -> bool {
        self.up.borrow().is_some()
    }

    /// Tells of every coming up and every end.
    pub fn watch(&self) -> watch::Receiver<Option<ScreenAccess>> {
        self.up.subscribe()
    }

    /// What it is reached by, once it is up.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::LaunchTimedOut`].
    pub async fn ready(&self, display: &DisplaySettings, cancel: &CancellationToken) -> Result<ScreenAccess> {
        let limit = display.startup_timeout;
        let mut up = self.up.subscribe();
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Error::Cancelled),
            // The sender is this struct's own.
            up = up.wait_for(Option::is_some) => up.ok().and_then(|up| up.clone()).ok_or(Error::Cancelled),
            () = tokio::time::sleep(limit) => Err(too_slow(limit)),
        }
    }
}

/// Names the one shared display to its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SharedDisplayKey;

/// What a shared display is made of, in each of its lives.
pub(crate) struct SharedDisplayParts {
    pub os: Arc<dyn Os>,
    pub run_dir: RunDir,
    pub metrics: Metrics,
    /// Its own, for its files.
    pub dir: LaunchDir,
    pub settings: DisplaySettings,
    pub screen: SharedScreen,
    pub parent: Recipient<ChildExited<SharedDisplayKey>>,
    pub generation: Generation,
}

/// One life of the shared display.
pub(crate) struct SharedDisplay {
    lifeline: Lifeline<SharedDisplayKey>,
    screen: SharedScreen,
    /// `None` until it is up.
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
            let (camera, line) = Camera::new();
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
                    line,
                    shared: true,
                    cancel: &never,
                });
                running
                    .await
                    .map(|running| (running, ScreenAccess { authority: authority_file(&dir), camera }))
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
            // While it is being closed the end is wanted.
            if this.running.as_ref().is_some_and(|running| !running.is_closing()) {
                this.fail(detail, ctx);
            }
        });
        self.running = Some(running);
        self.screen.up.send_replace(Some(access));
    }

    /// Fails; its parent starts another when everything of this one is gone.
    fn fail(&mut self, detail: String, ctx: &mut Context<Self>) {
        self.lifeline.fail(detail);
        self.close(ctx);
    }

    fn close(&mut self, ctx: &mut Context<Self>) {
        self.screen.up.send_replace(None);
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
            self.screen.up.send_replace(None);
        }
    }
}

/// Takes the shared display down. Its actor stops, and this request fails with its mailbox, when nothing is left.
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
