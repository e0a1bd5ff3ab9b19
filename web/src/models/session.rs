//! A session as each role shows it. What two roles share is one struct; the rest is theirs by contract.

use std::collections::BTreeMap;

use camofleet_actors::links::VncLinks;
use camofleet_actors::session::{Contexts, OnCrash, SessionView, StartUrlWait, Status};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

/// What every role shows of a session.
#[derive(Debug, Serialize)]
pub struct SessionFields<'a> {
    id: Uuid,
    status: Status,
    created_at: String,
    last_seen_at: String,
    browser: &'a str,
    browser_version: Option<&'a str>,
    /// The id of its live view, as gateways know it.
    vnc_id: Option<u16>,
    headless: bool,
    idle_ttl_seconds: u64,
    labels: &'a BTreeMap<String, String>,
    start_url: Option<&'a str>,
    start_url_wait: StartUrlWait,
    start_url_error: Option<&'a str>,
    attached: usize,
    restarts: u32,
    on_crash: OnCrash,
    contexts: Contexts,
    ended_at: Option<String>,
    end_reason: Option<&'static str>,
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
            headless: spec.headless,
            idle_ttl_seconds: spec.idle_ttl.as_secs(),
            labels: &spec.labels,
            start_url: spec.start_url.as_deref(),
            start_url_wait: spec.start_url_wait,
            start_url_error: view.start_url_error.as_deref(),
            attached: view.attached,
            restarts: view.restarts,
            on_crash: spec.on_crash,
            contexts: spec.contexts,
            ended_at: ending.filter(|_| view.status == Status::Dead).map(|ending| shown(ending.at)),
            end_reason: ending.map(|ending| ending.reason.as_str()),
            end_detail: ending.map(|ending| ending.detail.as_str()),
        }
    }
}

fn links(view: &SessionView) -> VncLinks {
    view.vnc.as_ref().map(|vnc| vnc.links.clone()).unwrap_or_default()
}

/// A session as the control role shows it.
#[derive(Debug, Serialize)]
pub struct ControlSession<'a> {
    #[serde(flatten)]
    fields: SessionFields<'a>,
    worker: &'a str,
    ws_endpoint: String,
    vnc_enabled: bool,
    vnc: VncLinks,
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
            vnc: links(view),
            stale,
        }
    }
}

/// A session as the worker role shows it.
#[derive(Debug, Serialize)]
pub struct WorkerSession<'a> {
    #[serde(flatten)]
    fields: SessionFields<'a>,
    worker_id: &'a str,
    ws_endpoint: String,
    vnc_enabled: bool,
    vnc: VncLinks,
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
            vnc: links(view),
            stale,
        }
    }
}

/// A session as the runner role shows it.
#[derive(Debug, Serialize)]
pub struct RunnerSession<'a> {
    #[serde(flatten)]
    fields: SessionFields<'a>,
    ws_endpoint: String,
    /// Whether it has a live view.
    vnc: bool,
    vnc_info: VncLinks,
}

impl<'a> RunnerSession<'a> {
    /// Shows a session to a caller that reached this server as `authority`, a host with or without a port.
    pub fn new(authority: &str, view: &'a SessionView) -> Self {
        Self {
            fields: SessionFields::new(view),
            ws_endpoint: format!("ws://{authority}/sessions/{}/ws", view.spec.id),
            vnc: view.vnc.is_some(),
            vnc_info: links(view),
        }
    }
}

/// RFC 3339 in UTC, to the millisecond.
fn shown(time: Timestamp) -> String {
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
#[derive(Debug, Serialize)]
pub struct Deleted {
    /// Which session.
    pub id: Uuid,
    /// DEAD: the answer comes when nothing is left of it.
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
