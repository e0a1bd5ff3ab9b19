//! Finds this machine's browser: Camoufox or the system's Firefox.

use std::path::{Path, PathBuf};
use std::{fmt, fs};

use serde::{Deserialize, Serialize};

use crate::process::Os;

/// The browsers that camofleet can drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// Camoufox, by Playwright's own Firefox protocol, with a generated fingerprint.
    Camoufox,
    /// An ordinary Firefox, by WebDriver BiDi.
    Firefox,
}

impl EngineKind {
    /// The name in the API, in logs and in messages to the driver.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Camoufox => "camoufox",
            Self::Firefox => "firefox",
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A browser that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// The kind of browser.
    pub kind: EngineKind,
    /// Its executable.
    pub executable: PathBuf,
    /// Its version, if it can be read from the installation.
    pub version: Option<String>,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind)?;
        if let Some(version) = &self.version {
            write!(f, "{version} ")?;
        }
        write!(f, "({})", self.executable.display())
    }
}

/// Which engine to look for, and where.
#[derive(Debug, Clone, Default)]
pub struct EngineSearch {
    /// The kind to look for; `None` prefers Camoufox to Firefox.
    pub wanted: Option<EngineKind>,
    /// A Camoufox executable, or the directory that holds one.
    pub camoufox_path: Option<PathBuf>,
    /// A Firefox executable.
    pub firefox_path: Option<PathBuf>,
    /// The user's cache directory, where Camoufox' own installers put it.
    pub cache_dir: Option<PathBuf>,
}

/// The executable names of Firefox in distributions; ESR first, because it changes least.
const FIREFOX_NAMES: [&str; 2] = ["firefox-esr", "firefox"];
/// The executable's name in every layout of Camoufox on Linux.
const CAMOUFOX_NAME: &str = "camoufox-bin";

impl EngineSearch {
    /// Finds the engine.
    ///
    /// # Errors
    /// One line with what was not found and how to install it.
    pub fn find(&self, os: &dyn Os) -> Result<Engine, String> {
        match self.wanted {
            Some(EngineKind::Camoufox) => self.camoufox(os),
            Some(EngineKind::Firefox) => self.firefox(os),
            None if self.camoufox_path.is_some() => self.camoufox(os),
            // If its path is wrong, that is the error, and not that there is no browser.
            None if self.firefox_path.is_some() => self.camoufox(os).or_else(|_| self.firefox(os)),
            None => self.camoufox(os).or_else(|_| self.firefox(os)).map_err(|_| {
                "no browser found: install Camoufox ('camofleet setup camoufox') or Firefox ('apt-get install \
                 firefox-esr'), or name one with RUNNER_CAMOUFOX_PATH or RUNNER_FIREFOX_PATH"
                    .to_owned()
            }),
        }
    }

    fn camoufox(&self, os: &dyn Os) -> Result<Engine, String> {
        if let Some(path) = &self.camoufox_path {
            let executable = if path.is_dir() { path.join(CAMOUFOX_NAME) } else { path.clone() };
            let found = os.find_program(&executable).ok_or_else(|| {
                format!(
                    "RUNNER_CAMOUFOX_PATH: {} is not an executable; name the file {CAMOUFOX_NAME} or its directory",
                    path.display()
                )
            })?;
            return Ok(camoufox_at(found));
        }
        let root = self.cache_dir.as_ref().map(|cache| cache.join("camoufox"));
        let installed = root
            .as_deref()
            .and_then(|root| active_install(root).or_else(|| os.find_program(&root.join(CAMOUFOX_NAME))));
        installed.map(camoufox_at).ok_or_else(|| {
            "no Camoufox found: install it with 'camofleet setup camoufox', or name it with \
             RUNNER_CAMOUFOX_PATH"
                .to_owned()
        })
    }

