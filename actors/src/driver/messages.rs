//! The messages of a driver.

use std::path::PathBuf;
use std::time::Duration;

use actix::prelude::*;
use camofleet_api::session::StartUrlWait;
use tokio::sync::oneshot;

use super::protocol::LaunchOptions;
use crate::model::error::Result;

/// Notifies the actor that owns a browser of its end.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct BrowserEnded {
    /// The reason, for people to read.
    pub detail: String,
    /// Whether it ended with its driver.
    pub driver_lost: bool,
}

/// Starts a browser.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Launch {
    /// The launch's number, unique in this process.
    pub launch: u64,
    /// How to start it.
    pub options: LaunchOptions,
    /// Notified when the browser ends after it was ready.
    pub watcher: Recipient<BrowserEnded>,
    /// Gets the result once the Playwright server listens or the launch has failed. If the receiver is gone by then,
    /// the browser is closed.
    pub answer: oneshot::Sender<Result<LaunchedBrowser>>,
}

/// A browser that is ready.
#[derive(Debug, Clone)]
pub(crate) struct LaunchedBrowser {
    /// Its Playwright server, on loopback.
    pub endpoint: String,
    /// Its process id, also the id of its process group.
    pub pid: u32,
    /// The version it reports.
    pub version: String,
}

/// Cancels a launch, or ends its browser; answered when its processes have ended.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CancelLaunch {
    /// The launch's number.
    pub launch: u64,
    /// How long a browser that is ready may take to store its user data before it is killed; `None`: it is killed at once.
    pub patience: Option<Duration>,
}

/// Why a browser did not do what was requested: a text to show with the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotDone {
    /// It refuses that, and would do so again.
    Refused(String),
    /// It could not do it.
    Failed(String),
}

impl NotDone {
    /// The text.
    pub fn into_text(self) -> String {
        match self {
            Self::Refused(text) | Self::Failed(text) => text,
        }
    }
}

/// A request to a running browser.
#[derive(Message)]
#[rtype(result = "std::result::Result<(), NotDone>")]
pub(crate) enum InBrowser {
    /// Open a page that clients who attach later see.
    Open {
        /// The launch's number.
        launch: u64,
        /// The page's URL.
        url: String,
        /// Which event of the page to wait for.
        wait: StartUrlWait,
        /// How long it may take.
        timeout: Duration,
    },
    /// Close all contexts.
    DiscardContexts {
        /// The launch's number.
        launch: u64,
    },
    /// Write the cookies of the default context to a new file, as Playwright's JSON.
    ReadCookies {
        /// The launch's number.
        launch: u64,
        /// The file.
        file: PathBuf,
    },
    /// Replace the cookies of the default context by those of a file.
    WriteCookies {
        /// The launch's number.
        launch: u64,
        /// The file.
        file: PathBuf,
    },
    /// Check that the browser's main process responds.
    Check {
        /// The launch's number.
        launch: u64,
        /// How long it may take.
        timeout: Duration,
    },
}

/// A browser of this driver did not answer: the driver is given no more launches until it has answered a ping.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SuspectHang;

/// Ends the process and its browsers; answered when it has ended. The parent removes the driver from its records first,
/// so that it is not restarted.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct StopDriver;
