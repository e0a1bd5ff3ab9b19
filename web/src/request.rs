//! Reads values from the headers, query and path of requests.

use std::borrow::Cow;

use actix_web::http::header::HeaderMap;
use actix_web::web;
use camofleet_api::ids::RequestId;
use percent_encoding::percent_decode_str;

/// The path to which clients of the Chrome DevTools Protocol are sent, where they get an error with the reason.
pub(crate) const CDP_PATH: &str = "/json/cdp";

/// The kind of caller of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A program, or a page of this server or of a listed origin.
    Trusted,
    /// A page of another origin that may read because all pages may. It gets no keys of live views.
    Reader,
    /// A page of another origin, with a request that is allowed for all pages.
    Foreign,
}

/// The header with a request's id.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// The caller's request id, or a new one.
pub(crate) fn request_id(headers: &HeaderMap) -> RequestId {
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).and_then(RequestId::parse);
    given.unwrap_or_else(RequestId::random)
}

/// The key in the URL of a live view.
pub(crate) fn view_key(query: &str) -> Option<String> {
    parameter(query, "key").filter(|key| !key.is_empty())
}

/// The value of the first query parameter with this name.
pub(crate) fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query).ok()?;
    pairs.into_inner().into_iter().find(|(given, _)| given == name).map(|(_, value)| value)
}

/// The id of the live view in a request to `/websockify`: from the query, or from the header with the prefix that an ingress
/// stripped.
pub(crate) fn view_id(query: &str, headers: &HeaderMap) -> Option<String> {
    parameter(query, "token").or_else(|| stripped_vnc_id(headers))
}

/// The id of a live view in the prefix that an ingress stripped: `/vnc/{id}`, possibly below the ingress' own path.
pub(crate) fn stripped_vnc_id(headers: &HeaderMap) -> Option<String> {
    let prefix = headers.get("x-forwarded-prefix")?.to_str().ok()?;
    let (_, id) = prefix.trim_end_matches('/').rsplit_once("/vnc/")?;
    decoded(id).filter(|id| !id.is_empty() && !id.contains('/'))
}

/// Unescapes a segment of a path, because a worker's name may contain escaped characters.
pub(crate) fn decoded(segment: &str) -> Option<String> {
    percent_decode_str(segment).decode_utf8().ok().map(Cow::into_owned)
}
