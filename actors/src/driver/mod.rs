//! The driver actor: one Node process that hosts several Playwright servers.
//!
//! Its process speaks the lines of `protocol`. Whoever launches a browser gets the answer, and the watcher named in
//! the launch hears of that browser's end, the driver's own end included.

mod handle;
mod messages;
pub(crate) mod protocol;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::StreamExt;
use protocol::{Command, Event};
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::codec::FramedRead;

use crate::metrics::Metrics;
use crate::model::error::{Error, Result};
use crate::process::{Line, Lines, Os, OwnedProcess, Pipes, ProcessEnd, Program};
use crate::supervision::{Beat, ChildExited, Generation, Lifeline, Pulse, PulseSettings};

pub(crate) use handle::DriverSeat;
pub use handle::{DriverHandle, DriverVersions};
pub use messages::BrowserEnded;
pub(crate) use messages::{CancelLaunch, InBrowser, Launch, LaunchedBrowser, StopDriver, Suspect};

/// The environment variable that marks the browsers of one driver, to find those whose pid was never told.
pub(crate) const DRIVER_MARK: &str = "CAMOFLEET_DRIVER";
/// The longest line a driver may write; a Playwright error with its call log stays far below.
const LINE_LIMIT: usize = 1 << 20;
/// The script's name in [`DriverSettings::directory`].
pub const SCRIPT: &str = "driver.mjs";
/// Commands that wait to be written. Node reads its input even while it launches, so this never fills in practice;
/// a driver that stopped reading is refused rather than queued for.
const COMMAND_QUEUE: usize = 256;
/// How long a process may take until it says hello: it loads Playwright, on a machine that may have other things to do.
const STARTUP_PATIENCE: Duration = Duration::from_secs(60);
/// How long after its own limit a request is given up: the driver answers it by then, unless it lost it.
const ANSWER_MARGIN: Duration = Duration::from_secs(15);
/// How long a browser's contexts may take to be discarded.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(30);

/// How the Node process is started.
#[derive(Debug, Clone)]
pub struct DriverSettings {
    /// The Node executable.
    pub node: PathBuf,
    /// The folder of `driver.mjs` and its `node_modules`.
    pub directory: PathBuf,
    /// How many browsers one process hosts before another is started.
    pub sessions_per_driver: usize,
    /// The environment that the driver and its browsers start from.
    pub env: Vec<(String, String)>,
    /// How often its process is polled, and how long it may be silent.
    pub pulse: PulseSettings,
}

/// The setting that says how long a launch may take.
pub(crate) const LAUNCH_TIMEOUT_SETTING: &str = "RUNNER_LAUNCH_TIMEOUT_SECONDS";

/// Numbers the drivers of one worker.
pub type DriverId = u64;

/// One Node process.
pub struct Driver {
    lifeline: Lifeline<DriverId>,
    os: Arc<dyn Os>,
    mark: (String, String),
    program: Program,
    process: Option<OwnedProcess>,
    /// Closing it is the driver's signal to end with all its browsers.
    commands: Option<mpsc::Sender<Command>>,
    versions: watch::Sender<Option<DriverVersions>>,
    pulse: Pulse,
    pulse_settings: PulseSettings,
    answering: watch::Sender<bool>,
    metrics: Metrics,
    launching: HashMap<u64, Launching>,
    running: HashMap<u64, Recipient<BrowserEnded>>,
    /// Dropped when a launch that was given up is gone.
    cancelled: HashMap<u64, oneshot::Sender<()>>,
    requests: HashMap<String, oneshot::Sender<std::result::Result<(), String>>>,
    last_request: u64,
}

struct Launching {
    /// How long it may take.
    limit: Duration,
    answer: oneshot::Sender<Result<LaunchedBrowser>>,
    watcher: Recipient<BrowserEnded>,
}

