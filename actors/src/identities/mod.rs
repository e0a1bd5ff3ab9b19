//! The identity maker actor: one Python process with Camoufox' own library, which draws the machines that sessions show.
//!
//! It keeps a few machines of each kind that launches ask for, so that a launch does not wait. No machine is given out twice;
//! only a draw with a seed of the request's own is repeated.

mod access;
pub(crate) mod protocol;
mod stock;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use crate::model::machine::Machine;
use crate::process::{Os, Program};
use crate::supervision::{ChildExited, Generation, Lifeline, LineProcess, PulseSettings, SpeaksLines};
pub(crate) use access::Identities;
use protocol::{Command, Constraints, Event, SeededConstraints};
use stock::Stock;

/// The script's name in [`IdentitySettings::directory`].
pub const SCRIPT: &str = "maker.py";

/// How the Python process is started.
#[derive(Debug, Clone)]
pub struct IdentitySettings {
    /// The Python that has the library.
    pub python: PathBuf,
    /// The directory of `maker.py`.
    pub directory: PathBuf,
    /// Its environment.
    pub env: Vec<(String, String)>,
    /// How often its process is polled, and how long it may take to answer.
    pub pulse: PulseSettings,
}

/// The versions that the process reports when it has started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MakerVersions {
    /// The library's.
    pub library: String,
    /// Python's.
    pub python: String,
    /// The build that the library was released with.
    pub browser: Option<String>,
}

/// Identifies the identity maker to its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct IdentityMakerKey;

/// Why there is no machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotDrawn {
    /// No machine can be like that.
    Refused {
        /// The field of the create request.
        field: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The library could not draw it.
    Failed(String),
    /// The process has ended, hangs, or has too much to do.
    Lost(String),
}

/// Draws a machine, or takes one that was drawn ahead.
#[derive(Message)]
#[rtype(result = "Result<Arc<Machine>, NotDrawn>")]
pub(crate) struct Draw {
    /// What it has to be like.
    pub constraints: Constraints,
    /// The request's own seed: the same machine each time. `None`: one that nobody else gets.
    pub seed: Option<String>,
}

/// Ends the process; answered when it has ended. The parent removes the maker from its records first, so that it is not
/// restarted.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct StopIdentityMaker;

/// Who a draw was requested for.
enum Purpose {
    /// A launch that waits.
    Launch(oneshot::Sender<Result<Arc<Machine>, NotDrawn>>),
    /// The stock of machines under these constraints.
    Stock(Box<Constraints>),
}

/// One Python process.
pub(crate) struct IdentityMaker {
    lifeline: Lifeline<IdentityMakerKey>,
    os: Arc<dyn Os>,
    program: Program,
    process: LineProcess<Command>,
    access: Identities,
    stock: Stock,
    draws: HashMap<String, Purpose>,
    last_draw: u64,
}

/// The parent's handle of the identity maker.
pub(crate) struct IdentityMakerHandle {
    pub address: Addr<IdentityMaker>,
    /// Whether the process answers when it is polled.
    pub answering: watch::Receiver<bool>,
}

impl IdentityMaker {
    /// Starts the actor and its process. If the process can't be started, the actor fails.
    pub fn start(
        os: Arc<dyn Os>,
        settings: &IdentitySettings,
        run_mark: (String, String),
        access: Identities,
        parent: Recipient<ChildExited<IdentityMakerKey>>,
        generation: Generation,
    ) -> IdentityMakerHandle {
        let script = settings.directory.join(SCRIPT).display().to_string();
        let mut env = settings.env.clone();
        // Sets of texts have the same order in each run: the same seed has to be the same machine. Nothing is written beside
        // the program, and nothing of the user's own packages is imported.
        let fixed = [("PYTHONHASHSEED", "0"), ("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONNOUSERSITE", "1")];
        env.extend(fixed.map(|(name, value)| (name.to_owned(), value.to_owned())));
        env.push(run_mark);
        let (process, answering) = LineProcess::new("the identity maker".to_owned(), settings.pulse);
        let program =
            Program { path: settings.python.clone(), args: vec![script], env, max_open_files: None };
        let maker = Self {
            lifeline: Lifeline::new(parent, IdentityMakerKey, generation),
            os,
            program,
            process,
            access,
            stock: Stock::default(),
            draws: HashMap::new(),
            last_draw: 0,
        };
        IdentityMakerHandle { address: Actor::start(maker), answering }
    }

    fn request(&mut self, constraints: Constraints, seed: Option<String>, purpose: Purpose) {
        self.last_draw += 1;
        let request = self.last_draw.to_string();
        let seed = seed.unwrap_or_else(|| Uuid::new_v4().simple().to_string());
        let constraints = Box::new(SeededConstraints { seed, constraints });
        let sent = self.process.send(Command::Draw { request: request.clone(), constraints });
        match (sent, purpose) {
            (Ok(()), purpose) => drop(self.draws.insert(request, purpose)),
            (Err(_), Purpose::Launch(answer)) => {
                let _ = answer.send(Err(NotDrawn::Lost("it does not take any more requests".to_owned())));
            }
            (Err(_), Purpose::Stock(constraints)) => self.stock.give_up(&constraints),
        }
    }

