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

/// The role of the machine. Their APIs differ only in what a session's endpoint is relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteRole {
    /// A worker, called by a control.
    Worker,
    /// A runner, called by its worker.
    Runner,
}

/// How another machine is reached.
#[derive(Debug, Clone)]
pub struct RemoteSettings {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: RemoteRole,
    /// The base URL of its API: `http` or `https`, with or without a path.
    pub url: Url,
    /// Its access token, if it has one; it is sent instead of a name and password in the URL.
    pub token: Option<String>,
    /// Whether it supports sessions with a live view.
    pub supports_vnc: bool,
    /// The templates of the public URLs of its live views.
    pub links: LinkTemplates,
    /// The idle TTL that is sent if a request names none; `None` leaves the default to the machine.
    pub default_idle_ttl: Option<Duration>,
    /// The value of `headless` that is sent if a request has none; `None` leaves the default to the machine.
    pub default_headless: Option<bool>,
    /// The interval between polls.
    pub poll_interval: Duration,
    /// The timeout of a poll.
    pub poll_timeout: Duration,
    /// The timeout for establishing a connection.
    pub connect_timeout: Duration,
    /// The timeout of all other calls but create.
    pub request_timeout: Duration,
    /// The timeout of a create.
    pub create_timeout: Duration,
}

impl RemoteRole {
    /// The checks of a machine that does not answer.
    pub(super) fn failing_check(self, why: &str) -> BTreeMap<Cow<'static, str>, Check> {
        let name = match self {
            Self::Worker => "worker",
            Self::Runner => "runner",
        };
        BTreeMap::from([(name.into(), Check { ok: false, text: why.to_owned() })])
    }
}

impl RemoteSettings {
    /// Its host as in a URL, with brackets around an IPv6 address.
    pub(super) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The URL of a path of its API.
    pub(super) fn at(&self, path: &str) -> String {
        let mut url = self.url.clone();
        // User name and password are sent in a header. Removing them can't fail for an http URL, which always has a host.
        let _ = url.set_username("").and_then(|()| url.set_password(None));
        url.set_fragment(None);
        url.set_query(None);
        format!("{}{path}", url.as_str().trim_end_matches('/'))
    }

    /// The `Authorization` header of all calls, if there is one.
    pub(super) fn authorization(&self) -> Option<String> {
        self.token.as_ref().map(|token| format!("Bearer {token}")).or_else(|| basic_authorization(&self.url))
    }

    /// Its name in error texts.
    pub(super) fn display_name(&self) -> Cow<'static, str> {
        match self.role {
            RemoteRole::Worker => format!("worker '{}'", self.name).into(),
            RemoteRole::Runner => format!("the runner at {}", self.at("")).into(),
        }
    }

    /// The facts that it reported, adjusted for callers of this process: with the defaults that are sent to it, and with the
    /// number of sessions that are listed here, which may be newer.
    pub(super) fn facts(&self, reported: Option<&Facts>, sessions: usize, draining: bool) -> Option<Facts> {
        let own_defaults = self.default_idle_ttl.is_some() || self.default_headless.is_some();
        let mut facts = reported.cloned().or_else(|| own_defaults.then(Facts::default))?;
        facts.sessions = sessions;
        facts.draining |= draining;
        facts.defaults.idle_ttl = self.default_idle_ttl.or(facts.defaults.idle_ttl);
        facts.defaults.headless = self.default_headless.or(facts.defaults.headless);
        Some(facts)
    }

    /// The WebSocket of a session.
    pub(super) fn websocket(&self, session: SessionId) -> Result<Url> {
        let unusable = |_| Error::UpstreamBroke {
            what: self.display_name(),
            detail: "its address is no URL".to_owned(),
        };
        let mut url = Url::parse(&self.at(&format!("/sessions/{session}/ws"))).map_err(unusable)?;
        let scheme = if self.url.scheme() == "https" { "wss" } else { "ws" };
        // Can't fail: all four are special schemes, which may replace one another.
        let _ = url.set_scheme(scheme);
        Ok(url)
    }
}

/// Typical settings for tests.
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
    fn defaults_that_are_sent_to_a_machine_are_listed_instead_of_its_own() {
        let defaults = |settings: &RemoteSettings, reported: Option<&Facts>| {
            settings.facts(reported, 3, true).map(|facts| {
                assert_eq!((facts.sessions, facts.draining), (3, true));
                (facts.capacity, facts.defaults.idle_ttl.map(|ttl| ttl.as_secs()), facts.defaults.headless)
            })
        };
        let reported = SessionDefaults {
            idle_ttl: Some(Duration::from_secs(60)),
            headless: Some(true),
            ..SessionDefaults::default()
        };
        let reported = Facts { sessions: 1, capacity: Some(9), defaults: reported, ..Facts::default() };
        let without = settings_of("http://h");
        assert_eq!(defaults(&without, Some(&reported)), Some((Some(9), Some(60), Some(true))));
        assert_eq!(defaults(&without, None), None, "a machine that reports no facts has none");
        let with = RemoteSettings {
            default_idle_ttl: Some(Duration::from_secs(90)),
            default_headless: Some(false),
            ..without
        };
        assert_eq!(defaults(&with, Some(&reported)), Some((Some(9), Some(90), Some(false))));
        assert_eq!(defaults(&with, None), Some((None, Some(90), Some(false))));
    }
}
