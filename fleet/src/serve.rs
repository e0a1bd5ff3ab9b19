//! The role `serve`: a whole fleet in one process.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;

use actix::prelude::*;
use camofleet_actors::display::{DisplaySettings, DisplayTools, Geometry, VncBackend};
use camofleet_actors::driver::DriverSettings;
use camofleet_actors::engine::{Engine, EngineKind, EngineSearch};
use camofleet_actors::events::EventBus;
use camofleet_actors::fleet::{Fleet, GatewayParts, WorkerBuilder};
use camofleet_actors::gateway::GatewaySettings;
use camofleet_actors::metrics::Metrics;
use camofleet_actors::prewarm::PoolSettings;
use camofleet_actors::process::{Os, SystemOs};
use camofleet_actors::rundir::RunDir;
use camofleet_actors::session::{SessionDefaults, StartUrlWait};
use camofleet_actors::slots::SlotRanges;
use camofleet_actors::supervision::{Intensity, install_panic_hook};
use camofleet_actors::worker::{LocalWorker, ShutDown, WorkerParts, WorkerSettings};
use camofleet_actors::{LaunchSettings, NetworkSwitches};
use camofleet_web::server::ServerSettings;
use camofleet_web::{AppState, CorsOrigins, WebSettings};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::machine;
use crate::session_log;
use crate::settings::types;
use crate::settings::validated::{ControlSettings, RunnerSettings, Settings};

/// The one worker's name.
const WORKER: &str = "local";

/// Why the role ended other than by being told to.
pub enum Failure {
    /// The machine lacks something; the text names the remedy.
    Unavailable(String),
    /// The fleet could not be kept up.
    GaveUp(String),
}

/// Runs until a signal ends it.
///
/// # Errors
/// What the machine lacks, or why the fleet gave up.
pub fn serve(settings: Settings) -> Result<(), Failure> {
    install_panic_hook();
    // The signal that tells children of camofleet's death follows the thread that starts them: this one.
    System::new().block_on(run(settings))
}

async fn run(settings: Settings) -> Result<(), Failure> {
    let os = SystemOs::reaping()
        .map_err(|error| Failure::Unavailable(format!("can't reap processes: {error}")))?;
    let os: Arc<dyn Os> = Arc::new(os);
    let Settings { runner, control, gateway } = settings;
    let engine = find_engine(&runner, os.as_ref()).map_err(Failure::Unavailable)?;
    let node = os.find_program(&runner.driver.node).ok_or_else(|| {
        let name = runner.driver.node.display();
        Failure::Unavailable(format!(
            "no Node.js at '{name}'; install Node 20, or name it with RUNNER_NODE_PATH"
        ))
    })?;
    let executable = std::env::current_exe().ok();
    let driver_dir = machine::driver_directory(runner.driver.dir.as_deref(), executable.as_deref())
        .map_err(Failure::Unavailable)?;
    let listener = listen(&control)?;
    let base = runner.run_dir.clone().unwrap_or_else(machine::default_run_base);
    let run_dir = RunDir::create(&base, os.as_ref()).map_err(|error| {
        let base = base.display();
        Failure::Unavailable(format!("no run directory in {base}: {error}; name another with RUNNER_RUN_DIR"))
    })?;
    let metrics = Metrics::new().map_err(|error| Failure::GaveUp(error.to_string()))?;
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let shutdown_timeout = runner.shutdown_timeout;

    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let env = machine::child_environment(variables, run_dir.path());
    let driver = DriverSettings {
        node,
        directory: driver_dir.clone(),
        sessions_per_driver: runner.driver.sessions_per_driver.get(),
        env: env.clone(),
    };
    let worker = worker_settings(&runner, engine.clone(), driver, env, os.as_ref());
    let displays = worker.launch.display.tools.as_ref().map_or("none", DisplayTools::name);
    log::info!("engine: {engine}; displays: {displays}; run directory: {}", run_dir.path().display());

    let events = EventBus::default();
    // Runs as long as the bus does: as the process.
    actix_rt::spawn(session_log::write(events.subscribe()));
    let parts = WorkerParts {
        settings: Arc::new(worker),
        os,
        run_dir,
        metrics: metrics.clone(),
        events,
        snapshot: watch::Sender::new(Arc::default()),
    };
    let builder: WorkerBuilder =
        Box::new(move |parent, generation| LocalWorker::start(parts.clone(), parent, generation));
    let tunnels = GatewaySettings {
        max_tunnels: gateway.max_concurrent_sessions.get(),
        connect_timeout: gateway.tcp_connect_timeout,
        idle_timeout: gateway.tcp_idle_timeout,
    };
    let gateway = GatewayParts { settings: tunnels, metrics: metrics.clone() };
    let (fleet, directory, failure) = Fleet::start(vec![(WORKER.to_owned(), builder)], Some(gateway));

    let address = listener.local_addr().map_err(|error| Failure::Unavailable(error.to_string()))?;
    let state =
        AppState { place: fleet.clone().recipient(), directory, metrics, settings: web_settings(&control) };
    let server = camofleet_web::run(listener, state, ServerSettings { threads, shutdown_timeout })
        .map_err(|error| Failure::Unavailable(error.to_string()))?;
    let handle = server.handle();
    let serving = actix_rt::spawn(server);
    greet(&origin(address), &driver_dir, control.api_token.is_some());

    let outcome = tokio::select! {
        name = interrupted() => {
            log::info!("{name}: shutting down");
            Ok(())
        }
        reason = failure => Err(Failure::GaveUp(reason.unwrap_or_else(|_| "the fleet ended by itself".to_owned()))),
    };
    if tokio::time::timeout(shutdown_timeout, fleet.send(ShutDown)).await.is_err() {
        log::warn!("sessions did not end within {shutdown_timeout:?}; their processes are killed");
    }
    handle.stop(false).await;
    let _ = serving.await;
    outcome
}

