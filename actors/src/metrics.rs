//! What camofleet counts and measures, under Prometheus names.

use std::collections::HashMap;
use std::time::Duration;

use camofleet_api::session::{EndReason, Status};
use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// All metrics of one process. Cloning shares them.
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
    actor_exits: IntCounterVec,
    driver_lines_unreadable: IntCounter,
}

/// The upper bounds of the latencies' buckets, in seconds: from a warm hand-over (a millisecond) to a cold launch on a busy
/// machine (half a minute).
pub const LATENCY_BUCKETS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0];

impl Metrics {
    /// A registry with all metrics in it, at zero.
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
                "Whether another machine takes sessions",
                &["worker"],
            )?,
            fleet_sessions: gauges(
                "camofleet_fleet_sessions",
                "Live sessions of a control's workers, by whether those take live views",
                &["vnc"],
            )?,
            fleet_unplaced: gauges(
                "camofleet_fleet_unplaced_creates",
                "Creates of the last minute that found no room, by whether they wanted a live view",
                &["vnc"],
            )?,
            fleet_demand: gauges(
                "camofleet_fleet_demand",
                "Live sessions and creates that found no room, for a scaler",
                &["vnc"],
            )?,
            fleet_capacity: gauges(
                "camofleet_fleet_capacity",
                "How many sessions the healthy workers take that are not draining",
                &["vnc"],
            )?,
            upstream_calls: counters(
                "camofleet_upstream_calls_total",
                "Calls to other machines, browsers and VNC servers by outcome",
                &["upstream", "call", "outcome"],
            )?,
            upstream_seconds: histograms(
                "camofleet_upstream_seconds",
                "Calls to other machines, browsers and VNC servers that were answered",
                &["upstream", "call"],
            )?,
            creates: counters(
                "camofleet_session_creates_total",
                "Create requests by outcome: ok, or an error code",
                &["outcome"],
            )?,
            create_seconds: histograms(
                "camofleet_session_create_seconds",
                "From a create request to READY",
                &["source"],
            )?,
            ends: counters("camofleet_session_ends_total", "Ended sessions by reason", &["reason"])?,
            restarts: counters(
                "camofleet_session_restarts_total",
                "Sessions built anew, by what was lost",
                &["cause"],
            )?,
            launches: counters(
                "camofleet_launches_total",
                "Browser launches by kind and outcome",
                &["kind", "outcome"],
            )?,
            launch_seconds: histograms(
                "camofleet_launch_seconds",
                "Browser launches by kind, display included",
                &["kind"],
            )?,
            display_seconds: histogram(
                "camofleet_display_ready_seconds",
                "From starting an X server to its being ready",
            )?,
            capture_seconds: histograms(
                "camofleet_screen_capture_seconds",
                "Readings of a screen for screenshots by outcome: ok, or an error code",
                &["outcome"],
            )?,
            delete_seconds: histogram(
                "camofleet_session_delete_seconds",
                "From a delete request to nothing being left",
            )?,
            pool_ready: gauges("camofleet_pool_ready", "Warm browsers by pool", &["pool"])?,
            pool_target: gauges("camofleet_pool_target", "Warm browsers wanted, by pool", &["pool"])?,
            slots: gauges("camofleet_slots", "Display slots by state", &["state"])?,
            drivers: gauge("camofleet_drivers", "Driver processes that are up")?,
            attachments: gauge("camofleet_attachments", "Attached Playwright clients")?,
            tunnels: gauge("camofleet_tunnels", "Open VNC tunnels")?,
            relay_bytes: counters(
                "camofleet_relay_bytes_total",
                "Bytes relayed, by kind and direction",
                &["kind", "direction"],
            )?,
            driver_lines_unreadable: kept(
                &registry,
                IntCounter::new(
                    "camofleet_driver_lines_unreadable_total",
                    "Lines of drivers that could not be read",
                ),
            )?,
            actor_exits: counters(
                "camofleet_actor_exits_total",
                "Actors that ended, by kind and reason",
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

    /// What has been counted so far of what rates are made from.
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

    /// Whether another machine takes sessions.
    pub fn worker_healthy(&self, worker: &str, healthy: bool) {
        self.worker_healthy.with_label_values(&[worker]).set(i64::from(healthy));
    }

    /// What a fleet has and would need, of workers with live views or of those without.
    pub fn demand(&self, vnc: bool, sessions: usize, unplaced: usize, capacity: usize) {
        let labels = [if vnc { "true" } else { "false" }];
        self.fleet_sessions.with_label_values(&labels).set(gauge_value(sessions));
        self.fleet_unplaced.with_label_values(&labels).set(gauge_value(unplaced));
        self.fleet_demand.with_label_values(&labels).set(gauge_value(sessions + unplaced));
        self.fleet_capacity.with_label_values(&labels).set(gauge_value(capacity));
    }

    /// A worker is no more: neither are its figures, or those of all workers that ever were would add up.
    pub fn forget_worker(&self, worker: &str) {
        forget(&self.sessions, "worker", worker);
        forget(&self.worker_healthy, "worker", worker);
        forget(&self.upstream_calls, "upstream", worker);
        forget(&self.upstream_seconds, "upstream", worker);
    }

    /// A call came to an end: to another machine, by its name, to a `browser` or to a `vnc` server.
    pub fn upstream(&self, upstream: &str, call: &str, outcome: &str, took: Duration) {
        self.upstream_calls.with_label_values(&[upstream, call, outcome]).inc();
        if outcome == "ok" {
            self.upstream_seconds.with_label_values(&[upstream, call]).observe(took.as_secs_f64());
        }
    }

    /// How many sessions stand at a status. DEAD ones are those still remembered.
    pub fn sessions(&self, worker: &str, status: Status, count: usize) {
        self.sessions.with_label_values(&[worker, status.as_str()]).set(gauge_value(count));
    }

    /// A create request was answered; `source` is `warm` or `cold`.
    pub fn created(&self, outcome: &str, source: &str, took: Duration) {
        self.creates.with_label_values(&[outcome]).inc();
        if outcome == "ok" {
            self.create_seconds.with_label_values(&[source]).observe(took.as_secs_f64());
        }
    }

    /// A session is dead.
    pub fn ended(&self, reason: EndReason) {
        self.ends.with_label_values(&[reason.as_str()]).inc();
    }

    /// A delete request was answered.
    pub fn deleted(&self, took: Duration) {
        self.delete_seconds.observe(took.as_secs_f64());
    }

    /// A session is being built anew.
    pub fn restarted(&self, cause: EndReason) {
        self.restarts.with_label_values(&[cause.as_str()]).inc();
    }

    /// A launch came to an end.
    pub fn launch(&self, kind: &str, outcome: &str, took: Duration) {
        self.launches.with_label_values(&[kind, outcome]).inc();
        if outcome == "ok" {
            self.launch_seconds.with_label_values(&[kind]).observe(took.as_secs_f64());
        }
    }

    /// A display is ready.
    pub fn display_ready(&self, took: Duration) {
        self.display_seconds.observe(took.as_secs_f64());
    }

    /// A screen was read for screenshots, or could not be.
    pub fn screen_captured(&self, outcome: &str, took: Duration) {
        self.capture_seconds.with_label_values(&[outcome]).observe(took.as_secs_f64());
    }

    /// A pool's fill.
    pub fn pool(&self, pool: &str, ready: usize, target: usize) {
        self.pool_ready.with_label_values(&[pool]).set(gauge_value(ready));
        self.pool_target.with_label_values(&[pool]).set(gauge_value(target));
    }

    /// The display slots' use.
    pub fn slots(&self, free: usize, capacity: usize) {
        self.slots.with_label_values(&["free"]).set(gauge_value(free));
        self.slots.with_label_values(&["used"]).set(gauge_value(capacity.saturating_sub(free)));
    }

    /// How many drivers are up.
    pub fn drivers(&self, count: usize) {
        self.drivers.set(gauge_value(count));
    }

    /// A line of a driver could not be read.
    pub fn driver_line_unreadable(&self) {
        self.driver_lines_unreadable.inc();
    }

    /// A supervised actor ended.
    pub fn actor_exited(&self, actor: &str, reason: &str) {
        self.actor_exits.with_label_values(&[actor, reason]).inc();
    }

    /// The attached clients, as a gauge to be held for as long as one is.
    pub fn attachment(&self) -> GaugeHold {
        GaugeHold::new(&self.attachments)
    }

    /// How many tunnels are open.
    pub fn tunnels(&self) -> i64 {
        self.tunnels.get()
    }

    /// The open tunnels, likewise.
    pub fn tunnel(&self) -> GaugeHold {
        GaugeHold::new(&self.tunnels)
    }

    /// The counter of one relay direction, for the relay to keep.
    pub fn relay_bytes(&self, kind: &str, direction: &str) -> prometheus::IntCounter {
        self.relay_bytes.with_label_values(&[kind, direction])
    }
}

