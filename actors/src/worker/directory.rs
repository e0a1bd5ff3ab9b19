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
            Some((egress.has_pool_of(proxy), egress.checks_proxies))
        };
        let best = healthy.iter().filter(|worker| suitability(worker).is_some()).max_by_key(suitability);
        best.map(|worker| (*worker).clone()).ok_or(Error::NoEgress { what: "the healthy workers".into() })
    }
}

#[cfg(test)]
mod tests {
    use camofleet_api::facts::{EgressFacts, Facts};

    use super::*;
    use crate::testing::refusing_worker;
    use crate::worker::WorkerSnapshot;

    fn egress(checks_proxies: bool, pools: &[&str]) -> Option<EgressFacts> {
        let proxies = pools.iter().map(|pool| (*pool).to_owned()).collect();
        Some(EgressFacts { proxies, checks_proxies, ..EgressFacts::default() })
    }

    fn worker(name: &str, healthy: bool, egress: Option<EgressFacts>) -> WorkerHandle {
        let facts = Some(Facts { egress, ..Facts::default() });
        refusing_worker(name, WorkerSnapshot { healthy, facts, ..WorkerSnapshot::default() })
    }

    #[actix::test]
    async fn the_worker_that_suits_a_proxy_checks_it() {
        let directory = Directory::of(vec![
            worker("original", true, None),
            worker("ill", false, egress(true, &["eu", "us"])),
            worker("plain", true, egress(false, &[])),
            worker("checking", true, egress(true, &[])),
            worker("pooled", true, egress(true, &["eu"])),
            worker("mute", true, egress(false, &["us"])),
        ]);
        let checker = |proxy: Option<&str>| {
            let proxy: Option<ProxyChoice> = proxy.map(|proxy| proxy.parse().unwrap());
            directory.checker(proxy.as_ref()).map(|worker| worker.name)
        };
        for (proxy, expected) in [
            (Some("eu"), &["pooled"][..]),
            (Some("us"), &["mute"]),
            (None, &["checking", "pooled"]),
            (Some("nowhere"), &["checking", "pooled"]),
        ] {
            let found = checker(proxy).unwrap();
            assert!(expected.contains(&found.as_str()), "{proxy:?}: {found}");
        }
        let only = |worker| Directory::of(vec![worker]).checker(None).map(|worker| worker.name);
        assert_eq!(
            only(worker("plain", true, egress(false, &[]))),
            Ok("plain".to_owned()),
            "it names the setting"
        );
        let without = only(worker("original", true, None)).unwrap_err();
        assert_eq!(without.code(), "no_egress");
        assert_eq!(only(worker("ill", false, egress(true, &[]))), Err(Error::NoWorkers));
    }
}
