//! The life of a session as a pure state machine.

use camofleet_api::session::Status;

/// Something that was asked of a session in a state that does not allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a session that is {from} can't become {to}")]
pub struct IllegalMove {
    /// The state it is in.
    pub from: Status,
    /// The state that was wanted.
    pub to: Status,
}

/// The state of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifecycle {
    status: Status,
    restarts: u32,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

impl Lifecycle {
    /// A session that was just asked for.
    pub fn new() -> Self {
        Self { status: Status::Init, restarts: 0 }
    }

    /// Where it stands.
    pub fn status(&self) -> Status {
        self.status
    }

    /// How often it was built anew after a crash.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    fn go(&mut self, from: &[Status], to: Status) -> Result<(), IllegalMove> {
        if !from.contains(&self.status) {
            return Err(IllegalMove { from: self.status, to });
        }
        self.status = to;
        Ok(())
    }

    /// Its parts are up: INIT → READY.
    ///
    /// # Errors
    /// From any other state.
    pub fn launched(&mut self) -> Result<(), IllegalMove> {
        self.go(&[Status::Init], Status::Ready)
    }

    /// A part broke and is built anew: READY → INIT, or INIT again when the new one broke too.
    ///
    /// # Errors
    /// When it is ending or ended.
    pub fn restart(&mut self) -> Result<(), IllegalMove> {
        self.go(&[Status::Ready, Status::Init], Status::Init)?;
        self.restarts += 1;
        Ok(())
    }

    /// Its end begins: INIT or READY → TERMINATING.
    ///
    /// # Errors
    /// When it began before.
    pub fn terminate(&mut self) -> Result<(), IllegalMove> {
        self.go(&[Status::Init, Status::Ready], Status::Terminating)
    }

    /// Nothing is left: TERMINATING → DEAD.
    ///
    /// # Errors
    /// From any other state.
    pub fn dead(&mut self) -> Result<(), IllegalMove> {
        self.go(&[Status::Terminating], Status::Dead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Move = fn(&mut Lifecycle) -> Result<(), IllegalMove>;

    const MOVES: [(&str, Move, &[Status], Status); 4] = [
        ("launched", Lifecycle::launched, &[Status::Init], Status::Ready),
        ("restart", Lifecycle::restart, &[Status::Init, Status::Ready], Status::Init),
        ("terminate", Lifecycle::terminate, &[Status::Init, Status::Ready], Status::Terminating),
        ("dead", Lifecycle::dead, &[Status::Terminating], Status::Dead),
    ];

    #[test]
    fn every_move_is_allowed_from_its_states_and_refused_from_all_others() {
        for (name, make, allowed, to) in MOVES {
            for from in Status::ALL {
                let mut life = Lifecycle { status: from, restarts: 0 };
                let expected = if allowed.contains(&from) { Ok(()) } else { Err(IllegalMove { from, to }) };
                assert_eq!(make(&mut life), expected, "{name} from {from}");
                let status = if expected.is_ok() { to } else { from };
                assert_eq!(life.status(), status, "{name} from {from} must leave {status}");
            }
        }
    }

    #[test]
    fn only_restarts_that_happen_are_counted() {
        let mut life = Lifecycle::new();
        life.launched().unwrap();
        life.restart().unwrap();
        life.restart().unwrap();
        life.terminate().unwrap();
        assert!(life.restart().is_err());
        assert_eq!(life.restarts(), 2);
    }
}
