//! The states of a session as a pure state machine, in which each state carries its data.

use camofleet_api::session::Status;

/// A transition that is not allowed in the current state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a session that is {from} can't become {to}")]
pub struct IllegalTransition {
    /// The current state.
    pub from: Status,
    /// The requested state.
    pub to: Status,
}

/// A state, with its data: `L` while the session launches, `R` once it is ready, `E` from its end on.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase<L, R, E> {
    Init(L),
    Ready(R),
    Ending { end: E, dead: bool },
}

impl<L, R, E> Phase<L, R, E> {
    fn status(&self) -> Status {
        match self {
            Self::Init(_) => Status::Init,
            Self::Ready(_) => Status::Ready,
            Self::Ending { dead: false, .. } => Status::Terminating,
            Self::Ending { dead: true, .. } => Status::Dead,
        }
    }
}

/// The state of a session before its end or its restart, with its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before<L, R> {
    /// It was launching.
    Launching(L),
    /// It was ready.
    Ready(R),
}

/// The state of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifecycle<L, R, E> {
    phase: Phase<L, R, E>,
    restarts: u32,
}

impl<L, R, E> Lifecycle<L, R, E> {
    /// A session that launches for the first time.
    pub fn new(launching: L) -> Self {
        Self { phase: Phase::Init(launching), restarts: 0 }
    }

    /// The current status.
    pub fn status(&self) -> Status {
        self.phase.status()
    }

    /// How often it was restarted after a crash.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// The launch in progress, while the session is INIT.
    pub fn launching(&self) -> Option<&L> {
        match &self.phase {
            Phase::Init(launching) => Some(launching),
            _ => None,
        }
    }

    /// Mutable access to [`Self::launching`].
    pub fn launching_mut(&mut self) -> Option<&mut L> {
        match &mut self.phase {
            Phase::Init(launching) => Some(launching),
            _ => None,
        }
    }

    /// The session's parts, while it is READY.
    pub fn ready(&self) -> Option<&R> {
        match &self.phase {
            Phase::Ready(parts) => Some(parts),
            _ => None,
        }
    }

    /// The session's end, once it has begun.
    pub fn end(&self) -> Option<&E> {
        match &self.phase {
            Phase::Ending { end, .. } => Some(end),
            _ => None,
        }
    }

    /// Mutable access to [`Self::end`].
    pub fn end_mut(&mut self) -> Option<&mut E> {
        match &mut self.phase {
            Phase::Ending { end, .. } => Some(end),
            _ => None,
        }
    }

    /// The launch has succeeded: INIT → READY. Returns the data of the launch.
    ///
    /// # Errors
    /// From any other state; the parts are dropped then.
    pub fn launched(&mut self, parts: R) -> Result<L, IllegalTransition> {
        match std::mem::replace(&mut self.phase, Phase::Ready(parts)) {
            Phase::Init(launching) => Ok(launching),
            other => Err(self.restore(other, Status::Ready)),
        }
    }

    /// Another launch begins after a crash: READY → INIT, or INIT → INIT if the previous launch failed.
    ///
    /// # Errors
    /// The session is ending or has ended.
    pub fn restart(&mut self, launching: L) -> Result<Before<L, R>, IllegalTransition> {
        let before = self.leave(Phase::Init(launching))?;
        self.restarts += 1;
        Ok(before)
    }

    /// The end begins: INIT or READY → TERMINATING.
    ///
    /// # Errors
    /// The end has begun already.
    pub fn terminate(&mut self, end: E) -> Result<Before<L, R>, IllegalTransition> {
        self.leave(Phase::Ending { end, dead: false })
    }

    /// The end is complete: TERMINATING → DEAD.
    ///
    /// # Errors
    /// From any other state.
    pub fn dead(&mut self) -> Result<(), IllegalTransition> {
        match &mut self.phase {
            Phase::Ending { dead: dead @ false, .. } => {
                *dead = true;
                Ok(())
            }
            other => Err(IllegalTransition { from: other.status(), to: Status::Dead }),
        }
    }

    /// Leaves INIT or READY.
    fn leave(&mut self, next: Phase<L, R, E>) -> Result<Before<L, R>, IllegalTransition> {
        let to = next.status();
        match std::mem::replace(&mut self.phase, next) {
            Phase::Init(launching) => Ok(Before::Launching(launching)),
            Phase::Ready(parts) => Ok(Before::Ready(parts)),
            other => Err(self.restore(other, to)),
        }
    }

    /// Restores the state after a transition that is not allowed.
    fn restore(&mut self, phase: Phase<L, R, E>, to: Status) -> IllegalTransition {
        let from = phase.status();
        self.phase = phase;
        IllegalTransition { from, to }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Life = Lifecycle<(), (), ()>;
    type Transition = fn(&mut Life) -> Result<(), IllegalTransition>;

    const TRANSITIONS: [(&str, Transition, &[Status], Status); 4] = [
        ("launched", |life| life.launched(()), &[Status::Init], Status::Ready),
        ("restart", |life| life.restart(()).map(drop), &[Status::Init, Status::Ready], Status::Init),
        (
            "terminate",
            |life| life.terminate(()).map(drop),
            &[Status::Init, Status::Ready],
            Status::Terminating,
        ),
        ("dead", Life::dead, &[Status::Terminating], Status::Dead),
    ];

    fn at(status: Status) -> Life {
        let phase = match status {
            Status::Init => Phase::Init(()),
            Status::Ready => Phase::Ready(()),
            Status::Terminating | Status::Dead => Phase::Ending { end: (), dead: status == Status::Dead },
        };
        Lifecycle { phase, restarts: 0 }
    }

    #[test]
    fn every_transition_is_allowed_from_its_states_and_refused_from_all_others() {
        for (name, make, allowed, to) in TRANSITIONS {
            for from in Status::ALL {
                let mut life = at(from);
                let expected =
                    if allowed.contains(&from) { Ok(()) } else { Err(IllegalTransition { from, to }) };
                assert_eq!(make(&mut life), expected, "{name} from {from}");
                let status = if expected.is_ok() { to } else { from };
                assert_eq!(life.status(), status, "{name} from {from} must leave {status}");
            }
        }
    }

    #[test]
    fn only_restarts_that_happen_are_counted() {
        let mut life = Life::new(());
        life.launched(()).unwrap();
        life.restart(()).unwrap();
        life.restart(()).unwrap();
        life.terminate(()).unwrap();
        assert!(life.restart(()).is_err());
        assert_eq!(life.restarts(), 2);
    }

    #[test]
    fn the_data_of_a_state_is_available_in_it_and_returned_when_it_is_left() {
        let mut life = Lifecycle::new("launch 1");
        assert_eq!((life.launching(), life.ready(), life.end()), (Some(&"launch 1"), None, None));
        assert_eq!(life.launched("parts"), Ok("launch 1"));
        assert_eq!((life.launching(), life.ready(), life.end()), (None, Some(&"parts"), None));
        assert_eq!(life.restart("launch 2"), Ok(Before::Ready("parts")));
        assert_eq!(life.terminate("end"), Ok(Before::Launching("launch 2")));
        assert!(life.launched("too late").is_err());
        life.dead().unwrap();
        assert_eq!((life.launching(), life.ready(), life.end()), (None, None, Some(&"end")));
    }
}