impl Driver {
    /// Starts the actor and its Node process. A process that can't be started is told as the actor's failure.
    pub fn start(
        os: Arc<dyn Os>,
        settings: DriverSettings,
        run_mark: &(String, String),
        metrics: Metrics,
        parent: Recipient<ChildExited<DriverId>>,
        id: DriverId,
        generation: Generation,
    ) -> DriverHandle {
        let mark = (DRIVER_MARK.to_owned(), format!("{}/driver-{id}.{generation}", run_mark.1));
        let mut env = settings.env;
        env.push(run_mark.clone());
        let script = settings.directory.join(SCRIPT).display().to_string();
        let (versions, seen_versions) = watch::channel(None);
        let (answering, seen_answering) = watch::channel(true);
        // Until it says hello.
        let starting =
            PulseSettings { silence: settings.pulse.silence.max(STARTUP_PATIENCE), ..settings.pulse };
        let driver = Self {
            lifeline: Lifeline::new(parent, id, generation),
            os,
            mark: mark.clone(),
            program: Program { path: settings.node, args: vec![script], env, max_open_files: None },
            process: None,
            commands: None,
            versions,
            pulse: Pulse::new(starting),
            pulse_settings: settings.pulse,
            answering,
            metrics,
            launching: HashMap::new(),
            running: HashMap::new(),
            cancelled: HashMap::new(),
            requests: HashMap::new(),
            last_request: 0,
        };
        DriverHandle::new(Actor::start(driver), mark, seen_versions, seen_answering)
    }

    /// The process is gone: its browsers are orphans, and everybody who waits is told.
    fn lose(&mut self, end: ProcessEnd, ctx: &mut Context<Self>) {
        self.fail(&end.to_string(), ctx);
    }

    fn fail(&mut self, detail: &str, ctx: &mut Context<Self>) {
        self.lifeline.fail(format!("driver {} ended: {detail}", self.lifeline.key()));
        self.abandon(detail);
        // A process that still runs is killed with its owner.
        ctx.stop();
    }

    /// Polls the process, and ends one that has been silent for too long: it hangs, and so do its browsers' clients.
    fn beat(&mut self, ctx: &mut Context<Self>) {
        match self.pulse.tick() {
            // One that no longer reads is silent, too.
            Beat::Poll => drop(self.command(Command::Ping)),
            // Until it has said hello, it is not up in any case.
            Beat::Late => {
                if self.versions.borrow().is_some() {
                    self.show_answering(false);
                }
            }
            Beat::Silent => {
                let silence = self.pulse.silence();
                log::error!("driver {} has not answered for {silence:?} and is killed", self.lifeline.key());
                self.fail(&format!("it did not answer for {silence:?}"), ctx);
            }
        }
    }

    fn show_answering(&self, now: bool) {
        let changed = self.answering.send_if_modified(|answering| std::mem::replace(answering, now) != now);
        if changed {
            let how = if now { "answers again" } else { "does not answer; it gets no more launches" };
            log::warn!("driver {} {how}", self.lifeline.key());
        }
    }

    /// A line could not be read: whoever waits for what it says waits no longer.
    fn on_unreadable(&mut self, line: &str) {
        self.metrics.driver_line_unreadable();
        let remains = protocol::remains(line);
        let detail = "its driver's answer could not be read";
        if let Some(answer) = remains.request.as_ref().and_then(|request| self.requests.remove(request)) {
            let _ = answer.send(Err(detail.to_owned()));
            return;
        }
        let Some(id) = remains.id else { return };
        if remains.exited {
            return self.on_event(Event::Exited { id, code: None, signal: None, reason: None });
        }
        if let Some(launch) = launch_number(&id)
            && self.launching.contains_key(&launch)
        {
            // It may have come up.
            let _ = self.command(Command::Close { id: id.clone() });
            self.on_event(Event::LaunchFailed { id, error: detail.to_owned(), timed_out: false });
        }
    }

    fn abandon(&mut self, detail: &str) {
        if self.commands.take().is_none() {
            return;
        }
        // Also those that were only just being launched, whose process ids were never told.
        self.os.kill_marked(&self.mark.0, &self.mark.1);
        let detail = format!("its driver ended: {detail}");
        for (_, launching) in self.launching.drain() {
            let _ = launching.answer.send(Err(Error::DriverLost { detail: detail.clone() }));
        }
        for (_, watcher) in self.running.drain() {
            // One message for each browser.
            watcher.do_send(BrowserEnded { detail: detail.clone(), driver_lost: true });
        }
        self.cancelled.clear();
        self.requests.clear();
    }

