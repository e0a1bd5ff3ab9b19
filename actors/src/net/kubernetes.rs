//! Access to the API of a Kubernetes cluster, and its errors as texts.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use kube::config::AuthInfo;
use kube::{Client, Config};
use url::Url;

use crate::model::error::with_sources;

/// The timeout of every request. A watch counts as answered when it starts.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);

/// Libraries that log each connection: the prefixes of their names and the level at which their lines are kept. Broken
/// watches are logged by camofleet itself.
pub const CHATTY_LIBRARIES: [(&str, log::LevelFilter); 5] = [
    ("hickory", log::LevelFilter::Warn),
    ("hyper", log::LevelFilter::Warn),
    ("kube", log::LevelFilter::Error),
    ("rustls", log::LevelFilter::Warn),
    ("tower", log::LevelFilter::Warn),
];

/// A cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The base URL of its API.
    pub api: Url,
    /// The PEM file with the certificate authority of the API, read again when it changes; `None` uses those that this
    /// machine trusts.
    pub authority: Option<PathBuf>,
    /// The file with the token of the service account, read again every minute because tokens are rotated; `None` where the
    /// API requires none, as behind `kubectl proxy`.
    pub token: Option<PathBuf>,
    /// The default namespace.
    pub namespace: String,
}

impl Cluster {
    /// Builds a client of the API, without sending a request yet.
    ///
    /// # Errors
    /// The certificate authority or the token can't be read; the text is for users.
    pub(crate) fn client(&self) -> Result<Client, String> {
        let mut config = Config::new(parsed(self.api.as_str())?);
        config.connect_timeout = Some(LIMIT);
        config.default_namespace.clone_from(&self.namespace);
        config.root_cert_file.clone_from(&self.authority);
        // All callers retry by themselves.
        config.default_retry = false;
        if let Some(token) = &self.token {
            let token_file = Some(token.display().to_string());
            config.auth_info = AuthInfo { token_file, ..AuthInfo::default() };
        }
        Client::try_from(config).map_err(|error| with_sources(&error))
    }
}

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{text} is no address: {error}"))
}

/// Why a request failed, as a text for users. `remedy` is added where the access rules denied it.
pub(crate) fn refusal(error: &kube::Error, remedy: &str) -> String {
    match error {
        kube::Error::Api(status) if matches!(status.code, 401 | 403) => {
            format!("Kubernetes answered {}: {remedy}", status.code)
        }
        kube::Error::Api(status) if status.message.is_empty() => {
            format!("Kubernetes answered {}", status.code)
        }
        kube::Error::Api(status) => format!("Kubernetes answered {}: {}", status.code, status.message),
        other => with_sources(other),
    }
}

/// The HTTP status of an error response.
pub(crate) fn status(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}
