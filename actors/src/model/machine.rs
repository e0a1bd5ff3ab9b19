//! A machine: the identity of a Camoufox, as its own library drew it, and frozen. It is a document that a session keeps through
//! its restarts, and that can be stored.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use camofleet_api::identity::{Contradiction, MachineSummary};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How many characters of a text Camoufox reads from one environment variable; the library's own chunks on Linux.
const CHUNK: usize = 32_767;
/// Stands in the document for the directory of the browser.
const INSTALLATION: &str = "@camoufox@";

/// A machine. What it has names no place of a host, so it can be launched on another one.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The version of this document, 1.
    pub version: u32,
    /// The version of the library that drew it.
    pub library: String,
    /// The browser that it was drawn for: `156.0.1-beta.36`.
    pub browser: String,
    /// What it was drawn from.
    pub seed: String,
    /// The library's configuration of the browser: one JSON object, as the library wrote it.
    config: String,
    /// The library's Firefox preferences.
    preferences: BTreeMap<String, Value>,
    /// The library's arguments of the browser.
    pub arguments: Vec<String>,
    /// The configuration of its fonts, with [`INSTALLATION`] for the directory of the browser.
    fontconfig: String,
    /// What was asked of it and left out, because it contradicts its system.
    #[serde(default)]
    pub left_out: Vec<Contradiction>,
    /// What people are shown of it.
    pub summary: MachineSummary,
}

/// Only what identifies it: the document is long, and logs show it.
impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("seed", &self.seed)
            .field("summary", &self.summary)
            .finish_non_exhaustive()
    }
}

impl Machine {
    /// The preferences of its browser: its own, and those of the launch, which take precedence.
    pub fn preferences(&self, launch: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
        let mut preferences = self.preferences.clone();
        preferences.extend(launch);
        preferences
    }

    /// The variables that make a browser this machine. `preferences` are all of the launch: Camoufox reads them from the
    /// environment at its start, while Playwright sets them only after it, which is too late for some. `fonts` is the file
    /// with its [`Self::fontconfig`], `addons` are the directories of add-ons.
    pub fn environment(
        &self,
        preferences: &BTreeMap<String, Value>,
        fonts: &Path,
        addons: &[PathBuf],
        version: Option<&str>,
    ) -> BTreeMap<String, String> {
        let config = with_addons(self.config_for(version), addons);
        let preferences = ascii(&serde_json::to_string(preferences).unwrap_or_default());
        let mut env: BTreeMap<String, String> = chunks("CAMOU_CONFIG", &config);
        env.extend(chunks("CAMOU_PREFS", &preferences));
        env.insert("FONTCONFIG_FILE".to_owned(), fonts.display().to_string());
        env
    }

    /// The configuration of its fonts for a browser in this directory.
    pub fn fontconfig(&self, installation: &Path) -> String {
        self.fontconfig.replace(INSTALLATION, &installation.display().to_string())
    }

    /// Its configuration in a browser of this version. A user agent must not name another version than the browser that runs,
    /// which may have been updated since the machine was drawn; it is the same machine otherwise.
    fn config_for(&self, version: Option<&str>) -> String {
        let (Some(now), Some(drawn)) = (version.and_then(major), major(&self.browser)) else {
            return self.config.clone();
        };
        if now == drawn {
            return self.config.clone();
        }
        self.config
            .replace(&format!("rv:{drawn}.0)"), &format!("rv:{now}.0)"))
            .replace(&format!("Firefox/{drawn}.0"), &format!("Firefox/{now}.0"))
    }
}

