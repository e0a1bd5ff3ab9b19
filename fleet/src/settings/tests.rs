//! The way of a setting from a file, the environment or the command line to its type.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::num::NonZeroU64;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use camofleet_actors::display::{Geometry, VncBackend};
use camofleet_actors::egress::EgressLevel;
use camofleet_actors::fleet::Placement;
use camofleet_actors::model::links::LinkTemplates;
use camofleet_api::session::StartUrlWait;
use camofleet_web::CorsOrigins;

use super::topology::{VncMap, WorkerEntry};
use super::types::DefaultViewport;
use super::*;

/// A machine to load settings on: a working directory and an environment of its own.
pub struct Host {
    root: TempDir,
    environment: HashMap<String, OsString>,
    overrides: Overrides,
}

impl Host {
    pub fn new() -> Self {
        let root = TempDir::new().unwrap();
        fs::create_dir(root.path().join("work")).unwrap();
        Self { root, environment: HashMap::new(), overrides: Overrides::default() }
    }

    fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    /// Writes a file; relative names start in the working directory.
    pub fn file(self, name: &str, text: &str) -> Self {
        let path = self.work().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    fn config(mut self, name: &str) -> Self {
        self.overrides.config_file = Some(name.into());
        self
    }

    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.overrides.assignments.push(Assignment { name: name.into(), value: value.into(), flag: "--set" });
        self
    }

    pub fn load(&self) -> Result<Loaded, SettingsError> {
        let surroundings = Surroundings {
            working_directory: self.work(),
            executable: Some(self.root.path().join("checkout/target/release/camofleet")),
            environment: self.environment.iter().map(|(name, value)| (name.into(), value.clone())).collect(),
        };
        load(&surroundings, &self.overrides)
    }

    fn settings(&self) -> Settings {
        self.load().unwrap().settings
    }

    pub fn error(&self) -> String {
        let error = self.load().unwrap_err().to_string();
        assert!(!error.contains('\n'), "more than one line: {error}");
        error
    }
}

