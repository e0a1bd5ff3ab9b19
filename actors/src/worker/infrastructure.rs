//! A worker's infrastructure: the drivers and pools that it keeps up for its sessions.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::local::LocalWorker;
use super::pool_check;
use crate::driver::{Driver, DriverHandle, DriverId, DriverSeat, StopDriver};
use crate::launch::launcher::AssignDriver;
use crate::launch::prewarm::{PoolChanged, PoolKind, PoolSettings, PrewarmPool};
use crate::model::error::{Error, Result};
use crate::supervision::{Backoff, ChildExited, ChildSpec, Generation, Intensity, RestartPolicy, Verdict};

/// Drivers and pools come back at once, then ever later. The waits before eight restarts add up to half a minute, so
/// what keeps failing is the worker's failure in the same minute.
pub(super) const INFRASTRUCTURE: ChildSpec = ChildSpec {
    policy: RestartPolicy::Always,
    intensity: Intensity { limit: 8, within: Duration::from_secs(60) },
    backoff: Backoff { first: Duration::from_millis(250), longest: Duration::from_secs(15) },
};

impl LocalWorker {
    pub(super) fn start_driver(
        &mut self,
        id: DriverId,
        generation: Generation,
        ctx: &mut Context<Self>,
    ) -> DriverHandle {
        let (os, mark) = (Arc::clone(&self.launcher.os), self.launcher.run_dir.mark());
        let parent = ctx.address().recipient();
        let (settings, metrics) = (self.settings.driver.clone(), self.launcher.metrics.clone());
        let driver = Driver::start(os, settings, &mark, metrics, parent, id, generation);
        let mut versions = driver.versions.clone();
        let hello = async move { versions.wait_for(Option::is_some).await.is_ok() };
        ctx.spawn(hello.into_actor(self).map(|up, this, ctx| {
            if up {
                this.seat_waiters(ctx);
                this.publish();
            }
        }));
        let answers = futures_util::stream::unfold(driver.watch_answering(), |mut answering| async move {
            answering.changed().await.ok()?;
            Some((AnsweringChanged, answering))
        });
        ctx.add_stream(answers);
        driver
    }

    /// Gives the launches that waited for a driver their places.
    pub(super) fn seat_waiters(&mut self, ctx: &mut Context<Self>) {
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
    pub(super) fn driver_with_place(&mut self, ctx: &mut Context<Self>) -> Option<DriverHandle> {
        let limit = self.settings.driver.sessions_per_driver;
        let drivers = self.drivers.iter().map(|(_, driver)| driver).filter(|driver| driver.is_up());
        let free = drivers.filter(|driver| driver.load() < limit).min_by_key(|driver| driver.load());
        if let Some(driver) = free {
            return Some(driver.clone());
        }
        // One that does not answer is no help, and may be killed: nobody waits for it.
        let said_hello = self.drivers.iter().filter(|(_, driver)| driver.versions.borrow().is_some()).count();
        if said_hello == self.drivers.len() {
            self.last_driver += 1;
            let driver = self.start_driver(self.last_driver, 0, ctx);
            self.drivers.insert(self.last_driver, INFRASTRUCTURE, driver);
        }
        None
    }

    /// Ends drivers that host nothing, all but one.
    pub(super) fn retire_idle_drivers(&mut self) {
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

    pub(super) fn pool_settings(&self, kind: PoolKind) -> PoolSettings {
        match kind {
            PoolKind::Headless => self.settings.headless_pool,
            PoolKind::Vnc => self.settings.vnc_pool,
        }
    }

    pub(super) fn start_pool(
        &mut self,
        kind: PoolKind,
        generation: Generation,
        ctx: &mut Context<Self>,
    ) -> Addr<PrewarmPool> {
        let (worker, parent) = (ctx.address().recipient(), ctx.address().recipient());
        PrewarmPool::start(kind, self.pool_settings(kind), self.launcher.clone(), worker, parent, generation)
    }

    /// Fails in turn: the fleet builds the worker anew.
    pub(super) fn give_up(&mut self, text: String, ctx: &mut Context<Self>) {
        log::error!("worker {} gives up: {text}", self.settings.name);
        self.lifeline.fail(text);
        ctx.stop();
    }
}

/// A driver has stopped to answer, or answers again.
struct AnsweringChanged;

impl StreamHandler<AnsweringChanged> for LocalWorker {
    fn handle(&mut self, _: AnsweringChanged, ctx: &mut Context<Self>) {
        self.seat_waiters(ctx);
        self.publish();
    }

    // The worker outlives its drivers.
    fn finished(&mut self, _: &mut Context<Self>) {}
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

impl Handler<PoolChanged> for LocalWorker {
    type Result = ();

    fn handle(&mut self, PoolChanged { kind, fill }: PoolChanged, _: &mut Context<Self>) {
        self.fills.insert(pool_check(kind), fill);
        self.publish();
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
