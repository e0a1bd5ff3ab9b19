//! What the routes work with: the parts of the process that a server stands before, and its settings.

use std::path::PathBuf;
use std::time::Duration;

use actix::Recipient;
use camofleet_actors::fleet::PlaceSession;
use camofleet_actors::fleet::history::History;
use camofleet_actors::metrics::Metrics;
use camofleet_actors::model::events::EventBus;
use camofleet_actors::views::gateway::GatewayHandle;
use camofleet_actors::worker::Directory;
use tokio_util::task::TaskTracker;

use crate::gate::AccessSettings;
use crate::routes::SharedFeed;

/// What a server is to its callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Surface {
    /// A fleet of workers, with the panel: the roles `control` and `serve`.
    Control,
    /// One host's worker, under this id.
    Worker {
        /// What it calls itself.
        id: String,
    },
    /// One host's browsers.
    Runner,
    /// Live views, and nothing else.
    Gateway,
    /// The one screen that all sessions of a host share, and nothing else.
    SharedScreen {
        /// A directory with noVNC's own files; without one the page out of the binary is served.
        assets: Option<PathBuf>,
    },
}

/// What of the settings concerns this crate.
#[derive(Debug, Clone)]
pub struct WebSettings {
    /// Who may call it.
    pub access: AccessSettings,
    /// The address that is listened on, with its port.
    pub address: String,
    /// The path of the metrics.
    pub metrics_path: String,
    /// Where clients reach the API: `/`, or the path that an ingress puts before it.
    pub public_api_prefix: String,
    /// How long a WebSocket may be silent before it is pinged.
    pub ping_interval: Duration,
    /// How long a peer of a relay may take nothing before it is disconnected.
    pub write_timeout: Duration,
    /// How patient it is with viewers.
    pub viewer: ViewerSettings,
}

/// How patient a viewer's WebSocket is with it.
#[derive(Debug, Clone, Copy)]
pub struct ViewerSettings {
    /// How long it may say nothing, answers to pings included.
    pub read_timeout: Duration,
    /// How long it may take to read what it is sent.
    pub write_timeout: Duration,
}

/// What the routes work with. Cheap to clone: one for each thread of the server.
#[derive(Clone)]
pub struct AppState {
    /// What the server is to its callers.
    pub surface: Surface,
    /// Where sessions are asked for.
    pub place: Recipient<PlaceSession>,
    /// The workers and what they show.
    pub directory: Directory,
    /// Where viewers are admitted, if this process has a gateway.
    pub gateway: GatewayHandle,
    /// What changes.
    pub events: EventBus,
    /// What all listeners to that are told alike.
    pub feed: SharedFeed,
    /// What is counted.
    pub metrics: Metrics,
    /// The last hour of a whole fleet; empty on other surfaces.
    pub history: History,
    /// The open WebSockets: whoever stops the server can wait until they have said goodbye.
    pub sockets: TaskTracker,
    /// The settings.
    pub settings: WebSettings,
}
