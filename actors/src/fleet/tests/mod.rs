//! Placement on several workers, and the restart of a worker that failed.

mod membership;

use std::cell::RefCell;
use std::rc::Rc;

use camofleet_api::facts::{Facts, ProfileFacts};
use camofleet_api::profile::ProfileName;
use camofleet_api::proxy::ProxyChoice;
use camofleet_api::request::SessionRequest;
use camofleet_api::session::{EndReason, Status};

use super::*;
use crate::egress::{PoolUse, ProxyPoolSettings};
use crate::host::engine::EngineKind;
use crate::launch::launcher::QueueSettings;
use crate::model::events::{Change, Received};
use crate::testing::fake_os::{FakeOs, Fault};
use crate::testing::{PanicIn, PanicNow, TestMachine, headless, refusal, soon, with_vnc};
use crate::worker::{DeleteSession, LocalWorker, WorkerSettings, WorkerSnapshot};

/// A worker's name, its machine, and a function that changes its settings.
type Setup = (&'static str, FakeOs, fn(&mut WorkerSettings));

/// A fleet of workers, each on a fake machine of its own.
struct TestFleet {
    fleet: Addr<Fleet>,
    directory: Directory,
    failure: oneshot::Receiver<String>,
    machines: Vec<TestMachine>,
    /// The current actor of each worker.
    actors: Rc<RefCell<HashMap<String, Addr<LocalWorker>>>>,
}

impl TestFleet {
    async fn of(workers: Vec<Setup>) -> Self {
        Self::placing(Placement::RoundRobin, workers).await
    }

    async fn placing(placement: Placement, workers: Vec<Setup>) -> Self {
        let fleet = Self::seeing(placement, workers, |machine| machine.parts.snapshot.subscribe()).await;
        for machine in 0..fleet.machines.len() {
            fleet.until(machine, |snapshot| !snapshot.checks.is_empty()).await;
        }
        fleet
    }

    /// A fleet that sees this of its workers.
    async fn seeing(
        placement: Placement,
        workers: Vec<Setup>,
        seen: fn(&TestMachine) -> watch::Receiver<Arc<WorkerSnapshot>>,
    ) -> Self {
        tokio::time::pause();
        let actors = Rc::new(RefCell::new(HashMap::new()));
        let mut machines = Vec::new();
        let mut builders: Vec<(String, WorkerBuilder)> = Vec::new();
        for (name, os, adjust) in workers {
            let machine = TestMachine::new(os, |settings| {
                settings.name = name.to_owned();
                adjust(settings);
            })
            .await;
            let (parts, actors, name) = (machine.parts.clone(), Rc::clone(&actors), name.to_owned());
            let seen = seen(&machine);
            machines.push(machine);
            let builder_name = name.clone();
            builders.push((
                name,
                Box::new(move |parent, generation| {
                    let actor = LocalWorker::start_actor(parts.clone(), parent, generation);
                    actors.borrow_mut().insert(builder_name.clone(), actor.clone());
                    WorkerHandle::new(builder_name.clone(), actor, seen.clone())
                }),
            ));
        }
        let StartedFleet { address: fleet, directory, failure, .. } =
            Fleet::start(FleetParts { workers: builders, placement, ..FleetParts::default() });
        Self { fleet, directory, failure, machines, actors }
    }

    async fn until(
        &self,
        machine: usize,
        condition: impl Fn(&WorkerSnapshot) -> bool,
    ) -> Arc<WorkerSnapshot> {
        let mut seen = self.machines[machine].parts.snapshot.subscribe();
        let found = seen.wait_for(|snapshot| condition(snapshot));
        let found = tokio::time::timeout(Duration::from_secs(3600), found).await;
        Arc::clone(&found.expect("it never came").unwrap())
    }

    async fn all_healthy(&self) {
        for machine in 0..self.machines.len() {
            self.until(machine, |snapshot| snapshot.healthy).await;
        }
    }

    async fn place(&self, request: SessionRequest, worker: Option<&str>) -> Result<PlacedSession> {
        self.fleet.send(place(request, worker)).await.unwrap()
    }

    async fn placed_on(&self, request: SessionRequest) -> String {
        self.place(request, None).await.ok().unwrap().worker
    }
}

fn place(request: SessionRequest, worker: Option<&str>) -> PlaceSession {
    PlaceSession {
        request,
        worker: worker.map(str::to_owned),
        by: camofleet_api::ids::RequestId::random(),
        claimant: crate::model::claim::Claimant::uncancellable(),
    }
}

fn machine() -> FakeOs {
    FakeOs::new()
}

fn machine_without_displays() -> FakeOs {
    let os = FakeOs::new();
    ["Xvnc", "Xvfb"].iter().for_each(|name| os.uninstall(name));
    os
}

fn usual(_: &mut WorkerSettings) {}

#[actix::test]
async fn sessions_go_round_the_workers() {
    let fleet = TestFleet::of(vec![("a", machine(), usual), ("b", machine(), usual)]).await;
    fleet.all_healthy().await;
    let mut order = Vec::new();
    for _ in 0..4 {
        order.push(fleet.placed_on(headless()).await);
    }
    // The first is random, so that several controls don't all start with the same.
    assert_ne!(order[0], order[1]);
    assert_eq!(order[..2], order[2..]);
    let names: Vec<_> = fleet.directory.workers().iter().map(|worker| worker.name.clone()).collect();
    assert_eq!(names, ["a", "b"]);
}

#[actix::test]
async fn the_worker_with_the_fewest_sessions_is_tried_first_where_that_is_configured() {
    let workers: Vec<Setup> = vec![("a", machine(), usual), ("b", machine(), usual)];
    let fleet = TestFleet::placing(Placement::LeastSessions, workers).await;
    fleet.all_healthy().await;
    for _ in 0..3 {
        fleet.place(headless(), Some("a")).await.ok().unwrap();
    }
    let mut order = Vec::new();
    for _ in 0..5 {
        order.push(fleet.placed_on(headless()).await);
    }
    assert_eq!(order[..3], ["b", "b", "b"]);
    assert_ne!(order[3], order[4], "equals are tried round robin");
}

#[actix::test]
async fn a_named_worker_is_used_or_refused() {
    let fleet =
        TestFleet::of(vec![("a", machine(), usual), ("plain", machine_without_displays(), usual)]).await;
    fleet.all_healthy().await;
    for _ in 0..2 {
        assert_eq!(fleet.place(headless(), Some("plain")).await.ok().unwrap().worker, "plain");
    }
    let unsupported = refusal(fleet.place(with_vnc(), Some("plain")).await);
    assert_eq!(unsupported, Error::VncUnsupported { worker: "plain".into() });
    assert_eq!(refusal(fleet.place(headless(), Some("nobody")).await), Error::WorkerNotFound);
    assert_eq!(fleet.directory.worker("nobody").err(), Some(Error::WorkerNotFound));
}

#[actix::test]
async fn live_views_are_placed_only_on_workers_that_support_them() {
    let fleet =
        TestFleet::of(vec![("plain", machine_without_displays(), usual), ("a", machine(), usual)]).await;
    fleet.all_healthy().await;
    for _ in 0..3 {
        assert_eq!(fleet.placed_on(with_vnc()).await, "a");
    }
    assert_eq!(refusal(fleet.place(with_vnc(), None).await), Error::NoSlot { limit: 3 });
}

#[actix::test]
async fn a_full_worker_is_skipped_until_all_are_full() {
    let small: fn(&mut WorkerSettings) = |settings| settings.max_sessions = 1;
    let fleet = TestFleet::of(vec![("a", machine(), small), ("b", machine(), usual)]).await;
    fleet.all_healthy().await;
    let mut order = Vec::new();
    for _ in 0..11 {
        order.push(fleet.placed_on(headless()).await);
    }
    assert_eq!(order.iter().filter(|worker| *worker == "a").count(), 1);
    assert!(matches!(refusal(fleet.place(headless(), None).await), Error::AtCapacity { .. }));
    let full = refusal(fleet.place(headless(), Some("a")).await);
    assert!(matches!(full, Error::AtCapacity { limit: 1, .. }), "{full}");
}

#[actix::test]
async fn a_request_is_placed_on_a_worker_that_has_the_pool_of_proxies_it_names() {
    let with_pool: fn(&mut WorkerSettings) = |settings| {
        let servers = vec!["socks5://proxy.example".parse().unwrap()];
        let pool = ProxyPoolSettings { servers, pick: PoolUse::Sticky };
        settings.launch.egress.proxies = BTreeMap::from([("eu".to_owned(), pool)]);
    };
    let fleet = TestFleet::of(vec![("a", machine(), usual), ("b", machine(), with_pool)]).await;
    fleet.all_healthy().await;
    let through = |pool: &str| SessionRequest {
        proxy: Some(ProxyChoice::Pool(pool.to_owned())),
        block: Some(vec!["phone_home".to_owned()]),
        ..headless()
    };
    for _ in 0..3 {
        assert_eq!(fleet.placed_on(through("eu")).await, "b");
    }
    let unknown = refusal(fleet.place(through("us"), None).await);
    assert!(matches!(&unknown, Error::UnknownName { field: "proxy", name, .. } if name == "us"), "{unknown}");
    let elsewhere = refusal(fleet.place(through("eu"), Some("a")).await);
    assert!(matches!(elsewhere, Error::UnknownName { .. }), "{elsewhere}");
}

#[actix::test]
async fn a_request_is_placed_on_a_worker_with_the_engine_and_the_fields_that_it_names() {
    let camoufox: fn(&mut WorkerSettings) = |settings| settings.launch.engine.kind = EngineKind::Camoufox;
    let allowing: fn(&mut WorkerSettings) =
        |settings| settings.launch.user_preference_prefixes = vec!["layout.".to_owned()];
    let workers = vec![
        ("a", machine(), usual as fn(&mut WorkerSettings)),
        ("b", machine(), camoufox),
        ("c", machine(), allowing),
    ];
    let fleet = TestFleet::of(workers).await;
    fleet.all_healthy().await;
    let read = |body: &str| SessionRequest::parse(body.as_bytes()).unwrap();
    for _ in 0..3 {
        assert_eq!(fleet.placed_on(read(r#"{"engine": "camoufox"}"#)).await, "b");
        assert_ne!(fleet.placed_on(read(r#"{"engine": "firefox"}"#)).await, "b");
        assert_eq!(fleet.placed_on(read(r#"{"user_preferences": {"layout.a": 1}}"#)).await, "c");
    }
    for (body, worker, expected) in [
        (r#"{"engine": "camoufox"}"#, "a", "engine"),
        (r#"{"user_preferences": {"layout.a": 1}}"#, "a", "user_preferences"),
        (r#"{"user_preferences": {"dom.a": 1}}"#, "c", "user_preferences"),
        (r#"{"webrtc": "on"}"#, "a", "webrtc"),
    ] {
        let refused = refusal(fleet.place(read(body), Some(worker)).await);
        assert!(matches!(&refused, Error::Identity { field, .. } if *field == expected), "{body}: {refused}");
    }
}

/// One launch at a time, and a queue of one for the next.
fn one_launch_at_a_time(settings: &mut WorkerSettings) {
    settings.launch.permits = 1;
    settings.launch.queue = QueueSettings { length: 1, patience: Duration::from_secs(15) };
}

#[actix::test]
async fn a_create_that_was_queued_at_a_busy_worker_is_not_queued_at_the_next_as_well() {
    let workers: Vec<Setup> =
        vec![("a", machine(), one_launch_at_a_time), ("b", machine(), one_launch_at_a_time)];
    let fleet = TestFleet::of(workers).await;
    fleet.all_healthy().await;
    let create = |worker: Option<&str>| fleet.fleet.send(place(headless(), worker));
    for machine in &fleet.machines {
        machine.os.break_next(Fault::LaunchHangs, usize::MAX);
    }
    let launching = [create(Some("a")), create(Some("b"))].map(actix_rt::spawn);
    tokio::time::sleep(Duration::from_secs(1)).await;
    // It is queued once, for the maximum time, while the launch before it hangs.
    let started = Instant::now();
    assert_eq!(refusal(create(None).await.unwrap()).code(), "busy");
    assert_eq!(started.elapsed().as_secs(), 15);
    assert!(!launching.iter().any(|create| create.is_finished()));
}

#[actix::test]
async fn a_create_goes_on_at_once_from_a_worker_whose_queue_is_full() {
    let full: fn(&mut WorkerSettings) = |settings| {
        one_launch_at_a_time(settings);
        settings.launch.queue.length = 0;
    };
    let fleet = TestFleet::of(vec![("a", machine(), full), ("b", machine(), usual)]).await;
    fleet.all_healthy().await;
    fleet.machines[0].os.break_next(Fault::LaunchHangs, usize::MAX);
    let launching = actix_rt::spawn(fleet.fleet.send(place(headless(), Some("a"))));
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..2 {
        assert_eq!(fleet.placed_on(headless()).await, "b");
    }
    assert!(!launching.is_finished());
}

/// As of remote workers, whose lists of profiles are read only every other while.
fn old_news(shared: bool) -> watch::Receiver<Arc<WorkerSnapshot>> {
    let profiles = Some(ProfileFacts { shared, ..ProfileFacts::default() });
    let facts = Some(Facts { profiles, ..Facts::default() });
    let snapshot = WorkerSnapshot { healthy: true, facts, ..WorkerSnapshot::default() };
    watch::channel(Arc::new(snapshot)).1
}

fn anna() -> SessionRequest {
    SessionRequest { profile: ProfileName::parse("anna"), ..headless() }
}

#[actix::test]
async fn a_profile_that_no_list_has_yet_is_asked_for_where_it_was_made() {
    let workers: Vec<Setup> = vec![("a", machine(), usual), ("b", machine(), usual)];
    let fleet = TestFleet::seeing(Placement::RoundRobin, workers, |_| old_news(false)).await;
    fleet.all_healthy().await;
    let first = fleet.place(anna(), None).await.ok().unwrap();
    for _ in 0..3 {
        assert_eq!(refusal(fleet.place(anna(), None).await).code(), "profile_in_use");
    }
    // Refused for another reason, or sent to another worker.
    let without_views = SessionRequest { vnc: true, ..anna() };
    assert_eq!(refusal(fleet.place(without_views, None).await).code(), "no_vnc_tooling");
    let other = ["a", "b"].into_iter().find(|name| *name != first.worker);
    assert_eq!(refusal(fleet.place(anna(), other).await).code(), "profile_exists");
    assert_eq!(refusal(fleet.place(anna(), None).await).code(), "profile_in_use");
    let delete = DeleteSession { id: first.view.spec.id, by: camofleet_api::ids::RequestId::random() };
    let worker = fleet.actors.borrow()[&first.worker].clone();
    worker.send(delete).await.unwrap().unwrap();
    assert_eq!(fleet.placed_on(anna()).await, first.worker);
}

#[actix::test]
async fn of_workers_that_share_their_storage_any_can_be_named_for_a_profile_that_no_list_has_yet() {
    let workers: Vec<Setup> = vec![("a", machine(), usual), ("b", machine(), usual)];
    let fleet = TestFleet::seeing(Placement::RoundRobin, workers, |_| old_news(true)).await;
    fleet.all_healthy().await;
    for worker in ["a", "b"] {
        let placed = fleet.place(anna(), Some(worker)).await.ok().unwrap();
        assert_eq!(placed.worker, worker);
    }
}

#[actix::test]
async fn without_a_healthy_worker_nothing_is_placed() {
    let broken = machine();
    broken.uninstall("node");
    let fleet = TestFleet::of(vec![("a", broken, usual)]).await;
    assert_eq!(refusal(fleet.place(headless(), None).await), Error::NoWorkers);
}

#[actix::test]
async fn a_worker_that_panics_is_restarted_and_its_sessions_are_reported_as_ended() {
    let fleet = TestFleet::of(vec![("a", machine(), usual)]).await;
    fleet.all_healthy().await;
    let os = fleet.machines[0].os.clone();
    let id = fleet.place(with_vnc(), None).await.ok().unwrap().view.spec.id;
    let mut events = fleet.machines[0].parts.events.subscribe();
    let first = fleet.actors.borrow()["a"].clone();
    first.do_send(PanicIn::Worker);
    let snapshot = fleet.until(0, |snapshot| snapshot.sessions.is_empty()).await;
    let ending = snapshot.session(id).unwrap().ending.clone().unwrap();
    assert_eq!((snapshot.session(id).unwrap().status, ending.reason), (Status::Dead, EndReason::Crashed));
    assert_eq!(ending.detail, "its worker failed and was restarted");
    let Some(Received::Event(event)) = soon(events.next()).await else { panic!() };
    assert_eq!((event.view.spec.id, &event.change), (id, &Change::Ended));
    fleet.all_healthy().await;
    assert!(!first.connected());
    soon(async {
        while os.alive_names() != ["node"] {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    fleet.placed_on(with_vnc()).await;
}

#[actix::test]
async fn a_worker_whose_driver_keeps_failing_is_restarted_and_then_given_up() {
    let fleet = TestFleet::of(vec![("a", machine(), usual)]).await;
    fleet.all_healthy().await;
    let os = fleet.machines[0].os.clone();
    // Each start of the worker allows nine starts of its driver.
    os.break_next(Fault::DriverDies, 9);
    os.kill(os.alive("node")[0]);
    let first = fleet.actors.borrow()["a"].clone();
    soon(async {
        while first.connected() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
    .await;
    fleet.until(0, |snapshot| snapshot.playwright.is_some()).await;
    fleet.placed_on(headless()).await;

    os.break_next(Fault::DriverDies, usize::MAX);
    os.kill(os.alive("node")[0]);
    let why = soon(fleet.failure).await.unwrap();
    assert!(why.contains("\"a\" ended more than 5 times in 300 s"), "{why}");
}

#[actix::test]
async fn a_shutdown_reaches_all_workers_and_brings_none_back() {
    let warm: fn(&mut WorkerSettings) = |settings| settings.keep_warm("headless", 1);
    let fleet = TestFleet::of(vec![("a", machine(), warm), ("b", machine(), usual)]).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    fleet.placed_on(headless()).await;
    fleet.placed_on(with_vnc()).await;
    let start = Instant::now();
    fleet.fleet.send(ShutDown).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(fleet.machines.iter().all(|machine| machine.os.alive_count() == 0));
    assert!(fleet.actors.borrow().values().all(|actor| !actor.connected()));
    assert_eq!(refusal(fleet.place(headless(), None).await), Error::Draining);
}

#[actix::test]
async fn a_gateway_that_breaks_is_replaced() {
    tokio::time::pause();
    let settings = GatewaySettings {
        max_tunnels: 1,
        connect_timeout: Duration::from_secs(1),
        idle_timeout: Duration::from_secs(1),
        write_timeout: Duration::from_secs(1),
    };
    let parts = GatewayParts { settings, targets: Targets::Sessions, metrics: Metrics::new().unwrap() };
    let StartedFleet { address: _fleet, gateway, .. } =
        Fleet::start(FleetParts { gateway: Some(parts), ..FleetParts::default() });
    let mut gateways = gateway.0.clone();
    let first = gateways.wait_for(Option::is_some).await.unwrap().clone().unwrap();
    assert!(first.send(PanicNow).await.is_err());
    gateways.wait_for(|now| now.as_ref().is_some_and(|now| *now != first)).await.unwrap();
    let answer = gateway
        .get()
        .unwrap()
        .send(crate::views::gateway::OpenTunnel { vnc_id: "1".to_owned(), key: None })
        .await
        .unwrap();
    assert_eq!(refusal(answer), Error::ViewNotFound);
}
