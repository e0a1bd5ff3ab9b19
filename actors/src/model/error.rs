//! Errors of the fleet, as values with a stable code.
//!
//! [`ErrorCode`] maps each code to its HTTP status.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use camofleet_api::error::{ErrorBody, ErrorCode};
use camofleet_api::identity::Contradiction;
use camofleet_api::session::Status;

use super::identity::contradictions_text;
use super::profile::ProfileError;

/// The result of every request to the fleet.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the fleet could not fulfil a request. The text of each variant is meant for users and names the remedy where there
/// is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No live session has this id on this worker.
    #[error("Session not found")]
    SessionNotFound,
    /// No worker has this name.
    #[error("Worker not found")]
    WorkerNotFound,
    /// No live view has the id that a viewer sent.
    #[error("VNC session not found")]
    ViewNotFound,
    /// The key that a viewer sent is not the one of the session that has this view now.
    #[error("this live view is over: its session has ended; open the view of another one")]
    ViewOver,
    /// The start URL has a scheme that is not allowed.
    #[error(
        "start_url: the scheme {scheme}: is not allowed here; use http, https, data or about:blank, or add it to \
         RUNNER_START_URL_SCHEMES"
    )]
    StartUrlScheme {
        /// Its scheme.
        scheme: String,
    },
    /// A request names a pool of proxies or a block list that the worker does not have.
    #[error("{field}: there is no {} '{name}' here; {setting} has {}", kind_of_name(.field), listed(.known))]
    UnknownName {
        /// The request's field.
        field: &'static str,
        /// The name that it holds.
        name: String,
        /// The setting that defines names.
        setting: &'static str,
        /// The names that exist.
        known: Vec<String>,
    },
    /// A session's connections can't be controlled on a machine that runs the original or an earlier camofleet.
    #[error("{what} can't use proxies or block lists; install the current camofleet there")]
    NoEgress {
        /// Which machine.
        what: Cow<'static, str>,
    },
    /// Proxies can't be checked, because there is no service that names a caller's address.
    #[error(
        "{} set RUNNER_EXIT_IP_URL to services that answer with their caller's address, such as https://ip.example",
        no_exit_ip_url(*.field)
    )]
    NoExitIpUrl {
        /// The field of a request that is to be taken from the exit; `None`: a proxy was to be checked.
        field: Option<&'static str>,
    },
    /// A session can't have an identity that its request asks for.
    #[error("{field}: {reason}")]
    Identity {
        /// The request's field.
        field: &'static str,
        /// Why, and what to do.
        reason: String,
    },
    /// What an identity is to take from the place of its exit is not known.
    #[error(
        "{field}: 'auto' is taken from the exit of the session's proxy, but {problem}; name a value, or see POST /proxies/check"
    )]
    NoExitPlace {
        /// The request's field.
        field: &'static str,
        /// Why it is not known.
        problem: String,
    },
    /// An identity contradicts the place where the connections of its session leave.
    #[error(
        "{}; name values that fit or \"auto\", choose another proxy, or set \"coherence\": \"warn\" to create the session \
         anyway", contradictions_text(.contradictions).unwrap_or_default()
    )]
    Incoherent {
        /// What does not fit, at least one.
        contradictions: Vec<Contradiction>,
    },
    /// Too many proxies are being checked.
    #[error("{limit} proxies are being checked already; try again in a moment")]
    TooManyChecks {
        /// How many are checked at once.
        limit: usize,
    },
    /// VNC was requested from a named worker that does not support it.
    #[error("worker '{worker}' has no VNC; leave 'vnc' out, or name a worker whose 'supports_vnc' is true")]
    VncUnsupported {
        /// The worker's name.
        worker: String,
    },
    /// The session exists but can't be used in this state.
    #[error("session is {status}, not READY; wait until it is, or create another")]
    SessionNotReady {
        /// The state it is in.
        status: Status,
    },
    /// The session has reached its client limit.
    #[error(
        "the session has reached its limit of {limit} clients; close one that is not needed, or create another session"
    )]
    TooManyClients {
        /// The limit that was reached.
        limit: usize,
    },
    /// A screenshot was requested of a session without a live view.
    #[error("the session has no live view; create one with \"vnc\": true")]
    NoLiveView,
    /// The remote machine runs the original or an earlier camofleet, which can't take screenshots.
    #[error("{what} can't take screenshots; install the current camofleet there")]
    NoScreenshots {
        /// The machine that was called.
        what: Cow<'static, str>,
    },
    /// The remote machine runs the original or an earlier camofleet, which can't show identities.
    #[error("{what} can't show the identity of a session; install the current camofleet there")]
    NoIdentity {
        /// The machine that was called.
        what: Cow<'static, str>,
    },
    /// The worker has reached its session limit.
    #[error("all {limit} sessions are in use; end one, or raise RUNNER_MAX_SESSIONS")]
    AtCapacity {
        /// The limit that was reached.
        limit: usize,
        /// When to retry.
        retry_after: Duration,
    },
    /// Too many browsers are being launched for another launch to start in time.
    #[error("too many browsers are being started: {detail}; try again later, or raise RUNNER_LAUNCH_PERMITS")]
    Busy {
        /// Which bound was reached, and its setting.
        detail: String,
        /// When to retry.
        retry_after: Duration,
    },
    /// All display slots are in use.
    #[error(
        "all {limit} display slots are in use, by sessions or by displays and ports of other programs; end one, or widen \
         RUNNER_VNC_DISPLAY_MIN/MAX, RUNNER_VNC_PORT_MIN/MAX and RUNNER_VNC_WS_PORT_MIN/MAX"
    )]
    NoSlot {
        /// How many slots there are.
        limit: usize,
    },
    /// VNC was requested, but this machine has no X server with VNC.
    #[error("{remedy}")]
    NoVncTooling {
        /// What is missing and how to install it.
        remedy: String,
    },
    /// The remote machine does not support draining.
    #[error(
        "{what} can't be drained: it runs the original or an older camofleet; remove it from CONTROL_WORKERS instead"
    )]
    NoDrain {
        /// Which machine.
        what: Cow<'static, str>,
    },
    /// No worker can run the session.
    #[error("no healthy worker can run this session; see /workers for the reasons")]
    NoWorkers,
    /// The worker is draining or shutting down.
    #[error(
        "no new sessions are accepted here: this worker is draining or shutting down; use another one, or end the drain with \
         DELETE /workers/{{worker}}/drain, or DELETE /drain of a worker"
    )]
    Draining,
    /// The gateway has reached its viewer limit.
    #[error("all {limit} VNC tunnels are in use; close a viewer, or raise MAX_CONCURRENT_SESSIONS")]
    TunnelLimit {
        /// The limit that was reached.
        limit: usize,
    },
    /// The browser could not be launched.
    #[error("the browser did not start: {detail}")]
    LaunchFailed {
        /// The engine's error.
        detail: String,
    },
    /// The display could not be started.
    #[error("the display did not start: {detail}")]
    DisplayFailed {
        /// The X server's error.
        detail: String,
    },
    /// The launch took longer than its limit.
    #[error(
        "the {what} was not ready within {} s{}; raise {setting} if the machine is only slow",
        .limit.as_secs_f32(), after_colon(.last_output)
    )]
    LaunchTimedOut {
        /// The part that was being waited for.
        what: &'static str,
        /// How long it was waited for.
        limit: Duration,
        /// The setting that holds the limit.
        setting: &'static str,
        /// Its last output or state; may be empty.
        last_output: String,
    },
    /// The Node process that hosts the Playwright servers exited.
    #[error("the browser did not start: {detail}")]
    DriverLost {
        /// How it exited.
        detail: String,
    },
    /// The session was ended before it became ready.
    #[error("the session was ended before it became ready")]
    Cancelled,
    /// Another machine rejected the request; its response is passed on.
    #[error("{detail}")]
    Refused {
        /// Its HTTP status: 400 to 499, or 502 to 504.
        status: u16,
        /// Its error code.
        code: String,
        /// Its error text.
        detail: String,
        /// Its `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// Another machine accepted a request, and then closed the connection or sent an invalid response.
    #[error("{what} failed: {detail}")]
    UpstreamBroke {
        /// The machine that was called.
        what: Cow<'static, str>,
        /// What happened.
        detail: String,
    },
    /// An upstream server refused the connection.
    #[error("could not connect to {what}: {detail}")]
    UpstreamUnreachable {
        /// The server that was called.
        what: Cow<'static, str>,
        /// What happened.
        detail: String,
    },
    /// An upstream server did not answer in time.
    #[error("{what} did not answer within {} s", .limit.as_secs_f32())]
    UpstreamTimedOut {
        /// The server that was called.
        what: Cow<'static, str>,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The client's Playwright version differs from the fleet's.
    #[error(
        "Playwright version mismatch: the client is {client}, this fleet runs {server}; install playwright {server} in the client"
    )]
    PlaywrightMismatch {
        /// The client's `User-Agent`, or `unknown`.
        client: String,
        /// The `major.minor` of the Playwright in the driver.
        server: String,
    },
    /// A profile can't be used or changed as requested.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The remote machine runs the original or an earlier camofleet, which has no profiles.
    #[error("{what} does not keep profiles; install the current camofleet there")]
    NoProfiles {
        /// Which machine.
        what: Cow<'static, str>,
    },
    /// A session without a profile can't be idle for so long.
    #[error(
        "idle_ttl_seconds: must be a whole number from 30 to {limit} for a session without a profile; name a profile, or raise \
         RUNNER_MAX_IDLE_TTL_SECONDS"
    )]
    IdleTtl {
        /// The longest that it may be, in seconds.
        limit: u64,
    },
    /// The actor that handles the request is being restarted.
    #[error("the {what} is restarting; try again in a moment")]
    Restarting {
        /// The part that is restarting.
        what: &'static str,
    },
}

