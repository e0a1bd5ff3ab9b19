//! What each role says of its health.

use std::collections::BTreeMap;

use camofleet_actors::worker::WorkerSnapshot;
use serde::Serialize;
use utoipa::ToSchema;

use super::session::shown;
use super::{Facts, schema};

/// The health of a worker, a runner or a gateway.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Health {
    /// `ok`, or `degraded` while a check fails.
    #[schema(schema_with = schema::health_word)]
    pub status: &'static str,
    /// What runs there.
    pub version: String,
    /// What was checked, and what was seen.
    pub checks: BTreeMap<String, String>,
    /// The names of the checks that fail; none also where a machine does not tell which.
    pub failing: Vec<String>,
    /// The same as values; null where there are none: a gateway, or a machine that does not tell.
    #[schema(required)]
    pub facts: Option<Facts>,
    /// Whether everybody who reaches it may do everything: it listens beyond loopback and asks for no token. Null of a
    /// worker that another server shows.
    #[schema(required)]
    pub insecure: Option<bool>,
}

/// `ok` or its opposite.
fn word(ok: bool) -> &'static str {
    if ok { "ok" } else { "degraded" }
}

impl Health {
    /// This process' own, from the newest snapshot of the one worker in it.
    pub fn own(snapshot: &WorkerSnapshot, insecure: bool) -> Self {
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), insecure: Some(insecure), ..Self::of(snapshot) }
    }

    /// A worker's, from its newest snapshot.
    pub fn of(snapshot: &WorkerSnapshot) -> Self {
        let checks = snapshot.checks.iter();
        let failing = checks.clone().filter(|(_, check)| !check.ok).map(|(name, _)| name.to_string());
        Self {
            status: word(snapshot.healthy),
            version: snapshot.version.clone(),
            failing: failing.collect(),
            checks: checks.map(|(name, check)| (name.to_string(), check.text.clone())).collect(),
            facts: snapshot.facts.as_ref().map(Facts::from),
            insecure: None,
        }
    }
}

/// What is known of a worker: its health, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Detail {
    /// What it says of itself.
    Health(Box<Health>),
    /// Why it says nothing.
    Error {
        /// For people.
        error: String,
    },
}

/// One worker's status: an element of `GET /workers`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct WorkerStatus {
    /// What it is called in paths and requests.
    name: String,
    healthy: bool,
    detail: Detail,
    /// Whether its sessions can have live views.
    supports_vnc: bool,
    /// How many live sessions it has.
    sessions: usize,
    /// Its sessions are those that were last known of it, and it does not answer.
    stale: bool,
    /// Whether it takes no more sessions.
    draining: bool,
    /// Where its API is; null of one in this process.
    #[schema(required)]
    url: Option<String>,
    /// When it last answered; null of one that has not yet, and of one in this process. That it has answered once more
    /// is no event by itself.
    #[schema(required, format = DateTime)]
    last_contact: Option<String>,
}

impl WorkerStatus {
    /// Reads a worker's snapshot.
    pub fn new(name: &str, snapshot: &WorkerSnapshot) -> Self {
        let detail = match &snapshot.unreachable {
            Some(error) => Detail::Error { error: error.clone() },
            None => Detail::Health(Box::new(Health::of(snapshot))),
        };
        Self {
            name: name.to_owned(),
            healthy: snapshot.healthy,
            detail,
            supports_vnc: snapshot.supports_vnc,
            sessions: snapshot.sessions.len(),
            stale: snapshot.stale,
            draining: snapshot.draining,
            url: snapshot.machine.as_ref().map(|machine| machine.url.clone()),
            last_contact: snapshot.machine.as_ref().and_then(|machine| machine.last_contact).map(shown),
        }
    }

    /// Whether it has news for who knows the status `before`: that the worker has answered once more is none.
    pub fn is_news_after(&self, before: &Self) -> bool {
        Self { last_contact: before.last_contact.clone(), ..self.clone() } != *before
    }

    /// The same for whoever may not use the fleet: whether the worker is well, without where and how it runs.
    #[must_use]
    pub fn for_strangers(mut self) -> Self {
        self.url = None;
        if let Detail::Health(health) = &mut self.detail {
            health.facts = None;
        }
        self
    }
}

/// The control role's health.
#[derive(Debug, Serialize, ToSchema)]
pub struct ControlHealth {
    /// `ok`, or `degraded` with no worker or any unhealthy one.
    #[schema(schema_with = schema::health_word)]
    pub status: &'static str,
    /// Each worker's status.
    pub workers: Vec<WorkerStatus>,
    /// Whether everybody who reaches this server may do everything: it listens beyond loopback and asks for no token.
    pub insecure: bool,
}

impl ControlHealth {
    /// The health of a fleet of these workers.
    pub fn of(workers: Vec<WorkerStatus>, insecure: bool) -> Self {
        let ok = !workers.is_empty() && workers.iter().all(|worker| worker.healthy);
        Self { status: word(ok), workers, insecure }
    }
}
