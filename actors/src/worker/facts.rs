//! What a worker is and has, as values: what its health checks tell in words, for programs.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use crate::prewarm::PoolFill;
use crate::session::StartUrlWait;

/// What is known of a worker. Another machine's camofleet may be of another version: what it does not tell is missing,
/// and what only it knows is passed over.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// How many live sessions it has.
    pub sessions: usize,
    /// How many it may have.
    pub capacity: Option<usize>,
    /// What its sessions get where their request says nothing.
    pub defaults: DefaultFacts,
    /// The browser that it runs.
    pub engine: Option<EngineFacts>,
    /// Playwright's version in its drivers, once one is up.
    pub playwright: Option<String>,
    /// Node's version in its drivers, once one is up.
    pub node: Option<String>,
    /// Its warm browsers.
    pub pools: PoolFacts,
    /// Its display slots; `None` also where sessions get no displays of their own.
    pub slots: Option<SlotFacts>,
    /// How many driver processes it has.
    pub drivers: Option<usize>,
    /// Whether it takes no more sessions.
    pub draining: bool,
    /// Since when it runs.
    pub started_at: Option<Timestamp>,
    /// What its machine calls itself: in Kubernetes, the name of its pod.
    pub host_name: Option<String>,
}

/// What sessions get where their request says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct DefaultFacts {
    /// How long they may be idle.
    #[serde(rename = "idle_ttl_seconds", deserialize_with = "seconds")]
    pub idle_ttl: Option<Duration>,
    /// Whether they have no window.
    pub headless: Option<bool>,
    /// The page that is opened in them.
    pub start_url: Option<String>,
    /// What counts as open.
    pub start_url_wait: Option<StartUrlWait>,
}

/// A browser engine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct EngineFacts {
    /// Which one.
    pub name: Cow<'static, str>,
    /// Its version, when its files tell.
    #[serde(default)]
    pub version: Option<String>,
}

/// The prewarm pools; `None` is one that is off.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct PoolFacts {
    /// Browsers without a window.
    pub headless: Option<PoolFill>,
    /// Browsers on a display of their own.
    pub vnc: Option<PoolFill>,
}

/// How many display slots there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct SlotFacts {
    /// Held by sessions and warm browsers.
    pub used: usize,
    /// All of them.
    pub total: usize,
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_secs))
}
