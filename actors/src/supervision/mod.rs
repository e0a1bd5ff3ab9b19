//! Supervision: how parents are notified of the ends of their children, and restart them.
//!
//! `actix::Supervisor` restarts immediately and without limit, keeps the broken struct, and does not survive a panic.
//! Here the parent decides. Each child owns a [`Lifeline`] that reports its end as [`ChildExited`], whether it stopped,
//! failed or panicked. The parent keeps its children in [`Children`], which returns a [`Verdict`]; [`Intensity`] and
//! [`Backoff`] limit how often and how soon a child is restarted. Beyond that limit the parent fails in turn.
//! `supervise` does this for every parent that is a `Supervisor`.

mod children;
mod exit;
mod intensity;
mod line_process;
pub(crate) mod part;
mod pulse;
mod supervise;

pub use children::{ChildSpec, Children, RestartPolicy, Verdict};
pub use exit::{ChildExited, ExitReason, Generation, Lifeline, install_panic_hook};
pub(crate) use intensity::delay_text;
pub use intensity::{Backoff, Intensity, RestartWindow};
pub(crate) use line_process::{LineProcess, NotSent, SpeaksLines};
pub use pulse::{Beat, Pulse, PulseSettings};
pub(crate) use supervise::{Supervisor, start_child, supervise};

#[cfg(test)]
mod tests;
