//! The local worker actor: the sessions of one host, and the drivers, pools and shared screen that they use.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;
use camofleet_api::egress::{EgressReport, ProxyCheck};
use camofleet_api::facts::{Facts, PoolFill};
use camofleet_api::identity::{Coherence, IdentityReport, ScreenChoice};
use camofleet_api::ids::{RequestId, SessionId};
use camofleet_api::request::SessionRequest;
use camofleet_api::session::{EndReason, Status};
use futures_util::future::join_all;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::diagnostics::{DiagnosticsSettings, fetch};
use super::drivers::DriverPool;
use super::health::HealthReport;
use super::views::Views;
use super::{
    AttachClient, ChangeSession, CheckProxy, CreateSession, DeleteSession, Drain, FindSession, ReportEgress,
    ReportIdentity, ShutDown, TakeScreenshot, TouchSession, WorkerHandle, WorkerSnapshot,
};
use crate::display::{CloseSharedDisplay, SharedDisplay, SharedDisplayKey, SharedDisplayParts};
use crate::driver::{Driver, DriverHandle, DriverId, DriverSeat, DriverSettings, StopDriver};
use crate::host::rundir::RunDir;
use crate::host::slots::{SlotRanges, Slots};
use crate::identities::{
    Identities, IdentityMaker, IdentityMakerHandle, IdentityMakerKey, IdentitySettings, StopIdentityMaker,
};
use crate::launch::launcher::{AssignDriver, LaunchSettings, Launcher};
use crate::launch::prewarm::{ClosePool, PoolChanged, PoolName, PoolSettings, PrewarmPool};
use crate::metrics::Metrics;
use crate::model::claim::Claimant;
use crate::model::error::{Error, Result};
use crate::model::events::{Change, EventBus};
use crate::model::identity::draw_screen;
use crate::model::profile::ProfileSettings;
use crate::model::session::{LaunchTemplate, SessionDefaults, SessionSpec, SessionView};
use crate::process::Os;
use crate::profiles::ProfileStore;
use crate::session::{
    Attach, AttachmentTicket, ChangeProxy, EndSession, GetScreenshotter, ProfileSource, ReadySession,
    Session, SessionChanged, SessionParts, Touch,
};
use crate::supervision::{
    Backoff, ChildExited, ChildSpec, Children, ExitReason, Generation, Intensity, Lifeline, RestartPolicy,
    Supervisor, delay_text, start_child, supervise,
};

/// The settings of a local worker.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// Its name.
    pub name: String,
    /// The machine's host name.
    pub host_name: String,
    /// Defaults for what requests omit.
    pub defaults: SessionDefaults,
    /// Whether it offers live views, if the display tools are installed.
    pub offers_vnc: bool,
    /// How many sessions may live at once.
    pub max_sessions: usize,
    /// How often a session is restarted after crashes.
    pub restart_intensity: Intensity,
    /// The display numbers and ports that slots use.
    pub slots: SlotRanges,
    /// How browsers are launched.
    pub launch: LaunchSettings,
    /// How drivers are started.
    pub driver: DriverSettings,
    /// How the identity maker is started; `None` where browsers show what they have by themselves.
    pub identities: Option<IdentitySettings>,
    /// The pools of warm browsers.
    pub pools: Vec<PoolSettings>,
    /// The network diagnostics that it runs once, when it starts.
    pub diagnostics: DiagnosticsSettings,
    /// How its profiles are kept.
    pub profiles: ProfileSettings,
    /// How long a session without a profile may be idle at most.
    pub max_idle_ttl: Duration,
}

/// Drivers, pools and the shared screen are restarted at once, then with growing delays. The delays of eight restarts
/// add up to half a minute, so a child that keeps failing makes the worker fail within a minute.
const INFRASTRUCTURE: ChildSpec = ChildSpec {
    policy: RestartPolicy::Always,
    intensity: Intensity { limit: 8, within: Duration::from_secs(60) },
    backoff: Backoff { first: Duration::from_millis(250), longest: Duration::from_secs(15) },
};

/// A session handles crashes of its own parts; if the session's actor itself panics, it is not restarted.
const NOT_RESTARTED: ChildSpec = ChildSpec { policy: RestartPolicy::Never, ..INFRASTRUCTURE };
/// The `Retry-After` when the worker is full: about the time until a busy fleet has room again.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// How many hosts a report of a session's connections names.
const TOP_HOSTS: usize = 10;
/// How often idle drivers are ended, and a snapshot is published even without a notification.
const SWEEP: Duration = Duration::from_secs(30);

