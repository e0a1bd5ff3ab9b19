//! Discovered workers that come and go, and workers that are drained.

use futures_util::future::LocalBoxFuture;

use super::*;
use crate::fleet::discovery::{Answer, Found, Lookup, Place};
use crate::worker::Drain;

const INTERVAL: Duration = Duration::from_secs(2);

/// A name server or cluster whose answers the test sets.
#[derive(Clone)]
struct FakeLookup(Rc<RefCell<Answer>>, Rc<tokio::sync::Notify>);

impl Default for FakeLookup {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(Answer::Partial(BTreeMap::new()))), Rc::default())
    }
}

fn named(address: &str) -> (String, url::Url) {
    (address.replace('.', "-"), format!("http://{address}:8080").parse().unwrap())
}

impl FakeLookup {
    fn set(&self, addresses: &[&str]) {
        *self.0.borrow_mut() = Answer::Partial(addresses.iter().map(|address| named(address)).collect());
    }

    /// Sets the answer of a cluster, which notifies at once: each address, and whether its pod is terminating.
    fn announce(&self, pods: &[(&str, bool)]) {
        let found = |&(address, leaving): &(&str, bool)| {
            let (name, url) = named(address);
            (name, Found { url, place: 0, leaving })
        };
        *self.0.borrow_mut() = Answer::Whole(pods.iter().map(found).collect());
        self.1.notify_one();
    }
}

impl Lookup for FakeLookup {
    fn name(&self) -> String {
        "a test".to_owned()
    }

    fn look_up(&self) -> LocalBoxFuture<'_, std::result::Result<Answer, String>> {
        let answer = self.0.borrow().clone();
        Box::pin(async move { Ok(answer) })
    }

    fn changed(&self) -> Option<LocalBoxFuture<'_, ()>> {
        Some(Box::pin(self.1.notified()))
    }
}

/// A fleet that discovers its workers, with a machine prepared for each name.
struct FoundFleet {
    fleet: Addr<Fleet>,
    directory: Directory,
    lookup: FakeLookup,
    metrics: Metrics,
    machines: Rc<HashMap<String, TestMachine>>,
}

impl FoundFleet {
    async fn start(names: &[&str]) -> Self {
        tokio::time::pause();
        let mut machines = HashMap::new();
        for name in names {
            let machine = TestMachine::new(FakeOs::new(), |settings| {
                settings.name = (*name).to_owned();
                settings.max_sessions = 2;
            });
            machines.insert((*name).to_owned(), machine.await);
        }
        let (lookup, metrics, machines) = (FakeLookup::default(), Metrics::new().unwrap(), Rc::new(machines));
        let ready = Rc::clone(&machines);
        let build = move |name: String, _| -> WorkerBuilder {
            let parts = ready[&name].parts.clone();
            Box::new(move |parent, generation| LocalWorker::start(parts.clone(), parent, generation))
        };
        let places = vec![Place { lookup: Rc::new(lookup.clone()), build: Box::new(build) }];
        let StartedFleet { address: fleet, directory, .. } = Fleet::start(FleetParts {
            discovery: Some(Discovery::new(places, INTERVAL)),
            demand: Some(metrics.clone()),
            ..FleetParts::default()
        });
        Self { fleet, directory, lookup, metrics, machines }
    }

    fn names(&self) -> Vec<String> {
        self.directory.workers().iter().map(|worker| worker.name.clone()).collect()
    }

    /// Sets the addresses, and waits for enough lookups that missing ones count as gone.
    async fn believes(&self, addresses: &[&str]) {
        self.lookup.set(addresses);
        tokio::time::sleep(INTERVAL * 4).await;
    }

    async fn place(&self, worker: Option<&str>) -> Result<PlacedSession> {
        let worker = worker.map(str::to_owned);
        let place = PlaceSession {
            request: headless(),
            worker,
            by: camofleet_api::ids::RequestId::random(),
            claimant: crate::model::claim::Claimant::uncancellable(),
        };
        self.fleet.send(place).await.unwrap()
    }

