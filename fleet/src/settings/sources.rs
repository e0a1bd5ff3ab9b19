//! Where settings come from: the layers, read one by one and merged; every value keeps its source.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use config::{Config, FileFormat, Format, Map, Source, Value as Node, ValueKind};

use super::definitions::{SETTINGS, Setting, find};
use super::env_file;
use super::error::{SettingsError, nearest, within};

const DEFAULT_FILE: &str = "config/default.toml";
const ENV_FILE: &str = ".env";
const BUILT_IN: &str = "the built-in default";
const NOWHERE: &str = "not set";

/// What the settings are read from, besides the command line.
pub struct Surroundings {
    /// Where `.env` and `config/default.toml` are searched, and what relative paths start from.
    pub working_directory: PathBuf,
    /// The running program; a checkout's `config/default.toml` is found from it.
    pub executable: Option<PathBuf>,
    /// The environment's variables.
    pub environment: HashMap<OsString, OsString>,
}

/// What the command line says about settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// A settings file besides the usual ones.
    pub config_file: Option<PathBuf>,
    /// Single settings; a later one takes precedence.
    pub assignments: Vec<Assignment>,
}

/// One setting given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The setting's environment name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The flag that gives it.
    pub flag: &'static str,
}

/// A setting with the text that is in force, and its source.
#[derive(Debug, Clone)]
pub struct InForce {
    /// The setting.
    pub setting: Setting,
    /// Its text; `None` for an optional setting that is not set.
    pub text: Option<String>,
    /// Where the text comes from.
    pub source: String,
}

impl InForce {
    /// Whether the text is the default, which nobody has set.
    pub fn is_built_in(&self) -> bool {
        self.source == BUILT_IN
    }
}

/// All layers, merged.
#[derive(Debug)]
pub struct Texts {
    merged: Map<String, Node>,
    /// Where relative paths start from.
    pub working_directory: PathBuf,
}

/// Reads and merges the layers: a later one takes precedence. Also returns warnings, which do not stop the start.
pub fn merge(
    surroundings: &Surroundings,
    overrides: &Overrides,
) -> Result<(Texts, Vec<String>), SettingsError> {
    let mut warnings = Vec::new();
    let mut layers = Vec::new();
    if let Some((path, text)) = default_file(surroundings)? {
        let (layer, unknown) = toml_layer(&path, &text)?;
        // This file may belong to another program that was started here: a key that is no setting is not an error.
        warnings.extend(unknown.iter().map(ToString::to_string));
        layers.push(layer);
    }
    if let Some(path) = &overrides.config_file {
        let text = std::fs::read_to_string(surroundings.working_directory.join(path))
            .map_err(|error| unreadable(path, &error))?;
        let (layer, unknown) = toml_layer(path, &text)?;
        if let Some(error) = unknown.into_iter().next() {
            return Err(error);
        }
        layers.push(layer);
    }
    let (layer, misspelled) = env_file_layer(surroundings)?;
    layers.push(layer);
    warnings.extend(misspelled);
    let (layer, misspelled) = environment_layer(surroundings)?;
    layers.push(layer);
    warnings.extend(misspelled);
    layers.push(command_line_layer(overrides)?);
    let secrets =
        overrides.assignments.iter().filter(|given| find(&given.name).is_some_and(Setting::is_secret));
    warnings.extend(secrets.map(|Assignment { name, flag, .. }| {
        format!(
            "'ps' shows {flag} {name}=… to every user of this machine; set it in the environment or in .env"
        )
    }));

    let merged = layers
        .into_iter()
        .fold(Config::builder(), |builder, layer| builder.add_source(layer))
        .build()
        .and_then(|config| config.collect())
        .map_err(|error| SettingsError::Malformed { path: "settings".into(), reason: error.to_string() })?;
    Ok((Texts { merged, working_directory: surroundings.working_directory.clone() }, warnings))
}

impl Texts {
    /// Every setting, in the order of the definitions.
    pub fn all(&self) -> Vec<InForce> {
        SETTINGS.iter().map(|setting| self.in_force(*setting)).collect()
    }

