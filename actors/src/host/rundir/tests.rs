//! Which directories are cleaned up, which are kept, and where run directories are created.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::process::{DisplayFiles, ProcessId, SystemOs};
use crate::testing::fake_os::FakeOs;

/// A process that no longer exists.
const GONE: ProcessId = ProcessId { pid: 999, started: 7 };

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A run directory that another process created, without a lock.
fn left_over(base: &Path, name: &str, process: ProcessId) -> PathBuf {
    let path = base.join(name);
    fs::create_dir(&path).unwrap();
    let directory = Directory::open(&path).unwrap();
    Marker::of(&directory, process).write(&directory).unwrap();
    fs::write(path.join(LOCK_FILE), "").unwrap();
    // As in every base that a camofleet has used.
    fs::write(base.join("gate"), "").unwrap();
    path
}

#[test]
fn a_run_directory_is_removed_with_its_last_user() {
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
async fn a_cleared_directory_is_out_of_reach_of_dying_processes() {
    let base = tempfile::tempdir().unwrap();
    let run_dir = RunDir::create(base.path(), &FakeOs::new()).unwrap();
    let mut launch = run_dir.launch_dir(1).unwrap();
    let known_to_the_browser = launch.path().to_owned();
    fs::write(known_to_the_browser.join("prefs.js"), "").unwrap();
    launch.clear().await;
    assert!(fs::write(known_to_the_browser.join("late"), "").is_err());
    launch.remove().await;
    assert_eq!(names(run_dir.path()), [MARKER_FILE, LOCK_FILE]);
}

#[test]
fn the_next_start_removes_directories_of_killed_runs_and_keeps_those_in_use() {
    let base = tempfile::tempdir().unwrap();
    let os = FakeOs::new();
    let living = RunDir::create(base.path(), &os).unwrap();
    let dead = left_over(base.path(), "999-abcdef", GONE);
    let display = DisplayFiles { display: 104, server: ProcessId { pid: 4711, started: 8 }, socket: None };
    fs::write(dead.join("display-104"), serde_json::to_string(&display).unwrap()).unwrap();
    let next = RunDir::create(base.path(), &os).unwrap();
    assert_eq!(next.path().parent(), Some(base.path()));
    assert!(!dead.exists());
    assert!(living.path().exists());
    assert_eq!(os.marks_killed(), [(RUN_DIR_MARK.to_owned(), dead.display().to_string())]);
    assert_eq!(os.display_files_removed(), [display]);
}

#[test]
fn entries_that_camofleet_did_not_create_are_kept_whatever_they_look_like() {
    let base = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let outside = left_over(elsewhere.path(), "999-abcdef", GONE);
    let inside = |name: &str| base.path().join(name);
    for (name, lock, marker) in [
        ("Documents", false, None),
        // Without a marker, as another program may create them.
        ("999-aaaaaa", true, None),
        ("999-bbbbbb", true, Some("{}")),
    ] {
        fs::create_dir_all(inside(name).join("kept")).unwrap();
        if lock {
            fs::write(inside(name).join(LOCK_FILE), "").unwrap();
        }
        if let Some(marker) = marker {
            fs::write(inside(name).join(MARKER_FILE), marker).unwrap();
        }
    }
    // Valid markers in the wrong places: other names, a copy, a link.
    for name in ["999-abcdef-old", "0999-abcdef", "999-ABCDEF", "999-abcde", "998-abcdef", "x-abcdef"] {
        left_over(base.path(), name, GONE);
    }
    fs::create_dir(inside("999-cccccc")).unwrap();
    fs::copy(outside.join(MARKER_FILE), inside("999-cccccc").join(MARKER_FILE)).unwrap();
    symlink(&outside, inside("999-abcdef")).unwrap();
    fs::write(inside("999-dddddd"), "a file").unwrap();
    let before = names(base.path());
    let run_dir = RunDir::create(base.path(), &FakeOs::new()).unwrap();
    let own = format!("camofleet-{}", nix::unistd::geteuid());
    assert_eq!(run_dir.path().parent(), Some(base.path().join(&own).as_path()));
    let after: Vec<_> = names(base.path()).into_iter().filter(|name| *name != own).collect();
    assert_eq!(after, before);
    assert!(inside("Documents/kept").is_dir() && outside.join(MARKER_FILE).exists());
}

#[test]
fn directories_of_earlier_runs_beside_foreign_entries_are_removed() {
    let base = tempfile::tempdir().unwrap();
    let dead = left_over(base.path(), "999-abcdef", GONE);
    fs::create_dir(base.path().join("Documents")).unwrap();
    let _run_dir = RunDir::create(base.path(), &FakeOs::new()).unwrap();
    assert!(!dead.exists());
}

#[test]
fn a_foreign_file_with_the_name_of_the_lock_file_is_kept() {
    let base = tempfile::tempdir().unwrap();
    fs::write(base.path().join("gate"), "a poem").unwrap();
    let run_dir = RunDir::create(base.path(), &FakeOs::new()).unwrap();
    assert_ne!(run_dir.path().parent(), Some(base.path()));
    assert_eq!(fs::read_to_string(base.path().join("gate")).unwrap(), "a poem");
}

#[test]
fn a_running_camofleet_keeps_its_directory_without_its_lock_file() {
    let base = tempfile::tempdir().unwrap();
    let os = FakeOs::new();
    let living = RunDir::create(base.path(), &os).unwrap();
    fs::remove_file(living.path().join(LOCK_FILE)).unwrap();
    let _next = RunDir::create(base.path(), &os).unwrap();
    assert!(living.path().exists() && os.marks_killed().is_empty());
}

#[test]
fn without_a_lock_the_process_id_and_start_time_decide() {
    let base = tempfile::tempdir().unwrap();
    let os = SystemOs::new();
    let own = ProcessId::own().unwrap();
    let name = |random: &str| format!("{}-{random}", own.pid);
    let living = left_over(base.path(), &name("aaaaaa"), own);
    let recycled = left_over(base.path(), &name("bbbbbb"), ProcessId { started: own.started - 1, ..own });
    fs::remove_file(recycled.join(LOCK_FILE)).unwrap();
    let _next = RunDir::create(base.path(), &os).unwrap();
    assert!(living.exists(), "its process lives, whoever has its lock");
    assert!(!recycled.exists(), "its process is gone, and another has its number");
}

#[test]
fn for_another_machine_only_the_lock_counts() {
    let base = tempfile::tempdir().unwrap();
    let directories = ["999-aaaaaa", "999-bbbbbb"].map(|name| {
        let path = left_over(base.path(), name, GONE);
        let directory = Directory::open(&path).unwrap();
        Marker::of(&directory, GONE).elsewhere().write(&directory).unwrap();
        path
    });
    fs::remove_file(directories[1].join(LOCK_FILE)).unwrap();
    let _next = RunDir::create(base.path(), &FakeOs::new()).unwrap();
    assert_eq!(directories.map(|directory| directory.exists()), [false, true]);
}

#[test]
fn a_base_that_is_a_link_is_rejected_with_the_remedy() {
    let base = tempfile::tempdir().unwrap();
    let target = base.path().join("target");
    let dead = {
        fs::create_dir(&target).unwrap();
        left_over(&target, "999-abcdef", GONE)
    };
    let link = base.path().join("link");
    symlink(&target, &link).unwrap();
    let error = RunDir::create(&link, &FakeOs::new()).unwrap_err().to_string();
    assert!(error.contains("symbolic link") && error.contains(&target.display().to_string()), "{error}");
    assert!(dead.exists());
}

#[test]
fn a_base_that_cannot_be_created_is_an_error_and_not_a_panic() {
    let base = tempfile::tempdir().unwrap();
    let file = base.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(RunDir::create(&file.join("below"), &FakeOs::new()).is_err());
    assert!(RunDir::create(&file, &FakeOs::new()).is_err());
}

#[test]
fn a_run_directory_that_was_removed_is_created_again_for_the_next_launch() {
    let base = tempfile::tempdir().unwrap();
    let os = FakeOs::new();
    let run_dir = RunDir::create(base.path(), &os).unwrap();
    let path = run_dir.path().to_owned();
    fs::remove_dir_all(base.path()).unwrap();
    let launch = run_dir.launch_dir(1).unwrap();
    assert!(launch.path().is_dir());
    let _next = RunDir::create(base.path(), &os).unwrap();
    assert!(path.exists(), "it is locked and marked like the first");
    drop((launch, run_dir));
    assert!(!path.exists());
}

#[test]
fn a_marker_that_was_removed_is_written_again_for_the_next_launch() {
    let base = tempfile::tempdir().unwrap();
    let run_dir = RunDir::create(base.path(), &FakeOs::new()).unwrap();
    fs::remove_file(run_dir.path().join(MARKER_FILE)).unwrap();
    fs::remove_file(run_dir.path().join(LOCK_FILE)).unwrap();
    let _launch = run_dir.launch_dir(1).unwrap();
    assert_eq!(names(run_dir.path()), [MARKER_FILE, "launch-1", LOCK_FILE]);
}

#[test]
fn a_replacement_of_the_run_directory_is_neither_used_nor_removed() {
    let base = tempfile::tempdir().unwrap();
    let run_dir = RunDir::create(base.path(), &FakeOs::new()).unwrap();
    let path = run_dir.path().to_owned();
    fs::rename(&path, base.path().join("away")).unwrap();
    fs::create_dir(&path).unwrap();
    let error = run_dir.launch_dir(1).unwrap_err().to_string();
    assert!(error.contains("move that away"), "{error}");
    drop(run_dir);
    assert!(path.exists());
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The directory in which run directories are created for this base: the base itself, or camofleet's private directory.
fn place_in(base: &Path) -> PathBuf {
    base.join(format!("camofleet-{}", nix::unistd::geteuid()))
}

#[test]
fn a_base_that_others_may_write_to_has_a_private_directory_in_it_unless_it_is_sticky() {
    for (mode, private) in [
        (0o700, false),
        (0o755, false),
        (0o1777, false),
        (0o1775, false),
        (0o777, true),
        (0o775, true),
        (0o2777, true),
    ] {
        let base = tempfile::tempdir().unwrap();
        set_mode(base.path(), mode);
        for _ in 0..2 {
            let run_dir = RunDir::create(base.path(), &FakeOs::new()).unwrap();
            let launch = run_dir.launch_dir(1).unwrap();
            let expected = if private { place_in(base.path()) } else { base.path().to_owned() };
            assert_eq!(run_dir.path().parent(), Some(&*expected), "{mode:o}");
            assert!(!private || fs::metadata(&expected).unwrap().permissions().mode() & 0o077 == 0);
            assert!(launch.path().is_dir());
        }
    }
}

#[test]
fn directories_of_earlier_runs_in_a_base_that_others_may_write_to_are_removed() {
    let base = tempfile::tempdir().unwrap();
    let dead = left_over(base.path(), "999-abcdef", GONE);
    set_mode(base.path(), 0o777);
    let _run_dir = RunDir::create(base.path(), &FakeOs::new()).unwrap();
    assert!(!dead.exists());
}

#[test]
fn a_private_directory_that_others_may_enter_or_that_is_a_link_is_rejected_with_the_remedy() {
    let base = tempfile::tempdir().unwrap();
    set_mode(base.path(), 0o777);
    let place = place_in(base.path());
    fs::create_dir(&place).unwrap();
    for mode in [0o777, 0o770, 0o755] {
        set_mode(&place, mode);
        let error = RunDir::create(base.path(), &FakeOs::new()).unwrap_err().to_string();
        assert!(error.contains(&format!("chmod 700 {}", place.display())), "{error}");
    }
    set_mode(&place, 0o700);
    assert!(RunDir::create(base.path(), &FakeOs::new()).is_ok());
    fs::remove_dir_all(&place).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), &place).unwrap();
    let error = RunDir::create(base.path(), &FakeOs::new()).unwrap_err().to_string();
    assert!(error.contains("symbolic link"), "{error}");
    assert_eq!(names(elsewhere.path()), Vec::<String>::new());
}

