//! The event bus: what changed, to whoever listens, and what happened lately, for those who come later.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use camofleet_api::event::{ChangeKind, HistoryEntry};
use camofleet_api::ids::{EventId, RequestId, SessionId};
use camofleet_api::session::EndReason;
use jiff::Timestamp;
use tokio::sync::broadcast;

use crate::model::session::SessionView;

/// What happened to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was asked for.
    Created,
    /// Clients can attach.
    Ready,
    /// A part broke; it is being built anew.
    Restarting {
        /// What broke.
        cause: EndReason,
        /// The same for people.
        detail: String,
    },
    /// A client attached.
    Attached,
    /// A client left.
    Detached,
    /// It was told that it is still wanted.
    Touched,
    /// Its start URL could not be opened.
    StartUrlFailed,
    /// It is being taken down.
    Ending,
    /// Nothing is left of it.
    Ended,
    /// Its machine no longer shows it, and nobody knows how it ended.
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
    /// Its place in the order of events.
    pub id: EventId,
    /// When it was told.
    pub at: Timestamp,
    /// The worker that the session runs on.
    pub worker: String,
    /// The session as it was then.
    pub view: Arc<SessionView>,
    /// What happened to it.
    pub change: Change,
    /// The request that caused it, if one did.
    pub by: Option<RequestId>,
}

/// What remains of an event in its session's history.
fn history_entry(event: &SessionEvent) -> HistoryEntry {
    let ending = event.view.ending.as_ref();
    let detail = match &event.change {
        Change::Restarting { detail, .. } => Some(detail.clone()),
        Change::StartUrlFailed => event.view.start_url_error.clone(),
        Change::Ended => ending.map(|ending| format!("{}: {}", ending.reason.as_str(), ending.detail)),
        _ => None,
    };
    HistoryEntry { at: event.at.into(), change: event.change.kind(), detail, request_id: event.by.clone() }
}

/// How many events a listener may lag behind before it has to resync, and how far back one can resume.
const BACKLOG: usize = 1024;
/// How many events of one session are remembered; the oldest go first.
const HISTORY: usize = 100;
/// How many histories of ended sessions are remembered.
const ENDED_HISTORIES: usize = 1000;

/// The bus: bounded, and never waiting for a listener. Cloning shares it.
///
/// No actor: it has no work of its own that could break, so there is nothing to supervise. Its lock is held for the
/// time of a push, by whoever tells something.
#[derive(Clone)]
pub struct EventBus(Arc<Inner>);

struct Inner {
    listeners: broadcast::Sender<Arc<SessionEvent>>,
    past: Mutex<Past>,
}

struct Past {
    last: EventId,
    latest: VecDeque<Arc<SessionEvent>>,
    histories: HashMap<SessionId, VecDeque<HistoryEntry>>,
    /// Those that nothing more will happen to, in the order of their ends.
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
        Self(Arc::new(Inner { listeners: broadcast::channel(BACKLOG).0, past: Mutex::new(past) }))
    }
}

impl EventBus {
    fn past(&self) -> MutexGuard<'_, Past> {
        // Nothing that is done under the lock leaves it half done.
        self.0.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells all listeners what happened to a session of a worker, and which request caused it, if one did.
    pub fn publish(&self, worker: &str, view: Arc<SessionView>, change: Change, by: Option<RequestId>) {
        let mut past = self.past();
        past.last.number += 1;
        let event =
            SessionEvent { id: past.last, at: Timestamp::now(), worker: worker.to_owned(), view, change, by };
        let event = Arc::new(event);
        past.remember(&event);
        // Under the lock, so that all hear in the order of the ids. An error only means that nobody listens.
        let _ = self.0.listeners.send(event);
    }

    /// All events from now on.
    pub fn subscribe(&self) -> Subscription {
        Subscription(self.0.listeners.subscribe())
    }

    /// All events after one that was heard before, or from now on.
    pub fn follow(&self, after: Option<EventId>) -> Following {
        let past = self.past();
        let missed = after.filter(|after| after.bus == past.last.bus).and_then(|after| past.after(after));
        Following { position: past.last, missed, events: self.subscribe() }
    }

    /// What happened to a session, oldest first; `None` for one that nobody has heard of.
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
        // Scripts touch every few seconds: what matters would be lost among it.
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

    /// The events after this one; `None` if one of them is forgotten, or is still to come.
    fn after(&self, after: EventId) -> Option<Vec<Arc<SessionEvent>>> {
        let missing = usize::try_from(self.last.number.checked_sub(after.number)?).ok()?;
        let known = self.latest.len().checked_sub(missing)?;
        Some(self.latest.iter().skip(known).cloned().collect())
    }
}

/// A place in the events from which a listener goes on.
pub struct Following {
    /// The last event before [`Self::events`].
    pub position: EventId,
    /// What the listener has missed; `None`: too much, so it must read the whole state anew.
    pub missed: Option<Vec<Arc<SessionEvent>>>,
    /// Everything from now on.
    pub events: Subscription,
}

/// What a listener hears.
#[derive(Debug, Clone)]
pub enum Heard {
    /// Something changed.
    Event(Arc<SessionEvent>),
    /// The listener was too slow and has missed so many changes: it must read the whole state anew.
    Missed(u64),
}

/// One listener's end of the bus.
pub struct Subscription(broadcast::Receiver<Arc<SessionEvent>>);

impl Subscription {
    /// What is heard next; `None` when the bus is gone.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.0.recv().await {
            Ok(event) => Some(Heard::Event(event)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Heard::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests;
