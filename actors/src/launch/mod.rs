//! Launching browsers: on request, and ahead of need.

mod browser;
pub(crate) mod launched;
pub(crate) mod launcher;
mod policies;
pub mod prewarm;

pub use launcher::{LaunchSettings, NetworkSwitches, QueueSettings};
