//! The remote worker actor, which handles a worker's messages by calling a worker or runner on another machine.
//!
//! It polls the machine and keeps the snapshot that all reads use, so no read waits for the machine. A write is in the
//! snapshot before its caller gets the response.

mod calls;
mod contact;
mod profiles;
mod session;
mod settings;
mod snapshot;

use std::collections::HashMap;
use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;
use camofleet_api::egress::{EgressReport, ProxyCheck};
use camofleet_api::identity::IdentityReport;
use camofleet_api::ids::{RequestId, SessionId};
use camofleet_api::session::Status;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use self::calls::{Calls, Observation};
use self::contact::Contact;
use self::snapshot::{Changes, Known, Written};
use crate::metrics::Metrics;
use crate::model::activity::ActivityClock;
use crate::model::claim::Claimant;
use crate::model::error::{Error, Result};
use crate::model::events::EventBus;
use crate::model::identity::other_engine;
use crate::model::session::SessionView;
use crate::session::{AttachmentId, AttachmentStarted, AttachmentTicket, CloseAttachment, Upstream};
use crate::supervision::{ChildExited, Generation, Lifeline};
use crate::worker::{
    AttachClient, ChangeSession, CheckProxy, CreateSession, DeleteSession, Drain, FindSession, Machine,
    ReportEgress, ReportIdentity, ShutDown, TakeScreenshot, TouchSession, WorkerHandle, WorkerSnapshot,
    engine_name,
};

pub use self::settings::{RemoteRole, RemoteSettings};

/// Ended sessions change seldom, so they are listed only with every tenth poll.
const ENDED_EVERY: u64 = 10;

/// What a remote worker is built from, at each start.
#[derive(Clone)]
pub struct RemoteParts {
    /// How the machine is reached.
    pub settings: Arc<RemoteSettings>,
    /// The metrics.
    pub metrics: Metrics,
    /// The bus on which changes are published.
    pub events: EventBus,
    /// The channel for its snapshots, which survives restarts of the actor.
    pub snapshot: watch::Sender<Arc<WorkerSnapshot>>,
}

/// A worker on another machine.
pub struct RemoteWorker {
    lifeline: Lifeline<String>,
    settings: Arc<RemoteSettings>,
    calls: Calls,
    metrics: Metrics,
    events: EventBus,
    contact: Contact,
    /// Whether the last logged state was that it answers; `None` before the first contact.
    reported: Option<bool>,
    known: Known,
    /// The number of polls that have started.
    polls: u64,
    attachments: HashMap<AttachmentId, Option<Recipient<CloseAttachment>>>,
    last_attachment: AttachmentId,
    draining: bool,
    snapshot: watch::Sender<Arc<WorkerSnapshot>>,
}

impl RemoteWorker {
    /// Starts the actor, which polls its machine at once.
    pub fn start(
        parts: RemoteParts,
        parent: Recipient<ChildExited<String>>,
        generation: Generation,
    ) -> WorkerHandle {
        let RemoteParts { settings, metrics, events, snapshot } = parts;
        let (name, seen) = (settings.name.clone(), snapshot.subscribe());
        let known = Known::after(&snapshot.borrow());
        let worker = Self {
            lifeline: Lifeline::new(parent, name.clone(), generation),
            calls: Calls::new(Arc::clone(&settings), metrics.clone()),
            settings,
            metrics,
            events,
            contact: Contact::default(),
            reported: None,
            known,
            polls: 0,
            attachments: HashMap::new(),
            last_attachment: 0,
            draining: false,
            snapshot,
        };
        WorkerHandle::new(name, Actor::start(worker), seen)
    }

    fn poll(&mut self, ctx: &mut Context<Self>) {
        self.polls += 1;
        let (number, calls) = (self.polls, self.calls.clone());
        let with_ended = number % ENDED_EVERY == 1 || self.known.needs_ended();
        let profiles = self.known.profiles().revision;
        let poll = async move { calls.poll(with_ended, profiles).await };
        ctx.spawn(poll.into_actor(self).map(move |polled, this, ctx| {
            this.polled(number, polled);
            let wait = this.contact.next_poll(this.settings.poll_interval, fastrand::f64());
            ctx.run_later(wait, Self::poll);
        }));
    }

