//! Errors of the API: maps each to a status and a JSON body.

use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use camofleet_actors::Error;
use camofleet_api::error::{ErrorBody, ErrorCode};
use camofleet_api::fields::InvalidRequest;

/// All errors of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    /// An error of the fleet.
    Fleet(Error),
    /// A field or parameter has the wrong type or an invalid value.
    InvalidField {
        /// Its name, as in the request.
        field: String,
        /// What is wrong and what is allowed.
        problem: String,
    },
    /// The body is not JSON, or not an object.
    InvalidJson {
        /// The parser's message.
        problem: String,
    },
    /// The body exceeds the limit.
    BodyTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The body arrived too slowly.
    BodyTooSlow {
        /// The time limit.
        limit: Duration,
    },
    /// The body is not declared as JSON.
    UnsupportedMediaType {
        /// Its declared content type.
        given: String,
    },
    /// A browser sent the request for a page of another origin.
    CrossOrigin {
        /// The page's origin, or the value of `Sec-Fetch-Site` without one.
        origin: String,
        /// The setting that would allow it.
        setting: &'static str,
    },
    /// The `Host` is not a name of this server.
    UnknownHost {
        /// The name, with its port.
        host: String,
        /// The setting that would allow it.
        setting: &'static str,
    },
    /// The request is malformed, or is not meant for this server.
    BadRequest {
        /// What is wrong with it.
        problem: String,
    },
    /// The request line and headers exceed the limits.
    HeadTooLarge {
        /// The maximum number of bytes.
        limit: usize,
        /// The maximum number of headers.
        headers: usize,
    },
    /// The request line and headers arrived too slowly.
    HeadTooSlow {
        /// The time limit.
        limit: Duration,
    },
    /// No content encoding is left that the caller accepts.
    NotAcceptable,
    /// A client of the Chrome DevTools Protocol.
    CdpUnsupported,
    /// A live view was requested by its id alone, and this server also requires its key.
    ViewKeyRequired,
    /// The access token is missing or wrong.
    Unauthorized,
    /// No such route.
    NoSuchRoute,
    /// The route does not support this method.
    MethodNotAllowed {
        /// The supported methods.
        allowed: &'static str,
    },
    /// Not a valid WebSocket handshake.
    BadHandshake {
        /// What is wrong with it.
        problem: String,
    },
    /// The binary was built without the panel.
    PanelMissing,
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self::Fleet(error)
    }
}

impl From<InvalidRequest> for ApiError {
    fn from(invalid: InvalidRequest) -> Self {
        match invalid {
            InvalidRequest::Json { problem } => Self::InvalidJson { problem },
            InvalidRequest::Field { field, problem } => Self::InvalidField { field, problem },
        }
    }
}

impl ApiError {
    /// The stable error code.
    pub fn code(&self) -> &str {
        match self.own_code() {
            Ok(code) => code.as_str(),
            Err(error) => error.code(),
        }
    }

    /// The code of this crate's errors, or the fleet's error, which has a code of its own.
    fn own_code(&self) -> Result<ErrorCode, &Error> {
        Ok(match self {
            Self::Fleet(error) => return Err(error),
            Self::InvalidField { .. } => ErrorCode::InvalidField,
            Self::InvalidJson { .. } => ErrorCode::InvalidJson,
            Self::BodyTooLarge { .. } => ErrorCode::BodyTooLarge,
            Self::BodyTooSlow { .. } => ErrorCode::BodyTooSlow,
            Self::UnsupportedMediaType { .. } => ErrorCode::UnsupportedMediaType,
            Self::CrossOrigin { .. } => ErrorCode::CrossOrigin,
            Self::UnknownHost { .. } => ErrorCode::UnknownHost,
            Self::BadRequest { .. } => ErrorCode::BadRequest,
            Self::HeadTooLarge { .. } => ErrorCode::HeadTooLarge,
            Self::HeadTooSlow { .. } => ErrorCode::HeadTooSlow,
            Self::NotAcceptable => ErrorCode::NotAcceptable,
            Self::CdpUnsupported => ErrorCode::CdpUnsupported,
            Self::ViewKeyRequired => ErrorCode::ViewKeyRequired,
            Self::Unauthorized => ErrorCode::Unauthorized,
            Self::NoSuchRoute => ErrorCode::NotFound,
            Self::MethodNotAllowed { .. } => ErrorCode::MethodNotAllowed,
            Self::BadHandshake { .. } => ErrorCode::BadWebSocketHandshake,
            Self::PanelMissing => ErrorCode::PanelMissing,
        })
    }

