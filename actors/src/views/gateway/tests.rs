//! Admission, and the way of the bytes between a viewer and a VNC server that is a listener of the test.

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::*;
use crate::display::{Geometry, KEY_QUESTION, SharedDisplaySettings, key_preamble};
use crate::model::session::{SessionView, VncView};
use crate::testing::{TestWorker, a_view, refusal, soon, with_vnc};
use crate::views::tunnel::{ViewerEnds, VncTunnel};
use crate::worker::{
    AttachClient, CreateSession, DeleteSession, Drain, FindSession, ShutDown, TakeScreenshot, TouchSession,
    WorkerHandle, WorkerSnapshot,
};

const ID: u16 = 6900;
/// Bounds what goes through the kernel; it takes microseconds.
const PATIENCE: Duration = Duration::from_secs(5);
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
        let directory = Directory::of(vec![worker(snapshot)]);
        let metrics = Metrics::new().unwrap();
        let gateway = Gateway::new(settings, Targets::Sessions, directory, metrics.clone()).start();
        Self { gateway, metrics, server, view }
    }

    async fn ask(&self, vnc_id: u16) -> Result<TunnelTicket> {
        self.ask_with(vnc_id, None).await
    }

    async fn ask_with(&self, vnc_id: u16, key: Option<&str>) -> Result<TunnelTicket> {
        let key = key.map(str::to_owned);
        self.gateway.send(OpenTunnel { vnc_id: vnc_id.to_string(), key }).await.unwrap()
    }

    /// A tunnel, and the VNC server's end of it.
    async fn open(&self) -> (ViewerEnds, TcpStream) {
        let ticket = self.ask(ID).await.ok().unwrap();
        let ends = VncTunnel::open(ticket).await.unwrap();
        let mut server = timeout(PATIENCE, self.server.accept()).await.unwrap().unwrap().0;
        let mut preamble = key_preamble(&self.key());
        timeout(PATIENCE, server.read_exact(&mut preamble)).await.unwrap().unwrap();
        assert_eq!(preamble, key_preamble(&self.key()), "the key of the session is presented, whoever asks");
        (ends, server)
    }

    fn key(&self) -> ViewKey {
        self.view.vnc.as_ref().unwrap().key.clone().unwrap()
    }

    fn open_tunnels(&self) -> bool {
        !self.metrics.encode().unwrap().contains("camofleet_tunnels 0")
    }
}

/// A worker of which nothing but its snapshot matters.
fn worker(snapshot: WorkerSnapshot) -> WorkerHandle {
    struct Nobody;
    impl Actor for Nobody {
        type Context = Context<Self>;
    }
    macro_rules! refuses {
        ($($message:ty),*) => {$(
            impl Handler<$message> for Nobody {
                type Result = <$message as Message>::Result;
                fn handle(&mut self, _: $message, _: &mut Context<Self>) -> Self::Result {
                    Err(Error::Draining)
                }
            }
        )*};
    }
    refuses!(CreateSession, FindSession, DeleteSession, TouchSession, AttachClient, TakeScreenshot, Drain);
    impl Handler<ShutDown> for Nobody {
        type Result = ();
        fn handle(&mut self, _: ShutDown, _: &mut Context<Self>) {}
    }
    WorkerHandle::new("local".to_owned(), Nobody.start(), watch::channel(Arc::new(snapshot)).1)
}

async fn ended(ends: ViewerEnds) -> String {
    timeout(PATIENCE, ends.ended).await.unwrap().unwrap()
}

#[test]
fn ports_follow_ids_and_named_servers_win() {
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
    assert_eq!(high.find("60000"), Err(Error::ViewNotFound), "a port past the last is nobody's");
}

