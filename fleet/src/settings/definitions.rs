//! Every setting there is, once: parsing, `camofleet config`, `.env.example`, `config/default.toml` and the
//! README's tables are all made from [`SETTINGS`].

use super::kinds::{Kind, MAX_INTERVAL};
use super::types::{Choice, Engine, Placement, StartUrlWait, VncBackend};

/// One setting: its name in the environment, what it may be, and what it does.
#[derive(Debug)]
pub struct Setting {
    /// The environment's name for it, which also decides its place in a TOML file.
    pub name: &'static str,
    /// The default as one would write it in the environment; `None` where the setting is optional.
    pub default: Option<&'static str>,
    /// What a value has to look like.
    pub kind: Kind,
    /// What the setting does, in one sentence or two.
    pub help: &'static str,
}

/// A group of settings that share a table in a TOML file.
#[derive(Debug)]
pub struct Section {
    /// The table's name.
    pub table: &'static str,
    /// The prefix of its settings' environment names; the gateway's have none.
    pub prefix: &'static str,
    /// A heading for generated documents.
    pub title: &'static str,
}

/// The tables of a TOML file whose settings have a prefix.
static PREFIXED: [Section; 3] = [
    Section { table: "runner", prefix: "RUNNER_", title: "Runner: browsers, displays and prewarm pools" },
    Section { table: "worker", prefix: "WORKER_", title: "Worker" },
    Section { table: "control", prefix: "CONTROL_", title: "Control: the REST API and the panel" },
];

/// The one screen of `RUNNER_VNC_LEGACY`, whose settings have the names that the programs behind it gave them.
static LEGACY: Section = Section {
    table: "legacy_vnc",
    prefix: "",
    title: "Legacy VNC: the one shared screen of RUNNER_VNC_LEGACY",
};
const LEGACY_NAMES: [&str; 5] = ["DISPLAY", "VNC_RES", "VNC_PORT", "WS_PORT", "VNC_PASSWORD"];

/// The table of every other name without a prefix.
static GATEWAY: Section = Section { table: "gateway", prefix: "", title: "Gateway: VNC tunnels" };

impl Setting {
    /// The section this setting belongs to.
    pub fn section(&self) -> &'static Section {
        let rest = if LEGACY_NAMES.contains(&self.name) { &LEGACY } else { &GATEWAY };
        PREFIXED.iter().find(|section| self.name.starts_with(section.prefix)).unwrap_or(rest)
    }

    /// Where a TOML file has it: `RUNNER_SESSION_DEFAULTS__HEADLESS` is `runner.session_defaults.headless`.
    pub fn toml_key(&self) -> String {
        let section = self.section();
        let rest = self.name.strip_prefix(section.prefix).unwrap_or(self.name);
        format!("{}.{}", section.table, rest.to_ascii_lowercase().replace("__", "."))
    }

    /// What it does and, where that doesn't go without saying, what it may be.
    pub fn explanation(&self) -> String {
        match self.kind {
            Kind::Switch | Kind::Path | Kind::Program => self.help.to_owned(),
            _ => {
                let allowed = self.kind.allowed();
                let (first, rest) = allowed.split_at(allowed.chars().next().map_or(0, char::len_utf8));
                format!("{} {}{rest}.", self.help, first.to_uppercase())
            }
        }
    }

    /// Whether its value must not be printed.
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Token | Kind::VncPassword)
    }
}

/// Finds a setting by its environment name.
pub fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

const fn setting(name: &'static str, default: &'static str, kind: Kind, help: &'static str) -> Setting {
    Setting { name, default: Some(default), kind, help }
}

const fn optional(name: &'static str, kind: Kind, help: &'static str) -> Setting {
    Setting { name, default: None, kind, help }
}

const IDLE_TTL_SECONDS: Kind = Kind::WholeSeconds { min: 30, max: 3600 };
const DISPLAY_NUMBER: Kind = Kind::Integer { min: 1, max: 59_535 };
const TCP_PORT: Kind = Kind::Integer { min: 1, max: 65535 };
const LISTEN_PORT: Kind = Kind::Integer { min: 0, max: 65535 };
const ANY_ORIGIN: &str = r#"["*"]"#;
/// From a tenth of a second to an hour.
const PATIENCE: Kind = Kind::Seconds { min: 0.1, max: 3600.0 };

