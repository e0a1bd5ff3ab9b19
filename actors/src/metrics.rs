//! The Prometheus metrics of a process.

use std::collections::HashMap;
use std::time::Duration;

use camofleet_api::session::{EndReason, Status};
use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::model::traffic::EgressMetrics;

/// All metrics of one process. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    sessions: IntGaugeVec,
    worker_healthy: IntGaugeVec,
    fleet_sessions: IntGaugeVec,
    fleet_unplaced: IntGaugeVec,
    fleet_demand: IntGaugeVec,
    fleet_capacity: IntGaugeVec,
    upstream_calls: IntCounterVec,
    upstream_seconds: HistogramVec,
    creates: IntCounterVec,
    create_seconds: HistogramVec,
    ends: IntCounterVec,
    restarts: IntCounterVec,
    launches: IntCounterVec,
    launch_seconds: HistogramVec,
    display_seconds: Histogram,
    capture_seconds: HistogramVec,
    delete_seconds: Histogram,
    pool_ready: IntGaugeVec,
    pool_target: IntGaugeVec,
    slots: IntGaugeVec,
    drivers: IntGauge,
    attachments: IntGauge,
    tunnels: IntGauge,
    relay_bytes: IntCounterVec,
    egress_bytes: IntCounterVec,
    egress_connections: IntCounter,
    egress_open_connections: IntGauge,
    egress_refusals: IntCounterVec,
    actor_exits: IntCounterVec,
    driver_lines_unreadable: IntCounter,
}

/// The upper bounds of the latency buckets, in seconds: from the handover of a warm browser (a millisecond) to a cold launch
/// on a busy machine (half a minute).
pub const LATENCY_BUCKETS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0];

