//! The operating system behind one small trait, and the owner that never leaks a process.
//!
//! [`Os`] is what the actors know of the machine: [`SystemOs`] in production, `FakeOs` in tests.
//! [`OwnedProcess`] holds one process group: dropped in any way, a panic included, it kills the group.

mod lines;
mod owned;
mod reaper;
mod system;

use std::net::SocketAddr;
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

/// What to run. The environment is complete: nothing is inherited.
#[derive(Debug, Clone)]
pub struct Program {
    /// The executable: a path, or a name to be found on `PATH`.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
    /// A lower soft limit on open files, for programs that walk through all of them, or have tables for all of them. Others
    /// get the one that camofleet was started with.
    pub max_open_files: Option<u64>,
}

/// The signals that camofleet sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Please end: the process may clean up.
    Terminate,
    /// End at once.
    Kill,
}

/// One process, and none that is given its number later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number, which is its process group's too where it leads one.
    pub pid: u32,
    /// When it started, in clock ticks since the machine did (`starttime` in proc(5)).
    pub started: u64,
}

impl ProcessId {
    /// This very process; `None` without a `/proc`.
    pub fn own() -> Option<Self> {
        system::identify(std::process::id())
    }
}

/// One file, and none that takes its place later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileId {
    /// The file system that it is on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// When it was made or last written, in nanoseconds since 1970: numbers are given again.
    pub modified: i64,
}

/// What an X server leaves in `/tmp` when it is killed, as far as camofleet saw it being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisplayFiles {
    /// The X display's number.
    pub display: u16,
    /// The X server.
    pub server: ProcessId,
    /// Its socket, once it has one.
    pub socket: Option<FileId>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessEnd {
    /// It ended by itself with this status.
    Exited(i32),
    /// A signal ended it.
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
    /// Which process it is; its number is its process group's too.
    pub id: ProcessId,
    /// Writes to its standard input. Dropping it closes the input.
    pub stdin: Box<dyn AsyncWrite + Send + Unpin>,
    /// Reads its standard output.
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    /// Reads its standard error.
    pub stderr: Box<dyn AsyncRead + Send + Unpin>,
    /// Resolves when it ended and was reaped.
    pub end: BoxFuture<'static, io::Result<ProcessEnd>>,
}

/// Bytes both ways.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// One connection, whatever it goes through.
pub type Connection = Box<dyn ByteStream>;

/// The connections that a listener takes; dropping it gives its address back.
pub type Connections = BoxStream<'static, io::Result<Connection>>;

/// What camofleet needs of an operating system.
pub trait Os: Send + Sync + 'static {
    /// Starts a program in its own process group, told by the kernel when camofleet is gone.
    ///
    /// # Errors
    /// What the system says: not found, not executable, no more processes.
    fn spawn(&self, program: &Program) -> io::Result<Spawned>;

    /// Which process has a number now; `None` when none has.
    fn identify(&self, pid: u32) -> Option<ProcessId>;

    /// Sends a signal to the process group that this process leads, or led. A group that is gone already is no error, and
    /// another that has its number by now is not touched.
    fn signal_group(&self, leader: ProcessId, signal: Signal);

    /// Kills the leader of a process group, and helps it to give its memory back. The others of the group live on.
    fn kill_leader(&self, leader: ProcessId);

    /// Whether the group that this process leads, or led, still has a member.
    fn group_exists(&self, leader: ProcessId) -> bool;

    /// Whether this process lives: one that is dead but not reaped yet does not.
    fn is_running(&self, process: ProcessId) -> bool;

    /// Kills every process whose environment holds `name=value`: the ones whose process id nobody learned,
    /// because the process that started them died first.
    fn kill_marked(&self, name: &str, value: &str);

    /// Whether nothing listens on this TCP port, at whatever address of the machine.
    fn port_is_free(&self, port: u16) -> bool;

    /// Listens on a TCP address.
    ///
    /// # Errors
    /// Somebody else does, or the address is none of this machine's.
    fn listen(&self, address: SocketAddr) -> io::Result<Connections>;

    /// Connects to the socket at a path. Fails when nobody listens there, and waits while others wait there too.
    fn connect(&self, socket: &Path) -> BoxFuture<'static, io::Result<Connection>>;

    /// Connects to the X server with this display number.
    ///
    /// # Errors
    /// There is none.
    fn connect_display(&self, display: u16) -> io::Result<UnixStream>;

    /// Whether no X server uses this display number.
    fn display_is_free(&self, display: u16) -> bool;

    /// The socket of this display's X server; `None` when it has none.
    fn display_socket(&self, display: u16) -> Option<FileId>;

    /// Removes what an X server that was killed has left in `/tmp`. What anybody else made there since, stays.
    fn remove_display_files(&self, files: &DisplayFiles);

    /// How many bytes everything on the file system of a path takes. May block.
    ///
    /// # Errors
    /// Nothing is there.
    fn file_system_use(&self, path: &Path) -> io::Result<u64>;

    /// How many bytes the files below a directory take on the disk. May block.
    fn directory_use(&self, directory: &Path) -> u64;

    /// Where a program is: the path itself if it has a directory, else the first hit on `PATH`.
    fn find_program(&self, program: &Path) -> Option<PathBuf>;
}