#[test]
fn a_machine_without_any_settings_gets_the_documented_defaults() {
    let settings = Host::new().settings();
    let expected = Settings {
        runner: RunnerSettings {
            host: "0.0.0.0".to_owned(),
            port: 8070,
            cors_origins: CorsOrigins::List(Vec::new()),
            public_hosts: None,
            api_token: None,
            require_token: false,
            metrics_endpoint: "/metrics".to_owned(),
            write_timeout: Duration::from_secs(30),
            default_idle_ttl: Duration::from_secs(300),
            default_headless: false,
            default_start_url: None,
            default_proxy: None,
            egress: EgressLevel::NoFleet,
            egress_deny: Vec::new(),
            egress_allow: Vec::new(),
            egress_lists: BTreeMap::new(),
            egress_block: vec!["phone_home".to_owned()],
            egress_connect_timeout: Duration::from_secs(15),
            egress_idle_timeout: Duration::from_secs(1800),
            egress_name_server: None,
            proxies: BTreeMap::new(),
            exit_ip_urls: Vec::new(),
            exit_ip_timeout: Duration::from_secs(8),
            geoip_db: None,
            start_url_schemes: Vec::new(),
            start_url_wait: StartUrlWait::Load,
            engine: None,
            camoufox_path: None,
            firefox_path: None,
            disable_http3: true,
            disable_ipv6: true,
            disable_webrtc: true,
            webrtc_direct: false,
            user_preference_prefixes: Vec::new(),
            driver_dir: None,
            identity_dir: None,
            identity_python: None,
            addons: BTreeMap::new(),
            node_path: "node".into(),
            sessions_per_driver: 8,
            driver_heartbeat: Duration::from_secs(5),
            driver_silence: Duration::from_secs(15),
            browser_silence: Duration::from_secs(20),
            display_silence: Duration::from_secs(15),
            max_sessions: 100,
            launch_permits: settings.runner.launch_permits,
            launch_queue: 64,
            launch_queue_patience: Duration::from_secs(30),
            default_viewport: DefaultViewport::Window,
            launch_timeout: Duration::from_secs(30),
            session_disk_limit: NonZeroU64::new(1 << 30),
            restart_limit: 3,
            restart_window: Duration::from_secs(300),
            prewarm_headless: 1,
            prewarm_vnc: 1,
            pools: Vec::new(),
            prewarm_check_interval: Duration::from_secs(2),
            vnc_backend: VncBackend::Auto,
            vnc_resolution: Geometry { width: 1920, height: 1080, depth: 24 },
            vnc_startup_timeout: Duration::from_secs(5),
            vnc_viewers: 16,
            vnc_write_timeout: Duration::from_secs(30),
            vnc_displays: 100..=199,
            vnc_ports: 5900..=5999,
            vnc_ids: 6900..=6999,
            vnc_bind: std::net::Ipv4Addr::LOCALHOST.into(),
            vnc_ws_base: None,
            vnc_http_base: None,
            vnc_open_ids: None,
            vnc_legacy: false,
            network_diagnostics: Vec::new(),
            diagnostics_timeout: Duration::from_secs(8),
            max_idle_ttl: Duration::from_secs(3600),
            profiles_dir: None,
            profiles_shared: false,
            profile_close_patience: Duration::from_secs(5),
            profile_import_limit: NonZeroU64::new(2 << 30),
            run_dir: None,
            pass_environment: Vec::new(),
            shutdown_timeout: Duration::from_secs(4),
        },
        worker: WorkerSettings {
            host: "0.0.0.0".to_owned(),
            port: 8080,
            cors_origins: CorsOrigins::List(Vec::new()),
            public_hosts: None,
            api_token: None,
            require_token: false,
            metrics_endpoint: "/metrics".to_owned(),
            write_timeout: Duration::from_secs(30),
            id: None,
            runner_url: None,
            runner_token: None,
            supports_vnc: None,
            default_idle_ttl: None,
            default_headless: None,
            request_timeout: Duration::from_secs(10),
            create_timeout: Duration::from_secs(50),
            poll_interval: Duration::from_secs(1),
            poll_timeout: Duration::from_millis(1500),
        },
        control: ControlSettings {
            host: None,
            port: 9000,
            cors_origins: CorsOrigins::List(Vec::new()),
            published_at: None,
            public_hosts: None,
            frame_ancestors: "'self'".to_owned(),
            workers: vec![WorkerEntry {
                name: "local".to_owned(),
                url: "http://worker:8080".parse().unwrap(),
                token: None,
                supports_vnc: false,
                links: LinkTemplates::default(),
            }],
            workers_token: None,
            discovery: Vec::new(),
            discovery_interval: Duration::from_secs(2),
            pod_deletion_cost: false,
            placement: Placement::RoundRobin,
            request_timeout: Duration::from_secs(10),
            create_timeout: Duration::from_secs(60),
            poll_interval: Duration::from_secs(1),
            poll_timeout: Duration::from_millis(1500),
            metrics_endpoint: "/metrics".to_owned(),
            write_timeout: Duration::from_secs(30),
            public_api_prefix: String::new(),
            public_pages_prefix: String::new(),
            api_token: None,
            require_token: false,
            ws_ping: Duration::from_secs(20),
        },
        gateway: GatewaySettings {
            host: "0.0.0.0".to_owned(),
            port: 6900,
            vnc_host: "127.0.0.1".to_owned(),
            ids: 6900..=6904,
            vnc_base_port: 5900,
            vnc_map: VncMap::new(),
            ws_read_timeout: Duration::from_secs(120),
            ws_write_timeout: Duration::from_secs(120),
            max_concurrent_sessions: 1000,
            tcp_connect_timeout: Duration::from_secs(5),
            tcp_idle_timeout: Duration::from_secs(300),
            shutdown_grace: Duration::from_secs(30),
        },
        legacy_vnc: None,
    };
    assert_eq!(settings, expected);
}

