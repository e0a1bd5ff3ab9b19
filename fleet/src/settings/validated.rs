//! The settings as types: what the rest of the program gets to see.

use std::net::IpAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use camofleet_web::AccessNames;
use url::Url;

use super::topology::{DiscoveryEntry, VncMap, WorkerEntry};
use super::types::{CorsOrigins, Engine, OpenIds, Placement, Resolution, Secret, StartUrlWait, VncBackend};

/// Everything there is to set.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// What runs the browsers.
    pub runner: RunnerSettings,
    /// What stands before one host's browsers.
    pub worker: WorkerSettings,
    /// What stands before all of them.
    pub control: ControlSettings,
    /// What carries VNC traffic.
    pub gateway: GatewaySettings,
}

/// Browsers, displays and their processes.
#[derive(Debug, Clone, PartialEq)]
pub struct RunnerSettings {
    /// What the role listens on.
    pub listen: ListenSettings,
    /// Addresses to look at at the start.
    pub diagnostics: Vec<Url>,
    /// How long each of them may take.
    pub diagnostics_timeout: Duration,
    /// What a session is when its request doesn't say.
    pub session_defaults: SessionDefaults,
    /// Which browser, and how it is set up.
    pub engine: EngineSettings,
    /// The Node processes that drive browsers.
    pub driver: DriverSettings,
    /// How long what can hang may be silent.
    pub pulse: PulseSettings,
    /// Starting browsers.
    pub launch: LaunchSettings,
    /// Displays and VNC servers.
    pub vnc: VncSettings,
    /// Browsers that wait to be handed out.
    pub prewarm: PrewarmSettings,
    /// How often a crashed session is started again.
    pub restarts: RestartSettings,
    /// How many sessions may exist at once.
    pub max_sessions: NonZeroUsize,
    /// Where profiles and sockets live; `None` leaves it to `camofleet-<user id>` in the temporary directory.
    pub run_dir: Option<PathBuf>,
    /// The variables that drivers, browsers and X servers inherit besides those that they always do.
    pub pass_environment: Vec<String>,
    /// How long sessions have to end at shutdown.
    pub shutdown_timeout: Duration,
}

/// What a session is when its request doesn't say.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionDefaults {
    /// How long a session may be idle.
    pub idle_ttl: Duration,
    /// Whether it has no window.
    pub headless: bool,
    /// The page it opens.
    pub start_url: Option<String>,
    /// How far that page has to load.
    pub start_url_wait: StartUrlWait,
    /// Schemes that it may have beside the usual ones.
    pub start_url_schemes: Vec<String>,
}

/// Which browser, and how it is set up.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineSettings {
    /// The engine asked for.
    pub choice: Engine,
    /// Camoufox's executable, where it isn't to be searched for.
    pub camoufox_path: Option<PathBuf>,
    /// Firefox's executable, where it isn't to be searched for.
    pub firefox_path: Option<PathBuf>,
    /// Browsers don't speak HTTP/3.
    pub disable_http3: bool,
    /// Browsers don't resolve names to IPv6 addresses.
    pub disable_ipv6: bool,
    /// Browsers have no WebRTC.
    pub disable_webrtc: bool,
}

/// The Node processes that drive browsers.
#[derive(Debug, Clone, PartialEq)]
pub struct DriverSettings {
    /// The driver's directory, where it isn't to be searched for.
    pub dir: Option<PathBuf>,
    /// The Node.js executable: a path, or a bare name to be found on PATH.
    pub node: PathBuf,
    /// How many browsers one driver serves.
    pub sessions_per_driver: NonZeroUsize,
}

/// How long what can hang may be silent.
#[derive(Debug, Clone, PartialEq)]
pub struct PulseSettings {
    /// How often a driver is polled.
    pub driver_heartbeat: Duration,
    /// How long a driver may be silent.
    pub driver_silence: Duration,
    /// How long a browser may be silent.
    pub browser_silence: Duration,
    /// How long the servers of a display may be silent.
    pub display_silence: Duration,
}

