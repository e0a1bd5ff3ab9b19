//! The launches of a session, at first and after a crash: with a warm browser of a pool, or with a new one.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use camofleet_api::ids::RequestId;
use camofleet_api::session::{EndReason, StartUrlWait, Status};

use super::actor::{Launching, ReadySession, Session};
use super::disk::wait_until_over_limit;
use crate::driver::InBrowser;
use crate::launch::launched::Launched;
use crate::launch::launcher::{LaunchFor, LaunchRequest, Window};
use crate::launch::prewarm::{PrewarmPool, Refill, Take};
use crate::model::error::{Error, Result};
use crate::model::events::Change;
use crate::model::session::without_password;

/// How long the start URL's page may take to load.
const START_URL_TIMEOUT: Duration = Duration::from_secs(60);

impl Session {
    /// Launches a browser, after closing what is left of the old one and a delay.
    pub(super) fn launch(&mut self, old: Option<Launched>, wait: Duration, ctx: &mut Context<Self>) {
        let Some(Launching { cancel, by, ready }) = self.life.launching() else { return };
        let (cancel, by) = (cancel.clone(), by.clone());
        // A create may be refused if the queue is full; a restart may not.
        let purpose = if ready.is_some() { LaunchFor::Create } else { LaunchFor::Upkeep };
        let (launcher, parent) = (self.launcher.clone(), ctx.address().recipient());
        let window = match &self.slot {
            Some(slot) => Window::Slot {
                slot: Arc::clone(slot),
                clock: self.activity.clone(),
                key: self.spec.view_key.clone(),
            },
            None => self.launcher.window(&self.template),
        };
        let profile = self.profile.clone();
        let (template, machine) = (self.template.clone(), self.machine.clone());
        let coherence = self.spec.coherence;
        let request = LaunchRequest { template, machine, coherence, window, parent, purpose, by };
        let launch = async move {
            if let Some(old) = old {
                old.dismantle().await;
            }
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(Error::Cancelled),
                () = tokio::time::sleep(wait) => {}
            }
            let Some(profile) = profile else { return launcher.launch(request, &cancel).await };
            profile.before_launch(request.template.identity.clone()).await?;
            let launched = launcher.launch(request, &cancel).await?;
            if let (Some(drawn), None) = (&launched.machine, profile.machine()) {
                profile.keep_machine(Arc::clone(drawn)).await?;
            }
            Ok(launched)
        };
        ctx.spawn(launch.into_actor(self).map(|launched, this, ctx| this.on_launched(launched, false, ctx)));
    }

    /// Takes a browser from the pool; launches one if the pool is empty or the browser dies while it is handed over.
    pub(super) fn take_warm(&mut self, pool: Addr<PrewarmPool>, ctx: &mut Context<Self>) {
        let parent = ctx.address().recipient();
        let taken_from = pool.clone();
        let take = async move {
            // All warm browsers may hang with the same driver, so only two are tried before one is launched.
            for _ in 0..2 {
                // A pool that is being restarted has no browsers.
                let warm = pool.send(Take).await.ok().flatten()?;
                let responds = warm.hand_over(parent.clone()).await;
                if warm.loss().is_some() || responds {
                    return Some(warm);
                }
                log::warn!("a warm browser does not respond and is discarded: launch {}", warm.launch);
                actix_rt::spawn(warm.dismantle());
            }
            None
        };
        ctx.spawn(take.into_actor(self).map(move |warm, this, ctx| {
            match warm {
                _ if this.life.status() != Status::Init => this.wind_down(warm, ctx),
                Some(warm) if warm.loss().is_none() => this.on_launched(Ok(warm), true, ctx),
                // The pool was empty, or the browser has died.
                dead => this.launch(dead, Duration::ZERO, ctx),
            }
            // One message for each create.
            taken_from.do_send(Refill);
        }));
    }

    pub(super) fn on_launched(&mut self, launched: Result<Launched>, warm: bool, ctx: &mut Context<Self>) {
        if self.life.status() == Status::Terminating {
            return self.wind_down(launched.ok(), ctx);
        }
        let launched = match launched {
            Ok(launched) => launched,
            Err(error) => return self.on_launch_failed(error, None, ctx),
        };
        self.slot = launched.slot.clone();
        self.machine.clone_from(&launched.machine);
        if let Err(error) = self.open_egress(&launched) {
            return self.on_launch_failed(error, Some(launched), ctx);
        }
        launched.assign_screen(self.activity.clone(), self.spec.view_key.clone());
        if let Some(loss) = launched.loss().cloned() {
            return self.on_launch_failed(loss.into(), Some(launched), ctx);
        }
        self.browser_version = Some(launched.version.clone());
        let Launching { by, ready, .. } = match self.life.launched(launched) {
            Ok(launching) => launching,
            Err(illegal) => return log::error!("session {}: {illegal}", self.spec.id),
        };
        // The idle time starts when the session can be used.
        self.activity.touch();
        self.publish_by(Change::Ready, by.clone());
        if let Some(ready) = ready {
            // Fails if the client has disconnected; `watch_claimant` ends the session then.
            let _ = ready.send(Ok(ReadySession { view: self.view(), warm }));
        }
        self.watch_disk(ctx);
        self.open_start_url(by, ctx);
    }

    /// Lets a browser's connections out, by the session's route.
    pub(super) fn open_egress(&self, launched: &Launched) -> Result<()> {
        let traffic = self.traffic.clone();
        launched.gate.open(self.launcher.route(&self.proxy, &self.spec.block, self.egress_key(), traffic)?);
        Ok(())
    }

    /// Ends the session when the files of this launch exceed the limit. It is not restarted, as the same page would
    /// fill the disk again.
    fn watch_disk(&mut self, ctx: &mut Context<Self>) {
        let (Some(limit), Some(launched)) = (self.launcher.settings.disk_limit, self.life.ready()) else {
            return;
        };
        let launch = launched.launch;
        let directory = self.launcher.run_dir.launch_path(launch);
        let data = self.template.user_data.as_ref().map(|data| data.directory.clone());
        let over_limit = wait_until_over_limit(Arc::clone(&self.launcher.os), directory, data, limit.get());
        ctx.spawn(over_limit.into_actor(self).map(move |used, this, ctx| {
            let current = this.life.ready().is_some_and(|launched| launched.launch == launch);
            if current {
                let detail = format!(
                    "its files use {} MB of the disk, more than RUNNER_SESSION_DISK_MB ({}) allows",
                    used >> 20,
                    limit.get() >> 20
                );
                this.terminate(EndReason::DiskFull, detail, ctx);
            }
        }));
    }

    /// Handles a launch that failed, or whose browser was lost at once. `remains` is what is left of it.
    fn on_launch_failed(&mut self, error: Error, remains: Option<Launched>, ctx: &mut Context<Self>) {
        // The loss of the driver says nothing about this launch: the session is restarted as if it had been ready.
        if let Error::DriverLost { detail } = error {
            return self.on_part_lost(EndReason::DriverLost, detail, remains, ctx);
        }
        let text = error.to_string();
        let Some(launching) = self.life.launching_mut() else { return };
        match launching.ready.take() {
            Some(ready) => {
                self.refuse(ready, error);
                self.fail(EndReason::LaunchFailed, text, remains, ctx);
            }
            // A restart failed: it counts as one more crash.
            None => self.on_part_lost(EndReason::LaunchFailed, text, remains, ctx),
        }
    }

    fn open_start_url(&mut self, by: Option<RequestId>, ctx: &mut Context<Self>) {
        let (Some(url), Some(launched)) = (self.spec.start_url.clone(), self.life.ready()) else { return };
        if self.spec.start_url_wait == StartUrlWait::None {
            return;
        }
        let launch = launched.launch;
        let wait = self.spec.start_url_wait;
        let redacted = without_password(&url).into_owned();
        let open = launched.driver.send(InBrowser::Open {
            launch,
            url: url.clone(),
            wait,
            timeout: START_URL_TIMEOUT,
        });
        ctx.spawn(open.into_actor(self).map(move |opened, this, _| {
            let current = this.life.ready().is_some_and(|launched| launched.launch == launch);
            // If the browser has ended meanwhile, that is reported instead.
            if let (true, Ok(Err(error))) = (current, opened) {
                this.start_url_error = Some(error.into_text().replace(&url, &redacted));
                this.publish_by(Change::StartUrlFailed, by);
            }
        }));
    }
}
