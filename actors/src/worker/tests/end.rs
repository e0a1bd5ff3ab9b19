//! Expected ends: delete, idle timeout, shutdown, disk limit.

use std::time::Duration;

use camofleet_api::request::SessionRequest;
use camofleet_api::session::{EndReason, OnCrash, Status};
use tokio::time::Instant;

use crate::model::error::Error;
use crate::model::events::Change;
use crate::testing::fake_os::{Fault, LAUNCH_TIME};
use crate::testing::{TestWorker, headless, refusal, soon, with_vnc};

const TTL: Duration = Duration::from_secs(60);

fn short_lived() -> SessionRequest {
    SessionRequest { idle_ttl: Some(TTL), ..headless() }
}

#[actix::test]
async fn the_processes_of_a_deleted_session_have_ended_when_the_delete_is_answered() {
    let worker = TestWorker::new().await;
    let id = worker.ready(with_vnc()).await.spec.id;
    let start = Instant::now();
    assert_eq!(worker.delete(id).await, Ok(Status::Dead));
    worker.assert_nothing_left();
    assert_eq!(worker.end_of(id).0, EndReason::Deleted);
    assert!(start.elapsed() < Duration::from_millis(50), "{:?}", start.elapsed());
    assert_eq!(worker.machine.metric("camofleet_session_ends_total{reason=\"deleted\"}"), 1.0);
}

#[actix::test]
async fn no_actor_outlives_its_session() {
    let worker = TestWorker::new().await;
    // Sessions, browsers and displays hold a reference to the machine until their actors stop.
    let holders = || std::sync::Arc::strong_count(&worker.machine.parts.os);
    let before = holders();
    for request in [headless(), with_vnc()] {
        let deleted = worker.ready(request.clone()).await.spec.id;
        let ticket = worker.attach(deleted).await.ok().unwrap();
        worker.delete(deleted).await.unwrap();
        drop(ticket);
        let crashed = worker.ready(SessionRequest { on_crash: OnCrash::End, ..request }).await.spec.id;
        worker.os.kill(worker.os.alive("browser")[0]);
        worker.until_status(crashed, Status::Dead).await;
    }
    worker.os.break_next(Fault::LaunchFails, 1);
    worker.create(with_vnc()).await.unwrap_err();
    worker.settle("all references are dropped", || holders() == before).await;
}

#[actix::test]
async fn a_session_deleted_during_its_launch_leaves_nothing_and_its_create_fails() {
    let worker = TestWorker::new().await;
    for pause in [Duration::ZERO, Duration::from_millis(5), LAUNCH_TIME / 2] {
        let (id, created) = worker.begin(with_vnc()).await;
        tokio::time::sleep(pause).await;
        let start = Instant::now();
        worker.delete(id).await.unwrap();
        assert!(start.elapsed() < Duration::from_millis(50), "after {pause:?}: {:?}", start.elapsed());
        worker.assert_nothing_left();
        assert_eq!(refusal(created.await.unwrap()), Error::Cancelled);
        assert_eq!(worker.end_of(id).0, EndReason::Deleted);
    }
}

#[actix::test]
async fn a_session_whose_display_or_browser_hangs_can_be_deleted_at_once() {
    let worker = TestWorker::new().await;
    for fault in [Fault::DisplayHangs, Fault::LaunchHangs] {
        worker.os.break_next(fault, 1);
        let (id, _created) = worker.begin(with_vnc()).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let start = Instant::now();
        worker.delete(id).await.unwrap();
        assert!(start.elapsed() < Duration::from_millis(50), "{fault:?}: {:?}", start.elapsed());
        worker.assert_nothing_left();
    }
}

#[actix::test]
async fn two_deletes_at_once_are_both_answered_and_a_third_finds_nothing() {
    let worker = TestWorker::new().await;
    let id = worker.ready(with_vnc()).await.spec.id;
    let (one, two) = tokio::join!(worker.delete(id), worker.delete(id));
    assert_eq!((one, two), (Ok(Status::Dead), Ok(Status::Dead)));
    worker.assert_nothing_left();
    assert_eq!(worker.delete(id).await, Err(Error::SessionNotFound));
    assert_eq!(refusal(worker.touch(id).await), Error::SessionNotFound);
    assert_eq!(refusal(worker.attach(id).await), Error::SessionNotFound);
}

#[actix::test]
async fn a_session_expires_when_its_idle_time_is_over_and_not_before() {
    let worker = TestWorker::new().await;
    let view = worker.ready(short_lived()).await;
    let seen = view.activity.last_seen();
    tokio::time::sleep_until(seen + TTL - Duration::from_millis(2)).await;
    assert_eq!(worker.view(view.spec.id).status, Status::Ready);
    worker.until_status(view.spec.id, Status::Dead).await;
    assert!(seen.elapsed() < TTL + Duration::from_millis(20), "{:?}", seen.elapsed());
    let (reason, detail) = worker.end_of(view.spec.id);
    assert_eq!((reason, detail.as_str()), (EndReason::Expired, "nothing happened in it for 60 s"));
    worker.assert_nothing_left();
}

