//! The local worker actor: one host's sessions, drivers and pools.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::future::join_all;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::views::Views;
use super::{
    AttachClient, Check, CreateSession, DeleteSession, ShutDown, TouchSession, WorkerHandle, WorkerSnapshot,
    pool_check,
};
use crate::driver::{Driver, DriverHandle, DriverId, DriverSeat, DriverSettings, DriverVersions, StopDriver};
use crate::error::{Error, Result};
use crate::events::{Change, Event, EventBus};
use crate::launcher::{AssignDriver, LaunchSettings, Launcher};
use crate::metrics::Metrics;
use crate::prewarm::{ClosePool, PoolChanged, PoolFill, PoolKind, PoolSettings, PrewarmPool};
use crate::process::Os;
use crate::rundir::RunDir;
use crate::session::{
    Attach, AttachmentTicket, EndReason, EndSession, ReadySession, Session, SessionChanged, SessionDefaults,
    SessionId, SessionParts, SessionRequest, SessionSpec, SessionView, Status, Touch,
};
use crate::slots::{SlotRanges, Slots};
use crate::supervision::{
    Backoff, ChildExited, ChildSpec, Children, Generation, Intensity, Lifeline, RestartPolicy, Verdict,
};

/// How a local worker is set up.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// Its name.
    pub name: String,
    /// Defaults for what requests leave open.
    pub defaults: SessionDefaults,
    /// How many sessions may live at once.
    pub max_sessions: usize,
    /// How often a session's crash is forgiven.
    pub restart_intensity: Intensity,
    /// Where display slots are cut from.
    pub slots: SlotRanges,
    /// How browsers are launched.
    pub launch: LaunchSettings,
    /// How drivers are started.
    pub driver: DriverSettings,
    /// Warm browsers without a window.
    pub headless_pool: PoolSettings,
    /// Warm browsers with a display.
    pub vnc_pool: PoolSettings,
}

/// Drivers and pools come back at once, then ever later. The waits before eight restarts add up to half a minute, so
/// what keeps failing is the worker's failure in the same minute.
const INFRASTRUCTURE: ChildSpec = ChildSpec {
    policy: RestartPolicy::Always,
    intensity: Intensity { limit: 8, within: Duration::from_secs(60) },
    backoff: Backoff { first: Duration::from_millis(250), longest: Duration::from_secs(15) },
};
/// A session handles its own parts' crashes; when the session itself breaks it is over.
const ONE_LIFE: ChildSpec = ChildSpec { policy: RestartPolicy::Never, ..INFRASTRUCTURE };
/// What a client is told when no session is free: about as long as a busy fleet needs to free one.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// How often drivers that host nothing are looked for, and what nobody told of is published.
const SWEEP: Duration = Duration::from_secs(30);

/// One host: its capacity, slots, drivers, pools and sessions.
pub struct LocalWorker {
    lifeline: Lifeline<String>,
    settings: Arc<WorkerSettings>,
    launcher: Launcher,
    events: EventBus,
    drivers: Children<DriverId, DriverHandle>,
    last_driver: DriverId,
    /// Launches that wait for a driver to come up.
    driver_waiters: VecDeque<oneshot::Sender<DriverSeat>>,
    pools: Children<PoolKind, Addr<PrewarmPool>>,
    fills: BTreeMap<&'static str, PoolFill>,
    sessions: Children<SessionId, Addr<Session>>,
    views: Views,
    snapshot: watch::Sender<Arc<WorkerSnapshot>>,
    draining: bool,
}

