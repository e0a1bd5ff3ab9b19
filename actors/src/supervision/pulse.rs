//! The pulse of what can hang: whether it still answers when it is polled.

use std::time::Duration;

/// How often something is polled, and how long it may be silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PulseSettings {
    /// The time between two polls, and the time in which an answer is expected.
    pub interval: Duration,
    /// How long a poll may stay unanswered until what was polled counts as dead.
    pub silence: Duration,
}

/// What a tick of the interval asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// Poll it.
    Poll,
    /// It has not answered within the interval.
    Late,
    /// It has been silent for too long: it hangs.
    Silent,
}

/// Counts in ticks rather than by the clock: after a stop of the whole machine, or of camofleet alone, nothing that
/// was not polled meanwhile counts as silent.
#[derive(Debug)]
pub struct Pulse {
    settings: PulseSettings,
    unanswered: bool,
    ticks: u32,
}

impl Pulse {
    /// The pulse of something that has just shown that it lives.
    pub fn new(settings: PulseSettings) -> Self {
        Self { settings, unanswered: false, ticks: 0 }
    }

    /// The interval has passed once more.
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

    /// It has answered.
    pub fn answered(&mut self) {
        self.unanswered = false;
    }

    /// How long it may be silent.
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
