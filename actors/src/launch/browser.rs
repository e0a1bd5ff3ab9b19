//! The browser actor: one Playwright server with its browser, inside a driver.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use crate::display::finish_later;
use crate::driver::{BrowserEnded, CancelLaunch, DriverSeat, InBrowser, SuspectHang};
use crate::host::rundir::LaunchDir;
use crate::process::{Os, ProcessId, Signal, wait_group_gone};
use crate::supervision::part::{Adopt, CheckAlive, CheckResponds, LaunchPart, PartBond};
use crate::supervision::{Beat, Pulse, PulseSettings};

/// How long cancelling a launch may take; a driver that responds needs milliseconds.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a browser's main process is left to die alone before the others are killed. Releasing its memory takes the
/// longest by far, and the others would compete with it for the cores: with this delay all have ended a sixth earlier.
const MAIN_PROCESS_HEAD_START: Duration = Duration::from_millis(10);

/// What has to be cleaned up when a browser ends: its process group, its place in the driver, its files.
pub(crate) struct BrowserParts {
    /// The launch's number.
    pub launch: u64,
    /// The machine it runs on.
    pub os: Arc<dyn Os>,
    /// The leader of its process group; `None` until the browser has started.
    pub group: Option<ProcessId>,
    /// Its place in a driver.
    pub seat: DriverSeat,
    /// The directory of its profile, its temporary files and the display's authority file.
    pub dir: LaunchDir,
    /// How often it is polled, and how long it may take to answer.
    pub pulse: PulseSettings,
    /// How long it may take to store its user data when it is closed; `None` if its data is deleted.
    pub store_patience: Option<Duration>,
}

impl BrowserParts {
    /// Checks through its driver that the browser responds.
    fn check(&self) -> impl Future<Output = bool> + use<> {
        let (launch, timeout) = (self.launch, self.pulse.silence);
        let check = self.seat.driver.address.send(InBrowser::Check { launch, timeout });
        async move { matches!(check.await, Ok(Ok(()))) }
    }

    async fn dismantle(self) {
        let Self { launch, os, group, seat, mut dir, pulse: _, store_patience } = self;
        match group {
            Some(group) => {
                if let Some(patience) = store_patience {
                    // Answered at once if the browser has ended already.
                    let stored = seat.driver.address.send(CancelLaunch { launch, patience: Some(patience) });
                    if tokio::time::timeout(patience + CANCEL_TIMEOUT, stored).await.is_err() {
                        log::warn!(
                            "launch {launch}: its driver did not confirm that its user data is stored"
                        );
                    }
                }
                // Without user data that is kept, a clean exit would save nothing.
                os.kill_leader(group);
                tokio::time::sleep(MAIN_PROCESS_HEAD_START).await;
                os.signal_group(group, Signal::Kill);
                // Killed processes no longer write, so their files are deleted while the kernel releases their memory.
                let gone = wait_group_gone(os.as_ref(), group);
                futures_util::future::join(gone, dir.clear()).await;
            }
            None => {
                // The process is known to its driver only.
                let cancel = seat.driver.address.send(CancelLaunch { launch, patience: None });
                if tokio::time::timeout(CANCEL_TIMEOUT, cancel).await.is_err() {
                    log::warn!("launch {launch} was cancelled, but its driver has not confirmed it");
                }
            }
        }
        drop(seat);
        dir.remove().await;
    }
}

/// One Playwright server and its browser. The actor is started before the launch, so that no end can be missed.
pub struct Browser {
    bond: PartBond,
    pulse: Pulse,
    /// `None` once they are being cleaned up.
    parts: Option<BrowserParts>,
}

impl Browser {
    /// The actor of a browser that is about to be launched.
    pub(crate) fn start_empty(bond: PartBond, parts: BrowserParts) -> Addr<Self> {
        Actor::start(Self { bond, pulse: Pulse::new(parts.pulse), parts: Some(parts) })
    }

