//! The run directory: where profiles, temporary files and display keys live, and what a crash leaves behind.
//!
//! Each running camofleet has its own directory below a shared base. It carries a marker that proves who made it, and
//! is locked for as long as its process lives, however that ends. At its start a camofleet so knows which directories are
//! its predecessors': it kills what still runs with their mark, and removes them. Nothing else below the base is touched.

mod marker;
mod place;
mod sweep;

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nix::fcntl::{Flock, FlockArg};

pub(crate) use self::marker::FILE as MARKER_FILE;
use self::marker::Marker;
use self::place::Place;
use crate::process::Os;

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

/// What holds a directory that was made, until it is dropped.
#[derive(Debug)]
struct Made {
    inode: u64,
    locks: Vec<Flock<File>>,
}

impl RunDir {
    /// Sweeps what earlier runs left below `base`, then makes a new directory there: in `base` itself where that holds
    /// nothing but camofleet's, else in `base/camofleet-<user id>`.
    ///
    /// # Errors
    /// `base` can't be made, is a link, or belongs to another user; the text names the remedy.
    pub fn create(base: &Path, os: &dyn Os) -> io::Result<Self> {
        let place = Place::settle(base)?;
        for directory in place.to_sweep() {
            sweep::sweep(directory, os)?;
        }
        let path = place.path().join(format!("{}-{:06x}", std::process::id(), fastrand::u32(..0x100_0000)));
        DirBuilder::new().mode(0o700).create(&path)?;
        // What has no marker nobody could tell from somebody else's, the next start included.
        let made = Made::mark(&path).inspect_err(|_| drop(fs::remove_dir_all(&path)))?;
        let made = Mutex::new(made);
        Ok(Self(Arc::new(Held { path, made })))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The mark that every process of this camofleet carries in its environment.
    pub fn mark(&self) -> (String, String) {
        (RUN_DIR_MARK.to_owned(), self.path().display().to_string())
    }

    /// Makes the directory again where somebody removed it under us, or took its marker away.
    ///
    /// # Errors
    /// It can't be made, or something else is in its place; the text names the remedy.
    pub fn restore(&self) -> io::Result<()> {
        let path = self.path();
        let mut made = self.0.made.lock().unwrap_or_else(PoisonError::into_inner);
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_dir() && found.ino() == made.inode => {
                if path.join(MARKER_FILE).exists() && path.join(LOCK_FILE).exists() {
                    return Ok(());
                }
            }
            Ok(_) => {
                return Err(io::Error::other("something else is in its place; move that away"));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                log::warn!("{} was removed by somebody else; making it again", path.display());
                if let Some(parent) = path.parent() {
                    place::restore(parent)?;
                }
                DirBuilder::new().mode(0o700).create(path)?;
            }
            Err(error) => return Err(error),
        }
        // Or the lock that is still there would be in the way of the new one.
        made.locks.clear();
        *made = Made::mark(path)?;
        Ok(())
    }

    /// Where the directory of a launch is, as long as it lives.
    pub fn launch_path(&self, launch: u64) -> PathBuf {
        self.path().join(format!("launch-{launch}"))
    }

    /// A new directory for one launch.
    ///
    /// # Errors
    /// The file system is full or read-only, or something else is in the run directory's place.
    pub fn launch_dir(&self, launch: u64) -> io::Result<LaunchDir> {
        self.restore()?;
        let path = self.launch_path(launch);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(LaunchDir { path, _run_dir: self.clone() })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let made = self.made.get_mut().unwrap_or_else(PoisonError::into_inner);
        // What is in its place by now is not this camofleet's.
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == made.inode) {
            remove_dir(&self.path);
        }
    }
}

impl Made {
    /// Marks a directory of this process as its own, and locks it.
    fn mark(path: &Path) -> io::Result<Self> {
        let directory = File::open(path)?;
        let inode = directory.metadata()?.ino();
        // This lock is there as long as the directory is, and systemd-tmpfiles keeps away from what is locked so. Network
        // file systems know none for directories: there the file's has to do.
        let directory = Flock::lock(directory, FlockArg::LockExclusiveNonblock).ok();
        Marker::of_this_process(inode)?.write(path)?;
        let lock = File::create(path.join(LOCK_FILE))?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, errno)| io::Error::from(errno))?;
        Ok(Self { inode, locks: directory.into_iter().chain([lock]).collect() })
    }
}

/// The directory of one browser launch: its profile and its temporary files. Removed when dropped.
#[derive(Debug)]
pub struct LaunchDir {
    path: PathBuf,
    /// Keeps the run directory's lock for as long as something lives in it.
    _run_dir: RunDir,
}

impl LaunchDir {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the `HOME` of a browser in it, with links to directories that it is to find there: where, and to what.
    ///
    /// What a browser puts there, downloads among it, goes with the launch.
    ///
    /// # Errors
    /// The file system is full or read-only.
    pub fn make_home(&self, links: &[(PathBuf, PathBuf)]) -> io::Result<PathBuf> {
        let home = self.path.join("home");
        DirBuilder::new().mode(0o700).create(&home)?;
        for (link, target) in links {
            let link = home.join(link);
            if let Some(parent) = link.parent() {
                DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
            }
            std::os::unix::fs::symlink(target, link)?;
        }
        Ok(home)
    }

    /// Takes the directory away from the processes that are being killed, and removes what is in it, away from the
    /// actors' thread. Under its new name nobody else finds it: the dying write nothing more, and the driver, which
    /// removes a browser's profile too, has nothing left to do.
    pub async fn clear(&mut self) {
        let ended = self.path.with_extension("ended");
        let (path, new_path) = (self.path.clone(), ended.clone());
        let renamed = tokio::task::spawn_blocking(move || {
            fs::rename(&path, &new_path)?;
            // What is left over is `remove`'s to complain about.
            let _ = fs::remove_dir_all(&new_path);
            io::Result::Ok(())
        });
        if let Ok(Ok(())) = renamed.await {
            self.path = ended;
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
        remove_dir(&self.path);
    }
}

fn remove_dir(path: &Path) {
    // A dying browser may write one more file between the listing and the removal.
    for attempt in 0..3 {
        match fs::remove_dir_all(path) {
            Ok(()) => return,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) if attempt == 2 => log::warn!("could not remove {}: {error}", path.display()),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
