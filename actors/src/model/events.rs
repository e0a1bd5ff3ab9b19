//! The event bus: publishes changes to subscribers, and keeps recent ones for those that resume or ask for a history.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use camofleet_api::event::{ChangeKind, HistoryEntry};
use camofleet_api::ids::{EventId, RequestId, SessionId};
use camofleet_api::session::EndReason;
use jiff::Timestamp;
use tokio::sync::broadcast;

use crate::model::identity::contradictions_text;
use crate::model::session::SessionView;

/// What happened to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was requested.
    Created,
    /// Clients can attach.
    Ready,
    /// A part broke; the session is being rebuilt.
    Restarting {
        /// The part that broke.
        cause: EndReason,
        /// The reason, in plain text.
        detail: String,
    },
    /// A client attached.
    Attached,
    /// A client disconnected.
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
    /// Its machine no longer lists it, so how it ended is unknown.
    Forgotten,
}

impl Change {
    /// Its name in the API.
    pub fn kind(&self) -> ChangeKind {
        match self {
            Self::Created => ChangeKind::Created,
            Self::Ready => ChangeKind::Ready,
            Self::Restarting { .. } => ChangeKind::Restarting,
            Self::Attached => ChangeKind::Attached,
            Self::Detached => ChangeKind::Detached,
            Self::Touched => ChangeKind::Touched,
            Self::ProxyChanged => ChangeKind::ProxyChanged,
            Self::Compared => ChangeKind::Compared,
            Self::StartUrlFailed => ChangeKind::StartUrlFailed,
            Self::Ending => ChangeKind::Ending,
            Self::Ended => ChangeKind::Ended,
            Self::Forgotten => ChangeKind::Forgotten,
        }
    }
}

/// A change of one session.
#[derive(Debug, Clone)]
pub struct SessionEvent {
    /// Its position in the order of events.
    pub id: EventId,
    /// When it was published.
    pub at: Timestamp,
    /// The worker that the session runs on.
    pub worker: String,
    /// The session after the change.
    pub view: Arc<SessionView>,
    /// What happened to it.
    pub change: Change,
    /// The request that caused it, if one did.
    pub by: Option<RequestId>,
}

/// An event as an entry of its session's history.
fn history_entry(event: &SessionEvent) -> HistoryEntry {
    let ending = event.view.ending.as_ref();
    let detail = match &event.change {
        Change::Restarting { detail, .. } => Some(detail.clone()),
        Change::ProxyChanged => {
            Some(event.view.proxy.as_ref().map_or("direct".to_owned(), ToString::to_string))
        }
        Change::Compared => event.view.contradictions.as_deref().and_then(contradictions_text),
        Change::StartUrlFailed => event.view.start_url_error.clone(),
        Change::Ended => ending.map(|ending| format!("{}: {}", ending.reason.as_str(), ending.detail)),
        _ => None,
    };
    HistoryEntry { at: event.at.into(), change: event.change.kind(), detail, request_id: event.by.clone() }
}

/// How many events a subscriber may lag behind before it has to resync, and how far back it can resume.
const BACKLOG: usize = 1024;
/// How many events of one session are kept; the oldest are dropped first.
const HISTORY: usize = 100;
/// How many histories of ended sessions are kept.
const ENDED_HISTORIES: usize = 1000;

/// The bus: bounded, and never blocked by a subscriber. Clones share it.
///
/// It is not an actor, because it has no work of its own that could fail, and so nothing to supervise. Publishers hold its
/// lock only for the time of a push.
#[derive(Clone)]
pub struct EventBus(Arc<Inner>);

struct Inner {
    subscribers: broadcast::Sender<Arc<SessionEvent>>,
    past: Mutex<Past>,
}

struct Past {
    last: EventId,
    latest: VecDeque<Arc<SessionEvent>>,
    histories: HashMap<SessionId, VecDeque<HistoryEntry>>,
    /// Sessions that have ended, in the order of their ends.
    ended: VecDeque<SessionId>,
}

