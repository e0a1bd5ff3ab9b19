//! The attachment actor: one Playwright client, from its admission to its end.
//!
//! The session admits a client with a ticket. Whoever holds the client's connection dials the browser with it, and
//! starts the attachment where both connections live; only the news of its start and end go to the session.

use std::time::Duration;

use actix::prelude::*;
use awc::error::WsClientError;
use awc::http::StatusCode;
use awc::http::header;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::relay::pump::{PumpSettings, relay};
use crate::session::ActivityClock;
use crate::supervision::Lifeline;

/// Numbers the clients of one session.
pub type AttachmentId = u64;

/// How long the browser's server may take to answer a dial; it is on this machine.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// A session's leave for one client to attach. Dropped unused, the client counts as gone.
pub struct AttachmentTicket {
    pub(crate) endpoint: String,
    pub(crate) activity: ActivityClock,
    pub(crate) metrics: Metrics,
    pub(crate) session: Recipient<AttachmentStarted>,
    pub(crate) lifeline: Lifeline<AttachmentId>,
}

/// The attachment runs: the session learns how to end it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AttachmentStarted {
    /// Which client.
    pub(crate) id: AttachmentId,
    /// Ends it.
    pub(crate) close: Recipient<CloseAttachment>,
}

/// Ends an attachment: its client gets a close frame with this reason.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CloseAttachment {
    /// For the client's log.
    pub reason: String,
}

/// A connection to a browser's Playwright server, past its handshake.
pub struct BrowserConnection {
    socket: awc::BoxedSocket,
    /// What the server sent together with its handshake.
    early: Bytes,
}

/// Dials browsers. One for each thread that relays: connections belong to their thread.
#[derive(Clone)]
pub struct BrowserDialer(awc::Client);

impl Default for BrowserDialer {
    fn default() -> Self {
        Self(awc::Client::builder().timeout(DIAL_TIMEOUT).no_default_headers().finish())
    }
}

impl BrowserDialer {
    /// Connects to the browser of a ticket, in the client's name: its Playwright version is in its `User-Agent`, and
    /// the server compares it. `playwright` is the server's own version, for the error.
    ///
    /// # Errors
    /// [`Error::PlaywrightMismatch`], [`Error::UpstreamUnreachable`], [`Error::UpstreamTimedOut`].
    pub async fn dial(
        &self,
        ticket: &AttachmentTicket,
        user_agent: Option<&str>,
        playwright: &str,
    ) -> Result<BrowserConnection> {
        // The server checks Origin and Host: none is sent, and the endpoint names 127.0.0.1.
        let mut request = self.0.ws(&ticket.endpoint);
        if let Some(user_agent) = user_agent {
            request = request.set_header(header::USER_AGENT, user_agent);
        }
        let connected = match tokio::time::timeout(DIAL_TIMEOUT, request.connect()).await {
            Ok(connected) => connected,
            Err(_) => return Err(Error::UpstreamTimedOut { what: "the browser", limit: DIAL_TIMEOUT }),
        };
        let (_, framed) = connected.map_err(|error| match error {
            WsClientError::InvalidResponseStatus(StatusCode::PRECONDITION_REQUIRED) => {
                Error::PlaywrightMismatch {
                    client: user_agent.unwrap_or("unknown").to_owned(),
                    server: playwright.to_owned(),
                }
            }
            error => Error::UpstreamUnreachable { what: "the browser", detail: error.to_string() },
        })?;
        let parts = framed.into_parts();
        Ok(BrowserConnection { socket: parts.io, early: parts.read_buf.freeze() })
    }
}

/// One attached client.
pub struct Attachment {
    lifeline: Lifeline<AttachmentId>,
    session: Recipient<AttachmentStarted>,
    close: Option<oneshot::Sender<String>>,
    /// Until the actor has started.
    work: Option<std::pin::Pin<Box<dyn Future<Output = ()>>>>,
    /// Told when the attachment is over, however it ends.
    _over: oneshot::Sender<()>,
}

impl Attachment {
    /// Starts to relay between a client, past its handshake, and the browser. Resolves when it is over.
    pub async fn run<C>(
        client: C,
        browser: BrowserConnection,
        ticket: AttachmentTicket,
        ping_interval: Duration,
    ) where
        C: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let AttachmentTicket { activity, metrics, session, lifeline, .. } = ticket;
        let settings = PumpSettings {
            activity,
            ping_interval,
            from_client: metrics.relay_bytes("attach", "in"),
            to_client: metrics.relay_bytes("attach", "out"),
        };
        let attached = metrics.attachment();
        let (close, closed) = oneshot::channel();
        let work = async move {
            relay(client, browser.socket, browser.early, settings, closed).await;
            drop(attached);
        };
        let (over, is_over) = oneshot::channel();
        let attachment =
            Self { lifeline, session, close: Some(close), work: Some(Box::pin(work)), _over: over };
        Actor::start(attachment);
        // The sender never sends: it is dropped with the actor.
        let _ = is_over.await;
    }
}

impl Actor for Attachment {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        // One message for each client.
        self.session
            .do_send(AttachmentStarted { id: *self.lifeline.key(), close: ctx.address().recipient() });
        if let Some(work) = self.work.take() {
            ctx.spawn(work.into_actor(self).map(|(), _, ctx| ctx.stop()));
        }
    }
}

impl Handler<CloseAttachment> for Attachment {
    type Result = ();

    fn handle(&mut self, close: CloseAttachment, _: &mut Context<Self>) {
        if let Some(sender) = self.close.take() {
            // The relay may have ended by itself a moment ago.
            let _ = sender.send(close.reason);
        }
    }
}
