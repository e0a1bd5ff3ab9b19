//! Adds and removes workers as discovery finds them.

use std::collections::BTreeMap;

use actix::prelude::*;

use super::{CHILD, Fleet};
use crate::fleet::discovery::Found;
use crate::supervision::start_child;
use crate::worker::ShutDown;

impl Fleet {
    /// Polls discovery, if there is one, now and whenever the next lookup is due.
    pub(super) fn poll_discovery(&mut self, ctx: &mut Context<Self>) {
        let Some(discovery) = &mut self.discovery else { return };
        ctx.spawn(discovery.look_up().into_actor(self).map(|answers, this, ctx| {
            // It is never removed.
            let Some(discovery) = &mut this.discovery else { return };
            let (current, again) = (discovery.found(answers), discovery.wait());
            if !this.draining {
                this.reconcile(&current, ctx);
                ctx.spawn(again.into_actor(this).map(|(), this, ctx| this.poll_discovery(ctx)));
            }
        }));
    }

    /// Adds new workers, and removes workers that are no longer found, each once its last session has ended, so that a machine
    /// taken out of service can finish its work.
    fn reconcile(&mut self, current: &BTreeMap<String, Found>, ctx: &mut Context<Self>) {
        let before = self.names.clone();
        for (name, found) in current {
            match self.found.get(name) {
                Some(here) if here.url == found.url && !found.leaving => {
                    if self.leaving.remove(name) {
                        log::info!("worker {name} at {} is back", found.url);
                    }
                }
                // Its machine is shutting down, but its sessions can still be reached.
                Some(here) if here.url == found.url => self.mark_leaving(name),
                // Another machine has its name; this worker has to be removed before that one can be added.
                Some(_) => self.mark_leaving(name),
                None => {
                    self.add(name, found, ctx);
                    if found.leaving && self.found.contains_key(name) {
                        self.mark_leaving(name);
                    }
                }
            }
        }
        let lost: Vec<String> =
            self.found.keys().filter(|name| !current.contains_key(*name)).cloned().collect();
        lost.iter().for_each(|name| self.mark_leaving(name));
        self.remove_idle(current, ctx);
        if self.names != before {
            self.publish();
        }
    }

    fn add(&mut self, name: &str, found: &Found, ctx: &mut Context<Self>) {
        // A configured worker keeps its name.
        if self.builders.contains_key(name) {
            return;
        }
        let Some(discovery) = &self.discovery else { return };
        log::info!("found worker {name} at {}", found.url);
        self.builders.insert(name.to_owned(), discovery.builder(name, found));
        start_child(self, name.to_owned(), CHILD, ctx);
        self.found.insert(name.to_owned(), found.clone());
        let configured = self.names.len() + 1 - self.found.len();
        let place = configured + self.found.keys().take_while(|other| other.as_str() < name).count();
        self.names.insert(place, name.to_owned());
    }

    fn mark_leaving(&mut self, name: &String) {
        if self.leaving.insert(name.clone()) {
            let sessions = self.workers.get(name).map_or(0, |worker| worker.snapshot().sessions.len());
            log::info!(
                "worker {name} is leaving or gone; it is kept until its {sessions} sessions have ended"
            );
        }
    }

    fn remove_idle(&mut self, current: &BTreeMap<String, Found>, ctx: &mut Context<Self>) {
        let idle = |name: &&String| {
            // A worker that is still found is kept, because the next lookup would add it again.
            let here = self.found.get(*name).map(|found| &found.url);
            let gone = current.get(*name).is_none_or(|found| Some(&found.url) != here);
            gone && self.workers.get(*name).is_some_and(|worker| worker.snapshot().sessions.is_empty())
        };
        let idle: Vec<String> = self.leaving.iter().filter(idle).cloned().collect();
        for name in idle {
            log::info!("worker {name} is gone");
            self.leaving.remove(&name);
            self.found.remove(&name);
            self.builders.remove(&name);
            self.names.retain(|other| *other != name);
            let worker = self.workers.remove(&name);
            let metrics = self.demand.as_ref().map(|demand| demand.metrics().clone());
            let end = async move {
                if let Some(worker) = worker {
                    // An error means that the actor has already ended.
                    let _ = worker.shut_down.send(ShutDown).await;
                }
                if let Some(metrics) = metrics {
                    metrics.forget_worker(&name);
                }
            };
            ctx.spawn(end.into_actor(self));
        }
    }
}
