//! Profiles: identities with a name and stored user data.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Time;
use crate::identity::Identity;
use crate::lenient::default_if_unknown;
use crate::proxy::ProxyView;

/// The longest name of a profile, in characters.
const NAME_LIMIT: usize = 64;

/// The name that a route has instead of a profile's.
const RESERVED: &str = "import";

/// The name of a profile: unique in its store, and safe as the name of a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", examples("anna"))]
pub struct ProfileName(String);

impl ProfileName {
    /// What a name has to be, for the texts of errors.
    pub const FORM: &str = "must be 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or a digit, and not 'import'";

    /// Reads a name; `None` unless it has the form that [`Self::FORM`] describes.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let valid = text.len() <= NAME_LIMIT
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.bytes().all(plain)
            && text != RESERVED;
        valid.then(|| Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ProfileName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ProfileName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format!("a profile's name {}", Self::FORM)))
    }
}

/// What a session does with the user data of its profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProfileMode {
    /// It changes them. One session at a time can.
    #[default]
    Write,
    /// It starts with a copy of them, which is deleted at its end. Any number of sessions can.
    Copy,
}

impl ProfileMode {
    /// All values.
    pub const ALL: &[Self] = &[Self::Write, Self::Copy];
}

/// A profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Profile {
    /// Its name.
    pub name: ProfileName,
    /// Its id, which stays when it is exported and imported.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub id: Uuid,
    /// When it was made.
    pub created_at: Time,
    /// When a session last used it; null if none has.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub last_used_at: Option<Time>,
    /// How much its user data take up on the disk, without the browser's caches, when it was last closed; in bytes.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub size_bytes: u64,
    /// Names and values of the caller's choice.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub labels: BTreeMap<String, String>,
    /// A text of the caller's choice.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub notes: String,
    /// The proxy of its sessions whose request names none, with `direct` as its `server` for direct connections; null for the
    /// worker's default.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub proxy: Option<ProxyView>,
    /// What pages learn of its user and machine; null until its first session, if its request said `auto`.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub identity: Option<Identity>,
    /// The browser engine that its user data belong to: `camoufox` or `firefox`.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub browser: String,
    /// The version of the browser that last used it; null if none has. An earlier one can't.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub browser_version: Option<String>,
    /// Whether its last session did not end in order, so that what its browser had stored in its last seconds may be missing.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub recovered: bool,
    /// The session that writes it; null if none does.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub used_by: Option<ProfileUser>,
    /// The name of its worker; only in responses of a control. With shared storage it is one of those that have it.
    #[serde(default, deserialize_with = "default_if_unknown", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub worker: Option<String>,
    /// Whether this is the profile as last seen, because its worker does not answer; only in responses of a control or a
    /// worker.
    #[serde(default, deserialize_with = "default_if_unknown", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub stale: Option<bool>,
}

/// The session that writes a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProfileUser {
    /// The session's id.
    pub session: Uuid,
    /// The name of its worker, as that worker calls itself.
    pub worker: String,
    /// Since when.
    pub since: Time,
}

/// Whether a copy of a profile is the same person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CloneIdentity {
    /// It has the same identity, and the user data.
    #[default]
    Same,
    /// It is made by the same request, as somebody else: another machine where the engine draws one, and no user data.
    New,
}

impl CloneIdentity {
    /// All values.
    pub const ALL: &[Self] = &[Self::Same, Self::New];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_safe_as_the_name_of_a_directory() {
        for good in ["a", "Anna-2.b_c", "0", &"x".repeat(64)] {
            assert_eq!(ProfileName::parse(good).unwrap().as_str(), good);
        }
        for bad in
            ["import", "", ".", "..", ".hidden", "-a", "_a", "a/b", "a b", "a\0", "ж", "a\n", &"x".repeat(65)]
        {
            assert_eq!(ProfileName::parse(bad), None, "{bad:?}");
        }
    }
}