#[actix::test]
async fn touches_and_traffic_count_as_activity() {
    let worker = TestWorker::new().await;
    let view = worker.ready(short_lived()).await;
    let born = Instant::now();
    tokio::time::sleep(TTL - Duration::from_secs(1)).await;
    worker.touch(view.spec.id).await.unwrap();
    tokio::time::sleep(TTL - Duration::from_secs(1)).await;
    // As relays do, without a message to the session.
    view.activity.touch();
    worker.until_status(view.spec.id, Status::Dead).await;
    assert_eq!(born.elapsed().as_secs(), (TTL * 3).as_secs() - 2);
}

#[actix::test]
async fn a_session_does_not_expire_during_its_launch() {
    let worker = TestWorker::with(|settings| settings.launch.timeout = TTL * 10).await;
    worker.os.set_launch_time(TTL * 3);
    let view = worker.ready(short_lived()).await;
    assert_eq!(view.activity.last_seen().elapsed(), Duration::ZERO, "its idle time starts when it is ready");
    worker.until_status(view.spec.id, Status::Dead).await;
    assert_eq!(worker.end_of(view.spec.id).0, EndReason::Expired);
}

#[actix::test]
async fn the_events_of_a_session_are_published_in_order() {
    let mut worker = TestWorker::new().await;
    let id = worker.ready(headless()).await.spec.id;
    worker.os.kill(worker.os.alive("browser")[0]);
    worker.until_restarted(id, 1).await;
    worker.delete(id).await.unwrap();
    let changes = worker.changes_until_ended(id).await;
    let [Change::Created, Change::Ready, Change::Restarting { cause, detail }, rest @ ..] = &changes[..]
    else {
        panic!("{changes:?}");
    };
    assert_eq!((*cause, detail.as_str()), (EndReason::Crashed, "the browser was ended by SIGKILL"));
    assert_eq!(rest, [Change::Ready, Change::Ending, Change::Ended]);
}

#[actix::test]
async fn a_shutdown_ends_everything_in_bounded_time() {
    let mut worker = TestWorker::with(|settings| {
        settings.keep_warm("headless", 2);
        settings.keep_warm("vnc", 1);
    })
    .await;
    let ready = worker.ready(with_vnc()).await.spec.id;
    worker.os.break_next(Fault::LaunchHangs, 1);
    let (building, created) = worker.begin(with_vnc()).await;
    let start = Instant::now();
    worker.shut_down().await;
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(worker.os.alive_names(), Vec::<String>::new());
    assert_eq!(worker.machine.run_dir_entries(), Vec::<String>::new());
    assert_eq!(refusal(created.await.unwrap()), Error::Draining);
    for id in [ready, building] {
        assert_eq!(worker.end_of(id).0, EndReason::Shutdown);
    }
    assert_eq!(soon(worker.ends.recv()).await.unwrap(), "stopped");
    assert!(!worker.address.connected(), "its actor has stopped");
}

#[actix::test]
async fn a_create_during_a_shutdown_is_refused_or_its_session_is_ended() {
    let worker = TestWorker::with(|settings| settings.keep_warm("headless", 1)).await;
    let (created, ()) = tokio::join!(worker.create(headless()), worker.shut_down());
    assert!(matches!(created, Ok(_) | Err(Error::Draining)), "{created:?}");
    assert_eq!(worker.os.alive_names(), Vec::<String>::new());
    assert!(worker.ids().is_empty());
}

#[actix::test]
async fn a_worker_that_shuts_down_accepts_no_new_sessions() {
    let worker = TestWorker::new().await;
    worker.ready(with_vnc()).await;
    let ((), refused) = tokio::join!(worker.shut_down(), worker.create(headless()));
    assert_eq!(refusal(refused), Error::Draining);
    let snapshot = worker.handle.snapshot();
    assert!(snapshot.draining && snapshot.facts.as_ref().unwrap().draining);
}

#[actix::test]
async fn a_session_ends_within_seconds_when_its_files_exceed_the_disk_limit() {
    let limit = 100 << 20;
    let worker =
        TestWorker::with(|settings| settings.launch.disk_limit = std::num::NonZeroU64::new(limit)).await;
    worker.os.set_disk_use(limit / 2);
    let id = worker.ready(headless()).await.spec.id;
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(worker.view(id).status, Status::Ready);
    let walks = worker.os.disk_walks();
    assert!((9..=11).contains(&walks), "{walks} walks in 100 s in which nothing grew");
    let start = Instant::now();
    worker.os.set_disk_use(limit + 1);
    worker.until_status(id, Status::Dead).await;
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    let (reason, detail) = worker.end_of(id);
    assert_eq!(reason, EndReason::DiskFull);
    assert!(detail.contains("RUNNER_SESSION_DISK_MB"), "{detail}");
    worker.assert_nothing_left();
}
