//! From the texts in force to types: which setting becomes which field.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::Path;
use std::thread::available_parallelism;

use super::error::SettingsError;
use super::reader::*;
use super::sources::InForce;
use super::types::{Engine, OpenIds, Placement, StartUrlWait, VncBackend};
use super::validated::*;

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
            published_at: None,
            public_hosts: read.optional("RUNNER_PUBLIC_HOSTS", texts)?,
            api_token: read.optional("RUNNER_API_TOKEN", secret)?,
            require_token: read.required("RUNNER_REQUIRE_TOKEN", switch)?,
            host: Some(read.required("RUNNER_HOST", text)?),
            port: read.required("RUNNER_PORT", integer)?,
            names: ("RUNNER_HOST", "RUNNER_PORT"),
            cors_origins: read.required("RUNNER_CORS_ORIGINS", origins)?,
            metrics_endpoint: read.required("RUNNER_METRICS_ENDPOINT", text)?,
            write_timeout: read.required("RUNNER_WRITE_TIMEOUT", span)?,
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
            start_url_schemes: read.optional("RUNNER_START_URL_SCHEMES", texts)?.unwrap_or_default(),
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
        pulse: PulseSettings {
            driver_heartbeat: read.required("RUNNER_DRIVER_HEARTBEAT_SECONDS", span)?,
            driver_silence: read.required("RUNNER_DRIVER_SILENCE_SECONDS", span)?,
            browser_silence: read.required("RUNNER_BROWSER_SILENCE_SECONDS", span)?,
            display_silence: read.required("RUNNER_DISPLAY_SILENCE_SECONDS", span)?,
        },
        launch: LaunchSettings {
            permits: match NonZeroUsize::new(read.required("RUNNER_LAUNCH_PERMITS", integer)?) {
                Some(permits) => permits,
                None => available_parallelism().unwrap_or(NonZeroUsize::MIN),
            },
            queue_length: read.required("RUNNER_LAUNCH_QUEUE", integer)?,
            queue_patience: read.required("RUNNER_LAUNCH_QUEUE_SECONDS", span)?,
            timeout: read.required("RUNNER_LAUNCH_TIMEOUT_SECONDS", span)?,
            disk_limit: NonZeroU64::new(read.required::<u64>("RUNNER_SESSION_DISK_MB", integer)? << 20),
        },
        vnc: VncSettings {
            backend: read.required("RUNNER_VNC_BACKEND", choice::<VncBackend>)?,
            displays: read.range("RUNNER_VNC_DISPLAY_MIN", "RUNNER_VNC_DISPLAY_MAX")?,
            ports: read.range("RUNNER_VNC_PORT_MIN", "RUNNER_VNC_PORT_MAX")?,
            ids: read.range("RUNNER_VNC_WS_PORT_MIN", "RUNNER_VNC_WS_PORT_MAX")?,
            resolution: read.required("RUNNER_VNC_RESOLUTION", resolution)?,
            startup_timeout: read.required("RUNNER_VNC_STARTUP_TIMEOUT_SECONDS", span)?,
            viewers: read.required("RUNNER_VNC_VIEWERS", integer)?,
            write_timeout: read.required("RUNNER_VNC_WRITE_TIMEOUT_SECONDS", span)?,
            bind: read.required("RUNNER_VNC_BIND", address)?,
            ws_base: read.optional("RUNNER_VNC_WS_BASE", text)?,
            http_base: read.optional("RUNNER_VNC_HTTP_BASE", text)?,
            open_ids: read.required("RUNNER_VNC_OPEN_IDS", choice::<OpenIds>)?,
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
        pass_environment: read.optional("RUNNER_PASS_ENVIRONMENT", variables)?.unwrap_or_default(),
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
            published_at: None,
            public_hosts: read.optional("WORKER_PUBLIC_HOSTS", texts)?,
            api_token: read.optional("WORKER_API_TOKEN", secret)?,
            require_token: read.required("WORKER_REQUIRE_TOKEN", switch)?,
            host: Some(read.required("WORKER_HOST", text)?),
            port: read.required("WORKER_PORT", integer)?,
            names: ("WORKER_HOST", "WORKER_PORT"),
            cors_origins: read.required("WORKER_CORS_ORIGINS", origins)?,
            metrics_endpoint: read.required("WORKER_METRICS_ENDPOINT", text)?,
            write_timeout: read.required("WORKER_WRITE_TIMEOUT", span)?,
        },
        id: read.optional("WORKER_ID", text)?,
        runner_url: read.optional("WORKER_RUNNER_BASE_URL", url)?,
        runner_token: read.optional("WORKER_RUNNER_TOKEN", secret)?,
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
    let discovery = read.optional("CONTROL_DISCOVERY", discovery)?.unwrap_or_default();
    Ok(ControlSettings {
        listen: ListenSettings {
            published_at: read.optional("CONTROL_PUBLISHED_AT", address)?,
            public_hosts: read.optional("CONTROL_PUBLIC_HOSTS", texts)?,
            api_token: read.optional("CONTROL_API_TOKEN", secret)?,
            require_token: read.required("CONTROL_REQUIRE_TOKEN", switch)?,
            host: read.optional("CONTROL_HOST", text)?,
            port: read.required("CONTROL_PORT", integer)?,
            names: ("CONTROL_HOST", "CONTROL_PORT"),
            cors_origins: read.required("CONTROL_CORS_ORIGINS", origins)?,
            metrics_endpoint: read.required("CONTROL_METRICS_ENDPOINT", text)?,
            write_timeout: read.required("CONTROL_WRITE_TIMEOUT", span)?,
        },
        workers: match discovery.is_empty() || !read.is_default("CONTROL_WORKERS")? {
            true => read.required("CONTROL_WORKERS", workers)?,
            // Who looks for workers has not meant the one that is there by default.
            false => Vec::new(),
        },
        discovery,
        discovery_interval: read.required("CONTROL_DISCOVERY_INTERVAL_SECONDS", span)?,
        pod_deletion_cost: read.required("CONTROL_POD_DELETION_COST", switch)?,
        placement: read.required("CONTROL_PLACEMENT", choice::<Placement>)?,
        calls: CallSettings {
            request_timeout: read.required("CONTROL_REQUEST_TIMEOUT", span)?,
            create_timeout: read.required("CONTROL_CREATE_TIMEOUT", span)?,
            poll_interval: read.required("CONTROL_POLL_INTERVAL_SECONDS", span)?,
            poll_timeout: read.required("CONTROL_POLL_TIMEOUT_SECONDS", span)?,
        },
        public_api_prefix: read.required("CONTROL_PUBLIC_API_PREFIX", text)?,
        public_pages_prefix: read.required("CONTROL_PUBLIC_PAGES_PREFIX", text)?,
        frame_ancestors: read.required("CONTROL_FRAME_ANCESTORS", text)?,
        workers_token: read.optional("CONTROL_WORKERS_TOKEN", secret)?,
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
