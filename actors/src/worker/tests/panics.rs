//! Bugs: an actor that panics is reported and cleaned up after like any other lost part.

use std::time::Duration;

use camofleet_api::session::{EndReason, Status};

use crate::model::events::Change;
use crate::testing::fake_os::LAUNCH_TIME;
use crate::testing::{PanicIn, TestWorker, headless, soon, with_vnc};

#[actix::test]
async fn a_session_that_panics_is_shown_as_crashed_and_leaves_nothing() {
    let mut worker = TestWorker::with(|settings| settings.max_sessions = 1).await;
    let id = worker.ready(with_vnc()).await.spec.id;
    worker.address.send(PanicIn::Session(id)).await.unwrap();
    worker.until_status(id, Status::Dead).await;
    let (reason, detail) = worker.end_of(id);
    assert_eq!(reason, EndReason::Crashed);
    assert!(detail.starts_with("panicked: "), "{detail}");
    assert_eq!(worker.changes_until_ended(id).await.last(), Some(&Change::Ended), "the end is published");
    assert_eq!(worker.machine.metric("camofleet_session_ends_total{reason=\"crashed\"}"), 1.0);
    assert_eq!(
        worker.machine.metric("camofleet_actor_exits_total{actor=\"session\",reason=\"panicked\"}"),
        1.0
    );
    let next = worker.ready(with_vnc()).await.spec.id;
    worker.delete(next).await.unwrap();
    worker.assert_nothing_left();
}

#[actix::test]
async fn a_session_that_panics_during_its_launch_leaves_nothing() {
    let worker = TestWorker::new().await;
    for pause in [Duration::from_millis(5), LAUNCH_TIME / 2] {
        let (id, created) = worker.begin(with_vnc()).await;
        tokio::time::sleep(pause).await;
        worker.address.send(PanicIn::Session(id)).await.unwrap();
        assert!(created.await.unwrap().is_err());
        assert_eq!(worker.end_of(id).0, EndReason::Crashed);
        worker.settle("nothing is left", || worker.os.alive_names() == ["node"]).await;
        tokio::time::sleep(LAUNCH_TIME * 2).await;
        let next = worker.ready(with_vnc()).await.spec.id;
        worker.delete(next).await.unwrap();
        worker.assert_nothing_left();
    }
}

#[actix::test]
async fn a_pool_that_panics_is_restarted_and_its_browsers_are_closed() {
    let worker = TestWorker::with(|settings| settings.keep_warm("vnc", 2)).await;
    let old = worker.os.alive("browser");
    worker.address.send(PanicIn::Pool("vnc")).await.unwrap();
    worker
        .settle("the old browsers have ended", || {
            old.iter().all(|pid| !worker.os.alive("browser").contains(pid))
        })
        .await;
    tokio::time::sleep(LAUNCH_TIME * 4).await;
    assert_eq!((worker.os.alive("browser").len(), worker.os.alive("Xvnc").len()), (2, 2));
    worker.ready(with_vnc()).await;
}

#[actix::test]
async fn a_driver_whose_actor_panics_is_lost() {
    let worker = TestWorker::new().await;
    let id = worker.ready(headless()).await.spec.id;
    worker.address.send(PanicIn::Driver).await.unwrap();
    worker.until_restarted(id, 1).await;
    assert_eq!((worker.os.alive("node").len(), worker.os.alive("browser").len()), (1, 1));
}

#[actix::test]
async fn a_worker_that_panics_leaves_no_processes_or_files() {
    let mut worker = TestWorker::with(|settings| {
        settings.keep_warm("headless", 1);
        settings.keep_warm("vnc", 1);
    })
    .await;
    worker.ready(with_vnc()).await;
    let (_, created) = worker.begin(headless()).await;
    worker.address.do_send(PanicIn::Worker);
    assert!(soon(worker.ends.recv()).await.unwrap().starts_with("panicked: "));
    let _ = created.await;
    worker.settle("all processes have ended", || worker.os.alive_count() == 0).await;
    worker.settle("its files are deleted", || worker.machine.run_dir_entries().is_empty()).await;
}
