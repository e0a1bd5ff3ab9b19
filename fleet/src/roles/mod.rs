//! The roles: five small wirings of the same parts. What all of them do from start to exit is here.

mod control;
mod gateway;
mod host;
mod legacy;
mod listen;
mod pools;
mod runner;
mod serve;
mod worker;

use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;

use actix::prelude::*;
use camofleet_actors::fleet::history::{FleetReadings, History};
use camofleet_actors::fleet::pod_costs;
use camofleet_actors::fleet::{Fleet, FleetParts, StartedFleet};
use camofleet_actors::metrics::Metrics;
use camofleet_actors::model::events::EventBus;
use camofleet_actors::net::kubernetes::Cluster;
use camofleet_actors::process::raise_open_files;
use camofleet_actors::supervision::install_panic_hook;
use camofleet_actors::views::gateway::{self as tunnels, DrainTunnels};
use camofleet_actors::worker::ShutDown;
use camofleet_web::server::ServerSettings;
use camofleet_web::{AppState, SharedFeed, Surface, WebSettings};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::task::TaskTracker;

use self::legacy::ScreenServer;
use self::listen::{at_address, origin, warn_of_access};
use crate::memory;
use crate::settings::{GatewaySettings, Settings};

/// How long clients and viewers have to read the reason why they are closed.
const FAREWELL: Duration = Duration::from_secs(1);

/// The role of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A whole fleet.
    Serve,
    /// A control plane over many workers.
    Control,
    /// A worker in front of one runner.
    Worker,
    /// One host's browsers.
    Runner,
    /// Live views.
    Gateway,
}

impl Role {
    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Control => "control",
            Self::Worker => "worker",
            Self::Runner => "runner",
            Self::Gateway => "gateway",
        }
    }
}

/// Why a role ended without a signal.
pub enum Failure {
    /// The machine lacks something; the text names the remedy.
    Unavailable(String),
    /// The fleet could not be kept running.
    GaveUp(String),
}

/// Runs until a signal ends it.
///
/// # Errors
/// What the machine lacks, or why the fleet gave up.
pub fn run(role: Role, settings: Settings) -> Result<(), Failure> {
    install_panic_hook();
    if let Err(error) = raise_open_files() {
        log::warn!("the limit on open files could not be raised: {error}");
    }
    // Children get their signal of the parent's death when the thread that started them ends: this one, the main thread.
    let outcome = System::new().block_on(async {
        actix_rt::spawn(memory::keep_trimmed());
        let wiring = match role {
            Role::Serve => serve::wire(settings),
            Role::Control => control::wire(settings),
            Role::Worker => worker::wire(settings),
            Role::Runner => runner::wire(settings),
            Role::Gateway => gateway::wire(settings),
        };
        wiring?.run(role).await
    });
    if outcome.is_ok() {
        log::info!("camofleet {} has stopped", role.as_str());
    }
    outcome
}

/// The parts of a role, put together.
struct Wiring {
    surface: Surface,
    listener: TcpListener,
    web: WebSettings,
    metrics: Metrics,
    events: EventBus,
    fleet: FleetParts,
    /// The cluster whose pods get deletion costs.
    cluster: Option<Cluster>,
    /// The server of the one shared screen, if there is one.
    screen: Option<ScreenServer>,
    /// How long viewers stay connected after the signal to stop.
    grace: Duration,
    /// How long everything else has to end.
    shutdown_timeout: Duration,
    /// What is printed once it is up, given its URL.
    greeting: Box<dyn FnOnce(&str) -> String>,
}

