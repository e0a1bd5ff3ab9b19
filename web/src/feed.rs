//! The stream of changes as server-sent events, one for each listener, built from data that all listeners share.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::HeaderMap;
use bytes::Bytes;
use camofleet_actors::model::events::{EventBus, Received, SessionEvent, Subscription};
use camofleet_actors::worker::{Directory, WorkerHandle, WorkerSnapshot};
use camofleet_api::Time;
use camofleet_api::event::{Activity, EventSnapshot, SessionChange};
use camofleet_api::health::WorkerStatus;
use camofleet_api::ids::{EventId, SessionId};
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::presenter::Presenter;

/// The interval at which workers' snapshots are polled, because workers publish no events.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// The interval of activity events, which bounds their number.
const ACTIVITY_INTERVAL: Duration = Duration::from_secs(1);

/// The largest piece that is passed to a connection at once. Each piece is copied into the connection's buffer, which stays
/// allocated while a listener reads nothing.
const PIECE: usize = 16 << 10;
/// How old a shared snapshot may be for a new listener, if nothing has changed since. Many listeners may connect at once,
/// for instance when a proxy restarts.
const SNAPSHOT_AGE: Duration = Duration::from_secs(1);

/// Data that is the same for all listeners of a server, built once. Clones share it.
#[derive(Clone)]
pub struct SharedFeed {
    snapshot: Arc<watch::Sender<Option<Arc<Snapshot>>>>,
    activity: Arc<watch::Sender<SharedActivity>>,
}

impl Default for SharedFeed {
    fn default() -> Self {
        let activity =
            SharedActivity { number: 0, at: Instant::now(), seen: HashMap::new(), event: Bytes::new() };
        Self { snapshot: Arc::default(), activity: Arc::new(watch::Sender::new(activity)) }
    }
}

/// The workers as a listener last received them.
type SentWorkers = HashMap<String, (Arc<WorkerSnapshot>, WorkerStatus)>;

/// A snapshot of the complete state, as an event.
struct Snapshot {
    /// The id of the last event before it.
    position: EventId,
    at: Instant,
    /// The presenter that wrote it.
    presenter: Presenter,
    event: Bytes,
    workers: SentWorkers,
    /// The number of the last activity event before it.
    activity: u64,
}

/// When sessions were last used, and the latest activity event.
struct SharedActivity {
    /// Counts activity events, so that a listener notices whether it has missed one.
    number: u64,
    at: Instant,
    seen: HashMap<SessionId, Timestamp>,
    /// The data of the event; empty if nothing was new.
    event: Bytes,
}

impl SharedActivity {
    /// Compares with the current snapshots if the interval is over; returns whether there is a new event.
    fn refresh(&mut self, directory: &Directory) -> bool {
        if self.at.elapsed() < ACTIVITY_INTERVAL {
            return false;
        }
        self.at = Instant::now();
        let snapshots: Vec<_> = directory.workers().iter().map(WorkerHandle::snapshot).collect();
        let seen = last_seen(snapshots.iter().map(AsRef::as_ref));
        let news = seen.iter().filter(|(id, at)| self.seen.get(id) != Some(at));
        let news = Activity(news.map(|(id, at)| (*id, Time(*at))).collect());
        self.event = if news.0.is_empty() { Bytes::new() } else { data(&news) };
        self.number += u64::from(!news.0.is_empty());
        self.seen = seen;
        !news.0.is_empty()
    }
}

/// The sources of a feed.
#[derive(Clone)]
pub(crate) struct FeedSources {
    /// Changes of sessions.
    pub events: EventBus,
    /// The workers, whose snapshots are polled.
    pub directory: Directory,
    /// Data that is shared with other listeners.
    pub shared: SharedFeed,
    /// How long a stream may be silent before a heartbeat is sent.
    pub heartbeat: Duration,
}

/// One listener's stream.
pub(crate) struct Feed {
    sources: FeedSources,
    presenter: Presenter,
    events: Subscription,
    /// The id of the last event that was sent or queued.
    position: EventId,
    /// Events to send: bounded, because it is filled only when it is empty.
    queue: VecDeque<Bytes>,
    /// The workers as they were last sent.
    workers: SentWorkers,
    /// The number of the last activity event that was sent.
    activity: u64,
    polls: Interval,
    heartbeats: Interval,
}

impl Feed {
    pub fn open(sources: FeedSources, presenter: Presenter, headers: &HeaderMap) -> Self {
        let after =
            headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
        let resumed = sources.events.resume(after);
        let quiet = |period| {
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks.reset();
            ticks
        };
        let mut feed = Self {
            presenter,
            events: resumed.events,
            position: resumed.position,
            queue: VecDeque::from([Bytes::from_static(b"retry: 1000\n\n")]),
            workers: HashMap::new(),
            // A listener that resumes may have missed any activity event.
            activity: 0,
            polls: quiet(POLL_INTERVAL),
            heartbeats: quiet(sources.heartbeat),
            sources,
        };
        match resumed.missed {
            Some(missed) => missed.iter().for_each(|event| feed.push_change(event)),
            None => feed.push_snapshot(),
        }
        feed
    }

