//! The list of the fleet's workers, for readers.

use std::sync::Arc;

use camofleet_api::proxy::ProxyChoice;
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

    /// A healthy worker that can check this proxy, preferably one that has the service and the pool for it.
    ///
    /// # Errors
    /// [`Error::NoWorkers`], or [`Error::NoEgress`] if no worker controls its browsers' connections.
    pub fn checker(&self, proxy: Option<&ProxyChoice>) -> Result<WorkerHandle> {
        let workers = self.0.borrow();
        let healthy: Vec<_> = workers.iter().filter(|worker| worker.snapshot().healthy).collect();
        if healthy.is_empty() {
            return Err(Error::NoWorkers);
        }
        let suitability = |worker: &&&WorkerHandle| {
            let snapshot = worker.snapshot();
            let egress = snapshot.facts.as_ref()?.egress.as_ref()?;
            let has_pool = match proxy {
                Some(ProxyChoice::Pool(name)) => egress.proxies.contains(name),
                _ => true,
            };
            Some((has_pool, egress.checks_proxies))
        };
        let best = healthy.iter().filter(|worker| suitability(worker).is_some()).max_by_key(suitability);
        best.map(|worker| (*worker).clone()).ok_or(Error::NoEgress { what: "the healthy workers".into() })
    }
}
