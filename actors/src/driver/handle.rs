//! What a worker keeps of a driver: its address, and how full it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::prelude::*;
use tokio::sync::watch;

use super::Driver;

/// What a driver says of itself once it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverVersions {
    /// Playwright's version.
    pub playwright: String,
    /// Node's version.
    pub node: String,
}

/// What a worker keeps of a driver.
#[derive(Clone)]
pub struct DriverHandle {
    /// The actor.
    pub address: Addr<Driver>,
    /// How many browsers count on it, launching ones included.
    load: Arc<AtomicUsize>,
    /// The mark of its browsers' environment.
    pub(crate) mark: (String, String),
    /// `None` until the process has said hello.
    pub versions: watch::Receiver<Option<DriverVersions>>,
    /// Whether it answers when it is polled.
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

    /// How many browsers count on this driver.
    pub fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Whether its process has said hello, and answers.
    pub fn is_up(&self) -> bool {
        self.versions.borrow().is_some() && self.is_answering()
    }

    /// Whether its process answered when it was last polled, or was not due to yet.
    pub fn is_answering(&self) -> bool {
        *self.answering.borrow()
    }

    /// Tells of every change of [`Self::is_answering`].
    pub(crate) fn watch_answering(&self) -> watch::Receiver<bool> {
        self.answering.clone()
    }

    /// Takes a place in this driver for one browser.
    pub(crate) fn seat(&self) -> DriverSeat {
        self.load.fetch_add(1, Ordering::Relaxed);
        DriverSeat { driver: self.clone() }
    }
}

/// One browser's place in a driver; dropped, the place is free.
pub(crate) struct DriverSeat {
    /// The driver.
    pub driver: DriverHandle,
}

impl Drop for DriverSeat {
    fn drop(&mut self) {
        self.driver.load.fetch_sub(1, Ordering::Relaxed);
    }
}
