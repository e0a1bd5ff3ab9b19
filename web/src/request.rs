//! What requests say about themselves, wherever in them it stands.

use std::borrow::Cow;

use actix_web::http::header::HeaderMap;
use actix_web::web;
use camofleet_api::ids::RequestId;
use percent_encoding::percent_decode_str;

/// Where a client of the Chrome DevTools Protocol is sent, to be told why there is none.
pub(crate) const CDP_PATH: &str = "/json/cdp";

/// On whose behalf a request comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A program's, a person's, a page of this server's or of a listed origin.
    Trusted,
    /// A foreign page's that reads because every page may: it is shown no key that would open more.
    Reader,
    /// A foreign page's, for something that foreign pages may have.
    Foreign,
}

/// The header that names a request across roles.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// The name that a caller gave its request, or a new one.
pub(crate) fn request_id(headers: &HeaderMap) -> RequestId {
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).and_then(RequestId::parse);
    given.unwrap_or_else(RequestId::random)
}

/// The key that an address of a live view carries.
pub(crate) fn view_key(query: &str) -> Option<String> {
    parameter(query, "key").filter(|key| !key.is_empty())
}

/// The value of a query's first parameter of this name.
pub(crate) fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query).ok()?;
    pairs.into_inner().into_iter().find(|(given, _)| given == name).map(|(_, value)| value)
}

/// The id of the live view that a request to `/websockify` names: in its query, or in the header by which an ingress tells
/// what it stripped.
pub(crate) fn view_id(query: &str, headers: &HeaderMap) -> Option<String> {
    parameter(query, "token").or_else(|| stripped_vnc_id(headers))
}

/// The id of a live view in the prefix that an ingress stripped: `/vnc/{id}`, or the same below the ingress' own path.
pub(crate) fn stripped_vnc_id(headers: &HeaderMap) -> Option<String> {
    let prefix = headers.get("x-forwarded-prefix")?.to_str().ok()?;
    let (_, id) = prefix.trim_end_matches('/').rsplit_once("/vnc/")?;
    decoded(id).filter(|id| !id.is_empty() && !id.contains('/'))
}

/// A segment of a path as it was meant: a worker's name may hold characters that a path has to escape.
pub(crate) fn decoded(segment: &str) -> Option<String> {
    percent_decode_str(segment).decode_utf8().ok().map(Cow::into_owned)
}
