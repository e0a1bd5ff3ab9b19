//! What a local worker is asked from outside.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;
use camofleet_api::session::{EndReason, Status};
use futures_util::future::join_all;
use tokio::time::Instant;

use super::local::LocalWorker;
use super::{
    AttachClient, CreateSession, DeleteSession, Drain, FindSession, ShutDown, TakeScreenshot, TouchSession,
};
use crate::driver::StopDriver;
use crate::launch::prewarm::ClosePool;
use crate::model::error::{Error, Result};
use crate::model::session::SessionView;
use crate::session::{Attach, AttachmentTicket, EndSession, Touch, UseCamera};

/// What a client is told when no session is free: about as long as a busy fleet needs to free one.
const RETRY_AFTER: Duration = Duration::from_secs(5);

impl Handler<CreateSession> for LocalWorker {
    type Result = ResponseActFuture<Self, Result<Arc<SessionView>>>;

    fn handle(
        &mut self,
        CreateSession { request, by, claimant }: CreateSession,
        ctx: &mut Context<Self>,
    ) -> Self::Result {
        let started = Instant::now();
        let limit = self.settings.max_sessions;
        let refusal = match &self.settings.launch.display.tools {
            // It has waited in the mailbox for longer than its asker.
            _ if claimant.has_left() => Some(Error::Cancelled),
            _ if self.draining => Some(Error::Draining),
            Err(remedy) if request.vnc => Some(Error::NoVncTooling { remedy: remedy.clone() }),
            _ if self.sessions.len() >= limit => Some(Error::AtCapacity { limit, retry_after: RETRY_AFTER }),
            _ => self.settings.defaults.check(&request).err(),
        };
        if let Some(refusal) = refusal {
            self.launcher.metrics.created(refusal.code(), "none", started.elapsed());
            return Box::pin(actix::fut::err(refusal));
        }
        let created = self.start_session(request, by, claimant, ctx);
        Box::pin(created.into_actor(self).map(move |created, this, _| {
            let created = created.unwrap_or(Err(Error::Restarting { what: "session" }));
            let (outcome, source) = match &created {
                Ok(ready) => ("ok", if ready.warm { "warm" } else { "cold" }),
                Err(error) => (error.code(), "none"),
            };
            this.launcher.metrics.created(outcome, source, started.elapsed());
            created.map(|ready| ready.view)
        }))
    }
}

impl Handler<DeleteSession> for LocalWorker {
    type Result = ResponseActFuture<Self, Result<Status>>;

    fn handle(&mut self, DeleteSession { id, by }: DeleteSession, _: &mut Context<Self>) -> Self::Result {
        let started = Instant::now();
        let session = match self.session(id) {
            Ok(session) => session,
            Err(error) => return Box::pin(actix::fut::err(error)),
        };
        let end = session.send(EndSession {
            reason: EndReason::Deleted,
            detail: "deleted by a request".to_owned(),
            by: Some(by),
        });
        Box::pin(end.into_actor(self).map(move |_, this, _| {
            this.launcher.metrics.deleted(started.elapsed());
            Ok(Status::Dead)
        }))
    }
}

impl Handler<FindSession> for LocalWorker {
    type Result = Result<Arc<SessionView>>;

    fn handle(&mut self, FindSession { id, .. }: FindSession, _: &mut Context<Self>) -> Self::Result {
        // Everything that there is has been published.
        self.snapshot.borrow().session(id).cloned().ok_or(Error::SessionNotFound)
    }
}

impl Handler<TouchSession> for LocalWorker {
    type Result = ResponseFuture<Result<Arc<SessionView>>>;

    fn handle(&mut self, TouchSession { id, by }: TouchSession, _: &mut Context<Self>) -> Self::Result {
        let session = self.session(id);
        Box::pin(async move { session?.send(Touch { by }).await.unwrap_or(Err(Error::SessionNotFound)) })
    }
}

impl Handler<AttachClient> for LocalWorker {
    type Result = ResponseFuture<Result<AttachmentTicket>>;

    fn handle(&mut self, AttachClient { id, by }: AttachClient, _: &mut Context<Self>) -> Self::Result {
        let session = self.session(id);
        Box::pin(async move { session?.send(Attach { by }).await.unwrap_or(Err(Error::SessionNotFound)) })
    }
}

impl Handler<TakeScreenshot> for LocalWorker {
    type Result = ResponseFuture<Result<Bytes>>;

    fn handle(
        &mut self,
        TakeScreenshot { id, width, .. }: TakeScreenshot,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let session = self.session(id);
        Box::pin(async move {
            let camera = session?.send(UseCamera).await.unwrap_or(Err(Error::SessionNotFound))?;
            camera.picture(width).await
        })
    }
}

impl Handler<Drain> for LocalWorker {
    type Result = Result<()>;

    fn handle(&mut self, Drain { on, end, by }: Drain, _: &mut Context<Self>) -> Self::Result {
        if self.ending {
            return if on { Ok(()) } else { Err(Error::Draining) };
        }
        if self.draining != on {
            let what = if on { "takes no more sessions" } else { "takes sessions again" };
            log::info!("{} {what}; {} run, request {by}", self.settings.name, self.sessions.len());
        }
        self.draining = on;
        self.publish();
        if on && end {
            log::info!("{} ends its {} sessions, request {by}", self.settings.name, self.sessions.len());
            for (_, session) in self.sessions.iter() {
                // One message for each session and request: they are few.
                session.do_send(EndSession {
                    reason: EndReason::Shutdown,
                    detail: "its worker is taken out of service, and the time that its sessions had for that is over"
                        .to_owned(),
                    by: Some(by.clone()),
                });
            }
        }
        Ok(())
    }
}

impl Handler<ShutDown> for LocalWorker {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: ShutDown, _: &mut Context<Self>) -> Self::Result {
        (self.draining, self.ending) = (true, true);
        self.publish();
        let sessions = self.sessions.iter().map(|(_, session)| {
            session.send(EndSession {
                reason: EndReason::Shutdown,
                detail: "camofleet was shut down".to_owned(),
                by: None,
            })
        });
        let sessions = join_all(sessions.collect::<Vec<_>>());
        // Forgotten first, so that their ends are not taken for failures.
        let pools = self.pools.take_all();
        let pools = join_all(pools.into_iter().map(|pool| async move { pool.send(ClosePool).await }));
        let browsers_gone = async {
            futures_util::future::join(sessions, pools).await;
        };
        let drivers_gone = browsers_gone.into_actor(self).then(|(), this, _| {
            let drivers = this.drivers.take_all();
            let stops =
                drivers.into_iter().map(|driver| async move { driver.address.send(StopDriver).await });
            futures_util::future::join(join_all(stops), this.close_screen()).into_actor(this)
        });
        Box::pin(drivers_gone.map(|_, _, ctx| ctx.stop()))
    }
}
