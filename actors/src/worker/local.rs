//! The local worker actor: one host's sessions, drivers and pools.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use camofleet_api::facts::PoolFill;
use camofleet_api::ids::{RequestId, SessionId};
use camofleet_api::request::SessionRequest;
use camofleet_api::session::{EndReason, Status};
use jiff::Timestamp;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::diagnostics::{Diagnosis, DiagnosticsSettings};
use super::infrastructure::INFRASTRUCTURE;
use super::views::Views;
use super::{WorkerHandle, WorkerSnapshot, pool_check};
use crate::display::{CloseSharedDisplay, SharedDisplay, SharedDisplayKey};
use crate::driver::{DriverHandle, DriverId, DriverSeat, DriverSettings, StopDriver};
use crate::host::rundir::RunDir;
use crate::host::slots::{SlotRanges, Slots};
use crate::launch::launcher::{LaunchSettings, Launcher};
use crate::launch::prewarm::{ClosePool, PoolKind, PoolSettings, PrewarmPool};
use crate::metrics::Metrics;
use crate::model::claim::Claimant;
use crate::model::error::{Error, Result};
use crate::model::events::{Change, EventBus};
use crate::model::session::{SessionDefaults, SessionSpec, SessionView};
use crate::process::Os;
use crate::session::{EndSession, ReadySession, Session, SessionChanged, SessionParts};
use crate::supervision::{
    ChildExited, ChildSpec, Children, Generation, Intensity, Lifeline, RestartPolicy, Verdict,
};

/// How a local worker is set up.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// Its name.
    pub name: String,
    /// What its machine calls itself.
    pub host_name: String,
    /// Defaults for what requests leave open.
    pub defaults: SessionDefaults,
    /// Whether it takes sessions with a live view, where the machine can.
    pub offers_vnc: bool,
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
    /// What it looks at once, at its start.
    pub diagnostics: DiagnosticsSettings,
}

/// A session handles its own parts' crashes; when the session itself breaks it is over.
const ONE_LIFE: ChildSpec = ChildSpec { policy: RestartPolicy::Never, ..INFRASTRUCTURE };
/// How often drivers that host nothing are looked for, and what nobody told of is published.
const SWEEP: Duration = Duration::from_secs(30);

