//! The watch against an HTTP server that answers as each test needs.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const SERVICE: &str = "workers";
/// The timeout of every wait.
const SOON: Duration = Duration::from_secs(10);
const TIMEOUTS: Timeouts = Timeouts { watch: WATCH, overdue: OVERDUE, shortest: Duration::from_millis(1) };

/// An API server, and the watch on it.
struct Api {
    listener: TcpListener,
    endpoints: Endpoints,
}

/// A request that has not been answered yet.
struct PendingRequest {
    line: String,
    caller: TcpStream,
}

impl Api {
    async fn start(timeouts: Timeouts) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let cluster = Cluster { api, authority: None, token: None, namespace: "fleet".to_owned() };
        let service = ServiceName { name: SERVICE.to_owned(), namespace: "fleet".to_owned(), port: None };
        let endpoints = Endpoints::with_timeouts(&cluster, service, timeouts).unwrap();
        Self { listener, endpoints }
    }

    async fn next_request(&self) -> PendingRequest {
        let (mut caller, _) = timeout(SOON, self.listener.accept()).await.expect("a request").unwrap();
        let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
        while !head.ends_with(b"\r\n\r\n") {
            let count = caller.read(&mut buffer).await.unwrap();
            assert_ne!(count, 0, "a whole request");
            head.extend_from_slice(&buffer[..count]);
        }
        let line = String::from_utf8(head).unwrap().lines().next().unwrap().to_owned();
        PendingRequest { line, caller }
    }

    /// Answers a list.
    async fn list(&self, version: &str, slices: &[Value]) {
        let list = self.next_request().await;
        assert!(!list.line.contains("watch="), "a list is due: {}", list.line);
        list.answer(
            200,
            &json!({
                "kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1",
                "metadata": {"resourceVersion": version}, "items": slices,
            }),
        )
        .await;
    }

    /// Accepts a watch from this version on.
    async fn watch(&self, version: &str) -> Events {
        let mut watch = self.next_request().await;
        let path = "/apis/discovery.k8s.io/v1/namespaces/fleet/endpointslices?";
        assert!(watch.line.starts_with(&format!("GET {path}")), "{}", watch.line);
        for part in [
            "watch=true",
            "labelSelector=kubernetes.io%2Fservice-name%3Dworkers",
            "allowWatchBookmarks=true",
            &format!("resourceVersion={version}"),
        ] {
            let given = watch.line.split(['?', '&', ' ']).any(|given| given == part);
            assert!(given, "{part} in {}", watch.line);
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        watch.caller.write_all(head.as_bytes()).await.unwrap();
        Events(watch.caller)
    }

    /// Waits until these are the workers; a `!` before a name marks it as leaving.
    async fn workers_are(&self, expected: &[&str]) {
        let mut seen = None;
        let reached = timeout(SOON, async {
            loop {
                seen = Some(self.endpoints.look_up().await);
                if let Some(Ok(Answer::Whole(workers))) = &seen {
                    let mark = |leaving: bool| if leaving { "!" } else { "" };
                    let names = workers.iter().map(|(name, found)| format!("{}{name}", mark(found.leaving)));
                    if names.eq(expected.iter().copied()) {
                        return;
                    }
                }
                self.endpoints.changed().unwrap().await;
            }
        });
        assert!(reached.await.is_ok(), "{expected:?} instead of {seen:?}");
    }
}

impl PendingRequest {
    async fn answer(mut self, status: u16, body: &Value) {
        let body = body.to_string();
        let head =
            format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        self.caller.write_all((head + &body).as_bytes()).await.unwrap();
    }

    async fn refuse(self, status: u16) {
        self.answer(status, &refused(status)).await;
    }
}

fn refused(code: u16) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "no", "reason": "x", "code": code})
}

/// The events of one watch.
struct Events(TcpStream);

impl Events {
    async fn chunk(&mut self, bytes: &[u8]) {
        let framed = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        self.0.write_all(&framed).await.unwrap();
        self.0.flush().await.unwrap();
    }

    async fn send(&mut self, kind: &str, object: &Value) {
        let line = json!({"type": kind, "object": object}).to_string() + "\n";
        self.chunk(line.as_bytes()).await;
    }

