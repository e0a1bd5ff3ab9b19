//! The lease of a profile: one session at a time may write its user data.
//!
//! Two things together say so. A lock on a file, which the kernel releases with the process, excludes everybody on this
//! machine, and on network file systems that have locks. A lease, a file that its holder touches again and again, excludes
//! everybody on shared storage without locks: there only its age says whether the holder lives. Both ages that are compared
//! are times of the file server, so the machines' clocks need not agree.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use camofleet_api::profile::ProfileUser;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::files;

/// The name of the file that is locked.
const LOCK: &str = "lock";
/// The name of the lease.
const LEASE: &str = "lease.json";

/// How often the lock is tried while somebody has it without a lease, and the time between two tries: a second in all.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The name of the file that is locked while the description is replaced.
const UPDATE_LOCK: &str = "update.lock";
/// How often that lock is tried, and the time between two tries: five seconds in all.
const UPDATE_TRIES: u32 = 500;
const UPDATE_PAUSE: Duration = Duration::from_millis(10);

/// How often a holder renews its lease.
pub(crate) const RENEW_EVERY: Duration = Duration::from_secs(10);
/// How old a lease may be. A holder that can't renew it gives up earlier, see [`GIVE_UP_AFTER`].
pub(crate) const EXPIRES_AFTER: Duration = Duration::from_secs(30);
/// After this time without a successful renewal a holder stops using the profile, because another one may take it over soon.
pub(crate) const GIVE_UP_AFTER: Duration = Duration::from_secs(20);

/// The content of the lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    /// Unique for each lease.
    token: Uuid,
    /// Who holds it.
    user: ProfileUser,
}

/// Why a profile can't be leased.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A session writes it.
    InUse(Box<ProfileUser>),
    /// It is being copied, or the like.
    Busy,
    /// Its files can't be read or written.
    Storage(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Storage(error)
    }
}

/// Keeps others from a profile until it is dropped; nobody writes it meanwhile.
#[derive(Debug)]
pub(super) struct Guard {
    _lock: Flock<File>,
}

/// The right to write a profile, until it is released.
#[derive(Debug)]
pub(super) struct Lease {
    path: PathBuf,
    token: Uuid,
    lock: Option<Flock<File>>,
}

/// Locks a profile, shared by readers or exclusively, if no session writes it. `shared_storage`: machines without a common
/// lock may write it.
pub(super) fn guard(directory: &Path, exclusive: bool, shared_storage: bool) -> Result<Guard, Refusal> {
    let lock = lock(directory, exclusive)?;
    match read(directory)? {
        Some(Content { user, .. }) if shared_storage && !has_expired(directory, &lock)? => {
            Err(Refusal::InUse(Box::new(user)))
        }
        _ => Ok(Guard { _lock: lock }),
    }
}

impl Lease {
    /// Takes the lease. Returns whether it was taken over from a holder that died.
    pub fn take(
        directory: &Path,
        user: ProfileUser,
        shared_storage: bool,
    ) -> Result<(Self, Option<ProfileUser>), Refusal> {
        let lock = lock(directory, true)?;
        let before = read(directory)?;
        if let Some(Content { user, .. }) = &before
            && shared_storage
            && !has_expired(directory, &lock)?
        {
            return Err(Refusal::InUse(Box::new(user.clone())));
        }
        let content = Content { token: Uuid::new_v4(), user };
        let path = directory.join(LEASE);
        files::replace(&path, &serde_json::to_vec(&content).map_err(io::Error::from)?)?;
        let lease = Self { path, token: content.token, lock: Some(lock) };
        if shared_storage {
            // Without a common lock another machine may have replaced it at the same moment.
            files::pause(SETTLE);
            lease.check()?;
        }
        Ok((lease, before.map(|before| before.user)))
    }

    /// Renews it. This needs no space on the disk.
    ///
    /// # Errors
    /// The storage fails, or another holder has taken it over.
    pub fn renew(&self) -> io::Result<()> {
        self.check()?;
        touch(&OpenOptions::new().write(true).open(&self.path)?)
    }

    fn check(&self) -> io::Result<()> {
        match parse(&fs::read(&self.path)?) {
            Some(content) if content.token == self.token => Ok(()),
            Some(Content { user, .. }) => Err(io::Error::other(format!(
                "session {} on worker '{}' has taken it over",
                user.session, user.worker
            ))),
            None => Err(io::Error::other("its lease was replaced")),
        }
    }

    /// Gives it back.
    pub fn release(mut self) {
        if self.check().is_ok() {
            // If it can't be removed it expires.
            let _ = fs::remove_file(&self.path);
        }
        self.lock = None;
    }
}

