//! Sessions of Camoufox: each shows a machine that the identity maker drew, and keeps it.

use std::collections::BTreeSet;
use std::time::Duration;

use camofleet_api::ids::RequestId;
use camofleet_api::machine::MachineChoice;
use camofleet_api::profile::{CloneIdentity, ProfileName};
use camofleet_api::profile_request::CloneRequest;
use camofleet_api::request::SessionRequest;
use camofleet_api::session::Status;

use crate::model::error::Error;
use crate::testing::fake_os::{FakeOs, Fault, LAUNCH_TIME};
use crate::testing::{TestWorker, headless, refusal, soon, with_vnc};
use crate::worker::profiles::CloneProfile;
use crate::worker::{ReportIdentity, WorkerSettings};

async fn camoufox(adjust: impl FnOnce(&mut WorkerSettings)) -> TestWorker {
    camoufox_on(FakeOs::new(), adjust).await
}

async fn camoufox_on(os: FakeOs, adjust: impl FnOnce(&mut WorkerSettings)) -> TestWorker {
    TestWorker::on(os, |settings| {
        settings.use_camoufox();
        adjust(settings);
    })
    .await
}

fn request(body: &str) -> SessionRequest {
    SessionRequest::parse(body.as_bytes()).unwrap()
}

fn seeds(os: &FakeOs) -> Vec<String> {
    os.launched().into_iter().map(|launched| launched.seed.unwrap()).collect()
}

#[actix::test]
async fn without_camoufox_there_is_no_identity_maker() {
    let worker = TestWorker::new().await;
    worker.ready(headless()).await;
    assert_eq!(worker.os.alive("python"), [0; 0]);
    assert!(!worker.handle.snapshot().checks.contains_key("identity"));
    assert_eq!(worker.os.launched()[0].seed, None);
}

#[actix::test]
async fn no_two_sessions_show_the_same_machine() {
    let worker = camoufox(|settings| settings.keep_warm("headless", 2)).await;
    for _ in 0..4 {
        worker.ready(headless()).await;
    }
    worker.ready(with_vnc()).await;
    let seeds = seeds(&worker.os);
    assert_eq!(seeds.iter().collect::<BTreeSet<_>>().len(), seeds.len(), "{seeds:?}");
    let launched = &worker.os.launched()[0];
    assert_eq!(launched.variables, ["CAMOU_CONFIG_1", "CAMOU_PREFS_1", "FONTCONFIG_FILE"]);
}

#[actix::test]
async fn a_session_shows_the_same_machine_after_a_crash_also_when_the_maker_is_gone() {
    let worker = camoufox(|settings| settings.keep_warm("headless", 1)).await;
    let warm = worker.ready(headless()).await.spec.id;
    worker.settle("the pool's next browser", || worker.os.launched().len() == 2).await;
    let cold = worker.ready(with_vnc()).await.spec.id;
    worker.os.break_next(Fault::MakerDies, 5);
    worker.os.kill(worker.os.alive("python")[0]);
    let before = worker.os.launched();
    worker.os.kill(worker.os.alive("node")[0]);
    for id in [warm, cold] {
        worker.until_restarted(id, 1).await;
    }
    // The pool's browsers are new ones.
    let after = &worker.os.launched()[3..];
    for (place, session) in [(0, "warm"), (2, "cold")] {
        assert!(after.contains(&before[place]), "the {session} session: {before:?} {after:?}");
    }
}

