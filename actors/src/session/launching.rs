//! How a session comes up: with a browser of its pool, or one that is launched for it; at first, and after a crash.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use camofleet_api::ids::RequestId;
use camofleet_api::session::{EndReason, StartUrlWait, Status};
use tokio_util::sync::CancellationToken;

use super::actor::{ReadySession, Session};
use super::disk::until_over;
use crate::driver::InBrowser;
use crate::launch::launched::Launched;
use crate::launch::launcher::{LaunchFor, Window};
use crate::launch::prewarm::{PrewarmPool, Take};
use crate::model::error::{Error, Result};
use crate::model::events::Change;
use crate::model::session::without_password;

/// How long the start URL's page may take to load.
const START_URL_TIMEOUT: Duration = Duration::from_secs(60);

impl Session {
    /// Builds the parts, after taking down what is left of earlier ones and a wait.
    pub(super) fn launch(&mut self, old: Option<Launched>, wait: Duration, ctx: &mut Context<Self>) {
        let cancel = CancellationToken::new();
        self.launching = Some(cancel.clone());
        let (launcher, parent, by) = (self.launcher.clone(), ctx.address().recipient(), self.by.clone());
        // A restart has its place; who asks for a new session may be refused one.
        let asked_for = if self.ready.is_some() { LaunchFor::Create } else { LaunchFor::Upkeep };
        let window = match &self.slot {
            Some(slot) => Window::Slot(Arc::clone(slot)),
            None if self.spec.headless => Window::None,
            None => self.launcher.window(),
        };
        let launch = async move {
            if let Some(old) = old {
                old.dismantle().await;
            }
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(Error::Cancelled),
                () = tokio::time::sleep(wait) => {}
            }
            launcher.launch(window, parent, asked_for, by, &cancel).await
        };
        ctx.spawn(launch.into_actor(self).map(|launched, this, ctx| this.on_launched(launched, false, ctx)));
    }

    /// Takes a browser from the pool; if none waits there, or it dies on the way, one is launched.
    pub(super) fn take_warm(&mut self, pool: Addr<PrewarmPool>, ctx: &mut Context<Self>) {
        self.launching = Some(CancellationToken::new());
        let parent = ctx.address().recipient();
        let take = async move {
            // Each of a pool's browsers may hang with the same driver: two are asked, and then one is launched.
            for _ in 0..2 {
                // A pool that is being restarted has nothing to give.
                let warm = pool.send(Take).await.ok().flatten()?;
                warm.adopt(parent.clone()).await;
                if warm.loss().is_some() || warm.answers().await {
                    return Some(warm);
                }
                log::warn!("a warm browser does not answer and is not handed out: launch {}", warm.launch);
                actix_rt::spawn(warm.dismantle());
            }
            None
        };
        ctx.spawn(take.into_actor(self).map(|warm, this, ctx| match warm {
            _ if this.life.status() != Status::Init => {
                this.launched = warm;
                this.wind_down(ctx);
            }
            Some(warm) if warm.loss().is_none() => this.on_launched(Ok(warm), true, ctx),
            // Nobody has to know.
            dead => this.launch(dead, Duration::ZERO, ctx),
        }));
    }

    fn on_launched(&mut self, launched: Result<Launched>, warm: bool, ctx: &mut Context<Self>) {
        self.launching = None;
        let failure = match launched {
            Ok(launched) => {
                let loss = launched.loss().cloned();
                self.slot = launched.slot.clone();
                launched.show_session(self.activity.clone(), self.spec.view_key.clone());
                self.browser_version = Some(launched.version.clone());
                self.launched = Some(launched);
                loss.map(Error::from)
            }
            Err(error) => Some(error),
        };
        if self.life.status() == Status::Terminating {
            return self.wind_down(ctx);
        }
        if let Some(failure) = failure {
            return self.launch_failed(failure, ctx);
        }
        if let Err(illegal) = self.life.launched() {
            return log::error!("session {}: {illegal}", self.spec.id);
        }
        // Its idle time starts when it can be used.
        self.activity.touch();
        self.publish(Change::Ready);
        let by = self.by.take();
        if let Some(ready) = self.ready.take() {
            // Nobody listens when the request was broken off: `watch_claimant` ends the session.
            let _ = ready.send(Ok(ReadySession { view: self.view(), warm }));
        }
        self.watch_disk(ctx);
        self.open_start_url(by, ctx);
    }

    /// Ends the session when the files of this launch take more than they may. Started again, the same page would fill the
    /// disk again.
    fn watch_disk(&mut self, ctx: &mut Context<Self>) {
        let (Some(limit), Some(launched)) = (self.launcher.settings.disk_limit, &self.launched) else {
            return;
        };
        let launch = launched.launch;
        let directory = self.launcher.run_dir.launch_path(launch);
        let over = until_over(Arc::clone(&self.launcher.os), directory, limit.get());
        ctx.spawn(over.into_actor(self).map(move |used, this, ctx| {
            let current = this.launched.as_ref().is_some_and(|launched| launched.launch == launch);
            if current && this.life.status() == Status::Ready {
                let detail = format!(
                    "its files take {} MB of the disk, more than RUNNER_SESSION_DISK_MB ({}) allows",
                    used >> 20,
                    limit.get() >> 20
                );
                this.terminate(EndReason::DiskFull, detail, ctx);
            }
        }));
    }

    fn launch_failed(&mut self, error: Error, ctx: &mut Context<Self>) {
        // Nothing is wrong with a launch that went with its driver: the session is treated like one that was up.
        if let Error::DriverLost { detail } = error {
            return self.part_lost(EndReason::DriverLost, detail, ctx);
        }
        let text = error.to_string();
        match self.ready.take() {
            Some(ready) => {
                let _ = ready.send(Err(error));
                self.terminate(EndReason::LaunchFailed, text, ctx);
            }
            // It was up before: one more failure of its restart.
            None => self.part_lost(EndReason::LaunchFailed, text, ctx),
        }
    }

    fn open_start_url(&mut self, by: Option<RequestId>, ctx: &mut Context<Self>) {
        let (Some(url), Some(launched)) = (self.spec.start_url.clone(), &self.launched) else { return };
        if self.spec.start_url_wait == StartUrlWait::None {
            return;
        }
        let launch = launched.launch;
        let wait = self.spec.start_url_wait;
        let shown = without_password(&url).into_owned();
        let open = launched.driver.send(InBrowser::Open {
            launch,
            url: url.clone(),
            wait,
            timeout: START_URL_TIMEOUT,
        });
        ctx.spawn(open.into_actor(self).map(move |opened, this, _| {
            let current = this.launched.as_ref().is_some_and(|launched| launched.launch == launch);
            // A browser that is gone has its own story.
            if let (true, Ok(Err(error))) = (current, opened) {
                this.start_url_error = Some(error.replace(&url, &shown));
                this.publish_by(Change::StartUrlFailed, by);
            }
        }));
    }
}