/// One host: its capacity, slots, drivers, pools and sessions.
pub struct LocalWorker {
    pub(super) lifeline: Lifeline<String>,
    pub(super) settings: Arc<WorkerSettings>,
    pub(super) launcher: Launcher,
    pub(super) events: EventBus,
    pub(super) drivers: Children<DriverId, DriverHandle>,
    pub(super) last_driver: DriverId,
    /// Launches that wait for a driver to come up.
    pub(super) driver_waiters: VecDeque<oneshot::Sender<DriverSeat>>,
    pub(super) screens: Children<SharedDisplayKey, Addr<SharedDisplay>>,
    pub(super) pools: Children<PoolKind, Addr<PrewarmPool>>,
    pub(super) fills: BTreeMap<&'static str, PoolFill>,
    pub(super) sessions: Children<SessionId, Addr<Session>>,
    pub(super) views: Views,
    pub(super) diagnoses: Vec<Diagnosis>,
    pub(super) snapshot: watch::Sender<Arc<WorkerSnapshot>>,
    /// It takes no more sessions.
    pub(super) draining: bool,
    /// It is shutting down.
    pub(super) ending: bool,
    pub(super) started_at: Timestamp,
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
                diagnoses: settings.diagnostics.urls.iter().map(Diagnosis::awaited).collect(),
                lifeline: Lifeline::new(parent, settings.name.clone(), generation),
                launcher: Launcher::new(os, launch, run_dir, slots, drivers, metrics),
                settings,
                events,
                drivers: Children::new(),
                last_driver: 0,
                driver_waiters: VecDeque::new(),
                screens: Children::new(),
                pools: Children::new(),
                fills: BTreeMap::new(),
                sessions: Children::new(),
                views,
                snapshot,
                // Who took it out of service does not expect it back because of a crash.
                draining: before.draining,
                ending: false,
                started_at: Timestamp::now(),
            };
            // The sessions of the life before can't tell it themselves: their worker was gone.
            for view in worker.views.ended().into_iter().take(before.sessions.len()) {
                worker.tell(view, Change::Ended, None);
            }
            worker
        })
    }

    pub(super) fn displays(&self) -> bool {
        self.settings.launch.display.tools.is_ok()
    }

    pub(super) fn publish(&mut self) {
        let metrics = &self.launcher.metrics;
        for status in Status::ALL {
            metrics.sessions(&self.settings.name, status, self.views.count(status));
        }
        metrics.drivers(self.drivers.iter().count());
        metrics.slots(self.launcher.slots.free(), self.launcher.slots.capacity());
        let (checks, sessions) = (self.checks(), self.views.live());
        let snapshot = WorkerSnapshot {
            facts: Some(self.facts(sessions.len())),
            machine: None,
            sessions,
            ended: self.views.ended(),
            healthy: self.takes_any(&checks),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            checks,
            unreachable: None,
            stale: false,
            supports_vnc: self.settings.offers_vnc && self.displays(),
            draining: self.draining,
            playwright: self.versions().map(|versions| versions.playwright),
        };
        self.snapshot.send_replace(Arc::new(snapshot));
    }

    fn tell(&self, view: Arc<SessionView>, change: Change, by: Option<RequestId>) {
        self.events.publish(&self.settings.name, view, change, by);
    }

    pub(super) fn start_session(
        &mut self,
        request: SessionRequest,
        by: RequestId,
        claimant: Claimant,
        ctx: &mut Context<Self>,
    ) -> oneshot::Receiver<Result<ReadySession>> {
        let (ready, created) = oneshot::channel();
        let spec = SessionSpec::new(request, by, &self.settings.defaults, self.displays());
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
            claimant,
            ready,
        });
        self.sessions.insert(id, ONE_LIFE, session);
        created
    }

    pub(super) fn session(&self, id: SessionId) -> Result<Addr<Session>> {
        self.sessions.get(&id).cloned().ok_or(Error::SessionNotFound)
    }
}

impl Actor for LocalWorker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.driver_with_place(ctx);
        self.keep_screen(ctx);
        for kind in [PoolKind::Headless, PoolKind::Vnc] {
            let target = self.pool_settings(kind).target;
            if target == 0 {
                continue;
            }
            match &self.settings.launch.display.tools {
                Err(remedy) if kind == PoolKind::Vnc => log::warn!("{remedy}"),
                _ => {
                    // Until it tells of itself.
                    self.fills.insert(pool_check(kind), PoolFill { target, ..PoolFill::default() });
                    let pool = self.start_pool(kind, 0, ctx);
                    self.pools.insert(kind, INFRASTRUCTURE, pool);
                }
            }
        }
        let changes = futures_util::stream::unfold(self.launcher.slots.watch_free(), |mut free| async move {
            free.changed().await.ok()?;
            Some((SlotsChanged, free))
        });
        ctx.add_stream(changes);
        ctx.run_interval(SWEEP, |this, _| {
            this.retire_idle_drivers();
            this.publish();
        });
        self.diagnose(ctx);
        self.publish();
    }
}

/// A display slot was taken or came back.
struct SlotsChanged;

impl StreamHandler<SlotsChanged> for LocalWorker {
    fn handle(&mut self, _: SlotsChanged, _: &mut Context<Self>) {
        self.publish();
    }
}

impl Drop for LocalWorker {
    fn drop(&mut self) {
        // Parts hold addresses of each other, so none of them would end because this one is gone: they are told.
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
        for (_, driver) in self.drivers.iter() {
            driver.address.do_send(StopDriver);
        }
    }
}

impl Handler<SessionChanged> for LocalWorker {
    type Result = ();

    fn handle(&mut self, SessionChanged { view, change, by }: SessionChanged, _: &mut Context<Self>) {
        if change == Change::Ended {
            // Its capacity is free before anybody hears that it ended; its exit that follows is stale then.
            self.sessions.remove(&view.spec.id);
        }
        self.views.update(Arc::clone(&view));
        self.publish();
        self.tell(view, change, by);
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
                self.tell(view, Change::Ended, None);
            }
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
