//! Creating sessions, until they are READY or fail without leaving anything behind.

use std::time::Duration;

use camofleet_api::ids::{RequestId, SessionId};
use camofleet_api::request::SessionRequest;
use camofleet_api::session::{EndReason, OnCrash, Status};
use tokio::time::Instant;

use crate::display::{DisplayTools, Geometry, SharedDisplaySettings, VncBackend};
use crate::egress::CityDatabase;
use crate::model::error::Error;
use crate::testing::fake_os::{FakeOs, Fault, LAUNCH_TIME};
use crate::testing::{TestWorker, headless, refusal, with_vnc, worker_settings};
use crate::worker::{DiagnosticsSettings, ReportIdentity, WorkerSnapshot};

/// Longer than messages between actors take, shorter than anything that involves a process.
const AT_ONCE: Duration = Duration::from_millis(1);

#[actix::test]
async fn a_cold_create_shows_init_and_is_answered_ready_after_the_launch() {
    let worker = TestWorker::new().await;
    let start = Instant::now();
    let (id, created) = worker.begin(headless()).await;
    assert_eq!(worker.view(id).status, Status::Init);
    let view = created.await.unwrap().unwrap();
    assert_eq!((view.spec.id, view.status), (id, Status::Ready));
    assert!((LAUNCH_TIME..LAUNCH_TIME + Duration::from_millis(10)).contains(&start.elapsed()));
    assert_eq!(worker.machine.metric("camofleet_session_creates_total{outcome=\"ok\"}"), 1.0);
    assert_eq!(worker.machine.metric("camofleet_session_create_seconds_count{source=\"cold\"}"), 1.0);
}

#[actix::test]
async fn a_change_is_in_the_snapshot_when_its_request_is_answered() {
    let worker = TestWorker::new().await;
    let id = worker.ready(headless()).await.spec.id;
    assert_eq!(worker.view(id).status, Status::Ready);
    tokio::time::advance(Duration::from_secs(9)).await;
    let touched = worker.touch(id).await.unwrap();
    assert_eq!(worker.view(id).activity.last_seen_at(), touched.activity.last_seen_at());
    assert_eq!(touched.activity.last_seen().elapsed(), Duration::ZERO);
    worker.delete(id).await.unwrap();
    assert_eq!(worker.view(id).status, Status::Dead);
    assert!(worker.ids().is_empty());
}

#[actix::test]
async fn a_warm_create_is_immediate_and_its_pool_is_refilled() {
    let worker = TestWorker::with(|settings| {
        settings.keep_warm("headless", 1);
        settings.keep_warm("vnc", 1);
    })
    .await;
    for (request, check) in [(headless(), "pool_headless"), (with_vnc(), "pool_vnc")] {
        let start = Instant::now();
        let view = worker.ready(request).await;
        assert_eq!((view.status, view.vnc.is_some()), (Status::Ready, check == "pool_vnc"));
        assert!(start.elapsed() < AT_ONCE, "{check}: {:?}", start.elapsed());
        worker.until(|snapshot| snapshot.checks[check].text.starts_with("0 of 1")).await;
        worker.until(|snapshot| snapshot.checks[check].text.starts_with("1 of 1")).await;
        let took = start.elapsed();
        assert!(took < LAUNCH_TIME + Duration::from_millis(50), "{check}: refilled after {took:?}");
    }
    assert_eq!(worker.machine.metric("camofleet_session_create_seconds_count{source=\"warm\"}"), 2.0);
}

#[actix::test]
async fn a_window_without_a_live_view_uses_a_display_that_is_not_published() {
    let worker = TestWorker::new().await;
    let request = SessionRequest { headless: Some(false), ..SessionRequest::default() };
    let view = worker.ready(request).await;
    assert_eq!((view.vnc.clone(), worker.os.alive("Xvnc").len()), (None, 1));
    worker.until(|snapshot| snapshot.checks["display"].text.ends_with("2 of 3 slots free")).await;
    worker.delete(view.spec.id).await.unwrap();
    worker.assert_nothing_left();
}

#[actix::test]
async fn a_live_view_without_tools_is_refused_with_the_remedy() {
    let os = FakeOs::new();
    ["Xvnc", "Xvfb"].iter().for_each(|name| os.uninstall(name));
    let worker = TestWorker::on(os, |_| {}).await;
    let Error::NoVncTooling { remedy } = refusal(worker.create(with_vnc()).await) else { panic!() };
    assert!(remedy.contains("apt-get install"), "{remedy}");
    let window = SessionRequest { headless: Some(false), ..SessionRequest::default() };
    assert!(
        worker.ready(window).await.spec.template.headless,
        "a window without a live view is not required"
    );
}

