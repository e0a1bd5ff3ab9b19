//! The prewarm pools: they are filled and refilled, and never give a dead browser to a session.

use std::time::Duration;

use camofleet_api::session::Status;
use tokio::time::Instant;

use crate::launch::prewarm::PoolSettings;
use crate::model::error::Error;
use crate::model::session::LaunchTemplate;
use crate::testing::fake_os::{FakeOs, Fault, LAUNCH_TIME};
use crate::testing::{TestWorker, headless, refusal, with_vnc};
use crate::worker::WorkerSettings;

async fn warm_worker() -> TestWorker {
    TestWorker::with(|settings| {
        settings.keep_warm("headless", 1);
        settings.keep_warm("vnc", 1);
    })
    .await
}

async fn until_pool(worker: &TestWorker, pool: &'static str, text: &str) {
    worker.until(|snapshot| snapshot.checks[pool].text.starts_with(text)).await;
}

#[actix::test]
async fn a_warm_browser_that_dies_is_replaced() {
    let worker = warm_worker().await;
    worker.os.kill(worker.os.alive("Xvnc")[0]);
    until_pool(&worker, "pool_vnc", "0 of 1").await;
    until_pool(&worker, "pool_vnc", "1 of 1").await;
    assert_eq!(worker.os.alive("Xvnc").len(), 1);
    worker.until(|snapshot| snapshot.checks["display"].text.ends_with("2 of 3 slots free")).await;
}

