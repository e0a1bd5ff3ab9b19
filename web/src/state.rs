//! What the routes work with: the parts of the process that a server stands before, and its settings.

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
