//! Workers' statuses: health, facts, and the time of the last response.

// An unexpected response fails its test.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use camofleet_actors::remote::{RemoteRole, RemoteSettings};
use camofleet_web::Surface;
use serde_json::{Value, json};
use support::{Api, Chain, Options, api, before, machine, stand_in, worker};
use tokio::net::TcpListener;

/// Removes a time from a body, after checking its format.
fn take_time(body: &mut Value, name: &str) -> String {
    let time = body.as_object_mut().unwrap().remove(name).unwrap();
    let time = time.as_str().unwrap_or_else(|| panic!("{name}: {time}")).to_owned();
    assert!(time.len() == 24 && time.ends_with('Z'), "{name}: {time}");
    time
}

/// The body with a field replaced.
fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

/// The health of a runner on the fake machine without sessions and without the time of its start.
fn health() -> Value {
    json!({
        "status": "ok", "version": env!("CARGO_PKG_VERSION"),
        "checks": {
            "engine": "firefox 153.0 (/usr/bin/firefox-esr)", "display": "xvnc, 2 of 2 slots free",
            "driver": "1 up, playwright 1.62.1, node 20.0.0", "pool_headless": "off", "pool_vnc": "off",
        },
        "failing": [],
        "facts": {
            "sessions": 0, "capacity": 10,
            "defaults": {
                "idle_ttl_seconds": 300, "headless": false, "start_url": null, "start_url_wait": "load",
            },
            "engine": {"name": "firefox", "version": "153.0"}, "playwright": "1.62.1", "node": "20.0.0",
            "pools": {}, "egress": {
                "policy": "no-fleet", "proxies": [], "default_proxy": null, "block_lists": ["phone_home"], "default_block": [],
                "checks_proxies": false, "city_database": null,
            },
            "identity": ["locale", "timezone", "geolocation", "screen", "webrtc", "block_images"], "machines": null,
            "profiles": {"count": 0, "shared": false, "revision": 0},
            "slots": {"used": 0, "total": 2}, "drivers": 1,
            "draining": false, "host_name": "host-1",
        },
    })
}

/// A listener on a free port, and its origin.
async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    (listener, origin)
}

