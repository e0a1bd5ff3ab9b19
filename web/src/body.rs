//! Reads request bodies within limits of size and time.

use std::time::Duration;

use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpRequest, web};
use tokio::time::timeout;

use crate::error::ApiError;

/// The largest body that is read, in bytes.
const BODY_LIMIT: usize = 64 << 10;
/// The time within which a body must arrive, counted from the end of the headers.
pub(crate) const BODY_TIME: Duration = Duration::from_secs(10);

/// Reads a body. If its declared length is too large, it is rejected before it is read.
///
/// # Errors
/// [`ApiError::BodyTooLarge`], [`ApiError::BodyTooSlow`], and [`ApiError::InvalidJson`] if it is incomplete.
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
