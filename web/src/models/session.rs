//! A session as each role shows it. What two roles share is one struct; the rest is theirs by contract.

use std::borrow::Cow;
use std::collections::BTreeMap;

use camofleet_actors::RequestId;
use camofleet_actors::links::ViewKey;
use camofleet_actors::session::{Contexts, OnCrash, SessionView, StartUrlWait, Status, without_password};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::schema;

/// What every role shows of a session.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionFields<'a> {
    id: Uuid,
    #[schema(schema_with = schema::status)]
    status: Status,
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was last used; it ends `idle_ttl_seconds` later.
    #[schema(format = DateTime)]
    last_seen_at: String,
    /// The engine: `camoufox` or `firefox`.
    browser: &'a str,
    #[schema(required)]
    browser_version: Option<&'a str>,
    /// The id of its live view, as gateways know it.
    #[schema(required)]
    vnc_id: Option<u16>,
    /// What opens its live view, and no later one with this id; its addresses carry it.
    #[schema(required)]
    vnc_key: Option<&'a str>,
    headless: bool,
    idle_ttl_seconds: u64,
    labels: &'a BTreeMap<String, String>,
    #[schema(required)]
    start_url: Option<Cow<'a, str>>,
    #[schema(schema_with = schema::start_url_wait)]
    start_url_wait: StartUrlWait,
    /// Why the start URL could not be opened.
    #[schema(required)]
    start_url_error: Option<&'a str>,
    /// How many Playwright clients are attached.
    attached: usize,
    /// How often it was built anew.
    restarts: u32,
    #[schema(schema_with = schema::on_crash)]
    on_crash: OnCrash,
    #[schema(schema_with = schema::contexts)]
    contexts: Contexts,
    /// The `X-Request-Id` of the request that asked for it, as the logs name it.
    #[schema(required)]
    request_id: Option<&'a str>,
    #[schema(required, format = DateTime)]
    ended_at: Option<String>,
    #[schema(required, schema_with = schema::end_reason_or_null)]
    end_reason: Option<&'static str>,
    #[schema(required)]
    end_detail: Option<&'a str>,
}

impl<'a> SessionFields<'a> {
    fn new(view: &'a SessionView) -> Self {
        let spec = &view.spec;
        let ending = view.ending.as_ref();
        Self {
            id: spec.id,
            status: view.status,
            created_at: shown(view.activity.born_at()),
            last_seen_at: shown(view.activity.last_seen_at()),
            browser: &view.browser,
            browser_version: view.browser_version.as_deref(),
            vnc_id: view.vnc.as_ref().and_then(|vnc| vnc.id),
            vnc_key: view.vnc.as_ref().and_then(|vnc| vnc.key.as_ref()).map(ViewKey::as_str),
            headless: spec.headless,
            idle_ttl_seconds: spec.idle_ttl.as_secs(),
            labels: &spec.labels,
            start_url: spec.start_url.as_deref().map(without_password),
            start_url_wait: spec.start_url_wait,
            start_url_error: view.start_url_error.as_deref(),
            attached: view.attached,
            restarts: view.restarts,
            on_crash: spec.on_crash,
            contexts: spec.contexts,
            request_id: spec.request_id.as_ref().map(RequestId::as_str),
            ended_at: ending.filter(|_| view.status == Status::Dead).map(|ending| shown(ending.at)),
            end_reason: ending.map(|ending| ending.reason.as_str()),
            end_detail: ending.map(|ending| ending.detail.as_str()),
        }
    }
}

/// Where a live view is found.
#[derive(Debug, Serialize, ToSchema)]
pub struct ViewLinks<'a> {
    /// The WebSocket with raw VNC.
    #[schema(required)]
    ws: Option<&'a str>,
    /// The noVNC page.
    #[schema(required)]
    http: Option<&'a str>,
    /// Whether the VNC server asks for a password.
    password_protected: bool,
}

