//! The role `gateway`: live views of a runner on this host or another.

use camofleet_actors::fleet::{FleetParts, GatewayParts};
use camofleet_actors::model::events::EventBus;
use camofleet_actors::views::gateway::{PortMap, Targets};
use camofleet_web::{Surface, WebSettings};

use super::listen::{Listen, bind, control_web};
use super::{Failure, Role, Wiring, metrics, plain_greeting, tunnel_settings};
use crate::settings::Settings;

pub(super) fn wire(settings: Settings) -> Result<Wiring, Failure> {
    let gateway = &settings.gateway;
    Listen::control(&settings.control, &gateway.host).check_token()?;
    let listener = bind(&gateway.host, gateway.port, ("HTTP_HOST", "HTTP_PORT"))?;
    let metrics = metrics()?;
    let ports = PortMap {
        named: gateway.vnc_map.clone(),
        host: gateway.vnc_host.clone(),
        ids: gateway.ids.clone(),
        base_port: gateway.vnc_base_port,
    };
    let parts = GatewayParts {
        settings: tunnel_settings(gateway),
        targets: Targets::Ports(ports),
        metrics: metrics.clone(),
    };
    Ok(Wiring {
        surface: Surface::Gateway,
        listener,
        web: WebSettings { metrics_path: "/metrics".to_owned(), ..control_web(&settings) },
        metrics,
        // There are no sessions here, and so no events.
        events: EventBus::default(),
        fleet: FleetParts { gateway: Some(parts), ..FleetParts::default() },
        cluster: None,
        screen: None,
        grace: gateway.shutdown_grace,
        shutdown_timeout: settings.runner.shutdown_timeout,
        greeting: plain_greeting(Role::Gateway),
    })
}
