//! The operating system behind one small trait, and process groups that are never leaked.
//!
//! The actors use the machine only through [`Os`]: [`SystemOs`] in production, `FakeOs` in tests.
//! [`OwnedProcess`] owns one process group and kills it when it is dropped, by a panic too.

mod lines;
mod listeners;
mod owned;
mod reaper;
mod system;

use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use lines::{Line, Lines};
pub(crate) use owned::wait_group_gone;
pub use owned::{OwnedProcess, Pipes};
pub use system::{SystemOs, raise_open_files};

/// A program to start. Nothing of the environment is inherited.
#[derive(Debug, Clone)]
pub struct Program {
    /// The executable: a path, or a name to be found on `PATH`.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
    /// A lower soft limit on open files, for programs that iterate over all possible descriptors or allocate tables for
    /// them. `None`: the limit that camofleet was started with.
    pub max_open_files: Option<u64>,
}

/// The signals that camofleet sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: the process may clean up before it exits.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// Identifies one process, and no later one with the same process id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its process id; also the id of its process group if it leads one.
    pub pid: u32,
    /// When it started, in clock ticks since boot (`starttime` in proc(5)).
    pub started: u64,
}

impl ProcessId {
    /// The current process; `None` without a `/proc`.
    pub fn own() -> Option<Self> {
        system::identify(std::process::id())
    }
}

/// Identifies one file, and no later one at the same path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileId {
    /// The device of its file system.
    pub device: u64,
    /// Its inode number on that device.
    pub inode: u64,
    /// When it was last modified, in nanoseconds since 1970: inode numbers are reused.
    pub modified: i64,
}

/// The files that an X server leaves in `/tmp` when it is killed. Only what camofleet saw being created is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisplayFiles {
    /// The X display's number.
    pub display: u16,
    /// The X server's process.
    pub server: ProcessId,
    /// Its socket, once it exists.
    pub socket: Option<FileId>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessEnd {
    /// It exited with this status.
    Exited(i32),
    /// It was killed by this signal.
    Signalled(i32),
}

impl fmt::Display for ProcessEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exit status {status}"),
            Self::Signalled(signal) => match nix::sys::signal::Signal::try_from(*signal) {
                Ok(signal) => f.write_str(signal.as_str()),
                Err(_) => write!(f, "signal {signal}"),
            },
        }
    }
}

/// A process that was just started, as the leader of its own process group.
pub struct Spawned {
    /// The process; its id is also that of its process group.
    pub id: ProcessId,
    /// Writes to its standard input. Dropping it closes the input.
    pub stdin: Box<dyn AsyncWrite + Send + Unpin>,
    /// Reads its standard output.
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    /// Reads its standard error.
    pub stderr: Box<dyn AsyncRead + Send + Unpin>,
    /// Resolves when it has ended and was reaped.
    pub end: BoxFuture<'static, io::Result<ProcessEnd>>,
}

/// A byte stream in both directions.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// One connection, over TCP or a Unix socket.
pub type Connection = Box<dyn ByteStream>;

/// The connections that a listener accepts; dropping the stream closes the listener.
pub type Connections = BoxStream<'static, io::Result<Connection>>;

/// The operating system as camofleet uses it.
pub trait Os: Send + Sync + 'static {
    /// Starts a program in its own process group; the kernel sends it SIGTERM when camofleet ends.
    ///
    /// # Errors
    /// The system's error: not found, not executable, too many processes.
    fn spawn(&self, program: &Program) -> io::Result<Spawned>;

    /// The process that has this id now, if one has.
    fn identify(&self, pid: u32) -> Option<ProcessId>;

    /// Sends a signal to the process group that this process leads or led. It is not an error if the group no longer
    /// exists, and a later group with the same id is not signalled.
    fn signal_group(&self, leader: ProcessId, signal: Signal);

    /// Kills the leader of a process group and speeds up the release of its memory. Other members keep running.
    fn kill_leader(&self, leader: ProcessId);

    /// Whether the group that this process leads or led still has members.
    fn group_exists(&self, leader: ProcessId) -> bool;

    /// Whether this process is running; a zombie is not.
    fn is_running(&self, process: ProcessId) -> bool;

    /// Kills every process whose environment holds `name=value`. This finds processes whose id is unknown because the
    /// process that started them died before reporting it.
    fn kill_marked(&self, name: &str, value: &str);

    /// Whether nothing listens on this TCP port on any of the machine's addresses.
    fn port_is_free(&self, port: u16) -> bool;

    /// Whether connections to each of these addresses reach this machine: they are its own, or its default gateway, which in
    /// a container is the host that may publish its ports. May block.
    fn own_addresses(&self, addresses: &[IpAddr]) -> Vec<bool>;

    /// Whether camofleet, or a process that it started, listens on each of these TCP ports of this machine. May block.
    ///
    /// Processes that a camofleet started have a variable with this name in their environment.
    fn own_listeners(&self, ports: &[u16], mark: &str) -> Vec<bool>;

    /// Listens on a TCP address.
    ///
    /// # Errors
    /// The address is in use, or is not one of this machine's.
    fn listen(&self, address: SocketAddr) -> io::Result<Connections>;

    /// Connects to the Unix socket at a path. Fails if nothing listens there; waits while the listener's queue is full.
    fn connect(&self, socket: &Path) -> BoxFuture<'static, io::Result<Connection>>;

    /// Connects to the X server with this display number.
    ///
    /// # Errors
    /// No such X server is running.
    fn connect_display(&self, display: u16) -> io::Result<UnixStream>;

    /// Whether no X server uses this display number.
    fn display_is_free(&self, display: u16) -> bool;

    /// The socket of this display's X server, if there is one.
    fn display_socket(&self, display: u16) -> Option<FileId>;

    /// Removes what a killed X server has left in `/tmp`. Files that others have created there since are kept.
    fn remove_display_files(&self, files: &DisplayFiles);

    /// How many bytes are in use on the file system of a path. May block.
    ///
    /// # Errors
    /// The path does not exist.
    fn file_system_use(&self, path: &Path) -> io::Result<u64>;

    /// How many bytes this user can still write to the file system of a path. May block.
    ///
    /// # Errors
    /// The path does not exist.
    fn file_system_free(&self, path: &Path) -> io::Result<u64>;

    /// How many bytes of the disk the files below a directory use. May block.
    fn directory_use(&self, directory: &Path) -> u64;

    /// Locates a program: the path itself if it contains a directory, otherwise the first match on `PATH`.
    fn find_program(&self, program: &Path) -> Option<PathBuf>;
}
