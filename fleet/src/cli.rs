//! The command line.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use log::LevelFilter;

use url::Url;

use crate::probe::{Probe, Question};
use crate::roles::Role;
use crate::settings::topology;
use crate::settings::{Assignment, EXIT_BAD_SETTINGS, Overrides};

/// The release, and the commit that it was built from.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("CAMOFLEET_COMMIT"), ")");

/// A self-hosted fleet of anti-detect browsers.
#[derive(Debug, Parser)]
#[command(name = "camofleet", version = VERSION)]
struct CommandLine {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Subcommands>,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Run a whole fleet in one process: API, panel, browsers and live views (the default)
    Serve(Options),
    /// Run a control plane over the workers of CONTROL_WORKERS and CONTROL_DISCOVERY, and the panel
    Control(Options),
    /// Run a worker in front of a runner, elsewhere (WORKER_RUNNER_BASE_URL) or in the same process
    Worker(Options),
    /// Run one host's browsers, for a worker
    Runner(Options),
    /// Run a gateway to a runner's live views
    Gateway(Options),
    /// Check the health of a running camofleet: exit 0 if it is healthy, else 1 with one line that says why
    Health {
        /// The URL of its API
        #[arg(long, value_name = "URL", value_parser = api_base, default_value = "http://127.0.0.1:9000")]
        url: Url,
        /// Accept any answer
        #[arg(long)]
        alive: bool,
        /// The environment variable with its access token, if it requires one
        #[arg(long, value_name = "NAME")]
        token_env: Option<String>,
    },
    /// Drain a running worker or runner: it takes no more sessions; wait until the last one has ended, and end those that are
    /// left when the time is over
    Drain {
        /// The URL of its API
        #[arg(long, value_name = "URL", value_parser = api_base, default_value = "http://127.0.0.1:8080")]
        url: Url,
        /// End the sessions that are left after this many seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
        timeout: u64,
        /// The environment variable with its access token, if it requires one
        #[arg(long, value_name = "NAME")]
        token_env: Option<String>,
    },
    /// Install Camoufox: its own library, the model that its identities are drawn from, and the build that it pairs with.
    /// Needs Python 3.11 or newer. Nothing is fetched at any other time
    Setup {
        #[command(flatten)]
        options: Options,
        /// The browser engine
        #[arg(value_parser = ["camoufox"])]
        engine: String,
        /// Install only these parts
        #[arg(value_name = "PART", value_parser = ["library", "model", "browser"])]
        parts: Vec<String>,
    },
    /// Print every setting in force, and its source
    Config {
        #[command(flatten)]
        options: Options,
        /// Print the meaning of each setting too
        #[arg(long)]
        explain: bool,
    },
}

#[derive(Debug, Args)]
struct Options {
    /// Read settings from this TOML file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set one setting, by its environment name; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    set: Vec<(String, String)>,
    /// Listen on this address (CONTROL_HOST, or the setting of the role)
    #[arg(long)]
    host: Option<String>,
    /// Listen on this port (CONTROL_PORT, or the setting of the role)
    #[arg(long)]
    port: Option<String>,
    /// Log at this level: off, error, warn, info, debug or trace; RUST_LOG can be more precise
    #[arg(long, value_name = "LEVEL", value_parser = log_level)]
    log: Option<LevelFilter>,
}

/// A parsed command line.
#[derive(Debug, PartialEq, Eq)]
pub struct Invocation {
    /// What to do.
    pub command: Command,
    /// The settings that it gives.
    pub overrides: Overrides,
    /// The log level, where it is given.
    pub log: Option<LevelFilter>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Run a role.
    Run(Role),
    /// Send a request to a running camofleet.
    Probe(Probe),
    /// Install Camoufox and what its identities are drawn with.
    SetupCamoufox {
        /// Only these parts; all if there are none.
        parts: Vec<String>,
    },
    /// Print the settings in force.
    Config {
        /// With the meaning of each.
        explain: bool,
    },
}

/// Reads a command line, the program's name included.
///
/// # Errors
/// There is nothing to run (help, version, a mistake): the text has been printed, and this is the exit status.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, ExitCode> {
    read(arguments).map_err(|error| {
        // With standard output or error closed nobody can read it.
        let _ = if error.use_stderr() {
            writeln!(std::io::stderr(), "camofleet: {}", complaint(&error))
        } else {
            error.print()
        };
        ExitCode::from(exit_status(&error))
    })
}

/// A mistake in one line that names what is allowed. clap spreads it over several.
fn complaint(error: &clap::Error) -> String {
    let text = error.render().to_string();
    // The usage and the hint at --help, which follow, would not fit in a line.
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("For more information"));
    let mistake = lines.collect::<Vec<_>>().join("; ");
    let mistake = mistake.strip_prefix("error: ").unwrap_or(&mistake);
    let command = CommandLine::command();
    let allowed = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
            format!("; the commands are {}", names.join(", "))
        }
        ErrorKind::UnknownArgument => "; 'camofleet --help' lists what is allowed".to_owned(),
        _ => String::new(),
    };
    format!("{mistake}{allowed}")
}

fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, clap::Error> {
    CommandLine::try_parse_from(arguments).map(CommandLine::into_invocation)
}

/// Help and version are not mistakes.
fn exit_status(error: &clap::Error) -> u8 {
    if error.use_stderr() { EXIT_BAD_SETTINGS } else { 0 }
}

impl CommandLine {
    /// Options may stand before and after the command; those after it take precedence.
    fn into_invocation(self) -> Invocation {
        let (command, after) = match self.command {
            None => (Command::Run(Role::Serve), None),
            Some(Subcommands::Serve(options)) => (Command::Run(Role::Serve), Some(options)),
            Some(Subcommands::Control(options)) => (Command::Run(Role::Control), Some(options)),
            Some(Subcommands::Worker(options)) => (Command::Run(Role::Worker), Some(options)),
            Some(Subcommands::Runner(options)) => (Command::Run(Role::Runner), Some(options)),
            Some(Subcommands::Gateway(options)) => (Command::Run(Role::Gateway), Some(options)),
            Some(Subcommands::Health { url, alive, token_env }) => {
                (Command::Probe(Probe { url, token_env, question: Question::Health { alive } }), None)
            }
            Some(Subcommands::Drain { url, timeout, token_env }) => {
                let question = Question::Drain { limit: Duration::from_secs(timeout) };
                (Command::Probe(Probe { url, token_env, question }), None)
            }
            Some(Subcommands::Setup { options, engine: _, parts }) => {
                (Command::SetupCamoufox { parts }, Some(options))
            }
            Some(Subcommands::Config { options, explain }) => (Command::Config { explain }, Some(options)),
        };
        let mut invocation = Invocation { command, overrides: Overrides::default(), log: None };
        for options in [Some(self.options), after].into_iter().flatten() {
            options.apply_to(&mut invocation);
        }
        invocation
    }
}

impl Options {
    fn apply_to(self, invocation: &mut Invocation) {
        let overrides = &mut invocation.overrides;
        overrides.config_file = self.config.or(overrides.config_file.take());
        invocation.log = self.log.or(invocation.log);
        let set = self.set.into_iter().map(|(name, value)| Assignment { name, value, flag: "--set" });
        let (host, port) = match invocation.command {
            Command::Run(Role::Worker) => ("WORKER_HOST", "WORKER_PORT"),
            Command::Run(Role::Runner) => ("RUNNER_HOST", "RUNNER_PORT"),
            Command::Run(Role::Gateway) => ("HTTP_HOST", "HTTP_PORT"),
            Command::Run(Role::Serve | Role::Control)
            | Command::Config { .. }
            | Command::SetupCamoufox { .. }
            | Command::Probe(_) => ("CONTROL_HOST", "CONTROL_PORT"),
        };
        let named = [(host, self.host, "--host"), (port, self.port, "--port")];
        let named = named.into_iter().filter_map(|(name, value, flag)| {
            value.map(|value| Assignment { name: name.to_owned(), value, flag })
        });
        overrides.assignments.extend(set.chain(named));
    }
}

fn api_base(text: &str) -> Result<Url, String> {
    topology::api_base(text)
        .map_err(|why| format!("{why}; an http(s) URL such as http://127.0.0.1:9000 is needed"))
}