#[test]
fn each_layer_wins_over_the_ones_before_it() {
    let mut host = Host::new();
    let mut expect = |add: &dyn Fn(Host) -> Host, port: u16, source: &str| {
        host = add(std::mem::replace(&mut host, Host::new()));
        let loaded = host.load().unwrap();
        let in_force = loaded.in_force.iter().find(|value| value.setting.name == "CONTROL_PORT").unwrap();
        assert_eq!((loaded.settings.control.port, in_force.source.as_str()), (port, source));
    };
    expect(&|host| host, 9000, "the built-in default");
    expect(&|host| host.file("config/default.toml", "[control]\nport = 1"), 1, "config/default.toml");
    expect(&|host| host.file("my.toml", "[control]\nport = 2").config("my.toml"), 2, "my.toml");
    expect(&|host| host.file(".env", "CONTROL_PORT=3"), 3, ".env");
    expect(&|host| host.env("CONTROL_PORT", "4"), 4, "the environment");
    expect(&|host| host.set("CONTROL_PORT", "5"), 5, "--set");
    expect(&|host| host.set("CONTROL_PORT", "6"), 6, "--set");
}

#[test]
fn a_layer_leaves_what_it_does_not_name() {
    let settings = Host::new()
        .file("config/default.toml", "[runner]\nprewarm_vnc = 2\n[runner.session_defaults]\nheadless = true")
        .env("RUNNER_SESSION_DEFAULTS__IDLE_TTL_SECONDS", "60")
        .settings();
    assert_eq!(settings.runner.prewarm_vnc, 2);
    assert!(settings.runner.default_headless);
    assert_eq!(settings.runner.default_idle_ttl, Duration::from_secs(60));
}

#[test]
fn the_checkout_of_the_program_is_the_second_place_for_the_default_file() {
    let host = Host::new()
        .file("../checkout/config/default.toml", "[control]\nport = 1")
        .file("../checkout/target/release/x", "");
    assert_eq!(host.settings().control.port, 1);
    assert_eq!(host.file("config/default.toml", "[control]\nport = 2").settings().control.port, 2);
}

#[test]
fn toml_values_may_have_their_own_types_or_be_texts() {
    let settings = Host::new()
        .config("my.toml")
        .file(
            "my.toml",
            r#"
            runner.prewarm_check_interval_seconds = 0.5
            runner.prewarm_vnc = "3"
            runner.disable_webrtc = "off"
            runner.session_defaults = { start_url = "a.example", headless = true }
            control.cors_origins = ["https://a.example"]
            gateway.tcp_idle_timeout_ms = 60_000
            "#,
        )
        .settings();
    assert_eq!(settings.runner.prewarm_check_interval, Duration::from_millis(500));
    assert_eq!(settings.runner.prewarm_vnc, 3);
    assert!(!settings.runner.disable_webrtc);
    assert_eq!(settings.runner.default_start_url.as_deref(), Some("a.example"));
    assert_eq!(settings.control.cors_origins, CorsOrigins::List(vec!["https://a.example".to_owned()]));
    assert_eq!(settings.gateway.tcp_idle_timeout, Duration::from_secs(60));
}

