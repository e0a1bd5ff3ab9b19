//! Tests of admission, and of proxying between a viewer and a VNC server that is a listener of the test.

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;
use crate::display::{Geometry, KEY_REQUEST, SharedDisplaySettings, key_preamble};
use crate::model::session::{SessionView, VncView};
use crate::testing::fake_os::Fault;
use crate::testing::{TestWorker, a_view, refusal, refusing_worker, soon, with_vnc};
use crate::views::tunnel::{ViewerEnds, VncTunnel};
use crate::worker::WorkerSnapshot;

const ID: u16 = 6900;
/// The limit for operations of the kernel, which take microseconds.
const LIMIT: Duration = Duration::from_secs(5);
const SETTINGS: GatewaySettings = GatewaySettings {
    max_tunnels: 2,
    connect_timeout: Duration::from_secs(5),
    idle_timeout: Duration::from_secs(300),
    write_timeout: Duration::from_secs(30),
};

/// A gateway, a session with a live view, and its VNC server.
struct TestGateway {
    gateway: Addr<Gateway>,
    metrics: Metrics,
    server: TcpListener,
    view: Arc<SessionView>,
}

impl TestGateway {
    async fn with(settings: GatewaySettings) -> Self {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = server.local_addr().unwrap().port();
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let key = Some(ViewKey::random());
        let vnc = VncView { id: Some(ID), server: Some(address), key, ..VncView::default() };
        let view = Arc::new(SessionView { vnc: Some(vnc), ..a_view() });
        let snapshot = WorkerSnapshot { sessions: vec![Arc::clone(&view)], ..WorkerSnapshot::default() };
        let directory = Directory::of(vec![refusing_worker("local", snapshot)]);
        let metrics = Metrics::new().unwrap();
        let gateway = Gateway::new(settings, Targets::Sessions, directory, metrics.clone()).start();
        Self { gateway, metrics, server, view }
    }

    async fn request(&self, vnc_id: u16) -> Result<TunnelTicket> {
        self.request_with(vnc_id, None).await
    }

    async fn request_with(&self, vnc_id: u16, key: Option<&str>) -> Result<TunnelTicket> {
        let key = key.map(str::to_owned);
        self.gateway.send(OpenTunnel { vnc_id: vnc_id.to_string(), key }).await.unwrap()
    }

    /// A tunnel, and the VNC server's end of it.
    async fn open(&self) -> (ViewerEnds, TcpStream) {
        let ticket = self.request(ID).await.ok().unwrap();
        let ends = VncTunnel::open(ticket).await.unwrap();
        let mut server = timeout(LIMIT, self.server.accept()).await.unwrap().unwrap().0;
        let mut preamble = key_preamble(&self.key());
        timeout(LIMIT, server.read_exact(&mut preamble)).await.unwrap().unwrap();
        assert_eq!(
            preamble,
            key_preamble(&self.key()),
            "the key of the session is sent, even if the viewer has none"
        );
        (ends, server)
    }

    fn key(&self) -> ViewKey {
        self.view.vnc.as_ref().unwrap().key.clone().unwrap()
    }

    fn open_tunnels(&self) -> bool {
        !self.metrics.encode().unwrap().contains("camofleet_tunnels 0")
    }
}

async fn ended(ends: ViewerEnds) -> String {
    timeout(LIMIT, ends.ended).await.unwrap().unwrap()
}

#[test]
fn ids_are_mapped_to_consecutive_ports_and_named_servers_take_precedence() {
    let ports = PortMap {
        named: BTreeMap::from([
            ("6901".to_owned(), ("10.0.0.7".to_owned(), 5999)),
            ("tv".to_owned(), ("tv".to_owned(), 1)),
        ]),
        host: "runner".to_owned(),
        ids: 6900..=6904,
        base_port: 5900,
    };
    for (id, found) in [
        ("6900", Some(("runner", 5900))),
        ("6904", Some(("runner", 5904))),
        ("6901", Some(("10.0.0.7", 5999))),
        ("tv", Some(("tv", 1))),
        ("6899", None),
        ("6905", None),
        ("", None),
        ("69OO", None),
        ("99999", None),
    ] {
        let expected = found.map(|(host, port)| (host.to_owned(), port)).ok_or(Error::ViewNotFound);
        assert_eq!(ports.find(id), expected, "{id}");
    }
    let high = PortMap { ids: 1..=60_000, base_port: 65_000, ..ports };
    assert_eq!(high.find("60000"), Err(Error::ViewNotFound), "the port would exceed 65535");
}

