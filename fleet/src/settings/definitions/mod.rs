//! Every setting there is, once: its name, default, kind, help and Rust type stand in one place, from which the structs
//! that the roles read, `camofleet config`, `.env.example`, `config/default.toml` and the tables of the documents are made.

mod control;
mod gateway;
mod runner;
mod worker;

use std::ops::RangeInclusive;
use std::sync::LazyLock;

pub use control::{ControlSettings, DEFAULT_WORKERS};
pub use gateway::{GatewaySettings, LegacyVncSettings};
pub use runner::{LegacyVncPageSettings, RunnerSettings};
pub use worker::WorkerSettings;

use super::error::SettingsError;
use super::kinds::{Kind, Parser};
use super::sources::Texts;

/// One setting: its name in the environment, what it may be, and what it does.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The environment's name for it, which also decides its place in a TOML file.
    pub name: &'static str,
    /// The default as one would write it in the environment; `None` where the setting is optional.
    pub default: Option<&'static str>,
    /// What a value has to look like.
    pub kind: Kind,
    /// What the setting does, in one sentence or two.
    pub help: &'static str,
    /// The group that it belongs to.
    section: &'static Section,
}

/// A group of settings that share a table in a TOML file.
#[derive(Debug)]
pub struct Section {
    /// The table's name.
    pub table: &'static str,
    /// The prefix of its settings' environment names; the gateway's have none.
    pub prefix: &'static str,
    /// A heading for generated documents.
    pub title: &'static str,
}

impl Setting {
    /// The section this setting belongs to.
    pub fn section(&self) -> &'static Section {
        self.section
    }

    /// Where a TOML file has it: `RUNNER_SESSION_DEFAULTS__HEADLESS` is `runner.session_defaults.headless`.
    pub fn toml_key(&self) -> String {
        let rest = self.name.strip_prefix(self.section.prefix).unwrap_or(self.name);
        format!("{}.{}", self.section.table, rest.to_ascii_lowercase().replace("__", "."))
    }

    /// What it does and, where that is not obvious, what it may be.
    pub fn explanation(&self) -> String {
        match self.kind {
            Kind::Switch | Kind::Path | Kind::Program => self.help.to_owned(),
            _ => {
                let allowed = self.kind.allowed();
                let (first, rest) = allowed.split_at(allowed.chars().next().map_or(0, char::len_utf8));
                format!("{} {}{rest}.", self.help, first.to_uppercase())
            }
        }
    }

    /// Whether its value must not be printed.
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Token | Kind::VncPassword | Kind::Proxy | Kind::Proxies | Kind::Pools)
    }

    /// Whether a value of it has URLs that may hold a key, so that it must not be printed.
    pub fn has_key(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Urls) && text.contains(['@', '?'])
    }
}

/// Finds a setting by its environment name.
pub fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// All settings, in the order in which documents show them.
pub static SETTINGS: LazyLock<Vec<Setting>> = LazyLock::new(|| {
    [
        RunnerSettings::definitions(),
        LegacyVncPageSettings::definitions(),
        WorkerSettings::definitions(),
        ControlSettings::definitions(),
        GatewaySettings::definitions(),
        LegacyVncSettings::definitions(),
    ]
    .concat()
});

/// What a field of a struct of settings is read from.
trait Definition {
    /// The type of the field.
    type Value;

    /// The setting, or the two of a range.
    fn settings(&self, help: &'static str, section: &'static Section) -> Vec<Setting>;

    /// Reads the field from the texts in force.
    fn read(&self, texts: &Texts, section: &'static Section) -> Result<Self::Value, SettingsError>;
}

/// A setting that always has a value.
struct Required<T: 'static> {
    name: &'static str,
    default: &'static str,
    parser: Parser<T>,
}

/// A setting that may be unset, and what its field is then.
struct Optional<T: 'static, V> {
    name: &'static str,
    parser: Parser<T>,
    field: fn(Option<T>) -> V,
}

