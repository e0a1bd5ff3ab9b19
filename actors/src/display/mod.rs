//! The display actor: one X server with its VNC server, on one slot.

mod tools;
mod xauthority;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use tokio_util::codec::{FramedRead, LinesCodec};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::links::LinkBases;
use crate::parts::{Adopt, LaunchPart, PartBond};
use crate::process::{Os, OwnedProcess, Pipes, Program};
use crate::rundir::{LaunchDir, RunDir};
use crate::session::VncView;
use crate::slots::SlotLease;
pub use tools::{DisplayTools, Geometry, VncBackend};

/// How long an X server may take to end on SIGTERM; it needs milliseconds.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// X servers print little; a line longer than this is not one of theirs.
const LINE_LIMIT: usize = 1 << 16;

/// How displays are started.
#[derive(Debug, Clone)]
pub struct DisplaySettings {
    /// Which programs do it; `None` where they are missing, with the reason and remedy.
    pub tools: std::result::Result<DisplayTools, String>,
    /// Size and depth of the screen.
    pub geometry: Geometry,
    /// How long the programs may take until they are ready.
    pub startup_timeout: Duration,
    /// What the addresses of live views begin with.
    pub links: LinkBases,
    /// The environment that the programs start from.
    pub env: Vec<(String, String)>,
}

/// The processes and files of one display, taken down in the right order.
struct DisplayParts {
    os: Arc<dyn Os>,
    x_server: OwnedProcess,
    vnc_server: Option<OwnedProcess>,
    slot: Arc<SlotLease>,
    /// Tells the sweep of a later start which X server ran here.
    note: PathBuf,
}

impl DisplaySettings {
    /// How the live view on a slot is reached.
    pub(crate) fn view(&self, slot: &SlotLease) -> VncView {
        VncView {
            id: Some(slot.vnc_id),
            server: Some(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), slot.vnc_port)),
            links: self.links.links(slot.vnc_id),
        }
    }
}

impl DisplayParts {
    async fn come_up(&mut self, x_server: Pipes, vnc_program: Option<Program>) -> Result<()> {
        let failed = |error: io::Error| Error::DisplayFailed { detail: error.to_string() };
        let display = self.slot.display;
        fs::write(&self.note, format!("{}\n", self.x_server.pid())).map_err(failed)?;
        // `-displayfd 1`: the server prints its display number when it takes clients.
        first_line(&self.x_server, x_server, |line| line.trim() == display.to_string()).await?;
        if let Some(program) = vnc_program {
            let (vnc_server, pipes) = spawn(&self.os, &program, display).map_err(failed)?;
            let vnc_server = self.vnc_server.insert(vnc_server);
            first_line(vnc_server, pipes, |line| line.starts_with("PORT=")).await?;
        }
        Ok(())
    }

    async fn dismantle(self) {
        if let Some(vnc_server) = &self.vnc_server {
            vnc_server.stop(STOP_GRACE).await;
        }
        self.x_server.stop(STOP_GRACE).await;
        // A server that was killed could not do it itself.
        self.os.remove_display_files(self.slot.display, self.x_server.pid());
        if let Err(error) = fs::remove_file(&self.note)
            && error.kind() != io::ErrorKind::NotFound
        {
            log::warn!("could not remove {}: {error}", self.note.display());
        }
    }
}

/// One X server and its VNC server.
pub struct Display {
    bond: PartBond,
    /// `None` from the moment it is being taken down.
    parts: Option<DisplayParts>,
}

/// Everything a display needs besides its settings.
pub(crate) struct DisplayRequest<'a> {
    pub os: &'a Arc<dyn Os>,
    pub run_dir: &'a RunDir,
    pub dir: &'a LaunchDir,
    pub slot: Arc<SlotLease>,
    pub bond: PartBond,
    pub cancel: &'a CancellationToken,
}

impl Display {
    /// Starts the programs and waits until they say that they are ready. Dropped halfway, it leaves nothing.
    ///
    /// # Errors
    /// [`Error::NoVncTooling`], [`Error::DisplayFailed`] with what the program printed, [`Error::LaunchTimedOut`],
    /// [`Error::Cancelled`]; nothing is left of it then.
    pub(crate) async fn start_ready(
        settings: &DisplaySettings,
        request: DisplayRequest<'_>,
    ) -> Result<Addr<Self>> {
        let DisplayRequest { os, run_dir, dir, slot, bond, cancel } = request;
        let tools =
            settings.tools.as_ref().map_err(|remedy| Error::NoVncTooling { remedy: remedy.clone() })?;
        let failed = |error: io::Error| Error::DisplayFailed { detail: error.to_string() };
        let authority = xauthority::write(&authority_file(dir)).map_err(failed)?;
        let mut env = settings.env.clone();
        env.push(run_dir.mark());
        let program = tools.x_server(&slot, settings.geometry, &authority, env.clone());
        let vnc_program = tools.vnc_server(&slot, &authority, env);
        let note = run_dir.path().join(format!("display-{}", slot.display));
        let (x_server, pipes) = spawn(os, &program, slot.display).map_err(failed)?;
        let parts = DisplayParts { os: Arc::clone(os), x_server, vnc_server: None, slot, note };
        // From here on its drop cleans up, too.
        let mut display = Self { bond, parts: Some(parts) };
        let Some(parts) = &mut display.parts else { return Err(Error::Cancelled) };
        let limit = settings.startup_timeout;
        let up = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Error::Cancelled),
            up = parts.come_up(pipes, vnc_program) => up,
            () = tokio::time::sleep(limit) => {
                Err(Error::LaunchTimedOut { what: "display", limit, setting: "RUNNER_VNC_STARTUP_TIMEOUT_SECONDS" })
            }
        };
        match up {
            Ok(()) => Ok(Actor::start(display)),
            Err(error) => {
                if let Some(parts) = display.parts.take() {
                    parts.dismantle().await;
                }
                Err(error)
            }
        }
    }

    fn take_down(&mut self, ctx: &mut Context<Self>) {
        if let Some(parts) = self.parts.take() {
            ctx.spawn(parts.dismantle().into_actor(self).map(|(), _, ctx| ctx.stop()));
        }
    }
}

