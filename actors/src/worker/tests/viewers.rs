//! Viewers that come by a display's own port: what they do is a session's activity.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::error::Error;
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