/// How long a new lease is left alone until it is read back, on shared storage.
const SETTLE: Duration = Duration::from_millis(50);

/// Keeps others from changing the description of a profile, which is possible while a session writes its user data. It is held
/// for one replacement of a file.
///
/// # Errors
/// The storage fails, or another process keeps it locked.
pub(super) fn updating(directory: &Path) -> io::Result<Flock<File>> {
    let mut tries = 1..;
    loop {
        match Flock::lock(open(&directory.join(UPDATE_LOCK))?, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((_, errno)) if tries.next() > Some(UPDATE_TRIES) => return Err(errno.into()),
            Err(_) => files::pause(UPDATE_PAUSE),
        }
    }
}

/// Whether nobody has a directory under construction locked.
pub(super) fn is_abandoned(directory: &Path) -> bool {
    try_lock(directory, true).is_ok()
}

/// The session that writes a profile, if one does. `shared_storage` as in [`guard`].
pub(super) fn user(directory: &Path, shared_storage: bool) -> Option<ProfileUser> {
    let content = read(directory).ok()??;
    match guard(directory, false, shared_storage) {
        // Nobody: its holder died.
        Ok(_) => None,
        Err(_) => Some(content.user),
    }
}

/// Locks the file. Whoever has it locked without a lease needs it only for a moment, unless it copies the profile.
fn lock(directory: &Path, exclusive: bool) -> Result<Flock<File>, Refusal> {
    let mut tries = 1..;
    loop {
        match try_lock(directory, exclusive) {
            Err(Refusal::Busy) if tries.next() < Some(LOCK_TRIES) => files::pause(LOCK_PAUSE),
            done => return done,
        }
    }
}

fn try_lock(directory: &Path, exclusive: bool) -> Result<Flock<File>, Refusal> {
    let path = directory.join(LOCK);
    let how = if exclusive { FlockArg::LockExclusiveNonblock } else { FlockArg::LockSharedNonblock };
    let lock = Flock::lock(open(&path)?, how).map_err(|(_, errno)| match io::Error::from(errno) {
        error if error.kind() == io::ErrorKind::WouldBlock => match read(directory) {
            // A lease beside the lock of a reader is that of a holder that died.
            Ok(Some(Content { user, .. })) if !(exclusive && only_readers_lock(&path)) => {
                Refusal::InUse(Box::new(user))
            }
            _ => Refusal::Busy,
        },
        error => Refusal::Storage(error),
    })?;
    // The profile may have been deleted, and another one made, before the lock was held.
    if lock.metadata()?.ino() == fs::metadata(&path)?.ino() { Ok(lock) } else { Err(Refusal::Busy) }
}

/// Whether a file that somebody has locked is locked by readers.
fn only_readers_lock(path: &Path) -> bool {
    open(path).is_ok_and(|file| Flock::lock(file, FlockArg::LockSharedNonblock).is_ok())
}