#[actix::test]
async fn a_view_of_another_machine_is_identified_by_its_worker_and_its_id() {
    let ports = WorkerPorts { ids: 6900..=6904, base_port: 5900 };
    let at = |url: &str| {
        let machine = crate::worker::Machine { url: url.to_owned(), last_contact: None };
        Directory::of(vec![refusing_worker(
            "local",
            WorkerSnapshot { machine: Some(machine), ..WorkerSnapshot::default() },
        )])
    };
    let found = |host: &str, port| Ok((host.to_owned(), port));
    assert_eq!(
        ports.find(&at("http://worker-0.fleet.svc:8080"), "local:6903"),
        found("worker-0.fleet.svc", 5903)
    );
    assert_eq!(ports.find(&at("http://[fd00::7]:8080"), "local:6900"), found("fd00::7", 5900));
    for unknown in ["6900", "other:6900", "local:6905", "local:", ":6900", ""] {
        assert_eq!(ports.find(&at("http://a:8080"), unknown), Err(Error::ViewNotFound), "{unknown}");
    }
    let here = Directory::of(vec![refusing_worker("local", WorkerSnapshot::default())]);
    assert_eq!(ports.find(&here, "local:6900"), Err(Error::ViewNotFound), "the worker is in this process");
}

#[actix::test]
async fn viewers_are_admitted_up_to_the_limit_and_a_dropped_ticket_frees_its_place() {
    let gateway = TestGateway::with(SETTINGS).await;
    let first = gateway.request(ID).await.ok().unwrap();
    let _second = gateway.request(ID).await.ok().unwrap();
    assert_eq!(refusal(gateway.request(ID).await), Error::TunnelLimit { limit: 2 });
    drop(first);
    gateway.request(ID).await.ok().unwrap();
}

#[actix::test]
async fn a_key_opens_its_own_session_s_view_and_no_other() {
    let gateway = TestGateway::with(SETTINGS).await;
    let key = gateway.key();
    gateway.request_with(ID, Some(key.as_str())).await.ok().unwrap();
    for wrong in [ViewKey::random().as_str(), "", "0"] {
        assert_eq!(refusal(gateway.request_with(ID, Some(wrong)).await), Error::ViewOver, "{wrong}");
    }
    let describe = DescribeView { vnc_id: ID.to_string(), key: None };
    let shown = gateway.gateway.send(describe).await.unwrap().unwrap();
    assert_eq!(shown, ShownSession { id: Some(gateway.view.spec.id), key: Some(key) });
}

#[actix::test]
async fn a_gateway_to_ports_of_another_machine_requests_and_checks_keys_there() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ports = PortMap {
        named: BTreeMap::new(),
        host: "127.0.0.1".to_owned(),
        ids: ID..=ID,
        base_port: server.local_addr().unwrap().port(),
    };
    let directory = Directory::of(Vec::new());
    let gateway = Gateway::new(SETTINGS, Targets::Ports(ports), directory, Metrics::new().unwrap()).start();
    let key = ViewKey::random();
    for (types, expected) in [(1, Ok(Some(key.clone()))), (0, Err(Error::ViewOver))] {
        let describe = DescribeView { vnc_id: ID.to_string(), key: Some(key.as_str().to_owned()) };
        let described = gateway.send(describe);
        let serving = async {
            let (mut runner, _) = server.accept().await.unwrap();
            let mut preamble = key_preamble(&key);
            runner.read_exact(&mut preamble).await.unwrap();
            runner.write_all(b"RFB 003.008\n").await.unwrap();
            runner.read_exact(&mut [0; 12]).await.unwrap();
            runner.write_all(&[types]).await.unwrap();
            (preamble, runner)
        };
        let (shown, (preamble, _)) =
            timeout(LIMIT, futures_util::future::join(described, serving)).await.unwrap();
        assert_eq!(preamble, key_preamble(&key));
        assert_eq!(shown.unwrap().map(|shown| shown.key), expected);
    }
    for (answer, expected) in [(key.as_str(), Some(key.clone())), ("", None), ("RFB 003.008\n", None)] {
        let described = gateway.send(DescribeView { vnc_id: ID.to_string(), key: None });
        let serving = async {
            let (mut runner, _) = server.accept().await.unwrap();
            runner.write_all(b"RFB 003.008\n").await.unwrap();
            let mut request = [0; 12];
            runner.read_exact(&mut request).await.unwrap();
            runner.write_all(answer.as_bytes()).await.unwrap();
            request
        };
        let (shown, request) = timeout(LIMIT, futures_util::future::join(described, serving)).await.unwrap();
        assert_eq!((&request, shown.unwrap()), (KEY_REQUEST, Ok(ShownSession { id: None, key: expected })));
    }
}

