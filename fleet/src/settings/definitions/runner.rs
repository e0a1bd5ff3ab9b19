//! The settings of the runner, which runs one host's browsers.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use camofleet_actors::display::{Geometry, VncBackend};
use camofleet_actors::egress::{EgressLevel, ProxyPoolSettings};
use camofleet_actors::host::addons::AddonSource;
use camofleet_actors::host::engine::EngineKind;
use camofleet_api::destination::DestinationPattern;
use camofleet_api::proxy::ProxyChoice;
use camofleet_api::session::StartUrlWait;
use camofleet_web::CorsOrigins;
use url::Url;

use super::*;
use crate::settings::kinds::*;
use crate::settings::pools::PoolDefinition;
use crate::settings::types::{DefaultViewport, Secret};

static RUNNER: Section =
    Section { table: "runner", prefix: "RUNNER_", title: "Runner: browsers, displays and prewarm pools" };

settings! {
    /// Browsers, displays and their processes.
    pub struct RunnerSettings in RUNNER {
        /// The address that the role runner listens on.
        host: String = required("RUNNER_HOST", "0.0.0.0", HOST),
        /// The port that the role runner listens on; 0 takes a free one.
        port: u16 = required("RUNNER_PORT", "8070", LISTEN_PORT),
        /// The origins whose pages may call the role runner; * lets all of them read, and change nothing.
        cors_origins: CorsOrigins = required("RUNNER_CORS_ORIGINS", "[]", ORIGINS),
        /// The host names that the role runner accepts besides localhost; unset: any, unless it listens on loopback
        /// only.
        public_hosts: Option<Vec<String>> = optional("RUNNER_PUBLIC_HOSTS", HOSTS),
        /// The token that every API request to the role runner must carry; unset: none is required.
        api_token: Option<Secret> = optional("RUNNER_API_TOKEN", TOKEN),
        /// Whether the role runner refuses to start without a token.
        require_token: bool = required("RUNNER_REQUIRE_TOKEN", "false", SWITCH),
        /// The path of the role runner's Prometheus metrics.
        metrics_endpoint: String = required("RUNNER_METRICS_ENDPOINT", "/metrics", HTTP_PATH),
        /// Seconds after which the role runner disconnects a peer of a relay that reads nothing.
        write_timeout: Duration = required("RUNNER_WRITE_TIMEOUT", "30", WRITE_TIMEOUT),
        /// Seconds without activity after which a session ends, unless its request says otherwise.
        default_idle_ttl: Duration = required("RUNNER_SESSION_DEFAULTS__IDLE_TTL_SECONDS", "300", IDLE_TTL),
        /// Whether a session is headless when its request does not say.
        default_headless: bool = required("RUNNER_SESSION_DEFAULTS__HEADLESS", "false", SWITCH),
        /// The page a session opens when its request names none.
        default_start_url: Option<String> = optional("RUNNER_SESSION_DEFAULTS__START_URL", text(1024)),
        /// How the connections of a session leave whose request names no proxy; auto: by the proxy of the environment
        /// (https_proxy, all_proxy or http_proxy, except to the hosts of no_proxy), or directly without one.
        default_proxy: Option<ProxyChoice> = required("RUNNER_SESSION_DEFAULTS__PROXY", "auto", PROXY),
        /// Schemes that a start URL may have besides http, https, data and about:blank, such as file.
        start_url_schemes: Vec<String> = or_empty("RUNNER_START_URL_SCHEMES", SCHEMES),
        /// How far a start URL has to load; none leaves the first tab blank.
        start_url_wait: StartUrlWait = required("RUNNER_START_URL_WAIT", "load", choice()),
        /// The browser engine; auto takes Camoufox where it is installed, else the system's Firefox.
        engine: Option<EngineKind> = required("RUNNER_ENGINE", "auto", choice()),
        /// The Camoufox executable; unset: the one that Camoufox's own cache directory holds.
        camoufox_path: Option<PathBuf> = optional("RUNNER_CAMOUFOX_PATH", PATH),
        /// The Firefox executable; unset: the one found on PATH.
        firefox_path: Option<PathBuf> = optional("RUNNER_FIREFOX_PATH", PATH),
        /// Browsers do not speak HTTP/3 (QUIC).
        disable_http3: bool = required("RUNNER_DISABLE_HTTP3", "true", SWITCH),
        /// Browsers resolve names to IPv4 addresses only.
        disable_ipv6: bool = required("RUNNER_DISABLE_IPV6", "true", SWITCH),
        /// Browsers have no WebRTC, which can reveal local addresses.
        disable_webrtc: bool = required("RUNNER_DISABLE_WEBRTC", "true", SWITCH),
        /// Create requests may ask for webrtc on: it connects by UDP beside the exit and its rules, and shows pages the
        /// machine's addresses.
        webrtc_direct: bool = required("RUNNER_WEBRTC_DIRECT", "false", SWITCH),
        /// How the names of the Firefox preferences begin that create requests may set; those that camofleet sets itself
        /// never are among them.
        user_preference_prefixes: Vec<String> = or_empty("RUNNER_USER_PREFERENCE_PREFIXES", PREFERENCES),
        /// What browsers may not connect to: no-fleet, what camofleet and its processes listen on, link-local addresses and
        /// the metadata services of clouds; public, also everything that is no public address; open, nothing.
        egress: EgressLevel = required("RUNNER_EGRESS", "no-fleet", choice()),
        /// Destinations that browsers may not connect to besides.
        egress_deny: Vec<DestinationPattern> = or_empty("RUNNER_EGRESS_DENY", DESTINATIONS),
        /// Exceptions from RUNNER_EGRESS_DENY and RUNNER_EGRESS. A name lifts neither the protection of the fleet nor that of
        /// link-local addresses, an address does.
        egress_allow: Vec<DestinationPattern> = or_empty("RUNNER_EGRESS_ALLOW", DESTINATIONS),
        /// Block lists from files, of one host a line, by the name that requests use.
        egress_lists: BTreeMap<String, PathBuf> = or_empty("RUNNER_EGRESS_LISTS", LIST_FILES),
        /// The block lists of sessions whose request names none; phone_home is built in and has what Firefox itself calls.
        egress_block: Vec<String> = required("RUNNER_EGRESS_BLOCK", "phone_home", LIST_NAMES),
        /// How long establishing a connection of a browser may take.
        egress_connect_timeout: Duration = required("RUNNER_EGRESS_CONNECT_SECONDS", "15", seconds(0.1, 600.0)),
        /// How long a connection of a browser may be silent before it is closed.
        egress_idle_timeout: Duration = required("RUNNER_EGRESS_IDLE_SECONDS", "1800", seconds(1.0, MAX_INTERVAL)),
        /// The name server for connections without a proxy; unset: those of this machine.
        egress_name_server: Option<SocketAddr> = optional("RUNNER_EGRESS_NAME_SERVER", NAME_SERVER),
        /// Pools of proxies that requests may name. A session keeps its proxy of a pool, or with "use": "rotate" each
        /// connection takes the next; one that fails is left out for half a minute.
        proxies: BTreeMap<String, ProxyPoolSettings> = or_empty("RUNNER_PROXIES", PROXIES),
        /// Services that name the address of their caller, as plain text or as the field ip of a JSON object, for checks of
        /// proxies; they are tried in this order. Unset: proxies can't be checked.
        exit_ip_urls: Vec<Url> = or_empty("RUNNER_EXIT_IP_URL", URLS),
        /// How long a check of a proxy may take; keep it below CONTROL_REQUEST_TIMEOUT.
        exit_ip_timeout: Duration = required("RUNNER_EXIT_IP_TIMEOUT_SECONDS", "8", seconds(0.1, 300.0)),
        /// The city database by which a check of a proxy names places: a file, or a directory of files *.mmdb; unset: the one
        /// that the images have, or that make geoip installs.
        geoip_db: Option<PathBuf> = optional("RUNNER_GEOIP_DB", PATH),
        /// The directory of the Node driver; unset: the one beside the checkout or the installation.
        driver_dir: Option<PathBuf> = optional("RUNNER_DRIVER_DIR", PATH),
        /// The directory of the identity maker, which draws the identities of Camoufox; unset: the one beside the checkout or
        /// the installation.
        identity_dir: Option<PathBuf> = optional("RUNNER_IDENTITY_DIR", PATH),
        /// The Python that has Camoufox' own library; unset: that of the virtual environment .venv in the identity maker's
        /// directory, which camofleet setup camoufox makes.
        identity_python: Option<PathBuf> = optional("RUNNER_IDENTITY_PYTHON", PATH),
        /// Add-ons of Camoufox that requests may name, each an .xpi file with its SHA-256.
        addons: BTreeMap<String, AddonSource> = or_empty("RUNNER_ADDONS", ADDONS),
        /// The Node.js executable, 20 or newer: a path, or a name found on PATH.
        node_path: PathBuf = required("RUNNER_NODE_PATH", "node", PROGRAM),
        /// How many browsers one driver process serves before another one is started.
        sessions_per_driver: usize = required("RUNNER_SESSIONS_PER_DRIVER", "8", integer(1, 64)),
        /// How often a driver process is polled; one that has not answered before the next poll gets no more launches.
        driver_heartbeat: Duration = required("RUNNER_DRIVER_HEARTBEAT_SECONDS", "5", seconds(0.1, 60.0)),
        /// How long a driver process may leave a poll unanswered before it counts as hung and is killed with its
        /// browsers.
        driver_silence: Duration = required("RUNNER_DRIVER_SILENCE_SECONDS", "15", seconds(1.0, MAX_INTERVAL)),
        /// How long a browser may leave a poll unanswered before it counts as hung, and so as crashed.
        browser_silence: Duration = required(
            "RUNNER_BROWSER_SILENCE_SECONDS", "20", seconds(1.0, MAX_INTERVAL),
        ),
        /// How long an X or VNC server may leave a poll unanswered before it counts as hung, and so as crashed. Keep it
        /// below RUNNER_BROWSER_SILENCE_SECONDS: a browser hangs with its display.
        display_silence: Duration = required(
            "RUNNER_DISPLAY_SILENCE_SECONDS", "15", seconds(1.0, MAX_INTERVAL),
        ),
        /// How many sessions may exist at once; a request beyond that is answered 429.
        max_sessions: usize = required("RUNNER_MAX_SESSIONS", "100", integer(1, 10_000)),
        /// How many browsers may be launched at once; 0 is the number of processor cores.
        launch_permits: usize = required("RUNNER_LAUNCH_PERMITS", "0", cores(64)),
        /// How many create requests may wait for their launch to start; those beyond are answered 503.
        launch_queue: usize = required("RUNNER_LAUNCH_QUEUE", "64", integer(0, 10_000)),
        /// How long a create request may wait before it is answered 503; keep it below WORKER_CREATE_TIMEOUT, or that
        /// limit is reached first.
        launch_queue_patience: Duration = required("RUNNER_LAUNCH_QUEUE_SECONDS", "30", seconds(0.1, 3600.0)),
        /// The size of pages whose client names no viewport: that of the window, so that page, screen and live view agree, or
        /// Playwright's own, 1280×720.
        default_viewport: DefaultViewport = required("RUNNER_DEFAULT_VIEWPORT", "window", choice()),
        /// How long the launch of a browser may take.
        launch_timeout: Duration = required("RUNNER_LAUNCH_TIMEOUT_SECONDS", "30", seconds(1.0, 300.0)),
        /// How many MiB of disk a session's files, downloads included, may take before the session ends; 0 is no limit.
        session_disk_limit: Option<NonZeroU64> = required(
            "RUNNER_SESSION_DISK_MB", "1024", mebibytes(1_048_576),
        ),
        /// How often a crashed session is restarted within RUNNER_RESTART_WINDOW_SECONDS before it ends.
        restart_limit: usize = required("RUNNER_RESTART_LIMIT", "3", integer(0, 100)),
        /// The span of time in which restarts are counted.
        restart_window: Duration = required("RUNNER_RESTART_WINDOW_SECONDS", "300", seconds(1.0, MAX_INTERVAL)),
        /// How many headless browsers are kept ready.
        prewarm_headless: usize = required("RUNNER_PREWARM_HEADLESS", "1", integer(0, 64)),
        /// How many browsers with a display are kept ready; none where the display tools are missing.
        prewarm_vnc: usize = required("RUNNER_PREWARM_VNC", "1", integer(0, 64)),
        /// Further pools of browsers that are kept ready, each for create requests whose browser is launched like that of its
        /// request; what can be set on a running browser, as the proxy, does not matter. A pool takes the place of the one of
        /// RUNNER_PREWARM_HEADLESS or RUNNER_PREWARM_VNC if its browsers are the same.
        pools: Vec<PoolDefinition> = or_empty("RUNNER_POOLS", POOLS),
        /// How often the prewarm pools are checked, besides the refill after every take.
        prewarm_check_interval: Duration = required(
            "RUNNER_PREWARM_CHECK_INTERVAL_SECONDS", "2.0", seconds(0.1, 3600.0),
        ),
        /// What serves a live screen: xvnc (TigerVNC) or x11vnc (on Xvfb); auto takes the first that is installed.
        vnc_backend: VncBackend = required("RUNNER_VNC_BACKEND", "auto", choice()),
        /// Width, height and colour depth of the displays.
        vnc_resolution: Geometry = required("RUNNER_VNC_RESOLUTION", "1920x1080x24", RESOLUTION),
        /// How long a display may take to start.
        vnc_startup_timeout: Duration = required(
            "RUNNER_VNC_STARTUP_TIMEOUT_SECONDS", "5", seconds(0.1, 120.0),
        ),
        /// How many viewers may watch one screen at once; others are refused with the reason.
        vnc_viewers: usize = required("RUNNER_VNC_VIEWERS", "16", integer(1, 1000)),
        /// How long a viewer may read nothing of what its screen sends before it is disconnected.
        vnc_write_timeout: Duration = required("RUNNER_VNC_WRITE_TIMEOUT_SECONDS", "30", seconds(1.0, 3600.0)),
        /// The X display numbers that sessions take.
        vnc_displays: RangeInclusive<u16> = range(
            ("RUNNER_VNC_DISPLAY_MIN", "100", "The first X display number that sessions take."),
            ("RUNNER_VNC_DISPLAY_MAX", "199", "The last X display number that sessions take."),
            integer(1, 59_535),
        ),
        /// The TCP ports of the sessions' VNC servers.
        vnc_ports: RangeInclusive<u16> = range(
            ("RUNNER_VNC_PORT_MIN", "5900", "The first TCP port of the sessions' VNC servers."),
            ("RUNNER_VNC_PORT_MAX", "5999", "The last TCP port of the sessions' VNC servers."),
            TCP_PORT,
        ),
        /// The ids of live views.
        vnc_ids: RangeInclusive<u16> = range(
            ("RUNNER_VNC_WS_PORT_MIN", "6900", "The first id of a live view, as in /vnc/{id}."),
            ("RUNNER_VNC_WS_PORT_MAX", "6999", "The last id of a live view."),
            TCP_PORT,
        ),
        /// The address that VNC servers listen on: one that a gateway on another host can reach, or 0.0.0.0 for all.
        vnc_bind: IpAddr = required("RUNNER_VNC_BIND", "127.0.0.1", ADDRESS),
        /// The base URL of live views' WebSockets, to which /websockify?token={id} is added; unset: they have no such
        /// address, and in serve one relative to the panel.
        vnc_ws_base: Option<String> = optional("RUNNER_VNC_WS_BASE", LINK_BASE),
        /// The base URL of live views' pages, to which /vnc/{id} is added; unset: they have no such address, and in
        /// serve one relative to the panel.
        vnc_http_base: Option<String> = optional("RUNNER_VNC_HTTP_BASE", LINK_BASE),
        /// Whether a live view opens by its number alone, without the key in its address; auto: where no token is set.
        /// Set it alike for every role of a split fleet.
        vnc_open_ids: Option<bool> = required("RUNNER_VNC_OPEN_IDS", "auto", choice()),
        /// One shared display, VNC server and noVNC for all sessions, instead of one for each.
        vnc_legacy: bool = required("RUNNER_VNC_LEGACY", "0", SWITCH),
        /// Addresses to request once at the start; the results are among the checks of /health.
        network_diagnostics: Vec<Url> = or_empty("RUNNER_NETWORK_DIAGNOSTICS", URLS),
        /// How long each of these addresses may take to answer.
        diagnostics_timeout: Duration = required(
            "RUNNER_DIAGNOSTICS_TIMEOUT_SECONDS", "8", seconds(0.1, 300.0),
        ),
        /// Seconds that a session without a profile may be idle at most, if its request says so; with a profile it is 30 days.
        max_idle_ttl: Duration = required("RUNNER_MAX_IDLE_TTL_SECONDS", "3600", MAX_IDLE_TTL),
        /// Where profiles are kept, which outlive sessions; unset: camofleet/profiles in the user's data directory
        /// ($XDG_DATA_HOME, or ~/.local/share).
        profiles_dir: Option<PathBuf> = optional("RUNNER_PROFILES_DIR", PATH),
        /// Whether other workers use the same directory of profiles, on shared storage.
        profiles_shared: bool = required("RUNNER_PROFILES_SHARED", "false", SWITCH),
        /// How long a browser may take to store its user data at the end of a session with a profile before it is killed.
        profile_close_patience: Duration = required("RUNNER_PROFILE_CLOSE_SECONDS", "5", seconds(0.1, 60.0)),
        /// How many MiB an imported profile may have unpacked; 0 is no limit.
        profile_import_limit: Option<NonZeroU64> = required(
            "RUNNER_PROFILE_IMPORT_MB", "2048", mebibytes(1_048_576),
        ),
        /// Where the temporary files and sockets of running sessions are kept; unset: camofleet-{user id} in the temporary
        /// directory.
        run_dir: Option<PathBuf> = optional("RUNNER_RUN_DIR", PATH),
        /// Environment variables that drivers, browsers and displays inherit besides the few that they always do;
        /// NAME_* stands for all that begin with NAME_.
        pass_environment: Vec<String> = or_empty("RUNNER_PASS_ENVIRONMENT", VARIABLES),
        /// How long sessions have to end at shutdown before their processes are killed; those with a profile also have
        /// RUNNER_PROFILE_CLOSE_SECONDS.
        shutdown_timeout: Duration = required("RUNNER_SHUTDOWN_TIMEOUT_SECONDS", "4", seconds(0.1, 300.0)),
    }
}

settings! {
    /// The page of the one shared screen; like the screen's own settings, read only where that is wanted.
    pub struct LegacyVncPageSettings in RUNNER {
        /// The noVNC files that legacy VNC serves; without such a directory it serves its own page.
        assets: PathBuf = required("RUNNER_VNC_WEB_ASSETS_PATH", "/usr/share/novnc", PATH),
    }
}
