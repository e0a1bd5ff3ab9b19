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
/// The longest line of output that is read whole; X servers print short ones.
const LINE_LIMIT: usize = 1 << 16;

/// The parameters of one screen.
pub(super) struct ScreenSpec {
    /// The X display's number.
    pub display: u16,
    /// The title that viewers see.
    pub name: String,
    pub geometry: Geometry,
    /// The file with the key that X clients need.
    pub authority: PathBuf,
    /// The socket of the VNC server, which only camofleet connects to.
    pub socket: PathBuf,
    /// The file with the password that viewers need; `None` if there is none.
    pub password_file: Option<PathBuf>,
    /// How often its servers are polled, and how long they may be silent.
    pub pulse: PulseSettings,
}

/// The processes and files of one screen, which are removed in the right order.
pub(super) struct DisplayParts {
    os: Arc<dyn Os>,
    /// Files that have to be removed if the X server was killed.
    files: DisplayFiles,
    x_server: OwnedProcess,
    vnc_server: Option<OwnedProcess>,
    servers: Servers,
    pulse: PulseSettings,
    /// Released after everything else.
    _slot: Option<Arc<SlotLease>>,
    /// The file that records the X server, for the sweep of a later start.
    record: PathBuf,
}

/// Servers that were started and are not ready yet.
pub(super) struct Starting {
    x_server: Pipes,
    vnc_program: Option<Program>,
}

impl DisplayParts {
    /// Starts the X server. [`Self::wait_until_ready`] does the rest: from here on, dropping it cleans up.
    pub fn start(
        os: &Arc<dyn Os>,
        tools: &DisplayTools,
        screen: &ScreenSpec,
        run_dir: &RunDir,
        mut env: Vec<(String, String)>,
        slot: Option<Arc<SlotLease>>,
    ) -> io::Result<(Self, Starting)> {
        env.push(run_dir.mark());
        let program = tools.x_server(screen, env.clone());
        let vnc_program = tools.vnc_server(screen, env);
        let record = run_dir.path().join(format!("display-{}", screen.display));
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
        let parts = Self { os, files, x_server, vnc_server: None, servers, pulse, _slot: slot, record };
        Ok((parts, Starting { x_server: pipes, vnc_program }))
    }

    /// Waits until everything is ready.
    ///
    /// # Errors
    /// [`Error::DisplayFailed`] with the last output of a program that ended.
    pub async fn wait_until_ready(&mut self, Starting { x_server, vnc_program }: Starting) -> Result<()> {
        let failed = |error: io::Error| Error::DisplayFailed { detail: error.to_string() };
        let display = self.files.display;
        self.write_record().map_err(failed)?;
        // With `-displayfd 1` the server prints its display number when it accepts clients.
        wait_for_ready_line(&self.x_server, x_server, |line| line.trim() == display.to_string()).await?;
        self.files.socket = self.os.display_socket(display);
        self.write_record().map_err(failed)?;
        if let Some(program) = vnc_program {
            let (vnc_server, pipes) = spawn(&self.os, &program, display).map_err(failed)?;
            let vnc_server = self.vnc_server.insert(vnc_server);
            wait_for_ready_line(vnc_server, pipes, |line| line.contains(X11VNC_READY)).await?;
        }
        Ok(())
    }

    fn write_record(&self) -> io::Result<()> {
        fs::write(&self.record, serde_json::to_string(&self.files)?)
    }

    /// Resolves with the reason when one of the servers has ended, or has not responded for too long.
    pub fn lost(&self) -> impl Future<Output = String> + use<> {
        let (ended, hung) = (self.ended(), self.servers.clone().hung(self.pulse));
        async move {
            tokio::select! {
                ended = ended => ended,
                hung = hung => hung,
            }
        }
    }

    /// Polls all servers: resolves when they have responded, and not while one of them hangs.
    pub fn poll(&self) -> impl Future<Output = io::Result<()>> + use<> {
        let servers = self.servers.clone();
        async move { servers.poll().await }
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

    /// Whether one of the servers is dead. This is known before [`Self::lost`] resolves, because the kernel reports the end
    /// of a process only after its cleanup.
    pub fn is_dead(&self) -> bool {
        let mut servers = std::iter::once(&self.x_server).chain(&self.vnc_server);
        servers.any(|server| !self.os.is_running(server.id()))
    }

    pub async fn dismantle(self) {
        if let Some(vnc_server) = &self.vnc_server {
            vnc_server.stop(STOP_GRACE).await;
        }
        self.x_server.stop(STOP_GRACE).await;
        // A server that was killed has not removed them.
        self.os.remove_display_files(&self.files);
        if let Err(error) = fs::remove_file(&self.record)
            && error.kind() != io::ErrorKind::NotFound
        {
            log::warn!("could not remove {}: {error}", self.record.display());
        }
    }
}

fn spawn(os: &Arc<dyn Os>, program: &Program, display: u16) -> io::Result<(OwnedProcess, Pipes)> {
    let name = program.path.file_name().unwrap_or_default().to_string_lossy();
    OwnedProcess::spawn(Arc::clone(os), format!("{name} :{display}"), program)
}

/// Waits until the program prints the line that means "ready" to either output. If it ends before, the error contains its
/// last output. Afterwards both outputs are read in the background, so that the program never blocks on a full pipe.
async fn wait_for_ready_line(
    process: &OwnedProcess,
    pipes: Pipes,
    is_ready: impl Fn(&str) -> bool,
) -> Result<()> {
    let Pipes { stdin: _, stdout, stderr } = pipes;
    let mut stdout = FramedRead::new(stdout, Lines::up_to(LINE_LIMIT));
    let mut stderr = FramedRead::new(stderr, Lines::up_to(LINE_LIMIT));
    let mut last_line = String::new();
    let ended = process.ended();
    tokio::pin!(ended);
    let ready = loop {
        tokio::select! {
            Some(Ok(line)) = stdout.next() => if is_ready(line.text()) { break Ok(()) },
            Some(Ok(line)) = stderr.next() => {
                let line = line.text();
                if is_ready(line) {
                    break Ok(());
                }
                if !line.trim().is_empty() {
                    last_line = line.to_owned();
                }
            }
            end = &mut ended => {
                while let Some(Ok(line)) = stderr.next().await {
                    if !line.text().trim().is_empty() {
                        last_line = line.text().to_owned();
                    }
                }
                break Err(Error::DisplayFailed { detail: format!("{end}: {}", last_line.trim()) });
            }
        }
    };
    if ready.is_ok() {
        let pid = process.id().pid;
        actix_rt::spawn(async move {
            let stdout = stdout.for_each(|_| std::future::ready(()));
            let stderr = stderr.for_each(|line| {
                if let Ok(line) = line {
                    log::trace!("display process {pid}: {}", line.text());
                }
                std::future::ready(())
            });
            futures_util::future::join(stdout, stderr).await;
        });
    }
    ready
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::SystemOs;

    #[actix::test]
    async fn long_and_binary_lines_do_not_hide_the_ready_line() {
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
        let ready = wait_for_ready_line(&process, pipes, |line| line.trim() == "7");
        tokio::time::timeout(Duration::from_secs(10), ready).await.unwrap().unwrap();
    }
}
