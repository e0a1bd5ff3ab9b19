//! The event stream, and sessions' histories.

// An unexpected response fails its test.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use awc::error::PayloadError;
use awc::http::StatusCode;
use bytes::Bytes;
use camofleet_actors::remote::RemoteRole;
use camofleet_web::Surface;
use futures_util::{Stream, StreamExt};
use serde_json::{Value, json};
use support::{Api, Options, api, before, machine, worker};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// One received event.
#[derive(Debug)]
struct ReceivedEvent {
    id: String,
    name: String,
    data: Value,
}

/// A listener of `GET /events`.
struct Listener {
    pieces: std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>>,
    text: String,
}

impl Listener {
    async fn open(api: &Api, after: Option<&str>) -> Self {
        let mut request = api.client.get(format!("{}/events", api.origin));
        if let Some(after) = after {
            request = request.insert_header(("Last-Event-ID", after));
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers().get("content-type").unwrap(), "text/event-stream");
        Self { pieces: Box::pin(response), text: String::new() }
    }

    /// The next event that is not a heartbeat.
    async fn next(&mut self) -> ReceivedEvent {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    event
                        .lines()
                        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                        .map(str::to_owned)
                };
                let sent = field("event").map(|name| ReceivedEvent {
                    id: field("id").unwrap(),
                    name,
                    data: serde_json::from_str(&field("data").unwrap()).unwrap(),
                });
                self.text = rest.to_owned();
                match sent {
                    Some(sent) => return sent,
                    // The line with the reconnection time.
                    None => continue,
                }
            }
            let piece = tokio::time::timeout(Duration::from_secs(10), self.pieces.next()).await;
            let piece = piece.expect("an event in time").expect("a stream that goes on").unwrap();
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    /// The next event with this name.
    async fn next_named(&mut self, name: &str) -> ReceivedEvent {
        loop {
            let sent = self.next().await;
            if sent.name == name {
                return sent;
            }
        }
    }

    /// The next changes of a session, up to this one.
    async fn changes_until(&mut self, last: &str) -> Vec<String> {
        let mut changes = Vec::new();
        while changes.last().is_none_or(|change| change != last) {
            let sent = self.next_named("session").await;
            changes.push(sent.data["change"].as_str().unwrap().to_owned());
        }
        changes
    }
}

fn path_of(session: &Value) -> String {
    format!("/sessions/local/{}", session["id"].as_str().unwrap())
}

