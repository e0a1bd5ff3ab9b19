//! Viewers that connect to a display's own port: their input counts as activity of the session.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use camofleet_api::request::SessionRequest;
use camofleet_api::session::Status;
use camofleet_api::view::ViewKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::display::{KEY_REQUEST, key_preamble};
use crate::model::error::Error;
use crate::model::session::SessionView;
use crate::testing::fake_os::{FakeOs, Fault};
use crate::testing::{TestWorker, headless, refusal, soon, with_vnc};

/// A key press (RFC 6143, section 7.5.4).
const KEY: [u8; 8] = [4, 1, 0, 0, 0, 0, 0, 97];
/// A request for the next frame, which is not input.
const NEXT_PICTURE: [u8; 10] = [3, 1, 0, 0, 0, 0, 4, 0, 3, 0];

fn server(view: &SessionView) -> SocketAddr {
    view.vnc.as_ref().unwrap().server.unwrap()
}

/// A viewer that has completed the handshake.
async fn viewer(os: &FakeOs, address: SocketAddr) -> DuplexStream {
    let mut viewer = os.dial(address).unwrap();
    let mut greeting = [0; 12];
    soon(viewer.read_exact(&mut greeting)).await.unwrap();
    assert_eq!(&greeting, b"RFB 003.008\n");
    viewer.write_all(b"RFB 003.008\n\x01\x01").await.unwrap();
    // Security types and their result, the screen's size and format, and its name.
    let mut hello = [0; 2 + 4 + 20 + 4 + 4];
    soon(viewer.read_exact(&mut hello)).await.unwrap();
    assert!(hello.ends_with(b"fake"));
    viewer
}

/// A connection that was accepted and has sent only these bytes.
async fn stranger(os: &FakeOs, address: SocketAddr, sent: &[u8]) -> DuplexStream {
    let mut stranger = os.dial(address).unwrap();
    stranger.write_all(sent).await.unwrap();
    soon(stranger.read_exact(&mut [0; 12])).await.unwrap();
    stranger
}

/// Whether the server has closed the connection, after everything that it sent was read.
async fn is_closed(viewer: &mut DuplexStream) -> bool {
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_millis(1), viewer.read_to_end(&mut rest)).await.is_ok()
}

/// The reason for which a viewer with this key, or none, is refused; `None` if it is admitted.
async fn refusal_of(os: &FakeOs, address: SocketAddr, key: Option<&ViewKey>) -> Option<String> {
    let mut viewer = os.dial(address).unwrap();
    if let Some(key) = key {
        viewer.write_all(&key_preamble(key)).await.unwrap();
    }
    viewer.write_all(b"RFB 003.008\n").await.unwrap();
    let mut answer = [0; 13];
    soon(viewer.read_exact(&mut answer)).await.unwrap();
    if answer[12] != 0 {
        return None;
    }
    let length = soon(viewer.read_u32()).await.unwrap();
    let mut reason = vec![0; length as usize];
    soon(viewer.read_exact(&mut reason)).await.unwrap();
    Some(String::from_utf8(reason).unwrap())
}

/// The key that a screen reveals on request; `None` if it refuses.
async fn revealed_key(os: &FakeOs, address: SocketAddr) -> Option<ViewKey> {
    let mut gateway = os.dial(address).unwrap();
    gateway.write_all(KEY_REQUEST).await.unwrap();
    let mut answer = String::new();
    soon(gateway.read_to_string(&mut answer)).await.unwrap();
    ViewKey::parse(answer.strip_prefix("RFB 003.008\n").unwrap())
}

#[actix::test]
async fn a_screen_admits_the_key_of_its_session_across_restarts_and_no_other_key() {
    admits_by_key(false).await;
}

#[actix::test]
async fn a_screen_that_needs_no_key_refuses_that_of_an_ended_session() {
    admits_by_key(true).await;
}

#[actix::test]
async fn a_screen_knows_its_session_s_key_while_the_browser_is_still_being_restarted() {
    let worker = TestWorker::new().await;
    let view = worker.ready(with_vnc()).await;
    let key = view.vnc.as_ref().unwrap().key.clone().unwrap();
    let before = worker.os.alive("Xvnc");
    worker.os.break_next(Fault::LaunchHangs, 1);
    worker.os.kill(worker.os.alive("browser")[0]);
    let is_new = || worker.os.alive("Xvnc").iter().any(|pid| !before.contains(pid));
    worker.settle("the new screen is there", is_new).await;
    // A gateway on another machine knows the session by this alone.
    assert_eq!(refusal_of(&worker.os, server(&view), Some(&key)).await, None);
    assert!(refusal_of(&worker.os, server(&view), Some(&ViewKey::random())).await.unwrap().contains("over"));
    assert_eq!(worker.view(view.spec.id).status, Status::Init);
}

