//! The shared display actor: one X server with its VNC server for all sessions of a worker.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::camera::Lens;
use super::keyboard::{Keyboard, Outlet};
use super::parts::{DisplayParts, Screen};
use super::password::VncPassword;
use super::viewers::{Arrivals, Stage};
use super::{
    Camera, DisplaySettings, DisplayTools, Geometry, ScreenSessions, ViewerLimits, finish_later, listen,
    serve, too_slow, xauthority,
};
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
    os: Arc<dyn Os>,
    run_dir: RunDir,
    metrics: Metrics,
    dir: LaunchDir,
    settings: DisplaySettings,
    screen: SharedScreen,
    /// `None` until it is up, and while it is being taken down.
    parts: Option<DisplayParts>,
    viewers: Option<SpawnHandle>,
}

impl SharedDisplay {
    pub fn start(parts: SharedDisplayParts) -> Addr<Self> {
        let SharedDisplayParts { os, run_dir, metrics, dir, settings, screen, parent, generation } = parts;
        let lifeline = Lifeline::new(parent, SharedDisplayKey, generation);
        Actor::start(Self {
            lifeline,
            os,
            run_dir,
            metrics,
            dir,
            settings,
            screen,
            parts: None,
            viewers: None,
        })
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("vnc.sock")
    }

    /// Starts the programs; what comes of it is ready.
    fn come_up(&self) -> impl Future<Output = Result<(DisplayParts, Arrivals)>> + use<> {
        let begun = self.begin();
        let limit = self.settings.startup_timeout;
        async move {
            let (mut parts, starting, arriving) = begun?;
            let up = tokio::select! {
                up = parts.come_up(starting) => up,
                () = tokio::time::sleep(limit) => Err(too_slow(limit)),
            };
            match up {
                Ok(()) => Ok((parts, arriving)),
                Err(error) => {
                    parts.dismantle().await;
                    Err(error)
                }
            }
        }
    }

    fn begin(&self) -> Result<(DisplayParts, super::parts::Starting, Arrivals)> {
        let failed = |error: std::io::Error| Error::DisplayFailed { detail: error.to_string() };
        let remedy = |remedy: &String| Error::NoVncTooling { remedy: remedy.clone() };
        let tools = self.settings.tools.as_ref().map_err(remedy)?;
        let shared = &self.screen.settings;
        let arriving =
            listen(&self.os, SocketAddr::new(self.settings.bind, shared.vnc_port), &self.screen.handle)?;
        let password_file = match &shared.password {
            None => None,
            Some(password) => {
                let path = self.dir.path().join("vnc.passwd");
                password.write(&path).map_err(failed)?;
                Some(path)
            }
        };
        let screen = Screen {
            display: shared.display,
            name: "camofleet".to_owned(),
            geometry: shared.geometry,
            authority: xauthority::write(&self.authority()).map_err(failed)?,
            socket: self.socket(),
            password_file,
            pulse: self.settings.pulse,
        };
        let env = self.settings.env.clone();
        let (parts, starting) =
            DisplayParts::start(&self.os, tools, &screen, &self.run_dir, env, None).map_err(failed)?;
        Ok((parts, starting, arriving))
    }

    fn authority(&self) -> PathBuf {
        super::authority_file(&self.dir)
    }

    fn on_up(&mut self, up: Result<(DisplayParts, Arrivals)>, ctx: &mut Context<Self>) {
        let (parts, arriving) = match up {
            Ok(up) => up,
            Err(error) => return self.give_up(error.to_string(), ctx),
        };
        let lost = parts.lost();
        self.parts = Some(parts);
        ctx.spawn(lost.into_actor(self).map(|detail, this, ctx| {
            // While it is being closed the end is wanted.
            if this.parts.is_some() {
                this.give_up(detail, ctx);
            }
        }));
        let lens = Lens {
            os: Arc::clone(&self.os),
            socket: self.socket(),
            password: self.screen.settings.password.clone(),
            settles_in: self.settings.tools.as_ref().map_or(Duration::ZERO, DisplayTools::settles_in),
            metrics: self.metrics.clone(),
        };
        let (camera, line) = Camera::new();
        let stage = Stage {
            os: Arc::clone(&self.os),
            socket: self.socket(),
            clocks: self.screen.clocks.clone(),
            keyboard: Keyboard::new(
                Arc::clone(&self.os),
                self.screen.settings.display,
                self.authority(),
                self.settings.tools.as_ref().map_or(Outlet::Selections, DisplayTools::outlet),
            ),
            asks_password: self.screen.settings.password.is_some(),
            // Who may see it, its password says.
            limits: ViewerLimits { open: true, ..self.settings.viewers },
            shared: true,
        };
        let serve = serve(lens, line, arriving, stage);
        self.viewers = Some(ctx.spawn(serve.into_actor(self)));
        self.screen.up.send_replace(Some(ScreenAccess { authority: self.authority(), camera }));
    }

    /// Fails; its parent starts another when everything of this one is gone.
    fn give_up(&mut self, detail: String, ctx: &mut Context<Self>) {
        self.lifeline.fail(detail);
        self.take_down(ctx);
    }

    fn take_down(&mut self, ctx: &mut Context<Self>) {
        self.screen.up.send_replace(None);
        if let Some(viewers) = self.viewers.take() {
            ctx.cancel_future(viewers);
        }
        let parts = self.parts.take();
        let gone = async {
            if let Some(parts) = parts {
                parts.dismantle().await;
            }
        };
        ctx.spawn(gone.into_actor(self).map(|(), _, ctx| ctx.stop()));
    }
}

impl Actor for SharedDisplay {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.spawn(self.come_up().into_actor(self).map(|up, this, ctx| this.on_up(up, ctx)));
    }
}

impl Drop for SharedDisplay {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take() {
            self.screen.up.send_replace(None);
            finish_later(parts.dismantle());
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
        self.take_down(ctx);
        Box::pin(std::future::pending().into_actor(self))
    }
}
