//! The browser actor: one Playwright server with its browser, inside a driver.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use crate::display::finish_later;
use crate::driver::{BrowserEnded, CancelLaunch, DriverSeat, InBrowser, Suspect};
use crate::host::rundir::LaunchDir;
use crate::process::{Os, ProcessId, Signal, wait_group_gone};
use crate::supervision::part::{Adopt, Answer, CheckAlive, LaunchPart, PartBond};
use crate::supervision::{Beat, Pulse, PulseSettings};

/// How long a launch that is given up may take to be gone; a driver that lives needs milliseconds.
const CANCEL_PATIENCE: Duration = Duration::from_secs(5);

/// How long a browser's main process dies alone. It takes the longest by far to give its memory back, and the others
/// would only compete with it for the cores: all of them are gone a sixth earlier with it than without.
const HEAD_START: Duration = Duration::from_millis(10);

/// What is left to clean up when a browser goes: its process group, its place in the driver, its files.
pub(crate) struct BrowserParts {
    /// The launch's number.
    pub launch: u64,
    /// The machine it runs on.
    pub os: Arc<dyn Os>,
    /// The leader of its process group; `None` until it has one.
    pub group: Option<ProcessId>,
    /// Its place in a driver.
    pub seat: DriverSeat,
    /// Its profile and temporary files, and the display's key.
    pub dir: LaunchDir,
    /// How often it is polled, and how long it may be silent.
    pub pulse: PulseSettings,
}

impl BrowserParts {
    /// Asks the browser for an answer, through its driver.
    fn check(&self) -> impl Future<Output = bool> + use<> {
        let (launch, timeout) = (self.launch, self.pulse.silence);
        let check = self.seat.driver.address.send(InBrowser::Check { launch, timeout });
        async move { matches!(check.await, Ok(Ok(()))) }
    }

    async fn dismantle(self) {
        let Self { launch, os, group, seat, mut dir, pulse: _ } = self;
        match group {
            Some(group) => {
                // A browser has nothing to say that is worth waiting for: its profile goes with it.
                os.kill_leader(group);
                tokio::time::sleep(HEAD_START).await;
                os.signal_group(group, Signal::Kill);
                // Killed processes write no more, so their files can go while the kernel takes their memory back.
                let gone = wait_group_gone(os.as_ref(), group);
                futures_util::future::join(gone, dir.clear()).await;
            }
            None => {
                // Only its driver knows what there is of it.
                let cancel = seat.driver.address.send(CancelLaunch { launch });
                if tokio::time::timeout(CANCEL_PATIENCE, cancel).await.is_err() {
                    log::warn!("launch {launch} was given up, but its driver does not say that it is gone");
                }
            }
        }
        drop(seat);
        dir.remove().await;
    }
}

/// One Playwright server and its browser. Started before the launch, so that no end can be missed.
pub struct Browser {
    bond: PartBond,
    pulse: Pulse,
    /// `None` from the moment it is being taken down.
    parts: Option<BrowserParts>,
}

impl Browser {
    /// The actor of a browser that is about to be launched.
    pub(crate) fn start_empty(bond: PartBond, parts: BrowserParts) -> Addr<Self> {
        Actor::start(Self { bond, pulse: Pulse::new(parts.pulse), parts: Some(parts) })
    }

    fn take_down(&mut self, ctx: &mut Context<Self>) {
        if let Some(parts) = self.parts.take() {
            ctx.spawn(parts.dismantle().into_actor(self).map(|(), _, ctx| ctx.stop()));
        }
    }
}

impl Browser {
    /// Polls the browser, and takes down one that has been silent for too long: it hangs.
    fn beat(&mut self, ctx: &mut Context<Self>) {
        let Some(parts) = &self.parts else { return };
        // A driver that hangs answers for none of its browsers; it is killed by its own owner.
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
                self.bond.lose(LaunchPart::Browser, detail);
                self.take_down(ctx);
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

/// The browser is up, in this process group.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct BrowserUp {
    /// Its process group.
    pub group: u32,
}

impl Handler<BrowserUp> for Browser {
    type Result = ();

    fn handle(&mut self, up: BrowserUp, ctx: &mut Context<Self>) {
        if let Some(parts) = &mut self.parts {
            // One that is gone by now has no group any more.
            parts.group = parts.os.identify(up.group);
            ctx.run_interval(parts.pulse.interval, Self::beat);
        }
    }
}

impl Handler<BrowserEnded> for Browser {
    type Result = ();

    fn handle(&mut self, ended: BrowserEnded, ctx: &mut Context<Self>) {
        // While it is being closed the end is wanted.
        if self.parts.is_some() {
            let part = if ended.driver_lost { LaunchPart::Driver } else { LaunchPart::Browser };
            self.bond.lose(part, ended.detail);
            self.take_down(ctx);
        }
    }
}

/// Takes the browser down. Its actor stops, and this request fails with its mailbox, when processes and files are
/// gone.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CloseBrowser;

impl Handler<CloseBrowser> for Browser {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: CloseBrowser, ctx: &mut Context<Self>) -> Self::Result {
        self.take_down(ctx);
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
        // Its driver tells of a death only after the kernel has cleaned up: tens of milliseconds later.
        let dead = |parts: &BrowserParts| parts.group.is_some_and(|group| !parts.os.is_running(group));
        if self.parts.as_ref().is_some_and(dead) {
            self.bond.lose(LaunchPart::Browser, "the browser is dead".to_owned());
            self.take_down(ctx);
        }
    }
}

impl Handler<Answer> for Browser {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, _: Answer, _: &mut Context<Self>) -> Self::Result {
        let check = self.parts.as_ref().map(BrowserParts::check);
        Box::pin(async move {
            match check {
                Some(check) => check.await,
                None => false,
            }
        })
    }
}

/// It did not answer when it was asked: its driver is asked, too.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Unanswered;

impl Handler<Unanswered> for Browser {
    type Result = ();

    fn handle(&mut self, _: Unanswered, _: &mut Context<Self>) {
        if let Some(parts) = &self.parts {
            // One message for each browser that was to be handed out.
            parts.seat.driver.address.do_send(Suspect);
        }
    }
}
