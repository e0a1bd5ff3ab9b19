//! Sessions with a profile: who holds it, and what happens to it when anything ends.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use camofleet_api::ids::RequestId;
use camofleet_api::profile::{Profile, ProfileMode, ProfileName};
use camofleet_api::profile_request::{CloneRequest, ProfilePatch, ProfileRequest};
use camofleet_api::request::SessionRequest;
use camofleet_api::session::{EndReason, OnCrash, Status};
use tokio::time::Instant;

use crate::model::error::Result;
use crate::profiles::GIVE_UP_AFTER;
use crate::testing::fake_os::{FakeOs, Fault};
use crate::testing::{TestWorker, headless, refusal};
use crate::worker::profiles::{
    ChangeProfile, CloneProfile, CreateProfile, DeleteProfile, ReadProfileCookies, WriteProfileCookies,
};

fn name(name: &str) -> ProfileName {
    ProfileName::parse(name).unwrap()
}

fn with_profile(profile: &str) -> SessionRequest {
    SessionRequest { profile: Some(name(profile)), ..headless() }
}

fn with_copy(profile: &str) -> SessionRequest {
    SessionRequest { profile_mode: ProfileMode::Copy, ..with_profile(profile) }
}

/// A worker with a directory for its profiles.
async fn worker(directory: &Path, shared: bool) -> TestWorker {
    worker_on(FakeOs::new(), directory, shared).await
}

async fn worker_on(os: FakeOs, directory: &Path, shared: bool) -> TestWorker {
    TestWorker::on(os, |settings| {
        (settings.profiles.directory, settings.profiles.shared) = (directory.to_owned(), shared);
    })
    .await
}

impl TestWorker {
    /// The listed profile.
    fn profile(&self, profile: &str) -> Profile {
        (**self.handle.snapshot().profiles.get(&name(profile)).unwrap()).clone()
    }

    async fn create_profile(&self, request: &str) -> Result<Arc<Profile>> {
        let request = ProfileRequest::parse(request.as_bytes()).unwrap();
        let create = CreateProfile { request, by: RequestId::random() };
        self.handle.ask(&self.handle.profiles.create, create).await
    }

    async fn change_profile(&self, profile: &str, patch: &str) -> Result<Arc<Profile>> {
        let patch = ProfilePatch::parse(patch.as_bytes()).unwrap();
        let change = ChangeProfile { name: name(profile), patch, by: RequestId::random() };
        self.handle.ask(&self.handle.profiles.change, change).await
    }

    async fn delete_profile(&self, profile: &str) -> Result<()> {
        let delete = DeleteProfile { name: name(profile), by: RequestId::random() };
        self.handle.ask(&self.handle.profiles.delete, delete).await
    }
}

