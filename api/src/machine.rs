//! Machines: what a create request may ask of the computer that a browser shows. Only a browser whose identities are drawn can
//! show another one than it runs on.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// The longest name of a graphics card or a font, in characters.
const NAME_LIMIT: usize = 200;
/// How many fonts a request may name.
const FONTS_LIMIT: usize = 200;
/// How many add-ons a session may have, and the longest name of one, in characters.
const ADDONS_LIMIT: usize = 16;
const ADDON_NAME_LIMIT: usize = 64;
/// The longest seed, in characters.
const SEED_LIMIT: usize = 64;
/// The longest movement of the pointer, in seconds.
const MOVEMENT_LIMIT: f64 = 30.0;

/// An operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum System {
    /// Windows.
    Windows,
    /// macOS.
    Macos,
    /// Linux.
    Linux,
}

impl System {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Macos => "macos",
            Self::Linux => "linux",
        }
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A graphics card, as a page learns of it by WebGL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({"vendor": "Google Inc. (NVIDIA)", "renderer": "ANGLE (NVIDIA, NVIDIA GeForce GTX 980 Direct3D11 vs_5_0 \
    ps_5_0), or similar"})))]
pub struct WebGl {
    /// `UNMASKED_VENDOR_WEBGL`.
    #[schema(max_length = 200)]
    pub vendor: String,
    /// `UNMASKED_RENDERER_WEBGL`.
    #[schema(max_length = 200)]
    pub renderer: String,
}

/// Whether the pointer moves as a hand does when a client moves it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Humanize {
    /// It jumps.
    Off,
    /// It takes as long as a hand.
    On,
    /// It takes this many seconds at most.
    UpTo(f64),
}

/// No value is NaN, as it is checked when it is read.
impl Eq for Humanize {}

impl Humanize {
    fn from_json(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(on) => Some(if *on { Self::On } else { Self::Off }),
            Value::Number(seconds) => seconds
                .as_f64()
                .filter(|seconds| *seconds > 0.0 && *seconds <= MOVEMENT_LIMIT)
                .map(Self::UpTo),
            _ => None,
        }
    }
}

impl Serialize for Humanize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_bool(false),
            Self::On => serializer.serialize_bool(true),
            Self::UpTo(seconds) => serializer.serialize_f64(*seconds),
        }
    }
}

impl<'de> Deserialize<'de> for Humanize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_json(&value).ok_or_else(|| serde::de::Error::custom("neither true, false nor seconds"))
    }
}

/// The field `os` of a request.
#[derive(ToSchema)]
#[schema(as = SystemRequest, examples(json!(["windows"]), json!(["windows", "macos"])))]
#[serde(untagged)]
#[allow(dead_code, reason = "it is the schema of the field os")]
pub enum SystemRequest {
    /// One system.
    One(System),
    /// One of these.
    Any(Vec<System>),
}

/// Whether the pointer moves as a hand does.
#[derive(ToSchema)]
#[schema(as = Humanize, examples(json!(true), json!(1.5)))]
#[serde(untagged)]
#[allow(dead_code, reason = "it is the schema of Humanize")]
pub enum HumanizeSchema {
    /// Whether it does.
    Switch(bool),
    /// The longest movement in seconds, up to 30.
    Seconds(f64),
}

/// The fields of a create request about the machine that the browser shows.
#[derive(ToSchema)]
#[allow(dead_code, reason = "it is the schema of MachineChoice in a request")]
pub struct MachineRequest {
    /// The operating system, or several of which one is drawn.
    os: Option<SystemRequest>,
    /// The graphics card, a pair that Firefox was seen with.
    webgl: Option<WebGl>,
    /// Fonts in addition to those of the system; only such as the browser has for it.
    #[schema(max_items = 200, examples(json!("Inter")))]
    fonts: Option<Vec<String>>,
    /// Whether the pointer moves as a hand does, or its longest movement in seconds, up to 30.
    #[schema(value_type = Option<HumanizeSchema>)]
    humanize: Option<Humanize>,
    /// The add-ons of the browser, by their names in the setting.
    #[schema(max_items = 16, examples(json!("ublock")))]
    addons: Option<Vec<String>>,
    /// Whether a client's scripts that begin with `mw:` run in the page's own world.
    main_world_eval: Option<bool>,
    /// The same seed is the same machine, for sessions that ask for the same otherwise; without one each session has its own.
    #[schema(max_length = 64, examples(json!("anna")))]
    seed: Option<String>,
}