/// Two settings that are the ends of a range.
struct Range {
    first: Required<u16>,
    last: Required<u16>,
    helps: [&'static str; 2],
}

/// A setting that always has a value.
const fn required<T>(name: &'static str, default: &'static str, parser: Parser<T>) -> Required<T> {
    Required { name, default, parser }
}

/// A setting that may be unset.
const fn optional<T>(name: &'static str, parser: Parser<T>) -> Optional<T, Option<T>> {
    Optional { name, parser, field: |value| value }
}

/// A list or map that is empty where it is unset.
const fn or_empty<T: Default>(name: &'static str, parser: Parser<T>) -> Optional<T, T> {
    Optional { name, parser, field: Option::unwrap_or_default }
}

/// Two settings, each with its name, default and help, that are the ends of a range.
const fn range(
    (first, first_default, first_help): (&'static str, &'static str, &'static str),
    (last, last_default, last_help): (&'static str, &'static str, &'static str),
    parser: Parser<u16>,
) -> Range {
    let (first, last) = (required(first, first_default, parser), required(last, last_default, parser));
    Range { first, last, helps: [first_help, last_help] }
}

impl<T> Required<T> {
    fn setting(&self, help: &'static str, section: &'static Section) -> Setting {
        Setting { name: self.name, default: Some(self.default), kind: self.parser.kind, help, section }
    }
}

impl<T> Definition for Required<T> {
    type Value = T;

    fn settings(&self, help: &'static str, section: &'static Section) -> Vec<Setting> {
        vec![self.setting(help, section)]
    }

    fn read(&self, texts: &Texts, section: &'static Section) -> Result<T, SettingsError> {
        let given = texts.in_force(self.setting("", section));
        self.parser.read(&given, given.text.as_deref().unwrap_or(self.default), texts)
    }
}

impl<T, V> Optional<T, V> {
    fn setting(&self, help: &'static str, section: &'static Section) -> Setting {
        Setting { name: self.name, default: None, kind: self.parser.kind, help, section }
    }
}

impl<T, V> Definition for Optional<T, V> {
    type Value = V;

    fn settings(&self, help: &'static str, section: &'static Section) -> Vec<Setting> {
        vec![self.setting(help, section)]
    }

    fn read(&self, texts: &Texts, section: &'static Section) -> Result<V, SettingsError> {
        let given = texts.in_force(self.setting("", section));
        let value = given.text.as_deref().map(|text| self.parser.read(&given, text, texts)).transpose()?;
        Ok((self.field)(value))
    }
}

impl Definition for Range {
    type Value = RangeInclusive<u16>;

    fn settings(&self, _: &'static str, section: &'static Section) -> Vec<Setting> {
        let [first, last] = self.helps;
        vec![self.first.setting(first, section), self.last.setting(last, section)]
    }

    fn read(&self, texts: &Texts, section: &'static Section) -> Result<Self::Value, SettingsError> {
        let (min, max) = (self.first.read(texts, section)?, self.last.read(texts, section)?);
        if min <= max {
            return Ok(min..=max);
        }
        let source = |end: &Required<u16>| texts.in_force(end.setting("", section)).source;
        Err(SettingsError::EmptyRange {
            min_name: self.first.name,
            min,
            min_source: source(&self.first),
            max_name: self.last.name,
            max,
            max_source: source(&self.last),
        })
    }
}

/// The settings that a definition makes of the field with this type.
fn settings_of<V>(
    definition: impl Definition<Value = V>,
    help: &'static str,
    section: &'static Section,
) -> Vec<Setting> {
    definition.settings(help, section)
}

/// Defines a struct of settings: each field with its help, its type, and the setting that it is read from. The help may
/// have several lines. That of a range is for readers of the code only: its two settings have their own.
macro_rules! settings {
    (
        $(#[$about:meta])*
        pub struct $name:ident in $section:ident {
            $($(#[doc = $help:literal])+ $field:ident: $type:ty = $definition:expr,)+
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[doc = $help])+ pub $field: $type,)+
        }

        impl $name {
            /// The definitions, in the order of the fields.
            pub(super) fn definitions() -> Vec<Setting> {
                [$(settings_of::<$type>($definition, concat!($($help),+).trim_start(), &$section)),+].concat()
            }

            /// Reads every field from the texts in force.
            ///
            /// # Errors
            /// A text that its setting does not allow.
            pub fn read(texts: &Texts) -> Result<Self, SettingsError> {
                Ok(Self { $($field: $definition.read(texts, &$section)?,)+ })
            }
        }
    };
}
use settings;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::settings::tests::Host;

    #[test]
    fn names_decide_where_a_toml_file_has_a_setting() {
        for (name, key) in [
            ("RUNNER_PREWARM_HEADLESS", "runner.prewarm_headless"),
            ("RUNNER_SESSION_DEFAULTS__HEADLESS", "runner.session_defaults.headless"),
            ("WORKER_SESSION_DEFAULTS__HEADLESS", "worker.session_defaults.headless"),
            ("CONTROL_PORT", "control.port"),
            ("MAX_CONCURRENT_SESSIONS", "gateway.max_concurrent_sessions"),
        ] {
            assert_eq!(find(name).unwrap().toml_key(), key);
        }
    }

    #[test]
    fn every_name_and_every_key_exists_once() {
        let names: HashSet<_> = SETTINGS.iter().map(|setting| setting.name).collect();
        let keys: HashSet<_> = SETTINGS.iter().map(Setting::toml_key).collect();
        assert_eq!((names.len(), keys.len()), (SETTINGS.len(), SETTINGS.len()));
    }

    #[test]
    fn every_default_is_a_value_its_kind_allows() {
        for setting in SETTINGS.iter() {
            let Some(default) = setting.default else { continue };
            // The shared screen's settings are read only where it is wanted.
            let host = Host::new().env("RUNNER_VNC_LEGACY", "1").env(setting.name, default);
            assert!(host.load().is_ok(), "{}", setting.name);
        }
    }

    #[test]
    fn every_help_is_a_sentence() {
        for setting in SETTINGS.iter() {
            assert!(setting.help.ends_with('.') && !setting.help.contains('|'), "{}", setting.name);
        }
    }
}
