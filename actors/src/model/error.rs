//! What can go wrong between a request and a session, as values with a stable code.
//!
//! Which HTTP status belongs to a code says [`ErrorCode`].

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use camofleet_api::error::{ErrorBody, ErrorCode};
use camofleet_api::session::Status;

/// The result of everything a caller can ask of the fleet.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the fleet did not do what was asked. The text of each variant is fit for a person and names the
/// remedy where there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No live session has this id on this worker.
    #[error("Session not found")]
    SessionNotFound,
    /// No worker has this name.
    #[error("Worker not found")]
    WorkerNotFound,
    /// The id that a viewer gave belongs to no live view.
    #[error("VNC session not found")]
    ViewNotFound,
    /// The key that a viewer gave is not that of the session with this view.
    #[error("this live view is over: its session has ended; open the view of another one")]
    ViewOver,
    /// The start URL shows something else than the web.
    #[error(
        "start_url: a page of {scheme}: is not opened here; use http, https, data or about:blank, or name the scheme in \
         RUNNER_START_URL_SCHEMES"
    )]
    StartUrlScheme {
        /// Its scheme.
        scheme: String,
    },
    /// VNC was asked of a named worker that has none.
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
    /// A session has as many clients as it may.
    #[error(
        "all {limit} clients that a session may have are attached; close one that is not needed, or create another session"
    )]
    TooManyClients {
        /// The limit that was reached.
        limit: usize,
    },
    /// A picture was asked of a session whose screen nobody is to see, or that has none.
    #[error("the session has no live view; create one with \"vnc\": true")]
    NoLiveView,
    /// Another machine knows nothing of pictures: one of the original, or of an earlier camofleet.
    #[error("{what} can't take screenshots; run a camofleet there that can")]
    NoScreenshots {
        /// Who was asked.
        what: Cow<'static, str>,
    },
    /// The worker runs as many sessions as it may.
    #[error("all {limit} sessions are in use; end one, or raise RUNNER_MAX_SESSIONS")]
    AtCapacity {
        /// The limit that was reached.
        limit: usize,
        /// When it makes sense to ask again.
        retry_after: Duration,
    },
    /// Too many browsers are being started for another to begin in time.
    #[error("too many browsers are being started: {detail}; try again later, or raise RUNNER_LAUNCH_PERMITS")]
    Busy {
        /// Which bound was reached, and its setting.
        detail: String,
        /// When it makes sense to ask again.
        retry_after: Duration,
    },
    /// All display slots are taken.
    #[error(
        "all {limit} display slots are taken, by sessions or by other programs' displays and ports; end one, or widen RUNNER_VNC_DISPLAY_MIN/MAX, \
         RUNNER_VNC_PORT_MIN/MAX and RUNNER_VNC_WS_PORT_MIN/MAX"
    )]
    NoSlot {
        /// How many slots there are.
        limit: usize,
    },
    /// VNC was asked for, but this machine has no X server with VNC.
    #[error("{remedy}")]
    NoVncTooling {
        /// What is missing and how to install it.
        remedy: String,
    },
    /// A machine can't be taken out of service.
    #[error(
        "{what} can't be drained: it is an original, or an older camofleet; take it out of CONTROL_WORKERS instead"
    )]
    NoDrain {
        /// Which machine.
        what: Cow<'static, str>,
    },
    /// There is no worker to place a session on.
    #[error("no healthy worker can take this session; see /workers for the reasons")]
    NoWorkers,
    /// It is drained, or shutting down.
    #[error(
        "new sessions are not taken here: it is drained or shutting down; ask another one, or put it back with DELETE \
         /workers/{{worker}}/drain, or DELETE /drain of a worker"
    )]
    Draining,
    /// The gateway already serves as many viewers as it may.
    #[error("all {limit} VNC tunnels are in use; close a viewer, or raise MAX_CONCURRENT_SESSIONS")]
    TunnelLimit {
        /// The limit that was reached.
        limit: usize,
    },
    /// The browser could not be launched.
    #[error("the browser did not start: {detail}")]
    LaunchFailed {
        /// What the engine said.
        detail: String,
    },
    /// The display could not be started.
    #[error("the display did not start: {detail}")]
    DisplayFailed {
        /// What the X server said.
        detail: String,
    },
    /// The launch took longer than its limit.
    #[error("the {what} was not ready within {} s{}; raise {setting} where the machine is only slow", .limit.as_secs_f32(), after_colon(.said))]
    LaunchTimedOut {
        /// Which part was waited for.
        what: &'static str,
        /// How long it was waited for.
        limit: Duration,
        /// The setting that holds the limit.
        setting: &'static str,
        /// What is known of it; may be empty.
        said: String,
    },
    /// The Node process that hosts the Playwright servers is gone.
    #[error("the browser did not start: {detail}")]
    DriverLost {
        /// How it ended.
        detail: String,
    },
    /// The session was ended before it became ready.
    #[error("the session was ended before it became ready")]
    Cancelled,
    /// Another machine refused what was asked of it, in its own words.
    #[error("{detail}")]
    Refused {
        /// Its HTTP status: 400 to 499, or 502 to 504.
        status: u16,
        /// Its name for the refusal.
        code: String,
        /// What it said.
        detail: String,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// Another machine took a request, and broke off or gave an answer that is none.
    #[error("{what} failed: {detail}")]
    UpstreamBroke {
        /// Who was asked.
        what: Cow<'static, str>,
        /// What happened.
        detail: String,
    },
    /// Somebody who has to be reached refused the connection.
    #[error("{what} did not take the connection: {detail}")]
    UpstreamUnreachable {
        /// Who was dialled.
        what: Cow<'static, str>,
        /// What happened.
        detail: String,
    },
    /// Somebody who has to be reached did not answer in time.
    #[error("{what} did not answer within {} s", .limit.as_secs_f32())]
    UpstreamTimedOut {
        /// Who was dialled.
        what: Cow<'static, str>,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The client's Playwright is not the one this fleet speaks.
    #[error(
        "Playwright version mismatch: the client is {client}, this fleet runs {server}; install playwright {server} in the client"
    )]
    PlaywrightMismatch {
        /// The client's `User-Agent`, or `unknown`.
        client: String,
        /// The `major.minor` of the Playwright in the driver.
        server: String,
    },
    /// An actor that should have answered is gone: it is being restarted.
    #[error("the {what} is restarting; try again in a moment")]
    Restarting {
        /// Which part did not answer.
        what: &'static str,
    },
}

