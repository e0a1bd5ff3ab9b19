//! The JSON that workers and runners speak, camofleet's own and the original's, as their caller reads and writes it.
//!
//! The original's bodies have fewer fields; what is missing gets the value that a session without it has.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use url::Url;

use super::{RemoteRole, RemoteSettings};
use crate::links::{ViewKey, VncLinks};
use crate::request_id::RequestId;
use crate::session::{
    ActivityClock, Contexts, EndReason, Ending, OnCrash, SessionId, SessionRequest, SessionSpec, SessionView,
    StartUrlWait, Status, VncView,
};

/// A session of a worker or of a runner: where the two differ, both forms are read.
#[derive(Debug, Deserialize)]
pub(super) struct WireSession {
    pub id: SessionId,
    pub status: Status,
    #[serde(deserialize_with = "time")]
    created_at: Timestamp,
    #[serde(deserialize_with = "time")]
    last_seen_at: Timestamp,
    #[serde(default)]
    browser: Option<String>,
    #[serde(default)]
    browser_version: Option<String>,
    #[serde(default)]
    headless: bool,
    #[serde(default)]
    idle_ttl_seconds: u64,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    start_url: Option<String>,
    #[serde(default)]
    start_url_wait: Option<StartUrlWait>,
    #[serde(default)]
    start_url_error: Option<String>,
    #[serde(default)]
    ws_endpoint: Option<String>,
    /// A worker's links, or a runner's "has a live view".
    #[serde(default)]
    vnc: Option<Vnc>,
    #[serde(default)]
    vnc_info: Option<VncLinks>,
    #[serde(default)]
    vnc_enabled: Option<bool>,
    #[serde(default)]
    vnc_id: Option<u16>,
    /// What opens its view, also where the machine has no addresses for it.
    #[serde(default)]
    vnc_key: Option<String>,
    /// This is what was last known of it: its worker's runner does not answer.
    #[serde(default)]
    pub stale: bool,
    #[serde(default)]
    attached: usize,
    #[serde(default)]
    restarts: u32,
    #[serde(default)]
    on_crash: OnCrash,
    #[serde(default)]
    contexts: Contexts,
    #[serde(default)]
    request_id: Option<String>,
    #[serde(default, deserialize_with = "optional_time")]
    ended_at: Option<Timestamp>,
    #[serde(default)]
    end_reason: Option<String>,
    #[serde(default)]
    end_detail: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Vnc {
    Enabled(bool),
    Links(VncLinks),
}

/// RFC 3339; a time without an offset, as Python writes it, is one of UTC.
fn read_time(text: &str) -> Result<Timestamp, jiff::Error> {
    text.parse::<Timestamp>().or_else(|error| {
        let civil = text.parse::<jiff::civil::DateTime>().map_err(|_| error)?;
        jiff::tz::Offset::UTC.to_timestamp(civil)
    })
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    read_time(&text).map_err(serde::de::Error::custom)
}

fn optional_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| read_time(&text).map_err(serde::de::Error::custom)).transpose()
}

/// Where a runner that does not relay has the server of a session's browser. One that does is dialled at the address
/// that it is called by: it can't know which that is.
fn browser_endpoint(endpoint: &str, id: SessionId) -> Option<Url> {
    let url = Url::parse(endpoint).ok()?;
    let relayed = url.path().ends_with(&format!("/sessions/{id}/ws"));
    (matches!(url.scheme(), "ws" | "wss") && url.has_host() && !relayed).then_some(url)
}

impl WireSession {
    /// The session as the fleet shows it, its live view under the public addresses of its worker.
    pub fn into_view(self, settings: &RemoteSettings) -> SessionView {
        let endpoint = self.ws_endpoint.filter(|_| settings.role == RemoteRole::Runner);
        let endpoint = endpoint.and_then(|endpoint| browser_endpoint(&endpoint, self.id));
        let (flag, links) = match self.vnc {
            Some(Vnc::Enabled(enabled)) => (Some(enabled), None),
            Some(Vnc::Links(links)) => (None, Some(links)),
            None => (None, None),
        };
        let links = links.or(self.vnc_info).unwrap_or_default();
        let told_any = links.ws.is_some() || links.http.is_some();
        let has_view = self.vnc_enabled.or(flag).unwrap_or(told_any);
        let vnc = has_view.then(|| {
            let id = self.vnc_id.map(|id| id.to_string()).or_else(|| links.vnc_id());
            let key = self.vnc_key.as_deref().and_then(ViewKey::parse).or_else(|| links.key());
            let (name, host) = (&settings.name, settings.host());
            let links = settings.links.apply(links, id.as_deref(), key.as_ref(), name, host);
            VncView { id: id.and_then(|id| id.parse().ok()), server: None, links, key }
        });
        let ending = self.end_reason.map(|reason| Ending {
            at: self.ended_at.unwrap_or(self.last_seen_at),
            // A reason that only a newer version knows is some kind of loss.
            reason: EndReason::from_name(&reason).unwrap_or(EndReason::Crashed),
            detail: self.end_detail.unwrap_or_default(),
        });
        SessionView {
            spec: Arc::new(SessionSpec {
                id: self.id,
                headless: self.headless,
                vnc: has_view,
                idle_ttl: Duration::from_secs(self.idle_ttl_seconds),
                start_url: self.start_url,
                start_url_wait: self.start_url_wait.unwrap_or(StartUrlWait::Load),
                labels: Arc::new(self.labels.unwrap_or_default()),
                on_crash: self.on_crash,
                contexts: self.contexts,
                request_id: self.request_id.as_deref().and_then(RequestId::parse),
                view_key: None,
            }),
            status: self.status,
            activity: ActivityClock::observed(self.created_at, self.last_seen_at),
            // The original's runner does not say, and runs nothing else.
            browser: self.browser.map_or("camoufox".into(), Into::into),
            browser_version: self.browser_version,
            vnc,
            endpoint,
            start_url_error: self.start_url_error,
            attached: self.attached,
            restarts: self.restarts,
            ending,
        }
    }
}

