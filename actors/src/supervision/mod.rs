//! Supervision: who ended, why, and whether it comes back.
//!
//! `actix::Supervisor` restarts at once and for ever, keeps the broken struct, and does not survive a panic.
//! Here a parent owns the decision. Each child carries a [`Lifeline`] that reports its end as [`ChildExited`],
//! on a clean stop, a failure and a panic alike; the parent keeps [`Children`], which answers with a [`Verdict`];
//! [`Intensity`] and [`Backoff`] bound how often and how soon. Past the window the parent fails in turn. [`supervise`]
//! does this for every parent that is a [`Supervisor`].

mod children;
mod exit;
mod intensity;
pub(crate) mod part;
mod pulse;
mod supervise;

pub use children::{ChildSpec, Children, RestartPolicy, Verdict};
pub use exit::{ChildExited, ExitReason, Generation, Lifeline, install_panic_hook};
pub use intensity::{Backoff, Intensity, RestartWindow};
pub use pulse::{Beat, Pulse, PulseSettings};
pub(crate) use supervise::{Supervisor, start_child, supervise};

#[cfg(test)]
mod tests;
