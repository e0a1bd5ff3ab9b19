//! Viewers that come by a display's own port: what they do is a session's activity.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::display::{KEY_QUESTION, key_preamble};
use crate::error::Error;
use crate::links::ViewKey;
use crate::process::fake::FakeOs;
use crate::session::{SessionRequest, SessionView, Status};
use crate::testing::{TestWorker, headless, refusal, soon, with_vnc};

/// A key is pressed (RFC 6143, section 7.5.4).
const KEY: [u8; 8] = [4, 1, 0, 0, 0, 0, 0, 97];
/// The next picture is wanted: no input.
const NEXT_PICTURE: [u8; 10] = [3, 1, 0, 0, 0, 0, 4, 0, 3, 0];

fn server(view: &SessionView) -> SocketAddr {
    view.vnc.as_ref().unwrap().server.unwrap()
}

/// A viewer that is past the handshake.
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

/// What a viewer that brings this key, or none, is told instead of the ways to prove who it is; `None` if it gets in.
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

/// The key that a screen tells whoever asks; `None` if it keeps it.
async fn key_told(os: &FakeOs, address: SocketAddr) -> Option<ViewKey> {
    let mut gateway = os.dial(address).unwrap();
    gateway.write_all(KEY_QUESTION).await.unwrap();
    let mut answer = String::new();
    soon(gateway.read_to_string(&mut answer)).await.unwrap();
    ViewKey::parse(answer.strip_prefix("RFB 003.008\n").unwrap())
}

#[actix::test]
async fn a_screen_opens_by_the_key_of_its_session_through_restarts_and_by_no_other() {
    opens_by_key(false).await;
}

#[actix::test]
async fn a_screen_that_needs_no_key_refuses_that_of_a_session_that_is_over() {
    opens_by_key(true).await;
}

async fn opens_by_key(open: bool) {
    let worker = TestWorker::with(|settings| settings.launch.display.viewers.open = open).await;
    let view = worker.ready(with_vnc()).await;
    let key = view.vnc.as_ref().unwrap().key.clone().unwrap();
    let refusal = async |key: Option<&ViewKey>| refusal_of(&worker.os, server(&view), key).await;
    assert_eq!(refusal(Some(&key)).await, None);
    assert!(refusal(Some(&ViewKey::random())).await.unwrap().contains("over"));
    assert_eq!(key_told(&worker.os, server(&view)).await, open.then(|| key.clone()));
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
async fn input_of_a_viewer_keeps_a_session_alive_and_mere_watching_does_not() {
    let worker = TestWorker::new().await;
    let request = SessionRequest { idle_ttl: Some(Duration::from_secs(60)), ..with_vnc() };
    let view = worker.ready(request).await;
    let mut viewer = viewer(&worker.os, server(&view)).await;
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
    assert!(worker.os.dial(server(&view)).is_none(), "the port is given back");
}

#[actix::test]
async fn input_counts_for_the_session_that_took_the_browser_from_a_pool() {
    let worker = TestWorker::with(|settings| settings.vnc_pool.target = 1).await;
    let view = worker.ready(with_vnc()).await;
    let mut viewer = viewer(&worker.os, server(&view)).await;
    let before = view.activity.last_seen();
    tokio::time::sleep(Duration::from_secs(10)).await;
    viewer.write_all(&KEY).await.unwrap();
    worker.settle("the key is seen", || view.activity.last_seen() > before).await;
}

#[actix::test]
async fn viewers_find_the_same_port_after_a_restart() {
    let worker = TestWorker::new().await;
    let view = worker.ready(with_vnc()).await;
    let mut first = viewer(&worker.os, server(&view)).await;
    worker.os.kill(worker.os.alive("Xvnc")[0]);
    let restarted = worker.until_restarted(view.spec.id, 1).await;
    assert_eq!(soon(first.read(&mut [0; 1])).await.unwrap(), 0, "a viewer goes with the screen it watched");
    let before = view.activity.last_seen();
    let mut second = viewer(&worker.os, server(&restarted)).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    second.write_all(&KEY).await.unwrap();
    worker.settle("the key is seen", || view.activity.last_seen() > before).await;
}

#[actix::test]
async fn a_port_that_is_taken_between_the_look_and_the_launch_is_named() {
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
async fn viewers_come_in_at_the_address_of_the_settings_and_camofleet_itself_at_one_it_can_call() {
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
        // For the next worker, which stops it again.
        tokio::time::resume();
    }
}
