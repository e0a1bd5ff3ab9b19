//! One screen for all sessions of a worker.

use std::net::SocketAddr;
use std::time::Duration;

use camofleet_api::request::SessionRequest;
use camofleet_api::session::Status;

use crate::display::{Geometry, SharedDisplaySettings, VncBackend, VncPassword};
use crate::model::error::Error;
use crate::model::session::VncView;
use crate::testing::fake_os::{FakeOs, Fault};
use crate::testing::{TestWorker, headless, refusal, with_vnc};
use crate::worker::WorkerSettings;

const PORT: u16 = 5930;

fn shared(settings: &mut WorkerSettings) {
    let geometry = Geometry { width: 1280, height: 720, depth: 24 };
    let password = Some(VncPassword::new("s3cret"));
    settings.launch.display.shared =
        Some(SharedDisplaySettings { display: 7, geometry, vnc_port: PORT, password });
    settings.launch.display.links.ws = Some("wss://screens.example/one".to_owned());
    settings.launch.display.links.http = None;
}

fn is_up(worker: &TestWorker) -> bool {
    worker.handle.snapshot().checks["display"].text == "xvnc, one shared screen :7 up"
}

#[actix::test]
async fn all_windows_are_on_the_shared_screen_and_no_slot_is_used() {
    let worker = TestWorker::with(|settings| {
        shared(settings);
        settings.keep_warm("vnc", 1);
    })
    .await;
    let first = worker.ready(with_vnc()).await;
    worker.ready(with_vnc()).await;
    worker.ready(headless()).await;
    assert_eq!(worker.os.alive("Xvnc").len(), 1);
    assert_eq!(worker.handle.snapshot().facts.as_ref().unwrap().slots, None);
    assert_eq!(worker.machine.metric("camofleet_slots{state=\"used\"}"), 0.0);
    let displays = worker.os.environments("browser", "DISPLAY");
    assert_eq!(
        displays.iter().filter(|display| display.as_deref() == Some(":7")).count() + 1,
        displays.len()
    );
    let VncView { id, server, links, key, .. } = first.vnc.clone().unwrap();
    assert_eq!((id, server), (None, Some(SocketAddr::from(([127, 0, 0, 1], PORT)))));
    let keyed = format!("wss://screens.example/one?key={}", key.unwrap().as_str());
    assert_eq!((links.ws, links.http), (Some(keyed), None));
    assert!(links.password_protected);
    worker.delete(first.spec.id).await.unwrap();
    assert!(is_up(&worker), "it is kept when a session ends");
    assert_eq!(worker.end_of(first.spec.id).1, "deleted by a request");
    worker.shut_down().await;
    assert_eq!(worker.os.alive_count(), 0);
}

#[actix::test]
async fn the_screen_and_its_sessions_are_restarted() {
    let worker = TestWorker::with(shared).await;
    let id = worker.ready(with_vnc()).await.spec.id;
    // Browsers exit when their display does.
    let (screen, browser) = (worker.os.alive("Xvnc")[0], worker.os.alive("browser")[0]);
    worker.os.kill(screen);
    worker.os.kill(browser);
    worker.until_restarted(id, 1).await;
    assert!(is_up(&worker));
    assert_ne!(worker.os.alive("Xvnc"), [screen]);
}

#[actix::test]
async fn a_session_waits_for_a_screen_that_is_starting_and_fails_if_it_does_not_start() {
    let os = FakeOs::new();
    os.break_next(Fault::DisplayDies, 2);
    let worker = TestWorker::on(os, shared).await;
    worker.ready(with_vnc()).await;
    worker.os.break_next(Fault::DisplayHangs, 100);
    worker.os.kill(worker.os.alive("Xvnc")[0]);
    worker.settle("the screen is down", || !is_up(&worker)).await;
    let refused = refusal(worker.create(with_vnc()).await);
    assert!(matches!(refused, Error::LaunchTimedOut { what: "display", .. }), "{refused}");
}

#[actix::test]
async fn a_screen_that_never_starts_makes_its_worker_fail() {
    let mut worker = TestWorker::on(FakeOs::new(), |settings| {
        shared(settings);
    })
    .await;
    worker.os.break_next(Fault::DisplayDies, 100);
    worker.os.kill(worker.os.alive("Xvnc")[0]);
    let end = crate::testing::soon(worker.ends.recv()).await.unwrap();
    assert!(end.contains("Cannot establish any listening sockets"), "{end}");
}

#[actix::test]
async fn input_on_the_screen_is_activity_of_every_session_on_it() {
    use tokio::io::AsyncWriteExt;
    let worker = TestWorker::with(shared).await;
    let views = [worker.ready(with_vnc()).await, worker.ready(with_vnc()).await];
    let apart = worker.ready(headless()).await;
    let before = apart.activity.last_seen();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let mut viewer = worker.os.dial(SocketAddr::from(([127, 0, 0, 1], PORT))).unwrap();
    // The version, the response to the password challenge, and a key press.
    let mut sent = b"RFB 003.008\n\x02".to_vec();
    sent.extend([0; 16]);
    sent.extend([1, 4, 1, 0, 0, 0, 0, 0, 97]);
    viewer.write_all(&sent).await.unwrap();
    let touched = || views.iter().all(|view| view.activity.last_seen() > before + Duration::from_secs(9));
    worker.settle("both are touched", touched).await;
    assert_eq!(apart.activity.last_seen(), before);
    assert_eq!(worker.view(apart.spec.id).status, Status::Ready);
}

#[actix::test]
async fn both_servers_read_the_password_from_a_file_that_is_named_in_their_arguments() {
    for (backend, server, flag) in
        [(VncBackend::Xvnc, "Xvnc", "-PasswordFile="), (VncBackend::X11vnc, "x11vnc", "-rfbauth")]
    {
        let worker = TestWorker::on(FakeOs::new(), |settings| {
            shared(settings);
            let tools = crate::display::DisplayTools::find(backend, &FakeOs::new());
            settings.launch.display.tools = tools;
        })
        .await;
        worker.settle("it is up", || worker.handle.snapshot().checks["display"].text.ends_with("up")).await;
        let arguments = worker.os.arguments(server);
        assert!(arguments.iter().any(|argument| argument.starts_with(flag)), "{arguments:?}");
        assert!(!arguments.iter().any(|argument| argument.contains("s3cret")), "{arguments:?}");
        tokio::time::resume();
    }
}

#[actix::test]
async fn another_screen_than_the_shared_one_is_refused_or_shown_as_a_contradiction() {
    let worker = TestWorker::with(shared).await;
    let create = |width: u16, more: &str| {
        let body = format!(r#"{{"headless": false, "screen": {{"width": {width}, "height": 720}}{more}}}"#);
        worker.create(SessionRequest::parse(body.as_bytes()).unwrap())
    };
    let Error::Identity { field: "screen", reason } = refusal(create(1024, "").await) else { panic!() };
    assert!(reason.contains("one screen of 1280x720") && reason.contains("\"coherence\""), "{reason}");
    let same = create(1280, "").await.unwrap();
    assert_eq!((&same.contradictions, same.identity.as_ref().unwrap().screen), (&None, None));
    let other = create(1024, r#", "coherence": "warn""#).await.unwrap();
    let [found] = &other.contradictions.as_ref().unwrap()[..] else { panic!() };
    assert_eq!((found.value.as_str(), found.fact.as_str()), ("1024x720", "1280x720"));
    assert_eq!(other.identity.as_ref().unwrap().screen, None, "it is not what pages see");
}
