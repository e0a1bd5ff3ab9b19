//! The processes and files of one screen.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use tokio_util::codec::FramedRead;

use super::pulse::Servers;
use super::tools::{DisplayTools, Geometry, X11VNC_READY};
use crate::host::rundir::RunDir;
use crate::host::slots::SlotLease;
use crate::model::error::{Error, Result};
use crate::process::{DisplayFiles, Lines, Os, OwnedProcess, Pipes, Program};
use crate::supervision::PulseSettings;

/// How long an X server may take to end on SIGTERM; it needs milliseconds.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// X servers print little; a line longer than this is not one of theirs.
const LINE_LIMIT: usize = 1 << 16;

/// What is to be shown, and where its files lie.
pub(super) struct Screen {
    /// The X display's number.
    pub display: u16,
    /// What viewers see as its title.
    pub name: String,
    pub geometry: Geometry,
    /// The key without which nobody gets in.
    pub authority: PathBuf,
    /// Where the VNC server listens: for camofleet alone, which listens for viewers.
    pub socket: PathBuf,
    /// What viewers are asked for; `None`: nothing.
    pub password_file: Option<PathBuf>,
    /// How often its servers are polled, and how long they may be silent.
    pub pulse: PulseSettings,
}

/// The processes and files of one screen, taken down in the right order.
pub(super) struct DisplayParts {
    os: Arc<dyn Os>,
    /// What is to be removed when the X server could not.
    files: DisplayFiles,
    x_server: OwnedProcess,
    vnc_server: Option<OwnedProcess>,
    servers: Servers,
    pulse: PulseSettings,
    /// Goes back when everything else is gone.
    _slot: Option<Arc<SlotLease>>,
    /// Tells the sweep of a later start which X server ran here.
    note: PathBuf,
}

/// Servers that were started and have not said yet that they are ready.
pub(super) struct Starting {
    x_server: Pipes,
    vnc_program: Option<Program>,
}

impl DisplayParts {
    /// Starts the X server. The rest is for [`Self::come_up`]: from here on, what is dropped cleans up.
    pub fn start(
        os: &Arc<dyn Os>,
        tools: &DisplayTools,
        screen: &Screen,
        run_dir: &RunDir,
        mut env: Vec<(String, String)>,
        slot: Option<Arc<SlotLease>>,
    ) -> io::Result<(Self, Starting)> {
        env.push(run_dir.mark());
        let program = tools.x_server(screen, env.clone());
        let vnc_program = tools.vnc_server(screen, env);
        let note = run_dir.path().join(format!("display-{}", screen.display));
        let display = screen.display;
        let servers = Servers {
            os: Arc::clone(os),
            display,
            authority: screen.authority.clone(),
            vnc: vnc_program.as_ref().map(|_| screen.socket.clone()),
        };
        let (x_server, pipes) = spawn(os, &program, display)?;
        let files = DisplayFiles { display, server: x_server.id(), socket: None };
        let (os, pulse) = (Arc::clone(os), screen.pulse);
        let parts = Self { os, files, x_server, vnc_server: None, servers, pulse, _slot: slot, note };
        Ok((parts, Starting { x_server: pipes, vnc_program }))
    }

    /// Waits until everything is ready.
    ///
    /// # Errors
    /// [`Error::DisplayFailed`] with what a program printed before it ended.
    pub async fn come_up(&mut self, Starting { x_server, vnc_program }: Starting) -> Result<()> {
        let failed = |error: io::Error| Error::DisplayFailed { detail: error.to_string() };
        let display = self.files.display;
        self.write_note().map_err(failed)?;
        // `-displayfd 1`: the server prints its display number when it takes clients.
        ready_line(&self.x_server, x_server, |line| line.trim() == display.to_string()).await?;
        self.files.socket = self.os.display_socket(display);
        self.write_note().map_err(failed)?;
        if let Some(program) = vnc_program {
            let (vnc_server, pipes) = spawn(&self.os, &program, display).map_err(failed)?;
            let vnc_server = self.vnc_server.insert(vnc_server);
            ready_line(vnc_server, pipes, |line| line.contains(X11VNC_READY)).await?;
        }
        Ok(())
    }

    fn write_note(&self) -> io::Result<()> {
        fs::write(&self.note, serde_json::to_string(&self.files)?)
    }

    /// Resolves when one of the servers has ended, with how it did, or has not answered for too long.
    pub fn lost(&self) -> impl Future<Output = String> + use<> {
        let (ended, silent) = (self.ended(), self.servers.clone().silent(self.pulse));
        async move {
            tokio::select! {
                ended = ended => ended,
                silent = silent => silent,
            }
        }
    }

