//! camofleet: a self-hosted fleet of anti-detect browsers.
//!
//! This crate reads the settings and wires the parts: `camofleet-actors` does the work, `camofleet-web` serves it over HTTP.
//! It has no handlers of its own.

mod cli;
mod machine;
mod memory;
mod probe;
mod roles;
mod session_log;
mod settings;
mod setup;

use std::io::Write;
use std::process::ExitCode;

use cli::{Command, Invocation};
use settings::{EXIT_BAD_SETTINGS, Loaded, Overrides};

/// Something the machine lacks (sysexits' `EX_UNAVAILABLE`): a browser, Node, a free port.
const EXIT_UNAVAILABLE: u8 = 69;
/// The fleet gave up (sysexits' `EX_SOFTWARE`): it has to be started again.
const EXIT_FAILED: u8 = 70;

fn main() -> ExitCode {
    let Invocation { command, overrides, log } = match cli::parse(std::env::args_os()) {
        Ok(invocation) => invocation,
        Err(status) => return status,
    };
    match command {
        // It needs no settings: a bad one must not fail a health check.
        Command::Probe(probe) => probe::run(&probe),
        Command::Config { explain } => with_settings(&overrides, log, |loaded| {
            // A reader may close the pipe early (`| head`).
            let _ = std::io::stdout().write_all(loaded.report(explain).as_bytes());
            ExitCode::SUCCESS
        }),
        Command::SetupCamoufox { parts } => {
            with_settings(&overrides, log, |loaded| match setup::camoufox(&loaded.settings.runner, &parts) {
                Ok(()) => ExitCode::SUCCESS,
                Err(text) => complain(&text, EXIT_UNAVAILABLE),
            })
        }
        Command::Run(role) => {
            with_settings(&overrides, log, |loaded| match roles::run(role, loaded.settings) {
                Ok(()) => ExitCode::SUCCESS,
                Err(roles::Failure::Unavailable(text)) => complain(&text, EXIT_UNAVAILABLE),
                Err(roles::Failure::GaveUp(text)) => complain(&text, EXIT_FAILED),
            })
        }
    }
}

/// Reads the settings, starts the log, and continues.
fn with_settings(
    overrides: &Overrides,
    log: Option<log::LevelFilter>,
    then: impl FnOnce(Loaded) -> ExitCode,
) -> ExitCode {
    let loaded = match settings::load_for_process(overrides) {
        Ok(loaded) => loaded,
        Err(error) => return complain(&error.to_string(), EXIT_BAD_SETTINGS),
    };
    start_logging(log);
    for warning in &loaded.warnings {
        log::warn!("{warning}");
    }
    then(loaded)
}

/// Prints one line to standard error, whatever the log level.
fn complain(text: &str, status: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "camofleet: {text}");
    ExitCode::from(status)
}

/// `RUST_LOG` can be more precise than the option; the default is `info`.
fn start_logging(level: Option<log::LevelFilter>) {
    let default = level.unwrap_or(log::LevelFilter::Info);
    let mut builder = env_logger::Builder::new();
    builder.filter_level(default);
    let chatty = camofleet_web::CHATTY_LIBRARIES.into_iter();
    for (library, level) in chatty.chain(camofleet_actors::net::kubernetes::CHATTY_LIBRARIES) {
        builder.filter_module(library, default.min(level));
    }
    builder.parse_default_env().format_timestamp_millis().init();
}