async fn admits_by_key(open: bool) {
    let worker = TestWorker::with(|settings| settings.launch.display.viewers.open = open).await;
    let view = worker.ready(with_vnc()).await;
    let key = view.vnc.as_ref().unwrap().key.clone().unwrap();
    let refusal = async |key: Option<&ViewKey>| refusal_of(&worker.os, server(&view), key).await;
    assert_eq!(refusal(Some(&key)).await, None);
    assert!(refusal(Some(&ViewKey::random())).await.unwrap().contains("over"));
    assert_eq!(revealed_key(&worker.os, server(&view)).await, open.then(|| key.clone()));
    let bare = refusal(None).await;
    assert_eq!(bare.is_none(), open, "{bare:?}");
    assert!(bare.is_none_or(|reason| reason.contains("RUNNER_VNC_OPEN_IDS")));
    worker.os.kill(worker.os.alive("browser")[0]);
    worker.until_restarted(view.spec.id, 1).await;
    assert_eq!(refusal(Some(&key)).await, None, "it is the same session");
    worker.delete(view.spec.id).await.unwrap();
    let next = worker.ready(with_vnc()).await;
    assert_eq!(server(&next), server(&view), "the number is used again");
    assert!(refusal(Some(&key)).await.unwrap().contains("over"));
}

#[actix::test]
async fn input_of_a_viewer_counts_as_activity_and_watching_does_not() {
    let worker = TestWorker::new().await;
    let request = SessionRequest { idle_ttl: Some(Duration::from_secs(60)), ..with_vnc() };
    let view = worker.ready(request).await;
    let mut viewer = viewer(&worker.os, server(&view)).await;
    viewer.write_all(&NEXT_PICTURE).await.unwrap();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(50)).await;
        viewer.write_all(&KEY).await.unwrap();
    }
    assert_eq!(worker.view(view.spec.id).status, Status::Ready);
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(25)).await;
        viewer.write_all(&NEXT_PICTURE).await.unwrap();
    }
    worker.until_status(view.spec.id, Status::Dead).await;
    let mut rest = Vec::new();
    soon(viewer.read_to_end(&mut rest)).await.unwrap();
    assert!(worker.os.dial(server(&view)).is_none(), "the port is closed");
}

#[actix::test]
async fn input_counts_for_the_session_that_took_the_browser_from_a_pool() {
    let worker = TestWorker::with(|settings| settings.keep_warm("vnc", 1)).await;
    let view = worker.ready(with_vnc()).await;
    let mut viewer = viewer(&worker.os, server(&view)).await;
    let before = view.activity.last_seen();
    tokio::time::sleep(Duration::from_secs(10)).await;
    viewer.write_all(&KEY).await.unwrap();
    worker.settle("the key is seen", || view.activity.last_seen() > before).await;
}

#[actix::test]
async fn the_port_for_viewers_is_the_same_after_a_restart() {
    let worker = TestWorker::new().await;
    let view = worker.ready(with_vnc()).await;
    let mut first = viewer(&worker.os, server(&view)).await;
    worker.os.kill(worker.os.alive("Xvnc")[0]);
    let restarted = worker.until_restarted(view.spec.id, 1).await;
    assert_eq!(
        soon(first.read(&mut [0; 1])).await.unwrap(),
        0,
        "a viewer is disconnected when its screen ends"
    );
    let before = view.activity.last_seen();
    let mut second = viewer(&worker.os, server(&restarted)).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    second.write_all(&KEY).await.unwrap();
    worker.settle("the key is seen", || view.activity.last_seen() > before).await;
}

#[actix::test]
async fn an_error_names_a_port_that_was_taken_between_the_check_and_the_launch() {
    let os = FakeOs::new();
    let worker = TestWorker::on(os.clone(), |_| {}).await;
    let holder = crate::process::Os::listen(&os, "127.0.0.1:5900".parse().unwrap()).unwrap();
    let Error::DisplayFailed { detail } = refusal(worker.create(with_vnc()).await) else { panic!() };
    assert!(detail.contains("127.0.0.1:5900"), "{detail}");
    drop(holder);
    worker.ready(with_vnc()).await;
    worker.ready(headless()).await;
}

