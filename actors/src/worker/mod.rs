//! A worker's interface to the rest of the fleet: a few messages, and a snapshot that can be read at any time.
//!
//! A worker on this machine and one on another handle the same messages, so a [`WorkerHandle`] works for both.

mod diagnostics;
mod directory;
mod drivers;
mod health;
mod local;
pub mod profiles;
#[cfg(test)]
mod tests;
mod views;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;
use camofleet_api::egress::{EgressReport, ProxyCheck};
use camofleet_api::facts::{Facts, PoolFill};
use camofleet_api::health::{Health, HealthStatus, WorkerDetail, WorkerStatus};
use camofleet_api::identity::IdentityReport;
use camofleet_api::ids::{RequestId, SessionId};
use camofleet_api::request::{ProxyCheckRequest, SessionPatch, SessionRequest};
use camofleet_api::session::Status;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::model::claim::Claimant;
use crate::model::error::{Error, Result};
use crate::model::screen::ScreenHandle;
use crate::model::session::SessionView;
use crate::profiles::ProfileList;
use crate::session::AttachmentTicket;
use crate::supervision::{ChildExited, Generation};

pub use diagnostics::DiagnosticsSettings;
pub use directory::Directory;
pub(crate) use directory::{keepers, shares_profiles};
pub use local::{LocalWorker, WorkerParts, WorkerSettings};
pub use profiles::{HandlesProfiles, ProfileHandle};

/// How many ended sessions a worker keeps.
pub const ENDED_LIMIT: usize = 200;

/// Creates a session; answered when it is READY.
#[derive(Message)]
#[rtype(result = "Result<Arc<SessionView>>")]
pub struct CreateSession {
    /// The requested session.
    pub request: SessionRequest,
    /// The id of the HTTP request that causes it.
    pub by: RequestId,
    /// The client that waits for it: if it disconnects, the session is not created, or ended again.
    pub claimant: Claimant,
}

/// Finds a session that is not in the snapshot, such as one that another control has just created.
#[derive(Message)]
#[rtype(result = "Result<Arc<SessionView>>")]
pub struct FindSession {
    /// The session.
    pub id: SessionId,
    /// The id of the HTTP request that causes it.
    pub by: RequestId,
}

/// Ends a session; answered with its status, which is DEAD when its processes have ended.
#[derive(Message)]
#[rtype(result = "Result<Status>")]
pub struct DeleteSession {
    /// The session.
    pub id: SessionId,
    /// The id of the HTTP request that causes it.
    pub by: RequestId,
}

/// Counts as activity in a session; answered with the updated session.
#[derive(Message)]
#[rtype(result = "Result<Arc<SessionView>>")]
pub struct TouchSession {
    /// The session.
    pub id: SessionId,
    /// The id of the HTTP request that causes it.
    pub by: RequestId,
}

/// Changes how a session's connections leave; answered with the updated session.
#[derive(Message)]
#[rtype(result = "Result<Arc<SessionView>>")]
pub struct ChangeSession {
    /// The session.
    pub id: SessionId,
    /// What to change.
    pub patch: SessionPatch,
    /// The id of the HTTP request that causes it.
    pub by: RequestId,
}

/// Reports what a session's browser connected to.
#[derive(Message)]
#[rtype(result = "Result<EgressReport>")]
pub struct ReportEgress {
    /// The session.
    pub id: SessionId,
    /// The id of the HTTP request that causes it.
    pub by: RequestId,
}

/// Reports the identity of a session.
#[derive(Message)]
#[rtype(result = "Result<IdentityReport>")]
pub struct ReportIdentity {
    /// The session.
    pub id: SessionId,
    /// The id of the HTTP request that causes it.
    pub by: RequestId,
}

/// Checks what sites see of connections through a proxy.
#[derive(Message)]
#[rtype(result = "Result<ProxyCheck>")]
pub struct CheckProxy {
    /// What to check.
    pub request: ProxyCheckRequest,
    /// The id of the HTTP request that causes it.
    pub by: RequestId,
    /// Whether the caller is still waiting; if not, the check ends.
    pub claimant: Claimant,
}

/// Admits a Playwright client to a session.
#[derive(Message)]
#[rtype(result = "Result<AttachmentTicket>")]
pub struct AttachClient {
    /// The session.
    pub id: SessionId,
    /// The id of the HTTP request that causes it.
    pub by: RequestId,
}

/// Takes a screenshot of a session's screen; answered with a JPEG. It does not count as activity. All requests for the
/// same screen within a second share one reading of it.
#[derive(Message)]
#[rtype(result = "Result<Bytes>")]
pub struct TakeScreenshot {
    /// The session.
    pub id: SessionId,
    /// The width in pixels, at most that of the screen; `None`: the width of the screen.
    pub width: Option<u16>,
    /// The id of the HTTP request that causes it.
    pub by: RequestId,
}

/// Makes the worker refuse new sessions, or accept them again; running sessions continue. Answered when it is in
/// effect.
#[derive(Message)]
#[rtype(result = "Result<()>")]
pub struct Drain {
    /// Whether to refuse new sessions; false accepts them again.
    pub on: bool,
    /// Whether to end the running sessions too, which continues after the answer. Ignored unless `on`.
    pub end: bool,
    /// The id of the HTTP request that causes it.
    pub by: RequestId,
}

