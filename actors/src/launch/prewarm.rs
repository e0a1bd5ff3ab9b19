//! The prewarm pool actor: browsers that are launched before they are requested.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use camofleet_api::facts::PoolFill;
use camofleet_api::identity::Coherence;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::launch::launched::Launched;
use crate::launch::launcher::{LaunchFor, LaunchRequest, Launcher};
use crate::model::error::Result;
use crate::model::session::LaunchTemplate;
use crate::supervision::part::PartKey;
use crate::supervision::{Backoff, ChildExited, Generation, Intensity, Lifeline, RestartWindow};

/// The name of a pool, in settings, metrics, logs and health checks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PoolName(Arc<str>);

impl PoolName {
    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for PoolName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for PoolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The settings of one pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSettings {
    /// Its name, unique on its worker.
    pub name: PoolName,
    /// What its browsers are launched with. No other pool of its worker that is enabled has the same.
    pub template: LaunchTemplate,
    /// How many warm browsers to keep; 0 disables the pool.
    pub target: usize,
    /// How often the fill is checked, in addition to after every take and every death.
    pub check_interval: Duration,
}

/// Notifies the worker of a change of a pool's fill.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PoolChanged {
    pub name: PoolName,
    pub fill: PoolFill,
}

/// Takes a warm browser, if there is one. [`Refill`] has to follow.
#[derive(Message)]
#[rtype(result = "Option<Launched>")]
pub(crate) struct Take;

/// Launches the replacements of browsers that were taken. The taker sends it once the hand-over of its browser is complete:
/// the launch of another one would delay it, as both use the same driver and the same processor cores. If it is lost, the
/// next check of the pool does the same.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Refill;

/// Ends the pool; answered when its browsers have ended.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ClosePool;

/// Delays after failed launches; the cause may be temporary.
const RETRY: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };

/// Within this window the replacement of dead warm browsers is delayed ever longer, so that browsers that die as soon
/// as they are ready are not launched in a tight loop.
const DEATHS: Intensity = Intensity { limit: 8, within: Duration::from_secs(60) };

/// Keeps a number of browsers ready for future sessions.
pub(crate) struct PrewarmPool {
    _lifeline: Lifeline<PoolName>,
    settings: PoolSettings,
    launcher: Launcher,
    worker: Recipient<PoolChanged>,
    ready: VecDeque<Launched>,
    launching: usize,
    failures: usize,
    deaths: RestartWindow,
    last_error: Option<String>,
    retry: Option<SpawnHandle>,
    cancel: CancellationToken,
    /// Notified when the pool is being closed and its last launch has ended.
    closed: Option<oneshot::Sender<()>>,
}

impl PrewarmPool {
    pub fn start(
        settings: PoolSettings,
        launcher: Launcher,
        worker: Recipient<PoolChanged>,
        parent: Recipient<ChildExited<PoolName>>,
        generation: Generation,
    ) -> Addr<Self> {
        Actor::start(Self {
            _lifeline: Lifeline::new(parent, settings.name.clone(), generation),
            settings,
            launcher,
            worker,
            ready: VecDeque::new(),
            launching: 0,
            failures: 0,
            deaths: RestartWindow::new(DEATHS),
            last_error: None,
            retry: None,
            cancel: CancellationToken::new(),
            closed: None,
        })
    }

    fn publish(&self) {
        let PoolSettings { name, template, target, .. } = &self.settings;
        self.launcher.metrics.pool(name.as_str(), self.ready.len(), *target);
        // One message for each launch, take or death.
        self.worker.do_send(PoolChanged {
            name: name.clone(),
            fill: PoolFill {
                ready: self.ready.len(),
                launching: self.launching,
                target: *target,
                headless: Some(template.headless),
                last_error: self.last_error.clone(),
            },
        });
    }

    fn refill(&mut self, ctx: &mut Context<Self>) {
        if self.retry.is_some() || self.cancel.is_cancelled() {
            return;
        }
        let missing = self.settings.target.saturating_sub(self.ready.len() + self.launching);
        for _ in 0..missing {
            self.launching += 1;
            let (launcher, cancel) = (self.launcher.clone(), self.cancel.clone());
            let parent = ctx.address().recipient();
            let template = self.settings.template.clone();
            let window = self.launcher.window(&template);
            let purpose = LaunchFor::Upkeep;
            let coherence = Coherence::Refuse;
            let request =
                LaunchRequest { template, machine: None, coherence, window, parent, purpose, by: None };
            let launch = async move {
                let launched = launcher.launch(request, &cancel).await;
                if !cancel.is_cancelled() {
                    return Some(launched);
                }
                if let Ok(launched) = launched {
                    launched.dismantle().await;
                }
                None
            };
            ctx.spawn(launch.into_actor(self).map(Self::on_launched));
        }
        self.publish();
    }

