//! Firefox policies that apply to the browsers of this camofleet only.
//!
//! Firefox reads policies from `/etc/firefox/policies` or from the directory `distribution` beside its executable. Both
//! also apply to browsers that camofleet did not start. So camofleet's browsers run from an installation of their own
//! in the run directory: symbolic links to the files of the real one, and a copy of the executable (half a megabyte),
//! because Firefox locates its other files relative to it.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};

/// Blocks `file:` pages, because through them a client, a viewer or a start URL could read the machine's secrets or the
/// profile of another session; and `about:config`, so that the preferences that camofleet sets can't be changed.
const POLICIES: &str =
    r#"{"policies": {"WebsiteFilter": {"Block": ["file:///*"]}, "BlockAboutConfig": true}}"#;

/// The directory in an installation from which Firefox reads policies.
const DISTRIBUTION: &str = "distribution";

/// Returns the executable of an installation that equals the given one but blocks `file:` pages. It is created by the
/// first call, and again if the original has changed or the copy was removed.
///
/// # Errors
/// The executable is a script, or not in a Firefox installation; the run directory is not writable or mounted noexec.
pub(crate) fn without_file_pages(run_dir: &Path, executable: &Path) -> io::Result<PathBuf> {
    let real = fs::canonicalize(executable)?;
    let metadata = fs::metadata(&real)?;
    let name = real.file_name().ok_or_else(|| io::Error::other("the path has no file name"))?;
    // After an update of Firefox the copy would no longer match the libraries.
    let install = run_dir.join(format!("browser-{:x}-{:x}", metadata.mtime(), metadata.size()));
    let copy = install.join(name);
    if copy.exists() {
        return Ok(copy);
    }
    let source = real.parent().ok_or_else(|| io::Error::other("the path has no parent directory"))?;
    if !source.join("libxul.so").exists() || !is_program(&real)? {
        return Err(io::Error::other(format!("{} is not a Firefox installation", source.display())));
    }
    if statvfs(run_dir)?.flags().contains(FsFlags::ST_NOEXEC) {
        let run_dir = run_dir.display();
        return Err(io::Error::other(format!(
            "{run_dir} is mounted noexec; set RUNNER_RUN_DIR to another directory"
        )));
    }
    let half_done = run_dir.join(format!("browser-{:08x}.new", fastrand::u32(..)));
    build(&half_done, source, &real).and_then(|()| fs::rename(&half_done, &install)).or_else(|error| {
        // The incomplete directory of this call.
        let _ = fs::remove_dir_all(&half_done);
        // A concurrent launch may have created it first.
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
    let (distribution, original) = (install.join(DISTRIBUTION), source.join(DISTRIBUTION));
    directory(&distribution)?;
    if original.is_dir() {
        for entry in fs::read_dir(original)? {
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

/// Whether a file is an ELF executable and not a wrapper script, which would start the original browser.
fn is_program(path: &Path) -> io::Result<bool> {
    let mut magic = [0; 4];
    fs::File::open(path)?.read_exact(&mut magic)?;
    Ok(magic == *b"\x7fELF")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates files that look like an installation of Firefox.
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
    fn the_installation_equals_the_original_except_for_its_policies() {
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

        assert_eq!(without_file_pages(run_dir.path(), &executable).unwrap(), copy, "it is created once");
        fs::remove_dir_all(install).unwrap();
        assert_eq!(
            without_file_pages(run_dir.path(), &executable).unwrap(),
            copy,
            "and again after it was removed"
        );
        fs::copy("/bin/false", &executable).unwrap();
        fs::File::options().append(true).open(&executable).unwrap().set_len(1 << 20).unwrap();
        assert_ne!(
            without_file_pages(run_dir.path(), &executable).unwrap(),
            copy,
            "and again for another version"
        );
    }

    #[test]
    fn what_is_not_an_installation_is_refused() {
        let (base, run_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let script = base.path().join("firefox");
        fs::write(&script, "#!/bin/sh\n").unwrap();
        assert!(without_file_pages(run_dir.path(), &script).is_err());
        fs::write(base.path().join("libxul.so"), "").unwrap();
        assert!(
            without_file_pages(run_dir.path(), &script)
                .unwrap_err()
                .to_string()
                .contains("not a Firefox installation")
        );
        assert_eq!(fs::read_dir(run_dir.path()).unwrap().count(), 0, "no files are left behind");
    }
}