impl Metrics {
    /// Registers all metrics, at zero.
    ///
    /// # Errors
    /// Never for the names in this file; prometheus checks them at run time.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        fn kept<C: Collector + Clone + 'static>(
            registry: &Registry,
            metric: prometheus::Result<C>,
        ) -> prometheus::Result<C> {
            let metric = metric?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        }
        let gauge = |name: &str, help: &str| kept(&registry, IntGauge::new(name, help));
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            kept(&registry, IntGaugeVec::new(Opts::new(name, help), labels))
        };
        let counters = |name: &str, help: &str, labels: &[&str]| {
            kept(&registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let seconds =
            |name: &str, help: &str| HistogramOpts::new(name, help).buckets(LATENCY_BUCKETS.to_vec());
        let histogram = |name: &str, help: &str| kept(&registry, Histogram::with_opts(seconds(name, help)));
        let histograms = |name: &str, help: &str, labels: &[&str]| {
            kept(&registry, HistogramVec::new(seconds(name, help), labels))
        };
        Ok(Self {
            sessions: gauges("camofleet_sessions", "Sessions by worker and status", &["worker", "status"])?,
            worker_healthy: gauges(
                "camofleet_worker_healthy",
                "Whether another machine accepts sessions",
                &["worker"],
            )?,
            fleet_sessions: gauges(
                "camofleet_fleet_sessions",
                "Live sessions of a control's workers, by whether those support live views",
                &["vnc"],
            )?,
            fleet_unplaced: gauges(
                "camofleet_fleet_unplaced_creates",
                "Creates of the last minute that were refused for lack of capacity, by whether they requested a live view",
                &["vnc"],
            )?,
            fleet_demand: gauges(
                "camofleet_fleet_demand",
                "Live sessions plus creates that were refused for lack of capacity, for autoscaling",
                &["vnc"],
            )?,
            fleet_capacity: gauges(
                "camofleet_fleet_capacity",
                "The session limit of all healthy workers that are not draining",
                &["vnc"],
            )?,
            upstream_calls: counters(
                "camofleet_upstream_calls_total",
                "Calls to other machines, browsers and VNC servers by outcome",
                &["upstream", "call", "outcome"],
            )?,
            upstream_seconds: histograms(
                "camofleet_upstream_seconds",
                "Latency of calls to other machines, browsers and VNC servers that were answered",
                &["upstream", "call"],
            )?,
            creates: counters(
                "camofleet_session_creates_total",
                "Create requests by outcome: ok, or an error code",
                &["outcome"],
            )?,
            create_seconds: histograms(
                "camofleet_session_create_seconds",
                "Time from a create request to READY",
                &["source"],
            )?,
            ends: counters("camofleet_session_ends_total", "Ended sessions by reason", &["reason"])?,
            restarts: counters(
                "camofleet_session_restarts_total",
                "Sessions rebuilt, by the part that was lost",
                &["cause"],
            )?,
            launches: counters(
                "camofleet_launches_total",
                "Browser launches by kind and outcome",
                &["kind", "outcome"],
            )?,
            launch_seconds: histograms(
                "camofleet_launch_seconds",
                "Duration of browser launches by kind, including the display",
                &["kind"],
            )?,
            display_seconds: histogram(
                "camofleet_display_ready_seconds",
                "Time from starting an X server until it is ready",
            )?,
            capture_seconds: histograms(
                "camofleet_screen_capture_seconds",
                "Duration of screen captures for screenshots by outcome: ok, or an error code",
                &["outcome"],
            )?,
            delete_seconds: histogram(
                "camofleet_session_delete_seconds",
                "Time from a delete request until the session's processes and files are gone",
            )?,
            pool_ready: gauges("camofleet_pool_ready", "Warm browsers by pool", &["pool"])?,
            pool_target: gauges(
                "camofleet_pool_target",
                "Configured number of warm browsers by pool",
                &["pool"],
            )?,
            slots: gauges("camofleet_slots", "Display slots by state", &["state"])?,
            drivers: gauge("camofleet_drivers", "Running driver processes")?,
            attachments: gauge("camofleet_attachments", "Attached Playwright clients")?,
            tunnels: gauge("camofleet_tunnels", "Open VNC tunnels")?,
            relay_bytes: counters(
                "camofleet_relay_bytes_total",
                "Bytes relayed, by kind and direction",
                &["kind", "direction"],
            )?,
            egress_bytes: counters(
                "camofleet_egress_bytes_total",
                "Bytes of browsers' connections by direction: up is from the browser",
                &["direction"],
            )?,
            egress_connections: kept(
                &registry,
                IntCounter::new("camofleet_egress_connections_total", "Established connections of browsers"),
            )?,
            egress_open_connections: gauge(
                "camofleet_egress_open_connections",
                "Open connections of browsers",
            )?,
            egress_refusals: counters(
                "camofleet_egress_refusals_total",
                "Connections of browsers that were not made, by reason",
                &["reason"],
            )?,
            driver_lines_unreadable: kept(
                &registry,
                IntCounter::new(
                    "camofleet_driver_lines_unreadable_total",
                    "Lines of drivers that could not be parsed",
                ),
            )?,
            actor_exits: counters(
                "camofleet_actor_exits_total",
                "Supervised actors that ended, by kind and reason",
                &["actor", "reason"],
            )?,
            registry: registry.clone(),
        })
    }

    /// All metrics in Prometheus' text format.
    ///
    /// # Errors
    /// Never for metrics that are registered; prometheus checks them at run time.
    pub fn encode(&self) -> prometheus::Result<String> {
        prometheus::TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// The current values of the counters that samples compute differences of.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for family in self.create_seconds.collect() {
            for metric in family.get_metric() {
                let histogram = metric.get_histogram();
                let mut below = 0;
                for (bucket, count) in histogram.get_bucket().iter().zip(&mut totals.created) {
                    *count += bucket.cumulative_count() - below;
                    below = bucket.cumulative_count();
                }
                totals.created[LATENCY_BUCKETS.len()] += histogram.get_sample_count() - below;
            }
        }
        totals.refused = sum(&self.creates, |labels| labels != ["ok"]);
        totals.received = sum(&self.relay_bytes, |labels| labels[0] == "in");
        totals.sent = sum(&self.relay_bytes, |labels| labels[0] == "out");
        totals
    }

    /// Sets whether another machine accepts sessions.
    pub fn worker_healthy(&self, worker: &str, healthy: bool) {
        self.worker_healthy.with_label_values(&[worker]).set(i64::from(healthy));
    }

    /// Sets the demand and capacity of the workers with live views, or of those without.
    pub fn demand(&self, vnc: bool, sessions: usize, unplaced: usize, capacity: usize) {
        let labels = [if vnc { "true" } else { "false" }];
        self.fleet_sessions.with_label_values(&labels).set(gauge_value(sessions));
        self.fleet_unplaced.with_label_values(&labels).set(gauge_value(unplaced));
        self.fleet_demand.with_label_values(&labels).set(gauge_value(sessions + unplaced));
        self.fleet_capacity.with_label_values(&labels).set(gauge_value(capacity));
    }

    /// Removes the figures of a worker that is gone; otherwise those of all past workers would accumulate.
    pub fn forget_worker(&self, worker: &str) {
        forget(&self.sessions, "worker", worker);
        forget(&self.worker_healthy, "worker", worker);
        forget(&self.upstream_calls, "upstream", worker);
        forget(&self.upstream_seconds, "upstream", worker);
    }

    /// Records a call to another machine (by its name), to a `browser` or to a `vnc` server.
    pub fn upstream(&self, upstream: &str, call: &str, outcome: &str, took: Duration) {
        self.upstream_calls.with_label_values(&[upstream, call, outcome]).inc();
        if outcome == "ok" {
            self.upstream_seconds.with_label_values(&[upstream, call]).observe(took.as_secs_f64());
        }
    }

    /// Sets the number of sessions with a status. DEAD ones are those that are still listed.
    pub fn sessions(&self, worker: &str, status: Status, count: usize) {
        self.sessions.with_label_values(&[worker, status.as_str()]).set(gauge_value(count));
    }

    /// Records an answered create request; `source` is `warm`, `cold` or `remote`.
    pub fn created(&self, outcome: &str, source: &str, took: Duration) {
        self.creates.with_label_values(&[outcome]).inc();
        if outcome == "ok" {
            self.create_seconds.with_label_values(&[source]).observe(took.as_secs_f64());
        }
    }

    /// Records the end of a session.
    pub fn ended(&self, reason: EndReason) {
        self.ends.with_label_values(&[reason.as_str()]).inc();
    }

    /// Records an answered delete request.
    pub fn deleted(&self, took: Duration) {
        self.delete_seconds.observe(took.as_secs_f64());
    }

    /// Records that a session is being rebuilt.
    pub fn restarted(&self, cause: EndReason) {
        self.restarts.with_label_values(&[cause.as_str()]).inc();
    }

    /// Records a launch.
    pub fn launch(&self, kind: &str, outcome: &str, took: Duration) {
        self.launches.with_label_values(&[kind, outcome]).inc();
        if outcome == "ok" {
            self.launch_seconds.with_label_values(&[kind]).observe(took.as_secs_f64());
        }
    }

    /// Records the start of a display.
    pub fn display_ready(&self, took: Duration) {
        self.display_seconds.observe(took.as_secs_f64());
    }

    /// Records a screen capture or its failure.
    pub fn screen_captured(&self, outcome: &str, took: Duration) {
        self.capture_seconds.with_label_values(&[outcome]).observe(took.as_secs_f64());
    }

    /// Sets how full a pool is.
    pub fn pool(&self, pool: &str, ready: usize, target: usize) {
        self.pool_ready.with_label_values(&[pool]).set(gauge_value(ready));
        self.pool_target.with_label_values(&[pool]).set(gauge_value(target));
    }

    /// Sets the use of the display slots.
    pub fn slots(&self, free: usize, capacity: usize) {
        self.slots.with_label_values(&["free"]).set(gauge_value(free));
        self.slots.with_label_values(&["used"]).set(gauge_value(capacity.saturating_sub(free)));
    }

    /// Sets the number of running drivers.
    pub fn drivers(&self, count: usize) {
        self.drivers.set(gauge_value(count));
    }

    /// Records a line of a driver that could not be parsed.
    pub fn driver_line_unreadable(&self) {
        self.driver_lines_unreadable.inc();
    }

    /// Records the end of a supervised actor.
    pub fn actor_exited(&self, actor: &str, reason: &str) {
        self.actor_exits.with_label_values(&[actor, reason]).inc();
    }

    /// Counts an attached client until the returned guard is dropped.
    pub fn attachment(&self) -> GaugeHold {
        GaugeHold::new(&self.attachments)
    }

    /// The number of open tunnels.
    pub fn tunnels(&self) -> i64 {
        self.tunnels.get()
    }

    /// Counts an open tunnel until the returned guard is dropped.
    pub fn tunnel(&self) -> GaugeHold {
        GaugeHold::new(&self.tunnels)
    }

    /// The metrics of browsers' connections.
    pub fn egress(&self) -> EgressMetrics {
        EgressMetrics {
            up: self.egress_bytes.with_label_values(&["up"]),
            down: self.egress_bytes.with_label_values(&["down"]),
            connections: self.egress_connections.clone(),
            open: self.egress_open_connections.clone(),
            refusals: self.egress_refusals.clone(),
        }
    }

    /// The counter of one relay direction.
    pub fn relay_bytes(&self, kind: &str, direction: &str) -> prometheus::IntCounter {
        self.relay_bytes.with_label_values(&[kind, direction])
    }
}