impl Error {
    /// Whether a create that failed with this error had no effect, so that it can be retried on another worker: there was no
    /// capacity, or the worker was not reached.
    pub fn had_no_effect(&self) -> bool {
        match self {
            Self::AtCapacity { .. }
            | Self::Busy { .. }
            | Self::NoSlot { .. }
            | Self::Draining
            | Self::UpstreamUnreachable { .. } => true,
            // The machine's own upstream was not reached either.
            Self::Refused { status, code, .. } => {
                matches!(status, 429 | 503) || code == ErrorCode::UpstreamUnreachable.as_str()
            }
            _ => false,
        }
    }

    /// Whether a create that failed with this error would have succeeded with more workers.
    pub fn lacks_capacity(&self) -> bool {
        match self {
            Self::AtCapacity { .. }
            | Self::Busy { .. }
            | Self::NoSlot { .. }
            | Self::NoWorkers
            | Self::NoVncTooling { .. }
            | Self::Draining => true,
            Self::Refused { code, .. } => {
                matches!(code.as_str(), "at_capacity" | "busy" | "no_slot" | "no_workers" | "draining")
            }
            _ => false,
        }
    }

    /// The stable name of this error: the `code` of the JSON answer and the label of the metric.
    pub fn code(&self) -> &str {
        match self.own_code() {
            Ok(code) => code.as_str(),
            Err((_, code)) => code,
        }
    }

