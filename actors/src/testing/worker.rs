//! Values that several tests need, and a complete worker on a fake machine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use camofleet_api::identity::Coherence;
use camofleet_api::identity_request::IdentityRequest;
use camofleet_api::ids::{RequestId, SessionId};
use camofleet_api::proxy::ProxyChoice;
use camofleet_api::request::SessionRequest;
use camofleet_api::session::{Contexts, EndReason, OnCrash, StartUrlWait, Status};
use tokio::sync::{mpsc, watch};

use crate::host::rundir::RunDir;
use crate::launch::prewarm::PoolSettings;
use crate::metrics::Metrics;
use crate::model::activity::ActivityClock;
use crate::model::claim::Claimant;
use crate::model::error::{Error, Result};
use crate::model::events::{Change, EventBus, Received, Subscription};
use crate::model::identity::IdentitySources;
use crate::model::session::{LaunchTemplate, SessionSpec, SessionView};
use crate::session::AttachmentTicket;
use crate::supervision::ChildExited;
use crate::testing::fake_os::FakeOs;
use crate::testing::worker_settings;
use crate::worker::{
    AttachClient, CreateSession, DeleteSession, LocalWorker, ShutDown, TouchSession, WorkerHandle,
    WorkerParts, WorkerSettings, WorkerSnapshot,
};

/// A typical session.
pub(crate) fn a_view() -> SessionView {
    let spec = SessionSpec {
        id: uuid::Uuid::new_v4(),
        template: LaunchTemplate::plain(true),
        identity: IdentityRequest::default(),
        coherence: Coherence::default(),
        vnc: false,
        idle_ttl: Duration::from_secs(300),
        start_url: None,
        start_url_wait: StartUrlWait::Load,
        labels: Arc::new(BTreeMap::new()),
        on_crash: OnCrash::Restart,
        contexts: Contexts::Keep,
        proxy: ProxyChoice::Direct,
        block: Vec::new(),
        profile: None,
        request_id: None,
        view_key: None,
    };
    SessionView {
        spec: Arc::new(spec),
        status: Status::Ready,
        activity: ActivityClock::new(),
        browser: "firefox".into(),
        browser_version: None,
        vnc: None,
        endpoint: None,
        start_url_error: None,
        attached: 0,
        identity: None,
        identity_sources: IdentitySources::default(),
        contradictions: None,
        machine: None,
        proxy: None,
        traffic: None,
        restarts: 0,
        ending: None,
    }
}

/// A request for a headless session.
pub(crate) fn headless() -> SessionRequest {
    SessionRequest { headless: Some(true), ..SessionRequest::default() }
}

/// A request for a session with a live view.
pub(crate) fn with_vnc() -> SessionRequest {
    SessionRequest { vnc: true, ..SessionRequest::default() }
}

/// Stands in for the fleet, and notifies the test of the worker's end.
struct Parent(mpsc::UnboundedSender<String>);

impl Actor for Parent {
    type Context = Context<Self>;
}

impl Handler<ChildExited<String>> for Parent {
    type Result = ();
    fn handle(&mut self, exited: ChildExited<String>, _: &mut Context<Self>) {
        let _ = self.0.send(exited.reason.to_string());
    }
}

/// The parts that a worker is built from.
pub(crate) struct TestMachine {
    pub os: FakeOs,
    pub metrics: Metrics,
    pub parts: WorkerParts,
    /// The base of the run directory, and the profiles; removed when dropped.
    _base: tempfile::TempDir,
}

impl TestMachine {
    /// A machine for one worker, on paused time.
    pub async fn new(os: FakeOs, adjust: impl FnOnce(&mut WorkerSettings)) -> Self {
        let base = tempfile::tempdir().unwrap();
        let run_dir = RunDir::create(base.path(), &os).unwrap();
        let mut settings = worker_settings(&os);
        settings.profiles.directory = base.path().join("profiles");
        adjust(&mut settings);
        let metrics = Metrics::new().unwrap();
        let parts = WorkerParts {
            settings: Arc::new(settings),
            os: Arc::new(os.clone()),
            run_dir,
            metrics: metrics.clone(),
            events: EventBus::default(),
            snapshot: watch::Sender::new(Arc::default()),
        };
        Self { os, metrics, parts, _base: base }
    }

