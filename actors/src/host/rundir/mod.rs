//! The run directory, which holds profiles, temporary files and display keys, and the clean-up of what a crash left behind.
//!
//! Each running camofleet has its own directory below a shared base, with a marker that proves who created it and a lock
//! that the kernel releases with the process. From both, a starting camofleet recognizes the directories of crashed
//! predecessors: it kills processes that still carry their mark, and removes them. Nothing else below the base is touched.
//! Directories are accessed by handles, because in some bases other users may rename them.

mod directory;
mod marker;
mod place;
mod sweep;

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use camofleet_api::ids::SessionId;
use nix::fcntl::{Flock, FlockArg};

use self::directory::Directory;
use self::marker::Marker;
use self::place::Place;
use crate::process::Os;

pub(crate) use self::directory::exposed;
pub(crate) use self::marker::FILE as MARKER_FILE;

/// The environment variable that marks every process of one camofleet with its run directory.
pub const RUN_DIR_MARK: &str = "CAMOFLEET_RUN_DIR";
/// The file whose lock marks a directory as in use, in addition to the lock on the directory itself.
pub(crate) const LOCK_FILE: &str = "lock";

/// The run directory of this camofleet. Removed with its contents when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct RunDir(Arc<Held>);

#[derive(Debug)]
struct Held {
    path: PathBuf,
    made: Mutex<Made>,
}

/// The created directory with its locks.
#[derive(Debug)]
struct Made {
    place: Directory,
    directory: Arc<Directory>,
    locks: Vec<Flock<File>>,
}

impl RunDir {
    /// Removes what earlier runs left below `base`, then creates a new directory: in `base` itself if that holds only
    /// directories of camofleet and nobody else can write to it, else in `base/camofleet-<user id>`.
    ///
    /// # Errors
    /// `base` can't be created, is a link, or belongs to another user; the text names the remedy.
    pub fn create(base: &Path, os: &dyn Os) -> io::Result<Self> {
        let place = Place::settle(base)?;
        for directory in place.to_sweep() {
            sweep::sweep(directory, os)?;
        }
        let name = format!("{}-{:06x}", std::process::id(), fastrand::u32(..0x100_0000));
        let directory = place.directory().make_in(name)?;
        // Without a marker, the next start could not recognize it as camofleet's.
        let locks = mark(&directory).inspect_err(|_| directory.remove())?;
        let path = directory.path().to_owned();
        let made = Made { place: place.into_directory(), directory: Arc::new(directory), locks };
        Ok(Self(Arc::new(Held { path, made: Mutex::new(made) })))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The environment variable that marks every process of this camofleet.
    pub fn mark(&self) -> (String, String) {
        (RUN_DIR_MARK.to_owned(), self.path().display().to_string())
    }

    /// Creates the directory or its marker again if somebody removed them, and checks that neither it nor its parent has been
    /// replaced.
    ///
    /// # Errors
    /// It can't be created, or something else is in its place; the text names the remedy.
    pub fn restore(&self) -> io::Result<()> {
        self.held().map(|_| ())
    }

    fn held(&self) -> io::Result<Arc<Directory>> {
        let path = self.path();
        let mut made = self.0.made.lock().unwrap_or_else(PoisonError::into_inner);
        if !made.place.is_in_place()? {
            made.place = place::restore(made.place.path())?;
        }
        if made.directory.is_in_place()? {
            if [MARKER_FILE, LOCK_FILE].iter().all(|file| made.directory.inside(file).exists()) {
                return Ok(Arc::clone(&made.directory));
            }
        } else {
            if fs::symlink_metadata(path).is_ok() {
                return Err(io::Error::other("something else is in its place; move that away"));
            }
            log::warn!("{} was removed by somebody else; making it again", path.display());
            let name = path.file_name().unwrap_or_default();
            made.directory = Arc::new(made.place.make_in(name)?);
        }
        // Dropped first, because the old lock would block the new one.
        made.locks.clear();
        made.locks = mark(&made.directory)?;
        Ok(Arc::clone(&made.directory))
    }

    /// The path of a launch's directory.
    pub fn launch_path(&self, launch: u64) -> PathBuf {
        self.path().join(launch_name(launch))
    }

    /// Creates the directory for one launch.
    ///
    /// # Errors
    /// The file system is full or read-only, or something else is in the run directory's place.
    pub fn launch_dir(&self, launch: u64) -> io::Result<LaunchDir> {
        self.own_dir(launch_name(launch))
    }

    /// Creates the directory for a session's copy of a profile.
    ///
    /// # Errors
    /// As [`Self::launch_dir`].
    pub fn profile_copy(&self, session: SessionId) -> io::Result<LaunchDir> {
        self.own_dir(format!("profile-{session}"))
    }

    fn own_dir(&self, name: String) -> io::Result<LaunchDir> {
        let parent = self.held()?;
        let directory = parent.make_in(name)?;
        Ok(LaunchDir { directory, parent, _run_dir: self.clone() })
    }
}

fn launch_name(launch: u64) -> String {
    format!("launch-{launch}")
}

impl Drop for Held {
    fn drop(&mut self) {
        let made = self.made.get_mut().unwrap_or_else(PoisonError::into_inner);
        made.directory.remove();
    }
}

/// Writes this process' marker into a directory, and locks it.
fn mark(directory: &Directory) -> io::Result<Vec<Flock<File>>> {
    // The lock on the directory itself can't be removed separately, and keeps systemd-tmpfiles away. Network file systems
    // don't support it; there the lock file has to suffice.
    let itself = Flock::lock(File::open(directory.inside(""))?, FlockArg::LockExclusiveNonblock).ok();
    Marker::of_this_process(directory.inode())?.write(directory)?;
    let lock = File::create(directory.inside(LOCK_FILE))?;
    let lock =
        Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| io::Error::from(errno))?;
    Ok(itself.into_iter().chain([lock]).collect())
}