/// What a process has counted since its start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Creates that succeeded, by the bucket of [`LATENCY_BUCKETS`] that their latency is in; the last one is above all.
    pub created: [u64; LATENCY_BUCKETS.len() + 1],
    /// Creates that failed.
    pub refused: u64,
    /// Bytes relayed from clients and viewers.
    pub received: u64,
    /// Bytes relayed to them.
    pub sent: u64,
}

/// Removes all figures whose label has this value.
fn forget<B: MetricVecBuilder>(metrics: &MetricVec<B>, label: &str, value: &str)
where
    MetricVec<B>: Collector,
{
    for metric in metrics.collect().iter().flat_map(|family| family.get_metric()) {
        let labels: HashMap<&str, &str> =
            metric.get_label().iter().map(|label| (label.name(), label.value())).collect();
        if labels.get(label) == Some(&value) {
            // It was there a line before, and figures that are gone are what is wanted.
            let _ = metrics.remove(&labels);
        }
    }
}

/// The sum of those counters whose labels' values, in the order of the labels' names, are wanted.
fn sum(counters: &IntCounterVec, wanted: impl Fn(&[&str]) -> bool) -> u64 {
    let families = counters.collect();
    let metrics = families.iter().flat_map(|family| family.get_metric());
    let wanted = metrics.filter(|metric| {
        let labels: Vec<_> = metric.get_label().iter().map(|label| label.value()).collect();
        wanted(&labels)
    });
    // Prometheus keeps whole counts as floating-point numbers.
    wanted.map(|metric| metric.get_counter().get_value() as u64).sum()
}

fn gauge_value(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Counts one in a gauge for as long as it lives.
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