/// Refuses new sessions and ends the running ones; answered when all processes have ended.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ShutDown;

/// One check of a health report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// False if a problem is known.
    pub ok: bool,
    /// The finding, and the remedy if there is one.
    pub text: String,
}

impl Check {
    /// A check that found no problem.
    pub fn fine(text: impl Into<String>) -> Self {
        Self { ok: true, text: text.into() }
    }
}

/// The machine of a remote worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The URL of its API, without a user name.
    pub url: String,
    /// When it last answered.
    pub last_contact: Option<Timestamp>,
}

/// The state of a worker at its last change.
#[derive(Debug, Clone, Default)]
pub struct WorkerSnapshot {
    /// Live sessions, oldest first.
    pub sessions: Vec<Arc<SessionView>>,
    /// The sessions that ended last, newest first, [`ENDED_LIMIT`] at most.
    pub ended: Vec<Arc<SessionView>>,
    /// Whether sessions can be placed on it.
    pub healthy: bool,
    /// The version of camofleet, or what a remote machine reports as its version.
    pub version: String,
    /// Its health checks by their names.
    pub checks: BTreeMap<Cow<'static, str>, Check>,
    /// Its facts; `None` while nothing is known of it.
    pub facts: Option<Facts>,
    /// The machine of a remote worker; `None` for a worker in this process.
    pub machine: Option<Machine>,
    /// Why it can't be reached at present.
    pub unreachable: Option<String>,
    /// Whether the worker does not respond, so that the sessions are the last known ones.
    pub stale: bool,
    /// Whether its sessions can have live views.
    pub supports_vnc: bool,
    /// Whether it refuses new sessions.
    pub draining: bool,
    /// Connects viewers in this process to the screen that all its sessions share; `None` if each session has its own.
    pub screen: Option<ScreenHandle>,
    /// The Playwright version of its drivers, once one has started.
    pub playwright: Option<String>,
    /// Its profiles.
    pub profiles: Arc<ProfileList>,
}

impl WorkerSnapshot {
    /// A session by its id, live ones first.
    pub fn session(&self, id: SessionId) -> Option<&Arc<SessionView>> {
        self.sessions.iter().chain(&self.ended).find(|view| view.spec.id == id)
    }

    /// Whether one more session fits, as far as is known.
    pub fn has_room(&self) -> bool {
        let capacity = self.facts.as_ref().and_then(|facts| facts.capacity);
        capacity.is_none_or(|capacity| self.sessions.len() < capacity)
    }

    /// Whether it is healthy enough for this request. Failing pools count only for sessions of their own kind.
    pub fn accepts(&self, request: &SessionRequest) -> bool {
        let by_default = || self.facts.as_ref().and_then(|facts| facts.defaults.headless).unwrap_or(false);
        let headless = !request.vnc && request.headless.unwrap_or_else(by_default);
        let has_egress = self.facts.as_ref().is_some_and(|facts| facts.egress.is_some());
        self.healthy
            && (has_egress || !request.needs_egress())
            && self.facts.as_ref().is_none_or(|facts| can_launch(&facts.pools, &self.checks, headless))
    }

    /// Whether it has the pool of proxies and the block lists that this request names, and can show its identity.
    pub fn can_fulfil(&self, request: &SessionRequest) -> bool {
        let able = self.facts.as_ref().map(|facts| facts.identity.as_slice()).unwrap_or_default();
        if request.identity.lacking(able, request.coherence).is_some() {
            return false;
        }
        if request.engine.is_some_and(|engine| engine.as_str() != engine_name(self.facts.as_ref())) {
            return false;
        }
        let Some(egress) = self.facts.as_ref().and_then(|facts| facts.egress.as_ref()) else {
            return !request.needs_egress();
        };
        let lists = request.block.as_deref().unwrap_or_default();
        egress.has_pool_of(request.proxy.as_ref())
            && lists.iter().all(|list| egress.block_lists.contains(list))
    }

    /// Its health, in the form of the API.
    pub fn health(&self) -> Health {
        let failing = self.checks.iter().filter(|(_, check)| !check.ok).map(|(name, _)| name.to_string());
        Health {
            status: HealthStatus::of(self.healthy),
            version: self.version.clone(),
            failing: failing.collect(),
            checks: self.checks.iter().map(|(name, check)| (name.to_string(), check.text.clone())).collect(),
            facts: self.facts.clone(),
            insecure: None,
        }
    }

    /// Its status under this name, in the form of the API.
    pub fn status(&self, name: &str) -> WorkerStatus {
        let detail = match &self.unreachable {
            Some(error) => WorkerDetail::Error { error: error.clone() },
            None => WorkerDetail::Health(Box::new(self.health())),
        };
        WorkerStatus {
            name: name.to_owned(),
            healthy: self.healthy,
            detail,
            supports_vnc: self.supports_vnc,
            sessions: self.sessions.len(),
            stale: self.stale,
            draining: self.draining,
            url: self.machine.as_ref().map(|machine| machine.url.clone()),
            last_contact: self.machine.as_ref().and_then(|machine| machine.last_contact).map(Into::into),
        }
    }

