//! Workers that come and go: what discovery finds, the fleet has.

use std::collections::BTreeMap;

use actix::prelude::*;

use super::{CHILD, Fleet};
use crate::fleet::discovery::Found;
use crate::supervision::start_child;
use crate::worker::ShutDown;

impl Fleet {
    /// Asks which workers there are, now and from then on, if anybody knows.
    pub(super) fn look_up(&mut self, ctx: &mut Context<Self>) {
        let Some(discovery) = &mut self.discovery else { return };
        ctx.spawn(discovery.look_up().into_actor(self).map(|answers, this, ctx| {
            // Nobody takes it away.
            let Some(discovery) = &mut this.discovery else { return };
            let (wanted, again) = (discovery.found(answers), discovery.wait());
            if !this.draining {
                this.reconcile(&wanted, ctx);
                ctx.spawn(again.into_actor(this).map(|(), this, ctx| this.look_up(ctx)));
            }
        }));
    }

    /// Builds workers that are new, and lets those go that are no longer found, each when its last session has ended: a
    /// machine that is taken from service finishes what it has begun.
    fn reconcile(&mut self, wanted: &BTreeMap<String, Found>, ctx: &mut Context<Self>) {
        let before = self.names.clone();
        for (name, found) in wanted {
            match self.found.get(name) {
                Some(here) if here.url == found.url && !found.leaving => {
                    if self.leaving.remove(name) {
                        log::info!("worker {name} at {} is back", found.url);
                    }
                }
                // Its machine is ending, and still there: whoever has a session on it reaches it.
                Some(here) if here.url == found.url => self.let_go(name),
                // Another machine has its name: it has to be gone before that one comes.
                Some(_) => self.let_go(name),
                None => {
                    self.adopt(name, found, ctx);
                    if found.leaving && self.found.contains_key(name) {
                        self.let_go(name);
                    }
                }
            }
        }
        let lost: Vec<String> =
            self.found.keys().filter(|name| !wanted.contains_key(*name)).cloned().collect();
        lost.iter().for_each(|name| self.let_go(name));
        self.retire(wanted, ctx);
        if self.names != before {
            self.publish();
        }
    }

    fn adopt(&mut self, name: &str, found: &Found, ctx: &mut Context<Self>) {
        // A worker of the configuration keeps its name.
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

    fn let_go(&mut self, name: &String) {
        if self.leaving.insert(name.clone()) {
            let sessions = self.workers.get(name).map_or(0, |worker| worker.snapshot().sessions.len());
            log::info!("worker {name} is going or gone; it is kept until its {sessions} sessions have ended");
        }
    }

    fn retire(&mut self, wanted: &BTreeMap<String, Found>, ctx: &mut Context<Self>) {
        let idle = |name: &&String| {
            // One that is still there is forgotten when it is not: a moment later it would be found again.
            let here = self.found.get(*name).map(|found| &found.url);
            let gone = wanted.get(*name).is_none_or(|found| Some(&found.url) != here);
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
                    // An actor that is gone already has ended.
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