    /// `None`: the pool is being closed, and the launched browser has been closed.
    fn on_launched(launched: Option<Result<Launched>>, this: &mut Self, ctx: &mut Context<Self>) {
        this.launching -= 1;
        match launched {
            None => this.finish_closing(),
            Some(Ok(launched)) => {
                this.failures = 0;
                this.last_error = None;
                match launched.loss().cloned() {
                    None => this.ready.push_back(launched),
                    // It died while it was handed over from the launcher.
                    Some(loss) => this.replace_dead(launched, &loss.detail, ctx),
                }
            }
            Some(Err(error)) => {
                let text = error.to_string();
                if this.last_error.as_ref() != Some(&text) {
                    log::warn!("the {} pool could not launch a browser: {text}", this.settings.name);
                }
                this.last_error = Some(text);
                this.failures += 1;
                this.wait_before_retry(RETRY.delay(this.failures, fastrand::f64()), ctx);
            }
        }
        this.publish();
    }

    fn finish_closing(&mut self) {
        if self.launching == 0
            && let Some(closed) = self.closed.take()
        {
            let _ = closed.send(());
        }
    }

    /// Closes what is left of a warm browser that died, and replaces it.
    fn replace_dead(&mut self, launched: Launched, detail: &str, ctx: &mut Context<Self>) {
        log::warn!("a warm browser of the {} pool died and will be replaced: {detail}", self.settings.name);
        ctx.spawn(launched.dismantle().into_actor(self));
        let deaths = self.deaths.admit(Instant::now()).unwrap_or(DEATHS.limit);
        self.wait_before_retry(RETRY.delay(deaths, fastrand::f64()), ctx);
    }

    fn wait_before_retry(&mut self, wait: Duration, ctx: &mut Context<Self>) {
        if self.retry.is_none() {
            self.retry = Some(ctx.run_later(wait, |this, ctx| {
                this.retry = None;
                this.refill(ctx);
            }));
        }
    }
}

impl Actor for PrewarmPool {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(self.settings.check_interval, |this, ctx| {
            this.ready.iter().for_each(Launched::check_alive);
            this.refill(ctx);
        });
        self.refill(ctx);
    }
}

impl Handler<Take> for PrewarmPool {
    type Result = MessageResult<Take>;

    fn handle(&mut self, _: Take, _: &mut Context<Self>) -> Self::Result {
        // The session that takes it checks that it is alive.
        let taken = self.ready.pop_front();
        self.publish();
        MessageResult(taken)
    }
}

impl Handler<Refill> for PrewarmPool {
    type Result = ();

    fn handle(&mut self, _: Refill, ctx: &mut Context<Self>) {
        self.refill(ctx);
    }
}

impl Handler<ChildExited<PartKey>> for PrewarmPool {
    type Result = ();

    fn handle(&mut self, exited: ChildExited<PartKey>, ctx: &mut Context<Self>) {
        // Parts of a failed launch report their end too, but only those of ready browsers matter here.
        let Some(at) = self.ready.iter().position(|launched| launched.launch == exited.key.launch) else {
            return;
        };
        if let Some(launched) = self.ready.remove(at) {
            self.replace_dead(launched, &exited.reason.to_string(), ctx);
        }
        self.publish();
    }
}

impl Handler<ClosePool> for PrewarmPool {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: ClosePool, _: &mut Context<Self>) -> Self::Result {
        self.cancel.cancel();
        let ready = std::mem::take(&mut self.ready);
        let (closed, launches_ended) = oneshot::channel();
        self.closed = Some(closed);
        self.finish_closing();
        let all_ended = async {
            futures_util::future::join_all(ready.into_iter().map(Launched::dismantle)).await;
            // Fails only if a second request to close has replaced this one.
            let _ = launches_ended.await;
        };
        Box::pin(all_ended.into_actor(self).map(|(), _, ctx| ctx.stop()))
    }
}
