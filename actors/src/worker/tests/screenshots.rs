//! Screenshots: one reading of the screen serves all concurrent requests, and the session is not affected.

use std::time::Duration;

use bytes::Bytes;
use camofleet_api::ids::{RequestId, SessionId};
use camofleet_api::request::SessionRequest;
use camofleet_api::session::Status;
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::display::{DisplayTools, Geometry, SharedDisplaySettings, VncBackend, VncPassword, size_of_jpeg};
use crate::model::error::{Error, Result};
use crate::testing::fake_os::{FakeOs, Fault};
use crate::testing::{TestWorker, headless, refusal, with_vnc};
use crate::worker::TakeScreenshot;

const SECOND: Duration = Duration::from_secs(1);

async fn screenshot(worker: &TestWorker, id: SessionId, width: Option<u16>) -> Result<Bytes> {
    let message = TakeScreenshot { id, width, by: RequestId::random() };
    worker.handle.ask(&worker.handle.screenshot, message).await
}

/// How many readings of screens had this outcome.
fn readings(worker: &TestWorker, outcome: &str) -> f64 {
    worker.machine.metric(&format!("camofleet_screen_capture_seconds_count{{outcome=\"{outcome}\"}}"))
}

#[actix::test]
async fn a_screenshot_has_the_requested_width_but_is_never_wider_than_the_screen() {
    let worker = TestWorker::new().await;
    let id = worker.ready(with_vnc()).await.spec.id;
    for (width, size) in [(None, (64, 36)), (Some(16), (16, 9)), (Some(64), (64, 36)), (Some(3840), (64, 36))]
    {
        assert_eq!(size_of_jpeg(&screenshot(&worker, id, width).await.unwrap()), size, "{width:?}");
    }
}

#[actix::test]
async fn all_requests_within_a_second_share_one_reading() {
    let worker = TestWorker::new().await;
    let id = worker.ready(with_vnc()).await.spec.id;
    let start = Instant::now();
    let requests = (0..30).map(|place| screenshot(&worker, id, Some([16, 32, 64][place % 3])));
    let pictures: Vec<_> = join_all(requests).await.into_iter().map(Result::unwrap).collect();
    assert!(pictures.iter().skip(3).zip(&pictures).all(|(later, first)| later == first));
    assert_eq!((worker.os.screens_sent(), readings(&worker, "ok")), (1, 1.0));
    tokio::time::sleep_until(start + SECOND - Duration::from_millis(10)).await;
    screenshot(&worker, id, Some(20)).await.unwrap();
    assert_eq!(worker.os.screens_sent(), 1, "another size is made from the same reading");
    tokio::time::sleep_until(start + SECOND).await;
    screenshot(&worker, id, Some(16)).await.unwrap();
    assert_eq!(worker.os.screens_sent(), 2);
    // More sizes than are cached.
    for width in 16..40 {
        assert_eq!(size_of_jpeg(&screenshot(&worker, id, Some(width)).await.unwrap()).0, width);
    }
    assert_eq!(worker.os.screens_sent(), 2);
    let other = worker.ready(with_vnc()).await.spec.id;
    screenshot(&worker, other, None).await.unwrap();
    assert_eq!(worker.os.screens_sent(), 3, "the screens are captured separately");
}

#[actix::test]
async fn a_screenshot_is_not_activity() {
    let worker = TestWorker::new().await;
    let request = SessionRequest { idle_ttl: Some(60 * SECOND), ..with_vnc() };
    let view = worker.ready(request).await;
    let seen = view.activity.last_seen();
    for _ in 0..5 {
        tokio::time::sleep(10 * SECOND).await;
        screenshot(&worker, view.spec.id, Some(32)).await.unwrap();
    }
    assert_eq!(view.activity.last_seen(), seen);
    worker.until_status(view.spec.id, Status::Dead).await;
    assert_eq!(refusal(screenshot(&worker, view.spec.id, None).await), Error::SessionNotFound);
}

