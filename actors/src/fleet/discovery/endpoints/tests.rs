//! The watch against an API of the test, which speaks HTTP and says what each test has it say.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const SERVICE: &str = "workers";
/// More than any of these tests waits for anything.
const SOON: Duration = Duration::from_secs(10);
const PATIENT: Patience = Patience { watch: WATCH, overdue: OVERDUE, shortest: Duration::from_millis(1) };

/// An API server, and what watches it.
struct Api {
    listener: TcpListener,
    endpoints: Endpoints,
}

/// One request, which is still to be answered.
struct Asked {
    line: String,
    caller: TcpStream,
}

impl Api {
    async fn start(patience: Patience) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let cluster = Cluster { api, authority: None, token: None, namespace: "fleet".to_owned() };
        let service = ServiceName { name: SERVICE.to_owned(), namespace: "fleet".to_owned(), port: None };
        let endpoints = Endpoints::with_patience(&cluster, service, patience).unwrap();
        Self { listener, endpoints }
    }

    async fn asked(&self) -> Asked {
        let (mut caller, _) = timeout(SOON, self.listener.accept()).await.expect("a request").unwrap();
        let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
        while !head.ends_with(b"\r\n\r\n") {
            let count = caller.read(&mut buffer).await.unwrap();
            assert_ne!(count, 0, "a whole request");
            head.extend_from_slice(&buffer[..count]);
        }
        let line = String::from_utf8(head).unwrap().lines().next().unwrap().to_owned();
        Asked { line, caller }
    }

    /// Answers a list.
    async fn list(&self, version: &str, slices: &[Value]) {
        let list = self.asked().await;
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

    /// Answers the beginning of a watch from this version on.
    async fn watch(&self, version: &str) -> Events {
        let mut watch = self.asked().await;
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

    /// Waits until these are the workers; `!` before a name: it leaves.
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

impl Asked {
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

    /// Ends it as an API server does whose time for it is over.
    async fn end(mut self) {
        self.0.write_all(b"0\r\n\r\n").await.unwrap();
    }
}

/// A pod's endpoint: its name and how it is: `starting`, `ready` or `terminating`.
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
async fn a_pod_is_known_when_it_is_ready_leaves_when_it_terminates_and_is_gone_when_it_is() {
    let api = Api::start(PATIENT).await;
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
async fn pods_that_are_there_before_the_watch_are_known_ready_or_not() {
    let api = Api::start(PATIENT).await;
    api.list("1", &[slice("1", &[pod("a", "starting"), pod("b", "terminating"), pod("c", "ready")])]).await;
    let _events = api.watch("1").await;
    api.workers_are(&["a", "!b", "c"]).await;
}

#[actix::test]
async fn a_watch_that_ends_or_breaks_goes_on_where_it_was_and_nobody_is_lost() {
    let api = Api::start(PATIENT).await;
    api.list("1", &[slice("1", &[pod("a", "ready")])]).await;
    let mut events = api.watch("1").await;
    events.bookmark("7").await;
    events.end().await;
    let mut events = api.watch("7").await;
    events.send("MODIFIED", &slice("9", &[pod("a", "ready"), pod("b", "ready")])).await;
    api.workers_are(&["a", "b"]).await;
    drop(events);
    let mut events = api.watch("9").await;
    // In the midst of a line.
    events.chunk(b"{\"type\":\"MODI").await;
    drop(events);
    let mut events = api.watch("9").await;
    api.workers_are(&["a", "b"]).await;
    events.send("MODIFIED", &slice("10", &[pod("b", "ready")])).await;
    api.workers_are(&["b"]).await;
}

#[actix::test]
async fn a_version_that_the_api_no_longer_knows_is_listed_anew() {
    let api = Api::start(PATIENT).await;
    api.list("1", &[slice("1", &[pod("a", "ready")])]).await;
    let mut events = api.watch("1").await;
    events.send("ERROR", &refused(410)).await;
    api.list("50", &[slice("40", &[pod("b", "ready")])]).await;
    let events = api.watch("50").await;
    api.workers_are(&["b"]).await;
    events.end().await;
    // An API server that has forgotten it says so before the watch begins.
    api.asked().await.refuse(410).await;
    api.list("60", &[slice("60", &[pod("b", "ready"), pod("c", "ready")])]).await;
    let _events = api.watch("60").await;
    api.workers_are(&["b", "c"]).await;
}

#[actix::test]
async fn a_watch_that_falls_silent_is_given_up_and_begun_again() {
    let impatient =
        Patience { watch: Duration::from_millis(50), overdue: Duration::from_millis(50), ..PATIENT };
    let api = Api::start(impatient).await;
    api.list("1", &[slice("1", &[pod("a", "ready")])]).await;
    // Kept open and silent, as by a machine that is gone.
    let silent = api.watch("1").await;
    let mut events = api.watch("1").await;
    events.send("MODIFIED", &slice("2", &[pod("a", "terminating"), pod("b", "ready")])).await;
    api.workers_are(&["!a", "b"]).await;
    drop(silent);
}

#[actix::test]
async fn a_refusal_is_told_with_its_remedy_and_its_end_is_noticed() {
    let api = Api::start(PATIENT).await;
    api.asked().await.refuse(403).await;
    let refused = api.endpoints.look_up().await.unwrap_err();
    assert!(refused.contains("403") && refused.contains("rbac.create"), "{refused}");
    api.list("1", &[slice("1", &[pod("a", "ready")])]).await;
    let events = api.watch("1").await;
    api.workers_are(&["a"]).await;
    // One failure of a watch is nothing to speak of, and several are; nobody is lost meanwhile.
    drop(events);
    for _ in 0..TOLERATED {
        api.asked().await.refuse(500).await;
    }
    let failing = timeout(SOON, async {
        while api.endpoints.look_up().await.is_ok() {
            api.endpoints.changed().unwrap().await;
        }
    });
    assert!(failing.await.is_ok(), "the failure is told");
    let _events = api.watch("1").await;
    api.workers_are(&["a"]).await;
}

#[actix::test]
async fn an_api_that_ends_each_watch_at_once_is_not_asked_without_a_pause() {
    let api = Api::start(Patience { shortest: Duration::from_secs(5), ..PATIENT }).await;
    api.list("1", &[]).await;
    let began = Instant::now();
    for _ in 0..4 {
        api.watch("1").await.end().await;
    }
    // There are three waits between four, each at least twice as long as the one before, less a quarter.
    assert!(began.elapsed() >= RETRIES.first.mul_f64(0.75) * (1 + 2 + 4), "{:?}", began.elapsed());
}

#[test]
fn a_pod_with_both_families_is_one_worker_and_what_is_not_said_is_as_documented() {
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