/// What a worker is built from, in each of its lives.
#[derive(Clone)]
pub struct WorkerParts {
    /// How it is set up.
    pub settings: Arc<WorkerSettings>,
    /// The machine.
    pub os: Arc<dyn Os>,
    /// Where its files go.
    pub run_dir: RunDir,
    /// What it counts.
    pub metrics: Metrics,
    /// Where it tells what changes.
    pub events: EventBus,
    /// Where it shows itself; kept from one life to the next.
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
            let before = snapshot.borrow().clone();
            let views = Views::after(&before.sessions, &before.ended, "its worker failed and was restarted");
            let worker = Self {
                lifeline: Lifeline::new(parent, settings.name.clone(), generation),
                launcher: Launcher::new(os, launch, run_dir, slots, drivers, metrics),
                settings,
                events,
                drivers: Children::new(),
                last_driver: 0,
                driver_waiters: VecDeque::new(),
                pools: Children::new(),
                fills: BTreeMap::new(),
                sessions: Children::new(),
                views,
                snapshot,
                draining: false,
            };
            // The sessions of the life before can't tell it themselves: their worker was gone.
            for view in worker.views.ended().into_iter().take(before.sessions.len()) {
                worker.tell(view, Change::Ended);
            }
            worker
        })
    }

    fn displays(&self) -> bool {
        self.settings.launch.display.tools.is_ok()
    }

    fn publish(&mut self) {
        let metrics = &self.launcher.metrics;
        for status in Status::ALL {
            metrics.sessions(status, self.views.count(status));
        }
        metrics.drivers(self.drivers.iter().count());
        metrics.slots(self.launcher.slots.free(), self.launcher.slots.capacity());
        let snapshot = WorkerSnapshot {
            sessions: self.views.live(),
            ended: self.views.ended(),
            checks: self.checks(),
            supports_vnc: self.displays(),
            draining: self.draining,
            playwright: self.versions().map(|versions| versions.playwright),
        };
        self.snapshot.send_replace(Arc::new(snapshot));
    }

    fn tell(&self, view: Arc<SessionView>, change: Change) {
        self.events.publish(Event::Session { worker: self.settings.name.clone(), view, change });
    }

    fn versions(&self) -> Option<DriverVersions> {
        self.drivers.iter().find_map(|(_, driver)| driver.versions.borrow().clone())
    }

    fn checks(&self) -> BTreeMap<&'static str, Check> {
        let fine = |text: String| Check { ok: true, text };
        let mut checks = BTreeMap::from([("engine", fine(self.settings.launch.engine.to_string()))]);
        let display = match &self.settings.launch.display.tools {
            Ok(tools) => {
                let (free, all) = (self.launcher.slots.free(), self.launcher.slots.capacity());
                format!("{}, {free} of {all} slots free", tools.name())
            }
            // Headless sessions need none: a worker without display tools is a healthy one.
            Err(remedy) => remedy.clone(),
        };
        checks.insert("display", fine(display));
        let up = self.drivers.iter().filter(|(_, driver)| driver.is_up()).count();
        let driver = match self.versions() {
            Some(DriverVersions { playwright, node }) => {
                fine(format!("{up} up, playwright {playwright}, node {node}"))
            }
            // Launches wait for a driver that starts; one that has to be started first is a failure.
            None if self.drivers.iter().next().is_some() => fine("starting".to_owned()),
            None => Check { ok: false, text: "restarting".to_owned() },
        };
        checks.insert("driver", driver);
        for kind in [PoolKind::Headless, PoolKind::Vnc] {
            let name = pool_check(kind);
            let check = match self.fills.get(name) {
                None => fine("off".to_owned()),
                Some(fill) => {
                    let filled = format!("{} of {} ready", fill.ready, fill.target);
                    match &fill.last_error {
                        Some(error) => Check {
                            ok: fill.ready > 0,
                            text: format!("{filled}; the last launch failed: {error}"),
                        },
                        None => fine(filled),
                    }
                }
            };
            checks.insert(name, check);
        }
        checks
    }

    fn start_driver(
        &mut self,
        id: DriverId,
        generation: Generation,
        ctx: &mut Context<Self>,
    ) -> DriverHandle {
        let (os, mark) = (Arc::clone(&self.launcher.os), self.launcher.run_dir.mark());
        let parent = ctx.address().recipient();
        let driver = Driver::start(os, self.settings.driver.clone(), &mark, parent, id, generation);
        let mut versions = driver.versions.clone();
        let hello = async move { versions.wait_for(Option::is_some).await.is_ok() };
        ctx.spawn(hello.into_actor(self).map(|up, this, ctx| {
            if up {
                this.seat_waiters(ctx);
                this.publish();
            }
        }));
        driver
    }

    /// Gives the launches that waited for a driver their places.
    fn seat_waiters(&mut self, ctx: &mut Context<Self>) {
        while !self.driver_waiters.is_empty() {
            let Some(driver) = self.driver_with_place(ctx) else { return };
            if let Some(waiter) = self.driver_waiters.pop_front() {
                // A launch that was given up meanwhile drops its seat here.
                let _ = waiter.send(driver.seat());
            }
        }
    }

    /// The least loaded driver that is up and has a place. Without one, one is on its way when this returns: a launch
    /// waits for it, rather than fail with a driver that does not come up.
    fn driver_with_place(&mut self, ctx: &mut Context<Self>) -> Option<DriverHandle> {
        let limit = self.settings.driver.sessions_per_driver;
        let drivers = self.drivers.iter().map(|(_, driver)| driver).filter(|driver| driver.is_up());
        let free = drivers.clone().filter(|driver| driver.load() < limit).min_by_key(|driver| driver.load());
        if let Some(driver) = free {
            return Some(driver.clone());
        }
        if drivers.count() == self.drivers.len() {
            self.last_driver += 1;
            let driver = self.start_driver(self.last_driver, 0, ctx);
            self.drivers.insert(self.last_driver, INFRASTRUCTURE, driver);
        }
        None
    }

    /// Ends drivers that host nothing, all but one.
    fn retire_idle_drivers(&mut self) {
        let idle: Vec<DriverId> = self
            .drivers
            .iter()
            .filter(|(_, driver)| driver.is_up() && driver.load() == 0)
            .map(|(id, _)| *id)
            .collect();
        let keep_one = usize::from(idle.len() == self.drivers.iter().count());
        for id in idle.into_iter().skip(keep_one) {
            if let Some(driver) = self.drivers.remove(&id) {
                driver.address.do_send(StopDriver);
            }
        }
    }

    fn pool_settings(&self, kind: PoolKind) -> PoolSettings {
        match kind {
            PoolKind::Headless => self.settings.headless_pool,
            PoolKind::Vnc => self.settings.vnc_pool,
        }
    }

    fn start_pool(
        &mut self,
        kind: PoolKind,
        generation: Generation,
        ctx: &mut Context<Self>,
    ) -> Addr<PrewarmPool> {
        let (worker, parent) = (ctx.address().recipient(), ctx.address().recipient());
        PrewarmPool::start(kind, self.pool_settings(kind), self.launcher.clone(), worker, parent, generation)
    }

    /// Fails in turn: the fleet builds the worker anew.
    fn give_up(&mut self, text: String, ctx: &mut Context<Self>) {
        log::error!("worker {} gives up: {text}", self.settings.name);
        self.lifeline.fail(text);
        ctx.stop();
    }

    fn start_session(
        &mut self,
        request: SessionRequest,
        ctx: &mut Context<Self>,
    ) -> oneshot::Receiver<Result<ReadySession>> {
        let (ready, created) = oneshot::channel();
        let spec = SessionSpec::new(request, &self.settings.defaults, self.displays());
        let pool = if spec.headless { PoolKind::Headless } else { PoolKind::Vnc };
        let id = spec.id;
        let session = Session::start(SessionParts {
            spec: Arc::new(spec),
            engine: self.settings.launch.engine.kind,
            launcher: self.launcher.clone(),
            worker: ctx.address().recipient(),
            parent: ctx.address().recipient(),
            intensity: self.settings.restart_intensity,
            pool: self.pools.get(&pool).cloned(),
            ready,
        });
        self.sessions.insert(id, ONE_LIFE, session);
        created
    }

    fn session(&self, id: SessionId) -> Result<Addr<Session>> {
        self.sessions.get(&id).cloned().ok_or(Error::SessionNotFound)
    }
}