#[actix::test]
async fn a_full_worker_refuses_and_has_room_again_after_a_delete() {
    let worker = TestWorker::with(|settings| settings.max_sessions = 2).await;
    let first = worker.ready(headless()).await.spec.id;
    let (_, second) = worker.begin(headless()).await;
    let full = refusal(worker.create(headless()).await);
    assert!(matches!(full, Error::AtCapacity { limit: 2, .. }), "a session in INIT counts: {full}");
    second.await.unwrap().unwrap();
    worker.delete(first).await.unwrap();
    worker.ready(headless()).await;
    assert_eq!(worker.machine.metric("camofleet_session_creates_total{outcome=\"at_capacity\"}"), 1.0);
}

#[actix::test]
async fn when_all_slots_are_taken_the_error_says_how_many_there_are() {
    let worker = TestWorker::new().await;
    for _ in 0..3 {
        worker.ready(with_vnc()).await;
    }
    assert_eq!(refusal(worker.create(with_vnc()).await), Error::NoSlot { limit: 3 });
    worker.ready(headless()).await;
}

#[actix::test]
async fn a_launch_that_fails_is_an_error_and_an_ended_session() {
    let worker = TestWorker::new().await;
    worker.os.break_next(Fault::LaunchFails, 1);
    let (id, created) = worker.begin(with_vnc()).await;
    let error = refusal(created.await.unwrap());
    assert_eq!(error, Error::LaunchFailed { detail: "no luck today".into() });
    worker.until_status(id, Status::Dead).await;
    assert_eq!(worker.end_of(id), (EndReason::LaunchFailed, error.to_string()));
    worker.assert_nothing_left();
    worker.ready(with_vnc()).await;
}

#[actix::test]
async fn a_display_that_dies_at_its_start_is_reported_with_its_last_output() {
    let worker = TestWorker::new().await;
    worker.os.break_next(Fault::DisplayDies, 1);
    let (id, created) = worker.begin(with_vnc()).await;
    let Error::DisplayFailed { detail } = refusal(created.await.unwrap()) else { panic!() };
    assert!(detail.contains("Cannot establish any listening sockets"), "{detail}");
    worker.until_status(id, Status::Dead).await;
    worker.assert_nothing_left();
}

#[actix::test]
async fn a_display_that_hangs_at_its_start_times_out() {
    let worker = TestWorker::new().await;
    worker.os.break_next(Fault::DisplayHangs, 1);
    let (id, created) = worker.begin(with_vnc()).await;
    let error = refusal(created.await.unwrap());
    assert!(matches!(error, Error::LaunchTimedOut { what: "display", .. }), "{error}");
    worker.until_status(id, Status::Dead).await;
    worker.assert_nothing_left();
}

#[actix::test]
async fn a_vnc_server_that_cannot_be_started_is_a_display_that_failed() {
    let os = FakeOs::new();
    let worker = TestWorker::on(os.clone(), |settings| {
        settings.launch.display.tools = DisplayTools::find(VncBackend::X11vnc, &os);
    })
    .await;
    worker.os.uninstall("x11vnc");
    let error = refusal(worker.create(with_vnc()).await);
    assert!(matches!(error, Error::DisplayFailed { .. }), "{error}");
    worker.settle("the X server has ended", || worker.os.alive("Xvfb").is_empty()).await;
    assert!(worker.machine.run_dir_entries().is_empty());
}

