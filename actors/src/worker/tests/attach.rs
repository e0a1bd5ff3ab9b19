//! Playwright clients: they are admitted to READY sessions, counted, and closed with a reason when the session ends.

use std::time::Duration;

use actix::prelude::*;
use camofleet_api::ids::SessionId;
use camofleet_api::request::SessionRequest;
use camofleet_api::session::{Contexts, Status};
use tokio::sync::mpsc;

use crate::model::error::Error;
use crate::model::events::Change;
use crate::session::{AttachmentStarted, AttachmentTicket, CloseAttachment};
use crate::testing::{TestWorker, headless, refusal, soon};

/// A connected client: it holds its ticket until it is closed, and sends the reason to the test.
struct Client {
    _ticket: AttachmentTicket,
    closed: mpsc::UnboundedSender<String>,
}

impl Actor for Client {
    type Context = Context<Self>;
}

impl Handler<CloseAttachment> for Client {
    type Result = ();
    fn handle(&mut self, close: CloseAttachment, ctx: &mut Context<Self>) {
        self.closed.send(close.reason).unwrap();
        ctx.stop();
    }
}

async fn connect(ticket: AttachmentTicket) -> mpsc::UnboundedReceiver<String> {
    let (closed, reasons) = mpsc::unbounded_channel();
    ticket.accept().await;
    let (session, id) = (ticket.session.clone(), *ticket.lifeline.key());
    let client = Client { _ticket: ticket, closed }.start();
    session.send(AttachmentStarted { id, close: client.recipient() }).await.unwrap();
    reasons
}

/// A client that the browser has accepted; it counts until its ticket is dropped.
async fn accepted(worker: &TestWorker, id: SessionId) -> AttachmentTicket {
    let ticket = worker.attach(id).await.ok().unwrap();
    ticket.accept().await;
    ticket
}

async fn until_attached(worker: &TestWorker, id: SessionId, count: usize) {
    worker.until(|snapshot| snapshot.session(id).is_some_and(|view| view.attached == count)).await;
}

#[actix::test]
async fn only_a_ready_session_admits_clients() {
    let worker = TestWorker::new().await;
    let (id, created) = worker.begin(headless()).await;
    assert_eq!(refusal(worker.attach(id).await), Error::SessionNotReady { status: Status::Init });
    created.await.unwrap().unwrap();
    let ticket = worker.attach(id).await.ok().unwrap();
    assert!(ticket.upstream.url.as_str().starts_with("ws://127.0.0.1:"));
    assert_eq!(refusal(worker.attach(uuid::Uuid::new_v4()).await), Error::SessionNotFound);
}

#[actix::test]
async fn clients_are_counted_until_their_tickets_are_dropped() {
    let worker = TestWorker::new().await;
    let id = worker.ready(headless()).await.spec.id;
    let first = accepted(&worker, id).await;
    let second = accepted(&worker, id).await;
    assert_eq!(worker.view(id).attached, 2);
    drop(first);
    until_attached(&worker, id, 1).await;
    drop(second);
    until_attached(&worker, id, 0).await;
    assert_eq!(worker.os.discarded(), 0, "contexts are kept unless asked otherwise");
}

#[actix::test]
async fn a_client_that_the_browser_refuses_never_counts() {
    let mut worker = TestWorker::new().await;
    let view = worker.ready(SessionRequest { contexts: Contexts::Discard, ..headless() }).await;
    let (id, seen) = (view.spec.id, view.activity.last_seen());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let ticket = worker.attach(id).await.ok().unwrap();
    assert_eq!(worker.view(id).attached, 0, "its handshake is in progress");
    drop(ticket);
    assert_eq!(worker.view(id).activity.last_seen(), seen, "it is no activity");
    // The notification of the dropped ticket precedes this in the session's mailbox.
    worker.touch(id).await.unwrap();
    worker.delete(id).await.unwrap();
    let changes = worker.changes_until_ended(id).await;
    assert!(
        !changes.iter().any(|change| matches!(change, Change::Attached | Change::Detached)),
        "{changes:?}"
    );
    assert_eq!(worker.os.discarded(), 0);
}

#[actix::test]
async fn a_session_has_a_bounded_number_of_clients() {
    let worker = TestWorker::new().await;
    let id = worker.ready(headless()).await.spec.id;
    let mut clients = Vec::new();
    for _ in 0..64 {
        clients.push(worker.attach(id).await.ok().unwrap());
    }
    assert_eq!(refusal(worker.attach(id).await), Error::TooManyClients { limit: 64 });
    assert_eq!(worker.view(id).attached, 0, "handshakes in progress have a place each");
    for client in &clients {
        client.accept().await;
    }
    assert_eq!(worker.view(id).attached, 64);
    clients.pop();
    until_attached(&worker, id, 63).await;
    assert!(worker.attach(id).await.is_ok());
}

