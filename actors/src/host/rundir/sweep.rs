//! Cleans up after earlier runs: finds their directories by the marker, and removes them with their remaining processes.

use std::fs::{self, File};
use std::io;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::directory::Directory;
use super::marker::{Maker, Marker};
use super::{LOCK_FILE, RUN_DIR_MARK};
use crate::process::{DisplayFiles, Os};

/// How many names of removed entries are logged.
const MOST_NAMES: usize = 20;

/// Kills the processes and removes the directories of earlier runs whose camofleet is gone.
pub(super) fn sweep(base: &Directory, os: &dyn Os) -> io::Result<()> {
    for entry in fs::read_dir(base.inside(""))? {
        // An entry that can't be opened as a directory is not a run directory.
        let Ok(directory) = base.open_in(entry?.file_name()) else { continue };
        let Some(marker) = Marker::read(&directory) else { continue };
        let path = directory.path();
        // The locks are held until it is removed.
        let _locks = match lock_if_left_over(&directory, &marker, os) {
            Ok(Some(locks)) => locks,
            Ok(None) => continue,
            Err(error) => {
                log::warn!("could not find out whether {} is in use, and left it: {error}", path.display());
                continue;
            }
        };
        log::info!(
            "removing {}, left by a camofleet that was killed, with {}",
            path.display(),
            contents(&directory)
        );
        os.kill_marked(RUN_DIR_MARK, &path.display().to_string());
        sweep_displays(&directory, os);
        directory.remove();
    }
    Ok(())
}

/// Locks a marked directory that is no longer in use; `None` if it is in use.
fn lock_if_left_over(
    directory: &Directory,
    marker: &Marker,
    os: &dyn Os,
) -> io::Result<Option<Vec<Flock<File>>>> {
    let mut locks = Vec::new();
    let mut lock_file = false;
    for (file, is_lock_file) in [(directory.inside(""), false), (directory.inside(LOCK_FILE), true)] {
        let file = match File::open(file) {
            Ok(file) => file,
            // A program that cleans up /tmp may have removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => {
                locks.push(lock);
                lock_file |= is_lock_file;
            }
            Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
            // This file system does not support locks on directories.
            Err(_) if !is_lock_file => {}
            Err((_, errno)) => return Err(errno.into()),
        }
    }
    match marker.maker(os) {
        Maker::Lives => Ok(None),
        Maker::Gone => Ok(Some(locks)),
        // Only its lock, which is released with its process wherever that runs, shows whether it is in use.
        Maker::Elsewhere if lock_file => Ok(Some(locks)),
        Maker::Elsewhere => Err(io::Error::other(
            "it was made in another container or before a reboot, and its lock file is gone; remove it by hand",
        )),
    }
}

/// A directory's contents, for the log.
fn contents(directory: &Directory) -> String {
    let Ok(entries) = fs::read_dir(directory.inside("")) else {
        return "contents that can't be read".to_owned();
    };
    let mut names: Vec<_> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let more = names.len().saturating_sub(MOST_NAMES);
    names.truncate(MOST_NAMES);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{more} in it", names.join(", "))
}

/// Removes what X servers of a run left behind, by the files `display-<number>` in which each run records its X servers and
/// their sockets.
fn sweep_displays(directory: &Directory, os: &dyn Os) {
    let Ok(entries) = fs::read_dir(directory.inside("")) else { return };
    for entry in entries.flatten() {
        let is_note = entry.file_name().to_str().is_some_and(|name| name.starts_with("display-"));
        let note = fs::read_to_string(entry.path()).ok().filter(|_| is_note);
        if let Some(files) = note.and_then(|note| serde_json::from_str::<DisplayFiles>(&note).ok()) {
            os.remove_display_files(&files);
        }
    }
}
