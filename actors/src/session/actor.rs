//! The session actor: launches its browser and display, watches them and the idle time, and closes everything at the
//! end.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use camofleet_api::identity::Contradiction;
use camofleet_api::ids::{RequestId, SessionId};
use camofleet_api::proxy::ProxyChoice;
use camofleet_api::session::{EndReason, OnCrash, Status};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::clients::Clients;
use super::coherence::Contradictions;
use super::lifecycle::{Before, Lifecycle};
use super::profile::ProfileSource;
use crate::display::Screenshotter;
use crate::host::engine::EngineKind;
use crate::host::slots::SlotLease;
use crate::launch::launched::Launched;
use crate::launch::launcher::Launcher;
use crate::launch::prewarm::PrewarmPool;
use crate::model::activity::ActivityClock;
use crate::model::claim::Claimant;
use crate::model::error::{Error, Result};
use crate::model::events::Change;
use crate::model::identity::{IdentitySources, sources_of_request};
use crate::model::machine::Machine;
use crate::model::session::{Ending, LaunchTemplate, SessionSpec, SessionView, VncView};
use crate::model::traffic::Traffic;
use crate::profiles::OpenedProfile;
use crate::supervision::part::{LaunchPart, PartKey};
use crate::supervision::{Backoff, ChildExited, Intensity, Lifeline, RestartWindow};

/// Delays between restarts after a crash; the first restart is immediate.
const RESTART_BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(30) };

/// Notifies the worker of every change of a session; the last one has the status DEAD.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SessionChanged {
    pub view: Arc<SessionView>,
    pub change: Change,
    /// The request that caused it, if one did.
    pub by: Option<RequestId>,
}

/// What a session is built from.
pub(crate) struct SessionParts {
    pub spec: Arc<SessionSpec>,
    pub engine: EngineKind,
    pub launcher: Launcher,
    pub worker: Recipient<SessionChanged>,
    pub parent: Recipient<ChildExited<SessionId>>,
    /// How often it is restarted after crashes.
    pub intensity: Intensity,
    /// The pool that may have a suitable browser.
    pub pool: Option<Addr<PrewarmPool>>,
    /// Where its profile is, if it has one.
    pub profile: Option<ProfileSource>,
    /// What of the request's identity its display can't show.
    pub display: Vec<Contradiction>,
    /// The client that requested it.
    pub claimant: Claimant,
    /// Gets the result: the ready session, or the error for which it ended.
    pub ready: oneshot::Sender<Result<ReadySession>>,
}

/// A session that is ready.
pub(crate) struct ReadySession {
    pub view: Arc<SessionView>,
    /// Whether its browser came from a pool.
    pub warm: bool,
}

/// A launch that is in progress: the first, or one after a crash.
pub(super) struct Launching {
    /// Cancels it.
    pub cancel: CancellationToken,
    /// The request that created the session; `None` in a restart, which no request causes.
    pub by: Option<RequestId>,
    /// Waits for the session to be ready; `None` in a restart.
    pub ready: Option<oneshot::Sender<Result<ReadySession>>>,
}

impl Launching {
    /// A launch after a crash.
    fn after_crash() -> Self {
        Self { cancel: CancellationToken::new(), by: None, ready: None }
    }
}

/// The end of a session, which has begun or is complete.
pub(super) struct End {
    pub ending: Ending,
    /// The request that ends it, if one does.
    pub by: Option<RequestId>,
    /// Those that wait until it is complete.
    pub waiters: Vec<oneshot::Sender<()>>,
}

/// One session.
pub(crate) struct Session {
    pub(super) _lifeline: Lifeline<SessionId>,
    pub(super) spec: Arc<SessionSpec>,
    pub(super) engine: EngineKind,
    pub(super) launcher: Launcher,
    pub(super) worker: Recipient<SessionChanged>,
    pub(super) life: Lifecycle<Launching, Launched, End>,
    pub(super) activity: ActivityClock,
    pub(super) window: RestartWindow,
    /// Kept across restarts, so that the live view keeps its id.
    pub(super) slot: Option<Arc<SlotLease>>,
    pub(super) clients: Clients,
    pub(super) browser_version: Option<String>,
    pub(super) start_url_error: Option<String>,
    /// What its browser is launched with, through every restart.
    pub(super) template: LaunchTemplate,
    /// The machine that its browser shows, through every restart; `None` until it is launched, and where none is drawn.
    pub(super) machine: Option<Arc<Machine>>,
    /// How its connections leave, through every restart.
    pub(super) proxy: ProxyChoice,
    /// Counts its connections, through every restart.
    pub(super) traffic: Traffic,
    /// Its profile, from the time that it is opened until it is stored.
    pub(super) profile: Option<OpenedProfile>,
    /// The client of a create that failed, and why: answered when the profile is free for its next request.
    refused: Option<(oneshot::Sender<Result<ReadySession>>, Error)>,
    /// What of its identity contradicts its exit or its display.
    pub(super) contradictions: Contradictions,
    /// Where the fields of its identity come from.
    pub(super) sources: IdentitySources,
}

