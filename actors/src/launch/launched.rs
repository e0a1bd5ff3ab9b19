//! What launching makes: a browser that is up, with its display, and the parts of one that is not there yet.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use camofleet_api::view::ViewKey;
use tokio::sync::SetOnce;
use url::Url;

use crate::display::{Camera, CloseDisplay, Display, ScreenSessions};
use crate::driver::Driver;
use crate::host::slots::SlotLease;
use crate::launch::browser::{Browser, CloseBrowser, Unanswered};
use crate::model::activity::ActivityClock;
use crate::supervision::ChildExited;
use crate::supervision::part::{Adopt, Answer, CheckAlive, Loss, PartKey};

/// How long a warm browser may take to answer: milliseconds, on a machine that is not overloaded.
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);

/// The parts of a launch that is under way. Dropped halfway, they are taken down.
#[derive(Default)]
pub(crate) struct Begun {
    pub browser: Option<Addr<Browser>>,
    pub display: Option<Addr<Display>>,
}

impl Begun {
    /// Resolves when nothing of it is left.
    pub async fn dismantle(&mut self) {
        close(self.browser.clone(), self.display.clone()).await;
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        // No effect after `dismantle`: the mailboxes are closed.
        close_soon(self.browser.as_ref(), self.display.as_ref());
    }
}

/// Takes parts down; resolves when their actors have stopped, and so nothing is left of them.
async fn close(browser: Option<Addr<Browser>>, display: Option<Addr<Display>>) {
    let browser = async {
        if let Some(browser) = browser {
            let _ = browser.send(CloseBrowser).await;
        }
    };
    let display = async {
        if let Some(display) = display {
            let _ = display.send(CloseDisplay).await;
        }
    };
    futures_util::future::join(browser, display).await;
}

/// The same without waiting, for drops: one message for each part.
fn close_soon(browser: Option<&Addr<Browser>>, display: Option<&Addr<Display>>) {
    if let Some(browser) = browser {
        browser.do_send(CloseBrowser);
    }
    if let Some(display) = display {
        display.do_send(CloseDisplay);
    }
}

/// A browser that is up, with its display: what pools keep and sessions run on. Dropped, it is taken down.
pub(crate) struct Launched {
    /// The launch's number.
    pub launch: u64,
    /// The Playwright server, on loopback.
    pub endpoint: Url,
    /// The version that the browser reports.
    pub version: String,
    /// Where it lives.
    pub driver: Addr<Driver>,
    /// The slot of its display.
    pub slot: Option<Arc<SlotLease>>,
    pub(crate) browser: Addr<Browser>,
    pub(crate) display: Option<Addr<Display>>,
    pub(crate) loss: Arc<SetOnce<Loss>>,
    pub(crate) clocks: ScreenSessions,
    /// Takes pictures of its screen, if it has one.
    pub(crate) camera: Option<Camera>,
}

impl Launched {
    /// From now on what viewers of its screen do is activity on this clock, and this key opens the screen.
    pub fn show_session(&self, clock: ActivityClock, key: Option<ViewKey>) {
        self.clocks.enter(self.launch, clock, key);
    }

    /// The part that has ended by itself, if one has. What ends later is told to the parent.
    pub fn loss(&self) -> Option<&Loss> {
        self.loss.get()
    }

    /// Has the parts looked at; one that is dead is told to the parent as lost.
    pub fn check_alive(&self) {
        // One message for each part and look.
        self.browser.do_send(CheckAlive);
        if let Some(display) = &self.display {
            display.do_send(CheckAlive);
        }
    }

    /// Whether its driver, its browser and its display all answer at once. One that has gone quiet since it was last polled
    /// is not handed out.
    pub async fn answers(&self) -> bool {
        let browser = async { self.browser.send(Answer).await.unwrap_or(false) };
        let display = async {
            match &self.display {
                Some(display) => display.send(Answer).await.unwrap_or(false),
                None => true,
            }
        };
        let both = futures_util::future::join(browser, display);
        let answered = tokio::time::timeout(ANSWER_PATIENCE, both).await;
        if answered.is_err() {
            // One message for each browser that was to be handed out.
            self.browser.do_send(Unanswered);
        }
        answered == Ok((true, true))
    }

    /// Puts the parts under a new parent. One that has died already is no error here, but a [`Self::loss`].
    pub async fn adopt(&self, parent: Recipient<ChildExited<PartKey>>) {
        let _ = self.browser.send(Adopt(parent.clone())).await;
        if let Some(display) = &self.display {
            let _ = display.send(Adopt(parent)).await;
        }
    }

    /// Takes it down; resolves when nothing of it is left.
    pub async fn dismantle(self) {
        close(Some(self.browser.clone()), self.display.clone()).await;
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        self.clocks.leave(self.launch);
        // No effect after `dismantle`: the mailboxes are closed.
        close_soon(Some(&self.browser), self.display.as_ref());
    }
}
