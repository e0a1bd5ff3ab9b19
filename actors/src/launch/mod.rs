//! Launches browsers, on request and in advance.

mod browser;
pub(crate) mod coherence;
mod identity;
pub(crate) mod launched;
pub(crate) mod launcher;
mod policies;
pub mod prewarm;

pub use launcher::{LaunchSettings, NetworkSwitches, QueueSettings};
