//! The settings as types: what the rest of the program gets to see.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::time::Duration;

use url::Url;

use super::error::SettingsError;
use super::kinds::Value;
use super::sources::InForce;
use super::topology::{VncMap, WorkerEntry};
use super::types::{Choice, CorsOrigins, Engine, Placement, Resolution, Secret, StartUrlWait, VncBackend};

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

/// Starting browsers.
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchSettings {
    /// How many may be starting at once.
    pub permits: NonZeroUsize,
    /// How long one may take.
    pub timeout: Duration,
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
    /// Where VNC servers listen.
    pub bind: IpAddr,
    /// What the WebSocket addresses of views begin with.
    pub ws_base: Option<String>,
    /// What the page addresses of views begin with.
    pub http_base: Option<String>,
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
    /// The path of the metrics, with a leading slash.
    pub metrics_endpoint: String,
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
    /// Which of them is asked first.
    pub placement: Placement,
    /// How they are called.
    pub calls: CallSettings,
    /// What clients put before the API's paths: empty, or with a leading and without a trailing slash.
    pub public_api_prefix: String,
    /// The token that calls have to bring.
    pub api_token: Option<Secret>,
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

/// Turns the texts in force into types; relative paths start from `working_directory`.
pub fn validate(values: &[InForce], working_directory: &Path) -> Result<Settings, SettingsError> {
    let read = Reader { values, working_directory };
    Ok(Settings {
        runner: runner(&read)?,
        worker: worker(&read)?,
        control: control(&read)?,
        gateway: gateway(&read)?,
    })
}

fn runner(read: &Reader<'_>) -> Result<RunnerSettings, SettingsError> {
    Ok(RunnerSettings {
        listen: ListenSettings {
            host: Some(read.required("RUNNER_HOST", text)?),
            port: read.required("RUNNER_PORT", integer)?,
            names: ("RUNNER_HOST", "RUNNER_PORT"),
            cors_origins: read.required("RUNNER_CORS_ORIGINS", origins)?,
            metrics_endpoint: read.required("RUNNER_METRICS_ENDPOINT", text)?,
        },
        diagnostics: read.optional("RUNNER_NETWORK_DIAGNOSTICS", urls)?.unwrap_or_default(),
        diagnostics_timeout: read.required("RUNNER_DIAGNOSTICS_TIMEOUT_SECONDS", span)?,
        session_defaults: SessionDefaults {
            idle_ttl: match read.optional("WORKER_SESSION_DEFAULTS__IDLE_TTL_SECONDS", span)? {
                Some(worker) => worker,
                None => read.required("RUNNER_SESSION_DEFAULTS__IDLE_TTL_SECONDS", span)?,
            },
            headless: match read.optional("WORKER_SESSION_DEFAULTS__HEADLESS", switch)? {
                Some(worker) => worker,
                None => read.required("RUNNER_SESSION_DEFAULTS__HEADLESS", switch)?,
            },
            start_url: read.optional("RUNNER_SESSION_DEFAULTS__START_URL", text)?,
            start_url_wait: read.required("RUNNER_START_URL_WAIT", choice::<StartUrlWait>)?,
        },
        engine: EngineSettings {
            choice: read.required("RUNNER_ENGINE", choice::<Engine>)?,
            camoufox_path: read.optional_path("RUNNER_CAMOUFOX_PATH")?,
            firefox_path: read.optional_path("RUNNER_FIREFOX_PATH")?,
            disable_http3: read.required("RUNNER_DISABLE_HTTP3", switch)?,
            disable_ipv6: read.required("RUNNER_DISABLE_IPV6", switch)?,
            disable_webrtc: read.required("RUNNER_DISABLE_WEBRTC", switch)?,
        },
        driver: DriverSettings {
            dir: read.optional_path("RUNNER_DRIVER_DIR")?,
            node: read.program("RUNNER_NODE_PATH")?,
            sessions_per_driver: read.required("RUNNER_SESSIONS_PER_DRIVER", count)?,
        },
        launch: LaunchSettings {
            permits: match NonZeroUsize::new(read.required("RUNNER_LAUNCH_PERMITS", integer)?) {
                Some(permits) => permits,
                None => available_parallelism().unwrap_or(NonZeroUsize::MIN),
            },
            timeout: read.required("RUNNER_LAUNCH_TIMEOUT_SECONDS", span)?,
        },
        vnc: VncSettings {
            backend: read.required("RUNNER_VNC_BACKEND", choice::<VncBackend>)?,
            displays: read.range("RUNNER_VNC_DISPLAY_MIN", "RUNNER_VNC_DISPLAY_MAX")?,
            ports: read.range("RUNNER_VNC_PORT_MIN", "RUNNER_VNC_PORT_MAX")?,
            ids: read.range("RUNNER_VNC_WS_PORT_MIN", "RUNNER_VNC_WS_PORT_MAX")?,
            resolution: read.required("RUNNER_VNC_RESOLUTION", resolution)?,
            startup_timeout: read.required("RUNNER_VNC_STARTUP_TIMEOUT_SECONDS", span)?,
            bind: read.required("RUNNER_VNC_BIND", address)?,
            ws_base: read.optional("RUNNER_VNC_WS_BASE", text)?,
            http_base: read.optional("RUNNER_VNC_HTTP_BASE", text)?,
            legacy: if read.required("RUNNER_VNC_LEGACY", switch)? { Some(legacy_vnc(read)?) } else { None },
        },
        prewarm: PrewarmSettings {
            headless: read.required("RUNNER_PREWARM_HEADLESS", integer)?,
            vnc: read.required("RUNNER_PREWARM_VNC", integer)?,
            check_interval: read.required("RUNNER_PREWARM_CHECK_INTERVAL_SECONDS", span)?,
        },
        restarts: RestartSettings {
            limit: read.required("RUNNER_RESTART_LIMIT", integer)?,
            window: read.required("RUNNER_RESTART_WINDOW_SECONDS", span)?,
        },
        max_sessions: read.required("RUNNER_MAX_SESSIONS", count)?,
        run_dir: read.optional_path("RUNNER_RUN_DIR")?,
        shutdown_timeout: read.required("RUNNER_SHUTDOWN_TIMEOUT_SECONDS", span)?,
    })
}

fn legacy_vnc(read: &Reader<'_>) -> Result<LegacyVncSettings, SettingsError> {
    let web_assets = read.optional_path("RUNNER_VNC_WEB_ASSETS_PATH")?;
    Ok(LegacyVncSettings {
        display: read.required("DISPLAY", integer)?,
        resolution: read.required("VNC_RES", resolution)?,
        vnc_port: read.required("VNC_PORT", integer)?,
        ws_port: read.required("WS_PORT", integer)?,
        password: read.optional("VNC_PASSWORD", secret)?,
        web_assets: web_assets.ok_or(SettingsError::Definition { name: "RUNNER_VNC_WEB_ASSETS_PATH" })?,
    })
}

fn worker(read: &Reader<'_>) -> Result<WorkerSettings, SettingsError> {
    Ok(WorkerSettings {
        listen: ListenSettings {
            host: Some(read.required("WORKER_HOST", text)?),
            port: read.required("WORKER_PORT", integer)?,
            names: ("WORKER_HOST", "WORKER_PORT"),
            cors_origins: read.required("WORKER_CORS_ORIGINS", origins)?,
            metrics_endpoint: read.required("WORKER_METRICS_ENDPOINT", text)?,
        },
        id: read.optional("WORKER_ID", text)?,
        runner_url: read.optional("WORKER_RUNNER_BASE_URL", url)?,
        supports_vnc: read.optional("WORKER_SUPPORTS_VNC", switch)?,
        default_idle_ttl: read.optional("WORKER_SESSION_DEFAULTS__IDLE_TTL_SECONDS", span)?,
        default_headless: read.optional("WORKER_SESSION_DEFAULTS__HEADLESS", switch)?,
        calls: CallSettings {
            request_timeout: read.required("WORKER_REQUEST_TIMEOUT", span)?,
            create_timeout: read.required("WORKER_CREATE_TIMEOUT", span)?,
            poll_interval: read.required("WORKER_POLL_INTERVAL_SECONDS", span)?,
            poll_timeout: read.required("WORKER_POLL_TIMEOUT_SECONDS", span)?,
        },
    })
}

fn control(read: &Reader<'_>) -> Result<ControlSettings, SettingsError> {
    Ok(ControlSettings {
        listen: ListenSettings {
            host: read.optional("CONTROL_HOST", text)?,
            port: read.required("CONTROL_PORT", integer)?,
            names: ("CONTROL_HOST", "CONTROL_PORT"),
            cors_origins: read.required("CONTROL_CORS_ORIGINS", origins)?,
            metrics_endpoint: read.required("CONTROL_METRICS_ENDPOINT", text)?,
        },
        workers: read.required("CONTROL_WORKERS", workers)?,
        placement: read.required("CONTROL_PLACEMENT", choice::<Placement>)?,
        calls: CallSettings {
            request_timeout: read.required("CONTROL_REQUEST_TIMEOUT", span)?,
            create_timeout: read.required("CONTROL_CREATE_TIMEOUT", span)?,
            poll_interval: read.required("CONTROL_POLL_INTERVAL_SECONDS", span)?,
            poll_timeout: read.required("CONTROL_POLL_TIMEOUT_SECONDS", span)?,
        },
        public_api_prefix: read.required("CONTROL_PUBLIC_API_PREFIX", text)?,
        api_token: read.optional("CONTROL_API_TOKEN", secret)?,
        ws_ping: read.required("CONTROL_WS_PING_SECONDS", span)?,
    })
}

fn gateway(read: &Reader<'_>) -> Result<GatewaySettings, SettingsError> {
    Ok(GatewaySettings {
        host: read.required("HTTP_HOST", text)?,
        port: read.required("HTTP_PORT", integer)?,
        vnc_host: read.required("VNC_DEFAULT_HOST", text)?,
        ids: read.required("VNC_WEB_RANGE", id_range)?,
        vnc_base_port: read.required("VNC_BASE_PORT", integer)?,
        vnc_map: read.optional("VNC_MAP_JSON", vnc_map)?.unwrap_or_default(),
        ws_read_timeout: read.required("WS_READ_TIMEOUT_MS", span)?,
        ws_write_timeout: read.required("WS_WRITE_TIMEOUT_MS", span)?,
        shutdown_grace: read.required("SHUTDOWN_GRACE_MS", span)?,
        max_concurrent_sessions: read.required("MAX_CONCURRENT_SESSIONS", count)?,
        tcp_connect_timeout: read.required("TCP_CONNECT_TIMEOUT_MS", span)?,
        tcp_idle_timeout: read.required("TCP_IDLE_TIMEOUT_MS", span)?,
    })
}

/// Reads settings by name, and says where a bad one stands.
struct Reader<'a> {
    values: &'a [InForce],
    working_directory: &'a Path,
}