impl Default for EventBus {
    fn default() -> Self {
        let past = Past {
            last: EventId { bus: fastrand::u32(..), number: 0 },
            latest: VecDeque::new(),
            histories: HashMap::new(),
            ended: VecDeque::new(),
        };
        Self(Arc::new(Inner { subscribers: broadcast::channel(BACKLOG).0, past: Mutex::new(past) }))
    }
}

impl EventBus {
    fn past(&self) -> MutexGuard<'_, Past> {
        // No change under the lock can panic halfway, so a poisoned lock is still consistent.
        self.0.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes a change of a worker's session to all subscribers, with the request that caused it, if one did.
    pub fn publish(&self, worker: &str, view: Arc<SessionView>, change: Change, by: Option<RequestId>) {
        let mut past = self.past();
        past.last.number += 1;
        let event =
            SessionEvent { id: past.last, at: Timestamp::now(), worker: worker.to_owned(), view, change, by };
        let event = Arc::new(event);
        past.remember(&event);
        // Sent under the lock, so that all subscribers receive events in the order of their ids. An error only means that
        // there are no subscribers.
        let _ = self.0.subscribers.send(event);
    }

    /// Subscribes to all events from now on.
    pub fn subscribe(&self) -> Subscription {
        Subscription(self.0.subscribers.subscribe())
    }

    /// Subscribes to all events after one that was received earlier, or from now on.
    pub fn resume(&self, after: Option<EventId>) -> Resumed {
        let past = self.past();
        let missed = after.filter(|after| after.bus == past.last.bus).and_then(|after| past.after(after));
        Resumed { position: past.last, missed, events: self.subscribe() }
    }

    /// A session's history, oldest first; `None` if the session is unknown.
    pub fn history(&self, session: SessionId) -> Option<Vec<HistoryEntry>> {
        self.past().histories.get(&session).map(|history| history.iter().cloned().collect())
    }
}

impl Past {
    fn remember(&mut self, event: &Arc<SessionEvent>) {
        if self.latest.len() == BACKLOG {
            self.latest.pop_front();
        }
        self.latest.push_back(Arc::clone(event));
        // Scripts touch every few seconds, which would crowd out everything else.
        if event.change == Change::Touched {
            return;
        }
        let id = event.view.spec.id;
        let history = self.histories.entry(id).or_default();
        if history.len() == HISTORY {
            history.pop_front();
        }
        history.push_back(history_entry(event));
        if matches!(event.change, Change::Ended | Change::Forgotten) {
            self.ended.push_back(id);
            if self.ended.len() > ENDED_HISTORIES
                && let Some(oldest) = self.ended.pop_front()
            {
                self.histories.remove(&oldest);
            }
        }
    }

    /// The events after this one; `None` if some are no longer kept, or if this one has not been published yet.
    fn after(&self, after: EventId) -> Option<Vec<Arc<SessionEvent>>> {
        let missing = usize::try_from(self.last.number.checked_sub(after.number)?).ok()?;
        let known = self.latest.len().checked_sub(missing)?;
        Some(self.latest.iter().skip(known).cloned().collect())
    }
}

/// A resumed subscription.
pub struct Resumed {
    /// The last event before [`Self::events`].
    pub position: EventId,
    /// The events that the subscriber missed; `None` if they are no longer kept, so it must read the complete state again.
    pub missed: Option<Vec<Arc<SessionEvent>>>,
    /// All events from now on.
    pub events: Subscription,
}

/// What a subscriber receives.
#[derive(Debug, Clone)]
pub enum Received {
    /// A session changed.
    Event(Arc<SessionEvent>),
    /// The subscriber was too slow and missed this many events: it must read the complete state again.
    Missed(u64),
}

/// The receiving end of a subscription.
pub struct Subscription(broadcast::Receiver<Arc<SessionEvent>>);

impl Subscription {
    /// The next event; `None` when the bus is gone.
    pub async fn next(&mut self) -> Option<Received> {
        match self.0.recv().await {
            Ok(event) => Some(Received::Event(event)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Received::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests;
