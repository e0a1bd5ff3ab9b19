//! A session's attached clients: their admission, their number, their leaving.

use std::time::Duration;

use actix::prelude::*;
use camofleet_api::ids::RequestId;
use camofleet_api::session::{Contexts, Status};
use tokio::sync::watch;

use super::actor::Session;
use super::attachment::{AttachmentId, AttachmentStarted, AttachmentTicket, CloseAttachment, Upstream};
use crate::driver::InBrowser;
use crate::model::error::{Error, Result};
use crate::model::events::Change;
use crate::supervision::{ChildExited, Lifeline};

/// How long closing contexts may take, and so how long a client that comes meanwhile waits: a page can hold its browser
/// up for a while, and a browser that needs longer than this is not coming back.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(10);

/// How many clients a session may have at once. Each takes memory of the driver, which other sessions share; what drives
/// a browser needs a handful.
const MOST_CLIENTS: usize = 64;

/// A client that was admitted.
pub(super) struct Client {
    /// The request that it came with.
    by: RequestId,
    attachment: ClientAttachment,
}

enum ClientAttachment {
    /// The client is being connected to the browser.
    Connecting,
    /// What the client was connecting to has gone meanwhile: this is what it is to hear once it is connected.
    TooLate(String),
    /// Ends with the message.
    Connected(Recipient<CloseAttachment>),
}

impl Session {
    pub(super) fn close_attachments(&mut self, reason: &str) {
        for client in self.attachments.values_mut() {
            match &client.attachment {
                // One message for each client.
                ClientAttachment::Connected(close) => {
                    close.do_send(CloseAttachment { reason: reason.to_owned() })
                }
                ClientAttachment::Connecting => {
                    client.attachment = ClientAttachment::TooLate(reason.to_owned())
                }
                // The first reason is the one that cost it its browser.
                ClientAttachment::TooLate(_) => {}
            }
        }
    }
}

/// Admits a Playwright client.
#[derive(Message)]
#[rtype(result = "Result<AttachmentTicket>")]
pub(crate) struct Attach {
    /// The request that asks for it.
    pub by: RequestId,
}

impl Handler<Attach> for Session {
    type Result = ResponseActFuture<Self, Result<AttachmentTicket>>;

    fn handle(&mut self, Attach { by }: Attach, _: &mut Context<Self>) -> Self::Result {
        let discarding = self.discarding.clone();
        // The contexts of a client that is let in meanwhile would be discarded with the others.
        let discarded = async {
            if let Some(mut discarding) = discarding {
                // Nothing is ever sent: it is closed.
                let _ = discarding.changed().await;
            }
        };
        Box::pin(discarded.into_actor(self).map(|(), this, ctx| this.admit(by, ctx)))
    }
}

impl Session {
    fn admit(&mut self, by: RequestId, ctx: &mut Context<Self>) -> Result<AttachmentTicket> {
        let status = self.life.status();
        let Some(launched) = self.launched.as_ref().filter(|_| status == Status::Ready) else {
            return Err(Error::SessionNotReady { status });
        };
        if self.attachments.len() >= MOST_CLIENTS {
            return Err(Error::TooManyClients { limit: MOST_CLIENTS });
        }
        self.last_attachment += 1;
        let id = self.last_attachment;
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
            session: ctx.address().recipient(),
            lifeline: Lifeline::new(ctx.address().recipient(), id, launched.launch),
        };
        self.attachments.insert(id, Client { by: by.clone(), attachment: ClientAttachment::Connecting });
        self.activity.touch();
        self.publish_by(Change::Attached, Some(by));
        Ok(ticket)
    }
}

impl Handler<AttachmentStarted> for Session {
    type Result = ();

    fn handle(&mut self, started: AttachmentStarted, _: &mut Context<Self>) {
        let reason = match self.attachments.get_mut(&started.id) {
            Some(client) => match &client.attachment {
                ClientAttachment::TooLate(reason) => reason.clone(),
                _ => {
                    client.attachment = ClientAttachment::Connected(started.close);
                    return;
                }
            },
            // The session is over, and has let go of its clients.
            None => self.farewell(),
        };
        // One message for each client.
        started.close.do_send(CloseAttachment { reason });
    }
}

impl Handler<ChildExited<AttachmentId>> for Session {
    type Result = ();

    fn handle(&mut self, exited: ChildExited<AttachmentId>, ctx: &mut Context<Self>) {
        let Some(Client { by, .. }) = self.attachments.remove(&exited.key) else { return };
        self.publish_by(Change::Detached, Some(by.clone()));
        let last = self.attachments.is_empty() && self.spec.contexts == Contexts::Discard;
        // The generation is the launch that the client was attached to.
        let Some(launched) =
            self.launched.as_ref().filter(|launched| last && launched.launch == exited.generation)
        else {
            return;
        };
        let discard = launched.driver.send(InBrowser::DiscardContexts { launch: launched.launch });
        let (under_way, discarding) = watch::channel(());
        self.discarding = Some(discarding);
        let discard = tokio::time::timeout(DISCARD_TIMEOUT, discard).into_actor(self);
        ctx.spawn(discard.map(move |discarded, this, _| {
            let error = match discarded {
                // A driver that is gone took the contexts with it.
                Ok(Ok(Ok(())) | Err(_)) => None,
                Ok(Ok(Err(error))) => Some(error),
                Err(_) => Some(format!("they still stood after {} s", DISCARD_TIMEOUT.as_secs())),
            };
            if let Some(error) = error {
                log::warn!(
                    "session {}: its contexts could not be closed: {error}, request {by}",
                    this.spec.id
                );
            }
            this.discarding = None;
            drop(under_way);
        }));
    }
}
