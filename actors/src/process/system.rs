//! The real operating system: Linux.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use std::{fs, io};

use futures_util::future::BoxFuture;
use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal as UnixSignal, killpg};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr, sockopt};
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, Pid, access};
use tokio::process::Command;

use super::listeners::{self, Owners};
use super::reaper::{self, OwnChildren};
use super::{
    Connection, Connections, DisplayFiles, FileId, Os, ProcessEnd, ProcessId, Program, Signal, Spawned,
};

/// The soft limit on open files that this process was started with; set when it is raised.
static INHERITED_OPEN_FILES: OnceLock<u64> = OnceLock::new();

/// Raises this process' soft limit on open files to the hard one: each client, viewer and session uses several files,
/// and the usual limit of 1024 exists only for programs that use select(2). Programs that [`SystemOs`] spawns keep the
/// original limit.
///
/// # Errors
/// The system's error; nothing is changed then.
pub fn raise_open_files() -> io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        // A second call would see the limit that the first one has set.
        let _ = INHERITED_OPEN_FILES.set(soft);
        log::debug!("up to {hard} files may be open, not {soft}");
    }
    Ok(())
}

/// How long to wait before connecting again to a socket whose queue is full.
const QUEUE_FULL_RETRY: Duration = Duration::from_millis(5);

/// Linux.
///
/// Programs must be spawned from a thread that lives as long as camofleet: the kernel sends the parent-death signal
/// when the spawning thread ends, not the process.
#[derive(Debug, Default, Clone)]
pub struct SystemOs {
    own_children: OwnChildren,
    listeners: Arc<Owners>,
}

impl SystemOs {
    /// Does not reap orphaned descendants.
    pub fn new() -> Self {
        Self::default()
    }

    /// Also reaps orphaned descendants. To be called once, on the thread that spawns.
    ///
    /// # Errors
    /// The kernel does not support subreapers, or signals can't be received.
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
        let max_open_files = program.max_open_files.or(INHERITED_OPEN_FILES.get().copied());
        // SAFETY: between fork and exec only async-signal-safe calls are made (prctl, getppid, get/setrlimit), and
        // nothing is allocated on the paths that succeed.
        unsafe {
            command.pre_exec(move || {
                // SIGTERM, not SIGKILL, so that an X server removes its socket and lock file, and a driver
                // ends its browsers.
                nix::sys::prctl::set_pdeathsig(UnixSignal::SIGTERM)?;
                if nix::unistd::getppid() != parent {
                    // camofleet died between fork and prctl: the signal would never be sent.
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
        // Until it is waited for below it keeps its process id, even as a zombie.
        let id = identify(pid).ok_or_else(|| io::Error::other("/proc can't be read; mount it"))?;
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
        Ok(Spawned { id, stdin: Box::new(stdin), stdout: Box::new(stdout), stderr: Box::new(stderr), end })
    }

    fn identify(&self, pid: u32) -> Option<ProcessId> {
        identify(pid)
    }

    fn signal_group(&self, leader: ProcessId, signal: Signal) {
        let signal = match signal {
            Signal::Terminate => UnixSignal::SIGTERM,
            Signal::Kill => UnixSignal::SIGKILL,
        };
        let Some(group) = group_of(leader) else { return };
        if let Err(error) = killpg(group, signal)
            && error != Errno::ESRCH
        {
            log::warn!("could not send {signal} to process group {group}: {error}");
        }
    }

    fn kill_leader(&self, leader: ProcessId) {
        if tokio::runtime::Handle::try_current().is_ok() {
            // Blocks for some milliseconds: not on the actors' thread.
            tokio::task::spawn_blocking(move || kill_and_release(leader));
        } else {
            // The whole process is ending.
            kill_and_release(leader);
        }
    }

    fn group_exists(&self, leader: ProcessId) -> bool {
        group_of(leader).is_some_and(|group| killpg(group, None) != Err(Errno::ESRCH))
    }

    fn is_running(&self, process: ProcessId) -> bool {
        read_stat(process.pid).is_some_and(|stat| {
            is_alive(&stat) && started_at(&stat).is_some_and(|started| started == process.started)
        })
    }

    fn kill_marked(&self, name: &str, value: &str) {
        let marker = format!("{name}={value}").into_bytes();
        let own = nix::unistd::getpid();
        let Ok(processes) = fs::read_dir("/proc") else { return };
        for process in processes.flatten() {
            let Some(pid) = process.file_name().to_str().and_then(|pid| pid.parse().ok()) else { continue };
            let carries_mark = || {
                // Another user's process can't be read, and is not camofleet's.
                let environment = fs::read(process.path().join("environ")).unwrap_or_default();
                environment.split(|byte| *byte == 0).any(|entry| entry == marker)
            };
            if pid == own.as_raw() || !carries_mark() {
                continue;
            }
            // Read again after opening the descriptor: only then is it the same process that is killed.
            if let Some(process) = ProcessFd::open(pid)
                && carries_mark()
            {
                process.kill();
            }
        }
    }

    fn port_is_free(&self, port: u16) -> bool {
        // Fails if anything listens on any one address.
        TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
    }

    fn own_addresses(&self, addresses: &[IpAddr]) -> Vec<bool> {
        listeners::own_addresses(addresses)
    }

    fn own_listeners(&self, ports: &[u16], mark: &str) -> Vec<bool> {
        self.listeners.own_listeners(ports, mark)
    }

    fn listen(&self, address: SocketAddr) -> io::Result<Connections> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let connections = futures_util::stream::unfold(listener, |listener| async move {
            let accepted = listener.accept().await.and_then(|(connection, _)| {
                // Small packets are key strokes, which must not be delayed.
                connection.set_nodelay(true)?;
                set_keepalive(&connection)?;
                Ok(Box::new(connection) as Connection)
            });
            Some((accepted, listener))
        });
        Ok(Box::pin(connections))
    }

    fn connect(&self, socket: &Path) -> BoxFuture<'static, io::Result<Connection>> {
        let socket = socket.to_owned();
        Box::pin(async move {
            loop {
                match tokio::net::UnixStream::connect(&socket).await {
                    Ok(connection) => return Ok(Box::new(connection) as Connection),
                    // The listener's queue is full (Xvnc's holds five). The caller has a timeout.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        tokio::time::sleep(QUEUE_FULL_RETRY).await
                    }
                    Err(error) => return Err(error),
                }
            }
        })
    }

