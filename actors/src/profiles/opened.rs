//! A profile that a session uses.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use camofleet_api::Time;
use camofleet_api::identity::{Identity, ScreenChoice};
use camofleet_api::identity_request::IdentityRequest;
use camofleet_api::profile::ProfileName;
use camofleet_api::proxy::ProxyChoice;
use camofleet_api::request::SessionRequest;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use serde_json::Value;
use uuid::Uuid;

use super::files;
use super::lease::Lease;
use super::manifest::Manifest;
use super::store::{ProfileStore, storage};
use crate::host::rundir::LaunchDir;
use crate::model::error::Result;
use crate::model::machine::Machine;
use crate::model::profile::ProfileError;
use crate::model::session::UserData;
use crate::process::Os;

/// With less free space than this a session ends: its browser could not store what it has to.
const LEAST_FREE_SPACE: u64 = 32 << 20;
/// How often the lock of the browser of a holder that died is tried, and the time between two tries: ten seconds in all.
const LOCK_TRIES: u32 = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(50);
/// Where Firefox locks a profile, with a record lock that ends with its process.
const FIREFOX_LOCK: &str = ".parentlock";
/// A link with which Firefox marks a profile as in use. It survives a crash.
const FIREFOX_MARK: &str = "lock";
/// Where Firefox records how far it came in starting and ending.
const CHECKPOINTS: &str = "sessionCheckpoints.json";
/// The last step of an orderly end.
const LAST_CHECKPOINT: &str = "profile-before-change";
/// What Firefox adds to the name of a database that it can't use.
const RENAMED: [&str; 2] = ["bak", "corrupt"];
/// Where Firefox records which version last used a profile.
const COMPATIBILITY: &str = "compatibility.ini";

/// What is wrong with the storage of a profile that is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StorageTrouble {
    /// Its disk is full.
    Full(String),
    /// Another session has the lease.
    TakenOver(String),
    /// The lease can't be renewed at the moment.
    Failing(String),
}

/// A profile that a session uses. Clones are the same one. Closed by [`Self::close`]; if that does not happen, its lease ends
/// with the last clone.
#[derive(Debug, Clone)]
pub(crate) struct OpenedProfile(Arc<Opened>);

struct Opened {
    store: ProfileStore,
    name: ProfileName,
    id: Uuid,
    data: PathBuf,
    proxy: Option<ProxyChoice>,
    choice: IdentityRequest,
    identity: Option<Identity>,
    machine: Option<Arc<Machine>>,
    held: Held,
    /// The session that uses it.
    session: Uuid,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("name", &self.name).field("data", &self.data).finish_non_exhaustive()
    }
}

/// What a session has of a profile.
enum Held {
    /// Nothing yet.
    Nothing,
    /// The right to write it; `None` once it is closed. Locked only by threads that may block.
    Lease(Mutex<Option<Lease>>),
    /// A copy of its user data, removed when it is dropped.
    Copy(#[allow(dead_code, reason = "kept for its drop")] LaunchDir),
}

impl OpenedProfile {
    /// Checks that this worker's browser and a session's request suit a profile. `data`: its user data, or a copy.
    pub(super) fn prepare(
        store: &ProfileStore,
        name: &ProfileName,
        data: &Path,
        manifest: Manifest,
        request: &SessionRequest,
        session: Uuid,
    ) -> Result<Self, ProfileError> {
        check_engine(store, name, data, &manifest)?;
        check_identity(name, &manifest, &request.identity)?;
        Ok(Self(Arc::new(Opened {
            store: store.clone(),
            name: name.clone(),
            id: manifest.id,
            data: data.to_owned(),
            proxy: manifest.proxy,
            choice: manifest.asked.clone(),
            identity: manifest.identity,
            machine: manifest.machine,
            held: Held::Nothing,
            session,
        })))
    }

    pub(super) fn writing(self, lease: Lease) -> Self {
        self.holding(Held::Lease(Mutex::new(Some(lease))))
    }

    pub(super) fn copied(self, copy: LaunchDir) -> Self {
        self.holding(Held::Copy(copy))
    }

    fn holding(self, held: Held) -> Self {
        let Some(opened) = Arc::into_inner(self.0) else {
            unreachable!("it was made just now, and is not shared")
        };
        Self(Arc::new(Opened { held, ..opened }))
    }

    /// Its name.
    pub fn name(&self) -> &ProfileName {
        &self.0.name
    }

