//! The roles over real ports, on a fake machine: the responses of each, and what is passed from one to the next.

// A test fails at the first error.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use actix_http::ws::hash_key;
use awc::http::StatusCode;
use camofleet_actors::remote::RemoteRole;
use camofleet_web::Surface;
use serde_json::{Value, json};
use support::{Chain, Options, api, before, machine, read_head, stand_in, view_key, worker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Removes fields that differ each time from a body, after checking their format.
fn without_volatile(mut session: Value) -> Value {
    for name in ["id", "created_at", "last_seen_at", "request_id", "vnc_key"] {
        let value = session.as_object_mut().unwrap().remove(name).unwrap();
        assert!(value.as_str().is_some_and(|value| !value.is_empty()), "{name}: {value}");
    }
    session
}

/// The fields of a session that are the same in all roles.
fn common() -> Value {
    json!({
        "status": "READY", "browser": "firefox", "browser_version": "153.0", "vnc_id": 6900, "headless": false,
        "idle_ttl_seconds": 60, "labels": {"team": "a"}, "start_url": null, "start_url_wait": "none",
        "start_url_error": null, "attached": 0, "restarts": 0, "on_crash": "restart", "contexts": "keep", "proxy": null, "block": [],
        "egress": {"bytes_up": 0, "bytes_down": 0, "connections": 0, "open_connections": 0, "refused": {}},
        "identity": {
            "locale": null, "timezone": null, "geolocation": null, "screen": null, "webrtc": null, "block_images": false,
            "user_preferences": {}, "os": null, "webgl": null, "fonts": null, "humanize": null, "addons": null,
            "main_world_eval": null, "seed": null,
        },
        "contradictions": null,
        "profile": null, "profile_mode": null,
        "ended_at": null, "end_reason": null, "end_detail": null,
    })
}

fn with(fields: Value) -> Value {
    let mut body = common();
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

const REQUEST: &str =
    r#"{"vnc": true, "idle_ttl_seconds": 60, "labels": {"team": "a"}, "start_url_wait": "none"}"#;

#[actix_web::test]
async fn each_role_returns_a_session_as_in_its_contract() {
    let chain = Chain::new(Options::default()).await;
    let created = chain.control.create(REQUEST).await;
    let id = created["id"].as_str().unwrap().to_owned();
    let key = view_key(&created["vnc"]);
    let vnc = json!({
        "ws": format!("wss://127.0.0.1/live?token=6900&key={key}"),
        "http": format!("https://screens.example/6900?key={key}"),
        "password_protected": false,
    });
    let control = with(json!({
        "worker": "east", "ws_endpoint": format!("/fleet/sessions/east/{id}/ws"), "vnc_enabled": true, "vnc": vnc, "stale": false,
    }));
    assert_eq!(without_volatile(created), control);
    let links = json!({
        "ws": format!("/websockify?token=6900&key={key}"), "http": format!("/vnc/6900?key={key}"),
        "password_protected": false,
    });
    let worker = with(json!({
        "worker_id": "w-1", "ws_endpoint": format!("/sessions/{id}/ws"), "vnc_enabled": true, "vnc": links, "stale": false,
    }));
    let authority = chain.runner.origin.trim_start_matches("http://");
    let runner = with(json!({
        "ws_endpoint": format!("ws://{authority}/sessions/{id}/ws"), "vnc": true, "vnc_info": links,
    }));
    for (api, path, expected) in [
        (&chain.control, format!("/sessions/east/{id}"), control),
        (&chain.worker, format!("/sessions/{id}"), worker),
        (&chain.runner, format!("/sessions/{id}"), runner),
    ] {
        for root in ["", "/api"] {
            let (status, response) = api.get(&format!("{root}{path}")).await;
            assert_eq!((status, without_volatile(response)), (StatusCode::OK, expected.clone()), "{path}");
            let (_, list) = api.get(&format!("{root}/sessions")).await;
            assert_eq!(without_volatile(list[0].clone()), expected, "{path}");
        }
    }
    chain.stop().await;
}

#[actix_web::test]
async fn a_write_through_a_control_is_in_its_next_read_and_at_the_runner() {
    let chain = Chain::new(Options::default()).await;
    for _ in 0..5 {
        let session = chain.control.create(r#"{"headless": true}"#).await;
        let path = format!("/sessions/east/{}", session["id"].as_str().unwrap());
        assert_eq!(chain.control.get("/sessions").await.1.as_array().unwrap().len(), 1);
        let (status, touched) = chain.control.post(&format!("{path}/touch"), "").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(chain.control.get(&path).await.1["last_seen_at"], touched["last_seen_at"]);
        let deleted = json!({"id": session["id"], "status": "DEAD"});
        assert_eq!(chain.control.delete(&path).await, (StatusCode::OK, deleted));
        assert_eq!(chain.control.get("/sessions").await.1, json!([]));
        assert!(chain.runner.os.alive("browser").is_empty());
        let (_, ended) = chain.control.get("/sessions?ended=true").await;
        assert_eq!((&ended[0]["id"], &ended[0]["end_reason"]), (&session["id"], &json!("deleted")));
    }
    chain.stop().await;
}

#[actix_web::test]
async fn a_session_of_another_control_is_found_before_the_next_poll() {
    let chain = Chain::new(Options::default()).await;
    let slow = camofleet_actors::remote::RemoteSettings {
        poll_interval: Duration::from_secs(3600),
        ..machine("east", RemoteRole::Worker, &chain.worker.origin)
    };
    let other = before(Surface::Control, vec![slow]).await;
    other.healthy().await;
    let session = chain.control.create(r#"{"headless": true}"#).await;
    let path = format!("/sessions/east/{}", session["id"].as_str().unwrap());
    assert_eq!(other.get(&path).await.1["id"], session["id"]);
    assert_eq!(other.post(&format!("{path}/touch"), "").await.0, StatusCode::OK);
    assert_eq!(other.delete(&path).await.0, StatusCode::OK);
    other.stop().await;
    chain.stop().await;
}

#[actix_web::test]
async fn errors_of_other_machines_reach_the_caller_unchanged() {
    let chain = Chain::new(Options { max_sessions: 1, ..Options::default() }).await;
    let unknown = "/sessions/east/9b2f0d3e-8f5e-4a58-9a51-0d5f8d1f8f10";
    for answer in [
        chain.control.get(unknown).await,
        chain.control.delete(unknown).await,
        chain.control.post(&format!("{unknown}/touch"), "").await,
        chain.control.refused_handshake(&format!("{unknown}/ws")).await,
    ] {
        let expected = json!({"detail": "Session not found", "code": "session_not_found"});
        assert_eq!(answer, (StatusCode::NOT_FOUND, expected));
    }
    let session = chain.control.create(r#"{"headless": true}"#).await;
    let full = chain.control.client.post(format!("{}/sessions", chain.control.origin)).send();
    let (status, body, headers) = chain.control.answer(full).await;
    assert_eq!((status, &body["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("at_capacity")));
    assert_eq!(body["detail"], "all 1 sessions are in use; end one, or raise RUNNER_MAX_SESSIONS");
    assert_eq!(headers.get("retry-after").unwrap(), "5");
    // Nothing listens at the fake browser's address.
    let path = format!("/sessions/east/{}/ws", session["id"].as_str().unwrap());
    let (status, body) = chain.control.refused_handshake(&path).await;
    assert_eq!((status, &body["code"]), (StatusCode::BAD_GATEWAY, &json!("upstream_unreachable")));
    assert!(body["detail"].as_str().unwrap().starts_with("could not connect to the browser"), "{body}");
    chain.stop().await;
}

/// Stands in for a browser's Playwright server: answers the handshake, then echoes every byte.
async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("ws://{}/x", listener.local_addr().unwrap());
    actix_rt::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            actix_rt::spawn(async move {
                let head = read_head(&mut socket).await;
                let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
                let accept = hash_key(key.trim().as_bytes());
                let answer = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: {}\r\n\r\n",
                    std::str::from_utf8(&accept).unwrap()
                );
                socket.write_all(answer.as_bytes()).await.unwrap();
                let (mut reader, mut writer) = socket.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    });
    endpoint
}

#[actix_web::test]
async fn a_client_s_bytes_pass_all_hops_unchanged_and_it_is_counted_until_it_disconnects() {
    let options = Options::default();
    options.os.set_endpoint(echo().await);
    let chain = Chain::new(options).await;
    let session = chain.control.create(r#"{"headless": true}"#).await;
    let path = format!("/sessions/east/{}", session["id"].as_str().unwrap());
    let address = chain.control.origin.trim_start_matches("http://").to_owned();
    let mut client = TcpStream::connect(&address).await.unwrap();
    let request = format!(
        "GET {path}/ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Request-Id: try-1\r\n\r\n"
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 101") && head.contains("x-request-id: try-1"), "{head}");
    // One binary frame of 1 MiB, its payload its own position.
    let mut frame = vec![0x82, 127];
    frame.extend((1u64 << 20).to_be_bytes());
    frame.extend((0..1u32 << 18).flat_map(u32::to_be_bytes));
    let (mut reader, mut writer) = client.split();
    let mut back = vec![0; frame.len()];
    let (sent, received) = tokio::join!(writer.write_all(&frame), reader.read_exact(&mut back));
    assert!(sent.is_ok() && received.is_ok() && back == frame);
    let attached = async |count: u64| {
        while chain.control.get(&path).await.1["attached"] != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    attached(1).await;
    for (api, upstream) in [(&chain.control, "east"), (&chain.worker, "runner"), (&chain.runner, "browser")] {
        let dialled = format!(
            "camofleet_upstream_calls_total{{call=\"attach\",outcome=\"ok\",upstream=\"{upstream}\"}} 1"
        );
        let mut response = api.client.get(format!("{}/metrics", api.origin)).send().await.unwrap();
        let text = String::from_utf8(response.body().await.unwrap().to_vec()).unwrap();
        assert!(text.lines().any(|line| line == dialled), "{dialled} is missing in\n{text}");
    }
    drop(client);
    attached(0).await;
    chain.stop().await;
}

#[actix_web::test]
async fn a_session_that_ends_closes_its_client_with_the_runner_s_reason() {
    let options = Options::default();
    options.os.set_endpoint(echo().await);
    let chain = Chain::new(options).await;
    let session = chain.control.create(r#"{"headless": true}"#).await;
    let path = format!("/sessions/east/{}", session["id"].as_str().unwrap());
    let url = format!("{}{path}/ws", chain.control.origin);
    let (_, mut client) = chain.control.client.ws(url).connect().await.unwrap();
    assert_eq!(chain.control.delete(&path).await.0, StatusCode::OK);
    let close = futures_util::StreamExt::next(&mut client).await.unwrap().unwrap();
    let awc::ws::Frame::Close(Some(reason)) = close else { panic!("{close:?}") };
    assert_eq!(u16::from(reason.code), 1011);
    assert_eq!(reason.description.as_deref(), Some("the session ended: deleted by a request"));
    chain.stop().await;
}

#[actix_web::test]
async fn a_worker_that_never_answers_delays_no_read_and_gets_no_session() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_origin = format!("http://{}", silent.local_addr().unwrap());
    let east = api(Options { surface: worker(), ..Options::default() }).await;
    let machines = vec![
        machine("silent", RemoteRole::Worker, &silent_origin),
        machine("east", RemoteRole::Worker, &east.origin),
    ];
    let control = before(Surface::Control, machines).await;
    while control.get("/workers").await.1[1]["healthy"] != true {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for path in ["/sessions", "/workers", "/health", "/metrics"] {
        let started = Instant::now();
        assert_eq!(control.get(path).await.0, StatusCode::OK);
        assert!(started.elapsed() < Duration::from_millis(50), "{path} took {:?}", started.elapsed());
    }
    for _ in 0..3 {
        assert_eq!(control.create(r#"{"headless": true}"#).await["worker"], "east");
    }
    let (status, body) = control.post("/sessions", r#"{"worker": "silent"}"#).await;
    assert_eq!((status, &body["code"]), (StatusCode::BAD_GATEWAY, &json!("upstream_unreachable")));
    let (_, health) = control.get("/health").await;
    assert_eq!((&health["status"], &health["workers"][0]["healthy"]), (&json!("degraded"), &json!(false)));
    assert!(health["workers"][0]["detail"]["error"].is_string(), "{health}");
    for api in [control, east] {
        api.stop().await;
    }
}

#[actix_web::test]
async fn a_create_that_no_worker_received_is_retried_on_the_next_one() {
    let going = api(Options { surface: worker(), ..Options::default() }).await;
    let staying = api(Options { surface: worker(), ..Options::default() }).await;
    let seldom = |name: &str, origin: &str| camofleet_actors::remote::RemoteSettings {
        poll_interval: Duration::from_secs(3600),
        ..machine(name, RemoteRole::Worker, origin)
    };
    let machines = vec![seldom("going", &going.origin), seldom("staying", &staying.origin)];
    let control = before(Surface::Control, machines).await;
    control.healthy().await;
    going.stop().await;
    // Control has not polled since, so it still regards both as healthy.
    assert_eq!(control.create(r#"{"headless": true}"#).await["worker"], "staying");
    let (status, _) = control.post("/sessions", r#"{"worker": "going"}"#).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "a named worker is never replaced");
    for api in [control, staying] {
        api.stop().await;
    }
}

#[actix_web::test]
async fn sessions_of_an_unreachable_worker_are_listed_as_stale_until_it_is_back() {
    let east = api(Options { surface: worker(), ..Options::default() }).await;
    let address = east.origin.trim_start_matches("http://").to_owned();
    let control = before(Surface::Control, vec![machine("east", RemoteRole::Worker, &east.origin)]).await;
    control.healthy().await;
    let session = control.create(r#"{"headless": true}"#).await;
    east.stop().await;
    let listed = async |stale: bool| loop {
        let (_, list) = control.get("/sessions").await;
        if list[0]["stale"] == stale {
            return list;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(listed(true).await[0]["id"], session["id"]);
    let (_, status) = control.get("/workers").await;
    assert_eq!(status[0]["healthy"], false);
    // Another server answers at its address: the worker is healthy again, without sessions.
    let back = TcpListener::bind(&address).await.unwrap();
    stand_in(back, json!({"status": "ok", "version": "0", "checks": {}}));
    while control.get("/sessions").await.1 != json!([]) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    control.healthy().await;
    control.stop().await;
}

#[actix_web::test]
async fn each_role_shows_the_identity_of_a_session_and_where_it_comes_from() {
    let chain = Chain::new(Options::default()).await;
    let created =
        chain.control.create(r#"{"locale": "de-AT", "screen": {"width": 800, "height": 600}}"#).await;
    let id = created["id"].as_str().unwrap();
    let expected = json!({
        "identity": {
            "locale": ["de-AT", "de"], "timezone": null, "geolocation": null, "screen": {"width": 800, "height": 600},
            "webrtc": null, "block_images": false, "user_preferences": {}, "os": null, "webgl": null, "fonts": null, "humanize": null, "addons": null,
            "main_world_eval": null, "seed": null,
        },
        "sources": {"locale": "request", "screen": "request"}, "machine": null,
    });
    for (api, path) in [
        (&chain.control, format!("/sessions/east/{id}/identity")),
        (&chain.worker, format!("/sessions/{id}/identity")),
        (&chain.runner, format!("/sessions/{id}/identity")),
    ] {
        assert_eq!(api.get(&path).await, (StatusCode::OK, expected.clone()), "{path}");
        let unknown = path.replace(id, "9b2f0d3e-8f5e-4a58-9a51-0d5f8d1f8f10");
        let (status, body) = api.get(&unknown).await;
        assert_eq!((status.as_u16(), &body["code"]), (404, &json!("session_not_found")), "{unknown}");
    }
    chain.stop().await;
}

#[actix_web::test]
async fn an_engine_that_no_worker_has_is_refused_by_the_control() {
    let chain = Chain::new(Options::default()).await;
    let (status, body) = chain.control.post("/sessions", r#"{"engine": "camoufox"}"#).await;
    assert_eq!((status.as_u16(), &body["code"]), (422, &json!("invalid_field")), "{body}");
    assert!(body["detail"].as_str().unwrap().starts_with("engine: the browsers here are firefox"), "{body}");
    let created = chain.control.create(r#"{"engine": "firefox", "headless": true}"#).await;
    assert_eq!(created["browser"], "firefox");
    chain.stop().await;
}
