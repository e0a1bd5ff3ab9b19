//! Whether another machine answers: the breaker of a remote worker. Pure.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::supervision::Backoff;

/// So many failures in a row open the breaker: one lost answer is no outage.
const TOLERATED: usize = 2;
/// How long the last known sessions of a worker that does not answer are shown.
pub(super) const MEMORY: Duration = Duration::from_secs(60);
/// Waits between the probes of a worker that does not answer. The longest keeps a recovery within a few seconds.
const PROBES: Backoff = Backoff { first: Duration::from_millis(250), longest: Duration::from_secs(5) };

/// The state of the contact with one machine. The breaker is open while [`Self::outage`] tells why; then the only call
/// that is made is one probe after each wait.
#[derive(Debug, Default)]
pub(super) struct Contact {
    failures: usize,
    last_error: Option<String>,
    last_answer: Option<(Instant, Timestamp)>,
}

impl Contact {
    /// It answered.
    pub fn answered(&mut self, now: Instant, at: Timestamp) {
        *self = Self { failures: 0, last_error: None, last_answer: Some((now, at)) };
    }

    /// When it last did.
    pub fn last_answer(&self) -> Option<Timestamp> {
        self.last_answer.map(|(_, at)| at)
    }

    /// It did not.
    pub fn failed(&mut self, error: String) {
        self.failures += 1;
        self.last_error = Some(error);
    }

    /// Why no calls are made, while none are: it failed too often, or has never answered.
    pub fn outage(&self) -> Option<String> {
        let open = self.failures >= TOLERATED || self.last_answer.is_none();
        open.then(|| self.last_error.clone().unwrap_or_else(|| "it has not answered yet".to_owned()))
    }

    /// Whether what was last known of it is too old to be shown.
    pub fn forgotten(&self, now: Instant) -> bool {
        self.last_answer.is_none_or(|(last, _)| now.duration_since(last) >= MEMORY)
    }

    /// How long to wait before it is asked again: the interval, more or less by a tenth so that many controls don't ask
    /// in step; after failures the breaker's wait. `chance` is in `0.0..1.0`.
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
    async fn one_failure_is_forgiven_and_the_second_opens_the_breaker_until_an_answer() {
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
    async fn probes_come_soon_at_first_and_then_ever_later() {
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
    async fn what_is_known_is_remembered_for_a_minute() {
        let mut contact = Contact::default();
        assert!(contact.forgotten(Instant::now()));
        contact.answered(Instant::now(), NOON);
        tokio::time::advance(MEMORY - Duration::from_secs(1)).await;
        assert!(!contact.forgotten(Instant::now()));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(contact.forgotten(Instant::now()));
    }
}