    /// The text of a setting, and its source.
    pub fn in_force(&self, setting: Setting) -> InForce {
        let key = setting.toml_key();
        let mut segments = key.split('.');
        let mut node = segments.next().and_then(|table| self.merged.get(table));
        for segment in segments {
            node = node.and_then(|node| match &node.kind {
                ValueKind::Table(table) => table.get(segment),
                _ => None,
            });
        }
        let Some(node) = node else {
            let source = if setting.default.is_some() { BUILT_IN } else { NOWHERE };
            return InForce { setting, text: setting.default.map(str::to_owned), source: source.to_owned() };
        };
        let text = as_text(node);
        // An empty text for an optional setting takes back what an earlier layer says.
        let text = if text.trim().is_empty() && setting.default.is_none() { None } else { Some(text) };
        InForce { setting, text, source: node.origin().unwrap_or(NOWHERE).to_owned() }
    }
}

/// A TOML value as it would be written in the environment.
fn as_text(node: &Node) -> String {
    match &node.kind {
        ValueKind::Array(_) | ValueKind::Table(_) => as_json(node).to_string(),
        _ => node.to_string(),
    }
}

fn as_json(node: &Node) -> serde_json::Value {
    match &node.kind {
        ValueKind::Array(entries) => entries.iter().map(as_json).collect(),
        ValueKind::Table(table) => table.iter().map(|(name, entry)| (name.clone(), as_json(entry))).collect(),
        ValueKind::Boolean(value) => (*value).into(),
        ValueKind::I64(number) => (*number).into(),
        ValueKind::Nil => serde_json::Value::Null,
        _ => node.to_string().into(),
    }
}

/// One layer: keys as in a TOML file, with values that carry their origin.
#[derive(Debug, Clone, Default)]
struct Layer(Map<String, Node>);

