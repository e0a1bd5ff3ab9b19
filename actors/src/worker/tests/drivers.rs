//! The drivers: how many there are, and what happens when one ends or hangs.

use std::time::Duration;

use camofleet_api::request::SessionRequest;
use camofleet_api::session::{OnCrash, Status};
use tokio::time::Instant;

use crate::model::error::Error;
use crate::testing::fake_os::{FakeOs, Fault, LAUNCH_TIME};
use crate::testing::{TestWorker, headless, refusal, soon, with_vnc};

#[actix::test]
async fn a_session_whose_driver_dies_while_it_is_launched_is_launched_again() {
    let worker = TestWorker::new().await;
    let (id, created) = worker.begin(headless()).await;
    tokio::time::sleep(LAUNCH_TIME / 2).await;
    worker.os.kill(worker.os.alive("node")[0]);
    let view = created.await.unwrap().unwrap();
    assert_eq!((view.spec.id, view.restarts), (id, 1));
    assert_eq!(worker.machine.metric("camofleet_session_restarts_total{cause=\"driver_lost\"}"), 1.0);
}

#[actix::test]
async fn browsers_that_a_lost_driver_was_launching_are_killed() {
    let worker = TestWorker::new().await;
    let (id, created) = worker.begin(SessionRequest { on_crash: OnCrash::End, ..with_vnc() }).await;
    tokio::time::sleep(LAUNCH_TIME / 2).await;
    assert_eq!(worker.os.alive("browser").len(), 1, "the driver has not reported its process id");
    worker.os.kill(worker.os.alive("node")[0]);
    let error = refusal(created.await.unwrap());
    assert!(matches!(error, Error::DriverLost { .. }), "{error}");
    worker.until_status(id, Status::Dead).await;
    worker.until(|snapshot| snapshot.checks["driver"].ok).await;
    worker.assert_nothing_left();
}

#[actix::test]
async fn all_sessions_of_a_lost_driver_are_restarted() {
    let worker = TestWorker::with(|settings| settings.keep_warm("headless", 1)).await;
    let ids = [worker.ready(headless()).await.spec.id, worker.ready(with_vnc()).await.spec.id];
    worker.until(|snapshot| snapshot.checks["pool_headless"].text.starts_with("1 of 1")).await;
    worker.os.kill(worker.os.alive("node")[0]);
    for id in ids {
        worker.until_restarted(id, 1).await;
    }
    worker.until(|snapshot| snapshot.checks["pool_headless"].text.starts_with("1 of 1")).await;
    assert_eq!((worker.os.alive("node").len(), worker.os.alive("browser").len()), (1, 3));
}

#[actix::test]
async fn launches_wait_for_a_driver_that_restarts() {
    let worker = TestWorker::with(|settings| settings.driver.sessions_per_driver = 2).await;
    worker.os.break_next(Fault::DriverDies, 3);
    worker.os.kill(worker.os.alive("node")[0]);
    worker.until(|snapshot| !snapshot.checks["driver"].ok).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(worker.begin(headless()).await.1);
    }
    for created in waiting {
        created.await.unwrap().unwrap();
    }
    assert_eq!(worker.os.alive("node").len(), 3, "the waiting launches must not share one driver");
}

#[actix::test]
async fn a_full_driver_is_joined_by_another_that_is_retired_when_idle() {
    let worker = TestWorker::with(|settings| settings.driver.sessions_per_driver = 2).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(worker.ready(headless()).await.spec.id);
    }
    assert_eq!(worker.os.alive("node").len(), 2);
    worker.delete(ids[2]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(worker.os.alive("node").len(), 1);
    assert!(ids[..2].iter().all(|id| worker.view(*id).status == Status::Ready));
    for id in &ids[..2] {
        worker.delete(*id).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(61)).await;
    worker.assert_nothing_left();
}

#[actix::test]
async fn a_driver_that_keeps_failing_makes_its_worker_fail() {
    let mut worker = TestWorker::new().await;
    let id = worker.ready(with_vnc()).await.spec.id;
    worker.os.break_next(Fault::DriverDies, usize::MAX);
    worker.os.kill(worker.os.alive("node")[0]);
    let why = soon(worker.ends.recv()).await.unwrap();
    assert!(why.contains("more than 8 times in 60 s") && why.contains("exit status 1"), "{why}");
    worker.settle("all processes have ended", || worker.os.alive_count() == 0).await;
    assert!(!worker.address.connected());
    worker.settle("its files are deleted", || worker.machine.run_dir_entries().is_empty()).await;
    assert_ne!(worker.view(id).status, Status::Ready);
}