/// Starting browsers.
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchSettings {
    /// How many may be starting at once.
    pub permits: NonZeroUsize,
    /// How many creates may wait for one to begin.
    pub queue_length: usize,
    /// How long each may.
    pub queue_patience: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// How many bytes of the disk one may take; `None`: any.
    pub disk_limit: Option<NonZeroU64>,
}

/// Displays and VNC servers.
#[derive(Debug, Clone, PartialEq)]
pub struct VncSettings {
    /// The tools asked for.
    pub backend: VncBackend,
    /// X display numbers to take.
    pub displays: RangeInclusive<u16>,
    /// TCP ports for VNC servers.
    pub ports: RangeInclusive<u16>,
    /// Ids of live views.
    pub ids: RangeInclusive<u16>,
    /// The displays' size.
    pub resolution: Resolution,
    /// How long a display may take to start.
    pub startup_timeout: Duration,
    /// How many may watch one screen at once.
    pub viewers: usize,
    /// How long a viewer may take nothing of what it is sent.
    pub write_timeout: Duration,
    /// Where VNC servers listen.
    pub bind: IpAddr,
    /// What the WebSocket addresses of views begin with.
    pub ws_base: Option<String>,
    /// What the page addresses of views begin with.
    pub http_base: Option<String>,
    /// Whether a live view opens by its number alone.
    pub open_ids: OpenIds,
    /// The one shared screen, where that is wanted.
    pub legacy: Option<LegacyVncSettings>,
}

/// One screen for all sessions.
#[derive(Debug, Clone, PartialEq)]
pub struct LegacyVncSettings {
    /// The X display's number.
    pub display: u16,
    /// Its size.
    pub resolution: Resolution,
    /// The port of its VNC server.
    pub vnc_port: u16,
    /// The port of its noVNC page and WebSocket.
    pub ws_port: u16,
    /// What its VNC server asks for.
    pub password: Option<Secret>,
    /// The noVNC files to serve.
    pub web_assets: PathBuf,
}

/// What an HTTP role listens on, and who may call it.
#[derive(Debug, Clone, PartialEq)]
pub struct ListenSettings {
    /// The address or name to listen on; an IPv6 address has no brackets. `None` leaves it to the role.
    pub host: Option<String>,
    /// The port to listen on; 0 takes a free one.
    pub port: u16,
    /// The settings' names for the two, for errors.
    pub names: (&'static str, &'static str),
    /// The pages that may call the API.
    pub cors_origins: CorsOrigins,
    /// Where the port of its container is published, as far as that is known.
    pub published_at: Option<IpAddr>,
    /// The names by which it may be addressed; `None` where that was not said.
    pub public_hosts: Option<Vec<String>>,
    /// The token that calls have to bring.
    pub api_token: Option<Secret>,
    /// Whether it is refused to start without one.
    pub require_token: bool,
    /// The path of the metrics, with a leading slash.
    pub metrics_endpoint: String,
    /// How long a peer of a relay may take nothing.
    pub write_timeout: Duration,
}

impl ListenSettings {
    /// The names of the settings that say who may call it.
    pub fn access_names(&self) -> AccessNames {
        let named =
            |cors_origins, public_hosts, api_token| AccessNames { cors_origins, public_hosts, api_token };
        match self.names.0 {
            "RUNNER_HOST" => named("RUNNER_CORS_ORIGINS", "RUNNER_PUBLIC_HOSTS", "RUNNER_API_TOKEN"),
            "WORKER_HOST" => named("WORKER_CORS_ORIGINS", "WORKER_PUBLIC_HOSTS", "WORKER_API_TOKEN"),
            _ => named("CONTROL_CORS_ORIGINS", "CONTROL_PUBLIC_HOSTS", "CONTROL_API_TOKEN"),
        }
    }

    /// The name of the setting that demands a token.
    pub fn require_token_name(&self) -> &'static str {
        match self.names.0 {
            "RUNNER_HOST" => "RUNNER_REQUIRE_TOKEN",
            "WORKER_HOST" => "WORKER_REQUIRE_TOKEN",
            _ => "CONTROL_REQUIRE_TOKEN",
        }
    }
}

