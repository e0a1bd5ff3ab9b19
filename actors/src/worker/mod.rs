//! What a worker is to the rest of the fleet: a few messages, and a snapshot that is always at hand.
//!
//! A worker on this machine and one on another answer the same messages; whoever holds a [`WorkerHandle`] can't tell
//! which it talks to.

mod diagnostics;
mod directory;
mod drivers;
mod health;
mod local;
#[cfg(test)]
mod tests;
mod views;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;
use camofleet_api::facts::Facts;
use camofleet_api::health::{Health, HealthStatus, WorkerDetail, WorkerStatus};
use camofleet_api::ids::{RequestId, SessionId};
use camofleet_api::request::SessionRequest;
use camofleet_api::session::Status;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::launch::prewarm::PoolKind;
use crate::model::claim::Claimant;
use crate::model::error::{Error, Result};
use crate::model::screen::ScreenHandle;
use crate::model::session::SessionView;
use crate::session::AttachmentTicket;
use crate::supervision::{ChildExited, Generation};

pub use diagnostics::DiagnosticsSettings;
pub use directory::Directory;
pub use local::{LocalWorker, WorkerParts, WorkerSettings};

/// How many ended sessions a worker remembers.
pub const ENDED_LIMIT: usize = 200;

/// Builds a session; answered when it is READY.
#[derive(Message)]
#[rtype(result = "Result<Arc<SessionView>>")]
pub struct CreateSession {
    /// What is wanted.
    pub request: SessionRequest,
    /// On whose behalf.
    pub by: RequestId,
    /// Who waits for it: what nobody waits for any more is not built, and is ended if it was.
    pub claimant: Claimant,
}

/// Finds a session that the snapshot does not show: one that another control created a moment ago, for instance.
#[derive(Message)]
#[rtype(result = "Result<Arc<SessionView>>")]
pub struct FindSession {
    /// Which one.
    pub id: SessionId,
    /// On whose behalf.
    pub by: RequestId,
}

/// Ends a session; answered with its status, DEAD when nothing is left of it.
#[derive(Message)]
#[rtype(result = "Result<Status>")]
pub struct DeleteSession {
    /// Which one.
    pub id: SessionId,
    /// On whose behalf.
    pub by: RequestId,
}

/// Counts as activity in a session; answered with the session as it is then.
#[derive(Message)]
#[rtype(result = "Result<Arc<SessionView>>")]
pub struct TouchSession {
    /// Which one.
    pub id: SessionId,
    /// On whose behalf.
    pub by: RequestId,
}

/// Admits a Playwright client to a session.
#[derive(Message)]
#[rtype(result = "Result<AttachmentTicket>")]
pub struct AttachClient {
    /// Which one.
    pub id: SessionId,
    /// On whose behalf.
    pub by: RequestId,
}

/// Takes a picture of a session's screen; answered with a JPEG. It is no activity in the session. One picture of a screen
/// serves everybody who asks within a second.
#[derive(Message)]
#[rtype(result = "Result<Bytes>")]
pub struct TakeScreenshot {
    /// Which one.
    pub id: SessionId,
    /// How wide it is to be; it is never wider than the screen, and as wide when this is `None`.
    pub width: Option<u16>,
    /// On whose behalf.
    pub by: RequestId,
}

/// Takes no more sessions from now on, or takes them again; those that run go on. Answered when it is so.
#[derive(Message)]
#[rtype(result = "Result<()>")]
pub struct Drain {
    /// False takes sessions again.
    pub on: bool,
    /// Whether those that run are ended as well, which goes on after the answer. Means nothing unless `on`.
    pub end: bool,
    /// On whose behalf.
    pub by: RequestId,
}

/// Takes no more sessions and ends those that run; answered when nothing is left.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ShutDown;

/// One line of a health report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// False where it is known to be not as it should be.
    pub ok: bool,
    /// What was seen, and the remedy where there is one.
    pub text: String,
}

impl Check {
    /// A check that found nothing wrong.
    pub fn fine(text: impl Into<String>) -> Self {
        Self { ok: true, text: text.into() }
    }
}

/// The other machine that a worker is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Where its API is, without a user's name.
    pub url: String,
    /// When it last answered.
    pub last_contact: Option<Timestamp>,
}