#[actix::test]
async fn a_view_of_another_machine_is_named_by_its_worker_and_its_id() {
    let ports = WorkerPorts { ids: 6900..=6904, base_port: 5900 };
    let at = |url: &str| {
        let machine = crate::worker::Machine { url: url.to_owned(), last_contact: None };
        Directory::of(vec![worker(WorkerSnapshot { machine: Some(machine), ..WorkerSnapshot::default() })])
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
    let here = Directory::of(vec![worker(WorkerSnapshot::default())]);
    assert_eq!(ports.find(&here, "local:6900"), Err(Error::ViewNotFound), "it is no machine of its own");
}

#[actix::test]
async fn viewers_are_admitted_up_to_the_limit_and_a_dropped_ticket_makes_room() {
    let gateway = TestGateway::with(SETTINGS).await;
    let first = gateway.ask(ID).await.ok().unwrap();
    let _second = gateway.ask(ID).await.ok().unwrap();
    assert_eq!(refusal(gateway.ask(ID).await), Error::TunnelLimit { limit: 2 });
    drop(first);
    gateway.ask(ID).await.ok().unwrap();
}

#[actix::test]
async fn a_key_opens_its_own_session_s_view_and_no_other() {
    let gateway = TestGateway::with(SETTINGS).await;
    let key = gateway.key();
    gateway.ask_with(ID, Some(key.as_str())).await.ok().unwrap();
    for wrong in [ViewKey::random().as_str(), "", "0"] {
        assert_eq!(refusal(gateway.ask_with(ID, Some(wrong)).await), Error::ViewOver, "{wrong}");
    }
    let describe = DescribeView { vnc_id: ID.to_string(), key: None };
    let shown = gateway.gateway.send(describe).await.unwrap().unwrap();
    assert_eq!(shown, ShownSession { id: Some(gateway.view.spec.id), key: Some(key) });
}

#[actix::test]
async fn a_gateway_before_another_machine_s_ports_asks_there_for_the_key_and_whether_it_still_opens() {
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
        let asked = gateway.send(describe);
        let answer = async {
            let (mut runner, _) = server.accept().await.unwrap();
            let mut preamble = key_preamble(&key);
            runner.read_exact(&mut preamble).await.unwrap();
            runner.write_all(b"RFB 003.008\n").await.unwrap();
            runner.read_exact(&mut [0; 12]).await.unwrap();
            runner.write_all(&[types]).await.unwrap();
            (preamble, runner)
        };
        let (shown, (preamble, _)) =
            timeout(PATIENCE, futures_util::future::join(asked, answer)).await.unwrap();
        assert_eq!(preamble, key_preamble(&key));
        assert_eq!(shown.unwrap().map(|shown| shown.key), expected);
    }
    for (answer, expected) in [(key.as_str(), Some(key.clone())), ("", None), ("RFB 003.008\n", None)] {
        let asked = gateway.send(DescribeView { vnc_id: ID.to_string(), key: None });
        let answering = async {
            let (mut runner, _) = server.accept().await.unwrap();
            runner.write_all(b"RFB 003.008\n").await.unwrap();
            let mut question = [0; 12];
            runner.read_exact(&mut question).await.unwrap();
            runner.write_all(answer.as_bytes()).await.unwrap();
            question
        };
        let (shown, question) =
            timeout(PATIENCE, futures_util::future::join(asked, answering)).await.unwrap();
        assert_eq!((&question, shown.unwrap()), (KEY_QUESTION, Ok(ShownSession { id: None, key: expected })));
    }
}

#[actix::test]
async fn an_id_without_a_live_view_is_not_found() {
    let gateway = TestGateway::with(SETTINGS).await;
    assert_eq!(refusal(gateway.ask(ID + 1).await), Error::ViewNotFound);
}

#[actix::test]
async fn bytes_pass_both_ways_and_only_input_is_activity() {
    let gateway = TestGateway::with(SETTINGS).await;
    let (mut ends, mut server) = gateway.open().await;
    server.write_all(b"RFB 003.008\n").await.unwrap();
    assert_eq!(timeout(PATIENCE, ends.from_server.recv()).await.unwrap().unwrap(), "RFB 003.008\n");
    let born = gateway.view.activity.last_seen();
    // The clock keeps milliseconds: one has to pass.
    while born.elapsed() < Duration::from_millis(1) {
        tokio::task::yield_now().await;
    }
    let quiet = [b"RFB 003.008\n\x01\x01".as_slice(), &[3, 1, 0, 0, 0, 0, 7, 128, 4, 56]].concat();
    ends.to_server.send(quiet.clone().into()).await.unwrap();
    let mut read = vec![0; quiet.len()];
    timeout(PATIENCE, server.read_exact(&mut read)).await.unwrap().unwrap();
    assert_eq!((read, gateway.view.activity.last_seen()), (quiet, born));
    let key = [4, 1, 0, 0, 0, 0, 0, 0x61];
    ends.to_server.send(key.to_vec().into()).await.unwrap();
    timeout(PATIENCE, server.read_exact(&mut [0; 8])).await.unwrap().unwrap();
    assert!(gateway.view.activity.last_seen() > born);
    let text = gateway.metrics.encode().unwrap();
    assert!(text.contains("camofleet_relay_bytes_total{direction=\"out\",kind=\"vnc\"} 12"), "{text}");
}

#[actix::test]
async fn a_server_that_closes_and_a_viewer_that_leaves_end_the_tunnel() {
    let gateway = TestGateway::with(SETTINGS).await;
    let (ends, server) = gateway.open().await;
    drop(server);
    assert_eq!(ended(ends).await, "the VNC server closed the connection");
    let (ends, mut server) = gateway.open().await;
    drop((ends.to_server, ends.from_server));
    assert_eq!(timeout(PATIENCE, server.read(&mut [0])).await.unwrap().unwrap(), 0);
    assert_eq!(timeout(PATIENCE, ends.ended).await.unwrap().unwrap(), "the viewer left");
    gateway.gateway.send(DrainTunnels { grace: PATIENCE }).await.unwrap();
    assert!(!gateway.open_tunnels());
}

