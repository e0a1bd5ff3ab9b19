//! The handle of a driver: its address, its load and its state.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::prelude::*;
use tokio::sync::watch;

use super::Driver;

/// The versions that a driver reports when it has started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverVersions {
    /// Playwright's version.
    pub playwright: String,
    /// Node's version.
    pub node: String,
}

/// The worker's handle of a driver.
#[derive(Clone)]
pub struct DriverHandle {
    /// The actor.
    pub address: Addr<Driver>,
    /// How many browsers it hosts or launches.
    load: Arc<AtomicUsize>,
    /// The environment variable that marks its browsers.
    pub(crate) mark: (String, String),
    /// `None` until the process has sent `hello`.
    pub versions: watch::Receiver<Option<DriverVersions>>,
    /// Whether the process answers when it is polled.
    pub(super) answering: watch::Receiver<bool>,
}

impl DriverHandle {
    pub(super) fn new(
        address: Addr<Driver>,
        mark: (String, String),
        versions: watch::Receiver<Option<DriverVersions>>,
        answering: watch::Receiver<bool>,
    ) -> Self {
        Self { address, load: Arc::default(), mark, versions, answering }
    }

    /// How many browsers it hosts or launches.
    pub fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Whether its process has started and answers.
    pub fn is_up(&self) -> bool {
        self.versions.borrow().is_some() && self.is_answering()
    }

    /// Whether its process has answered the last poll, or still has time to.
    pub fn is_answering(&self) -> bool {
        *self.answering.borrow()
    }

    /// Watches [`Self::is_answering`].
    pub(crate) fn watch_answering(&self) -> watch::Receiver<bool> {
        self.answering.clone()
    }

    /// Reserves a place in this driver for one browser.
    pub(crate) fn reserve_seat(&self) -> DriverSeat {
        self.load.fetch_add(1, Ordering::Relaxed);
        DriverSeat { driver: self.clone() }
    }
}

/// One browser's place in a driver; freed when it is dropped.
pub(crate) struct DriverSeat {
    /// The driver.
    pub driver: DriverHandle,
}

impl Drop for DriverSeat {
    fn drop(&mut self) {
        self.driver.load.fetch_sub(1, Ordering::Relaxed);
    }
}
