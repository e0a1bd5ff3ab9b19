//! The session actor: builds its parts, watches them, keeps its clock, and takes everything down at the end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use camofleet_api::ids::{RequestId, SessionId};
use camofleet_api::session::{EndReason, OnCrash, Status};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::attachment::AttachmentId;
use super::clients::Client;
use super::lifecycle::Lifecycle;
use crate::display::Camera;
use crate::host::engine::EngineKind;
use crate::host::slots::SlotLease;
use crate::launch::launched::Launched;
use crate::launch::launcher::Launcher;
use crate::launch::prewarm::PrewarmPool;
use crate::model::activity::ActivityClock;
use crate::model::claim::Claimant;
use crate::model::error::{Error, Result};
use crate::model::events::Change;
use crate::model::session::{Ending, SessionSpec, SessionView, VncView};
use crate::supervision::part::{LaunchPart, PartKey};
use crate::supervision::{Backoff, ChildExited, Intensity, Lifeline, RestartWindow};

/// Waits between restarts after a crash: the first is made at once.
const RESTART_BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(30) };
/// Told to the worker on every change of a session; the last one shows it DEAD.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SessionChanged {
    pub view: Arc<SessionView>,
    pub change: Change,
    /// The request that caused it, if one did.
    pub by: Option<RequestId>,
}

/// What a session is made of besides its spec.
pub(crate) struct SessionParts {
    pub spec: Arc<SessionSpec>,
    pub engine: EngineKind,
    pub launcher: Launcher,
    pub worker: Recipient<SessionChanged>,
    pub parent: Recipient<ChildExited<SessionId>>,
    /// How often a crash is forgiven.
    pub intensity: Intensity,
    /// The pool that may have a fitting browser.
    pub pool: Option<Addr<PrewarmPool>>,
    /// Who waits for it.
    pub claimant: Claimant,
    /// Told once: when the session is ready, or why it never will be.
    pub ready: oneshot::Sender<Result<ReadySession>>,
}

/// A session that can be used.
pub(crate) struct ReadySession {
    pub view: Arc<SessionView>,
    /// Whether its browser came from a pool.
    pub warm: bool,
}

/// One session.
pub(crate) struct Session {
    pub(super) _lifeline: Lifeline<SessionId>,
    pub(super) spec: Arc<SessionSpec>,
    /// The request that its next step is owed to: the one that asked for it, until it is READY, and the one that ends it.
    pub(super) by: Option<RequestId>,
    pub(super) engine: EngineKind,
    pub(super) launcher: Launcher,
    pub(super) worker: Recipient<SessionChanged>,
    pub(super) life: Lifecycle,
    pub(super) activity: ActivityClock,
    pub(super) window: RestartWindow,
    pub(super) pool: Option<Addr<PrewarmPool>>,
    pub(super) launched: Option<Launched>,
    /// Kept through a restart, so that the live view keeps its id.
    pub(super) slot: Option<Arc<SlotLease>>,
    /// Fires to give up a launch that is under way.
    pub(super) launching: Option<CancellationToken>,
    /// Who waits for it, until the actor runs.
    claimant: Option<Claimant>,
    pub(super) ready: Option<oneshot::Sender<Result<ReadySession>>>,
    /// Everybody who waits for the end.
    pub(super) enders: Vec<oneshot::Sender<()>>,
    pub(super) attachments: HashMap<AttachmentId, Client>,
    pub(super) last_attachment: AttachmentId,
    /// Closed when the contexts that are being discarded are gone.
    pub(super) discarding: Option<watch::Receiver<()>>,
    pub(super) browser_version: Option<String>,
    pub(super) start_url_error: Option<String>,
    pub(super) ending: Option<Ending>,
}

impl Session {
    pub fn start(parts: SessionParts) -> Addr<Self> {
        Actor::start(Self {
            _lifeline: Lifeline::new(parts.parent, parts.spec.id, 0),
            by: parts.spec.request_id.clone(),
            spec: parts.spec,
            engine: parts.engine,
            launcher: parts.launcher,
            worker: parts.worker,
            life: Lifecycle::new(),
            activity: ActivityClock::new(),
            window: RestartWindow::new(parts.intensity),
            pool: parts.pool,
            launched: None,
            slot: None,
            launching: None,
            claimant: Some(parts.claimant),
            ready: Some(parts.ready),
            enders: Vec::new(),
            attachments: HashMap::new(),
            last_attachment: 0,
            discarding: None,
            browser_version: None,
            start_url_error: None,
            ending: None,
        })
    }

