//! The root actor: it has all workers, places sessions on them, and restarts workers that fail.

mod demand;
pub mod discovery;
pub mod history;
mod membership;
pub mod pod_costs;
mod profiles;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use camofleet_api::ids::RequestId;
use camofleet_api::request::SessionRequest;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::fleet::demand::Demand;
use crate::fleet::discovery::{Discovery, Found};
use crate::fleet::profiles::ExpectedProfiles;
use crate::metrics::Metrics;
use crate::model::claim::Claimant;
use crate::model::error::{Error, Result};
use crate::model::session::SessionView;
use crate::supervision::{
    Backoff, ChildExited, ChildSpec, Children, ExitReason, Generation, Intensity, Lifeline, RestartPolicy,
    Supervisor, delay_text, start_child, supervise,
};
use crate::views::gateway::{DrainTunnels, Gateway, GatewayHandle, GatewayKey, GatewaySettings, Targets};
use crate::worker::{CreateSession, Directory, ShutDown, WorkerBuilder, WorkerHandle};

/// What the fleet builds its gateway from.
#[derive(Clone)]
pub struct GatewayParts {
    /// The settings of its tunnels.
    pub settings: GatewaySettings,
    /// The live views.
    pub targets: Targets,
    /// The metrics.
    pub metrics: Metrics,
}

/// The order in which suitable workers are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Placement {
    /// Round robin.
    #[default]
    RoundRobin,
    /// The one with the fewest live sessions first; round robin among equals.
    LeastSessions,
}

/// The restart policy of workers: a child that failed five times in five minutes is not expected to recover.
const CHILD: ChildSpec = ChildSpec {
    policy: RestartPolicy::Always,
    intensity: Intensity { limit: 5, within: Duration::from_secs(300) },
    backoff: Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(30) },
};

/// How many workers are tried if all are known to be full: one may have capacity again, because sessions that end through
/// another control are noticed only with the next poll.
const FULL_TRIED: usize = 3;
/// How long a placement tries further workers after a refusal. A later worker may need the full time of a create while the
/// client waits, so a request that was queued at a busy worker for longer than this fails as busy.
const RETRY_ELSEWHERE_FOR: Duration = Duration::from_secs(10);
/// The interval at which demand and capacity are published.
const DEMAND_EVERY: Duration = Duration::from_secs(1);

/// What a fleet is built from.
#[derive(Default)]
pub struct FleetParts {
    /// The configured workers.
    pub workers: Vec<(String, WorkerBuilder)>,
    /// The order in which workers are tried.
    pub placement: Placement,
    /// The discovery of further workers, if there is one.
    pub discovery: Option<Discovery>,
    /// The parts of its gateway for live views, if it has one.
    pub gateway: Option<GatewayParts>,
    /// The metrics of demand and capacity; `None` where a control in front of this fleet publishes them.
    pub demand: Option<Metrics>,
}

/// Creates a session on a suitable worker; answered when it is READY.
#[derive(Message)]
#[rtype(result = "Result<PlacedSession>")]
pub struct PlaceSession {
    /// The create request.
    pub request: SessionRequest,
    /// The worker to use; no other is tried.
    pub worker: Option<String>,
    /// The id of the request.
    pub by: RequestId,
    /// Whether the caller is still waiting.
    pub claimant: Claimant,
}

/// A session and its worker.
pub struct PlacedSession {
    /// The worker's name.
    pub worker: String,
    /// The session.
    pub view: Arc<SessionView>,
}

/// The handles of a started fleet.
pub struct StartedFleet {
    /// The root actor.
    pub address: Addr<Fleet>,
    /// Its workers.
    pub directory: Directory,
    /// Its gateway, if it has one.
    pub gateway: GatewayHandle,
    /// Receives the reason if the fleet gives up.
    pub failure: oneshot::Receiver<String>,
}

/// The root actor.
pub struct Fleet {
    builders: HashMap<String, WorkerBuilder>,
    /// All workers: configured ones in their order, then discovered ones by name.
    names: Vec<String>,
    workers: Children<String, WorkerHandle>,
    discovery: Option<Discovery>,
    /// The discovered workers.
    found: BTreeMap<String, Found>,
    /// Discovered workers that are leaving or no longer found: they keep their sessions and get no new ones.
    leaving: HashSet<String>,
    directory: watch::Sender<Arc<Vec<WorkerHandle>>>,
    gateway: Children<GatewayKey, Addr<Gateway>>,
    gateway_parts: Option<GatewayParts>,
    gateway_address: watch::Sender<Option<Addr<Gateway>>>,
    placement: Placement,
    /// Where profiles are expected that were requested a moment ago.
    expected_profiles: ExpectedProfiles,
    /// The number of creates so far.
    creates: u64,
    demand: Option<Demand>,
    /// The start of the next round robin, initially random so that several controls don't all start with the same worker.
    next: usize,
    draining: bool,
    /// Notified when a worker can't be restarted any more, since the process is then useless.
    failed: Option<oneshot::Sender<String>>,
}

