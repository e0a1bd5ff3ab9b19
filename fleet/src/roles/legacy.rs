//! The one shared screen of `RUNNER_VNC_LEGACY`: its display, the gateway to it, and the server of its page.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use camofleet_actors::display::SharedDisplaySettings;
use camofleet_actors::fleet::GatewayParts;
use camofleet_actors::metrics::Metrics;
use camofleet_actors::views::gateway::Targets;
use camofleet_web::server::{Server, ServerSettings};
use camofleet_web::{AppState, Surface};

use super::listen::{Listen, at_address};
use super::{Failure, tunnel_settings};
use crate::settings::{LegacyVnc, LegacyVncSettings, Settings};

/// One screen has few viewers.
const THREADS: usize = 1;

/// The server of the screen's page and WebSocket.
pub(super) struct ScreenServer {
    listener: TcpListener,
    assets: PathBuf,
}

impl ScreenServer {
    /// Binds its port, at the address that the role itself listens on.
    pub fn listen(legacy: &LegacyVnc, role: &Listen<'_>) -> Result<Self, Failure> {
        let listener = role.bind_beside(legacy.screen.ws_port, "WS_PORT")?;
        Ok(Self { listener, assets: legacy.page.assets.clone() })
    }

    /// Starts the server, with the state of the role's own.
    pub fn serve(self, state: AppState, shutdown_timeout: Duration) -> Result<Server, Failure> {
        let unavailable = |error: std::io::Error| Failure::Unavailable(error.to_string());
        let address = self.listener.local_addr().map_err(unavailable)?;
        let assets = Some(self.assets).filter(|assets| assets.is_dir());
        let page = assets.as_ref().map_or("camofleet's own".to_owned(), |dir| dir.display().to_string());
        log::info!("the shared screen is served on {address}; its page is {page}");
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
pub(super) fn gateway(settings: &Settings, metrics: &Metrics) -> GatewayParts {
    GatewayParts {
        settings: tunnel_settings(&settings.gateway),
        targets: Targets::Shared,
        metrics: metrics.clone(),
    }
}

/// The shared display.
pub(super) fn display(screen: &LegacyVncSettings) -> SharedDisplaySettings {
    SharedDisplaySettings {
        display: screen.display,
        geometry: screen.resolution,
        vnc_port: screen.vnc_port,
        password: screen.password.clone(),
    }
}
