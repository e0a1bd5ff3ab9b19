//! The fleet's last hour in figures: what `GET /fleet/history` is asked and answers.

use std::collections::BTreeMap;

use camofleet_actors::history::{self, Fill, INTERVAL, Samples};
use camofleet_actors::metrics::LATENCY_BUCKETS;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::session::shown;
use crate::error::ApiError;

/// Which samples are asked for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// Only samples later than this one's `at`.
    #[param(value_type = Option<String>, format = DateTime)]
    after: Option<String>,
}

impl HistoryQuery {
    /// The time that samples have to be later than, if one is named.
    ///
    /// # Errors
    /// [`ApiError::InvalidField`] with an example of a time.
    pub fn after(&self) -> Result<Option<Timestamp>, ApiError> {
        let Some(after) = &self.after else { return Ok(None) };
        let invalid = |_| ApiError::InvalidField {
            field: "after".to_owned(),
            problem: "must be a time such as 2026-01-31T12:00:00.000Z".to_owned(),
        };
        after.parse().map(Some).map_err(invalid)
    }
}

/// The fleet's last hour.
#[derive(Debug, Serialize, ToSchema)]
pub struct FleetHistory {
    /// The time from one sample to the next.
    interval_seconds: u64,
    /// The upper bounds of the buckets of `creates.ok`, in seconds; the last bucket has none.
    create_seconds: Vec<f64>,
    /// Oldest first.
    samples: Vec<Sample>,
}

impl FleetHistory {
    /// The samples that are later than a time, if one is named. Times are shown, and so compared, in milliseconds.
    pub fn new(samples: &Samples, after: Option<Timestamp>) -> Self {
        let wanted = |at: Timestamp| after.is_none_or(|after| at.as_millisecond() > after.as_millisecond());
        let samples = samples.iter().filter(|sample| wanted(sample.at));
        Self {
            interval_seconds: INTERVAL.as_secs(),
            create_seconds: LATENCY_BUCKETS.to_vec(),
            samples: samples.map(|sample| Sample::from(sample.as_ref())).collect(),
        }
    }
}

/// The fleet at one moment, and what has happened since the sample before.
#[derive(Debug, Serialize, ToSchema)]
pub struct Sample {
    #[schema(format = DateTime)]
    at: String,
    sessions: SessionCounts,
    /// Attached Playwright clients.
    attached: usize,
    /// Open live views; null where a gateway of its own serves them.
    #[schema(required)]
    viewers: Option<u64>,
    pools: PoolFills,
    creates: Creates,
    /// Sessions that have ended since, by end reason; `forgotten` where nobody knows it.
    ends: BTreeMap<&'static str, u64>,
    /// Sessions that were built anew since, by what was lost.
    restarts: BTreeMap<&'static str, u64>,
    bytes: RelayedBytes,
}

/// The live sessions by status.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionCounts {
    init: usize,
    ready: usize,
    terminating: usize,
}

/// The warm browsers of all workers; null where none keeps any.
#[derive(Debug, Serialize, ToSchema)]
pub struct PoolFills {
    #[schema(required)]
    headless: Option<PoolFill>,
    #[schema(required)]
    vnc: Option<PoolFill>,
}

/// How full the pools of one kind are.
#[derive(Debug, Serialize, ToSchema)]
pub struct PoolFill {
    ready: usize,
    target: usize,
}

/// The create requests that were answered since the sample before.
#[derive(Debug, Serialize, ToSchema)]
pub struct Creates {
    /// Those that succeeded, by the bucket that the time to `READY` is in.
    ok: Vec<u64>,
    /// How many failed.
    failed: u64,
}

/// The bytes that were relayed since the sample before.
#[derive(Debug, Serialize, ToSchema)]
pub struct RelayedBytes {
    /// From clients and viewers.
    r#in: u64,
    /// To them.
    out: u64,
}

impl From<&history::Sample> for Sample {
    fn from(sample: &history::Sample) -> Self {
        let fill = |fill: Fill| PoolFill { ready: fill.ready, target: fill.target };
        Self {
            at: shown(sample.at),
            sessions: SessionCounts {
                init: sample.init,
                ready: sample.ready,
                terminating: sample.terminating,
            },
            attached: sample.attached,
            viewers: sample.viewers,
            pools: PoolFills { headless: sample.headless_pool.map(fill), vnc: sample.vnc_pool.map(fill) },
            creates: Creates { ok: sample.created.clone(), failed: sample.refused },
            ends: sample.ends.clone(),
            restarts: sample.restarts.clone(),
            bytes: RelayedBytes { r#in: sample.received, out: sample.sent },
        }
    }
}
