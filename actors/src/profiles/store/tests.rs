//! The list of profiles, and who is kept from one.

use crate::host::engine::EngineKind;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use camofleet_api::Time;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::*;
use crate::testing::fake_os::FakeOs;

fn store(directory: &Path) -> ProfileStore {
    store_on(directory, false)
}

fn store_on(directory: &Path, shared: bool) -> ProfileStore {
    let settings = ProfileSettings {
        directory: directory.to_owned(),
        shared,
        close_patience: Duration::from_secs(5),
        import_limit: 1 << 20,
    };
    let executable = PathBuf::from("/usr/bin/firefox");
    ProfileStore::new(settings, Engine { kind: EngineKind::Firefox, executable, version: None })
}

async fn make(store: &ProfileStore, name: &str) -> ProfileName {
    let body = format!(r#"{{"name": "{name}"}}"#);
    store.create(ProfileRequest::parse(body.as_bytes()).unwrap()).await.unwrap();
    ProfileName::parse(name).unwrap()
}

#[actix::test]
async fn a_scan_takes_no_profile_from_the_list_that_was_made_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    make(&store, "early").await;
    let (before, read) = (store.list().revision, store.read_all().unwrap());
    let late = make(&store, "late").await;
    assert!(!store.replace_list(before, read));
    assert!(store.list().get(&late).is_some());
    store.refresh().await;
    assert_eq!(store.list().profiles.len(), 2);
    fs::remove_dir_all(directory.path()).unwrap();
    store.refresh().await;
    assert_eq!(store.list().profiles.len(), 0, "the directory is the truth");
}

#[actix::test]
async fn a_scan_removes_what_a_crash_left_and_touches_nothing_else() {
    let (base, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = store(base.path());
    fs::create_dir_all(base.path().join(".camofleet-left/data")).unwrap();
    symlink(elsewhere.path(), base.path().join(".camofleet-link")).unwrap();
    let working = store.temporary().unwrap();
    store.refresh().await;
    assert!(working.path.exists() && !base.path().join(".camofleet-left").exists());
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[actix::test]
async fn readers_wait_for_the_browser_of_a_camofleet_that_was_killed() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let name = make(&store, "anna").await;
    let place = directory.path().join("anna");
    let browser = fs::File::create(place.join(DATA).join(".parentlock")).unwrap();
    let lock = libc::flock {
        l_type: libc::F_WRLCK as _,
        l_whence: libc::SEEK_SET as _,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    // Of the open file, so that it counts as that of another process.
    fcntl(&browser, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    let ending = tokio::task::spawn_blocking({
        let ended = Arc::clone(&ended);
        move || {
            files::pause(Duration::from_millis(100));
            ended.store(true, Ordering::SeqCst);
            drop(browser);
        }
    });
    let reading = tokio::task::spawn_blocking(move || {
        store.guard(&name, &place, false).unwrap();
        ended.load(Ordering::SeqCst)
    });
    assert!(reading.await.unwrap(), "it was read before the browser had ended");
    ending.await.unwrap();
}

#[actix::test]
async fn a_profile_that_another_session_has_taken_over_is_not_removed_by_its_maker() {
    let (base, runs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = store_on(base.path(), true);
    let run_dir = RunDir::create(runs.path(), &FakeOs::new()).unwrap();
    let request = SessionRequest { profile: ProfileName::parse("anna"), ..SessionRequest::default() };
    let open = || {
        let choice = ProfileChoice::from_request(&request).unwrap();
        let user = ProfileUser { session: Uuid::new_v4(), worker: "a".to_owned(), since: Time::now() };
        store.open(choice, request.clone(), user, run_dir.clone())
    };
    let first = open().await.unwrap();
    // As another machine sees it, which has no common lock, when the storage of the first has failed for a while.
    let place = base.path().join("anna");
    fs::remove_file(place.join("lock")).unwrap();
    let lease = fs::OpenOptions::new().write(true).open(place.join("lease.json")).unwrap();
    lease.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    let second = open().await.unwrap();
    let taken = first.close(None).await.unwrap_err();
    assert!(taken.to_string().contains("has taken it over"), "{taken}");
    second.close(None).await.unwrap();
    assert!(place.join(DATA).exists());
}