    /// Draws as many machines ahead as the stock lacks.
    fn refill(&mut self, constraints: &Constraints) {
        for _ in 0..self.stock.order(constraints) {
            self.request(constraints.clone(), None, Purpose::Stock(Box::new(constraints.clone())));
        }
    }

    fn on_event(&mut self, event: Event, ctx: &mut Context<Self>) {
        let (request, drawn) = match event {
            Event::Hello { camoufox, python, browser } => {
                log::info!("the identity maker is up: camoufox {camoufox}, python {python}");
                self.process.on_greeting();
                let versions = MakerVersions { library: camoufox, python, browser };
                return self.access.open(ctx.address(), versions);
            }
            Event::Unusable { error } => return self.on_lost(&error, ctx),
            Event::Invalid { error } => {
                return log::error!("the identity maker did not understand a line: {error}");
            }
            // Every line counts as an answer to a poll.
            Event::Pong => return,
            Event::Drawn { request, machine } => (request, Ok(Arc::from(machine))),
            Event::Refused { request, field, reason } => (request, Err(NotDrawn::Refused { field, reason })),
            Event::Failed { request, error } => (request, Err(NotDrawn::Failed(error))),
        };
        match self.draws.remove(&request) {
            Some(Purpose::Launch(answer)) => {
                // A machine that nobody waits for any more is not used at all.
                let _ = answer.send(drawn);
            }
            Some(Purpose::Stock(constraints)) => match drawn {
                Ok(machine) => self.stock.add(&constraints, machine),
                // A launch will be told why.
                Err(_) => self.stock.give_up(&constraints),
            },
            None => {}
        }
    }

    /// Fails everything that waits; does nothing the second time.
    fn close(&mut self, detail: &str) {
        self.process.close_input();
        self.access.close();
        for (_, purpose) in self.draws.drain() {
            if let Purpose::Launch(answer) = purpose {
                let _ = answer.send(Err(NotDrawn::Lost(detail.to_owned())));
            }
        }
    }
}

impl Actor for IdentityMaker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let (os, program) = (Arc::clone(&self.os), self.program.clone());
        if let Err(error) = LineProcess::start(self, os, &program, ctx) {
            let path = program.path.display();
            self.lifeline.fail(format!(
                "the identity maker: could not start {path}: {error}; run 'camofleet setup camoufox'"
            ));
            self.access.fail(format!("{path} could not be started: {error}"));
            ctx.stop();
        }
    }
}

impl Drop for IdentityMaker {
    fn drop(&mut self) {
        self.close("its actor ended");
    }
}

impl SpeaksLines for IdentityMaker {
    type Command = Command;

    const POLL: Command = Command::Ping;

    fn process(&mut self) -> &mut LineProcess<Command> {
        &mut self.process
    }

    fn on_line(&mut self, line: &str, ctx: &mut Context<Self>) {
        match serde_json::from_str(line) {
            Ok(event) => self.on_event(event, ctx),
            // What it was the answer to can't be known.
            Err(error) => self.on_lost(&format!("it wrote a line that is no event: {error}"), ctx),
        }
    }

    fn on_long_line(&mut self, _: &str, ctx: &mut Context<Self>) {
        self.on_lost("it wrote a line that is too long", ctx);
    }

    fn on_lost(&mut self, detail: &str, ctx: &mut Context<Self>) {
        self.lifeline.fail(format!("the identity maker ended: {detail}"));
        self.access.fail(detail.to_owned());
        self.close(detail);
        // A process that is still running is killed when it is dropped with the actor.
        ctx.stop();
    }
}

impl Handler<Draw> for IdentityMaker {
    type Result = ResponseFuture<Result<Arc<Machine>, NotDrawn>>;

    fn handle(&mut self, Draw { constraints, seed }: Draw, _: &mut Context<Self>) -> Self::Result {
        let ready = if seed.is_none() { self.stock.take(&constraints) } else { None };
        let ahead = seed.is_none().then(|| constraints.clone());
        let (answer, drawn) = oneshot::channel();
        match ready {
            Some(machine) => drop(answer.send(Ok(machine))),
            None => self.request(constraints, seed, Purpose::Launch(answer)),
        }
        if let Some(constraints) = ahead {
            self.refill(&constraints);
        }
        Box::pin(async { drawn.await.unwrap_or_else(|_| Err(NotDrawn::Lost("it has ended".to_owned()))) })
    }
}

impl Handler<StopIdentityMaker> for IdentityMaker {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: StopIdentityMaker, _: &mut Context<Self>) -> Self::Result {
        self.close("it was stopped");
        // It has nothing to tidy up.
        let stop = self.process.stop(std::time::Duration::ZERO);
        Box::pin(async move {
            if let Some(stop) = stop {
                stop.await;
            }
        })
    }
}