    /// Resolves when all servers have answered; never, when one of them hangs.
    pub fn answer(&self) -> impl Future<Output = io::Result<()>> + use<> {
        let servers = self.servers.clone();
        async move { servers.answer().await }
    }

    fn ended(&self) -> impl Future<Output = String> + use<> {
        let x_server = self.x_server.ended();
        let vnc_server = self.vnc_server.as_ref().map(OwnedProcess::ended);
        async move {
            let (what, end) = match vnc_server {
                None => ("X server", x_server.await),
                Some(vnc_server) => {
                    tokio::pin!(x_server, vnc_server);
                    match select(x_server, vnc_server).await {
                        Either::Left((end, _)) => ("X server", end),
                        Either::Right((end, _)) => ("VNC server", end),
                    }
                }
            };
            format!("the {what} ended: {end}")
        }
    }

    /// Whether one of the servers is dead. The kernel tells of a death only after it has cleaned up.
    pub fn is_dead(&self) -> bool {
        let mut servers = std::iter::once(&self.x_server).chain(&self.vnc_server);
        servers.any(|server| !self.os.is_running(server.id()))
    }

    pub async fn dismantle(self) {
        if let Some(vnc_server) = &self.vnc_server {
            vnc_server.stop(STOP_GRACE).await;
        }
        self.x_server.stop(STOP_GRACE).await;
        // A server that was killed could not do it itself.
        self.os.remove_display_files(&self.files);
        if let Err(error) = fs::remove_file(&self.note)
            && error.kind() != io::ErrorKind::NotFound
        {
            log::warn!("could not remove {}: {error}", self.note.display());
        }
    }
}

fn spawn(os: &Arc<dyn Os>, program: &Program, display: u16) -> io::Result<(OwnedProcess, Pipes)> {
    let name = program.path.file_name().unwrap_or_default().to_string_lossy();
    OwnedProcess::spawn(Arc::clone(os), format!("{name} :{display}"), program)
}

/// Waits for the line that says "ready", on either output; the program's end before it is an error with its last
/// words. Both outputs are read on afterwards, so that the program never blocks on a full pipe.
async fn ready_line(process: &OwnedProcess, pipes: Pipes, is_ready: impl Fn(&str) -> bool) -> Result<()> {
    let Pipes { stdin: _, stdout, stderr } = pipes;
    let mut output = FramedRead::new(stdout, Lines::up_to(LINE_LIMIT));
    let mut complaints = FramedRead::new(stderr, Lines::up_to(LINE_LIMIT));
    let mut last_words = String::new();
    let ended = process.ended();
    tokio::pin!(ended);
    let ready = loop {
        tokio::select! {
            Some(Ok(line)) = output.next() => if is_ready(line.text()) { break Ok(()) },
            Some(Ok(line)) = complaints.next() => {
                let line = line.text();
                if is_ready(line) {
                    break Ok(());
                }
                if !line.trim().is_empty() {
                    last_words = line.to_owned();
                }
            }
            end = &mut ended => {
                while let Some(Ok(line)) = complaints.next().await {
                    if !line.text().trim().is_empty() {
                        last_words = line.text().to_owned();
                    }
                }
                break Err(Error::DisplayFailed { detail: format!("{end}: {}", last_words.trim()) });
            }
        }
    };
    if ready.is_ok() {
        let pid = process.id().pid;
        actix_rt::spawn(async move {
            let output = output.for_each(|_| std::future::ready(()));
            let complaints = complaints.for_each(|line| {
                if let Ok(line) = line {
                    log::trace!("display process {pid}: {}", line.text());
                }
                std::future::ready(())
            });
            futures_util::future::join(output, complaints).await;
        });
    }
    ready
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::SystemOs;

    #[actix::test]
    async fn lines_that_are_too_long_or_no_text_do_not_hide_the_one_that_says_ready() {
        let script = r"head -c 200000 /dev/zero | tr '\0' x; printf '\n\377\n'; printf '\377\n' >&2
            echo 7; head -c 200000 /dev/zero; exec sleep 60";
        let program = Program {
            path: "/bin/sh".into(),
            args: vec!["-c".to_owned(), script.to_owned()],
            env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
            max_open_files: None,
        };
        let os: Arc<dyn Os> = Arc::new(SystemOs::new());
        let (process, pipes) = spawn(&os, &program, 7).unwrap();
        let ready = ready_line(&process, pipes, |line| line.trim() == "7");
        tokio::time::timeout(Duration::from_secs(10), ready).await.unwrap().unwrap();
    }
}
