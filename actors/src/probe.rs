//! Asks a running camofleet, from outside: whether it is well, and to finish what it has begun.

use std::time::Duration;

use awc::http::Method;
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use crate::error::with_sources;
use crate::tls;

/// How long one answer may take: less than a container engine waits for a health check.
const ANSWER: Duration = Duration::from_secs(4);
/// How often a camofleet that drains is asked whether it is done.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// The longest answer that is read, in bytes: the health of a control with some thousand workers.
const ANSWER_LIMIT: usize = 16 << 20;

/// Why it is not as it should be, in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeFailure {
    /// It does not answer, or says that it is not well.
    NotWell(String),
    /// There were still sessions when the time was up.
    StillBusy(String),
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

/// Whether the camofleet whose API is at `url` is well; with `alive` any answer will do.
///
/// # Errors
/// [`ProbeFailure::NotWell`].
pub async fn health(url: &Url, alive: bool) -> Result<(), ProbeFailure> {
    let health = ask(url, Method::GET, "/health").await?;
    if alive || health.status == "ok" {
        return Ok(());
    }
    let sick = health.workers.iter().filter(|worker| !worker.healthy).map(|worker| worker.name.as_str());
    let sick: Vec<&str> = sick.chain(health.failing.iter().map(String::as_str)).collect();
    let what = if sick.is_empty() { "it has no worker".to_owned() } else { sick.join(", ") };
    Err(ProbeFailure::NotWell(format!("{url} is {}: {what}", health.status)))
}

/// Takes the worker or runner whose API is at `url` out of service, and waits until its last session has ended.
///
/// # Errors
/// [`ProbeFailure::StillBusy`] when that takes longer than `limit`, and [`ProbeFailure::NotWell`].
pub async fn drain(url: &Url, limit: Duration) -> Result<(), ProbeFailure> {
    let deadline = Instant::now() + limit;
    let mut health = ask(url, Method::POST, "/drain").await?;
    loop {
        let Some(Facts { sessions }) = health.facts else {
            let text = format!("{url} does not tell its sessions: name a worker or a runner");
            return Err(ProbeFailure::NotWell(text));
        };
        if sessions == 0 {
            return Ok(());
        }
        if Instant::now() + ASK_EVERY > deadline {
            let what = if sessions == 1 { "session" } else { "sessions" };
            let text = format!("{url} still has {sessions} {what} after {} s", limit.as_secs());
            return Err(ProbeFailure::StillBusy(text));
        }
        sleep(ASK_EVERY).await;
        health = ask(url, Method::GET, "/health").await?;
    }
}

async fn ask(url: &Url, method: Method, path: &str) -> Result<Health, ProbeFailure> {
    let at = format!("{}{path}", url.as_str().trim_end_matches('/'));
    let answered = match timeout(ANSWER, call(method, &at)).await {
        Ok(answered) => answered,
        Err(_) => Err(format!("{at} did not answer within {} s", ANSWER.as_secs())),
    };
    answered.map_err(ProbeFailure::NotWell)
}

async fn call(method: Method, at: &str) -> Result<Health, String> {
    let connector = awc::Connector::new().timeout(ANSWER);
    let connector =
        if at.starts_with("https:") { connector.rustls_0_23(tls::client_config()) } else { connector };
    let client = awc::Client::builder().connector(connector).disable_timeout().finish();
    let unanswered = |error| format!("{at} does not answer: {}", with_sources(&error));
    let mut answer = client.request(method, at).send().await.map_err(unanswered)?;
    let status = answer.status();
    let body = answer.body().limit(ANSWER_LIMIT).await.map_err(|error| format!("{at} broke off: {error}"))?;
    if !status.is_success() {
        return Err(format!("{at} answered {status}: {}", String::from_utf8_lossy(&body)));
    }
    serde_json::from_slice(&body).map_err(|_| format!("{at} is no camofleet: its answer is no health"))
}
