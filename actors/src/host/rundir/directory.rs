//! A directory handle: all operations apply to the opened directory, even if its path has been replaced since.

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
    /// Opens the directory at a path.
    ///
    /// # Errors
    /// It is a link, which the text names, or not a directory, or can't be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::open_as(path, path)
    }

    /// Opens a subdirectory.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_in(&self, name: impl AsRef<Path>) -> io::Result<Self> {
        Self::open_as(&self.inside(&name), &self.path.join(name))
    }

    /// Creates a subdirectory that only this user can access, and opens it.
    ///
    /// # Errors
    /// It exists, or can't be created.
    pub fn make_in(&self, name: impl AsRef<Path>) -> io::Result<Self> {
        DirBuilder::new().mode(0o700).create(self.inside(&name))?;
        self.open_in(name)
    }

    fn open_as(at: &Path, path: &Path) -> io::Result<Self> {
        check_kind(at, path)?;
        // O_NOFOLLOW: a link that replaced it after the check is not followed either.
        let handle =
            OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW).open(at)?;
        let id = id(&handle.metadata()?);
        Ok(Self { path: path.to_owned(), handle, id })
    }

    /// Its path when it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its inode number.
    pub fn inode(&self) -> u64 {
        self.id.1
    }

    /// Its current metadata: its owner and mode may have changed.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.handle.metadata()
    }

    /// A path to an entry of it that stays right even if directories above are renamed. Valid only in this process, and only
    /// while this handle exists.
    pub fn inside(&self, name: impl AsRef<Path>) -> PathBuf {
        Path::new("/proc/self/fd").join(self.handle.as_raw_fd().to_string()).join(name)
    }

    /// Whether its path still leads to it.
    ///
    /// # Errors
    /// Its path can't be checked, for a reason other than a missing entry or a missing permission.
    pub fn is_in_place(&self) -> io::Result<bool> {
        use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
        match fs::symlink_metadata(&self.path) {
            Ok(found) => Ok(id(&found) == self.id),
            Err(error) if matches!(error.kind(), NotADirectory | NotFound | PermissionDenied) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes its contents and then, if its path still leads to it, the directory itself. Logs what can't be removed.
    pub fn remove(&self) {
        // A dying browser may create one more file between listing and removal.
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

    /// As [`Self::remove`], but without retrying.
    ///
    /// # Errors
    /// Something in it can't be removed, or was created in the meantime.
    pub fn try_remove(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.inside(""))? {
            let entry = entry?;
            let removed = entry.file_type().and_then(|kind| match kind.is_dir() {
                true => fs::remove_dir_all(entry.path()),
                false => fs::remove_file(entry.path()),
            });
            match removed {
                // The driver removes browser profiles as well, and may have been faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed?,
            }
        }
        // This removes only empty directories.
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

/// Whether users other than its owner may rename and remove entries of a directory with this mode.
pub(super) fn is_open_to_others(found: &Metadata) -> bool {
    let mode = found.mode();
    mode & 0o022 != 0 && mode & libc::S_ISVTX == 0
}

/// Describes, with the remedy, the first directory on the path to this one (itself included) in which another user could
/// replace what camofleet creates. `setting` names the directory.
pub(crate) fn exposed(directory: &Path, setting: &str) -> io::Result<Option<String>> {
    let real = fs::canonicalize(directory)?;
    for part in real.ancestors() {
        let found = fs::metadata(part)?;
        let part = part.display();
        if !is_mine(&found) && found.uid() != 0 {
            return Ok(Some(format!(
                "{part} belongs to the user with id {}, who can put something else in the place of what is made below it; \
                 name a directory of your own with {setting}",
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