/// Resolves with the signal's name when the process is asked to end.
async fn interrupted() -> &'static str {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        log::error!("signals can't be received; end camofleet with SIGKILL");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

fn listen(control: &ControlSettings) -> Result<TcpListener, Failure> {
    let (host, port) = (control.host.as_str(), control.port);
    let refused = |error: std::io::Error| {
        let remedy = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "another program listens there; end it, or choose another CONTROL_PORT"
            }
            std::io::ErrorKind::PermissionDenied => "choose a CONTROL_PORT from 1024 on",
            _ => "choose another CONTROL_HOST",
        };
        Failure::Unavailable(format!("can't listen on {host}:{port}: {error}; {remedy}"))
    };
    let addresses: Vec<_> = (host, port).to_socket_addrs().map_err(refused)?.collect();
    TcpListener::bind(addresses.as_slice()).map_err(refused)
}

/// The URL that a browser on this machine reaches a listener by.
fn origin(address: SocketAddr) -> String {
    match address.ip() {
        ip if !ip.is_unspecified() => format!("http://{address}"),
        // "Every address" is none that can be called.
        _ => format!("http://127.0.0.1:{}", address.port()),
    }
}

fn find_engine(runner: &RunnerSettings, os: &dyn Os) -> Result<Engine, String> {
    let home = std::env::var_os("HOME").map(std::path::PathBuf::from);
    let cache = std::env::var_os("XDG_CACHE_HOME").map(std::path::PathBuf::from);
    let search = EngineSearch {
        wanted: match runner.engine.choice {
            types::Engine::Auto => None,
            types::Engine::Camoufox => Some(EngineKind::Camoufox),
            types::Engine::Firefox => Some(EngineKind::Firefox),
        },
        camoufox_path: runner.engine.camoufox_path.clone(),
        firefox_path: runner.engine.firefox_path.clone(),
        cache_dir: cache.or_else(|| home.map(|home| home.join(".cache"))),
    };
    search.find(os)
}

