//! The placement of sessions with a profile: on a worker that has it.

use std::collections::HashMap;
use std::time::Duration;

use camofleet_api::profile::ProfileName;
use camofleet_api::request::SessionRequest;
use tokio::time::Instant;

use super::{Fleet, PlacedSession};
use crate::model::error::{Error, Result};
use crate::model::profile::{ProfileChoice, ProfileError};
use crate::worker::{WorkerHandle, keepers, shares_profiles};

/// How long a profile is expected on a worker that was asked to make it: a create may wait in its queue, and its list is read
/// again with the next poll.
const EXPECTED_FOR: Duration = Duration::from_secs(120);

/// The workers on which profiles were requested that no worker lists yet, so that a second request for the same one does not
/// make another one elsewhere.
pub(super) type ExpectedProfiles = HashMap<ProfileName, Expected>;

/// Where a profile is expected.
pub(super) struct Expected {
    worker: String,
    since: Instant,
    /// The number of the create that was the first to ask for it.
    create: u64,
}

impl Fleet {
    /// The workers that can be tried for a request with a profile; `None` if it names none.
    ///
    /// # Errors
    /// A [`ProfileError`] if nobody has it and it is not to be made, or its worker does not answer.
    pub(super) fn keepers_of_profile(
        &mut self,
        request: &SessionRequest,
    ) -> Result<Option<Vec<WorkerHandle>>> {
        let Some(ProfileChoice { name, create, .. }) = ProfileChoice::from_request(request) else {
            return Ok(None);
        };
        let workers: Vec<WorkerHandle> =
            self.names.iter().filter_map(|name| self.workers.get(name)).cloned().collect();
        if let Some(keepers) = keepers(&workers, &name)? {
            return Ok(Some(keepers));
        }
        if let Some(Expected { worker: expected, .. }) = self.expected_profile(&name) {
            let expected = expected.clone();
            return Ok(Some(workers.into_iter().filter(|worker| worker.name == expected).collect()));
        }
        if !create {
            return Err(ProfileError::NotFound { name }.into());
        }
        let keeping = |worker: &WorkerHandle| {
            worker.snapshot().facts.as_ref().is_some_and(|facts| facts.profiles.is_some())
        };
        let (able, others): (Vec<_>, Vec<_>) = workers.into_iter().partition(keeping);
        if able.is_empty() && others.iter().any(|worker| worker.snapshot().healthy) {
            return Err(Error::NoProfiles { what: "the healthy workers".into() });
        }
        Ok(Some(able))
    }

    /// Rejects a request for a profile that another worker has than the one that it names.
    pub(super) fn check_profile_is_not_elsewhere(
        &mut self,
        request: &SessionRequest,
        named: &WorkerHandle,
    ) -> Result<()> {
        let Some(name) = &request.profile else { return Ok(()) };
        let others: Vec<WorkerHandle> =
            self.names.iter().filter_map(|name| self.workers.get(name)).cloned().collect();
        match keepers(&others, name) {
            Ok(Some(keepers)) if keepers.iter().all(|keeper| keeper.name != named.name) => {
                let worker = keepers.first().map(|keeper| keeper.name.clone()).unwrap_or_default();
                Err(ProfileError::Elsewhere { name: name.clone(), worker }.into())
            }
            Ok(None) => match self.expected_profile(name) {
                Some(Expected { worker, .. }) if *worker != named.name && !shares_profiles(named) => {
                    Err(ProfileError::Elsewhere { name: name.clone(), worker: worker.clone() }.into())
                }
                _ => Ok(()),
            },
            Err(ProfileError::Away { name, worker }) if worker != named.name => {
                Err(ProfileError::Away { name, worker }.into())
            }
            _ => Ok(()),
        }
    }

    fn expected_profile(&mut self, name: &ProfileName) -> Option<&Expected> {
        self.expected_profiles.retain(|_, expected| expected.since.elapsed() < EXPECTED_FOR);
        self.expected_profiles.get(name)
    }

    /// Remembers on which worker the create with this number is about to make a profile, unless it is known where that is.
    pub(super) fn expect_profile(&mut self, name: &ProfileName, worker: &str, create: u64) {
        let is_listed = self.workers.iter().any(|(_, worker)| worker.snapshot().profiles.get(name).is_some());
        if !is_listed {
            let since = Instant::now();
            let expected = || Expected { worker: worker.to_owned(), since, create };
            self.expected_profiles.entry(name.clone()).or_insert_with(expected);
        }
    }

    /// Takes from the answer to the create with this number where its profile is.
    pub(super) fn learn_of_profile(
        &mut self,
        name: &ProfileName,
        placed: &Result<PlacedSession>,
        create: u64,
    ) {
        // What others expect is not changed by this one's failure.
        if self.expected_profiles.get(name).is_some_and(|expected| expected.create == create) {
            self.expected_profiles.remove(name);
        }
        if let Ok(placed) = placed {
            // Another worker may have had room than the first that was tried.
            self.expect_profile(name, &placed.worker, create);
        }
    }
}
