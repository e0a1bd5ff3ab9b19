//! Creates whose clients disconnect, and the queue of waiting creates.

use std::time::Duration;

use camofleet_api::ids::RequestId;
use camofleet_api::request::{ProxyCheckRequest, SessionRequest};
use camofleet_api::session::{EndReason, Status};
use futures_util::future::join_all;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::launch::launcher::QueueSettings;
use crate::model::claim::{Claim, Claimant};
use crate::model::error::{Error, Result};
use crate::testing::fake_os::{Fault, LAUNCH_TIME};
use crate::testing::{TestWorker, headless, refusal, soon, with_vnc};
use crate::worker::{CheckProxy, CreateSession};

/// A create whose client may disconnect: the claim, which the client drops then, and the result.
fn begin(
    worker: &TestWorker,
    request: SessionRequest,
) -> (Claim, impl Future<Output = Result<std::sync::Arc<crate::model::session::SessionView>>> + use<>) {
    let (claim, claimant) = Claim::new();
    let handle = worker.handle.clone();
    let create = CreateSession { request, by: RequestId::random(), claimant };
    // In a task of its own, so that only the claim is dropped.
    let created = actix_rt::spawn(async move { handle.ask(&handle.create, create).await });
    (claim, async { created.await.unwrap() })
}

#[actix::test]
async fn a_create_is_ended_when_its_client_disconnects_at_any_stage() {
    let worker = TestWorker::with(|settings| settings.keep_warm("vnc", 1)).await;
    let alive = worker.os.alive_names();
    for (request, pause) in [
        (headless(), Duration::ZERO),
        (headless(), Duration::from_millis(5)),
        (headless(), LAUNCH_TIME / 2),
        // With a warm browser.
        (with_vnc(), Duration::ZERO),
    ] {
        let (claim, created) = begin(&worker, request);
        tokio::time::sleep(pause).await;
        drop(claim);
        let start = Instant::now();
        // A warm one may be ready by then.
        if let Err(error) = created.await {
            assert_eq!(error, Error::Cancelled);
        }
        worker.until(|snapshot| snapshot.sessions.is_empty()).await;
        assert!(start.elapsed() < Duration::from_millis(100), "after {pause:?}: {:?}", start.elapsed());
        for view in &worker.handle.snapshot().ended {
            assert_eq!(view.ending.as_ref().unwrap().reason, EndReason::Abandoned);
        }
    }
    worker.settle("the pool is full again", || worker.os.alive_names().len() == alive.len()).await;
}

#[actix::test]
async fn a_ready_session_ends_unless_its_client_received_it() {
    let worker = TestWorker::new().await;
    let (claim, created) = begin(&worker, headless());
    let taken = created.await.unwrap().spec.id;
    claim.accept();
    let (claim, created) = begin(&worker, headless());
    let unclaimed = created.await.unwrap().spec.id;
    drop(claim);
    worker.until_status(unclaimed, Status::Dead).await;
    assert_eq!(worker.end_of(unclaimed).0, EndReason::Abandoned);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(worker.view(taken).status, Status::Ready);
}

#[actix::test]
async fn a_create_whose_client_has_disconnected_before_starts_nothing() {
    let worker = TestWorker::new().await;
    let (claim, claimant) = Claim::new();
    drop(claim);
    let create = CreateSession { request: headless(), by: RequestId::random(), claimant };
    assert_eq!(refusal(worker.handle.ask(&worker.handle.create, create).await), Error::Cancelled);
    assert!(worker.handle.snapshot().ended.is_empty());
    worker.assert_nothing_left();
}

fn narrow(settings: &mut crate::worker::WorkerSettings) {
    settings.launch.permits = 1;
    settings.launch.queue = QueueSettings { length: 2, patience: Duration::from_secs(10) };
}

#[actix::test]
async fn creates_queue_for_a_launch_and_are_refused_as_busy_when_the_queue_is_full() {
    let worker = TestWorker::with(narrow).await;
    let creates = (0..5).map(|_| worker.create(headless()));
    let start = Instant::now();
    let mut outcomes = Vec::new();
    for outcome in join_all(creates).await {
        outcomes.push(outcome.map(|_| ()).map_err(|error| error.code().to_owned()));
    }
    let busy = || Err("busy".to_owned());
    assert_eq!(outcomes, [Ok(()), Ok(()), Ok(()), busy(), busy()]);
    assert!(start.elapsed() < LAUNCH_TIME * 4, "{:?}", start.elapsed());
    worker.create(headless()).await.unwrap();
}

#[actix::test]
async fn a_thousand_creates_whose_clients_disconnected_do_not_delay_others() {
    let worker = TestWorker::with(narrow).await;
    let started = worker.os.started().len();
    for _ in 0..1000 {
        let (claim, created) = begin(&worker, headless());
        drop(claim);
        refusal(created.await);
    }
    let start = Instant::now();
    worker.create(headless()).await.unwrap();
    assert!(start.elapsed() < LAUNCH_TIME * 2, "{:?}", start.elapsed());
    let launched = worker.os.started().len() - started;
    assert!(launched <= 2, "{launched} browsers were started for disconnected clients");
}

#[actix::test]
async fn a_place_in_the_queue_times_out_and_is_freed_when_its_client_disconnects() {
    let worker = TestWorker::with(narrow).await;
    worker.os.break_next(Fault::LaunchHangs, 1);
    let (_, hanging) = worker.begin(headless()).await;
    let (first, first_created) = begin(&worker, headless());
    let (_second, second_created) = begin(&worker, headless());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(refusal(worker.create(headless()).await).code(), "busy");
    drop(first);
    assert_eq!(refusal(soon(first_created).await), Error::Cancelled);
    let start = Instant::now();
    let (_third, third_created) = begin(&worker, headless());
    let refused = [refusal(second_created.await), refusal(third_created.await)];
    for refused in refused {
        assert_eq!(refused.code(), "busy");
        assert!(refused.to_string().contains("RUNNER_LAUNCH_QUEUE_SECONDS"), "{refused}");
    }
    assert!(start.elapsed() <= Duration::from_millis(10_100), "{:?}", start.elapsed());
    refusal(hanging.await.unwrap());
    // The queue has room again.
    let claimant = Claimant::uncancellable();
    let create = CreateSession { request: headless(), by: RequestId::random(), claimant };
    worker.handle.ask(&worker.handle.create, create).await.unwrap();
}

#[actix::test]
async fn a_check_of_a_proxy_ends_when_its_client_disconnects() {
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/ip", service.local_addr().unwrap()).parse().unwrap();
    let worker = TestWorker::with(|settings| settings.launch.egress.checks.urls = vec![url]).await;
    let (claim, claimant) = Claim::new();
    let handle = worker.handle.clone();
    let check = CheckProxy { request: ProxyCheckRequest::default(), by: RequestId::random(), claimant };
    let checked = actix_rt::spawn(async move { handle.ask(&handle.check_proxy, check).await });
    let (mut connection, _) = service.accept().await.unwrap();
    drop(claim);
    assert_eq!(checked.await.unwrap(), Err(Error::Cancelled));
    // It is closed, after the request for the address.
    connection.read_to_end(&mut Vec::new()).await.unwrap();
}