impl Actor for LocalWorker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.driver_with_place(ctx);
        for kind in [PoolKind::Headless, PoolKind::Vnc] {
            if self.pool_settings(kind).target == 0 {
                continue;
            }
            match &self.settings.launch.display.tools {
                Err(remedy) if kind == PoolKind::Vnc => log::warn!("{remedy}"),
                _ => {
                    let pool = self.start_pool(kind, 0, ctx);
                    self.pools.insert(kind, INFRASTRUCTURE, pool);
                }
            }
        }
        ctx.run_interval(SWEEP, |this, _| {
            this.retire_idle_drivers();
            this.publish();
        });
        self.publish();
    }
}

impl Drop for LocalWorker {
    fn drop(&mut self) {
        // Parts hold addresses of each other, so none of them would end because this one is gone: they are told.
        for (_, session) in self.sessions.iter() {
            session
                .do_send(EndSession { reason: EndReason::Crashed, detail: "its worker failed".to_owned() });
        }
        for (_, pool) in self.pools.iter() {
            pool.do_send(ClosePool);
        }
        for (_, driver) in self.drivers.iter() {
            driver.address.do_send(StopDriver);
        }
    }
}

impl Handler<CreateSession> for LocalWorker {
    type Result = ResponseActFuture<Self, Result<Arc<SessionView>>>;

