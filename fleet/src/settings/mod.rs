//! Settings: texts of several layers, merged, and read into types.
//!
//! [`definitions`] lists every setting once, with its Rust type. [`sources`] reads the layers — built-in defaults,
//! `config/default.toml`, the file of `--config`, `.env`, the environment, the command line — and lays the later
//! over the earlier, as texts that keep their source. [`kinds`] reads a text into its type: the one of the actors or of
//! the web surface that works with it, where they have one.

mod definitions;
#[cfg(test)]
mod documents;
mod egress;
mod env_file;
mod error;
mod kinds;
mod pools;
mod report;
mod sources;
#[cfg(test)]
pub(crate) mod tests;
pub mod topology;
pub mod types;

use std::time::Duration;

use definitions::DEFAULT_WORKERS;
pub use definitions::{
    ControlSettings, GatewaySettings, LegacyVncPageSettings, LegacyVncSettings, RunnerSettings,
    WorkerSettings,
};
pub use error::{EXIT_BAD_SETTINGS, SettingsError};
pub use pools::PoolDefinition;
pub use sources::{Assignment, InForce, Overrides, Surroundings};

/// All settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// What runs the browsers.
    pub runner: RunnerSettings,
    /// What stands between a control and one runner.
    pub worker: WorkerSettings,
    /// What places sessions on workers.
    pub control: ControlSettings,
    /// What carries VNC traffic.
    pub gateway: GatewaySettings,
    /// The one shared screen, where that is wanted.
    pub legacy_vnc: Option<LegacyVnc>,
}

/// The one shared screen of `RUNNER_VNC_LEGACY`.
#[derive(Debug, Clone, PartialEq)]
pub struct LegacyVnc {
    /// The display and its VNC server.
    pub screen: LegacyVncSettings,
    /// The page that shows it.
    pub page: LegacyVncPageSettings,
}

impl Settings {
    /// The idle TTL of a session whose request names none: the worker's setting, else the runner's.
    pub fn default_idle_ttl(&self) -> Duration {
        self.worker.default_idle_ttl.unwrap_or(self.runner.default_idle_ttl)
    }

    /// How long this host's sessions may take to end at shutdown, those with profiles included.
    pub fn shutdown_time(&self) -> Duration {
        self.runner.shutdown_timeout + self.runner.profile_close_patience
    }

    /// Whether a session is headless whose request does not say, likewise.
    pub fn default_headless(&self) -> bool {
        self.worker.default_headless.unwrap_or(self.runner.default_headless)
    }
}

/// Settings that passed every check.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// The text of each of them, and its source.
    pub in_force: Vec<InForce>,
    /// Lines for the log, about what does not stop the start.
    pub warnings: Vec<String>,
}

impl Loaded {
    /// Every setting in force with its source, one a line; with `explain` its meaning is above each.
    pub fn report(&self, explain: bool) -> String {
        report::report(&self.in_force, explain)
    }
}

/// Reads, merges and checks the settings.
pub fn load(surroundings: &Surroundings, overrides: &Overrides) -> Result<Loaded, SettingsError> {
    let (texts, warnings) = sources::merge(surroundings, overrides)?;
    let runner = RunnerSettings::read(&texts)?;
    let mut control = ControlSettings::read(&texts)?;
    let default_workers = topology::workers(DEFAULT_WORKERS);
    if !control.discovery.is_empty() && default_workers.as_ref() == Ok(&control.workers) {
        // Where workers are discovered, the default worker is not wanted.
        control.workers.clear();
    }
    let legacy_vnc = if runner.vnc_legacy {
        Some(LegacyVnc {
            screen: LegacyVncSettings::read(&texts)?,
            page: LegacyVncPageSettings::read(&texts)?,
        })
    } else {
        None
    };
    let settings = Settings {
        legacy_vnc,
        worker: WorkerSettings::read(&texts)?,
        gateway: GatewaySettings::read(&texts)?,
        control,
        runner,
    };
    Ok(Loaded { settings, in_force: texts.all(), warnings })
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
        environment: std::env::vars_os().collect(),
    };
    load(&surroundings, overrides)
}
