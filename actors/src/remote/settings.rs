//! How another machine is reached.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use camofleet_api::facts::Facts;
use camofleet_api::ids::SessionId;
use url::Url;

use crate::model::error::{Error, Result};
use crate::model::links::LinkTemplates;
use crate::net::relay::dial::basic_authorization;
use crate::worker::Check;

/// Which of the two roles the machine plays: they differ in what a session's endpoint is relative to, and in nothing
/// else that is asked of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteRole {
    /// A worker, asked by a control.
    Worker,
    /// A runner, asked by its worker.
    Runner,
}

/// How a remote worker is reached.
#[derive(Debug, Clone)]
pub struct RemoteSettings {
    /// Its name.
    pub name: String,
    /// What it is.
    pub role: RemoteRole,
    /// Where its API is: `http` or `https`, with or without a path.
    pub url: Url,
    /// The token that it asks for, if any; it is sent instead of a name and password in the URL.
    pub token: Option<String>,
    /// Whether it takes sessions with a live view.
    pub supports_vnc: bool,
    /// The public addresses of its live views.
    pub links: LinkTemplates,
    /// The idle TTL of sessions whose request names none; `None` leaves it to the machine.
    pub default_idle_ttl: Option<Duration>,
    /// Whether such sessions are headless; `None` leaves it to the machine.
    pub default_headless: Option<bool>,
    /// How often it is looked at.
    pub poll_interval: Duration,
    /// How long it may take to show itself.
    pub poll_timeout: Duration,
    /// How long it may take to accept a connection.
    pub connect_timeout: Duration,
    /// How long it may take to answer anything but a create.
    pub request_timeout: Duration,
    /// How long it may take to create a session.
    pub create_timeout: Duration,
}

impl RemoteRole {
    /// All that can be said of a machine that does not answer.
    pub(super) fn fails(self, why: &str) -> BTreeMap<Cow<'static, str>, Check> {
        let name = match self {
            Self::Worker => "worker",
            Self::Runner => "runner",
        };
        BTreeMap::from([(name.into(), Check { ok: false, text: why.to_owned() })])
    }
}

impl RemoteSettings {
    /// Its host, as it stands in a URL: an IPv6 address has its brackets.
    pub(super) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The URL of a path of its API.
    pub(super) fn at(&self, path: &str) -> String {
        let mut url = self.url.clone();
        // The user's name travels in a header. An http URL always has a host, and so can do without it.
        let _ = url.set_username("").and_then(|()| url.set_password(None));
        url.set_fragment(None);
        url.set_query(None);
        format!("{}{path}", url.as_str().trim_end_matches('/'))
    }

    /// The `Authorization` header of whatever is asked of it, if it takes one.
    pub(super) fn authorization(&self) -> Option<String> {
        self.token.as_ref().map(|token| format!("Bearer {token}")).or_else(|| basic_authorization(&self.url))
    }

    /// What errors call it.
    pub(super) fn what(&self) -> Cow<'static, str> {
        match self.role {
            RemoteRole::Worker => format!("worker '{}'", self.name).into(),
            RemoteRole::Runner => format!("the runner at {}", self.at("")).into(),
        }
    }

    /// What it `told` of itself, as its callers here find it: with the defaults that are asked of it, and with the
    /// sessions that are shown of it, which can be newer.
    pub(super) fn facts(&self, told: Option<&Facts>, sessions: usize, draining: bool) -> Option<Facts> {
        let own_defaults = self.default_idle_ttl.is_some() || self.default_headless.is_some();
        let mut facts = told.cloned().or_else(|| own_defaults.then(Facts::default))?;
        facts.sessions = sessions;
        facts.draining |= draining;
        facts.defaults.idle_ttl = self.default_idle_ttl.or(facts.defaults.idle_ttl);
        facts.defaults.headless = self.default_headless.or(facts.defaults.headless);
        Some(facts)
    }

    /// The WebSocket of a session.
    pub(super) fn websocket(&self, session: SessionId) -> Result<Url> {
        let unusable =
            |_| Error::UpstreamBroke { what: self.what(), detail: "its address is no URL".to_owned() };
        let mut url = Url::parse(&self.at(&format!("/sessions/{session}/ws"))).map_err(unusable)?;
        let scheme = if self.url.scheme() == "https" { "wss" } else { "ws" };
        // Both are special schemes, which may replace one another.
        let _ = url.set_scheme(scheme);
        Ok(url)
    }
}

/// A machine with nothing special about it.
#[cfg(test)]
pub(super) fn settings_of(url: &str) -> RemoteSettings {
    let second = Duration::from_secs(1);
    RemoteSettings {
        name: "a".into(),
        role: RemoteRole::Worker,
        url: url.parse().unwrap(),
        token: None,
        supports_vnc: true,
        links: LinkTemplates::default(),
        default_idle_ttl: None,
        default_headless: None,
        poll_interval: second,
        poll_timeout: second,
        connect_timeout: second,
        request_timeout: second,
        create_timeout: second,
    }
}

#[cfg(test)]
mod tests {
    use camofleet_api::facts::SessionDefaults;

    use super::*;

    #[test]
    fn a_machine_is_called_below_its_own_path_and_without_its_user_s_name() {
        let id = SessionId::nil();
        for (url, at, websocket, host) in [
            ("http://h:8080", "http://h:8080/x", format!("ws://h:8080/sessions/{id}/ws"), "h"),
            (
                "http://[::1]:8080/",
                "http://[::1]:8080/x",
                format!("ws://[::1]:8080/sessions/{id}/ws"),
                "[::1]",
            ),
            ("https://u:p@h/base/?q#f", "https://h/base/x", format!("wss://h/base/sessions/{id}/ws"), "h"),
        ] {
            let settings = settings_of(url);
            assert_eq!((settings.at("/x").as_str(), settings.host()), (at, host), "{url}");
            assert_eq!(settings.websocket(id).unwrap().as_str(), websocket, "{url}");
        }
    }

    #[test]
    fn the_defaults_that_are_asked_of_a_machine_are_shown_instead_of_its_own() {
        let defaults = |settings: &RemoteSettings, told: Option<&Facts>| {
            settings.facts(told, 3, true).map(|facts| {
                assert_eq!((facts.sessions, facts.draining), (3, true));
                (facts.capacity, facts.defaults.idle_ttl.map(|ttl| ttl.as_secs()), facts.defaults.headless)
            })
        };
        let told = SessionDefaults {
            idle_ttl: Some(Duration::from_secs(60)),
            headless: Some(true),
            ..SessionDefaults::default()
        };
        let told = Facts { sessions: 1, capacity: Some(9), defaults: told, ..Facts::default() };
        let without = settings_of("http://h");
        assert_eq!(defaults(&without, Some(&told)), Some((Some(9), Some(60), Some(true))));
        assert_eq!(defaults(&without, None), None, "of a machine that tells nothing nothing is known");
        let with = RemoteSettings {
            default_idle_ttl: Some(Duration::from_secs(90)),
            default_headless: Some(false),
            ..without
        };
        assert_eq!(defaults(&with, Some(&told)), Some((Some(9), Some(90), Some(false))));
        assert_eq!(defaults(&with, None), Some((None, Some(90), Some(false))));
    }
}