/// The status of a control's only worker, once it fulfils the condition.
async fn status_that(control: &Api, is_awaited: impl Fn(&Value) -> bool) -> Value {
    loop {
        let (_, mut workers) = control.get("/workers").await;
        let status = workers[0].take();
        if is_awaited(&status) {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[actix_web::test]
async fn health_and_facts_of_a_runner_are_passed_on_by_each_role() {
    let chain = Chain::new(Options::default()).await;
    let (_, reported) = chain.runner.get("/health").await;
    let mut runner = reported.clone();
    take_time(&mut runner["facts"], "started_at");
    assert!(runner["facts"]["profiles"]["revision"].is_u64());
    runner["facts"]["profiles"]["revision"] = json!(0);
    assert_eq!(runner, with(health(), "insecure", json!(false)));
    let (_, worker) = chain.worker.get("/api/health").await;
    assert_eq!(worker, reported);
    // Only the server itself knows its listening address.
    let reported = with(reported, "insecure", Value::Null);

    let (_, mut control) = chain.control.get("/health").await;
    let (_, mut workers) = chain.control.get("/workers").await;
    take_time(&mut control["workers"][0], "last_contact");
    take_time(&mut workers[0], "last_contact");
    let status = json!({
        "name": "east", "healthy": true, "detail": reported, "supports_vnc": true, "sessions": 0, "stale": false,
        "draining": false, "url": chain.worker.origin,
    });
    assert_eq!(control, json!({"status": "ok", "workers": [status], "insecure": false}));
    assert_eq!(workers, json!([status]));

    chain.control.create(r#"{"vnc":true}"#).await;
    let status = status_that(&chain.control, |status| status["detail"]["facts"]["slots"]["used"] == 1).await;
    let facts = &status["detail"]["facts"];
    assert_eq!((&status["sessions"], &facts["sessions"]), (&json!(1), &json!(1)));
    chain.stop().await;
}

#[actix_web::test]
async fn a_full_pool_is_reported_with_its_figures() {
    let api = api(Options { surface: Surface::Runner, prewarm: 1, ..Options::default() }).await;
    loop {
        let (_, health) = api.get("/health").await;
        let pools = &health["facts"]["pools"];
        if pools["headless"]["ready"] == 1 {
            let full = json!({"ready": 1, "launching": 0, "target": 1, "headless": true, "last_error": null});
            assert_eq!(pools, &json!({"headless": full}));
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    api.stop().await;
}

#[actix_web::test]
async fn a_worker_reports_the_defaults_that_it_sends_to_its_runner() {
    let runner = api(Options { surface: Surface::Runner, ..Options::default() }).await;
    let (old, old_origin) = listener().await;
    stand_in(old, json!({"status": "ok", "version": "0.1.0", "checks": {"playwright": "ready"}}));
    let settings_with_defaults = |origin: &str| RemoteSettings {
        default_idle_ttl: Some(Duration::from_secs(90)),
        default_headless: Some(true),
        ..machine("runner", RemoteRole::Runner, origin)
    };
    let defaults = async |origin: &str| {
        let worker = before(worker(), vec![settings_with_defaults(origin)]).await;
        worker.healthy().await;
        let (_, mut health) = worker.get("/health").await;
        worker.stop().await;
        let facts = health["facts"].take();
        (facts["defaults"].clone(), facts["capacity"].clone())
    };
    let own = json!({"idle_ttl_seconds": 90, "headless": true, "start_url": null, "start_url_wait": "load"});
    assert_eq!(defaults(&runner.origin).await, (own, json!(10)));
    let alone = json!({"idle_ttl_seconds": 90, "headless": true, "start_url": null, "start_url_wait": null});
    assert_eq!(defaults(&old_origin).await, (alone, Value::Null), "the original reports no defaults");
    runner.stop().await;
}

#[actix_web::test]
async fn a_worker_of_the_original_is_listed_without_fields_that_it_does_not_report() {
    let (old, origin) = listener().await;
    stand_in(
        old,
        json!({"status": "ok", "version": "0.1.0", "checks": {"playwright": "ready", "sessions": 1}}),
    );
    let remote = machine("old", RemoteRole::Worker, &origin.replace("http://", "http://user:secret@"));
    let control = before(Surface::Control, vec![remote]).await;
    let mut status = status_that(&control, |status| status["healthy"] == true).await;
    take_time(&mut status, "last_contact");
    let expected = json!({
        "name": "old", "healthy": true, "supports_vnc": true, "sessions": 0, "stale": false, "draining": false,
        "url": origin,
        "detail": {
            "status": "ok", "version": "0.1.0", "checks": {"playwright": "ready", "sessions": "1"},
            "failing": [], "facts": null, "insecure": null,
        },
    });
    assert_eq!(status, expected);
    control.stop().await;
}

#[actix_web::test]
async fn failing_checks_and_draining_are_passed_on() {
    let (ill, origin) = listener().await;
    let checks = json!({"driver": "restarting", "engine": "firefox"});
    let reported = json!({
        "status": "degraded", "version": "0.1.0", "checks": checks, "failing": ["driver"],
        "facts": {"draining": true},
    });
    stand_in(ill, reported);
    let worker = before(worker(), vec![machine("runner", RemoteRole::Runner, &origin)]).await;
    let control = before(Surface::Control, vec![machine("ill", RemoteRole::Worker, &worker.origin)]).await;
    let status = status_that(&control, |status| status["draining"] == true).await;
    let detail = &status["detail"];
    assert_eq!((&status["healthy"], &detail["status"]), (&json!(false), &json!("degraded")));
    assert_eq!((&detail["checks"], &detail["failing"]), (&checks, &json!(["driver"])));
    assert_eq!((&detail["facts"]["draining"], &detail["facts"]["capacity"]), (&json!(true), &Value::Null));
    for api in [control, worker] {
        api.stop().await;
    }
}

#[actix_web::test]
async fn an_unreachable_machine_has_its_last_contact_and_the_reason() {
    let Chain { runner, worker, control } = Chain::new(Options::default()).await;
    runner.stop().await;
    let status = status_that(&control, |status| status["healthy"] == false).await;
    let detail = &status["detail"];
    assert_eq!((&detail["failing"], &detail["facts"]), (&json!(["runner"]), &Value::Null));
    assert!(detail["checks"]["runner"].is_string(), "{detail}");

    worker.stop().await;
    let gone = status_that(&control, |status| status["detail"]["error"].is_string()).await;
    let later = status_that(&control, |_| true).await;
    assert_eq!((&gone["url"], &gone["detail"].as_object().unwrap().len()), (&status["url"], &1));
    assert!(gone["last_contact"].as_str() >= status["last_contact"].as_str());
    assert_eq!(later["last_contact"], gone["last_contact"]);
    control.stop().await;

    let never =
        before(Surface::Control, vec![machine("never", RemoteRole::Worker, "http://127.0.0.1:1")]).await;
    let status = status_that(&never, |_| true).await;
    assert_eq!((&status["last_contact"], &status["url"]), (&Value::Null, &json!("http://127.0.0.1:1")));
    never.stop().await;
}

#[actix_web::test]
async fn without_the_token_health_has_neither_urls_nor_facts() {
    let api = api(Options { token: Some("s3cret".into()), ..Options::default() }).await;
    let (_, open) = api.get("/health").await;
    let (_, known) = api.get("/health?access_token=s3cret").await;
    let (_, workers) = api.get("/workers?access_token=s3cret").await;
    api.stop().await;
    assert_eq!(known["workers"], workers);
    assert!(known["workers"][0]["detail"]["facts"].is_object());
    let mut expected = known;
    expected["workers"][0]["detail"]["facts"] = Value::Null;
    assert_eq!(open, expected);
}
