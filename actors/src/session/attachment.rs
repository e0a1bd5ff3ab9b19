//! The attachment actor: one Playwright client, from its admission to its end.
//!
//! The session admits a client with a ticket. Whoever holds the client's connection dials the browser with it, and
//! starts the attachment where both connections live; only the news of its start and end go to the session.

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

/// Numbers the clients of one session.
pub type AttachmentId = u64;

/// How long an upstream may take to answer a dial.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// A session's leave for one client to attach. Dropped unused, the client counts as gone.
pub struct AttachmentTicket {
    pub(crate) upstream: Upstream,
    pub(crate) activity: ActivityClock,
    pub(crate) metrics: Metrics,
    /// The request that asked for it.
    pub(crate) by: RequestId,
    pub(crate) session: Recipient<AttachmentStarted>,
    pub(crate) lifeline: Lifeline<AttachmentId>,
}

/// Where the client's bytes go.
pub(crate) struct Upstream {
    /// The WebSocket to dial.
    pub url: Url,
    /// What errors call it.
    pub what: Cow<'static, str>,
    /// What metrics call it.
    pub name: Cow<'static, str>,
    /// Another camofleet, or the original, and not the browser itself: it closes with reasons of its own.
    pub hop: bool,
    /// The `Authorization` header that it asks for.
    pub authorization: Option<String>,
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

/// The headers of a client that the browser's server wants to see: Playwright's version, and what its client asks for.
const PASSED_ON: &str = "x-playwright-";

/// A connection to where a client's bytes go, past its handshake.
pub struct UpstreamConnection(Dialled);

impl AttachmentTicket {
    /// Connects in the client's name, with those of its `headers` that concern the browser: its Playwright version is in
    /// its `User-Agent`, and the server compares it. `playwright` is the server's own version, for the error.
    ///
    /// # Errors
    /// [`Error::PlaywrightMismatch`], [`Error::Refused`], [`Error::UpstreamUnreachable`], [`Error::UpstreamTimedOut`].
    pub async fn dial(
        &self,
        headers: &[(&str, &str)],
        playwright: Option<&str>,
    ) -> Result<UpstreamConnection> {
        let started = Instant::now();
        let dialled = self.shake_hands(headers, playwright).await;
        let outcome = dialled.as_ref().map_or_else(Error::code, |_| "ok");
        self.metrics.upstream(&self.upstream.name, "attach", outcome, started.elapsed());
        dialled
    }

    async fn shake_hands(
        &self,
        headers: &[(&str, &str)],
        playwright: Option<&str>,
    ) -> Result<UpstreamConnection> {
        let Upstream { url, what, hop, authorization, .. } = &self.upstream;
        let concerns = |name: &str| name.eq_ignore_ascii_case("user-agent") || name.starts_with(PASSED_ON);
        let mut passed: Vec<(&str, &str)> =
            headers.iter().copied().filter(|(name, _)| concerns(name)).collect();
        if *hop {
            passed.push(("X-Request-Id", self.by.as_str()));
        }
        if let Some(authorization) = authorization {
            passed.push(("Authorization", authorization));
        }
        let limit = DIAL_TIMEOUT;
        let dialled = tokio::time::timeout(limit, dial::dial(url, &passed)).await;
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

/// How patient a relay is with its two sides.
#[derive(Debug, Clone, Copy)]
pub struct RelayPatience {
    /// How long a client may be sent nothing before it is pinged.
    pub ping_interval: Duration,
    /// How long a side may take nothing before it is disconnected.
    pub write_timeout: Duration,
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
    /// Starts to relay between a client, past its handshake, and its upstream. Resolves when it is over.
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
