//! The commands that ask a running camofleet: `health`, for health checks, and `drain`, for whoever is about to stop it.

use std::process::ExitCode;
use std::time::Duration;

use actix::System;
use camofleet_actors::probe::{self, Address, ProbeFailure};
use url::Url;

use crate::settings::EXIT_BAD_SETTINGS;

/// It was asked, and it is not as it should be.
const EXIT_NOT_WELL: u8 = 1;
/// There were still sessions although they were told to end (sysexits' `EX_TEMPFAIL`).
const EXIT_STILL_BUSY: u8 = 75;

/// What is asked, and whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Where its API is.
    pub url: Url,
    /// The environment variable with its access token: on the command line everybody on this machine could read it.
    pub token_env: Option<String>,
    /// What is asked.
    pub question: Question,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Is it well?
    Health {
        /// Any answer will do.
        alive: bool,
    },
    /// Of a worker or a runner: take no more sessions; is the last one gone?
    Drain {
        /// How long to wait for that before the rest of them is ended.
        limit: Duration,
    },
}

/// Asks, and says in one line what is not as it should be.
pub fn run(Probe { url, token_env, question }: &Probe) -> ExitCode {
    let token = match token_env.as_deref().map(|name| (name, std::env::var(name))) {
        None => None,
        Some((_, Ok(token))) if !token.is_empty() => Some(token),
        Some((name, _)) => {
            return super::complain(
                &format!("--token-env names {name}, which is not set"),
                EXIT_BAD_SETTINGS,
            );
        }
    };
    let address = Address { url: url.clone(), token };
    let outcome = System::new().block_on(async {
        match question {
            Question::Health { alive } => probe::health(&address, *alive).await.map(|()| None),
            Question::Drain { limit } => {
                let ended = probe::drain(&address, *limit).await?;
                let had = || {
                    format!(
                        "{url} had {} left after {} s, which were ended",
                        probe::count(ended),
                        limit.as_secs()
                    )
                };
                Ok((ended > 0).then(had))
            }
        }
    });
    match outcome {
        Ok(None) => ExitCode::SUCCESS,
        // Nothing has gone wrong: whoever reads the log of a hook is to know.
        Ok(Some(text)) => super::complain(&text, 0),
        Err(ProbeFailure::NotWell(text)) => super::complain(&text, EXIT_NOT_WELL),
        Err(ProbeFailure::StillBusy(text)) => super::complain(&text, EXIT_STILL_BUSY),
    }
}