#[actix::test]
async fn a_browser_with_a_profile_is_asked_to_store_it_before_the_delete_is_answered() {
    let directory = tempfile::tempdir().unwrap();
    let worker = worker(directory.path(), false).await;
    worker.os.set_closing_time(Duration::from_millis(700));
    let session = worker.ready(with_profile("anna")).await.spec.id;
    assert_eq!(worker.profile("anna").used_by.unwrap().session, session);
    let start = Instant::now();
    worker.delete(session).await.unwrap();
    assert!((700..1000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    assert_eq!(worker.os.asked_to_end(), 1);
    let profile = worker.profile("anna");
    assert_eq!((profile.used_by, profile.browser_version.as_deref()), (None, Some("153.0")));
    worker.assert_nothing_left();
    assert!(!directory.path().join("anna/lease.json").exists());

    // A copy has nothing to store.
    let copy = worker.ready(with_copy("anna")).await.spec.id;
    assert_eq!(worker.machine.run_dir_entries().len(), 2, "its launch and its copy");
    worker.delete(copy).await.unwrap();
    worker.assert_nothing_left();
}

#[actix::test]
async fn a_browser_keeps_its_display_until_it_has_stored_its_profile() {
    let directory = tempfile::tempdir().unwrap();
    let worker = worker(directory.path(), false).await;
    worker.os.set_closing_time(Duration::from_millis(700));
    let with_window = || SessionRequest { vnc: true, headless: Some(false), ..with_profile("anna") };
    let keeps_its_display = async |asked| {
        worker.settle("the browser is asked to end", || worker.os.asked_to_end() == asked).await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        let alive = |name| worker.os.alive(name).len();
        assert_eq!((alive("browser"), alive("Xvnc")), (1, 1), "without the display it would end at once");
    };
    let session = worker.ready(with_window()).await.spec.id;
    let (deleted, ()) = tokio::join!(worker.delete(session), keeps_its_display(1));
    deleted.unwrap();
    worker.assert_nothing_left();
    worker.ready(with_window()).await;
    tokio::join!(worker.shut_down(), keeps_its_display(2));
    assert_eq!(worker.os.alive_count(), 0);
}

#[actix::test]
async fn a_browser_that_does_not_store_its_profile_is_killed_and_the_profile_is_free_again() {
    let directory = tempfile::tempdir().unwrap();
    let worker = worker(directory.path(), false).await;
    worker.os.set_closing_time(Duration::from_secs(3600));
    let session = worker.ready(with_profile("anna")).await.spec.id;
    let start = Instant::now();
    worker.delete(session).await.unwrap();
    // Five seconds for the browser, and five for its driver, which kills it in time if it is not the one that hangs.
    assert!(start.elapsed() < Duration::from_secs(11), "{:?}", start.elapsed());
    worker.assert_nothing_left();
    worker.ready(with_profile("anna")).await;
}

#[actix::test]
async fn a_profile_is_released_however_its_session_ends() {
    let directory = tempfile::tempdir().unwrap();
    let worker = worker(directory.path(), false).await;
    worker.os.break_next(Fault::LaunchFails, 1);
    assert_eq!(refusal(worker.create(with_profile("anna")).await).code(), "launch_failed");

    let (cancelled, created) = worker.begin(with_profile("anna")).await;
    worker.delete(cancelled).await.unwrap();
    assert_eq!(refusal(created.await.unwrap()).code(), "session_cancelled");

    let crashed =
        worker.ready(SessionRequest { on_crash: OnCrash::End, ..with_profile("anna") }).await.spec.id;
    worker.os.kill(worker.os.alive("browser")[0]);
    worker.until_status(crashed, Status::Dead).await;

    let expired = SessionRequest { idle_ttl: Some(Duration::from_secs(30)), ..with_profile("anna") };
    let expired = worker.ready(expired).await.spec.id;
    worker.until_status(expired, Status::Dead).await;
    assert_eq!(worker.end_of(expired).0, EndReason::Expired);

    let last = worker.ready(with_profile("anna")).await.spec.id;
    assert_eq!(refusal(worker.create(with_profile("anna")).await).code(), "profile_in_use");
    assert_eq!(refusal(worker.create(with_copy("anna")).await).code(), "profile_in_use");
    assert_eq!(refusal(worker.delete_profile("anna").await).code(), "profile_in_use");
    worker.delete(last).await.unwrap();
    worker.delete_profile("anna").await.unwrap();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    assert_eq!(worker.handle.snapshot().profiles.profiles.len(), 0);
}

#[actix::test]
async fn a_profile_that_was_made_for_a_session_without_a_browser_is_removed_and_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let worker = worker(directory.path(), true).await;
    let listed = || -> Vec<String> {
        let snapshot = worker.handle.snapshot();
        snapshot.profiles.profiles.iter().map(|profile| profile.name.to_string()).collect()
    };
    worker.os.break_next(Fault::LaunchFails, 1);
    assert_eq!(refusal(worker.create(with_profile("anna")).await).code(), "launch_failed");
    assert_eq!(listed(), [""; 0]);
    let (cancelled, created) = worker.begin(with_profile("anna")).await;
    worker.delete(cancelled).await.unwrap();
    assert_eq!(refusal(created.await.unwrap()).code(), "session_cancelled");
    assert_eq!(listed(), [""; 0]);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);

    // What anybody else has changed in the meantime, or may have copied, stays.
    let (cancelled, created) = worker.begin(with_profile("changed")).await;
    worker.settle("the profile is there", || listed() == ["changed"]).await;
    worker.change_profile("changed", r#"{"notes": "keep me"}"#).await.unwrap();
    worker.delete(cancelled).await.unwrap();
    assert_eq!(refusal(created.await.unwrap()).code(), "session_cancelled");
    worker.os.break_next(Fault::LaunchFails, 1);
    let copy = SessionRequest { profile_create: Some(true), ..with_copy("copied") };
    assert_eq!(refusal(worker.create(copy).await).code(), "launch_failed");
    assert_eq!(listed(), ["changed", "copied"]);
    assert_eq!(worker.profile("changed").notes, "keep me");

    worker.create_profile(r#"{"name": "asked-for"}"#).await.unwrap();
    let used = worker.ready(with_profile("used")).await.spec.id;
    worker.delete(used).await.unwrap();
    for profile in ["asked-for", "used"] {
        worker.os.break_next(Fault::LaunchFails, 1);
        assert_eq!(refusal(worker.create(with_profile(profile)).await).code(), "launch_failed");
    }
    assert_eq!(listed(), ["asked-for", "changed", "copied", "used"]);
}

#[actix::test]
async fn a_browser_that_does_not_answer_about_cookies_is_no_refusal_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let worker = worker(directory.path(), false).await;
    worker.create_profile(r#"{"name": "anna"}"#).await.unwrap();
    let write = || WriteProfileCookies { name: name("anna"), cookies: Vec::new(), by: RequestId::random() };
    let handle = &worker.handle;
    worker.os.break_next(Fault::CookiesRefused, 1);
    let refused = refusal(handle.ask(&handle.profiles.write_cookies, write()).await);
    assert_eq!(refused.code(), "invalid_field");
    assert!(refused.to_string().contains("no site could set them"), "{refused}");

    worker.os.break_next(Fault::CookiesUnanswered, 2);
    assert_eq!(refusal(handle.ask(&handle.profiles.write_cookies, write()).await).code(), "upstream_broke");
    let read = ReadProfileCookies { name: name("anna"), by: RequestId::random() };
    assert_eq!(refusal(handle.ask(&handle.profiles.read_cookies, read).await).code(), "upstream_broke");
    handle.ask(&handle.profiles.write_cookies, write()).await.unwrap();
    worker.assert_nothing_left();
}

#[actix::test]
async fn a_restart_after_a_crash_keeps_the_profile_and_marks_it() {
    let directory = tempfile::tempdir().unwrap();
    let worker = worker(directory.path(), false).await;
    let session = worker.ready(with_profile("anna")).await.spec.id;
    let checkpoints = directory.path().join("anna/data/sessionCheckpoints.json");
    std::fs::write(&checkpoints, r#"{"final-ui-startup":true}"#).unwrap();
    worker.os.kill(worker.os.alive("browser")[0]);
    worker.until_restarted(session, 1).await;
    assert!(worker.profile("anna").recovered);
    assert_eq!(worker.profile("anna").used_by.unwrap().session, session);
    std::fs::write(&checkpoints, r#"{"final-ui-startup":true,"profile-before-change":true}"#).unwrap();
    worker.delete(session).await.unwrap();
    assert!(!worker.profile("anna").recovered);
}

#[actix::test]
async fn a_session_ends_when_the_disk_of_its_profile_is_full() {
    let directory = tempfile::tempdir().unwrap();
    let worker = worker(directory.path(), false).await;
    let session = worker.ready(with_profile("anna")).await.spec.id;
    worker.os.set_disk_free(31 << 20);
    worker.until_status(session, Status::Dead).await;
    let (reason, detail) = worker.end_of(session);
    assert_eq!(reason, EndReason::DiskFull);
    assert!(detail.contains("only 31 MB left"), "{detail}");
}

#[actix::test]
async fn a_session_ends_when_another_one_has_its_profile_or_its_storage_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let worker = worker(directory.path(), true).await;
    let lease = |profile: &str| directory.path().join(profile).join("lease.json");
    let taken = worker.ready(with_profile("taken")).await.spec.id;
    let other = std::fs::read_to_string(lease("taken"))
        .unwrap()
        .replace(&taken.to_string(), &RequestId::random().to_string());
    let token = uuid::Uuid::new_v4();
    let mut other: serde_json::Value =
        serde_json::from_str(&other.replace("host-1", "host-2")).unwrap_or_default();
    other["token"] = token.to_string().into();
    other["user"]["session"] = token.to_string().into();
    std::fs::write(lease("taken"), other.to_string()).unwrap();
    let manifest = directory.path().join("taken/profile.json");
    let theirs =
        std::fs::read_to_string(&manifest).unwrap().replace("\"recovered\": false", "\"recovered\": true");
    std::fs::write(&manifest, &theirs).unwrap();
    worker.until_status(taken, Status::Dead).await;
    let (reason, detail) = worker.end_of(taken);
    assert_eq!(reason, EndReason::ProfileLost);
    assert!(detail.contains("on worker 'host-2' has taken it over"), "{detail}");
    assert!(lease("taken").exists(), "the lease of another one stays");
    assert_eq!(std::fs::read_to_string(&manifest).unwrap(), theirs, "and so does what it has recorded");

    let gone = worker.ready(with_profile("gone")).await.spec.id;
    std::fs::rename(directory.path().join("gone"), directory.path().join("elsewhere")).unwrap();
    let start = Instant::now();
    worker.until_status(gone, Status::Dead).await;
    assert!(start.elapsed() < GIVE_UP_AFTER * 2, "{:?}", start.elapsed());
    assert_eq!(worker.end_of(gone).0, EndReason::ProfileLost);
}

#[actix::test]
async fn a_profile_of_another_engine_or_a_later_version_is_not_opened() {
    let directory = tempfile::tempdir().unwrap();
    let worker = TestWorker::with(|settings| {
        settings.profiles.directory = directory.path().to_owned();
        settings.launch.engine.version = Some("153.7.0".to_owned());
    })
    .await;
    let first = worker.ready(with_profile("anna")).await.spec.id;
    worker.delete(first).await.unwrap();
    let used_by = |version: &str| {
        let text = format!("[Compatibility]\nLastVersion={version}_20260922/20260922\n");
        std::fs::write(directory.path().join("anna/data/compatibility.ini"), text).unwrap();
    };
    used_by("153.10.0");
    let refused = refusal(worker.create(with_profile("anna")).await);
    assert_eq!(refused.code(), "profile_incompatible");
    assert!(refused.to_string().contains("firefox 153.10.0, which firefox 153.7.0 can't open"), "{refused}");
    used_by("152.0");
    let opened = worker.ready(with_profile("anna")).await.spec.id;
    worker.delete(opened).await.unwrap();
    let manifest = directory.path().join("anna/profile.json");
    let camoufox = std::fs::read_to_string(&manifest).unwrap().replace("\"firefox\"", "\"camoufox\"");
    std::fs::write(manifest, camoufox).unwrap();
    assert_eq!(refusal(worker.create(with_profile("anna")).await).code(), "profile_incompatible");
}

#[actix::test]
async fn what_is_changed_while_a_session_uses_a_profile_is_not_lost_at_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let worker = worker(directory.path(), false).await;
    let session = worker.ready(with_profile("anna")).await.spec.id;
    worker.change_profile("anna", r#"{"notes": "changed", "labels": {"a": "b"}}"#).await.unwrap();
    worker.delete(session).await.unwrap();
    let profile = worker.profile("anna");
    assert_eq!((profile.notes.as_str(), profile.labels["a"].as_str()), ("changed", "b"));
}

#[actix::test]
async fn a_profile_has_the_identity_and_proxy_of_its_first_session() {
    let directory = tempfile::tempdir().unwrap();
    let worker = worker(directory.path(), false).await;
    let request = |body: &str| SessionRequest::parse(body.as_bytes()).unwrap();
    let first =
        r#"{"headless": true, "profile": "anna", "locale": "de-AT", "proxy": "socks5://127.0.0.1:9"}"#;
    let first = worker.ready(request(first)).await;
    worker.delete(first.spec.id).await.unwrap();
    let second = worker.ready(with_profile("anna")).await;
    let (identity, proxy) = (second.identity.clone().unwrap(), second.proxy.clone().unwrap());
    assert_eq!(identity.locale.as_ref().unwrap().first(), "de-AT");
    assert_eq!(proxy.server.as_deref(), Some("socks5://127.0.0.1:9"));
    worker.delete(second.spec.id).await.unwrap();

    let same = worker
        .ready(request(r#"{"headless": true, "profile": "anna", "locale": "de-AT", "proxy": "direct"}"#))
        .await;
    assert_eq!(same.proxy, None, "a request's own proxy is for its session");
    worker.delete(same.spec.id).await.unwrap();
    for body in [r#"{"profile": "anna", "locale": "fr"}"#, r#"{"profile": "anna", "timezone": "Asia/Tokyo"}"#]
    {
        let refused = refusal(worker.create(request(body)).await);
        assert_eq!(refused.code(), "invalid_field");
        assert!(refused.to_string().contains("profile 'anna' has another one"), "{refused}");
    }
    let clone = CloneRequest { name: name("maria"), identity: Default::default() };
    let clone = CloneProfile { name: name("anna"), request: clone, by: RequestId::random() };
    let clone = worker.handle.ask(&worker.handle.profiles.clone, clone).await.unwrap();
    assert_ne!(clone.id, worker.profile("anna").id);
    assert_eq!(clone.identity.as_ref(), Some(&*identity));
}

#[actix::test]
async fn a_directory_that_can_not_be_used_is_an_error_that_names_its_setting() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let worker = worker(&file, false).await;
    let refused = refusal(worker.create(with_profile("anna")).await);
    assert_eq!(refused.code(), "storage_failed");
    assert!(refused.to_string().contains("RUNNER_PROFILES_DIR"), "{refused}");
    assert_eq!(refusal(worker.create_profile(r#"{"name": "anna"}"#).await).code(), "storage_failed");
}

#[actix::test]
async fn a_damaged_profile_is_not_listed_and_is_not_opened() {
    let directory = tempfile::tempdir().unwrap();
    let broken = directory.path().join("broken");
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join("profile.json"), "{").unwrap();
    std::fs::create_dir(directory.path().join(".camofleet-left")).unwrap();
    std::fs::write(directory.path().join("notes.txt"), "of somebody").unwrap();
    let worker = worker(directory.path(), false).await;
    worker
        .settle("what a crash left is removed", || !directory.path().join(".camofleet-left").exists())
        .await;
    assert_eq!(worker.handle.snapshot().profiles.profiles.len(), 0);
    let refused = refusal(worker.create(with_profile("broken")).await);
    assert!(refused.to_string().contains("profile.json is damaged"), "{refused}");
    assert!(directory.path().join("notes.txt").exists(), "what camofleet did not make stays");
}
