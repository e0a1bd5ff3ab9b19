//! The fleet's workers, for whoever reads.

use std::sync::Arc;

use tokio::sync::watch;

use crate::model::error::{Error, Result};
use crate::worker::WorkerHandle;

/// The fleet's workers as they are now. Reads come here and wait for nobody.
#[derive(Clone)]
pub struct Directory(pub(crate) watch::Receiver<Arc<Vec<WorkerHandle>>>);

impl Directory {
    #[cfg(test)]
    pub(crate) fn of(workers: Vec<WorkerHandle>) -> Self {
        Self(watch::channel(Arc::new(workers)).1)
    }

    /// All workers: those of the configuration in its order, then those that were found, by their names.
    pub fn workers(&self) -> Arc<Vec<WorkerHandle>> {
        Arc::clone(&self.0.borrow())
    }

    /// The worker of this name.
    ///
    /// # Errors
    /// [`Error::WorkerNotFound`].
    pub fn worker(&self, name: &str) -> Result<WorkerHandle> {
        self.0.borrow().iter().find(|worker| worker.name == name).cloned().ok_or(Error::WorkerNotFound)
    }
}