impl WorkerSettings {
    /// Whether sessions can have windows.
    pub(super) fn displays(&self) -> bool {
        self.launch.display.tools.is_ok()
    }

    /// What the browsers of a pool are launched with, so that they suit this request.
    ///
    /// # Errors
    /// [`Error::Identity`]: they can't show its identity, or it depends on the exit of a session.
    pub fn pool_template(&self, request: &SessionRequest) -> Result<LaunchTemplate> {
        let identity = &request.identity;
        if let Some(field) = identity.from_exit() {
            let reason = "'auto' is taken from the exit of a session, which a browser that is kept ready does not have; \
                          name a value";
            return Err(Error::Identity { field, reason: reason.to_owned() });
        }
        if matches!(identity.screen, Some(ScreenChoice::Range(_))) {
            let reason =
                "limits are for a session, which draws its own size; name a width and a height".to_owned();
            return Err(Error::Identity { field: "screen", reason });
        }
        self.launch.check_engine(request)?;
        self.launch.check_identity(identity, Coherence::Refuse)?;
        let mut request = request.clone();
        let headless = LaunchTemplate::new(&request, &self.defaults, self.displays()).headless;
        self.launch.fit_screen(&mut request, headless);
        Ok(LaunchTemplate::new(&request, &self.defaults, self.displays()))
    }

    /// The pool whose browsers suit sessions of this template.
    fn pool_for(&self, template: &LaunchTemplate) -> Option<&PoolSettings> {
        self.pools.iter().find(|pool| pool.target > 0 && pool.template == *template)
    }
}

/// One host: its capacity, slots, drivers, pools and sessions.
pub struct LocalWorker {
    lifeline: Lifeline<String>,
    pub(super) settings: Arc<WorkerSettings>,
    pub(super) launcher: Launcher,
    events: EventBus,
    drivers: DriverPool,
    makers: Children<IdentityMakerKey, IdentityMakerHandle>,
    screens: Children<SharedDisplayKey, Addr<SharedDisplay>>,
    pools: Children<PoolName, Addr<PrewarmPool>>,
    pub(super) sessions: Children<SessionId, Addr<Session>>,
    views: Views,
    pub(super) profiles: ProfileStore,
    health: HealthReport,
    pub(super) snapshot: watch::Sender<Arc<WorkerSnapshot>>,
    /// Whether it refuses new sessions.
    draining: bool,
    /// Whether it is shutting down.
    ending: bool,
}

/// What a worker is built from, at first and for each restart.
#[derive(Clone)]
pub struct WorkerParts {
    /// Its settings.
    pub settings: Arc<WorkerSettings>,
    /// The operating system.
    pub os: Arc<dyn Os>,
    /// The directory of its files.
    pub run_dir: RunDir,
    /// Its metrics.
    pub metrics: Metrics,
    /// Where it publishes changes of sessions.
    pub events: EventBus,
    /// Where it publishes its snapshots; kept across restarts.
    pub snapshot: watch::Sender<Arc<WorkerSnapshot>>,
}

impl LocalWorker {
    /// Starts the worker's actor, and with it its first driver and its pools.
    pub fn start(
        parts: WorkerParts,
        parent: Recipient<ChildExited<String>>,
        generation: Generation,
    ) -> WorkerHandle {
        let (name, seen) = (parts.settings.name.clone(), parts.snapshot.subscribe());
        WorkerHandle::new(name, Self::start_actor(parts, parent, generation), seen)
    }

    pub(crate) fn start_actor(
        parts: WorkerParts,
        parent: Recipient<ChildExited<String>>,
        generation: Generation,
    ) -> Addr<Self> {
        let WorkerParts { settings, os, run_dir, metrics, events, snapshot } = parts;
        Self::create(|ctx| {
            let slots = Slots::new(settings.slots.clone());
            let launch = Arc::new(settings.launch.clone());
            let drivers = ctx.address().recipient();
            let identities = settings.identities.as_ref().map(|_| Identities::default());
            let before = snapshot.borrow().clone();
            let views =
                Views::after_restart(&before.sessions, &before.ended, "its worker failed and was restarted");
            let worker = Self {
                health: HealthReport::new(Arc::clone(&settings)),
                drivers: DriverPool::new(settings.driver.sessions_per_driver),
                lifeline: Lifeline::new(parent, settings.name.clone(), generation),
                launcher: Launcher::new(os, launch, run_dir, slots, drivers, identities, metrics),
                profiles: ProfileStore::new(settings.profiles.clone(), settings.launch.engine.clone()),
                settings,
                events,
                makers: Children::new(),
                screens: Children::new(),
                pools: Children::new(),
                sessions: Children::new(),
                views,
                snapshot,
                // A drained worker must not accept sessions again because it crashed.
                draining: before.draining,
                ending: false,
            };
            // The sessions of the previous generation could not publish their end, as their worker had stopped.
            for view in worker.views.ended().into_iter().take(before.sessions.len()) {
                worker.notify(view, Change::Ended, None);
            }
            worker
        })
    }