/// What was asked of a machine; null: it was drawn freely.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct MachineChoice {
    /// The operating systems, of which one was drawn.
    #[schema(required)]
    pub os: Option<Vec<System>>,
    /// The graphics card.
    #[schema(required)]
    pub webgl: Option<WebGl>,
    /// The fonts in addition to those of the system.
    #[schema(required)]
    pub fonts: Option<Vec<String>>,
    /// Whether the pointer moves as a hand does, or its longest movement in seconds.
    #[schema(required, value_type = Option<HumanizeSchema>)]
    pub humanize: Option<Humanize>,
    /// The add-ons of the browser.
    #[schema(required)]
    pub addons: Option<Vec<String>>,
    /// Whether a client's scripts that begin with `mw:` run in the page's own world.
    #[schema(required)]
    pub main_world_eval: Option<bool>,
    /// The seed.
    #[schema(required)]
    pub seed: Option<String>,
}

impl MachineChoice {
    /// The names of all fields.
    pub const FIELDS: [&'static str; 7] =
        ["os", "webgl", "fonts", "humanize", "addons", "main_world_eval", "seed"];

    /// The fields that it has.
    pub fn fields(&self) -> impl Iterator<Item = &'static str> {
        let given = [
            self.os.is_some(),
            self.webgl.is_some(),
            self.fonts.is_some(),
            self.humanize.is_some(),
            self.addons.is_some(),
            self.main_world_eval.is_some(),
            self.seed.is_some(),
        ];
        Self::FIELDS.into_iter().zip(given).filter(|(_, given)| *given).map(|(field, _)| field)
    }

    /// Whether a field asks for what every browser is anyway, such as one without add-ons.
    pub fn is_ordinary(&self, field: &str) -> bool {
        let none = |names: &Option<Vec<String>>| names.as_ref().is_some_and(Vec::is_empty);
        match field {
            "fonts" => none(&self.fonts),
            "humanize" => self.humanize == Some(Humanize::Off),
            "addons" => none(&self.addons),
            "main_world_eval" => self.main_world_eval == Some(false),
            _ => false,
        }
    }

    /// Reads the fields of an object.
    ///
    /// # Errors
    /// The name of a field, and what it must be.
    pub(crate) fn from_fields(fields: &Map<String, Value>) -> Result<Self, (&'static str, &'static str)> {
        Ok(Self {
            os: read(fields, "os", systems, "windows, macos or linux, or a list of these")?,
            webgl: read(
                fields,
                "webgl",
                webgl,
                "an object with vendor and renderer, each of up to 200 characters",
            )?,
            fonts: read(
                fields,
                "fonts",
                |value| names(value, FONTS_LIMIT, NAME_LIMIT),
                "a list of up to 200 names of fonts, of up to 200 characters",
            )?,
            humanize: read(
                fields,
                "humanize",
                Humanize::from_json,
                "true, false, or a number of seconds up to 30",
            )?,
            addons: read(
                fields,
                "addons",
                |value| names(value, ADDONS_LIMIT, ADDON_NAME_LIMIT),
                "a list of up to 16 names of add-ons",
            )?,
            main_world_eval: read(fields, "main_world_eval", Value::as_bool, "true or false")?,
            seed: read(fields, "seed", seed, "a text of 1 to 64 printable characters, or a whole number")?,
        })
    }
}

/// Reads a field; null is treated like a missing one.
fn read<T>(
    fields: &Map<String, Value>,
    name: &'static str,
    read: impl FnOnce(&Value) -> Option<T>,
    right: &'static str,
) -> Result<Option<T>, (&'static str, &'static str)> {
    match fields.get(name).filter(|value| !value.is_null()) {
        None => Ok(None),
        Some(value) => read(value).map(Some).ok_or((name, right)),
    }
}

