//! What `GET /events` sends, and what is told of a session's past.

use std::collections::BTreeMap;

use camofleet_actors::events::{Happened, SessionEvent};
use serde::Serialize;
use utoipa::ToSchema;

use super::session::{ControlSession, HostSession, shown};
use super::{WorkerStatus, schema};

/// A session as the role shows it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum AnySession<'a> {
    /// The control role's.
    Control(ControlSession<'a>),
    /// A host's.
    Host(HostSession<'a>),
}

/// The data of the event `snapshot`: all that there is. What a listener knew before is void.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventSnapshot<'a> {
    /// The live sessions.
    pub sessions: Vec<AnySession<'a>>,
    /// Each worker's status.
    pub workers: Vec<WorkerStatus>,
}

/// The data of the event `session`: something happened to one.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionChange<'a> {
    #[schema(schema_with = schema::change)]
    change: &'static str,
    #[schema(format = DateTime)]
    at: String,
    /// The request that caused it.
    #[schema(required)]
    request_id: Option<&'a str>,
    /// The session as it was then; after `ended` and `forgotten` it is not a live one any more.
    session: AnySession<'a>,
}

impl<'a> SessionChange<'a> {
    /// Shows an event whose session is shown like this.
    pub fn new(event: &'a SessionEvent, session: AnySession<'a>) -> Self {
        Self {
            change: event.change.as_str(),
            at: shown(event.at),
            request_id: event.by.as_ref().map(|by| by.as_str()),
            session,
        }
    }
}

/// The data of the event `activity`: when sessions were last used, by their ids. It comes once a second at most, with
/// those for which it has changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Activity(pub BTreeMap<String, String>);

/// Something in a session's past.
#[derive(Debug, Serialize, ToSchema)]
pub struct HistoryEntry {
    #[schema(format = DateTime)]
    at: String,
    #[schema(schema_with = schema::change)]
    change: &'static str,
    /// More on it, for people.
    #[schema(required)]
    detail: Option<String>,
    /// The request that caused it.
    #[schema(required)]
    request_id: Option<String>,
}

impl From<Happened> for HistoryEntry {
    fn from(happened: Happened) -> Self {
        Self {
            at: shown(happened.at),
            change: happened.change.as_str(),
            detail: happened.detail,
            request_id: happened.by.map(|by| by.to_string()),
        }
    }
}
