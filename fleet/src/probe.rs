//! The commands that ask a running camofleet: `health`, for health checks, and `drain`, for whoever is about to stop it.

use std::process::ExitCode;
use std::time::Duration;

use actix::System;
use camofleet_actors::probe::{self, ProbeFailure};
use url::Url;

/// It was asked, and it is not as it should be.
const EXIT_NOT_WELL: u8 = 1;
/// There were still sessions when the time was up (sysexits' `EX_TEMPFAIL`).
const EXIT_STILL_BUSY: u8 = 75;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// Is it well?
    Health {
        /// Where its API is.
        url: Url,
        /// Any answer will do.
        alive: bool,
    },
    /// Take no more sessions; is the last one gone?
    Drain {
        /// Where its API is: a worker's or a runner's.
        url: Url,
        /// How long to wait for that.
        limit: Duration,
    },
}

/// Asks, and says in one line what is not as it should be.
pub fn run(asked: &Probe) -> ExitCode {
    let outcome = System::new().block_on(async {
        match asked {
            Probe::Health { url, alive } => probe::health(url, *alive).await,
            Probe::Drain { url, limit } => probe::drain(url, *limit).await,
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(ProbeFailure::NotWell(text)) => super::complain(&text, EXIT_NOT_WELL),
        Err(ProbeFailure::StillBusy(text)) => super::complain(&text, EXIT_STILL_BUSY),
    }
}
