//! The placement of sessions with a profile: on a worker that has it.

use std::collections::HashMap;
use std::time::Duration;

use camofleet_api::error::ErrorCode;
use camofleet_api::profile::ProfileName;
use camofleet_api::request::SessionRequest;
use tokio::time::Instant;

use super::{Fleet, PlacedSession};
use crate::model::error::{Error, Result};
use crate::model::profile::{ProfileChoice, ProfileError};
use crate::worker::{WorkerHandle, keepers};

/// How long a profile is expected on a worker that was asked to make it: a create may wait in its queue, and its list is read
/// again with the next poll.
const EXPECTED_FOR: Duration = Duration::from_secs(120);

/// The workers on which profiles were requested that no worker lists yet, so that a second request for the same one does not
/// make another one elsewhere.
pub(super) type ExpectedProfiles = HashMap<ProfileName, (String, Instant)>;

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
        self.expected_profiles.retain(|_, (_, at)| at.elapsed() < EXPECTED_FOR);
        if let Some((expected, _)) = self.expected_profiles.get(&name) {
            return Ok(Some(workers.into_iter().filter(|worker| worker.name == *expected).collect()));
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
        &self,
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
            Err(ProfileError::Away { name, worker }) if worker != named.name => {
                Err(ProfileError::Away { name, worker }.into())
            }
            _ => Ok(()),
        }
    }

    /// Remembers on which worker a profile is about to be used.
    pub(super) fn expect_profile(&mut self, name: &ProfileName, worker: &str) {
        self.expected_profiles.insert(name.clone(), (worker.to_owned(), Instant::now()));
    }

    /// Takes from the answer to a create where its profile is.
    pub(super) fn learn_of_profile(&mut self, name: &ProfileName, placed: &Result<PlacedSession>) {
        match placed {
            // Another worker may have had room than the first that was tried.
            Ok(placed) => self.expect_profile(name, &placed.worker),
            // A session of another create has it, on the worker where it is expected.
            Err(error) if error.code() == ErrorCode::ProfileInUse.as_str() => {}
            Err(_) => drop(self.expected_profiles.remove(name)),
        }
    }
}