#[actix::test]
async fn an_id_without_a_live_view_is_not_found() {
    let gateway = TestGateway::with(SETTINGS).await;
    assert_eq!(refusal(gateway.request(ID + 1).await), Error::ViewNotFound);
}

#[actix::test]
async fn data_is_proxied_in_both_directions_and_only_input_is_activity() {
    let gateway = TestGateway::with(SETTINGS).await;
    let (mut ends, mut server) = gateway.open().await;
    server.write_all(b"RFB 003.008\n").await.unwrap();
    assert_eq!(timeout(LIMIT, ends.from_server.recv()).await.unwrap().unwrap(), "RFB 003.008\n");
    let born = gateway.view.activity.last_seen();
    // The clock has a resolution of one millisecond.
    while born.elapsed() < Duration::from_millis(1) {
        tokio::task::yield_now().await;
    }
    let quiet = [b"RFB 003.008\n\x01\x01".as_slice(), &[3, 1, 0, 0, 0, 0, 7, 128, 4, 56]].concat();
    ends.to_server.send(quiet.clone().into()).await.unwrap();
    let mut read = vec![0; quiet.len()];
    timeout(LIMIT, server.read_exact(&mut read)).await.unwrap().unwrap();
    assert_eq!((read, gateway.view.activity.last_seen()), (quiet, born));
    let key = [4, 1, 0, 0, 0, 0, 0, 0x61];
    ends.to_server.send(key.to_vec().into()).await.unwrap();
    timeout(LIMIT, server.read_exact(&mut [0; 8])).await.unwrap().unwrap();
    assert!(gateway.view.activity.last_seen() > born);
    let text = gateway.metrics.encode().unwrap();
    assert!(text.contains("camofleet_relay_bytes_total{direction=\"out\",kind=\"vnc\"} 12"), "{text}");
}

#[actix::test]
async fn a_server_or_viewer_that_disconnects_ends_the_tunnel() {
    let gateway = TestGateway::with(SETTINGS).await;
    let (ends, server) = gateway.open().await;
    drop(server);
    assert_eq!(ended(ends).await, "the VNC server closed the connection");
    let (ends, mut server) = gateway.open().await;
    drop((ends.to_server, ends.from_server));
    assert_eq!(timeout(LIMIT, server.read(&mut [0])).await.unwrap().unwrap(), 0);
    assert_eq!(timeout(LIMIT, ends.ended).await.unwrap().unwrap(), "the viewer disconnected");
    gateway.gateway.send(DrainTunnels { grace: LIMIT }).await.unwrap();
    assert!(!gateway.open_tunnels());
}

#[actix::test]
async fn an_idle_tunnel_ends_after_the_idle_timeout() {
    let idle_timeout = Duration::from_millis(20);
    let gateway = TestGateway::with(GatewaySettings { idle_timeout, ..SETTINGS }).await;
    let (ends, _server) = gateway.open().await;
    assert_eq!(ended(ends).await, "it was idle for too long");
}

#[actix::test]
async fn a_server_that_does_not_listen_is_unreachable_and_its_ticket_frees_its_place() {
    let gateway = TestGateway::with(GatewaySettings { max_tunnels: 1, ..SETTINGS }).await;
    let ticket = gateway.request(ID).await.ok().unwrap();
    let TestGateway { gateway, server, .. } = gateway;
    drop(server);
    assert!(matches!(refusal(VncTunnel::open(ticket).await), Error::UpstreamUnreachable { .. }));
    // The notification of the dropped ticket precedes this in the mailbox.
    gateway.send(OpenTunnel { vnc_id: ID.to_string(), key: None }).await.unwrap().ok().unwrap();
}

#[actix::test]
async fn a_drain_refuses_new_viewers_and_closes_the_others_after_its_grace_period() {
    let gateway = TestGateway::with(SETTINGS).await;
    let (ends, _server) = gateway.open().await;
    let late = gateway.request(ID).await.ok().unwrap();
    let address = gateway.gateway.clone();
    let drained =
        actix_rt::spawn(async move { address.send(DrainTunnels { grace: Duration::ZERO }).await.unwrap() });
    assert_eq!(ended(ends).await, "the gateway is shutting down");
    assert_eq!(refusal(gateway.request(ID).await), Error::Draining);
    assert!(!drained.is_finished(), "one viewer is still connecting");
    let ends = VncTunnel::open(late).await.unwrap();
    assert_eq!(ended(ends).await, "the gateway is shutting down");
    timeout(LIMIT, drained).await.unwrap().unwrap();
}