    /// Its id, by which it keeps its proxy of a pool.
    pub fn id(&self) -> Uuid {
        self.0.id
    }

    /// Its proxy, if it has one of its own.
    pub fn proxy(&self) -> Option<&ProxyChoice> {
        self.0.proxy.as_ref()
    }

    /// Its identity, if that is known.
    pub fn identity(&self) -> Option<&Identity> {
        self.0.identity.as_ref()
    }

    /// The machine that its browser shows, if one was drawn.
    pub fn machine(&self) -> Option<&Arc<Machine>> {
        self.0.machine.as_ref()
    }

    /// Keeps the machine that was drawn for its first browser, before anybody uses that.
    ///
    /// # Errors
    /// The storage fails.
    pub async fn keep_machine(&self, machine: Arc<Machine>) -> Result<()> {
        let kept = self.run(move |opened| match opened.held {
            Held::Lease(_) => opened.record(|manifest| manifest.machine = Some(machine)),
            Held::Copy(_) | Held::Nothing => Ok(()),
        });
        kept.await.map_err(|error| storage(&self.0.name, &error).into())
    }

    /// The identity that was asked for when it was made.
    pub fn choice(&self) -> &IdentityRequest {
        &self.0.choice
    }

    /// Its user data.
    pub fn user_data(&self) -> UserData {
        let patience = self.writes().then(|| self.0.store.settings().close_patience);
        UserData { directory: self.0.data.clone(), patience }
    }

    /// Whether its user data are kept.
    pub fn writes(&self) -> bool {
        matches!(self.0.held, Held::Lease(_))
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Opened) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let opened = Arc::clone(&self.0);
        match tokio::task::spawn_blocking(move || work(&opened)).await {
            Ok(done) => done,
            Err(_) => Err(io::Error::other("camofleet is shutting down")),
        }
    }

    /// Prepares its user data for a browser, before each launch: removes the locks that a killed browser leaves, once it is
    /// gone, and records the crash. `identity`: what the browser shows, which the profile keeps from now on.
    ///
    /// # Errors
    /// The storage fails, or the browser of an earlier session still runs.
    pub async fn before_launch(&self, identity: Identity) -> Result<()> {
        let prepared = self.run(move |opened| {
            let data = &opened.data;
            if !data.exists() {
                files::make_directory(data)?;
            }
            wait_until_unlocked(data)?;
            restore_lost_databases(data)?;
            for lock in [FIREFOX_LOCK, FIREFOX_MARK] {
                remove_if_present(&data.join(lock))?;
            }
            if matches!(opened.held, Held::Lease(_)) {
                let recovered = ended_abruptly(data);
                if recovered {
                    log::warn!(
                        "profile {}: its browser did not end in order; what it stored last may be missing",
                        opened.name
                    );
                }
                opened.record(|manifest| {
                    manifest.last_used_at = Some(Time::now());
                    manifest.recovered = recovered;
                    manifest.identity = Some(identity);
                })?;
                opened.store.publish(&opened.name);
            }
            Ok(())
        });
        prepared.await.map_err(|error| storage(&self.0.name, &error).into())
    }

    /// Checks that there is space on the disk.
    ///
    /// # Errors
    /// [`StorageTrouble::Full`].
    pub async fn check_space(&self, os: Arc<dyn Os>) -> Result<(), StorageTrouble> {
        let free = self.run(move |opened| os.file_system_free(&opened.data)).await;
        match free {
            Ok(free) if free < LEAST_FREE_SPACE => {
                Err(StorageTrouble::Full(format!("the disk of its profile has only {} MB left", free >> 20)))
            }
            // A storage that fails is noticed when the lease is renewed.
            _ => Ok(()),
        }
    }

    /// Renews the lease.
    ///
    /// # Errors
    /// [`StorageTrouble`].
    pub async fn renew(&self) -> Result<(), StorageTrouble> {
        let renewed = self.run(|opened| {
            let renewed = match &opened.held {
                Held::Lease(lease) => match &*lease.lock().unwrap_or_else(PoisonError::into_inner) {
                    Some(lease) => lease.renew(),
                    None => Ok(()),
                },
                Held::Copy(_) | Held::Nothing => Ok(()),
            };
            Ok(renewed.map_err(|error| match error.kind() {
                io::ErrorKind::Other => StorageTrouble::TakenOver(error.to_string()),
                _ => StorageTrouble::Failing(error.to_string()),
            }))
        });
        renewed.await.unwrap_or_else(|error| Err(StorageTrouble::Failing(error.to_string())))
    }

