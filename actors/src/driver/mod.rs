//! The driver actor: one Node process that hosts several Playwright servers.
//!
//! Its process exchanges the lines of `protocol`. The actor that requests a launch gets its result, and the watcher
//! named in the request is notified when the browser ends, also when it ends with the driver.

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
use protocol::{Command, Event};
use tokio::sync::{oneshot, watch};

use crate::metrics::Metrics;
use crate::model::error::{Error, Result};
use crate::process::{Os, Program};
use crate::supervision::{
    ChildExited, Generation, Lifeline, LineProcess, NotSent, PulseSettings, SpeaksLines,
};

pub(crate) use handle::DriverSeat;
pub use handle::{DriverHandle, DriverVersions};
pub use messages::BrowserEnded;
pub(crate) use messages::{
    CancelLaunch, InBrowser, Launch, LaunchedBrowser, NotDone, StopDriver, SuspectHang,
};

/// The environment variable that marks the browsers of one driver, to find those whose process id it did not report.
pub(crate) const DRIVER_MARK: &str = "CAMOFLEET_DRIVER";
/// The script's name in [`DriverSettings::directory`].
pub const SCRIPT: &str = "driver.mjs";
/// How long to wait for the driver's answer after the request's own timeout has passed.
const ANSWER_MARGIN: Duration = Duration::from_secs(15);
/// How long discarding a browser's contexts may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long reading or replacing a browser's cookies may take.
const COOKIES_TIMEOUT: Duration = Duration::from_secs(20);

/// How the Node process is started.
#[derive(Debug, Clone)]
pub struct DriverSettings {
    /// The Node executable.
    pub node: PathBuf,
    /// The directory of `driver.mjs` and its `node_modules`.
    pub directory: PathBuf,
    /// How many browsers one process hosts before another is started.
    pub sessions_per_driver: usize,
    /// The environment of the driver, which its browsers inherit.
    pub env: Vec<(String, String)>,
    /// How often its process is polled, and how long it may take to answer.
    pub pulse: PulseSettings,
}

/// The name of the setting that limits how long a launch may take.
pub(crate) const LAUNCH_TIMEOUT_SETTING: &str = "RUNNER_LAUNCH_TIMEOUT_SECONDS";

/// Identifies a driver within its worker.
pub type DriverId = u64;

/// One Node process.
pub struct Driver {
    lifeline: Lifeline<DriverId>,
    os: Arc<dyn Os>,
    mark: (String, String),
    program: Program,
    /// When its standard input is closed, it ends its browsers and exits.
    process: LineProcess<Command>,
    versions: watch::Sender<Option<DriverVersions>>,
    metrics: Metrics,
    launching: HashMap<u64, Launching>,
    running: HashMap<u64, Recipient<BrowserEnded>>,
    /// Dropped when nothing is left of a cancelled launch.
    cancelled: HashMap<u64, oneshot::Sender<()>>,
    requests: HashMap<String, oneshot::Sender<std::result::Result<(), NotDone>>>,
    last_request: u64,
}

struct Launching {
    /// How long it may take.
    limit: Duration,
    answer: oneshot::Sender<Result<LaunchedBrowser>>,
    watcher: Recipient<BrowserEnded>,
}