#[test]
fn a_bad_value_is_told_with_its_name_its_source_and_what_is_allowed() {
    for (host, expected) in [
        (
            Host::new().file(".env", "RUNNER_PREWARM_VNC=lots"),
            r#"RUNNER_PREWARM_VNC: "lots" (from .env) is not a whole number from 0 to 64"#,
        ),
        (
            Host::new().env("RUNNER_SESSION_DEFAULTS__IDLE_TTL_SECONDS", "29"),
            r#"RUNNER_SESSION_DEFAULTS__IDLE_TTL_SECONDS: "29" (from the environment) is not a whole number of seconds from 30 to 3600"#,
        ),
        (
            Host::new().file("config/default.toml", "[runner]\nengine = \"chrome\""),
            r#"RUNNER_ENGINE: "chrome" (from config/default.toml) is not one of auto, camoufox, firefox"#,
        ),
        (
            Host::new().file("my.toml", "[control]\ncors_origins = [\"a\", \"b\"]").config("my.toml"),
            r#"CONTROL_CORS_ORIGINS: "[\"a\",\"b\"]" (from my.toml) is not * or origins such as https://panel.example, as a JSON array or separated by commas: "a": not a URL: relative URL without a base"#,
        ),
        (
            Host::new().set("RUNNER_DISABLE_IPV6", ""),
            r#"RUNNER_DISABLE_IPV6: "" (from --set) is not true or false (1/0, yes/no and on/off will do)"#,
        ),
        (
            Host::new().env("CONTROL_API_TOKEN", "two words"),
            "CONTROL_API_TOKEN: the value (from the environment) is not printable ASCII characters without blanks",
        ),
        (
            Host::new().env("RUNNER_VNC_PORT_MIN", "6000"),
            "RUNNER_VNC_PORT_MIN: 6000 (from the environment) is above RUNNER_VNC_PORT_MAX, which is 5999 (from the built-in default)",
        ),
    ] {
        assert_eq!(host.error(), expected);
    }
}

#[test]
fn a_long_value_is_cut_and_stays_on_one_line() {
    let error = Host::new().env("RUNNER_ENGINE", &"line\n".repeat(1000)).error();
    assert!(error.len() < 300, "{error}");
}

