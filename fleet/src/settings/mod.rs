//! Settings: raw → merged → validated.
//!
//! [`definitions`] lists every setting once. [`sources`] reads the layers — built-in defaults,
//! `config/default.toml`, the file of `--config`, `.env`, the environment, the command line — and lays the later
//! over the earlier, as texts that know where they stand. [`validation`] turns the texts into the types of
//! [`validated`], and is the last place where a setting is a text.

mod definitions;
#[cfg(test)]
mod documents;
mod env_file;
mod error;
mod kinds;
mod reader;
mod report;
mod sources;
#[cfg(test)]
mod tests;
pub mod topology;
pub mod types;
pub mod validated;
mod validation;

pub use error::{EXIT_BAD_SETTINGS, SettingsError};
pub use sources::{Assignment, InForce, Overrides, Surroundings};
use validated::Settings;

/// Settings that passed every check.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// The text behind each of them, and where it stands.
    pub in_force: Vec<InForce>,
    /// What deserves a line in the log, but doesn't stop the start.
    pub warnings: Vec<String>,
}

impl Loaded {
    /// Every setting in force with its source, one a line; `explain` puts its meaning above each.
    pub fn report(&self, explain: bool) -> String {
        report::report(&self.in_force, explain)
    }
}

/// Reads, merges and checks the settings.
pub fn load(surroundings: &Surroundings<'_>, overrides: &Overrides) -> Result<Loaded, SettingsError> {
    let merged = sources::merge(surroundings, overrides)?;
    let settings = validation::validate(&merged.values, &surroundings.working_directory)?;
    Ok(Loaded { settings, in_force: merged.values, warnings: merged.warnings })
}

/// Reads, merges and checks the settings of this process.
pub fn load_for_process(overrides: &Overrides) -> Result<Loaded, SettingsError> {
    let working_directory = std::env::current_dir().map_err(|error| SettingsError::Unreadable {
        path: "the working directory".into(),
        reason: error.to_string(),
    })?;
    let surroundings = Surroundings {
        working_directory,
        executable: std::env::current_exe().ok(),
        environment: &|name| std::env::var_os(name),
    };
    load(&surroundings, overrides)
}
