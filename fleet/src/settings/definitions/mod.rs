//! Every setting there is, once: parsing, `camofleet config`, `.env.example`, `config/default.toml` and the
//! README's tables are all made from [`SETTINGS`].

mod edges;
mod runner;

use std::sync::LazyLock;

use super::kinds::Kind;

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

/// The tables of a TOML file whose settings have a prefix.
static PREFIXED: [Section; 3] = [
    Section { table: "runner", prefix: "RUNNER_", title: "Runner: browsers, displays and prewarm pools" },
    Section { table: "worker", prefix: "WORKER_", title: "Worker" },
    Section { table: "control", prefix: "CONTROL_", title: "Control: the REST API and the panel" },
];

/// The one screen of `RUNNER_VNC_LEGACY`, whose settings have the names that the programs behind it gave them.
static LEGACY: Section = Section {
    table: "legacy_vnc",
    prefix: "",
    title: "Legacy VNC: the one shared screen of RUNNER_VNC_LEGACY",
};
const LEGACY_NAMES: [&str; 5] = ["DISPLAY", "VNC_RES", "VNC_PORT", "WS_PORT", "VNC_PASSWORD"];

/// The table of every other name without a prefix.
static GATEWAY: Section = Section { table: "gateway", prefix: "", title: "Gateway: VNC tunnels" };

impl Setting {
    /// The section this setting belongs to.
    pub fn section(&self) -> &'static Section {
        let rest = if LEGACY_NAMES.contains(&self.name) { &LEGACY } else { &GATEWAY };
        PREFIXED.iter().find(|section| self.name.starts_with(section.prefix)).unwrap_or(rest)
    }

    /// Where a TOML file has it: `RUNNER_SESSION_DEFAULTS__HEADLESS` is `runner.session_defaults.headless`.
    pub fn toml_key(&self) -> String {
        let section = self.section();
        let rest = self.name.strip_prefix(section.prefix).unwrap_or(self.name);
        format!("{}.{}", section.table, rest.to_ascii_lowercase().replace("__", "."))
    }

    /// What it does and, where that doesn't go without saying, what it may be.
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
        matches!(self.kind, Kind::Token | Kind::VncPassword)
    }
}

/// Finds a setting by its environment name.
pub fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// All settings, in the order in which documents show them.
pub static SETTINGS: LazyLock<Vec<Setting>> =
    LazyLock::new(|| [runner::SETTINGS, edges::SETTINGS].into_iter().flatten().copied().collect());

pub(super) const fn setting(
    name: &'static str,
    default: &'static str,
    kind: Kind,
    help: &'static str,
) -> Setting {
    Setting { name, default: Some(default), kind, help }
}

pub(super) const fn optional(name: &'static str, kind: Kind, help: &'static str) -> Setting {
    Setting { name, default: None, kind, help }
}

pub(super) const IDLE_TTL_SECONDS: Kind = Kind::WholeSeconds { min: 30, max: 3600 };
pub(super) const WRITE_TIMEOUT: Kind = Kind::Seconds { min: 1.0, max: 3600.0 };
pub(super) const DISPLAY_NUMBER: Kind = Kind::Integer { min: 1, max: 59_535 };
pub(super) const TCP_PORT: Kind = Kind::Integer { min: 1, max: 65535 };
pub(super) const LISTEN_PORT: Kind = Kind::Integer { min: 0, max: 65535 };
pub(super) const NO_ORIGIN: &str = "[]";
/// From a tenth of a second to an hour.
pub(super) const PATIENCE: Kind = Kind::Seconds { min: 0.1, max: 3600.0 };

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::settings::kinds::Value;

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
            let parsed: Option<Option<Value>> = setting.default.map(|text| setting.kind.parse(text));
            assert_ne!(parsed, Some(None), "{}", setting.name);
        }
    }

    #[test]
    fn every_help_is_a_sentence() {
        for setting in SETTINGS.iter() {
            assert!(setting.help.ends_with('.') && !setting.help.contains('|'), "{}", setting.name);
        }
    }
}