#[test]
fn a_private_directory_of_another_user_is_rejected_and_a_later_replacement_is_not_used() {
    if !nix::unistd::geteuid().is_root() {
        // Only root can create a directory of another user.
        return;
    }
    let base = tempfile::tempdir().unwrap();
    set_mode(base.path(), 0o777);
    let place = place_in(base.path());
    let foreign = |path: &Path| {
        fs::create_dir(path).unwrap();
        set_mode(path, 0o700);
        std::os::unix::fs::chown(path, Some(4711), None).unwrap();
    };
    foreign(&place);
    let error = RunDir::create(base.path(), &FakeOs::new()).unwrap_err().to_string();
    assert!(error.contains("user with id 4711") && error.contains("move that away"), "{error}");
    fs::remove_dir(&place).unwrap();
    let run_dir = RunDir::create(base.path(), &FakeOs::new()).unwrap();
    fs::rename(&place, base.path().join("away")).unwrap();
    foreign(&place);
    let error = run_dir.launch_dir(1).unwrap_err().to_string();
    assert!(error.contains("4711") && error.contains("chmod +t"), "{error}");
    assert_eq!(names(&place), Vec::<String>::new());
}

#[test]
fn a_replacement_of_the_private_directory_is_neither_used_nor_removed() {
    let base = tempfile::tempdir().unwrap();
    set_mode(base.path(), 0o777);
    let run_dir = RunDir::create(base.path(), &FakeOs::new()).unwrap();
    let launch = run_dir.launch_dir(1).unwrap();
    let (place, away) = (place_in(base.path()), base.path().join("away"));
    let name = run_dir.path().file_name().unwrap().to_owned();
    fs::rename(&place, &away).unwrap();
    // Everything under camofleet's names is now another user's.
    let theirs = place.join(&name).join("launch-1");
    fs::create_dir_all(&theirs).unwrap();
    fs::write(theirs.join("thesis.odt"), "").unwrap();
    set_mode(&place, 0o777);
    let error = run_dir.launch_dir(2).unwrap_err().to_string();
    assert!(error.contains("something else is in the place of") && error.contains("chmod +t"), "{error}");
    set_mode(&place, 0o700);
    assert!(run_dir.launch_dir(2).unwrap_err().to_string().contains("move that away"));
    drop((launch, run_dir));
    assert!(theirs.join("thesis.odt").exists());
    // Only the empty directory of camofleet is left, under whatever name.
    assert_eq!(names(&away.join(&name)), Vec::<String>::new());
}