fn log_level(text: &str) -> Result<LevelFilter, String> {
    text.parse().map_err(|_| {
        let names: Vec<String> = LevelFilter::iter().map(|level| level.as_str().to_lowercase()).collect();
        format!("it has to be one of {}", names.join(", "))
    })
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it has no =")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &str) -> Result<Invocation, clap::Error> {
        super::read(["camofleet"].into_iter().chain(arguments.split_whitespace()).map(OsString::from))
    }

    fn assigned(invocation: &Invocation) -> Vec<(&str, &str, &str)> {
        invocation
            .overrides
            .assignments
            .iter()
            .map(|assignment| (assignment.name.as_str(), assignment.value.as_str(), assignment.flag))
            .collect()
    }

    #[test]
    fn the_definition_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn no_command_is_serve() {
        for arguments in ["", "serve"] {
            let invocation = read(arguments).unwrap();
            let expected =
                Invocation { command: Command::Run(Role::Serve), overrides: Overrides::default(), log: None };
            assert_eq!(invocation, expected, "{arguments:?}");
        }
    }

    #[test]
    fn options_may_stand_before_and_after_the_command() {
        let invocation = read(
            "--config a.toml --set A=1 --port 1 --log warn serve --config b.toml --set B=x=y --host ::1 --port 2",
        )
        .unwrap();
        assert_eq!(invocation.overrides.config_file, Some("b.toml".into()));
        assert_eq!(invocation.log, Some(LevelFilter::Warn));
        assert_eq!(
            assigned(&invocation),
            [
                ("A", "1", "--set"),
                ("CONTROL_PORT", "1", "--port"),
                ("B", "x=y", "--set"),
                ("CONTROL_HOST", "::1", "--host"),
                ("CONTROL_PORT", "2", "--port"),
            ]
        );
    }

    #[test]
    fn each_role_listens_by_its_own_settings() {
        for (role, expected, setting) in [
            ("control", Role::Control, "CONTROL_PORT"),
            ("worker", Role::Worker, "WORKER_PORT"),
            ("runner", Role::Runner, "RUNNER_PORT"),
            ("gateway", Role::Gateway, "HTTP_PORT"),
        ] {
            let invocation = read(&format!("{role} --port 1")).unwrap();
            assert_eq!(invocation.command, Command::Run(expected));
            assert_eq!(assigned(&invocation), [(setting, "1", "--port")]);
        }
    }

    #[test]
    fn a_running_camofleet_is_asked_where_it_is_unless_the_line_says_otherwise() {
        let probe = |arguments: &str| match read(arguments).unwrap().command {
            Command::Probe(probe) => probe,
            other => panic!("{other:?}"),
        };
        let expected = |url: &str, token_env: Option<&str>, question| {
            let token_env = token_env.map(str::to_owned);
            Probe { url: Url::parse(url).unwrap(), token_env, question }
        };
        let asked = expected("http://127.0.0.1:9000", None, Question::Health { alive: false });
        assert_eq!(probe("health"), asked);
        let asked = expected("http://runner:8070", None, Question::Health { alive: true });
        assert_eq!(probe("health --url http://runner:8070 --alive"), asked);
        let question = Question::Drain { limit: Duration::from_secs(30) };
        assert_eq!(probe("drain --timeout 30"), expected("http://127.0.0.1:8080", None, question.clone()));
        let asked = expected("http://127.0.0.1:8080", Some("RUNNER_API_TOKEN"), question);
        assert_eq!(probe("drain --timeout 30 --token-env RUNNER_API_TOKEN"), asked);
    }

    #[test]
    fn config_prints_instead_of_running() {
        assert_eq!(read("config").unwrap().command, Command::Config { explain: false });
        let invocation = read("--config a.toml config --explain").unwrap();
        assert_eq!(invocation.command, Command::Config { explain: true });
        assert_eq!(invocation.overrides.config_file, Some("a.toml".into()));
    }

    #[test]
    fn an_engine_is_set_up_as_a_whole_or_in_parts() {
        assert_eq!(read("setup camoufox").unwrap().command, Command::SetupCamoufox { parts: Vec::new() });
        let invocation = read("setup camoufox --set RUNNER_IDENTITY_DIR=/x library model").unwrap();
        let parts = ["library", "model"].map(str::to_owned).to_vec();
        assert_eq!(invocation.command, Command::SetupCamoufox { parts });
        assert_eq!(assigned(&invocation), [("RUNNER_IDENTITY_DIR", "/x", "--set")]);
    }

    #[test]
    fn a_mistake_is_one_line_that_names_what_is_allowed() {
        for (mistake, named) in [
            ("--log shout", "off, error, warn, info, debug, trace"),
            ("serve --log shout", "off, error, warn, info, debug, trace"),
            ("fly", "serve, control, worker, runner, gateway, health, drain, setup, config"),
            ("serv", "serve"),
            ("--prot 1", "--port"),
            ("--port", "<PORT>"),
            ("--set PORT", "NAME=VALUE"),
            ("serve extra", "--help"),
            ("--host a --host b", "--host"),
            ("drain --url runner", "http://127.0.0.1:9000"),
            ("drain --timeout soon", "soon"),
            ("setup chrome", "camoufox"),
            ("setup camoufox everything", "library, model, browser"),
        ] {
            let text = complaint(&read(mistake).unwrap_err());
            assert!(
                text.contains(named) && !text.contains('\n') && !text.starts_with("error"),
                "{mistake}: {text}"
            );
            assert!(!text.contains("Usage") && !text.contains('\u{1b}'), "{mistake}: {text}");
        }
        let text = complaint(&read("--log shout").unwrap_err());
        assert_eq!(
            text,
            "invalid value 'shout' for '--log <LEVEL>': it has to be one of off, error, warn, info, debug, trace"
        );
    }

    #[test]
    fn mistakes_exit_with_64_and_questions_with_0() {
        for mistake in [
            "fly",
            "--set PORT",
            "--log loud",
            "--prot 1",
            "--port",
            "serve extra",
            "serve --explain",
            "drain --url runner",
        ] {
            assert_eq!(exit_status(&read(mistake).unwrap_err()), 64, "{mistake}");
        }
        for question in ["--help", "--version", "config --help"] {
            assert_eq!(exit_status(&read(question).unwrap_err()), 0, "{question}");
        }
    }
}
