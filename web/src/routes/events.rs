//! `GET /events`: what changes, as server-sent events; and a session's past.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use camofleet_actors::Error;
use camofleet_actors::events::{Change, EventId, Heard, SessionEvent, Subscription};
use camofleet_actors::session::{SessionId, SessionView};
use camofleet_actors::worker::{WorkerHandle, WorkerSnapshot};
use futures_util::stream;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::refusals::SessionRefusals;
use super::{authority, find_worker, host_sessions, session_id};
use crate::app::{AppState, Surface};
use crate::error::ApiError;
use crate::models::{
    Activity, AnySession, ControlSession, EventSnapshot, HistoryEntry, SessionChange, WorkerStatus,
};

/// How often the workers are looked at, who tell no events.
const LOOK: Duration = Duration::from_millis(200);
/// How often news of activity is told, which there can be a lot of.
const ACTIVITY: Duration = Duration::from_secs(1);

/// `GET /events` of the control role.
#[utoipa::path(
    get,
    path = "/events",
    operation_id = "events",
    summary = "Follow what changes (server-sent events)",
    description = "The first event is a `snapshot` (EventSnapshot). After it come `session` (SessionChange), `worker` \
        (WorkerStatus), `workers` (the names of all there are, when one has come or gone) and `activity` (Activity), and a \
        `heartbeat` while there is nothing else. Who names the last id \
        that it has seen in `Last-Event-ID` gets what came after it instead of the snapshot, if that is still known. A \
        listener that is too slow gets another snapshot.",
    tag = "fleet",
    params(("Last-Event-ID" = Option<String>, Header, description = "Where to go on")),
    responses((status = 200, description = "Goes on until the caller leaves", content_type = "text/event-stream", body = String))
)]
pub(super) async fn follow(state: web::Data<AppState>, request: HttpRequest) -> HttpResponse {
    let feed = Feed::open(state.get_ref().clone(), request.headers());
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-cache"))
        // nginx would hold small pieces back.
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(stream::unfold(feed, |mut feed| async move {
            let piece = feed.next().await?;
            Some((Ok::<_, actix_web::Error>(piece), feed))
        }))
}

/// One listener's stream.
struct Feed {
    state: AppState,
    authority: String,
    events: Subscription,
    /// The last event that is told, or in the queue.
    position: EventId,
    /// What is to be sent next: bounded, for it is filled only when it is empty.
    queue: VecDeque<Bytes>,
    /// The workers as they were last looked at.
    workers: HashMap<String, (Arc<WorkerSnapshot>, WorkerStatus)>,
    /// When sessions were last used, as was last told.
    seen: HashMap<SessionId, Timestamp>,
    looks: Interval,
    next_activity: Instant,
    heartbeats: Interval,
}

impl Feed {
    fn open(state: AppState, headers: &HeaderMap) -> Self {
        let after =
            headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
        let following = state.events.follow(after);
        let quiet = |period| {
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks.reset();
            ticks
        };
        let mut feed = Self {
            authority: authority(&state, headers),
            events: following.events,
            position: following.position,
            queue: VecDeque::from([Bytes::from_static(b"retry: 1000\n\n")]),
            workers: HashMap::new(),
            seen: HashMap::new(),
            looks: quiet(LOOK),
            next_activity: Instant::now() + ACTIVITY,
            heartbeats: quiet(state.settings.ping_interval),
            state,
        };
        match following.missed {
            Some(missed) => missed.iter().for_each(|event| feed.tell(event)),
            None => feed.tell_all(),
        }
        feed
    }

