//! Reaps orphans: descendants whose own parent has ended.
//!
//! A killed browser leaves content processes and a crash helper behind. Orphans are normally reaped by the process with
//! id 1, which in a container without an init never happens. So camofleet reaps them as the kernel's "child subreaper".

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};

/// How long to wait for the task that reaps a direct child: until then the kernel reports that child again, and not the
/// orphans after it.
const OWN_CHILD_PAUSE: Duration = Duration::from_millis(2);

/// camofleet's direct children, each of which a task of its own reaps. Clones share the list.
#[derive(Debug, Clone, Default)]
pub(super) struct OwnChildren(Arc<Mutex<HashSet<Pid>>>);

impl OwnChildren {
    pub fn insert(&self, pid: u32) {
        if let Ok(pid) = i32::try_from(pid) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(Pid::from_raw(pid));
        }
    }

    pub fn remove(&self, pid: u32) {
        if let Ok(pid) = i32::try_from(pid) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&Pid::from_raw(pid));
        }
    }

    fn contains(&self, pid: Pid) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&pid)
    }
}

/// Makes this process the parent of its orphaned descendants, and starts the task that reaps them. Must be called on
/// the thread that spawns, so that no direct child is mistaken for an orphan before it is registered.
///
/// # Errors
/// The kernel does not support subreapers, or signals can't be received.
pub(super) fn start(own: OwnChildren) -> io::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)?;
    let mut child_ended = signal(SignalKind::child())?;
    actix_rt::spawn(async move {
        while child_ended.recv().await.is_some() {
            reap_orphans(&own).await;
        }
    });
    Ok(())
}

async fn reap_orphans(own: &OwnChildren) {
    loop {
        match waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT) {
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return,
            Ok(status) => match status.pid() {
                Some(pid) if own.contains(pid) => tokio::time::sleep(OWN_CHILD_PAUSE).await,
                Some(pid) => {
                    // Reaping can block for 20 ms while the kernel removes the entries below `/proc`: not on the
                    // actors' thread.
                    let reap = move || waitpid(pid, Some(WaitPidFlag::WNOHANG));
                    if let Err(error) = tokio::task::spawn_blocking(reap).await {
                        return log::warn!("could not reap process {pid}: {error}");
                    }
                }
                None => return,
            },
            Err(errno) => return log::warn!("could not check for ended processes: {errno}"),
        }
    }
}
