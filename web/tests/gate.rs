//! Access control over a real port: origins, content types, keys of live views, tokens between roles, and the headers of
//! all responses.

// A test fails at the first error.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use awc::http::{Method, StatusCode};
use camofleet_actors::remote::{RemoteRole, RemoteSettings};
use camofleet_web::{CorsOrigins, Surface};
use serde_json::{Value, json};
use support::{Api, Options, WRITE_TIMEOUT, api, before, machine, view_key, worker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const EVIL: &str = "Origin: http://evil.example\r\n";

fn with_token() -> Options {
    Options { token: Some("s3cret".to_owned()), ..Options::default() }
}

/// The status and code of an error response.
fn refusal((status, body): (StatusCode, Value)) -> (u16, String) {
    (status.as_u16(), body["code"].as_str().unwrap_or_default().to_owned())
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// Sends raw bytes, and reads the response until the server closes the connection or has sent `enough`.
async fn raw(api: &Api, request: &str, enough: &str) -> String {
    let mut stream = TcpStream::connect(api.origin.trim_start_matches("http://")).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&answer).contains(enough) {
        let read = tokio::time::timeout(Duration::from_secs(15), stream.read(&mut buffer)).await.unwrap();
        match read.unwrap() {
            0 => break,
            count => answer.extend_from_slice(&buffer[..count]),
        }
    }
    String::from_utf8(answer).unwrap()
}

#[actix_web::test]
async fn a_page_of_another_origin_can_neither_create_end_list_nor_attach() {
    let api = api(Options::default()).await;
    let session = api.create(r#"{"vnc":true}"#).await;
    let path = format!("/sessions/local/{}", session["id"].as_str().unwrap());
    let send = async |method: Method, path: &str| {
        let request = api.client.request(method, format!("{}{path}", api.origin));
        let request = request.insert_header(("origin", "http://evil.example"));
        let (status, body, headers) = api.answer(request.send()).await;
        assert!(headers.get("access-control-allow-origin").is_none());
        refusal((status, body))
    };
    for (method, path) in [
        (Method::GET, "/sessions"),
        (Method::POST, "/sessions"),
        (Method::DELETE, &path),
        (Method::GET, &format!("{path}/screenshot")),
        (Method::GET, "/events"),
        (Method::POST, "/workers/local/drain"),
        (Method::OPTIONS, "/sessions"),
    ] {
        assert_eq!(send(method.clone(), path).await, refused(403, "cross_origin"), "{method} {path}");
    }
    for path in [format!("{path}/ws"), "/websockify?token=6900".to_owned()] {
        let answered = api.refused_handshake_with(&path, EVIL).await;
        assert_eq!(refusal(answered), refused(403, "cross_origin"), "{path}");
    }
    let request = api.client.get(format!("{}/health", api.origin)).insert_header(("origin", "null"));
    assert_eq!(api.answer(request.send()).await.1, json!({"status": "ok"}));
    assert_eq!(api.get("/sessions").await.1, json!([session]), "nothing has changed");
    api.stop().await;
}

#[actix_web::test]
async fn an_unknown_host_is_rejected_with_the_setting() {
    let api = api(Options::default()).await;
    let answer =
        raw(&api, "GET /sessions HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", "}").await;
    assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
    assert!(answer.contains("unknown_host") && answer.contains("CONTROL_PUBLIC_HOSTS"), "{answer}");
    api.stop().await;
}

#[actix_web::test]
async fn a_body_must_be_declared_as_json_unless_it_is_empty() {
    let api = api(Options { max_sessions: 20, ..Options::default() }).await;
    let post = async |kind: Option<&str>, body: &str| {
        let mut request = api.client.post(format!("{}/sessions", api.origin));
        if let Some(kind) = kind {
            request = request.insert_header(("content-type", kind));
        }
        let (status, body, _) = api.answer(request.send_body(body.to_owned())).await;
        refusal((status, body))
    };
    let body = r#"{"headless":true}"#;
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/json",
        "json",
    ] {
        assert_eq!(post(Some(kind), body).await, refused(415, "unsupported_media_type"), "{kind}");
    }
    assert_eq!(post(Some("text/plain"), "").await, (201, String::new()), "it is empty");
    for kind in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.fleet+json"] {
        assert_eq!(post(Some(kind), body).await, (201, String::new()), "{kind}");
    }
    let chunked = |body: &str| {
        format!(
            "POST /sessions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
        )
    };
    let answer = raw(&api, &chunked("2\r\n{}\r\n0\r\n\r\n"), "}").await;
    assert!(answer.starts_with("HTTP/1.1 415 "), "{answer}");
    let answer = raw(&api, &chunked("0\r\n\r\n"), "}").await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    // A form of a foreign page, where some browsers omit the origin.
    let session = api.create(body).await;
    let path = format!("/sessions/local/{}/touch", session["id"].as_str().unwrap());
    let form = api.client.post(format!("{}{path}", api.origin)).insert_header(("content-type", "text/plain"));
    let (status, answer, _) = api.answer(form.send_body("a=b")).await;
    assert_eq!(refusal((status, answer)), refused(415, "unsupported_media_type"));
    api.stop().await;
}