/// The handshake of a viewer, and the length of what it receives: version, security types and result, the screen's size and
/// format, and its name.
const HANDSHAKE: &[u8] = b"RFB 003.008\n\x01\x01";
const GREETING: usize = 12 + 2 + 4 + 20 + 4 + 4;

/// A worker with a fake operating system, whose ports can't be connected to, and the gateway of its process.
struct LocalGateway {
    worker: TestWorker,
    gateway: Addr<Gateway>,
    metrics: Metrics,
}

impl LocalGateway {
    fn new(worker: TestWorker, targets: Targets) -> Self {
        let metrics = Metrics::new().unwrap();
        let directory = Directory::of(vec![worker.handle.clone()]);
        let gateway = Gateway::new(SETTINGS, targets, directory, metrics.clone()).start();
        Self { worker, gateway, metrics }
    }

    async fn request(&self, vnc_id: &str, key: Option<&ViewKey>) -> Result<TunnelTicket> {
        let key = key.map(|key| key.as_str().to_owned());
        self.gateway.send(OpenTunnel { vnc_id: vnc_id.to_owned(), key }).await.unwrap()
    }

    async fn open(&self, view: &SessionView) -> ViewerEnds {
        let vnc = view.vnc.as_ref().unwrap();
        let ticket = self.request(&vnc.id.unwrap().to_string(), vnc.key.as_ref()).await.ok().unwrap();
        VncTunnel::open(ticket).await.unwrap()
    }
}

async fn send(ends: &ViewerEnds, bytes: &[u8]) {
    soon(ends.to_server.send(Bytes::copy_from_slice(bytes))).await.unwrap();
}

/// Receives at least this many bytes from the screen.
async fn receive(ends: &mut ViewerEnds, length: usize) -> Vec<u8> {
    let mut received = Vec::new();
    while received.len() < length {
        received.extend(soon(ends.from_server.recv()).await.expect("it ended too early"));
    }
    received
}

#[actix::test]
async fn a_viewer_of_a_session_in_this_process_reaches_its_screen_without_a_socket_and_obeys_its_limits() {
    let worker = TestWorker::with(|settings| {
        settings.launch.display.viewers.open = false;
        settings.launch.display.viewers.count = 1;
    })
    .await;
    let view = worker.ready(with_vnc()).await;
    let gateway = LocalGateway::new(worker, Targets::Sessions);
    let mut ends = gateway.open(&view).await;
    send(&ends, HANDSHAKE).await;
    assert!(receive(&mut ends, GREETING).await.ends_with(b"fake"));
    let before = view.activity.last_seen();
    tokio::time::sleep(Duration::from_secs(10)).await;
    // A request for the next update.
    send(&ends, &[3, 0, 0, 0, 0, 0, 0, 1, 0, 1]).await;
    assert_eq!(receive(&mut ends, 20).await[..4], [0, 0, 0, 1]);
    assert_eq!(view.activity.last_seen(), before, "watching is no activity");
    send(&ends, &[4, 1, 0, 0, 0, 0, 0, 0x61]).await;
    gateway.worker.settle("the key counts as activity", || view.activity.last_seen() > before).await;
    let metrics = gateway.metrics.encode().unwrap();
    assert!(metrics.contains("camofleet_relay_bytes_total{direction=\"in\",kind=\"vnc\"} 32"), "{metrics}");

    let mut second = gateway.open(&view).await;
    send(&second, HANDSHAKE).await;
    let refused = receive(&mut second, 12 + 1 + 4 + 30).await;
    assert!(String::from_utf8_lossy(&refused).contains("1 viewers already"), "{refused:?}");
    assert_eq!(soon(second.ended).await.unwrap(), "the VNC server closed the connection");

    send(&ends, &[6, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]).await;
    let reason = soon(ends.ended).await.unwrap();
    assert!(reason.starts_with("a clipboard text of 2147483647 bytes is longer"), "{reason}");
}

#[actix::test]
async fn a_viewer_ends_with_its_screen_and_can_open_the_next_one_of_its_session_but_no_other() {
    let worker = TestWorker::new().await;
    let view = worker.ready(with_vnc()).await;
    let gateway = LocalGateway::new(worker, Targets::Sessions);
    let mut ends = gateway.open(&view).await;
    send(&ends, HANDSHAKE).await;
    receive(&mut ends, GREETING).await;
    let worker = &gateway.worker;
    worker.os.kill(worker.os.alive("Xvnc")[0]);
    assert_eq!(soon(ends.ended).await.unwrap(), "the VNC server closed the connection");
    worker.until_restarted(view.spec.id, 1).await;
    let mut ends = gateway.open(&view).await;
    send(&ends, HANDSHAKE).await;
    receive(&mut ends, GREETING).await;
    drop(ends);

    let vnc = view.vnc.clone().unwrap();
    let id = vnc.id.unwrap().to_string();
    let late = gateway.request(&id, vnc.key.as_ref()).await.ok().unwrap();
    worker.delete(view.spec.id).await.unwrap();
    let next = worker.ready(with_vnc()).await;
    assert_eq!(next.vnc.as_ref().unwrap().id, vnc.id, "the number is used again");
    assert!(matches!(refusal(VncTunnel::open(late).await), Error::UpstreamUnreachable { .. }));
    assert_eq!(refusal(gateway.request(&id, vnc.key.as_ref()).await), Error::ViewOver);
}

