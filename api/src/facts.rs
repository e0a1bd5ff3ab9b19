//! A worker's configuration and current figures: the object `facts` in its health.

use std::time::Duration;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::Time;
use crate::proxy::{ProxyChoice, ProxyView};
use crate::session::StartUrlWait;

/// A worker's configuration and current figures. Fields that a worker of another version does not report are null.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Facts {
    /// The number of live sessions.
    #[schema(required)]
    pub sessions: usize,
    /// The maximum number of live sessions.
    #[schema(required)]
    pub capacity: Option<usize>,
    /// Default values for fields that a create request omits.
    #[schema(required)]
    pub defaults: SessionDefaults,
    /// The browser engine.
    #[schema(required)]
    pub engine: Option<EngineFacts>,
    /// The version of Playwright in the drivers; null until one has started.
    #[schema(required)]
    pub playwright: Option<String>,
    /// The version of Node in the drivers; null until one has started.
    #[schema(required)]
    pub node: Option<String>,
    /// The prewarm pools that are enabled, by name: `headless`, `vnc`, and those of `RUNNER_POOLS`.
    #[serde(deserialize_with = "enabled")]
    #[schema(required)]
    pub pools: BTreeMap<String, PoolFill>,
    /// The display slots; null also where sessions have no displays of their own, because no display tools are installed or
    /// all sessions share one screen.
    #[schema(required)]
    pub slots: Option<Slots>,
    /// What requests may choose of the browsers' connections; null where the worker does not control them.
    #[schema(required)]
    pub egress: Option<EgressFacts>,
    /// The number of driver processes.
    #[schema(required)]
    pub drivers: Option<usize>,
    /// Whether it is draining and accepts no new sessions.
    #[schema(required)]
    pub draining: bool,
    /// When it started.
    #[schema(required)]
    pub started_at: Option<Time>,
    /// The host name of its machine; in Kubernetes, the name of its pod.
    #[schema(required)]
    pub host_name: Option<String>,
}

/// Default values for fields that a create request omits.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct SessionDefaults {
    /// How long a session may be idle before it ends.
    #[serde(rename = "idle_ttl_seconds", with = "seconds")]
    #[schema(required, value_type = Option<u64>)]
    pub idle_ttl: Option<Duration>,
    /// Whether sessions run headless.
    #[schema(required)]
    pub headless: Option<bool>,
    /// The page that is opened in a new session; null if none is.
    #[schema(required)]
    pub start_url: Option<String>,
    /// The load state to wait for when the page is opened.
    #[schema(required)]
    pub start_url_wait: Option<StartUrlWait>,
}

/// What create requests may choose of the browsers' connections.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct EgressFacts {
    /// The policy for destinations: `no-fleet`, `public` or `open`.
    #[schema(required)]
    pub policy: String,
    /// The names of the pools of proxies.
    #[schema(required)]
    pub proxies: Vec<String>,
    /// The proxy of sessions whose request names none; null if their connections are direct.
    #[schema(required)]
    pub default_proxy: Option<ProxyView>,
    /// The names of the block lists.
    #[schema(required)]
    pub block_lists: Vec<String>,
    /// Those of them that sessions get whose request names none.
    #[schema(required)]
    pub default_block: Vec<String>,
    /// Whether it can check proxies: `RUNNER_EXIT_IP_URL` is set.
    #[schema(required)]
    pub checks_proxies: bool,
    /// The city database with its date; null if there is none, so that checks of proxies name no places.
    #[schema(required)]
    pub city_database: Option<String>,
}

impl EgressFacts {
    /// Whether it has the pool that this proxy names, if it names one.
    pub fn has_pool_of(&self, proxy: Option<&ProxyChoice>) -> bool {
        match proxy {
            Some(ProxyChoice::Pool(name)) => self.proxies.contains(name),
            _ => true,
        }
    }
}

/// The browser engine of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EngineFacts {
    /// The engine's name: `camoufox` or `firefox`.
    pub name: String,
    /// The engine's version; null if it can't be read from the installation.
    #[serde(default)]
    #[schema(required)]
    pub version: Option<String>,
}

/// Reads pools, of which earlier versions report those that are disabled as null.
fn enabled<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, PoolFill>, D::Error> {
    let pools = Option::<BTreeMap<String, Option<PoolFill>>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(pools.into_iter().filter_map(|(name, fill)| Some((name, fill?))).collect())
}

/// How full a prewarm pool is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct PoolFill {
    /// Browsers that are ready for use.
    #[schema(required)]
    pub ready: usize,
    /// Browsers that are being launched.
    #[schema(required)]
    pub launching: usize,
    /// The configured number of browsers.
    #[schema(required)]
    pub target: usize,
    /// Whether its browsers run headless; null where the machine does not report it.
    #[schema(required)]
    pub headless: Option<bool>,
    /// Why the last launch failed; null once one succeeds.
    #[schema(required)]
    pub last_error: Option<String>,
}

/// The use of display slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Slots {
    /// Slots held by sessions and prewarmed browsers.
    #[schema(required)]
    pub used: usize,
    /// All slots.
    #[schema(required)]
    pub total: usize,
}

/// Serializes durations as whole seconds.
pub(crate) mod seconds {
    use super::{Deserialize, Deserializer, Duration, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        duration.map(|duration| duration.as_secs()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_secs))
    }
}