    fn tear_down(&mut self, ctx: &mut Context<Self>) {
        if let Some(parts) = self.parts.take() {
            ctx.spawn(parts.dismantle().into_actor(self).map(|(), _, ctx| ctx.stop()));
        }
    }
}

impl Browser {
    /// Polls the browser, and ends it if it hangs.
    fn poll_browser(&mut self, ctx: &mut Context<Self>) {
        let Some(parts) = &self.parts else { return };
        // No browser of a hung driver can be polled; the driver's own poll ends it.
        if !parts.seat.driver.is_answering() {
            return self.pulse.answered();
        }
        match self.pulse.tick() {
            Beat::Poll => {
                let answered = parts.check().into_actor(self).map(|answered, this, _| {
                    if answered {
                        this.pulse.answered();
                    }
                });
                ctx.spawn(answered);
            }
            Beat::Late => {}
            Beat::Silent => {
                let detail = format!("the browser did not answer for {:?}", self.pulse.silence());
                self.bond.report_loss(LaunchPart::Browser, detail);
                self.tear_down(ctx);
            }
        }
    }
}

impl Actor for Browser {
    type Context = Context<Self>;
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take() {
            finish_later(parts.dismantle());
        }
    }
}

/// Notifies the actor that its browser is ready, and of its process group.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct BrowserUp {
    /// The id of its process group.
    pub group: u32,
}

impl Handler<BrowserUp> for Browser {
    type Result = ();

    fn handle(&mut self, up: BrowserUp, ctx: &mut Context<Self>) {
        if let Some(parts) = &mut self.parts {
            // `None` if it has ended meanwhile.
            parts.group = parts.os.identify(up.group);
            ctx.run_interval(parts.pulse.interval, Self::poll_browser);
        }
    }
}

impl Handler<BrowserEnded> for Browser {
    type Result = ();

    fn handle(&mut self, ended: BrowserEnded, ctx: &mut Context<Self>) {
        // While it is being closed its end is expected.
        if self.parts.is_some() {
            let part = if ended.driver_lost { LaunchPart::Driver } else { LaunchPart::Browser };
            self.bond.report_loss(part, ended.detail);
            self.tear_down(ctx);
        }
    }
}

/// Ends the browser. There is no reply: the request fails when the actor stops, after the processes have ended and the
/// files were deleted.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CloseBrowser;

impl Handler<CloseBrowser> for Browser {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: CloseBrowser, ctx: &mut Context<Self>) -> Self::Result {
        self.tear_down(ctx);
        Box::pin(std::future::pending().into_actor(self))
    }
}

impl Handler<Adopt> for Browser {
    type Result = ();

    fn handle(&mut self, Adopt(parent): Adopt, ctx: &mut Context<Self>) {
        self.bond.reassign(parent);
        self.handle(CheckAlive, ctx);
    }
}

impl Handler<CheckAlive> for Browser {
    type Result = ();

    fn handle(&mut self, _: CheckAlive, ctx: &mut Context<Self>) {
        // The driver reports the end of a process only tens of milliseconds later, after the kernel has cleaned up.
        let dead = |parts: &BrowserParts| parts.group.is_some_and(|group| !parts.os.is_running(group));
        if self.parts.as_ref().is_some_and(dead) {
            self.bond.report_loss(LaunchPart::Browser, "the browser has died".to_owned());
            self.tear_down(ctx);
        }
    }
}

impl Handler<CheckResponds> for Browser {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, _: CheckResponds, _: &mut Context<Self>) -> Self::Result {
        let check = self.parts.as_ref().map(BrowserParts::check);
        Box::pin(async move {
            match check {
                Some(check) => check.await,
                None => false,
            }
        })
    }
}

/// The browser did not respond: its driver is suspected to hang and is checked.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SuspectDriver;

impl Handler<SuspectDriver> for Browser {
    type Result = ();

    fn handle(&mut self, _: SuspectDriver, _: &mut Context<Self>) {
        if let Some(parts) = &self.parts {
            // At most one message for each browser that is taken from a pool.
            parts.seat.driver.address.do_send(SuspectHang);
        }
    }
}
