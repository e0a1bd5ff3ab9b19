//! Screenshots over real ports, on a fake machine: responses, errors, and their way through the roles.

// A test fails at the first error.
#![allow(clippy::unwrap_used)]

mod support;

use awc::http::StatusCode;
use awc::http::header::HeaderMap;
use bytes::Bytes;
use camofleet_actors::remote::RemoteRole;
use camofleet_actors::testing::fake_os::Fault;
use camofleet_web::Surface;
use serde_json::{Value, json};
use support::{Api, Options, api, before, machine};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn worker() -> Surface {
    Surface::Worker { id: "w-1".to_owned() }
}

async fn picture(api: &Api, path: &str) -> (StatusCode, HeaderMap, Bytes) {
    let mut answer = api.client.get(format!("{}{path}", api.origin)).send().await.unwrap();
    let body = answer.body().limit(1 << 20).await.unwrap();
    (answer.status(), answer.headers().clone(), body)
}

/// The width and height of a JPEG, by its start of frame.
fn size((status, headers, jpeg): (StatusCode, HeaderMap, Bytes)) -> (u16, u16) {
    assert_eq!(status, StatusCode::OK, "{jpeg:?}");
    assert_eq!(headers.get("content-type").unwrap(), "image/jpeg");
    assert_eq!(headers.get("cache-control").unwrap(), "no-store");
    let start = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    let side = |at: usize| u16::from_be_bytes([jpeg[start + at], jpeg[start + at + 1]]);
    (side(7), side(5))
}

fn assert_error((status, body): (StatusCode, Value), expected: u16, code: &str) {
    assert_eq!((status.as_u16(), &body["code"]), (expected, &json!(code)), "{body}");
}

fn path(session: &Value) -> String {
    let id = session["id"].as_str().unwrap();
    match session["worker"].as_str() {
        Some(worker) => format!("/sessions/{worker}/{id}/screenshot"),
        None => format!("/sessions/{id}/screenshot"),
    }
}

