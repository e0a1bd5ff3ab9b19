//! The role `control`: what stands before many workers, and the panel.

use std::rc::Rc;
use std::time::Duration;

use camofleet_actors::fleet::discovery::{
    Discovery, Endpoints, Lookup, NameLookup, NameServers, Place, ServiceName, Source,
};
use camofleet_actors::fleet::{FleetParts, GatewayParts, Placement};
use camofleet_actors::metrics::Metrics;
use camofleet_actors::model::events::EventBus;
use camofleet_actors::model::links::LinkTemplates;
use camofleet_actors::net::kubernetes::Cluster;
use camofleet_actors::remote::{RemoteRole, RemoteSettings};
use camofleet_actors::views::gateway::{Targets, WorkerPorts};
use camofleet_actors::worker::WorkerBuilder;
use camofleet_web::Surface;
use url::Url;

use super::worker::{remote_settings, remote_worker, token_of};
use super::{Failure, Wiring, control_web_settings, listen, metrics, tunnel_settings};
use crate::machine;
use crate::session_log;
use crate::settings::topology::{DiscoveryEntry, Registry};
use crate::settings::types;
use crate::settings::validated::Settings;

/// Its callers are other containers and hosts.
const EVERYWHERE: &str = "0.0.0.0";

pub(super) fn wire(settings: Settings) -> Result<Wiring, Failure> {
    let control = &settings.control;
    let listener = listen(&control.listen, EVERYWHERE)?;
    let (metrics, events) = (metrics()?, EventBus::default());
    if control.workers.is_empty() && control.discovery.is_empty() {
        log::warn!(
            "CONTROL_WORKERS is empty and CONTROL_DISCOVERY unset: there is nobody to place sessions on"
        );
    }
    let cluster = match control.pod_deletion_cost {
        true => Some(own_cluster("CONTROL_POD_DELETION_COST").map_err(Failure::Unavailable)?),
        false => None,
    };
    let discovery = discovery(&settings, &metrics, &events)?;
    let workers: Vec<(String, WorkerBuilder)> = control
        .workers
        .iter()
        .map(|entry| {
            let remote = RemoteSettings {
                token: token_of(entry.token.as_ref().or(control.workers_token.as_ref())),
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
        fleet: FleetParts {
            workers,
            placement: match control.placement {
                types::Placement::RoundRobin => Placement::RoundRobin,
                types::Placement::LeastSessions => Placement::LeastSessions,
            },
            discovery,
            gateway: Some(GatewayParts {
                settings: tunnel_settings(&settings.gateway),
                targets: Targets::Workers(WorkerPorts {
                    ids: settings.gateway.ids.clone(),
                    base_port: settings.gateway.vnc_base_port,
                }),
                metrics: metrics.clone(),
            }),
            demand: Some(metrics.clone()),
        },
        cluster,
        metrics,
        events,
        screen: None,
        grace: Duration::ZERO,
        shutdown_timeout: settings.runner.shutdown_timeout,
        greeting: Box::new(|origin| format!("\ncamofleet control is up.   Panel: {origin}/\n\n")),
    })
}

/// Where more workers are found, if anywhere.
fn discovery(
    settings: &Settings,
    metrics: &Metrics,
    events: &EventBus,
) -> Result<Option<Discovery>, Failure> {
    let control = &settings.control;
    if control.discovery.is_empty() {
        return Ok(None);
    }
    let unfollowed = |why| Failure::Unavailable(format!("CONTROL_DISCOVERY can't be followed: {why}"));
    let sources: Vec<Source> = control.discovery.iter().filter_map(source).collect();
    let name_servers = Rc::new(NameServers::new(&sources).map_err(unfollowed)?);
    let place = |entry: &DiscoveryEntry| {
        let lookup: Rc<dyn Lookup> = match (&entry.registry, source(entry)) {
            (Registry::Kubernetes { namespace, api }, _) => Rc::new(endpoints(entry, namespace, api)?),
            (Registry::Dns(_), Some(source)) => Rc::new(NameLookup::new(Rc::clone(&name_servers), source)),
            (Registry::Dns(_), None) => return Err("it names nobody".to_owned()),
        };
        let (entry, calls) = (entry.clone(), control.calls.clone());
        let token = token_of(control.workers_token.as_ref());
        let relayed = LinkTemplates::relayed(&control.public_pages_prefix);
        let (metrics, events) = (metrics.clone(), events.clone());
        let build = move |name: String, url| {
            let remote = RemoteSettings {
                token: token.clone(),
                supports_vnc: entry.supports_vnc,
                links: match (&entry.vnc_ws, &entry.vnc_http) {
                    // A view of a worker that nobody has given an address of its own is shown by this process.
                    (None, None) => relayed.clone(),
                    (ws, http) => LinkTemplates { ws: ws.clone(), http: http.clone() },
                },
                ..remote_settings(name, RemoteRole::Worker, url, &calls)
            };
            remote_worker(remote, &metrics, events.clone()).1
        };
        Ok(Place { lookup, build: Box::new(build) })
    };
    let places: Result<Vec<Place>, String> = control.discovery.iter().map(place).collect();
    Ok(Some(Discovery::new(places.map_err(unfollowed)?, control.discovery_interval)))
}

/// What name servers are asked for an entry, if they are.
fn source(entry: &DiscoveryEntry) -> Option<Source> {
    let Registry::Dns(name_server) = entry.registry else { return None };
    Some(Source { name: entry.name.clone(), port: entry.port, name_server })
}

/// Begins to watch the Service of an entry.
fn endpoints(
    entry: &DiscoveryEntry,
    namespace: &Option<String>,
    api: &Option<Url>,
) -> Result<Endpoints, String> {
    let cluster = match api {
        Some(api) => {
            let namespace = "default".to_owned();
            Cluster { api: api.clone(), authority: None, token: None, namespace }
        }
        None => own_cluster("CONTROL_DISCOVERY with kubernetes://")?,
    };
    let namespace = namespace.clone().unwrap_or_else(|| cluster.namespace.clone());
    Endpoints::watch(&cluster, ServiceName { name: entry.name.clone(), namespace, port: entry.port })
}

/// The cluster that this process is a pod of, for this setting.
fn own_cluster(setting: &str) -> Result<Cluster, String> {
    machine::cluster(setting, &|name| std::env::var(name).ok())
}
