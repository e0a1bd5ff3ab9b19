//! The stream of what changes, as server-sent events: one for each listener, built from parts that all share.

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

/// How often the workers are looked at, who tell no events.
const LOOK: Duration = Duration::from_millis(200);
/// How often news of activity is told, which there can be a lot of.
const ACTIVITY: Duration = Duration::from_secs(1);

/// The longest piece that is handed to a connection at once: whatever is handed over is copied into its buffer, which a
/// listener that reads nothing keeps.
const PIECE: usize = 16 << 10;
/// How old a snapshot may be that a new listener gets, if nothing has changed since: listeners come in crowds, when a proxy
/// restarts for instance.
const SNAPSHOT_AGE: Duration = Duration::from_secs(1);

/// What all listeners of a server are told alike, made once for all of them. Cloning shares it.
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

/// The workers as a listener was last told of them.
type ToldWorkers = HashMap<String, (Arc<WorkerSnapshot>, WorkerStatus)>;

/// All that there was at a moment, as an event.
struct Snapshot {
    /// The last event before it.
    position: EventId,
    at: Instant,
    /// Whom it was written for.
    presenter: Presenter,
    event: Bytes,
    workers: ToldWorkers,
    /// The last news of activity before it.
    activity: u64,
}

/// When sessions were last used, and the event that tells what is new of it.
struct SharedActivity {
    /// Counts these events, so that a listener knows whether it has missed one.
    number: u64,
    at: Instant,
    seen: HashMap<SessionId, Timestamp>,
    /// The data of the event; empty where nothing was new.
    event: Bytes,
}

impl SharedActivity {
    /// Compares with what the snapshots say, if that is due.
    fn refresh(&mut self, directory: &Directory) -> bool {
        if self.at.elapsed() < ACTIVITY {
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

/// What a listener is sent comes from here.
#[derive(Clone)]
pub(crate) struct FeedSources {
    /// What changes about sessions.
    pub events: EventBus,
    /// The workers, which are polled: they publish no events.
    pub directory: Directory,
    /// What other listeners were sent.
    pub shared: SharedFeed,
    /// How long a stream may be silent before it gets a heartbeat.
    pub heartbeat: Duration,
}

/// One listener's stream.
pub(crate) struct Feed {
    sources: FeedSources,
    presenter: Presenter,
    events: Subscription,
    /// The last event that is told, or in the queue.
    position: EventId,
    /// What is to be sent next: bounded, for it is filled only when it is empty.
    queue: VecDeque<Bytes>,
    /// The workers as they were last looked at.
    workers: ToldWorkers,
    /// The last news of activity that it was told.
    activity: u64,
    looks: Interval,
    heartbeats: Interval,
}

impl Feed {
    pub fn open(sources: FeedSources, presenter: Presenter, headers: &HeaderMap) -> Self {
        let after =
            headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
        let following = sources.events.resume(after);
        let quiet = |period| {
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks.reset();
            ticks
        };
        let mut feed = Self {
            presenter,
            events: following.events,
            position: following.position,
            queue: VecDeque::from([Bytes::from_static(b"retry: 1000\n\n")]),
            workers: HashMap::new(),
            // Who goes on from an event may have missed any news of activity.
            activity: 0,
            looks: quiet(LOOK),
            heartbeats: quiet(sources.heartbeat),
            sources,
        };
        match following.missed {
            Some(missed) => missed.iter().for_each(|event| feed.tell(event)),
            None => feed.tell_all(),
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
                heard = self.events.next() => match heard? {
                    Received::Event(event) => self.tell(&event),
                    Received::Missed(_) => self.tell_all(),
                },
                _ = self.looks.tick() => self.look(),
                _ = self.heartbeats.tick() => {
                    self.push("heartbeat", &BTreeMap::from([("at", Time::now())]));
                }
            }
        }
    }

    fn push(&mut self, name: &str, news: &impl Serialize) {
        self.queue.push_back(event(self.position, name, &data(news)));
    }

    /// Tells everything, and goes on from there.
    fn tell_all(&mut self) {
        let following = self.sources.events.resume(None);
        let shared = self.sources.shared.snapshot.borrow().clone();
        let shared = shared.filter(|shared| {
            shared.position == following.position
                && shared.presenter == self.presenter
                && shared.at.elapsed() < SNAPSHOT_AGE
        });
        let snapshot = shared.unwrap_or_else(|| {
            let snapshot = Arc::new(Snapshot::take(&self.sources, &self.presenter, following.position));
            self.sources.shared.snapshot.send_replace(Some(Arc::clone(&snapshot)));
            snapshot
        });
        self.events = following.events;
        self.position = snapshot.position;
        self.workers.clone_from(&snapshot.workers);
        self.activity = snapshot.activity;
        self.queue.push_back(snapshot.event.clone());
    }

    fn tell(&mut self, event: &SessionEvent) {
        self.position = event.id;
        let change = SessionChange {
            change: event.change.kind(),
            at: event.at.into(),
            request_id: event.by.clone(),
            session: self.presenter.session(&event.worker, &event.view, false),
        };
        self.push("session", &change);
    }

    /// Tells what has changed about workers, and now and then which sessions were used.
    fn look(&mut self) {
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
            if before.is_none_or(|(_, told)| status.differs_from(told)) {
                self.push("worker", &status);
            }
            self.workers.insert(worker.name.clone(), (snapshot, status));
        }
        let shared = self.sources.shared.activity.clone();
        shared.send_if_modified(|activity| activity.refresh(&self.sources.directory));
        let activity = shared.borrow();
        let told = std::mem::replace(&mut self.activity, activity.number);
        match activity.number - told {
            0 => {}
            1 => self.queue.push_back(event(self.position, "activity", &activity.event)),
            // It read slowly, and missed some.
            _ => {
                let all = activity.seen.iter().map(|(id, at)| (*id, Time(*at)));
                self.queue.push_back(event(self.position, "activity", &data(&Activity(all.collect()))));
            }
        }
    }
}

impl Snapshot {
    fn take(sources: &FeedSources, presenter: &Presenter, position: EventId) -> Self {
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
        let told = snapshots.iter().zip(statuses);
        let told = told.map(|((worker, snapshot), told)| (worker.name.clone(), (Arc::clone(snapshot), told)));
        Self {
            position,
            at: Instant::now(),
            presenter: presenter.clone(),
            event,
            workers: told.collect(),
            activity,
        }
    }
}

/// The data of an event.
fn data(news: &impl Serialize) -> Bytes {
    // Maps with text keys and structs of texts and numbers always serialize.
    serde_json::to_vec(news).unwrap_or_default().into()
}

/// An event in the form of a stream.
fn event(id: EventId, name: &str, data: &[u8]) -> Bytes {
    let head = format!("id: {id}\nevent: {name}\ndata: ");
    [head.as_bytes(), data, b"\n\n"].concat().into()
}

fn last_seen<'a>(snapshots: impl Iterator<Item = &'a WorkerSnapshot>) -> HashMap<SessionId, Timestamp> {
    let views = snapshots.flat_map(|snapshot| &snapshot.sessions);
    views.map(|view| (view.spec.id, view.activity.last_seen_at())).collect()
}