    fn firefox(&self, os: &dyn Os) -> Result<Engine, String> {
        let executable = match &self.firefox_path {
            Some(path) => os.find_program(path).ok_or_else(|| {
                format!("RUNNER_FIREFOX_PATH: {} is not an executable; name a Firefox binary", path.display())
            })?,
            None => FIREFOX_NAMES.iter().find_map(|name| os.find_program(Path::new(name))).ok_or_else(|| {
                "no Firefox found: install it ('apt-get install firefox-esr'), or name it with RUNNER_FIREFOX_PATH"
                    .to_owned()
            })?,
        };
        let version = firefox_version(&executable);
        Ok(Engine { kind: EngineKind::Firefox, executable, version })
    }
}

fn camoufox_at(executable: PathBuf) -> Engine {
    let version = executable.parent().and_then(camoufox_version);
    Engine { kind: EngineKind::Camoufox, executable, version }
}

/// `version.json` of a Camoufox: `{"version": "152.0.4", "release": "beta.30"}`; the Python installer calls the
/// second part `build`.
fn camoufox_version(directory: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct VersionFile {
        version: String,
        #[serde(alias = "build")]
        release: Option<String>,
    }
    let text = fs::read_to_string(directory.join("version.json")).ok()?;
    let file: VersionFile = serde_json::from_str(&text).ok()?;
    Some(match file.release {
        Some(release) => format!("{}-{release}", file.version),
        None => file.version,
    })
}

/// The executable in the layout of the Python package since 0.5, `browsers/<repo>/<version>-<build>/`. `config.json` names
/// the active one as `active_version`; without that file, it is the newest directory.
fn active_install(root: &Path) -> Option<PathBuf> {
    let installs = subdirectories(&root.join("browsers")).into_iter().flat_map(|repo| subdirectories(&repo));
    let mut installs: Vec<PathBuf> =
        installs.filter(|install| install.join(CAMOUFOX_NAME).is_file()).collect();
    installs.sort_by_key(|install| fs::metadata(install).and_then(|meta| meta.modified()).ok());
    let active = fs::read_to_string(root.join("config.json"))
        .ok()
        .and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok())
        .and_then(|config| Some(config.get("active_version")?.as_str()?.to_owned()));
    let chosen = active.and_then(|active| {
        // The value is either `<repo>/<version>` or the path below the root.
        installs.iter().find(|install| install.ends_with(&active)).cloned()
    });
    Some(chosen.or_else(|| installs.pop())?.join(CAMOUFOX_NAME))
}

