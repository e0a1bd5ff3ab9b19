//! Chooses the directory for run directories below the configured base, and serializes starts in it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc;

use super::directory::{Directory, exposed, is_open_to_others};
use super::marker::{Marker, is_mine};

/// The empty file whose lock lets only one camofleet at a time clean up and create its run directory.
const GATE_FILE: &str = "gate";
/// How long to wait for another start to release the lock; it needs milliseconds.
const GATE_PATIENCE: Duration = Duration::from_secs(10);
const GATE_POLL: Duration = Duration::from_millis(20);

/// Opens the directory of run directories again, and creates it if it is gone. A replacement has to pass the same checks.
///
/// # Errors
/// It can't be created, belongs to another user, or is writable by others; the text names the remedy.
pub(super) fn restore(path: &Path) -> io::Result<Directory> {
    let fit = |found: &fs::Metadata| {
        let problem = match is_mine(found) || found.uid() == 0 {
            false => format!("belongs to the user with id {}", found.uid()),
            true if is_open_to_others(found) => "may be written to by others".to_owned(),
            true => return Ok(()),
        };
        let parent = path.parent().unwrap_or(path).display();
        Err(io::Error::other(format!(
            "something else is in the place of {}, which {problem}; move that away, and keep others from putting it there \
             by 'chmod +t {parent}'",
            path.display()
        )))
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return make(path),
        // Only the metadata may be readable of another user's directory. Links are not followed.
        found => found.and_then(|found| if found.is_dir() { fit(&found) } else { Ok(()) })?,
    }
    let directory = Directory::open(path)?;
    fit(&directory.metadata()?)?;
    Ok(directory)
}

fn make(path: &Path) -> io::Result<Directory> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    Directory::open(path)
}

/// The directory in which run directories are created, locked against other starts.
pub(super) struct Place {
    directory: Directory,
    /// The base, if the directory is another one and earlier runs may have left something in the base.
    before: Option<Directory>,
    _gates: Vec<Flock<File>>,
}

impl Place {
    /// Chooses the base itself if it is empty or holds only directories of camofleet and nobody else can write to it, else a
    /// private directory in it. Logs a warning if other users could replace either.
    ///
    /// # Errors
    /// The base is a link, not a directory, or another user's; or nothing can be created in it.
    pub fn settle(base: &Path) -> io::Result<Self> {
        let uid = nix::unistd::geteuid();
        let base = match Directory::open(base) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(base)?,
            directory => directory?,
        };
        let found = base.metadata()?;
        if !is_mine(&found) && found.uid() != 0 {
            // Its owner could replace directories that are created there, and so read profiles.
            return Err(io::Error::other(format!(
                "it belongs to the user with id {}, not {uid}",
                found.uid()
            )));
        }
        if let Some(exposed) = exposed(base.path(), "RUNNER_RUN_DIR")? {
            log::warn!("run directories are not safe from other users: {exposed}");
        }
        let mut gates = Vec::new();
        let holds = |name| format!("it holds '{name}', which is not camofleet's");
        let stranger = match is_mine(&found) {
            false => Some("it is root's".to_owned()),
            // They could even replace its lock file.
            true if is_open_to_others(&found) => Some("others may write to it".to_owned()),
            true if is_empty(&base)? || has_gate(&base) => {
                gates.push(lock_gate(&base)?);
                // Listed under the lock, so no other start is creating its directory at this moment.
                foreign_entry(&base)?.map(holds)
            }
            true => foreign_entry(&base)?.map(holds),
        };
        let Some(why) = stranger else {
            if gates.is_empty() {
                gates.push(lock_gate(&base)?);
            }
            return Ok(Self { directory: base, before: None, _gates: gates });
        };
        let name = format!("camofleet-{uid}");
        let own = base.path().join(&name);
        log::info!("run directories go to {} instead of {}: {why}", own.display(), base.path().display());
        let own = match base.make_in(&name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let found = fs::symlink_metadata(base.inside(&name))?;
                // Only the metadata may be readable of another user's directory.
                if found.is_dir() {
                    check_own(&own, &found)?;
                }
                base.open_in(&name)?
            }
            made => {
                made.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", own.display())))?
            }
        };
        check_own(own.path(), &own.metadata()?)?;
        if is_empty(&own)? || has_gate(&own) {
            gates.push(lock_gate(&own)?);
        }
        if let Some(name) = foreign_entry(&own)? {
            return Err(io::Error::other(format!(
                "{} holds '{name}', which is not camofleet's; move that away",
                own.path().display()
            )));
        }
        let before = has_gate(&base).then_some(base);
        Ok(Self { directory: own, before, _gates: gates })
    }

    /// The directories in which earlier runs may have left run directories.
    pub fn to_sweep(&self) -> impl Iterator<Item = &Directory> {
        std::iter::once(&self.directory).chain(&self.before)
    }

    /// The directory in which run directories are created.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The directory; releases the lock.
    pub fn into_directory(self) -> Directory {
        self.directory
    }
}

