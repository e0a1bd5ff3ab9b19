//! The start URL: it is opened after READY; a failure is shown and is not fatal.

use camofleet_api::request::SessionRequest;
use camofleet_api::session::{StartUrlWait, Status};

use crate::model::events::Change;
use crate::testing::fake_os::Fault;
use crate::testing::{TestWorker, headless};

fn request(wait: StartUrlWait) -> SessionRequest {
    let start_url = Some("example.com".to_owned());
    SessionRequest { start_url, start_url_wait: Some(wait), ..headless() }
}

#[actix::test]
async fn it_is_opened_once_the_session_is_ready() {
    let worker = TestWorker::new().await;
    for wait in [StartUrlWait::Load, StartUrlWait::DomContentLoaded] {
        let opened = worker.os.opened().len();
        let view = worker.ready(request(wait)).await;
        worker.settle("the page is opened", || worker.os.opened().len() == opened + 1).await;
        assert_eq!(worker.os.opened()[opened], "https://example.com");
        assert_eq!(worker.view(view.spec.id).start_url_error, None);
    }
}

#[actix::test]
async fn a_page_that_does_not_open_is_reported_and_not_fatal() {
    let mut worker = TestWorker::new().await;
    worker.os.break_next(Fault::OpenFails, 1);
    let id = worker.ready(request(StartUrlWait::Load)).await.spec.id;
    worker.until(|snapshot| snapshot.session(id).is_some_and(|view| view.start_url_error.is_some())).await;
    let view = worker.view(id);
    assert_eq!(view.start_url_error.as_deref(), Some("the page did not load"));
    assert_eq!(view.status, Status::Ready);

    worker.os.kill(worker.os.alive("browser")[0]);
    let restarted = worker.until_restarted(id, 1).await;
    assert_eq!(restarted.start_url_error, None, "the new browser opened it");
    worker.delete(id).await.unwrap();
    assert!(worker.changes_until_ended(id).await.contains(&Change::StartUrlFailed));
}

#[actix::test]
async fn without_a_wait_nothing_is_opened() {
    let worker = TestWorker::new().await;
    let id = worker.ready(request(StartUrlWait::None)).await.spec.id;
    worker.delete(id).await.unwrap();
    assert!(worker.os.opened().is_empty());
}
