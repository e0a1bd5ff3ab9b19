//! Samples of the fleet's last hour: the response of `GET /fleet/history`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Time;

/// Samples of the fleet's last hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FleetHistory {
    /// The time from one sample to the next.
    pub interval_seconds: u64,
    /// The upper bounds of the buckets of `creates.ok`, in seconds; the last bucket has none.
    pub create_seconds: Vec<f64>,
    /// The samples, oldest first.
    pub samples: Vec<Arc<Sample>>,
}

/// The state of the fleet at one time, and counts since the previous sample.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sample {
    /// When the sample was taken.
    pub at: Time,
    /// The live sessions.
    pub sessions: SessionCounts,
    /// Attached Playwright clients.
    pub attached: usize,
    /// Open live views; null where a separate gateway serves them.
    #[schema(required)]
    pub viewers: Option<u64>,
    /// The prewarmed browsers of all workers by the pool's name, of at most 64 pools.
    pub pools: BTreeMap<String, PoolTotal>,
    /// Create requests since the previous sample.
    pub creates: Creates,
    /// Sessions that ended since the previous sample, by end reason; `forgotten` where the reason is unknown.
    pub ends: BTreeMap<String, u64>,
    /// Sessions that were rebuilt since the previous sample, by the part that was lost.
    pub restarts: BTreeMap<String, u64>,
    /// Bytes relayed since the previous sample.
    pub bytes: RelayedBytes,
}

/// The live sessions by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionCounts {
    /// Sessions in `INIT`.
    pub init: usize,
    /// Sessions in `READY`.
    pub ready: usize,
    /// Sessions in `TERMINATING`.
    pub terminating: usize,
}

/// How full all workers' pools of one name are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoolTotal {
    /// Browsers that are ready for use.
    pub ready: usize,
    /// The configured number of browsers.
    pub target: usize,
}

/// Create requests that were answered since the previous sample.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Creates {
    /// Successful creates, by the histogram bucket of their time to `READY`.
    pub ok: Vec<u64>,
    /// The number of failed creates.
    pub failed: u64,
}

/// Bytes relayed since the previous sample.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RelayedBytes {
    /// Bytes from clients and viewers.
    pub r#in: u64,
    /// Bytes to clients and viewers.
    pub out: u64,
}
