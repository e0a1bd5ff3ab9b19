//! Egresses whose threads hang: nothing waits for them longer than its limit.
//!
//! The threads are real, so a paused clock would not wait for their answers: it runs until they hang.

use std::time::Duration;

use camofleet_api::ids::RequestId;
use camofleet_api::request::{ProxyCheckRequest, SessionRequest};
use camofleet_api::session::Status;
use tokio::time::Instant;

use crate::egress::HungThreads;
use crate::model::claim::Claimant;
use crate::model::error::Error;
use crate::testing::fake_os::{FakeOs, LAUNCH_TIME};
use crate::testing::{HangEgress, TestWorker, headless, refusal, with_vnc};
use crate::worker::CheckProxy;

/// How long an egress may take to answer.
const LIMIT: Duration = Duration::from_secs(2);

/// A worker whose egresses have one thread, with warm browsers if `warm` is not 0. Its clock runs.
async fn worker(warm: usize) -> TestWorker {
    let os = FakeOs::new();
    os.set_launch_time(Duration::from_millis(10));
    let worker = TestWorker::starting_on(os, |settings| {
        settings.launch.egress.threads = 1;
        settings.keep_warm("headless", warm);
    })
    .await;
    tokio::time::resume();
    let full = format!("{warm} of {warm}");
    worker
        .until(|snapshot| {
            let pool = &snapshot.checks["pool_headless"].text;
            snapshot.playwright.is_some() && (pool == "off" || pool.starts_with(&full))
        })
        .await;
    worker
}

/// Hangs the threads of its egresses, and pauses its clock.
async fn hang(worker: &TestWorker) -> HungThreads {
    let hung = worker.address.send(HangEgress).await.unwrap();
    assert_eq!(hung.count(), 1);
    tokio::time::pause();
    worker.os.set_launch_time(LAUNCH_TIME);
    hung
}

#[actix::test]
async fn no_browser_whose_egress_hangs_is_given_to_a_session_and_a_create_fails_within_its_limit() {
    let worker = worker(2).await;
    let hung = hang(&worker).await;
    let started = Instant::now();
    // Two warm browsers are tried, and one is launched.
    let Err(Error::LaunchFailed { detail }) = worker.create(headless()).await else {
        panic!("it was created without a way out")
    };
    assert!(detail.starts_with("its egress did not answer for 2s; "), "{detail}");
    let took = started.elapsed();
    let expected = LIMIT * 2 + LAUNCH_TIME + LIMIT;
    // Its remains are closed within another limit.
    assert!(took >= expected && took <= expected + LIMIT + Duration::from_millis(100), "{took:?}");
    drop(hung);
    tokio::time::resume();
    worker.os.set_launch_time(Duration::from_millis(10));
    // What was discarded has ended meanwhile, and its places are free.
    let view = worker.ready(headless()).await;
    assert_eq!(view.status, Status::Ready);
    worker.delete(view.spec.id).await.unwrap();
}

#[actix::test]
async fn the_end_of_a_session_does_not_wait_for_an_egress_that_hangs() {
    let worker = worker(0).await;
    let ids = [worker.ready(with_vnc()).await.spec.id, worker.ready(headless()).await.spec.id];
    let _hung = hang(&worker).await;
    for id in ids {
        let started = Instant::now();
        assert_eq!(worker.delete(id).await, Ok(Status::Dead));
        let took = started.elapsed();
        assert!(took <= LIMIT + Duration::from_millis(100), "{took:?}");
    }
    worker.assert_nothing_left();
}

#[actix::test]
async fn a_shutdown_does_not_wait_for_an_egress_that_hangs() {
    let worker = worker(1).await;
    worker.ready(with_vnc()).await;
    let _hung = hang(&worker).await;
    let started = Instant::now();
    worker.shut_down().await;
    let took = started.elapsed();
    assert!(took <= LIMIT * 2, "{took:?}");
    for part in ["browser", "Xvnc", "node"] {
        assert!(worker.os.alive(part).is_empty(), "{part}");
    }
    assert_eq!(worker.machine.run_dir_entries(), [""; 0]);
}

#[actix::test]
async fn a_check_of_a_proxy_is_not_waited_for_longer_than_its_limit() {
    let os = FakeOs::new();
    let worker = TestWorker::starting_on(os, |settings| {
        settings.launch.egress.threads = 1;
        settings.launch.egress.checks.urls = vec!["http://192.0.2.1/ip".parse().unwrap()];
    })
    .await;
    tokio::time::resume();
    worker.until(|snapshot| snapshot.playwright.is_some()).await;
    let _hung = hang(&worker).await;
    let check = CheckProxy {
        request: ProxyCheckRequest::default(),
        by: RequestId::random(),
        claimant: Claimant::uncancellable(),
    };
    let started = Instant::now();
    let checked = worker.handle.ask(&worker.handle.check_proxy, check).await;
    assert_eq!(checked, Err(Error::Restarting { what: "egress" }));
    assert!(
        started.elapsed() <= Duration::from_secs(8 + 5) + Duration::from_millis(100),
        "{:?}",
        started.elapsed()
    );
    // Nor is a session whose identity depends on it.
    let request = SessionRequest::parse(br#"{"timezone": "auto"}"#).unwrap();
    assert_eq!(refusal(worker.create(request).await), Error::Restarting { what: "egress" });
    assert!(worker.ids().is_empty());
}