    async fn delete(&self, session: &PlacedSession) {
        let worker = self.directory.worker(&session.worker).unwrap();
        let delete = crate::worker::DeleteSession {
            id: session.view.spec.id,
            by: camofleet_api::ids::RequestId::random(),
        };
        worker.ask(&worker.delete, delete).await.unwrap();
    }

    fn figure(&self, line: &str) -> bool {
        self.metrics.encode().unwrap().lines().any(|other| other == line)
    }
}

#[actix::test]
async fn workers_come_and_go_with_their_records() {
    let fleet = FoundFleet::start(&["10-0-0-1", "10-0-0-2", "10-0-0-3"]).await;
    tokio::time::sleep(INTERVAL).await;
    assert_eq!(refusal(fleet.place(None).await), Error::NoWorkers);
    fleet.believes(&["10.0.0.3", "10.0.0.1"]).await;
    assert_eq!(fleet.names(), ["10-0-0-1", "10-0-0-3"]);
    fleet.believes(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]).await;
    assert_eq!(fleet.names(), ["10-0-0-1", "10-0-0-2", "10-0-0-3"], "ordered by name");
    let mut placed = HashSet::new();
    for _ in 0..3 {
        placed.insert(fleet.place(None).await.ok().unwrap().worker);
    }
    assert_eq!(placed.len(), 3, "round robin");
    fleet.believes(&[]).await;
    assert_eq!(fleet.names().len(), 3, "sessions run on all of them");
}

