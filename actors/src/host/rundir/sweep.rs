//! What earlier runs left: found by its marker, and removed with what still runs of it.

use std::fs::{self, File};
use std::io;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::directory::Directory;
use super::marker::{Maker, Marker};
use super::{LOCK_FILE, RUN_DIR_MARK};
use crate::process::{DisplayFiles, Os};

/// How many names of what is removed are logged.
const MOST_NAMES: usize = 20;

/// Ends the processes and removes the directories of earlier runs whose camofleet is gone.
pub(super) fn sweep(base: &Directory, os: &dyn Os) -> io::Result<()> {
    for entry in fs::read_dir(base.inside(""))? {
        // What is no directory is nobody's run.
        let Ok(directory) = base.open_in(entry?.file_name()) else { continue };
        let Some(marker) = Marker::read(&directory) else { continue };
        let path = directory.path();
        // Held until it is removed.
        let _locks = match is_left_over(&directory, &marker, os) {
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

/// The locks on a marked directory that nobody uses any more; `None` where somebody does.
fn is_left_over(directory: &Directory, marker: &Marker, os: &dyn Os) -> io::Result<Option<Vec<Flock<File>>>> {
    let mut locks = Vec::new();
    let mut lock_file = false;
    for (file, is_lock_file) in [(directory.inside(""), false), (directory.inside(LOCK_FILE), true)] {
        let file = match File::open(file) {
            Ok(file) => file,
            // Something that clears up /tmp may have taken it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => {
                locks.push(lock);
                lock_file |= is_lock_file;
            }
            Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
            // No locks for directories on this file system.
            Err(_) if !is_lock_file => {}
            Err((_, errno)) => return Err(errno.into()),
        }
    }
    match marker.maker(os) {
        Maker::Lives => Ok(None),
        Maker::Gone => Ok(Some(locks)),
        // Its lock, which goes with its process wherever that was, is all that is known of it.
        Maker::Elsewhere if lock_file => Ok(Some(locks)),
        Maker::Elsewhere => Err(io::Error::other(
            "it was made in another container or before a reboot, and its lock file is gone; remove it by hand",
        )),
    }
}

/// What is in a directory, for the log.
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

/// Each display of a run leaves a note `display-<number>` of its X server and its socket, which is removed with it.
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