#[test]
fn a_replacement_of_a_directory_during_its_removal_is_kept() {
    let base = tempfile::tempdir().unwrap();
    let dead = left_over(base.path(), "999-abcdef", GONE);
    fs::create_dir(dead.join("tmp")).unwrap();
    let documents = base.path().join("Documents");
    fs::create_dir(&documents).unwrap();
    fs::write(documents.join("thesis.odt"), "").unwrap();
    let directory = Directory::open(&dead).unwrap();
    fs::rename(&dead, base.path().join("away")).unwrap();
    fs::rename(&documents, &dead).unwrap();
    directory.remove();
    assert_eq!(names(&dead), ["thesis.odt"]);
    assert_eq!(names(&base.path().join("away")), Vec::<String>::new());
}

#[test]
fn a_directory_that_is_emptied_concurrently_is_still_removed() {
    let base = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let path = base.path().join(format!("launch-{round}"));
        let entries: Vec<_> = (0..200).map(|number| path.join(format!("profile-{number}"))).collect();
        entries.iter().for_each(|entry| fs::create_dir_all(entry).unwrap());
        let directory = Directory::open(&path).unwrap();
        let other =
            std::thread::spawn(move || entries.iter().rev().for_each(|entry| drop(fs::remove_dir(entry))));
        directory.remove();
        other.join().unwrap();
        assert!(!path.exists(), "round {round}");
    }
}

#[test]
fn a_path_on_which_others_may_replace_a_directory_is_reported_with_the_remedy() {
    use super::directory::exposed;
    let root = tempfile::tempdir().unwrap();
    let base = root.path().join("shared/below");
    fs::create_dir_all(&base).unwrap();
    for (mode, remedy) in [(0o755, false), (0o777, true), (0o775, true), (0o1777, false)] {
        set_mode(&root.path().join("shared"), mode);
        let named = exposed(&base, "RUNNER_RUN_DIR").unwrap().is_some_and(|text| {
            text.contains(&format!(
                "chmod +t {}",
                fs::canonicalize(root.path()).unwrap().join("shared").display()
            ))
        });
        assert_eq!(named, remedy, "{mode:o}");
    }
}