#[actix::test]
async fn a_browser_that_hangs_at_its_start_times_out() {
    let worker = TestWorker::new().await;
    worker.os.break_next(Fault::LaunchHangs, 1);
    let start = Instant::now();
    let (id, created) = worker.begin(with_vnc()).await;
    let error = refusal(created.await.unwrap());
    assert!(matches!(error, Error::LaunchTimedOut { what: "browser", .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(35), "{:?}", start.elapsed());
    worker.until_status(id, Status::Dead).await;
    worker.assert_nothing_left();
}

#[actix::test]
async fn the_death_of_a_part_at_the_moment_of_ready_is_never_missed() {
    // It dies at each step of the notification's way from the driver to the launcher and on to the session.
    let worker = TestWorker::new().await;
    let (mut failed, mut ready) = (0, 0);
    for turns in 0..40 {
        let part = if turns % 2 == 0 { "browser" } else { "Xvnc" };
        worker.os.kill_when_ready(part, turns / 2);
        let request = SessionRequest { on_crash: OnCrash::End, ..with_vnc() };
        let (id, created) = worker.begin(request).await;
        match created.await.unwrap() {
            Ok(_) => ready += 1,
            Err(Error::LaunchFailed { .. } | Error::DisplayFailed { .. }) => failed += 1,
            Err(error) => panic!("{error}"),
        }
        let start = Instant::now();
        worker.until_status(id, Status::Dead).await;
        assert!(start.elapsed() < Duration::from_secs(1), "{part} was missed after {turns} turns");
        worker.assert_nothing_left();
    }
    assert!(failed > 0 && ready > 0, "{failed} failed, {ready} were ready before");
}

#[actix::test]
async fn a_display_that_dies_while_its_browser_launches_ends_the_launch_at_once() {
    let worker = TestWorker::new().await;
    let (id, created) = worker.begin(with_vnc()).await;
    worker.settle("the browser starts", || !worker.os.alive("browser").is_empty()).await;
    let start = Instant::now();
    worker.os.kill(worker.os.alive("Xvnc")[0]);
    let error = refusal(created.await.unwrap());
    assert!(matches!(error, Error::DisplayFailed { .. }), "{error}");
    assert!(start.elapsed() < LAUNCH_TIME / 2, "the launch must not wait for a browser without a display");
    worker.until_status(id, Status::Dead).await;
    worker.assert_nothing_left();
}

#[actix::test]
async fn no_more_launches_run_at_once_than_there_are_permits() {
    let worker = TestWorker::with(|settings| settings.launch.permits = 2).await;
    let start = Instant::now();
    let (_, first) = worker.begin(headless()).await;
    let (_, second) = worker.begin(headless()).await;
    let (_, third) = worker.begin(headless()).await;
    tokio::time::sleep(LAUNCH_TIME / 2).await;
    assert_eq!(worker.os.alive("browser").len(), 2);
    for created in [first, second] {
        created.await.unwrap().unwrap();
        assert!(start.elapsed() < LAUNCH_TIME * 2);
    }
    third.await.unwrap().unwrap();
    assert!(start.elapsed() >= LAUNCH_TIME * 2);
}

#[actix::test]
async fn a_launch_that_waits_for_its_permit_can_be_cancelled() {
    let worker = TestWorker::with(|settings| settings.launch.permits = 1).await;
    let (_, first) = worker.begin(headless()).await;
    let (waiting, created) = worker.begin(headless()).await;
    worker.delete(waiting).await.unwrap();
    assert_eq!(refusal(created.await.unwrap()), Error::Cancelled);
    first.await.unwrap().unwrap();
}

#[actix::test]
async fn a_create_whose_future_is_dropped_leaves_a_session_that_expires() {
    let worker = TestWorker::new().await;
    let (id, created) = worker.begin(with_vnc()).await;
    created.abort();
    worker.until_status(id, Status::Ready).await;
    worker.until_status(id, Status::Dead).await;
    assert_eq!(worker.end_of(id).0, EndReason::Expired);
    worker.assert_nothing_left();
}

#[actix::test]
async fn a_failed_network_diagnosis_is_shown_and_does_not_affect_health() {
    let url: url::Url = "http://127.0.0.1:1/".parse().unwrap();
    let worker = TestWorker::with(|settings| {
        settings.diagnostics = DiagnosticsSettings { urls: vec![url], timeout: Duration::from_secs(8) };
    })
    .await;
    let failed = |snapshot: &WorkerSnapshot| {
        snapshot.healthy && snapshot.checks["network http://127.0.0.1:1/"].text.starts_with("failed: ")
    };
    worker.until(failed).await;
}

fn request(body: &str) -> SessionRequest {
    SessionRequest::parse(body.as_bytes()).unwrap()
}

#[actix::test]
async fn a_browser_is_launched_with_the_identity_of_its_session_and_again_after_a_crash() {
    let worker = TestWorker::with(|settings| settings.keep_warm("headless", 1)).await;
    let body = r#"{"headless": true, "locale": "de-AT", "timezone": "Europe/Vienna"}"#;
    let session = worker.ready(request(body)).await;
    let identity = session.identity.clone().unwrap();
    assert_eq!(identity.timezone.as_ref().unwrap().name(), "Europe/Vienna");
    let zones = || worker.os.environments("browser", "TZ");
    assert_eq!(zones(), [None, Some("Europe/Vienna".to_owned())], "a warm one has no identity");
    let pid = worker.os.alive("browser")[1];
    worker.os.kill(pid);
    let restarted = worker.until(|snapshot| {
        let view = snapshot.session(session.spec.id).unwrap();
        view.status == Status::Ready && view.restarts == 1
    });
    let view = restarted.await.session(session.spec.id).unwrap().identity.clone();
    assert_eq!(view, Some(identity));
    assert_eq!(zones().last().unwrap().as_deref(), Some("Europe/Vienna"));
}

#[actix::test]
async fn an_identity_is_reported_once_it_is_known_and_after_the_end_of_its_session() {
    let worker = TestWorker::new().await;
    let report = |id| {
        let ask = ReportIdentity { id, by: RequestId::random() };
        let handle = worker.handle.clone();
        async move { handle.ask(&handle.identity, ask).await }
    };
    let (id, created) = worker.begin(request(r#"{"timezone": "Europe/Vienna"}"#)).await;
    assert_eq!(report(id).await, Err(Error::SessionNotReady { status: Status::Init }));
    created.await.unwrap().unwrap();
    let known = report(id).await.unwrap();
    assert_eq!(known.identity.timezone.as_ref().unwrap().name(), "Europe/Vienna");
    assert_eq!(known.sources, [("timezone".to_owned(), "request".to_owned())].into());
    worker.delete(id).await.unwrap();
    assert_eq!(report(id).await, Ok(known));
    assert_eq!(report(SessionId::nil()).await, Err(Error::SessionNotFound));
}

#[actix::test]
async fn an_identity_that_can_not_be_shown_is_refused_before_anything_starts() {
    let screen = r#"{"screen": {"width": 800, "height": 600}, "headless": true}"#;
    let worker = TestWorker::with(|settings| settings.launch.display.shared = Some(one_screen())).await;
    let refused = refusal(worker.create(request(screen)).await);
    assert!(matches!(refused, Error::Identity { field: "screen", .. }), "{refused}");
    let possible = worker.handle.snapshot().facts.as_ref().unwrap().identity.clone();
    assert!(!possible.contains(&"screen".to_owned()) && possible.contains(&"locale".to_owned()));
    assert!(worker.ids().is_empty());
}

fn one_screen() -> SharedDisplaySettings {
    let geometry = Geometry { width: 1280, height: 720, depth: 24 };
    SharedDisplaySettings { display: 7, geometry, vnc_port: 5930, password: None }
}

#[actix::test]
async fn a_create_waits_for_the_place_of_its_exit_for_a_limited_time_and_with_a_warning_not_at_all() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/ip", silent.local_addr().unwrap()).parse().unwrap();
    let worker = TestWorker::with(|settings| {
        settings.keep_warm("headless", 1);
        settings.launch.egress.checks.urls = vec![url];
        settings.launch.egress.checks.cities = CityDatabase::empty();
    })
    .await;
    let took = async |body: &str| {
        let start = Instant::now();
        let view = worker.ready(request(body)).await;
        (start.elapsed().as_secs(), view.contradictions.clone())
    };
    assert_eq!(took(r#"{"headless": true}"#).await, (0, None), "there is nothing to compare");
    let screen = r#"{"headless": true, "screen": {"width": 800, "height": 600}}"#;
    assert!(took(screen).await.0 < 3);
    let (waited, found) = took(r#"{"headless": true, "locale": "de-AT"}"#).await;
    assert!((3..6).contains(&waited) && found.is_none(), "{waited} s");
    assert!(took(r#"{"headless": true, "locale": "de-AT", "coherence": "warn"}"#).await.0 < 3);
}

#[actix::test]
async fn an_identity_from_the_exit_needs_a_service_that_names_it() {
    let worker = TestWorker::new().await;
    let refused = refusal(worker.create(request(r#"{"timezone": "auto"}"#)).await);
    assert_eq!(refused, Error::NoExitIpUrl { field: Some("timezone") });
    assert!(refused.to_string().starts_with("timezone: 'auto' needs"), "{refused}");
    assert!(worker.ids().is_empty());
}

#[test]
fn a_pool_keeps_no_browsers_whose_identity_depends_on_a_session_or_can_not_be_shown() {
    let mut settings = worker_settings(&FakeOs::new());
    let template = settings.pool_template(&request(r#"{"vnc": true, "locale": "de"}"#)).unwrap();
    assert!(!template.headless && template.identity.locale.is_some());
    let refused = settings.pool_template(&request(r#"{"geolocation": "auto"}"#)).unwrap_err();
    assert!(matches!(refused, Error::Identity { field: "geolocation", .. }), "{refused}");
    settings.launch.display.shared = Some(one_screen());
    let refused =
        settings.pool_template(&request(r#"{"screen": {"width": 800, "height": 600}}"#)).unwrap_err();
    assert!(matches!(refused, Error::Identity { field: "screen", .. }), "{refused}");
}