    fn command(&self, command: Command) -> Result<()> {
        let refused = |detail: &str| Error::DriverLost { detail: detail.to_owned() };
        let Some(commands) = &self.commands else { return Err(refused("its driver is gone")) };
        commands.try_send(command).map_err(|_| refused("its driver no longer reads its commands"))
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Hello { playwright, node } => {
                log::info!("driver {} is up: playwright {playwright}, node {node}", self.lifeline.key());
                self.versions.send_replace(Some(DriverVersions { playwright, node }));
                self.pulse = Pulse::new(self.pulse_settings);
            }
            Event::Ready { id, endpoint, pid, browser_version } => {
                let browser = LaunchedBrowser { endpoint, pid, version: browser_version };
                let wanted = launch_number(&id).is_some_and(|launch| {
                    let Some(launching) = self.launching.remove(&launch) else { return false };
                    self.running.insert(launch, launching.watcher);
                    launching.answer.send(Ok(browser)).is_ok()
                });
                if !wanted {
                    // Whoever asked is gone, and nobody else will ever close it.
                    let _ = self.command(Command::Close { id });
                }
            }
            Event::LaunchFailed { id, error, timed_out } => {
                let Some(launch) = launch_number(&id) else { return };
                if let Some(launching) = self.launching.remove(&launch) {
                    let failed = match timed_out {
                        true => Error::LaunchTimedOut {
                            what: "browser",
                            limit: launching.limit,
                            setting: LAUNCH_TIMEOUT_SETTING,
                            said: error,
                        },
                        false => Error::LaunchFailed { detail: error },
                    };
                    let _ = launching.answer.send(Err(failed));
                }
                self.cancelled.remove(&launch);
            }
            Event::Exited { id, code, signal, reason } => {
                let Some(launch) = launch_number(&id) else { return };
                if let Some(watcher) = self.running.remove(&launch) {
                    let detail = match (reason, signal, code) {
                        (Some(reason), ..) => reason,
                        (None, Some(signal), _) => format!("the browser was ended by {signal}"),
                        (None, None, Some(code)) => format!("the browser ended with exit status {code}"),
                        (None, None, None) => "the browser ended".to_owned(),
                    };
                    // One message for each browser.
                    watcher.do_send(BrowserEnded { detail, driver_lost: false });
                }
                self.cancelled.remove(&launch);
            }
            Event::Done { request, error } => {
                if let Some(answer) = self.requests.remove(&request) {
                    let _ = answer.send(error.map_or(Ok(()), Err));
                }
            }
            // Every line is an answer to the poll.
            Event::Pong => {}
            Event::Invalid { error, id, request } => {
                log::error!("driver {} did not understand a command: {error}", self.lifeline.key());
                if let Some(request) = request {
                    return self.on_event(Event::Done { request, error: Some(error) });
                }
                if let Some(id) = id {
                    self.on_event(Event::LaunchFailed { id, error, timed_out: false });
                }
            }
        }
    }
}

/// The driver is given launch numbers as ids, and gives them back.
fn launch_number(id: &str) -> Option<u64> {
    id.parse().ok()
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.abandon("its actor is gone");
    }
}

impl Actor for Driver {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let id = *self.lifeline.key();
        let spawned = OwnedProcess::spawn(Arc::clone(&self.os), format!("driver {id}"), &self.program);
        let (process, Pipes { mut stdin, stdout, stderr }) = match spawned {
            Ok(spawned) => spawned,
            Err(error) => {
                self.lifeline
                    .fail(format!("driver {id}: could not start {}: {error}", self.program.path.display()));
                return ctx.stop();
            }
        };
        let (commands, mut queue) = mpsc::channel::<Command>(COMMAND_QUEUE);
        self.commands = Some(commands);
        ctx.add_stream(FramedRead::new(stdout, Lines::up_to(LINE_LIMIT)));
        let mut complaints = FramedRead::new(stderr, Lines::up_to(LINE_LIMIT));
        let log_complaints = async move {
            while let Some(Ok(line)) = complaints.next().await {
                match line {
                    Line::Whole(line) => log::debug!("driver {id}: {line}"),
                    Line::TooLong(start) => log::debug!("driver {id}: {start} …"),
                }
            }
        };
        let write_commands = async move {
            while let Some(command) = queue.recv().await {
                let Ok(mut line) = serde_json::to_vec(&command) else { continue };
                line.push(b'\n');
                if stdin.write_all(&line).await.is_err() || stdin.flush().await.is_err() {
                    return;
                }
            }
        };
        ctx.spawn(log_complaints.into_actor(self));
        ctx.spawn(write_commands.into_actor(self));
        ctx.spawn(process.ended().into_actor(self).map(|end, this, ctx| this.lose(end, ctx)));
        ctx.run_interval(self.pulse_settings.interval, Self::beat);
        self.process = Some(process);
    }
}

