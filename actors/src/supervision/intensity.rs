//! How often a child may be restarted, and after what delay. Pure: the caller passes the time and the random number.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// At most `limit` restarts within any span of `within`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intensity {
    /// How many restarts are allowed.
    pub limit: usize,
    /// The time span in which they are counted.
    pub within: Duration,
}

/// The recent restarts of one child.
#[derive(Debug, Clone)]
pub struct RestartWindow {
    intensity: Intensity,
    restarts: VecDeque<Instant>,
}

impl RestartWindow {
    /// An empty window.
    pub fn new(intensity: Intensity) -> Self {
        Self { intensity, restarts: VecDeque::new() }
    }

    /// Requests one more restart at `now`. `Some(n)`: it is allowed, as number `n` in the window (from 0);
    /// `None`: the window is full and the child should be given up.
    pub fn admit(&mut self, now: Instant) -> Option<usize> {
        while self.restarts.front().is_some_and(|first| now.duration_since(*first) >= self.intensity.within) {
            self.restarts.pop_front();
        }
        if self.restarts.len() >= self.intensity.limit {
            return None;
        }
        self.restarts.push_back(now);
        Some(self.restarts.len() - 1)
    }

    /// The limit that this window enforces.
    pub fn intensity(&self) -> Intensity {
        self.intensity
    }
}

/// The delay before a restart: it doubles with each attempt, up to a limit. Jitter shortens it by up to a quarter, so
/// that children that died together are not restarted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Before the second attempt; the first is immediate.
    pub first: Duration,
    /// The upper limit.
    pub longest: Duration,
}

impl Backoff {
    /// The delay before attempt number `attempt` (from 0); `jitter` is in `0.0..1.0`.
    pub fn delay(&self, attempt: usize, jitter: f64) -> Duration {
        let Some(doublings) = attempt.checked_sub(1) else { return Duration::ZERO };
        let factor = 1u32.checked_shl(u32::try_from(doublings).unwrap_or(u32::MAX)).unwrap_or(u32::MAX);
        let full = self.first.saturating_mul(factor).min(self.longest);
        full.mul_f64(1.0 - 0.25 * jitter.clamp(0.0, 1.0))
    }
}

/// When a restart after this delay happens, for a sentence of the log.
pub(crate) fn delay_text(delay: Duration) -> String {
    if delay.is_zero() { "at once".to_owned() } else { format!("in {:.1} s", delay.as_secs_f32()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Intensity = Intensity { limit: 3, within: Duration::from_secs(300) };

    #[test]
    fn a_window_admits_up_to_its_limit_and_then_gives_up() {
        let mut window = RestartWindow::new(WINDOW);
        let now = Instant::now();
        assert_eq!([(); 4].map(|()| window.admit(now)), [Some(0), Some(1), Some(2), None]);
    }

    #[test]
    fn a_refused_restart_does_not_prolong_the_window() {
        let mut window = RestartWindow::new(WINDOW);
        let start = Instant::now();
        for _ in 0..3 {
            window.admit(start);
        }
        assert_eq!(window.admit(start + Duration::from_secs(299)), None);
        assert_eq!(window.admit(start + Duration::from_secs(300)), Some(0));
    }

    #[test]
    fn restarts_leave_the_window_one_by_one() {
        let mut window = RestartWindow::new(WINDOW);
        let start = Instant::now();
        for minute in 0..3u64 {
            assert!(window.admit(start + Duration::from_secs(60 * minute)).is_some());
        }
        assert_eq!(window.admit(start + Duration::from_secs(301)), Some(2));
        assert_eq!(window.admit(start + Duration::from_secs(302)), None);
    }

    #[test]
    fn a_window_with_limit_zero_admits_nothing() {
        let mut window = RestartWindow::new(Intensity { limit: 0, within: Duration::from_secs(1) });
        assert_eq!(window.admit(Instant::now()), None);
    }

    #[test]
    fn the_first_restart_is_immediate_and_later_ones_double_up_to_the_longest() {
        let backoff = Backoff { first: Duration::from_millis(200), longest: Duration::from_secs(1) };
        let delays: Vec<_> = (0..6).map(|attempt| backoff.delay(attempt, 0.0).as_millis()).collect();
        assert_eq!(delays, [0, 200, 400, 800, 1000, 1000]);
        assert_eq!(
            backoff.delay(usize::MAX, 0.0),
            backoff.longest,
            "a huge attempt number must not overflow"
        );
    }

    #[test]
    fn a_delay_is_read_as_a_person_would_say_it() {
        assert_eq!(delay_text(Duration::ZERO), "at once");
        assert_eq!(delay_text(Duration::from_micros(1_874_213)), "in 1.9 s");
    }

    #[test]
    fn jitter_shortens_a_delay_by_a_quarter_at_most() {
        let backoff = Backoff { first: Duration::from_millis(400), longest: Duration::from_secs(1) };
        assert_eq!(backoff.delay(1, 0.5).as_millis(), 350);
        assert_eq!(backoff.delay(1, 1.0).as_millis(), 300);
    }
}