impl Fleet {
    /// Starts the root, its workers, and its gateway if it is to have one.
    pub fn start(parts: FleetParts) -> StartedFleet {
        let FleetParts { workers: builders, placement, discovery, gateway: gateway_parts, demand } = parts;
        let (directory, workers) = watch::channel(Arc::default());
        let (gateway_address, gateway) = watch::channel(None);
        let (failed, failure) = oneshot::channel();
        let names: Vec<String> = builders.iter().map(|(name, _)| name.clone()).collect();
        let fleet = Self {
            next: fastrand::usize(..=names.len()),
            builders: builders.into_iter().collect(),
            names,
            workers: Children::new(),
            discovery,
            found: BTreeMap::new(),
            leaving: HashSet::new(),
            directory,
            gateway: Children::new(),
            gateway_parts,
            gateway_address,
            placement,
            expected_profiles: ExpectedProfiles::default(),
            creates: 0,
            demand: demand.map(Demand::new),
            draining: false,
            failed: Some(failed),
        };
        StartedFleet {
            address: Actor::start(fleet),
            directory: Directory(workers),
            gateway: GatewayHandle(gateway),
            failure,
        }
    }

    fn publish(&self) {
        let workers = self.names.iter().filter_map(|name| self.workers.get(name).cloned());
        self.directory.send_replace(Arc::new(workers.collect()));
    }

    fn publish_demand(&mut self) {
        let Some(demand) = &mut self.demand else { return };
        demand.publish(self.names.iter().filter_map(|name| self.workers.get(name)), Instant::now());
    }

    fn fail(&mut self, text: String) {
        if let Some(failed) = self.failed.take() {
            let _ = failed.send(text);
        }
    }

    /// The workers to try for a request, in order.
    fn candidates(&mut self, request: &PlaceSession) -> Result<Vec<WorkerHandle>> {
        if self.draining {
            return Err(Error::Draining);
        }
        let vnc = request.request.vnc;
        if let Some(name) = &request.worker {
            if !self.names.contains(name) {
                return Err(Error::WorkerNotFound);
            }
            if self.leaving.contains(name) {
                return Err(Error::Draining);
            }
            let worker = self.workers.get(name).ok_or(Error::Restarting { what: "worker" })?;
            if vnc && !worker.snapshot().supports_vnc {
                return Err(Error::VncUnsupported { worker: name.clone() });
            }
            let worker = worker.clone();
            self.check_profile_is_not_elsewhere(&request.request, &worker)?;
            if let Some(name) = &request.request.profile {
                self.expect_profile(name, &worker.name, self.creates);
            }
            return Ok(vec![worker]);
        }
        let keepers = self.keepers_of_profile(&request.request)?;
        let keeps = |worker: &WorkerHandle| match &keepers {
            None => true,
            Some(keepers) => keepers.iter().any(|keeper| keeper.name == worker.name),
        };
        let mut able: Vec<&WorkerHandle> = self
            .names
            .iter()
            .filter(|name| !self.leaving.contains(*name))
            .filter_map(|name| self.workers.get(name))
            .filter(|worker| keeps(worker) && worker.snapshot().accepts(&request.request))
            .collect();
        if able.is_empty() {
            return Err(Error::NoWorkers);
        }
        able.retain(|worker| !vnc || worker.snapshot().supports_vnc);
        if able.is_empty() {
            let remedy =
                "no healthy worker has VNC; leave 'vnc' out, or see the 'display' check under /workers";
            return Err(Error::NoVncTooling { remedy: remedy.to_owned() });
        }
        able.retain(|worker| !worker.snapshot().draining);
        if able.is_empty() {
            return Err(Error::Draining);
        }
        // If no worker has what the request names, the first one tried says so.
        if able.iter().any(|worker| worker.snapshot().can_fulfil(&request.request)) {
            able.retain(|worker| worker.snapshot().can_fulfil(&request.request));
        }
        // Workers that are known to be full are skipped: in a large fleet, trying them could take a thousand calls for one create.
        let (free, full): (Vec<_>, Vec<_>) =
            able.into_iter().partition(|worker| worker.snapshot().has_room());
        let (mut tried, limit) = if free.is_empty() { (full, FULL_TRIED) } else { (free, usize::MAX) };
        let first = self.next % tried.len();
        self.next = self.next.wrapping_add(1);
        tried.rotate_left(first);
        if self.placement == Placement::LeastSessions {
            // The sort is stable, so equals stay in round-robin order.
            tried.sort_by_key(|worker| worker.snapshot().sessions.len());
        }
        let tried: Vec<WorkerHandle> = tried.into_iter().take(limit).cloned().collect();
        if let (Some(name), [first, ..]) = (&request.request.profile, &tried[..]) {
            self.expect_profile(name, &first.name, self.creates);
        }
        Ok(tried)
    }
}