#[actix::test]
async fn a_silent_tunnel_ends_with_its_idle_time() {
    let idle_timeout = Duration::from_millis(20);
    let gateway = TestGateway::with(GatewaySettings { idle_timeout, ..SETTINGS }).await;
    let (ends, _server) = gateway.open().await;
    assert_eq!(ended(ends).await, "nothing moved in it for too long");
}

#[actix::test]
async fn a_server_that_does_not_listen_is_unreachable_and_its_ticket_is_free_again() {
    let gateway = TestGateway::with(GatewaySettings { max_tunnels: 1, ..SETTINGS }).await;
    let ticket = gateway.ask(ID).await.ok().unwrap();
    let TestGateway { gateway, server, .. } = gateway;
    drop(server);
    assert!(matches!(refusal(VncTunnel::open(ticket).await), Error::UpstreamUnreachable { .. }));
    // The news of the dropped ticket is in the mailbox before this.
    gateway.send(OpenTunnel { vnc_id: ID.to_string(), key: None }).await.unwrap().ok().unwrap();
}

#[actix::test]
async fn a_drain_refuses_new_viewers_and_closes_the_others_after_its_grace() {
    let gateway = TestGateway::with(SETTINGS).await;
    let (ends, _server) = gateway.open().await;
    let late = gateway.ask(ID).await.ok().unwrap();
    let address = gateway.gateway.clone();
    let drained =
        actix_rt::spawn(async move { address.send(DrainTunnels { grace: Duration::ZERO }).await.unwrap() });
    assert_eq!(ended(ends).await, "the gateway is shutting down");
    assert_eq!(refusal(gateway.ask(ID).await), Error::Draining);
    assert!(!drained.is_finished(), "one viewer is still connecting");
    let ends = VncTunnel::open(late).await.unwrap();
    assert_eq!(ended(ends).await, "the gateway is shutting down");
    timeout(PATIENCE, drained).await.unwrap().unwrap();
}

/// What a viewer says to get in, and the length of what it hears: version, security types and their result, the screen's size
/// and format, and its name.
const HANDSHAKE: &[u8] = b"RFB 003.008\n\x01\x01";
const GREETING: usize = 12 + 2 + 4 + 20 + 4 + 4;

/// A worker on a machine made of memory, to whose ports no connection can be made, and the gateway of its process.
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

    async fn ask(&self, vnc_id: &str, key: Option<&ViewKey>) -> Result<TunnelTicket> {
        let key = key.map(|key| key.as_str().to_owned());
        self.gateway.send(OpenTunnel { vnc_id: vnc_id.to_owned(), key }).await.unwrap()
    }

    async fn open(&self, view: &SessionView) -> ViewerEnds {
        let vnc = view.vnc.as_ref().unwrap();
        let ticket = self.ask(&vnc.id.unwrap().to_string(), vnc.key.as_ref()).await.ok().unwrap();
        VncTunnel::open(ticket).await.unwrap()
    }
}

async fn say(ends: &ViewerEnds, bytes: &[u8]) {
    soon(ends.to_server.send(Bytes::copy_from_slice(bytes))).await.unwrap();
}

/// As much of what the screen says.
async fn heard(ends: &mut ViewerEnds, length: usize) -> Vec<u8> {
    let mut heard = Vec::new();
    while heard.len() < length {
        heard.extend(soon(ends.from_server.recv()).await.expect("it ended too early"));
    }
    heard
}

#[actix::test]
async fn a_viewer_of_a_session_here_gets_to_its_screen_without_a_connection_and_by_the_screen_s_rules() {
    let worker = TestWorker::with(|settings| {
        settings.launch.display.viewers.open = false;
        settings.launch.display.viewers.count = 1;
    })
    .await;
    let view = worker.ready(with_vnc()).await;
    let gateway = LocalGateway::new(worker, Targets::Sessions);
    let mut ends = gateway.open(&view).await;
    say(&ends, HANDSHAKE).await;
    assert!(heard(&mut ends, GREETING).await.ends_with(b"fake"));
    let before = view.activity.last_seen();
    tokio::time::sleep(Duration::from_secs(10)).await;
    // The next picture is wanted.
    say(&ends, &[3, 0, 0, 0, 0, 0, 0, 1, 0, 1]).await;
    assert_eq!(heard(&mut ends, 20).await[..4], [0, 0, 0, 1]);
    assert_eq!(view.activity.last_seen(), before, "to watch is no activity");
    say(&ends, &[4, 1, 0, 0, 0, 0, 0, 0x61]).await;
    gateway.worker.settle("the key is seen", || view.activity.last_seen() > before).await;
    let metrics = gateway.metrics.encode().unwrap();
    assert!(metrics.contains("camofleet_relay_bytes_total{direction=\"in\",kind=\"vnc\"} 32"), "{metrics}");

    let mut second = gateway.open(&view).await;
    say(&second, HANDSHAKE).await;
    let refused = heard(&mut second, 12 + 1 + 4 + 30).await;
    assert!(String::from_utf8_lossy(&refused).contains("1 viewers already"), "{refused:?}");
    assert_eq!(soon(second.ended).await.unwrap(), "the VNC server closed the connection");

    say(&ends, &[6, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]).await;
    let reason = soon(ends.ended).await.unwrap();
    assert!(reason.starts_with("a clipboard text of 2147483647 bytes is longer"), "{reason}");
}

