//! The real operating system: Linux.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use futures_util::future::BoxFuture;
use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal as UnixSignal, kill, killpg};
use nix::unistd::{AccessFlags, Pid, access};
use tokio::process::Command;

use super::reaper::{self, OwnChildren};
use super::{Connection, Connections, Os, ProcessEnd, Program, Signal, Spawned};

/// Linux, by way of tokio's processes.
///
/// Programs must be spawned from a thread that lives as long as camofleet: the kernel's "parent died" signal
/// follows the thread that spawned, not the process.
#[derive(Debug, Default, Clone)]
pub struct SystemOs {
    own_children: OwnChildren,
}

impl SystemOs {
    /// The machine as it is. Orphans of what is spawned are left to the system.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with this process as the one that reaps orphans. For the thread that spawns, once.
    ///
    /// # Errors
    /// The kernel knows no subreapers, or signals can't be received.
    pub fn reaping() -> io::Result<Self> {
        let os = Self::default();
        reaper::start(os.own_children.clone())?;
        Ok(os)
    }
}

impl Os for SystemOs {
    fn spawn(&self, program: &Program) -> io::Result<Spawned> {
        let mut command = Command::new(&program.path);
        command
            .args(&program.args)
            .env_clear()
            .envs(program.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let parent = nix::unistd::getpid();
        let max_open_files = program.max_open_files;
        // SAFETY: between fork and exec only async-signal-safe calls are made (prctl, getppid, get/setrlimit), and
        // nothing is allocated on the paths that succeed.
        unsafe {
            command.pre_exec(move || {
                // SIGTERM, not SIGKILL: an X server removes its socket and lock file on it, the driver ends
                // its browsers.
                nix::sys::prctl::set_pdeathsig(UnixSignal::SIGTERM)?;
                if nix::unistd::getppid() != parent {
                    // camofleet died between fork and prctl: the signal would never come.
                    return Err(Errno::ESRCH.into());
                }
                if let Some(soft) = max_open_files {
                    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
                    setrlimit(Resource::RLIMIT_NOFILE, soft.min(hard), hard)?;
                }
                Ok(())
            });
        }
        let mut child = command.spawn()?;
        let (Some(pid), Some(stdin), Some(stdout), Some(stderr)) =
            (child.id(), child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("the process was started without its pipes"));
        };
        self.own_children.insert(pid);
        let own_children = self.own_children.clone();
        let end = Box::pin(async move {
            let status = child.wait().await;
            own_children.remove(pid);
            let status = status?;
            Ok(match (status.code(), status.signal()) {
                (Some(code), _) => ProcessEnd::Exited(code),
                (None, signal) => ProcessEnd::Signalled(signal.unwrap_or_default()),
            })
        });
        Ok(Spawned { pid, stdin: Box::new(stdin), stdout: Box::new(stdout), stderr: Box::new(stderr), end })
    }

    fn signal_group(&self, group: u32, signal: Signal) {
        let signal = match signal {
            Signal::Terminate => UnixSignal::SIGTERM,
            Signal::Kill => UnixSignal::SIGKILL,
        };
        let Some(group) = group_id(group) else { return };
        if let Err(error) = killpg(group, signal)
            && error != Errno::ESRCH
        {
            log::warn!("could not send {signal} to process group {group}: {error}");
        }
    }

    fn kill_leader(&self, group: u32) {
        let Some(leader) = group_id(group) else { return };
        if tokio::runtime::Handle::try_current().is_ok() {
            // Takes the kernel some milliseconds, which the actors' thread has not.
            tokio::task::spawn_blocking(move || kill_and_release(leader));
        } else {
            // The whole process is ending; nobody waits.
            kill_one(leader);
        }
    }

    fn group_exists(&self, group: u32) -> bool {
        group_id(group).is_some_and(|group| killpg(group, None) != Err(Errno::ESRCH))
    }