#[actix_web::test]
async fn a_body_that_declares_too_much_is_rejected_before_it_is_sent_and_a_slow_one_in_time() {
    let api = api(Options::default()).await;
    let head = "POST /sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let started = Instant::now();
    let answer = raw(&api, &format!("{head}Content-Length: 99999999\r\n\r\n"), "}").await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("body_too_large"), "{answer}");
    assert!(started.elapsed() < Duration::from_secs(5), "it waited for the body");
    let answer = raw(&api, &format!("{head}Content-Length: 20\r\n\r\n{{"), "}").await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("body_too_slow"), "{answer}");
    api.stop().await;
}

#[actix_web::test]
async fn head_is_answered_wherever_get_is_and_without_a_body() {
    let api = api(Options::default()).await;
    let session = api.create(r#"{"headless":true}"#).await;
    let path = format!("/sessions/local/{}", session["id"].as_str().unwrap());
    for path in [
        "/",
        "/health",
        "/sessions",
        &path,
        "/workers",
        "/events",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/vnc/1",
    ] {
        let request = format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = raw(&api, &request, "never").await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 ") && body.is_empty(), "{path}: {answer}");
    }
    let get = api.client.get(format!("{}/sessions", api.origin)).send().await.unwrap();
    let head = api.client.head(format!("{}/sessions", api.origin)).send().await.unwrap();
    let length = |headers: &awc::http::header::HeaderMap| headers.get("content-length").cloned();
    assert_eq!(length(head.headers()), length(get.headers()));
    api.stop().await;
}

#[actix_web::test]
async fn every_response_has_the_security_headers() {
    for surface in [Surface::Control, worker(), Surface::Runner, Surface::Gateway] {
        let api = api(Options { surface, ..with_token() }).await;
        for path in [
            "/",
            "/health",
            "/sessions",
            "/metrics",
            "/docs",
            "/docs/swagger-ui.css",
            "/vnc/6900",
            "/nowhere",
        ] {
            let answer = api.client.get(format!("{}{path}", api.origin)).send().await.unwrap();
            let value = |name: &str| answer.headers().get(name).map_or("", |value| value.to_str().unwrap());
            for (name, expected) in [
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("cross-origin-opener-policy", "same-origin"),
                ("cross-origin-resource-policy", "same-origin"),
            ] {
                assert_eq!(value(name), expected, "{path} {:?}", answer.status());
            }
            let policy = value("content-security-policy");
            let is_page = value("content-type").starts_with("text/html");
            let expected =
                if is_page { "frame-ancestors 'self'" } else { "default-src 'none'; frame-ancestors 'none'" };
            assert!(policy.ends_with(expected), "{path}: {policy}");
            assert!(!policy.contains("script-src 'self' 'unsafe-inline'"), "{policy}");
            let cached = is_page || path.starts_with("/docs");
            assert!(cached || value("cache-control") == "no-store", "{path}: {}", value("cache-control"));
        }
        api.stop().await;
    }
}

#[actix_web::test]
async fn a_live_view_needs_its_key_unless_ids_alone_are_allowed() {
    // An admitted viewer receives the greeting of the fake machine's screen.
    let (let_in, over) = ((101, "RFB 003.008".to_owned()), refused(410, "view_over"));
    let open = api(Options::default()).await;
    let session = open.create(r#"{"vnc":true}"#).await;
    let key = view_key(&session["vnc"]);
    let shake =
        async |api: &Api, query: &str| refusal(api.opened_view(&format!("/websockify?{query}"), "").await);
    assert_eq!(shake(&open, "token=6900").await, let_in);
    assert_eq!(shake(&open, &format!("token=6900&key={key}")).await, let_in);
    assert_eq!(shake(&open, &format!("token=6900&key={}", "0".repeat(32))).await, over);
    let keyed = format!("/websockify?token=6900&key={key}");
    assert_eq!(refusal(open.opened_view(&keyed, EVIL).await), let_in, "a page with the URL was given it");
    let (_, response) = open.get("/websockify/view?token=6900").await;
    assert_eq!(response, json!({"session": session["id"], "key": key}));
    let path = format!("/sessions/local/{}", session["id"].as_str().unwrap());
    open.delete(&path).await;
    // The next session gets the id at once, and the old URL no longer works.
    let next = open.create(r#"{"vnc":true}"#).await;
    assert_eq!(next["vnc_id"], session["vnc_id"]);
    assert_eq!(shake(&open, &format!("token=6900&key={key}")).await, over);
    let (status, body) = open.get(&format!("/websockify/view?token=6900&key={key}")).await;
    assert_eq!(refusal((status, body)), over);
    open.stop().await;

    let closed = api(with_token()).await;
    let request = closed
        .client
        .post(format!("{}/sessions", closed.origin))
        .insert_header(("authorization", "Bearer s3cret"));
    let (_, session, _) = closed.answer(request.send_json(&json!({"vnc": true}))).await;
    let key = view_key(&session["vnc"]);
    assert_eq!(shake(&closed, "token=6900").await, refused(401, "unauthorized"));
    assert_eq!(shake(&closed, "token=6900&access_token=other").await, refused(401, "unauthorized"));
    assert_eq!(shake(&closed, "token=6900&access_token=s3cret").await, let_in);
    assert_eq!(shake(&closed, &format!("token=6900&key={key}")).await, let_in);
    assert_eq!(refusal(closed.get("/websockify/view?token=6900").await), refused(401, "unauthorized"));
    closed.stop().await;
}

#[actix_web::test]
async fn each_role_sends_its_own_token_and_does_not_forward_the_client_s() {
    let runner = api(Options { surface: Surface::Runner, ..with_token() }).await;
    assert_eq!(refusal(runner.get("/sessions").await), refused(401, "unauthorized"));
    let settings = |token: Option<&str>| RemoteSettings {
        token: token.map(str::to_owned),
        ..machine("runner", RemoteRole::Runner, &runner.origin)
    };
    let worker_api = before(worker(), vec![settings(Some("s3cret"))]).await;
    worker_api.healthy().await;
    let session = worker_api.create(r#"{"headless":true}"#).await;
    let id = session["id"].as_str().unwrap();
    // Nothing listens at the fake browser's address, so this error means that the runner admitted the worker.
    let headers = "Authorization: Bearer of-the-client\r\n";
    let attached = worker_api.refused_handshake_with(&format!("/sessions/{id}/ws"), headers).await;
    assert_eq!(refusal(attached), refused(502, "upstream_unreachable"));
    let stranger = before(worker(), vec![settings(Some("other"))]).await;
    let refused_create = stranger.post("/sessions", "").await;
    assert!(refused_create.0.is_client_error() || refused_create.0.is_server_error(), "{refused_create:?}");
    for api in [stranger, worker_api, runner] {
        api.stop().await;
    }
}

#[actix_web::test]
async fn a_start_url_with_a_file_scheme_is_rejected() {
    let api = api(Options::default()).await;
    let (status, body) = api.post("/sessions", r#"{"start_url":"file:///etc/passwd"}"#).await;
    assert_eq!(refusal((status, body.clone())), refused(422, "invalid_field"));
    assert!(body["detail"].as_str().unwrap().contains("RUNNER_START_URL_SCHEMES"), "{body}");
    let session = api.create(r#"{"headless":true,"start_url":"https://me:s3cret@a.example/"}"#).await;
    assert_eq!(session["start_url"], "https://me:****@a.example/");
    api.stop().await;
}

#[actix_web::test]
async fn proxy_requests_and_other_protocols_are_rejected_with_the_reason() {
    let api = api(Options::default()).await;
    let send = async |target: &str| {
        raw(&api, &format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"), "}")
            .await
    };
    for target in ["ftp://localhost/sessions", "gopher://a/"] {
        let answer = send(target).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("bad_request"), "{answer}");
    }
    assert!(send("http://localhost/sessions").await.starts_with("HTTP/1.1 200 "));
    for nonsense in ["\u{16}\u{3}\u{1}\r\n\r\n", "GET / HTTP/1.1\r\nHost localhost\r\n\r\n"] {
        let answer = raw(&api, nonsense, "}").await;
        assert!(
            answer.starts_with("HTTP/1.1 400 ") && answer.contains("\"code\":\"bad_request\""),
            "{answer}"
        );
    }
    let none = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept-Encoding: identity;q=0, br;q=0\r\n\r\n";
    let answer = raw(&api, none, "}").await;
    assert!(answer.starts_with("HTTP/1.1 406 ") && answer.contains("not_acceptable"), "{answer}");

    let (_, version) = api.get("/json/version/").await;
    assert!(version["webSocketDebuggerUrl"].as_str().unwrap().ends_with("/json/cdp"), "{version}");
    let session = api.create(r#"{"headless":true}"#).await;
    let path = format!("/sessions/local/{}/ws", session["id"].as_str().unwrap());
    for (path, agent) in [("/json/cdp", ""), (&*path, "User-Agent: Playwright/1.62.1 (x64) node/20\r\n")] {
        let answered = api.refused_handshake_with(path, agent).await;
        assert!(answered.1["detail"].as_str().unwrap().contains("firefox.connect"), "{answered:?}");
        assert_eq!(refusal(answered), refused(400, "cdp_unsupported"), "{path}");
    }
    let offer = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c, websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let answer = raw(&api, &offer, "}").await;
    assert!(
        answer.starts_with("HTTP/1.1 502 ") && answer.contains("upstream_unreachable"),
        "it was admitted: {answer}"
    );
    let agent = "User-Agent: Playwright/1.62.1 (x64) node/20\r\nx-playwright-browser: firefox\r\n";
    // Nothing listens at the fake browser's address, so this error means that the client was admitted.
    let answered = api.refused_handshake_with(&path, agent).await;
    assert_eq!(refusal(answered), refused(502, "upstream_unreachable"));
    api.stop().await;
}

/// Sends bytes in pieces that arrive separately, and reads until the server closes the connection.
async fn in_pieces(api: &Api, pieces: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(api.origin.trim_start_matches("http://")).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for (number, piece) in pieces.iter().enumerate() {
        if number > 0 {
            // Only makes it likely that the server reads the piece separately; the result is the same in either case.
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        stream.write_all(piece).await.unwrap();
    }
    let mut answer = String::new();
    tokio::time::timeout(Duration::from_secs(15), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

/// Whether a response is a regular error response, with a JSON body, a request id and the security headers.
fn is_refusal(answer: &str, status: u16, code: &str) -> bool {
    let lower = answer.to_lowercase();
    let headers = ["content-type: application/json", "x-request-id: ", "x-content-type-options: nosniff"];
    answer.starts_with(&format!("HTTP/1.1 {status} "))
        && headers.iter().all(|header| lower.contains(header))
        && answer.ends_with('}')
        && answer.contains(&format!("\"code\":\"{code}\""))
}

#[actix_web::test]
async fn invalid_http_gets_a_json_error_anywhere_on_a_connection() {
    let api = api(Options::default()).await;
    let good = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let post = b"POST /sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                 Content-Length: 18\r\n\r\n{\"headless\": true}";
    let long = vec![b'y'; 130 << 10];
    let head = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: ";
    for (pieces, good_ones, status, code) in [
        (&[&b"\x16\x03\x01 garbage\r\n\r\n"[..]][..], 0, 400, "bad_request"),
        (&[&b"GET / HT"[..], b"TP/1.1\r\nHo", b"st localhost\r\n\r\n"], 0, 400, "bad_request"),
        (&[&[&good[..], b"\x01\x02\r\n\r\n"].concat()], 1, 400, "bad_request"),
        (&[&good[..], b"GET /health HTTP/1.1\r\n\r\n"], 1, 400, "bad_request"),
        (&[&good[..], &good[..20], &good[20..], b"nonsense\r\n\r\n"], 2, 400, "bad_request"),
        (&[&[&post[..], good, b"nonsense\r\n\r\n"].concat()], 2, 400, "bad_request"),
        (&[&head[..], &long], 0, 431, "head_too_large"),
        (&[&good[..], head, &long], 1, 431, "head_too_large"),
    ] {
        let answer = in_pieces(&api, pieces).await;
        let answers: Vec<&str> = answer.split_inclusive("HTTP/1.1 ").skip(1).collect();
        assert_eq!(answers.len(), good_ones + 1, "{answer}");
        assert!(answers[..good_ones].iter().all(|good| good.starts_with("20")), "{answer}");
        assert_eq!(answer.matches("connection: close").count(), 1, "{answer}");
        let last = &answer[answer.rfind("HTTP/1.1 ").unwrap()..];
        assert!(is_refusal(last, status, code), "{answer}");
    }
    // The method of the placeholder has no effect if a client sends it.
    let own = "UNREADABLE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert!(in_pieces(&api, &[own.as_bytes()]).await.starts_with("HTTP/1.1 40"));
    api.stop().await;
}

#[actix_web::test]
async fn a_handshake_that_offers_more_protocols_is_served_anywhere_on_a_connection() {
    let api = api(Options::default()).await;
    let session = api.create(r#"{"headless":true}"#).await;
    let offer = |offers: &str| {
        format!(
            "GET /sessions/local/{}/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n{offers}\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            session["id"].as_str().unwrap()
        )
    };
    let list = offer("Upgrade: h2c, websocket\r\n");
    let lines = offer("Upgrade: h2c\r\nUpgrade: foo, WebSocket\r\n");
    let long = offer(&format!("Cookie: {}\r\nUpgrade: websocket, h2c\r\n", "y".repeat(30 << 10)));
    let good = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let half = list.len() / 2;
    let third = list.find("websocket").unwrap();
    for pieces in [
        &[&*list][..],
        &[&lines],
        &[&long],
        &[good, &list],
        &[&format!("{good}{list}")],
        &[
            &list[..half.min(third)],
            &list[half.min(third)..half.max(third) + 3],
            &list[half.max(third) + 3..],
        ],
        &[good, &lines[..60], &lines[60..]],
    ] {
        let pieces: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
        let answer = in_pieces(&api, &pieces).await;
        let last = &answer[answer.rfind("HTTP/1.1 ").unwrap()..];
        // Nothing listens at the fake browser's address, so this error means that the handshake was admitted.
        assert!(last.starts_with("HTTP/1.1 502 ") && last.contains("upstream_unreachable"), "{answer}");
    }
    let early = format!("{list}early");
    let answer = in_pieces(&api, &[early.as_bytes()]).await;
    assert!(is_refusal(&answer, 400, "bad_websocket_handshake"), "{answer}");
    api.stop().await;
}

#[actix_web::test]
async fn a_client_that_does_not_read_its_responses_is_disconnected() {
    let api = api(Options::default()).await;
    let address: std::net::SocketAddr = api.origin.trim_start_matches("http://").parse().unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    socket2::SockRef::from(&stream).set_recv_buffer_size(4096).unwrap();
    // Together more than the kernel's buffers of a connection.
    const ANSWERS: usize = 20;
    let request =
        "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: identity\r\n\r\n";
    stream.write_all(request.repeat(ANSWERS).as_bytes()).await.unwrap();
    let one = api.client.get(format!("{}/docs/swagger-ui-bundle.js", api.origin)).no_decompress();
    let one = one
        .insert_header(("accept-encoding", "identity"))
        .send()
        .await
        .unwrap()
        .body()
        .limit(8 << 20)
        .await
        .unwrap();
    // The kernel checks the limit with its window probes: at most twice as long later.
    tokio::time::sleep(WRITE_TIMEOUT * 3).await;
    socket2::SockRef::from(&stream).set_recv_buffer_size(8 << 20).unwrap();
    let mut read = 0;
    let mut buffer = vec![0; 1 << 20];
    let rest = tokio::time::timeout(Duration::from_secs(20), async {
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            read += count;
            assert!(read < one.len() * ANSWERS, "it was waited for");
        }
    });
    rest.await.unwrap();
    api.stop().await;
}

#[actix_web::test]
async fn a_request_with_two_origins_is_rejected() {
    let api = api(Options::default()).await;
    let head = "POST /sessions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n";
    for origins in ["http://localhost", "http://evil.example"].map(|other| ["http://localhost", other]) {
        let origins = origins.map(|origin| format!("Origin: {origin}\r\n")).concat();
        let answer = raw(&api, &format!("{head}{origins}\r\n"), "}").await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("bad_request"), "{answer}");
    }
    api.stop().await;
}

#[actix_web::test]
async fn where_all_pages_may_read_they_get_no_keys_of_live_views() {
    let api = api(Options { cors: CorsOrigins::Any, ..Options::default() }).await;
    // Browsers cache a preflight, so it must grant neither writes nor headers that name the host.
    let preflight = async |method: &str, header: &str| {
        let request = format!(
            "OPTIONS /sessions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nOrigin: http://evil.example\r\n\
             Access-Control-Request-Method: {method}\r\nAccess-Control-Request-Headers: {header}\r\n\r\n"
        );
        raw(&api, &request, "\r\n\r\n").await.to_ascii_lowercase()
    };
    let granted = preflight("GET", "authorization").await;
    assert!(
        granted.starts_with("http/1.1 200 ") && granted.contains("access-control-allow-origin: *"),
        "{granted}"
    );
    for write in ["post", "put", "patch", "delete"] {
        assert!(!granted.contains(write), "{granted}");
    }
    for (method, header) in
        [("GET", "x-forwarded-host"), ("GET", "x-camofleet"), ("POST", "accept"), ("DELETE", "accept")]
    {
        let refused = preflight(method, header).await;
        assert!(!refused.contains("access-control-allow-methods"), "{method} {header}: {refused}");
    }
    let session = api.create(r#"{"vnc":true}"#).await;
    let key = view_key(&session["vnc"]);
    let path = format!("/sessions/local/{}", session["id"].as_str().unwrap());
    for (path, enough) in [("/sessions", "]"), (&*path, "}}"), ("/events", "event: snapshot")] {
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        let trusted = raw(&api, &format!("{head}\r\n"), &key).await;
        assert!(trusted.contains(&key), "{path}: {trusted}");
        let read = raw(&api, &format!("{head}{EVIL}\r\n"), enough).await;
        assert!(read.starts_with("HTTP/1.1 200 ") && read.contains("/vnc/6900"), "{path}: {read}");
        assert!(!read.contains(&key), "{path}: {read}");
    }
    let request = api.client.get(format!("{}/websockify/view?token=6900", api.origin));
    let (status, body, _) = api.answer(request.insert_header(("origin", "http://evil.example")).send()).await;
    assert_eq!(refusal((status, body)), refused(403, "cross_origin"));
    api.stop().await;
}