/// Opens a file to lock, and makes it if there is none.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn read(directory: &Path) -> io::Result<Option<Content>> {
    match fs::read(directory.join(LEASE)) {
        Ok(content) => Ok(parse(&content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn parse(content: &[u8]) -> Option<Content> {
    serde_json::from_slice(content).ok()
}

/// Whether the lease is older than it may be, by the clock of the file server. If that clock was set back, the lease counts from
/// now on: its holder renews it if it lives.
fn has_expired(directory: &Path, lock: &File) -> io::Result<bool> {
    touch(lock)?;
    let now = lock.metadata()?.modified()?;
    let path = directory.join(LEASE);
    let renewed = fs::metadata(&path)?.modified()?;
    match now.duration_since(renewed) {
        Ok(age) => Ok(age > EXPIRES_AFTER),
        Err(ahead) => {
            if ahead.duration() > EXPIRES_AFTER {
                touch(&OpenOptions::new().write(true).open(&path)?)?;
            }
            Ok(false)
        }
    }
}

/// Sets the times of a file to those of its file server.
fn touch(file: &File) -> io::Result<()> {
    Ok(futimens(file, &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW)?)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use camofleet_api::Time;

    use super::*;

    fn user_of(worker: &str) -> ProfileUser {
        ProfileUser {
            session: Uuid::new_v4(),
            worker: worker.to_owned(),
            since: Time("2026-01-31T12:00:00Z".parse().unwrap()),
        }
    }

    fn make_old(directory: &Path, age: Duration) {
        let lease = OpenOptions::new().write(true).open(directory.join(LEASE)).unwrap();
        lease.set_modified(SystemTime::now() - age).unwrap();
    }

    #[test]
    fn one_session_has_the_lease_and_readers_have_none_meanwhile() {
        let directory = tempfile::tempdir().unwrap();
        let (directory, first) = (directory.path(), user_of("a"));
        let (lease, before) = Lease::take(directory, first.clone(), false).unwrap();
        assert_eq!(before, None);
        assert_eq!(user(directory, false), Some(first.clone()));
        match Lease::take(directory, user_of("b"), false) {
            Err(Refusal::InUse(holder)) => assert_eq!(*holder, first),
            other => panic!("{other:?}"),
        }
        assert!(matches!(guard(directory, false, false), Err(Refusal::InUse(_))));
        // Age means nothing while the lock is held.
        make_old(directory, EXPIRES_AFTER * 2);
        assert!(matches!(Lease::take(directory, user_of("b"), true), Err(Refusal::InUse(_))));
        lease.renew().unwrap();
        lease.release();
        assert_eq!(user(directory, false), None);
        let readers = [guard(directory, false, false).unwrap(), guard(directory, false, false).unwrap()];
        assert!(matches!(Lease::take(directory, user_of("b"), false), Err(Refusal::Busy)));
        drop(readers);
        assert!(Lease::take(directory, user_of("b"), false).is_ok());
    }

    #[test]
    fn the_lease_of_a_holder_that_died_is_taken_over_at_once_where_there_are_locks_and_else_after_its_expiry()
    {
        let directory = tempfile::tempdir().unwrap();
        let (directory, dead) = (directory.path(), user_of("a"));
        let take = |shared| Lease::take(directory, user_of("b"), shared);
        // Its lock is gone with its process, or is on another machine.
        let (lease, _) = Lease::take(directory, dead.clone(), true).unwrap();
        let Lease { lock, .. } = lease;
        drop(lock);
        assert!(matches!(take(true), Err(Refusal::InUse(holder)) if *holder == dead));
        assert!(matches!(guard(directory, true, true), Err(Refusal::InUse(_))));
        make_old(directory, EXPIRES_AFTER - Duration::from_secs(5));
        assert!(matches!(take(true), Err(Refusal::InUse(_))));
        make_old(directory, EXPIRES_AFTER + Duration::from_secs(1));
        let (next, before) = take(true).unwrap();
        assert_eq!(before, Some(dead));
        drop(next);
        let (_, before) = take(false).unwrap();
        assert!(before.is_some(), "without shared storage the lock decides");
    }

    #[test]
    fn the_lease_of_a_holder_that_died_expires_also_after_the_clock_was_set_back() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        drop(Lease::take(directory, user_of("a"), true).unwrap());
        let day = Duration::from_secs(86_400);
        let lease = OpenOptions::new().write(true).open(directory.join(LEASE)).unwrap();
        lease.set_modified(SystemTime::now() + day).unwrap();
        assert!(matches!(Lease::take(directory, user_of("b"), true), Err(Refusal::InUse(_))));
        assert!(
            fs::metadata(directory.join(LEASE)).unwrap().modified().unwrap() < SystemTime::now() + day / 2
        );
        make_old(directory, EXPIRES_AFTER + Duration::from_secs(1));
        assert!(Lease::take(directory, user_of("b"), true).is_ok());
    }

    #[test]
    fn who_only_reads_is_not_taken_for_a_holder_that_died() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        drop(Lease::take(directory, user_of("a"), false).unwrap());
        let reader = guard(directory, false, false).unwrap();
        for refusal in
            [Lease::take(directory, user_of("b"), false).map(drop), guard(directory, true, false).map(drop)]
        {
            assert!(matches!(refusal, Err(Refusal::Busy)), "{refusal:?}");
        }
        drop(reader);
        assert!(Lease::take(directory, user_of("b"), false).is_ok());
    }

    #[test]
    fn a_holder_notices_that_another_one_has_its_lease() {
        let directory = tempfile::tempdir().unwrap();
        let (mut first, _) = Lease::take(directory.path(), user_of("a"), true).unwrap();
        first.lock = None;
        make_old(directory.path(), EXPIRES_AFTER * 2);
        let (second, _) = Lease::take(directory.path(), user_of("b"), true).unwrap();
        assert!(first.renew().unwrap_err().to_string().contains("worker 'b' has taken it over"));
        first.release();
        second.renew().unwrap();
        fs::remove_file(directory.path().join(LEASE)).unwrap();
        assert!(second.renew().is_err());
    }
}