    fn is_running(&self, pid: u32) -> bool {
        fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| lives(&stat))
    }

    fn kill_marked(&self, name: &str, value: &str) {
        let marker = format!("{name}={value}").into_bytes();
        let own = nix::unistd::getpid();
        let Ok(processes) = fs::read_dir("/proc") else { return };
        for process in processes.flatten() {
            let Some(pid) = process.file_name().to_str().and_then(|pid| pid.parse().ok()).map(Pid::from_raw)
            else {
                continue;
            };
            // Another user's process can't be read, and is none of ours.
            let Ok(environment) = fs::read(process.path().join("environ")) else { continue };
            if pid != own && environment.split(|byte| *byte == 0).any(|entry| entry == marker) {
                // A process that is gone by now needs no signal.
                let _ = kill(pid, UnixSignal::SIGKILL);
            }
        }
    }

    fn port_is_free(&self, port: u16) -> bool {
        // The kernel refuses it where somebody listens on any one address.
        TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
    }

    fn listen(&self, address: SocketAddr) -> io::Result<Connections> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let connections = futures_util::stream::unfold(listener, |listener| async move {
            let accepted = listener.accept().await.and_then(|(connection, _)| {
                // Small pieces are key strokes here, and somebody waits for their effect.
                connection.set_nodelay(true)?;
                Ok(Box::new(connection) as Connection)
            });
            Some((accepted, listener))
        });
        Ok(Box::pin(connections))
    }

    fn connect(&self, socket: &Path) -> BoxFuture<'static, io::Result<Connection>> {
        let socket = socket.to_owned();
        Box::pin(async move {
            let connection = tokio::net::UnixStream::connect(socket).await?;
            Ok(Box::new(connection) as Connection)
        })
    }

    fn display_is_free(&self, display: u16) -> bool {
        let (lock, socket) = display_files(display);
        !answers(&socket) && lock_owner(&lock).is_none_or(|owner| !self.is_running(owner))
    }

    fn remove_display_files(&self, display: u16, pid: u32) {
        let (lock, socket) = display_files(display);
        // Servers that are started with `-displayfd` write no lock file, so the socket itself has to tell: somebody
        // else's answers.
        let stale = [
            (&socket, socket.exists() && !answers(&socket)),
            (&lock, lock_owner(&lock).is_some_and(|owner| owner == pid || !self.is_running(owner))),
        ];
        for (file, _) in stale.iter().filter(|(_, stale)| *stale) {
            if let Err(error) = fs::remove_file(file)
                && error.kind() != io::ErrorKind::NotFound
            {
                log::warn!("could not remove {}: {error}", file.display());
            }
        }
    }

    fn find_program(&self, program: &Path) -> Option<PathBuf> {
        let executable = |path: &PathBuf| path.is_file() && access(path, AccessFlags::X_OK).is_ok();
        if program.components().count() > 1 {
            return Some(program.to_owned()).filter(executable);
        }
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|directory| directory.join(program)).find(executable)
    }
}

/// Kills a process. One that is gone already is no error.
fn kill_one(process: Pid) {
    if let Err(error) = kill(process, UnixSignal::SIGKILL)
        && error != Errno::ESRCH
    {
        log::warn!("could not kill process {process}: {error}");
    }
}

/// Kills a process and helps it to give its memory back (process_mrelease(2), Linux 5.15): by itself it does so only
/// after its last thread has ended, and a browser's main process has some seventy. The help comes too late once they
/// have, a few milliseconds after the signal, so nothing stands between the two calls: a sixth of the time that a
/// delete takes.
///
/// Where the kernel can't, or the process is gone already, nothing is lost. It refuses for a process that is not dying,
/// so that an id that was given to another by now does no harm.
fn kill_and_release(leader: Pid) {
    // SAFETY: a system call that takes numbers only; the descriptor that it makes is nobody else's.
    let descriptor = unsafe {
        match i32::try_from(libc::syscall(libc::SYS_pidfd_open, leader.as_raw(), 0)) {
            Ok(descriptor @ 0..) => Some(OwnedFd::from_raw_fd(descriptor)),
            _ => None,
        }
    };
    kill_one(leader);
    if let Some(descriptor) = descriptor {
        // SAFETY: as above.
        unsafe { libc::syscall(libc::SYS_process_mrelease, descriptor.as_raw_fd(), 0) };
    }
}

