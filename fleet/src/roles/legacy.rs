//! The one shared screen of `RUNNER_VNC_LEGACY`: its display, the gateway to it, and the port where it is shown.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use camofleet_actors::display::{Geometry, SharedDisplaySettings, VncPassword, reachable};
use camofleet_actors::fleet::GatewayParts;
use camofleet_actors::metrics::Metrics;
use camofleet_actors::views::gateway::Targets;
use camofleet_web::server::{Server, ServerSettings};
use camofleet_web::{AppState, Surface};

use super::{Failure, at_address, bind, tunnel_settings};
use crate::settings::types::Resolution;
use crate::settings::validated::{LegacyVncSettings, ListenSettings, Settings};

/// One screen has few viewers.
const THREADS: usize = 1;

/// What serves the screen's page and WebSocket.
pub(super) struct ScreenServer {
    listener: TcpListener,
    assets: PathBuf,
}

impl ScreenServer {
    /// Binds its port, at the address where the role itself listens.
    pub fn listen(
        screen: &LegacyVncSettings,
        role: &ListenSettings,
        default_host: &str,
    ) -> Result<Self, Failure> {
        let host = role.host.as_deref().unwrap_or(default_host);
        let listener = bind(host, screen.ws_port, (role.names.0, "WS_PORT"))?;
        Ok(Self { listener, assets: screen.web_assets.clone() })
    }

    /// Starts to serve, with what the role's own server works with.
    pub fn serve(self, state: AppState, shutdown_timeout: Duration) -> Result<Server, Failure> {
        let unavailable = |error: std::io::Error| Failure::Unavailable(error.to_string());
        let address = self.listener.local_addr().map_err(unavailable)?;
        let assets = Some(self.assets).filter(|assets| assets.is_dir());
        let page = assets.as_ref().map_or("camofleet's own".to_owned(), |dir| dir.display().to_string());
        log::info!("the shared screen is shown on {address}; its page is {page}");
        let state = AppState {
            surface: Surface::SharedScreen { assets },
            settings: at_address(state.settings, address),
            ..state
        };
        let settings = ServerSettings { threads: THREADS, shutdown_timeout };
        camofleet_web::run(self.listener, state, settings).map_err(unavailable)
    }
}

/// The gateway that leads every viewer to the shared screen.
pub(super) fn gateway(settings: &Settings, screen: &LegacyVncSettings, metrics: &Metrics) -> GatewayParts {
    let host = reachable(settings.runner.vnc.bind);
    GatewayParts {
        settings: tunnel_settings(&settings.gateway),
        targets: Targets::Shared(SocketAddr::new(host, screen.vnc_port)),
        metrics: metrics.clone(),
    }
}

/// The shared display.
pub(super) fn display(screen: &LegacyVncSettings) -> SharedDisplaySettings {
    let Resolution { width, height, depth } = screen.resolution;
    SharedDisplaySettings {
        display: screen.display,
        geometry: Geometry { width, height, depth },
        vnc_port: screen.vnc_port,
        password: screen.password.as_ref().map(|password| VncPassword::new(password.expose())),
    }
}
