//! A session's attached clients: their admission, their number, their leaving.

use actix::prelude::*;

use super::actor::Session;
use super::attachment::{AttachmentId, AttachmentStarted, AttachmentTicket, CloseAttachment};
use super::state::Status;
use super::view::Contexts;
use crate::driver::InBrowser;
use crate::error::{Error, Result};
use crate::events::Change;
use crate::supervision::{ChildExited, Lifeline};

impl Session {
    pub(super) fn close_attachments(&mut self, reason: &str) {
        for close in self.attachments.values().flatten() {
            // One message for each client.
            close.do_send(CloseAttachment { reason: reason.to_owned() });
        }
    }
}

/// Admits a Playwright client.
#[derive(Message)]
#[rtype(result = "Result<AttachmentTicket>")]
pub(crate) struct Attach;

impl Handler<Attach> for Session {
    type Result = Result<AttachmentTicket>;

    fn handle(&mut self, _: Attach, ctx: &mut Context<Self>) -> Self::Result {
        let status = self.life.status();
        let Some(launched) = self.launched.as_ref().filter(|_| status == Status::Ready) else {
            return Err(Error::SessionNotReady { status });
        };
        self.last_attachment += 1;
        let id = self.last_attachment;
        let ticket = AttachmentTicket {
            endpoint: launched.endpoint.clone(),
            activity: self.activity.clone(),
            metrics: self.launcher.metrics.clone(),
            session: ctx.address().recipient(),
            lifeline: Lifeline::new(ctx.address().recipient(), id, launched.launch),
        };
        self.attachments.insert(id, None);
        self.activity.touch();
        self.publish(Change::Attached);
        Ok(ticket)
    }
}

impl Handler<AttachmentStarted> for Session {
    type Result = ();

    fn handle(&mut self, started: AttachmentStarted, _: &mut Context<Self>) {
        match (self.attachments.get_mut(&started.id), self.life.status()) {
            (Some(close), Status::Ready) => *close = Some(started.close),
            // The browser went while the client was being connected to it.
            _ => {
                started.close.do_send(CloseAttachment { reason: "the session is no longer READY".to_owned() })
            }
        }
    }
}

impl Handler<ChildExited<AttachmentId>> for Session {
    type Result = ();

    fn handle(&mut self, exited: ChildExited<AttachmentId>, ctx: &mut Context<Self>) {
        if self.attachments.remove(&exited.key).is_none() {
            return;
        }
        self.publish(Change::Detached);
        let last = self.attachments.is_empty() && self.spec.contexts == Contexts::Discard;
        // The generation is the launch that the client was attached to.
        let Some(launched) =
            self.launched.as_ref().filter(|launched| last && launched.launch == exited.generation)
        else {
            return;
        };
        let id = self.spec.id;
        let discard = launched.driver.send(InBrowser::DiscardContexts { launch: launched.launch });
        ctx.spawn(discard.into_actor(self).map(move |discarded, _, _| {
            if let Ok(Err(error)) = discarded {
                log::warn!("session {id}: its contexts could not be closed: {error}");
            }
        }));
    }
}