    fn publish(&mut self) {
        let metrics = &self.launcher.metrics;
        for status in Status::ALL {
            metrics.sessions(&self.settings.name, status, self.views.count(status));
        }
        metrics.drivers(self.drivers.iter().count());
        metrics.slots(self.launcher.slots.free(), self.launcher.slots.capacity());
        let (checks, sessions) =
            (self.health.checks(&self.launcher, &self.drivers, self.maker_answers()), self.views.live());
        let snapshot = WorkerSnapshot {
            facts: Some(Facts {
                profiles: Some(self.profiles.facts()),
                ..self.health.facts(&self.launcher, &self.drivers, sessions.len(), self.draining)
            }),
            profiles: self.profiles.list(),
            machine: None,
            sessions,
            ended: self.views.ended(),
            healthy: self.health.is_healthy(&checks),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            checks,
            unreachable: None,
            stale: false,
            supports_vnc: self.settings.offers_vnc && self.settings.displays(),
            draining: self.draining,
            screen: self.launcher.screen.as_ref().map(|screen| screen.handle.clone()),
            playwright: self.drivers.versions().map(|versions| versions.playwright),
        };
        self.snapshot.send_replace(Arc::new(snapshot));
    }

    /// Whether the identity maker answers when it is polled; `None` while there is none.
    fn maker_answers(&self) -> Option<bool> {
        self.makers.iter().next().map(|(_, maker)| *maker.answering.borrow())
    }

    fn notify(&self, view: Arc<SessionView>, change: Change, by: Option<RequestId>) {
        self.events.publish(&self.settings.name, view, change, by);
    }

    fn start_session(
        &mut self,
        mut request: SessionRequest,
        by: RequestId,
        claimant: Claimant,
        ctx: &mut Context<Self>,
    ) -> oneshot::Receiver<Result<ReadySession>> {
        let (ready, created) = oneshot::channel();
        let (defaults, displays) = (&self.settings.defaults, self.settings.displays());
        let headless = LaunchTemplate::new(&request, defaults, displays).headless;
        let display = self.settings.launch.fit_screen(&mut request, headless);
        let profile = request.profile.is_some().then(|| ProfileSource {
            store: self.profiles.clone(),
            request: request.clone(),
            worker: self.settings.host_name.clone(),
        });
        draw_screen(&mut request.identity);
        let spec = SessionSpec::new(request, by, defaults, displays);
        // What the exit or a profile decides is not known yet.
        let known = profile.is_none() && !spec.identity.needs_exit();
        let pool = known.then(|| self.settings.pool_for(&spec.template)).flatten();
        let id = spec.id;
        let session = Session::start(SessionParts {
            spec: Arc::new(spec),
            engine: self.settings.launch.engine.kind,
            launcher: self.launcher.clone(),
            worker: ctx.address().recipient(),
            parent: ctx.address().recipient(),
            intensity: self.settings.restart_intensity,
            pool: pool.and_then(|pool| self.pools.get(&pool.name)).cloned(),
            profile,
            display: display.into_iter().collect(),
            claimant,
            ready,
        });
        self.sessions.insert(id, NOT_RESTARTED, session);
        created
    }

    /// Rejects a request whose start URL, identity, proxy or block lists are not available here.
    fn check(&self, request: &SessionRequest) -> Result<()> {
        let defaults = &self.settings.defaults;
        defaults.check(request)?;
        self.settings.launch.check_engine(request)?;
        self.settings.launch.check_identity(&request.identity, request.coherence)?;
        let proxy = request.proxy.as_ref().unwrap_or(&defaults.proxy);
        let block = request.block.as_ref().unwrap_or(&defaults.block);
        self.launcher.check_route(proxy, block)?;
        let limit = self.settings.max_idle_ttl;
        match request.idle_ttl {
            Some(ttl) if request.profile.is_none() && (ttl.is_zero() || ttl > limit) => {
                Err(Error::IdleTtl { limit: limit.as_secs() })
            }
            _ => Ok(()),
        }
    }

    fn session(&self, id: SessionId) -> Result<Addr<Session>> {
        self.sessions.get(&id).cloned().ok_or(Error::SessionNotFound)
    }

