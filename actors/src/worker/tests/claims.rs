//! Creates whose clients leave, and the line of those that wait.

use std::time::Duration;

use camofleet_api::ids::RequestId;
use camofleet_api::request::SessionRequest;
use camofleet_api::session::{EndReason, Status};
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::launch::launcher::QueueSettings;
use crate::model::claim::{Claim, Claimant};
use crate::model::error::{Error, Result};
use crate::testing::fake_os::{Fault, LAUNCH_TIME};
use crate::testing::{TestWorker, headless, refusal, soon, with_vnc};
use crate::worker::CreateSession;

/// A create that its client may break off: what is to be claimed, and what comes of it.
fn begin(
    worker: &TestWorker,
    request: SessionRequest,
) -> (Claim, impl Future<Output = Result<std::sync::Arc<crate::model::session::SessionView>>> + use<>) {
    let (claim, claimant) = Claim::new();
    let handle = worker.handle.clone();
    let create = CreateSession { request, by: RequestId::random(), claimant };
    // A task of its own: what is dropped here is the claim alone.
    let created = actix_rt::spawn(async move { handle.ask(&handle.create, create).await });
    (claim, async { created.await.unwrap() })
}

#[actix::test]
async fn a_create_ends_when_its_client_leaves_whatever_it_has_come_to() {
    let worker = TestWorker::with(|settings| settings.vnc_pool.target = 1).await;
    let alive = worker.os.alive_names();
    for (request, pause) in [
        (headless(), Duration::ZERO),
        (headless(), Duration::from_millis(5)),
        (headless(), LAUNCH_TIME / 2),
        // From the pool.
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
async fn a_session_that_became_ready_for_nobody_ends_and_one_that_was_taken_stays() {
    let worker = TestWorker::new().await;
    let (claim, created) = begin(&worker, headless());
    let taken = created.await.unwrap().spec.id;
    claim.take();
    let (claim, created) = begin(&worker, headless());
    let unclaimed = created.await.unwrap().spec.id;
    drop(claim);
    worker.until_status(unclaimed, Status::Dead).await;
    assert_eq!(worker.end_of(unclaimed).0, EndReason::Abandoned);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(worker.view(taken).status, Status::Ready);
}

#[actix::test]
async fn a_create_that_comes_after_its_client_has_left_begins_nothing() {
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
async fn creates_wait_for_a_launch_in_a_line_and_those_beyond_it_are_told_to_come_again() {
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
async fn a_thousand_creates_whose_clients_left_keep_nobody_waiting() {
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
    assert!(launched <= 2, "{launched} browsers were started for nobody");
}

#[actix::test]
async fn a_place_in_the_line_lasts_no_longer_than_it_may_and_is_free_again_when_its_client_leaves() {
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
    // Restarts and pools don't stand in that line.
    let claimant = Claimant::certain();
    let create = CreateSession { request: headless(), by: RequestId::random(), claimant };
    worker.handle.ask(&worker.handle.create, create).await.unwrap();
}