    pub(super) fn view(&self) -> Arc<SessionView> {
        Arc::new(SessionView {
            spec: Arc::clone(&self.spec),
            status: self.life.status(),
            activity: self.activity.clone(),
            browser: self.engine.as_str().into(),
            browser_version: self.browser_version.clone(),
            vnc: self.vnc(),
            endpoint: None,
            start_url_error: self.start_url_error.clone(),
            attached: self.attachments.len(),
            restarts: self.life.restarts(),
            ending: self.ending.clone(),
        })
    }

    /// Its live view, once it has one and as long as it lives.
    fn vnc(&self) -> Option<VncView> {
        let key = self.spec.view_key.as_ref()?;
        let display = &self.launcher.settings.display;
        let view = match (&self.launcher.screen, &self.slot) {
            (Some(screen), _) if self.life.status() != Status::Dead => display.shared_view(&screen.settings),
            (_, slot) => display.view(slot.as_ref()?),
        };
        Some(VncView { links: view.links.with_key(key), key: Some(key.clone()), ..view })
    }

    pub(super) fn publish(&self, change: Change) {
        self.publish_by(change, self.by.clone());
    }

    pub(super) fn publish_by(&self, change: Change, by: Option<RequestId>) {
        // One message for each step of a session's life and each coming and going of a client.
        self.worker.do_send(SessionChanged { view: self.view(), change, by });
    }

    /// A part of the session is gone: it is built anew, or ends.
    pub(super) fn part_lost(&mut self, cause: EndReason, detail: String, ctx: &mut Context<Self>) {
        let restart = self.spec.on_crash == OnCrash::Restart;
        let attempt = if restart { self.window.admit(Instant::now()) } else { None };
        let Some(attempt) = attempt else {
            let Intensity { limit, within } = self.window.intensity();
            let detail = if restart {
                format!("{detail} (after {limit} restarts in {} s)", within.as_secs())
            } else {
                detail
            };
            return self.terminate(cause, detail, ctx);
        };
        if self.life.restart().is_err() {
            return;
        }
        self.launcher.metrics.restarted(cause);
        self.close_attachments(&format!("the session is being restarted: {detail}"));
        self.start_url_error = None;
        self.publish(Change::Restarting { cause, detail });
        let old = self.launched.take();
        self.launch(old, RESTART_BACKOFF.delay(attempt, fastrand::f64()), ctx);
    }

    /// Begins the end. A second reason comes too late and changes nothing.
    pub(super) fn terminate(&mut self, reason: EndReason, detail: String, ctx: &mut Context<Self>) {
        if self.life.terminate().is_err() {
            return;
        }
        if let Some(ready) = self.ready.take() {
            let _ = ready.send(Err(match reason {
                EndReason::Shutdown => Error::Draining,
                EndReason::DriverLost => Error::DriverLost { detail: detail.clone() },
                _ => Error::Cancelled,
            }));
        }
        self.ending = Some(Ending { at: jiff::Timestamp::now(), reason, detail });
        self.publish(Change::Ending);
        match &self.launching {
            // What comes of the launch, comes to `on_launched`.
            Some(launching) => launching.cancel(),
            None => self.wind_down(ctx),
        }
    }

    pub(super) fn wind_down(&mut self, ctx: &mut Context<Self>) {
        self.close_attachments(&self.farewell());
        let launched = self.launched.take();
        let gone = async move {
            if let Some(launched) = launched {
                launched.dismantle().await;
            }
        };
        ctx.spawn(gone.into_actor(self).map(|(), this, ctx| this.finish(ctx)));
    }

    /// What clients hear when the session ends.
    pub(super) fn farewell(&self) -> String {
        let detail = self.ending.as_ref().map(|ending| ending.detail.as_str()).unwrap_or_default();
        format!("the session ended: {detail}")
    }

    fn finish(&mut self, ctx: &mut Context<Self>) {
        // The ids go back before anybody hears that the session is over.
        self.slot = None;
        // Their clients were told; the last news of them comes too late.
        self.attachments.clear();
        if self.life.dead().is_err() {
            log::error!("session {} was taken down in state {}", self.spec.id, self.life.status());
        }
        if let Some(ending) = &mut self.ending {
            ending.at = jiff::Timestamp::now();
            self.launcher.metrics.ended(ending.reason);
        }
        self.publish(Change::Ended);
        for ender in self.enders.drain(..) {
            let _ = ender.send(());
        }
        ctx.stop();
    }

