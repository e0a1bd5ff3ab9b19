//! The fleet's last hour in figures: a sample every few seconds, for charts.
//!
//! Everything in it is known to whoever stands before the workers: what a worker on another machine keeps in metrics of
//! its own comes from its snapshot and from the events here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::events::{Change, Heard, SessionEvent, Subscription};
use crate::fleet::Directory;
use crate::metrics::{Metrics, Totals};
use crate::prewarm::PoolFill;
use crate::session::Status;

/// The time from one sample to the next.
pub const INTERVAL: Duration = Duration::from_secs(5);
/// How many samples are kept: an hour of them.
pub const LENGTH: usize = 720;
/// What stands for the end reason of a session that its machine has forgotten.
const FORGOTTEN: &str = "forgotten";

/// How full the pools of one kind are, over all workers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fill {
    /// Browsers that wait.
    pub ready: usize,
    /// Browsers wanted.
    pub target: usize,
}

/// The fleet at one moment, and what has happened since the sample before.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// Sessions that are being built.
    pub init: usize,
    /// Sessions that clients can attach to.
    pub ready: usize,
    /// Sessions that are being taken down.
    pub terminating: usize,
    /// Playwright clients that are attached, by whatever way.
    pub attached: usize,
    /// Open live views; `None` where a gateway of its own serves them.
    pub viewers: Option<u64>,
    /// Warm browsers without a window; `None` where no worker keeps any.
    pub headless_pool: Option<Fill>,
    /// Warm browsers on a display, likewise.
    pub vnc_pool: Option<Fill>,
    /// Creates that succeeded since, by the latency's bucket: see [`crate::metrics::LATENCY_BUCKETS`]. One more at the
    /// end counts those that took longer than all of them.
    pub created: Vec<u64>,
    /// Creates that failed since.
    pub refused: u64,
    /// Sessions that ended since, by reason.
    pub ends: BTreeMap<&'static str, u64>,
    /// Sessions that were built anew since, by what was lost.
    pub restarts: BTreeMap<&'static str, u64>,
    /// Bytes that were relayed from clients and viewers since.
    pub received: u64,
    /// Bytes that were relayed to them since.
    pub sent: u64,
}

/// What events tell between two samples.
#[derive(Default)]
struct Told {
    ends: BTreeMap<&'static str, u64>,
    restarts: BTreeMap<&'static str, u64>,
}

impl Told {
    fn note(&mut self, event: &SessionEvent) {
        match &event.change {
            Change::Ended | Change::Forgotten => {
                let ending = event.view.ending.as_ref();
                let reason = ending.map_or(FORGOTTEN, |ending| ending.reason.as_str());
                *self.ends.entry(reason).or_default() += 1;
            }
            Change::Restarting { cause, .. } => *self.restarts.entry(cause.as_str()).or_default() += 1,
            _ => {}
        }
    }
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

    /// Takes a sample at once, and one every [`INTERVAL`] until the bus is gone.
    pub async fn record(self, directory: Directory, metrics: Metrics, mut events: Subscription) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut before, mut told) = (metrics.totals(), Told::default());
        loop {
            tokio::select! {
                heard = events.next() => match heard {
                    Some(Heard::Event(event)) => told.note(&event),
                    // A thousand events within one turn of this loop: the charts may lack some of them.
                    Some(Heard::Missed(_)) => {}
                    None => return,
                },
                _ = ticks.tick() => {
                    let now = metrics.totals();
                    self.push(sample(&directory, &metrics, &before, &now, std::mem::take(&mut told)));
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

fn sample(directory: &Directory, metrics: &Metrics, before: &Totals, now: &Totals, told: Told) -> Sample {
    let mut sample = Sample {
        at: Timestamp::now(),
        viewers: directory.gateway().is_ok().then(|| u64::try_from(metrics.tunnels()).unwrap_or_default()),
        created: now.created.iter().zip(&before.created).map(|(now, before)| now - before).collect(),
        refused: now.refused - before.refused,
        received: now.received - before.received,
        sent: now.sent - before.sent,
        ends: told.ends,
        restarts: told.restarts,
        ..Sample::default()
    };
    for worker in directory.workers().iter() {
        let snapshot = worker.snapshot();
        for view in &snapshot.sessions {
            sample.attached += view.attached;
            match view.status {
                Status::Init => sample.init += 1,
                Status::Ready => sample.ready += 1,
                Status::Terminating => sample.terminating += 1,
                Status::Dead => {}
            }
        }
        if let Some(facts) = &snapshot.facts {
            add(&mut sample.headless_pool, facts.pools.headless.as_ref());
            add(&mut sample.vnc_pool, facts.pools.vnc.as_ref());
        }
    }
    sample
}

fn add(sum: &mut Option<Fill>, pool: Option<&PoolFill>) {
    if let Some(pool) = pool {
        let sum = sum.get_or_insert_default();
        sum.ready += pool.ready;
        sum.target += pool.target;
    }
}

#[cfg(test)]
mod tests;
