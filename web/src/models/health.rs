//! What each role says of its health.

use std::collections::BTreeMap;

use camofleet_actors::worker::{WorkerHandle, WorkerSnapshot};
use serde::Serialize;
use utoipa::ToSchema;

use super::schema;

/// The health of a worker, a runner or a gateway.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`, or `degraded` while a check fails.
    #[schema(schema_with = schema::health_word)]
    pub status: &'static str,
    /// What runs there.
    pub version: String,
    /// What was checked, and what was seen.
    pub checks: BTreeMap<String, String>,
}

/// `ok` or its opposite.
fn word(ok: bool) -> &'static str {
    if ok { "ok" } else { "degraded" }
}

impl Health {
    /// This process' own, from the newest snapshot of the one worker in it.
    pub fn own(snapshot: &WorkerSnapshot) -> Self {
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), ..Self::of(snapshot) }
    }

    /// A worker's, from its newest snapshot.
    pub fn of(snapshot: &WorkerSnapshot) -> Self {
        let checks = snapshot.checks.iter().map(|(name, check)| (name.to_string(), check.text.clone()));
        Self { status: word(snapshot.healthy), version: snapshot.version.clone(), checks: checks.collect() }
    }
}

/// What is known of a worker: its health, or why there is none.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Detail {
    /// What it says of itself.
    Health(Health),
    /// Why it says nothing.
    Error {
        /// For people.
        error: String,
    },
}

/// One worker's status: an element of `GET /workers`.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkerStatus {
    /// What it is called in paths and requests.
    name: String,
    healthy: bool,
    detail: Detail,
    /// Whether its sessions can have live views.
    supports_vnc: bool,
}

impl WorkerStatus {
    /// Reads a worker's newest snapshot.
    pub fn new(worker: &WorkerHandle) -> Self {
        let snapshot: &WorkerSnapshot = &worker.snapshot();
        let detail = match &snapshot.unreachable {
            Some(error) => Detail::Error { error: error.clone() },
            None => Detail::Health(Health::of(snapshot)),
        };
        Self {
            name: worker.name.clone(),
            healthy: snapshot.healthy,
            detail,
            supports_vnc: snapshot.supports_vnc,
        }
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
}

impl ControlHealth {
    /// The health of a fleet of these workers.
    pub fn of(workers: Vec<WorkerStatus>) -> Self {
        Self { status: word(!workers.is_empty() && workers.iter().all(|worker| worker.healthy)), workers }
    }
}