/// Adds add-ons to a configuration, where the library writes them too.
fn with_addons(config: String, addons: &[PathBuf]) -> String {
    let paths: Vec<String> = addons.iter().map(|addon| addon.display().to_string()).collect();
    match config.strip_prefix('{') {
        Some(rest) if !paths.is_empty() => {
            let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
            format!(r#"{{"addons":{}{comma}{rest}"#, Value::from(paths))
        }
        _ => config,
    }
}

/// `156` of `156.0.1-beta.36`.
fn major(version: &str) -> Option<&str> {
    let major = version.split('.').next()?;
    (!major.is_empty() && major.bytes().all(|byte| byte.is_ascii_digit())).then_some(major)
}

/// Splits a text over variables `NAME_1`, `NAME_2`, …
fn chunks(name: &str, text: &str) -> BTreeMap<String, String> {
    let characters: Vec<char> = text.chars().collect();
    let numbered = characters.chunks(CHUNK).enumerate();
    numbered.map(|(at, chunk)| (format!("{name}_{}", at + 1), chunk.iter().collect())).collect()
}

/// JSON with its other characters escaped, as the library writes preferences.
fn ascii(json: &str) -> String {
    use std::fmt::Write as _;

    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            escaped.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string can't fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn machine(config: &str) -> Machine {
        serde_json::from_value(json!({
            "version": 1, "library": "0.5.8", "browser": "156.0.1-beta.36", "seed": "a", "config": config,
            "preferences": {"a.b": 1, "ui.useOverlayScrollbars": 1}, "arguments": [],
            "fontconfig": "<dir>@camoufox@/fonts/L</dir>",
            "summary": {"os": "windows", "user_agent": "Mozilla/5.0", "screen": {"width": 1920, "height": 1080},
                "window": {"x": 0, "y": 0, "width": 1920, "height": 1040}, "fonts": 3, "voices": 1},
        }))
        .unwrap()
    }

    fn join(env: &BTreeMap<String, String>, name: &str) -> String {
        (1..).map_while(|at| env.get(&format!("{name}_{at}")).cloned()).collect()
    }

    #[test]
    fn long_texts_are_split_by_characters_and_preferences_are_ascii() {
        let config = format!(r#"{{"fonts":["{}"]}}"#, "ä".repeat(2 * CHUNK));
        let preferences = machine("{}").preferences([("a.b".to_owned(), json!("ü𝄞"))].into());
        let env = machine(&config).environment(&preferences, Path::new("/x/fonts.conf"), &[], None);
        assert_eq!(join(&env, "CAMOU_CONFIG"), config);
        assert_eq!(env["CAMOU_CONFIG_1"].chars().count(), CHUNK);
        assert!(env.contains_key("CAMOU_CONFIG_3") && !env.contains_key("CAMOU_CONFIG_4"));
        assert_eq!(join(&env, "CAMOU_PREFS"), r#"{"a.b":"\u00fc\ud834\udd1e","ui.useOverlayScrollbars":1}"#);
        assert_eq!(env["FONTCONFIG_FILE"], "/x/fonts.conf");
    }

    #[test]
    fn the_user_agent_names_the_version_that_runs_and_nothing_else_changes() {
        let config = r#"{"navigator.userAgent":"Mozilla/5.0 (X11; rv:156.0) Gecko/20100101 Firefox/156.0","audio:seed":1560}"#;
        let shown = |version| machine(config).config_for(version);
        assert_eq!(shown(Some("156.0.9-beta.40")), config);
        assert_eq!(shown(None), config);
        assert_eq!(
            shown(Some("158.0-beta.1")),
            r#"{"navigator.userAgent":"Mozilla/5.0 (X11; rv:158.0) Gecko/20100101 Firefox/158.0","audio:seed":1560}"#
        );
    }

    #[test]
    fn add_ons_are_a_part_of_the_configuration() {
        let with = |config: &str, addons: &[&str]| {
            with_addons(config.to_owned(), &addons.iter().map(PathBuf::from).collect::<Vec<_>>())
        };
        assert_eq!(with(r#"{"a":1.0}"#, &["/x/\"a", "/y"]), r#"{"addons":["/x/\"a","/y"],"a":1.0}"#);
        assert_eq!(with("{}", &["/x"]), r#"{"addons":["/x"]}"#);
        assert_eq!(with("{}", &[]), "{}");
    }

    #[test]
    fn it_is_the_same_after_it_was_stored() {
        let stored = serde_json::to_string(&machine("{}")).unwrap();
        assert_eq!(serde_json::from_str::<Machine>(&stored).unwrap(), machine("{}"));
        assert_eq!(machine("{}").fontconfig(Path::new("/opt/c")), "<dir>/opt/c/fonts/L</dir>");
    }
}