/// Counter values since the start of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Successful creates, by the bucket of [`LATENCY_BUCKETS`] of their latency; the last element counts those above all
    /// buckets.
    pub created: [u64; LATENCY_BUCKETS.len() + 1],
    /// Failed creates.
    pub refused: u64,
    /// Bytes relayed from clients and viewers.
    pub received: u64,
    /// Bytes relayed to clients and viewers.
    pub sent: u64,
}

/// Removes all figures with this value of a label.
fn forget<B: MetricVecBuilder>(metrics: &MetricVec<B>, label: &str, value: &str)
where
    MetricVec<B>: Collector,
{
    for metric in metrics.collect().iter().flat_map(|family| family.get_metric()) {
        let labels: HashMap<&str, &str> =
            metric.get_label().iter().map(|label| (label.name(), label.value())).collect();
        if labels.get(label) == Some(&value) {
            // It existed a moment ago, and a figure that is already gone is what is needed.
            let _ = metrics.remove(&labels);
        }
    }
}

/// The sum of the counters whose label values, ordered by label name, match the predicate.
fn sum(counters: &IntCounterVec, matches_labels: impl Fn(&[&str]) -> bool) -> u64 {
    let families = counters.collect();
    let metrics = families.iter().flat_map(|family| family.get_metric());
    let matches_labels = metrics.filter(|metric| {
        let labels: Vec<_> = metric.get_label().iter().map(|label| label.value()).collect();
        matches_labels(&labels)
    });
    // Prometheus stores counts as floating-point numbers.
    matches_labels.map(|metric| metric.get_counter().get_value() as u64).sum()
}

fn gauge_value(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A guard that counts one in a gauge until it is dropped.
pub struct GaugeHold(IntGauge);

impl GaugeHold {
    fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for GaugeHold {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use camofleet_api::egress::Refusal;

    use super::*;
    use crate::model::traffic::Traffic;

    #[test]
    fn the_traffic_of_sessions_is_counted_as_well() {
        let metrics = Metrics::new().unwrap();
        let traffic = Traffic::new(metrics.egress());
        let connection = traffic.connection("a.example");
        connection.up(10);
        connection.down(1100);
        drop(traffic.connection("b.example"));
        traffic.refuse(Refusal::Fleet);
        let text = metrics.encode().unwrap();
        for line in [
            "camofleet_egress_bytes_total{direction=\"up\"} 10",
            "camofleet_egress_bytes_total{direction=\"down\"} 1100",
            "camofleet_egress_connections_total 2",
            "camofleet_egress_open_connections 1",
            "camofleet_egress_refusals_total{reason=\"fleet\"} 1",
        ] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
    }
}
