//! The settings of what runs browsers.

use super::{
    DISPLAY_NUMBER, IDLE_TTL_SECONDS, LISTEN_PORT, NO_ORIGIN, Setting, TCP_PORT, WRITE_TIMEOUT, optional,
    setting,
};
use crate::settings::kinds::{Kind, MAX_INTERVAL};
use crate::settings::types::{Choice, Engine, OpenIds, StartUrlWait, VncBackend};

/// In the order in which documents show them.
pub(super) const SETTINGS: &[Setting] = &[
    setting("RUNNER_HOST", "0.0.0.0", Kind::Host, "The address that the role runner listens on."),
    setting(
        "RUNNER_PORT",
        "8070",
        LISTEN_PORT,
        "The port that the role runner listens on; 0 takes a free one.",
    ),
    setting(
        "RUNNER_CORS_ORIGINS",
        NO_ORIGIN,
        Kind::Origins,
        "The origins whose pages may use the role runner; * lets all of them read, and change nothing.",
    ),
    optional(
        "RUNNER_PUBLIC_HOSTS",
        Kind::Hosts,
        "The names by which the role runner may be addressed beside localhost; unset: any, unless it listens on loopback alone.",
    ),
    optional(
        "RUNNER_API_TOKEN",
        Kind::Token,
        "A token that every API call of the role runner has to bring; unset: none is asked for.",
    ),
    setting(
        "RUNNER_REQUIRE_TOKEN",
        "false",
        Kind::Switch,
        "Whether the role runner refuses to start without a token.",
    ),
    setting("RUNNER_METRICS_ENDPOINT", "/metrics", Kind::HttpPath, "Where the role runner has its metrics."),
    setting(
        "RUNNER_WRITE_TIMEOUT",
        "30",
        WRITE_TIMEOUT,
        "Seconds after which the role runner disconnects a peer of a relay that takes nothing.",
    ),
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
    optional(
        "RUNNER_START_URL_SCHEMES",
        Kind::Schemes,
        "Schemes that a start URL may have beside http, https, data and about:blank, such as file.",
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
        "RUNNER_DRIVER_HEARTBEAT_SECONDS",
        "5",
        Kind::Seconds { min: 0.1, max: 60.0 },
        "How often a driver process is polled; one that has not answered by the next time gets no more launches.",
    ),
    setting(
        "RUNNER_DRIVER_SILENCE_SECONDS",
        "15",
        Kind::Seconds { min: 1.0, max: MAX_INTERVAL },
        "How long a driver process may leave a poll unanswered; then it hangs, and is killed with its browsers.",
    ),
    setting(
        "RUNNER_BROWSER_SILENCE_SECONDS",
        "20",
        Kind::Seconds { min: 1.0, max: MAX_INTERVAL },
        "How long a browser may leave a poll unanswered; then it hangs, and counts as crashed.",
    ),
    setting(
        "RUNNER_DISPLAY_SILENCE_SECONDS",
        "15",
        Kind::Seconds { min: 1.0, max: MAX_INTERVAL },
        "How long an X or VNC server may leave a poll unanswered; then it hangs, and counts as crashed. Keep it below RUNNER_BROWSER_SILENCE_SECONDS: the browser on it hangs with it.",
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
        "RUNNER_LAUNCH_QUEUE",
        "64",
        Kind::Integer { min: 0, max: 10_000 },
        "How many creates may wait for the launch of their browser to begin; those beyond are answered 503.",
    ),
    setting(
        "RUNNER_LAUNCH_QUEUE_SECONDS",
        "30",
        Kind::Seconds { min: 0.1, max: 3600.0 },
        "How long each of them may wait before it is answered 503; less than WORKER_CREATE_TIMEOUT, or that is answered first.",
    ),
    setting(
        "RUNNER_LAUNCH_TIMEOUT_SECONDS",
        "30",
        Kind::Seconds { min: 1.0, max: 300.0 },
        "How long the launch of a browser may take.",
    ),
    setting(
        "RUNNER_SESSION_DISK_MB",
        "1024",
        Kind::Integer { min: 0, max: 1_048_576 },
        "How many MiB of the disk a session's files, downloads among them, may take before it ends; 0 is no limit.",
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
        "RUNNER_VNC_VIEWERS",
        "16",
        Kind::Integer { min: 1, max: 1000 },
        "How many viewers may watch one screen at once; others are refused with the reason.",
    ),
    setting(
        "RUNNER_VNC_WRITE_TIMEOUT_SECONDS",
        "30",
        Kind::Seconds { min: 1.0, max: 3600.0 },
        "How long a viewer may take nothing of what its screen sends.",
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
        "RUNNER_VNC_OPEN_IDS",
        "auto",
        Kind::Choice(OpenIds::WORDS),
        "Whether a live view opens by its number alone, without the key that its address carries; auto: where no token is \
         set. Every role of a split fleet has to be given it.",
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
        "Addresses to request once at the start; the results are shown among the checks of /health.",
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
    optional(
        "RUNNER_PASS_ENVIRONMENT",
        Kind::Variables,
        "Environment variables that drivers, browsers and displays inherit besides the few that they always do; NAME_* is \
         all that begin so.",
    ),
    setting(
        "RUNNER_SHUTDOWN_TIMEOUT_SECONDS",
        "4",
        Kind::Seconds { min: 0.1, max: 300.0 },
        "How long sessions have to end at shutdown before their processes are killed.",
    ),
];
