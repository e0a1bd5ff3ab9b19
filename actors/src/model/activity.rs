//! The time of a session's last activity.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// The time of last activity: set by relays with every piece of traffic, read by the session when its idle timer fires.
///
/// Recording activity is one store into an atomic, because a message for every frame would be too expensive. Clones share
/// the clock.
#[derive(Debug, Clone)]
pub struct ActivityClock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    born: Instant,
    born_at: Timestamp,
    /// Microseconds from `born` to the last activity: the resolution in which other machines report it.
    last: AtomicU64,
}

impl Default for ActivityClock {
    fn default() -> Self {
        Self::new()
    }
}

impl ActivityClock {
    /// A clock whose last activity is now.
    pub fn new() -> Self {
        let inner = Inner { born: Instant::now(), born_at: Timestamp::now(), last: AtomicU64::new(0) };
        Self(Arc::new(inner))
    }

    /// The clock of a session on another machine, from the times that the machine reports.
    pub fn observed(born_at: Timestamp, last_seen_at: Timestamp) -> Self {
        let age = Timestamp::now().duration_since(born_at);
        let born = Duration::try_from(age).ok().and_then(|age| Instant::now().checked_sub(age));
        let last = u64::try_from(last_seen_at.duration_since(born_at).as_micros()).unwrap_or(0);
        Self(Arc::new(Inner { born: born.unwrap_or_else(Instant::now), born_at, last: AtomicU64::new(last) }))
    }

    /// Records activity now.
    pub fn touch(&self) {
        let micros = u64::try_from(self.0.born.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.0.last.fetch_max(micros, Ordering::Relaxed);
    }

    /// The time of last activity, on the clock of timers.
    pub fn last_seen(&self) -> Instant {
        self.0.born + self.since_birth()
    }

    /// The time of last activity, as wall-clock time.
    pub fn last_seen_at(&self) -> Timestamp {
        // A time past the end of the calendar can't be represented anyway.
        self.0.born_at.checked_add(self.since_birth()).unwrap_or(Timestamp::MAX)
    }

    /// When the clock was created, as wall-clock time.
    pub fn born_at(&self) -> Timestamp {
        self.0.born_at
    }

    fn since_birth(&self) -> Duration {
        Duration::from_micros(self.0.last.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_touch_moves_both_readings_by_the_time_that_passed() {
        let clock = ActivityClock::new();
        let born = clock.last_seen();
        tokio::time::advance(Duration::from_millis(1500)).await;
        assert_eq!(clock.last_seen(), born, "time alone is no activity");
        clock.clone().touch();
        assert_eq!(clock.last_seen() - born, Duration::from_millis(1500));
        assert_eq!(clock.last_seen_at().duration_since(clock.born_at()).as_millis(), 1500);
    }
    #[test]
    fn times_reported_by_another_machine_are_kept_to_the_microsecond() {
        let [born, seen]: [Timestamp; 2] =
            ["2026-01-31T12:00:00.123456Z", "2026-01-31T12:00:30Z"].map(|time| time.parse().unwrap());
        assert_eq!(ActivityClock::observed(born, seen).last_seen_at(), seen);
    }
}
