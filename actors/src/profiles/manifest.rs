//! What a profile is beside its user data: the file `profile.json`.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use camofleet_api::Time;
use camofleet_api::identity::Identity;
use camofleet_api::identity_request::IdentityRequest;
use camofleet_api::profile::{Profile, ProfileName, ProfileUser};
use camofleet_api::profile_request::ProfilePatch;
use camofleet_api::proxy::{ProxyChoice, ProxyView};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::files;
use crate::model::machine::Machine;

/// The file's name in the directory of a profile, and in an archive.
pub(super) const FILE: &str = "profile.json";
/// The version of its format that is written; earlier ones can be read.
const VERSION: u32 = 1;
/// The largest file that is read, in bytes.
const SIZE_LIMIT: u64 = 1 << 20;

/// The content of the file. Its proxy has its credentials, so only the user can read the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The version of the format.
    pub version: u32,
    /// The profile's id, which stays through export and import.
    pub id: Uuid,
    /// When it was made.
    pub created_at: Time,
    /// When a session last used it.
    #[serde(default)]
    pub last_used_at: Option<Time>,
    /// The size of its user data when it was last closed, in bytes.
    #[serde(default)]
    pub size_bytes: u64,
    /// The caller's labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The caller's notes.
    #[serde(default)]
    pub notes: String,
    /// The proxy of its sessions.
    #[serde(default)]
    pub proxy: Option<ProxyChoice>,
    /// The identity that was asked for.
    #[serde(default)]
    pub asked: IdentityRequest,
    /// The identity that it has, once it is known.
    #[serde(default)]
    pub identity: Option<Identity>,
    /// The machine that its browser shows, once it was drawn.
    #[serde(default)]
    pub machine: Option<Arc<Machine>>,
    /// The engine that its user data belong to.
    pub browser: String,
    /// The version of the browser that last used it.
    #[serde(default)]
    pub browser_version: Option<String>,
    /// Whether its last session did not end in order.
    #[serde(default)]
    pub recovered: bool,
    /// The session that made it, until anything else uses or changes it, or that session has a browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_of: Option<Uuid>,
}

impl Manifest {
    /// That of a new profile for this engine.
    pub fn new(browser: &str, asked: IdentityRequest) -> Self {
        Self {
            version: VERSION,
            id: Uuid::new_v4(),
            created_at: Time::now(),
            last_used_at: None,
            size_bytes: 0,
            labels: BTreeMap::new(),
            notes: String::new(),
            proxy: None,
            asked,
            identity: None,
            machine: None,
            browser: browser.to_owned(),
            browser_version: None,
            recovered: false,
            only_of: None,
        }
    }

    /// Reads the file in the directory of a profile.
    ///
    /// # Errors
    /// It can't be read, or a later camofleet wrote it.
    pub fn read(directory: &Path) -> io::Result<Self> {
        let path = directory.join(FILE);
        if std::fs::metadata(&path)?.len() > SIZE_LIMIT {
            return Err(invalid(format!("its {FILE} is too large")));
        }
        Self::parse(&std::fs::read(path)?)
    }

    /// Parses the file's content.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(content: &[u8]) -> io::Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let read: Result<Version, _> = serde_json::from_slice(content);
        let found = read.map_err(|error| invalid(format!("its {FILE} is damaged: {error}")))?.version;
        if found > VERSION {
            return Err(invalid(format!(
                "a later camofleet made it (format {found}); install that one here"
            )));
        }
        serde_json::from_slice(content).map_err(|error| invalid(format!("its {FILE} is damaged: {error}")))
    }

    /// Checks the limits of what a caller can set, for a file that somebody else may have written.
    ///
    /// # Errors
    /// One is exceeded.
    pub fn check(&self) -> io::Result<()> {
        let set = serde_json::to_vec(&serde_json::json!({ "labels": self.labels, "notes": self.notes }))?;
        ProfilePatch::parse(&set).map_err(|error| invalid(format!("its {FILE} is not valid: {error}")))?;
        if self.to_json()?.len() as u64 > SIZE_LIMIT {
            return Err(invalid(format!("its {FILE} is too large")));
        }
        Ok(())
    }

    /// The file's content.
    ///
    /// # Errors
    /// None: it has only types that JSON can express.
    pub fn to_json(&self) -> io::Result<Vec<u8>> {
        Ok(serde_json::to_vec_pretty(self)?)
    }

    /// Writes the file into the directory of a profile, and waits until it is on the disk.
    ///
    /// # Errors
    /// The disk is full or fails; the previous file is as it was.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        files::replace(&directory.join(FILE), &self.to_json()?)
    }

    /// The profile in the form of the API.
    pub fn to_api(&self, name: &ProfileName, used_by: Option<ProfileUser>) -> Profile {
        Profile {
            name: name.clone(),
            id: self.id,
            created_at: self.created_at,
            last_used_at: self.last_used_at,
            size_bytes: self.size_bytes,
            labels: self.labels.clone(),
            notes: self.notes.clone(),
            proxy: self.proxy.as_ref().map(|proxy| proxy.view().unwrap_or_else(ProxyView::direct)),
            identity: self.identity.clone(),
            browser: self.browser.clone(),
            browser_version: self.browser_version.clone(),
            recovered: self.recovered,
            used_by,
            worker: None,
            stale: None,
        }
    }
}

fn invalid(problem: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_as_it_was_written_with_credentials() {
        let directory = tempfile::tempdir().unwrap();
        let mut manifest = Manifest::new("firefox", IdentityRequest::default());
        manifest.created_at = Time("2026-01-31T12:00:00.123Z".parse().unwrap());
        manifest.proxy = Some("socks5://me:secret@a.example:1".parse().unwrap());
        manifest.write(directory.path()).unwrap();
        assert_eq!(Manifest::read(directory.path()).unwrap(), manifest);
        let shown = manifest.to_api(&ProfileName::parse("a").unwrap(), None);
        assert!(!serde_json::to_string(&shown).unwrap().contains("secret"));
        let proxy_of = |proxy| Manifest { proxy, ..manifest.clone() }.to_api(&shown.name, None).proxy;
        assert_eq!(proxy_of(None), None);
        assert_eq!(proxy_of(Some(ProxyChoice::Direct)).unwrap().to_string(), "direct");
    }

    #[test]
    fn a_damaged_or_later_file_is_refused_with_the_reason() {
        for (content, problem) in [
            ("", "damaged"),
            ("{}", "damaged"),
            (r#"{"version": 1}"#, "damaged"),
            (r#"{"version": 2, "new": "form"}"#, "a later camofleet made it (format 2)"),
        ] {
            let error = Manifest::parse(content.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(problem), "{content}: {error}");
        }
    }
}
