//! The settings of what stands between browsers and people: workers, control, the gateway, the screen that all share.

use super::{
    IDLE_TTL_SECONDS, LISTEN_PORT, NO_ORIGIN, PATIENCE, Setting, TCP_PORT, WRITE_TIMEOUT, optional, setting,
};
use crate::settings::kinds::Kind;
use crate::settings::types::{Choice, Placement};

/// In the order in which documents show them.
pub(super) const SETTINGS: &[Setting] = &[
    setting("WORKER_HOST", "0.0.0.0", Kind::Host, "The address that the role worker listens on."),
    setting(
        "WORKER_PORT",
        "8080",
        LISTEN_PORT,
        "The port that the role worker listens on; 0 takes a free one.",
    ),
    setting(
        "WORKER_CORS_ORIGINS",
        NO_ORIGIN,
        Kind::Origins,
        "The origins whose pages may use the role worker; * lets all of them read, and change nothing.",
    ),
    optional(
        "WORKER_PUBLIC_HOSTS",
        Kind::Hosts,
        "The names by which the role worker may be addressed beside localhost; unset: any, unless it listens on loopback alone.",
    ),
    optional(
        "WORKER_API_TOKEN",
        Kind::Token,
        "A token that every API call of the role worker has to bring; unset: none is asked for.",
    ),
    setting(
        "WORKER_REQUIRE_TOKEN",
        "false",
        Kind::Switch,
        "Whether the role worker refuses to start without a token.",
    ),
    setting("WORKER_METRICS_ENDPOINT", "/metrics", Kind::HttpPath, "Where the role worker has its metrics."),
    setting(
        "WORKER_WRITE_TIMEOUT",
        "30",
        WRITE_TIMEOUT,
        "Seconds after which the role worker disconnects a peer of a relay that takes nothing.",
    ),
    optional(
        "WORKER_ID",
        Kind::Text { max_chars: 253 },
        "What the role worker calls itself in its sessions' worker_id; unset: the name of its machine.",
    ),
    optional(
        "WORKER_RUNNER_BASE_URL",
        Kind::ApiBase,
        "The runner of the role worker, such as http://127.0.0.1:8070; unset: the worker runs one in its own process.",
    ),
    optional(
        "WORKER_RUNNER_TOKEN",
        Kind::Token,
        "The token that the role worker presents to its runner: the runner's RUNNER_API_TOKEN.",
    ),
    optional(
        "WORKER_SUPPORTS_VNC",
        Kind::Switch,
        "Whether sessions may have a live view; unset: in the role worker not, in serve where the machine can.",
    ),
    optional(
        "WORKER_SESSION_DEFAULTS__IDLE_TTL_SECONDS",
        IDLE_TTL_SECONDS,
        "Wins over RUNNER_SESSION_DEFAULTS__IDLE_TTL_SECONDS wherever it is set; unset, a worker asks a remote runner for \
         300.",
    ),
    optional(
        "WORKER_SESSION_DEFAULTS__HEADLESS",
        Kind::Switch,
        "Wins over RUNNER_SESSION_DEFAULTS__HEADLESS wherever it is set; unset, a worker asks a remote runner for false.",
    ),
    setting(
        "WORKER_REQUEST_TIMEOUT",
        "10",
        PATIENCE,
        "How many seconds a remote runner may take to answer anything but a create.",
    ),
    setting(
        "WORKER_CREATE_TIMEOUT",
        "50",
        PATIENCE,
        "How many seconds a remote runner may take to create a session: its launch timeouts and a margin.",
    ),
    setting(
        "WORKER_POLL_INTERVAL_SECONDS",
        "1.0",
        PATIENCE,
        "How often a worker polls the sessions and the health of its remote runner.",
    ),
    setting("WORKER_POLL_TIMEOUT_SECONDS", "1.5", PATIENCE, "How long such a poll may take."),
    optional(
        "CONTROL_HOST",
        Kind::Host,
        "The address to listen on; unset: 127.0.0.1 in serve, and 0.0.0.0, every IPv4 address, in the role control.",
    ),
    setting("CONTROL_PORT", "9000", LISTEN_PORT, "The port to listen on; 0 takes a free one."),
    setting(
        "CONTROL_CORS_ORIGINS",
        NO_ORIGIN,
        Kind::Origins,
        "The origins whose pages may use the API beside the panel; * lets all of them read, without credentials, and change \
         nothing.",
    ),
    optional(
        "CONTROL_PUBLISHED_AT",
        Kind::Address,
        "In a container: the address at which the ports of serve, control and gateway are published; on loopback they are as \
         safe as without a container, and check the names by which they are addressed.",
    ),
    optional(
        "CONTROL_PUBLIC_HOSTS",
        Kind::Hosts,
        "The names by which serve, control and gateway may be addressed beside localhost; unset: any, unless they listen, or \
         are published, on loopback alone.",
    ),
    setting(
        "CONTROL_FRAME_ANCESTORS",
        "self",
        Kind::FrameAncestors,
        "Whose pages may show the panel and live views in a frame.",
    ),
    setting(
        "CONTROL_WORKERS",
        r#"[{"name": "local", "url": "http://worker:8080"}]"#,
        Kind::Workers,
        "The workers of the role control.",
    ),
    optional(
        "CONTROL_WORKERS_TOKEN",
        Kind::Token,
        "The token that control presents to workers that name none of their own, those that it finds among them: their \
         WORKER_API_TOKEN.",
    ),
    optional(
        "CONTROL_DISCOVERY",
        Kind::Discovery,
        "Names that stand for more workers of the role control, which come and go with the names' SRV or A records, or with the \
         pods of a Kubernetes Service; where it is set, the default of CONTROL_WORKERS is no worker.",
    ),
    setting(
        "CONTROL_DISCOVERY_INTERVAL_SECONDS",
        "2.0",
        PATIENCE,
        "How often DNS names are looked up; a change of a Kubernetes Service is known at once.",
    ),
    setting(
        "CONTROL_POD_DELETION_COST",
        "0",
        Kind::Switch,
        "Whether control sets the deletion costs of these workers' pods by their sessions, so that Kubernetes removes the idlest first.",
    ),
    setting(
        "CONTROL_PLACEMENT",
        "round_robin",
        Kind::Choice(Placement::WORDS),
        "Which of the workers that fit gets a session whose request names none.",
    ),
    setting(
        "CONTROL_REQUEST_TIMEOUT",
        "10",
        PATIENCE,
        "How many seconds a worker may take to answer anything but a create.",
    ),
    setting(
        "CONTROL_CREATE_TIMEOUT",
        "60",
        PATIENCE,
        "How many seconds a worker may take to create a session: its runner's launch timeouts and a margin.",
    ),
    setting(
        "CONTROL_POLL_INTERVAL_SECONDS",
        "1.0",
        PATIENCE,
        "How often control polls the sessions and the health of each worker.",
    ),
    setting("CONTROL_POLL_TIMEOUT_SECONDS", "1.5", PATIENCE, "How long such a poll may take."),
    setting("CONTROL_METRICS_ENDPOINT", "/metrics", Kind::HttpPath, "Where the Prometheus metrics are."),
    setting(
        "CONTROL_WRITE_TIMEOUT",
        "30",
        WRITE_TIMEOUT,
        "Seconds after which a peer of a relay that takes nothing is disconnected.",
    ),
    setting(
        "CONTROL_PUBLIC_API_PREFIX",
        "/",
        Kind::HttpPrefix,
        "The path under which clients reach the API, put before the ws_endpoint of a session.",
    ),
    setting(
        "CONTROL_PUBLIC_PAGES_PREFIX",
        "/",
        Kind::HttpPrefix,
        "The path under which people reach the panel and live views, put before relative addresses of live views.",
    ),
    optional(
        "CONTROL_API_TOKEN",
        Kind::Token,
        "A token that every API call of serve, control and gateway has to bring; unset: none is asked for.",
    ),
    setting(
        "CONTROL_REQUIRE_TOKEN",
        "false",
        Kind::Switch,
        "Whether serve, control and gateway refuse to start without a token.",
    ),
    setting(
        "CONTROL_WS_PING_SECONDS",
        "20",
        Kind::Seconds { min: 1.0, max: 55.0 },
        "How often an idle WebSocket is pinged, so that proxies, which cut at 60 seconds, leave it open.",
    ),
    setting("HTTP_HOST", "0.0.0.0", Kind::Host, "The address that the role gateway listens on."),
    setting(
        "HTTP_PORT",
        "6900",
        LISTEN_PORT,
        "The port that the role gateway listens on; 0 takes a free one.",
    ),
    setting(
        "VNC_DEFAULT_HOST",
        "127.0.0.1",
        Kind::Host,
        "The host of the VNC servers that the role gateway shows.",
    ),
    setting(
        "VNC_WEB_RANGE",
        "6900-6904",
        Kind::IdRange,
        "The ids of live views that the role gateway shows.",
    ),
    setting(
        "VNC_BASE_PORT",
        "5900",
        TCP_PORT,
        "The port of the VNC server of the first of these ids; the others follow in order.",
    ),
    optional(
        "VNC_MAP_JSON",
        Kind::VncMap,
        "VNC servers that the role gateway finds by their ids alone; these win.",
    ),
    setting(
        "WS_READ_TIMEOUT_MS",
        "120000",
        Kind::Milliseconds { min: 1000, max: 86_400_000 },
        "How long a viewer may say nothing, answers to pings included, before its connection is closed.",
    ),
    setting(
        "WS_WRITE_TIMEOUT_MS",
        "120000",
        Kind::Milliseconds { min: 1000, max: 86_400_000 },
        "How long a viewer may take to read what it is sent.",
    ),
    setting(
        "MAX_CONCURRENT_SESSIONS",
        "1000",
        Kind::Integer { min: 1, max: 100_000 },
        "How many VNC viewers may be connected at once.",
    ),
    setting(
        "TCP_CONNECT_TIMEOUT_MS",
        "5000",
        Kind::Milliseconds { min: 1, max: 600_000 },
        "How long connecting to a VNC server may take.",
    ),
    setting(
        "TCP_IDLE_TIMEOUT_MS",
        "300000",
        Kind::Milliseconds { min: 1000, max: 86_400_000 },
        "How long a VNC connection may be silent in both directions before it is closed.",
    ),
    setting(
        "SHUTDOWN_GRACE_MS",
        "30000",
        Kind::Milliseconds { min: 0, max: 3_600_000 },
        "How long viewers of the role gateway may go on when it is shut down. In serve they go with their sessions.",
    ),
    setting("DISPLAY", ":1", Kind::Display, "The shared display."),
    setting("VNC_RES", "1920x1080x24", Kind::Resolution, "Its width, height and colour depth."),
    setting("VNC_PORT", "5900", TCP_PORT, "The port of its VNC server."),
    setting("WS_PORT", "6900", TCP_PORT, "The port of its noVNC page and WebSocket."),
    optional("VNC_PASSWORD", Kind::VncPassword, "The password that its VNC server asks for; unset: none."),
];
