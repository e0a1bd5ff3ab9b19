//! Detects hung processes: whether something still answers when it is polled.

use std::time::Duration;

/// How often something is polled, and how long it may take to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PulseSettings {
    /// The time between two polls, and within which an answer is expected.
    pub interval: Duration,
    /// How long a poll may remain unanswered before what was polled counts as hung.
    pub silence: Duration,
}

/// What to do when the interval has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// Poll it again.
    Poll,
    /// It has not answered within the interval.
    Late,
    /// It has not answered for too long: it hangs.
    Silent,
}

/// Tracks the answers of one polled process. It counts ticks instead of reading the clock, so that nothing counts as
/// hung after the machine or camofleet itself was suspended.
#[derive(Debug)]
pub struct Pulse {
    settings: PulseSettings,
    unanswered: bool,
    ticks: u32,
}

impl Pulse {
    /// The pulse of something that has just answered.
    pub fn new(settings: PulseSettings) -> Self {
        Self { settings, unanswered: false, ticks: 0 }
    }

    /// Records that the interval has passed once more.
    pub fn tick(&mut self) -> Beat {
        if !self.unanswered {
            self.unanswered = true;
            self.ticks = 0;
            return Beat::Poll;
        }
        self.ticks = self.ticks.saturating_add(1);
        if self.settings.interval.saturating_mul(self.ticks) >= self.settings.silence {
            Beat::Silent
        } else {
            Beat::Late
        }
    }

    /// Records an answer.
    pub fn answered(&mut self) {
        self.unanswered = false;
    }

    /// How long a poll may remain unanswered.
    pub fn silence(&self) -> Duration {
        self.settings.silence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulse() -> Pulse {
        Pulse::new(PulseSettings { interval: Duration::from_secs(5), silence: Duration::from_secs(15) })
    }

    #[test]
    fn what_answers_is_polled_on_every_tick() {
        let mut pulse = pulse();
        for _ in 0..100 {
            assert_eq!(pulse.tick(), Beat::Poll);
            pulse.answered();
        }
    }

    #[test]
    fn what_does_not_answer_is_late_and_then_silent() {
        let mut pulse = pulse();
        let beats: Vec<Beat> = (0..4).map(|_| pulse.tick()).collect();
        assert_eq!(beats, [Beat::Poll, Beat::Late, Beat::Late, Beat::Silent]);
    }

    #[test]
    fn a_late_answer_is_an_answer() {
        let mut pulse = pulse();
        for _ in 0..100 {
            assert_eq!([pulse.tick(), pulse.tick(), pulse.tick()], [Beat::Poll, Beat::Late, Beat::Late]);
            pulse.answered();
        }
    }
}