#[actix::test]
async fn viewers_connect_to_the_configured_address_and_camofleet_to_one_that_is_reachable() {
    for (bind, own) in [
        ("127.0.0.1", "127.0.0.1:5900"),
        ("10.0.0.7", "10.0.0.7:5900"),
        ("0.0.0.0", "127.0.0.1:5900"),
        ("::", "[::1]:5900"),
    ] {
        let bind: IpAddr = bind.parse().unwrap();
        let worker = TestWorker::with(|settings| settings.launch.display.bind = bind).await;
        let view = worker.ready(with_vnc()).await;
        assert_eq!(server(&view), own.parse().unwrap());
        assert!(worker.os.dial(SocketAddr::new(bind, 5900)).is_some(), "{bind}");
        // The next worker pauses the clock again.
        tokio::time::resume();
    }
}

#[actix::test]
async fn silent_connections_are_closed_in_favour_of_later_ones() {
    let worker = TestWorker::new().await;
    let view = worker.ready(with_vnc()).await;
    let address = server(&view);
    let mut inside = viewer(&worker.os, address).await;
    inside.write_all(&NEXT_PICTURE).await.unwrap();
    let started = tokio::time::Instant::now();
    let mut silent = Vec::new();
    for _ in 0..600 {
        silent.push(stranger(&worker.os, address, b"").await);
    }
    let mut honest = viewer(&worker.os, address).await;
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert!(is_closed(&mut silent[0]).await, "the oldest is closed");
    assert!(!is_closed(&mut silent[599]).await, "the newest may still send");
    for viewer in [&mut inside, &mut honest] {
        assert!(!is_closed(viewer).await, "admitted viewers stay connected");
    }
}

#[actix::test]
async fn refused_viewers_that_do_not_read_the_reason_are_closed_in_favour_of_later_ones() {
    let worker = TestWorker::with(|settings| settings.launch.display.viewers.open = false).await;
    let view = worker.ready(with_vnc()).await;
    let address = server(&view);
    let key = view.vnc.as_ref().unwrap().key.clone().unwrap();
    let started = tokio::time::Instant::now();
    let mut refused = Vec::new();
    for _ in 0..600 {
        refused.push(stranger(&worker.os, address, b"RFB 003.008\n").await);
    }
    assert_eq!(refusal_of(&worker.os, address, Some(&key)).await, None);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[actix::test]
async fn a_viewer_that_requests_no_frames_loses_its_place() {
    let worker = TestWorker::with(|settings| settings.launch.display.viewers.count = 16).await;
    let request = SessionRequest { idle_ttl: Some(Duration::from_secs(3600)), ..with_vnc() };
    let view = worker.ready(request).await;
    let address = server(&view);
    let refusal = async || refusal_of(&worker.os, address, None).await;
    let mut watching = viewer(&worker.os, address).await;
    watching.write_all(&NEXT_PICTURE).await.unwrap();
    let mut typing = viewer(&worker.os, address).await;
    typing.write_all(&KEY).await.unwrap();
    let mut idle = Vec::new();
    for _ in 0..14 {
        let mut viewer = viewer(&worker.os, address).await;
        // SetEncodings, which every program sends first and may send again later.
        viewer.write_all(&[2, 0, 0, 1, 0, 0, 0, 0]).await.unwrap();
        idle.push(viewer);
    }
    assert!(refusal().await.unwrap().contains("16 viewers already"));
    tokio::time::sleep(Duration::from_secs(25)).await;
    idle[0].write_all(&[2, 0, 0, 1, 0, 0, 0, 0]).await.unwrap();
    assert!(refusal().await.is_some());
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(refusal().await, None, "their places were freed");
    for viewer in &mut idle {
        assert!(is_closed(viewer).await);
    }
    // The screen does not change, so no frames are sent.
    tokio::time::sleep(Duration::from_secs(1800)).await;
    for viewer in [&mut watching, &mut typing] {
        assert!(!is_closed(viewer).await);
    }
}

#[actix::test]
async fn a_viewer_that_does_not_complete_its_handshake_loses_its_place() {
    let worker = TestWorker::with(|settings| settings.launch.display.viewers.count = 2).await;
    let view = worker.ready(with_vnc()).await;
    let address = server(&view);
    let mut halfway = Vec::new();
    for sent in [&b"RFB 003.008\n"[..], b"RFB 003.008\n\x01"] {
        halfway.push(stranger(&worker.os, address, sent).await);
    }
    tokio::time::sleep(Duration::from_secs(25)).await;
    assert!(refusal_of(&worker.os, address, None).await.is_some());
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(refusal_of(&worker.os, address, None).await, None);
}
