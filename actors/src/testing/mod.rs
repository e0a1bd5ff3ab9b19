//! The test kit: a machine made of memory, and workers on it. The crates above use the first two.

pub mod fake_os;
#[cfg(test)]
mod panics;
mod settings;
#[cfg(test)]
mod worker;

#[cfg(test)]
pub(crate) use panics::{PanicIn, PanicNow};
pub use settings::worker_settings;
#[cfg(test)]
pub(crate) use worker::*;