/// The body of a create request. What was not asked for is left out, and so is what the original does not know, unless
/// it was asked for.
#[derive(Debug, Serialize)]
pub(super) struct WireRequest<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    headless: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_ttl_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_url_wait: Option<StartUrlWait>,
    labels: &'a BTreeMap<String, String>,
    vnc: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_crash: Option<OnCrash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contexts: Option<Contexts>,
}

impl<'a> WireRequest<'a> {
    pub fn new(request: &'a SessionRequest) -> Self {
        Self {
            headless: request.headless,
            idle_ttl_seconds: request.idle_ttl.map(|ttl| ttl.as_secs()),
            start_url: request.start_url.as_deref(),
            start_url_wait: request.start_url_wait,
            labels: &request.labels,
            vnc: request.vnc,
            on_crash: (request.on_crash != OnCrash::default()).then_some(request.on_crash),
            contexts: (request.contexts != Contexts::default()).then_some(request.contexts),
        }
    }
}

/// The answer to a delete.
#[derive(Debug, Deserialize)]
pub(super) struct WireDeleted {
    pub status: Status,
}

/// What a refusal says: camofleet's `detail` and `code`, or the `detail` of FastAPI, which may be a structure.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireError {
    detail: Value,
    code: Option<String>,
}

impl WireError {
    /// The code that a body names.
    pub fn code(body: &[u8]) -> Option<String> {
        serde_json::from_slice::<Self>(body).ok()?.code
    }