    fn connect_display(&self, display: u16) -> io::Result<UnixStream> {
        UnixStream::connect(display_files(display).1)
    }

    fn display_is_free(&self, display: u16) -> bool {
        let (lock, socket) = display_files(display);
        !answers(&socket) && lock_owner(&lock).is_none_or(|owner| !has_process(owner))
    }

    fn display_socket(&self, display: u16) -> Option<FileId> {
        own_socket(&display_files(display).1)
    }

    fn remove_display_files(&self, files: &DisplayFiles) {
        let DisplayFiles { display, server, socket: made } = *files;
        if self.is_running(server) {
            return;
        }
        let (lock, socket) = display_files(display);
        // Another server may use the display by now. Then the socket is another file, or accepts connections, and the
        // lock file (which servers started with `-displayfd` don't write) names another process, or one that is
        // running.
        let stale = [
            (&socket, made.is_some() && own_socket(&socket) == made && !answers(&socket)),
            (&lock, is_own_file(&lock) && lock_owner(&lock) == Some(server.pid) && !has_process(server.pid)),
        ];
        for (file, _) in stale.iter().filter(|(_, stale)| *stale) {
            if let Err(error) = fs::remove_file(file)
                && error.kind() != io::ErrorKind::NotFound
            {
                log::warn!("could not remove {}: {error}", file.display());
            }
        }
    }

    fn file_system_use(&self, path: &Path) -> io::Result<u64> {
        let all = statvfs(path)?;
        Ok((all.blocks() - all.blocks_free()) * all.fragment_size())
    }

    fn file_system_free(&self, path: &Path) -> io::Result<u64> {
        let all = statvfs(path)?;
        Ok(all.blocks_available() * all.fragment_size())
    }

