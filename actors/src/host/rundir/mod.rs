//! The run directory: where profiles, temporary files and display keys live, and what a crash leaves behind.
//!
//! Each running camofleet has its own directory below a shared base. It carries a marker that proves who made it, and
//! is locked for as long as its process lives, however that ends. At its start a camofleet so knows which directories are
//! its predecessors': it kills what still runs with their mark, and removes them. Nothing else below the base is touched.
//! Directories are held open and worked in by their handles, for in some bases others may rename them.

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

use nix::fcntl::{Flock, FlockArg};

use self::directory::Directory;
use self::marker::Marker;
use self::place::Place;
use crate::process::Os;

pub(crate) use self::marker::FILE as MARKER_FILE;

/// The environment variable that marks every process of one camofleet with its run directory.
pub const RUN_DIR_MARK: &str = "CAMOFLEET_RUN_DIR";
/// The file whose lock tells a live directory from one that was left over, besides the lock on the directory itself.
pub(crate) const LOCK_FILE: &str = "lock";

/// The directory of this camofleet. Removed with everything in it when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct RunDir(Arc<Held>);

#[derive(Debug)]
struct Held {
    path: PathBuf,
    made: Mutex<Made>,
}

/// What was made, and holds it until it is dropped.
#[derive(Debug)]
struct Made {
    place: Directory,
    directory: Arc<Directory>,
    locks: Vec<Flock<File>>,
}

impl RunDir {
    /// Sweeps what earlier runs left below `base`, then makes a new directory there: in `base` itself where that holds
    /// nothing but camofleet's and nobody else may write to it, else in `base/camofleet-<user id>`.
    ///
    /// # Errors
    /// `base` can't be made, is a link, or belongs to another user; the text names the remedy.
    pub fn create(base: &Path, os: &dyn Os) -> io::Result<Self> {
        let place = Place::settle(base)?;
        for directory in place.to_sweep() {
            sweep::sweep(directory, os)?;
        }
        let name = format!("{}-{:06x}", std::process::id(), fastrand::u32(..0x100_0000));
        let directory = place.directory().make_in(name)?;
        // What has no marker nobody could tell from somebody else's, the next start included.
        let locks = mark(&directory).inspect_err(|_| directory.remove())?;
        let path = directory.path().to_owned();
        let made = Made { place: place.into_directory(), directory: Arc::new(directory), locks };
        Ok(Self(Arc::new(Held { path, made: Mutex::new(made) })))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The mark that every process of this camofleet carries in its environment.
    pub fn mark(&self) -> (String, String) {
        (RUN_DIR_MARK.to_owned(), self.path().display().to_string())
    }

    /// Makes the directory again where somebody removed it under us, or took its marker away, and finds out whether
    /// something else is in its place, or in that of the directory that it was made in.
    ///
    /// # Errors
    /// It can't be made, or something else is in its place; the text names the remedy.
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
        // Or the lock that is still there would be in the way of the new one.
        made.locks.clear();
        made.locks = mark(&made.directory)?;
        Ok(Arc::clone(&made.directory))
    }

    /// Where the directory of a launch is, as long as it lives.
    pub fn launch_path(&self, launch: u64) -> PathBuf {
        self.path().join(launch_name(launch))
    }

    /// A new directory for one launch.
    ///
    /// # Errors
    /// The file system is full or read-only, or something else is in the run directory's place.
    pub fn launch_dir(&self, launch: u64) -> io::Result<LaunchDir> {
        let parent = self.held()?;
        let directory = parent.make_in(launch_name(launch))?;
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

/// Marks a directory of this process as its own, and locks it.
fn mark(directory: &Directory) -> io::Result<Vec<Flock<File>>> {
    // This lock is there as long as the directory is, and systemd-tmpfiles keeps away from what is locked so. Network
    // file systems know none for directories: there the file's has to do.
    let itself = Flock::lock(File::open(directory.inside(""))?, FlockArg::LockExclusiveNonblock).ok();
    Marker::of_this_process(directory.inode())?.write(directory)?;
    let lock = File::create(directory.inside(LOCK_FILE))?;
    let lock =
        Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| io::Error::from(errno))?;
    Ok(itself.into_iter().chain([lock]).collect())
}

/// The directory of one browser launch: its profile and its temporary files. Removed when dropped.
#[derive(Debug)]
pub struct LaunchDir {
    directory: Directory,
    parent: Arc<Directory>,
    /// Keeps the run directory's lock for as long as something lives in it.
    _run_dir: RunDir,
}

impl LaunchDir {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Makes the `HOME` of a browser in it, with links to directories that it is to find there: where, and to what.
    ///
    /// What a browser puts there, downloads among it, goes with the launch.
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

    /// Takes the directory away from the processes that are being killed, and removes what is in it, away from the
    /// actors' thread. Under its new name nobody else finds it: the dying write nothing more, and the driver, which
    /// removes a browser's profile too, has nothing left to do.
    pub async fn clear(&mut self) {
        let (parent, name) = (Arc::clone(&self.parent), self.path().file_name().map(OsString::from));
        let renamed = tokio::task::spawn_blocking(move || {
            let name = name.unwrap_or_default();
            let new_name = Path::new(&name).with_extension("ended");
            fs::rename(parent.inside(&name), parent.inside(&new_name))?;
            let renamed = parent.open_in(new_name)?;
            // What is left over is `remove`'s to complain about.
            let _ = renamed.try_remove();
            io::Result::Ok(renamed)
        });
        if let Ok(Ok(renamed)) = renamed.await {
            self.directory = renamed;
        }
    }

    /// Removes the directory away from the actors' thread; resolves when it is gone.
    pub async fn remove(self) {
        // The drop does the work; a runtime that is shutting down does it here and now instead.
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
