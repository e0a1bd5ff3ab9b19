//! Firefox' own policies, for the browsers of this camofleet alone.
//!
//! Firefox reads them from `/etc/firefox/policies`, which is the machine's, or from the directory `distribution` beside its
//! executable, which is the package's. Both also concern browsers that are none of camofleet's. So its browsers start
//! from an installation of their own in the run directory: links to everything of the real one, and a copy of the
//! executable (half a megabyte), by whose place Firefox finds the rest.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};

/// Nobody's file is a page, whether a client, a viewer or a start URL asks for it: neither the machine's secrets nor the
/// profile of another session. And what camofleet has set in a browser stays so: nobody opens the page that changes it.
const POLICIES: &str =
    r#"{"policies": {"WebsiteFilter": {"Block": ["file:///*"]}, "BlockAboutConfig": true}}"#;

/// Where Firefox looks for policies, below its installation.
const DISTRIBUTION: &str = "distribution";

/// The executable of an installation that blocks `file:` pages and is otherwise this one's. It is made at the first call,
/// and again when the real one has changed or somebody has removed it.
///
/// # Errors
/// The executable is a script, or lies among other programs; the run directory can't be written, or programs can't be
/// started from it.
pub(crate) fn without_file_pages(run_dir: &Path, executable: &Path) -> io::Result<PathBuf> {
    let real = fs::canonicalize(executable)?;
    let metadata = fs::metadata(&real)?;
    let name = real.file_name().ok_or_else(|| io::Error::other("it has no name"))?;
    // An update puts another file in its place, and the copy would no longer fit the libraries.
    let install = run_dir.join(format!("browser-{:x}-{:x}", metadata.mtime(), metadata.size()));
    let copy = install.join(name);
    if copy.exists() {
        return Ok(copy);
    }
    let source = real.parent().ok_or_else(|| io::Error::other("it is no file"))?;
    if !source.join("libxul.so").exists() || !is_program(&real)? {
        return Err(io::Error::other(format!("{} is no Firefox installation", source.display())));
    }
    if statvfs(run_dir)?.flags().contains(FsFlags::ST_NOEXEC) {
        let run_dir = run_dir.display();
        return Err(io::Error::other(format!(
            "{run_dir} is mounted noexec; name another directory with RUNNER_RUN_DIR"
        )));
    }
    let half_done = run_dir.join(format!("browser-{:08x}.new", fastrand::u32(..)));
    build(&half_done, source, &real).and_then(|()| fs::rename(&half_done, &install)).or_else(|error| {
        // What this call has made.
        let _ = fs::remove_dir_all(&half_done);
        // Another launch was faster.
        if copy.exists() { Ok(()) } else { Err(error) }
    })?;
    Ok(copy)
}

fn build(install: &Path, source: &Path, executable: &Path) -> io::Result<()> {
    let directory = |path: &Path| fs::DirBuilder::new().mode(0o700).create(path);
    directory(install)?;
    for entry in fs::read_dir(source)? {
        let entry = entry?;
        if entry.file_name() != DISTRIBUTION && entry.path() != executable {
            symlink(entry.path(), install.join(entry.file_name()))?;
        }
    }
    let (distribution, its) = (install.join(DISTRIBUTION), source.join(DISTRIBUTION));
    directory(&distribution)?;
    if its.is_dir() {
        for entry in fs::read_dir(its)? {
            let entry = entry?;
            if entry.file_name() != "policies.json" {
                symlink(entry.path(), distribution.join(entry.file_name()))?;
            }
        }
    }
    fs::write(distribution.join("policies.json"), POLICIES)?;
    let Some(name) = executable.file_name() else { return Ok(()) };
    fs::copy(executable, install.join(name)).map(|_| ())
}

/// Whether a file is a program of the machine itself: what a script starts is found by another way.
fn is_program(path: &Path) -> io::Result<bool> {
    let mut magic = [0; 4];
    fs::File::open(path)?.read_exact(&mut magic)?;
    Ok(magic == *b"\x7fELF")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Something that looks like an installation of Firefox.
    fn installation(directory: &Path) -> PathBuf {
        fs::create_dir_all(directory.join("distribution/searchplugins")).unwrap();
        for name in ["libxul.so", "omni.ja", "distribution/policies.json"] {
            fs::write(directory.join(name), name).unwrap();
        }
        let executable = directory.join("firefox");
        fs::copy("/bin/true", &executable).unwrap();
        executable
    }

    #[test]
    fn the_installation_is_the_real_one_with_policies_of_its_own() {
        let (base, run_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let executable = installation(base.path());
        let linked = run_dir.path().join("linked");
        symlink(&executable, &linked).unwrap();
        let copy = without_file_pages(run_dir.path(), &linked).unwrap();
        assert!(copy.starts_with(run_dir.path()) && copy.ends_with("firefox"));
        assert!(std::process::Command::new(&copy).status().unwrap().success());
        let install = copy.parent().unwrap();
        assert_eq!(fs::read_link(install.join("omni.ja")).unwrap(), base.path().join("omni.ja"));
        assert!(install.join("distribution/searchplugins").is_dir());
        let policies: serde_json::Value =
            serde_json::from_slice(&fs::read(install.join("distribution/policies.json")).unwrap()).unwrap();
        assert_eq!(policies["policies"]["WebsiteFilter"]["Block"][0], "file:///*");
        assert_eq!(policies["policies"]["BlockAboutConfig"], true);
        assert_eq!(
            fs::read_to_string(base.path().join("distribution/policies.json")).unwrap(),
            "distribution/policies.json"
        );

        assert_eq!(without_file_pages(run_dir.path(), &executable).unwrap(), copy, "it is made once");
        fs::remove_dir_all(install).unwrap();
        assert_eq!(
            without_file_pages(run_dir.path(), &executable).unwrap(),
            copy,
            "and again when it is gone"
        );
        fs::copy("/bin/false", &executable).unwrap();
        fs::File::options().append(true).open(&executable).unwrap().set_len(1 << 20).unwrap();
        assert_ne!(without_file_pages(run_dir.path(), &executable).unwrap(), copy, "and for another version");
    }

    #[test]
    fn what_is_no_installation_is_refused() {
        let (base, run_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let script = base.path().join("firefox");
        fs::write(&script, "#!/bin/sh\n").unwrap();
        assert!(without_file_pages(run_dir.path(), &script).is_err());
        fs::write(base.path().join("libxul.so"), "").unwrap();
        assert!(
            without_file_pages(run_dir.path(), &script)
                .unwrap_err()
                .to_string()
                .contains("no Firefox installation")
        );
        assert_eq!(fs::read_dir(run_dir.path()).unwrap().count(), 0, "nothing is left of it");
    }
}
