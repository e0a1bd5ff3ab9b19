//! The driver actor: one Node process that hosts several Playwright servers.
//!
//! Its process speaks the lines of `protocol`. Whoever launches a browser gets the answer, and the watcher named in
//! the launch hears of that browser's end, the driver's own end included.

mod handle;
mod messages;
pub(crate) mod protocol;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};

use crate::error::{Error, Result};
use crate::process::{Os, OwnedProcess, Pipes, ProcessEnd, Program};
use crate::supervision::{ChildExited, Generation, Lifeline};
pub(crate) use handle::DriverSeat;
pub use handle::{DriverHandle, DriverVersions};
pub use messages::BrowserEnded;
pub(crate) use messages::{CancelLaunch, InBrowser, Launch, LaunchedBrowser, StopDriver};
use protocol::{Command, Event};

/// The environment variable that marks the browsers of one driver, to find those whose pid was never told.
pub(crate) const DRIVER_MARK: &str = "CAMOFLEET_DRIVER";
/// The longest line a driver may write; a Playwright error with its call log stays far below.
const LINE_LIMIT: usize = 1 << 20;
/// The script's name in [`DriverSettings::directory`].
pub const SCRIPT: &str = "driver.mjs";
/// Commands that wait to be written. Node reads its input even while it launches, so this never fills in practice;
/// a driver that stopped reading is refused rather than queued for.
const COMMAND_QUEUE: usize = 256;

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
        parent: Recipient<ChildExited<DriverId>>,
        id: DriverId,
        generation: Generation,
    ) -> DriverHandle {
        let mark = (DRIVER_MARK.to_owned(), format!("{}/driver-{id}.{generation}", run_mark.1));
        let mut env = settings.env;
        env.push(run_mark.clone());
        let script = settings.directory.join(SCRIPT).display().to_string();
        let (versions, seen_versions) = watch::channel(None);
        let driver = Self {
            lifeline: Lifeline::new(parent, id, generation),
            os,
            mark: mark.clone(),
            program: Program { path: settings.node, args: vec![script], env, max_open_files: None },
            process: None,
            commands: None,
            versions,
            launching: HashMap::new(),
            running: HashMap::new(),
            cancelled: HashMap::new(),
            requests: HashMap::new(),
            last_request: 0,
        };
        DriverHandle::new(Actor::start(driver), mark, seen_versions)
    }

    /// The process is gone: its browsers are orphans, and everybody who waits is told.
    fn lose(&mut self, end: ProcessEnd, ctx: &mut Context<Self>) {
        self.lifeline.fail(format!("driver {} ended: {end}", self.lifeline.key()));
        self.abandon(&end.to_string());
        ctx.stop();
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
            Event::Exited { id, code, signal } => {
                let Some(launch) = launch_number(&id) else { return };
                if let Some(watcher) = self.running.remove(&launch) {
                    let detail = match (signal, code) {
                        (Some(signal), _) => format!("the browser was ended by {signal}"),
                        (None, Some(code)) => format!("the browser ended with exit status {code}"),
                        (None, None) => "the browser ended".to_owned(),
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
            Event::Invalid { error } => {
                log::error!("driver {} did not understand a command: {error}", self.lifeline.key());
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
        ctx.add_stream(FramedRead::new(stdout, LinesCodec::new_with_max_length(LINE_LIMIT)));
        let mut complaints = FramedRead::new(stderr, LinesCodec::new_with_max_length(LINE_LIMIT));
        let log_complaints = async move {
            while let Some(Ok(line)) = complaints.next().await {
                log::debug!("driver {id}: {line}");
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
        self.process = Some(process);
    }
}

impl StreamHandler<std::result::Result<String, LinesCodecError>> for Driver {
    fn handle(&mut self, line: std::result::Result<String, LinesCodecError>, _: &mut Context<Self>) {
        match line.map(|line| serde_json::from_str(&line).map_err(|error| (line, error))) {
            Ok(Ok(event)) => self.on_event(event),
            Ok(Err((line, error))) => {
                log::warn!(
                    "driver {} wrote a line that is no event ({error}): {line:.200}",
                    self.lifeline.key()
                );
            }
            Err(error) => log::warn!("could not read a line of driver {}: {error}", self.lifeline.key()),
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

    fn handle(&mut self, order: InBrowser, _: &mut Context<Self>) -> Self::Result {
        self.last_request += 1;
        let request = self.last_request.to_string();
        let command = match order {
            InBrowser::Open { launch, url, wait, timeout } => {
                let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                Command::Open { id: launch.to_string(), request: request.clone(), url, wait, timeout_ms }
            }
            InBrowser::DiscardContexts { launch } => {
                Command::DiscardContexts { id: launch.to_string(), request: request.clone() }
            }
        };
        if let Err(error) = self.command(command) {
            return Box::pin(async move { Err(error.to_string()) });
        }
        let (answer, answered) = oneshot::channel();
        self.requests.insert(request, answer);
        Box::pin(async { answered.await.unwrap_or_else(|_| Err("the driver is gone".to_owned())) })
    }
}
