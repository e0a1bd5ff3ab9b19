//! A complete fleet behind a real port, on the fake machine.

// Each test program uses only a part of this; all of them fail at the first error.
#![allow(dead_code, clippy::unwrap_used)]

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use awc::http::StatusCode;
use camofleet_actors::fleet::history::{FleetReadings, History};
use camofleet_actors::fleet::{Fleet, FleetParts, GatewayParts, StartedFleet};
use camofleet_actors::host::rundir::RunDir;
use camofleet_actors::host::slots::SlotRanges;
use camofleet_actors::metrics::Metrics;
use camofleet_actors::model::events::EventBus;
use camofleet_actors::model::links::LinkTemplates;
use camofleet_actors::process::Os;
use camofleet_actors::remote::{RemoteParts, RemoteRole, RemoteSettings, RemoteWorker};
use camofleet_actors::testing::fake_os::FakeOs;
use camofleet_actors::testing::worker_settings;
use camofleet_actors::views::gateway::{GatewaySettings, Targets};
use camofleet_actors::worker::{Directory, LocalWorker, WorkerBuilder, WorkerParts};
use camofleet_web::server::ServerSettings;
use camofleet_web::{
    AccessNames, AccessSettings, AppState, CorsOrigins, Reach, SharedFeed, Surface, ViewerSettings,
    WebSettings,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// How long a client may read nothing of its response.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(3);

/// A complete fleet behind a port, on a fake machine.
pub struct Api {
    pub origin: String,
    pub os: FakeOs,
    pub directory: Directory,
    pub client: awc::Client,
    server: actix_web::dev::ServerHandle,
    base: tempfile::TempDir,
}

/// Options of tests.
pub struct Options {
    pub os: FakeOs,
    pub max_sessions: usize,
    pub token: Option<String>,
    pub cors: CorsOrigins,
    pub surface: Surface,
    pub ping_interval: Duration,
    /// The number of prewarmed headless browsers.
    pub prewarm: usize,
    /// The path of the metrics.
    pub metrics_path: &'static str,
    pub targets: Targets,
}

impl Default for Options {
    fn default() -> Self {
        let os = FakeOs::new();
        os.set_launch_time(Duration::ZERO);
        Self {
            os,
            max_sessions: 10,
            token: None,
            cors: CorsOrigins::List(Vec::new()),
            surface: Surface::Control,
            ping_interval: Duration::from_secs(20),
            prewarm: 0,
            metrics_path: "/metrics",
            targets: Targets::Sessions,
        }
    }
}

/// Starts the fleet and waits until it is healthy.
pub async fn api(options: Options) -> Api {
    let Options { os, max_sessions, token, cors, surface, ping_interval, prewarm, metrics_path, targets } =
        options;
    let base = tempfile::tempdir().unwrap();
    let (metrics, events) = (Metrics::new().unwrap(), EventBus::default());
    let machine: Arc<dyn Os> = Arc::new(os.clone());
    let mut settings = worker_settings(&os);
    settings.defaults.headless = false;
    settings.max_sessions = max_sessions;
    // Ports on which nothing listens.
    settings.slots = SlotRanges { displays: 100..=101, vnc_ports: 1..=2, vnc_ids: 6900..=6901 };
    settings.launch.engine.executable = "/usr/bin/firefox-esr".into();
    settings.launch.engine.version = Some("153.0".into());
    settings.launch.timeout = Duration::from_secs(5);
    settings.launch.permits = 2;
    settings.launch.display.startup_timeout = Duration::from_secs(1);
    settings.driver.sessions_per_driver = 8;
    settings.keep_warm("headless", prewarm);
    settings.pools.iter_mut().for_each(|pool| pool.check_interval = Duration::from_secs(60));
    let parts = WorkerParts {
        settings: Arc::new(settings),
        os: Arc::clone(&machine),
        run_dir: RunDir::create(base.path(), &os).unwrap(),
        metrics: metrics.clone(),
        events: events.clone(),
        snapshot: watch::Sender::new(Arc::default()),
    };
    let builder: WorkerBuilder =
        Box::new(move |parent, generation| LocalWorker::start(parts.clone(), parent, generation));
    let tunnels = GatewaySettings {
        max_tunnels: 8,
        connect_timeout: Duration::from_secs(1),
        idle_timeout: Duration::from_secs(60),
        write_timeout: Duration::from_secs(30),
    };
    let gateway = GatewayParts { settings: tunnels, targets, metrics: metrics.clone() };
    let fleet = Fleet::start(FleetParts {
        workers: vec![("local".into(), builder)],
        gateway: Some(gateway),
        demand: Some(metrics.clone()),
        ..FleetParts::default()
    });
    let settings =
        WebSettings { metrics_path: metrics_path.to_owned(), ..web_settings(token, cors, ping_interval) };
    let api = serve(fleet, surface, settings, (metrics, events), (os, base));
    api.healthy().await;
    api
}

/// Starts a server in front of other machines.
pub async fn before(surface: Surface, machines: Vec<RemoteSettings>) -> Api {
    let (metrics, events) = (Metrics::new().unwrap(), EventBus::default());
    let workers = machines
        .into_iter()
        .map(|settings| {
            let name = settings.name.clone();
            let parts = RemoteParts {
                settings: Arc::new(settings),
                metrics: metrics.clone(),
                events: events.clone(),
                snapshot: watch::Sender::new(Arc::default()),
            };
            let builder: WorkerBuilder =
                Box::new(move |parent, generation| RemoteWorker::start(parts.clone(), parent, generation));
            (name, builder)
        })
        .collect();
    let fleet = Fleet::start(FleetParts { workers, ..FleetParts::default() });
    let nothing = (FakeOs::new(), tempfile::tempdir().unwrap());
    let settings = web_settings(None, CorsOrigins::Any, Duration::from_secs(20));
    serve(fleet, surface, settings, (metrics, events), nothing)
}

/// Settings for a machine that is polled often, with short timeouts.
pub fn machine(name: &str, role: RemoteRole, origin: &str) -> RemoteSettings {
    RemoteSettings {
        name: name.to_owned(),
        role,
        url: origin.parse().unwrap(),
        token: None,
        supports_vnc: true,
        links: LinkTemplates::default(),
        default_idle_ttl: None,
        default_headless: None,
        poll_interval: Duration::from_millis(50),
        poll_timeout: Duration::from_millis(200),
        connect_timeout: Duration::from_millis(200),
        request_timeout: Duration::from_secs(2),
        create_timeout: Duration::from_secs(5),
    }
}

fn web_settings(token: Option<String>, cors: CorsOrigins, ping_interval: Duration) -> WebSettings {
    let patience = Duration::from_secs(120);
    WebSettings {
        access: AccessSettings {
            cors_origins: cors,
            public_hosts: None,
            reach: Reach::Machine,
            open_views: token.is_none(),
            api_token: token,
            frame_ancestors: "'self'".to_owned(),
            names: AccessNames {
                cors_origins: "CONTROL_CORS_ORIGINS",
                public_hosts: "CONTROL_PUBLIC_HOSTS",
                api_token: "CONTROL_API_TOKEN",
            },
        },
        address: "127.0.0.1:9000".into(),
        metrics_path: "/metrics".into(),
        public_api_prefix: "/fleet".into(),
        ping_interval,
        write_timeout: WRITE_TIMEOUT,
        viewer: ViewerSettings { read_timeout: patience, write_timeout: patience },
    }
}

fn serve(
    StartedFleet { address, directory, gateway, .. }: StartedFleet,
    surface: Surface,
    settings: WebSettings,
    (metrics, events): (Metrics, EventBus),
    (os, base): (FakeOs, tempfile::TempDir),
) -> Api {
    let history = History::default();
    let readings =
        FleetReadings { directory: directory.clone(), gateway: gateway.clone(), metrics: metrics.clone() };
    actix_rt::spawn(history.clone().record(readings, events.subscribe()));
    let state = AppState {
        surface,
        place: address.recipient(),
        directory: directory.clone(),
        gateway,
        events,
        feed: SharedFeed::default(),
        metrics,
        history,
        sockets: TaskTracker::new(),
        settings,
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let server_settings = ServerSettings { threads: 1, shutdown_timeout: Duration::from_secs(1) };
    let server = camofleet_web::run(listener, state, server_settings).unwrap();
    let handle = server.handle();
    actix_rt::spawn(server);
    Api { origin, os, directory, client: awc::Client::default(), server: handle, base }
}

impl Api {
    /// The directory that its run directory is in.
    pub fn run_base(&self) -> &std::path::Path {
        self.base.path()
    }

    /// Waits until all its workers are healthy, which a local one is once its driver has started.
    pub async fn healthy(&self) {
        let healthy = || {
            let workers = self.directory.workers();
            !workers.is_empty() && workers.iter().all(|worker| worker.snapshot().healthy)
        };
        while !healthy() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub async fn answer(
        &self,
        request: awc::SendClientRequest,
    ) -> (StatusCode, Value, awc::http::header::HeaderMap) {
        let mut response = request.await.unwrap();
        let body = response.body().limit(1 << 20).await.unwrap();
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        (response.status(), json, response.headers().clone())
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        let (status, body, _) = self.answer(self.client.get(format!("{}{path}", self.origin)).send()).await;
        (status, body)
    }

    pub async fn post(&self, path: &str, body: impl Into<String>) -> (StatusCode, Value) {
        let request = self.client.post(format!("{}{path}", self.origin));
        let request = request.insert_header(("content-type", "application/json"));
        let (status, body, _) = self.answer(request.send_body(body.into())).await;
        (status, body)
    }

    pub async fn delete(&self, path: &str) -> (StatusCode, Value) {
        let (status, body, _) =
            self.answer(self.client.delete(format!("{}{path}", self.origin)).send()).await;
        (status, body)
    }

    /// The response to a WebSocket handshake that is rejected.
    pub async fn refused_handshake(&self, path: &str) -> (StatusCode, Value) {
        self.refused_handshake_with(path, "").await
    }

    /// The same with more headers, each with its line end.
    pub async fn refused_handshake_with(&self, path: &str, headers: &str) -> (StatusCode, Value) {
        let mut answer = Vec::new();
        // The server closes the connection after its response.
        self.handshake(path, headers).await.read_to_end(&mut answer).await.unwrap();
        refusal_in(answer)
    }

    /// The response to a viewer's WebSocket handshake: an error, or 101 with the greeting of the screen as its code.
    pub async fn opened_view(&self, path: &str, headers: &str) -> (StatusCode, Value) {
        const GREETING: &str = "RFB 003.008";
        let mut stream = self.handshake(path, headers).await;
        let mut answer = Vec::new();
        while !answer.windows(GREETING.len()).any(|piece| piece == GREETING.as_bytes()) {
            if stream.read_buf(&mut answer).await.unwrap() == 0 {
                return refusal_in(answer);
            }
        }
        assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
        (StatusCode::SWITCHING_PROTOCOLS, serde_json::json!({ "code": GREETING }))
    }

    /// A connection on which a WebSocket handshake was sent, as raw bytes, because awc sets `Connection` itself.
    async fn handshake(&self, path: &str, headers: &str) -> TcpStream {
        let address = self.origin.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    pub async fn create(&self, body: &str) -> Value {
        let (status, session) = self.post("/sessions", body).await;
        assert_eq!(status, StatusCode::CREATED, "{session}");
        session
    }

    pub async fn stop(self) {
        self.server.stop(false).await;
    }
}

/// The key in the addresses of a live view.
pub fn view_key(links: &Value) -> String {
    let (_, key) = links["ws"].as_str().unwrap().split_once("key=").unwrap();
    assert_eq!(key.len(), 32, "{links}");
    key.to_owned()
}

/// The surface of a worker.
pub fn worker() -> Surface {
    Surface::Worker { id: "w-1".to_owned() }
}

/// A control in front of a worker in front of a runner, each on its own port.
pub struct Chain {
    pub runner: Api,
    pub worker: Api,
    pub control: Api,
}

impl Chain {
    pub async fn new(options: Options) -> Self {
        let runner = api(Options { surface: Surface::Runner, ..options }).await;
        let worker = before(worker(), vec![machine("runner", RemoteRole::Runner, &runner.origin)]).await;
        let links = LinkTemplates {
            ws: Some("wss://{host}/live?token={id}".to_owned()),
            http: Some("https://screens.example/{id}".to_owned()),
        };
        let settings = RemoteSettings { links, ..machine("east", RemoteRole::Worker, &worker.origin) };
        let control = before(Surface::Control, vec![settings]).await;
        for api in [&worker, &control] {
            api.healthy().await;
        }
        Self { runner, worker, control }
    }

    pub async fn stop(self) {
        for api in [self.control, self.worker, self.runner] {
            api.stop().await;
        }
    }
}

/// Stands in for a worker or runner with this health and without sessions.
pub fn stand_in(listener: tokio::net::TcpListener, health: Value) {
    actix_rt::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let health = health.to_string();
            actix_rt::spawn(async move {
                let mut head = Vec::new();
                while let Ok(byte) = socket.read_u8().await {
                    head.push(byte);
                    if head.ends_with(b"\r\n\r\n") {
                        let body = if head.starts_with(b"GET /health") { health.as_str() } else { "[]" };
                        let length = body.len();
                        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
                        socket.write_all(answer.as_bytes()).await.unwrap();
                        head.clear();
                    }
                }
            });
        }
    });
}

/// Reads until the end of an HTTP head.
pub async fn read_head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// What a WebSocket handshake is refused with.
fn refusal_in(answer: Vec<u8>) -> (StatusCode, Value) {
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.contains("content-security-policy: default-src 'none'"), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: application/json"), "{head}");
    let status = head.split(' ').nth(1).unwrap().parse::<u16>().unwrap();
    (StatusCode::from_u16(status).unwrap(), serde_json::from_str(body).unwrap())
}