    /// The HTTP status of the response.
    pub fn status(&self) -> u16 {
        match self.own_code() {
            Ok(code) => code.status(),
            Err((status, _)) => status,
        }
    }

    /// Its code; for an error of another machine, that machine's status and code, which may be unknown to this version.
    fn own_code(&self) -> Result<ErrorCode, (u16, &str)> {
        Ok(match self {
            Self::Refused { status, code, .. } => return Err((*status, code)),
            Self::SessionNotFound => ErrorCode::SessionNotFound,
            Self::WorkerNotFound => ErrorCode::WorkerNotFound,
            Self::ViewOver => ErrorCode::ViewOver,
            Self::StartUrlScheme { .. } | Self::UnknownName { .. } | Self::Identity { .. } => {
                ErrorCode::InvalidField
            }
            Self::NoExitPlace { .. } => ErrorCode::NoExitPlace,
            Self::NoEgress { .. } => ErrorCode::NoEgress,
            Self::NoExitIpUrl { .. } => ErrorCode::NoExitIpUrl,
            Self::Incoherent { .. } => ErrorCode::IncoherentIdentity,
            Self::TooManyChecks { .. } => ErrorCode::Busy,
            Self::ViewNotFound => ErrorCode::VncNotFound,
            Self::VncUnsupported { .. } => ErrorCode::VncUnsupported,
            Self::SessionNotReady { .. } => ErrorCode::SessionNotReady,
            Self::TooManyClients { .. } => ErrorCode::TooManyClients,
            Self::NoLiveView => ErrorCode::NoLiveView,
            Self::NoScreenshots { .. } => ErrorCode::NoScreenshots,
            Self::NoIdentity { .. } => ErrorCode::NoIdentity,
            Self::NoDrain { .. } => ErrorCode::NoDrain,
            Self::AtCapacity { .. } => ErrorCode::AtCapacity,
            Self::Busy { .. } => ErrorCode::Busy,
            Self::NoSlot { .. } => ErrorCode::NoSlot,
            Self::NoVncTooling { .. } => ErrorCode::NoVncTooling,
            Self::NoWorkers => ErrorCode::NoWorkers,
            Self::Draining => ErrorCode::Draining,
            Self::TunnelLimit { .. } => ErrorCode::TunnelLimit,
            Self::LaunchFailed { .. } => ErrorCode::LaunchFailed,
            Self::DisplayFailed { .. } => ErrorCode::DisplayFailed,
            Self::LaunchTimedOut { .. } => ErrorCode::LaunchTimedOut,
            Self::DriverLost { .. } => ErrorCode::DriverLost,
            Self::Cancelled => ErrorCode::SessionCancelled,
            Self::UpstreamBroke { .. } => ErrorCode::UpstreamBroke,
            Self::UpstreamUnreachable { .. } => ErrorCode::UpstreamUnreachable,
            Self::UpstreamTimedOut { .. } => ErrorCode::UpstreamTimedOut,
            // Playwright's own server answers with the same status, which its clients understand.
            Self::PlaywrightMismatch { .. } => ErrorCode::PlaywrightVersionMismatch,
            Self::Restarting { .. } => ErrorCode::Restarting,
            Self::Profile(error) => error.code(),
            Self::NoProfiles { .. } => ErrorCode::NoProfiles,
            Self::IdleTtl { .. } => ErrorCode::InvalidField,
        })
    }