impl Reader<'_> {
    fn in_force(&self, name: &'static str) -> Result<&InForce, SettingsError> {
        let known = self.values.iter().find(|in_force| in_force.setting.name == name);
        known.ok_or(SettingsError::Definition { name })
    }

    /// A setting that may be unset, as the type that `convert` makes of it.
    fn optional<T>(
        &self,
        name: &'static str,
        convert: impl FnOnce(Value) -> Option<T>,
    ) -> Result<Option<T>, SettingsError> {
        let in_force = self.in_force(name)?;
        let Some(text) = &in_force.text else { return Ok(None) };
        let setting = in_force.setting;
        let value = setting.kind.parse(text).ok_or_else(|| SettingsError::Value {
            name,
            given: if setting.is_secret() { "the value".to_owned() } else { excerpt(text) },
            source_name: in_force.source.clone(),
            allowed: setting.kind.allowed(),
        })?;
        convert(value).map(Some).ok_or(SettingsError::Definition { name })
    }

    fn required<T>(
        &self,
        name: &'static str,
        convert: impl FnOnce(Value) -> Option<T>,
    ) -> Result<T, SettingsError> {
        self.optional(name, convert)?.ok_or(SettingsError::Definition { name })
    }

    fn optional_path(&self, name: &'static str) -> Result<Option<PathBuf>, SettingsError> {
        Ok(self.optional(name, path)?.map(|path| self.working_directory.join(path)))
    }

    /// A path; a bare name stays one, for it is looked up on PATH.
    fn program(&self, name: &'static str) -> Result<PathBuf, SettingsError> {
        let path = self.required(name, path)?;
        let is_bare_name = path.components().count() == 1 && path.file_name() == Some(path.as_os_str());
        Ok(if is_bare_name { path } else { self.working_directory.join(path) })
    }

    fn range(
        &self,
        min_name: &'static str,
        max_name: &'static str,
    ) -> Result<RangeInclusive<u16>, SettingsError> {
        let (min, max) = (self.required(min_name, integer)?, self.required(max_name, integer)?);
        if min <= max {
            return Ok(min..=max);
        }
        let (min_source, max_source) =
            (self.in_force(min_name)?.source.clone(), self.in_force(max_name)?.source.clone());
        Err(SettingsError::EmptyRange { min_name, min, min_source, max_name, max, max_source })
    }
}

