//! The real operating system: Linux.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
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

use super::reaper::{self, OwnChildren};
use super::{
    Connection, Connections, DisplayFiles, FileId, Os, ProcessEnd, ProcessId, Program, Signal, Spawned,
};

/// The soft limit on open files that this process was started with, once it has another.
static INHERITED_OPEN_FILES: OnceLock<u64> = OnceLock::new();

/// Raises this process' soft limit on open files to the hard one: each client, viewer and session takes several, and the
/// usual 1024 are there for programs that use select(2). What [`SystemOs`] spawns keeps the limit that there was.
///
/// # Errors
/// What the system says; nothing is changed then.
pub fn raise_open_files() -> io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        // Only the first time: the second time it is what this function set.
        let _ = INHERITED_OPEN_FILES.set(soft);
        log::debug!("up to {hard} files may be open, not {soft}");
    }
    Ok(())
}

/// The wait before another attempt to connect to a socket whose queue is full.
const QUEUE_FULL: Duration = Duration::from_millis(5);

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
        let max_open_files = program.max_open_files.or(INHERITED_OPEN_FILES.get().copied());
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
        // Nobody reaps it before the line below waits for it, so it has a number, dead or alive.
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
            // Takes the kernel some milliseconds, which the actors' thread has not.
            tokio::task::spawn_blocking(move || kill_and_release(leader));
        } else {
            // The whole process is ending; nobody waits.
            kill_and_release(leader);
        }
    }

    fn group_exists(&self, leader: ProcessId) -> bool {
        group_of(leader).is_some_and(|group| killpg(group, None) != Err(Errno::ESRCH))
    }

    fn is_running(&self, process: ProcessId) -> bool {
        read_stat(process.pid).is_some_and(|stat| {
            lives(&stat) && started_at(&stat).is_some_and(|started| started == process.started)
        })
    }

    fn kill_marked(&self, name: &str, value: &str) {
        let marker = format!("{name}={value}").into_bytes();
        let own = nix::unistd::getpid();
        let Ok(processes) = fs::read_dir("/proc") else { return };
        for process in processes.flatten() {
            let Some(pid) = process.file_name().to_str().and_then(|pid| pid.parse().ok()) else { continue };
            let carries_mark = || {
                // Another user's process can't be read, and is none of ours.
                let environment = fs::read(process.path().join("environ")).unwrap_or_default();
                environment.split(|byte| *byte == 0).any(|entry| entry == marker)
            };
            if pid == own.as_raw() || !carries_mark() {
                continue;
            }
            // Held before it is read again, so that what is killed is what was read.
            if let Some(process) = ProcessFd::open(pid)
                && carries_mark()
            {
                process.kill();
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
                    // Its queue is full: Xvnc's has room for five. Who asks has a limit of time.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        tokio::time::sleep(QUEUE_FULL).await
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
        // Another server may have the display by now. Its socket is another file, or answers; its lock file, which servers
        // that are started with `-displayfd` don't even write, has another number in it, or that of a living process.
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

    fn directory_use(&self, directory: &Path) -> u64 {
        // What can't be read is gone by now, or not the browser's.
        let Ok(entries) = fs::read_dir(directory) else { return 0 };
        let use_of = |entry: fs::DirEntry| {
            // Of the entry itself: a link leads to what somebody else takes.
            let Ok(found) = entry.metadata() else { return 0 };
            let below = if found.is_dir() { self.directory_use(&entry.path()) } else { 0 };
            // Files that several browsers have by hard links are taken once.
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

/// Has the kernel end a connection whose other end has gone silently: a machine that was switched off.
fn set_keepalive(connection: &tokio::net::TcpStream) -> io::Result<()> {
    socket::setsockopt(connection, sockopt::KeepAlive, &true)?;
    socket::setsockopt(connection, sockopt::TcpKeepIdle, &60)?;
    socket::setsockopt(connection, sockopt::TcpKeepInterval, &15)?;
    socket::setsockopt(connection, sockopt::TcpKeepCount, &4)?;
    Ok(())
}

/// A process that is held by a descriptor: its number can't become another's meanwhile (pidfd_open(2), Linux 5.3).
struct ProcessFd(OwnedFd);

impl ProcessFd {
    fn open(pid: i32) -> Option<Self> {
        // SAFETY: a system call that takes numbers only; the descriptor that it makes is nobody else's.
        unsafe {
            match i32::try_from(libc::syscall(libc::SYS_pidfd_open, pid, 0)) {
                Ok(descriptor @ 0..) => Some(Self(OwnedFd::from_raw_fd(descriptor))),
                _ => None,
            }
        }
    }

    /// One that is gone already is no error.
    fn kill(&self) {
        let (none, no_flags) = (std::ptr::null::<libc::siginfo_t>(), 0);
        // SAFETY: the descriptor is open as long as `self` is, and no information goes with the signal.
        let sent = unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), libc::SIGKILL, none, no_flags)
        };
        if sent == -1 && Errno::last() != Errno::ESRCH {
            log::warn!("could not kill a process: {}", Errno::last());
        }
    }

    /// Helps one that is dying to give its memory back.
    fn release(&self) {
        // SAFETY: as above.
        unsafe { libc::syscall(libc::SYS_process_mrelease, self.0.as_raw_fd(), 0) };
    }
}

/// Kills a process and helps it to give its memory back (process_mrelease(2), Linux 5.15): by itself it does so only
/// after its last thread has ended, and a browser's main process has some seventy. The help comes too late once they
/// have, a few milliseconds after the signal, so nothing stands between the two calls: a sixth of the time that a
/// delete takes.
///
/// Where the kernel can't, or the process is gone already, nothing is lost.
fn kill_and_release(leader: ProcessId) {
    let Some(process) = group_of(leader).and_then(|pid| ProcessFd::open(pid.as_raw())) else { return };
    // Held by now; before that its number may have become another's.
    if identify(leader.pid) == Some(leader) {
        process.kill();
        process.release();
    }
}

/// The group that a process leads or led, to be signalled. Its number stays taken while the group has a member; where
/// another process has it, the group is gone. Group 0 would be camofleet's own and 1 is the system's first process: never
/// signalled.
fn group_of(leader: ProcessId) -> Option<Pid> {
    let group = i32::try_from(leader.pid).ok().filter(|group| *group > 1)?;
    let theirs = identify(leader.pid).is_none_or(|found| found == leader);
    theirs.then(|| Pid::from_raw(group))
}

/// Which process has a number, dead ones that are not reaped yet included.
pub(super) fn identify(pid: u32) -> Option<ProcessId> {
    Some(ProcessId { pid, started: started_at(&read_stat(pid)?)? })
}

/// Whether any living process has a number.
fn has_process(pid: u32) -> bool {
    read_stat(pid).is_some_and(|stat| lives(&stat))
}

fn read_stat(pid: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/stat")).ok()
}

/// When the process started, by its `/proc/<pid>/stat`: field 22. The fields follow the name, which may hold anything, in
/// its parentheses; the state after it is field 3.
fn started_at(stat: &str) -> Option<u64> {
    stat.rsplit_once(") ")?.1.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}

/// A socket of this user's, and no link to one.
fn own_socket(path: &Path) -> Option<FileId> {
    let found = fs::symlink_metadata(path).ok().filter(|found| found.file_type().is_socket())?;
    (found.uid() == nix::unistd::geteuid().as_raw()).then(|| FileId {
        device: found.dev(),
        inode: found.ino(),
        modified: found.mtime() * 1_000_000_000 + found.mtime_nsec(),
    })
}

/// Whether there is a file of this user's, and no link to one.
fn is_own_file(path: &Path) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|found| found.is_file() && found.uid() == nix::unistd::geteuid().as_raw())
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
/// too. One that does not get to the connection, or that lets nobody in, is there all the same; nothing is waited for.
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
        let (os, own) = (SystemOs::new(), ProcessId::own().unwrap());
        assert_eq!(os.identify(std::process::id()), Some(own));
        assert!(os.is_running(own));
        assert!(!os.is_running(ProcessId { pid: u32::MAX, ..own }));
    }

    #[test]
    fn a_process_that_was_given_the_number_of_another_is_neither_taken_for_it_nor_signalled() {
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
    fn what_a_directory_takes_is_what_its_own_files_take_on_the_disk() {
        let (directory, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mebibytes = |count: usize| vec![7; count << 20];
        fs::create_dir(directory.path().join("below")).unwrap();
        fs::write(directory.path().join("below/downloaded"), mebibytes(2)).unwrap();
        fs::write(elsewhere.path().join("large"), mebibytes(8)).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), directory.path().join("link")).unwrap();
        fs::write(directory.path().join("shared"), mebibytes(2)).unwrap();
        fs::hard_link(directory.path().join("shared"), elsewhere.path().join("shared")).unwrap();
        // Takes nothing, however large it says it is.
        fs::File::create(directory.path().join("sparse")).unwrap().set_len(1 << 33).unwrap();
        let used = SystemOs::new().directory_use(directory.path());
        assert!((3 << 20..4 << 20).contains(&used), "{used}");
        assert!(SystemOs::new().file_system_use(directory.path()).unwrap() > used);
        assert_eq!(SystemOs::new().directory_use(Path::new("/nowhere")), 0);
    }

    #[test]
    fn a_socket_of_a_display_is_removed_only_where_it_was_seen_being_made() {
        // Far above the displays that anybody uses.
        let display = 60_000 + u16::try_from(std::process::id() % 5000).unwrap();
        let (_, path) = display_files(display);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let (os, server) = (SystemOs::new(), ProcessId { pid: u32::MAX, started: 1 });
        let listener = UnixListener::bind(&path).unwrap();
        let socket = os.display_socket(display);
        let files = DisplayFiles { display, server, socket };
        os.remove_display_files(&files);
        assert!(path.exists(), "somebody answers there");
        drop(listener);
        os.remove_display_files(&DisplayFiles { socket: None, ..files });
        os.remove_display_files(&DisplayFiles { server: ProcessId::own().unwrap(), ..files });
        assert!(path.exists(), "it was not seen, or its server lives");
        fs::remove_file(&path).unwrap();
        drop(UnixListener::bind(&path).unwrap());
        os.remove_display_files(&files);
        assert!(path.exists(), "another one is in its place");
        os.remove_display_files(&DisplayFiles { socket: os.display_socket(display), ..files });
        assert!(!path.exists());
    }

    #[test]
    fn a_server_that_takes_no_connection_is_there_all_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("X1");
        let listener = UnixListener::bind(&path).unwrap();
        // Its queue is full in the end.
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
        // A child that another test has just forked holds a copy of the listener until it runs its own program.
        let given_back = async {
            while !os.port_is_free(address.port()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), given_back).await.unwrap();
    }
}
