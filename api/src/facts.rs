//! What a worker is and has, as values: the object `facts` of its health.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::Time;
use crate::session::StartUrlWait;

/// What is known of a worker. What a worker of another version leaves out is null.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Facts {
    /// How many live sessions it has.
    #[schema(required)]
    pub sessions: usize,
    /// How many it may have.
    #[schema(required)]
    pub capacity: Option<usize>,
    /// What its sessions get where their request leaves something out.
    #[schema(required)]
    pub defaults: SessionDefaults,
    /// The browser that it runs.
    #[schema(required)]
    pub engine: Option<EngineFacts>,
    /// Playwright's version in its drivers; null until one is up.
    #[schema(required)]
    pub playwright: Option<String>,
    /// Node's version in its drivers; null until one is up.
    #[schema(required)]
    pub node: Option<String>,
    /// Its warm browsers.
    #[schema(required)]
    pub pools: Pools,
    /// Its display slots; null also where sessions get no displays of their own: without display tools, or with one
    /// shared screen.
    #[schema(required)]
    pub slots: Option<Slots>,
    /// How many driver processes it has.
    #[schema(required)]
    pub drivers: Option<usize>,
    /// Whether it accepts no more sessions.
    #[schema(required)]
    pub draining: bool,
    /// When it was started.
    #[schema(required)]
    pub started_at: Option<Time>,
    /// What its machine calls itself: in Kubernetes, the name of its pod.
    #[schema(required)]
    pub host_name: Option<String>,
}

/// What a session gets where its request leaves something out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct SessionDefaults {
    /// How long it may be idle.
    #[serde(rename = "idle_ttl_seconds", with = "seconds")]
    #[schema(required, value_type = Option<u64>)]
    pub idle_ttl: Option<Duration>,
    /// Whether it has no window.
    #[schema(required)]
    pub headless: Option<bool>,
    /// The page that is opened in it; null also where none is.
    #[schema(required)]
    pub start_url: Option<String>,
    /// What counts as open.
    #[schema(required)]
    pub start_url_wait: Option<StartUrlWait>,
}

/// The browser that a worker runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EngineFacts {
    /// `camoufox` or `firefox`.
    pub name: String,
    /// Null when its files don't say.
    #[serde(default)]
    #[schema(required)]
    pub version: Option<String>,
}

/// The prewarm pools; null is a pool that is off.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Pools {
    /// Browsers without a window.
    #[schema(required)]
    pub headless: Option<PoolFill>,
    /// Browsers on a display of their own.
    #[schema(required)]
    pub vnc: Option<PoolFill>,
}

/// How full a prewarm pool is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct PoolFill {
    /// Browsers that wait.
    #[schema(required)]
    pub ready: usize,
    /// Browsers that are being launched.
    #[schema(required)]
    pub launching: usize,
    /// Browsers wanted.
    #[schema(required)]
    pub target: usize,
    /// Why the last launch failed, until one succeeds.
    #[schema(required)]
    pub last_error: Option<String>,
}

/// How many display slots there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Slots {
    /// Held by sessions and warm browsers.
    #[schema(required)]
    pub used: usize,
    /// All of them.
    #[schema(required)]
    pub total: usize,
}

/// Durations as whole seconds.
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
