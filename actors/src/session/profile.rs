//! The profile of a session: opened before its first launch, held while it lives, stored at its end.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use camofleet_api::Time;
use camofleet_api::egress::ProxyCheck;
use camofleet_api::identity_request::IdentityRequest;
use camofleet_api::ids::SessionId;
use camofleet_api::profile::ProfileUser;
use camofleet_api::request::SessionRequest;
use camofleet_api::session::{EndReason, Status};
use tokio::time::Instant;

use super::actor::Session;
use crate::launch::launched::Launched;
use crate::model::error::{Error, Result};
use crate::model::identity::{identity_at_exit, sources_of_profile, sources_of_request};
use crate::profiles::{GIVE_UP_AFTER, OpenedProfile, ProfileStore, RENEW_EVERY, StorageTrouble};

/// How often the space on the disk is checked; a page can fill it within seconds.
const CHECK_SPACE_EVERY: Duration = Duration::from_secs(1);
/// How often what the browser has written is flushed to the disk while the session runs.
const FLUSH_EVERY: Duration = Duration::from_secs(60);

/// Where a session finds its profile.
pub(crate) struct ProfileSource {
    /// The profiles of its worker.
    pub store: ProfileStore,
    /// Its create request, whose identity has to be that of the profile.
    pub request: SessionRequest,
    /// The name of its worker, for the lease.
    pub worker: String,
}

impl Session {
    /// Opens the session's profile, then launches its first browser.
    pub(super) fn open_profile(&mut self, source: ProfileSource, ctx: &mut Context<Self>) {
        let Some(choice) = self.spec.profile.clone() else { return };
        let user = ProfileUser { session: self.spec.id, worker: source.worker, since: Time::now() };
        let run_dir = self.launcher.run_dir.clone();
        let opened = async move { source.store.open(choice, source.request, user, run_dir).await };
        ctx.spawn(opened.into_actor(self).map(|opened, this, ctx| match opened {
            Ok(opened) => this.on_profile_opened(opened, ctx),
            Err(error) => this.on_launched(Err(error), false, ctx),
        }));
    }

    fn on_profile_opened(&mut self, opened: OpenedProfile, ctx: &mut Context<Self>) {
        self.template.user_data = Some(opened.user_data());
        if self.spec.profile.as_ref().is_some_and(|choice| choice.uses_its_proxy)
            && let Some(proxy) = opened.proxy()
        {
            self.proxy = proxy.clone();
        }
        let (identity, choice) = (opened.identity().cloned(), opened.choice().clone());
        self.machine = opened.machine().cloned();
        self.profile = Some(opened);
        if self.life.status() != Status::Init {
            return self.wind_down(None, ctx);
        }
        self.watch_storage(ctx);
        // Its proxy may be one that only an earlier version of the settings had.
        if let Err(error) = self.launcher.check_route(&self.proxy, &self.spec.block) {
            return self.on_launched(Err(error), false, ctx);
        }
        self.sources = match &identity {
            Some(identity) => sources_of_profile(identity),
            None => sources_of_request(&choice),
        };
        match identity {
            None if choice.needs_exit() => self.launch_at_exit(&choice, ctx),
            identity => {
                self.template.identity = identity.unwrap_or_else(|| choice.given());
                self.launch_coherent(None, ctx);
            }
        }
    }

    /// Identifies what keeps its proxy of a pool: the profile, or the session itself.
    pub(super) fn egress_key(&self) -> SessionId {
        self.profile.as_ref().map_or(self.spec.id, OpenedProfile::id)
    }