    /// Assigns places in drivers to waiting launches, and starts a driver if some still wait.
    fn serve_waiters(&mut self, ctx: &mut Context<Self>) {
        if self.drivers.serve_waiters() {
            self.start_driver_if_needed(ctx);
        }
    }

    /// Starts another driver unless one is starting already. Launches wait for a place, so a driver that fails to start
    /// does not fail them.
    fn start_driver_if_needed(&mut self, ctx: &mut Context<Self>) {
        if let Some(id) = self.drivers.next_id() {
            start_child(self, id, INFRASTRUCTURE, ctx);
        }
    }

    /// Makes the worker fail; the fleet restarts it.
    fn fail(&mut self, text: String, ctx: &mut Context<Self>) {
        log::error!("worker {} gives up: {text}", self.settings.name);
        self.lifeline.fail(text);
        ctx.stop();
    }

    /// Fetches the URLs of the network diagnostics concurrently.
    fn run_diagnostics(&mut self, ctx: &mut Context<Self>) {
        let DiagnosticsSettings { urls, timeout } = self.settings.diagnostics.clone();
        for (at, url) in urls.into_iter().enumerate() {
            let fetched = fetch(url, timeout).into_actor(self);
            ctx.spawn(fetched.map(move |text, this, _| {
                if let Some(diagnosis) = this.health.diagnoses.get_mut(at) {
                    log::info!("{}: {text}", diagnosis.check);
                    diagnosis.text = text;
                    this.publish();
                }
            }));
        }
    }
}

impl Actor for LocalWorker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.start_driver_if_needed(ctx);
        if let Some(identities) = &self.launcher.identities {
            publish_changes(identities.watch(), ctx);
            start_child(self, IdentityMakerKey, INFRASTRUCTURE, ctx);
        }
        if let Some(screen) = &self.launcher.screen {
            publish_changes(screen.watch(), ctx);
            start_child(self, SharedDisplayKey, INFRASTRUCTURE, ctx);
        }
        let settings = Arc::clone(&self.settings);
        for PoolSettings { name, template, target, .. } in
            settings.pools.iter().filter(|pool| pool.target > 0)
        {
            match &settings.launch.display.tools {
                Err(remedy) if !template.headless => log::warn!("the {name} pool is off: {remedy}"),
                _ => {
                    // Until the pool itself reports.
                    let fill = PoolFill {
                        target: *target,
                        headless: Some(template.headless),
                        ..PoolFill::default()
                    };
                    self.health.set_pool_fill(name.clone(), fill);
                    start_child(self, name.clone(), INFRASTRUCTURE, ctx);
                }
            }
        }
        publish_changes(self.launcher.slots.watch_free(), ctx);
        publish_changes(self.profiles.watch(), ctx);
        let profiles = self.profiles.clone();
        ctx.spawn(async move { profiles.refresh().await }.into_actor(self));
        ctx.run_interval(SWEEP, |this, ctx| {
            this.drivers.retire_idle();
            this.publish();
            let profiles = this.profiles.clone();
            ctx.spawn(async move { profiles.refresh().await }.into_actor(this));
        });
        self.run_diagnostics(ctx);
        self.publish();
    }
}

/// Publishes a snapshot whenever a watched value changes.
fn publish_changes<T: 'static>(watched: watch::Receiver<T>, ctx: &mut Context<LocalWorker>) {
    ctx.add_stream(futures_util::stream::unfold(watched, |mut watched| async move {
        watched.changed().await.ok()?;
        Some((PartChanged, watched))
    }));
}

/// Notifies the worker of a change of a watched value: whether a driver is up and responds, how many display slots are
/// free, or whether the shared screen is up.
struct PartChanged;

impl StreamHandler<PartChanged> for LocalWorker {
    fn handle(&mut self, _: PartChanged, ctx: &mut Context<Self>) {
        self.serve_waiters(ctx);
        self.publish();
    }

    // The end of one stream must not stop the worker.
    fn finished(&mut self, _: &mut Context<Self>) {}
}

impl Drop for LocalWorker {
    fn drop(&mut self) {
        // The children hold addresses of each other, so they would not stop by themselves: each is ended explicitly.
        for (_, session) in self.sessions.iter() {
            session.do_send(EndSession {
                reason: EndReason::Crashed,
                detail: "its worker failed".to_owned(),
                by: None,
            });
        }
        for (_, pool) in self.pools.iter() {
            pool.do_send(ClosePool);
        }
        for (_, screen) in self.screens.iter() {
            screen.do_send(CloseSharedDisplay);
        }
        for driver in self.drivers.iter() {
            driver.address.do_send(StopDriver);
        }
        for (_, maker) in self.makers.iter() {
            maker.address.do_send(StopIdentityMaker);
        }
    }
}