    /// Converts another machine's error response, keeping its text, status and code. `what` names the machine.
    pub fn from_response(
        what: Cow<'static, str>,
        status: u16,
        retry_after: Option<Duration>,
        body: &[u8],
    ) -> Self {
        let ErrorBody { code, detail } = ErrorBody::read(status, body);
        match status {
            404 if code == ErrorCode::SessionNotFound.as_str() => Self::SessionNotFound,
            // An internal error of the other machine must not look like one of the caller.
            400..=499 | 502..=504 => Self::Refused { status, code, detail, retry_after },
            _ => Self::UpstreamBroke { what, detail: format!("it answered {status}: {detail}") },
        }
    }
}

/// Why an exit can't be looked up, without the remedy.
fn no_exit_ip_url(field: Option<&'static str>) -> String {
    match field {
        None => "proxies can't be checked here:".to_owned(),
        Some(field) => format!(
            "{field}: 'auto' needs the place of the exit, which can't be looked up here; name a value, or"
        ),
    }
}

/// What a field of a request names.
fn kind_of_name(field: &str) -> &'static str {
    match field {
        "block" => "block list",
        "addons" => "add-on",
        _ => "pool of proxies",
    }
}

/// Names in a list for a sentence.
fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The text after a colon; empty if there is none.
fn after_colon(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// An error's text with its causes, which the texts of awc's errors omit.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        // Writing to a String never fails.
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_create_may_be_retried_elsewhere_if_the_other_machine_has_not_started_it() {
        let refused = |status, code: &str| Error::Refused {
            status,
            code: code.to_owned(),
            detail: String::new(),
            retry_after: None,
        };
        for (status, code, no_effect) in [
            (429, "at_capacity", true),
            (503, "draining", true),
            (503, "busy", true),
            (502, "upstream_unreachable", true),
            (502, "upstream_broke", false),
            (504, "upstream_timed_out", false),
            (422, "invalid_field", false),
        ] {
            assert_eq!(refused(status, code).had_no_effect(), no_effect, "{code}");
        }
    }
}