/// Where the key to a launch's display lies; its browser is told by `XAUTHORITY`.
pub(crate) fn authority_file(dir: &LaunchDir) -> PathBuf {
    dir.path().join("Xauthority")
}

fn spawn(os: &Arc<dyn Os>, program: &Program, display: u16) -> io::Result<(OwnedProcess, Pipes)> {
    let name = program.path.file_name().unwrap_or_default().to_string_lossy();
    OwnedProcess::spawn(Arc::clone(os), format!("{name} :{display}"), program)
}

/// Waits for the line that says "ready"; the program's end before it is an error with its last words. Both
/// outputs are read on afterwards, so that the program never blocks on a full pipe.
async fn first_line(process: &OwnedProcess, pipes: Pipes, is_ready: impl Fn(&str) -> bool) -> Result<()> {
    let Pipes { stdin: _, stdout, stderr } = pipes;
    let mut output = FramedRead::new(stdout, LinesCodec::new_with_max_length(LINE_LIMIT));
    let mut complaints = FramedRead::new(stderr, LinesCodec::new_with_max_length(LINE_LIMIT));
    let mut last_words = String::new();
    let ended = process.ended();
    tokio::pin!(ended);
    let ready = loop {
        tokio::select! {
            Some(Ok(line)) = output.next() => if is_ready(&line) { break Ok(()) },
            Some(Ok(line)) = complaints.next() => if !line.trim().is_empty() { last_words = line },
            end = &mut ended => {
                while let Some(Ok(line)) = complaints.next().await {
                    if !line.trim().is_empty() {
                        last_words = line;
                    }
                }
                break Err(Error::DisplayFailed { detail: format!("{end}: {}", last_words.trim()) });
            }
        }
    };
    if ready.is_ok() {
        let pid = process.pid();
        actix_rt::spawn(async move {
            let output = output.for_each(|_| std::future::ready(()));
            let complaints = complaints.for_each(|line| {
                if let Ok(line) = line {
                    log::trace!("display process {pid}: {line}");
                }
                std::future::ready(())
            });
            futures_util::future::join(output, complaints).await;
        });
    }
    ready
}

impl Actor for Display {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let Some(parts) = &self.parts else { return };
        let x_server = parts.x_server.ended();
        let vnc_server = parts.vnc_server.as_ref().map(OwnedProcess::ended);
        let ended = async move {
            match vnc_server {
                None => ("X server", x_server.await),
                Some(vnc_server) => {
                    tokio::pin!(x_server, vnc_server);
                    match select(x_server, vnc_server).await {
                        Either::Left((end, _)) => ("X server", end),
                        Either::Right((end, _)) => ("VNC server", end),
                    }
                }
            }
        };
        ctx.spawn(ended.into_actor(self).map(|(what, end), this, ctx| {
            // While it is being closed the end is wanted.
            if this.parts.is_some() {
                this.bond.lose(LaunchPart::Display, format!("the {what} ended: {end}"));
                this.take_down(ctx);
            }
        }));
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take() {
            finish_later(parts.dismantle());
        }
    }
}

/// Takes the display down. Its actor stops, and this request fails with its mailbox, when processes, files and slot
/// are released.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CloseDisplay;

impl Handler<CloseDisplay> for Display {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: CloseDisplay, ctx: &mut Context<Self>) -> Self::Result {
        self.take_down(ctx);
        Box::pin(std::future::pending().into_actor(self))
    }
}

impl Handler<Adopt> for Display {
    type Result = ();

    fn handle(&mut self, Adopt(parent): Adopt, ctx: &mut Context<Self>) {
        self.bond.reassign(parent);
        // The kernel tells of a death only after it has cleaned up.
        let dead = |parts: &DisplayParts| {
            let servers = std::iter::once(&parts.x_server).chain(&parts.vnc_server);
            servers.into_iter().any(|server| !parts.os.is_running(server.pid()))
        };
        if self.parts.as_ref().is_some_and(dead) {
            self.bond.lose(LaunchPart::Display, "the X server is dead".to_owned());
            self.take_down(ctx);
        }
    }
}

/// Lets a clean-up outlive the actor that drops it. Without a runtime the process itself is ending, and the kernel
/// and the next start's sweep take over.
pub(crate) fn finish_later(cleanup: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(cleanup);
    }
}
