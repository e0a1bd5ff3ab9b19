//! A worker's configuration and current figures: the object `facts` in its health.

use std::time::Duration;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use crate::Time;
use crate::lenient::default_if_unknown;
use crate::proxy::{ProxyChoice, ProxyView, is_pool_name};
use crate::session::StartUrlWait;

/// A worker's configuration and current figures. Fields that a worker of another version does not report are null.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Facts {
    /// The number of live sessions.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub sessions: usize,
    /// The maximum number of live sessions.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub capacity: Option<usize>,
    /// Default values for fields that a create request omits.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub defaults: SessionDefaults,
    /// The browser engine.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub engine: Option<EngineFacts>,
    /// The version of Playwright in the drivers; null until one has started.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub playwright: Option<String>,
    /// The version of Node in the drivers; null until one has started.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub node: Option<String>,
    /// The prewarm pools that are enabled, by name: `headless`, `vnc`, and those of `RUNNER_POOLS`.
    #[serde(deserialize_with = "enabled")]
    #[schema(required)]
    pub pools: BTreeMap<String, PoolFill>,
    /// The display slots; null also where sessions have no displays of their own, because no display tools are installed or
    /// all sessions share one screen.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub slots: Option<Slots>,
    /// What requests may choose of the browsers' connections; null where the worker does not control them.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub egress: Option<EgressFacts>,
    /// Which fields of a create request about the identity its sessions can have, by their names; empty for none, as on a
    /// machine of an earlier version.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub identity: Vec<String>,
    /// What draws the machines that its sessions show; null where they show the one that they run on.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub machines: Option<MachineFacts>,
    /// Its profiles; null where it does not keep any.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub profiles: Option<ProfileFacts>,
    /// The number of driver processes.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub drivers: Option<usize>,
    /// Whether it is draining and accepts no new sessions.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub draining: bool,
    /// When it started.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub started_at: Option<Time>,
    /// The host name of its machine; in Kubernetes, the name of its pod.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub host_name: Option<String>,
}

/// The profiles of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct ProfileFacts {
    /// How many it has.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub count: usize,
    /// Whether other workers have the same ones, on shared storage.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub shared: bool,
    /// Changes with each change of one of them.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub revision: u64,
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
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub headless: Option<bool>,
    /// The page that is opened in a new session; null if none is.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub start_url: Option<String>,
    /// The load state to wait for when the page is opened.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub start_url_wait: Option<StartUrlWait>,
}

/// What create requests may choose of the browsers' connections.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct EgressFacts {
    /// The policy for destinations: `no-fleet`, `public` or `open`.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub policy: String,
    /// The names of the pools of proxies.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub proxies: Vec<String>,
    /// The proxy of sessions whose request names none; null if their connections are direct.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub default_proxy: Option<ProxyView>,
    /// The names of the block lists.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub block_lists: Vec<String>,
    /// Those of them that sessions get whose request names none.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub default_block: Vec<String>,
    /// Whether it can check proxies: `RUNNER_EXIT_IP_URL` is set.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub checks_proxies: bool,
    /// The city database with its date; null if there is none, so that checks of proxies name no places.
    #[serde(deserialize_with = "default_if_unknown")]
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

/// What draws the machines that sessions show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct MachineFacts {
    /// The version of Camoufox' own library; null while it does not run.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub library: Option<String>,
    /// The version of its Python; null while it does not run.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub python: Option<String>,
    /// The names of the add-ons that requests may choose.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub addons: Vec<String>,
}

/// The browser engine of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EngineFacts {
    /// The engine's name: `camoufox` or `firefox`.
    pub name: String,
    /// The engine's version; null if it can't be read from the installation.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub version: Option<String>,
}

/// The most pools of a worker that are read.
const MOST_POOLS: usize = 64;

/// Reads pools, of which earlier versions report those that are disabled as null. Names are kept for every sample of the
/// history, so only those that a worker can have are read.
fn enabled<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, PoolFill>, D::Error> {
    let pools: BTreeMap<String, Value> = default_if_unknown(deserializer)?;
    let pool = |(name, fill): (String, Value)| {
        let fill = if is_pool_name(&name) { fill } else { Value::Null };
        serde_json::from_value::<Option<PoolFill>>(fill).ok().flatten().map(|fill| (name, fill))
    };
    Ok(pools.into_iter().filter_map(pool).take(MOST_POOLS).collect())
}

/// How full a prewarm pool is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct PoolFill {
    /// Browsers that are ready for use.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub ready: usize,
    /// Browsers that are being launched.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub launching: usize,
    /// The configured number of browsers.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub target: usize,
    /// Whether its browsers run headless; null where the machine does not report it.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub headless: Option<bool>,
    /// Why the last launch failed; null once one succeeds.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub last_error: Option<String>,
}

/// The use of display slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Slots {
    /// Slots held by sessions and prewarmed browsers.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub used: usize,
    /// All slots.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub total: usize,
}

/// Serializes durations as whole seconds.
pub(crate) mod seconds {
    use super::{Deserializer, Duration, Serialize, Serializer, default_if_unknown};

    pub(crate) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        duration.map(|duration| duration.as_secs()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let seconds: Option<u64> = default_if_unknown(deserializer)?;
        Ok(seconds.map(Duration::from_secs))
    }
}
