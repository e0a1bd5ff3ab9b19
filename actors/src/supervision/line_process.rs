//! A child process that exchanges JSON lines with its actor: started, polled, and killed when it hangs, in the same way for
//! drivers and for the identity maker.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix::fut::{ActorStreamExt, wrap_stream};
use actix::prelude::*;
use futures_util::StreamExt;
use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, watch};
use tokio_util::codec::FramedRead;

use super::pulse::{Beat, Pulse, PulseSettings};
use crate::process::{Line, Lines, Os, OwnedProcess, Pipes, ProcessEnd, Program};

/// The longest line such a process may write, in bytes; a Playwright error with its call log is far shorter.
pub(crate) const LINE_LIMIT: usize = 1 << 20;
/// How many commands may wait to be written. These processes read their input even while they work, so this fills only if one
/// has stopped reading; further commands are refused then.
const COMMAND_QUEUE: usize = 256;
/// How long a process may take until it greets: it has to load its libraries, perhaps on a busy machine.
const STARTUP_PATIENCE: Duration = Duration::from_secs(60);

/// An actor that owns such a process.
pub(crate) trait SpeaksLines: Actor<Context = Context<Self>> {
    /// What is written to the process, one JSON object a line.
    type Command: Serialize + 'static;

    /// The command that only has to be answered.
    const POLL: Self::Command;

    /// Its process.
    fn process(&mut self) -> &mut LineProcess<Self::Command>;

    /// Handles a line of its standard output.
    fn on_line(&mut self, line: &str, ctx: &mut Context<Self>);

    /// Handles the beginning of a line that was longer than [`LINE_LIMIT`], and skipped.
    fn on_long_line(&mut self, start: &str, ctx: &mut Context<Self>);

    /// Handles the end of the process, or that it hangs. It has to stop the actor, which kills what is left.
    fn on_lost(&mut self, detail: &str, ctx: &mut Context<Self>);
}

/// One process, and whether it answers.
pub(crate) struct LineProcess<C> {
    name: String,
    owned: Option<OwnedProcess>,
    /// Closing this queue closes the process' standard input, on which it exits.
    commands: Option<mpsc::Sender<C>>,
    greeted: bool,
    pulse: Pulse,
    pulse_settings: PulseSettings,
    answering: watch::Sender<bool>,
}

/// Why a command could not be queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotSent {
    /// The process has ended, or is ending.
    Ended,
    /// It has stopped reading.
    Full,
}