#[actix::test]
async fn contexts_that_are_not_kept_are_closed_with_the_last_client() {
    let worker = TestWorker::new().await;
    let id = worker.ready(SessionRequest { contexts: Contexts::Discard, ..headless() }).await.spec.id;
    let first = accepted(&worker, id).await;
    let second = accepted(&worker, id).await;
    drop(first);
    until_attached(&worker, id, 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(worker.os.discarded(), 0);
    // A client that is refused later does not keep the contexts, but they wait for its handshake.
    let refused = worker.attach(id).await.ok().unwrap();
    drop(second);
    until_attached(&worker, id, 0).await;
    assert_eq!(worker.os.discarded(), 0);
    drop(refused);
    worker.settle("the contexts are closed", || worker.os.discarded() == 1).await;
    drop(worker.attach(id).await.ok().unwrap());
    worker.touch(id).await.unwrap();
    assert_eq!(worker.os.discarded(), 1, "nobody has been there since");
}

#[actix::test]
async fn a_client_that_attaches_while_contexts_are_discarded_is_admitted_when_they_are_closed() {
    let worker = TestWorker::new().await;
    worker.os.set_discard_time(Duration::from_secs(3));
    let id = worker.ready(SessionRequest { contexts: Contexts::Discard, ..headless() }).await.spec.id;
    drop(accepted(&worker, id).await);
    until_attached(&worker, id, 0).await;
    assert_eq!(worker.os.discarded(), 0, "it is still in progress");
    let _next = worker.attach(id).await.ok().unwrap();
    assert_eq!(worker.os.discarded(), 1);
}

#[actix::test]
async fn the_wait_for_contexts_that_do_not_close_is_bounded() {
    let worker = TestWorker::new().await;
    worker.os.set_discard_time(Duration::from_secs(3600));
    let id = worker.ready(SessionRequest { contexts: Contexts::Discard, ..headless() }).await.spec.id;
    drop(accepted(&worker, id).await);
    until_attached(&worker, id, 0).await;
    let began = tokio::time::Instant::now();
    let _next = worker.attach(id).await.ok().unwrap();
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[actix::test]
async fn clients_are_closed_with_a_reason_when_their_session_restarts() {
    let worker = TestWorker::new().await;
    let id = worker.ready(SessionRequest { contexts: Contexts::Discard, ..headless() }).await.spec.id;
    let mut reasons = connect(worker.attach(id).await.ok().unwrap()).await;
    worker.os.kill(worker.os.alive("browser")[0]);
    let reason = soon(reasons.recv()).await.unwrap();
    assert_eq!(reason, "the session is being restarted: the browser was ended by SIGKILL");
    until_attached(&worker, id, 0).await;
    worker.until_restarted(id, 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(worker.os.discarded(), 0, "the new browser has no contexts of the old one's clients");
}

#[actix::test]
async fn a_client_that_connects_while_its_session_restarts_is_closed() {
    let worker = TestWorker::new().await;
    let id = worker.ready(headless()).await.spec.id;
    let ticket = worker.attach(id).await.ok().unwrap();
    worker.os.kill(worker.os.alive("browser")[0]);
    worker.until_status(id, Status::Init).await;
    let mut reasons = connect(ticket).await;
    assert_eq!(
        soon(reasons.recv()).await.unwrap(),
        "the session is being restarted: the browser was ended by SIGKILL"
    );
    until_attached(&worker, id, 0).await;
}

#[actix::test]
async fn a_client_admitted_before_a_restart_that_connects_after_it_is_closed() {
    let worker = TestWorker::new().await;
    let id = worker.ready(headless()).await.spec.id;
    let ticket = worker.attach(id).await.ok().unwrap();
    worker.os.kill(worker.os.alive("browser")[0]);
    worker.until_restarted(id, 1).await;
    let mut reasons = connect(ticket).await;
    assert_eq!(
        soon(reasons.recv()).await.unwrap(),
        "the session is being restarted: the browser was ended by SIGKILL"
    );
    until_attached(&worker, id, 0).await;
}

#[actix::test]
async fn clients_are_closed_with_a_reason_when_their_session_ends() {
    let worker = TestWorker::new().await;
    let id = worker.ready(headless()).await.spec.id;
    let mut reasons = connect(worker.attach(id).await.ok().unwrap()).await;
    worker.delete(id).await.unwrap();
    assert_eq!(soon(reasons.recv()).await.unwrap(), "the session ended: deleted by a request");
    assert_eq!(worker.view(id).attached, 0);
}

#[actix::test]
async fn a_client_that_connects_while_its_session_ends_is_closed_with_the_reason() {
    let worker = TestWorker::new().await;
    let id = worker.ready(headless()).await.spec.id;
    let ticket = worker.attach(id).await.ok().unwrap();
    let (deleted, mut reasons) = futures_util::join!(worker.delete(id), async {
        worker.until_status(id, Status::Terminating).await;
        connect(ticket).await
    });
    deleted.unwrap();
    assert_eq!(soon(reasons.recv()).await.unwrap(), "the session ended: deleted by a request");
}

#[actix::test]
async fn a_silent_client_does_not_keep_a_session_alive() {
    let worker = TestWorker::new().await;
    let request = SessionRequest { idle_ttl: Some(Duration::from_secs(60)), ..headless() };
    let id = worker.ready(request).await.spec.id;
    let mut reasons = connect(worker.attach(id).await.ok().unwrap()).await;
    worker.until_status(id, Status::Dead).await;
    assert_eq!(soon(reasons.recv()).await.unwrap(), "the session ended: nothing happened in it for 60 s");
}
