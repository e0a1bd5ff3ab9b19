//! Installs what a browser engine needs, for the command `setup`. Only this uses the network for it.

use std::process::Command;

use crate::machine;
use crate::settings::RunnerSettings;

/// Installs what identities of Camoufox are drawn with, and the browser; see `actors/identity/install.py`.
///
/// # Errors
/// One line with what could not be installed; the lines that were printed before say why.
pub fn camoufox(runner: &RunnerSettings, parts: &[String]) -> Result<(), String> {
    let executable = std::env::current_exe().ok();
    let directory = machine::identity_directory(runner.identity_dir.as_deref(), executable.as_deref())?;
    let mut install = Command::new("python3");
    install.arg(directory.join("install.py"));
    // Where another Python is named, it is that of a virtual environment.
    if let Some(venv) = runner.identity_python.as_deref().and_then(|python| python.parent()?.parent()) {
        install.arg("--venv").arg(venv);
    }
    let status = install
        .args(parts)
        .status()
        .map_err(|error| format!("python3 can't be started: {error}; install Python 3.11 or newer"))?;
    if status.success() { Ok(()) } else { Err("Camoufox is not completely installed".to_owned()) }
}
