//! What `GET /events` sends, and a session's history.

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
    /// It was touched: its idle time begins again.
    Touched,
    /// Its start URL could not be opened.
    StartUrlFailed,
    /// It is being shut down.
    Ending,
    /// Nothing is left of it.
    Ended,
    /// Its machine no longer shows it, and nobody knows how it ended.
    Forgotten,
}

/// The data of the event `snapshot`: all that there is. What a listener knew before is void.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventSnapshot {
    /// The live sessions.
    pub sessions: Vec<Session>,
    /// Each worker's status.
    pub workers: Vec<WorkerStatus>,
}

/// The data of the event `session`: something happened to one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionChange {
    /// What happened.
    pub change: ChangeKind,
    /// When.
    pub at: Time,
    /// The request that caused it.
    #[schema(required)]
    pub request_id: Option<RequestId>,
    /// The session as it was then; after `ended` and `forgotten` it is not a live one any more.
    pub session: Session,
}

/// The data of the event `activity`: when sessions were last used, by their ids. It is sent once a second at most, with
/// those for which it has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Activity(pub BTreeMap<Uuid, Time>);

/// Something in a session's past: an element of `GET /sessions/…/events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryEntry {
    /// When.
    pub at: Time,
    /// What happened.
    pub change: ChangeKind,
    /// More on it, for people.
    #[schema(required)]
    pub detail: Option<String>,
    /// The request that caused it.
    #[schema(required)]
    pub request_id: Option<RequestId>,
}