impl Session {
    pub fn start(parts: SessionParts) -> Addr<Self> {
        let SessionParts {
            spec,
            engine,
            launcher,
            worker,
            parent,
            intensity,
            pool,
            profile,
            display,
            claimant,
            ready,
        } = parts;
        Self::create(|ctx| {
            let cancel = CancellationToken::new();
            let first = Launching { cancel, by: spec.request_id.clone(), ready: Some(ready) };
            let (proxy, traffic) = (spec.proxy.clone(), Traffic::new(launcher.metrics.egress()));
            let mut session = Self {
                sources: sources_of_request(&spec.identity),
                template: spec.template.clone(),
                machine: None,
                proxy,
                traffic,
                _lifeline: Lifeline::new(parent, spec.id, 0),
                spec,
                engine,
                launcher,
                worker,
                life: Lifecycle::new(first),
                activity: ActivityClock::new(),
                window: RestartWindow::new(intensity),
                slot: None,
                clients: Clients::default(),
                browser_version: None,
                start_url_error: None,
                profile: None,
                refused: None,
                contradictions: Contradictions { display, ..Contradictions::default() },
            };
            session.publish(Change::Created);
            session.watch_idle_time(ctx);
            session.watch_claimant(claimant, ctx);
            let identity = session.spec.identity.clone();
            match profile {
                Some(profile) => session.open_profile(profile, ctx),
                None if identity.needs_exit() => session.launch_at_exit(&identity, ctx),
                None => session.launch_coherent(pool, ctx),
            }
            session
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
            attached: self.clients.len(),
            identity: Some(Arc::new(self.template.identity.clone())),
            contradictions: self.contradictions.all(self.machine.as_deref()),
            identity_sources: Arc::clone(&self.sources),
            machine: self.machine.clone(),
            proxy: self.proxy.view(),
            traffic: Some(self.traffic.clone()),
            restarts: self.life.restarts(),
            ending: self.life.end().map(|end| end.ending.clone()),
        })
    }

    /// Its live view, once it has one and until it has ended.
    fn vnc(&self) -> Option<VncView> {
        let key = self.spec.view_key.as_ref()?;
        let display = &self.launcher.settings.display;
        let view = match (&self.launcher.screen, &self.slot) {
            (Some(screen), _) if self.life.status() != Status::Dead => display.shared_view(&screen.settings),
            (_, slot) => display.view(slot.as_ref()?),
        };
        Some(VncView { links: view.links.with_key(key), key: Some(key.clone()), ..view })
    }

    /// Publishes a change of the session's state, attributed to the request that created it or ends it.
    pub(super) fn publish(&self, change: Change) {
        let by = self.creating_request().or_else(|| self.life.end().and_then(|end| end.by.clone()));
        self.publish_by(change, by);
    }

    pub(super) fn publish_by(&self, change: Change, by: Option<RequestId>) {
        // One message for each change of state and each client that attaches or detaches.
        self.worker.do_send(SessionChanged { view: self.view(), change, by });
    }

    /// Restarts or ends the session after the loss of a part. `remains` is what is left of a launch that failed.
    pub(super) fn on_part_lost(
        &mut self,
        cause: EndReason,
        detail: String,
        remains: Option<Launched>,
        ctx: &mut Context<Self>,
    ) {
        let restart = self.spec.on_crash == OnCrash::Restart;
        let attempt = if restart { self.window.admit(Instant::now()) } else { None };
        let Some(attempt) = attempt else {
            let Intensity { limit, within } = self.window.intensity();
            let detail = if restart {
                format!("{detail} (after {limit} restarts in {} s)", within.as_secs())
            } else {
                detail
            };
            return self.fail(cause, detail, remains, ctx);
        };
        let old = match self.life.restart(Launching::after_crash()) {
            Ok(Before::Ready(launched)) => Some(launched),
            Ok(Before::Launching(failed)) => {
                // The request that created the session still waits, if this was its first launch.
                if let Some(launching) = self.life.launching_mut() {
                    (launching.by, launching.ready) = (failed.by, failed.ready);
                }
                remains
            }
            Err(_) => return,
        };
        self.launcher.metrics.restarted(cause);
        self.clients.close(&format!("the session is being restarted: {detail}"));
        self.start_url_error = None;
        self.publish(Change::Restarting { cause, detail });
        self.launch(old, RESTART_BACKOFF.delay(attempt, fastrand::f64()), ctx);
    }

