//! Asks a running camofleet, from outside: whether it is well, and to finish what it has begun.

use std::time::Duration;

use awc::error::{ConnectError, SendRequestError};
use awc::http::Method;
use camofleet_api::health::{ControlHealth, Health, HealthStatus};
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use crate::model::error::with_sources;
use crate::net::http::HttpClient;

/// How long one answer may take: less than a container engine waits for a health check.
const ANSWER: Duration = Duration::from_secs(4);
/// How often a camofleet that drains is asked whether it is done.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long sessions may take to end when they are told to.
const ENDING: Duration = Duration::from_secs(20);
/// How often in a row it may fail to answer while it drains before that counts.
const TRIES: usize = 2;
/// The longest answer that is read, in bytes: the health of a control with some thousand workers.
const ANSWER_LIMIT: usize = 16 << 20;

/// Why it is not as it should be, in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeFailure {
    /// It does not answer, or says that it is not well.
    NotWell(String),
    /// There were still sessions after they were told to end.
    StillBusy(String),
}

/// Why there was no answer.
#[derive(Debug)]
enum Unanswered {
    /// Nobody listens there.
    Gone(String),
    /// Anything else.
    Failed(String),
}

impl From<Unanswered> for ProbeFailure {
    fn from(unanswered: Unanswered) -> Self {
        let (Unanswered::Gone(text) | Unanswered::Failed(text)) = unanswered;
        Self::NotWell(text)
    }
}

/// Where a camofleet is, and the token that it asks for, if it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Where its API is.
    pub url: Url,
    /// Its access token.
    pub token: Option<String>,
}

/// The health of any role.
#[derive(Deserialize)]
#[serde(untagged)]
enum AnyHealth {
    Control(ControlHealth),
    Host(Box<Health>),
}

impl AnyHealth {
    fn status(&self) -> HealthStatus {
        match self {
            Self::Control(health) => health.status,
            Self::Host(health) => health.status,
        }
    }

    /// The names of the unhealthy workers, or of the checks that fail.
    fn failing(&self) -> Vec<&str> {
        match self {
            Self::Control(health) => {
                let sick = health.workers.iter().filter(|worker| !worker.healthy);
                sick.map(|worker| worker.name.as_str()).collect()
            }
            Self::Host(health) => health.failing.iter().map(String::as_str).collect(),
        }
    }

    /// How many sessions a worker or a runner has.
    fn sessions(&self) -> Option<usize> {
        match self {
            Self::Control(_) => None,
            Self::Host(health) => health.facts.as_ref().map(|facts| facts.sessions),
        }
    }
}

/// Whether a camofleet is well; with `alive` any answer will do.
///
/// # Errors
/// [`ProbeFailure::NotWell`].
pub async fn health(address: &Address, alive: bool) -> Result<(), ProbeFailure> {
    let url = &address.url;
    let health = ask(address, Method::GET, "/health").await?;
    if alive || health.status() == HealthStatus::Ok {
        return Ok(());
    }
    let sick = health.failing();
    let what = if sick.is_empty() { "it has no worker".to_owned() } else { sick.join(", ") };
    Err(ProbeFailure::NotWell(format!("{url} is {}: {what}", health.status().as_str())))
}

/// Takes a worker or a runner out of service, and waits until its last session has ended. When `limit` is over, those that
/// are left are ended: tells how many they were. One that is gone meanwhile has none.
///
/// # Errors
/// [`ProbeFailure::StillBusy`] when sessions don't end although they are told to, and [`ProbeFailure::NotWell`].
pub async fn drain(address: &Address, limit: Duration) -> Result<usize, ProbeFailure> {
    let url = &address.url;
    let deadline = Instant::now() + limit;
    let mut told_to_end: Option<(Instant, usize)> = None;
    let mut failures = 0;
    let mut answer = ask(address, Method::POST, "/drain").await?;
    loop {
        let Some(sessions) = answer.sessions() else {
            let remedy = "name a worker or a runner, and its token if it has one";
            return Err(ProbeFailure::NotWell(format!("{url} does not tell its sessions: {remedy}")));
        };
        if sessions == 0 {
            return Ok(told_to_end.map_or(0, |(_, sessions)| sessions));
        }
        let now = Instant::now();
        let (method, path) = match told_to_end {
            Some((told, _)) if now - told > ENDING => {
                let seconds = ENDING.as_secs();
                let text =
                    format!("{url} still has {} {seconds} s after they were told to end", count(sessions));
                return Err(ProbeFailure::StillBusy(text));
            }
            None if now >= deadline => {
                told_to_end = Some((now, sessions));
                (Method::POST, "/drain?end=true")
            }
            Some(_) => {
                sleep(ASK_EVERY).await;
                (Method::GET, "/health")
            }
            None => {
                sleep(ASK_EVERY.min(deadline - now)).await;
                (Method::GET, "/health")
            }
        };
        answer = loop {
            match ask(address, method.clone(), path).await {
                Ok(answer) => break answer,
                // It has ended: the hook of another container of its pod was done a moment sooner.
                Err(Unanswered::Gone(_)) => return Ok(told_to_end.map_or(0, |(_, sessions)| sessions)),
                // Perhaps because it is just ending.
                Err(Unanswered::Failed(_)) if failures < TRIES => {
                    failures += 1;
                    sleep(ASK_EVERY).await;
                }
                Err(failed) => return Err(failed.into()),
            }
        };
        failures = 0;
    }
}

/// A number of sessions, in words.
pub fn count(sessions: usize) -> String {
    format!("{sessions} session{}", if sessions == 1 { "" } else { "s" })
}

async fn ask(address: &Address, method: Method, path: &str) -> Result<AnyHealth, Unanswered> {
    let at = format!("{}{path}", address.url.as_str().trim_end_matches('/'));
    match timeout(ANSWER, call(method, &at, address.token.as_deref())).await {
        Ok(answered) => answered,
        Err(_) => Err(Unanswered::Failed(format!("{at} did not answer within {} s", ANSWER.as_secs()))),
    }
}

async fn call(method: Method, at: &str, token: Option<&str>) -> Result<AnyHealth, Unanswered> {
    let client = HttpClient::once(at.starts_with("https:"), ANSWER).build();
    let mut request = client.request(method, at);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let mut answer = request.send().await.map_err(|error| {
        let refused = matches!(&error, SendRequestError::Connect(ConnectError::Io(error))
            if error.kind() == std::io::ErrorKind::ConnectionRefused);
        let text = format!("{at} does not answer: {}", with_sources(&error));
        if refused { Unanswered::Gone(text) } else { Unanswered::Failed(text) }
    })?;
    let status = answer.status();
    let body = answer.body().limit(ANSWER_LIMIT).await;
    let body = body.map_err(|error| Unanswered::Failed(format!("{at} broke off: {error}")))?;
    if !status.is_success() {
        return Err(Unanswered::Failed(format!(
            "{at} answered {status}: {}",
            String::from_utf8_lossy(&body)
        )));
    }
    serde_json::from_slice(&body)
        .map_err(|_| Unanswered::Failed(format!("{at} is no camofleet: its answer is no health")))
}
