//! Security headers of all responses.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::{Error, ResponseError, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};

use crate::error::ApiError;
use crate::state::AppState;

/// Headers of all responses: no use across origins, and no content type sniffing.
pub(crate) const ALWAYS: [(HeaderName, HeaderValue); 4] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];
/// The policy of responses that are not pages: if a browser displays one, nothing in it is executed or framed.
pub(crate) const NO_PAGE: (HeaderName, HeaderValue) =
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
/// Responses of the API are not cached, because they are outdated soon and meant only for the caller.
pub(crate) const NO_CACHE: (HeaderName, HeaderValue) = (CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// Adds the headers that the handler has not set, as middleware of the whole application.
pub(crate) async fn add(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut response = next.call(request).await?.map_into_boxed_body();
    if response.status() == StatusCode::NOT_ACCEPTABLE {
        // The middleware for compression answers this with a text.
        response = response.into_response(ApiError::NotAcceptable.error_response());
    }
    let headers = response.headers_mut();
    for (name, value) in ALWAYS.into_iter().chain([NO_PAGE, NO_CACHE]) {
        if !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}

/// The policy of a page: its own files, WebSockets to any host with live views, and inline scripts by their hashes.
pub(crate) fn page_policy(state: &web::Data<AppState>, html: &[u8]) -> HeaderValue {
    let scripts: String = inline_scripts(html).map(|hash| format!(" 'sha256-{hash}'")).collect();
    policy(state, &scripts)
}

/// The policy of pages that the operator provides: their inline scripts are allowed.
pub(crate) fn own_files_policy(state: &web::Data<AppState>) -> HeaderValue {
    policy(state, " 'unsafe-inline'")
}

fn policy(state: &web::Data<AppState>, scripts: &str) -> HeaderValue {
    let ancestors = &state.settings.access.frame_ancestors;
    let policy = format!(
        "default-src 'self'; script-src 'self'{scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; \
         connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors {ancestors}"
    );
    // Base64 hashes and sources that were validated as settings are printable ASCII.
    HeaderValue::from_str(&policy).unwrap_or(NO_PAGE.1)
}

/// The hashes of a page's inline scripts in CSP syntax.
fn inline_scripts(html: &[u8]) -> impl Iterator<Item = String> {
    let text = std::str::from_utf8(html).unwrap_or_default();
    text.split("<script").skip(1).filter_map(|rest| {
        let (attributes, rest) = rest.split_once('>')?;
        let (script, _) = rest.split_once("</script")?;
        (!attributes.contains("src=")).then(|| BASE64.encode(Sha256::digest(script)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inline_scripts_are_hashed_and_files_are_not() {
        let page = b"<script type=\"module\" src=\"./a.js\"></script><p><script>alert(1)</script>";
        let hashes: Vec<_> = inline_scripts(page).collect();
        // `printf 'alert(1)' | openssl dgst -sha256 -binary | base64`
        assert_eq!(hashes, ["bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI="]);
        assert_eq!(inline_scripts(b"<p>no script").count(), 0);
    }
}
