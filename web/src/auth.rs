//! The access token, where one is set.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{Error, web};

use crate::error::ApiError;
use crate::request::{parameter, view_key};
use crate::settings::AccessSettings;
use crate::state::AppState;

/// The query parameter that carries the token where a header can't: a browser's WebSocket.
const PARAMETER: &str = "access_token";

/// Checks a request's token against the one that is set; without one set, every request may pass.
///
/// # Errors
/// [`ApiError::Unauthorized`].
pub fn check(expected: Option<&str>, headers: &HeaderMap, query: &str) -> Result<(), ApiError> {
    let Some(expected) = expected else { return Ok(()) };
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    });
    let given = bearer.or_else(|| parameter(query, PARAMETER));
    match given {
        Some(given) if equal(given.as_bytes(), expected.as_bytes()) => Ok(()),
        _ => Err(ApiError::Unauthorized),
    }
}

/// Checks whether a request may see a live view: with the view's key, whose rightness the gateway checks; where numbers
/// open views, by the number alone; else with the token.
///
/// Returns the key that the request brings.
///
/// # Errors
/// [`ApiError::Unauthorized`], [`ApiError::ViewKeyRequired`].
pub(crate) fn check_view(
    access: &AccessSettings,
    headers: &HeaderMap,
    query: &str,
) -> Result<Option<String>, ApiError> {
    match (view_key(query), access.open_views, &access.api_token) {
        (Some(key), ..) => Ok(Some(key)),
        (None, true, _) => Ok(None),
        (None, false, None) => Err(ApiError::ViewKeyRequired),
        (None, false, Some(token)) => check(Some(token), headers, query).map(|()| None),
    }
}

/// Compares in a time that does not tell how much of the token was right.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

/// The check as a middleware of the API's routes.
pub(crate) async fn require_token(
    state: web::Data<AppState>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let token = state.settings.access.api_token.as_deref();
    match check(token, request.headers(), request.query_string()) {
        Ok(()) => Ok(next.call(request).await?.map_into_boxed_body()),
        // An answer, not an error: what wraps this adds headers to answers, and logs them.
        Err(refusal) => Ok(request.error_response(refusal)),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn headers(authorization: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static(authorization));
        headers
    }

    #[test]
    fn without_a_token_set_everything_passes() {
        assert_eq!(check(None, &HeaderMap::new(), ""), Ok(()));
    }

    #[test]
    fn the_token_is_taken_from_the_header_or_the_query() {
        assert_eq!(check(Some("s3cret"), &headers("Bearer s3cret"), ""), Ok(()));
        assert_eq!(check(Some("s3cret"), &headers("bearer  s3cret"), ""), Ok(()));
        assert_eq!(check(Some("s 3"), &HeaderMap::new(), "token=6900&access_token=s%203"), Ok(()));
    }

    #[test]
    fn a_missing_or_wrong_token_is_refused() {
        for (headers, query) in [
            (HeaderMap::new(), ""),
            (headers("Bearer s3cre"), ""),
            (headers("Basic s3cret"), ""),
            (headers("s3cret"), ""),
            (HeaderMap::new(), "access_token=other"),
            (HeaderMap::new(), "token=s3cret"),
        ] {
            assert_eq!(
                check(Some("s3cret"), &headers, query),
                Err(ApiError::Unauthorized),
                "{headers:?} {query}"
            );
        }
    }
}