    /// The names of the entries of the run directory: launches and displays.
    pub fn run_dir_entries(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.parts.run_dir.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| {
                ![crate::host::rundir::LOCK_FILE, crate::host::rundir::MARKER_FILE].contains(&name.as_str())
            })
            .collect()
    }

    /// A metric's value, by its name with labels as in the text format.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.metrics.encode().unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }
}

/// A worker on a fake machine and paused time.
pub(crate) struct TestWorker {
    pub machine: TestMachine,
    pub os: FakeOs,
    pub handle: WorkerHandle,
    pub address: Addr<LocalWorker>,
    /// Why the worker ended.
    pub ends: mpsc::UnboundedReceiver<String>,
    /// The events so far.
    pub events: Subscription,
    /// Its first snapshot.
    pub first: Arc<WorkerSnapshot>,
}

impl TestWorker {
    /// A worker with adjusted settings, on a machine where everything is installed. Its driver is running, and its pools are
    /// full.
    pub async fn with(adjust: impl FnOnce(&mut WorkerSettings)) -> Self {
        Self::on(FakeOs::new(), adjust).await
    }

    /// A worker with default settings.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A worker on this machine.
    pub async fn on(os: FakeOs, adjust: impl FnOnce(&mut WorkerSettings)) -> Self {
        let worker = Self::starting_on(os, adjust).await;
        let settings = Arc::clone(&worker.machine.parts.settings);
        worker
            .until(|snapshot| {
                let full = |PoolSettings { name, target, .. }: &PoolSettings| {
                    let text = &snapshot.checks[format!("pool_{name}").as_str()].text;
                    text == "off" || text.starts_with(&format!("{target} of {target}"))
                };
                snapshot.playwright.is_some() && settings.pools.iter().all(full)
            })
            .await;
        worker
    }

    /// A worker that has only just been started.
    pub async fn starting_on(os: FakeOs, adjust: impl FnOnce(&mut WorkerSettings)) -> Self {
        tokio::time::pause();
        let machine = TestMachine::new(os, adjust).await;
        let events = machine.parts.events.subscribe();
        let (exits, ends) = mpsc::unbounded_channel();
        let parent = Parent(exits).start().recipient();
        let mut snapshots = machine.parts.snapshot.subscribe();
        // A separate task, so that it reads the snapshot before the worker's next step.
        let first = actix_rt::spawn(async move {
            Arc::clone(&snapshots.wait_for(|snapshot| !snapshot.checks.is_empty()).await.unwrap())
        });
        let address = LocalWorker::start_actor(machine.parts.clone(), parent, 0);
        let seen = machine.parts.snapshot.subscribe();
        let handle = WorkerHandle::new("local".to_owned(), address.clone(), seen);
        let os = machine.os.clone();
        Self { machine, os, handle, address, ends, events, first: first.await.unwrap() }
    }

    pub async fn create(&self, request: SessionRequest) -> Result<Arc<SessionView>> {
        self.handle
            .ask(
                &self.handle.create,
                CreateSession { request, by: RequestId::random(), claimant: Claimant::uncancellable() },
            )
            .await
    }

    /// Creates a session that must become READY.
    pub async fn ready(&self, request: SessionRequest) -> Arc<SessionView> {
        self.create(request).await.unwrap()
    }

    /// Requests a session without waiting until it is READY; returns once it is listed.
    pub async fn begin(
        &self,
        request: SessionRequest,
    ) -> (SessionId, tokio::task::JoinHandle<Result<Arc<SessionView>>>) {
        let before: Vec<SessionId> = self.ids();
        let handle = self.handle.clone();
        let created = actix_rt::spawn(async move {
            handle
                .ask(
                    &handle.create,
                    CreateSession { request, by: RequestId::random(), claimant: Claimant::uncancellable() },
                )
                .await
        });
        let new = |snapshot: &WorkerSnapshot| {
            snapshot.sessions.iter().map(|view| view.spec.id).find(|id| !before.contains(id))
        };
        let snapshot = self.until(|snapshot| new(snapshot).is_some()).await;
        (new(&snapshot).unwrap(), created)
    }

