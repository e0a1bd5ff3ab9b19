//! The fleet's last hour in figures: the answer of `GET /fleet/history`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Time;

/// The fleet's last hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FleetHistory {
    /// The time from one sample to the next.
    pub interval_seconds: u64,
    /// The upper bounds of the buckets of `creates.ok`, in seconds; the last bucket has none.
    pub create_seconds: Vec<f64>,
    /// Oldest first.
    pub samples: Vec<Arc<Sample>>,
}

/// The fleet at one moment, and what has happened since the sample before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sample {
    /// When it was taken.
    pub at: Time,
    /// The live sessions.
    pub sessions: SessionCounts,
    /// Attached Playwright clients.
    pub attached: usize,
    /// Open live views; null where a gateway of its own serves them.
    #[schema(required)]
    pub viewers: Option<u64>,
    /// The warm browsers.
    pub pools: PoolTotals,
    /// The create requests since the sample before.
    pub creates: Creates,
    /// Sessions that have ended since, by end reason; `forgotten` where nobody knows it.
    pub ends: BTreeMap<String, u64>,
    /// Sessions that were rebuilt since, by what was lost.
    pub restarts: BTreeMap<String, u64>,
    /// The relayed bytes since the sample before.
    pub bytes: RelayedBytes,
}

/// The live sessions by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionCounts {
    /// Those that are being built.
    pub init: usize,
    /// Those that clients can attach to.
    pub ready: usize,
    /// Those that are being shut down.
    pub terminating: usize,
}

/// The warm browsers of all workers; null where none keeps any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoolTotals {
    /// Those without a window.
    #[schema(required)]
    pub headless: Option<PoolTotal>,
    /// Those on a display.
    #[schema(required)]
    pub vnc: Option<PoolTotal>,
}

/// How full the pools of one kind are, over all workers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoolTotal {
    /// Browsers that wait.
    pub ready: usize,
    /// Browsers wanted.
    pub target: usize,
}

/// The create requests that were answered since the sample before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Creates {
    /// Those that succeeded, by the bucket of their time to `READY`.
    pub ok: Vec<u64>,
    /// How many failed.
    pub failed: u64,
}

/// The bytes that were relayed since the sample before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RelayedBytes {
    /// From clients and viewers.
    pub r#in: u64,
    /// To them.
    pub out: u64,
}