    fn handle(&mut self, CreateSession(request): CreateSession, ctx: &mut Context<Self>) -> Self::Result {
        let started = Instant::now();
        let limit = self.settings.max_sessions;
        let refusal = match &self.settings.launch.display.tools {
            _ if self.draining => Some(Error::Draining),
            Err(remedy) if request.vnc => Some(Error::NoVncTooling { remedy: remedy.clone() }),
            _ if self.sessions.len() >= limit => Some(Error::AtCapacity { limit, retry_after: RETRY_AFTER }),
            _ => None,
        };
        if let Some(refusal) = refusal {
            self.launcher.metrics.created(refusal.code(), "none", started.elapsed());
            return Box::pin(actix::fut::err(refusal));
        }
        let created = self.start_session(request, ctx);
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
    type Result = ResponseActFuture<Self, Result<SessionId>>;

    fn handle(&mut self, DeleteSession(id): DeleteSession, _: &mut Context<Self>) -> Self::Result {
        let started = Instant::now();
        let session = match self.session(id) {
            Ok(session) => session,
            Err(error) => return Box::pin(actix::fut::err(error)),
        };
        let end = session
            .send(EndSession { reason: EndReason::Deleted, detail: "deleted by a request".to_owned() });
        Box::pin(end.into_actor(self).map(move |_, this, _| {
            this.launcher.metrics.deleted(started.elapsed());
            Ok(id)
        }))
    }
}

impl Handler<TouchSession> for LocalWorker {
    type Result = ResponseFuture<Result<Arc<SessionView>>>;

    fn handle(&mut self, TouchSession(id): TouchSession, _: &mut Context<Self>) -> Self::Result {
        let session = self.session(id);
        Box::pin(async move { session?.send(Touch).await.unwrap_or(Err(Error::SessionNotFound)) })
    }
}

impl Handler<AttachClient> for LocalWorker {
    type Result = ResponseFuture<Result<AttachmentTicket>>;

    fn handle(&mut self, AttachClient(id): AttachClient, _: &mut Context<Self>) -> Self::Result {
        let session = self.session(id);
        Box::pin(async move { session?.send(Attach).await.unwrap_or(Err(Error::SessionNotFound)) })
    }
}

impl Handler<ShutDown> for LocalWorker {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: ShutDown, _: &mut Context<Self>) -> Self::Result {
        self.draining = true;
        self.publish();
        let sessions = self.sessions.iter().map(|(_, session)| {
            session.send(EndSession {
                reason: EndReason::Shutdown,
                detail: "camofleet was shut down".to_owned(),
            })
        });
        let sessions = join_all(sessions.collect::<Vec<_>>());
        // Forgotten first, so that their ends are not taken for failures.
        let pools = self.pools.take_all();
        let pools = join_all(pools.into_iter().map(|pool| async move { pool.send(ClosePool).await }));
        let browsers_gone = async {
            futures_util::future::join(sessions, pools).await;
        };
        let drivers_gone = browsers_gone.into_actor(self).then(|(), this, _| {
            let drivers = this.drivers.take_all();
            let stops =
                drivers.into_iter().map(|driver| async move { driver.address.send(StopDriver).await });
            join_all(stops).into_actor(this)
        });
        Box::pin(drivers_gone.map(|_, _, ctx| ctx.stop()))
    }
}

impl Handler<AssignDriver> for LocalWorker {
    type Result = ResponseFuture<Result<DriverSeat>>;

    fn handle(&mut self, _: AssignDriver, ctx: &mut Context<Self>) -> Self::Result {
        if let Some(driver) = self.driver_with_place(ctx) {
            let seat = driver.seat();
            return Box::pin(async { Ok(seat) });
        }
        let (waiter, seat) = oneshot::channel();
        self.driver_waiters.push_back(waiter);
        Box::pin(async { seat.await.map_err(|_| Error::Restarting { what: "worker" }) })
    }
}

