//! The fleet's last hour in figures: a sample every few seconds, for charts.
//!
//! Everything in it is known to whoever stands before the workers: what a worker on another machine keeps in metrics of
//! its own comes from its snapshot and from the events here.

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
use crate::model::events::{Change, Heard, SessionEvent, Subscription};
use crate::views::gateway::GatewayHandle;
use crate::worker::Directory;

/// The time from one sample to the next.
pub const INTERVAL: Duration = Duration::from_secs(5);
/// How many samples are kept: an hour of them.
pub const LENGTH: usize = 720;
/// What stands for the end reason of a session that its machine has forgotten.
const FORGOTTEN: &str = "forgotten";

/// What has happened between two samples, by the events.
#[derive(Default)]
struct Seen {
    ends: BTreeMap<String, u64>,
    restarts: BTreeMap<String, u64>,
}

impl Seen {
    fn note(&mut self, event: &SessionEvent) {
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

/// What samples are taken of.
#[derive(Clone)]
pub struct FleetReadings {
    /// The workers.
    pub directory: Directory,
    /// The gateway, if this process has one.
    pub gateway: GatewayHandle,
    /// What is counted.
    pub metrics: Metrics,
}

/// The samples, oldest first.
pub type Samples = Arc<VecDeque<Arc<Sample>>>;

/// The samples of the last hour. Cloning shares them; reads wait for nobody.
#[derive(Clone, Default)]
pub struct History(Arc<watch::Sender<Samples>>);

impl History {
    /// The samples so far.
    pub fn samples(&self) -> Samples {
        Arc::clone(&self.0.borrow())
    }

    /// The samples later than a time, if one is named: compared as they are written, in milliseconds.
    pub fn after(&self, after: Option<Timestamp>) -> FleetHistory {
        let wanted = |at: Timestamp| after.is_none_or(|after| at.as_millisecond() > after.as_millisecond());
        FleetHistory {
            interval_seconds: INTERVAL.as_secs(),
            create_seconds: LATENCY_BUCKETS.to_vec(),
            samples: self.samples().iter().filter(|sample| wanted(sample.at.0)).cloned().collect(),
        }
    }

    /// Takes a sample at once, and one every [`INTERVAL`] until the bus is gone.
    pub async fn record(self, fleet: FleetReadings, mut events: Subscription) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut before, mut seen) = (fleet.metrics.totals(), Seen::default());
        loop {
            tokio::select! {
                heard = events.next() => match heard {
                    Some(Heard::Event(event)) => seen.note(&event),
                    // A thousand events within one turn of this loop: the charts may lack some of them.
                    Some(Heard::Missed(_)) => {}
                    None => return,
                },
                _ = ticks.tick() => {
                    let now = fleet.metrics.totals();
                    self.push(sample(&fleet, &before, &now, std::mem::take(&mut seen)));
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

fn sample(fleet: &FleetReadings, before: &Totals, now: &Totals, seen: Seen) -> Sample {
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
        ends: seen.ends,
        restarts: seen.restarts,
        ..Sample::default()
    };
    for worker in directory.workers().iter() {
        let snapshot = worker.snapshot();
        for view in &snapshot.sessions {
            sample.attached += view.attached;
            match view.status {
                Status::Init => sample.sessions.init += 1,
                Status::Ready => sample.sessions.ready += 1,
                Status::Terminating => sample.sessions.terminating += 1,
                Status::Dead => {}
            }
        }
        if let Some(facts) = &snapshot.facts {
            add(&mut sample.pools.headless, facts.pools.headless.as_ref());
            add(&mut sample.pools.vnc, facts.pools.vnc.as_ref());
        }
    }
    sample
}

fn add(sum: &mut Option<PoolTotal>, pool: Option<&PoolFill>) {
    if let Some(pool) = pool {
        let sum = sum.get_or_insert_default();
        sum.ready += pool.ready;
        sum.target += pool.target;
    }
}

#[cfg(test)]
mod tests;
