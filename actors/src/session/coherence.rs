//! Comparing the identity of a session with the place where its connections leave.

use std::time::Duration;

use actix::prelude::*;
use camofleet_api::egress::ProxyCheck;
use camofleet_api::identity::{Coherence, Contradiction};
use camofleet_api::ids::RequestId;
use camofleet_api::session::Status;

use super::actor::Session;
use crate::launch::coherence::{contradictions, is_comparable};
use crate::launch::prewarm::PrewarmPool;
use crate::model::error::{Error, Result};
use crate::model::events::Change;
use crate::model::machine::Machine;

/// How long a create waits for the place of its exit only to compare it. If it takes longer, the place counts as not known.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is known of contradictions of a session.
#[derive(Debug, Default)]
pub(super) struct Contradictions {
    /// With its display.
    pub display: Vec<Contradiction>,
    /// With its exit; `None` while its place is not known.
    pub exit: Option<Vec<Contradiction>>,
    /// How many times the exit has been changed, so that the result for an earlier one is not used.
    pub exits: u32,
}

impl Contradictions {
    /// All of them, those with its machine included; `None` if nothing was compared.
    pub fn all(&self, machine: Option<&Machine>) -> Option<Vec<Contradiction>> {
        let fixed = self.display.iter().chain(machine.into_iter().flat_map(|machine| &machine.left_out));
        let all: Vec<_> = fixed.chain(self.exit.iter().flatten()).cloned().collect();
        (self.exit.is_some() || !all.is_empty()).then_some(all)
    }
}

impl Session {
    /// Whether the place of its exit can contradict its identity, and can be looked up.
    fn can_be_compared(&self) -> bool {
        is_comparable(&self.template.identity) && self.launcher.knows_places(&self.proxy)
    }

    /// Takes a browser from the pool or launches one, unless the identity contradicts the place of its exit and the request
    /// does not want to be warned of that only.
    pub(super) fn launch_coherent(&mut self, pool: Option<Addr<PrewarmPool>>, ctx: &mut Context<Self>) {
        if self.is_compared_first() {
            return self.launch_if_coherent(pool, ctx);
        }
        let by = self.spec.request_id.clone();
        self.take_or_launch(pool, ctx);
        self.compare_meanwhile(by, ctx);
    }

    fn take_or_launch(&mut self, pool: Option<Addr<PrewarmPool>>, ctx: &mut Context<Self>) {
        match pool {
            Some(pool) => self.take_warm(pool, ctx),
            None => self.launch(None, Duration::ZERO, ctx),
        }
    }

    /// Whether its create is refused if its identity contradicts the place of its exit, so that it has to be known first.
    fn is_compared_first(&self) -> bool {
        self.spec.coherence == Coherence::Refuse && self.can_be_compared()
    }

    /// Compares the identity with the place of its exit, and then takes a browser from the pool or launches one.
    fn launch_if_coherent(&mut self, pool: Option<Addr<PrewarmPool>>, ctx: &mut Context<Self>) {
        let Some(launching) = self.life.launching() else { return };
        let (cancel, exits) = (launching.cancel.clone(), self.contradictions.exits);
        let exit = self.launcher.check_proxy(&self.proxy, Some(self.egress_key()));
        let exit = async move {
            tokio::select! {
                biased;
                () = cancel.cancelled() => None,
                exit = tokio::time::timeout(PATIENCE, exit) => exit.ok()?.ok(),
            }
        };
        ctx.spawn(exit.into_actor(self).map(move |exit, this, ctx| {
            if this.life.status() != Status::Init {
                return this.wind_down(None, ctx);
            }
            let current = exit.filter(|_| this.contradictions.exits == exits);
            match current.map_or(Ok(()), |exit| this.compare(&exit)) {
                Ok(()) => this.take_or_launch(pool, ctx),
                Err(error) => this.on_launched(Err(error), false, ctx),
            }
        }));
    }

    /// Compares the identity with the place of its exit while everything else goes on.
    pub(super) fn compare_meanwhile(&mut self, by: Option<RequestId>, ctx: &mut Context<Self>) {
        if !self.can_be_compared() {
            return;
        }
        let exits = self.contradictions.exits;
        let exit = self.launcher.check_proxy(&self.proxy, Some(self.egress_key()));
        ctx.spawn(exit.into_actor(self).map(move |exit, this, _| {
            let is_current = this.contradictions.exits == exits
                && matches!(this.life.status(), Status::Init | Status::Ready);
            if let (true, Ok(exit)) = (is_current, exit) {
                // Nothing is refused any more.
                let _ = this.compare(&exit);
                if this.contradictions.exit.is_some() {
                    this.publish_by(Change::Compared, by);
                }
            }
        }));
    }

    /// Compares the identity with the place of its exit.
    ///
    /// # Errors
    /// [`Error::Incoherent`], unless contradictions are only to be shown.
    pub(super) fn compare(&mut self, exit: &ProxyCheck) -> Result<()> {
        let found = contradictions(&self.template.identity, exit, jiff::Timestamp::now());
        self.contradictions.exit = found;
        match &self.contradictions.exit {
            Some(found) if !found.is_empty() && self.spec.coherence == Coherence::Refuse => {
                Err(Error::Incoherent { contradictions: found.clone() })
            }
            _ => Ok(()),
        }
    }
}
