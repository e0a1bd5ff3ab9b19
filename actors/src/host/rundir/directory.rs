//! A directory that is held open: what is done in it is done in this one, whatever its name leads to by then.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc;

use super::marker::is_mine;

/// An open directory.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    handle: File,
    id: (u64, u64),
}

impl Directory {
    /// Opens what is at a path.
    ///
    /// # Errors
    /// It is a link, or no directory; the text says what it is. Or it can't be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::open_as(path, path)
    }

    /// Opens what has this name in it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_in(&self, name: impl AsRef<Path>) -> io::Result<Self> {
        Self::open_as(&self.inside(&name), &self.path.join(name))
    }

    /// Makes a directory in it that is its user's alone, and opens it.
    ///
    /// # Errors
    /// It exists, or can't be made.
    pub fn make_in(&self, name: impl AsRef<Path>) -> io::Result<Self> {
        DirBuilder::new().mode(0o700).create(self.inside(&name))?;
        self.open_in(name)
    }

    fn open_as(at: &Path, path: &Path) -> io::Result<Self> {
        check_kind(at, path)?;
        // A link that takes its place only now is not followed either.
        let handle =
            OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW).open(at)?;
        let id = id(&handle.metadata()?);
        Ok(Self { path: path.to_owned(), handle, id })
    }

    /// Where it was when it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its number on its file system.
    pub fn inode(&self) -> u64 {
        self.id.1
    }

    /// What it is now: its owner and its mode may have changed.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.handle.metadata()
    }

    /// A path to what has this name in it, that no renaming above it can lead elsewhere. Means something to this process
    /// alone, while this lives.
    pub fn inside(&self, name: impl AsRef<Path>) -> PathBuf {
        Path::new("/proc/self/fd").join(self.handle.as_raw_fd().to_string()).join(name)
    }

    /// Whether its path leads to it.
    ///
    /// # Errors
    /// Its path can't be looked up, for another reason than that nothing is there, or what another user keeps to himself.
    pub fn is_in_place(&self) -> io::Result<bool> {
        use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
        match fs::symlink_metadata(&self.path) {
            Ok(found) => Ok(id(&found) == self.id),
            Err(error) if matches!(error.kind(), NotADirectory | NotFound | PermissionDenied) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes what is in it, and then itself, if its path still leads to it.
    pub fn remove(&self) {
        // A dying browser may write one more file between the listing and the removal.
        for attempt in 0..3 {
            match self.try_remove() {
                Ok(()) => return,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return,
                Err(error) if attempt == 2 => {
                    log::warn!("could not remove {}: {error}", self.path.display());
                }
                Err(_) => {}
            }
        }
    }

    /// The same, tried once.
    ///
    /// # Errors
    /// Something in it can't be removed, or came in the meantime.
    pub fn try_remove(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.inside(""))? {
            let entry = entry?;
            let removed = entry.file_type().and_then(|kind| match kind.is_dir() {
                true => fs::remove_dir_all(entry.path()),
                false => fs::remove_file(entry.path()),
            });
            match removed {
                // The driver removes a browser's profile, too, and may have been faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed?,
            }
        }
        // It removes nothing that has anything in it.
        if self.is_in_place()? { fs::remove_dir(&self.path) } else { Ok(()) }
    }
}

fn id(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

fn check_kind(at: &Path, path: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(at)?;
    if found.is_symlink() {
        let target = fs::read_link(at).unwrap_or_default();
        return Err(io::Error::other(format!(
            "{} is a symbolic link to {}; name that directory itself",
            path.display(),
            target.display()
        )));
    }
    if found.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

/// Whether others than its owner may rename and remove what is in a directory with this mode.
pub(super) fn is_open_to_others(found: &Metadata) -> bool {
    let mode = found.mode();
    mode & 0o022 != 0 && mode & libc::S_ISVTX == 0
}

/// The first directory on the way to this one, itself included, in which another user of the machine may put something
/// else in the place of what camofleet makes there: what that is, and the remedy.
pub(super) fn exposed(directory: &Path) -> io::Result<Option<String>> {
    let real = fs::canonicalize(directory)?;
    for part in real.ancestors() {
        let found = fs::metadata(part)?;
        let part = part.display();
        if !is_mine(&found) && found.uid() != 0 {
            return Ok(Some(format!(
                "{part} belongs to the user with id {}, who can put something else in the place of what is made below it; \
                 name a directory of your own with RUNNER_RUN_DIR",
                found.uid()
            )));
        }
        if is_open_to_others(&found) {
            return Ok(Some(format!(
                "other users may write to {part}, and so put something else in the place of what is made below it; \
                 'chmod +t {part}' keeps them from that, unless nobody else is on this machine"
            )));
        }
    }
    Ok(None)
}