    fn directory_use(&self, directory: &Path) -> u64 {
        // An unreadable entry was deleted meanwhile, or is not the browser's.
        let Ok(entries) = fs::read_dir(directory) else { return 0 };
        let use_of = |entry: fs::DirEntry| {
            // Symbolic links are not followed: their targets are not part of this directory.
            let Ok(found) = entry.metadata() else { return 0 };
            let below = if found.is_dir() { self.directory_use(&entry.path()) } else { 0 };
            // Files that several browsers share by hard links are divided among them.
            let shares = if found.is_dir() { 1 } else { found.nlink().max(1) };
            found.blocks() * 512 / shares + below
        };
        entries.flatten().map(use_of).sum()
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

/// Makes the kernel close a connection whose peer disappeared silently, such as a machine that was switched off.
fn set_keepalive(connection: &tokio::net::TcpStream) -> io::Result<()> {
    socket::setsockopt(connection, sockopt::KeepAlive, &true)?;
    socket::setsockopt(connection, sockopt::TcpKeepIdle, &60)?;
    socket::setsockopt(connection, sockopt::TcpKeepInterval, &15)?;
    socket::setsockopt(connection, sockopt::TcpKeepCount, &4)?;
    Ok(())
}

/// A pidfd: it refers to one process even if the process id is reused (pidfd_open(2), Linux 5.3).
struct ProcessFd(OwnedFd);

impl ProcessFd {
    fn open(pid: i32) -> Option<Self> {
        // SAFETY: the system call takes numbers only, and the new descriptor is owned here alone.
        unsafe {
            match i32::try_from(libc::syscall(libc::SYS_pidfd_open, pid, 0)) {
                Ok(descriptor @ 0..) => Some(Self(OwnedFd::from_raw_fd(descriptor))),
                _ => None,
            }
        }
    }

    /// Kills the process; it is not an error if it has ended already.
    fn kill(&self) {
        let (none, no_flags) = (std::ptr::null::<libc::siginfo_t>(), 0);
        // SAFETY: the descriptor is open as long as `self` exists, and a null siginfo is allowed.
        let sent = unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), libc::SIGKILL, none, no_flags)
        };
        if sent == -1 && Errno::last() != Errno::ESRCH {
            log::warn!("could not kill a process: {}", Errno::last());
        }
    }

    /// Speeds up the release of the memory of a dying process.
    fn release(&self) {
        // SAFETY: as above.
        unsafe { libc::syscall(libc::SYS_process_mrelease, self.0.as_raw_fd(), 0) };
    }
}

/// Kills a process and releases its memory at once (process_mrelease(2), Linux 5.15). The kernel alone would do so only
/// after the last thread has ended, and a browser's main process has some seventy. It has an effect only within a few
/// milliseconds after the signal, so nothing happens between the two calls. It saves a sixth of the time of a delete.
///
/// Where the kernel does not support it, or the process has ended already, it has no effect.
fn kill_and_release(leader: ProcessId) {
    let Some(process) = group_of(leader).and_then(|pid| ProcessFd::open(pid.as_raw())) else { return };
    // Checked after opening the descriptor: the process id may have been reused before.
    if identify(leader.pid) == Some(leader) {
        process.kill();
        process.release();
    }
}

/// The id of the group that a process leads or led. The id is not reused while the group has members, so if another
/// process has it, the group no longer exists. Groups 0 (camofleet's own) and 1 (init) are never signalled.
fn group_of(leader: ProcessId) -> Option<Pid> {
    let group = i32::try_from(leader.pid).ok().filter(|group| *group > 1)?;
    let unchanged = identify(leader.pid).is_none_or(|found| found == leader);
    unchanged.then(|| Pid::from_raw(group))
}

/// The process with this id, zombies included.
pub(super) fn identify(pid: u32) -> Option<ProcessId> {
    Some(ProcessId { pid, started: started_at(&read_stat(pid)?)? })
}

/// Whether a running process has this id.
fn has_process(pid: u32) -> bool {
    read_stat(pid).is_some_and(|stat| is_alive(&stat))
}

fn read_stat(pid: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/stat")).ok()
}

