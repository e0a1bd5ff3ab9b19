//! Error responses: their stable codes, HTTP statuses and JSON body.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::lenient::default_if_unknown;

/// The single table of error codes, each with its HTTP status.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $name:literal $status:literal,)+) => {
        /// The stable name of an error: the `code` in the JSON body and the label of the metric.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[$doc])* $variant,)+
        }

        impl ErrorCode {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The code as it appears in the API.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The HTTP status of responses with this code.
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$variant => $status,)+
                }
            }
        }
    };
}

codes! {
    /// The request is malformed, or is not meant for this server.
    BadRequest "bad_request" 400,
    /// Not a valid WebSocket handshake.
    BadWebSocketHandshake "bad_websocket_handshake" 400,
    /// A client of the Chrome DevTools Protocol.
    CdpUnsupported "cdp_unsupported" 400,
    /// A live view was requested from a worker without VNC.
    VncUnsupported "vnc_unsupported" 400,
    /// The access token is missing or wrong.
    Unauthorized "unauthorized" 401,
    /// A live view was requested by its id alone, and this server also requires its key.
    ViewKeyRequired "view_key_required" 401,
    /// A browser sent the request for a page of another origin.
    CrossOrigin "cross_origin" 403,
    /// No such route.
    NotFound "not_found" 404,
    /// The binary was built without the panel.
    PanelMissing "panel_missing" 404,
    /// No profile has this name.
    ProfileNotFound "profile_not_found" 404,
    /// No session has this id.
    SessionNotFound "session_not_found" 404,
    /// No live view has this id.
    VncNotFound "vnc_not_found" 404,
    /// No worker has this name.
    WorkerNotFound "worker_not_found" 404,
    /// The route does not support this method.
    MethodNotAllowed "method_not_allowed" 405,
    /// No content encoding is left that the caller accepts.
    NotAcceptable "not_acceptable" 406,
    /// The body arrived too slowly.
    BodyTooSlow "body_too_slow" 408,
    /// The request line and headers arrived too slowly.
    HeadTooSlow "head_too_slow" 408,
    /// Proxies can't be checked because no service that names addresses is configured.
    NoExitIpUrl "no_exit_ip_url" 409,
    /// An identity contradicts the place where the connections of its session leave.
    IncoherentIdentity "incoherent_identity" 409,
    /// The session has no live view.
    NoLiveView "no_live_view" 409,
    /// Several workers have a profile with this name.
    ProfileAmbiguous "profile_ambiguous" 409,
    /// A profile with this name exists already.
    ProfileExists "profile_exists" 409,
    /// The profile's user data belong to another engine, or to a later version of it.
    ProfileIncompatible "profile_incompatible" 409,
    /// A session writes the profile.
    ProfileInUse "profile_in_use" 409,
    /// The session was ended before it became ready.
    SessionCancelled "session_cancelled" 409,
    /// The session is not READY.
    SessionNotReady "session_not_ready" 409,
    /// The session of this live view has ended.
    ViewOver "view_over" 410,
    /// The body is too large.
    BodyTooLarge "body_too_large" 413,
    /// The body is not declared as JSON.
    UnsupportedMediaType "unsupported_media_type" 415,
    /// The `Host` is not a name of this server.
    UnknownHost "unknown_host" 421,
    /// The body is not a whole archive of a profile.
    InvalidArchive "invalid_archive" 422,
    /// A field or parameter has the wrong type or an invalid value.
    InvalidField "invalid_field" 422,
    /// The body is not a JSON object.
    InvalidJson "invalid_json" 422,
    /// The client's Playwright version differs from the server's.
    PlaywrightVersionMismatch "playwright_version_mismatch" 428,
    /// The worker has reached its session limit.
    AtCapacity "at_capacity" 429,
    /// The session has reached its client limit.
    TooManyClients "too_many_clients" 429,
    /// The request line and headers are too large.
    HeadTooLarge "head_too_large" 431,
    /// The display did not start.
    DisplayFailed "display_failed" 502,
    /// The driver that launched the browser ended.
    DriverLost "driver_lost" 502,
    /// The browser did not start.
    LaunchFailed "launch_failed" 502,
    /// The worker does not support proxies and block lists.
    NoEgress "no_egress" 502,
    /// An identity is to be taken from the place of the proxy's exit, which is not known.
    NoExitPlace "no_exit_place" 502,
    /// The worker does not support draining.
    NoDrain "no_drain" 502,
    /// The worker does not keep profiles.
    NoProfiles "no_profiles" 502,
    /// The worker does not support screenshots.
    NoScreenshots "no_screenshots" 502,
    /// The worker or runner runs the original or an earlier camofleet, which can't show the identities of sessions.
    NoIdentity "no_identity" 502,
    /// An upstream server accepted the request and then failed.
    UpstreamBroke "upstream_broke" 502,
    /// An upstream server refused the connection.
    UpstreamUnreachable "upstream_unreachable" 502,
    /// Too many browsers are being launched, or too many proxies are being checked.
    Busy "busy" 503,
    /// The worker is draining or shutting down and accepts no new sessions.
    Draining "draining" 503,
    /// All display slots are in use.
    NoSlot "no_slot" 503,
    /// The worker has no X server with VNC installed.
    NoVncTooling "no_vnc_tooling" 503,
    /// No worker can run the session.
    NoWorkers "no_workers" 503,
    /// The profile is on a worker that does not answer.
    ProfileAway "profile_away" 503,
    /// The component that handles the request is being restarted.
    Restarting "restarting" 503,
    /// The storage of the profiles fails or is full.
    StorageFailed "storage_failed" 503,
    /// The gateway has reached its viewer limit.
    TunnelLimit "tunnel_limit" 503,
    /// The launch took too long.
    LaunchTimedOut "launch_timed_out" 504,
    /// An upstream server did not answer in time.
    UpstreamTimedOut "upstream_timed_out" 504,
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The JSON body of every error response.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What is wrong and how to fix it. The original is built with FastAPI, which may send a structure instead of a string.
    #[serde(default, deserialize_with = "text")]
    #[schema(required)]
    pub detail: String,
    /// The stable error code; the original sends none.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub code: String,
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => text,
        Value::Null => String::new(),
        structure => structure.to_string(),
    })
}

