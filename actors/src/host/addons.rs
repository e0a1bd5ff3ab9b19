//! The add-ons that sessions may have: files that an operator names, checked by their checksums, and unpacked once for all
//! browsers of this process.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use zip::ZipArchive;

/// The most files of an add-on, and their bytes together; uBlock Origin has 400 files of 12 MB.
const FILES_LIMIT: usize = 20_000;
const BYTES_LIMIT: u64 = 256 << 20;
/// The file that makes a directory an add-on.
const MANIFEST: &str = "manifest.json";

/// Where an add-on comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddonSource {
    /// The file, an `.xpi`.
    pub path: PathBuf,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// Add-ons by their names. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Addons(Arc<BTreeMap<String, PathBuf>>);

impl Addons {
    /// Checks files, and unpacks each into a directory of its name in `into`, which need not exist.
    ///
    /// # Errors
    /// One line with the first add-on that is missing, altered or none.
    pub fn load(sources: &BTreeMap<String, AddonSource>, into: &Path) -> Result<Self, String> {
        let load = |(name, source): (&String, &AddonSource)| {
            let directory = into.join(name);
            unpack(source, &directory)
                .map_err(|problem| format!("{name}: {}: {problem}", source.path.display()))?;
            Ok((name.clone(), directory))
        };
        sources.iter().map(load).collect::<Result<_, String>>().map(|addons| Self(Arc::new(addons)))
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The directories of some of them, each once.
    ///
    /// # Errors
    /// The first name that there is none of.
    pub fn select<'a>(&self, names: &'a [String]) -> Result<Vec<PathBuf>, &'a str> {
        let mut selected = Vec::new();
        for name in names {
            let directory = self.0.get(name).ok_or(name.as_str())?;
            if !selected.contains(directory) {
                selected.push(directory.clone());
            }
        }
        Ok(selected)
    }
}

/// The SHA-256 of a file from where it is read, in hexadecimal digits.
fn sha256(file: &mut impl Read) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            read => digest.update(&buffer[..read]),
        }
    }
}

/// Checks one file and unpacks it.
fn unpack(source: &AddonSource, directory: &Path) -> Result<(), String> {
    let mut file = File::open(&source.path).map_err(|error| error.to_string())?;
    let found = sha256(&mut file).map_err(|error| error.to_string())?;
    if !found.eq_ignore_ascii_case(&source.sha256) {
        return Err(format!("its SHA-256 is {found}; if the file was replaced on purpose, give that one"));
    }
    // The same file that was checked, even if another has been put in its place.
    file.rewind().map_err(|error| error.to_string())?;
    let mut archive = ZipArchive::new(file).map_err(|error| format!("it is no add-on: {error}"))?;
    if archive.len() > FILES_LIMIT {
        return Err(format!("it has more than {FILES_LIMIT} files"));
    }
    let mut left = BYTES_LIMIT;
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).map_err(|error| error.to_string())?;
        let name =
            entry.enclosed_name().ok_or_else(|| format!("it has a file outside: {:?}", entry.name()))?;
        let path = directory.join(name);
        if entry.is_dir() {
            std::fs::create_dir_all(&path).map_err(|error| error.to_string())?;
            continue;
        }
        if !entry.is_file() {
            return Err(format!("it has a link: {:?}", entry.name()));
        }
        let parent = path.parent().unwrap_or(directory);
        let written = std::fs::create_dir_all(parent)
            .and_then(|()| File::create_new(&path))
            // What an entry says of its own size may be wrong.
            .and_then(|mut out| io::copy(&mut (&mut entry).take(left + 1), &mut out))
            .map_err(|error| format!("{}: {error}", path.display()))?;
        left = left
            .checked_sub(written)
            .ok_or_else(|| format!("it is larger than {} MiB", BYTES_LIMIT >> 20))?;
    }
    if directory.join(MANIFEST).is_file() {
        Ok(())
    } else {
        Err(format!("it is no add-on: it has no {MANIFEST}"))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn addon(directory: &Path, files: &[(&str, &str)]) -> AddonSource {
        let path = directory.join("a.xpi");
        let mut writer = ZipWriter::new(File::create(&path).unwrap());
        for (name, text) in files {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap();
        let digest = Sha256::digest(std::fs::read(&path).unwrap());
        let sha256 = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        AddonSource { path, sha256 }
    }

    fn load(source: AddonSource, into: &Path) -> Result<Addons, String> {
        Addons::load(&BTreeMap::from([("a".to_owned(), source)]), &into.join("addons"))
    }

    #[test]
    fn a_file_with_the_right_checksum_is_unpacked() {
        let home = tempfile::tempdir().unwrap();
        let files = [("manifest.json", "{}"), ("js/code.js", "1;")];
        let addons = load(addon(home.path(), &files), home.path()).unwrap();
        let directory = home.path().join("addons/a");
        assert_eq!(std::fs::read_to_string(directory.join("js/code.js")).unwrap(), "1;");
        assert_eq!(addons.names().collect::<Vec<_>>(), ["a"]);
        let names = ["a".to_owned(), "a".to_owned()];
        assert_eq!(addons.select(&names), Ok(vec![directory]));
        assert_eq!(addons.select(&["b".to_owned()]), Err("b"));
        assert_eq!(Addons::default().select(&[]), Ok(Vec::new()));
    }

    #[test]
    fn what_is_altered_or_no_add_on_or_writes_elsewhere_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let altered =
            AddonSource { sha256: "0".repeat(64), ..addon(home.path(), &[("manifest.json", "{}")]) };
        let text = load(altered, home.path()).unwrap_err();
        assert!(text.starts_with("a: ") && text.contains("its SHA-256 is"), "{text}");
        assert!(!home.path().join("addons").exists(), "nothing of it is unpacked");
        for (files, expected) in [
            (vec![("other.json", "{}")], "no manifest.json"),
            (vec![("manifest.json", "{}"), ("../../outside", "x")], "outside"),
            (vec![("/outside", "x")], "manifest.json"),
        ] {
            let base = tempfile::tempdir().unwrap();
            let text = load(addon(base.path(), &files), base.path()).unwrap_err();
            assert!(text.contains(expected), "{text}");
            assert!(!base.path().join("outside").exists());
        }
        let missing = AddonSource { path: home.path().join("none.xpi"), sha256: String::new() };
        assert!(load(missing, home.path()).unwrap_err().contains("none.xpi"));
        std::fs::write(home.path().join("text"), "text").unwrap();
        let text = AddonSource {
            path: home.path().join("text"),
            sha256: "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1".to_owned(),
        };
        assert!(load(text, home.path()).unwrap_err().contains("it is no add-on"));
    }
}
