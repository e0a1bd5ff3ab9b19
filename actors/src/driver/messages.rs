//! What a driver is asked, and what it answers.

use std::time::Duration;

use actix::prelude::*;
use camofleet_api::session::StartUrlWait;
use tokio::sync::oneshot;

use super::protocol::LaunchOptions;
use crate::model::error::Result;

/// How one browser ended, for the actor that owns it.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct BrowserEnded {
    /// What happened, for people.
    pub detail: String,
    /// Whether it went down with its driver.
    pub driver_lost: bool,
}

/// Starts a browser.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Launch {
    /// The launch's number, unique in this process.
    pub launch: u64,
    /// What to start.
    pub options: LaunchOptions,
    /// Told of the end of a browser that was ready.
    pub watcher: Recipient<BrowserEnded>,
    /// Told when its Playwright server listens, or why it never will. A browser that comes up when nobody waits
    /// for it any more is closed.
    pub answer: oneshot::Sender<Result<LaunchedBrowser>>,
}

/// A browser that is up.
#[derive(Debug, Clone)]
pub(crate) struct LaunchedBrowser {
    /// Its Playwright server, on loopback.
    pub endpoint: String,
    /// Its process, and process group.
    pub pid: u32,
    /// The version it reports.
    pub version: String,
}

/// Gives up a launch; answered when nothing of it is left.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CancelLaunch {
    /// The launch's number.
    pub launch: u64,
}

/// Something to be done inside a browser; the error is a text for the session.
#[derive(Message)]
#[rtype(result = "std::result::Result<(), String>")]
pub(crate) enum InBrowser {
    /// Open a page that stays.
    Open {
        /// The launch's number.
        launch: u64,
        /// Where to go.
        url: String,
        /// What counts as there.
        wait: StartUrlWait,
        /// How long it may take.
        timeout: Duration,
    },
    /// Close all contexts.
    DiscardContexts {
        /// The launch's number.
        launch: u64,
    },
    /// Ask the browser's main process for an answer.
    Check {
        /// The launch's number.
        launch: u64,
        /// How long it may take.
        timeout: Duration,
    },
}

/// A browser of this driver did not answer: until the driver itself answers, it gets no more launches.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Suspect;

/// Ends the process and its browsers; answered when it is gone. The parent forgets the driver first.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct StopDriver;