impl ErrorBody {
    /// Parses the body of a response; missing fields are filled in from its status.
    pub fn read(status: u16, body: &[u8]) -> Self {
        let mut read: Self = serde_json::from_slice(body).unwrap_or_default();
        if read.detail.is_empty() {
            read.detail = format!("it answered {status}");
        }
        if read.code.is_empty() {
            read.code = code_for_status(status).as_str().to_owned();
        }
        read
    }
}

/// The code that a response without one most likely stands for.
fn code_for_status(status: u16) -> ErrorCode {
    match status {
        400 => ErrorCode::BadRequest,
        401 | 403 => ErrorCode::Unauthorized,
        404 => ErrorCode::SessionNotFound,
        409 => ErrorCode::SessionNotReady,
        413 => ErrorCode::BodyTooLarge,
        422 => ErrorCode::InvalidField,
        428 => ErrorCode::PlaywrightVersionMismatch,
        429 => ErrorCode::AtCapacity,
        503 => ErrorCode::NoWorkers,
        504 => ErrorCode::UpstreamTimedOut,
        _ => ErrorCode::UpstreamBroke,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_bodies_of_camofleet_and_of_the_original_are_parsed() {
        for (status, body, code, detail) in [
            (
                409,
                r#"{"detail": "not READY", "code": "session_not_ready"}"#,
                "session_not_ready",
                "not READY",
            ),
            (404, r#"{"detail": "Session not found"}"#, "session_not_found", "Session not found"),
            (
                422,
                r#"{"detail": [{"loc": ["body"], "msg": "no"}]}"#,
                "invalid_field",
                r#"[{"loc":["body"],"msg":"no"}]"#,
            ),
            (503, "<html>", "no_workers", "it answered 503"),
            (500, "", "upstream_broke", "it answered 500"),
        ] {
            let expected = ErrorBody { detail: detail.to_owned(), code: code.to_owned() };
            assert_eq!(ErrorBody::read(status, body.as_bytes()), expected, "{status} {body}");
        }
    }

    #[test]
    fn codes_are_unique() {
        let mut names: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ErrorCode::ALL.len());
    }
}