    fn polled(&mut self, number: u64, polled: Result<Observation>) {
        match polled {
            Ok(observation) => {
                self.contact.answered(Instant::now(), Timestamp::now());
                self.report_contact();
                let changes = self.known.apply_poll(number, observation);
                self.publish_changes(changes, None);
            }
            Err(error) => self.failed(&error),
        }
        if self.contact.forgotten(Instant::now()) {
            let forgotten = self.known.forget_sessions();
            self.publish_changes(forgotten, None);
        }
        self.publish_snapshot();
    }

    fn publish_changes(&self, changes: Changes, by: Option<&RequestId>) {
        for (view, change) in changes {
            let by = by.or_else(|| self.known.deleted_by(view.spec.id)).cloned();
            self.events.publish(&self.settings.name, view, change, by);
        }
    }

    /// Records a call that failed because of the machine.
    fn failed(&mut self, error: &Error) {
        self.contact.failed(describe_failure(error));
        self.report_contact();
    }

    /// Logs when the machine starts to answer and when it stops.
    fn report_contact(&mut self) {
        let outage = self.contact.outage();
        if self.reported == Some(outage.is_none()) {
            return;
        }
        self.reported = Some(outage.is_none());
        match outage {
            None => log::info!("{} answers", self.settings.display_name()),
            Some(why) => {
                log::warn!("{} does not answer and is only probed: {why}", self.settings.display_name())
            }
        }
    }

    fn publish_snapshot(&self) {
        let outage = self.contact.outage();
        for status in Status::ALL {
            self.metrics.sessions(&self.settings.name, status, self.known.count(status));
        }
        let healthy = outage.is_none() && self.known.healthy();
        self.metrics.worker_healthy(&self.settings.name, healthy);
        let (sessions, ended) = self.known.sessions();
        let reported = self.known.facts().filter(|_| outage.is_none());
        let facts = self.settings.facts(reported, sessions.len(), self.draining);
        self.snapshot.send_replace(Arc::new(WorkerSnapshot {
            stale: (outage.is_some() || self.known.stale()) && !sessions.is_empty(),
            sessions,
            ended,
            healthy,
            version: self.known.version().to_owned(),
            // The checks that it reported earlier are out of date.
            checks: outage
                .as_ref()
                .map_or_else(|| self.known.checks(), |why| self.settings.role.failing_check(why)),
            unreachable: outage,
            supports_vnc: self.settings.supports_vnc,
            screen: None,
            draining: self.draining || facts.as_ref().is_some_and(|facts| facts.draining),
            facts,
            machine: Some(Machine { url: self.settings.at(""), last_contact: self.contact.last_answer() }),
            playwright: None,
            profiles: self.known.profiles(),
        }));
    }

    /// Why the machine can't be called now.
    fn refusal(&self) -> Option<Error> {
        if self.draining {
            return Some(Error::Draining);
        }
        self.contact
            .outage()
            .map(|detail| Error::UpstreamUnreachable { what: self.settings.display_name(), detail })
    }

    /// Applies the outcome of a write to the snapshot, before it is returned to the caller.
    fn written<T>(
        &mut self,
        answer: Result<T>,
        by: RequestId,
        write: impl FnOnce(&T) -> Written,
    ) -> Result<T> {
        match &answer {
            Ok(answer) => {
                let changes = self.known.apply_write(self.polls, write(answer));
                self.publish_changes(changes, Some(&by));
                self.publish_snapshot();
            }
            Err(error @ (Error::UpstreamUnreachable { .. } | Error::UpstreamTimedOut { .. })) => {
                self.failed(error);
                self.publish_snapshot();
            }
            Err(_) => {}
        }
        answer
    }

    /// Deletes a session whose caller disconnects before it receives the session.
    fn delete_unclaimed(
        &mut self,
        id: SessionId,
        by: RequestId,
        claimant: Claimant,
        ctx: &mut Context<Self>,
    ) {
        ctx.spawn(claimant.abandoned().into_actor(self).map(move |abandoned, _, ctx| {
            if abandoned {
                // Bounded: one message for each create.
                ctx.notify(DeleteSession { id, by });
            }
        }));
    }

