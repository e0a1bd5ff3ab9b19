//! The reaping of orphans: grandchildren whose own parent is gone.
//!
//! A killed browser leaves content processes, a crash helper, a whole tree. Left to the system's first process they
//! stay zombies until it gets to them, which in a container without an init is never. camofleet takes them instead,
//! as the kernel's "child subreaper".

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};

/// How long a child of camofleet's own may stand before the orphans behind it in the kernel's list, until the task
/// that waits for it has had its turn.
const OWN_CHILD_PAUSE: Duration = Duration::from_millis(2);

/// The processes that somebody in camofleet waits for. Cloning shares the list.
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

/// Makes this process the parent of its orphaned descendants, and starts the task that reaps them. It must run on
/// the thread that spawns, so that no child is seen before it is known to be camofleet's own.
///
/// # Errors
/// The kernel knows no subreapers, or signals can't be received.
pub(super) fn start(own: OwnChildren) -> io::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)?;
    let mut child_ended = signal(SignalKind::child())?;
    // Runs as long as the process does.
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
                    // It is waitable, and nobody else waits for it. Its last traces, its entries below `/proc`, can
                    // take the kernel 20 ms that no actor should wait for.
                    let reap = move || waitpid(pid, Some(WaitPidFlag::WNOHANG));
                    if let Err(error) = tokio::task::spawn_blocking(reap).await {
                        return log::warn!("could not reap process {pid}: {error}");
                    }
                }
                None => return,
            },
            Err(errno) => return log::warn!("could not look for ended processes: {errno}"),
        }
    }
}
