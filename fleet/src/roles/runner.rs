//! The role `runner`: one host's browsers, for a worker.

use std::time::Duration;

use camofleet_actors::fleet::FleetParts;
use camofleet_actors::model::events::EventBus;
use camofleet_actors::model::links::LinkBases;
use camofleet_web::Surface;

use super::host::{Host, LocalOptions};
use super::legacy::{self, ScreenServer};
use super::{Failure, Role, Wiring, listen, metrics, open_views, plain_greeting, web_settings};
use crate::session_log;
use crate::settings::validated::Settings;

/// Its callers are other containers and hosts.
const EVERYWHERE: &str = "0.0.0.0";

pub(super) fn wire(settings: Settings) -> Result<Wiring, Failure> {
    let runner = &settings.runner;
    let host = Host::find(runner)?;
    let listener = listen(&runner.listen, EVERYWHERE)?;
    let (metrics, events) = (metrics()?, EventBus::default());
    let links = LinkBases { ws: runner.vnc.ws_base.clone(), http: runner.vnc.http_base.clone() };
    let options = LocalOptions {
        open_views: open_views(&settings.runner.listen, &settings),
        name: "runner",
        offers_vnc: true,
        links,
    };
    let (gateway, screen) = match &runner.vnc.legacy {
        None => (None, None),
        Some(screen) => {
            let server = ScreenServer::listen(screen, &runner.listen, EVERYWHERE)?;
            (Some(legacy::gateway(&settings, screen, &metrics)), Some(server))
        }
    };
    let worker = host.worker(runner, options, &metrics, events.clone())?;
    // Runs as long as the bus does: as the process.
    actix_rt::spawn(session_log::write(events.subscribe()));
    Ok(Wiring {
        surface: Surface::Runner,
        listener,
        web: web_settings(&runner.listen, &settings),
        metrics,
        events,
        fleet: FleetParts { workers: vec![worker], gateway, ..FleetParts::default() },
        cluster: None,
        screen,
        grace: Duration::ZERO,
        shutdown_timeout: runner.shutdown_timeout,
        greeting: plain_greeting(Role::Runner),
    })
}