#[actix_web::test]
async fn each_role_returns_a_session_s_screen_at_the_requested_width() {
    for surface in [Surface::Control, worker(), Surface::Runner] {
        let api = api(Options { surface, ..Options::default() }).await;
        let session = api.create(r#"{"vnc":true}"#).await;
        let path = path(&session);
        for (query, expected) in [("", (64, 36)), ("?width=32", (32, 18)), ("?width=3840", (64, 36))] {
            assert_eq!(size(picture(&api, &format!("{path}{query}")).await), expected, "{query}");
            assert_eq!(size(picture(&api, &format!("/api{path}{query}")).await), expected, "{query}");
        }
        assert_eq!(api.os.screens_sent(), 1);
        let (_, response) = api.get(path.trim_end_matches("/screenshot")).await;
        assert_eq!(response["last_seen_at"], session["last_seen_at"], "it is no activity");
        let mut metrics = api.client.get(format!("{}/metrics", api.origin)).send().await.unwrap();
        let text = String::from_utf8(metrics.body().await.unwrap().to_vec()).unwrap();
        let line = "camofleet_screen_capture_seconds_count{outcome=\"ok\"} 1";
        assert!(text.lines().any(|found| found == line), "{text}");
        api.stop().await;
    }
}

#[actix_web::test]
async fn an_unchanged_picture_is_not_sent_again() {
    let api = api(Options::default()).await;
    let url = format!("{}{}", api.origin, path(&api.create(r#"{"vnc":true}"#).await));
    let first = api.client.get(format!("{url}?width=32")).send().await.unwrap();
    let tag = first.headers().get("etag").unwrap().to_str().unwrap().to_owned();
    for known in [tag.as_str(), &format!("\"other\", W/{tag}"), "*"] {
        let request = api.client.get(format!("{url}?width=32")).insert_header(("if-none-match", known));
        let mut again = request.send().await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(again.headers().get("etag").unwrap(), tag.as_str());
        assert!(again.body().await.unwrap().is_empty());
    }
    for (query, known) in [("?width=32", "\"other\""), ("?width=32", "no tag"), ("", tag.as_str())] {
        let request = api.client.get(format!("{url}{query}")).insert_header(("if-none-match", known));
        assert_eq!(request.send().await.unwrap().status(), StatusCode::OK, "{query} {known}");
    }
    api.stop().await;
}

#[actix_web::test]
async fn invalid_requests_are_rejected_with_their_code() {
    let api = api(Options::default()).await;
    let path = path(&api.create(r#"{"vnc":true}"#).await);
    for width in ["15", "3841", "-1", "", "wide", "32.5", "99999999999"] {
        let (status, body) = api.get(&format!("{path}?width={width}")).await;
        let detail = "width: must be a whole number from 16 to 3840";
        let expected = json!({"code": "invalid_field", "detail": detail});
        assert_eq!((status, body), (StatusCode::UNPROCESSABLE_ENTITY, expected), "{width}");
    }
    assert_error(api.get("/sessions/local/no-id/screenshot").await, 404, "session_not_found");
    assert_error(api.get("/sessions/nobody/1/screenshot").await, 404, "worker_not_found");
    assert_error(api.post(&path, "").await, 405, "method_not_allowed");
    let blind = self::path(&api.create(r#"{"headless":true}"#).await);
    let (status, body) = api.get(&blind).await;
    assert!(body["detail"].as_str().unwrap().contains("\"vnc\": true"), "{body}");
    assert_error((status, body), 409, "no_live_view");
    api.os.break_next(Fault::VncBreaks, 1);
    assert_error(api.get(&path).await, 502, "upstream_broke");
    api.os.break_next(Fault::VncRefuses, 1);
    assert_error(api.get(&path).await, 502, "upstream_unreachable");
    api.stop().await;
    let closed = support::api(Options { token: Some("s3cret".into()), ..Options::default() }).await;
    assert_error(closed.get(&path).await, 401, "unauthorized");
    closed.stop().await;
}

#[actix_web::test]
async fn a_picture_and_its_errors_are_passed_from_the_runner_to_control() {
    let runner = api(Options { surface: Surface::Runner, ..Options::default() }).await;
    let worker = before(worker(), vec![machine("runner", RemoteRole::Runner, &runner.origin)]).await;
    let control = before(Surface::Control, vec![machine("east", RemoteRole::Worker, &worker.origin)]).await;
    for api in [&worker, &control] {
        api.healthy().await;
    }
    let path = path(&control.create(r#"{"vnc":true}"#).await);
    let taken = picture(&control, &format!("{path}?width=32")).await;
    assert_eq!(taken.2, picture(&control, &format!("{path}?width=32")).await.2);
    assert_eq!(size(taken), (32, 18));
    assert_eq!(runner.os.screens_sent(), 1);
    let blind = self::path(&control.create(r#"{"headless":true}"#).await);
    assert_error(control.get(&blind).await, 409, "no_live_view");
    let unknown = "/sessions/east/9b2f0d3e-8f5e-4a58-9a51-0d5f8d1f8f10/screenshot";
    assert_error(control.get(unknown).await, 404, "session_not_found");
    runner.os.break_next(Fault::VncBreaks, 1);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let (status, body) = control.get(&path).await;
    assert!(body["detail"].as_str().unwrap().starts_with("the VNC server failed"), "{body}");
    assert_error((status, body), 502, "upstream_broke");
    for api in [control, worker, runner] {
        api.stop().await;
    }
}

/// A healthy machine that answers everything below `/sessions/` with this.
async fn machine_that_answers(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    actix_rt::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            actix_rt::spawn(async move {
                loop {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = socket.read_u8().await else { return };
                        head.push(byte);
                    }
                    let (status, kind, body) = match String::from_utf8(head).unwrap() {
                        head if head.starts_with("GET /health") => {
                            ("200 OK", "application/json", r#"{"status":"ok","version":"0","checks":{}}"#)
                        }
                        head if head.starts_with("GET /sessions/") => {
                            let mut parts = answer.splitn(3, '|');
                            let mut part = || parts.next().unwrap();
                            (part(), part(), part())
                        }
                        _ => ("200 OK", "application/json", "[]"),
                    };
                    let length = body.len();
                    let answer = format!(
                        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
                    );
                    if socket.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    origin
}

#[actix_web::test]
async fn a_machine_without_the_route_of_a_report_is_an_error_that_names_it() {
    for (report, lacks) in
        [("screenshot", "no_screenshots"), ("identity", "no_identity"), ("egress", "no_egress")]
    {
        for (answer, code) in [
            // Responses of FastAPI for an unknown path or method.
            (r#"404 Not Found|application/json|{"detail":"Not Found"}"#, lacks),
            (r#"405 Method Not Allowed|application/json|{"detail":"Method Not Allowed"}"#, lacks),
            // The response of an earlier camofleet.
            (r#"404 Not Found|application/json|{"detail":"Not Found; …","code":"not_found"}"#, lacks),
            // The response of another server.
            ("200 OK|text/html|<h1>welcome</h1>", "upstream_broke"),
        ] {
            let origin = machine_that_answers(answer).await;
            let control = before(Surface::Control, vec![machine("old", RemoteRole::Worker, &origin)]).await;
            control.healthy().await;
            let (status, body) =
                control.get(&format!("/sessions/old/9b2f0d3e-8f5e-4a58-9a51-0d5f8d1f8f10/{report}")).await;
            assert!(body["detail"].as_str().unwrap().starts_with("worker 'old'"), "{body}");
            assert_error((status, body), 502, code);
            control.stop().await;
        }
    }
}
