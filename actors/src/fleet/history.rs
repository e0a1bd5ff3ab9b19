//! Samples of the fleet's last hour, taken every few seconds for charts.
//!
//! Figures of workers on other machines come from their snapshots and events, because their metrics are not available here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use camofleet_api::Time;
use camofleet_api::facts::PoolFill;
use camofleet_api::history::{Creates, FleetHistory, PoolTotal, RelayedBytes, Sample};
use camofleet_api::session::Status;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::metrics::{LATENCY_BUCKETS, Metrics, Totals};
use crate::model::events::{Change, Received, SessionEvent, Subscription};
use crate::views::gateway::GatewayHandle;
use crate::worker::Directory;

/// The time between two samples.
pub const INTERVAL: Duration = Duration::from_secs(5);
/// How many samples are kept: an hour of them.
pub const LENGTH: usize = 720;
/// How many pools of different names a sample has.
const POOLS_LIMIT: usize = 64;
/// The end reason of sessions that their machine no longer lists.
const FORGOTTEN: &str = "forgotten";

/// Counts of events since the previous sample.
#[derive(Default)]
struct EventCounts {
    ends: BTreeMap<String, u64>,
    restarts: BTreeMap<String, u64>,
}

impl EventCounts {
    fn count(&mut self, event: &SessionEvent) {
        match &event.change {
            Change::Ended | Change::Forgotten => {
                let ending = event.view.ending.as_ref();
                let reason = ending.map_or(FORGOTTEN, |ending| ending.reason.as_str());
                *self.ends.entry(reason.to_owned()).or_default() += 1;
            }
            Change::Restarting { cause, .. } => {
                *self.restarts.entry(cause.as_str().to_owned()).or_default() += 1
            }
            _ => {}
        }
    }
}

/// The sources of samples.
#[derive(Clone)]
pub struct FleetReadings {
    /// The workers.
    pub directory: Directory,
    /// The gateway, if this process has one.
    pub gateway: GatewayHandle,
    /// The metrics.
    pub metrics: Metrics,
}

/// The samples, oldest first.
pub type Samples = Arc<VecDeque<Arc<Sample>>>;

/// The samples of the last hour. Clones share them; reads never block.
#[derive(Clone, Default)]
pub struct History(Arc<watch::Sender<Samples>>);

impl History {
    /// The samples so far.
    pub fn samples(&self) -> Samples {
        Arc::clone(&self.0.borrow())
    }

    /// The samples after a time, or all. Times are compared in milliseconds, the resolution of the API.
    pub fn after(&self, after: Option<Timestamp>) -> FleetHistory {
        let is_after = |at: Timestamp| after.is_none_or(|after| at.as_millisecond() > after.as_millisecond());
        FleetHistory {
            interval_seconds: INTERVAL.as_secs(),
            create_seconds: LATENCY_BUCKETS.to_vec(),
            samples: self.samples().iter().filter(|sample| is_after(sample.at.0)).cloned().collect(),
        }
    }

    /// Takes a sample at once, and one every [`INTERVAL`] until the bus is gone.
    pub async fn record(self, fleet: FleetReadings, mut events: Subscription) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut before, mut counts) = (fleet.metrics.totals(), EventCounts::default());
        loop {
            tokio::select! {
                received = events.next() => match received {
                    Some(Received::Event(event)) => counts.count(&event),
                    // More than a thousand events within one iteration: the charts miss some of them.
                    Some(Received::Missed(_)) => {}
                    None => return,
                },
                _ = ticks.tick() => {
                    let now = fleet.metrics.totals();
                    self.push(sample(&fleet, &before, &now, std::mem::take(&mut counts)));
                    before = now;
                }
            }
        }
    }

    fn push(&self, sample: Sample) {
        let mut samples = self.samples().as_ref().clone();
        if samples.len() == LENGTH {
            samples.pop_front();
        }
        samples.push_back(Arc::new(sample));
        self.0.send_replace(Arc::new(samples));
    }
}

fn sample(fleet: &FleetReadings, before: &Totals, now: &Totals, counts: EventCounts) -> Sample {
    let FleetReadings { directory, gateway, metrics } = fleet;
    let open_views = || u64::try_from(metrics.tunnels()).unwrap_or_default();
    let mut sample = Sample {
        at: Time::now(),
        viewers: gateway.get().is_ok().then(open_views),
        creates: Creates {
            ok: now.created.iter().zip(&before.created).map(|(now, before)| now - before).collect(),
            failed: now.refused - before.refused,
        },
        bytes: RelayedBytes { r#in: now.received - before.received, out: now.sent - before.sent },
        ends: counts.ends,
        restarts: counts.restarts,
        ..Sample::default()
    };
    for worker in directory.workers().iter() {
        let snapshot = worker.snapshot();
        for view in &snapshot.sessions {
            sample.attached = sample.attached.saturating_add(view.attached);
            match view.status {
                Status::Init => sample.sessions.init += 1,
                Status::Ready => sample.sessions.ready += 1,
                Status::Terminating => sample.sessions.terminating += 1,
                Status::Dead => {}
            }
        }
        if let Some(facts) = &snapshot.facts {
            for (name, fill) in &facts.pools {
                add(&mut sample.pools, name, fill);
            }
        }
    }
    sample
}

/// Adds a pool to the others of its name. Other machines choose the names, so their number is limited.
fn add(pools: &mut BTreeMap<String, PoolTotal>, name: &str, fill: &PoolFill) {
    if pools.len() < POOLS_LIMIT || pools.contains_key(name) {
        let sum = pools.entry(name.to_owned()).or_default();
        sum.ready = sum.ready.saturating_add(fill.ready);
        sum.target = sum.target.saturating_add(fill.target);
    }
}

#[cfg(test)]
mod tests;