#[actix::test]
async fn a_worker_whose_record_is_gone_keeps_its_sessions_gets_no_new_ones_and_is_removed_with_the_last() {
    let fleet = FoundFleet::start(&["10-0-0-1", "10-0-0-2"]).await;
    fleet.believes(&["10.0.0.1", "10.0.0.2"]).await;
    let old = fleet.place(Some("10-0-0-1")).await.ok().unwrap();
    fleet.believes(&["10.0.0.2"]).await;
    assert_eq!(fleet.names(), ["10-0-0-1", "10-0-0-2"]);
    for _ in 0..2 {
        assert_eq!(fleet.place(None).await.ok().unwrap().worker, "10-0-0-2");
    }
    assert_eq!(refusal(fleet.place(Some("10-0-0-1")).await), Error::Draining);
    assert_eq!(fleet.directory.worker("10-0-0-1").ok().unwrap().snapshot().sessions.len(), 1);
    fleet.delete(&old).await;
    tokio::time::sleep(INTERVAL * 2).await;
    assert_eq!(fleet.names(), ["10-0-0-2"]);
    assert_eq!(refusal(fleet.place(Some("10-0-0-1")).await), Error::WorkerNotFound);
    soon(async {
        while fleet.machines["10-0-0-1"].os.alive_count() > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
}

#[actix::test]
async fn a_worker_whose_record_comes_back_gets_sessions_again() {
    let fleet = FoundFleet::start(&["10-0-0-1"]).await;
    fleet.believes(&["10.0.0.1"]).await;
    fleet.place(None).await.ok().unwrap();
    fleet.believes(&[]).await;
    assert_eq!(refusal(fleet.place(None).await), Error::NoWorkers);
    fleet.believes(&["10.0.0.1"]).await;
    fleet.place(None).await.ok().unwrap();
}

#[actix::test]
async fn a_rolling_update_of_one_pod_refuses_no_create_and_cuts_no_session() {
    let fleet = FoundFleet::start(&["10-0-0-1", "10-0-0-2"]).await;
    fleet.believes(&[]).await;
    let began = tokio::time::Instant::now();
    fleet.lookup.announce(&[("10.0.0.1", false)]);
    soon(async {
        while fleet.names().is_empty() || !fleet.directory.workers()[0].snapshot().healthy {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(1), "known in {:?}", began.elapsed());
    let old = fleet.place(None).await.ok().unwrap();
    // The new pod is ready, and after a while the old one is removed at once, without draining by itself.
    fleet.lookup.announce(&[("10.0.0.1", false), ("10.0.0.2", false)]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    fleet.lookup.announce(&[("10.0.0.1", true), ("10.0.0.2", false)]);
    tokio::time::sleep(Duration::from_millis(50)).await;
    for _ in 0..2 {
        assert_eq!(fleet.place(None).await.ok().unwrap().worker, "10-0-0-2");
    }
    assert_eq!(refusal(fleet.place(Some("10-0-0-1")).await), Error::Draining);
    fleet.delete(&old).await;
    tokio::time::sleep(INTERVAL * 3).await;
    assert_eq!(fleet.names(), ["10-0-0-1", "10-0-0-2"], "a pod that terminates is there until it is gone");
    fleet.lookup.announce(&[("10.0.0.2", false)]);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(fleet.names(), ["10-0-0-2"]);
}

#[actix::test]
async fn a_pod_that_terminates_when_control_starts_keeps_its_sessions_and_gets_none() {
    let fleet = FoundFleet::start(&["10-0-0-1"]).await;
    fleet.lookup.announce(&[("10.0.0.1", true)]);
    tokio::time::sleep(INTERVAL * 2).await;
    assert_eq!(fleet.names(), ["10-0-0-1"]);
    assert_eq!(refusal(fleet.place(Some("10-0-0-1")).await), Error::Draining);
    assert_eq!(refusal(fleet.place(None).await), Error::NoWorkers);
    fleet.lookup.announce(&[]);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(fleet.names().is_empty());
}

#[actix::test]
async fn a_draining_worker_gets_no_sessions_until_draining_is_stopped() {
    let fleet = FoundFleet::start(&["10-0-0-1", "10-0-0-2"]).await;
    fleet.believes(&["10.0.0.1", "10.0.0.2"]).await;
    let drain = async |on| {
        let worker = fleet.directory.worker("10-0-0-1").ok().unwrap();
        worker
            .ask(&worker.drain, Drain { on, end: false, by: camofleet_api::ids::RequestId::random() })
            .await
            .unwrap();
    };
    let kept = fleet.place(Some("10-0-0-1")).await.ok().unwrap();
    drain(true).await;
    for _ in 0..2 {
        assert_eq!(fleet.place(None).await.ok().unwrap().worker, "10-0-0-2");
    }
    assert!(refusal(fleet.place(None).await).lacks_capacity());
    let sessions = fleet.directory.worker("10-0-0-1").ok().unwrap().snapshot().sessions.clone();
    assert_eq!((sessions.len(), sessions[0].status), (1, Status::Ready), "its session goes on");
    drain(false).await;
    assert_eq!(fleet.place(None).await.ok().unwrap().worker, "10-0-0-1");
    fleet.delete(&kept).await;
}

#[actix::test]
async fn live_sessions_and_refused_creates_are_demand_and_a_draining_worker_has_no_capacity() {
    let fleet = FoundFleet::start(&["10-0-0-1", "10-0-0-2"]).await;
    fleet.believes(&["10.0.0.1", "10.0.0.2"]).await;
    assert!(fleet.figure("camofleet_fleet_capacity{vnc=\"true\"} 4"));
    assert!(fleet.figure("camofleet_fleet_demand{vnc=\"true\"} 0"));
    for _ in 0..4 {
        fleet.place(None).await.ok().unwrap();
    }
    for _ in 0..3 {
        assert!(matches!(refusal(fleet.place(None).await), Error::AtCapacity { .. }));
    }
    assert!(
        fleet.place(Some("10-0-0-1")).await.is_err(),
        "a request for a named worker is no demand for others"
    );
    let worker = fleet.directory.worker("10-0-0-2").ok().unwrap();
    worker
        .ask(&worker.drain, Drain { on: true, end: false, by: camofleet_api::ids::RequestId::random() })
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    for line in [
        "camofleet_fleet_sessions{vnc=\"true\"} 4",
        "camofleet_fleet_unplaced_creates{vnc=\"true\"} 3",
        "camofleet_fleet_demand{vnc=\"true\"} 7",
        "camofleet_fleet_demand{vnc=\"false\"} 0",
        "camofleet_fleet_capacity{vnc=\"true\"} 2",
    ] {
        assert!(fleet.figure(line), "{line}\n{}", fleet.metrics.encode().unwrap());
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(fleet.figure("camofleet_fleet_unplaced_creates{vnc=\"true\"} 0"));
}
