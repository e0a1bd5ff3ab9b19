//! Parts that end unexpectedly: their session follows its `on_crash`, and other sessions are not affected.

use std::time::Duration;

use camofleet_api::request::SessionRequest;
use camofleet_api::session::{EndReason, OnCrash, Status};
use tokio::time::Instant;

use crate::display::{DisplayTools, VncBackend};
use crate::testing::fake_os::{FakeOs, Fault, LAUNCH_TIME};
use crate::testing::{TestWorker, headless, with_vnc};

/// The process name of a part, the VNC backend that uses it, and the reason that its loss is reported with.
const PARTS: [(&str, VncBackend, EndReason); 5] = [
    ("browser", VncBackend::Xvnc, EndReason::Crashed),
    ("node", VncBackend::Xvnc, EndReason::DriverLost),
    ("Xvnc", VncBackend::Xvnc, EndReason::DisplayLost),
    ("Xvfb", VncBackend::X11vnc, EndReason::DisplayLost),
    ("x11vnc", VncBackend::X11vnc, EndReason::DisplayLost),
];

async fn worker_with(backend: VncBackend) -> TestWorker {
    let os = FakeOs::new();
    let tools = DisplayTools::find(backend, &os);
    TestWorker::on(os, |settings| settings.launch.display.tools = tools).await
}

/// A session with a live view loses a part: it is restarted and keeps its identity.
async fn is_restarted(part: usize) {
    let (name, vnc_backend, cause) = PARTS[part];
    let worker = worker_with(vnc_backend).await;
    let request = SessionRequest { start_url: Some("example.com".into()), ..with_vnc() };
    let before = worker.ready(request).await;
    let id = before.spec.id;
    worker.os.kill(worker.os.alive(name)[0]);
    let after = worker.until_restarted(id, 1).await;
    assert_eq!(after.vnc, before.vnc, "the live view keeps its id");
    worker.settle("the start URL is opened again", || worker.os.opened().len() == 2).await;
    let label = format!("camofleet_session_restarts_total{{cause=\"{}\"}}", cause.as_str());
    assert_eq!(worker.machine.metric(&label), 1.0);
    worker.touch(id).await.unwrap();
    worker.delete(id).await.unwrap();
    worker.assert_nothing_left();
}

#[actix::test]
async fn a_session_survives_its_browser() {
    is_restarted(0).await;
}

#[actix::test]
async fn a_session_survives_its_driver() {
    is_restarted(1).await;
}

#[actix::test]
async fn a_session_survives_its_x_server() {
    is_restarted(2).await;
}

#[actix::test]
async fn a_session_survives_its_x_server_without_vnc() {
    is_restarted(3).await;
}

#[actix::test]
async fn a_session_survives_its_vnc_server() {
    is_restarted(4).await;
}

/// A session with `on_crash: end` loses a part: it ends.
async fn ends(part: usize) {
    let (name, vnc_backend, cause) = PARTS[part];
    let worker = worker_with(vnc_backend).await;
    let id = worker.ready(SessionRequest { on_crash: OnCrash::End, ..with_vnc() }).await.spec.id;
    worker.os.kill(worker.os.alive(name)[0]);
    let view = worker.until_status(id, Status::Dead).await;
    let (reason, detail) = worker.end_of(id);
    assert_eq!((reason, view.restarts, view.vnc.clone()), (cause, 0, None));
    assert!(detail.contains("ended"), "{detail}");
    worker.until(|snapshot| snapshot.checks["driver"].ok).await;
    worker.assert_nothing_left();
}

#[actix::test]
async fn a_session_that_is_to_end_ends_with_its_browser() {
    ends(0).await;
}

#[actix::test]
async fn a_session_that_is_to_end_ends_with_its_driver() {
    ends(1).await;
}

#[actix::test]
async fn a_session_that_is_to_end_ends_with_its_x_server() {
    ends(2).await;
}

#[actix::test]
async fn a_session_that_is_to_end_ends_with_its_vnc_server() {
    ends(4).await;
}

#[actix::test]
async fn other_sessions_are_not_affected() {
    let worker = TestWorker::new().await;
    let first = worker.ready(with_vnc()).await.spec.id;
    let browsers = worker.os.alive("browser");
    let others = [worker.ready(with_vnc()).await.spec.id, worker.ready(headless()).await.spec.id];
    worker.os.kill(browsers[0]);
    worker.until_restarted(first, 1).await;
    for id in others {
        assert_eq!((worker.view(id).status, worker.view(id).restarts), (Status::Ready, 0));
    }
}

#[actix::test]
async fn a_crash_loop_ends_after_three_restarts_with_its_reason() {
    let worker = TestWorker::new().await;
    let id = worker.ready(with_vnc()).await.spec.id;
    for restarts in 1..=3 {
        worker.os.kill(worker.os.alive("browser")[0]);
        worker.until_restarted(id, restarts).await;
    }
    worker.os.kill(worker.os.alive("browser")[0]);
    worker.until_status(id, Status::Dead).await;
    let (reason, detail) = worker.end_of(id);
    assert_eq!(reason, EndReason::Crashed);
    assert_eq!(detail, "the browser was ended by SIGKILL (after 3 restarts in 300 s)");
    worker.assert_nothing_left();
}