    async fn bookmark(&mut self, version: &str) {
        let object = json!({
            "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "metadata": {"resourceVersion": version},
        });
        self.send("BOOKMARK", &object).await;
    }

    /// Ends it as an API server does at the timeout of a watch.
    async fn end(mut self) {
        self.0.write_all(b"0\r\n\r\n").await.unwrap();
    }
}

/// A pod's endpoint, by its name and state: `starting`, `ready` or `terminating`.
fn pod(name: &str, state: &str) -> Value {
    let (serving, terminating) = (state != "starting", state == "terminating");
    let last = name.bytes().last().unwrap() % 100;
    json!({
        "addresses": [format!("10.0.0.{last}")],
        // `ready` is always true where the Service publishes addresses that are not ready.
        "conditions": {"ready": true, "serving": serving, "terminating": terminating},
        "targetRef": {"kind": "Pod", "name": name, "namespace": "fleet"},
    })
}

fn slice(version: &str, pods: &[Value]) -> Value {
    json!({
        "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "addressType": "IPv4",
        "metadata": {"name": "workers-x", "namespace": "fleet", "resourceVersion": version},
        "endpoints": pods, "ports": [{"name": "views", "port": 6900}, {"name": "http", "port": 8080}],
    })
}

#[actix::test]
async fn a_pod_is_added_when_ready_leaves_when_it_terminates_and_is_removed_when_it_is_gone() {
    let api = Api::start(TIMEOUTS).await;
    api.list("1", &[]).await;
    let mut events = api.watch("1").await;
    api.workers_are(&[]).await;
    events.send("ADDED", &slice("2", &[pod("a", "starting")])).await;
    events.send("MODIFIED", &slice("3", &[pod("a", "ready"), pod("b", "starting")])).await;
    api.workers_are(&["a"]).await;
    let Ok(Answer::Whole(workers)) = api.endpoints.look_up().await else { panic!("no answer") };
    assert_eq!(workers["a"].url.as_str(), "http://10.0.0.97:8080/");
    // A line may come in pieces.
    let line =
        json!({"type": "MODIFIED", "object": slice("4", &[pod("a", "terminating"), pod("b", "ready")])});
    let line = line.to_string() + "\n";
    let (first, second) = line.as_bytes().split_at(line.len() / 2);
    events.chunk(first).await;
    events.chunk(second).await;
    api.workers_are(&["!a", "b"]).await;
    events.send("MODIFIED", &slice("5", &[pod("b", "starting")])).await;
    api.workers_are(&["b"]).await;
    events.send("DELETED", &slice("6", &[pod("b", "ready")])).await;
    api.workers_are(&[]).await;
}

#[actix::test]
async fn pods_from_before_the_watch_are_added_ready_or_not() {
    let api = Api::start(TIMEOUTS).await;
    api.list("1", &[slice("1", &[pod("a", "starting"), pod("b", "terminating"), pod("c", "ready")])]).await;
    let _events = api.watch("1").await;
    api.workers_are(&["a", "!b", "c"]).await;
}

#[actix::test]
async fn a_watch_that_ends_or_breaks_is_resumed_and_no_worker_is_lost() {
    let api = Api::start(TIMEOUTS).await;
    api.list("1", &[slice("1", &[pod("a", "ready")])]).await;
    let mut events = api.watch("1").await;
    events.bookmark("7").await;
    events.end().await;
    let mut events = api.watch("7").await;
    events.send("MODIFIED", &slice("9", &[pod("a", "ready"), pod("b", "ready")])).await;
    api.workers_are(&["a", "b"]).await;
    drop(events);
    let mut events = api.watch("9").await;
    // In the middle of a line.
    events.chunk(b"{\"type\":\"MODI").await;
    drop(events);
    let mut events = api.watch("9").await;
    api.workers_are(&["a", "b"]).await;
    events.send("MODIFIED", &slice("10", &[pod("b", "ready")])).await;
    api.workers_are(&["b"]).await;
}