#[actix::test]
async fn a_viewer_goes_with_the_screen_it_watches_and_finds_the_next_one_of_its_session_but_no_other_s() {
    let worker = TestWorker::new().await;
    let view = worker.ready(with_vnc()).await;
    let gateway = LocalGateway::new(worker, Targets::Sessions);
    let mut ends = gateway.open(&view).await;
    say(&ends, HANDSHAKE).await;
    heard(&mut ends, GREETING).await;
    let worker = &gateway.worker;
    worker.os.kill(worker.os.alive("Xvnc")[0]);
    assert_eq!(soon(ends.ended).await.unwrap(), "the VNC server closed the connection");
    worker.until_restarted(view.spec.id, 1).await;
    let mut ends = gateway.open(&view).await;
    say(&ends, HANDSHAKE).await;
    heard(&mut ends, GREETING).await;
    drop(ends);

    let vnc = view.vnc.clone().unwrap();
    let id = vnc.id.unwrap().to_string();
    let late = gateway.ask(&id, vnc.key.as_ref()).await.ok().unwrap();
    worker.delete(view.spec.id).await.unwrap();
    let next = worker.ready(with_vnc()).await;
    assert_eq!(next.vnc.as_ref().unwrap().id, vnc.id, "the number is used again");
    assert!(matches!(refusal(VncTunnel::open(late).await), Error::UpstreamUnreachable { .. }));
    assert_eq!(refusal(gateway.ask(&id, vnc.key.as_ref()).await), Error::ViewOver);
}

#[actix::test]
async fn a_tunnel_that_is_closed_gives_the_place_at_the_screen_back_before_its_viewer_has_gone() {
    let worker = TestWorker::with(|settings| settings.launch.display.viewers.count = 1).await;
    let view = worker.ready(with_vnc()).await;
    let gateway = LocalGateway::new(worker, Targets::Sessions);
    let mut ends = gateway.open(&view).await;
    say(&ends, HANDSHAKE).await;
    heard(&mut ends, GREETING).await;
    let LocalGateway { worker, gateway, .. } = gateway;
    let other = LocalGateway::new(worker, Targets::Sessions);
    gateway.send(DrainTunnels { grace: Duration::ZERO }).await.unwrap();
    assert_eq!(soon(ends.ended).await.unwrap(), "the gateway is shutting down");
    // The viewer's own channels are still there; its place is not.
    let mut next = other.open(&view).await;
    say(&next, HANDSHAKE).await;
    assert!(heard(&mut next, GREETING).await.ends_with(b"fake"));
}

#[actix::test]
async fn the_screen_that_all_sessions_share_is_found_while_there_is_none_of_them() {
    let host = TestWorker::with(|settings| {
        let geometry = Geometry { width: 1280, height: 720, depth: 24 };
        let shared = SharedDisplaySettings { display: 7, geometry, vnc_port: 5930, password: None };
        settings.launch.display.shared = Some(shared);
    })
    .await;
    let gateway = LocalGateway::new(host, Targets::Shared);
    let mut ends = VncTunnel::open(gateway.ask("screen", None).await.ok().unwrap()).await.unwrap();
    say(&ends, HANDSHAKE).await;
    assert!(heard(&mut ends, GREETING).await.ends_with(b"fake"));
    let describe = DescribeView { vnc_id: "screen".to_owned(), key: None };
    assert_eq!(gateway.gateway.send(describe).await.unwrap(), Ok(ShownSession::default()));

    let nobody = Directory::of(vec![worker(WorkerSnapshot::default())]);
    let gateway = Gateway::new(SETTINGS, Targets::Shared, nobody, Metrics::new().unwrap()).start();
    let ticket = gateway.send(OpenTunnel { vnc_id: "screen".to_owned(), key: None }).await.unwrap();
    let refused = refusal(VncTunnel::open(ticket.ok().unwrap()).await);
    assert!(matches!(refused, Error::UpstreamUnreachable { .. }), "{refused}");
}