    /// Waits until what the browser has written is on the disk.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub async fn flush(&self) -> io::Result<()> {
        self.run(|opened| if let Held::Lease(_) = opened.held { files::sync(&opened.data) } else { Ok(()) })
            .await
    }

    /// Stores everything after the browser has ended, and gives the profile back. `version`: of the browser; `None` if there was
    /// none, and a profile that this session has made is removed then, unless anything else has used or changed it.
    ///
    /// # Errors
    /// The disk is full or fails. The profile is given back all the same.
    pub async fn close(self, version: Option<String>) -> io::Result<()> {
        self.run(move |opened| {
            let Held::Lease(lease) = &opened.held else { return Ok(()) };
            let Some(lease) = lease.lock().unwrap_or_else(PoisonError::into_inner).take() else {
                return Ok(());
            };
            if let Err(error) = lease.renew()
                && error.kind() == io::ErrorKind::Other
            {
                // The files are those of another session now.
                return Err(error);
            }
            let stored = match version {
                None => opened.store.remove_unused(&opened.name, opened.session).map_err(io::Error::other),
                Some(_) => Ok(false),
            };
            let stored = stored.and_then(|removed| if removed { Ok(()) } else { opened.record_end(version) });
            lease.release();
            opened.store.publish(&opened.name);
            stored
        })
        .await
    }
}

impl Opened {
    /// Waits until the user data are on the disk, and records their end.
    fn record_end(&self, version: Option<String>) -> io::Result<()> {
        restore_lost_databases(&self.data)?;
        files::sync(&self.data)?;
        let (size, recovered) = (files::size(&self.data), ended_abruptly(&self.data));
        self.record(|manifest| {
            manifest.last_used_at = Some(Time::now());
            manifest.size_bytes = size;
            manifest.recovered = recovered;
            if version.is_some() {
                manifest.browser_version = version;
                manifest.only_of = None;
            }
        })
    }

    fn record(&self, change: impl FnOnce(&mut Manifest)) -> io::Result<()> {
        self.store.update(&self.name, change).map_err(|error| io::Error::other(error.to_string()))
    }
}

fn check_engine(
    store: &ProfileStore,
    name: &ProfileName,
    data: &Path,
    manifest: &Manifest,
) -> Result<(), ProfileError> {
    let engine = store.engine();
    let version = last_version(data);
    let incompatible = |remedy| ProfileError::Incompatible {
        name: name.clone(),
        browser: manifest.browser.clone(),
        version: version.clone().unwrap_or_default(),
        here: format!("{} {}", engine.kind, engine.version.as_deref().unwrap_or_default())
            .trim_end()
            .to_owned(),
        remedy,
    };
    if manifest.browser != engine.kind.as_str() {
        return Err(incompatible("use a worker that has the same browser"));
    }
    let later = match (&version, &engine.version) {
        (Some(used), Some(here)) => numbers(used) > numbers(here),
        _ => false,
    };
    if later {
        Err(incompatible("install a later version here, or use a worker that has it"))
    } else {
        Ok(())
    }
}

/// The version that last used user data, by Firefox' own record: `153.7.0` of `153.7.0_20260922…/20260922…`.
fn last_version(data: &Path) -> Option<String> {
    let text = fs::read_to_string(data.join(COMPATIBILITY)).ok()?;
    let version = text.lines().find_map(|line| line.strip_prefix("LastVersion="))?;
    Some(version.split('_').next()?.to_owned())
}

/// The numbers of a version, up to the first part that is none.
fn numbers(version: &str) -> Vec<u32> {
    let digits = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
    version.split('.').map_while(digits).collect()
}

