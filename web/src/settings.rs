//! Settings of this crate: a server's surface, access rules and timeouts.

use std::path::PathBuf;
use std::time::Duration;

/// The API that a server offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Surface {
    /// A fleet of workers, with the panel: the roles `control` and `serve`.
    Control,
    /// One host's worker, under this id.
    Worker {
        /// The worker's id.
        id: String,
    },
    /// One host's browsers.
    Runner,
    /// Only live views.
    Gateway,
    /// Only the one screen that all sessions of a host share.
    SharedScreen {
        /// A directory with noVNC's own files; without one, the embedded page is served.
        assets: Option<PathBuf>,
    },
}

/// Settings of a server.
#[derive(Debug, Clone)]
pub struct WebSettings {
    /// The access rules.
    pub access: AccessSettings,
    /// The listening address and port.
    pub address: String,
    /// The path of the metrics.
    pub metrics_path: String,
    /// The public path prefix of the API: `/`, or the path that an ingress puts before it.
    pub public_api_prefix: String,
    /// How long a WebSocket may be silent before it is pinged.
    pub ping_interval: Duration,
    /// How long a peer may read nothing before it is disconnected.
    pub write_timeout: Duration,
    /// Timeouts of viewers.
    pub viewer: ViewerSettings,
}

/// Timeouts of viewers' WebSockets.
#[derive(Debug, Clone, Copy)]
pub struct ViewerSettings {
    /// How long a viewer may send nothing, not even answers to pings.
    pub read_timeout: Duration,
    /// How long a viewer may take to read what it is sent.
    pub write_timeout: Duration,
}

/// The origins whose pages may use the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsOrigins {
    /// All origins may read, without credentials. Writes and WebSockets are rejected.
    Any,
    /// These origins have full access, with credentials.
    List(Vec<String>),
}

/// The access rules of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessSettings {
    /// The origins whose pages may use the API.
    pub cors_origins: CorsOrigins,
    /// The host names of the server beside those of loopback; with `None`, host names are checked only if its reach is limited.
    /// `*.example.com` stands for every name below `example.com`.
    pub public_hosts: Option<Vec<String>>,
    /// From where it can be reached.
    pub reach: Reach,
    /// The token that requests must send, if any.
    pub api_token: Option<String>,
    /// Whether a live view can be opened by its id without a key.
    pub open_views: bool,
    /// Which origins may embed its pages in a frame: the sources of CSP's `frame-ancestors`.
    pub frame_ancestors: String,
    /// The names of the settings, for error texts.
    pub names: AccessNames,
}

/// From where a server can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Only from its own machine: it listens on loopback.
    Machine,
    /// From the container's host, where its port is published on loopback, and from neighbouring containers.
    Containers,
    /// From everywhere.
    Everywhere,
}

/// The names of the settings of a server's access rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessNames {
    /// The name of [`AccessSettings::cors_origins`].
    pub cors_origins: &'static str,
    /// The name of [`AccessSettings::public_hosts`].
    pub public_hosts: &'static str,
    /// The name of [`AccessSettings::api_token`].
    pub api_token: &'static str,
}

impl AccessSettings {
    /// Whether anybody who can reach the server has full access: other machines can, and no token is required.
    pub fn is_insecure(&self) -> bool {
        self.reach == Reach::Everywhere && self.api_token.is_none()
    }

    /// The warning about that, with the remedy.
    pub fn warning(&self) -> Option<String> {
        self.is_insecure().then(|| {
            format!(
                "everybody who reaches this address controls the fleet: set {}, or listen on 127.0.0.1",
                self.names.api_token
            )
        })
    }
}
