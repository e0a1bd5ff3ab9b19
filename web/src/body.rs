//! Reading the body of a request within its limits.

use std::time::Duration;

use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpRequest, web};
use tokio::time::timeout;

use crate::error::ApiError;

/// The largest body that is read, in bytes.
const BODY_LIMIT: usize = 64 << 10;
/// How long a body may take to arrive, counted from its head.
pub(crate) const BODY_TIME: Duration = Duration::from_secs(10);

/// Reads a body. One that is declared to be too large is refused before any of it is read.
///
/// # Errors
/// [`ApiError::BodyTooLarge`], [`ApiError::BodyTooSlow`], and [`ApiError::InvalidJson`] when it breaks off.
pub(crate) async fn read_body(request: &HttpRequest, payload: web::Payload) -> Result<web::Bytes, ApiError> {
    let declared =
        request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: usize| length > BODY_LIMIT) {
        return Err(ApiError::BodyTooLarge { limit: BODY_LIMIT });
    }
    match timeout(BODY_TIME, payload.to_bytes_limited(BODY_LIMIT)).await {
        Ok(Ok(Ok(body))) => Ok(body),
        Ok(Ok(Err(error))) => Err(ApiError::InvalidJson { problem: error.to_string() }),
        Ok(Err(_)) => Err(ApiError::BodyTooLarge { limit: BODY_LIMIT }),
        Err(_) => Err(ApiError::BodyTooSlow { limit: BODY_TIME }),
    }
}
