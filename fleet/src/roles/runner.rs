//! The role `runner`: one host's browsers, for a worker.

use std::time::Duration;

use camofleet_actors::fleet::FleetParts;
use camofleet_actors::model::events::EventBus;
use camofleet_actors::model::links::LinkBases;
use camofleet_web::Surface;

use super::host::{Host, LocalOptions};
use super::legacy::{self, ScreenServer};
use super::listen::Listen;
use super::{Failure, Role, Wiring, metrics, plain_greeting};
use crate::session_log;
use crate::settings::Settings;

pub(super) fn wire(settings: Settings) -> Result<Wiring, Failure> {
    let runner = &settings.runner;
    let listen = Listen::runner(runner);
    let host = Host::find(runner)?;
    let listener = listen.bind()?;
    let (metrics, events) = (metrics()?, EventBus::default());
    let links = LinkBases { ws: runner.vnc_ws_base.clone(), http: runner.vnc_http_base.clone() };
    let options =
        LocalOptions { open_views: listen.open_views(&settings), name: "runner", offers_vnc: true, links };
    let (gateway, screen) = match &settings.legacy_vnc {
        None => (None, None),
        Some(legacy) => {
            let server = ScreenServer::listen(legacy, &listen)?;
            (Some(legacy::gateway(&settings, &metrics)), Some(server))
        }
    };
    let worker = host.worker(&settings, options, &metrics, events.clone())?;
    // Runs as long as the event bus, which is as long as the process.
    actix_rt::spawn(session_log::write(events.subscribe()));
    Ok(Wiring {
        surface: Surface::Runner,
        listener,
        web: listen.web(&settings),
        metrics,
        events,
        fleet: FleetParts { workers: vec![worker], gateway, ..FleetParts::default() },
        cluster: None,
        screen,
        grace: Duration::ZERO,
        shutdown_timeout: settings.shutdown_time(),
        greeting: plain_greeting(Role::Runner),
    })
}