#[actix_web::test]
async fn the_first_event_is_a_snapshot_and_changes_follow() {
    let api = api(Options::default()).await;
    let before = api.create("{}").await;
    let mut listener = Listener::open(&api, None).await;
    let snapshot = listener.next().await;
    assert_eq!(snapshot.name, "snapshot");
    assert_eq!(snapshot.data["sessions"], json!([before]));
    assert_eq!(snapshot.data["workers"], api.get("/workers").await.1);

    let session = api.create(r#"{"labels":{"team":"a"}}"#).await;
    let created = listener.next_named("session").await.data;
    assert_eq!((&created["change"], &created["session"]["status"]), (&json!("created"), &json!("INIT")));
    assert_eq!(created["request_id"], session["request_id"]);
    let ready = listener.next_named("session").await.data;
    assert_eq!((&ready["change"], &ready["session"]), (&json!("ready"), &session));
    assert_eq!(listener.next_named("worker").await.data["sessions"], json!(2));

    api.post(&format!("{}/touch", path_of(&session)), "").await;
    api.delete(&path_of(&session)).await;
    assert_eq!(listener.changes_until("ended").await, ["touched", "ending", "ended"]);
    api.stop().await;
}

#[actix_web::test]
async fn a_listener_that_resumes_gets_what_it_missed_and_no_snapshot() {
    let api = api(Options::default()).await;
    let position = Listener::open(&api, None).await.next().await.id;
    let session = api.create("{}").await;
    api.delete(&path_of(&session)).await;
    let mut again = Listener::open(&api, Some(&position)).await;
    let first = again.next().await;
    assert_eq!((first.name.as_str(), &first.data["change"]), ("session", &json!("created")));
    assert_eq!(again.changes_until("ended").await, ["ready", "ending", "ended"]);
    let there_are = again.next().await;
    assert_eq!(
        (there_are.name.as_str(), there_are.data),
        ("workers", json!(["local"])),
        "others may have gone"
    );
    assert_eq!(again.next().await.name, "worker", "missed changes of workers are sent again");

    for unknown in ["", "what", "00000000-1"] {
        assert_eq!(Listener::open(&api, Some(unknown)).await.next().await.name, "snapshot", "{unknown:?}");
    }
    api.stop().await;
}

#[actix_web::test]
async fn a_silent_stream_gets_heartbeats() {
    let api = api(Options { ping_interval: Duration::from_millis(50), ..Options::default() }).await;
    let mut listener = Listener::open(&api, None).await;
    let id = listener.next().await.id;
    assert_eq!(listener.next_named("heartbeat").await.id, id, "it can be resumed from");
    api.stop().await;
}

#[actix_web::test]
async fn a_poll_of_a_worker_is_no_event_but_its_failure_is() {
    let east = api(Options { surface: worker(), ..Options::default() }).await;
    // It is polled twenty times a second.
    let control = before(Surface::Control, vec![machine("east", RemoteRole::Worker, &east.origin)]).await;
    control.healthy().await;
    let mut listener = Listener::open(&control, None).await;
    let received = listener.next().await.data["workers"][0].take();
    let quiet = tokio::time::timeout(Duration::from_millis(600), listener.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    let (_, mut workers) = control.get("/workers").await;
    let now = workers[0].take();
    assert!(now["last_contact"].as_str() > received["last_contact"].as_str(), "{now} after {received}");

    east.stop().await;
    let gone = loop {
        let status = listener.next_named("worker").await.data;
        if status["healthy"] == false {
            break status;
        }
    };
    assert!(gone["last_contact"].as_str() >= now["last_contact"].as_str(), "{gone} after {now}");
    control.stop().await;
}

#[actix_web::test]
async fn a_host_sends_sessions_in_its_own_form() {
    for surface in [Surface::Runner, worker()] {
        let api = api(Options { surface, ..Options::default() }).await;
        let mut listener = Listener::open(&api, None).await;
        assert_eq!(listener.next().await.data["sessions"], json!([]));
        let session = api.create("{}").await;
        assert_eq!(listener.changes_until("ready").await, ["created", "ready"]);
        assert_eq!(Listener::open(&api, None).await.next().await.data["sessions"], json!([session]));
        let (status, history) =
            api.get(&format!("/sessions/{}/events", session["id"].as_str().unwrap())).await;
        assert_eq!((status, history.as_array().unwrap().len()), (StatusCode::OK, 2));
        api.stop().await;
    }
}

#[actix_web::test]
async fn a_session_s_history_outlives_it() {
    let api = api(Options::default()).await;
    let session = api.create("{}").await;
    api.delete(&path_of(&session)).await;
    let (status, mut history) = api.get(&format!("{}/events", path_of(&session))).await;
    assert_eq!(status, StatusCode::OK);
    for entry in history.as_array_mut().unwrap() {
        assert!(entry["at"].is_string() && entry["request_id"].is_string(), "{entry}");
    }
    let received: Vec<_> =
        history.as_array().unwrap().iter().map(|entry| (&entry["change"], &entry["detail"])).collect();
    let expected = [
        (json!("created"), Value::Null),
        (json!("ready"), Value::Null),
        (json!("ending"), Value::Null),
        (json!("ended"), json!("deleted: deleted by a request")),
    ];
    assert_eq!(received, expected.each_ref().map(|(change, detail)| (change, detail)));
    let nobody = "/sessions/local/00000000-0000-4000-8000-000000000000/events";
    assert_eq!(api.get(nobody).await.0, StatusCode::NOT_FOUND);
    assert_eq!(api.get(&nobody.replace("local", "other")).await.1["code"], "worker_not_found");
    api.stop().await;
}

#[actix_web::test]
async fn a_configured_token_is_required_for_the_stream() {
    let api = api(Options { token: Some("s3cret".into()), ..Options::default() }).await;
    let refused = api.client.get(format!("{}/events", api.origin)).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let taken =
        api.client.get(format!("{}/api/events?access_token=s3cret", api.origin)).send().await.unwrap();
    assert_eq!(taken.status(), StatusCode::OK);
    drop(taken);
    api.stop().await;
}

/// How much memory this process holds, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[actix_web::test]
async fn stalled_listeners_share_one_snapshot() {
    let api = api(Options { max_sessions: 300, ..Options::default() }).await;
    // 8 KiB of labels each: 800 KiB of snapshot.
    let labels: Vec<_> = (0..32).map(|n| format!(r#""{n:02}": "{}""#, "x".repeat(253))).collect();
    let body = format!(r#"{{"headless":true,"labels":{{{}}}}}"#, labels.join(","));
    for _ in 0..100 {
        api.create(&body).await;
    }
    let address = api.origin.trim_start_matches("http://").to_owned();
    let before = resident();
    let mut silent = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        silent.push(stream);
    }
    // Each has been served once its first piece has arrived.
    for stream in &mut silent {
        stream.peek(&mut [0]).await.unwrap();
    }
    let (grown, each) = (resident().saturating_sub(before), 800);
    assert!(grown < 300 * each / 4, "{grown} KiB for 300 listeners of a snapshot of {each} KiB");
    api.stop().await;
}
