//! The list of the fleet's workers, for readers.

use std::sync::Arc;

use camofleet_api::profile::ProfileName;
use camofleet_api::proxy::ProxyChoice;
use tokio::sync::watch;

use crate::model::error::{Error, Result};
use crate::model::profile::ProfileError;
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

    /// The worker that answers requests about a profile: the one that is named, or the only one that has it. With shared
    /// storage several have it, and any of them answers.
    ///
    /// # Errors
    /// [`Error::WorkerNotFound`], [`ProfileError::NotFound`], [`ProfileError::Ambiguous`], [`ProfileError::Away`].
    pub fn keeper(&self, name: &ProfileName, worker: Option<&str>) -> Result<WorkerHandle> {
        if let Some(worker) = worker {
            return self.worker(worker);
        }
        let workers = self.workers();
        let not_found = || ProfileError::NotFound { name: name.clone() };
        let keepers = keepers(&workers, name)?.ok_or_else(not_found)?;
        Ok(keepers.into_iter().next().ok_or_else(not_found)?)
    }

    /// The worker that gets a new profile: the one that is named, or the one with the fewest.
    ///
    /// # Errors
    /// [`Error::WorkerNotFound`], [`Error::NoWorkers`], [`Error::NoProfiles`], [`ProfileError::Exists`] if a worker of the fleet
    /// has one with this name.
    pub fn keeper_of_new(&self, name: &ProfileName, worker: Option<&str>) -> Result<WorkerHandle> {
        if let Some(worker) = worker {
            return self.worker(worker);
        }
        let workers = self.workers();
        if workers.iter().any(|worker| has_profile(worker, name)) {
            return Err(ProfileError::Exists { name: name.clone() }.into());
        }
        let healthy: Vec<_> = workers.iter().filter(|worker| worker.snapshot().healthy).collect();
        let count = |worker: &&&WorkerHandle| {
            worker.snapshot().facts.as_ref().and_then(|facts| facts.profiles).map(|profiles| profiles.count)
        };
        let keeping = healthy.iter().filter(|worker| count(worker).is_some());
        match keeping.min_by_key(count) {
            Some(worker) => Ok((*worker).clone()),
            None if healthy.is_empty() => Err(Error::NoWorkers),
            None => Err(Error::NoProfiles { what: "the healthy workers".into() }),
        }
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

/// Whether a worker has a profile, as far as is known.
fn has_profile(worker: &WorkerHandle, name: &ProfileName) -> bool {
    worker.snapshot().profiles.get(name).is_some()
}

/// Whether a worker's profiles are on storage that it shares with others.
pub(crate) fn shares_profiles(worker: &WorkerHandle) -> bool {
    let facts = worker.snapshot().facts.as_ref().and_then(|facts| facts.profiles);
    facts.is_some_and(|profiles| profiles.shared)
}

/// The workers whose sessions can use a profile, `None` if nobody has it: the one that has it, or all that share its storage.
///
/// # Errors
/// [`ProfileError::Ambiguous`], [`ProfileError::Away`].
pub(crate) fn keepers(
    workers: &[WorkerHandle],
    name: &ProfileName,
) -> Result<Option<Vec<WorkerHandle>>, ProfileError> {
    let having: Vec<&WorkerHandle> = workers.iter().filter(|worker| has_profile(worker, name)).collect();
    let shares = |worker: &&WorkerHandle| shares_profiles(worker);
    let answers = |worker: &&WorkerHandle| worker.snapshot().unreachable.is_none();
    match having[..] {
        [] => Ok(None),
        _ if having.iter().any(shares) => {
            Ok(Some(workers.iter().filter(|worker| shares(worker) && answers(worker)).cloned().collect()))
        }
        [only] if answers(&only) => Ok(Some(vec![only.clone()])),
        [only, ..] if having.len() == 1 || !having.iter().any(answers) => {
            Err(ProfileError::Away { name: name.clone(), worker: only.name.clone() })
        }
        _ => Err(ProfileError::Ambiguous {
            name: name.clone(),
            workers: having.iter().map(|worker| worker.name.clone()).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use camofleet_api::facts::{EgressFacts, Facts, ProfileFacts};

    use super::*;
    use crate::profiles::ProfileList;
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

    fn keeper(name: &str, shared: Option<bool>, reachable: bool, profiles: &[&str]) -> WorkerHandle {
        let profile = |name: &&str| {
            let manifest = serde_json::json!({"name": name, "created_at": "2026-01-31T12:00:00Z"});
            Arc::new(serde_json::from_value(manifest).unwrap())
        };
        let profiles: Vec<_> = profiles.iter().map(profile).collect();
        let count = profiles.len();
        let facts = shared.map(|shared| ProfileFacts { count, shared, revision: 1 });
        refusing_worker(
            name,
            WorkerSnapshot {
                healthy: reachable,
                unreachable: (!reachable).then(|| "no answer".to_owned()),
                facts: reachable.then(|| Facts { profiles: facts, ..Facts::default() }),
                profiles: Arc::new(ProfileList { revision: 1, profiles }),
                ..WorkerSnapshot::default()
            },
        )
    }

    #[actix::test]
    async fn the_worker_that_has_a_profile_answers_for_it() {
        let directory = Directory::of(vec![
            keeper("original", None, true, &[]),
            keeper("a", Some(false), true, &["anna", "both"]),
            keeper("b", Some(false), true, &["both"]),
            keeper("away", Some(false), false, &["gone"]),
        ]);
        let name = |name: &str| ProfileName::parse(name).unwrap();
        let found = |profile: &str, worker: Option<&str>| {
            directory
                .keeper(&name(profile), worker)
                .map(|worker| worker.name)
                .map_err(|error| error.code().to_owned())
        };
        assert_eq!(found("anna", None), Ok("a".to_owned()));
        assert_eq!(found("both", None), Err("profile_ambiguous".to_owned()));
        assert_eq!(found("both", Some("b")), Ok("b".to_owned()));
        assert_eq!(found("gone", None), Err("profile_away".to_owned()));
        assert_eq!(found("nobody", None), Err("profile_not_found".to_owned()));
        assert_eq!(found("anna", Some("nowhere")), Err("worker_not_found".to_owned()));
        let new = |profile: &str| directory.keeper_of_new(&name(profile), None);
        assert_eq!(new("maria").map(|worker| worker.name), Ok("b".to_owned()), "it has the fewest");
        assert_eq!(new("gone").map(|worker| worker.name).unwrap_err().code(), "profile_exists");
        let original = Directory::of(vec![keeper("original", None, true, &[])]);
        assert_eq!(original.keeper_of_new(&name("x"), None).map(drop).unwrap_err().code(), "no_profiles");
    }

    #[actix::test]
    async fn all_that_share_the_storage_can_use_a_profile() {
        let workers = [
            keeper("a", Some(true), false, &["anna"]),
            keeper("b", Some(true), true, &["anna"]),
            // It has not read the list again yet.
            keeper("c", Some(true), true, &[]),
            keeper("own", Some(false), true, &[]),
        ];
        let keepers = keepers(&workers, &ProfileName::parse("anna").unwrap()).unwrap().unwrap();
        assert_eq!(keepers.into_iter().map(|worker| worker.name).collect::<Vec<_>>(), ["b", "c"]);
    }
}