    /// The session whose live view has this id: it is READY, or is being restarted and keeps its view.
    pub fn session_by_vnc_id(&self, vnc_id: u16) -> Option<&Arc<SessionView>> {
        let shows = |view: &&Arc<SessionView>| view.vnc.as_ref().is_some_and(|vnc| vnc.id == Some(vnc_id));
        self.sessions
            .iter()
            .find(|view| (view.status == Status::Ready || view.is_restarting()) && shows(view))
    }
}

/// Builds a worker, at first and for each restart.
pub type WorkerBuilder = Box<dyn Fn(Recipient<ChildExited<String>>, Generation) -> WorkerHandle>;

/// The handle of a worker. Cheap to clone.
#[derive(Clone)]
pub struct WorkerHandle {
    /// Its name.
    pub name: String,
    /// Creates sessions.
    pub create: Recipient<CreateSession>,
    /// Finds sessions that are not in the snapshot.
    pub find: Recipient<FindSession>,
    /// Ends sessions.
    pub delete: Recipient<DeleteSession>,
    /// Records activity in sessions.
    pub touch: Recipient<TouchSession>,
    /// Changes sessions.
    pub change: Recipient<ChangeSession>,
    /// Reports the connections of sessions.
    pub egress: Recipient<ReportEgress>,
    /// Reports the identities of sessions.
    pub identity: Recipient<ReportIdentity>,
    /// Checks proxies.
    pub check_proxy: Recipient<CheckProxy>,
    /// Admits Playwright clients to sessions.
    pub attach: Recipient<AttachClient>,
    /// Takes screenshots of sessions.
    pub screenshot: Recipient<TakeScreenshot>,
    /// Drains the worker, and puts it back into service.
    pub drain: Recipient<Drain>,
    /// Shuts the worker down.
    pub shut_down: Recipient<ShutDown>,
    /// Manages its profiles.
    pub profiles: ProfileHandle,
    /// Its newest snapshot.
    pub snapshot: watch::Receiver<Arc<WorkerSnapshot>>,
}

impl WorkerHandle {
    /// The handle of any actor that handles a worker's messages.
    pub fn new<A>(name: String, address: Addr<A>, snapshot: watch::Receiver<Arc<WorkerSnapshot>>) -> Self
    where
        A: Actor<Context = Context<A>>
            + Handler<CreateSession>
            + Handler<FindSession>
            + Handler<DeleteSession>
            + Handler<TouchSession>
            + Handler<ChangeSession>
            + Handler<ReportEgress>
            + Handler<ReportIdentity>
            + Handler<CheckProxy>
            + Handler<AttachClient>
            + Handler<TakeScreenshot>
            + Handler<Drain>
            + Handler<ShutDown>
            + HandlesProfiles,
    {
        Self {
            profiles: ProfileHandle::new(&address),
            name,
            create: address.clone().recipient(),
            find: address.clone().recipient(),
            delete: address.clone().recipient(),
            touch: address.clone().recipient(),
            change: address.clone().recipient(),
            egress: address.clone().recipient(),
            identity: address.clone().recipient(),
            check_proxy: address.clone().recipient(),
            attach: address.clone().recipient(),
            screenshot: address.clone().recipient(),
            drain: address.clone().recipient(),
            shut_down: address.recipient(),
            snapshot,
        }
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> Arc<WorkerSnapshot> {
        Arc::clone(&self.snapshot.borrow())
    }

    /// Sends a message to the worker and waits for the result.
    ///
    /// # Errors
    /// The worker's own errors, and [`Error::Restarting`] if it is being restarted.
    pub async fn ask<M, T>(&self, recipient: &Recipient<M>, message: M) -> Result<T>
    where
        M: Message<Result = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        recipient.send(message).await.unwrap_or(Err(Error::Restarting { what: "worker" }))
    }
}

/// The name of a pool's health check.
fn pool_check(name: &str) -> String {
    format!("pool_{name}")
}

/// Whether browsers with or without a window can be launched, as far as the pools show: not if each pool that keeps such
/// browsers fails.
fn can_launch(
    pools: &BTreeMap<String, PoolFill>,
    checks: &BTreeMap<Cow<'static, str>, Check>,
    headless: bool,
) -> bool {
    let keeps = |name: &str, fill: &PoolFill| fill.headless.unwrap_or(name == "headless") == headless;
    let fails = |name: &str| checks.get(pool_check(name).as_str()).is_some_and(|check| !check.ok);
    let (mut fine, mut failing) = (0, 0);
    for (name, fill) in pools {
        if keeps(name, fill) {
            *(if fails(name) { &mut failing } else { &mut fine }) += 1;
        }
    }
    failing == 0 || fine > 0
}

/// The name of a worker's engine. The original, which reports no facts, has Camoufox.
pub(crate) fn engine_name(facts: Option<&Facts>) -> &str {
    match facts {
        Some(facts) => facts.engine.as_ref().map_or("not known yet", |engine| engine.name.as_str()),
        None => "camoufox",
    }
}