/// Process group 0 would be camofleet's own and 1 is the system's first process: never signalled.
fn group_id(group: u32) -> Option<Pid> {
    i32::try_from(group).ok().filter(|group| *group > 1).map(Pid::from_raw)
}

/// The lock file and the socket of an X display, where every X server puts them.
fn display_files(display: u16) -> (PathBuf, PathBuf) {
    (format!("/tmp/.X{display}-lock").into(), format!("/tmp/.X11-unix/X{display}").into())
}

/// Reads `/proc/<pid>/stat` (proc(5)): dead is also who has SIGKILL pending, is on the way out, or waits to be reaped.
fn lives(stat: &str) -> bool {
    const EXITING: u64 = 0x4;
    const SIGKILL_PENDING: u64 = 1 << 8;
    // The fields follow the name, which may hold anything, in its parentheses; the state is field 3.
    let Some((_, fields)) = stat.rsplit_once(") ") else { return false };
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let bits =
        |field: usize| fields.get(field - 3).and_then(|bits| bits.parse::<u64>().ok()).unwrap_or_default();
    !fields.first().is_some_and(|state| ["Z", "X"].contains(state))
        && bits(9) & EXITING == 0
        && bits(31) & SIGKILL_PENDING == 0
}

/// The process id in a lock file: ten columns of text.
fn lock_owner(lock: &Path) -> Option<u32> {
    fs::read_to_string(lock).ok()?.trim().parse().ok()
}

/// Whether an X server listens at this path, or at the same name in Linux' abstract namespace, where servers listen
/// too.
fn answers(socket: &Path) -> bool {
    let abstract_name = UnixAddress::from_abstract_name(socket.as_os_str().as_encoded_bytes());
    UnixStream::connect(socket).is_ok()
        || abstract_name.is_ok_and(|address| UnixStream::connect_addr(&address).is_ok())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use futures_util::StreamExt;

    use super::*;

    #[test]
    fn a_socket_answers_as_long_as_somebody_listens() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("X1");
        assert!(!answers(&path));
        let listener = UnixListener::bind(&path).unwrap();
        assert!(answers(&path));
        drop(listener);
        assert!(path.exists() && !answers(&path), "a stale socket stays, and answers no more");
    }

    #[test]
    fn a_process_on_its_way_out_does_not_live() {
        let stat = |state: &str, flags: u64, pending: u64| {
            format!("7 (a) (b) {state} 1 7 7 0 -1 {flags} {} {pending} 0 0\n", ["0"; 21].join(" "))
        };
        assert!(lives(&stat("S", 4_194_560, 0)));
        for (state, flags, pending) in [("Z", 0, 0), ("X", 0, 0), ("R", 4_194_564, 0), ("R", 0, 256)] {
            assert!(!lives(&stat(state, flags, pending)), "{state} {flags} {pending}");
        }
    }

    #[test]
    fn a_living_process_is_told_from_one_that_is_gone() {
        assert!(SystemOs::new().is_running(std::process::id()));
        assert!(!SystemOs::new().is_running(u32::MAX));
    }

    #[tokio::test]
    async fn a_port_is_taken_at_every_address_while_somebody_listens_at_one() {
        let os = SystemOs::new();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let address = SocketAddr::new([127, 0, 0, 2].into(), free.port());
        let mut connections = os.listen(address).unwrap();
        assert!(!os.port_is_free(address.port()));
        assert!(os.listen(address).is_err());
        let (dialled, accepted) = tokio::join!(tokio::net::TcpStream::connect(address), connections.next());
        assert!(dialled.is_ok() && accepted.unwrap().is_ok());
        drop(connections);
        assert!(os.port_is_free(address.port()));
    }
}