fn worker_settings(
    runner: &RunnerSettings,
    engine: Engine,
    driver: DriverSettings,
    env: Vec<(String, String)>,
    os: &dyn Os,
) -> WorkerSettings {
    let defaults = &runner.session_defaults;
    let backend = match runner.vnc.backend {
        types::VncBackend::Auto => VncBackend::Auto,
        types::VncBackend::Xvnc => VncBackend::Xvnc,
        types::VncBackend::X11vnc => VncBackend::X11vnc,
    };
    let types::Resolution { width, height, depth } = runner.vnc.resolution;
    let pool = |target| PoolSettings { target, check_interval: runner.prewarm.check_interval };
    WorkerSettings {
        name: WORKER.to_owned(),
        defaults: SessionDefaults {
            headless: defaults.headless,
            idle_ttl: defaults.idle_ttl,
            start_url: defaults.start_url.clone(),
            start_url_wait: match defaults.start_url_wait {
                types::StartUrlWait::Load => StartUrlWait::Load,
                types::StartUrlWait::DomContentLoaded => StartUrlWait::DomContentLoaded,
                types::StartUrlWait::None => StartUrlWait::None,
            },
        },
        max_sessions: runner.max_sessions.get(),
        restart_intensity: Intensity {
            limit: usize::try_from(runner.restarts.limit).unwrap_or(usize::MAX),
            within: runner.restarts.window,
        },
        slots: SlotRanges {
            displays: runner.vnc.displays.clone(),
            vnc_ports: runner.vnc.ports.clone(),
            vnc_ids: runner.vnc.ids.clone(),
        },
        launch: LaunchSettings {
            engine,
            switches: NetworkSwitches {
                disable_http3: runner.engine.disable_http3,
                disable_ipv6: runner.engine.disable_ipv6,
                disable_webrtc: runner.engine.disable_webrtc,
            },
            timeout: runner.launch.timeout,
            permits: runner.launch.permits.get(),
            display: DisplaySettings {
                tools: DisplayTools::find(backend, os),
                geometry: Geometry { width, height, depth },
                startup_timeout: runner.vnc.startup_timeout,
                env: env.clone(),
            },
            env,
        },
        driver,
        headless_pool: pool(runner.prewarm.headless),
        vnc_pool: pool(runner.prewarm.vnc),
    }
}

fn web_settings(control: &ControlSettings) -> WebSettings {
    WebSettings {
        cors_origins: match &control.cors_origins {
            types::CorsOrigins::Any => CorsOrigins::Any,
            types::CorsOrigins::Listed(origins) => CorsOrigins::List(origins.clone()),
        },
        metrics_path: control.metrics_endpoint.clone(),
        public_api_prefix: control.public_api_prefix.clone(),
        api_token: control.api_token.as_ref().map(|token| token.expose().to_owned()),
        ping_interval: control.ws_ping,
    }
}

/// Says where the panel is, and shows a first script that works as it stands.
fn greet(origin: &str, driver_dir: &std::path::Path, token_needed: bool) {
    let modules = driver_dir.join("node_modules");
    let (headers, query) = match token_needed {
        true => (
            r#", headers: { authorization: "Bearer " + process.env.CONTROL_API_TOKEN }"#,
            r#" + "?access_token=" + encodeURIComponent(process.env.CONTROL_API_TOKEN)"#,
        ),
        false => ("", ""),
    };
    let text = format!(
        r#"
camofleet is up.   Panel: {origin}/

Try it from another terminal:

  NODE_PATH='{modules}' node -e '
  const {{ firefox }} = require("playwright-core");
  (async () => {{
    const api = "{origin}";
    const session = await (await fetch(api + "/sessions", {{ method: "POST"{headers} }})).json();
    const path = "/sessions/" + session.worker + "/" + session.id;
    const browser = await firefox.connect(api.replace("http", "ws") + path + "/ws"{query});
    const page = await (await browser.newContext()).newPage();
    await page.goto("data:text/html,<h1>Hello from camofleet</h1>");
    console.log(await page.textContent("h1"));
    await browser.close();
    await fetch(api + path, {{ method: "DELETE"{headers} }});
  }})()'

"#,
        modules = modules.display()
    );
    // Nobody may be reading; the log has its own stream.
    let _ = std::io::stdout().write_all(text.as_bytes());
}
