//! The list of the fleet's workers, for readers.

use std::sync::Arc;

use tokio::sync::watch;

use crate::model::error::{Error, Result};
use crate::worker::WorkerHandle;

/// The current list of the fleet's workers. Reading it does not wait for an actor.
#[derive(Clone)]
pub struct Directory(pub(crate) watch::Receiver<Arc<Vec<WorkerHandle>>>);

impl Directory {
    #[cfg(test)]
    pub(crate) fn of(workers: Vec<WorkerHandle>) -> Self {
        Self(watch::channel(Arc::new(workers)).1)
    }

    /// All workers: the configured ones in their order, then the discovered ones by name.
    pub fn workers(&self) -> Arc<Vec<WorkerHandle>> {
        Arc::clone(&self.0.borrow())
    }

    /// The worker with this name.
    ///
    /// # Errors
    /// [`Error::WorkerNotFound`].
    pub fn worker(&self, name: &str) -> Result<WorkerHandle> {
        self.0.borrow().iter().find(|worker| worker.name == name).cloned().ok_or(Error::WorkerNotFound)
    }
}
