//! Checks of the access token and of live views' keys.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{Error, web};

use crate::error::ApiError;
use crate::request::{parameter, view_key};
use crate::settings::AccessSettings;
use crate::state::AppState;

/// The query parameter for the token, for browsers' WebSockets, which can't send headers.
const PARAMETER: &str = "access_token";

/// Checks a request's token; if none is configured, every request passes.
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

/// Checks whether a request may see a live view: with the view's key, which the gateway verifies; with the id alone where
/// that is allowed; else with the token.
///
/// Returns the key in the request.
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

/// Compares in constant time, so that the duration does not reveal how much of the token was right.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

/// The check as middleware of the API's routes.
pub(crate) async fn require_token(
    state: web::Data<AppState>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let token = state.settings.access.api_token.as_deref();
    match check(token, request.headers(), request.query_string()) {
        Ok(()) => Ok(next.call(request).await?.map_into_boxed_body()),
        // Returned as a response and not as an error, so that the outer middleware adds headers and logs it.
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
    fn without_a_configured_token_everything_passes() {
        assert_eq!(check(None, &HeaderMap::new(), ""), Ok(()));
    }

    #[test]
    fn the_token_is_read_from_the_header_or_the_query() {
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