impl<'a> ViewLinks<'a> {
    /// A session without a live view has none.
    fn new(view: &'a SessionView) -> Self {
        let links = view.vnc.as_ref().map(|vnc| &vnc.links);
        Self {
            ws: links.and_then(|links| links.ws.as_deref()),
            http: links.and_then(|links| links.http.as_deref()),
            password_protected: links.is_some_and(|links| links.password_protected),
        }
    }
}

/// A session as the control role shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub struct ControlSession<'a> {
    #[serde(flatten)]
    fields: SessionFields<'a>,
    /// The name of the worker that it is on.
    worker: &'a str,
    /// Where Playwright clients attach, relative to the API's origin.
    ws_endpoint: String,
    /// Whether it has a live view.
    vnc_enabled: bool,
    vnc: ViewLinks<'a>,
    /// This is what was last known of it: its worker does not answer.
    stale: bool,
}

impl<'a> ControlSession<'a> {
    /// Shows a session of a worker; `prefix` is where clients reach the API, `/` or a path.
    pub fn new(worker: &'a str, view: &'a SessionView, prefix: &str, stale: bool) -> Self {
        let prefix = prefix.trim_end_matches('/');
        Self {
            fields: SessionFields::new(view),
            worker,
            ws_endpoint: format!("{prefix}/sessions/{}/{}/ws", path_segment(worker), view.spec.id),
            vnc_enabled: view.vnc.is_some(),
            vnc: ViewLinks::new(view),
            stale,
        }
    }
}

/// A session as the worker role shows it.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkerSession<'a> {
    #[serde(flatten)]
    fields: SessionFields<'a>,
    /// What the worker that it is on calls itself.
    worker_id: &'a str,
    /// Where Playwright clients attach, relative to the API's origin.
    ws_endpoint: String,
    /// Whether it has a live view.
    vnc_enabled: bool,
    vnc: ViewLinks<'a>,
    /// This is what was last known of it: the runner does not answer.
    stale: bool,
}

impl<'a> WorkerSession<'a> {
    /// Shows a session of the worker with this id.
    pub fn new(worker_id: &'a str, view: &'a SessionView, stale: bool) -> Self {
        Self {
            fields: SessionFields::new(view),
            worker_id,
            ws_endpoint: format!("/sessions/{}/ws", view.spec.id),
            vnc_enabled: view.vnc.is_some(),
            vnc: ViewLinks::new(view),
            stale,
        }
    }
}

/// A session as the runner role shows it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunnerSession<'a> {
    #[serde(flatten)]
    fields: SessionFields<'a>,
    /// Where Playwright clients attach.
    ws_endpoint: String,
    /// Whether it has a live view.
    vnc: bool,
    vnc_info: ViewLinks<'a>,
}

impl<'a> RunnerSession<'a> {
    /// Shows a session to a caller that reached this server as `authority`, a host with or without a port.
    pub fn new(authority: &str, view: &'a SessionView) -> Self {
        Self {
            fields: SessionFields::new(view),
            ws_endpoint: format!("ws://{authority}/sessions/{}/ws", view.spec.id),
            vnc: view.vnc.is_some(),
            vnc_info: ViewLinks::new(view),
        }
    }
}

/// A session as the two roles with one host show it: each answers with its own kind only.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Session)]
pub enum HostSession<'a> {
    /// The worker role's.
    Worker(WorkerSession<'a>),
    /// The runner role's.
    Runner(RunnerSession<'a>),
}

/// RFC 3339 in UTC, to the millisecond.
pub(super) fn shown(time: Timestamp) -> String {
    format!("{time:.3}")
}

/// A text as one segment of a path (RFC 3986, section 3.3): what is not unreserved is escaped.
fn path_segment(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// The answer to a delete.
#[derive(Debug, Serialize, ToSchema)]
pub struct Deleted {
    /// Which session.
    pub id: Uuid,
    /// DEAD: the answer comes when nothing is left of it.
    #[schema(schema_with = schema::status)]
    pub status: Status,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_of_any_name_has_an_endpoint_that_is_a_url() {
        for (name, segment) in
            [("local", "local"), ("east 1/a", "east%201%2Fa"), ("жук", "%D0%B6%D1%83%D0%BA")]
        {
            assert_eq!(path_segment(name), segment);
        }
    }
}
