//! What of the settings concerns this crate: what a server is, who may call it, and how patient it is.

use std::path::PathBuf;
use std::time::Duration;

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

/// Which origins may use the API from a page of theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsOrigins {
    /// All may read, without credentials; writes and WebSockets stay closed to them.
    Any,
    /// These may do everything, with credentials.
    List(Vec<String>),
}

/// Who may call a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessSettings {
    /// Which foreign origins may use the API from a page.
    pub cors_origins: CorsOrigins,
    /// The names under which the server may be addressed beside those of loopback; `None`: they are checked only where
    /// not everybody reaches it. `*.example.com` stands for every name below `example.com`.
    pub public_hosts: Option<Vec<String>>,
    /// Who reaches it.
    pub reach: Reach,
    /// The token that requests must carry, if any.
    pub api_token: Option<String>,
    /// Whether a live view opens by its number alone.
    pub open_views: bool,
    /// Who may show its pages in a frame: the sources of CSP's `frame-ancestors`.
    pub frame_ancestors: String,
    /// The names of the settings, for refusals.
    pub names: AccessNames,
}

/// From where a server can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// From its own machine: it listens on loopback alone.
    Machine,
    /// From the machine that its container's port is published on, on loopback alone, and from the containers beside it.
    Containers,
    /// From everywhere.
    Everywhere,
}

/// What the settings of a server's access are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessNames {
    /// Of [`AccessSettings::cors_origins`].
    pub cors_origins: &'static str,
    /// Of [`AccessSettings::public_hosts`].
    pub public_hosts: &'static str,
    /// Of [`AccessSettings::api_token`].
    pub api_token: &'static str,
}

impl AccessSettings {
    /// Whether everybody may do everything: other machines reach the server, and it asks for no token.
    pub fn is_insecure(&self) -> bool {
        self.reach == Reach::Everywhere && self.api_token.is_none()
    }

    /// The text that says so, with the remedy.
    pub fn warning(&self) -> Option<String> {
        self.is_insecure().then(|| {
            format!(
                "everybody who reaches this address controls the fleet: set {}, or listen on 127.0.0.1",
                self.names.api_token
            )
        })
    }
}