    fn close_attachments(&mut self, reason: &str) {
        for close in self.attachments.values().flatten() {
            // Bounded: one message for each client.
            close.do_send(CloseAttachment { reason: reason.to_owned() });
        }
    }
}

/// Describes a failed call without the machine's name, which is shown beside it anyway.
fn describe_failure(error: &Error) -> String {
    match error {
        Error::UpstreamUnreachable { detail, .. } | Error::UpstreamBroke { detail, .. } => detail.clone(),
        Error::UpstreamTimedOut { limit, .. } => {
            format!("it did not answer within {} s", limit.as_secs_f32())
        }
        Error::Refused { status, detail, .. } => format!("it answered {status}: {detail}"),
        other => other.to_string(),
    }
}

impl Actor for RemoteWorker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.publish_snapshot();
        self.poll(ctx);
    }
}

impl Drop for RemoteWorker {
    fn drop(&mut self) {
        self.close_attachments("its worker failed in this process");
    }
}

impl Handler<CreateSession> for RemoteWorker {
    type Result = ResponseActFuture<Self, Result<Arc<SessionView>>>;

    fn handle(
        &mut self,
        CreateSession { mut request, by, claimant }: CreateSession,
        _: &mut Context<Self>,
    ) -> Self::Result {
        if let Some(refusal) = self.refusal() {
            return Box::pin(actix::fut::err(refusal));
        }
        if request.needs_egress() && self.known.facts().is_none_or(|facts| facts.egress.is_none()) {
            // It would ignore the proxy, and connect directly.
            return Box::pin(actix::fut::err(Error::NoEgress { what: self.settings.display_name() }));
        }
        if request.profile.is_some() && self.known.facts().is_none_or(|facts| facts.profiles.is_none()) {
            // It would ignore the profile.
            return Box::pin(actix::fut::err(Error::NoProfiles { what: self.settings.display_name() }));
        }
        let able = self.known.facts().map(|facts| facts.identity.clone()).unwrap_or_default();
        let lacking = request.identity.lacking(&able, request.coherence);
        if let Some(field) = lacking {
            // It would ignore the field.
            let what = self.settings.display_name();
            let reason =
                format!("{what} can't set it; leave it out, or name a worker whose 'facts.identity' has it");
            return Box::pin(actix::fut::err(Error::Identity { field, reason }));
        }
        if let Some(engine) = request.engine {
            let has = engine_name(self.known.facts());
            if engine.as_str() != has {
                // It would ignore the field, if it is of an earlier version.
                return Box::pin(actix::fut::err(other_engine(engine, has)));
            }
        }
        request.idle_ttl = request.idle_ttl.or(self.settings.default_idle_ttl);
        request.headless = request.headless.or(self.settings.default_headless);
        let (calls, started) = (self.calls.clone(), Instant::now());
        // A camofleet notices when this call is cancelled, and ends the session. The original does not, so the call has to
        // complete first, because the session's id is not known before.
        let notices_cancel = self.known.facts().is_some();
        let waiting = claimant.clone();
        let created = async move {
            let cancelled = async {
                match notices_cancel {
                    true => waiting.until_abandoned().await,
                    false => std::future::pending().await,
                }
            };
            let created = tokio::select! {
                biased;
                () = cancelled => Err(Error::Cancelled),
                created = calls.create(&request, &by) => created.map(Arc::new),
            };
            (created, by)
        };
        Box::pin(created.into_actor(self).map(move |(created, by), this, ctx| {
            let outcome = created.as_ref().map_or_else(Error::code, |_| "ok").to_owned();
            this.metrics.created(&outcome, "remote", started.elapsed());
            if let Ok(view) = &created {
                this.delete_unclaimed(view.spec.id, by.clone(), claimant, ctx);
            }
            this.written(created, by, |view| Written::Live(Arc::clone(view)))
        }))
    }
}

impl Handler<FindSession> for RemoteWorker {
    type Result = ResponseActFuture<Self, Result<Arc<SessionView>>>;