    /// Renews the lease of the profile and gets its data to the disk, again and again. The session ends when the storage
    /// fails: its profile could have another user, or would lose what is stored from now on.
    fn watch_storage(&mut self, ctx: &mut Context<Self>) {
        let Some(profile) = self.profile.clone().filter(OpenedProfile::writes) else { return };
        let (flushed, os) = (profile.clone(), Arc::clone(&self.launcher.os));
        let lost = async move {
            let (mut renewed_at, mut tried_at) = (Instant::now(), Instant::now());
            loop {
                tokio::time::sleep(CHECK_SPACE_EVERY).await;
                if let Err(StorageTrouble::Full(detail)) = profile.check_space(Arc::clone(&os)).await {
                    return (EndReason::DiskFull, detail);
                }
                if tried_at.elapsed() < RENEW_EVERY {
                    continue;
                }
                tried_at = Instant::now();
                match tokio::time::timeout(GIVE_UP_AFTER, profile.renew()).await {
                    Ok(Ok(())) => renewed_at = Instant::now(),
                    Ok(Err(StorageTrouble::Full(detail))) => return (EndReason::DiskFull, detail),
                    Ok(Err(StorageTrouble::TakenOver(detail))) => return (EndReason::ProfileLost, detail),
                    Ok(Err(StorageTrouble::Failing(detail))) if renewed_at.elapsed() >= GIVE_UP_AFTER => {
                        return (EndReason::ProfileLost, detail);
                    }
                    Ok(Err(StorageTrouble::Failing(_))) => {}
                    Err(_) => {
                        let detail = format!("its storage did not answer for {GIVE_UP_AFTER:?}");
                        return (EndReason::ProfileLost, detail);
                    }
                }
            }
        };
        ctx.spawn(lost.into_actor(self).map(|(reason, detail), this, ctx| {
            this.terminate(reason, format!("its profile can't be held: {detail}"), ctx);
        }));
        let id = self.spec.id;
        ctx.spawn(
            async move {
                loop {
                    tokio::time::sleep(FLUSH_EVERY).await;
                    if let Err(error) = flushed.flush().await {
                        log::warn!(
                            "session {id}: profile {} could not be flushed to the disk: {error}",
                            flushed.name()
                        );
                    }
                }
            }
            .into_actor(self),
        );
    }

    /// Closes what is left of the launch, then stores the profile.
    pub(super) fn close_parts(&mut self, remains: Option<Launched>) -> impl Future<Output = ()> + use<> {
        let (profile, version, id) = (self.profile.take(), self.browser_version.clone(), self.spec.id);
        async move {
            if let Some(launched) = remains {
                launched.dismantle().await;
            }
            if let Some(profile) = profile {
                let name = profile.name().clone();
                if let Err(error) = profile.close(version).await {
                    log::error!("session {id}: profile {name} could not be stored completely: {error}");
                }
            }
        }
    }

    /// Launches the first browser once the place of its exit is known, which decides a part of the identity.
    pub(super) fn launch_at_exit(&mut self, choice: &IdentityRequest, ctx: &mut Context<Self>) {
        let Some(launching) = self.life.launching() else { return };
        let (cancel, choice) = (launching.cancel.clone(), choice.clone());
        let exits = self.contradictions.exits;
        let exit = self.launcher.check_proxy(&self.proxy, Some(self.egress_key()));
        let exit = async move {
            tokio::select! {
                biased;
                () = cancel.cancelled() => Err(Error::Cancelled),
                exit = exit => exit,
            }
        };
        ctx.spawn(exit.into_actor(self).map(move |exit, this, ctx| {
            if this.life.status() != Status::Init {
                return this.wind_down(None, ctx);
            }
            match exit.and_then(|exit| this.become_of_exit(&choice, &exit, exits)) {
                Ok(()) => this.launch(None, Duration::ZERO, ctx),
                Err(error) => this.on_launched(Err(error), false, ctx),
            }
        }));
    }

    /// Takes what its exit decides of the identity, and compares the rest with the place of that exit, unless it has been
    /// changed since.
    fn become_of_exit(&mut self, choice: &IdentityRequest, exit: &ProxyCheck, exits: u32) -> Result<()> {
        self.template.identity = identity_at_exit(choice, exit)?;
        if self.contradictions.exits == exits && self.launcher.knows_places(&self.proxy) {
            self.compare(exit)?;
        }
        Ok(())
    }
}