impl Driver {
    /// Starts the actor and its Node process. If the process can't be started, the actor fails.
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
        let (process, seen_answering) = LineProcess::new(format!("driver {id}"), settings.pulse);
        let driver = Self {
            lifeline: Lifeline::new(parent, id, generation),
            os,
            mark: mark.clone(),
            program: Program { path: settings.node, args: vec![script], env, max_open_files: None },
            process,
            versions,
            metrics,
            launching: HashMap::new(),
            running: HashMap::new(),
            cancelled: HashMap::new(),
            requests: HashMap::new(),
            last_request: 0,
        };
        DriverHandle::new(Actor::start(driver), mark, seen_versions, seen_answering)
    }

    /// Fails the request or launch that an unreadable line was the answer to.
    fn on_unreadable(&mut self, line: &str) {
        self.metrics.driver_line_unreadable();
        let salvaged = protocol::salvage(line);
        let detail = "its driver's answer could not be read";
        if let Some(answer) = salvaged.request.as_ref().and_then(|request| self.requests.remove(request)) {
            let _ = answer.send(Err(NotDone::Failed(detail.to_owned())));
            return;
        }
        let Some(id) = salvaged.id else { return };
        if salvaged.exited {
            return self.on_event(Event::Exited { id, code: None, signal: None, reason: None });
        }
        if let Some(launch) = launch_number(&id)
            && self.launching.contains_key(&launch)
        {
            // The line may have reported that the browser is ready.
            let _ = self.send_command(Command::Close { id: id.clone(), patience_ms: None });
            self.on_event(Event::LaunchFailed { id, error: detail.to_owned(), timed_out: false });
        }
    }

    /// Kills the browsers and fails everything that waits for an answer; does nothing the second time.
    fn kill_browsers(&mut self, detail: &str) {
        if !self.process.close_input() {
            return;
        }
        // Also those that were being launched and whose process ids are not known yet.
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

    /// Queues a command for the process.
    ///
    /// # Errors
    /// The process has ended or does not read.
    fn send_command(&self, command: Command) -> Result<()> {
        let refused = |detail: &str| Error::DriverLost { detail: detail.to_owned() };
        self.process.send(command).map_err(|not_sent| match not_sent {
            NotSent::Ended => refused("its driver has ended"),
            NotSent::Full => refused("its driver has stopped reading commands"),
        })
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Hello { playwright, node } => {
                log::info!("driver {} is up: playwright {playwright}, node {node}", self.lifeline.key());
                self.versions.send_replace(Some(DriverVersions { playwright, node }));
                self.process.on_greeting();
            }
            Event::Ready { id, endpoint, pid, browser_version } => {
                let browser = LaunchedBrowser { endpoint, pid, version: browser_version };
                let wanted = launch_number(&id).is_some_and(|launch| {
                    let Some(launching) = self.launching.remove(&launch) else { return false };
                    self.running.insert(launch, launching.watcher);
                    launching.answer.send(Ok(browser)).is_ok()
                });
                if !wanted {
                    // The requester has given up, so nothing else would ever close this browser.
                    let _ = self.send_command(Command::Close { id, patience_ms: None });
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
                            last_output: error,
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
            Event::Done { request, error, refused } => {
                if let Some(answer) = self.requests.remove(&request) {
                    let kind = if refused { NotDone::Refused } else { NotDone::Failed };
                    let _ = answer.send(error.map_or(Ok(()), |error| Err(kind(error))));
                }
            }
            // Every line counts as an answer to the poll, in the stream handler.
            Event::Pong => {}
            Event::Invalid { error, id, request } => {
                log::error!("driver {} did not understand a command: {error}", self.lifeline.key());
                if let Some(request) = request {
                    return self.on_event(Event::Done { request, error: Some(error), refused: false });
                }
                if let Some(id) = id {
                    self.on_event(Event::LaunchFailed { id, error, timed_out: false });
                }
            }
        }
    }
}

/// A time limit as the protocol has it.
fn milliseconds(limit: Duration) -> u64 {
    u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)
}

/// The launch number in a driver's id: camofleet assigns the ids, and the driver sends them back.
fn launch_number(id: &str) -> Option<u64> {
    id.parse().ok()
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.kill_browsers("its actor ended");
    }
}

impl Actor for Driver {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let id = *self.lifeline.key();
        let (os, program) = (Arc::clone(&self.os), self.program.clone());
        if let Err(error) = LineProcess::start(self, os, &program, ctx) {
            self.lifeline.fail(format!("driver {id}: could not start {}: {error}", program.path.display()));
            ctx.stop();
        }
    }
}

impl SpeaksLines for Driver {
    type Command = Command;

    const POLL: Command = Command::Ping;

    fn process(&mut self) -> &mut LineProcess<Command> {
        &mut self.process
    }

    fn on_line(&mut self, line: &str, _: &mut Context<Self>) {
        match serde_json::from_str(line) {
            Ok(event) => self.on_event(event),
            Err(error) => {
                let id = self.lifeline.key();
                log::warn!("driver {id} wrote a line that is no event ({error}): {line:.200}");
                self.on_unreadable(line);
            }
        }
    }

    fn on_long_line(&mut self, start: &str, _: &mut Context<Self>) {
        self.on_unreadable(start);
    }