#[actix::test]
async fn a_session_without_a_live_view_and_one_that_is_not_ready_have_different_errors() {
    let worker = TestWorker::new().await;
    let private = SessionRequest { headless: Some(false), ..SessionRequest::default() };
    for request in [headless(), private] {
        let id = worker.ready(request).await.spec.id;
        let refused = refusal(screenshot(&worker, id, None).await);
        assert_eq!(refused, Error::NoLiveView);
        assert!(refused.to_string().contains("\"vnc\": true"), "{refused}");
    }
    let (id, created) = worker.begin(with_vnc()).await;
    let refused = refusal(screenshot(&worker, id, None).await);
    assert_eq!(refused, Error::SessionNotReady { status: Status::Init });
    created.await.unwrap().unwrap();
    screenshot(&worker, id, None).await.unwrap();
    assert_eq!(refusal(screenshot(&worker, uuid::Uuid::new_v4(), None).await), Error::SessionNotFound);
}

#[actix::test]
async fn all_requests_to_a_server_that_does_not_respond_time_out_after_five_seconds() {
    let worker = TestWorker::new().await;
    let id = worker.ready(with_vnc()).await.spec.id;
    worker.os.break_next(Fault::VncHangs, 1);
    let start = Instant::now();
    for taken in join_all([16, 32, 64].map(|width| screenshot(&worker, id, Some(width)))).await {
        assert!(matches!(refusal(taken), Error::UpstreamTimedOut { .. }));
    }
    assert_eq!(start.elapsed().as_secs(), 5);
    screenshot(&worker, id, None).await.unwrap();
    assert_eq!((readings(&worker, "upstream_timed_out"), readings(&worker, "ok")), (1.0, 1.0));
}

#[actix::test]
async fn a_server_that_fails_is_an_error_and_the_next_request_reads_again() {
    let worker = TestWorker::new().await;
    let id = worker.ready(with_vnc()).await.spec.id;
    for (fault, code) in [(Fault::VncRefuses, "upstream_unreachable"), (Fault::VncBreaks, "upstream_broke")] {
        worker.os.break_next(fault, 1);
        let refused = refusal(screenshot(&worker, id, None).await);
        assert_eq!(refused.code(), code, "{refused}");
        screenshot(&worker, id, None).await.unwrap();
        tokio::time::sleep(SECOND).await;
    }
}

#[actix::test]
async fn a_request_that_waits_when_the_session_ends_fails() {
    let worker = TestWorker::new().await;
    let id = worker.ready(with_vnc()).await.spec.id;
    worker.os.break_next(Fault::VncHangs, 1);
    let waiting = screenshot(&worker, id, None);
    let ending = async {
        tokio::time::sleep(SECOND).await;
        worker.delete(id).await.unwrap();
    };
    let (taken, ()) = tokio::join!(waiting, ending);
    let Error::UpstreamBroke { detail, .. } = refusal(taken) else { panic!() };
    assert_eq!(detail, "its screen is gone");
    worker.assert_nothing_left();
}

#[actix::test]
async fn a_warm_and_a_restarted_session_each_have_screenshots_of_their_own_screen() {
    let worker = TestWorker::with(|settings| settings.keep_warm("vnc", 1)).await;
    let id = worker.ready(with_vnc()).await.spec.id;
    screenshot(&worker, id, None).await.unwrap();
    worker.os.alive("browser").into_iter().for_each(|browser| worker.os.kill(browser));
    worker.until_restarted(id, 1).await;
    screenshot(&worker, id, None).await.unwrap();
    assert_eq!(worker.os.screens_sent(), 2, "the cached picture of the old screen must not be used");
}

#[actix::test]
async fn a_shared_screen_with_a_password_is_read_once_for_all_its_sessions() {
    for backend in [VncBackend::Xvnc, VncBackend::X11vnc] {
        let worker = TestWorker::with(|settings| {
            settings.launch.display.tools = DisplayTools::find(backend, &FakeOs::new());
            settings.launch.display.shared = Some(SharedDisplaySettings {
                display: 7,
                geometry: Geometry { width: 1280, height: 720, depth: 24 },
                vnc_port: 5930,
                password: Some(VncPassword::new("s3cret")),
            });
        })
        .await;
        let ids = [worker.ready(with_vnc()).await.spec.id, worker.ready(with_vnc()).await.spec.id];
        for id in ids {
            assert_eq!(size_of_jpeg(&screenshot(&worker, id, None).await.unwrap()), (64, 36));
        }
        assert_eq!(worker.os.screens_sent(), 1);
        // The next worker pauses the clock again.
        tokio::time::resume();
    }
}