/// All settings, in the order in which documents show them.
pub static SETTINGS: &[Setting] = &[
    setting("RUNNER_HOST", "0.0.0.0", Kind::Host, "The address that the role runner listens on."),
    setting(
        "RUNNER_PORT",
        "8070",
        LISTEN_PORT,
        "The port that the role runner listens on; 0 takes a free one.",
    ),
    setting(
        "RUNNER_CORS_ORIGINS",
        ANY_ORIGIN,
        Kind::Origins,
        "The origins whose pages may call the role runner.",
    ),
    setting("RUNNER_METRICS_ENDPOINT", "/metrics", Kind::HttpPath, "Where the role runner has its metrics."),
    setting(
        "RUNNER_SESSION_DEFAULTS__IDLE_TTL_SECONDS",
        "300",
        IDLE_TTL_SECONDS,
        "Seconds without activity after which a session ends, when its request names none.",
    ),
    setting(
        "RUNNER_SESSION_DEFAULTS__HEADLESS",
        "false",
        Kind::Switch,
        "Whether a session is headless when its request does not say.",
    ),
    optional(
        "RUNNER_SESSION_DEFAULTS__START_URL",
        Kind::Text { max_chars: 1024 },
        "The page a session opens when its request names none.",
    ),
    setting(
        "RUNNER_START_URL_WAIT",
        "load",
        Kind::Choice(StartUrlWait::WORDS),
        "How far a start URL has to load; none leaves the first tab blank.",
    ),
    setting(
        "RUNNER_ENGINE",
        "auto",
        Kind::Choice(Engine::WORDS),
        "The browser engine; auto takes Camoufox where it is installed, else the system's Firefox.",
    ),
    optional(
        "RUNNER_CAMOUFOX_PATH",
        Kind::Path,
        "The Camoufox executable; unset: the one that Camoufox's own cache directory holds.",
    ),
    optional("RUNNER_FIREFOX_PATH", Kind::Path, "The Firefox executable; unset: the one found on PATH."),
    setting("RUNNER_DISABLE_HTTP3", "true", Kind::Switch, "Browsers do not speak HTTP/3 (QUIC)."),
    setting("RUNNER_DISABLE_IPV6", "true", Kind::Switch, "Browsers resolve names to IPv4 addresses only."),
    setting(
        "RUNNER_DISABLE_WEBRTC",
        "true",
        Kind::Switch,
        "Browsers have no WebRTC, which can reveal local addresses.",
    ),
    optional(
        "RUNNER_DRIVER_DIR",
        Kind::Path,
        "The directory of the Node driver; unset: the one beside the checkout or the installation.",
    ),
    setting(
        "RUNNER_NODE_PATH",
        "node",
        Kind::Program,
        "The Node.js executable, 20 or newer: a path, or a name found on PATH.",
    ),
    setting(
        "RUNNER_SESSIONS_PER_DRIVER",
        "8",
        Kind::Integer { min: 1, max: 64 },
        "How many browsers one driver process serves before another one is started.",
    ),
    setting(
        "RUNNER_MAX_SESSIONS",
        "100",
        Kind::Integer { min: 1, max: 10_000 },
        "How many sessions may exist at once; a request beyond that is answered 429.",
    ),
    setting(
        "RUNNER_LAUNCH_PERMITS",
        "0",
        Kind::Integer { min: 0, max: 64 },
        "How many browsers may be starting at once; 0 is the number of processor cores.",
    ),
    setting(
        "RUNNER_LAUNCH_TIMEOUT_SECONDS",
        "30",
        Kind::Seconds { min: 1.0, max: 300.0 },
        "How long the launch of a browser may take.",
    ),
    setting(
        "RUNNER_RESTART_LIMIT",
        "3",
        Kind::Integer { min: 0, max: 100 },
        "How often a crashed session is restarted within RUNNER_RESTART_WINDOW_SECONDS before it ends.",
    ),
    setting(
        "RUNNER_RESTART_WINDOW_SECONDS",
        "300",
        Kind::Seconds { min: 1.0, max: MAX_INTERVAL },
        "The span of time in which restarts are counted.",
    ),
    setting(
        "RUNNER_PREWARM_HEADLESS",
        "1",
        Kind::Integer { min: 0, max: 64 },
        "How many headless browsers stand ready to be handed out.",
    ),
    setting(
        "RUNNER_PREWARM_VNC",
        "1",
        Kind::Integer { min: 0, max: 64 },
        "How many browsers with a display stand ready; off by itself where the display tools are missing.",
    ),
    setting(
        "RUNNER_PREWARM_CHECK_INTERVAL_SECONDS",
        "2.0",
        Kind::Seconds { min: 0.1, max: 3600.0 },
        "How often the prewarm pools are checked, beside the refill after every take.",
    ),
    setting(
        "RUNNER_VNC_BACKEND",
        "auto",
        Kind::Choice(VncBackend::WORDS),
        "What serves a live screen: xvnc (TigerVNC) or x11vnc (on Xvfb); auto takes the first that is installed.",
    ),
    setting(
        "RUNNER_VNC_RESOLUTION",
        "1920x1080x24",
        Kind::Resolution,
        "Width, height and colour depth of the displays.",
    ),
    setting(
        "RUNNER_VNC_STARTUP_TIMEOUT_SECONDS",
        "5",
        Kind::Seconds { min: 0.1, max: 120.0 },
        "How long a display may take to start.",
    ),
    setting(
        "RUNNER_VNC_DISPLAY_MIN",
        "100",
        DISPLAY_NUMBER,
        "The first X display number that sessions take.",
    ),
    setting("RUNNER_VNC_DISPLAY_MAX", "199", DISPLAY_NUMBER, "The last X display number that sessions take."),
    setting("RUNNER_VNC_PORT_MIN", "5900", TCP_PORT, "The first TCP port of the sessions' VNC servers."),
    setting("RUNNER_VNC_PORT_MAX", "5999", TCP_PORT, "The last TCP port of the sessions' VNC servers."),
    setting("RUNNER_VNC_WS_PORT_MIN", "6900", TCP_PORT, "The first id of a live view, as in /vnc/{id}."),
    setting("RUNNER_VNC_WS_PORT_MAX", "6999", TCP_PORT, "The last id of a live view."),
    setting(
        "RUNNER_VNC_BIND",
        "127.0.0.1",
        Kind::Address,
        "The address that VNC servers listen on: one that a gateway on another host can reach, or 0.0.0.0 for all.",
    ),
    optional(
        "RUNNER_VNC_WS_BASE",
        Kind::LinkBase,
        "What the WebSocket address of a live view begins with, before /websockify?token={id}; unset: it has none, and in \
         serve one relative to the panel.",
    ),
    optional(
        "RUNNER_VNC_HTTP_BASE",
        Kind::LinkBase,
        "What the page address of a live view begins with, before /vnc/{id}; unset: it has none, and in serve one relative \
         to the panel.",
    ),
    setting(
        "RUNNER_VNC_LEGACY",
        "0",
        Kind::Switch,
        "One shared display, VNC server and noVNC for all sessions, instead of one for each.",
    ),
    setting(
        "RUNNER_VNC_WEB_ASSETS_PATH",
        "/usr/share/novnc",
        Kind::Path,
        "The noVNC files that legacy VNC serves; without such a directory it serves its own page.",
    ),
    optional(
        "RUNNER_NETWORK_DIAGNOSTICS",
        Kind::Urls,
        "Addresses to look at once at the start; what came of it is shown among the checks of /health.",
    ),
    setting(
        "RUNNER_DIAGNOSTICS_TIMEOUT_SECONDS",
        "8",
        Kind::Seconds { min: 0.1, max: 300.0 },
        "How long each of these addresses may take to answer.",
    ),
    optional(
        "RUNNER_RUN_DIR",
        Kind::Path,
        "Where profiles and sockets live while sessions do; unset: camofleet-<user id> in the temporary directory.",
    ),
    setting(
        "RUNNER_SHUTDOWN_TIMEOUT_SECONDS",
        "4",
        Kind::Seconds { min: 0.1, max: 300.0 },
        "How long sessions have to end at shutdown before their processes are killed.",
    ),
    setting("WORKER_HOST", "0.0.0.0", Kind::Host, "The address that the role worker listens on."),
    setting(
        "WORKER_PORT",
        "8080",
        LISTEN_PORT,
        "The port that the role worker listens on; 0 takes a free one.",
    ),
    setting(
        "WORKER_CORS_ORIGINS",
        ANY_ORIGIN,
        Kind::Origins,
        "The origins whose pages may call the role worker.",
    ),
    setting("WORKER_METRICS_ENDPOINT", "/metrics", Kind::HttpPath, "Where the role worker has its metrics."),
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
        "How often a worker looks at the sessions and the health of its remote runner.",
    ),
    setting("WORKER_POLL_TIMEOUT_SECONDS", "1.5", PATIENCE, "How long such a look may take."),
    optional(
        "CONTROL_HOST",
        Kind::Host,
        "The address to listen on; unset: 127.0.0.1 in serve, and 0.0.0.0, every IPv4 address, in the role control.",
    ),
    setting("CONTROL_PORT", "9000", LISTEN_PORT, "The port to listen on; 0 takes a free one."),
    setting(
        "CONTROL_CORS_ORIGINS",
        r#"["*"]"#,
        Kind::Origins,
        "The origins whose pages may call the API; * is all of them, then without credentials.",
    ),
    setting(
        "CONTROL_WORKERS",
        r#"[{"name": "local", "url": "http://worker:8080"}]"#,
        Kind::Workers,
        "The workers of the role control.",
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
        "How often control looks at the sessions and the health of each worker.",
    ),
    setting("CONTROL_POLL_TIMEOUT_SECONDS", "1.5", PATIENCE, "How long such a look may take."),
    setting("CONTROL_METRICS_ENDPOINT", "/metrics", Kind::HttpPath, "Where the Prometheus metrics are."),
    setting(
        "CONTROL_PUBLIC_API_PREFIX",
        "/",
        Kind::HttpPrefix,
        "The path under which clients reach the API, put before the ws_endpoint of a session.",
    ),
    optional(
        "CONTROL_API_TOKEN",
        Kind::Token,
        "A token that every API call has to bring; unset: none is asked for.",
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::settings::kinds::Value;

    #[test]
    fn names_decide_where_a_toml_file_has_a_setting() {
        for (name, key) in [
            ("RUNNER_PREWARM_HEADLESS", "runner.prewarm_headless"),
            ("RUNNER_SESSION_DEFAULTS__HEADLESS", "runner.session_defaults.headless"),
            ("WORKER_SESSION_DEFAULTS__HEADLESS", "worker.session_defaults.headless"),
            ("CONTROL_PORT", "control.port"),
            ("MAX_CONCURRENT_SESSIONS", "gateway.max_concurrent_sessions"),
        ] {
            assert_eq!(find(name).unwrap().toml_key(), key);
        }
    }

    #[test]
    fn every_name_and_every_key_exists_once() {
        let names: HashSet<_> = SETTINGS.iter().map(|setting| setting.name).collect();
        let keys: HashSet<_> = SETTINGS.iter().map(Setting::toml_key).collect();
        assert_eq!((names.len(), keys.len()), (SETTINGS.len(), SETTINGS.len()));
    }

    #[test]
    fn every_default_is_a_value_its_kind_allows() {
        for setting in SETTINGS {
            let parsed: Option<Option<Value>> = setting.default.map(|text| setting.kind.parse(text));
            assert_ne!(parsed, Some(None), "{}", setting.name);
        }
    }

    #[test]
    fn every_help_is_a_sentence() {
        for setting in SETTINGS {
            assert!(setting.help.ends_with('.') && !setting.help.contains('|'), "{}", setting.name);
        }
    }
}