    fn on_lost(&mut self, detail: &str, ctx: &mut Context<Self>) {
        self.lifeline.fail(format!("driver {} ended: {detail}", self.lifeline.key()));
        self.kill_browsers(detail);
        // A process that is still running is killed when it is dropped with the actor.
        ctx.stop();
    }
}

impl Handler<Launch> for Driver {
    type Result = ();

    fn handle(&mut self, request: Launch, _: &mut Context<Self>) {
        let Launch { launch, options, watcher, answer } = request;
        let limit = Duration::from_millis(options.timeout_ms);
        match self.send_command(Command::Launch { id: launch.to_string(), options }) {
            Ok(()) => {
                self.launching.insert(launch, Launching { limit, answer, watcher });
            }
            Err(error) => {
                // The requester may have given up already.
                let _ = answer.send(Err(error));
            }
        }
    }
}

/// How long a driver may take to exit after its input was closed.
const STOP_GRACE: Duration = Duration::from_millis(500);

impl Handler<StopDriver> for Driver {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: StopDriver, _: &mut Context<Self>) -> Self::Result {
        self.kill_browsers("it was stopped");
        let stop = self.process.stop(STOP_GRACE);
        Box::pin(async move {
            if let Some(stop) = stop {
                stop.await;
            }
        })
    }
}

impl Handler<CancelLaunch> for Driver {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, request: CancelLaunch, _: &mut Context<Self>) -> Self::Result {
        let CancelLaunch { launch, patience } = request;
        let (cancelled, gone) = oneshot::channel();
        let known = self.launching.contains_key(&launch) || self.running.contains_key(&launch);
        // A driver that accepts no more commands is about to end, and its browsers with it.
        let close = Command::Close { id: launch.to_string(), patience_ms: patience.map(milliseconds) };
        if known && self.send_command(close).is_ok() {
            self.cancelled.insert(launch, cancelled);
        }
        Box::pin(async {
            let _ = gone.await;
        })
    }
}

impl Handler<InBrowser> for Driver {
    type Result = ResponseFuture<std::result::Result<(), NotDone>>;

    fn handle(&mut self, request: InBrowser, ctx: &mut Context<Self>) -> Self::Result {
        self.last_request += 1;
        let number = self.last_request.to_string();
        let (command, limit) = match request {
            InBrowser::Open { launch, url, wait, timeout } => {
                let (id, request, timeout_ms) = (launch.to_string(), number.clone(), milliseconds(timeout));
                (Command::Open { id, request, url, wait, timeout_ms }, timeout)
            }
            InBrowser::DiscardContexts { launch } => {
                let (id, request) = (launch.to_string(), number.clone());
                (Command::DiscardContexts { id, request }, DISCARD_TIMEOUT)
            }
            InBrowser::ReadCookies { launch, file } => {
                let (id, request, file) = (launch.to_string(), number.clone(), file.display().to_string());
                (Command::ReadCookies { id, request, file }, COOKIES_TIMEOUT)
            }
            InBrowser::WriteCookies { launch, file } => {
                let (id, request, file) = (launch.to_string(), number.clone(), file.display().to_string());
                (Command::WriteCookies { id, request, file }, COOKIES_TIMEOUT)
            }
            InBrowser::Check { launch, timeout } => {
                let (id, request, timeout_ms) = (launch.to_string(), number.clone(), milliseconds(timeout));
                (Command::Check { id, request, timeout_ms }, timeout)
            }
        };
        if let Err(error) = self.send_command(command) {
            return Box::pin(async move { Err(NotDone::Failed(error.to_string())) });
        }
        let (answer, answered) = oneshot::channel();
        self.requests.insert(number.clone(), answer);
        ctx.run_later(limit + ANSWER_MARGIN, move |this, _| {
            if let Some(answer) = this.requests.remove(&number) {
                let _ = answer.send(Err(NotDone::Failed("its driver did not answer".to_owned())));
            }
        });
        Box::pin(async {
            answered.await.unwrap_or_else(|_| Err(NotDone::Failed("its driver has ended".to_owned())))
        })
    }
}

impl Handler<SuspectHang> for Driver {
    type Result = ();

    fn handle(&mut self, _: SuspectHang, _: &mut Context<Self>) {
        if self.process.has_greeted() && self.send_command(Command::Ping).is_ok() {
            self.process.set_answering(false);
        }
    }
}
