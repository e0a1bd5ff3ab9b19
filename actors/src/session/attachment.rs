//! The attachment actor: one Playwright client, from its admission to its end.
//!
//! The session admits a client by issuing a ticket. The HTTP handler that has the client's connection dials the browser
//! with it and starts the attachment, which relays between the two connections. The session is notified only of its
//! start and end.

use std::borrow::Cow;
use std::time::Duration;

use actix::prelude::*;
use camofleet_api::ids::RequestId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::Instant;
use url::Url;

use crate::metrics::Metrics;
use crate::model::activity::ActivityClock;
use crate::model::error::{Error, Result};
use crate::net::relay::dial::{self, DialError, Dialled};
use crate::net::relay::pump::{PumpSettings, relay};
use crate::supervision::Lifeline;

/// Identifies a client within its session.
pub type AttachmentId = u64;

/// How long an upstream may take to complete the WebSocket handshake.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// A session's permission for one client to attach, which occupies one of its places until it is dropped. The client counts
/// as attached, in the session and its history, from the end of the handshake with the browser on.
pub struct AttachmentTicket {
    pub(crate) upstream: Upstream,
    pub(crate) activity: ActivityClock,
    pub(crate) metrics: Metrics,
    /// The request that attaches the client.
    pub(crate) by: RequestId,
    /// Notified when the browser has accepted the client; `None` for a session of another machine, which counts its clients
    /// itself.
    pub(crate) accepted: Option<Recipient<ClientAccepted>>,
    pub(crate) session: Recipient<AttachmentStarted>,
    pub(crate) lifeline: Lifeline<AttachmentId>,
}

/// The server that a client is connected to.
pub(crate) struct Upstream {
    /// The WebSocket to dial.
    pub url: Url,
    /// Its name in errors.
    pub what: Cow<'static, str>,
    /// Its name in metrics.
    pub name: Cow<'static, str>,
    /// Whether it is another camofleet or the original, and not the browser itself: it closes with its own reasons.
    pub hop: bool,
    /// The `Authorization` header that it requires.
    pub authorization: Option<String>,
}

/// Notifies the session that its browser has completed the handshake with a client, which counts from now on.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ClientAccepted {
    pub id: AttachmentId,
}

/// Notifies the session that the attachment has started, and how to close it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AttachmentStarted {
    /// Which client.
    pub(crate) id: AttachmentId,
    /// Closes it.
    pub(crate) close: Recipient<CloseAttachment>,
}

/// Closes an attachment: its client gets a close frame with this reason.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CloseAttachment {
    /// The reason, for the client's log.
    pub reason: String,
}

/// The prefix of Playwright's own headers, which are forwarded to its server.
const FORWARDED_PREFIX: &str = "x-playwright-";

/// A connection to an upstream after the WebSocket handshake.
pub struct UpstreamConnection(Dialled);

impl AttachmentTicket {
    /// Connects to the upstream and forwards those of the client's `headers` that Playwright's server needs: it
    /// compares the Playwright version in the `User-Agent`. `playwright` is the server's version, for the error.
    ///
    /// # Errors
    /// [`Error::PlaywrightMismatch`], [`Error::Refused`], [`Error::UpstreamUnreachable`], [`Error::UpstreamTimedOut`].
    pub async fn dial(
        &self,
        headers: &[(&str, &str)],
        playwright: Option<&str>,
    ) -> Result<UpstreamConnection> {
        let started = Instant::now();
        let dialled = self.handshake(headers, playwright).await;
        let outcome = dialled.as_ref().map_or_else(Error::code, |_| "ok");
        self.metrics.upstream(&self.upstream.name, "attach", outcome, started.elapsed());
        if dialled.is_ok() {
            self.accept().await;
        }
        dialled
    }