    fn handle(&mut self, FindSession { id, by }: FindSession, _: &mut Context<Self>) -> Self::Result {
        if let Some(refusal) = self.refusal() {
            return Box::pin(actix::fut::err(refusal));
        }
        let calls = self.calls.clone();
        Box::pin(async move { calls.find(id, &by).await.map(Arc::new) }.into_actor(self))
    }
}

impl Handler<DeleteSession> for RemoteWorker {
    type Result = ResponseActFuture<Self, Result<Status>>;

    fn handle(&mut self, DeleteSession { id, by }: DeleteSession, _: &mut Context<Self>) -> Self::Result {
        if let Some(refusal) = self.refusal() {
            return Box::pin(actix::fut::err(refusal));
        }
        let (calls, started) = (self.calls.clone(), Instant::now());
        self.known.delete_sent(id, by.clone());
        let deleted = async move { (calls.delete(id, &by).await, by) };
        Box::pin(deleted.into_actor(self).map(move |(deleted, by), this, _| {
            this.known.delete_answered(id);
            if deleted.is_ok() {
                this.metrics.deleted(started.elapsed());
            }
            if deleted == Err(Error::SessionNotFound) {
                let changes = this.known.apply_write(this.polls, Written::Gone(id));
                this.publish_changes(changes, Some(&by));
                this.publish_snapshot();
            }
            this.written(deleted, by, |status| Written::Deleted(id, *status))
        }))
    }
}

impl Handler<TouchSession> for RemoteWorker {
    type Result = ResponseActFuture<Self, Result<Arc<SessionView>>>;

    fn handle(&mut self, TouchSession { id, by }: TouchSession, _: &mut Context<Self>) -> Self::Result {
        if let Some(refusal) = self.refusal() {
            return Box::pin(actix::fut::err(refusal));
        }
        let calls = self.calls.clone();
        let touched = async move { (calls.touch(id, &by).await.map(Arc::new), by) };
        Box::pin(touched.into_actor(self).map(|(touched, by), this, _| {
            this.written(touched, by, |view| Written::Touched(Arc::clone(view)))
        }))
    }
}

impl Handler<ChangeSession> for RemoteWorker {
    type Result = ResponseActFuture<Self, Result<Arc<SessionView>>>;

    fn handle(
        &mut self,
        ChangeSession { id, patch, by }: ChangeSession,
        _: &mut Context<Self>,
    ) -> Self::Result {
        if let Some(refusal) = self.refusal() {
            return Box::pin(actix::fut::err(refusal));
        }
        let calls = self.calls.clone();
        let changed = async move { (calls.change(id, &patch, &by).await.map(Arc::new), by) };
        Box::pin(
            changed.into_actor(self).map(|(changed, by), this, _| {
                this.written(changed, by, |view| Written::Live(Arc::clone(view)))
            }),
        )
    }
}

impl Handler<ReportEgress> for RemoteWorker {
    type Result = ResponseFuture<Result<EgressReport>>;

    fn handle(&mut self, ReportEgress { id, by }: ReportEgress, _: &mut Context<Self>) -> Self::Result {
        let (refusal, calls) = (self.refusal(), self.calls.clone());
        Box::pin(async move {
            match refusal {
                Some(refusal) => Err(refusal),
                None => calls.egress(id, &by).await,
            }
        })
    }
}

impl Handler<ReportIdentity> for RemoteWorker {
    type Result = ResponseFuture<Result<IdentityReport>>;

    fn handle(&mut self, ReportIdentity { id, by }: ReportIdentity, _: &mut Context<Self>) -> Self::Result {
        let (refusal, calls) = (self.refusal(), self.calls.clone());
        Box::pin(async move {
            match refusal {
                Some(refusal) => Err(refusal),
                None => calls.identity(id, &by).await,
            }
        })
    }
}

impl Handler<CheckProxy> for RemoteWorker {
    type Result = ResponseFuture<Result<ProxyCheck>>;

