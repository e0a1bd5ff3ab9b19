//! A process group with exactly one owner.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::{Os, ProcessEnd, ProcessId, Program, Signal};

/// How often a killed group is polled until its last member is reaped.
const GROUP_POLL: Duration = Duration::from_millis(2);
/// How long to wait for a killed group to disappear; the kernel needs milliseconds.
const GROUP_TIMEOUT: Duration = Duration::from_secs(2);

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
    /// Starts a program and a task that reaps it. `name` identifies it in the logs.
    ///
    /// # Errors
    /// The system's error if it could not be started.
    pub fn spawn(os: Arc<dyn Os>, name: impl Into<String>, program: &Program) -> io::Result<(Self, Pipes)> {
        let spawned = os.spawn(program)?;
        let name = name.into();
        let (ended, end) = watch::channel(None);
        let exit = spawned.end;
        let label = name.clone();
        // Outlives the owner on purpose: it ends when the process is reaped.
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

    /// The process; its id is also that of its group.
    pub fn id(&self) -> ProcessId {
        self.id
    }

    /// Resolves when the process has ended and was reaped; immediately if that has happened already.
    pub fn ended(&self) -> impl Future<Output = ProcessEnd> + use<> {
        let mut end = self.end.clone();
        async move {
            let ended = end.wait_for(Option::is_some).await;
            // The sender is dropped only after it has sent, unless the runtime is shutting down.
            ended.ok().and_then(|end| *end).unwrap_or(ProcessEnd::Exited(-1))
        }
    }

    /// Ends the group with SIGTERM, and with SIGKILL after `grace`; resolves when the group no longer exists.
    pub fn stop(&self, grace: Duration) -> impl Future<Output = ProcessEnd> + use<> {
        let (os, name, id) = (Arc::clone(&self.os), self.name.clone(), self.id);
        let running = self.end.borrow().is_none();
        let (terminated, ended) = (self.ended(), self.ended());
        async move {
            if running && !grace.is_zero() {
                os.signal_group(id, Signal::Terminate);
                if tokio::time::timeout(grace, terminated).await.is_err() {
                    let pid = id.pid;
                    log::warn!("{name} (pid {pid}) did not end on SIGTERM within {grace:?}; killing it");
                }
            }
            // The leader may have ended while its children have not.
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

/// Resolves when a killed process group has no members left, or after [`GROUP_TIMEOUT`].
pub(crate) async fn wait_group_gone(os: &dyn Os, group: ProcessId) {
    let gone = async {
        while os.group_exists(group) {
            tokio::time::sleep(GROUP_POLL).await;
        }
    };
    if tokio::time::timeout(GROUP_TIMEOUT, gone).await.is_err() {
        let group = group.pid;
        log::warn!("process group {group} still has members {GROUP_TIMEOUT:?} after SIGKILL");
    }
}
