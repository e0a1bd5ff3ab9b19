//! The role `control`: a control plane over many workers, and the panel.

use std::rc::Rc;
use std::time::Duration;

use camofleet_actors::fleet::discovery::{
    Discovery, Endpoints, Lookup, NameLookup, NameServers, Place, ServiceName, Source,
};
use camofleet_actors::fleet::{FleetParts, GatewayParts};
use camofleet_actors::metrics::Metrics;
use camofleet_actors::model::events::EventBus;
use camofleet_actors::model::links::LinkTemplates;
use camofleet_actors::net::kubernetes::Cluster;
use camofleet_actors::remote::{RemoteRole, RemoteSettings};
use camofleet_actors::views::gateway::{Targets, WorkerPorts};
use camofleet_actors::worker::WorkerBuilder;
use camofleet_web::Surface;
use url::Url;

use super::listen::{Listen, control_web};
use super::worker::{CONNECT_TIMEOUT, remote_worker, token_of};
use super::{Failure, Wiring, metrics, tunnel_settings};
use crate::machine;
use crate::session_log;
use crate::settings::topology::{DiscoveryEntry, Registry};
use crate::settings::{ControlSettings, Settings};

/// Its clients are other containers and hosts.
const EVERYWHERE: &str = "0.0.0.0";

pub(super) fn wire(settings: Settings) -> Result<Wiring, Failure> {
    let control = &settings.control;
    let listener = Listen::control(control, EVERYWHERE).bind()?;
    let (metrics, events) = (metrics()?, EventBus::default());
    if control.workers.is_empty() && control.discovery.is_empty() {
        log::warn!(
            "CONTROL_WORKERS is empty and CONTROL_DISCOVERY unset: there is no worker to place sessions on"
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
                links: entry.links.clone(),
                ..remote_settings(control, entry.name.clone(), entry.url.clone())
            };
            remote_worker(remote, &metrics, events.clone())
        })
        .collect();
    // Runs as long as the event bus, which is as long as the process.
    actix_rt::spawn(session_log::write(events.subscribe()));
    Ok(Wiring {
        surface: Surface::Control,
        listener,
        web: control_web(&settings),
        fleet: FleetParts {
            workers,
            placement: control.placement,
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

/// The places where more workers are discovered, if there are any.
fn discovery(
    settings: &Settings,
    metrics: &Metrics,
    events: &EventBus,
) -> Result<Option<Discovery>, Failure> {
    let control = &settings.control;
    if control.discovery.is_empty() {
        return Ok(None);
    }
    let refused = |why| Failure::Unavailable(format!("CONTROL_DISCOVERY can't be used: {why}"));
    let sources: Vec<Source> = control.discovery.iter().filter_map(source).collect();
    let name_servers = Rc::new(NameServers::new(&sources).map_err(refused)?);
    let place = |entry: &DiscoveryEntry| {
        let lookup: Rc<dyn Lookup> = match &entry.registry {
            Registry::Dns(source) => Rc::new(NameLookup::new(Rc::clone(&name_servers), source.clone())),
            Registry::Kubernetes { service, namespace, port, api } => {
                let cluster = match api {
                    Some(api) => cluster_at(api.clone()),
                    None => own_cluster("CONTROL_DISCOVERY with kubernetes://")?,
                };
                let namespace = namespace.clone().unwrap_or_else(|| cluster.namespace.clone());
                let service = ServiceName { name: service.clone(), namespace, port: *port };
                Rc::new(Endpoints::watch(&cluster, service)?)
            }
        };
        let (supports_vnc, mut links) = (entry.supports_vnc, entry.links.clone());
        if links == LinkTemplates::default() {
            // Live views of a worker without public addresses of its own are shown by this process.
            links = LinkTemplates::relayed(&control.public_pages_prefix);
        }
        let (control, metrics, events) = (control.clone(), metrics.clone(), events.clone());
        let build = move |name: String, url| {
            let remote =
                RemoteSettings { supports_vnc, links: links.clone(), ..remote_settings(&control, name, url) };
            remote_worker(remote, &metrics, events.clone()).1
        };
        Ok(Place { lookup, build: Box::new(build) })
    };
    let places: Result<Vec<Place>, String> = control.discovery.iter().map(place).collect();
    Ok(Some(Discovery::new(places.map_err(refused)?, control.discovery_interval)))
}

/// What is looked up at a name server for an entry, if it is for one.
fn source(entry: &DiscoveryEntry) -> Option<Source> {
    match &entry.registry {
        Registry::Dns(source) => Some(source.clone()),
        Registry::Kubernetes { .. } => None,
    }
}

/// What all workers on other machines have in common.
fn remote_settings(control: &ControlSettings, name: String, url: Url) -> RemoteSettings {
    RemoteSettings {
        name,
        role: RemoteRole::Worker,
        url,
        token: token_of(control.workers_token.as_ref()),
        supports_vnc: false,
        links: LinkTemplates::default(),
        default_idle_ttl: None,
        default_headless: None,
        poll_interval: control.poll_interval,
        poll_timeout: control.poll_timeout,
        connect_timeout: CONNECT_TIMEOUT.min(control.request_timeout),
        request_timeout: control.request_timeout,
        create_timeout: control.create_timeout,
    }
}

/// A cluster whose API needs no credentials: `kubectl proxy`.
fn cluster_at(api: Url) -> Cluster {
    Cluster { api, authority: None, token: None, namespace: "default".to_owned() }
}

/// The cluster of this pod, which this setting needs.
fn own_cluster(setting: &str) -> Result<Cluster, String> {
    machine::cluster(setting, &|name| std::env::var(name).ok())
}
