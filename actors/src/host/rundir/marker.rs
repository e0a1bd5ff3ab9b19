//! The proof that a directory is camofleet's, and whose.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::libc;
use serde::{Deserialize, Serialize};

use super::directory::Directory;
use crate::process::{Os, ProcessId};

/// The marker's name in the directory that it marks.
pub(crate) const FILE: &str = "camofleet.json";
/// What every marker says.
const KIND: &str = "run directory";
/// More than any marker has.
const LONGEST: u64 = 4096;

/// Who made a run directory, as a file in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marker {
    camofleet: String,
    /// The directory's own: a copy of it is somebody else's.
    inode: u64,
    /// The process that it was made by.
    process: ProcessId,
    /// Where that process' number and start time mean something: one boot of one machine, and one container of it.
    boot: String,
    pid_namespace: String,
}

/// Whether the process lives that a directory belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    Lives,
    Gone,
    /// It was on another machine, in another container, or before a reboot.
    Elsewhere,
}

impl Marker {
    /// What marks the directory with this inode as this process'.
    ///
    /// # Errors
    /// There is no `/proc`.
    pub fn of_this_process(inode: u64) -> io::Result<Self> {
        let process = ProcessId::own().ok_or_else(|| io::Error::other("/proc can't be read; mount it"))?;
        let (boot, pid_namespace) = whereabouts();
        Ok(Self { camofleet: KIND.to_owned(), inode, process, boot, pid_namespace })
    }

    /// The marker of a directory that proves itself as camofleet's: it has a run directory's exact name, is no link and
    /// this user's, and so is the marker in it, which names this very directory and the process of its name.
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

/// The process id in a run directory's name: `<process id>-<six hexadecimal digits>` and nothing else.
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

/// This boot of this machine, and this process' namespace of process ids in it.
fn whereabouts() -> (String, String) {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    (boot.trim().to_owned(), namespace.display().to_string())
}

#[cfg(test)]
impl Marker {
    /// The marker of a directory whose maker was another process.
    pub fn of(directory: &Directory, process: ProcessId) -> Self {
        Self { process, ..Self::of_this_process(directory.inode()).unwrap() }
    }

    /// The same, made in another place.
    pub fn elsewhere(self) -> Self {
        Self { boot: "another".to_owned(), ..self }
    }
}
