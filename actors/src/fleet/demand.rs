//! A fleet's capacity and demand, for autoscaling.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::worker::WorkerHandle;

/// How long a create that was refused for lack of capacity counts as demand: long enough for an autoscaler to see it and
/// for the caller to retry.
const UNPLACED_FOR: Duration = Duration::from_secs(60);

/// Recent creates that were refused for lack of capacity, counted by the second so that the memory is bounded.
#[derive(Debug, Default)]
struct Unplaced(VecDeque<(Instant, u32)>);

impl Unplaced {
    fn add(&mut self, now: Instant) {
        match self.0.back_mut() {
            Some((since, count)) if now.duration_since(*since) < Duration::from_secs(1) => *count += 1,
            _ => self.0.push_back((now, 1)),
        }
    }

    fn count(&mut self, now: Instant) -> usize {
        while self.0.front().is_some_and(|(since, _)| now.duration_since(*since) >= UNPLACED_FOR) {
            self.0.pop_front();
        }
        self.0.iter().map(|(_, count)| *count as usize).sum()
    }
}

/// Publishes the demand and capacity of a fleet, separately for workers with and without live views.
pub(crate) struct Demand {
    metrics: Metrics,
    without_views: Unplaced,
    with_views: Unplaced,
}

impl Demand {
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics, without_views: Unplaced::default(), with_views: Unplaced::default() }
    }

    /// The metrics that it publishes to.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Records a create that was refused for lack of capacity.
    pub fn unplaced(&mut self, vnc: bool, now: Instant) {
        let unplaced = if vnc { &mut self.with_views } else { &mut self.without_views };
        unplaced.add(now);
    }

    /// Publishes the current values.
    pub fn publish<'a>(&mut self, workers: impl Iterator<Item = &'a WorkerHandle> + Clone, now: Instant) {
        let has = |vnc| workers.clone().any(|worker| worker.snapshot().supports_vnc == vnc);
        let mut unplaced = [self.without_views.count(now), self.with_views.count(now)];
        if has(true) && !has(false) {
            // All workers support live views, so they also get the sessions without one.
            unplaced = [0, unplaced.iter().sum()];
        }
        for (vnc, unplaced) in [false, true].into_iter().zip(unplaced) {
            let (mut sessions, mut capacity) = (0, 0);
            for snapshot in workers.clone().map(WorkerHandle::snapshot) {
                if snapshot.supports_vnc != vnc {
                    continue;
                }
                sessions += snapshot.sessions.len();
                if snapshot.healthy && !snapshot.draining {
                    capacity += snapshot.facts.as_ref().and_then(|facts| facts.capacity).unwrap_or_default();
                }
            }
            self.metrics.demand(vnc, sessions, unplaced, capacity);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_create_without_capacity_counts_for_a_minute() {
        let (mut unplaced, start) = (Unplaced::default(), Instant::now());
        let after = |millis| start + Duration::from_millis(millis);
        for millis in [0, 300, 900, 30_000] {
            unplaced.add(after(millis));
        }
        assert_eq!(unplaced.0.len(), 2, "those of one second are one entry");
        assert_eq!(unplaced.count(after(59_000)), 4);
        assert_eq!(unplaced.count(after(60_000)), 1);
        assert_eq!(unplaced.count(after(90_000)), 0);
    }
}