#[test]
fn what_is_wrong_with_a_list_is_said_of_the_entry_that_is_wrong() {
    for (name, value, cause) in [
        ("CONTROL_WORKERS", "a:8080", "expected value at line 1 column 1"),
        (
            "CONTROL_WORKERS",
            r#"[{"name": "a", "url": "http://a"}"#,
            "EOF while parsing a list at line 1 column 33",
        ),
        ("CONTROL_WORKERS", r#"[{"name": "a"}]"#, "[0]: missing field `url` at line 1 column 14"),
        (
            "CONTROL_WORKERS",
            r#"[{"name": "a", "url": "http://a"}, {"name": "b", "url": "b", "supports_vnc": "yes"}]"#,
            r#"[1].supports_vnc: invalid type: string "yes", expected a boolean at line 1 column 82"#,
        ),
        (
            "CONTROL_WORKERS",
            r#"[{"name": "a", "url": "http://a"}, {"name": "b", "url": "b:8080"}]"#,
            r#"[1].url: its scheme is "b", not http or https"#,
        ),
        (
            "CONTROL_WORKERS",
            r#"[{"name": "a", "url": "http://a"}, {"name": "a", "url": "http://b"}]"#,
            r#"[1].name: [0] has the name "a" too"#,
        ),
        (
            "CONTROL_WORKERS",
            r#"[{"name": "", "url": "http://a"}]"#,
            "[0].name: it has to be one line that is not empty",
        ),
        (
            "CONTROL_WORKERS",
            r#"[{"name": "a", "url": "http://a", "vnc_ws": "http://a/{id}"}]"#,
            r#"[0].vnc_ws: its scheme is "http", not ws or wss"#,
        ),
        (
            "CONTROL_WORKERS",
            r#"[{"name": "a", "url": "http://a", "vnc_http": "http://a/{ID}"}]"#,
            "[0].vnc_http: it has a blank, or a placeholder other than {id}, {host} and {worker}",
        ),
        (
            "CONTROL_DISCOVERY",
            "dns://a, http://b",
            r#""http://b": its scheme is "http", not dns or kubernetes"#,
        ),
        (
            "CONTROL_DISCOVERY",
            "dns://a?nameserver=ns",
            r#""dns://a?nameserver=ns": nameserver: "ns" is not an IP address, with or without a port"#,
        ),
        (
            "CONTROL_DISCOVERY",
            r#"[{"url": "kubernetes://Workers"}]"#,
            r#"[0].url: "Workers" is not the name of a Service or a namespace"#,
        ),
        ("CONTROL_DISCOVERY", "dns://a?api=b", r#""dns://a?api=b": dns:// has no parameter "api""#),
        ("CONTROL_DISCOVERY", "dns://a/b", r#""dns://a/b": it has more than a name, a port and a query"#),
        ("RUNNER_NETWORK_DIAGNOSTICS", "http://a, b", r#""b": not a URL: relative URL without a base"#),
        ("RUNNER_VNC_WS_BASE", "wss://a/?b", "it has a query or a fragment"),
        ("WORKER_RUNNER_BASE_URL", "http://", "not a URL: empty host"),
        (
            "CONTROL_CORS_ORIGINS",
            "https://a, https://b/c",
            r#""https://b/c": an origin has a scheme, a host and at most a port"#,
        ),
        (
            "CONTROL_CORS_ORIGINS",
            r#"["https://a", 5]"#,
            "invalid type: integer `5`, expected a string at line 1 column 15",
        ),
        ("CONTROL_PUBLIC_HOSTS", "a, b/c", r#""b/c": not a host name"#),
        ("RUNNER_START_URL_SCHEMES", "file, 1", r#""1": not a scheme"#),
        ("CONTROL_FRAME_ANCESTORS", "self, none", "none has to stand alone"),
        ("RUNNER_PASS_ENVIRONMENT", "A, B C", r#""B C": not the name of a variable"#),
        ("VNC_WEB_RANGE", "6904-6900", "6904 is above 6900"),
        ("VNC_WEB_RANGE", "6900-70000", r#""70000": number too large to fit in target type"#),
        ("VNC_MAP_JSON", r#"{"6900": {"host": "a"}}"#, r"6900: missing field `port` at line 1 column 22"),
        (
            "VNC_MAP_JSON",
            r#"{"6900": {"host": "", "port": 1}}"#,
            r#""6900": an id, a host and a port are needed"#,
        ),
    ] {
        let error = Host::new().env(name, value).error();
        assert!(error.starts_with(&format!("{name}: ")), "{error}");
        assert!(error.ends_with(&format!(": {cause}")), "{error}\n{cause}");
    }
}

#[test]
fn what_is_wrong_is_said_at_no_length_and_without_secrets() {
    let long = format!(r#"[{{"name": "a", "url": "http://a", "supports_vnc": "{}"}}]"#, "yes".repeat(1000));
    assert!(Host::new().env("CONTROL_WORKERS", &long).error().len() < 900);
    for (token, cause) in [
        ("47114711", "[0].token: it has to be a text at line 1 column "),
        (r#""4711 4711""#, "[0].token: it has to be printable ASCII characters without blanks"),
        (r#"["4711"]"#, "[0].token: it has to be a text at line 1 column "),
        ("4711x", "[0].token: it has to be a text at line 1 column "),
        (r#""4711" "#, "[0].url: not a URL: relative URL without a base"),
    ] {
        let value = format!(r#"[{{"name": "a", "url": "4711", "token": {token}}}]"#);
        let error = Host::new().env("CONTROL_WORKERS", &value).error();
        assert!(!error.contains("4711"), "{error}");
        assert!(error.contains(cause), "{error}");
    }
}

#[test]
fn what_only_the_shared_screen_reads_may_be_anything_without_it() {
    for (name, text) in [
        ("DISPLAY", "localhost:10.0"),
        ("VNC_PORT", "tcp://10.0.0.1:5900"),
        ("RUNNER_VNC_WEB_ASSETS_PATH", ""),
    ] {
        let host = || Host::new().env(name, text);
        assert_eq!(host().settings().legacy_vnc, None);
        let error = host().env("RUNNER_VNC_LEGACY", "1").error();
        assert!(error.starts_with(&format!("{name}: {text:?} (from the environment)")), "{error}");
    }
}

#[test]
fn an_environment_that_is_not_text_is_refused() {
    let mut host = Host::new();
    host.environment.insert("RUNNER_ENGINE".to_owned(), OsString::from_vec(vec![0xff]));
    assert_eq!(host.error(), "RUNNER_ENGINE: the value (from the environment) is not valid UTF-8");
}

#[test]
fn a_key_that_is_no_setting_is_refused_in_the_file_that_was_named() {
    for (text, expected) in [
        (
            "[runner]\nprewarm_headles = 1",
            "runner.prewarm_headles (from my.toml) is not a setting; did you mean runner.prewarm_headless?",
        ),
        (
            "[runer]\nprewarm_vnc = 1",
            "runer.prewarm_vnc (from my.toml) is not a setting; did you mean runner.prewarm_vnc?",
        ),
        ("[telemetry]\nenabled = true", "telemetry.enabled (from my.toml) is not a setting"),
        ("runner = 5", "runner (from my.toml) is not a setting"),
        ("[control.port]\nnumber = 5", "control.port.number (from my.toml) is not a setting"),
    ] {
        assert!(Host::new().file("my.toml", text).config("my.toml").error().starts_with(expected), "{text}");
    }
}

#[test]
fn a_key_that_is_no_setting_is_a_warning_in_the_default_file() {
    let loaded = Host::new().file("config/default.toml", "[control]\nprot = 1\nport = 2").load().unwrap();
    assert_eq!(loaded.settings.control.port, 2);
    let expected = "control.prot (from config/default.toml) is not a setting; did you mean control.port?";
    assert_eq!(loaded.warnings, [expected]);
}

#[test]
fn names_that_are_no_setting_are_refused_on_the_command_line_and_ignored_in_the_environment() {
    let error = Host::new().set("RUNNER_ENGIN", "auto").error();
    assert_eq!(error, "RUNNER_ENGIN (from --set) is not a setting; did you mean RUNNER_ENGINE?");
    let host = Host::new().env("RUNNER_ENGIN", "auto").file(".env", "RUNNER_ENGIN=auto");
    assert_eq!(host.settings(), Host::new().settings());
}

#[test]
fn a_misspelled_name_in_the_environment_is_warned_of() {
    let host = Host::new()
        .file(".env", "RUNNER_ENGIN=auto\nENGIN=auto")
        .env("CONTROL_PROT", "9001")
        .env("WORKER_SESSION_DEFAULTS_IDLE_TTL_SECONDS", "60");
    let expected = [
        "RUNNER_ENGIN (from .env) is not a setting; did you mean RUNNER_ENGINE?",
        "CONTROL_PROT (from the environment) is not a setting; did you mean CONTROL_PORT?",
        "WORKER_SESSION_DEFAULTS_IDLE_TTL_SECONDS (from the environment) is not a setting; did you mean \
         WORKER_SESSION_DEFAULTS__IDLE_TTL_SECONDS?",
    ];
    assert_eq!(host.load().unwrap().warnings, expected);
}

#[test]
fn other_programs_variables_are_not_warned_of() {
    let mut host = Host::new();
    // What Kubernetes sets for Services of such names, and what systems for builds set.
    for name in [
        "CONTROL_SERVICE_HOST",
        "CONTROL_SERVICE_PORT",
        "CONTROL_SERVICE_PORT_HTTP",
        "CONTROL_PORT_9000_TCP",
        "CONTROL_PORT_9000_TCP_ADDR",
        "CONTROL_PORT_9000_TCP_PORT",
        "CONTROL_PORT_9000_TCP_PROTO",
        "WORKER_VNC_SERVICE_HOST",
        "WORKER_VNC_PORT",
        "WORKER_VNC_PORT_6900_UDP",
        "RUNNER_ARCH",
        "RUNNER_DEBUG",
        "RUNNER_ENVIRONMENT",
        "RUNNER_NAME",
        "RUNNER_OS",
        "RUNNER_TEMP",
        "RUNNER_TOOL_CACHE",
        "RUNNER_TRACKING_ID",
        "RUNNER_USER",
        "RUNNER_WORKSPACE",
        "WORKER_CONNECTIONS",
        "WORKER_PID",
        "WORKER_PROCESSES",
        "CONTROL_URL",
    ] {
        host = host.env(name, "1");
    }
    assert_eq!(host.load().unwrap().warnings, [""; 0]);
}

#[test]
fn files_that_cannot_be_used_are_told_in_one_line() {
    let missing = Host::new().config("missing.toml").error();
    assert_eq!(missing, "cannot read missing.toml: No such file or directory (os error 2)");
    let directory = Host::new().file("config/default.toml/x", "").error();
    assert_eq!(directory, "cannot read config/default.toml: Is a directory (os error 21)");
    let bad_toml = Host::new().file("my.toml", "[control\nport = 1").config("my.toml").error();
    assert!(bad_toml.starts_with("my.toml: TOML parse error at line 1, column 9: "), "{bad_toml}");
}

#[test]
fn nothing_given_for_an_optional_setting_takes_back_an_earlier_layer() {
    let host = Host::new().file(".env", "RUNNER_RUN_DIR=/somewhere").env("RUNNER_RUN_DIR", "");
    assert_eq!(host.settings().runner.run_dir, None);
}

#[test]
fn the_worker_s_session_defaults_win_over_the_runner_s_wherever_they_stand() {
    let settings = Host::new()
        .file("config/default.toml", "[worker.session_defaults]\nidle_ttl_seconds = 40\nheadless = true")
        .env("RUNNER_SESSION_DEFAULTS__IDLE_TTL_SECONDS", "50")
        .env("RUNNER_SESSION_DEFAULTS__HEADLESS", "false")
        .settings();
    assert_eq!(settings.default_idle_ttl(), Duration::from_secs(40));
    assert!(settings.default_headless());
}

#[test]
fn relative_paths_start_from_the_working_directory_and_bare_programs_stay_bare() {
    let host = Host::new().env("RUNNER_RUN_DIR", "run").env("RUNNER_DRIVER_DIR", "/opt/driver");
    let runner = host.settings().runner;
    assert_eq!(runner.run_dir, Some(host.work().join("run")));
    assert_eq!(runner.driver_dir, Some(PathBuf::from("/opt/driver")));
    for (given, expected) in [
        ("node20", PathBuf::from("node20")),
        ("./node", host.work().join("./node")),
        ("/usr/bin/node", "/usr/bin/node".into()),
    ] {
        let runner = Host::new().env("RUNNER_NODE_PATH", given).settings().runner;
        assert_eq!(runner.node_path.file_name(), expected.file_name(), "{given}");
        assert_eq!(runner.node_path.is_absolute(), expected.is_absolute(), "{given}");
    }
}

#[test]
fn launch_permits_are_the_number_of_cores_unless_they_are_named() {
    let cores = std::thread::available_parallelism().unwrap();
    assert_eq!(Host::new().settings().runner.launch_permits, cores.get());
    assert_eq!(Host::new().env("RUNNER_LAUNCH_PERMITS", "5").settings().runner.launch_permits, 5);
}

#[test]
fn a_secret_on_the_command_line_is_warned_of() {
    let warned = |host: Host| host.load().unwrap().warnings;
    let warnings = warned(Host::new().set("CONTROL_API_TOKEN", "s3cr3t"));
    assert!(
        matches!(&warnings[..], [warning] if warning.contains("CONTROL_API_TOKEN") && warning.contains("ps"))
    );
    assert!(!warnings[0].contains("s3cr3t"));
    assert_eq!(warned(Host::new().set("CONTROL_PORT", "9001").env("CONTROL_API_TOKEN", "s3cr3t")), [""; 0]);
}