    /// Reads the body of an answer with this status.
    pub fn read(status: u16, body: &[u8]) -> (String, String) {
        let Self { detail, code } = serde_json::from_slice(body).unwrap_or_default();
        let detail = match detail {
            Value::String(text) => text,
            Value::Null => format!("it answered {status}"),
            structure => structure.to_string(),
        };
        let usual = match status {
            400 => "bad_request",
            401 | 403 => "unauthorized",
            404 => "session_not_found",
            409 => "session_not_ready",
            413 => "body_too_large",
            422 => "invalid_field",
            428 => "playwright_version_mismatch",
            429 => "at_capacity",
            503 => "no_workers",
            504 => "upstream_timed_out",
            _ => "upstream_broke",
        };
        (code.unwrap_or_else(|| usual.to_owned()), detail)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::links::LinkTemplates;
    use crate::worker::remote::settings::settings_of;

    fn view(body: Value) -> SessionView {
        let links = LinkTemplates { http: Some("https://{host}/vnc/{id}".into()), ws: None };
        serde_json::from_value::<WireSession>(body)
            .unwrap()
            .into_view(&RemoteSettings { links, ..settings_of("http://user@worker-1:8080") })
    }

    const ID: &str = "6a3e1f0c-8f0e-4a52-9a53-0d7f6f1c2b11";

    #[test]
    fn a_session_of_the_original_worker_is_read() {
        let read = view(json!({
            "id": ID, "status": "READY", "created_at": "2026-01-31T12:00:00.123456+00:00",
            "last_seen_at": "2026-01-31T12:00:05.5", "browser": "camoufox", "headless": false, "idle_ttl_seconds": 60,
            "labels": {"team": "a"}, "worker_id": "w", "vnc_enabled": true, "start_url_wait": "load",
            "ws_endpoint": "/sessions/x/ws",
            "vnc": {"ws": "ws://inner:6900/websockify?token=6903", "http": "http://inner:6900/vnc/6903",
                    "password_protected": false},
        }));
        assert_eq!((read.spec.id.to_string().as_str(), read.status), (ID, Status::Ready));
        assert_eq!((read.browser.as_ref(), read.spec.idle_ttl.as_secs(), read.attached), ("camoufox", 60, 0));
        assert_eq!(read.activity.born_at().to_string(), "2026-01-31T12:00:00.123456Z");
        assert_eq!(read.activity.last_seen_at().duration_since(read.activity.born_at()).as_millis(), 5376);
        let vnc = read.vnc.unwrap();
        assert_eq!((vnc.id, vnc.server), (Some(6903), None));
        assert_eq!(vnc.links.http.as_deref(), Some("https://worker-1/vnc/6903"));
        assert_eq!(vnc.links.ws.as_deref(), Some("ws://inner:6900/websockify?token=6903"));
    }

    #[test]
    fn a_session_of_the_original_runner_is_read() {
        let body = |vnc: bool, info: Value| {
            json!({
                "id": ID, "status": "INIT", "created_at": "2026-01-31T12:00:00Z", "last_seen_at": "2026-01-31T12:00:00Z",
                "headless": true, "idle_ttl_seconds": 300, "labels": null, "vnc": vnc, "start_url_wait": "none",
                "ws_endpoint": "ws://127.0.0.1:1/x", "vnc_info": info,
            })
        };
        let read = view(body(false, Value::Null));
        assert_eq!(
            (read.browser.as_ref(), &read.vnc, read.spec.start_url_wait),
            ("camoufox", &None, StartUrlWait::None)
        );
        let unpublished = view(body(true, json!({"ws": null, "http": null, "password_protected": true})));
        let vnc = unpublished.vnc.unwrap();
        assert_eq!((vnc.id, vnc.links.http), (None, None), "without an id no address is half filled in");
        assert!(vnc.links.password_protected);
    }

    #[test]
    fn an_end_that_only_a_newer_version_knows_is_still_an_end() {
        let read = view(json!({
            "id": ID, "status": "DEAD", "created_at": "2026-01-31T12:00:00Z", "last_seen_at": "2026-01-31T12:00:00Z",
            "end_reason": "struck_by_lightning", "end_detail": "bang", "ended_at": "2026-01-31T12:00:09Z",
        }));
        let ending = read.ending.unwrap();
        assert_eq!((ending.reason, ending.detail.as_str()), (EndReason::Crashed, "bang"));
    }

    #[test]
    fn a_request_says_what_was_asked_and_nothing_that_only_camofleet_knows_unless_it_was_asked() {
        let body = |request: &SessionRequest| serde_json::to_value(WireRequest::new(request)).unwrap();
        assert_eq!(body(&SessionRequest::default()), json!({"labels": {}, "vnc": false}));
        let request = SessionRequest {
            headless: Some(false),
            idle_ttl: Some(Duration::from_secs(60)),
            start_url: Some("example.com".into()),
            start_url_wait: Some(StartUrlWait::DomContentLoaded),
            labels: BTreeMap::from([("a".into(), "b".into())]),
            vnc: true,
            on_crash: OnCrash::End,
            contexts: Contexts::Discard,
        };
        let expected = json!({
            "headless": false, "idle_ttl_seconds": 60, "start_url": "example.com",
            "start_url_wait": "domcontentloaded", "labels": {"a": "b"}, "vnc": true, "on_crash": "end",
            "contexts": "discard",
        });
        assert_eq!(body(&request), expected);
    }

    #[test]
    fn refusals_of_either_kind_are_read() {
        for (status, body, code, detail) in [
            (
                409,
                r#"{"detail": "not READY", "code": "session_not_ready"}"#,
                "session_not_ready",
                "not READY",
            ),
            (404, r#"{"detail": "Session not found"}"#, "session_not_found", "Session not found"),
            (
                422,
                r#"{"detail": [{"loc": ["body"], "msg": "no"}]}"#,
                "invalid_field",
                r#"[{"loc":["body"],"msg":"no"}]"#,
            ),
            (503, "<html>", "no_workers", "it answered 503"),
            (500, "", "upstream_broke", "it answered 500"),
        ] {
            let expected = (code.to_owned(), detail.to_owned());
            assert_eq!(WireError::read(status, body.as_bytes()), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_runner_that_relays_is_dialled_where_it_is_called_and_another_where_it_says() {
        let id = SessionId::from_u128(7);
        let relayed = format!("ws://runner:8070/sessions/{id}/ws");
        for (endpoint, expected) in [
            (relayed.as_str(), None),
            ("ws://runner:40123/secret", Some("ws://runner:40123/secret")),
            ("wss://runner/secret?token=a", Some("wss://runner/secret?token=a")),
            ("http://runner:40123/secret", None),
            ("/sessions/7/ws", None),
            ("", None),
        ] {
            let found = browser_endpoint(endpoint, id);
            assert_eq!(found.as_ref().map(Url::as_str), expected, "{endpoint}");
        }
    }

    #[test]
    fn a_time_without_an_offset_is_one_of_utc() {
        let [aware, naive] =
            ["2026-01-31T12:00:00.123456+00:00", "2026-01-31T12:00:00.123456"].map(read_time);
        assert_eq!(aware.unwrap(), naive.unwrap());
        assert!(read_time("yesterday").is_err());
    }
}
