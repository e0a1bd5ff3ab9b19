//! Files of user data: copying, measuring, and getting them to the disk. Everything here may block.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

/// Entries of a Firefox profile that are not part of a person: locks, caches that Firefox makes again, and the dumps of
/// crashes. They are neither copied nor exported nor counted.
const EXPENDABLE: [&str; 11] = [
    "lock",
    ".parentlock",
    "cache2",
    "crashes",
    "minidumps",
    "safebrowsing",
    "saved-telemetry-pings",
    "shader-cache",
    "startupCache",
    "thumbnails",
    "prefs.js.playwright",
];

/// How deeply directories are followed; Firefox needs seven levels.
const DEPTH: usize = 32;

/// One entry below a directory.
pub(super) enum Entry<'a> {
    /// A directory, before its entries.
    Directory(&'a Path),
    /// A regular file.
    File(&'a Path),
}

/// Visits the directories and regular files of user data by their paths relative to it. Links, sockets and what is
/// expendable are left out.
///
/// # Errors
/// Those of the visitor, and a directory that can't be read. Files that are removed meanwhile are no error.
pub(super) fn visit(root: &Path, visitor: &mut dyn FnMut(Entry<'_>) -> io::Result<()>) -> io::Result<()> {
    visit_below(root, Path::new(""), 0, visitor)
}

fn visit_below(
    root: &Path,
    relative: &Path,
    depth: usize,
    visitor: &mut dyn FnMut(Entry<'_>) -> io::Result<()>,
) -> io::Result<()> {
    if depth > DEPTH {
        return Err(io::Error::other(format!("{} is too deep", root.join(relative).display())));
    }
    for entry in fs::read_dir(root.join(relative))? {
        let entry = entry?;
        let name = entry.file_name();
        if depth == 0 && EXPENDABLE.iter().any(|expendable| name == *expendable) {
            continue;
        }
        let path = relative.join(name);
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                ignore_missing(visitor(Entry::Directory(&path)))?;
                ignore_missing(visit_below(root, &path, depth + 1, visitor))?;
            }
            Ok(kind) if kind.is_file() => ignore_missing(visitor(Entry::File(&path)))?,
            Ok(_) => {}
            Err(error) => ignore_missing(Err(error))?,
        }
    }
    Ok(())
}

fn ignore_missing(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Waits. For threads that may block only, as all file operations here.
#[allow(clippy::disallowed_methods, reason = "no actor runs on these threads")]
pub(super) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Creates a directory that only this user can access.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Copies user data into a new directory.
///
/// # Errors
/// The directory exists, or something can't be read or written.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    make_directory(to)?;
    visit(from, &mut |entry| match entry {
        Entry::Directory(path) => make_directory(&to.join(path)),
        Entry::File(path) => fs::copy(from.join(path), to.join(path)).map(drop),
    })
}

/// How many bytes the files of user data have.
pub(super) fn size(root: &Path) -> u64 {
    let mut size = 0;
    // What can't be read is not counted.
    let _ = visit(root, &mut |entry| {
        if let Entry::File(path) = entry {
            size += fs::symlink_metadata(root.join(path))?.len();
        }
        Ok(())
    });
    size
}

/// Waits until all user data are on the disk.
///
/// # Errors
/// The disk is full or fails.
pub(super) fn sync(root: &Path) -> io::Result<()> {
    File::open(root)?.sync_all()?;
    visit(root, &mut |entry| {
        let (Entry::Directory(path) | Entry::File(path)) = entry;
        File::open(root.join(path))?.sync_all()
    })
}

/// Replaces a file as a whole: after a crash there is the old or the new one.
///
/// # Errors
/// The disk is full or fails.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let next = path.with_extension("next");
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&next, path)?;
        match path.parent() {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    };
    write().inspect_err(|_| drop(fs::remove_file(&next)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn user_data_are_copied_without_caches_locks_and_links() {
        let base = tempfile::tempdir().unwrap();
        let (from, to) = (base.path().join("from"), base.path().join("to"));
        fs::create_dir_all(from.join("storage/default")).unwrap();
        fs::create_dir_all(from.join("cache2")).unwrap();
        for (name, content) in
            [("prefs.js", "a"), ("storage/default/db", "bcd"), ("cache2/x", "large"), (".parentlock", "")]
        {
            fs::write(from.join(name), content).unwrap();
        }
        symlink("/etc/passwd", from.join("lock")).unwrap();
        symlink("/etc", from.join("storage/etc")).unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(fs::read(to.join("storage/default/db")).unwrap(), b"bcd");
        for missing in ["cache2", ".parentlock", "lock", "storage/etc"] {
            assert!(fs::symlink_metadata(to.join(missing)).is_err(), "{missing}");
        }
        assert_eq!((size(&from), size(&to)), (4, 4));
        sync(&from).unwrap();
        assert!(copy(&from, &to).is_err(), "nothing is overwritten");
    }

    #[test]
    fn a_directory_that_is_removed_meanwhile_hides_no_other() {
        let base = tempfile::tempdir().unwrap();
        for name in ["one", "two", "three"] {
            fs::create_dir_all(base.path().join("storage").join(name)).unwrap();
        }
        let (mut met, mut removed) = (0, None);
        visit(base.path(), &mut |entry| match entry {
            Entry::Directory(path) if path.components().count() == 2 && removed.is_none() => {
                fs::remove_dir(base.path().join(path))?;
                removed = Some(path.to_owned());
                File::open(base.path().join(path)).map(drop)
            }
            _ => {
                met += 1;
                Ok(())
            }
        })
        .unwrap();
        assert_eq!(met, 3, "the directory above it, and the two others");
    }

    #[test]
    fn a_file_is_replaced_or_stays() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("profile.json");
        replace(&file, b"one").unwrap();
        replace(&file, b"two").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 1);
        assert!(replace(&base.path().join("nowhere/profile.json"), b"x").is_err());
    }
}