    /// The next piece for the listener.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.queue.pop_front() {
                self.heartbeats.reset();
                return Some(piece);
            }
            tokio::select! {
                heard = self.events.next() => match heard? {
                    Heard::Event(event) => self.tell(&event),
                    Heard::Missed(_) => {
                        let following = self.state.events.follow(None);
                        (self.events, self.position) = (following.events, following.position);
                        self.tell_all();
                    }
                },
                _ = self.looks.tick() => self.look(),
                _ = self.heartbeats.tick() => {
                    self.push("heartbeat", &BTreeMap::from([("at", format!("{:.3}", Timestamp::now()))]));
                }
            }
        }
    }

    fn push(&mut self, name: &str, data: &impl Serialize) {
        // Maps with text keys and structs of texts and numbers always serialize.
        let data = serde_json::to_string(data).unwrap_or_default();
        let id = self.position;
        self.queue.push_back(format!("id: {id}\nevent: {name}\ndata: {data}\n\n").into());
    }

    fn tell_all(&mut self) {
        let state = self.state.clone();
        let workers = state.directory.workers();
        let snapshots: Vec<_> = workers.iter().map(|worker| (worker, worker.snapshot())).collect();
        let statuses: Vec<_> =
            snapshots.iter().map(|(worker, snapshot)| WorkerStatus::new(&worker.name, snapshot)).collect();
        let sessions = snapshots.iter().flat_map(|(worker, snapshot)| {
            let views = snapshot.sessions.iter();
            views.map(|view| show(&state, &self.authority, &worker.name, view, snapshot.stale))
        });
        let all = EventSnapshot { sessions: sessions.collect(), workers: statuses.clone() };
        self.seen = last_seen(snapshots.iter().map(|(_, snapshot)| snapshot.as_ref()));
        self.workers = snapshots
            .iter()
            .zip(statuses)
            .map(|((worker, snapshot), told)| (worker.name.clone(), (Arc::clone(snapshot), told)))
            .collect();
        self.push("snapshot", &all);
    }

    fn tell(&mut self, event: &SessionEvent) {
        self.position = event.id;
        let view = &event.view;
        match event.change {
            Change::Ended | Change::Forgotten => self.seen.remove(&view.spec.id),
            _ => self.seen.insert(view.spec.id, view.activity.last_seen_at()),
        };
        let (state, authority) = (self.state.clone(), self.authority.clone());
        let session = show(&state, &authority, &event.worker, view, false);
        self.push("session", &SessionChange::new(event, session));
    }

    /// Tells what has changed about workers, and now and then which sessions were used.
    fn look(&mut self) {
        let workers = self.state.directory.workers();
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
            let status = WorkerStatus::new(&worker.name, &snapshot);
            if before.is_none_or(|(_, told)| status.is_news_after(told)) {
                self.push("worker", &status);
            }
            self.workers.insert(worker.name.clone(), (snapshot, status));
        }
        if Instant::now() < self.next_activity {
            return;
        }
        self.next_activity = Instant::now() + ACTIVITY;
        let seen = last_seen(self.workers.values().map(|(snapshot, _)| snapshot.as_ref()));
        let news = seen.iter().filter(|(id, at)| self.seen.get(id) != Some(at));
        let news: BTreeMap<_, _> = news.map(|(id, at)| (id.to_string(), format!("{at:.3}"))).collect();
        self.seen = seen;
        if !news.is_empty() {
            self.push("activity", &Activity(news));
        }
    }
}

fn last_seen<'a>(snapshots: impl Iterator<Item = &'a WorkerSnapshot>) -> HashMap<SessionId, Timestamp> {
    let views = snapshots.flat_map(|snapshot| &snapshot.sessions);
    views.map(|view| (view.spec.id, view.activity.last_seen_at())).collect()
}

/// A session as this role shows it.
fn show<'a>(
    state: &'a AppState,
    authority: &str,
    worker: &'a str,
    view: &'a SessionView,
    stale: bool,
) -> AnySession<'a> {
    match state.surface {
        Surface::Control => {
            let prefix = &state.settings.public_api_prefix;
            AnySession::Control(ControlSession::new(worker, view, prefix, stale))
        }
        _ => AnySession::Host(host_sessions::shown(state, authority, view, stale)),
    }
}

fn past(state: &AppState, id: &str) -> Result<HttpResponse, ApiError> {
    let history = state.events.history(session_id(id)?).ok_or(Error::SessionNotFound)?;
    Ok(HttpResponse::Ok().json(history.into_iter().map(HistoryEntry::from).collect::<Vec<_>>()))
}

/// `GET /sessions/{worker}/{id}/events`.
#[utoipa::path(
    get,
    path = "/sessions/{worker}/{id}/events",
    operation_id = "history",
    summary = "Show what happened to a session",
    tag = "sessions",
    params(("worker" = String, Path, description = "The worker's name"), ("id" = String, Path, description = "The session's id: a UUID")),
    responses((status = 200, description = "The latest of it, oldest first, touches left out", body = Vec<HistoryEntry>), SessionRefusals)
)]
pub(super) async fn control_history(
    state: web::Data<AppState>,
    place: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    find_worker(&state, Some(&place.0))?;
    past(&state, &place.1)
}

/// `GET /sessions/{id}/events`.
#[utoipa::path(
    get,
    path = "/sessions/{id}/events",
    operation_id = "history",
    summary = "Show what happened to a session",
    tag = "sessions",
    params(("id" = String, Path, description = "The session's id: a UUID")),
    responses((status = 200, description = "The latest of it, oldest first, touches left out", body = Vec<HistoryEntry>), SessionRefusals)
)]
pub(super) async fn host_history(
    state: web::Data<AppState>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    past(&state, &id)
}
