//! Documents made from the definitions: the pages of all settings in `docs`, which explain each, and `.env.example` and
//! `config/default.toml`, which list them.
//!
//! The tests fail when a document differs from what the definitions say. `make settings-docs` (the same tests with
//! `UPDATE_SETTINGS_DOCS=1`) writes them.

mod pages;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::definitions::{SETTINGS, Section, Setting};
use super::kinds::Kind;

const MORE: &str = "\
# What each does, and what it may be: docs/configuration.md, or `camofleet config --explain`.
# Later wins: built-in defaults, config/default.toml, the file of --config, .env, the environment, the command line.
# `camofleet config` prints what is in force, and where it is set.
";

/// The sections, each with its settings.
fn by_section() -> impl Iterator<Item = (&'static Section, &'static [Setting])> {
    let same = |one: &Setting, other: &Setting| one.section().table == other.section().table;
    SETTINGS.chunk_by(same).map(|settings| (settings[0].section(), settings))
}

fn env_example() -> String {
    let mut text = format!(
        "# Settings of camofleet: copy this file to .env and uncomment what you change. Each line shows its default.\n{MORE}"
    );
    for (section, settings) in by_section() {
        let _ = write!(text, "\n# ==== {} ====\n\n", section.title);
        for setting in settings {
            let _ = writeln!(text, "#{}={}", setting.name, setting.default.unwrap_or_default());
        }
    }
    text
}

fn default_toml() -> String {
    let mut text =
        format!("# Settings of camofleet: uncomment what you change. Each line shows its default.\n{MORE}");
    for (section, settings) in by_section() {
        let _ = write!(text, "\n# ==== {} ====\n\n[{}]\n", section.title, section.table);
        for setting in settings {
            let key = setting.toml_key();
            let key = key.strip_prefix(&format!("{}.", section.table)).unwrap();
            let _ = writeln!(text, "#{key} = {}", toml_literal(setting));
        }
    }
    text
}

fn toml_literal(setting: &Setting) -> String {
    let default = setting.default.unwrap_or_default();
    match setting.kind {
        _ if setting.default.is_none() => "\"\"".to_owned(),
        Kind::Integer { .. }
        | Kind::WholeSeconds { .. }
        | Kind::Seconds { .. }
        | Kind::Milliseconds { .. } => default.to_owned(),
        Kind::Switch | Kind::Origins => default.to_owned(),
        _ => format!("{default:?}"),
    }
}

fn in_checkout(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn assert_current(name: &str, actual: &str, expected: &str) {
    if actual == expected {
        return;
    }
    if std::env::var_os("UPDATE_SETTINGS_DOCS").is_some() {
        fs::write(in_checkout(name), expected).unwrap();
        return;
    }
    let line = actual.lines().zip(expected.lines()).take_while(|(is, should)| is == should).count() + 1;
    panic!("{name} is not what the definitions say, from line {line} on; run `make settings-docs`");
}

#[test]
fn the_env_example_is_what_the_definitions_say() {
    let name = ".env.example";
    assert_current(name, &fs::read_to_string(in_checkout(name)).unwrap_or_default(), &env_example());
}

#[test]
fn the_default_toml_is_what_the_definitions_say() {
    let name = "config/default.toml";
    assert_current(name, &fs::read_to_string(in_checkout(name)).unwrap_or_default(), &default_toml());
}

/// A generated file with every setting in it put in force.
fn uncommented(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn the_example_files_uncommented_change_nothing() {
    use super::tests::Host;

    let defaults = Host::new().load().unwrap();
    for (name, text) in [(".env", env_example()), ("config/default.toml", default_toml())] {
        let host = Host::new().file(name, &uncommented(&text));
        let loaded = host.load().unwrap();
        assert_eq!(loaded.settings, defaults.settings, "{name}");
        assert_eq!(loaded.warnings, Vec::<String>::new(), "{name}");
        assert!(loaded.in_force.iter().all(|value| value.source == name), "{name}");
    }
}