/// A worker as it was when something last changed.
#[derive(Debug, Clone, Default)]
pub struct WorkerSnapshot {
    /// Live sessions, oldest first.
    pub sessions: Vec<Arc<SessionView>>,
    /// The sessions that ended last, newest first, [`ENDED_LIMIT`] at most.
    pub ended: Vec<Arc<SessionView>>,
    /// Whether sessions can be placed on it.
    pub healthy: bool,
    /// What it runs: camofleet's version, or what another machine says.
    pub version: String,
    /// Its health, by the name of what was checked.
    pub checks: BTreeMap<Cow<'static, str>, Check>,
    /// What it is and has; `None` while nothing is known of it.
    pub facts: Option<Facts>,
    /// Where it is; `None` is this process.
    pub machine: Option<Machine>,
    /// Why nothing is known of it at present.
    pub unreachable: Option<String>,
    /// The sessions are those that were last known of it, and it does not answer.
    pub stale: bool,
    /// Whether it can have live views.
    pub supports_vnc: bool,
    /// Whether it takes no more sessions.
    pub draining: bool,
    /// Leads viewers of this process to the one screen that all its sessions share; `None` where each has its own.
    pub screen: Option<ScreenHandle>,
    /// Playwright's version in its drivers, once one is up.
    pub playwright: Option<String>,
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

    /// Whether it takes a session like this one: what is wrong with browsers of the other kind is no matter of it.
    pub fn takes(&self, request: &SessionRequest) -> bool {
        let by_default = || self.facts.as_ref().and_then(|facts| facts.defaults.headless).unwrap_or(false);
        let headless = !request.vnc && request.headless.unwrap_or_else(by_default);
        let pool = pool_check(if headless { PoolKind::Headless } else { PoolKind::Vnc });
        self.healthy && self.checks.get(pool).is_none_or(|check| check.ok)
    }

    /// Its health, as the API writes it.
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

    /// Its status under this name, as the API writes it.
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

    /// The live session whose view has this id.
    pub fn session_by_vnc_id(&self, vnc_id: u16) -> Option<&Arc<SessionView>> {
        let shows = |view: &&Arc<SessionView>| view.vnc.as_ref().is_some_and(|vnc| vnc.id == Some(vnc_id));
        self.sessions.iter().find(|view| view.status == Status::Ready && shows(view))
    }
}

/// Builds a worker in each of its lives.
pub type WorkerBuilder = Box<dyn Fn(Recipient<ChildExited<String>>, Generation) -> WorkerHandle>;

/// Reaches one worker. Cheap to clone.
#[derive(Clone)]
pub struct WorkerHandle {
    /// Its name.
    pub name: String,
    /// Builds sessions.
    pub create: Recipient<CreateSession>,
    /// Finds those that are not in the snapshot.
    pub find: Recipient<FindSession>,
    /// Ends them.
    pub delete: Recipient<DeleteSession>,
    /// Keeps them alive.
    pub touch: Recipient<TouchSession>,
    /// Admits clients to them.
    pub attach: Recipient<AttachClient>,
    /// Takes pictures of their screens.
    pub screenshot: Recipient<TakeScreenshot>,
    /// Takes it out of service, and back.
    pub drain: Recipient<Drain>,
    /// Ends the worker.
    pub shut_down: Recipient<ShutDown>,
    /// Its newest snapshot.
    pub snapshot: watch::Receiver<Arc<WorkerSnapshot>>,
}

impl WorkerHandle {
    /// The handle of any actor that answers a worker's messages.
    pub fn new<A>(name: String, address: Addr<A>, snapshot: watch::Receiver<Arc<WorkerSnapshot>>) -> Self
    where
        A: Actor<Context = Context<A>>
            + Handler<CreateSession>
            + Handler<FindSession>
            + Handler<DeleteSession>
            + Handler<TouchSession>
            + Handler<AttachClient>
            + Handler<TakeScreenshot>
            + Handler<Drain>
            + Handler<ShutDown>,
    {
        Self {
            name,
            create: address.clone().recipient(),
            find: address.clone().recipient(),
            delete: address.clone().recipient(),
            touch: address.clone().recipient(),
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

    /// Asks the worker; its being restarted at this moment is an error like any other.
    ///
    /// # Errors
    /// The worker's own, and [`Error::Restarting`].
    pub async fn ask<M, T>(&self, recipient: &Recipient<M>, message: M) -> Result<T>
    where
        M: Message<Result = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        recipient.send(message).await.unwrap_or(Err(Error::Restarting { what: "worker" }))
    }
}

/// The name of a pool's health check.
fn pool_check(kind: PoolKind) -> &'static str {
    match kind {
        PoolKind::Headless => "pool_headless",
        PoolKind::Vnc => "pool_vnc",
    }
}