#[actix::test]
async fn a_driver_that_cannot_be_started_is_retried() {
    let os = FakeOs::new();
    os.uninstall("node");
    let worker = TestWorker::starting_on(os, |_| {}).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let snapshot = worker.handle.snapshot();
    assert_eq!((snapshot.checks["driver"].text.as_str(), snapshot.healthy), ("restarting", false));
    let facts = snapshot.facts.as_ref().unwrap();
    assert_eq!((facts.drivers, &facts.playwright, &facts.node), (Some(0), &None, &None));
    worker.os.install("node");
    worker.until(|snapshot| snapshot.healthy).await;
}

#[actix::test]
async fn a_driver_that_hangs_is_killed_and_its_sessions_are_restarted() {
    let worker = TestWorker::with(|settings| settings.keep_warm("headless", 1)).await;
    let id = worker.ready(headless()).await.spec.id;
    worker.until(|snapshot| snapshot.checks["pool_headless"].text.starts_with("1 of 1")).await;
    let node = worker.os.alive("node")[0];
    let hung_at = Instant::now();
    worker.os.stop(node);
    worker.until(|snapshot| snapshot.checks["driver"].text.contains("0 up, 1 not answering")).await;
    assert!(hung_at.elapsed() <= Duration::from_secs(11), "{:?}", hung_at.elapsed());
    worker.until(|snapshot| snapshot.session(id).unwrap().status == Status::Init).await;
    assert!(hung_at.elapsed() <= Duration::from_secs(21), "{:?}", hung_at.elapsed());
    worker.until_restarted(id, 1).await;
    assert!(!worker.os.alive("node").contains(&node));
    assert_eq!(worker.machine.metric("camofleet_session_restarts_total{cause=\"driver_lost\"}"), 1.0);
    let text = worker.until(|snapshot| snapshot.checks["driver"].text.starts_with("1 up, play")).await;
    assert!(text.healthy);
}

#[actix::test]
async fn a_warm_browser_whose_driver_hangs_is_not_given_to_a_session() {
    let worker = TestWorker::with(|settings| settings.keep_warm("headless", 3)).await;
    let hung = worker.os.alive("node")[0];
    worker.os.stop(hung);
    let asked_at = Instant::now();
    let id = worker.ready(headless()).await.spec.id;
    // Two warm browsers are checked for two seconds each; then another driver launches one.
    assert!(asked_at.elapsed() < Duration::from_secs(5) + LAUNCH_TIME, "{:?}", asked_at.elapsed());
    assert_eq!(worker.os.alive("node").len(), 2);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!((worker.view(id).status, worker.view(id).restarts), (Status::Ready, 0));
    assert!(!worker.os.alive("node").contains(&hung));
    worker.until(|snapshot| snapshot.checks["pool_headless"].text.starts_with("3 of 3")).await;
}

#[actix::test]
async fn a_driver_that_is_slow_for_a_while_keeps_its_sessions() {
    let worker = TestWorker::new().await;
    let id = worker.ready(headless()).await.spec.id;
    let node = worker.os.alive("node")[0];
    worker.os.stop(node);
    worker.until(|snapshot| snapshot.checks["driver"].text.contains("not answering")).await;
    worker.os.go_on(node);
    worker.until(|snapshot| snapshot.checks["driver"].text.starts_with("1 up, play")).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((worker.os.alive("node"), worker.view(id).restarts), (vec![node], 0));
}

#[actix::test]
async fn a_driver_that_hangs_at_its_start_is_replaced() {
    let os = FakeOs::new();
    os.break_next(Fault::DriverHangs, 1);
    let worker = TestWorker::on(os, |_| {}).await;
    let asked_at = Instant::now();
    worker.ready(headless()).await;
    assert!(asked_at.elapsed() < Duration::from_secs(90), "{:?}", asked_at.elapsed());
}

#[actix::test]
async fn a_line_that_cannot_be_read_fails_the_request_that_it_answers() {
    let worker = TestWorker::new().await;
    worker.os.break_next(Fault::OpenUnreadable, 1);
    let request = || SessionRequest { start_url: Some("https://example.org".to_owned()), ..headless() };
    let id = worker.ready(request()).await.spec.id;
    worker.until(|snapshot| snapshot.session(id).unwrap().start_url_error.is_some()).await;
    assert_eq!(worker.view(id).start_url_error.as_deref(), Some("its driver's answer could not be read"));
    assert_eq!(worker.machine.metric("camofleet_driver_lines_unreadable_total"), 1.0);

    // A request that is never answered times out.
    worker.os.break_next(Fault::OpenUnanswered, 1);
    let id = worker.ready(request()).await.spec.id;
    worker.until(|snapshot| snapshot.session(id).unwrap().start_url_error.is_some()).await;
    assert_eq!(worker.view(id).start_url_error.as_deref(), Some("its driver did not answer"));
}
