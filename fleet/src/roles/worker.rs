//! The role `worker`: a worker in front of one runner, elsewhere or in the same process.

use std::sync::Arc;
use std::time::Duration;

use camofleet_actors::fleet::FleetParts;
use camofleet_actors::metrics::Metrics;
use camofleet_actors::model::events::EventBus;
use camofleet_actors::model::links::{LinkBases, LinkTemplates};
use camofleet_actors::remote::{RemoteParts, RemoteRole, RemoteSettings, RemoteWorker};
use camofleet_actors::worker::WorkerBuilder;
use camofleet_web::Surface;
use tokio::sync::watch;
use url::Url;

use super::host::{Host, LocalOptions};
use super::listen::Listen;
use super::{Failure, Role, Wiring, metrics, plain_greeting};
use crate::machine;
use crate::session_log;
use crate::settings::types::Secret;
use crate::settings::{Settings, WorkerSettings};

/// What the original's worker requests of its runner when neither the request nor a setting has it.
const DEFAULT_IDLE_TTL: Duration = Duration::from_secs(300);
/// How long another machine may take to accept a connection.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn wire(settings: Settings) -> Result<Wiring, Failure> {
    let listen = Listen::worker(&settings.worker);
    let (metrics, events) = (metrics()?, EventBus::default());
    let (listener, worker) = match settings.worker.runner_url.clone() {
        Some(url) => {
            let listener = listen.bind()?;
            (listener, remote_worker(remote_runner(&settings.worker, url), &metrics, events.clone()))
        }
        None => {
            let host = Host::find(&settings.runner)?;
            let listener = listen.bind()?;
            let runner = &settings.runner;
            let options = LocalOptions {
                open_views: listen.open_views(&settings),
                name: "runner",
                offers_vnc: settings.worker.supports_vnc.unwrap_or(false),
                links: LinkBases { ws: runner.vnc_ws_base.clone(), http: runner.vnc_http_base.clone() },
            };
            (listener, host.worker(&settings, options, &metrics, events.clone())?)
        }
    };
    // Runs as long as the event bus, which is as long as the process.
    actix_rt::spawn(session_log::write(events.subscribe()));
    let id = settings.worker.id.clone().unwrap_or_else(machine::host_name);
    Ok(Wiring {
        surface: Surface::Worker { id },
        listener,
        web: listen.web(&settings),
        metrics,
        events,
        fleet: FleetParts { workers: vec![worker], ..FleetParts::default() },
        cluster: None,
        screen: None,
        grace: Duration::ZERO,
        shutdown_timeout: settings.runner.shutdown_timeout,
        greeting: plain_greeting(Role::Worker),
    })
}

/// A runner on another machine.
fn remote_runner(worker: &WorkerSettings, url: Url) -> RemoteSettings {
    RemoteSettings {
        name: "runner".to_owned(),
        role: RemoteRole::Runner,
        url,
        token: token_of(worker.runner_token.as_ref()),
        supports_vnc: worker.supports_vnc.unwrap_or(false),
        links: LinkTemplates::default(),
        default_idle_ttl: Some(worker.default_idle_ttl.unwrap_or(DEFAULT_IDLE_TTL)),
        default_headless: Some(worker.default_headless.unwrap_or(false)),
        poll_interval: worker.poll_interval,
        poll_timeout: worker.poll_timeout,
        connect_timeout: CONNECT_TIMEOUT.min(worker.request_timeout),
        request_timeout: worker.request_timeout,
        create_timeout: worker.create_timeout,
    }
}

/// The token to present to another machine, if it has one.
pub(super) fn token_of(secret: Option<&Secret>) -> Option<String> {
    secret.map(|secret| secret.expose().to_owned())
}

/// The builder of a remote worker.
pub(super) fn remote_worker(
    settings: RemoteSettings,
    metrics: &Metrics,
    events: EventBus,
) -> (String, WorkerBuilder) {
    let name = settings.name.clone();
    let parts = RemoteParts {
        settings: Arc::new(settings),
        metrics: metrics.clone(),
        events,
        snapshot: watch::Sender::new(Arc::default()),
    };
    (name, Box::new(move |parent, generation| RemoteWorker::start(parts.clone(), parent, generation)))
}