#[actix::test]
async fn restarts_that_are_far_apart_are_not_limited() {
    let worker = TestWorker::new().await;
    let id = worker
        .ready(SessionRequest { idle_ttl: Some(Duration::from_secs(3600)), ..headless() })
        .await
        .spec
        .id;
    for restarts in 1..=6 {
        worker.os.kill(worker.os.alive("browser")[0]);
        worker.until_restarted(id, restarts).await;
        tokio::time::sleep(Duration::from_secs(150)).await;
    }
}

#[actix::test]
async fn a_restart_that_fails_is_retried_and_then_given_up() {
    let worker = TestWorker::new().await;
    let recovering = worker.ready(with_vnc()).await.spec.id;
    worker.os.break_next(Fault::LaunchFails, 1);
    worker.os.kill(worker.os.alive("browser")[0]);
    worker.until_restarted(recovering, 2).await;
    worker.os.break_next(Fault::DisplayDies, 3);
    worker.os.kill(worker.os.alive("browser")[0]);
    worker.until_status(recovering, Status::Dead).await;
    let (reason, detail) = worker.end_of(recovering);
    assert_eq!(reason, EndReason::LaunchFailed);
    assert!(detail.contains("listening sockets") && detail.contains("after 3 restarts"), "{detail}");
    worker.assert_nothing_left();
}

#[actix::test]
async fn a_browser_that_crashes_while_it_restarts_counts_as_one_more_restart() {
    let worker = TestWorker::new().await;
    let id = worker.ready(with_vnc()).await.spec.id;
    worker.os.kill(worker.os.alive("browser")[0]);
    worker.until_status(id, Status::Init).await;
    worker.settle("the next browser starts", || !worker.os.alive("browser").is_empty()).await;
    worker.os.kill(worker.os.alive("browser")[0]);
    worker.until_restarted(id, 2).await;
    worker.delete(id).await.unwrap();
    worker.assert_nothing_left();
}

#[actix::test]
async fn a_browser_and_its_display_that_die_together_are_one_restart() {
    let worker = TestWorker::new().await;
    let id = worker.ready(with_vnc()).await.spec.id;
    worker.os.kill(worker.os.alive("Xvnc")[0]);
    worker.os.kill(worker.os.alive("browser")[0]);
    worker.until_restarted(id, 1).await;
    tokio::time::sleep(LAUNCH_TIME * 3).await;
    assert_eq!((worker.view(id).status, worker.view(id).restarts), (Status::Ready, 1));
}

#[actix::test]
async fn a_session_can_be_deleted_during_or_before_its_restart() {
    let worker = TestWorker::new().await;
    let restarting = worker.ready(with_vnc()).await.spec.id;
    worker.os.kill(worker.os.alive("browser")[0]);
    worker.until_status(restarting, Status::Init).await;
    worker.delete(restarting).await.unwrap();
    worker.assert_nothing_left();

    let waiting = worker.ready(with_vnc()).await.spec.id;
    worker.os.break_next(Fault::LaunchFails, 1);
    worker.os.kill(worker.os.alive("browser")[0]);
    // Its second restart is delayed by most of a second.
    worker.until(|snapshot| snapshot.session(waiting).is_some_and(|view| view.restarts == 2)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let start = Instant::now();
    worker.delete(waiting).await.unwrap();
    assert!(start.elapsed() < Duration::from_millis(50), "{:?}", start.elapsed());
    worker.assert_nothing_left();
}

#[actix::test]
async fn a_delete_during_a_crash_ends_the_session() {
    let worker = TestWorker::new().await;
    let id = worker.ready(with_vnc()).await.spec.id;
    worker.os.kill(worker.os.alive("Xvnc")[0]);
    assert_eq!(worker.delete(id).await, Ok(Status::Dead));
    worker.assert_nothing_left();
    assert_eq!(worker.view(id).status, Status::Dead);
}

/// Suspends all processes of a program: sessions follow their `on_crash` within half a minute, and the hung processes
/// are killed.
async fn hang(program: &str, detail: &str) {
    let worker = TestWorker::new().await;
    let restarted = worker.ready(with_vnc()).await.spec.id;
    let ended = worker.ready(SessionRequest { on_crash: OnCrash::End, ..with_vnc() }).await.spec.id;
    let hung_at = Instant::now();
    worker.os.alive(program).into_iter().for_each(|pid| worker.os.stop(pid));
    worker.until_status(ended, Status::Dead).await;
    assert!(hung_at.elapsed() <= Duration::from_secs(25), "{:?}", hung_at.elapsed());
    assert_eq!(worker.end_of(ended).1, detail);
    worker.until_restarted(restarted, 1).await;
    let running = worker.os.alive(program);
    assert_eq!(running.len(), 1, "the hung processes were killed");
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!((worker.view(restarted).restarts, worker.os.alive(program)), (1, running));
}

#[actix::test]
async fn a_browser_that_hangs_counts_as_crashed() {
    hang("browser", "the browser did not answer for 15s").await;
}

#[actix::test]
async fn a_display_that_hangs_counts_as_crashed() {
    hang("Xvnc", "the X server did not answer for 15s").await;
}
