//! The run directory: where profiles, temporary files and display keys live, and what a crash leaves behind.
//!
//! Each running camofleet has its own directory below a shared base, held by a lock on a file in it. The lock goes
//! with the process, however it ends, so at its start a camofleet knows which directories are left over: it kills
//! what still runs with that directory's mark, and removes it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::process::Os;

/// The environment variable that marks every process of one camofleet with its run directory.
pub const RUN_DIR_MARK: &str = "CAMOFLEET_RUN_DIR";
/// The file whose lock tells a live directory from one that was left over.
const LOCK_FILE: &str = "lock";
/// The file in the base directory whose lock lets one camofleet at a time sweep and settle in.
const GATE_FILE: &str = "gate";

/// The directory of this camofleet. Removed with everything in it when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct RunDir(Arc<Held>);

#[derive(Debug)]
struct Held {
    path: PathBuf,
    _lock: Flock<File>,
}

impl RunDir {
    /// Sweeps what earlier runs left below `base`, then makes a new directory there.
    ///
    /// # Errors
    /// `base` can't be made, or belongs to another user.
    pub fn create(base: &Path, os: &dyn Os) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(base)?;
        // In a world-writable /tmp somebody else may have made the directory first, to read our profiles.
        if fs::metadata(base)?.uid() != nix::unistd::geteuid().as_raw() {
            return Err(io::Error::other("it belongs to another user"));
        }
        // One at a time: a directory that is made but not locked yet must not look left over to another start.
        let gate = File::create(base.join(GATE_FILE))?;
        let _gate =
            Flock::lock(gate, FlockArg::LockExclusive).map_err(|(_, errno)| io::Error::from(errno))?;
        sweep(base, os)?;
        let path = base.join(format!("{}-{:06x}", std::process::id(), fastrand::u32(..0x100_0000)));
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        let lock = File::create(path.join(LOCK_FILE))?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, errno)| io::Error::from(errno))?;
        Ok(Self(Arc::new(Held { path, _lock: lock })))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The mark that every process of this camofleet carries in its environment.
    pub fn mark(&self) -> (String, String) {
        (RUN_DIR_MARK.to_owned(), self.path().display().to_string())
    }

    /// A new directory for one launch.
    ///
    /// # Errors
    /// The file system is full, read-only or gone.
    pub fn launch_dir(&self, launch: u64) -> io::Result<LaunchDir> {
        let path = self.path().join(format!("launch-{launch}"));
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(LaunchDir { path, _run_dir: self.clone() })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        remove_dir(&self.path);
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

/// Ends the processes and removes the directories of earlier runs whose camofleet is gone.
fn sweep(base: &Path, os: &dyn Os) -> io::Result<()> {
    for entry in fs::read_dir(base)? {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        let Ok(lock) = File::open(path.join(LOCK_FILE)) else {
            // Half made or half removed: without a lock file nothing lives in it.
            remove_dir(&path);
            continue;
        };
        match Flock::lock(lock, FlockArg::LockExclusiveNonblock) {
            Ok(_lock) => {
                log::info!("removing {}, left by a camofleet that was killed", path.display());
                os.kill_marked(RUN_DIR_MARK, &path.display().to_string());
                sweep_displays(&path, os);
                remove_dir(&path);
            }
            Err((_, Errno::EWOULDBLOCK)) => {}
            Err((_, errno)) => log::warn!("could not look at {}: {errno}", path.display()),
        }
    }
    Ok(())
}

/// Each display of a run leaves a note `display-<number>` with its X server's process id: its lock file and
/// socket in `/tmp` are removed with it.
fn sweep_displays(path: &Path, os: &dyn Os) {
    let Ok(entries) = fs::read_dir(path) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(display) = name.to_str().and_then(|name| name.strip_prefix("display-")?.parse().ok()) else {
            continue;
        };
        if let Some(pid) = fs::read_to_string(entry.path()).ok().and_then(|pid| pid.trim().parse().ok()) {
            os.remove_display_files(display, pid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::fake::FakeOs;

    #[test]
    fn a_run_directory_goes_with_its_last_holder() {
        let base = tempfile::tempdir().unwrap();
        let run_dir = RunDir::create(base.path(), &FakeOs::new()).unwrap();
        let path = run_dir.path().to_owned();
        let launch = run_dir.launch_dir(1).unwrap();
        drop(run_dir);
        assert!(launch.path().is_dir(), "a launch keeps the run directory");
        drop(launch);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_is_cleared_is_out_of_reach_of_the_dying() {
        let base = tempfile::tempdir().unwrap();
        let run_dir = RunDir::create(base.path(), &FakeOs::new()).unwrap();
        let mut launch = run_dir.launch_dir(1).unwrap();
        let known_to_the_browser = launch.path().to_owned();
        fs::write(known_to_the_browser.join("prefs.js"), "").unwrap();
        launch.clear().await;
        assert!(fs::write(known_to_the_browser.join("late"), "").is_err());
        launch.remove().await;
        let left: Vec<_> =
            fs::read_dir(run_dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [LOCK_FILE]);
    }

    #[test]
    fn the_next_start_sweeps_what_a_killed_run_left_and_spares_the_living() {
        let base = tempfile::tempdir().unwrap();
        let os = FakeOs::new();
        let living = RunDir::create(base.path(), &os).unwrap();
        let dead = base.path().join("999-abcdef");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(LOCK_FILE), "").unwrap();
        fs::write(dead.join("display-104"), "4711\n").unwrap();
        let _next = RunDir::create(base.path(), &os).unwrap();
        assert!(!dead.exists());
        assert!(living.path().exists());
        assert_eq!(os.marks_killed(), [(RUN_DIR_MARK.to_owned(), dead.display().to_string())]);
        assert_eq!(os.display_files_removed(), [(104, 4711)]);
    }

    #[test]
    fn a_base_that_cannot_be_made_is_an_error_and_not_a_panic() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(RunDir::create(&file.join("below"), &FakeOs::new()).is_err());
    }
}