    /// Ends the session: closes its parts or cancels its launch. Has no effect if the session is ending already.
    pub(super) fn terminate(&mut self, reason: EndReason, detail: String, ctx: &mut Context<Self>) {
        self.terminate_by(reason, detail, self.creating_request(), ctx);
    }

    fn terminate_by(
        &mut self,
        reason: EndReason,
        detail: String,
        by: Option<RequestId>,
        ctx: &mut Context<Self>,
    ) {
        match self.begin_end(reason, detail, by) {
            // `on_launched` handles the result of the cancelled launch.
            Some(Before::Launching(cancel)) => cancel.cancel(),
            Some(Before::Ready(launched)) => self.wind_down(Some(launched), ctx),
            None => {}
        }
    }

    /// Ends a session that lost a part or whose launch failed. `remains` is what is left of that launch.
    pub(super) fn fail(
        &mut self,
        reason: EndReason,
        detail: String,
        remains: Option<Launched>,
        ctx: &mut Context<Self>,
    ) {
        match self.begin_end(reason, detail, self.creating_request()) {
            Some(Before::Launching(_)) => self.wind_down(remains, ctx),
            Some(Before::Ready(launched)) => self.wind_down(Some(launched), ctx),
            None => {}
        }
    }

    /// The request that created the session, until it is ready.
    fn creating_request(&self) -> Option<RequestId> {
        self.life.launching().and_then(|launching| launching.by.clone())
    }

    /// Answers a create that failed, at once or when the profile is free again.
    pub(super) fn refuse(&mut self, ready: oneshot::Sender<Result<ReadySession>>, error: Error) {
        if self.spec.profile.is_some() {
            self.refused = Some((ready, error));
        } else {
            // Fails if the client has disconnected.
            let _ = ready.send(Err(error));
        }
    }

    /// Begins the end and publishes it; returns the previous state, or `None` if the session was ending already.
    fn begin_end(
        &mut self,
        reason: EndReason,
        detail: String,
        by: Option<RequestId>,
    ) -> Option<Before<CancellationToken, Launched>> {
        let ending = Ending { at: jiff::Timestamp::now(), reason, detail: detail.clone() };
        let before = match self.life.terminate(End { ending, by, waiters: Vec::new() }).ok()? {
            Before::Ready(launched) => Before::Ready(launched),
            Before::Launching(Launching { cancel, ready, .. }) => {
                if let Some(ready) = ready {
                    let error = match reason {
                        EndReason::Shutdown => Error::Draining,
                        EndReason::DriverLost => Error::DriverLost { detail },
                        _ => Error::Cancelled,
                    };
                    self.refuse(ready, error);
                }
                Before::Launching(cancel)
            }
        };
        self.publish(Change::Ending);
        Some(before)
    }

    /// Closes the clients and what is left of the launch, then completes the end.
    pub(super) fn wind_down(&mut self, remains: Option<Launched>, ctx: &mut Context<Self>) {
        self.clients.close(&self.end_notice());
        let closed = self.close_parts(remains);
        ctx.spawn(closed.into_actor(self).map(|(), this, ctx| this.finish(ctx)));
    }

    /// The reason with which clients are closed when the session ends.
    pub(super) fn end_notice(&self) -> String {
        let detail = self.life.end().map(|end| end.ending.detail.as_str()).unwrap_or_default();
        format!("the session ended: {detail}")
    }

    fn finish(&mut self, ctx: &mut Context<Self>) {
        // The slot is released before the end is published, so that it can be used again by then.
        self.slot = None;
        // The clients were closed; their ends would be published after that of the session.
        self.clients.forget();
        if self.life.dead().is_err() {
            log::error!("session {} was closed in state {}", self.spec.id, self.life.status());
        }
        let mut waiters = Vec::new();
        if let Some(end) = self.life.end_mut() {
            end.ending.at = jiff::Timestamp::now();
            self.launcher.metrics.ended(end.ending.reason);
            waiters = std::mem::take(&mut end.waiters);
        }
        self.publish(Change::Ended);
        if let Some((ready, error)) = self.refused.take() {
            let _ = ready.send(Err(error));
        }
        for waiter in waiters {
            let _ = waiter.send(());
        }
        ctx.stop();
    }

