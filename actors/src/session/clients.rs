//! The attached clients of a session.

use std::collections::HashMap;
use std::time::Duration;

use actix::prelude::*;
use camofleet_api::ids::RequestId;
use camofleet_api::session::Contexts;
use tokio::sync::watch;

use super::actor::Session;
use super::attachment::{
    AttachmentId, AttachmentStarted, AttachmentTicket, ClientAccepted, CloseAttachment, Upstream,
};
use crate::driver::InBrowser;
use crate::model::error::{Error, Result};
use crate::model::events::Change;
use crate::supervision::{ChildExited, Lifeline};

/// How long closing contexts may take, and therefore how long a client that attaches meanwhile waits. A page can delay
/// its browser for a while, but a browser that needs longer than this hangs.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(10);

/// How many clients a session may have at once. Each uses memory of the driver, which other sessions share; scripts
/// need only a few.
const MAX_CLIENTS: usize = 64;

/// A client that was admitted.
pub(super) struct Client {
    /// The request that attached it.
    by: RequestId,
    /// Whether the browser has accepted it. Only then is it a client for others than the limit.
    accepted: bool,
    attachment: ClientAttachment,
}

enum ClientAttachment {
    /// The client is being connected to the browser.
    Connecting,
    /// The browser ended while the client was being connected: the client is closed with this reason once it is
    /// connected.
    CloseOnConnect(String),
    /// Connected; closed by sending it the message.
    Connected(Recipient<CloseAttachment>),
}

/// The clients of a session.
#[derive(Default)]
pub(super) struct Clients {
    admitted: HashMap<AttachmentId, Client>,
    last_id: AttachmentId,
    /// Whether a client was accepted since the contexts were last discarded.
    may_have_contexts: bool,
    /// Closed when the contexts that are being discarded have been closed.
    discarding: Option<watch::Receiver<()>>,
}

impl Clients {
    /// How many the browser has accepted.
    pub fn len(&self) -> usize {
        self.admitted.values().filter(|client| client.accepted).count()
    }

    /// Closes all of them with this reason, because their browser has ended.
    pub fn close(&mut self, reason: &str) {
        self.may_have_contexts = false;
        for client in self.admitted.values_mut() {
            match &client.attachment {
                // One message for each client.
                ClientAttachment::Connected(close) => {
                    close.do_send(CloseAttachment { reason: reason.to_owned() })
                }
                ClientAttachment::Connecting => {
                    client.attachment = ClientAttachment::CloseOnConnect(reason.to_owned())
                }
                // The first reason is the one for which the client's browser ended.
                ClientAttachment::CloseOnConnect(_) => {}
            }
        }
    }

    /// Removes all of them; their ends are ignored from now on.
    pub fn forget(&mut self) {
        self.admitted.clear();
    }
}

/// Admits a Playwright client.
#[derive(Message)]
#[rtype(result = "Result<AttachmentTicket>")]
pub(crate) struct Attach {
    /// The request that attaches the client.
    pub by: RequestId,
}

impl Handler<Attach> for Session {
    type Result = ResponseActFuture<Self, Result<AttachmentTicket>>;

    fn handle(&mut self, Attach { by }: Attach, _: &mut Context<Self>) -> Self::Result {
        let discarding = self.clients.discarding.clone();
        // The contexts of a client that is admitted meanwhile would be discarded too.
        let discarded = async {
            if let Some(mut discarding) = discarding {
                // Nothing is ever sent: the channel is closed.
                let _ = discarding.changed().await;
            }
        };
        Box::pin(discarded.into_actor(self).map(|(), this, ctx| this.admit(by, ctx)))
    }
}

impl Session {
    fn admit(&mut self, by: RequestId, ctx: &mut Context<Self>) -> Result<AttachmentTicket> {
        let Some(launched) = self.life.ready() else {
            return Err(Error::SessionNotReady { status: self.life.status() });
        };
        // Those whose handshake is in progress have a place too.
        if self.clients.admitted.len() >= MAX_CLIENTS {
            return Err(Error::TooManyClients { limit: MAX_CLIENTS });
        }
        self.clients.last_id += 1;
        let id = self.clients.last_id;
        let ticket = AttachmentTicket {
            upstream: Upstream {
                url: launched.endpoint.clone(),
                what: "the browser".into(),
                name: "browser".into(),
                hop: false,
                authorization: None,
            },
            activity: self.activity.clone(),
            metrics: self.launcher.metrics.clone(),
            by: by.clone(),
            accepted: Some(ctx.address().recipient()),
            session: ctx.address().recipient(),
            lifeline: Lifeline::new(ctx.address().recipient(), id, launched.launch),
        };
        let client = Client { by, accepted: false, attachment: ClientAttachment::Connecting };
        self.clients.admitted.insert(id, client);
        Ok(ticket)
    }
}

impl Handler<ClientAccepted> for Session {
    type Result = ();

    fn handle(&mut self, ClientAccepted { id }: ClientAccepted, _: &mut Context<Self>) {
        let Some(client) = self.clients.admitted.get_mut(&id) else { return };
        if !matches!(client.attachment, ClientAttachment::Connecting) {
            // Its browser has ended meanwhile, and so will the client.
            return;
        }
        client.accepted = true;
        let by = client.by.clone();
        self.clients.may_have_contexts = true;
        self.activity.touch();
        self.publish_by(Change::Attached, Some(by));
    }
}

impl Handler<AttachmentStarted> for Session {
    type Result = ();

    fn handle(&mut self, started: AttachmentStarted, _: &mut Context<Self>) {
        let reason = match self.clients.admitted.get_mut(&started.id) {
            Some(client) => match &client.attachment {
                ClientAttachment::CloseOnConnect(reason) => reason.clone(),
                _ => {
                    client.attachment = ClientAttachment::Connected(started.close);
                    return;
                }
            },
            // The session has ended and removed its clients.
            None => self.end_notice(),
        };
        // One message for each client.
        started.close.do_send(CloseAttachment { reason });
    }
}

impl Handler<ChildExited<AttachmentId>> for Session {
    type Result = ();

    fn handle(&mut self, exited: ChildExited<AttachmentId>, ctx: &mut Context<Self>) {
        let Some(Client { by, accepted, .. }) = self.clients.admitted.remove(&exited.key) else { return };
        if accepted {
            self.publish_by(Change::Detached, Some(by.clone()));
        }
        let last = self.clients.admitted.is_empty()
            && self.clients.may_have_contexts
            && self.spec.contexts == Contexts::Discard;
        // The generation is the number of the launch that the client was attached to.
        let Some(launched) =
            self.life.ready().filter(|launched| last && launched.launch == exited.generation)
        else {
            return;
        };
        let discard = launched.driver.send(InBrowser::DiscardContexts { launch: launched.launch });
        let (in_progress, discarding) = watch::channel(());
        self.clients.discarding = Some(discarding);
        self.clients.may_have_contexts = false;
        let discard = tokio::time::timeout(DISCARD_TIMEOUT, discard).into_actor(self);
        ctx.spawn(discard.map(move |discarded, this, _| {
            let error = match discarded {
                // If the driver has ended, so have the contexts.
                Ok(Ok(Ok(())) | Err(_)) => None,
                Ok(Ok(Err(error))) => Some(error.into_text()),
                Err(_) => Some(format!("they were not closed within {} s", DISCARD_TIMEOUT.as_secs())),
            };
            if let Some(error) = error {
                log::warn!(
                    "session {}: its contexts could not be closed: {error}, request {by}",
                    this.spec.id
                );
            }
            this.clients.discarding = None;
            drop(in_progress);
        }));
    }
}