#[actix::test]
async fn a_warm_browser_that_dies_right_before_it_is_taken_is_not_given_to_a_session() {
    let worker = TestWorker::with(|settings| settings.keep_warm("vnc", 1)).await;
    for part in ["browser", "Xvnc"] {
        worker.os.kill(worker.os.alive(part)[0]);
        // The pool has not been notified yet.
        let view = worker.ready(with_vnc()).await;
        until_pool(&worker, "pool_vnc", "1 of 1").await;
        let now = worker.view(view.spec.id);
        assert_eq!((now.status, now.restarts), (Status::Ready, 0), "{part}");
        worker.delete(view.spec.id).await.unwrap();
        assert_eq!(worker.os.alive("Xvnc").len(), 1, "{part}");
        // The replacement of a second dead browser within a minute is delayed.
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}

#[actix::test]
async fn the_death_of_a_warm_browser_while_it_is_handed_over_is_detected() {
    // It dies at every possible moment: before it is taken, between that and its adoption, and after.
    let worker = TestWorker::with(|settings| settings.keep_warm("headless", 1)).await;
    for turns in 0..24 {
        until_pool(&worker, "pool_headless", "1 of 1").await;
        let warm = worker.os.alive("browser")[0];
        let (id, created) = {
            let handle = worker.handle.clone();
            let created = actix_rt::spawn(async move {
                handle
                    .ask(
                        &handle.create,
                        crate::worker::CreateSession {
                            request: headless(),
                            by: camofleet_api::ids::RequestId::random(),
                            claimant: crate::model::claim::Claimant::uncancellable(),
                        },
                    )
                    .await
            });
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            worker.os.kill(warm);
            let view = created.await.unwrap().unwrap();
            (view.spec.id, view)
        };
        assert_eq!(created.status, Status::Ready);
        // A death after the adoption is an ordinary crash: the session is restarted.
        worker
            .until(|snapshot| {
                let view = snapshot.session(id).unwrap();
                view.status == Status::Ready && worker.os.alive("browser").iter().any(|pid| *pid != warm)
            })
            .await;
        tokio::time::sleep(LAUNCH_TIME * 2).await;
        assert_eq!(worker.view(id).status, Status::Ready, "after {turns} turns");
        worker.delete(id).await.unwrap();
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(worker.os.alive("browser").len(), 1, "only the warm one is left after {turns} turns");
    }
}

#[actix::test]
async fn failed_launches_are_reported_and_retried_with_growing_delays() {
    let os = FakeOs::new();
    os.break_next(Fault::LaunchFails, 3);
    let worker = TestWorker::starting_on(os, |settings| settings.keep_warm("headless", 1)).await;
    let start = Instant::now();
    let snapshot = worker.until(|snapshot| snapshot.checks["pool_headless"].text.contains("no luck")).await;
    let check = &snapshot.checks["pool_headless"];
    assert_eq!(
        (check.ok, snapshot.accepts(&headless()), snapshot.accepts(&with_vnc())),
        (false, false, true)
    );
    assert!(check.text.starts_with("0 of 1 ready; the last launch failed: "), "{}", check.text);
    let pools = &snapshot.facts.as_ref().unwrap().pools;
    let fill = &pools["headless"];
    assert_eq!((fill.ready, fill.target, pools.len()), (0, 1, 1));
    assert!(check.text.ends_with(fill.last_error.as_ref().unwrap()), "{fill:?}");
    until_pool(&worker, "pool_headless", "1 of 1").await;
    let snapshot = worker.handle.snapshot();
    assert_eq!((snapshot.healthy, snapshot.checks["pool_headless"].text.as_str()), (true, "1 of 1 ready"));
    // Four launches, and delays of 1, 2 and 4 seconds less up to a quarter.
    let waited = start.elapsed() - LAUNCH_TIME * 4;
    assert!((5..=8).contains(&waited.as_secs()), "{waited:?}");
}

#[actix::test]
async fn warm_browsers_that_keep_dying_are_not_launched_in_a_tight_loop() {
    let os = FakeOs::new();
    os.set_launch_time(Duration::from_millis(10));
    os.kill_when_ready("browser", 0);
    let worker = TestWorker::starting_on(os, |settings| settings.keep_warm("headless", 1)).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let launches = worker.os.started().iter().filter(|name| *name == "browser").count();
    assert!((4..=10).contains(&launches), "{launches} launches in a minute");
}

#[actix::test]
async fn the_vnc_pool_is_off_without_tools_and_starts_nothing() {
    let os = FakeOs::new();
    ["Xvnc", "Xvfb"].iter().for_each(|name| os.uninstall(name));
    let worker = TestWorker::on(os, |settings| settings.keep_warm("vnc", 2)).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let snapshot = worker.handle.snapshot();
    assert_eq!((snapshot.checks["pool_vnc"].text.as_str(), snapshot.supports_vnc), ("off", false));
    assert!(snapshot.healthy && snapshot.checks["display"].text.contains("apt-get install"));
    let facts = snapshot.facts.as_ref().unwrap();
    assert_eq!((facts.pools.len(), facts.slots, facts.defaults.headless), (0, None, Some(true)));
    assert_eq!(worker.os.started(), ["node"]);
}

#[actix::test]
async fn a_pool_of_several_is_filled_and_taken_one_by_one() {
    let worker = TestWorker::with(|settings| settings.keep_warm("headless", 3)).await;
    let start = Instant::now();
    for _ in 0..3 {
        worker.ready(headless()).await;
    }
    assert!(start.elapsed() < Duration::from_millis(5));
    worker.ready(headless()).await;
    assert!(start.elapsed() >= LAUNCH_TIME, "the fourth is launched on request");
    until_pool(&worker, "pool_headless", "3 of 3").await;
    assert_eq!(worker.os.alive("browser").len(), 7);
}

#[actix::test]
async fn a_warm_browser_or_display_whose_death_is_not_known_yet_is_not_given_to_a_session() {
    let worker = warm_worker().await;
    until_pool(&worker, "pool_headless", "1 of 1").await;
    until_pool(&worker, "pool_vnc", "1 of 1").await;
    for (request, dead) in [(headless(), "browser"), (with_vnc(), "Xvnc")] {
        worker.os.alive(dead).into_iter().for_each(|pid| worker.os.kill_unnoticed(pid));
        let view = worker.ready(request).await;
        assert_eq!((view.status, view.restarts), (Status::Ready, 0));
    }
}

#[actix::test]
async fn a_warm_browser_whose_death_was_not_reported_is_replaced_at_the_next_check() {
    let worker = TestWorker::with(|settings| {
        for pool in &mut settings.pools {
            (pool.target, pool.check_interval) = (1, Duration::from_secs(7));
        }
    })
    .await;
    for (kind, part) in [("pool_vnc", "Xvnc"), ("pool_headless", "browser")] {
        until_pool(&worker, kind, "1 of 1").await;
        let dead = worker.os.alive(part);
        dead.iter().for_each(|pid| worker.os.kill_unnoticed(*pid));
        let began = Instant::now();
        until_pool(&worker, kind, "0 of 1").await;
        assert!(began.elapsed() <= Duration::from_secs(7), "{:?}", began.elapsed());
        until_pool(&worker, kind, "1 of 1").await;
        assert!(worker.os.alive(part).iter().all(|pid| !dead.contains(pid)));
    }
}

#[actix::test]
async fn a_slot_that_is_released_late_is_shown_as_free() {
    let worker = TestWorker::new().await;
    worker.os.break_next(Fault::DisplayHangs, 1);
    let error = refusal(worker.create(with_vnc()).await);
    assert!(matches!(error, Error::LaunchTimedOut { what: "display", .. }), "{error}");
    worker.until(|snapshot| snapshot.checks["display"].text.contains("3 of 3 slots free")).await;
}

#[actix::test]
async fn a_pool_that_is_starting_is_not_shown_as_off() {
    let worker = TestWorker::starting_on(FakeOs::new(), |settings| settings.keep_warm("headless", 1)).await;
    let shown = ["pool_headless", "pool_vnc"].map(|pool| worker.first.checks[pool].text.as_str());
    assert_eq!(shown, ["0 of 1 ready", "off"]);
}

#[actix::test]
async fn a_pool_that_fails_does_not_affect_sessions_of_the_other_kind() {
    let os = FakeOs::new();
    os.break_next(Fault::LaunchFails, 1);
    let worker = TestWorker::starting_on(os, |settings| settings.keep_warm("headless", 1)).await;
    let snapshot = worker.until(|snapshot| !snapshot.checks["pool_headless"].ok).await;
    assert!(snapshot.accepts(&with_vnc()) && !snapshot.accepts(&headless()));
    assert!(snapshot.healthy, "it accepts sessions with a live view");
    worker.ready(with_vnc()).await;

    // A successful cold launch proves that launches work, so an empty pool is only a warning.
    worker.os.break_next(Fault::LaunchFails, 0);
    worker.ready(headless()).await;
    let snapshot = worker.until(|snapshot| snapshot.checks["pool_headless"].ok).await;
    assert!(snapshot.accepts(&headless()));
}

/// Adds a pool of headless browsers.
fn add_pool(settings: &mut WorkerSettings, name: &str, target: usize) {
    let template = LaunchTemplate::plain(true);
    let pool = PoolSettings { name: name.into(), template, target, check_interval: Duration::from_secs(2) };
    settings.pools.push(pool);
}

#[actix::test]
async fn a_session_takes_its_browser_from_the_pool_of_its_template() {
    let worker = TestWorker::with(|settings| {
        add_pool(settings, "plain", 2);
        settings.keep_warm("vnc", 1);
    })
    .await;
    let gauge = |pool: &str| worker.machine.metric(&format!("camofleet_pool_target{{pool=\"{pool}\"}}"));
    assert_eq!((gauge("plain"), gauge("vnc")), (2.0, 1.0));
    let start = Instant::now();
    worker.ready(headless()).await;
    worker.ready(with_vnc()).await;
    assert!(start.elapsed() < Duration::from_millis(5), "{:?}", start.elapsed());
    until_pool(&worker, "pool_plain", "1 of 2").await;
    until_pool(&worker, "pool_plain", "2 of 2").await;
    let snapshot = worker.handle.snapshot();
    let pools = &snapshot.facts.as_ref().unwrap().pools;
    let fills: Vec<_> = pools.iter().map(|(name, fill)| (name.as_str(), fill)).collect();
    let [("plain", plain), ("vnc", vnc)] = fills[..] else { panic!("{fills:?}") };
    assert_eq!((plain.ready, plain.headless, vnc.headless), (2, Some(true), Some(false)));
    assert_eq!(snapshot.checks["pool_headless"].text, "off");
}

#[actix::test]
async fn a_failing_pool_is_named_and_keeps_away_only_sessions_of_its_kind() {
    let os = FakeOs::new();
    os.break_next(Fault::LaunchFails, 1);
    let worker = TestWorker::starting_on(os, |settings| add_pool(settings, "plain", 1)).await;
    let snapshot = worker.until(|snapshot| !snapshot.checks["pool_plain"].ok).await;
    assert!(snapshot.checks["pool_headless"].ok);
    assert!(snapshot.accepts(&with_vnc()) && !snapshot.accepts(&headless()) && snapshot.healthy);
    until_pool(&worker, "pool_plain", "1 of 1").await;
    assert!(worker.handle.snapshot().accepts(&headless()));
}

#[actix::test]
async fn a_worker_that_can_create_no_sessions_is_not_healthy() {
    let os = FakeOs::new();
    ["Xvnc", "x11vnc"].iter().for_each(|name| os.uninstall(name));
    os.break_next(Fault::LaunchFails, 3);
    let worker = TestWorker::starting_on(os, |settings| settings.keep_warm("headless", 1)).await;
    let snapshot = worker.until(|snapshot| !snapshot.checks["pool_headless"].ok).await;
    assert!(!snapshot.healthy && !snapshot.accepts(&headless()));
    worker.until(|snapshot| snapshot.healthy).await;
}

#[actix::test]
async fn the_replacement_is_launched_when_the_hand_over_is_complete() {
    let worker = TestWorker::with(|settings| settings.keep_warm("headless", 1)).await;
    // It does not respond, which takes the hand-over to its limit of 2 s.
    worker.os.stop(worker.os.alive("browser")[0]);
    let launches = || worker.os.started().iter().filter(|name| *name == "browser").count();
    let before = launches();
    tokio::join!(worker.ready(headless()), async {
        tokio::time::sleep(Duration::from_millis(1900)).await;
        assert_eq!(launches(), before, "nothing else is launched meanwhile");
    });
    until_pool(&worker, "pool_headless", "1 of 1").await;
    assert_eq!(launches(), before + 2, "the session's and the pool's");
}