impl Handler<CreateSession> for LocalWorker {
    type Result = ResponseActFuture<Self, Result<Arc<SessionView>>>;

    fn handle(
        &mut self,
        CreateSession { request, by, claimant }: CreateSession,
        ctx: &mut Context<Self>,
    ) -> Self::Result {
        let started = Instant::now();
        let limit = self.settings.max_sessions;
        let refusal = match &self.settings.launch.display.tools {
            // The client disconnected while the message was in the mailbox.
            _ if claimant.is_abandoned() => Some(Error::Cancelled),
            _ if self.draining => Some(Error::Draining),
            Err(remedy) if request.vnc => Some(Error::NoVncTooling { remedy: remedy.clone() }),
            _ if self.sessions.len() >= limit => Some(Error::AtCapacity { limit, retry_after: RETRY_AFTER }),
            _ => self.check(&request).err(),
        };
        if let Some(refusal) = refusal {
            self.launcher.metrics.created(refusal.code(), "none", started.elapsed());
            return Box::pin(actix::fut::err(refusal));
        }
        let created = self.start_session(request, by, claimant, ctx);
        Box::pin(created.into_actor(self).map(move |created, this, _| {
            let created = created.unwrap_or(Err(Error::Restarting { what: "session" }));
            let (outcome, source) = match &created {
                Ok(ready) => ("ok", if ready.warm { "warm" } else { "cold" }),
                Err(error) => (error.code(), "none"),
            };
            this.launcher.metrics.created(outcome, source, started.elapsed());
            created.map(|ready| ready.view)
        }))
    }
}

impl Handler<DeleteSession> for LocalWorker {
    type Result = ResponseActFuture<Self, Result<Status>>;

    fn handle(&mut self, DeleteSession { id, by }: DeleteSession, _: &mut Context<Self>) -> Self::Result {
        let started = Instant::now();
        let session = match self.session(id) {
            Ok(session) => session,
            Err(error) => return Box::pin(actix::fut::err(error)),
        };
        let end = session.send(EndSession {
            reason: EndReason::Deleted,
            detail: "deleted by a request".to_owned(),
            by: Some(by),
        });
        Box::pin(end.into_actor(self).map(move |_, this, _| {
            this.launcher.metrics.deleted(started.elapsed());
            Ok(Status::Dead)
        }))
    }
}

impl Handler<FindSession> for LocalWorker {
    type Result = Result<Arc<SessionView>>;

    fn handle(&mut self, FindSession { id, .. }: FindSession, _: &mut Context<Self>) -> Self::Result {
        // The snapshot is complete: every change is published at once.
        self.snapshot.borrow().session(id).cloned().ok_or(Error::SessionNotFound)
    }
}

impl Handler<TouchSession> for LocalWorker {
    type Result = ResponseFuture<Result<Arc<SessionView>>>;

    fn handle(&mut self, TouchSession { id, by }: TouchSession, _: &mut Context<Self>) -> Self::Result {
        let session = self.session(id);
        Box::pin(async move { session?.send(Touch { by }).await.unwrap_or(Err(Error::SessionNotFound)) })
    }
}

impl Handler<ChangeSession> for LocalWorker {
    type Result = ResponseFuture<Result<Arc<SessionView>>>;

    fn handle(
        &mut self,
        ChangeSession { id, patch, by }: ChangeSession,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let session = self.session(id);
        let proxy = patch.proxy.unwrap_or_else(|| self.settings.defaults.proxy.clone());
        Box::pin(async move {
            session?.send(ChangeProxy { proxy, by }).await.unwrap_or(Err(Error::SessionNotFound))
        })
    }
}

impl Handler<ReportEgress> for LocalWorker {
    type Result = Result<EgressReport>;

    fn handle(&mut self, ReportEgress { id, .. }: ReportEgress, _: &mut Context<Self>) -> Self::Result {
        let view = self.snapshot.borrow().session(id).cloned().ok_or(Error::SessionNotFound)?;
        let traffic = view.traffic.clone().unwrap_or_default();
        Ok(EgressReport {
            proxy: view.proxy.clone(),
            policy: self.settings.launch.egress.policy.level.as_str().to_owned(),
            block: view.spec.block.clone(),
            totals: traffic.totals(),
            hosts: traffic.top_hosts(TOP_HOSTS),
        })
    }
}

impl Handler<ReportIdentity> for LocalWorker {
    type Result = Result<IdentityReport>;