impl Handler<SessionChanged> for LocalWorker {
    type Result = ();

    fn handle(&mut self, SessionChanged { view, change }: SessionChanged, _: &mut Context<Self>) {
        if change == Change::Ended {
            // Its capacity is free before anybody hears that it ended; its exit that follows is stale then.
            self.sessions.remove(&view.spec.id);
        }
        self.views.update(Arc::clone(&view));
        self.publish();
        self.tell(view, change);
    }
}

impl Handler<PoolChanged> for LocalWorker {
    type Result = ();

    fn handle(&mut self, PoolChanged { kind, fill }: PoolChanged, _: &mut Context<Self>) {
        self.fills.insert(pool_check(kind), fill);
        self.publish();
    }
}

impl Handler<ChildExited<SessionId>> for LocalWorker {
    type Result = ();

    fn handle(&mut self, exited: ChildExited<SessionId>, _: &mut Context<Self>) {
        if let Verdict::Ended(_) = self.sessions.on_exit(&exited, Instant::now(), fastrand::f64()) {
            log::error!("session {} broke down: {}", exited.key, exited.reason);
            self.launcher.metrics.actor_exited("session", exited.reason.label());
            let ended = self.views.end_abruptly(exited.key, &exited.reason.to_string());
            self.publish();
            if let Some(view) = ended {
                self.launcher.metrics.ended(EndReason::Crashed);
                self.tell(view, Change::Ended);
            }
        }
    }
}

impl Handler<ChildExited<DriverId>> for LocalWorker {
    type Result = ();

    fn handle(&mut self, exited: ChildExited<DriverId>, ctx: &mut Context<Self>) {
        let id = exited.key;
        match self.drivers.on_exit(&exited, Instant::now(), fastrand::f64()) {
            Verdict::Restart { after, generation } => {
                log::error!("{}; starting another in {after:?}", exited.reason);
                self.launcher.metrics.actor_exited("driver", exited.reason.label());
                ctx.run_later(after, move |this, ctx| {
                    if this.drivers.awaits(&id, generation) {
                        let driver = this.start_driver(id, generation, ctx);
                        // Checked in the line before: nobody else runs in between.
                        let _ = this.drivers.restarted(&id, generation, driver);
                        this.publish();
                    }
                });
                self.publish();
            }
            Verdict::GiveUp(text) => self.give_up(text, ctx),
            Verdict::Ended(_) | Verdict::Stale => {}
        }
    }
}

impl Handler<ChildExited<PoolKind>> for LocalWorker {
    type Result = ();

    fn handle(&mut self, exited: ChildExited<PoolKind>, ctx: &mut Context<Self>) {
        let kind = exited.key;
        match self.pools.on_exit(&exited, Instant::now(), fastrand::f64()) {
            Verdict::Restart { after, generation } => {
                log::error!("the {kind} pool ended: {}; starting another in {after:?}", exited.reason);
                self.launcher.metrics.actor_exited("pool", exited.reason.label());
                ctx.run_later(after, move |this, ctx| {
                    if this.pools.awaits(&kind, generation) {
                        let pool = this.start_pool(kind, generation, ctx);
                        // Checked in the line before: nobody else runs in between.
                        let _ = this.pools.restarted(&kind, generation, pool);
                    }
                });
            }
            Verdict::GiveUp(text) => self.give_up(text, ctx),
            Verdict::Ended(_) | Verdict::Stale => {}
        }
    }
}

#[cfg(test)]
mod breaking {
    //! Panics where a test wants one.

    use super::*;
    use crate::testing::{PanicIn, PanicNow};

    impl Handler<PanicIn> for LocalWorker {
        type Result = ();

        fn handle(&mut self, part: PanicIn, _: &mut Context<Self>) {
            match part {
                PanicIn::Worker => panic!("a bug in the worker"),
                PanicIn::Session(id) => self.session(id).unwrap().do_send(PanicNow),
                PanicIn::Pool(kind) => self.pools.get(&kind).unwrap().do_send(PanicNow),
                PanicIn::Driver => self.drivers.iter().next().unwrap().1.address.do_send(PanicNow),
            }
        }
    }
}