impl Wiring {
    async fn run(self, role: Role) -> Result<(), Failure> {
        let Self { listener, grace, shutdown_timeout, metrics, .. } = self;
        let StartedFleet { address: fleet, directory, gateway, failure } = Fleet::start(self.fleet);
        let sockets = TaskTracker::new();
        let address = listener.local_addr().map_err(|error| Failure::Unavailable(error.to_string()))?;
        let history = History::default();
        if self.surface == Surface::Control {
            // Runs as long as the event bus, which is as long as the process.
            let readings = FleetReadings {
                directory: directory.clone(),
                gateway: gateway.clone(),
                metrics: metrics.clone(),
            };
            actix_rt::spawn(history.clone().record(readings, self.events.subscribe()));
        }
        if let Some(cluster) = self.cluster {
            let directory = directory.clone();
            actix_rt::spawn(async move {
                if let Err(error) = pod_costs::publish(cluster, directory).await {
                    log::error!("CONTROL_POD_DELETION_COST has no effect: {error}");
                }
            });
        }
        let state = AppState {
            surface: self.surface,
            place: fleet.clone().recipient(),
            directory,
            gateway: gateway.clone(),
            events: self.events,
            feed: SharedFeed::default(),
            metrics,
            history,
            sockets: sockets.clone(),
            settings: at_address(self.web, address),
        };
        warn_of_access(&state.settings.access);
        let screen_state = state.clone();
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let server = camofleet_web::run(listener, state, ServerSettings { threads, shutdown_timeout })
            .map_err(|error| Failure::Unavailable(error.to_string()))?;
        let mut handles = vec![server.handle()];
        let mut serving = vec![actix_rt::spawn(server)];
        if let Some(screen) = self.screen {
            let server = screen.serve(screen_state, shutdown_timeout)?;
            handles.push(server.handle());
            serving.push(actix_rt::spawn(server));
        }
        // Standard output may be closed; the log has its own stream.
        let _ = std::io::stdout().write_all((self.greeting)(&origin(address)).as_bytes());

        let outcome = tokio::select! {
            name = interrupted() => {
                log::info!("{name}: {} is shutting down", role.as_str());
                Ok(())
            }
            reason = failure => {
                Err(Failure::GaveUp(reason.unwrap_or_else(|_| "the fleet ended by itself".to_owned())))
            }
        };
        if let (false, Ok(gateway)) = (grace.is_zero(), gateway.get()) {
            // Answered when the last viewer has left; a gateway that crashes meanwhile has none.
            let _ = gateway.send(DrainTunnels { grace }).await;
        }
        if tokio::time::timeout(shutdown_timeout, fleet.send(ShutDown)).await.is_err() {
            log::warn!(
                "sessions did not end within {} s; their processes are killed",
                shutdown_timeout.as_secs_f32()
            );
        }
        sockets.close();
        // Clients and viewers get the reason; those that do not read it are cut off.
        let _ = tokio::time::timeout(FAREWELL, sockets.wait()).await;
        for (handle, serving) in handles.iter().zip(serving) {
            handle.stop(false).await;
            if let Ok(Err(error)) = serving.await {
                log::warn!("a server ended badly: {error}");
            }
        }
        outcome
    }
}

/// Resolves with the name of the signal when the process gets one that ends it.
async fn interrupted() -> &'static str {
    let (mut terminate, mut interrupt) =
        match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
            (Err(error), _) | (_, Err(error)) => {
                log::error!("signals can't be received: {error}; end camofleet with SIGKILL");
                return std::future::pending().await;
            }
        };
    // A terminal was closed. Started with nohup(1), the process ignores that.
    let hangup = if ignores_hangup() { None } else { Some(signal(SignalKind::hangup())) };
    let mut hangup = hangup.transpose().unwrap_or_else(|error| {
        log::warn!("SIGHUP can't be received: {error}");
        None
    });
    let hung_up = async {
        match &mut hangup {
            Some(hangup) => hangup.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
        _ = hung_up => "SIGHUP",
    }
}

/// Whether this process was started with SIGHUP ignored: signal 1 is the lowest bit of the mask (proc(5)).
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// The settings of a gateway's tunnels.
fn tunnel_settings(gateway: &GatewaySettings) -> tunnels::GatewaySettings {
    tunnels::GatewaySettings {
        max_tunnels: gateway.max_concurrent_sessions,
        connect_timeout: gateway.tcp_connect_timeout,
        idle_timeout: gateway.tcp_idle_timeout,
        write_timeout: gateway.ws_write_timeout,
    }
}

fn metrics() -> Result<Metrics, Failure> {
    Metrics::new().map_err(|error| Failure::GaveUp(error.to_string()))
}

/// What a role without a panel prints when it is up.
fn plain_greeting(role: Role) -> Box<dyn FnOnce(&str) -> String> {
    Box::new(move |origin| format!("\ncamofleet {} is up.   API: {origin}/\n\n", role.as_str()))
}