/// A value in quotes, on one line and not too long for one.
fn excerpt(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

fn integer<T: TryFrom<u64>>(value: Value) -> Option<T> {
    match value {
        Value::Integer(number) => T::try_from(number).ok(),
        _ => None,
    }
}

fn count(value: Value) -> Option<NonZeroUsize> {
    integer(value).and_then(NonZeroUsize::new)
}

fn choice<T: Choice>(value: Value) -> Option<T> {
    match value {
        Value::Word(word) => T::from_word(word),
        _ => None,
    }
}

macro_rules! conversions {
    ($($name:ident: $variant:ident -> $type:ty;)+) => {
        $(fn $name(value: Value) -> Option<$type> {
            match value {
                Value::$variant(inner) => Some(inner),
                _ => None,
            }
        })+
    };
}

conversions! {
    span: Span -> Duration;
    switch: Switch -> bool;
    text: Text -> String;
    secret: Secret -> Secret;
    path: Path -> PathBuf;
    origins: Origins -> CorsOrigins;
    resolution: Resolution -> Resolution;
    workers: Workers -> Vec<WorkerEntry>;
    url: Url -> Url;
    urls: Urls -> Vec<Url>;
    id_range: IdRange -> RangeInclusive<u16>;
    vnc_map: VncMap -> VncMap;
    address: Address -> IpAddr;
}