#[actix::test]
async fn a_version_that_the_api_no_longer_has_is_listed_again() {
    let api = Api::start(TIMEOUTS).await;
    api.list("1", &[slice("1", &[pod("a", "ready")])]).await;
    let mut events = api.watch("1").await;
    events.send("ERROR", &refused(410)).await;
    api.list("50", &[slice("40", &[pod("b", "ready")])]).await;
    let events = api.watch("50").await;
    api.workers_are(&["b"]).await;
    events.end().await;
    // An API server that no longer has the version rejects the watch at its start.
    api.next_request().await.refuse(410).await;
    api.list("60", &[slice("60", &[pod("b", "ready"), pod("c", "ready")])]).await;
    let _events = api.watch("60").await;
    api.workers_are(&["b", "c"]).await;
}

#[actix::test]
async fn a_silent_watch_times_out_and_is_started_again() {
    let impatient =
        Timeouts { watch: Duration::from_millis(50), overdue: Duration::from_millis(50), ..TIMEOUTS };
    let api = Api::start(impatient).await;
    api.list("1", &[slice("1", &[pod("a", "ready")])]).await;
    // Kept open and silent, as if the machine were gone.
    let silent = api.watch("1").await;
    let mut events = api.watch("1").await;
    events.send("MODIFIED", &slice("2", &[pod("a", "terminating"), pod("b", "ready")])).await;
    api.workers_are(&["!a", "b"]).await;
    drop(silent);
}

#[actix::test]
async fn a_refusal_is_reported_with_its_remedy_and_its_end_is_noticed() {
    let api = Api::start(TIMEOUTS).await;
    api.next_request().await.refuse(403).await;
    let refused = api.endpoints.look_up().await.unwrap_err();
    assert!(refused.contains("403") && refused.contains("rbac.create"), "{refused}");
    api.list("1", &[slice("1", &[pod("a", "ready")])]).await;
    let events = api.watch("1").await;
    api.workers_are(&["a"]).await;
    // A single failure of a watch is not reported, several are; no worker is lost meanwhile.
    drop(events);
    for _ in 0..TOLERATED {
        api.next_request().await.refuse(500).await;
    }
    let failing = timeout(SOON, async {
        while api.endpoints.look_up().await.is_ok() {
            api.endpoints.changed().unwrap().await;
        }
    });
    assert!(failing.await.is_ok(), "the failure is reported");
    let _events = api.watch("1").await;
    api.workers_are(&["a"]).await;
}

#[actix::test]
async fn an_api_that_ends_each_watch_at_once_is_retried_with_a_backoff() {
    let api = Api::start(Timeouts { shortest: Duration::from_secs(5), ..TIMEOUTS }).await;
    api.list("1", &[]).await;
    let began = Instant::now();
    for _ in 0..4 {
        api.watch("1").await.end().await;
    }
    // There are three waits between four watches, each at least twice as long as the previous one, less a quarter.
    assert!(began.elapsed() >= RETRIES.first.mul_f64(0.75) * (1 + 2 + 4), "{:?}", began.elapsed());
}

#[test]
fn a_pod_with_both_families_is_one_worker_and_missing_fields_have_their_documented_defaults() {
    let slices: Vec<EndpointSlice> = [
        json!({
            "metadata": {"name": "v6"}, "addressType": "IPv6", "ports": [{"name": "http", "port": 8080}],
            "endpoints": [
                {"addresses": ["fd00::7"], "targetRef": {"name": "both"}},
                {"addresses": ["fd00::8"], "conditions": {"ready": false}, "targetRef": {"name": "starting"}},
            ],
        }),
        json!({
            "metadata": {"name": "v4"}, "addressType": "IPv4", "ports": [{"port": 9000}],
            "endpoints": [{"addresses": ["10.0.0.7"], "targetRef": {"name": "both"}}, {"addresses": ["10.0.0.9"]}],
        }),
        json!({"metadata": {"name": "fqdn"}, "addressType": "FQDN", "endpoints": [{"addresses": ["a.example"]}]}),
    ]
    .map(|slice| serde_json::from_value(slice).unwrap())
    .into();
    let found = |port| {
        let workers = workers(slices.iter(), port, |_| false).into_iter();
        workers.map(|(name, found)| format!("{name} {}", found.url)).collect::<Vec<_>>()
    };
    assert_eq!(found(None), ["10-0-0-9 http://10.0.0.9:9000/", "both http://10.0.0.7:9000/"]);
    assert_eq!(found(Some(81)), ["10-0-0-9 http://10.0.0.9:81/", "both http://10.0.0.7:81/"]);
}
