//! What can be wrong with settings, each in one line.

use std::path::PathBuf;

use strsim::osa_distance;
use thiserror::Error;

/// The exit status of a start with bad settings or a bad command line (`EX_USAGE` of sysexits).
pub const EXIT_BAD_SETTINGS: u8 = 64;

/// Why the settings can't be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// A value that its setting doesn't allow.
    #[error("{name}: {given} (from {source_name}) is not {allowed}{}", reason(.cause))]
    Value {
        /// The setting.
        name: &'static str,
        /// The value in quotes, or a replacement for a secret.
        given: String,
        /// The source of the value.
        source_name: String,
        /// What would be right.
        allowed: String,
        /// What is wrong, where that says more.
        cause: Option<String>,
    },
    /// A range that ends before it begins.
    #[error("{min_name}: {min} (from {min_source}) is above {max_name}, which is {max} (from {max_source})")]
    EmptyRange {
        /// The setting of the lower bound.
        min_name: &'static str,
        /// The lower bound.
        min: u16,
        /// The source of the lower bound.
        min_source: String,
        /// The setting of the upper bound.
        max_name: &'static str,
        /// The upper bound.
        max: u16,
        /// The source of the upper bound.
        max_source: String,
    },
    /// A name that no setting has.
    #[error("{name} (from {source_name}) is not a setting{}", suggestion(.nearest))]
    Unknown {
        /// The name as given.
        name: String,
        /// Its source.
        source_name: String,
        /// The most similar name there is.
        nearest: Option<String>,
    },
    /// A file that can't be read.
    #[error("cannot read {}: {reason}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        reason: String,
    },
    /// A file that isn't TOML, or a line of `.env` that isn't an assignment.
    #[error("{}: {reason}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
}

/// A cause may quote what it found: on one line, and not at length.
fn reason(cause: &Option<String>) -> String {
    const LONGEST: usize = 200;
    let Some(cause) = cause else { return String::new() };
    let line = cause.replace(char::is_control, " ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!(": {}…", &line[..end]),
        None => format!(": {line}"),
    }
}

fn suggestion(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

/// The candidate most similar to `name`, if one is similar enough.
pub fn nearest(name: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    within(name, candidates, 2.max(name.chars().count() / 3))
}

/// The candidate most similar to `name` of those that are at most so many edits away: characters that are added, removed,
/// replaced or swapped.
pub fn within(name: &str, candidates: impl Iterator<Item = String>, edits: usize) -> Option<String> {
    candidates
        .map(|candidate| (osa_distance(name, &candidate), candidate))
        .filter(|(distance, _)| *distance <= edits)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_with_the_fewest_edits() {
        let names = || {
            ["runner.prewarm_vnc", "runner.prewarm_headless", "control.port"].map(str::to_owned).into_iter()
        };
        for (given, expected) in [
            ("runner.prewarm_headles", Some("runner.prewarm_headless")),
            ("runer.prewarm_vnc", Some("runner.prewarm_vnc")),
            ("control.prot", Some("control.port")),
            ("telemetry", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, names()).as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn edits_are_additions_removals_and_replacements() {
        for (from, to, distance) in [
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("same", "same", 0),
            ("prot", "port", 1),
        ] {
            assert_eq!(osa_distance(from, to), distance, "{from} to {to}");
        }
    }
}
