//! What can be wrong with settings, each told in one line.

use std::path::PathBuf;

use thiserror::Error;

/// The exit status of a start with bad settings or a bad command line (`EX_USAGE` of sysexits).
pub const EXIT_BAD_SETTINGS: u8 = 64;

/// Why the settings can't be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// A value that its setting doesn't allow.
    #[error("{name}: {given} (from {source_name}) is not {allowed}")]
    Value {
        /// The setting.
        name: &'static str,
        /// The value in quotes, or a stand-in for a secret.
        given: String,
        /// Where the value stands.
        source_name: String,
        /// What would be right.
        allowed: String,
    },
    /// A range that ends before it begins.
    #[error("{min_name}: {min} (from {min_source}) is above {max_name}, which is {max} (from {max_source})")]
    EmptyRange {
        /// The setting of the lower bound.
        min_name: &'static str,
        /// The lower bound.
        min: u16,
        /// Where the lower bound stands.
        min_source: String,
        /// The setting of the upper bound.
        max_name: &'static str,
        /// The upper bound.
        max: u16,
        /// Where the upper bound stands.
        max_source: String,
    },
    /// A name that no setting has.
    #[error("{name} (from {source_name}) is not a setting{}", suggestion(.nearest))]
    Unknown {
        /// The name as given.
        name: String,
        /// Where it stands.
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
    /// A setting that is read as something else than its definition says: a fault of the program.
    #[error("{name}: the setting is not defined as it is used; please report this as a bug")]
    Definition {
        /// The setting.
        name: &'static str,
    },
}

fn suggestion(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

/// The candidate most like `name`, if one is like it at all.
pub fn nearest(name: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    let tolerated = 2.max(name.chars().count() / 3);
    candidates
        .map(|candidate| (edit_distance(name, &candidate), candidate))
        .filter(|(distance, _)| *distance <= tolerated)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many characters have to be added, removed or replaced to get from one text to the other.
fn edit_distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut distances: Vec<usize> = (0..=to.len()).collect();
    for (row, from_char) in from.chars().enumerate() {
        let mut diagonal = row;
        distances[0] = row + 1;
        for (column, to_char) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(from_char != *to_char);
            diagonal = distances[column + 1];
            distances[column + 1] = replaced.min(diagonal + 1).min(distances[column] + 1);
        }
    }
    distances[to.len()]
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
        for (from, to, distance) in
            [("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("same", "same", 0)]
        {
            assert_eq!(edit_distance(from, to), distance, "{from} to {to}");
        }
    }
}
