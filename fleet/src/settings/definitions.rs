//! Every setting there is, once: parsing, `camofleet config`, `.env.example`, `config/default.toml` and the
//! README's tables are all made from [`SETTINGS`].

use super::kinds::{Kind, MAX_INTERVAL};
use super::types::{Choice, Engine, StartUrlWait, VncBackend};

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

/// The table of every name without a prefix.
static GATEWAY: Section = Section { table: "gateway", prefix: "", title: "Gateway: VNC tunnels" };

impl Setting {
    /// The section this setting belongs to.
    pub fn section(&self) -> &'static Section {
        PREFIXED.iter().find(|section| self.name.starts_with(section.prefix)).unwrap_or(&GATEWAY)
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
        self.kind == Kind::Token
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

/// All settings, in the order in which documents show them.
pub static SETTINGS: &[Setting] = &[
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
    optional(
        "WORKER_SESSION_DEFAULTS__IDLE_TTL_SECONDS",
        IDLE_TTL_SECONDS,
        "Wins over RUNNER_SESSION_DEFAULTS__IDLE_TTL_SECONDS wherever it is set.",
    ),
    optional(
        "WORKER_SESSION_DEFAULTS__HEADLESS",
        Kind::Switch,
        "Wins over RUNNER_SESSION_DEFAULTS__HEADLESS wherever it is set.",
    ),
    setting(
        "CONTROL_HOST",
        "127.0.0.1",
        Kind::Host,
        "The address to listen on; 0.0.0.0 is every IPv4 address of the machine.",
    ),
    setting(
        "CONTROL_PORT",
        "9000",
        Kind::Integer { min: 0, max: 65535 },
        "The port to listen on; 0 takes a free one.",
    ),
    setting(
        "CONTROL_CORS_ORIGINS",
        r#"["*"]"#,
        Kind::Origins,
        "The origins whose pages may call the API; * is all of them, then without credentials.",
    ),
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