/// Checks a private directory below a base that others can write to, since they could have created it.
fn check_own(path: &Path, found: &fs::Metadata) -> io::Result<()> {
    let path = path.display();
    if !is_mine(found) {
        let (owner, uid) = (found.uid(), nix::unistd::geteuid());
        return Err(io::Error::other(format!(
            "{path} belongs to the user with id {owner}, not {uid}; move that away"
        )));
    }
    if found.mode() & 0o077 != 0 {
        return Err(io::Error::other(format!(
            "{path} is open to other users, mode {:o}; 'chmod 700 {path}' if it is yours",
            found.mode() & 0o777
        )));
    }
    Ok(())
}

fn is_empty(directory: &Directory) -> io::Result<bool> {
    Ok(fs::read_dir(directory.inside(""))?.next().is_none())
}

fn has_gate(directory: &Directory) -> bool {
    is_gate(&directory.inside(GATE_FILE))
}

/// Whether the file is a lock file of camofleet, which is empty; another program may use the same name.
fn is_gate(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && is_mine(&found) && found.len() == 0)
}

/// The first entry that is neither the lock file nor a marked run directory.
fn foreign_entry(directory: &Directory) -> io::Result<Option<String>> {
    for entry in fs::read_dir(directory.inside(""))? {
        let name = entry?.file_name();
        let gate = name == GATE_FILE && has_gate(directory);
        if !gate && directory.open_in(&name).ok().and_then(|run| Marker::read(&run)).is_none() {
            return Ok(Some(name.to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}

/// Waits for the lock against other starts. Without it, another start could see a directory that is created but not marked
/// yet, and treat it as foreign.
#[allow(clippy::disallowed_methods, reason = "no actor runs yet at this point of the start")]
fn lock_gate(directory: &Directory) -> io::Result<Flock<File>> {
    let path = directory.inside(GATE_FILE);
    let options = |options: &mut OpenOptions| options.write(true).custom_flags(libc::O_NOFOLLOW).open(&path);
    let mut gate = options(OpenOptions::new().create(true))?;
    let mut polls = GATE_PATIENCE.as_millis() / GATE_POLL.as_millis();
    loop {
        match Flock::lock(gate, FlockArg::LockExclusiveNonblock) {
            Ok(gate) => return Ok(gate),
            Err((open, Errno::EWOULDBLOCK)) if polls > 0 => gate = open,
            Err((_, Errno::EWOULDBLOCK)) => {
                return Err(io::Error::other(format!(
                    "another camofleet has held {} for {GATE_PATIENCE:?}; end that one, if it hangs",
                    directory.path().join(GATE_FILE).display()
                )));
            }
            Err((_, errno)) => return Err(errno.into()),
        }
        polls -= 1;
        std::thread::sleep(GATE_POLL);
    }
}
