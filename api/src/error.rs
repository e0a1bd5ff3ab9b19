//! Refusals: their stable codes, their HTTP statuses, and the body that says them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// The one table of codes: each with the HTTP status that it is answered with.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $name:literal $status:literal,)+) => {
        /// The stable name of a refusal: the `code` of its body and the label of the metric.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[$doc])* $variant,)+
        }

        impl ErrorCode {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name in the API.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The HTTP status that it is answered with.
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$variant => $status,)+
                }
            }
        }
    };
}

codes! {
    /// Not a request to this server, or no HTTP.
    BadRequest "bad_request" 400,
    /// Not a valid WebSocket handshake.
    BadWebSocketHandshake "bad_websocket_handshake" 400,
    /// A client of the Chrome DevTools Protocol.
    CdpUnsupported "cdp_unsupported" 400,
    /// A live view was asked of a worker that has none.
    VncUnsupported "vnc_unsupported" 400,
    /// An access token is set, and the request has none, or another.
    Unauthorized "unauthorized" 401,
    /// A live view was requested by its number alone, where that does not open it.
    ViewKeyRequired "view_key_required" 401,
    /// A browser sends it on behalf of a page of another origin.
    CrossOrigin "cross_origin" 403,
    /// No such route.
    NotFound "not_found" 404,
    /// The binary was built without the panel.
    PanelMissing "panel_missing" 404,
    /// No session has this id.
    SessionNotFound "session_not_found" 404,
    /// No live view has this id.
    VncNotFound "vnc_not_found" 404,
    /// No worker has this name.
    WorkerNotFound "worker_not_found" 404,
    /// The route exists, for other methods.
    MethodNotAllowed "method_not_allowed" 405,
    /// The caller accepts no encoding that there is.
    NotAcceptable "not_acceptable" 406,
    /// The body arrived too slowly.
    BodyTooSlow "body_too_slow" 408,
    /// The request's head arrived too slowly.
    HeadTooSlow "head_too_slow" 408,
    /// The session has no live view.
    NoLiveView "no_live_view" 409,
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
    /// The request is addressed to a name that this server is not known by.
    UnknownHost "unknown_host" 421,
    /// A field or parameter of a wrong type, or with an impossible value.
    InvalidField "invalid_field" 422,
    /// The body is not a JSON object.
    InvalidJson "invalid_json" 422,
    /// The client's Playwright is of another version.
    PlaywrightVersionMismatch "playwright_version_mismatch" 428,
    /// The worker has as many sessions as it may.
    AtCapacity "at_capacity" 429,
    /// The session has as many clients as it may.
    TooManyClients "too_many_clients" 429,
    /// The request's head is too large.
    HeadTooLarge "head_too_large" 431,
    /// The display did not start.
    DisplayFailed "display_failed" 502,
    /// The driver that launched the browser ended.
    DriverLost "driver_lost" 502,
    /// The browser did not start.
    LaunchFailed "launch_failed" 502,
    /// The machine can't be drained.
    NoDrain "no_drain" 502,
    /// The machine can't take screenshots.
    NoScreenshots "no_screenshots" 502,
    /// Another machine accepted the request, and failed.
    UpstreamBroke "upstream_broke" 502,
    /// Another machine refused the connection.
    UpstreamUnreachable "upstream_unreachable" 502,
    /// Too many browsers are being launched.
    Busy "busy" 503,
    /// New sessions are not accepted: it is drained or shutting down.
    Draining "draining" 503,
    /// All display slots are in use.
    NoSlot "no_slot" 503,
    /// The machine has no X server with VNC.
    NoVncTooling "no_vnc_tooling" 503,
    /// No worker can take the session.
    NoWorkers "no_workers" 503,
    /// The part that would answer is being restarted.
    Restarting "restarting" 503,
    /// The gateway has as many viewers as it may.
    TunnelLimit "tunnel_limit" 503,
    /// The launch took too long.
    LaunchTimedOut "launch_timed_out" 504,
    /// Another machine did not answer in time.
    UpstreamTimedOut "upstream_timed_out" 504,
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The JSON body of every refusal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What is wrong, and what would be right. FastAPI, which the original is made with, may write a structure.
    #[serde(default, deserialize_with = "text")]
    #[schema(required)]
    pub detail: String,
    /// The refusal's stable name; the original has none.
    #[serde(default)]
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
    /// Reads the body of an answer with this status: what it leaves out is filled in by the status.
    pub fn read(status: u16, body: &[u8]) -> Self {
        let mut read: Self = serde_json::from_slice(body).unwrap_or_default();
        if read.detail.is_empty() {
            read.detail = format!("it answered {status}");
        }
        if read.code.is_empty() {
            read.code = usual(status).as_str().to_owned();
        }
        read
    }
}

/// The code that an answer without one most likely means.
fn usual(status: u16) -> ErrorCode {
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
    fn refusals_of_either_kind_are_read() {
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
    fn codes_are_named_once() {
        let mut names: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ErrorCode::ALL.len());
    }
}
