//! The egress of sessions: what their browsers connected to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::identity::Geolocation;
use crate::lenient::default_if_unknown;
use crate::proxy::ProxyView;

/// The reasons for which a connection of a browser is not made, with their names in JSON and in metric labels.
macro_rules! refusals {
    ($($(#[$doc:meta])* $variant:ident $name:literal,)+) => {
        /// Why a connection of a browser was not made.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Refusal {
            $($(#[$doc])* $variant,)+
        }

        impl Refusal {
            /// All reasons.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name in JSON and in metric labels.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

refusals! {
    /// No session has the browser yet, or it is being closed.
    NoSession "no_session",
    /// Something of camofleet listens at the destination.
    Fleet "fleet",
    /// The destination is a link-local address or the metadata service of a cloud.
    LinkLocal "link_local",
    /// The destination is not a public address, and the policy is `public`.
    NotPublic "not_public",
    /// `RUNNER_EGRESS_DENY` names the destination.
    Denied "denied",
    /// A block list contains the destination.
    Blocked "blocked",
    /// The browser has too many open connections.
    TooMany "too_many_connections",
    /// The browser's request was not understood.
    Malformed "malformed",
    /// The destination's name has no address.
    Unresolved "unresolved",
    /// The destination refused the connection, or can't be reached.
    Unreachable "unreachable",
    /// The connection was not established in time.
    TimedOut "timed_out",
    /// The proxy can't be reached.
    ProxyUnreachable "proxy_unreachable",
    /// The proxy requires other credentials.
    ProxyDenied "proxy_denied",
    /// The proxy answered with an error.
    ProxyFailed "proxy_failed",
}

/// Totals of a session's connections since it was created.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EgressTotals {
    /// Bytes sent by the browser.
    #[serde(default)]
    #[schema(required)]
    pub bytes_up: u64,
    /// Bytes received by the browser.
    #[serde(default)]
    #[schema(required)]
    pub bytes_down: u64,
    /// Established connections.
    #[serde(default)]
    #[schema(required)]
    pub connections: u64,
    /// Those of them that are open.
    #[serde(default)]
    #[schema(required)]
    pub open_connections: u64,
    /// Connections that were not made, by reason.
    #[serde(default)]
    #[schema(required)]
    pub refused: BTreeMap<String, u64>,
}

/// A host that a session's browser connected to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostTraffic {
    /// Its name, or its address where the browser used that.
    pub host: String,
    /// Established connections.
    #[serde(default)]
    #[schema(required)]
    pub connections: u64,
    /// Bytes sent to it.
    #[serde(default)]
    #[schema(required)]
    pub bytes_up: u64,
    /// Bytes received from it.
    #[serde(default)]
    #[schema(required)]
    pub bytes_down: u64,
}

/// The response to `GET …/egress` of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EgressReport {
    /// The proxy; null if connections are direct.
    #[serde(default)]
    #[schema(required)]
    pub proxy: Option<ProxyView>,
    /// The policy: `no-fleet`, `public` or `open`.
    #[serde(default)]
    #[schema(required)]
    pub policy: String,
    /// The names of the block lists in use.
    #[serde(default)]
    #[schema(required)]
    pub block: Vec<String>,
    /// The totals.
    #[serde(default)]
    #[schema(required)]
    pub totals: EgressTotals,
    /// The ten hosts with the most traffic.
    #[serde(default)]
    #[schema(required)]
    pub hosts: Vec<HostTraffic>,
}

/// The response to `POST /proxies/check`: what a site sees of a browser with this proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct ProxyCheck {
    /// Whether a connection through the proxy succeeded and its address is known.
    #[schema(required)]
    pub ok: bool,
    /// The address from which sites see connections come; null unless `ok`.
    #[schema(required)]
    pub exit_ip: Option<String>,
    /// The country of the address: a code of ISO 3166-1 such as `DE`. Null if it is not in the city database, or the worker
    /// has none.
    #[schema(required)]
    pub country: Option<String>,
    /// The city of the address, by its English name; null like the country.
    #[schema(required)]
    pub city: Option<String>,
    /// The middle of that place; null like the country.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub location: Option<Geolocation>,
    /// The time zone of the address, such as `Europe/Berlin`; null like the country.
    #[schema(required)]
    pub timezone: Option<String>,
    /// How many milliseconds the request for the address took, connecting included; null unless `ok`.
    #[schema(required)]
    pub latency_ms: Option<u64>,
    /// Why it failed; null if `ok`.
    #[schema(required)]
    pub error: Option<String>,
    /// The same as a stable code: what is wrong with the proxy, as in `refused` of a session's totals (`proxy_denied`, …), or
    /// `service_failed` if no service named the address. Null if `ok`.
    #[schema(required)]
    pub code: Option<String>,
}

/// The code of a [`ProxyCheck`] through which no service named the address.
pub const SERVICE_FAILED: &str = "service_failed";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_reasons_are_unique() {
        let mut names: Vec<&str> = Refusal::ALL.iter().map(|reason| reason.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Refusal::ALL.len());
        assert!(!names.contains(&SERVICE_FAILED));
    }
}
