//! The API over a real port, on a fake machine: bodies, statuses and codes.

mod support;

use std::collections::BTreeMap;

use awc::http::StatusCode;
use camofleet_actors::testing::fake_os::Fault;
use camofleet_actors::views::gateway::{PortMap, Targets};
use camofleet_web::{CorsOrigins, Surface};
use serde_json::{Value, json};
use support::{Options, api, view_key};

fn assert_error((status, body): (StatusCode, Value), expected: u16, code: &str) {
    assert_eq!((status.as_u16(), body["code"].as_str()), (expected, Some(code)), "{body}");
    assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{body}");
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(2), "{body}");
}

#[actix_web::test]
async fn a_session_has_every_field_of_the_contract() {
    let api = api(Options::default()).await;
    let body = r#"{"headless":true,"idle_ttl_seconds":60,"labels":{"team":"a"},"start_url":"example.com"}"#;
    let mut session = api.create(body).await;
    for volatile in ["id", "created_at", "last_seen_at", "ws_endpoint", "request_id"] {
        assert!(session[volatile].is_string(), "{volatile}");
    }
    assert_eq!(
        session["ws_endpoint"],
        format!("/fleet/sessions/local/{}/ws", session["id"].as_str().unwrap())
    );
    for volatile in ["id", "created_at", "last_seen_at", "ws_endpoint", "request_id"] {
        session.as_object_mut().unwrap().remove(volatile);
    }
    let expected = json!({
        "status": "READY", "browser": "firefox", "browser_version": "153.0", "headless": true, "idle_ttl_seconds": 60,
        "labels": {"team": "a"}, "worker": "local", "vnc_enabled": false, "vnc_id": null, "vnc_key": null, "stale": false, "start_url": "https://example.com",
        "start_url_wait": "load", "start_url_error": null,
        "vnc": {"ws": null, "http": null, "password_protected": false},
        "attached": 0, "restarts": 0, "on_crash": "restart", "contexts": "keep", "proxy": null, "block": [],
        "egress": {"bytes_up": 0, "bytes_down": 0, "connections": 0, "open_connections": 0, "refused": {}},
        "identity": {
            "locale": null, "timezone": null, "geolocation": null, "screen": null, "webrtc": null, "block_images": false,
            "user_preferences": {}, "os": null, "webgl": null, "fonts": null, "humanize": null, "addons": null,
            "main_world_eval": null, "seed": null,
        },
        "contradictions": null,
        "profile": null, "profile_mode": null,
        "ended_at": null, "end_reason": null, "end_detail": null
    });
    assert_eq!(session, expected);
    api.stop().await;
}

