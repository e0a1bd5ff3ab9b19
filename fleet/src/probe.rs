//! The commands that ask a running camofleet: `health`, for health checks, and `drain`, for whoever is about to stop it.

use std::process::ExitCode;
use std::time::Duration;

use actix::System;
use awc::http::Method;
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout};
use url::Url;

/// It was asked, and it is not as it should be.
const EXIT_NOT_WELL: u8 = 1;
/// There were still sessions when the time was up (sysexits' `EX_TEMPFAIL`).
const EXIT_STILL_BUSY: u8 = 75;
/// How long one answer may take: less than a container engine waits for a health check.
const ANSWER: Duration = Duration::from_secs(4);
/// How often a camofleet that drains is asked whether it is done.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// The longest answer that is read, in bytes: the health of a control with some thousand workers.
const ANSWER_LIMIT: usize = 16 << 20;

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
pub fn run(probe: &Probe) -> ExitCode {
    let outcome = System::new().block_on(async {
        match probe {
            Probe::Health { url, alive } => health(url, *alive).await,
            Probe::Drain { url, limit } => drain(url, *limit).await,
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err((status, text)) => super::complain(&text, status),
    }
}

/// What the health of any role has.
#[derive(Deserialize)]
struct Health {
    status: String,
    /// A control's.
    #[serde(default)]
    workers: Vec<Worker>,
    /// Everybody else's.
    #[serde(default)]
    failing: Vec<String>,
    #[serde(default)]
    facts: Option<Facts>,
}

#[derive(Deserialize)]
struct Worker {
    name: String,
    healthy: bool,
}

#[derive(Deserialize)]
struct Facts {
    sessions: usize,
}

type Outcome = Result<(), (u8, String)>;

async fn health(url: &Url, alive: bool) -> Outcome {
    let health = ask(url, Method::GET, "/health").await.map_err(|why| (EXIT_NOT_WELL, why))?;
    if alive || health.status == "ok" {
        return Ok(());
    }
    let sick = health.workers.iter().filter(|worker| !worker.healthy).map(|worker| worker.name.as_str());
    let sick: Vec<&str> = sick.chain(health.failing.iter().map(String::as_str)).collect();
    let what = if sick.is_empty() { "it has no worker".to_owned() } else { sick.join(", ") };
    Err((EXIT_NOT_WELL, format!("{url} is {}: {what}", health.status)))
}

async fn drain(url: &Url, limit: Duration) -> Outcome {
    let deadline = Instant::now() + limit;
    let mut asked = ask(url, Method::POST, "/drain").await.map_err(|why| (EXIT_NOT_WELL, why));
    loop {
        match asked.map(|health| health.facts.map(|facts| facts.sessions)) {
            Ok(Some(0)) => return Ok(()),
            Ok(Some(sessions)) if Instant::now() + ASK_EVERY > deadline => {
                let what = if sessions == 1 { "session" } else { "sessions" };
                let text = format!("{url} still has {sessions} {what} after {} s", limit.as_secs());
                return Err((EXIT_STILL_BUSY, text));
            }
            Ok(Some(_)) => {}
            Ok(None) => {
                return Err((
                    EXIT_NOT_WELL,
                    format!("{url} does not tell its sessions: name a worker or a runner"),
                ));
            }
            Err(failure) => return Err(failure),
        }
        sleep(ASK_EVERY).await;
        asked = ask(url, Method::GET, "/health").await.map_err(|why| (EXIT_NOT_WELL, why));
    }
}

async fn ask(url: &Url, method: Method, path: &str) -> Result<Health, String> {
    let at = format!("{}{path}", url.as_str().trim_end_matches('/'));
    let client = awc::Client::builder().disable_timeout().finish();
    let asked = async {
        let mut answer = client
            .request(method, &at)
            .send()
            .await
            .map_err(|error| format!("{at} does not answer: {error}"))?;
        let status = answer.status();
        let body =
            answer.body().limit(ANSWER_LIMIT).await.map_err(|error| format!("{at} broke off: {error}"))?;
        if !status.is_success() {
            return Err(format!("{at} answered {status}: {}", String::from_utf8_lossy(&body)));
        }
        serde_json::from_slice(&body).map_err(|_| format!("{at} is no camofleet: its answer is no health"))
    };
    timeout(ANSWER, asked)
        .await
        .unwrap_or_else(|_| Err(format!("{at} did not answer within {} s", ANSWER.as_secs())))
}
