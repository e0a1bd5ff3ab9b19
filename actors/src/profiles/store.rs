//! All profiles of a worker.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use camofleet_api::facts::ProfileFacts;
use camofleet_api::identity_request::IdentityRequest;
use camofleet_api::profile::{CloneIdentity, Profile, ProfileName, ProfileUser};
use camofleet_api::profile_request::{CloneRequest, ProfilePatch, ProfileRequest};
use camofleet_api::proxy::ProxyChoice;
use camofleet_api::request::SessionRequest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use uuid::Uuid;

use super::files;
use super::lease::{self, Guard, Lease, Refusal};
use super::manifest::Manifest;
use super::opened::{OpenedProfile, wait_until_unlocked};
use crate::host::engine::Engine;
use crate::host::rundir::{RunDir, exposed};
use crate::model::error::Result;
use crate::model::identity::draw_screen;
use crate::model::profile::{ProfileChoice, ProfileError, ProfileSettings};
use camofleet_api::profile::ProfileMode;

/// The user data in the directory of a profile.
pub(super) const DATA: &str = "data";
/// How many profiles a worker keeps. All are listed at once.
const LIMIT: usize = 10_000;
/// How many profiles may be exported, imported or cloned at once.
const ARCHIVES: usize = 8;
/// How the names begin of directories that are being made or removed. No profile's name begins like this.
const TEMPORARY: &str = ".camofleet-";
/// How often the directory is read again if the list changes meanwhile.
const SCANS: u32 = 3;

/// A worker's profiles, as readers see them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProfileList {
    /// Changes with each change.
    pub revision: u64,
    /// By name.
    pub profiles: Vec<Arc<Profile>>,
}

impl ProfileList {
    /// The profile with this name.
    pub fn get(&self, name: &ProfileName) -> Option<&Arc<Profile>> {
        let at = self.profiles.binary_search_by(|profile| profile.name.cmp(name)).ok()?;
        self.profiles.get(at)
    }
}

/// The profiles of a worker. Clones are the same store.
#[derive(Clone)]
pub struct ProfileStore(Arc<Store>);

struct Store {
    settings: ProfileSettings,
    engine: Engine,
    list: watch::Sender<Arc<ProfileList>>,
    /// Held while a profile is read and published, so that the list ends with what was read last. Locked only by threads that
    /// may block.
    publishing: Mutex<()>,
    /// Permits for what keeps a thread for as long as a caller or a disk takes.
    archives: Arc<Semaphore>,
    /// Whether it was looked who else can write to the directory.
    access_checked: AtomicBool,
}

impl ProfileStore {
    /// The store of a worker with this engine. The directory is made when it is needed.
    pub fn new(settings: ProfileSettings, engine: Engine) -> Self {
        // Not that of an earlier process, whose list a control may remember.
        let list = Arc::new(ProfileList { revision: fastrand::u32(..).into(), profiles: Vec::new() });
        Self(Arc::new(Store {
            settings,
            engine,
            list: watch::Sender::new(list),
            publishing: Mutex::new(()),
            archives: Arc::new(Semaphore::new(ARCHIVES)),
            access_checked: AtomicBool::new(false),
        }))
    }

    /// Its settings.
    pub fn settings(&self) -> &ProfileSettings {
        &self.0.settings
    }

    /// The engine that its profiles are for.
    pub(super) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// Notifies of changes of the list.
    pub fn watch(&self) -> watch::Receiver<Arc<ProfileList>> {
        self.0.list.subscribe()
    }

    /// The newest list.
    pub fn list(&self) -> Arc<ProfileList> {
        Arc::clone(&self.0.list.borrow())
    }

    /// What a worker reports of it.
    pub fn facts(&self) -> ProfileFacts {
        let list = self.0.list.borrow();
        ProfileFacts { count: list.profiles.len(), shared: self.0.settings.shared, revision: list.revision }
    }

