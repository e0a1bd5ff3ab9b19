//! Where below the given base run directories go, and who may settle there.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc;

use super::marker::{Marker, is_mine};

/// The empty file whose lock lets one camofleet at a time sweep and settle in.
const GATE_FILE: &str = "gate";
/// How long another camofleet may take to settle in; it needs milliseconds.
const GATE_PATIENCE: Duration = Duration::from_secs(10);
const GATE_POLL: Duration = Duration::from_millis(20);

/// Makes the directory of run directories again where it is gone, and holds it to what it was.
///
/// # Errors
/// It can't be made, or what is there now is not ours.
pub(super) fn restore(directory: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
            fs::symlink_metadata(directory)?
        }
        found => found?,
    };
    check_kind(directory, &found)?;
    if is_mine(&found) || found.uid() == 0 {
        return Ok(());
    }
    Err(io::Error::other(format!("{} belongs to the user with id {} now", directory.display(), found.uid())))
}

/// The directory that run directories are made in, with its gate closed behind us.
pub(super) struct Place {
    path: PathBuf,
    /// The base, where this is not the base itself but earlier runs may have left something there.
    before: Option<PathBuf>,
    _gates: Vec<Flock<File>>,
}

impl Place {
    /// The base itself where it holds nothing but camofleet's, or nothing; else a directory of camofleet's own in it.
    ///
    /// # Errors
    /// The base is a link, or no directory, or another user's; or nothing can be made in it.
    pub fn settle(base: &Path) -> io::Result<Self> {
        let uid = nix::unistd::geteuid();
        let found = match fs::symlink_metadata(base) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new().recursive(true).mode(0o700).create(base)?;
                fs::symlink_metadata(base)?
            }
            found => found?,
        };
        check_kind(base, &found)?;
        if !is_mine(&found) && found.uid() != 0 {
            // Whoever owns it can put anything in the place of what is made there, to read our profiles.
            return Err(io::Error::other(format!(
                "it belongs to the user with id {}, not {uid}",
                found.uid()
            )));
        }
        let mut place = Self { path: base.to_owned(), before: None, _gates: Vec::new() };
        let stranger = match is_mine(&found) {
            false => Some("it is root's".to_owned()),
            true if is_empty(base)? || has_gate(base) => {
                place._gates.push(close_gate(base)?);
                // Looked at with the gate closed: nobody is only just settling in.
                stranger_in(base)?.map(|name| format!("it holds '{name}', which is not camofleet's"))
            }
            true => stranger_in(base)?.map(|name| format!("it holds '{name}', which is not camofleet's")),
        };
        let Some(why) = stranger else {
            if place._gates.is_empty() {
                place._gates.push(close_gate(base)?);
            }
            return Ok(place);
        };
        let own = base.join(format!("camofleet-{uid}"));
        log::info!("run directories go to {}, for of {} {why}", own.display(), base.display());
        match DirBuilder::new().mode(0o700).create(&own) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(io::Error::new(error.kind(), format!("{}: {error}", own.display())));
            }
            _ => {}
        }
        let found = fs::symlink_metadata(&own)?;
        check_kind(&own, &found)?;
        if !is_mine(&found) {
            return Err(io::Error::other(format!(
                "{} belongs to the user with id {}, not {uid}",
                own.display(),
                found.uid()
            )));
        }
        if is_empty(&own)? || has_gate(&own) {
            place._gates.push(close_gate(&own)?);
        }
        if let Some(name) = stranger_in(&own)? {
            return Err(io::Error::other(format!(
                "{} holds '{name}', which is not camofleet's; move that away",
                own.display()
            )));
        }
        place.before = has_gate(base).then(|| base.to_owned());
        place.path = own;
        Ok(place)
    }

    /// Where run directories go.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where earlier runs may have left some.
    pub fn to_sweep(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(self.path()).chain(self.before.as_deref())
    }
}

fn check_kind(path: &Path, found: &fs::Metadata) -> io::Result<()> {
    if found.is_symlink() {
        let target = fs::read_link(path).unwrap_or_default();
        return Err(io::Error::other(format!(
            "{} is a symbolic link to {}; name that directory itself",
            path.display(),
            target.display()
        )));
    }
    if found.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

fn is_empty(directory: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(directory)?.next().is_none())
}

fn has_gate(directory: &Path) -> bool {
    is_gate(&directory.join(GATE_FILE))
}

/// A gate is empty: another program's file of this name is none.
fn is_gate(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && is_mine(&found) && found.len() == 0)
}

/// The first entry that is neither a gate nor a marked run directory.
fn stranger_in(directory: &Path) -> io::Result<Option<String>> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !(name == GATE_FILE && is_gate(&path)) && Marker::read(&path).is_none() {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Waits until no other camofleet settles in here. Without it a directory that is made and not marked yet would look like
/// a stranger's to another start.
#[allow(clippy::disallowed_methods, reason = "no actor runs yet when a camofleet settles in")]
fn close_gate(directory: &Path) -> io::Result<Flock<File>> {
    let path = directory.join(GATE_FILE);
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
                    path.display()
                )));
            }
            Err((_, errno)) => return Err(errno.into()),
        }
        polls -= 1;
        std::thread::sleep(GATE_POLL);
    }
}
