//! A process group with exactly one owner.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::{Os, ProcessEnd, ProcessId, Program, Signal};

/// How often a killed group is looked at until its last member is reaped.
const GROUP_POLL: Duration = Duration::from_millis(2);
/// How long a killed group may take to vanish before the wait is given up; the kernel needs milliseconds.
const GROUP_PATIENCE: Duration = Duration::from_secs(2);

/// One process group: always reaped, and killed when its owner is dropped.
pub struct OwnedProcess {
    os: Arc<dyn Os>,
    name: String,
    id: ProcessId,
    end: watch::Receiver<Option<ProcessEnd>>,
}

/// The pipes of a process, separate from its ownership.
pub struct Pipes {
    /// Writes to its standard input.
    pub stdin: Box<dyn AsyncWrite + Send + Unpin>,
    /// Reads its standard output.
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    /// Reads its standard error.
    pub stderr: Box<dyn AsyncRead + Send + Unpin>,
}

impl OwnedProcess {
    /// Starts a program and a task that reaps it. `name` is what logs call it.
    ///
    /// # Errors
    /// What the system said when it could not be started.
    pub fn spawn(os: Arc<dyn Os>, name: impl Into<String>, program: &Program) -> io::Result<(Self, Pipes)> {
        let spawned = os.spawn(program)?;
        let name = name.into();
        let (ended, end) = watch::channel(None);
        let exit = spawned.end;
        let label = name.clone();
        // Outlives the owner on purpose, until the process is reaped, and ends with it.
        actix_rt::spawn(async move {
            let end = exit.await.unwrap_or_else(|error| {
                log::warn!("could not wait for {label}: {error}");
                ProcessEnd::Exited(-1)
            });
            ended.send_replace(Some(end));
        });
        let pipes = Pipes { stdin: spawned.stdin, stdout: spawned.stdout, stderr: spawned.stderr };
        Ok((Self { os, name, id: spawned.id, end }, pipes))
    }

    /// Which process it is; its number is its group's too.
    pub fn id(&self) -> ProcessId {
        self.id
    }

    /// Resolves when the process has ended and is reaped; at once if it has already.
    pub fn ended(&self) -> impl Future<Output = ProcessEnd> + use<> {
        let mut end = self.end.clone();
        async move {
            let ended = end.wait_for(Option::is_some).await;
            // The sender goes only after it has sent, unless the runtime itself is shutting down.
            ended.ok().and_then(|end| *end).unwrap_or(ProcessEnd::Exited(-1))
        }
    }

    /// Ends the group and resolves when nothing of it is left: asks first, kills after `grace`.
    pub fn stop(&self, grace: Duration) -> impl Future<Output = ProcessEnd> + use<> {
        let (os, name, id) = (Arc::clone(&self.os), self.name.clone(), self.id);
        let running = self.end.borrow().is_none();
        let (asked, ended) = (self.ended(), self.ended());
        async move {
            if running && !grace.is_zero() {
                os.signal_group(id, Signal::Terminate);
                if tokio::time::timeout(grace, asked).await.is_err() {
                    let pid = id.pid;
                    log::warn!("{name} (pid {pid}) did not end on SIGTERM within {grace:?}; killing it");
                }
            }
            // The leader may be gone while children of it are not.
            os.signal_group(id, Signal::Kill);
            let end = ended.await;
            wait_group_gone(os.as_ref(), id).await;
            end
        }
    }
}

impl Drop for OwnedProcess {
    fn drop(&mut self) {
        if self.end.borrow().is_none() {
            self.os.signal_group(self.id, Signal::Kill);
        }
    }
}

/// Resolves when a killed process group has no member left, or after a patience of 2 s.
pub(crate) async fn wait_group_gone(os: &dyn Os, group: ProcessId) {
    let gone = async {
        while os.group_exists(group) {
            tokio::time::sleep(GROUP_POLL).await;
        }
    };
    if tokio::time::timeout(GROUP_PATIENCE, gone).await.is_err() {
        let group = group.pid;
        log::warn!("process group {group} still has members {GROUP_PATIENCE:?} after SIGKILL");
    }
}
