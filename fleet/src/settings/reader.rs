//! Reads single settings as the types that their kinds promise.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::error::SettingsError;
use super::kinds::Value;
use super::sources::InForce;
use super::topology::{self, DiscoveryEntry, VncMap, WorkerEntry};
use super::types::{Choice, CorsOrigins, Resolution, Secret};

/// Reads settings by name, and says where a bad one stands.
pub struct Reader<'a> {
    /// Every setting with its text.
    pub values: &'a [InForce],
    /// Where relative paths start from.
    pub working_directory: &'a Path,
}

impl Reader<'_> {
    fn in_force(&self, name: &'static str) -> Result<&InForce, SettingsError> {
        let known = self.values.iter().find(|in_force| in_force.setting.name == name);
        known.ok_or(SettingsError::Definition { name })
    }

    /// A setting that may be unset, as the type that `convert` makes of it.
    pub fn optional<T>(
        &self,
        name: &'static str,
        convert: impl FnOnce(Value) -> Option<T>,
    ) -> Result<Option<T>, SettingsError> {
        let in_force = self.in_force(name)?;
        let Some(text) = &in_force.text else { return Ok(None) };
        let setting = in_force.setting;
        let value = setting.kind.parse(text).ok_or_else(|| SettingsError::Value {
            name,
            given: if setting.is_secret() || topology::has_token(text) {
                "the value".to_owned()
            } else {
                excerpt(text)
            },
            source_name: in_force.source.clone(),
            allowed: setting.kind.allowed(),
        })?;
        convert(value).map(Some).ok_or(SettingsError::Definition { name })
    }

    pub fn required<T>(
        &self,
        name: &'static str,
        convert: impl FnOnce(Value) -> Option<T>,
    ) -> Result<T, SettingsError> {
        self.optional(name, convert)?.ok_or(SettingsError::Definition { name })
    }

    /// Whether a setting says what it says anyway.
    pub fn is_default(&self, name: &'static str) -> Result<bool, SettingsError> {
        let in_force = self.in_force(name)?;
        Ok(in_force.text.as_deref() == in_force.setting.default)
    }

    pub fn optional_path(&self, name: &'static str) -> Result<Option<PathBuf>, SettingsError> {
        Ok(self.optional(name, path)?.map(|path| self.working_directory.join(path)))
    }

    /// A path; a bare name stays one, for it is looked up on PATH.
    pub fn program(&self, name: &'static str) -> Result<PathBuf, SettingsError> {
        let path = self.required(name, path)?;
        let is_bare_name = path.components().count() == 1 && path.file_name() == Some(path.as_os_str());
        Ok(if is_bare_name { path } else { self.working_directory.join(path) })
    }

    pub fn range(
        &self,
        min_name: &'static str,
        max_name: &'static str,
    ) -> Result<RangeInclusive<u16>, SettingsError> {
        let (min, max) = (self.required(min_name, integer)?, self.required(max_name, integer)?);
        if min <= max {
            return Ok(min..=max);
        }
        let (min_source, max_source) =
            (self.in_force(min_name)?.source.clone(), self.in_force(max_name)?.source.clone());
        Err(SettingsError::EmptyRange { min_name, min, min_source, max_name, max, max_source })
    }
}

/// A value in quotes, on one line and not too long for one.
fn excerpt(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

pub fn integer<T: TryFrom<u64>>(value: Value) -> Option<T> {
    match value {
        Value::Integer(number) => T::try_from(number).ok(),
        _ => None,
    }
}

pub fn count(value: Value) -> Option<NonZeroUsize> {
    integer(value).and_then(NonZeroUsize::new)
}

pub fn choice<T: Choice>(value: Value) -> Option<T> {
    match value {
        Value::Word(word) => T::from_word(word),
        _ => None,
    }
}

macro_rules! conversions {
    ($($name:ident: $variant:ident -> $type:ty;)+) => {
        $(/// The value of a setting of this kind.
        pub fn $name(value: Value) -> Option<$type> {
            match value {
                Value::$variant(inner) => Some(inner),
                _ => None,
            }
        })+
    };
}

conversions! {
    span: Span -> Duration;
    switch: Switch -> bool;
    text: Text -> String;
    secret: Secret -> Secret;
    path: Path -> PathBuf;
    origins: Origins -> CorsOrigins;
    texts: Texts -> Vec<String>;
    resolution: Resolution -> Resolution;
    workers: Workers -> Vec<WorkerEntry>;
    discovery: Discovery -> Vec<DiscoveryEntry>;
    url: Url -> Url;
    urls: Urls -> Vec<Url>;
    variables: Variables -> Vec<String>;
    id_range: IdRange -> RangeInclusive<u16>;
    vnc_map: VncMap -> VncMap;
    address: Address -> IpAddr;
}