impl Actor for Fleet {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        for name in self.names.clone() {
            start_child(self, name, CHILD, ctx);
        }
        self.publish();
        start_child(self, GatewayKey, CHILD, ctx);
        self.poll_discovery(ctx);
        if self.demand.is_some() {
            self.publish_demand();
            ctx.run_interval(DEMAND_EVERY, |this, _| this.publish_demand());
        }
    }
}

impl Handler<PlaceSession> for Fleet {
    type Result = ResponseActFuture<Self, Result<PlacedSession>>;

    fn handle(&mut self, place: PlaceSession, _: &mut Context<Self>) -> Self::Result {
        self.creates += 1;
        let (candidates, anywhere, vnc) =
            (self.candidates(&place), place.worker.is_none(), place.request.vnc);
        let (profile, create) = (place.request.profile.clone(), self.creates);
        let placed = async move {
            let started = Instant::now();
            let mut refusal = Error::NoWorkers;
            for worker in candidates? {
                if place.claimant.is_abandoned() {
                    return Err(Error::Cancelled);
                }
                let create = CreateSession {
                    request: place.request.clone(),
                    by: place.by.clone(),
                    claimant: place.claimant.clone(),
                };
                match worker.ask(&worker.create, create).await {
                    Ok(view) => return Ok(PlacedSession { worker: worker.name, view }),
                    Err(error) if error.had_no_effect() && started.elapsed() < RETRY_ELSEWHERE_FOR => {
                        refusal = error
                    }
                    Err(error) => return Err(error),
                }
            }
            Err(refusal)
        };
        Box::pin(placed.into_actor(self).map(move |placed, this, _| {
            if let (Err(error), Some(demand), true) = (&placed, &mut this.demand, anywhere)
                && error.lacks_capacity()
            {
                demand.unplaced(vnc, Instant::now());
            }
            if let Some(name) = &profile {
                this.learn_of_profile(name, &placed, create);
            }
            placed
        }))
    }
}

impl Handler<ShutDown> for Fleet {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: ShutDown, _: &mut Context<Self>) -> Self::Result {
        self.draining = true;
        if let Some(gateway) = self.gateway.get(&GatewayKey) {
            // Viewers are disconnected with their sessions, and get the reason.
            gateway.do_send(DrainTunnels { grace: Duration::ZERO });
        }
        // They stay in the directory but are no longer supervised, because they are to end now.
        let workers: Vec<WorkerHandle> =
            self.names.iter().filter_map(|name| self.workers.remove(name)).collect();
        Box::pin(async move {
            let ends = workers.iter().map(|worker| worker.shut_down.send(ShutDown));
            futures_util::future::join_all(ends).await;
        })
    }
}

impl<K> Handler<ChildExited<K>> for Fleet
where
    Self: Supervisor<K>,
    K: Eq + Hash + Clone + Send + Debug + 'static,
{
    type Result = ();

    fn handle(&mut self, exited: ChildExited<K>, ctx: &mut Context<Self>) {
        supervise(self, exited, ctx);
    }
}

impl Supervisor<String> for Fleet {
    type Handle = WorkerHandle;

    fn children(&mut self) -> &mut Children<String, WorkerHandle> {
        &mut self.workers
    }

    fn build(
        &mut self,
        name: &String,
        generation: Generation,
        ctx: &mut Context<Self>,
    ) -> Option<WorkerHandle> {
        let build = self.builders.get(name)?;
        Some(build(ctx.address().recipient(), generation))
    }

    fn restarting(&mut self, name: &String, reason: &ExitReason, after: Duration) {
        log::error!("worker {name} ended: {reason}; restarting it {}", delay_text(after));
    }

    fn restarted(&mut self, _: &String) {
        self.publish();
    }

    fn give_up(&mut self, text: String, _: &mut Context<Self>) {
        self.fail(text);
    }
}

impl Supervisor<GatewayKey> for Fleet {
    type Handle = Addr<Gateway>;

    fn children(&mut self) -> &mut Children<GatewayKey, Addr<Gateway>> {
        &mut self.gateway
    }

    fn build(
        &mut self,
        _: &GatewayKey,
        generation: Generation,
        ctx: &mut Context<Self>,
    ) -> Option<Addr<Gateway>> {
        let GatewayParts { settings, targets, metrics } = self.gateway_parts.clone()?;
        let directory = Directory(self.directory.subscribe());
        let lifeline = Lifeline::new(ctx.address().recipient(), GatewayKey, generation);
        let gateway = Gateway::new(settings, targets, directory, metrics).supervised(lifeline).start();
        self.gateway_address.send_replace(Some(gateway.clone()));
        Some(gateway)
    }

    fn restarting(&mut self, _: &GatewayKey, reason: &ExitReason, after: Duration) {
        log::error!("the gateway ended: {reason}; restarting it {}", delay_text(after));
        self.gateway_address.send_replace(None);
    }

    fn give_up(&mut self, text: String, _: &mut Context<Self>) {
        self.fail(text);
    }
}

#[cfg(test)]
mod tests;
