//! Calls to a running camofleet from outside: health checks and draining.

use std::time::Duration;

use awc::error::{ConnectError, SendRequestError};
use awc::http::Method;
use camofleet_api::health::{ControlHealth, Health, HealthStatus};
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use crate::model::error::with_sources;
use crate::net::http::HttpClient;

/// The timeout of one call: less than a container engine waits for a health check.
const CALL_TIMEOUT: Duration = Duration::from_secs(4);
/// The interval at which a draining camofleet is polled.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How long sessions may take to end after the request to end them.
const END_TIMEOUT: Duration = Duration::from_secs(20);
/// How many failed calls in a row are tolerated while it drains.
const TOLERATED_FAILURES: usize = 2;
/// The largest response that is read, in bytes: the health of a control with some thousand workers fits in it.
const ANSWER_LIMIT: usize = 16 << 20;

/// Why a probe failed, in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeFailure {
    /// It does not answer, or reports that it is not healthy.
    NotWell(String),
    /// Sessions were still running after the time that they had to end.
    StillBusy(String),
}

/// Why a call failed.
#[derive(Debug)]
enum CallError {
    /// The connection was refused.
    ConnectionRefused(String),
    /// Any other failure.
    Failed(String),
}

impl From<CallError> for ProbeFailure {
    fn from(error: CallError) -> Self {
        let (CallError::ConnectionRefused(text) | CallError::Failed(text)) = error;
        Self::NotWell(text)
    }
}

/// The address of a camofleet, and its access token, if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The base URL of its API.
    pub url: Url,
    /// Its access token.
    pub token: Option<String>,
}

/// The health response of any role.
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
                let unhealthy = health.workers.iter().filter(|worker| !worker.healthy);
                unhealthy.map(|worker| worker.name.as_str()).collect()
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

/// Checks whether a camofleet is healthy; with `alive`, only whether it answers.
///
/// # Errors
/// [`ProbeFailure::NotWell`].
pub async fn health(address: &Address, alive: bool) -> Result<(), ProbeFailure> {
    let url = &address.url;
    let health = call(address, Method::GET, "/health").await?;
    if alive || health.status() == HealthStatus::Ok {
        return Ok(());
    }
    let unhealthy = health.failing();
    let what = if unhealthy.is_empty() { "it has no worker".to_owned() } else { unhealthy.join(", ") };
    Err(ProbeFailure::NotWell(format!("{url} is {}: {what}", health.status().as_str())))
}

/// Drains a worker or a runner: waits until its last session has ended, and ends the remaining sessions after `limit`.
/// Returns how many had to be ended. A machine that exits in the meantime has no sessions left.
///
/// # Errors
/// [`ProbeFailure::StillBusy`] if sessions don't end although they were requested to, and [`ProbeFailure::NotWell`].
pub async fn drain(address: &Address, limit: Duration) -> Result<usize, ProbeFailure> {
    let url = &address.url;
    let deadline = Instant::now() + limit;
    let mut end_requested: Option<(Instant, usize)> = None;
    let mut failures = 0;
    let mut answer = call(address, Method::POST, "/drain").await?;
    loop {
        let Some(sessions) = answer.sessions() else {
            let remedy = "name a worker or a runner, and its token if it has one";
            return Err(ProbeFailure::NotWell(format!("{url} does not report its sessions: {remedy}")));
        };
        if sessions == 0 {
            return Ok(end_requested.map_or(0, |(_, sessions)| sessions));
        }
        let now = Instant::now();
        let (method, path) = match end_requested {
            Some((requested, _)) if now - requested > END_TIMEOUT => {
                let seconds = END_TIMEOUT.as_secs();
                let text = format!(
                    "{url} still has {} {seconds} s after they were requested to end",
                    count(sessions)
                );
                return Err(ProbeFailure::StillBusy(text));
            }
            None if now >= deadline => {
                end_requested = Some((now, sessions));
                (Method::POST, "/drain?end=true")
            }
            Some(_) => {
                sleep(POLL_INTERVAL).await;
                (Method::GET, "/health")
            }
            None => {
                sleep(POLL_INTERVAL.min(deadline - now)).await;
                (Method::GET, "/health")
            }
        };
        answer = loop {
            match call(address, method.clone(), path).await {
                Ok(answer) => break answer,
                // It has exited: the drain hook of another container of its pod finished a moment earlier.
                Err(CallError::ConnectionRefused(_)) => {
                    return Ok(end_requested.map_or(0, |(_, sessions)| sessions));
                }
                // It may be exiting at this moment.
                Err(CallError::Failed(_)) if failures < TOLERATED_FAILURES => {
                    failures += 1;
                    sleep(POLL_INTERVAL).await;
                }
                Err(failed) => return Err(failed.into()),
            }
        };
        failures = 0;
    }
}

/// Formats a number of sessions.
pub fn count(sessions: usize) -> String {
    format!("{sessions} session{}", if sessions == 1 { "" } else { "s" })
}

async fn call(address: &Address, method: Method, path: &str) -> Result<AnyHealth, CallError> {
    let at = format!("{}{path}", address.url.as_str().trim_end_matches('/'));
    match timeout(CALL_TIMEOUT, send(method, &at, address.token.as_deref())).await {
        Ok(answered) => answered,
        Err(_) => Err(CallError::Failed(format!("{at} did not answer within {} s", CALL_TIMEOUT.as_secs()))),
    }
}

async fn send(method: Method, at: &str, token: Option<&str>) -> Result<AnyHealth, CallError> {
    let client = HttpClient::once(at.starts_with("https:"), CALL_TIMEOUT).build();
    let mut request = client.request(method, at);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let mut answer = request.send().await.map_err(|error| {
        let refused = matches!(&error, SendRequestError::Connect(ConnectError::Io(error))
            if error.kind() == std::io::ErrorKind::ConnectionRefused);
        let text = format!("{at} does not answer: {}", with_sources(&error));
        if refused { CallError::ConnectionRefused(text) } else { CallError::Failed(text) }
    })?;
    let status = answer.status();
    let body = answer.body().limit(ANSWER_LIMIT).await;
    let body = body.map_err(|error| CallError::Failed(format!("{at} closed the connection: {error}")))?;
    if !status.is_success() {
        return Err(CallError::Failed(format!("{at} answered {status}: {}", String::from_utf8_lossy(&body))));
    }
    serde_json::from_slice(&body)
        .map_err(|_| CallError::Failed(format!("{at} is not a camofleet: its answer is not a health report")))
}