    fn handle(&mut self, ReportIdentity { id, .. }: ReportIdentity, _: &mut Context<Self>) -> Self::Result {
        let view = self.snapshot.borrow().session(id).cloned().ok_or(Error::SessionNotFound)?;
        if view.status == Status::Init && !view.is_restarting() {
            // What its exit decides may not be known yet.
            return Err(Error::SessionNotReady { status: view.status });
        }
        let identity = view.identity.as_deref().cloned().unwrap_or_default();
        let machine = view.machine.as_ref().map(|machine| machine.summary.clone());
        Ok(IdentityReport { identity, sources: view.identity_sources.as_ref().clone(), machine })
    }
}

impl Handler<CheckProxy> for LocalWorker {
    type Result = ResponseFuture<Result<ProxyCheck>>;

    fn handle(
        &mut self,
        CheckProxy { request, claimant, .. }: CheckProxy,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let (profiles, launcher) = (self.profiles.clone(), self.launcher.clone());
        let default = self.settings.defaults.proxy.clone();
        let check = async move {
            // As a session with this request would have it: of a pool it is the one that the profile keeps.
            let (own, key) = match request.profile {
                Some(name) => profiles.proxy(name).await.map(|(id, proxy)| (proxy, Some(id)))?,
                None => (None, None),
            };
            launcher.check_proxy(&request.proxy.or(own).unwrap_or(default), key).await
        };
        Box::pin(claimant.unless_abandoned(check))
    }
}

impl Handler<AttachClient> for LocalWorker {
    type Result = ResponseFuture<Result<AttachmentTicket>>;

    fn handle(&mut self, AttachClient { id, by }: AttachClient, _: &mut Context<Self>) -> Self::Result {
        let session = self.session(id);
        Box::pin(async move { session?.send(Attach { by }).await.unwrap_or(Err(Error::SessionNotFound)) })
    }
}

impl Handler<TakeScreenshot> for LocalWorker {
    type Result = ResponseFuture<Result<Bytes>>;

    fn handle(
        &mut self,
        TakeScreenshot { id, width, .. }: TakeScreenshot,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let session = self.session(id);
        Box::pin(async move {
            let screenshotter =
                session?.send(GetScreenshotter).await.unwrap_or(Err(Error::SessionNotFound))?;
            screenshotter.jpeg(width).await
        })
    }
}

impl Handler<Drain> for LocalWorker {
    type Result = Result<()>;

    fn handle(&mut self, Drain { on, end, by }: Drain, _: &mut Context<Self>) -> Self::Result {
        if self.ending {
            return if on { Ok(()) } else { Err(Error::Draining) };
        }
        if self.draining != on {
            let what = if on { "refuses new sessions" } else { "accepts sessions again" };
            log::info!(
                "worker {} {what}; {} are running, request {by}",
                self.settings.name,
                self.sessions.len()
            );
        }
        self.draining = on;
        self.publish();
        if on && end {
            log::info!(
                "worker {} ends its {} sessions, request {by}",
                self.settings.name,
                self.sessions.len()
            );
            for (_, session) in self.sessions.iter() {
                // One message for each session and drain request.
                session.do_send(EndSession {
                    reason: EndReason::Shutdown,
                    detail: "its worker is being drained, and the time for its sessions to end by themselves is over"
                        .to_owned(),
                    by: Some(by.clone()),
                });
            }
        }
        Ok(())
    }
}

impl Handler<ShutDown> for LocalWorker {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: ShutDown, _: &mut Context<Self>) -> Self::Result {
        (self.draining, self.ending) = (true, true);
        self.publish();
        let sessions = self.sessions.iter().map(|(_, session)| {
            session.send(EndSession {
                reason: EndReason::Shutdown,
                detail: "camofleet was shut down".to_owned(),
                by: None,
            })
        });
        let sessions = join_all(sessions.collect::<Vec<_>>());
        // Removed from the records first, so that their ends do not count as failures.
        let pools = self.pools.take_all();
        let pools = join_all(pools.into_iter().map(|pool| async move { pool.send(ClosePool).await }));
        let browsers_ended = async {
            futures_util::future::join(sessions, pools).await;
        };
        let drivers_ended = browsers_ended.into_actor(self).then(|(), this, _| {
            let drivers = this.drivers.children.take_all().into_iter();
            let stops = drivers.map(|driver| async move { driver.address.send(StopDriver).await });
            let screens = this.screens.take_all().into_iter();
            let closes = screens.map(|screen| async move { screen.send(CloseSharedDisplay).await });
            let makers = this.makers.take_all().into_iter();
            let makers = makers.map(|maker| async move { maker.address.send(StopIdentityMaker).await });
            futures_util::future::join3(join_all(stops), join_all(closes), join_all(makers)).into_actor(this)
        });
        Box::pin(drivers_ended.map(|_, _, ctx| ctx.stop()))
    }
}