/// Rejects a request that names another identity than the profile has. Before its first session it has what was asked for.
fn check_identity(
    name: &ProfileName,
    manifest: &Manifest,
    request: &IdentityRequest,
) -> Result<(), ProfileError> {
    let json = |request: &IdentityRequest| serde_json::to_value(request).unwrap_or_default();
    let (wanted, asked) = (json(request), json(&manifest.asked));
    let given = serde_json::to_value(request.given()).unwrap_or_default();
    let has = manifest.identity.as_ref().map(|identity| serde_json::to_value(identity).unwrap_or_default());
    let screen = manifest
        .identity
        .as_ref()
        .map_or(manifest.asked.screen.and_then(ScreenChoice::size), |has| has.screen);
    let within = request.screen.zip(screen).is_some_and(|(wanted, has)| wanted.allows(has));
    let other = |field: &&'static str| {
        let is_missing = asked[*field] == Value::Null;
        if (*field == "screen" && within) || (is_missing && request.machine.is_ordinary(field)) {
            return false;
        }
        let same_value =
            has.as_ref().is_some_and(|has| given[*field] != Value::Null && given[*field] == has[*field]);
        wanted[*field] != asked[*field] && !same_value
    };
    match request.fields().find(other) {
        Some(field) => Err(ProfileError::OtherIdentity { name: name.clone(), field }),
        None => Ok(()),
    }
}

/// Whether the browser that last used the data did not come to the end of its own.
fn ended_abruptly(data: &Path) -> bool {
    let Ok(content) = fs::read(data.join(CHECKPOINTS)) else { return false };
    // A file that was cut off is one of a crash.
    serde_json::from_slice::<Value>(&content)
        .map_or(true, |reached| reached[LAST_CHECKPOINT] != Value::Bool(true))
}

/// Waits until no process has the lock of a Firefox: the browser of a camofleet that was killed ends a moment later.
pub(super) fn wait_until_unlocked(data: &Path) -> io::Result<()> {
    let mut tries = 1..;
    while let Some(holder) = lock_holder(&data.join(FIREFOX_LOCK))? {
        if tries.next() > Some(LOCK_TRIES) {
            return Err(io::Error::other(format!("process {holder} still uses it; end that first")));
        }
        files::pause(LOCK_PAUSE);
    }
    Ok(())
}

/// The process that has a record lock on a file; `None` also if there is no such file.
fn lock_holder(path: &Path) -> io::Result<Option<i32>> {
    let file = match File::options().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut asked = libc::flock {
        l_type: libc::F_WRLCK as _,
        l_whence: libc::SEEK_SET as _,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_GETLK(&mut asked))?;
    Ok((i32::from(asked.l_type) != libc::F_UNLCK).then_some(asked.l_pid))
}

/// Undoes what Firefox does to a database when its disk is full: it takes the database for damaged, renames it, and fails to make
/// another one.
fn restore_lost_databases(data: &Path) -> io::Result<()> {
    for entry in fs::read_dir(data)?.flatten() {
        let set_aside = entry.path();
        let renamed = set_aside.extension().is_some_and(|end| RENAMED.iter().any(|renamed| end == *renamed));
        let database = set_aside.with_extension("");
        let is_lost = match fs::metadata(&database) {
            Ok(found) => found.is_file() && found.len() == 0,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if renamed && database.extension().is_some_and(|end| end == "sqlite") && is_lost {
            for journal in ["sqlite-wal", "sqlite-shm"] {
                remove_if_present(&database.with_extension(journal))?;
            }
            log::warn!("{} was lost when the disk was full, and is restored", database.display());
            fs::rename(&set_aside, &database)?;
        }
    }
    Ok(())
}

fn remove_if_present(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_firefox_set_aside_and_could_not_make_again_is_restored() {
        let data = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| fs::write(data.path().join(name), content).unwrap();
        file("cookies.sqlite", "");
        file("cookies.sqlite.bak", "mine");
        file("cookies.sqlite-wal", "");
        file("places.sqlite.corrupt", "gone");
        file("permissions.sqlite", "new");
        file("permissions.sqlite.bak", "damaged");
        file("notes.txt.bak", "x");
        restore_lost_databases(data.path()).unwrap();
        let read = |name: &str| fs::read_to_string(data.path().join(name)).ok();
        assert_eq!(read("cookies.sqlite").as_deref(), Some("mine"));
        assert_eq!((read("cookies.sqlite.bak"), read("cookies.sqlite-wal")), (None, None));
        assert_eq!(read("places.sqlite").as_deref(), Some("gone"));
        assert_eq!(read("permissions.sqlite").as_deref(), Some("new"), "Firefox has made another one");
        assert_eq!((read("notes.txt"), read("notes.txt.bak").as_deref()), (None, Some("x")));
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(numbers("153.10.0") > numbers("153.7.0") && numbers("153.7.0esr") == numbers("153.7.0"));
        assert!(numbers("156.0.1-beta.36") > numbers("153.7.0") && numbers("") < numbers("1"));
    }
}