#[actix_web::test]
async fn a_session_lives_through_create_list_show_touch_and_delete() {
    let api = api(Options::default()).await;
    let session = api.create(r#"{"vnc":true}"#).await;
    let key = view_key(&session["vnc"]);
    assert_eq!(
        session["vnc"],
        json!({
            "ws": format!("/websockify?token=6900&key={key}"), "http": format!("/vnc/6900?key={key}"),
            "password_protected": false,
        })
    );
    assert_eq!((&session["vnc_enabled"], &session["headless"]), (&json!(true), &json!(false)));
    let path = format!("/sessions/local/{}", session["id"].as_str().unwrap());
    assert_eq!(api.get(&path).await, (StatusCode::OK, session.clone()));
    assert_eq!(api.get("/api/sessions").await, (StatusCode::OK, json!([session])));
    let (status, touched) = api.post(&format!("{path}/touch"), "").await;
    assert_eq!((status, &touched["id"]), (StatusCode::OK, &session["id"]));
    assert_eq!(api.delete(&path).await, (StatusCode::OK, json!({"id": session["id"], "status": "DEAD"})));
    assert_eq!(api.get("/sessions").await.1, json!([]));
    let (_, ended) = api.get("/sessions?ended=true").await;
    assert_eq!((&ended[0]["id"], &ended[0]["end_reason"]), (&session["id"], &json!("deleted")));
    assert!(ended[0]["ended_at"].is_string());
    // Clients of the original poll until they get this.
    assert_error(api.get(&path).await, 404, "session_not_found");
    assert_eq!(api.get(&format!("{path}?ended=true")).await.1["status"], "DEAD");
    assert!(api.os.alive("browser").is_empty() && api.os.alive("Xvnc").is_empty());
    api.stop().await;
}

#[actix_web::test]
async fn invalid_requests_are_rejected_with_their_code() {
    let api = api(Options::default()).await;
    assert_error(api.post("/sessions", "{").await, 422, "invalid_json");
    assert_error(api.post("/sessions", r#"{"idle_ttl_seconds":5}"#).await, 422, "invalid_field");
    assert_error(api.post("/sessions", "x".repeat((64 << 10) + 1)).await, 413, "body_too_large");
    for ended in ["perhaps", "1", ""] {
        assert_error(api.get(&format!("/sessions?ended={ended}")).await, 422, "invalid_field");
    }
    assert_error(api.get("/sessions?ended=true&ended=false").await, 422, "invalid_field");
    assert_error(api.post("/sessions", r#"{"worker":"nobody"}"#).await, 404, "worker_not_found");
    assert_error(api.get("/sessions/nobody/1").await, 404, "worker_not_found");
    let unknown = "/sessions/local/9b2f0d3e-8f5e-4a58-9a51-0d5f8d1f8f10";
    assert_error(api.get(unknown).await, 404, "session_not_found");
    assert_error(api.delete(unknown).await, 404, "session_not_found");
    assert_error(api.post(&format!("{unknown}/touch"), "").await, 404, "session_not_found");
    assert_error(api.get("/sessions/local/no-id").await, 404, "session_not_found");
    assert_error(api.get("/nowhere").await, 404, "not_found");
    assert_error(api.get("/api/nowhere").await, 404, "not_found");
    assert_error(api.delete("/sessions").await, 405, "method_not_allowed");
    assert_error(api.post("/api/health", "").await, 405, "method_not_allowed");
    assert_error(api.get(&format!("{unknown}/ws")).await, 400, "bad_websocket_handshake");
    api.stop().await;
}

#[actix_web::test]
async fn health_may_be_probed_by_head() {
    for surface in [Surface::Control, Surface::Runner, Surface::Gateway] {
        let api = api(Options { surface, ..Options::default() }).await;
        let answer = api.client.head(format!("{}/health", api.origin)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        api.stop().await;
    }
}

#[actix_web::test]
async fn handshakes_that_cannot_be_served_are_rejected_before_the_upgrade() {
    let api = api(Options::default()).await;
    let unknown = "/sessions/local/9b2f0d3e-8f5e-4a58-9a51-0d5f8d1f8f10/ws";
    assert_error(api.refused_handshake(unknown).await, 404, "session_not_found");
    assert_error(api.refused_handshake("/sessions/nobody/1/ws").await, 404, "worker_not_found");
    assert_error(api.refused_handshake("/websockify?token=6900").await, 404, "vnc_not_found");
    assert_error(api.refused_handshake("/websockify").await, 404, "vnc_not_found");
    assert_error(api.refused_handshake("/nowhere").await, 404, "not_found");
    // Nothing listens at the fake browser's address.
    let session = api.create(r#"{"vnc":true}"#).await;
    let path = format!("/sessions/local/{}/ws", session["id"].as_str().unwrap());
    assert_error(api.refused_handshake(&path).await, 502, "upstream_unreachable");
    let (_, response) = api.get(path.trim_end_matches("/ws")).await;
    assert_eq!(response["attached"], 0, "a client whose browser was not reached does not count");
    api.stop().await;
    // Nothing listens on the port of the screen.
    let ports =
        PortMap { named: BTreeMap::new(), host: "127.0.0.1".to_owned(), ids: 6900..=6900, base_port: 1 };
    let api = support::api(Options { targets: Targets::Ports(ports), ..Options::default() }).await;
    assert_error(api.refused_handshake("/websockify?token=6900").await, 502, "upstream_unreachable");
    api.stop().await;
}

#[actix_web::test]
async fn a_full_fleet_answers_with_retry_after() {
    let api = api(Options { max_sessions: 1, ..Options::default() }).await;
    api.create(r#"{"headless":true}"#).await;
    let request = api.client.post(format!("{}/sessions", api.origin)).send();
    let (status, body, headers) = api.answer(request).await;
    assert_error((status, body), 429, "at_capacity");
    assert!(headers.get("retry-after").unwrap().to_str().unwrap().parse::<u64>().unwrap() > 0);
    api.stop().await;
}

#[actix_web::test]
async fn a_fleet_without_slots_or_displays_names_what_is_missing() {
    let full = api(Options::default()).await;
    for _ in 0..2 {
        full.create(r#"{"vnc":true}"#).await;
    }
    assert_error(full.post("/sessions", r#"{"vnc":true}"#).await, 503, "no_slot");
    full.os.break_next(Fault::LaunchFails, 1);
    assert_error(full.post("/sessions", r#"{"headless":true}"#).await, 502, "launch_failed");
    full.stop().await;

    let options = Options::default();
    ["Xvnc", "Xvfb"].iter().for_each(|name| options.os.uninstall(name));
    let blind = api(options).await;
    assert_error(blind.post("/sessions", r#"{"vnc":true}"#).await, 503, "no_vnc_tooling");
    assert_error(blind.post("/sessions", r#"{"vnc":true,"worker":"local"}"#).await, 400, "vnc_unsupported");
    assert_eq!(blind.create("{}").await["headless"], true, "without displays a session runs headless");
    blind.stop().await;
}

#[actix_web::test]
async fn a_configured_token_is_required_except_for_health_and_pages() {
    let api = api(Options { token: Some("s3cret".into()), ..Options::default() }).await;
    for path in ["/sessions", "/workers", "/metrics", "/api/sessions", "/sessions/local/1"] {
        assert_error(api.get(path).await, 401, "unauthorized");
    }
    assert_error(api.post("/sessions", "").await, 401, "unauthorized");
    assert_error(api.refused_handshake("/websockify?token=6900").await, 401, "unauthorized");
    assert_error(
        api.refused_handshake("/websockify?token=6900&access_token=s3cret").await,
        404,
        "vnc_not_found",
    );
    assert_eq!(api.get("/health").await.0, StatusCode::OK);
    assert_eq!(api.get("/sessions?access_token=s3cret").await, (StatusCode::OK, json!([])));
    let request = api.client.get(format!("{}/sessions", api.origin)).bearer_auth("s3cret").send();
    assert_eq!(api.answer(request).await.0, StatusCode::OK);
    api.stop().await;
}

#[actix_web::test]
async fn health_and_workers_have_the_checks() {
    let api = api(Options::default()).await;
    let checks = json!({
        "engine": "firefox 153.0 (/usr/bin/firefox-esr)",
        "display": "xvnc, 2 of 2 slots free",
        "driver": "1 up, playwright 1.62.1, node 20.0.0",
        "pool_headless": "off",
        "pool_vnc": "off"
    });
    let version = env!("CARGO_PKG_VERSION");
    let (status, workers) = api.get("/workers").await;
    // The facts are tested in `workers.rs`.
    let facts = &workers[0]["detail"]["facts"];
    assert!(facts.is_object(), "{workers}");
    let worker = json!({
        "name": "local", "healthy": true, "supports_vnc": true,
        "detail": {
            "status": "ok", "version": version, "checks": checks, "failing": [], "facts": facts, "insecure": null,
        },
        "sessions": 0, "stale": false, "draining": false, "url": null, "last_contact": null
    });
    assert_eq!((status, &workers), (StatusCode::OK, &json!([worker])));
    assert_eq!(
        api.get("/api/health").await,
        (StatusCode::OK, json!({"status": "ok", "workers": [worker], "insecure": false}))
    );
    api.stop().await;
}

#[actix_web::test]
async fn metrics_are_prometheus_text() {
    let api = api(Options::default()).await;
    api.create(r#"{"headless":true}"#).await;
    let mut response = api.client.get(format!("{}/metrics", api.origin)).send().await.unwrap();
    let text = String::from_utf8(response.body().await.unwrap().to_vec()).unwrap();
    assert!(response.headers().get("content-type").unwrap().to_str().unwrap().starts_with("text/plain"));
    for line in [
        "camofleet_sessions{status=\"READY\",worker=\"local\"} 1",
        "camofleet_session_creates_total{outcome=\"ok\"} 1",
        "camofleet_launches_total{kind=\"headless\",outcome=\"ok\"} 1",
        "camofleet_slots{state=\"free\"} 2",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
    api.stop().await;
}

#[actix_web::test]
async fn pages_of_listed_origins_may_use_the_api_with_credentials_and_of_any_without() {
    let cors_headers = async |cors: CorsOrigins, origin: &str| {
        let api = api(Options { cors, ..Options::default() }).await;
        let request =
            api.client.get(format!("{}/health", api.origin)).insert_header(("origin", origin.to_owned()));
        let (_, _, headers) = api.answer(request.send()).await;
        let value = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let answer = (value("access-control-allow-origin"), value("access-control-allow-credentials"));
        api.stop().await;
        answer
    };
    let listed = || CorsOrigins::List(vec!["https://panel.example".into()]);
    assert_eq!(cors_headers(CorsOrigins::Any, "https://any.example").await, (Some("*".into()), None));
    let allowed = (Some("https://panel.example".into()), Some("true".into()));
    assert_eq!(cors_headers(listed(), "https://panel.example").await, allowed);
    assert_eq!(cors_headers(listed(), "https://other.example").await.0, None);
}
