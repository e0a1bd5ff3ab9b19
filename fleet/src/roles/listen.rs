//! What a role listens on, and who may call it.

use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};
use std::time::Duration;

use camofleet_web::{AccessNames, AccessSettings, CorsOrigins, Reach, ViewerSettings, WebSettings};

use super::Failure;
use crate::settings::types::Secret;
use crate::settings::{ControlSettings, RunnerSettings, Settings, WorkerSettings};

/// The settings that every role with a REST API has, each by a name of its own.
pub(super) struct Listen<'a> {
    /// The address or name to listen on; an IPv6 address has no brackets.
    pub host: &'a str,
    port: u16,
    cors_origins: &'a CorsOrigins,
    /// Where the port of its container is published, as far as that is known.
    published_at: Option<IpAddr>,
    public_hosts: &'a Option<Vec<String>>,
    api_token: Option<&'a Secret>,
    require_token: bool,
    metrics_endpoint: &'a str,
    write_timeout: Duration,
    names: Names,
}

/// The names of the settings, for messages.
struct Names {
    host: &'static str,
    port: &'static str,
    require_token: &'static str,
    access: AccessNames,
}

/// The settings with these names in a section.
macro_rules! listen {
    ($section:expr, $prefix:literal, $host:expr) => {
        Listen {
            host: $host,
            port: $section.port,
            cors_origins: &$section.cors_origins,
            published_at: None,
            public_hosts: &$section.public_hosts,
            api_token: $section.api_token.as_ref(),
            require_token: $section.require_token,
            metrics_endpoint: &$section.metrics_endpoint,
            write_timeout: $section.write_timeout,
            names: Names {
                host: concat!($prefix, "HOST"),
                port: concat!($prefix, "PORT"),
                require_token: concat!($prefix, "REQUIRE_TOKEN"),
                access: AccessNames {
                    cors_origins: concat!($prefix, "CORS_ORIGINS"),
                    public_hosts: concat!($prefix, "PUBLIC_HOSTS"),
                    api_token: concat!($prefix, "API_TOKEN"),
                },
            },
        }
    };
}

impl<'a> Listen<'a> {
    pub fn runner(runner: &'a RunnerSettings) -> Self {
        listen!(runner, "RUNNER_", &runner.host)
    }

    pub fn worker(worker: &'a WorkerSettings) -> Self {
        listen!(worker, "WORKER_", &worker.host)
    }

    /// `serve` and `control` differ in the host that they listen on by default.
    pub fn control(control: &'a ControlSettings, default_host: &'a str) -> Self {
        let host = control.host.as_deref().unwrap_or(default_host);
        Self { published_at: control.published_at, ..listen!(control, "CONTROL_", host) }
    }

    /// Binds the address.
    ///
    /// # Errors
    /// It can't be bound, or a token is required and missing.
    pub fn bind(&self) -> Result<TcpListener, Failure> {
        self.check_token()?;
        bind(self.host, self.port, (self.names.host, self.names.port))
    }

    /// Binds another port of the same host; the setting of the port is `name`.
    ///
    /// # Errors
    /// It can't be bound.
    pub fn bind_beside(&self, port: u16, name: &str) -> Result<TcpListener, Failure> {
        bind(self.host, port, (self.names.host, name))
    }

    /// Refuses to start without a token where one is required.
    pub fn check_token(&self) -> Result<(), Failure> {
        if self.require_token && self.api_token.is_none() {
            let (token, required) = (self.names.access.api_token, self.names.require_token);
            return Err(Failure::Unavailable(format!(
                "{required} is set and {token} is not: set it, for instance to the output of 'openssl rand -hex 24'"
            )));
        }
        Ok(())
    }

    /// What the web surface takes from these settings, and from those that all roles share.
    pub fn web(&self, settings: &Settings) -> WebSettings {
        WebSettings {
            access: AccessSettings {
                cors_origins: self.cors_origins.clone(),
                public_hosts: self.public_hosts.clone(),
                reach: match self.published_at {
                    Some(address) if address.is_loopback() => Reach::Containers,
                    _ => Reach::Everywhere,
                },
                open_views: self.open_views(settings),
                api_token: self.api_token.map(|token| token.expose().to_owned()),
                frame_ancestors: settings.control.frame_ancestors.clone(),
                names: self.names.access,
            },
            // Known when the listener is.
            address: String::new(),
            metrics_path: self.metrics_endpoint.to_owned(),
            public_api_prefix: String::new(),
            ping_interval: settings.control.ws_ping,
            write_timeout: self.write_timeout,
            viewer: ViewerSettings {
                read_timeout: settings.gateway.ws_read_timeout,
                write_timeout: settings.gateway.ws_write_timeout,
            },
        }
    }

    /// Whether live views open by their numbers alone.
    pub fn open_views(&self, settings: &Settings) -> bool {
        settings.runner.vnc_open_ids.unwrap_or(self.api_token.is_none())
    }
}

/// The web surface of the roles that serve the whole fleet.
pub(super) fn control_web(settings: &Settings) -> WebSettings {
    let control = &settings.control;
    WebSettings {
        public_api_prefix: control.public_api_prefix.clone(),
        ..Listen::control(control, "").web(settings)
    }
}

/// Binds an address; `names` are the settings that hold its host and its port.
pub(super) fn bind(host: &str, port: u16, names: (&str, &str)) -> Result<TcpListener, Failure> {
    let refused = |error: std::io::Error| {
        let remedy = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                format!("another program listens there; end it, or choose another {}", names.1)
            }
            std::io::ErrorKind::PermissionDenied => format!("choose a {} from 1024 on", names.1),
            _ => format!("choose another {}", names.0),
        };
        Failure::Unavailable(format!("can't listen on {host}:{port}: {error}; {remedy}"))
    };
    let addresses: Vec<_> = (host, port).to_socket_addrs().map_err(refused)?.collect();
    TcpListener::bind(addresses.as_slice()).map_err(refused)
}

/// The URL that a browser on this machine reaches a listener by.
pub(super) fn origin(address: SocketAddr) -> String {
    match address.ip() {
        ip if !ip.is_unspecified() => format!("http://{address}"),
        // No client can connect to "every address".
        _ => format!("http://127.0.0.1:{}", address.port()),
    }
}

/// The settings of a surface, completed by the address that it listens on.
pub(super) fn at_address(web: WebSettings, address: SocketAddr) -> WebSettings {
    let reach = if address.ip().is_loopback() { Reach::Machine } else { web.access.reach };
    let access = AccessSettings { reach, ..web.access };
    WebSettings { address: address.to_string(), access, ..web }
}

/// Warns of settings that let strangers in.
pub(super) fn warn_of_access(access: &AccessSettings) {
    if let Some(warning) = access.warning() {
        log::warn!("{warning}");
    }
    if access.cors_origins == CorsOrigins::Any {
        let name = access.names.cors_origins;
        let what = match access.api_token {
            Some(_) => "whatever needs no token",
            None => "every session, its live screen's address included",
        };
        log::warn!("{name} is *: every page that a browser shows can read {what}; list origins instead");
    }
}
