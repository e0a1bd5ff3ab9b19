//! The circuit breaker of a remote worker: whether its machine answers. Pure, without input and output.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::supervision::Backoff;

/// How many failures in a row open the breaker; a single lost response is not an outage.
const TOLERATED: usize = 2;
/// How long the last known sessions of a worker that does not answer are listed.
pub(super) const MEMORY: Duration = Duration::from_secs(60);
/// Waits between probes of a worker that does not answer; the longest bounds the time until a recovery is noticed.
const PROBES: Backoff = Backoff { first: Duration::from_millis(250), longest: Duration::from_secs(5) };

/// The breaker's state. It is open while [`Self::outage`] returns a reason; then the only calls are probes.
#[derive(Debug, Default)]
pub(super) struct Contact {
    failures: usize,
    last_error: Option<String>,
    last_answer: Option<(Instant, Timestamp)>,
}

impl Contact {
    /// Records a response.
    pub fn answered(&mut self, now: Instant, at: Timestamp) {
        *self = Self { failures: 0, last_error: None, last_answer: Some((now, at)) };
    }

    /// When it last answered.
    pub fn last_answer(&self) -> Option<Timestamp> {
        self.last_answer.map(|(_, at)| at)
    }

    /// Records a failed call.
    pub fn failed(&mut self, error: String) {
        self.failures += 1;
        self.last_error = Some(error);
    }

    /// Why the breaker is open: too many failures, or no response yet. `None` while it is closed.
    pub fn outage(&self) -> Option<String> {
        let open = self.failures >= TOLERATED || self.last_answer.is_none();
        open.then(|| self.last_error.clone().unwrap_or_else(|| "it has not answered yet".to_owned()))
    }

    /// Whether the last known sessions are too old to be listed.
    pub fn forgotten(&self, now: Instant) -> bool {
        self.last_answer.is_none_or(|(last, _)| now.duration_since(last) >= MEMORY)
    }

    /// The wait until the next poll: the interval with a jitter of a tenth, so that several controls don't poll in step, or the
    /// breaker's backoff after failures. `chance` is in `0.0..1.0`.
    pub fn next_poll(&self, interval: Duration, chance: f64) -> Duration {
        match self.failures {
            0 => interval.mul_f64(0.9 + 0.2 * chance),
            failures => PROBES.delay(failures, chance),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::constant(1_769_860_800, 0);

    #[tokio::test(start_paused = true)]
    async fn one_failure_is_tolerated_and_the_second_opens_the_breaker_until_a_response() {
        let mut contact = Contact::default();
        assert_eq!(contact.last_answer(), None);
        assert_eq!(contact.outage().as_deref(), Some("it has not answered yet"));
        contact.answered(Instant::now(), NOON);
        assert_eq!(contact.outage(), None);
        contact.failed("refused".into());
        assert_eq!(contact.outage(), None);
        contact.failed("timed out".into());
        assert_eq!(contact.outage().as_deref(), Some("timed out"));
        assert_eq!(contact.last_answer(), Some(NOON));
        contact.answered(Instant::now(), NOON);
        assert_eq!(contact.outage(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn probes_are_frequent_at_first_and_back_off() {
        let mut contact = Contact::default();
        contact.answered(Instant::now(), NOON);
        let interval = Duration::from_secs(1);
        assert_eq!(contact.next_poll(interval, 0.0), Duration::from_millis(900));
        let waits: Vec<Duration> = (0..8)
            .map(|_| {
                contact.failed(String::new());
                contact.next_poll(interval, 0.0)
            })
            .collect();
        assert!(waits.is_sorted() && waits[0] <= Duration::from_millis(250), "{waits:?}");
        assert_eq!(waits[7], Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn known_sessions_are_kept_for_a_minute() {
        let mut contact = Contact::default();
        assert!(contact.forgotten(Instant::now()));
        contact.answered(Instant::now(), NOON);
        tokio::time::advance(MEMORY - Duration::from_secs(1)).await;
        assert!(!contact.forgotten(Instant::now()));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(contact.forgotten(Instant::now()));
    }
}
