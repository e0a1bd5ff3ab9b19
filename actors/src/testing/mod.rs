//! The test kit: a fake machine, and workers on it. Other crates use the first two modules.

pub mod fake_os;
#[cfg(test)]
mod panics;
#[cfg(test)]
mod refusing;
mod settings;
#[cfg(test)]
mod worker;

#[cfg(test)]
pub(crate) use panics::{HangEgress, PanicIn, PanicNow};
#[cfg(test)]
pub(crate) use refusing::refusing_worker;
pub use settings::worker_settings;
#[cfg(test)]
pub(crate) use worker::*;
