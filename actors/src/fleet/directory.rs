//! The fleet's children, for whoever reads.

use std::sync::Arc;

use actix::Addr;
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::gateway::Gateway;
use crate::worker::WorkerHandle;

/// The fleet's children as they are now. Reads go here and wait for nobody.
#[derive(Clone)]
pub struct Directory {
    pub(super) workers: watch::Receiver<Arc<Vec<WorkerHandle>>>,
    pub(super) gateway: watch::Receiver<Option<Addr<Gateway>>>,
}

impl Directory {
    #[cfg(test)]
    pub(crate) fn of(workers: Vec<WorkerHandle>) -> Self {
        Self { workers: watch::channel(Arc::new(workers)).1, gateway: watch::channel(None).1 }
    }

    /// All workers: those of the configuration in its order, then those that were found, by their names.
    pub fn workers(&self) -> Arc<Vec<WorkerHandle>> {
        Arc::clone(&self.workers.borrow())
    }

    /// The worker of this name.
    ///
    /// # Errors
    /// [`Error::WorkerNotFound`].
    pub fn worker(&self, name: &str) -> Result<WorkerHandle> {
        self.workers.borrow().iter().find(|worker| worker.name == name).cloned().ok_or(Error::WorkerNotFound)
    }

    /// The gateway to live views.
    ///
    /// # Errors
    /// [`Error::Restarting`] while there is none.
    pub fn gateway(&self) -> Result<Addr<Gateway>> {
        self.gateway.borrow().clone().ok_or(Error::Restarting { what: "gateway" })
    }
}