impl<C: Serialize + 'static> LineProcess<C> {
    /// A process that is not started yet. `name` identifies it in logs and errors.
    pub fn new(name: String, pulse: PulseSettings) -> (Self, watch::Receiver<bool>) {
        let (answering, seen) = watch::channel(true);
        // Until it greets.
        let starting = PulseSettings { silence: pulse.silence.max(STARTUP_PATIENCE), ..pulse };
        let process = Self {
            name,
            owned: None,
            commands: None,
            greeted: false,
            pulse: Pulse::new(starting),
            pulse_settings: pulse,
            answering,
        };
        (process, seen)
    }

    /// Starts the process, for the actor that owns this.
    ///
    /// # Errors
    /// The system's error if it could not be started.
    pub fn start<A: SpeaksLines<Command = C>>(
        actor: &mut A,
        os: Arc<dyn Os>,
        program: &Program,
        ctx: &mut Context<A>,
    ) -> io::Result<()> {
        let this = actor.process();
        let name = this.name.clone();
        let (owned, Pipes { mut stdin, stdout, stderr }) = OwnedProcess::spawn(os, name.clone(), program)?;
        let (commands, mut queue) = mpsc::channel::<C>(COMMAND_QUEUE);
        this.commands = Some(commands);
        let mut errors = FramedRead::new(stderr, Lines::up_to(LINE_LIMIT));
        let log_stderr = async move {
            while let Some(Ok(line)) = errors.next().await {
                match line {
                    Line::Whole(line) => log::debug!("{name}: {line}"),
                    Line::TooLong(start) => log::debug!("{name}: {start} …"),
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
        let lines = wrap_stream::<_, A>(FramedRead::new(stdout, Lines::up_to(LINE_LIMIT)));
        // The end of the output does not stop the actor: the end of the process does.
        ctx.spawn(lines.map(|line, actor, ctx| received(actor, line, ctx)).finish());
        ctx.spawn(actix::fut::wrap_future::<_, A>(log_stderr));
        ctx.spawn(actix::fut::wrap_future::<_, A>(write_commands));
        let ended = actix::fut::wrap_future::<_, A>(owned.ended());
        ctx.spawn(ended.map(|end: ProcessEnd, actor: &mut A, ctx| actor.on_lost(&end.to_string(), ctx)));
        ctx.run_interval(this.pulse_settings.interval, poll);
        this.owned = Some(owned);
        Ok(())
    }

    /// Queues a command.
    ///
    /// # Errors
    /// The process has ended or does not read.
    pub fn send(&self, command: C) -> Result<(), NotSent> {
        let commands = self.commands.as_ref().ok_or(NotSent::Ended)?;
        commands.try_send(command).map_err(|_| NotSent::Full)
    }

    /// Records that it has loaded its libraries: from now on it has to answer as soon as its settings say.
    pub fn on_greeting(&mut self) {
        self.greeted = true;
        self.pulse = Pulse::new(self.pulse_settings);
    }

    /// Whether it has greeted.
    pub fn has_greeted(&self) -> bool {
        self.greeted
    }

    /// Records whether it answers.
    pub fn set_answering(&self, now: bool) {
        let changed = self.answering.send_if_modified(|answering| std::mem::replace(answering, now) != now);
        if changed {
            let how = if now { "answers again" } else { "does not answer and is given nothing new to do" };
            log::warn!("{} {how}", self.name);
        }
    }

    /// Closes its standard input. Returns whether that was open.
    pub fn close_input(&mut self) -> bool {
        self.commands.take().is_some()
    }

    /// Ends it with SIGTERM, and with SIGKILL after `grace`; resolves when its group no longer exists.
    pub fn stop(&self, grace: Duration) -> Option<impl Future<Output = ProcessEnd> + use<C>> {
        self.owned.as_ref().map(|owned| owned.stop(grace))
    }
}

/// Handles a line of the standard output: whatever it is, it answers a poll.
fn received<A: SpeaksLines>(actor: &mut A, line: io::Result<Line>, ctx: &mut Context<A>) {
    let process = actor.process();
    process.pulse.answered();
    process.set_answering(true);
    match line {
        Ok(Line::Whole(line)) => actor.on_line(&line, ctx),
        // A line answers one request, so only that one fails.
        Ok(Line::TooLong(start)) => {
            let name = &process.name;
            log::warn!("{name} wrote a line of more than {LINE_LIMIT} bytes, which is skipped: {start:.200}");
            actor.on_long_line(&start, ctx);
        }
        // The end of the process is reported separately.
        Err(error) => log::warn!("the output of {} can't be read: {error}", process.name),
    }
}

/// Polls the process. One that hangs is lost, because everything that waits for it hangs with it.
fn poll<A: SpeaksLines>(actor: &mut A, ctx: &mut Context<A>) {
    let process = actor.process();
    match process.pulse.tick() {
        // If the queue is full the process does not read, and will not answer either.
        Beat::Poll => drop(process.send(A::POLL)),
        // Before its greeting it counts as starting, not as unresponsive.
        Beat::Late => {
            if process.greeted {
                process.set_answering(false);
            }
        }
        Beat::Silent => {
            let silence = process.pulse.silence();
            log::error!("{} has not answered for {silence:?} and is killed", process.name);
            actor.on_lost(&format!("it did not answer for {silence:?}"), ctx);
        }
    }
}
