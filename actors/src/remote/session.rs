//! Converts sessions of another machine into this process' views.

use std::sync::Arc;
use std::time::Duration;

use camofleet_api::identity::Coherence;
use camofleet_api::identity_request::IdentityRequest;
use camofleet_api::ids::SessionId;
use camofleet_api::proxy::ProxyChoice;
use camofleet_api::session::Session;
use url::Url;

use super::{RemoteRole, RemoteSettings};
use crate::model::activity::ActivityClock;
use crate::model::identity::IdentitySources;
use crate::model::profile::ProfileChoice;
use crate::model::session::{Ending, LaunchTemplate, SessionSpec, SessionView, VncView};
use crate::model::traffic::Traffic;

/// The address of the browser's server at a runner that does not relay. `None` for one that relays: it is dialled at the
/// configured address, because it can't know by which address it is reached.
fn browser_endpoint(endpoint: &str, id: SessionId) -> Option<Url> {
    let url = Url::parse(endpoint).ok()?;
    let relayed = url.path().ends_with(&format!("/sessions/{id}/ws"));
    (matches!(url.scheme(), "ws" | "wss") && url.has_host() && !relayed).then_some(url)
}

/// Converts a session of a worker or runner, with the public URLs of its live view.
pub(super) fn view_of(session: Session, settings: &RemoteSettings) -> SessionView {
    let endpoint = match settings.role {
        RemoteRole::Runner => browser_endpoint(&session.ws_endpoint, session.id),
        RemoteRole::Worker => None,
    };
    let has_view = session.has_view();
    let vnc = has_view.then(|| {
        let links = session.links().cloned().unwrap_or_default();
        let id = session.vnc_id.map(|id| id.to_string()).or_else(|| links.id());
        let key = session.vnc_key.clone().or_else(|| links.key());
        let (name, host) = (&settings.name, settings.host());
        let links = settings.links.apply(links, id.as_deref(), key.as_ref(), name, host);
        VncView { id: id.and_then(|id| id.parse().ok()), screen: None, server: None, links, key }
    });
    let ending = session.end_reason.map(|reason| Ending {
        at: session.ended_at.unwrap_or(session.last_seen_at).0,
        reason,
        detail: session.end_detail.unwrap_or_default(),
    });
    SessionView {
        spec: Arc::new(SessionSpec {
            id: session.id,
            template: LaunchTemplate {
                user_data: None,
                headless: session.headless,
                identity: session.identity.clone().unwrap_or_default(),
            },
            identity: IdentityRequest::default(),
            coherence: Coherence::default(),
            vnc: has_view,
            idle_ttl: Duration::from_secs(session.idle_ttl_seconds),
            start_url: session.start_url,
            start_url_wait: session.start_url_wait,
            labels: session.labels,
            on_crash: session.on_crash,
            contexts: session.contexts,
            // The machine keeps the request's own, with its credentials.
            proxy: ProxyChoice::Direct,
            block: session.block,
            profile: session.profile.map(|name| ProfileChoice {
                name,
                mode: session.profile_mode.unwrap_or_default(),
                create: false,
                uses_its_proxy: false,
            }),
            request_id: session.request_id,
            view_key: None,
        }),
        status: session.status,
        activity: ActivityClock::observed(session.created_at.0, session.last_seen_at.0),
        browser: session.browser.into(),
        browser_version: session.browser_version,
        vnc,
        endpoint,
        start_url_error: session.start_url_error,
        attached: session.attached,
        identity: session.identity.map(Arc::new),
        identity_sources: IdentitySources::default(),
        contradictions: session.contradictions,
        machine: None,
        proxy: session.proxy,
        traffic: session.egress.map(Traffic::reported),
        restarts: session.restarts,
        ending,
    }
}

#[cfg(test)]
mod tests {
    use camofleet_api::session::{EndReason, StartUrlWait, Status};
    use serde_json::{Value, json};

    use super::*;
    use crate::model::links::LinkTemplates;
    use crate::remote::settings::settings_of;

    fn view(body: Value) -> SessionView {
        let links = LinkTemplates { http: Some("https://{host}/vnc/{id}".into()), ws: None };
        let settings = RemoteSettings { links, ..settings_of("http://user@worker-1:8080") };
        view_of(serde_json::from_value(body).unwrap(), &settings)
    }

    const ID: &str = "6a3e1f0c-8f0e-4a52-9a53-0d7f6f1c2b11";

    #[test]
    fn a_session_of_the_original_worker_is_converted() {
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
    fn a_session_of_the_original_runner_is_converted() {
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
        assert_eq!((vnc.id, vnc.links.http), (None, None), "without an id there is no incomplete URL");
        assert!(vnc.links.password_protected);
    }

    #[test]
    fn an_unknown_end_reason_is_still_an_end() {
        let read = view(json!({
            "id": ID, "status": "DEAD", "created_at": "2026-01-31T12:00:00Z", "last_seen_at": "2026-01-31T12:00:00Z",
            "end_reason": "struck_by_lightning", "end_detail": "bang", "ended_at": "2026-01-31T12:00:09Z",
        }));
        let ending = read.ending.unwrap();
        assert_eq!((ending.reason, ending.detail.as_str()), (EndReason::Crashed, "bang"));
    }

    #[test]
    fn a_runner_that_relays_is_dialled_at_its_configured_address_and_another_at_the_reported_one() {
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
}
