//! The API of a Kubernetes cluster: how it is reached, and what it says when it refuses.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use kube::config::AuthInfo;
use kube::{Client, Config};
use url::Url;

use crate::model::error::with_sources;

/// How long the API may take to answer, in all that it is asked here. A watch is answered when it begins.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);

/// Libraries that log each connection: the beginnings of their names, and the level from which on their lines are kept.
/// A watch that breaks is logged by camofleet, not by them.
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
    /// Where its API is.
    pub api: Url,
    /// The certificate authority of the API's certificate, a PEM file that is read again when it changes; `None` are those
    /// that this machine trusts.
    pub authority: Option<PathBuf>,
    /// The file with the token of the service account, which is read again every minute, because tokens are replaced; `None`
    /// where the API asks for none, as that of `kubectl proxy`.
    pub token: Option<PathBuf>,
    /// The namespace of whatever names none.
    pub namespace: String,
}

impl Cluster {
    /// A client of the API. Nothing is asked yet.
    ///
    /// # Errors
    /// The certificate authority or the token can't be read; the text is for people.
    pub(crate) fn client(&self) -> Result<Client, String> {
        let mut config = Config::new(parsed(self.api.as_str())?);
        config.connect_timeout = Some(LIMIT);
        config.default_namespace.clone_from(&self.namespace);
        config.root_cert_file.clone_from(&self.authority);
        // Whoever asks here asks again by itself.
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

/// Why the API did not do what it was asked, for people. `remedy` is what a refusal by its access rules calls for.
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

/// The status of a refusal.
pub(crate) fn status(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}