    /// Ends the session if the client that requested it disconnects before the response, because nobody else knows its
    /// id.
    fn watch_claimant(&mut self, claimant: Claimant, ctx: &mut Context<Self>) {
        ctx.spawn(claimant.abandoned().into_actor(self).map(|abandoned, this, ctx| {
            if abandoned {
                let detail = "the client that requested it disconnected before the response".to_owned();
                this.terminate(EndReason::Abandoned, detail, ctx);
            }
        }));
    }

    fn watch_idle_time(&mut self, ctx: &mut Context<Self>) {
        if self.spec.idle_ttl.is_zero() {
            return;
        }
        let deadline = self.activity.last_seen() + self.spec.idle_ttl;
        ctx.run_later(deadline.saturating_duration_since(Instant::now()), |this, ctx| {
            let idle = this.activity.last_seen().elapsed() >= this.spec.idle_ttl;
            match this.life.status() {
                Status::Ready if idle => {
                    let detail = format!("nothing happened in it for {} s", this.spec.idle_ttl.as_secs());
                    this.terminate(EndReason::Expired, detail, ctx);
                }
                Status::Init if idle => {
                    // The time of the launch is not idle time.
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
}

impl Handler<ChildExited<PartKey>> for Session {
    type Result = ();

    fn handle(&mut self, exited: ChildExited<PartKey>, ctx: &mut Context<Self>) {
        // A part of an earlier launch, or of one in progress, which reports its failure itself.
        if self.life.ready().is_none_or(|launched| launched.launch != exited.key.launch) {
            return;
        }
        let cause = match exited.key.part {
            LaunchPart::Browser => EndReason::Crashed,
            LaunchPart::Driver => EndReason::DriverLost,
            LaunchPart::Display => EndReason::DisplayLost,
            LaunchPart::Egress => EndReason::EgressLost,
        };
        self.on_part_lost(cause, exited.reason.to_string(), None, ctx);
    }
}

/// Ends the session; answered when it is DEAD.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct EndSession {
    pub reason: EndReason,
    pub detail: String,
    /// The request that ends it, if one does.
    pub by: Option<RequestId>,
}

impl Handler<EndSession> for Session {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, end: EndSession, ctx: &mut Context<Self>) -> Self::Result {
        self.terminate_by(end.reason, end.detail, end.by, ctx);
        let (waiter, ended) = oneshot::channel();
        if let Some(end) = self.life.end_mut() {
            end.waiters.push(waiter);
        }
        Box::pin(async {
            // Also resolves if the session's actor panics meanwhile.
            let _ = ended.await;
        })
    }
}

/// Counts as activity in a session that is READY.
#[derive(Message)]
#[rtype(result = "Result<Arc<SessionView>>")]
pub(crate) struct Touch {
    /// The request that causes it.
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

/// Changes how the session's connections leave; answered when new connections go the new way.
#[derive(Message)]
#[rtype(result = "Result<Arc<SessionView>>")]
pub(crate) struct ChangeProxy {
    pub proxy: ProxyChoice,
    /// The request that causes it.
    pub by: RequestId,
}

impl Handler<ChangeProxy> for Session {
    type Result = Result<Arc<SessionView>>;

    fn handle(&mut self, ChangeProxy { proxy, by }: ChangeProxy, ctx: &mut Context<Self>) -> Self::Result {
        let status = self.life.status();
        if !matches!(status, Status::Init | Status::Ready) {
            return Err(Error::SessionNotReady { status });
        }
        // Checked before anything changes.
        self.launcher.check_route(&proxy, &self.spec.block)?;
        self.proxy = proxy;
        if let Some(launched) = self.life.ready() {
            self.open_egress(launched)?;
        }
        self.contradictions.exits += 1;
        self.contradictions.exit = None;
        self.publish_by(Change::ProxyChanged, Some(by.clone()));
        self.compare_meanwhile(Some(by), ctx);
        Ok(self.view())
    }
}

/// Returns the screenshotter of the session's screen, so that the requester waits for the screenshot itself. It does not
/// count as activity.
#[derive(Message)]
#[rtype(result = "Result<Screenshotter>")]
pub(crate) struct GetScreenshotter;

impl Handler<GetScreenshotter> for Session {
    type Result = Result<Screenshotter>;

    fn handle(&mut self, _: GetScreenshotter, _: &mut Context<Self>) -> Self::Result {
        if !self.spec.vnc {
            return Err(Error::NoLiveView);
        }
        let status = self.life.status();
        self.life
            .ready()
            .and_then(|launched| launched.screenshotter.clone())
            .ok_or(Error::SessionNotReady { status })
    }
}