    fn handle(
        &mut self,
        CheckProxy { request, by, claimant }: CheckProxy,
        _: &mut Context<Self>,
    ) -> Self::Result {
        // A machine that can't check it does not get its credentials.
        let has_egress = self.known.facts().is_some_and(|facts| facts.egress.is_some());
        let refusal = self
            .refusal()
            .or_else(|| (!has_egress).then(|| Error::NoEgress { what: self.settings.display_name() }))
            .or_else(|| {
                // An earlier one would check its default instead.
                let keeps = self.known.facts().is_some_and(|facts| facts.profiles.is_some());
                let lacks = request.profile.is_some() && !keeps;
                lacks.then(|| Error::NoProfiles { what: self.settings.display_name() })
            });
        let calls = self.calls.clone();
        Box::pin(async move {
            match refusal {
                Some(refusal) => Err(refusal),
                None => claimant.unless_abandoned(calls.check_proxy(&request, &by)).await,
            }
        })
    }
}

impl Handler<AttachClient> for RemoteWorker {
    type Result = Result<AttachmentTicket>;

    fn handle(&mut self, AttachClient { id, by }: AttachClient, ctx: &mut Context<Self>) -> Self::Result {
        if let Some(refusal) = self.refusal() {
            return Err(refusal);
        }
        let view = self.known.live(id);
        let endpoint = view.and_then(|view| view.endpoint.clone());
        // An original runner names the browser's own server, which must not receive the token.
        let authorization = if endpoint.is_none() { self.settings.authorization() } else { None };
        let url = endpoint.map_or_else(|| self.settings.websocket(id), Ok)?;
        self.last_attachment += 1;
        self.attachments.insert(self.last_attachment, None);
        Ok(AttachmentTicket {
            upstream: Upstream {
                url,
                what: self.settings.display_name(),
                name: self.settings.name.clone().into(),
                hop: true,
                authorization,
            },
            // The machine keeps the session's real clock, because it sees the same traffic.
            activity: view.map_or_else(ActivityClock::new, |view| view.activity.clone()),
            metrics: self.metrics.clone(),
            by,
            accepted: None,
            session: ctx.address().recipient(),
            lifeline: Lifeline::new(ctx.address().recipient(), self.last_attachment, 0),
        })
    }
}

impl Handler<AttachmentStarted> for RemoteWorker {
    type Result = ();

    fn handle(&mut self, started: AttachmentStarted, _: &mut Context<Self>) {
        if self.draining {
            started.close.do_send(CloseAttachment { reason: "camofleet is shutting down".to_owned() });
        }
        if let Some(close) = self.attachments.get_mut(&started.id) {
            *close = Some(started.close);
        }
    }
}

impl Handler<ChildExited<AttachmentId>> for RemoteWorker {
    type Result = ();

    fn handle(&mut self, exited: ChildExited<AttachmentId>, _: &mut Context<Self>) {
        self.attachments.remove(&exited.key);
    }
}

impl Handler<TakeScreenshot> for RemoteWorker {
    type Result = ResponseFuture<Result<Bytes>>;

    fn handle(
        &mut self,
        TakeScreenshot { id, width, by }: TakeScreenshot,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let (refusal, calls) = (self.refusal(), self.calls.clone());
        Box::pin(async move {
            match refusal {
                Some(refusal) => Err(refusal),
                None => calls.screenshot(id, width, &by).await,
            }
        })
    }
}

impl Handler<Drain> for RemoteWorker {
    type Result = ResponseActFuture<Self, Result<()>>;

    fn handle(&mut self, Drain { on, end, by }: Drain, _: &mut Context<Self>) -> Self::Result {
        if let Some(refusal) = self.refusal() {
            return Box::pin(actix::fut::err(refusal));
        }
        let calls = self.calls.clone();
        let drained = async move { calls.drain(on, end, &by).await };
        Box::pin(drained.into_actor(self).map(move |drained, this, _| {
            if drained.is_ok() {
                this.known.drained(on);
                this.publish_snapshot();
            }
            drained
        }))
    }
}

impl Handler<ShutDown> for RemoteWorker {
    type Result = ();

    fn handle(&mut self, _: ShutDown, ctx: &mut Context<Self>) {
        log::debug!("{} is no longer polled: camofleet is shutting down", self.lifeline.key());
        self.draining = true;
        // The sessions belong to the machine and go on.
        self.close_attachments("camofleet is shutting down");
        self.publish_snapshot();
        ctx.stop();
    }
}