/// When the process started: field 22 of `/proc/<pid>/stat`. The name in parentheses may contain anything; the field
/// after it is number 3.
fn started_at(stat: &str) -> Option<u64> {
    stat.rsplit_once(") ")?.1.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}

/// The socket at this path, if this user owns it and it is not a symbolic link.
fn own_socket(path: &Path) -> Option<FileId> {
    let found = fs::symlink_metadata(path).ok().filter(|found| found.file_type().is_socket())?;
    (found.uid() == nix::unistd::geteuid().as_raw()).then(|| FileId {
        device: found.dev(),
        inode: found.ino(),
        modified: found.mtime() * 1_000_000_000 + found.mtime_nsec(),
    })
}

/// Whether there is a regular file at this path that this user owns, and not a symbolic link.
fn is_own_file(path: &Path) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|found| found.is_file() && found.uid() == nix::unistd::geteuid().as_raw())
}

/// The paths of the lock file and the socket of an X display.
fn display_files(display: u16) -> (PathBuf, PathBuf) {
    (format!("/tmp/.X{display}-lock").into(), format!("/tmp/.X11-unix/X{display}").into())
}

/// Whether a process is running, by its `/proc/<pid>/stat` (proc(5)). It is not if SIGKILL is pending, it is exiting,
/// or it is a zombie.
fn is_alive(stat: &str) -> bool {
    const EXITING: u64 = 0x4;
    const SIGKILL_PENDING: u64 = 1 << 8;
    // The name in parentheses may contain anything; the state after it is field 3.
    let Some((_, fields)) = stat.rsplit_once(") ") else { return false };
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let bits =
        |field: usize| fields.get(field - 3).and_then(|bits| bits.parse::<u64>().ok()).unwrap_or_default();
    !fields.first().is_some_and(|state| ["Z", "X"].contains(state))
        && bits(9) & EXITING == 0
        && bits(31) & SIGKILL_PENDING == 0
}

/// The process id in an X server's lock file: padded text.
fn lock_owner(lock: &Path) -> Option<u32> {
    fs::read_to_string(lock).ok()?.trim().parse().ok()
}

