//! The commands that send requests to a running camofleet: `health` for health checks, and `drain` before it is stopped.

use std::env::VarError;
use std::process::ExitCode;
use std::time::Duration;

use actix::System;
use camofleet_actors::probe::{self, Address, ProbeFailure};
use url::Url;

use crate::settings::EXIT_BAD_SETTINGS;

/// It is not healthy, or did not answer.
const EXIT_UNHEALTHY: u8 = 1;
/// There were still sessions after all had been ended (sysexits' `EX_TEMPFAIL`).
const EXIT_STILL_BUSY: u8 = 75;

/// A request to a running camofleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Where its API is.
    pub url: Url,
    /// The environment variable with its access token: on the command line every user of this machine could read the token.
    pub token_env: Option<String>,
    /// What is requested.
    pub question: Question,
}

/// What is requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Whether it is healthy.
    Health {
        /// Any answer counts.
        alive: bool,
    },
    /// That a worker or a runner takes no more sessions, and when its last one has ended.
    Drain {
        /// How long to wait before the sessions that are left are ended.
        limit: Duration,
    },
}

/// The token in an environment variable.
fn token_of(name: &str) -> Result<String, String> {
    let unusable = match std::env::var(name) {
        Ok(token) if !token.is_empty() => return Ok(token),
        Ok(_) => "is empty",
        Err(VarError::NotPresent) => "is not set",
        Err(VarError::NotUnicode(_)) => "is not valid UTF-8",
    };
    Err(format!("--token-env names {name}, which {unusable}"))
}

/// Sends the request, and prints one line if something is wrong.
pub fn run(Probe { url, token_env, question }: &Probe) -> ExitCode {
    let token = match token_env.as_deref().map(token_of).transpose() {
        Ok(token) => token,
        Err(text) => return super::complain(&text, EXIT_BAD_SETTINGS),
    };
    let address = Address { url: url.clone(), token };
    let outcome = System::new().block_on(async {
        match question {
            Question::Health { alive } => probe::health(&address, *alive).await.map(|()| None),
            Question::Drain { limit } => {
                let ended = probe::drain(&address, *limit).await?;
                let ended_line = || {
                    format!(
                        "{url} had {} left after {} s, which were ended",
                        probe::count(ended),
                        limit.as_secs()
                    )
                };
                Ok((ended > 0).then(ended_line))
            }
        }
    });
    match outcome {
        Ok(None) => ExitCode::SUCCESS,
        // Not an error, but worth a line in the log of a hook.
        Ok(Some(text)) => super::complain(&text, 0),
        Err(ProbeFailure::NotWell(text)) => super::complain(&text, EXIT_UNHEALTHY),
        Err(ProbeFailure::StillBusy(text)) => super::complain(&text, EXIT_STILL_BUSY),
    }
}