/// The directory of one browser launch, with its temporary files, or of a copied profile. Removed when dropped.
#[derive(Debug)]
pub struct LaunchDir {
    directory: Directory,
    parent: Arc<Directory>,
    /// Keeps the run directory locked while the launch exists.
    _run_dir: RunDir,
}

impl LaunchDir {
    /// Its path.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Creates the browser's `HOME` in it, with symbolic links given as pairs of name and target.
    ///
    /// Files that the browser stores there, such as downloads, are removed with the launch.
    ///
    /// # Errors
    /// The file system is full or read-only.
    pub fn make_home(&self, links: &[(PathBuf, PathBuf)]) -> io::Result<PathBuf> {
        let home = self.directory.inside("home");
        DirBuilder::new().mode(0o700).create(&home)?;
        for (link, target) in links {
            let link = home.join(link);
            if let Some(parent) = link.parent() {
                DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
            }
            std::os::unix::fs::symlink(target, link)?;
        }
        Ok(self.path().join("home"))
    }

    /// Renames the directory and removes its contents, on another thread than the actors'. Renamed, it is out of reach of the
    /// processes that are being killed, which can't write more files into it, and of the driver, which also removes profiles.
    pub async fn clear(&mut self) {
        let (parent, name) = (Arc::clone(&self.parent), self.path().file_name().map(OsString::from));
        let renamed = tokio::task::spawn_blocking(move || {
            let name = name.unwrap_or_default();
            let new_name = Path::new(&name).with_extension("ended");
            fs::rename(parent.inside(&name), parent.inside(&new_name))?;
            let renamed = parent.open_in(new_name)?;
            // `remove` logs what could not be removed.
            let _ = renamed.try_remove();
            io::Result::Ok(renamed)
        });
        if let Ok(Ok(renamed)) = renamed.await {
            self.directory = renamed;
        }
    }

    /// Removes the directory on another thread than the actors'; resolves when it is gone.
    pub async fn remove(self) {
        // Dropping it does the work; if the runtime is shutting down, that happens on this thread.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }
}

impl Drop for LaunchDir {
    fn drop(&mut self) {
        self.directory.remove();
    }
}

#[cfg(test)]
mod tests;