impl Handler<SessionChanged> for LocalWorker {
    type Result = ();

    fn handle(&mut self, SessionChanged { view, change, by }: SessionChanged, _: &mut Context<Self>) {
        if change == Change::Ended {
            // Its capacity is released before its end is published. The `ChildExited` that follows is stale then.
            self.sessions.remove(&view.spec.id);
        }
        self.views.update(Arc::clone(&view));
        self.publish();
        self.notify(view, change, by);
    }
}

impl Handler<AssignDriver> for LocalWorker {
    type Result = ResponseFuture<Result<DriverSeat>>;

    fn handle(&mut self, _: AssignDriver, ctx: &mut Context<Self>) -> Self::Result {
        if let Some(seat) = self.drivers.reserve_seat() {
            return Box::pin(async { Ok(seat) });
        }
        self.start_driver_if_needed(ctx);
        let seat = self.drivers.wait_for_seat();
        Box::pin(async { seat.await.map_err(|_| Error::Restarting { what: "worker" }) })
    }
}

impl Handler<PoolChanged> for LocalWorker {
    type Result = ();

    fn handle(&mut self, PoolChanged { name, fill }: PoolChanged, _: &mut Context<Self>) {
        self.health.set_pool_fill(name, fill);
        self.publish();
    }
}

impl<K> Handler<ChildExited<K>> for LocalWorker
where
    Self: Supervisor<K>,
    K: Eq + Hash + Clone + Send + Debug + 'static,
{
    type Result = ();

    fn handle(&mut self, exited: ChildExited<K>, ctx: &mut Context<Self>) {
        supervise(self, exited, ctx);
    }
}

impl Supervisor<DriverId> for LocalWorker {
    type Handle = DriverHandle;

    fn children(&mut self) -> &mut Children<DriverId, DriverHandle> {
        &mut self.drivers.children
    }

    fn build(
        &mut self,
        id: &DriverId,
        generation: Generation,
        ctx: &mut Context<Self>,
    ) -> Option<DriverHandle> {
        let (os, mark) = (Arc::clone(&self.launcher.os), self.launcher.run_dir.mark());
        let (settings, metrics) = (self.settings.driver.clone(), self.launcher.metrics.clone());
        let parent = ctx.address().recipient();
        let driver = Driver::start(os, settings, &mark, metrics, parent, *id, generation);
        publish_changes(driver.versions.clone(), ctx);
        publish_changes(driver.watch_answering(), ctx);
        Some(driver)
    }

    fn restarting(&mut self, _: &DriverId, reason: &ExitReason, after: Duration) {
        log::error!("{reason}; starting another {}", delay_text(after));
        self.launcher.metrics.actor_exited("driver", reason.label());
        self.publish();
    }

    fn restarted(&mut self, _: &DriverId) {
        self.publish();
    }

    fn give_up(&mut self, text: String, ctx: &mut Context<Self>) {
        self.fail(text, ctx);
    }
}

impl Supervisor<PoolName> for LocalWorker {
    type Handle = Addr<PrewarmPool>;

    fn children(&mut self) -> &mut Children<PoolName, Addr<PrewarmPool>> {
        &mut self.pools
    }

    fn build(
        &mut self,
        name: &PoolName,
        generation: Generation,
        ctx: &mut Context<Self>,
    ) -> Option<Addr<PrewarmPool>> {
        let (worker, parent) = (ctx.address().recipient(), ctx.address().recipient());
        let settings = self.settings.pools.iter().find(|pool| pool.name == *name)?.clone();
        Some(PrewarmPool::start(settings, self.launcher.clone(), worker, parent, generation))
    }

    fn restarting(&mut self, name: &PoolName, reason: &ExitReason, after: Duration) {
        log::error!("the {name} pool ended: {reason}; starting another {}", delay_text(after));
        self.launcher.metrics.actor_exited("pool", reason.label());
    }

    fn give_up(&mut self, text: String, ctx: &mut Context<Self>) {
        self.fail(text, ctx);
    }
}

impl Supervisor<IdentityMakerKey> for LocalWorker {
    type Handle = IdentityMakerHandle;

    fn children(&mut self) -> &mut Children<IdentityMakerKey, IdentityMakerHandle> {
        &mut self.makers
    }