#[actix::test]
async fn machines_are_drawn_ahead_and_a_launch_takes_one() {
    let worker = camoufox(|_| {}).await;
    worker.ready(headless()).await;
    worker.settle("the stock", || worker.os.drawn().len() == 4).await;
    let maker = worker.os.alive("python")[0];
    // Whatever the maker does now, three more launches do not wait for it.
    worker.os.stop(maker);
    let started = tokio::time::Instant::now();
    for _ in 0..3 {
        worker.ready(headless()).await;
    }
    assert!(started.elapsed() < LAUNCH_TIME * 3 + Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(worker.os.alive("python"), [maker], "it was not killed meanwhile");
    assert_eq!(BTreeSet::from_iter(seeds(&worker.os)).len(), 4);
}

#[actix::test]
async fn the_screen_is_that_of_the_display_and_headless_that_of_the_machine() {
    let worker = camoufox(|_| {}).await;
    worker.ready(with_vnc()).await;
    worker.ready(headless()).await;
    worker.ready(request(r#"{"headless": true, "screen": {"width": 1366, "height": 768}}"#)).await;
    worker.ready(request(r#"{"vnc": true, "screen": {"width": 1600, "height": 900}}"#)).await;
    let display = worker.machine.parts.settings.launch.display.geometry;
    let screens: Vec<_> = worker.os.launched().iter().map(|launched| launched.screen).collect();
    assert_eq!(screens, [(display.width, display.height), (1280, 800), (1366, 768), (1600, 900)]);
}

#[actix::test]
async fn a_maker_that_dies_is_restarted_and_the_draw_is_made_by_the_next() {
    let worker = camoufox(|_| {}).await;
    worker.os.break_next(Fault::DrawKills, 1);
    let first = worker.os.alive("python")[0];
    worker.ready(headless()).await;
    assert_ne!(worker.os.alive("python"), [first]);
    assert_eq!(
        worker.machine.metric("camofleet_actor_exits_total{actor=\"identity_maker\",reason=\"failed\"}"),
        1.0
    );
}

#[actix::test]
async fn a_maker_that_hangs_is_killed_and_the_launch_that_waits_for_it_succeeds() {
    let worker = camoufox(|_| {}).await;
    let first = worker.os.alive("python")[0];
    worker.os.stop(first);
    worker.ready(headless()).await;
    assert_ne!(worker.os.alive("python"), [first]);
}

#[actix::test]
async fn a_draw_that_ends_each_maker_fails_its_launch_with_the_reason() {
    let worker = camoufox(|_| {}).await;
    worker.os.break_next(Fault::DrawKills, 2);
    let error = refusal(worker.create(headless()).await);
    assert!(
        matches!(&error, Error::LaunchFailed { detail } if detail.contains("identity could not be drawn")),
        "{error}"
    );
    worker.ready(headless()).await;
}

#[actix::test]
async fn what_no_machine_can_be_is_refused_with_the_field() {
    let worker = camoufox(|_| {}).await;
    worker.os.break_next(Fault::DrawRefused, 1);
    let error = refusal(worker.create(headless()).await);
    assert_eq!(error, Error::Identity { field: "screen", reason: "too odd".to_owned() });
    worker.settle("the stock", || worker.os.drawn().len() == 3).await;
    worker.os.break_next(Fault::DrawFails, 1);
    let error = refusal(worker.create(with_vnc()).await);
    assert!(error.to_string().contains("no luck today"), "{error}");
}

#[actix::test]
async fn the_health_check_says_what_the_maker_lacks_and_a_launch_waits_for_it() {
    let os = FakeOs::new();
    os.break_next(Fault::MakerUnusable, 3);
    let worker = TestWorker::starting_on(os, WorkerSettings::use_camoufox).await;
    let broken = worker.until(|snapshot| !snapshot.checks["identity"].ok).await;
    assert!(broken.checks["identity"].text.contains("there is no model"), "{:?}", broken.checks["identity"]);
    assert!(!broken.healthy);
    worker.ready(headless()).await;
    let well = worker.until(|snapshot| snapshot.healthy).await;
    assert_eq!(well.checks["identity"].text, "up, camoufox 0.5.8, python 3.11.2");
    let machines = well.facts.as_ref().unwrap().machines.clone().unwrap();
    assert_eq!((machines.library.as_deref(), machines.addons), (Some("0.5.8"), Vec::new()));
}

#[actix::test]
async fn a_create_that_waits_for_a_machine_can_be_cancelled_and_an_end_of_the_worker_leaves_nothing() {
    let worker = camoufox(|_| {}).await;
    worker.os.stop(worker.os.alive("python")[0]);
    let (id, created) = worker.begin(headless()).await;
    worker.delete(id).await.unwrap();
    assert_eq!(refusal(created.await.unwrap()), Error::Cancelled);
    worker.until_status(id, Status::Dead).await;
    soon(worker.shut_down()).await;
    worker.settle("nothing is left", || worker.os.alive_count() == 0).await;
}

#[actix::test]
async fn a_maker_that_keeps_dying_fails_the_worker() {
    let mut worker = camoufox(|_| {}).await;
    worker.os.break_next(Fault::MakerDies, 100);
    worker.os.kill(worker.os.alive("python")[0]);
    let end = soon(worker.ends.recv()).await.unwrap();
    assert!(end.contains("the identity maker ended"), "{end}");
}

#[actix::test]
async fn the_same_seed_is_the_same_machine_and_only_a_browser_whose_machine_is_drawn_takes_one() {
    let worker = camoufox(|_| {}).await;
    for body in [
        r#"{"headless": true, "seed": "anna"}"#,
        r#"{"headless": true, "seed": "anna", "os": "linux"}"#,
        r#"{"headless": true, "seed": "bert"}"#,
    ] {
        worker.ready(request(body)).await;
    }
    assert_eq!(seeds(&worker.os), ["anna", "anna", "bert"]);
    assert_eq!(worker.os.drawn(), ["anna", "anna", "bert"], "nothing is drawn ahead of a seed");
    let able = worker.handle.snapshot().facts.as_ref().unwrap().identity.clone();
    assert!(MachineChoice::FIELDS.iter().all(|field| able.iter().any(|able| able == field)), "{able:?}");
}

#[actix::test]
async fn an_ordinary_firefox_refuses_each_field_of_a_machine() {
    let worker = TestWorker::new().await;
    for (field, value) in [
        ("os", r#""windows""#),
        ("webgl", r#"{"vendor": "a", "renderer": "b"}"#),
        ("fonts", r#"["Inter"]"#),
        ("humanize", "true"),
        ("addons", r#"["ublock"]"#),
        ("main_world_eval", "true"),
        ("seed", "7"),
    ] {
        let refused = refusal(worker.create(request(&format!(r#"{{"{field}": {value}}}"#))).await);
        let Error::Identity { field: named, reason } = refused else { panic!("{field}: {refused}") };
        assert!(named == field && reason.contains("RUNNER_ENGINE=camoufox"), "{named}: {reason}");
    }
    let able = worker.handle.snapshot().facts.as_ref().unwrap().identity.clone();
    assert!(MachineChoice::FIELDS.iter().all(|field| !able.iter().any(|able| able == field)), "{able:?}");
    assert!(worker.ids().is_empty());
    let ordinary =
        r#"{"headless": true, "fonts": [], "humanize": false, "addons": [], "main_world_eval": false}"#;
    worker.ready(request(ordinary)).await;
}

#[actix::test]
async fn the_machine_of_a_session_is_part_of_the_report_of_its_identity() {
    let worker = camoufox(|_| {}).await;
    let session = worker.ready(headless()).await.spec.id;
    let report = ReportIdentity { id: session, by: RequestId::random() };
    let report = worker.handle.ask(&worker.handle.identity, report).await.unwrap();
    let screen = report.machine.unwrap().screen;
    assert_eq!((screen.width, screen.height), worker.os.launched()[0].screen);
}

#[actix::test]
async fn what_a_machine_was_drawn_without_is_shown_where_a_request_wants_that() {
    let directory = tempfile::tempdir().unwrap();
    let worker = camoufox(|settings| settings.profiles.directory = directory.path().to_owned()).await;
    let shown = async |body: &str| {
        let view = worker.ready(request(body)).await;
        worker.delete(view.spec.id).await.unwrap();
        let found = view.contradictions.iter().flatten();
        found
            .map(|one| format!("{} {} {} {}", one.field, one.value, one.against, one.fact))
            .collect::<Vec<_>>()
    };
    let fonts = r#"{"headless": true, "fonts": ["Geneva", "Monaco"]"#;
    assert_eq!(shown(&format!("{fonts}}}")).await, [""; 0]);
    let expected = ["fonts Geneva, Monaco os windows"];
    assert_eq!(shown(&format!(r#"{fonts}, "coherence": "warn"}}"#)).await, expected);
    assert_eq!(shown(r#"{"headless": true, "coherence": "warn"}"#).await, [""; 0]);
    // A profile's machine stays without it.
    assert_eq!(shown(&format!(r#"{fonts}, "profile": "anna", "coherence": "warn"}}"#)).await, expected);
    assert_eq!(shown(r#"{"headless": true, "profile": "anna"}"#).await, expected);
}

#[actix::test]
async fn a_profile_keeps_its_machine_with_and_without_a_window_and_a_clone_can_have_another() {
    let directory = tempfile::tempdir().unwrap();
    let worker = camoufox(|settings| settings.profiles.directory = directory.path().to_owned()).await;
    let open = async |body: &str| {
        let session = worker.ready(request(body)).await.spec.id;
        worker.delete(session).await.unwrap();
        worker.os.launched().last().unwrap().clone()
    };
    let first = open(r#"{"headless": true, "profile": "anna", "os": "windows"}"#).await;
    let again = open(r#"{"headless": true, "profile": "anna"}"#).await;
    assert_eq!((&again.seed, again.screen), (&first.seed, first.screen));
    let with_window = open(r#"{"vnc": true, "profile": "anna"}"#).await;
    assert_eq!(
        (&with_window.seed, with_window.screen),
        (&first.seed, first.screen),
        "the display has its screen"
    );
    let copy = open(r#"{"headless": true, "profile": "anna", "profile_mode": "copy"}"#).await;
    assert_eq!(copy.seed, first.seed);
    for (name, identity, same) in [("maria", CloneIdentity::Same, true), ("eva", CloneIdentity::New, false)] {
        let clone = CloneRequest { name: ProfileName::parse(name).unwrap(), identity };
        let clone = CloneProfile {
            name: ProfileName::parse("anna").unwrap(),
            request: clone,
            by: RequestId::random(),
        };
        worker.handle.ask(&worker.handle.profiles.clone, clone).await.unwrap();
        let launched = open(&format!(r#"{{"headless": true, "profile": "{name}"}}"#)).await;
        assert_eq!(launched.seed == first.seed, same, "{name}");
    }
    let other = worker.create(request(r#"{"profile": "anna", "os": "macos"}"#)).await;
    assert!(refusal(other).to_string().starts_with("os: profile 'anna' has another one"));
}