    /// Counts the client. It is counted before it gets the response, so that it finds itself in the session.
    pub(crate) async fn accept(&self) {
        if let Some(accepted) = &self.accepted {
            // Fails if the session's actor has just ended; the client is closed then.
            let _ = accepted.send(ClientAccepted { id: *self.lifeline.key() }).await;
        }
    }

    async fn handshake(
        &self,
        headers: &[(&str, &str)],
        playwright: Option<&str>,
    ) -> Result<UpstreamConnection> {
        let Upstream { url, what, hop, authorization, .. } = &self.upstream;
        let is_forwarded =
            |name: &str| name.eq_ignore_ascii_case("user-agent") || name.starts_with(FORWARDED_PREFIX);
        let mut forwarded: Vec<(&str, &str)> =
            headers.iter().copied().filter(|(name, _)| is_forwarded(name)).collect();
        if *hop {
            forwarded.push(("X-Request-Id", self.by.as_str()));
        }
        if let Some(authorization) = authorization {
            forwarded.push(("Authorization", authorization));
        }
        let limit = DIAL_TIMEOUT;
        let dialled = tokio::time::timeout(limit, dial::dial(url, &forwarded)).await;
        let dialled = dialled.map_err(|_| Error::UpstreamTimedOut { what: what.clone(), limit })?;
        dialled.map(UpstreamConnection).map_err(|error| match error {
            DialError::Unreachable(detail) => Error::UpstreamUnreachable { what: what.clone(), detail },
            DialError::Refused { status: 428, .. } if !*hop => {
                let client = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("user-agent"));
                Error::PlaywrightMismatch {
                    client: client.map_or("unknown", |(_, agent)| agent).to_owned(),
                    server: playwright.unwrap_or_default().to_owned(),
                }
            }
            DialError::Refused { status, retry_after, body } if *hop => {
                Error::from_response(what.clone(), status, retry_after, &body)
            }
            DialError::Refused { status, .. } => {
                Error::UpstreamUnreachable { what: what.clone(), detail: format!("it answered {status}") }
            }
        })
    }
}

/// The timeouts of a relay.
#[derive(Debug, Clone, Copy)]
pub struct RelayPatience {
    /// After how long without data for it a client is pinged.
    pub ping_interval: Duration,
    /// How long a side may accept no data before it is disconnected.
    pub write_timeout: Duration,
}

/// One attached client.
pub struct Attachment {
    lifeline: Lifeline<AttachmentId>,
    session: Recipient<AttachmentStarted>,
    close: Option<oneshot::Sender<String>>,
    /// The relay; taken when the actor starts.
    work: Option<std::pin::Pin<Box<dyn Future<Output = ()>>>>,
    /// Dropped with the actor, however it ends: `run` returns then.
    _over: oneshot::Sender<()>,
}

impl Attachment {
    /// Relays between a client, after its handshake, and its upstream until one of them disconnects.
    pub async fn run<C>(
        client: C,
        UpstreamConnection(browser): UpstreamConnection,
        ticket: AttachmentTicket,
        patience: RelayPatience,
    ) where
        C: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let AttachmentTicket { upstream, activity, metrics, session, lifeline, .. } = ticket;
        let settings = PumpSettings {
            activity,
            ping_interval: patience.ping_interval,
            write_timeout: patience.write_timeout,
            peer: upstream.what,
            hop: upstream.hop,
            from_client: metrics.relay_bytes("attach", "in"),
            to_client: metrics.relay_bytes("attach", "out"),
        };
        let attached = metrics.attachment();
        let (close, closed) = oneshot::channel();
        let work = async move {
            relay(client, browser.socket, browser.early, settings, closed).await;
            drop(attached);
        };
        let (over, ended) = oneshot::channel();
        let attachment =
            Self { lifeline, session, close: Some(close), work: Some(Box::pin(work)), _over: over };
        Actor::start(attachment);
        // The sender never sends: it is dropped with the actor.
        let _ = ended.await;
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
            // Fails if the relay has just ended.
            let _ = sender.send(close.reason);
        }
    }
}
