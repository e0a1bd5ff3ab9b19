//! The root of the tree: it knows all workers, places sessions on them, and builds a worker that failed anew.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::session::{SessionRequest, SessionView};
use crate::supervision::{
    Backoff, ChildExited, ChildSpec, Children, Generation, Intensity, RestartPolicy, Verdict,
};
use crate::worker::{CreateSession, ShutDown, WorkerHandle};

/// Builds a worker in each of its lives.
pub type WorkerBuilder = Box<dyn Fn(Recipient<ChildExited<String>>, Generation) -> WorkerHandle>;

/// A worker that fails five times in five minutes won't be helped by a sixth start.
const WORKER: ChildSpec = ChildSpec {
    policy: RestartPolicy::Always,
    intensity: Intensity { limit: 5, within: Duration::from_secs(300) },
    backoff: Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(30) },
};

/// The workers by name, as they are now. Reads go here and wait for nobody.
#[derive(Clone)]
pub struct Directory(watch::Receiver<Arc<Vec<WorkerHandle>>>);

impl Directory {
    #[cfg(test)]
    pub(crate) fn of(workers: Vec<WorkerHandle>) -> Self {
        Self(watch::channel(Arc::new(workers)).1)
    }

    /// All workers, in the order of their configuration.
    pub fn workers(&self) -> Arc<Vec<WorkerHandle>> {
        Arc::clone(&self.0.borrow())
    }

    /// The worker of this name.
    ///
    /// # Errors
    /// [`Error::WorkerNotFound`].
    pub fn worker(&self, name: &str) -> Result<WorkerHandle> {
        self.0.borrow().iter().find(|worker| worker.name == name).cloned().ok_or(Error::WorkerNotFound)
    }
}

/// Builds a session where it fits; answered when it is READY.
#[derive(Message)]
#[rtype(result = "Result<PlacedSession>")]
pub struct PlaceSession {
    /// What is wanted.
    pub request: SessionRequest,
    /// On this worker and no other.
    pub worker: Option<String>,
}

/// A session and where it runs.
pub struct PlacedSession {
    /// The worker's name.
    pub worker: String,
    /// The session.
    pub view: Arc<SessionView>,
}

/// The root actor.
pub struct Fleet {
    builders: HashMap<String, WorkerBuilder>,
    names: Vec<String>,
    workers: Children<String, WorkerHandle>,
    directory: watch::Sender<Arc<Vec<WorkerHandle>>>,
    /// Where the next round begins.
    next: usize,
    draining: bool,
    /// Told when a worker can't be kept up: the process is of no use any more.
    failed: Option<oneshot::Sender<String>>,
}

impl Fleet {
    /// Starts the root and its workers. The receiver hears why the fleet gave up, if it ever does.
    pub fn start(
        builders: Vec<(String, WorkerBuilder)>,
    ) -> (Addr<Self>, Directory, oneshot::Receiver<String>) {
        let (directory, seen) = watch::channel(Arc::default());
        let (failed, failure) = oneshot::channel();
        let names = builders.iter().map(|(name, _)| name.clone()).collect();
        let fleet = Self {
            builders: builders.into_iter().collect(),
            names,
            workers: Children::new(),
            directory,
            next: 0,
            draining: false,
            failed: Some(failed),
        };
        (Actor::start(fleet), Directory(seen), failure)
    }

    fn publish(&self) {
        let workers = self.names.iter().filter_map(|name| self.workers.get(name).cloned());
        self.directory.send_replace(Arc::new(workers.collect()));
    }

    /// The workers that may get a request, the next in turn first.
    fn candidates(&mut self, request: &PlaceSession) -> Result<Vec<WorkerHandle>> {
        if self.draining {
            return Err(Error::Draining);
        }
        let vnc = request.request.vnc;
        if let Some(name) = &request.worker {
            if !self.names.contains(name) {
                return Err(Error::WorkerNotFound);
            }
            let worker = self.workers.get(name).ok_or(Error::Restarting { what: "worker" })?;
            if vnc && !worker.snapshot().supports_vnc {
                return Err(Error::VncUnsupported { worker: name.clone() });
            }
            return Ok(vec![worker.clone()]);
        }
        let mut healthy: Vec<&WorkerHandle> = self
            .names
            .iter()
            .filter_map(|name| self.workers.get(name))
            .filter(|worker| worker.snapshot().healthy())
            .collect();
        if healthy.is_empty() {
            return Err(Error::NoWorkers);
        }
        healthy.retain(|worker| !vnc || worker.snapshot().supports_vnc);
        if healthy.is_empty() {
            let remedy =
                "no healthy worker has VNC; leave 'vnc' out, or see the 'display' check under /workers";
            return Err(Error::NoVncTooling { remedy: remedy.to_owned() });
        }
        let first = self.next % healthy.len();
        self.next = self.next.wrapping_add(1);
        healthy.rotate_left(first);
        Ok(healthy.into_iter().cloned().collect())
    }
}

impl Actor for Fleet {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        for (name, build) in &self.builders {
            self.workers.insert(name.clone(), WORKER, build(ctx.address().recipient(), 0));
        }
        self.publish();
    }
}

impl Handler<PlaceSession> for Fleet {
    type Result = ResponseFuture<Result<PlacedSession>>;

    fn handle(&mut self, place: PlaceSession, _: &mut Context<Self>) -> Self::Result {
        let candidates = self.candidates(&place);
        Box::pin(async move {
            let mut refusal = Error::NoWorkers;
            for worker in candidates? {
                match worker.ask(&worker.create, CreateSession(place.request.clone())).await {
                    Ok(view) => return Ok(PlacedSession { worker: worker.name, view }),
                    // Full: the next in turn may have room.
                    Err(error @ (Error::AtCapacity { .. } | Error::NoSlot { .. } | Error::Draining)) => {
                        refusal = error
                    }
                    Err(error) => return Err(error),
                }
            }
            Err(refusal)
        })
    }
}

impl Handler<ShutDown> for Fleet {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: ShutDown, _: &mut Context<Self>) -> Self::Result {
        self.draining = true;
        // Kept in the directory, forgotten as children: their ends are wanted now.
        let workers: Vec<WorkerHandle> =
            self.names.iter().filter_map(|name| self.workers.remove(name)).collect();
        Box::pin(async move {
            let ends = workers.iter().map(|worker| worker.shut_down.send(ShutDown));
            futures_util::future::join_all(ends).await;
        })
    }
}

impl Handler<ChildExited<String>> for Fleet {
    type Result = ();

    fn handle(&mut self, exited: ChildExited<String>, ctx: &mut Context<Self>) {
        match self.workers.on_exit(&exited, Instant::now(), fastrand::f64()) {
            Verdict::Restart { after, generation } => {
                log::error!("worker {} ended: {}; starting it anew in {after:?}", exited.key, exited.reason);
                ctx.run_later(after, move |this, ctx| {
                    let Some(build) = this.builders.get(&exited.key) else { return };
                    if this.workers.awaits(&exited.key, generation) {
                        let worker = build(ctx.address().recipient(), generation);
                        // Checked in the line before: nobody else runs in between.
                        let _ = this.workers.restarted(&exited.key, generation, worker);
                        this.publish();
                    }
                });
            }
            Verdict::GiveUp(text) => {
                if let Some(failed) = self.failed.take() {
                    let _ = failed.send(text);
                }
            }
            Verdict::Ended(_) | Verdict::Stale => {}
        }
    }
}

#[cfg(test)]
mod tests;