fn subdirectories(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// Reads the version from `application.ini`, which is next to the real binary; the executable in `PATH` may be a link or a
/// wrapper script.
fn firefox_version(executable: &Path) -> Option<String> {
    let real = fs::canonicalize(executable).ok()?;
    let name = real.file_name()?.to_str()?;
    let candidates = [real.parent()?.to_owned(), Path::new("/usr/lib").join(name)];
    let text = candidates.iter().find_map(|home| fs::read_to_string(home.join("application.ini")).ok())?;
    text.lines().find_map(|line| line.strip_prefix("Version=")).map(|version| version.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::process::SystemOs;
    use crate::testing::fake_os::FakeOs;

    fn install(directory: &Path, version: &str) -> PathBuf {
        fs::create_dir_all(directory).unwrap();
        let executable = directory.join(CAMOUFOX_NAME);
        fs::write(&executable, "").unwrap();
        fs::set_permissions(&executable, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(directory.join("version.json"), version).unwrap();
        executable
    }

    fn search(cache: &Path) -> EngineSearch {
        EngineSearch { cache_dir: Some(cache.to_owned()), ..EngineSearch::default() }
    }

    #[test]
    fn a_flat_camoufox_install_is_found_with_its_version() {
        let cache = tempfile::tempdir().unwrap();
        let executable =
            install(&cache.path().join("camoufox"), r#"{"version":"135.0.1","release":"beta.24"}"#);
        let engine = search(cache.path()).find(&SystemOs::new()).unwrap();
        let version = Some("135.0.1-beta.24".to_owned());
        assert_eq!(engine, Engine { kind: EngineKind::Camoufox, executable, version });
    }

    #[test]
    fn of_several_versioned_installs_the_active_one_is_used() {
        let cache = tempfile::tempdir().unwrap();
        let root = cache.path().join("camoufox");
        let active = install(
            &root.join("browsers/official/150.0.1-beta.28"),
            r#"{"version":"150.0.1","build":"beta.28"}"#,
        );
        install(
            &root.join("browsers/official/152.0.4-beta.30"),
            r#"{"version":"152.0.4","build":"beta.30"}"#,
        );
        fs::write(root.join("config.json"), r#"{"active_version":"official/150.0.1-beta.28"}"#).unwrap();
        let engine = search(cache.path()).find(&SystemOs::new()).unwrap();
        assert_eq!((engine.executable, engine.version.as_deref()), (active, Some("150.0.1-beta.28")));
    }

    #[test]
    fn without_an_active_version_the_newest_install_is_used() {
        let cache = tempfile::tempdir().unwrap();
        let root = cache.path().join("camoufox");
        let only = install(&root.join("browsers/official/152.0.4-beta.30"), r#"{"version":"152.0.4"}"#);
        assert_eq!(search(cache.path()).find(&SystemOs::new()).unwrap().executable, only);
    }

    #[test]
    fn without_a_camoufox_the_systems_firefox_is_used() {
        let engine = EngineSearch::default().find(&FakeOs::new()).unwrap();
        assert_eq!((engine.kind, engine.executable), (EngineKind::Firefox, "/usr/bin/firefox-esr".into()));
    }

    #[test]
    fn a_machine_without_any_browser_is_an_error_of_one_line_with_the_remedy() {
        let os = FakeOs::new();
        FIREFOX_NAMES.iter().for_each(|name| os.uninstall(name));
        let text = EngineSearch::default().find(&os).unwrap_err();
        assert!(text.contains("apt-get install firefox-esr") && !text.contains('\n'), "{text}");
    }

    #[test]
    fn a_configured_engine_is_never_replaced_by_another() {
        let cache = tempfile::tempdir().unwrap();
        let wanted = EngineSearch { wanted: Some(EngineKind::Camoufox), ..search(cache.path()) };
        assert!(wanted.find(&FakeOs::new()).unwrap_err().contains("setup camoufox"));
    }

    #[test]
    fn a_wrong_path_is_an_error_that_names_its_setting() {
        let wrong =
            EngineSearch { camoufox_path: Some("/nowhere/camoufox-bin".into()), ..EngineSearch::default() };
        assert!(
            wrong
                .find(&SystemOs::new())
                .unwrap_err()
                .starts_with("RUNNER_CAMOUFOX_PATH: /nowhere/camoufox-bin")
        );
    }

    #[test]
    fn a_path_that_names_no_executable_is_named_whether_firefox_or_any_browser_is_looked_for() {
        let cache = tempfile::tempdir().unwrap();
        for wanted in [None, Some(EngineKind::Firefox)] {
            let firefox_path = Some("/nope".into());
            let wrong = EngineSearch { wanted, firefox_path, ..search(cache.path()) };
            let text = wrong.find(&SystemOs::new()).unwrap_err();
            assert!(text.starts_with("RUNNER_FIREFOX_PATH: /nope is not an executable"), "{text}");
        }
        // The path of a browser that is not used is not needed.
        install(&cache.path().join("camoufox"), "{}");
        let other = EngineSearch { firefox_path: Some("/nope".into()), ..search(cache.path()) };
        assert_eq!(other.find(&SystemOs::new()).unwrap().kind, EngineKind::Camoufox);
    }

    #[test]
    fn a_configured_directory_stands_for_the_executable_in_it() {
        let home = tempfile::tempdir().unwrap();
        let executable = install(home.path(), "{}");
        let named = EngineSearch { camoufox_path: Some(home.path().to_owned()), ..EngineSearch::default() };
        assert_eq!(named.find(&SystemOs::new()).unwrap().executable, executable);
    }
}
