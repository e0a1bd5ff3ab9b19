//! The state of the routes: handles of the actors behind a server, and its settings.

use actix::Recipient;
use camofleet_actors::fleet::PlaceSession;
use camofleet_actors::fleet::history::History;
use camofleet_actors::metrics::Metrics;
use camofleet_actors::model::events::EventBus;
use camofleet_actors::views::gateway::GatewayHandle;
use camofleet_actors::worker::Directory;
use tokio_util::task::TaskTracker;

use crate::feed::SharedFeed;
use crate::settings::{Surface, WebSettings};

/// The state of the routes. Cheap to clone: each thread of the server has one.
#[derive(Clone)]
pub struct AppState {
    /// The API that the server offers.
    pub surface: Surface,
    /// The fleet, which places sessions.
    pub place: Recipient<PlaceSession>,
    /// The workers and their snapshots.
    pub directory: Directory,
    /// The gateway for viewers, if this process has one.
    pub gateway: GatewayHandle,
    /// The event bus.
    pub events: EventBus,
    /// Data that all listeners of events share.
    pub feed: SharedFeed,
    /// The metrics.
    pub metrics: Metrics,
    /// Samples of the fleet's last hour; empty on other surfaces.
    pub history: History,
    /// The open WebSockets, so that a shutdown can wait until they are closed properly.
    pub sockets: TaskTracker,
    /// The settings.
    pub settings: WebSettings,
}