impl Layer {
    fn set(&mut self, setting: &Setting, text: String, origin: &str) {
        self.0.insert(setting.toml_key(), Node::new(Some(&origin.to_owned()), text));
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Node>, config::ConfigError> {
        Ok(self.0.clone())
    }
}

/// The nearest `config/default.toml`: in the working directory, else in the checkout the program was built in.
fn default_file(surroundings: &Surroundings) -> Result<Option<(PathBuf, String)>, SettingsError> {
    let in_checkout = surroundings
        .executable
        .as_deref()
        .and_then(Path::parent)
        .map(|directory| directory.join("../..").join(DEFAULT_FILE));
    let candidates = [(PathBuf::from(DEFAULT_FILE), Some(surroundings.working_directory.join(DEFAULT_FILE)))]
        .into_iter()
        .chain([(in_checkout.clone().unwrap_or_default(), in_checkout)]);
    for (name, path) in candidates {
        let Some(path) = path else { continue };
        if let Some(text) = read_if_there(&path).map_err(|error| unreadable(&name, &error))? {
            let name = if name.is_absolute() { path.canonicalize().unwrap_or(name) } else { name };
            return Ok(Some((name, text)));
        }
    }
    Ok(None)
}

/// The settings that a TOML file gives, and an error for each key that is none.
fn toml_layer(path: &Path, text: &str) -> Result<(Layer, Vec<SettingsError>), SettingsError> {
    let origin = path.display().to_string();
    let root = FileFormat::Toml
        .parse(Some(&origin), text)
        .map_err(|error| SettingsError::Malformed { path: path.to_owned(), reason: in_one_line(&error) })?;
    let mut leaves = Vec::new();
    for (key, node) in root {
        collect_leaves(key, node, &mut leaves);
    }
    let mut layer = Layer::default();
    let mut unknown = Vec::new();
    for (key, node) in leaves {
        if SETTINGS.iter().any(|setting| setting.toml_key() == key) {
            layer.0.insert(key, node);
        } else {
            let nearest = nearest(&key, SETTINGS.iter().map(Setting::toml_key));
            unknown.push(SettingsError::Unknown { name: key, source_name: origin.clone(), nearest });
        }
    }
    // The order of a map's keys isn't that of the file: sorted, the same file always gives the same message.
    unknown.sort_by_key(ToString::to_string);
    Ok((layer, unknown))
}

fn collect_leaves(key: String, node: Node, leaves: &mut Vec<(String, Node)>) {
    match node.kind {
        ValueKind::Table(table) => {
            for (name, child) in table {
                collect_leaves(format!("{key}.{name}"), child, leaves);
            }
        }
        _ => leaves.push((key, node)),
    }
}

fn env_file_layer(surroundings: &Surroundings) -> Result<(Layer, Vec<String>), SettingsError> {
    let path = Path::new(ENV_FILE);
    let mut layer = Layer::default();
    let text = read_if_there(&surroundings.working_directory.join(path))
        .map_err(|error| unreadable(path, &error))?;
    let (settings, others) = env_file::parse(path, &text.unwrap_or_default())?;
    for (setting, value) in settings {
        layer.set(setting, value, ENV_FILE);
    }
    Ok((layer, misspelled(others.iter().map(String::as_str), ENV_FILE)))
}

fn environment_layer(surroundings: &Surroundings) -> Result<(Layer, Vec<String>), SettingsError> {
    const ORIGIN: &str = "the environment";
    let mut layer = Layer::default();
    for setting in SETTINGS.iter() {
        let Some(value) = surroundings.environment.get(OsStr::new(setting.name)) else { continue };
        let value = value.to_str().ok_or_else(|| SettingsError::Value {
            name: setting.name,
            given: "the value".to_owned(),
            source_name: ORIGIN.to_owned(),
            allowed: "valid UTF-8".to_owned(),
            cause: None,
        })?;
        layer.set(setting, value.to_owned(), ORIGIN);
    }
    let names = surroundings.environment.keys().filter_map(|name| name.to_str());
    Ok((layer, misspelled(names, ORIGIN)))
}

/// A warning for each of these variables that is no setting, but almost one. Other programs' variables begin in the same
/// way too (`RUNNER_TEMP`): only a small difference is taken for a mistake.
fn misspelled<'a>(names: impl Iterator<Item = &'a str>, source_name: &str) -> Vec<String> {
    let warning = |name: &'a str| {
        let rest = ["RUNNER_", "WORKER_", "CONTROL_"].iter().find_map(|prefix| name.strip_prefix(prefix))?;
        if find(name).is_some() || is_service_variable(name) {
            return None;
        }
        let nearest = within(name, SETTINGS.iter().map(|setting| setting.name.to_owned()), rest.len() / 4)?;
        let (name, source_name) = (name.to_owned(), source_name.to_owned());
        Some(SettingsError::Unknown { name, source_name, nearest: Some(nearest) }.to_string())
    };
    let mut warnings: Vec<String> = names.filter_map(warning).collect();
    // An environment has no order: sorted, the same variables always give the same lines.
    warnings.sort();
    warnings
}

/// Whether Kubernetes sets a variable for each Service of the namespace: `CONTROL_SERVICE_HOST`, `CONTROL_PORT_9000_TCP`.
fn is_service_variable(name: &str) -> bool {
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| name.contains(protocol)) && name.contains("_PORT_")
}

fn command_line_layer(overrides: &Overrides) -> Result<Layer, SettingsError> {
    let mut layer = Layer::default();
    for Assignment { name, value, flag } in &overrides.assignments {
        let setting = find(name).ok_or_else(|| SettingsError::Unknown {
            name: name.clone(),
            source_name: (*flag).to_owned(),
            nearest: nearest(name, SETTINGS.iter().map(|setting| setting.name.to_owned())),
        })?;
        layer.set(setting, value.clone(), flag);
    }
    Ok(layer)
}

/// The text of a file that may be missing.
fn read_if_there(path: &Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> SettingsError {
    SettingsError::Unreadable { path: path.to_owned(), reason: error.to_string() }
}

/// A parser's report without the excerpt it draws: its first line says where, its last one what.
fn in_one_line(error: &dyn fmt::Display) -> String {
    let report = error.to_string();
    let mut lines = report.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("not valid TOML");
    lines.next_back().map_or_else(|| first.to_owned(), |last| format!("{first}: {last}"))
}
