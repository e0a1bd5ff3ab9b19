//! The role `control`: what stands before many workers, and the panel.

use std::time::Duration;

use camofleet_actors::events::EventBus;
use camofleet_actors::fleet::{Placement, WorkerBuilder};
use camofleet_actors::links::LinkTemplates;
use camofleet_actors::worker::{RemoteRole, RemoteSettings};
use camofleet_web::Surface;

use super::worker::{remote_settings, remote_worker};
use super::{Failure, Wiring, control_web_settings, listen, metrics};
use crate::session_log;
use crate::settings::types;
use crate::settings::validated::Settings;

/// Its callers are other containers and hosts.
const EVERYWHERE: &str = "0.0.0.0";

pub(super) fn wire(settings: Settings) -> Result<Wiring, Failure> {
    let control = &settings.control;
    let listener = listen(&control.listen, EVERYWHERE)?;
    let (metrics, events) = (metrics()?, EventBus::default());
    if control.workers.is_empty() {
        log::warn!("CONTROL_WORKERS is empty: there is nobody to place sessions on");
    }
    let workers: Vec<(String, WorkerBuilder)> = control
        .workers
        .iter()
        .map(|entry| {
            let remote = RemoteSettings {
                supports_vnc: entry.supports_vnc,
                links: LinkTemplates { ws: entry.vnc_ws.clone(), http: entry.vnc_http.clone() },
                ..remote_settings(entry.name.clone(), RemoteRole::Worker, entry.url.clone(), &control.calls)
            };
            remote_worker(remote, &metrics, events.clone())
        })
        .collect();
    // Runs as long as the bus does: as the process.
    actix_rt::spawn(session_log::write(events.subscribe()));
    Ok(Wiring {
        surface: Surface::Control,
        listener,
        web: control_web_settings(&settings),
        metrics,
        events,
        workers,
        placement: match control.placement {
            types::Placement::RoundRobin => Placement::RoundRobin,
            types::Placement::LeastSessions => Placement::LeastSessions,
        },
        gateway: None,
        screen: None,
        grace: Duration::ZERO,
        shutdown_timeout: settings.runner.shutdown_timeout,
        greeting: Box::new(|origin| format!("\ncamofleet control is up.   Panel: {origin}/\n\n")),
    })
}
