//! The marker file, which proves that camofleet created a directory, and which process did.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::libc;
use serde::{Deserialize, Serialize};

use super::directory::Directory;
use crate::process::{Os, ProcessId};

/// The marker's file name.
pub(crate) const FILE: &str = "camofleet.json";
/// The text that identifies a marker.
const KIND: &str = "run directory";
/// An upper bound of a marker's size, in bytes.
const LONGEST: u64 = 4096;

/// The contents of the marker in a run directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marker {
    camofleet: String,
    /// The directory's inode: in a copy of the directory, it does not match.
    inode: u64,
    /// The process that created it.
    process: ProcessId,
    /// The boot of the machine and the container in which the process' id and start time are valid.
    boot: String,
    pid_namespace: String,
}

/// Whether the process that a directory belongs to is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    Lives,
    Gone,
    /// Unknown: it ran on another machine, in another container, or before a reboot.
    Elsewhere,
}

impl Marker {
    /// The marker of this process for the directory with this inode.
    ///
    /// # Errors
    /// There is no `/proc`.
    pub fn of_this_process(inode: u64) -> io::Result<Self> {
        let process = ProcessId::own().ok_or_else(|| io::Error::other("/proc can't be read; mount it"))?;
        let (boot, pid_namespace) = whereabouts();
        Ok(Self { camofleet: KIND.to_owned(), inode, process, boot, pid_namespace })
    }

    /// The marker of a run directory of camofleet. `None` unless the directory has a run directory's exact name, directory and
    /// marker belong to this user and are no links, and the marker names this inode and the process id of the name.
    pub fn read(directory: &Directory) -> Option<Self> {
        let number = named_after(directory.path())?;
        directory.metadata().ok().filter(is_mine)?;
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = options.open(directory.inside(FILE)).ok()?;
        file.metadata().ok().filter(|file| file.is_file() && is_mine(file))?;
        let mut text = String::new();
        file.take(LONGEST).read_to_string(&mut text).ok()?;
        let marker: Self = serde_json::from_str(&text).ok()?;
        let fits =
            marker.camofleet == KIND && marker.inode == directory.inode() && marker.process.pid == number;
        fits.then_some(marker)
    }

    pub fn write(&self, directory: &Directory) -> io::Result<()> {
        let text = serde_json::to_string(self)?;
        File::create(directory.inside(FILE))?.write_all(text.as_bytes())
    }

    pub fn maker(&self, os: &dyn Os) -> Maker {
        let (boot, pid_namespace) = whereabouts();
        if self.boot != boot || self.pid_namespace != pid_namespace {
            Maker::Elsewhere
        } else if os.is_running(self.process) {
            Maker::Lives
        } else {
            Maker::Gone
        }
    }
}

/// The process id in a run directory's name, which is exactly `<process id>-<six hexadecimal digits>`.
fn named_after(directory: &Path) -> Option<u32> {
    let (number, random) = directory.file_name()?.to_str()?.split_once('-')?;
    let hexadecimal = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let exact = random.len() == 6 && random.bytes().all(hexadecimal) && !number.starts_with(['0', '+']);
    number.parse().ok().filter(|_| exact)
}

/// Whether a file belongs to the user that camofleet runs as.
pub(super) fn is_mine(file: &fs::Metadata) -> bool {
    file.uid() == nix::unistd::geteuid().as_raw()
}

/// The id of this boot, and of this process' PID namespace.
fn whereabouts() -> (String, String) {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    (boot.trim().to_owned(), namespace.display().to_string())
}

#[cfg(test)]
impl Marker {
    /// The marker of a directory that another process created.
    pub fn of(directory: &Directory, process: ProcessId) -> Self {
        Self { process, ..Self::of_this_process(directory.inode()).unwrap() }
    }

    /// The same, created on another machine.
    pub fn elsewhere(self) -> Self {
        Self { boot: "another".to_owned(), ..self }
    }
}