/// Whether an X server listens at this path, or at the same name in Linux' abstract namespace, which servers also use.
/// A server that is too busy or that denies access counts as listening. Does not block.
fn answers(socket: &Path) -> bool {
    let abstract_name = UnixAddr::new_abstract(socket.as_os_str().as_encoded_bytes());
    [UnixAddr::new(socket), abstract_name].into_iter().flatten().any(|address| {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let Ok(descriptor) = socket::socket(AddressFamily::Unix, SockType::Stream, flags, None) else {
            return true;
        };
        let connected = socket::connect(descriptor.as_raw_fd(), &address);
        !matches!(connected, Err(Errno::ECONNREFUSED | Errno::ENOENT | Errno::ENOTDIR))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::os::unix::process::CommandExt;

    use futures_util::StreamExt;

    use super::*;

    #[test]
    fn a_socket_answers_while_a_server_listens() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("X1");
        assert!(!answers(&path));
        let listener = UnixListener::bind(&path).unwrap();
        assert!(answers(&path));
        drop(listener);
        assert!(path.exists() && !answers(&path), "a stale socket file remains, but does not answer");
    }

    #[test]
    fn an_exiting_process_is_not_running() {
        let stat = |state: &str, flags: u64, pending: u64| {
            format!("7 (a) (b) {state} 1 7 7 0 -1 {flags} {} {pending} 0 0\n", ["0"; 21].join(" "))
        };
        assert!(is_alive(&stat("S", 4_194_560, 0)));
        for (state, flags, pending) in [("Z", 0, 0), ("X", 0, 0), ("R", 4_194_564, 0), ("R", 0, 256)] {
            assert!(!is_alive(&stat(state, flags, pending)), "{state} {flags} {pending}");
        }
    }

    #[test]
    fn a_running_process_is_distinguished_from_one_that_has_ended() {
        let (os, own) = (SystemOs::new(), ProcessId::own().unwrap());
        assert_eq!(os.identify(std::process::id()), Some(own));
        assert!(os.is_running(own));
        assert!(!os.is_running(ProcessId { pid: u32::MAX, ..own }));
    }

    #[test]
    fn a_process_with_a_reused_id_is_neither_mistaken_for_the_earlier_one_nor_signalled() {
        let os = SystemOs::new();
        let mut child = std::process::Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
        let id = os.identify(child.id()).unwrap();
        let earlier = ProcessId { started: id.started - 1, ..id };
        assert!(!os.is_running(earlier) && !os.group_exists(earlier));
        os.signal_group(earlier, Signal::Kill);
        os.kill_leader(earlier);
        assert!(os.is_running(id) && child.try_wait().unwrap().is_none());
        os.kill_leader(id);
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    }

    #[test]
    fn the_use_of_a_directory_is_what_its_own_files_use_on_the_disk() {
        let (directory, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mebibytes = |count: usize| vec![7; count << 20];
        fs::create_dir(directory.path().join("below")).unwrap();
        fs::write(directory.path().join("below/downloaded"), mebibytes(2)).unwrap();
        fs::write(elsewhere.path().join("large"), mebibytes(8)).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), directory.path().join("link")).unwrap();
        fs::write(directory.path().join("shared"), mebibytes(2)).unwrap();
        fs::hard_link(directory.path().join("shared"), elsewhere.path().join("shared")).unwrap();
        // A sparse file uses no blocks, whatever its size.
        fs::File::create(directory.path().join("sparse")).unwrap().set_len(1 << 33).unwrap();
        let used = SystemOs::new().directory_use(directory.path());
        assert!((3 << 20..4 << 20).contains(&used), "{used}");
        assert!(SystemOs::new().file_system_use(directory.path()).unwrap() > used);
        assert_eq!(SystemOs::new().directory_use(Path::new("/nowhere")), 0);
    }

    #[test]
    fn the_socket_of_a_display_is_removed_only_if_its_creation_was_seen() {
        // Far above the display numbers in use.
        let display = 60_000 + u16::try_from(std::process::id() % 5000).unwrap();
        let (_, path) = display_files(display);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let (os, server) = (SystemOs::new(), ProcessId { pid: u32::MAX, started: 1 });
        let listener = UnixListener::bind(&path).unwrap();
        let socket = os.display_socket(display);
        let files = DisplayFiles { display, server, socket };
        os.remove_display_files(&files);
        assert!(path.exists(), "a server answers there");
        drop(listener);
        os.remove_display_files(&DisplayFiles { socket: None, ..files });
        os.remove_display_files(&DisplayFiles { server: ProcessId::own().unwrap(), ..files });
        assert!(path.exists(), "its creation was not seen, or its server is running");
        fs::remove_file(&path).unwrap();
        drop(UnixListener::bind(&path).unwrap());
        os.remove_display_files(&files);
        assert!(path.exists(), "another one is in its place");
        os.remove_display_files(&DisplayFiles { socket: os.display_socket(display), ..files });
        assert!(!path.exists());
    }

    #[test]
    fn a_server_that_accepts_no_connection_counts_as_listening() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("X1");
        let listener = UnixListener::bind(&path).unwrap();
        // Until the listener's queue is full.
        let mut waiting = Vec::new();
        while waiting.len() < 5000 {
            let socket =
                socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_NONBLOCK, None).unwrap();
            if socket::connect(socket.as_raw_fd(), &UnixAddr::new(&path).unwrap()).is_err() {
                break;
            }
            waiting.push(socket);
        }
        assert!(answers(&path));
        drop(listener);
    }

    #[tokio::test]
    async fn a_port_is_taken_on_every_address_while_one_is_listened_on() {
        let os = SystemOs::new();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let address = SocketAddr::new([127, 0, 0, 2].into(), free.port());
        let mut connections = os.listen(address).unwrap();
        assert!(!os.port_is_free(address.port()));
        assert!(os.listen(address).is_err());
        let (dialled, accepted) = tokio::join!(tokio::net::TcpStream::connect(address), connections.next());
        assert!(dialled.is_ok() && accepted.unwrap().is_ok());
        drop(connections);
        // A child that another test has just forked holds a copy of the listener until it runs its own program.
        let released = async {
            while !os.port_is_free(address.port()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), released).await.unwrap();
    }
}