    /// The JSON body.
    pub fn body(&self) -> ErrorBody {
        ErrorBody { detail: self.to_string(), code: self.code().to_owned() }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fleet(error) => error.fmt(f),
            Self::InvalidField { field, problem } => write!(f, "{field}: {problem}"),
            Self::InvalidJson { problem } => write!(f, "the body must be a JSON object: {problem}"),
            Self::BodyTooLarge { limit } => write!(f, "the body is larger than {limit} bytes"),
            Self::BodyTooSlow { limit } => {
                write!(f, "the body did not arrive within {} s; send it at once", limit.as_secs())
            }
            Self::UnsupportedMediaType { given } if given.is_empty() => {
                f.write_str("the body has no content type; send 'Content-Type: application/json', or application/zstd for an archive")
            }
            Self::UnsupportedMediaType { given } => {
                write!(f, "the content type is {given:?}; send JSON with 'Content-Type: application/json', or an archive with application/zstd")
            }
            Self::CrossOrigin { origin, setting } => write!(
                f,
                "a page of another origin ({origin}) may not do this; list its origin in {setting} to allow it"
            ),
            Self::UnknownHost { host, setting } => {
                write!(f, "this server is not known as {host:?}; name that host in {setting} if it is yours")
            }
            Self::BadRequest { problem } => write!(f, "not a request to this server: {problem}"),
            Self::HeadTooLarge { limit, headers } => write!(
                f,
                "the request's line and headers have more than {limit} bytes, or there are more than {headers} headers; \
                 send fewer"
            ),
            Self::HeadTooSlow { limit } => write!(
                f,
                "the request's headers did not arrive within {} s; send them at once",
                limit.as_secs()
            ),
            Self::NotAcceptable => {
                f.write_str("no encoding that you accept is left; send no 'Accept-Encoding', or one that allows identity")
            }
            Self::CdpUnsupported => f.write_str(
                "these browsers are Firefox, which does not speak the Chrome DevTools Protocol; instead of \
                 chromium.connectOverCDP use Playwright's firefox.connect with the ws_endpoint of a session",
            ),
            Self::ViewKeyRequired => f.write_str(
                "this live view needs its key; use the URLs of its session (vnc.http, vnc.ws), which contain it; or set \
                 RUNNER_VNC_OPEN_IDS=true",
            ),
            Self::Unauthorized => f.write_str(
                "an access token is needed: send 'Authorization: Bearer <token>' or '?access_token=<token>'",
            ),
            Self::NoSuchRoute => f.write_str("Not Found; see /docs for the routes of this server"),
            Self::MethodNotAllowed { allowed } => {
                write!(f, "this route does not support this method; use {allowed}")
            }
            Self::BadHandshake { problem } => write!(f, "not a WebSocket handshake: {problem}"),
            Self::PanelMissing => {
                f.write_str("this binary was built without the panel; 'make build' builds both")
            }
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        let status = match self.own_code() {
            Ok(code) => code.status(),
            Err(error) => error.status(),
        };
        // Another machine's error may have any status; our own are all valid.
        StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if let Some(seconds) = self.retry_after() {
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        // RFC 9110, section 15.5.6.
        if let Self::MethodNotAllowed { allowed } = self {
            response.insert_header((ALLOW, *allowed));
        }
        response.json(self.body())
    }
}

impl ApiError {
    /// When to retry, in seconds, for temporary errors.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Fleet(
                Error::AtCapacity { retry_after, .. }
                | Error::Busy { retry_after, .. }
                | Error::Refused { retry_after: Some(retry_after), .. },
            ) => Some(retry_after.as_secs().max(1)),
            Self::Fleet(Error::TooManyClients { .. }) => Some(5),
            Self::Fleet(error) if error.status() == 503 => Some(5),
            _ => None,
        }
    }
}