impl Error {
    /// Whether a create that failed so has begun nothing, and may be tried elsewhere: there was no room, or nobody took
    /// the request.
    pub fn left_undone(&self) -> bool {
        match self {
            Self::AtCapacity { .. }
            | Self::Busy { .. }
            | Self::NoSlot { .. }
            | Self::Draining
            | Self::UpstreamUnreachable { .. } => true,
            // Its own upstream got nothing of it either.
            Self::Refused { status, code, .. } => {
                matches!(status, 429 | 503) || code == ErrorCode::UpstreamUnreachable.as_str()
            }
            _ => false,
        }
    }

    /// Whether more workers would have helped a create that failed so.
    pub fn wants_room(&self) -> bool {
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

    /// The HTTP status that it is answered with.
    pub fn status(&self) -> u16 {
        match self.own_code() {
            Ok(code) => code.status(),
            Err((status, _)) => status,
        }
    }

    /// Its code; or, of another machine's refusal, that machine's own status and code, which may be a newer version's.
    fn own_code(&self) -> Result<ErrorCode, (u16, &str)> {
        Ok(match self {
            Self::Refused { status, code, .. } => return Err((*status, code)),
            Self::SessionNotFound => ErrorCode::SessionNotFound,
            Self::WorkerNotFound => ErrorCode::WorkerNotFound,
            Self::ViewOver => ErrorCode::ViewOver,
            Self::StartUrlScheme { .. } => ErrorCode::InvalidField,
            Self::ViewNotFound => ErrorCode::VncNotFound,
            Self::VncUnsupported { .. } => ErrorCode::VncUnsupported,
            Self::SessionNotReady { .. } => ErrorCode::SessionNotReady,
            Self::TooManyClients { .. } => ErrorCode::TooManyClients,
            Self::NoLiveView => ErrorCode::NoLiveView,
            Self::NoScreenshots { .. } => ErrorCode::NoScreenshots,
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
            // Playwright's own server answers with the same status, and its clients know what it means.
            Self::PlaywrightMismatch { .. } => ErrorCode::PlaywrightVersionMismatch,
            Self::Restarting { .. } => ErrorCode::Restarting,
        })
    }

    /// What another machine's refusal is to the caller: its own words, with its own status and code. `what` names the
    /// machine.
    pub fn of_answer(
        what: Cow<'static, str>,
        status: u16,
        retry_after: Option<Duration>,
        body: &[u8],
    ) -> Self {
        let ErrorBody { code, detail } = ErrorBody::read(status, body);
        match status {
            404 if code == ErrorCode::SessionNotFound.as_str() => Self::SessionNotFound,
            // Its internal errors are not the caller's.
            400..=499 | 502..=504 => Self::Refused { status, code, detail, retry_after },
            _ => Self::UpstreamBroke { what, detail: format!("it answered {status}: {detail}") },
        }
    }
}

/// What is added to a text where there is anything to add.
fn after_colon(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// An error with what caused it: awc's own text is the least of it.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        // A String takes everything.
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_create_may_be_tried_elsewhere_where_another_machine_has_begun_nothing() {
        let refused = |status, code: &str| Error::Refused {
            status,
            code: code.to_owned(),
            detail: String::new(),
            retry_after: None,
        };
        for (status, code, undone) in [
            (429, "at_capacity", true),
            (503, "draining", true),
            (503, "busy", true),
            (502, "upstream_unreachable", true),
            (502, "upstream_broke", false),
            (504, "upstream_timed_out", false),
            (422, "invalid_field", false),
        ] {
            assert_eq!(refused(status, code).left_undone(), undone, "{code}");
        }
    }
}