impl StreamHandler<std::io::Result<Line>> for Driver {
    fn handle(&mut self, line: std::io::Result<Line>, _: &mut Context<Self>) {
        self.pulse.answered();
        self.show_answering(true);
        let id = *self.lifeline.key();
        match line {
            Ok(Line::Whole(line)) => match serde_json::from_str(&line) {
                Ok(event) => self.on_event(event),
                Err(error) => {
                    log::warn!("driver {id} wrote a line that is no event ({error}): {line:.200}");
                    self.on_unreadable(&line);
                }
            },
            // Each line answers one request: the others, and the browsers, have nothing to do with it.
            Ok(Line::TooLong(start)) => {
                log::warn!(
                    "driver {id} wrote a line of more than {LINE_LIMIT} bytes, which is not read: {start:.200}"
                );
                self.on_unreadable(&start);
            }
            // Its end follows.
            Err(error) => log::warn!("the output of driver {id} can't be read: {error}"),
        }
    }

    /// The end of its output says nothing yet: the process' end follows and is what counts.
    fn finished(&mut self, _: &mut Context<Self>) {}
}

impl Handler<Launch> for Driver {
    type Result = ();

    fn handle(&mut self, request: Launch, _: &mut Context<Self>) {
        let Launch { launch, options, watcher, answer } = request;
        let limit = Duration::from_millis(options.timeout_ms);
        match self.command(Command::Launch { id: launch.to_string(), options }) {
            Ok(()) => {
                self.launching.insert(launch, Launching { limit, answer, watcher });
            }
            Err(error) => {
                // Who asked may have given up already.
                let _ = answer.send(Err(error));
            }
        }
    }
}

/// How long a driver may take to end by itself when its input closes.
const STOP_GRACE: Duration = Duration::from_millis(500);

impl Handler<StopDriver> for Driver {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: StopDriver, _: &mut Context<Self>) -> Self::Result {
        self.abandon("it was stopped");
        let stop = self.process.as_ref().map(|process| process.stop(STOP_GRACE));
        Box::pin(async move {
            if let Some(stop) = stop {
                stop.await;
            }
        })
    }
}

impl Handler<CancelLaunch> for Driver {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, CancelLaunch { launch }: CancelLaunch, _: &mut Context<Self>) -> Self::Result {
        let (cancelled, gone) = oneshot::channel();
        let known = self.launching.contains_key(&launch) || self.running.contains_key(&launch);
        // A driver that no longer takes commands is about to be lost, and its browsers with it.
        if known && self.command(Command::Close { id: launch.to_string() }).is_ok() {
            self.cancelled.insert(launch, cancelled);
        }
        Box::pin(async {
            let _ = gone.await;
        })
    }
}

impl Handler<InBrowser> for Driver {
    type Result = ResponseFuture<std::result::Result<(), String>>;

    fn handle(&mut self, order: InBrowser, ctx: &mut Context<Self>) -> Self::Result {
        self.last_request += 1;
        let request = self.last_request.to_string();
        let milliseconds = |timeout: Duration| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let (command, limit) = match order {
            InBrowser::Open { launch, url, wait, timeout } => {
                let (id, request, timeout_ms) = (launch.to_string(), request.clone(), milliseconds(timeout));
                (Command::Open { id, request, url, wait, timeout_ms }, timeout)
            }
            InBrowser::DiscardContexts { launch } => {
                let (id, request) = (launch.to_string(), request.clone());
                (Command::DiscardContexts { id, request }, DISCARD_TIMEOUT)
            }
            InBrowser::Check { launch, timeout } => {
                let (id, request, timeout_ms) = (launch.to_string(), request.clone(), milliseconds(timeout));
                (Command::Check { id, request, timeout_ms }, timeout)
            }
        };
        if let Err(error) = self.command(command) {
            return Box::pin(async move { Err(error.to_string()) });
        }
        let (answer, answered) = oneshot::channel();
        self.requests.insert(request.clone(), answer);
        ctx.run_later(limit + ANSWER_MARGIN, move |this, _| {
            if let Some(answer) = this.requests.remove(&request) {
                let _ = answer.send(Err("its driver did not answer".to_owned()));
            }
        });
        Box::pin(async { answered.await.unwrap_or_else(|_| Err("the driver is gone".to_owned())) })
    }
}

impl Handler<Suspect> for Driver {
    type Result = ();

    fn handle(&mut self, _: Suspect, _: &mut Context<Self>) {
        if self.versions.borrow().is_some() && self.command(Command::Ping).is_ok() {
            self.show_answering(false);
        }
    }
}
