//! The events of `GET /events`, and a session's history.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Time;
use crate::health::WorkerStatus;
use crate::ids::RequestId;
use crate::session::Session;

/// What happened to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It was requested.
    Created,
    /// Clients can attach.
    Ready,
    /// A part broke; the session is being rebuilt.
    Restarting,
    /// A client attached.
    Attached,
    /// A client left.
    Detached,
    /// Its idle timer was reset by a touch request.
    Touched,
    /// Its connections leave another way.
    ProxyChanged,
    /// Its identity was compared with the place where its connections leave.
    Compared,
    /// Its start URL could not be opened.
    StartUrlFailed,
    /// It is being shut down.
    Ending,
    /// It has ended, and its processes and files are gone.
    Ended,
    /// Its worker no longer lists it, so how it ended is unknown.
    Forgotten,
}

/// The data of the event `snapshot`: the complete state, which replaces everything the subscriber knew before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventSnapshot {
    /// The live sessions.
    pub sessions: Vec<Session>,
    /// Each worker's status.
    pub workers: Vec<WorkerStatus>,
}

/// The data of the event `session`: one session changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionChange {
    /// What happened.
    pub change: ChangeKind,
    /// When.
    pub at: Time,
    /// The request that caused it.
    #[schema(required)]
    pub request_id: Option<RequestId>,
    /// The session after the change; with `ended` and `forgotten` it is no longer live.
    pub session: Session,
}

/// The data of the event `activity`: the time of last use by session id, for the sessions where it changed. Sent at most
/// once a second.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Activity(pub BTreeMap<Uuid, Time>);

/// An entry of a session's history, as listed by `GET /sessions/…/events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryEntry {
    /// When.
    pub at: Time,
    /// What happened.
    pub change: ChangeKind,
    /// Details in plain text.
    #[schema(required)]
    pub detail: Option<String>,
    /// The request that caused it.
    #[schema(required)]
    pub request_id: Option<RequestId>,
}
