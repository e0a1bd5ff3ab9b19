//! The result of a launch, a browser with its display, and the parts of a launch that is in progress.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use camofleet_api::view::ViewKey;
use futures_util::future::{OptionFuture, join, join3};
use tokio::sync::SetOnce;
use url::Url;

use crate::display::{CloseDisplay, Display, ScreenSessions, Screenshotter, finish_later};
use crate::driver::Driver;
use crate::egress::{CloseEgress, Egress, EgressGate};
use crate::host::slots::SlotLease;
use crate::launch::browser::{Browser, CloseBrowser, SuspectDriver};
use crate::model::activity::ActivityClock;
use crate::model::machine::Machine;
use crate::supervision::ChildExited;
use crate::supervision::part::{Adopt, CheckAlive, CheckResponds, Loss, PartKey};

/// How long a warm browser, or an egress, may take to respond; it needs milliseconds unless the machine is overloaded.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The parts of a launch that is in progress; they are closed when it is dropped.
#[derive(Default)]
pub(crate) struct PartialLaunch {
    pub browser: Option<Addr<Browser>>,
    pub display: Option<Addr<Display>>,
    pub egress: Option<Addr<Egress>>,
    /// Whether the browser stores its user data when it is closed.
    pub stores: bool,
}

impl PartialLaunch {
    /// Closes the parts; resolves when their processes have ended.
    pub async fn dismantle(&mut self) {
        self.parts().close().await;
    }

    fn parts(&self) -> Parts {
        Parts {
            browser: self.browser.clone(),
            display: self.display.clone(),
            egress: self.egress.clone(),
            stores: self.stores,
        }
    }
}

impl Drop for PartialLaunch {
    fn drop(&mut self) {
        // No effect after `dismantle`: the mailboxes are closed.
        self.parts().close_without_waiting();
    }
}

/// The parts of a launch that is to be closed.
struct Parts {
    browser: Option<Addr<Browser>>,
    display: Option<Addr<Display>>,
    egress: Option<Addr<Egress>>,
    /// Whether the browser stores its user data when it is closed. Without its display it would end before it has done so.
    stores: bool,
}

impl Parts {
    /// Closes them; resolves when their actors have stopped, which is after their processes have ended.
    async fn close(self) {
        let Self { browser, display, egress, stores } = self;
        // Each request fails when its actor has stopped.
        let browser = OptionFuture::from(browser.map(|browser| async move {
            let _ = browser.send(CloseBrowser).await;
        }));
        let display = OptionFuture::from(display.map(|display| async move {
            let _ = display.send(CloseDisplay).await;
        }));
        let egress = OptionFuture::from(egress.map(|egress| async move {
            // It has no process; its thread may hang, which must not keep the others' end from being reported.
            let _ = tokio::time::timeout(RESPONSE_TIMEOUT, egress.send(CloseEgress)).await;
        }));
        if stores {
            browser.await;
            join(display, egress).await;
        } else {
            join3(browser, display, egress).await;
        }
    }

    /// Closes them without waiting for it, for use in drops. One message for each part.
    fn close_without_waiting(self) {
        if self.stores {
            return finish_later(self.close());
        }
        if let Some(browser) = self.browser {
            browser.do_send(CloseBrowser);
        }
        if let Some(display) = self.display {
            display.do_send(CloseDisplay);
        }
        if let Some(egress) = self.egress {
            egress.do_send(CloseEgress);
        }
    }
}

/// A running browser with its egress and its display: pools keep these, sessions use them. It is closed when it is dropped.
pub(crate) struct Launched {
    /// The launch's number.
    pub launch: u64,
    /// The Playwright server, on loopback.
    pub endpoint: Url,
    /// The version that the browser reports.
    pub version: String,
    /// The machine that it shows, if it was drawn.
    pub machine: Option<Arc<Machine>>,
    /// The driver that hosts it.
    pub driver: Addr<Driver>,
    /// The slot of its display.
    pub slot: Option<Arc<SlotLease>>,
    pub(crate) browser: Addr<Browser>,
    pub(crate) display: Option<Addr<Display>>,
    pub(crate) egress: Addr<Egress>,
    /// Whether the browser stores its user data when it is closed.
    pub(crate) stores: bool,
    /// Opens its egress for a session.
    pub(crate) gate: EgressGate,
    pub(crate) loss: Arc<SetOnce<Loss>>,
    pub(crate) clocks: ScreenSessions,
    /// Takes pictures of its screen, if it has one.
    pub(crate) screenshotter: Option<Screenshotter>,
}

impl Launched {
    /// Assigns the screen to a session: input of viewers counts as activity on this clock, and this key opens the
    /// screen.
    pub fn assign_screen(&self, clock: ActivityClock, key: Option<ViewKey>) {
        self.clocks.add(self.launch, clock, key);
    }

    /// The part that has ended unexpectedly, if one has. The parent is notified of later ends.
    pub fn loss(&self) -> Option<&Loss> {
        self.loss.get()
    }

    /// Makes the parts check that their processes are running; the parent is notified of one that is not.
    pub fn check_alive(&self) {
        // One message for each part and check.
        self.browser.do_send(CheckAlive);
        self.egress.do_send(CheckAlive);
        if let Some(display) = &self.display {
            display.do_send(CheckAlive);
        }
    }

    /// Moves the parts to a new parent, and checks that driver, browser, egress and display all respond promptly: a warm
    /// browser that has hung since it was last polled must not be given to a session. If a part has ended already,
    /// [`Self::loss`] returns it.
    pub async fn hand_over(&self, parent: Recipient<ChildExited<PartKey>>) -> bool {
        // Each part handles its adoption before the check that follows. The answer of the egress is the check of its thread.
        let browser = async {
            let _ = self.browser.send(Adopt(parent.clone())).await;
            self.browser.send(CheckResponds).await.unwrap_or(false)
        };
        let display = async {
            let Some(display) = &self.display else { return true };
            let _ = display.send(Adopt(parent.clone())).await;
            display.send(CheckResponds).await.unwrap_or(false)
        };
        let egress = self.egress.send(Adopt(parent.clone()));
        let answered = tokio::time::timeout(RESPONSE_TIMEOUT, join3(browser, display, egress)).await;
        if answered.is_err() {
            // At most one message for each browser that is taken from a pool.
            self.browser.do_send(SuspectDriver);
        }
        matches!(answered, Ok((true, true, Ok(()))))
    }

    /// Closes the browser and its display; resolves when their processes have ended.
    pub async fn dismantle(self) {
        self.parts().close().await;
    }

    fn parts(&self) -> Parts {
        Parts {
            browser: Some(self.browser.clone()),
            display: self.display.clone(),
            egress: Some(self.egress.clone()),
            stores: self.stores,
        }
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        self.clocks.remove(self.launch);
        // No effect after `dismantle`: the mailboxes are closed.
        self.parts().close_without_waiting();
    }
}
