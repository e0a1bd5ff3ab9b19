//! What a session's browser sends and receives, counted for the session and for the metrics.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use camofleet_api::egress::{EgressTotals, HostTraffic, Refusal};
use prometheus::{IntCounter, IntCounterVec, IntGauge};

/// How many hosts are counted separately. The one with the least traffic is forgotten when another one is added.
const MOST_HOSTS: usize = 500;

/// The metrics that the traffic of all sessions is counted in. Clones share them.
#[derive(Debug, Clone)]
pub struct EgressMetrics {
    /// Bytes from browsers.
    pub up: IntCounter,
    /// Bytes to browsers.
    pub down: IntCounter,
    /// Established connections.
    pub connections: IntCounter,
    /// Open connections.
    pub open: IntGauge,
    /// Connections that were not made, by reason.
    pub refusals: IntCounterVec,
}

impl EgressMetrics {
    /// Counts a connection that was not made.
    pub fn refused(&self, reason: Refusal) {
        self.refusals.with_label_values(&[reason.as_str()]).inc();
    }
}

/// Bytes and connections of one session, or of one of its hosts.
#[derive(Debug, Default)]
struct Counts {
    up: AtomicU64,
    down: AtomicU64,
    connections: AtomicU64,
}

impl Counts {
    fn bytes(&self) -> u64 {
        self.up.load(Ordering::Relaxed) + self.down.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
struct Shared {
    counts: Counts,
    open: AtomicU64,
    refused: Mutex<BTreeMap<String, u64>>,
    hosts: Mutex<HashMap<Box<str>, Arc<Counts>>>,
    metrics: Option<EgressMetrics>,
}

/// The traffic of one session, over all its restarts. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Traffic(Arc<Shared>);

impl Traffic {
    /// No traffic yet; it is also counted in these metrics.
    pub fn new(metrics: EgressMetrics) -> Self {
        Self(Arc::new(Shared { metrics: Some(metrics), ..Shared::default() }))
    }

    /// The traffic that another machine reports for its session.
    pub fn reported(totals: EgressTotals) -> Self {
        let EgressTotals { bytes_up, bytes_down, connections, open_connections, refused } = totals;
        Self(Arc::new(Shared {
            counts: Counts { up: bytes_up.into(), down: bytes_down.into(), connections: connections.into() },
            open: open_connections.into(),
            refused: Mutex::new(refused),
            ..Shared::default()
        }))
    }

    /// Counts a connection that was not made.
    pub(crate) fn refuse(&self, reason: Refusal) {
        let mut refused = self.0.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refused.entry(reason.as_str().to_owned()).or_default() += 1;
        drop(refused);
        if let Some(metrics) = &self.0.metrics {
            metrics.refused(reason);
        }
    }

    /// Counts an established connection to a host, and its bytes until the result is dropped.
    pub(crate) fn connection(&self, host: &str) -> ConnectionTraffic {
        let host = self.host(host);
        for counts in [&self.0.counts, &*host] {
            counts.connections.fetch_add(1, Ordering::Relaxed);
        }
        self.0.open.fetch_add(1, Ordering::Relaxed);
        if let Some(metrics) = &self.0.metrics {
            metrics.connections.inc();
            metrics.open.inc();
        }
        ConnectionTraffic { session: self.clone(), host }
    }

    fn host(&self, host: &str) -> Arc<Counts> {
        let mut hosts = self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counts) = hosts.get(host) {
            return Arc::clone(counts);
        }
        if hosts.len() >= MOST_HOSTS {
            let least = hosts.iter().min_by_key(|(_, counts)| counts.bytes()).map(|(host, _)| host.clone());
            if let Some(least) = least {
                hosts.remove(&least);
            }
        }
        Arc::clone(hosts.entry(host.into()).or_default())
    }

    /// The totals so far.
    pub fn totals(&self) -> EgressTotals {
        let Shared { counts, open, refused, .. } = &*self.0;
        EgressTotals {
            bytes_up: counts.up.load(Ordering::Relaxed),
            bytes_down: counts.down.load(Ordering::Relaxed),
            connections: counts.connections.load(Ordering::Relaxed),
            open_connections: open.load(Ordering::Relaxed),
            refused: refused.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// The hosts with the most bytes, that with the most first.
    pub fn top_hosts(&self, count: usize) -> Vec<HostTraffic> {
        let hosts = self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hosts: Vec<HostTraffic> = hosts
            .iter()
            .map(|(host, counts)| HostTraffic {
                host: host.to_string(),
                connections: counts.connections.load(Ordering::Relaxed),
                bytes_up: counts.up.load(Ordering::Relaxed),
                bytes_down: counts.down.load(Ordering::Relaxed),
            })
            .collect();
        hosts.sort_unstable_by(|one, other| {
            let bytes = |host: &HostTraffic| host.bytes_up + host.bytes_down;
            bytes(other).cmp(&bytes(one)).then_with(|| one.host.cmp(&other.host))
        });
        hosts.truncate(count);
        hosts
    }
}

/// The traffic of one open connection.
pub(crate) struct ConnectionTraffic {
    session: Traffic,
    host: Arc<Counts>,
}

impl ConnectionTraffic {
    /// Counts bytes that the browser sent.
    pub fn up(&self, bytes: u64) {
        self.session.0.counts.up.fetch_add(bytes, Ordering::Relaxed);
        self.host.up.fetch_add(bytes, Ordering::Relaxed);
        if let Some(metrics) = &self.session.0.metrics {
            metrics.up.inc_by(bytes);
        }
    }

    /// Counts bytes that the browser received.
    pub fn down(&self, bytes: u64) {
        self.session.0.counts.down.fetch_add(bytes, Ordering::Relaxed);
        self.host.down.fetch_add(bytes, Ordering::Relaxed);
        if let Some(metrics) = &self.session.0.metrics {
            metrics.down.inc_by(bytes);
        }
    }
}

impl Drop for ConnectionTraffic {
    fn drop(&mut self) {
        self.session.0.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(metrics) = &self.session.0.metrics {
            metrics.open.dec();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_counted_for_the_session_and_its_hosts() {
        let traffic = Traffic::default();
        let one = traffic.connection("a.example");
        one.up(10);
        one.down(100);
        let two = traffic.connection("b.example");
        two.down(1000);
        drop(one);
        traffic.refuse(Refusal::Fleet);
        traffic.refuse(Refusal::Fleet);
        let totals = traffic.totals();
        assert_eq!((totals.bytes_up, totals.bytes_down), (10, 1100));
        assert_eq!((totals.connections, totals.open_connections), (2, 1));
        assert_eq!(totals.refused, BTreeMap::from([("fleet".to_owned(), 2)]));
        let hosts = traffic.top_hosts(10);
        assert_eq!(hosts[0].host, "b.example");
        assert_eq!(
            hosts[1],
            HostTraffic { host: "a.example".into(), connections: 1, bytes_up: 10, bytes_down: 100 }
        );
        assert_eq!(traffic.top_hosts(1).len(), 1);
        assert_eq!(Traffic::reported(totals.clone()).totals(), totals);
    }

    #[test]
    fn the_number_of_hosts_is_bounded_and_the_busiest_are_kept() {
        let traffic = Traffic::default();
        traffic.connection("busy.example").down(1);
        for host in 0..2 * MOST_HOSTS {
            traffic.connection(&format!("{host}.example"));
        }
        assert_eq!(traffic.0.hosts.lock().unwrap().len(), MOST_HOSTS);
        assert_eq!(traffic.top_hosts(1)[0].host, "busy.example");
    }
}