/// Each once, in their own order: which one is drawn does not depend on the request's.
fn systems(value: &Value) -> Option<Vec<System>> {
    const ALL: [System; 3] = [System::Windows, System::Macos, System::Linux];
    let names = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let system = |name: &Value| ALL.into_iter().find(|system| name == system.as_str());
    let given = names.iter().map(system).collect::<Option<Vec<_>>>()?;
    let once: Vec<System> = ALL.into_iter().filter(|system| given.contains(system)).collect();
    (!once.is_empty()).then_some(once)
}

fn webgl(value: &Value) -> Option<WebGl> {
    Some(WebGl {
        vendor: name(value.get("vendor")?, NAME_LIMIT)?,
        renderer: name(value.get("renderer")?, NAME_LIMIT)?,
    })
}

fn names(value: &Value, most: usize, longest: usize) -> Option<Vec<String>> {
    let given = value.as_array().filter(|names| names.len() <= most)?;
    given.iter().map(|value| name(value, longest)).collect()
}

fn name(value: &Value, longest: usize) -> Option<String> {
    let name = value.as_str()?;
    let printable =
        !name.is_empty() && name.chars().count() <= longest && !name.chars().any(char::is_control);
    printable.then(|| name.to_owned())
}

fn seed(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        value => name(value, SEED_LIMIT),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn choice(value: Value) -> Result<MachineChoice, (&'static str, &'static str)> {
        let Value::Object(fields) = value else { panic!("no object") };
        MachineChoice::from_fields(&fields)
    }

    #[test]
    fn a_choice_is_read_and_written() {
        let read = choice(json!({
            "os": ["linux", "windows", "linux"], "webgl": {"vendor": "Intel", "renderer": "HD"}, "fonts": ["Inter"],
            "humanize": 2, "addons": [], "main_world_eval": true, "seed": 7, "other": 1,
        }))
        .unwrap();
        assert_eq!(read.fields().count(), MachineChoice::FIELDS.len());
        let written = serde_json::to_value(&read).unwrap();
        assert_eq!(
            written,
            json!({
                "os": ["windows", "linux"], "webgl": {"vendor": "Intel", "renderer": "HD"}, "fonts": ["Inter"],
                "humanize": 2.0, "addons": [], "main_world_eval": true, "seed": "7",
            })
        );
        assert_eq!(serde_json::from_value::<MachineChoice>(written).unwrap(), read);
        assert_eq!(choice(json!({"os": "macos"})).unwrap().os, Some(vec![System::Macos]));
        assert_eq!(choice(json!({"humanize": false})).unwrap().humanize, Some(Humanize::Off));
        let nothing = choice(json!({"os": null, "seed": null})).unwrap();
        assert_eq!((nothing.fields().count(), &nothing), (0, &MachineChoice::default()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (value, field) in [
            (json!({"os": "beos"}), "os"),
            (json!({"os": []}), "os"),
            (json!({"os": {"linux": null}}), "os"),
            (json!({"os": [{"linux": null}]}), "os"),
            (json!({"webgl": {"vendor": "Intel"}}), "webgl"),
            (json!({"webgl": {"vendor": "", "renderer": "x"}}), "webgl"),
            (json!({"fonts": [""]}), "fonts"),
            (json!({"fonts": ["a\u{0}"]}), "fonts"),
            (json!({"fonts": vec!["a"; 201]}), "fonts"),
            (json!({"humanize": 0}), "humanize"),
            (json!({"humanize": 31}), "humanize"),
            (json!({"humanize": "yes"}), "humanize"),
            (json!({"addons": "ublock"}), "addons"),
            (json!({"addons": vec!["a"; 17]}), "addons"),
            (json!({"main_world_eval": 1}), "main_world_eval"),
            (json!({"seed": ""}), "seed"),
            (json!({"seed": 1.5}), "seed"),
            (json!({"seed": "x".repeat(65)}), "seed"),
        ] {
            assert_eq!(choice(value.clone()).unwrap_err().0, field, "{value}");
        }
    }
}