/// What stands before one host's browsers.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerSettings {
    /// What the role listens on.
    pub listen: ListenSettings,
    /// What it calls itself.
    pub id: Option<String>,
    /// Its runner, where that is not in the same process.
    pub runner_url: Option<Url>,
    /// What is presented to it.
    pub runner_token: Option<Secret>,
    /// Whether sessions may have a live view.
    pub supports_vnc: Option<bool>,
    /// The idle TTL for requests that name none.
    pub default_idle_ttl: Option<Duration>,
    /// Whether sessions are headless whose request does not say.
    pub default_headless: Option<bool>,
    /// How its runner is called.
    pub calls: CallSettings,
}

/// How another machine is called.
#[derive(Debug, Clone, PartialEq)]
pub struct CallSettings {
    /// How long it may take to answer anything but a create.
    pub request_timeout: Duration,
    /// How long it may take to create a session.
    pub create_timeout: Duration,
    /// How often it is looked at.
    pub poll_interval: Duration,
    /// How long a look may take.
    pub poll_timeout: Duration,
}

/// Browsers that wait to be handed out.
#[derive(Debug, Clone, PartialEq)]
pub struct PrewarmSettings {
    /// How many without a window.
    pub headless: usize,
    /// How many with a display.
    pub vnc: usize,
    /// How often the pools are checked.
    pub check_interval: Duration,
}

/// How often a crashed session is started again.
#[derive(Debug, Clone, PartialEq)]
pub struct RestartSettings {
    /// Restarts allowed within the window; 0 is none.
    pub limit: u32,
    /// The window.
    pub window: Duration,
}

/// The HTTP surface.
#[derive(Debug, Clone, PartialEq)]
pub struct ControlSettings {
    /// What the role listens on, and `serve`.
    pub listen: ListenSettings,
    /// The workers of the role.
    pub workers: Vec<WorkerEntry>,
    /// Where more of them are found.
    pub discovery: Vec<DiscoveryEntry>,
    /// How often that is asked.
    pub discovery_interval: Duration,
    /// Whether the pods of those that are found are told what their loss would cost.
    pub pod_deletion_cost: bool,
    /// Which of them is asked first.
    pub placement: Placement,
    /// How they are called.
    pub calls: CallSettings,
    /// What clients put before the API's paths: empty, or with a leading and without a trailing slash.
    pub public_api_prefix: String,
    /// What people put before the pages' paths, likewise.
    pub public_pages_prefix: String,
    /// Who may frame the pages: the sources of CSP's `frame-ancestors`.
    pub frame_ancestors: String,
    /// What is presented to workers without a token of their own.
    pub workers_token: Option<Secret>,
    /// How often an idle WebSocket is pinged.
    pub ws_ping: Duration,
}

/// VNC tunnels.
#[derive(Debug, Clone, PartialEq)]
pub struct GatewaySettings {
    /// The address or name that the role listens on.
    pub host: String,
    /// The port that the role listens on; 0 takes a free one.
    pub port: u16,
    /// The host of the VNC servers.
    pub vnc_host: String,
    /// The ids of live views.
    pub ids: RangeInclusive<u16>,
    /// The port of the first id's server.
    pub vnc_base_port: u16,
    /// Servers that are named one by one.
    pub vnc_map: VncMap,
    /// How long a viewer may say nothing.
    pub ws_read_timeout: Duration,
    /// How long a viewer may take to read.
    pub ws_write_timeout: Duration,
    /// How long viewers may go on at shutdown.
    pub shutdown_grace: Duration,
    /// How many viewers may be connected at once.
    pub max_concurrent_sessions: NonZeroUsize,
    /// How long connecting to a VNC server may take.
    pub tcp_connect_timeout: Duration,
    /// How long a connection may be silent.
    pub tcp_idle_timeout: Duration,
}