#[actix::test]
async fn a_view_of_a_session_that_is_being_restarted_is_refused_for_now_and_over_only_when_it_has_ended() {
    let worker = TestWorker::new().await;
    let view = worker.ready(with_vnc()).await;
    let gateway = LocalGateway::new(worker, Targets::Sessions);
    let vnc = view.vnc.clone().unwrap();
    let (id, key) = (vnc.id.unwrap().to_string(), vnc.key.unwrap());
    let worker = &gateway.worker;
    worker.os.break_next(Fault::LaunchHangs, 1);
    worker.os.kill(worker.os.alive("Xvnc")[0]);
    worker.until(|snapshot| snapshot.sessions[0].restarts == 1).await;
    let restarting = Error::Restarting { what: "session" };
    let describe = |key: Option<&ViewKey>| {
        let key = key.map(|key| key.as_str().to_owned());
        gateway.gateway.send(DescribeView { vnc_id: id.clone(), key })
    };
    for key in [Some(&key), None] {
        assert_eq!(refusal(gateway.request(&id, key).await), restarting);
        assert_eq!(describe(key).await.unwrap(), Err(restarting.clone()));
    }
    let other = ViewKey::random();
    assert_eq!(refusal(gateway.request(&id, Some(&other)).await), Error::ViewOver);
    worker.delete(view.spec.id).await.unwrap();
    assert_eq!(describe(Some(&key)).await.unwrap(), Err(Error::ViewOver));
}

#[actix::test]
async fn a_closed_tunnel_frees_its_place_at_the_screen_before_its_viewer_disconnects() {
    let worker = TestWorker::with(|settings| settings.launch.display.viewers.count = 1).await;
    let view = worker.ready(with_vnc()).await;
    let gateway = LocalGateway::new(worker, Targets::Sessions);
    let mut ends = gateway.open(&view).await;
    send(&ends, HANDSHAKE).await;
    receive(&mut ends, GREETING).await;
    let LocalGateway { worker, gateway, .. } = gateway;
    let other = LocalGateway::new(worker, Targets::Sessions);
    gateway.send(DrainTunnels { grace: Duration::ZERO }).await.unwrap();
    assert_eq!(soon(ends.ended).await.unwrap(), "the gateway is shutting down");
    // The viewer still holds its channels, but no longer occupies a place.
    let mut next = other.open(&view).await;
    send(&next, HANDSHAKE).await;
    assert!(receive(&mut next, GREETING).await.ends_with(b"fake"));
}

#[actix::test]
async fn the_shared_screen_can_be_viewed_while_there_is_no_session() {
    let host = TestWorker::with(|settings| {
        let geometry = Geometry { width: 1280, height: 720, depth: 24 };
        let shared = SharedDisplaySettings { display: 7, geometry, vnc_port: 5930, password: None };
        settings.launch.display.shared = Some(shared);
    })
    .await;
    let gateway = LocalGateway::new(host, Targets::Shared);
    let mut ends = VncTunnel::open(gateway.request("screen", None).await.ok().unwrap()).await.unwrap();
    send(&ends, HANDSHAKE).await;
    assert!(receive(&mut ends, GREETING).await.ends_with(b"fake"));
    let describe = DescribeView { vnc_id: "screen".to_owned(), key: None };
    assert_eq!(gateway.gateway.send(describe).await.unwrap(), Ok(ShownSession::default()));

    let without_screen = Directory::of(vec![refusing_worker("local", WorkerSnapshot::default())]);
    let gateway = Gateway::new(SETTINGS, Targets::Shared, without_screen, Metrics::new().unwrap()).start();
    let ticket = gateway.send(OpenTunnel { vnc_id: "screen".to_owned(), key: None }).await.unwrap();
    let refused = refusal(VncTunnel::open(ticket.ok().unwrap()).await);
    assert!(matches!(refused, Error::UpstreamUnreachable { .. }), "{refused}");
}