    /// Runs file operations on a thread that may block.
    ///
    /// # Errors
    /// Those of the operations.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, ProfileError> + Send + 'static,
    ) -> Result<T> {
        let store = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        let stopped = |_| ProfileError::Unavailable { detail: "camofleet is shutting down".to_owned() };
        Ok(done.map_err(stopped)??)
    }

    /// Permits one export, import or clone.
    ///
    /// # Errors
    /// [`ProfileError::TooManyArchives`].
    pub(super) fn archive_permit(&self) -> Result<OwnedSemaphorePermit, ProfileError> {
        let permit = Arc::clone(&self.0.archives).try_acquire_owned();
        permit.map_err(|_| ProfileError::TooManyArchives { limit: ARCHIVES })
    }

    /// Reads the whole list again, for changes that other processes made. Never fails: what can't be read is not listed.
    pub async fn refresh(&self) {
        let scan = |store: &Self| {
            store.scan();
            Ok(())
        };
        let _ = self.run(scan).await;
    }

    fn scan(&self) {
        self.check_access();
        for number in 1..=SCANS {
            // The last one makes all others wait.
            let _publishing = (number == SCANS).then(|| self.publishing());
            let before = self.list().revision;
            let Some(profiles) = self.read_all() else { return };
            if self.replace_list(before, profiles) {
                return;
            }
        }
    }

    fn publishing(&self) -> MutexGuard<'_, ()> {
        self.0.publishing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads all profiles; `None` if the directory can't be read.
    fn read_all(&self) -> Option<Vec<Arc<Profile>>> {
        let entries = match fs::read_dir(&self.0.settings.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(Vec::new()),
            Err(_) => return None,
        };
        let mut profiles = Vec::new();
        for entry in entries.flatten() {
            let Some(name) = entry.file_name().to_str().and_then(ProfileName::parse) else {
                self.remove_leftover(&entry.path());
                continue;
            };
            match self.read(&name) {
                Ok(profile) => profiles.push(Arc::new(profile)),
                Err(ProfileError::NotFound { .. }) => {}
                Err(error) => log::warn!("a profile is not listed: {error}"),
            }
        }
        profiles.sort_by(|one, other| one.name.cmp(&other.name));
        profiles.truncate(LIMIT);
        Some(profiles)
    }

    /// Publishes a list, unless one was published since `before`: it may have what was not there when this one was read.
    fn replace_list(&self, before: u64, profiles: Vec<Arc<Profile>>) -> bool {
        let mut current = true;
        self.0.list.send_if_modified(|list| {
            current = list.revision == before;
            let changed = current && list.profiles != profiles;
            if changed {
                *list = Arc::new(ProfileList { revision: before + 1, profiles });
            }
            changed
        });
        current
    }

    /// Removes what a crash left under construction, if nobody works on it any more.
    fn remove_leftover(&self, path: &Path) {
        let temporary = |name: &OsString| name.to_str().is_some_and(|name| name.starts_with(TEMPORARY));
        if path.file_name().map(OsString::from).as_ref().is_some_and(temporary)
            && fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
            && lease::is_abandoned(path)
        {
            let _ = fs::remove_dir_all(path);
        }
    }

    /// Reads one profile for the list.
    fn read(&self, name: &ProfileName) -> Result<Profile, ProfileError> {
        let directory = self.existing(name)?;
        let manifest = Manifest::read(&directory).map_err(|error| storage(name, &error))?;
        Ok(manifest.to_api(name, lease::user(&directory, self.0.settings.shared)))
    }

    /// Reads one profile again, and publishes it.
    pub(super) fn publish(&self, name: &ProfileName) {
        let _publishing = self.publishing();
        let read = self.read(name);
        self.0.list.send_modify(|list| {
            let mut profiles = list.profiles.clone();
            let found = profiles.binary_search_by(|profile| profile.name.cmp(name));
            match (found, read) {
                (Ok(at), Ok(profile)) => profiles[at] = Arc::new(profile),
                (Err(at), Ok(profile)) => profiles.insert(at, Arc::new(profile)),
                (Ok(at), Err(ProfileError::NotFound { .. })) => drop(profiles.remove(at)),
                (_, Err(_)) => {}
            }
            *list = Arc::new(ProfileList { revision: list.revision + 1, profiles });
        });
    }

    pub(super) fn published(&self, name: &ProfileName) -> Result<Arc<Profile>, ProfileError> {
        self.publish(name);
        self.read(name).map(Arc::new)
    }

    /// Whether a listed profile has this id.
    pub(super) fn has_id(&self, id: Uuid) -> bool {
        self.0.list.borrow().profiles.iter().any(|profile| profile.id == id)
    }

    /// The directory of a profile, whether it exists or not.
    pub(super) fn path(&self, name: &ProfileName) -> PathBuf {
        self.0.settings.directory.join(name.as_str())
    }

    /// The directory of a profile.
    pub(super) fn existing(&self, name: &ProfileName) -> Result<PathBuf, ProfileError> {
        let path = self.path(name);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => Ok(path),
            Ok(_) => Err(storage(name, &io::Error::other("its directory is something else"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(ProfileError::NotFound { name: name.clone() })
            }
            Err(error) => Err(storage(name, &error)),
        }
    }

    /// Warns once if other users could replace profiles, and so read what people do in them. A directory that does not exist
    /// yet is checked when it is made.
    fn check_access(&self) {
        if self.0.access_checked.load(Ordering::Relaxed) {
            return;
        }
        let Ok(found) = exposed(&self.0.settings.directory, "RUNNER_PROFILES_DIR") else { return };
        if !self.0.access_checked.swap(true, Ordering::Relaxed)
            && let Some(problem) = found
        {
            log::warn!("profiles are not safe from other users: {problem}");
        }
    }

    fn base(&self) -> Result<&Path, ProfileError> {
        let base = &self.0.settings.directory;
        match DirBuilder::new().mode(0o700).recursive(true).create(base) {
            Ok(()) => {
                self.check_access();
                Ok(base)
            }
            Err(error) => Err(ProfileError::Unavailable { detail: format!("{}: {error}", base.display()) }),
        }
    }

    /// A new directory that is not a profile yet. It is locked, so that nobody takes it for a leftover.
    pub(super) fn temporary(&self) -> Result<Temporary, ProfileError> {
        let unavailable = |error: &io::Error| ProfileError::Unavailable {
            detail: format!("a directory could not be made: {error}"),
        };
        let path = self.base()?.join(format!("{TEMPORARY}{}", Uuid::new_v4().simple()));
        files::make_directory(&path).map_err(|error| unavailable(&error))?;
        let mut made = Temporary { path, guard: None };
        match lease::guard(&made.path, true, false) {
            Ok(guard) => made.guard = Some(guard),
            Err(Refusal::Storage(error)) => return Err(unavailable(&error)),
            Err(_) => return Err(unavailable(&io::Error::other("another process uses it"))),
        }
        Ok(made)
    }

    /// Makes a profile of a finished directory.
    pub(super) fn establish(&self, name: &ProfileName, made: Temporary) -> Result<(), ProfileError> {
        if self.0.list.borrow().profiles.len() >= LIMIT {
            return Err(ProfileError::TooMany { limit: LIMIT });
        }
        files::sync(&made.path).map_err(|error| storage(name, &error))?;
        // A rename replaces only an empty directory, which no profile is.
        match fs::rename(&made.path, self.path(name)) {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty
                        | io::ErrorKind::AlreadyExists
                        | io::ErrorKind::NotADirectory
                ) =>
            {
                return Err(ProfileError::Exists { name: name.clone() });
            }
            Err(error) => return Err(storage(name, &error)),
        }
        made.keep();
        fs::File::open(&self.0.settings.directory)
            .and_then(|base| base.sync_all())
            .map_err(|error| storage(name, &error))
    }

    /// Makes an empty profile.
    fn make(&self, name: &ProfileName, manifest: &Manifest) -> Result<(), ProfileError> {
        if self.path(name).exists() {
            return Err(ProfileError::Exists { name: name.clone() });
        }
        let made = self.temporary()?;
        let write = || {
            files::make_directory(&made.path.join(DATA))?;
            manifest.write(&made.path)
        };
        write().map_err(|error| storage(name, &error))?;
        self.establish(name, made)
    }

    /// A new profile for which this was asked.
    fn manifest_of(&self, mut asked: IdentityRequest) -> Manifest {
        draw_screen(&mut asked);
        // One that does not depend on an exit is known at once.
        let identity = (!asked.needs_exit()).then(|| asked.given());
        Manifest { identity, ..Manifest::new(self.0.engine.kind.as_str(), asked) }
    }

    /// Makes a profile.
    ///
    /// # Errors
    /// [`ProfileError::Exists`], or the storage fails.
    pub async fn create(&self, request: ProfileRequest) -> Result<Arc<Profile>> {
        self.run(move |store| {
            let manifest = Manifest {
                labels: request.labels,
                notes: request.notes,
                proxy: request.proxy,
                ..store.manifest_of(request.identity)
            };
            store.make(&request.name, &manifest)?;
            store.published(&request.name)
        })
        .await
    }

    /// A profile's id, which keeps its proxy of a pool, and its proxy with all credentials; no proxy is the worker's default.
    ///
    /// # Errors
    /// [`ProfileError::NotFound`], or the storage fails.
    pub async fn proxy(&self, name: ProfileName) -> Result<(Uuid, Option<ProxyChoice>)> {
        self.run(move |store| {
            let directory = store.existing(&name)?;
            let manifest = Manifest::read(&directory).map_err(|error| storage(&name, &error))?;
            Ok((manifest.id, manifest.proxy))
        })
        .await
    }

    /// Changes labels, notes or proxy of a profile. A running session keeps its proxy.
    ///
    /// # Errors
    /// [`ProfileError::NotFound`], or the storage fails.
    pub async fn change(&self, name: ProfileName, patch: ProfilePatch) -> Result<Arc<Profile>> {
        self.run(move |store| {
            store.update(&name, |manifest| {
                if let Some(labels) = patch.labels {
                    manifest.labels = labels;
                }
                if let Some(notes) = patch.notes {
                    manifest.notes = notes;
                }
                if let Some(proxy) = patch.proxy {
                    manifest.proxy = proxy;
                }
                manifest.only_of = None;
            })?;
            store.published(&name)
        })
        .await
    }

    /// Changes the manifest of a profile, whether a session uses it or not.
    pub(super) fn update(
        &self,
        name: &ProfileName,
        change: impl FnOnce(&mut Manifest),
    ) -> Result<(), ProfileError> {
        let directory = self.existing(name)?;
        let _updating = lease::updating(&directory).map_err(|error| storage(name, &error))?;
        let mut manifest = Manifest::read(&directory).map_err(|error| storage(name, &error))?;
        change(&mut manifest);
        manifest.write(&directory).map_err(|error| storage(name, &error))
    }

    /// Deletes a profile.
    ///
    /// # Errors
    /// [`ProfileError::NotFound`], [`ProfileError::InUse`], or the storage fails.
    pub async fn delete(&self, name: ProfileName) -> Result<()> {
        self.run(move |store| {
            let directory = store.existing(&name)?;
            let guard = store.guard(&name, &directory, true)?;
            store.remove(&name, &directory)?;
            drop(guard);
            Ok(())
        })
        .await
    }

    /// Removes a profile that the caller keeps from all others.
    fn remove(&self, name: &ProfileName, directory: &Path) -> Result<(), ProfileError> {
        let trash = self.base()?.join(format!("{TEMPORARY}{}", Uuid::new_v4().simple()));
        // Gone at once, whatever happens while its files are removed.
        fs::rename(directory, &trash).map_err(|error| storage(name, &error))?;
        self.publish(name);
        // It must not be there again after a loss of power.
        let synced = fs::File::open(&self.0.settings.directory).and_then(|base| base.sync_all());
        synced.map_err(|error| storage(name, &error))?;
        if let Err(error) = fs::remove_dir_all(&trash) {
            log::warn!("the files of the deleted profile {name} are left in {}: {error}", trash.display());
        }
        Ok(())
    }

    /// Removes a profile that a session has made which holds its lease and had no browser, unless anything else has used or
    /// changed it. Returns whether it did.
    pub(super) fn remove_unused(&self, name: &ProfileName, session: Uuid) -> Result<bool, ProfileError> {
        let directory = self.existing(name)?;
        let _updating = lease::updating(&directory).map_err(|error| storage(name, &error))?;
        let manifest = Manifest::read(&directory).map_err(|error| storage(name, &error))?;
        if manifest.only_of != Some(session) {
            return Ok(false);
        }
        log::info!("profile {name} is removed again: session {session}, which made it, had no browser");
        self.remove(name, &directory).map(|()| true)
    }

    /// Records that not only the session that made a profile has to do with it.
    fn share(&self, name: &ProfileName, manifest: &Manifest, session: Uuid) -> Result<(), ProfileError> {
        match manifest.only_of {
            Some(maker) if maker != session => self.update(name, |manifest| manifest.only_of = None),
            _ => Ok(()),
        }
    }

    /// Copies a profile, or makes another one by the same request.
    ///
    /// # Errors
    /// [`ProfileError::NotFound`], [`ProfileError::Exists`], [`ProfileError::InUse`], or the storage fails.
    pub async fn clone_profile(&self, name: ProfileName, request: CloneRequest) -> Result<Arc<Profile>> {
        self.run(move |store| {
            let _permit = store.archive_permit()?;
            let directory = store.existing(&name)?;
            let guard = store.guard(&name, &directory, false)?;
            let original = Manifest::read(&directory).map_err(|error| storage(&name, &error))?;
            if store.path(&request.name).exists() {
                return Err(ProfileError::Exists { name: request.name });
            }
            let fresh = store.manifest_of(original.asked.clone());
            let carried = Manifest {
                labels: original.labels.clone(),
                notes: original.notes.clone(),
                proxy: original.proxy.clone(),
                ..fresh.clone()
            };
            match request.identity {
                CloneIdentity::New => store.make(&request.name, &carried)?,
                CloneIdentity::Same => {
                    let copy = Manifest {
                        id: fresh.id,
                        created_at: fresh.created_at,
                        last_used_at: None,
                        ..original
                    };
                    let made = store.temporary()?;
                    let write = || {
                        files::copy(&directory.join(DATA), &made.path.join(DATA))?;
                        copy.write(&made.path)
                    };
                    write().map_err(|error| storage(&request.name, &error))?;
                    store.establish(&request.name, made)?;
                }
            }
            drop(guard);
            store.published(&request.name)
        })
        .await
    }

    /// Keeps sessions and, if `exclusive`, also readers from a profile.
    pub(super) fn guard(
        &self,
        name: &ProfileName,
        directory: &Path,
        exclusive: bool,
    ) -> Result<Guard, ProfileError> {
        let guard = lease::guard(directory, exclusive, self.0.settings.shared)
            .map_err(|refusal| refused(name, refusal))?;
        // The browser of a camofleet that was killed may still write.
        wait_until_unlocked(&directory.join(DATA)).map_err(|error| storage(name, &error))?;
        Ok(guard)
    }

    /// Opens a profile for a session; makes it if it does not exist and the choice says so. `request` is the session's: its
    /// identity has to be that of the profile, as far as it names one.
    ///
    /// # Errors
    /// A [`ProfileError`].
    pub(crate) async fn open(
        &self,
        choice: ProfileChoice,
        request: SessionRequest,
        user: ProfileUser,
        run_dir: RunDir,
    ) -> Result<OpenedProfile> {
        self.run(move |store| {
            match store.open_now(&choice, &request, user.clone(), &run_dir) {
                // Its maker has just removed it again.
                Err(ProfileError::NotFound { .. }) if choice.create => {
                    store.open_now(&choice, &request, user, &run_dir)
                }
                opened => opened,
            }
        })
        .await
    }

    fn open_now(
        &self,
        choice: &ProfileChoice,
        request: &SessionRequest,
        user: ProfileUser,
        run_dir: &RunDir,
    ) -> Result<OpenedProfile, ProfileError> {
        let name = &choice.name;
        match self.existing(name) {
            Err(ProfileError::NotFound { .. }) if choice.create => {
                // The exit that its first session names is its own from now on.
                let proxy = request.proxy.clone();
                // That of a copy stays, as others may copy it at the same time.
                let only_of = (choice.mode == ProfileMode::Write).then_some(user.session);
                let manifest = Manifest { proxy, only_of, ..self.manifest_of(request.identity.clone()) };
                match self.make(name, &manifest) {
                    Ok(()) => self.publish(name),
                    // Another session has made it at the same moment.
                    Err(ProfileError::Exists { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        let directory = self.existing(name)?;
        match choice.mode {
            ProfileMode::Write => self.open_to_write(name, directory, request, user),
            ProfileMode::Copy => self.open_copy(name, &directory, request, user.session, run_dir),
        }
    }

    fn open_to_write(
        &self,
        name: &ProfileName,
        directory: PathBuf,
        request: &SessionRequest,
        user: ProfileUser,
    ) -> Result<OpenedProfile, ProfileError> {
        let session = user.session;
        let (lease, before) = Lease::take(&directory, user, self.0.settings.shared)
            .map_err(|refusal| refused(name, refusal))?;
        let opened = || {
            let manifest = Manifest::read(&directory).map_err(|error| storage(name, &error))?;
            self.share(name, &manifest, session)?;
            OpenedProfile::prepare(self, name, &directory.join(DATA), manifest, request, session)
        };
        match opened() {
            Ok(opened) => {
                if let Some(ProfileUser { session, worker, since }) = before {
                    log::warn!(
                        "profile {name} is taken over from session {session} of worker '{worker}', which has used it since \
                         {since} and died"
                    );
                }
                let opened = opened.writing(lease);
                self.publish(name);
                Ok(opened)
            }
            Err(error) => {
                lease.release();
                Err(error)
            }
        }
    }

    fn open_copy(
        &self,
        name: &ProfileName,
        directory: &Path,
        request: &SessionRequest,
        session: Uuid,
        run_dir: &RunDir,
    ) -> Result<OpenedProfile, ProfileError> {
        let guard = self.guard(name, directory, false)?;
        let manifest = Manifest::read(directory).map_err(|error| storage(name, &error))?;
        self.share(name, &manifest, session)?;
        let copy = run_dir.profile_copy(session).map_err(|error| storage(name, &error))?;
        let data = copy.path().join(DATA);
        files::copy(&directory.join(DATA), &data).map_err(|error| storage(name, &error))?;
        drop(guard);
        Ok(OpenedProfile::prepare(self, name, &data, manifest, request, session)?.copied(copy))
    }
}

/// A directory under construction; it is removed unless it becomes a profile.
pub(super) struct Temporary {
    pub path: PathBuf,
    guard: Option<Guard>,
}

impl Temporary {
    /// It has become a profile under another name.
    fn keep(mut self) {
        self.path = PathBuf::new();
        self.guard = None;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

pub(super) fn storage(name: &ProfileName, error: &io::Error) -> ProfileError {
    ProfileError::Storage { name: name.clone(), detail: error.to_string() }
}

fn refused(name: &ProfileName, refusal: Refusal) -> ProfileError {
    match refusal {
        Refusal::InUse(user) => ProfileError::InUse { name: name.clone(), user },
        Refusal::Busy => ProfileError::Busy { name: name.clone() },
        Refusal::Storage(error) if error.kind() == io::ErrorKind::NotFound => {
            ProfileError::NotFound { name: name.clone() }
        }
        Refusal::Storage(error) => storage(name, &error),
    }
}

#[cfg(test)]
mod tests;