    fn build(
        &mut self,
        _: &IdentityMakerKey,
        generation: Generation,
        ctx: &mut Context<Self>,
    ) -> Option<IdentityMakerHandle> {
        let identities = self.launcher.identities.clone()?;
        let (os, mark) = (Arc::clone(&self.launcher.os), self.launcher.run_dir.mark());
        let parent = ctx.address().recipient();
        let settings = self.settings.identities.as_ref()?;
        let maker = IdentityMaker::start(os, settings, mark, identities, parent, generation);
        publish_changes(maker.answering.clone(), ctx);
        Some(maker)
    }

    fn restarting(&mut self, _: &IdentityMakerKey, reason: &ExitReason, after: Duration) {
        log::error!("{reason}; starting another {}", delay_text(after));
        self.launcher.metrics.actor_exited("identity_maker", reason.label());
        self.publish();
    }

    fn restarted(&mut self, _: &IdentityMakerKey) {
        self.publish();
    }

    fn give_up(&mut self, text: String, ctx: &mut Context<Self>) {
        self.fail(text, ctx);
    }
}

impl Supervisor<SharedDisplayKey> for LocalWorker {
    type Handle = Addr<SharedDisplay>;

    fn children(&mut self) -> &mut Children<SharedDisplayKey, Addr<SharedDisplay>> {
        &mut self.screens
    }

    fn build(
        &mut self,
        _: &SharedDisplayKey,
        generation: Generation,
        ctx: &mut Context<Self>,
    ) -> Option<Addr<SharedDisplay>> {
        let screen = self.launcher.screen.clone()?;
        let dir = match self.launcher.create_directory() {
            Ok((_, dir)) => dir,
            Err(error) => {
                self.fail(format!("the shared display could not be started: {error}"), ctx);
                return None;
            }
        };
        Some(SharedDisplay::start(SharedDisplayParts {
            os: Arc::clone(&self.launcher.os),
            run_dir: self.launcher.run_dir.clone(),
            metrics: self.launcher.metrics.clone(),
            dir,
            settings: self.settings.launch.display.clone(),
            screen,
            parent: ctx.address().recipient(),
            generation,
        }))
    }

    fn restarting(&mut self, _: &SharedDisplayKey, reason: &ExitReason, after: Duration) {
        log::error!("the shared display ended: {reason}; starting another {}", delay_text(after));
        self.launcher.metrics.actor_exited("display", reason.label());
    }

    fn give_up(&mut self, text: String, ctx: &mut Context<Self>) {
        self.fail(text, ctx);
    }
}

impl Supervisor<SessionId> for LocalWorker {
    type Handle = Addr<Session>;

    fn children(&mut self) -> &mut Children<SessionId, Addr<Session>> {
        &mut self.sessions
    }

    fn build(&mut self, _: &SessionId, _: Generation, _: &mut Context<Self>) -> Option<Addr<Session>> {
        // Never called: see `NOT_RESTARTED`.
        None
    }

    fn restarting(&mut self, _: &SessionId, _: &ExitReason, _: Duration) {}

    fn ended(&mut self, id: &SessionId, reason: &ExitReason) {
        log::error!("session {id} failed: {reason}");
        self.launcher.metrics.actor_exited("session", reason.label());
        let ended = self.views.end_abruptly(*id, &reason.to_string());
        self.publish();
        if let Some(view) = ended {
            self.launcher.metrics.ended(EndReason::Crashed);
            self.notify(view, Change::Ended, None);
        }
    }

    fn give_up(&mut self, text: String, ctx: &mut Context<Self>) {
        self.fail(text, ctx);
    }
}

#[cfg(test)]
mod breaking {
    //! Panics and hangs on request of a test.

    use super::*;
    use crate::testing::{HangEgress, PanicIn, PanicNow};

    impl Handler<HangEgress> for LocalWorker {
        type Result = MessageResult<HangEgress>;

        fn handle(&mut self, _: HangEgress, _: &mut Context<Self>) -> MessageResult<HangEgress> {
            MessageResult(self.launcher.egress.hang())
        }
    }

    impl Handler<PanicIn> for LocalWorker {
        type Result = ();

        fn handle(&mut self, part: PanicIn, _: &mut Context<Self>) {
            match part {
                PanicIn::Worker => panic!("a bug in the worker"),
                PanicIn::Session(id) => self.session(id).unwrap().do_send(PanicNow),
                PanicIn::Pool(name) => self.pools.get(&PoolName::from(name)).unwrap().do_send(PanicNow),
                PanicIn::Driver => self.drivers.iter().next().unwrap().address.do_send(PanicNow),
            }
        }
    }
}
