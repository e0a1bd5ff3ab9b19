//! Samples of a worker on a fake machine and paused time.

use camofleet_api::session::EndReason;

use super::*;
use crate::model::events::EventBus;
use crate::model::session::{Ending, SessionView};
use crate::testing::{TestWorker, a_view, headless};
use crate::worker::WorkerSettings;

fn with_a_warm_browser(settings: &mut WorkerSettings) {
    settings.keep_warm("headless", 1);
}

/// The sources of samples in a process without a gateway.
fn readings(directory: Directory, metrics: &Metrics) -> FleetReadings {
    FleetReadings { directory, gateway: GatewayHandle::none(), metrics: metrics.clone() }
}

/// Starts recording a worker.
fn recorded(worker: &TestWorker) -> History {
    let (history, parts) = (History::default(), &worker.machine.parts);
    let directory = Directory::of(vec![worker.handle.clone()]);
    let recording = history.clone().record(readings(directory, &parts.metrics), parts.events.subscribe());
    actix_rt::spawn(recording);
    history
}

fn counts(named: &[(&str, u64)]) -> BTreeMap<String, u64> {
    named.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// The sample after the next one, which contains everything that has happened until now.
async fn next(history: &History) -> Arc<Sample> {
    let mut seen = history.0.subscribe();
    seen.changed().await.unwrap();
    Arc::clone(seen.borrow().back().unwrap())
}

#[actix::test]
async fn a_sample_has_the_current_state_and_counts_since_the_previous_one() {
    let worker = TestWorker::with(with_a_warm_browser).await;
    let history = recorded(&worker);
    let first = next(&history).await;
    assert_eq!(first.sessions.ready, 0);
    assert_eq!(first.pools, BTreeMap::from([("headless".to_owned(), PoolTotal { ready: 1, target: 1 })]));
    assert_eq!(first.viewers, None, "there is no gateway");

    let session = worker.create(headless()).await.unwrap();
    let created = next(&history).await;
    assert_eq!(
        (created.sessions.ready, created.creates.ok.iter().sum::<u64>(), created.creates.failed),
        (1, 1, 0)
    );
    let quiet = next(&history).await;
    assert_eq!((quiet.sessions.ready, quiet.creates.ok.iter().sum::<u64>()), (1, 0), "it was counted once");

    worker.delete(session.spec.id).await.unwrap();
    let ended = next(&history).await;
    assert_eq!((ended.sessions.ready, &ended.ends), (0, &counts(&[("deleted", 1)])));
    assert_eq!(history.samples().len(), 4);
}

#[actix::test]
async fn ends_and_restarts_are_counted_from_events_for_any_machine() {
    let worker = TestWorker::new().await;
    let history = recorded(&worker);
    next(&history).await;
    let publish = |view: SessionView, change| {
        worker.machine.parts.events.publish("far", Arc::new(view), change, None);
    };
    let cause = EndReason::DriverLost;
    publish(a_view(), Change::Restarting { cause, detail: "its driver is gone".to_owned() });
    let ending = Ending { at: Timestamp::now(), reason: EndReason::Expired, detail: String::new() };
    publish(SessionView { ending: Some(ending), ..a_view() }, Change::Ended);
    publish(a_view(), Change::Forgotten);
    let sample = next(&history).await;
    assert_eq!(sample.restarts, counts(&[("driver_lost", 1)]));
    assert_eq!(sample.ends, counts(&[("expired", 1), ("forgotten", 1)]));
}

#[actix::test]
async fn an_hour_is_kept() {
    tokio::time::pause();
    let (history, bus) = (History::default(), EventBus::default());
    let recording = history
        .clone()
        .record(readings(Directory::of(Vec::new()), &Metrics::new().unwrap()), bus.subscribe());
    let recording = actix_rt::spawn(recording);
    let first = next(&history).await;
    for _ in 1..LENGTH {
        next(&history).await;
    }
    assert_eq!((history.samples().len(), &history.samples()[0]), (LENGTH, &first));
    next(&history).await;
    assert_eq!(history.samples().len(), LENGTH);
    assert!(history.samples()[0].at > first.at);
    assert_eq!(INTERVAL * u32::try_from(LENGTH).unwrap(), Duration::from_secs(3600));
    drop(bus);
    recording.await.unwrap();
}

#[test]
fn figures_that_no_machine_can_have_break_no_sample() {
    let mut pools = BTreeMap::new();
    let fill = PoolFill { ready: usize::MAX, target: usize::MAX, ..PoolFill::default() };
    for _ in 0..2 {
        add(&mut pools, "a", &fill);
    }
    assert_eq!(pools["a"], PoolTotal { ready: usize::MAX, target: usize::MAX });
}