    /// Ends the session when who asked for it leaves before it was taken: nobody else knows of it.
    fn watch_claimant(&mut self, ctx: &mut Context<Self>) {
        let Some(claimant) = self.claimant.take() else { return };
        ctx.spawn(claimant.left().into_actor(self).map(|left, this, ctx| {
            if left {
                let detail = "the client that asked for it left before it was answered".to_owned();
                this.terminate(EndReason::Abandoned, detail, ctx);
            }
        }));
    }

    fn watch_idle_time(&mut self, ctx: &mut Context<Self>) {
        let deadline = self.activity.last_seen() + self.spec.idle_ttl;
        ctx.run_later(deadline.saturating_duration_since(Instant::now()), |this, ctx| {
            let idle = this.activity.last_seen().elapsed() >= this.spec.idle_ttl;
            match this.life.status() {
                Status::Ready if idle => {
                    let detail = format!("nothing happened in it for {} s", this.spec.idle_ttl.as_secs());
                    this.terminate(EndReason::Expired, detail, ctx);
                }
                Status::Init if idle => {
                    // While it is being built nobody can use it: not an idle time.
                    this.activity.touch();
                    this.watch_idle_time(ctx);
                }
                Status::Init | Status::Ready => this.watch_idle_time(ctx),
                Status::Terminating | Status::Dead => {}
            }
        });
    }
}

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.publish(Change::Created);
        self.watch_idle_time(ctx);
        self.watch_claimant(ctx);
        match self.pool.take() {
            Some(pool) => self.take_warm(pool, ctx),
            None => self.launch(None, Duration::ZERO, ctx),
        }
    }
}

impl Handler<ChildExited<PartKey>> for Session {
    type Result = ();

    fn handle(&mut self, exited: ChildExited<PartKey>, ctx: &mut Context<Self>) {
        // An earlier launch's part, or one of a launch that is still under way and reports its failure itself.
        if self.launched.as_ref().is_none_or(|launched| launched.launch != exited.key.launch) {
            return;
        }
        let cause = match exited.key.part {
            LaunchPart::Browser => EndReason::Crashed,
            LaunchPart::Driver => EndReason::DriverLost,
            LaunchPart::Display => EndReason::DisplayLost,
        };
        if self.life.status() == Status::Ready {
            self.part_lost(cause, exited.reason.to_string(), ctx);
        }
    }
}

/// Ends the session; answered when nothing is left of it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct EndSession {
    pub reason: EndReason,
    pub detail: String,
    /// The request that asked for it, if one did.
    pub by: Option<RequestId>,
}

impl Handler<EndSession> for Session {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, end: EndSession, ctx: &mut Context<Self>) -> Self::Result {
        let (ended, gone) = oneshot::channel();
        self.enders.push(ended);
        if matches!(self.life.status(), Status::Init | Status::Ready) {
            self.by = end.by;
        }
        self.terminate(end.reason, end.detail, ctx);
        Box::pin(async {
            // A session that breaks down while it ends is gone too.
            let _ = gone.await;
        })
    }
}

/// Counts as activity, in a session that is READY.
#[derive(Message)]
#[rtype(result = "Result<Arc<SessionView>>")]
pub(crate) struct Touch {
    /// The request that asks for it.
    pub by: RequestId,
}

impl Handler<Touch> for Session {
    type Result = Result<Arc<SessionView>>;

    fn handle(&mut self, Touch { by }: Touch, _: &mut Context<Self>) -> Self::Result {
        let status = self.life.status();
        if status != Status::Ready {
            return Err(Error::SessionNotReady { status });
        }
        self.activity.touch();
        self.publish_by(Change::Touched, Some(by));
        Ok(self.view())
    }
}

/// Asks for the camera before its screen: taking a picture is no activity, and not the session's work.
#[derive(Message)]
#[rtype(result = "Result<Camera>")]
pub(crate) struct UseCamera;

impl Handler<UseCamera> for Session {
    type Result = Result<Camera>;

    fn handle(&mut self, _: UseCamera, _: &mut Context<Self>) -> Self::Result {
        if !self.spec.vnc {
            return Err(Error::NoLiveView);
        }
        let status = self.life.status();
        let ready = self.launched.as_ref().filter(|_| status == Status::Ready);
        ready.and_then(|launched| launched.camera.clone()).ok_or(Error::SessionNotReady { status })
    }
}