    pub async fn delete(&self, id: SessionId) -> Result<Status> {
        self.handle.ask(&self.handle.delete, DeleteSession { id, by: RequestId::random() }).await
    }

    pub async fn touch(&self, id: SessionId) -> Result<Arc<SessionView>> {
        self.handle.ask(&self.handle.touch, TouchSession { id, by: RequestId::random() }).await
    }

    pub async fn attach(&self, id: SessionId) -> Result<AttachmentTicket> {
        self.handle.ask(&self.handle.attach, AttachClient { id, by: RequestId::random() }).await
    }

    pub async fn shut_down(&self) {
        self.handle.shut_down.send(ShutDown).await.unwrap();
    }

    /// The live sessions.
    pub fn ids(&self) -> Vec<SessionId> {
        self.handle.snapshot().sessions.iter().map(|view| view.spec.id).collect()
    }

    /// The current state of a session.
    pub fn view(&self, id: SessionId) -> Arc<SessionView> {
        Arc::clone(self.handle.snapshot().session(id).unwrap())
    }

    /// The reason and details of a session's end.
    pub fn end_of(&self, id: SessionId) -> (EndReason, String) {
        let snapshot = self.handle.snapshot();
        let view = snapshot.ended.iter().find(|view| view.spec.id == id).unwrap();
        assert_eq!(view.status, Status::Dead);
        let ending = view.ending.clone().unwrap();
        (ending.reason, ending.detail)
    }

    /// Waits for a snapshot that fulfils the condition; fails after an hour of paused time.
    pub async fn until(&self, condition: impl Fn(&WorkerSnapshot) -> bool) -> Arc<WorkerSnapshot> {
        let mut snapshots = self.handle.snapshot.clone();
        let found = snapshots.wait_for(|snapshot| condition(snapshot));
        match tokio::time::timeout(Duration::from_secs(3600), found).await {
            Ok(snapshot) => Arc::clone(&snapshot.unwrap()),
            Err(_) => panic!("it never came; the last snapshot: {:#?}", self.handle.snapshot()),
        }
    }

    /// Waits until a session has a status.
    pub async fn until_status(&self, id: SessionId, status: Status) -> Arc<SessionView> {
        let shows =
            |snapshot: &WorkerSnapshot| snapshot.session(id).is_some_and(|view| view.status == status);
        let snapshot = self.until(shows).await;
        Arc::clone(snapshot.session(id).unwrap())
    }

    /// Waits until a session has been rebuilt this many times and is READY again.
    pub async fn until_restarted(&self, id: SessionId, times: u32) -> Arc<SessionView> {
        let snapshot = self
            .until(|snapshot| {
                snapshot
                    .session(id)
                    .is_some_and(|view| view.restarts == times && view.status == Status::Ready)
            })
            .await;
        Arc::clone(snapshot.session(id).unwrap())
    }

    /// Waits until a condition on the fake machine holds, for at most ten seconds of paused time.
    pub async fn settle(&self, what: &str, condition: impl Fn() -> bool) {
        for _ in 0..10_000 {
            if condition() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("it never came: {what}; alive: {:?}", self.os.alive_names());
    }

    /// Fails unless the worker's driver is the only process, and no files are left.
    pub fn assert_nothing_left(&self) {
        assert_eq!(self.os.alive_names(), ["node"]);
        assert_eq!(self.machine.run_dir_entries(), Vec::<String>::new());
        assert!(self.handle.snapshot().checks["display"].text.ends_with("3 of 3 slots free"));
        assert_eq!(self.machine.metric("camofleet_slots{state=\"used\"}"), 0.0);
    }

    /// The changes of one session until it ended.
    pub async fn changes_until_ended(&mut self, id: SessionId) -> Vec<Change> {
        let mut changes = Vec::new();
        while changes.last() != Some(&Change::Ended) {
            match soon(self.events.next()).await.unwrap() {
                Received::Event(event) if event.view.spec.id == id => changes.push(event.change.clone()),
                _ => {}
            }
        }
        changes
    }
}

/// Waits for a future that must resolve; fails after a day of paused time instead of hanging.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(86_400), future).await.expect("it never came")
}

/// The error of a result that must be one.
pub(crate) fn refusal<T>(result: Result<T>) -> Error {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error,
    }
}