    /// The next piece for the listener.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(next) = self.queue.front_mut() {
                let piece = next.split_to(next.len().min(PIECE));
                if next.is_empty() {
                    self.queue.pop_front();
                }
                self.heartbeats.reset();
                return Some(piece);
            }
            tokio::select! {
                received = self.events.next() => match received? {
                    Received::Event(event) => self.push_change(&event),
                    Received::Missed(_) => self.push_snapshot(),
                },
                _ = self.polls.tick() => self.poll_workers(),
                _ = self.heartbeats.tick() => {
                    self.push("heartbeat", &BTreeMap::from([("at", Time::now())]));
                }
            }
        }
    }

    fn push(&mut self, name: &str, news: &impl Serialize) {
        self.queue.push_back(event(self.position, name, &data(news)));
    }

    /// Queues a snapshot, and continues from its position.
    fn push_snapshot(&mut self) {
        let resumed = self.sources.events.resume(None);
        let shared = self.sources.shared.snapshot.borrow().clone();
        let shared = shared.filter(|shared| {
            shared.position == resumed.position
                && shared.presenter == self.presenter
                && shared.at.elapsed() < SNAPSHOT_AGE
        });
        let snapshot = shared.unwrap_or_else(|| {
            let snapshot = Arc::new(Snapshot::new(&self.sources, &self.presenter, resumed.position));
            self.sources.shared.snapshot.send_replace(Some(Arc::clone(&snapshot)));
            snapshot
        });
        self.events = resumed.events;
        self.position = snapshot.position;
        self.workers.clone_from(&snapshot.workers);
        self.activity = snapshot.activity;
        self.queue.push_back(snapshot.event.clone());
    }

    fn push_change(&mut self, event: &SessionEvent) {
        self.position = event.id;
        let change = SessionChange {
            change: event.change.kind(),
            at: event.at.into(),
            request_id: event.by.clone(),
            session: self.presenter.session(&event.worker, &event.view, false),
        };
        self.push("session", &change);
    }

    /// Queues changes of workers and, at its interval, activity of sessions.
    fn poll_workers(&mut self) {
        let workers = self.sources.directory.workers();
        let known = |worker: &WorkerHandle| self.workers.contains_key(&worker.name);
        if self.workers.len() != workers.len() || !workers.iter().all(known) {
            let names: Vec<&str> = workers.iter().map(|worker| worker.name.as_str()).collect();
            self.workers.retain(|name, _| names.contains(&name.as_str()));
            self.push("workers", &names);
        }
        for worker in workers.iter() {
            let snapshot = worker.snapshot();
            let before = self.workers.get(&worker.name);
            if before.is_some_and(|(before, _)| Arc::ptr_eq(before, &snapshot)) {
                continue;
            }
            let status = snapshot.status(&worker.name);
            if before.is_none_or(|(_, sent)| status.differs_from(sent)) {
                self.push("worker", &status);
            }
            self.workers.insert(worker.name.clone(), (snapshot, status));
        }
        let shared = self.sources.shared.activity.clone();
        shared.send_if_modified(|activity| activity.refresh(&self.sources.directory));
        let activity = shared.borrow();
        let sent = std::mem::replace(&mut self.activity, activity.number);
        match activity.number - sent {
            0 => {}
            1 => self.queue.push_back(event(self.position, "activity", &activity.event)),
            // It read slowly and missed some, so it gets all times again.
            _ => {
                let all = activity.seen.iter().map(|(id, at)| (*id, Time(*at)));
                self.queue.push_back(event(self.position, "activity", &data(&Activity(all.collect()))));
            }
        }
    }
}

impl Snapshot {
    fn new(sources: &FeedSources, presenter: &Presenter, position: EventId) -> Self {
        let activity = sources.shared.activity.borrow().number;
        let workers = sources.directory.workers();
        let snapshots: Vec<_> = workers.iter().map(|worker| (worker, worker.snapshot())).collect();
        let statuses: Vec<_> =
            snapshots.iter().map(|(worker, snapshot)| snapshot.status(&worker.name)).collect();
        let sessions = snapshots.iter().flat_map(|(worker, snapshot)| {
            let views = snapshot.sessions.iter();
            views.map(|view| presenter.session(&worker.name, view, snapshot.stale))
        });
        let all = EventSnapshot { sessions: sessions.collect(), workers: statuses.clone() };
        let event = event(position, "snapshot", &data(&all));
        let sent = snapshots.iter().zip(statuses);
        let sent = sent.map(|((worker, snapshot), sent)| (worker.name.clone(), (Arc::clone(snapshot), sent)));
        Self {
            position,
            at: Instant::now(),
            presenter: presenter.clone(),
            event,
            workers: sent.collect(),
            activity,
        }
    }
}

/// The data of an event.
fn data(news: &impl Serialize) -> Bytes {
    // Maps with text keys and structs of texts and numbers can always be serialized.
    serde_json::to_vec(news).unwrap_or_default().into()
}

/// Formats a server-sent event.
fn event(id: EventId, name: &str, data: &[u8]) -> Bytes {
    let head = format!("id: {id}\nevent: {name}\ndata: ");
    [head.as_bytes(), data, b"\n\n"].concat().into()
}

fn last_seen<'a>(snapshots: impl Iterator<Item = &'a WorkerSnapshot>) -> HashMap<SessionId, Timestamp> {
    let views = snapshots.flat_map(|snapshot| &snapshot.sessions);
    views.map(|view| (view.spec.id, view.activity.last_seen_at())).collect()
}
