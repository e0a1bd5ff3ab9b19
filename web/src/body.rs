//! Reads request bodies within limits of size and time.

use std::time::Duration;

use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpRequest, web};
use tokio::time::timeout;

use crate::error::ApiError;

/// The media type of an archive of a profile.
pub(crate) const ARCHIVE: &str = "application/zstd";
/// The media type of cookies as text.
pub(crate) const TEXT: &str = "text/plain";
/// The largest body that is read, in bytes.
const BODY_LIMIT: usize = 64 << 10;
/// The time within which a body must arrive, counted from the end of the headers.
pub(crate) const BODY_TIME: Duration = Duration::from_secs(10);

/// The largest body of cookies that is read, in bytes.
const LARGE_BODY_LIMIT: usize = 8 << 20;

/// Reads a body of up to 64 KiB. If its declared length is too large, it is rejected before it is read.
///
/// # Errors
/// [`ApiError::BodyTooLarge`], [`ApiError::BodyTooSlow`], and [`ApiError::InvalidJson`] if it is incomplete.
pub(crate) async fn read_body(request: &HttpRequest, payload: web::Payload) -> Result<web::Bytes, ApiError> {
    read_up_to(BODY_LIMIT, request, payload).await
}

/// As [`read_body`], up to 8 MiB.
///
/// # Errors
/// As [`read_body`].
pub(crate) async fn read_large_body(
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<web::Bytes, ApiError> {
    read_up_to(LARGE_BODY_LIMIT, request, payload).await
}

async fn read_up_to(
    limit: usize,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<web::Bytes, ApiError> {
    let declared =
        request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: usize| length > limit) {
        return Err(ApiError::BodyTooLarge { limit });
    }
    match timeout(BODY_TIME, payload.to_bytes_limited(limit)).await {
        Ok(Ok(Ok(body))) => Ok(body),
        Ok(Ok(Err(error))) => Err(ApiError::InvalidJson { problem: error.to_string() }),
        Ok(Err(_)) => Err(ApiError::BodyTooLarge { limit }),
        Err(_) => Err(ApiError::BodyTooSlow { limit: BODY_TIME }),
    }
}
