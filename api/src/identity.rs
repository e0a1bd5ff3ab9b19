//! Identities: what pages learn of the person and the machine behind a browser.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, OneOfBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::lenient::default_if_unknown;
use crate::machine::MachineChoice;

/// The word for what is taken from the exit of the session's proxy.
const AUTO: &str = "auto";
/// How many languages a browser may accept.
const LANGUAGES_LIMIT: usize = 8;
/// The longest name of a language or time zone, in characters.
const NAME_LIMIT: usize = 64;
/// The least accurate position that is allowed, in metres.
const ACCURACY_LIMIT: f64 = 100_000.0;
/// The accuracy of a position whose request names none, in metres.
const ACCURACY: f64 = 50.0;
/// The most pixels of a screen, as many as 4K has: displays keep four bytes for each, and requests choose their size.
const PIXELS_LIMIT: u32 = 3840 * 2160;
/// The limits of the preferences of a request: their number, and the bytes of a name and of a text.
const PREFERENCES_LIMIT: usize = 64;
const PREFERENCE_NAME_LIMIT: usize = 128;
const PREFERENCE_TEXT_LIMIT: usize = 1024;

/// What a request gives, or leaves to the exit of the session's proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrAuto<T> {
    /// What fits the place where the connections leave.
    Auto,
    /// This.
    Given(T),
}

impl<T> OrAuto<T> {
    /// What is given.
    pub fn given(&self) -> Option<&T> {
        match self {
            Self::Auto => None,
            Self::Given(value) => Some(value),
        }
    }

    /// Reads a field of a request.
    pub(crate) fn from_json(value: &Value, given: impl FnOnce(&Value) -> Option<T>) -> Option<Self> {
        if value == AUTO { Some(Self::Auto) } else { given(value).map(Self::Given) }
    }
}

impl<T: Serialize> Serialize for OrAuto<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str(AUTO),
            Self::Given(value) => value.serialize(serializer),
        }
    }
}

/// The languages of a browser, the preferred one first: at least one, each once. Each is a language tag of BCP 47 without
/// extensions, in its usual case, such as `de-AT`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Languages(Vec<String>);

impl PartialSchema for Languages {
    fn schema() -> RefOr<Schema> {
        let tag = ObjectBuilder::new().schema_type(Type::String);
        ArrayBuilder::new().items(tag).examples([json!(["de-AT", "de", "en"])]).into()
    }
}

impl ToSchema for Languages {}

impl Languages {
    /// The tags.
    pub fn tags(&self) -> &[String] {
        &self.0
    }

    /// Several languages, the preferred one first; `None` if one is none.
    pub fn of<'a>(tags: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        Self::from_json(&tags.into_iter().collect())
    }

    /// Adds the language itself to a single one of a region, as browsers do: `de` to `de-AT`.
    #[must_use]
    pub fn with_base(mut self) -> Self {
        if let [tag] = self.0.as_slice()
            && let Some((language, _)) = tag.split_once('-')
        {
            self.0.push(language.to_owned());
        }
        self
    }

    /// The preferred one.
    pub fn first(&self) -> &str {
        // It is never empty: see `from_json`.
        self.0.first().map_or("", String::as_str)
    }

    /// Reads a tag, or a list of them; `None` if one is none.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let read = |value: &Value| language(value.as_str()?);
        let tags = match value {
            Value::Array(tags) if tags.len() <= LANGUAGES_LIMIT => {
                tags.iter().map(read).collect::<Option<Vec<_>>>()?
            }
            Value::String(_) => vec![read(value)?],
            _ => return None,
        };
        let mut once: Vec<String> = Vec::new();
        for tag in tags {
            if !once.contains(&tag) {
                once.push(tag);
            }
        }
        (!once.is_empty()).then_some(Self(once))
    }
}

/// A language tag in its usual case: `de-AT`, `zh-Hant-TW` (RFC 5646, section 2.1, without variants and extensions).
fn language(text: &str) -> Option<String> {
    if text.len() > NAME_LIMIT {
        return None;
    }
    let letters = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphabetic());
    let mut parts = text.split(['-', '_']).peekable();
    let language = parts.next().filter(|part| matches!(part.len(), 2 | 3) && letters(part))?;
    let mut tag = language.to_ascii_lowercase();
    if let Some(script) = parts.next_if(|part| part.len() == 4 && letters(part)) {
        tag = format!("{tag}-{}{}", script[..1].to_ascii_uppercase(), script[1..].to_ascii_lowercase());
    }
    let region = |part: &&str| {
        part.len() == 2 && letters(part) || part.len() == 3 && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if let Some(region) = parts.next_if(region) {
        tag = format!("{tag}-{}", region.to_ascii_uppercase());
    }
    parts.next().is_none().then_some(tag)
}

impl<'de> Deserialize<'de> for Languages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_json(&value).ok_or_else(|| serde::de::Error::custom("not languages"))
    }
}

/// A time zone of the IANA database, such as `Europe/Vienna`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(examples(json!("Europe/Vienna")))]
#[serde(transparent)]
pub struct TimeZone(String);

impl TimeZone {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Reads a name in any case; `None` if the database does not have it.
    pub fn from_name(name: &str) -> Option<Self> {
        let zone = jiff::tz::TimeZone::get(name).ok()?;
        zone.iana_name().map(|name| Self(name.to_owned()))
    }

    /// Reads a name.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        Self::from_name(value.as_str().filter(|name| name.len() <= NAME_LIMIT)?)
    }
}

impl<'de> Deserialize<'de> for TimeZone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_json(&value).ok_or_else(|| serde::de::Error::custom("not a time zone"))
    }
}

/// A place on Earth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
#[schema(examples(json!({"latitude": 48.2, "longitude": 16.4, "accuracy": 50.0})))]
pub struct Geolocation {
    /// Degrees north of the equator.
    #[schema(minimum = -90, maximum = 90)]
    latitude: f64,
    /// Degrees east of Greenwich.
    #[schema(minimum = -180, maximum = 180)]
    longitude: f64,
    /// Within how many metres the place is.
    #[schema(minimum = 0, maximum = 100_000)]
    accuracy: f64,
}

/// No field is NaN: see [`Geolocation::new`].
impl Eq for Geolocation {}

impl Geolocation {
    /// A place; `None` if a value is out of range.
    pub fn new(latitude: f64, longitude: f64, accuracy: f64) -> Option<Self> {
        let valid = (-90.0..=90.0).contains(&latitude)
            && (-180.0..=180.0).contains(&longitude)
            && (0.0..=ACCURACY_LIMIT).contains(&accuracy);
        valid.then_some(Self { latitude, longitude, accuracy })
    }

    /// Degrees north of the equator, from -90 to 90.
    pub fn latitude(&self) -> f64 {
        self.latitude
    }

    /// Degrees east of Greenwich, from -180 to 180.
    pub fn longitude(&self) -> f64 {
        self.longitude
    }

    /// Within how many metres the place is.
    pub fn accuracy(&self) -> f64 {
        self.accuracy
    }

    /// Reads an object; an accuracy that is left out is 50 m.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let accuracy = match value.get("accuracy") {
            None | Some(Value::Null) => ACCURACY,
            Some(accuracy) => accuracy.as_f64()?,
        };
        Self::new(value.get("latitude")?.as_f64()?, value.get("longitude")?.as_f64()?, accuracy)
    }
}

impl<'de> Deserialize<'de> for Geolocation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_json(&value).ok_or_else(|| serde::de::Error::custom("not a place"))
    }
}

/// The size of a screen in pixels, which has as many as 3840×2160 at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({"width": 1366, "height": 768})))]
pub struct ScreenSize {
    /// Its width.
    #[schema(minimum = 320, maximum = 7680)]
    pub width: u16,
    /// Its height.
    #[schema(minimum = 320, maximum = 7680)]
    pub height: u16,
}

impl ScreenSize {
    /// Reads an object; `None` for a size that no browser can use.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let side = |name: &str| {
            let side = u16::try_from(value.get(name)?.as_u64()?).ok()?;
            (320..=7680).contains(&side).then_some(side)
        };
        let size = Self { width: side("width")?, height: side("height")? };
        (u32::from(size.width) * u32::from(size.height) <= PIXELS_LIMIT).then_some(size)
    }
}

/// The sizes of common screens of desktop computers and laptops whose pixels are not scaled, with about how many of a hundred
/// of these screens have each.
const COMMON_SIZES: [(ScreenSize, u32); 15] = [
    (size(1920, 1080), 40),
    (size(1366, 768), 14),
    (size(2560, 1440), 9),
    (size(1440, 900), 6),
    (size(1600, 900), 6),
    (size(1280, 720), 5),
    (size(1680, 1050), 4),
    (size(1280, 1024), 4),
    (size(1920, 1200), 3),
    (size(1280, 800), 2),
    (size(1024, 768), 2),
    (size(1360, 768), 2),
    (size(3840, 2160), 1),
    (size(3440, 1440), 1),
    (size(2560, 1080), 1),
];

const fn size(width: u16, height: u16) -> ScreenSize {
    ScreenSize { width, height }
}

/// Limits within which the size of a common screen lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ScreenRange {
    #[serde(skip_serializing_if = "Option::is_none")]
    min_width: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_width: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_height: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_height: Option<u16>,
}

impl ScreenRange {
    /// The common sizes within it, at least one, each with how common it is.
    pub fn sizes(&self) -> impl Iterator<Item = (ScreenSize, u32)> {
        COMMON_SIZES.into_iter().filter(|(size, _)| self.contains(*size))
    }

    /// Whether a size is within it.
    pub fn contains(&self, size: ScreenSize) -> bool {
        let within = |side: u16, least: Option<u16>, most: Option<u16>| {
            least.is_none_or(|least| least <= side) && most.is_none_or(|most| side <= most)
        };
        within(size.width, self.min_width, self.max_width)
            && within(size.height, self.min_height, self.max_height)
    }

    /// Reads an object in which each limit may be left out, but not all; `None` if it is none, or no common size is within.
    fn from_json(value: &Value) -> Option<Self> {
        let limit = |name: &str| match value.get(name) {
            None | Some(Value::Null) => Some(None),
            Some(limit) => u16::try_from(limit.as_u64()?).ok().map(Some),
        };
        let range = Self {
            min_width: limit("min_width")?,
            max_width: limit("max_width")?,
            min_height: limit("min_height")?,
            max_height: limit("max_height")?,
        };
        range.sizes().next().is_some().then_some(range)
    }
}

/// The screen of a request: a size, or limits within which one is drawn for the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ScreenChoice {
    /// This size.
    Size(ScreenSize),
    /// The size of a common screen within these limits.
    Range(ScreenRange),
}

impl ScreenChoice {
    /// The size; `None` as long as none has been drawn.
    pub fn size(self) -> Option<ScreenSize> {
        match self {
            Self::Size(size) => Some(size),
            Self::Range(_) => None,
        }
    }

    /// Whether a screen of this size is what is wanted.
    pub fn allows(self, size: ScreenSize) -> bool {
        match self {
            Self::Size(wanted) => wanted == size,
            Self::Range(range) => range.contains(size),
        }
    }

    /// Reads an object; `None` for a size that no browser can use, and for one with limits.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let has =
            |names: &[&str]| names.iter().any(|name| value.get(name).is_some_and(|value| !value.is_null()));
        let limits = has(&["min_width", "max_width", "min_height", "max_height"]);
        match (has(&["width", "height"]), limits) {
            (true, false) => ScreenSize::from_json(value).map(Self::Size),
            (false, true) => ScreenRange::from_json(value).map(Self::Range),
            _ => None,
        }
    }
}

impl fmt::Display for ScreenChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size(ScreenSize { width, height }) => write!(f, "{width}x{height}"),
            Self::Range(_) => f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?),
        }
    }
}

/// What pages can do with WebRTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Webrtc {
    /// Nothing: it is switched off.
    Off,
    /// It is there, but connects nowhere beside the exit of the session, so that it finds and shows no address.
    Proxy,
    /// What it does in any browser: it connects by UDP beside the exit, and shows the machine's addresses.
    On,
}

impl Webrtc {
    /// All values.
    pub const ALL: &[Self] = &[Self::Off, Self::Proxy, Self::On];
}

/// A browser engine, by which a request selects workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Engine)]
pub enum EngineChoice {
    /// An ordinary Firefox.
    Firefox,
    /// Camoufox.
    Camoufox,
}

impl EngineChoice {
    /// All values.
    pub const ALL: &[Self] = &[Self::Firefox, Self::Camoufox];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firefox => "firefox",
            Self::Camoufox => "camoufox",
        }
    }
}

/// The value of a preference of Firefox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PreferenceValue {
    /// On or off.
    Switch(bool),
    /// A number.
    Number(i32),
    /// A text.
    Text(String),
}

/// Preferences of Firefox by their names, which consist of ASCII letters, digits, `.`, `-` and `_`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Preferences(BTreeMap<String, PreferenceValue>);

impl Preferences {
    /// Each by its name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &PreferenceValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads an object; `None` if it is none, or too large.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let fields = value.as_object().filter(|fields| fields.len() <= PREFERENCES_LIMIT)?;
        let read = |(name, value): (&String, &Value)| {
            let of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            let named = (1..=PREFERENCE_NAME_LIMIT).contains(&name.len()) && name.bytes().all(of_a_name);
            let value = PreferenceValue::deserialize(value).ok()?;
            let short = !matches!(&value, PreferenceValue::Text(text) if text.len() > PREFERENCE_TEXT_LIMIT);
            (named && short).then(|| (name.clone(), value))
        };
        fields.iter().map(read).collect::<Option<_>>().map(Self)
    }
}

impl<'de> Deserialize<'de> for Preferences {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_json(&value).ok_or_else(|| serde::de::Error::custom("not preferences"))
    }
}

impl PartialSchema for Preferences {
    fn schema() -> RefOr<Schema> {
        let value = OneOfBuilder::new()
            .item(ObjectBuilder::new().schema_type(Type::Boolean))
            .item(ObjectBuilder::new().schema_type(Type::Integer))
            .item(ObjectBuilder::new().schema_type(Type::String));
        let examples = [
            json!({}),
            json!({"browser.display.use_document_fonts": 0, "dom.event.clipboardevents.enabled": false}),
        ];
        ObjectBuilder::new()
            .additional_properties(Some(RefOr::T(Schema::OneOf(value.build()))))
            .examples(examples)
            .into()
    }
}

impl ToSchema for Preferences {}

/// The field `screen` of a request.
#[derive(ToSchema)]
#[schema(as = ScreenRequest, examples(json!({"width": 1366, "height": 768}), json!({"min_width": 1280, "max_width": 1920})))]
#[serde(untagged)]
#[allow(dead_code, reason = "it is the schema of ScreenChoice")]
pub enum ScreenRequest {
    /// A size.
    Size(ScreenSize),
    /// Limits within which the size of a common screen is drawn; each may be left out, but not all.
    Range {
        /// The least width.
        min_width: Option<u16>,
        /// The greatest width.
        max_width: Option<u16>,
        /// The least height.
        min_height: Option<u16>,
        /// The greatest height.
        max_height: Option<u16>,
    },
}

/// The field `locale` of a request.
#[derive(ToSchema)]
#[schema(as = LocaleRequest, examples(json!("auto"), json!(["de-AT", "de", "en"])))]
#[serde(untagged)]
#[allow(dead_code, reason = "it is the schema of OrAuto<Languages>")]
pub enum LocaleRequest {
    /// `auto`, or a language tag.
    Tag(String),
    /// Language tags, the preferred one first.
    Tags(Vec<String>),
}

/// The field `timezone` of a request: `auto`, or a time zone of the IANA database.
#[derive(ToSchema)]
#[schema(as = TimeZoneRequest, examples(json!("auto"), json!("Europe/Vienna")))]
#[serde(transparent)]
#[allow(dead_code, reason = "it is the schema of OrAuto<TimeZone>")]
pub struct TimeZoneRequest(String);

/// The field `geolocation` of a request.
#[derive(ToSchema)]
#[schema(as = GeolocationRequest, examples(json!("auto"), json!({"latitude": 48.2, "longitude": 16.4, "accuracy": 50.0})))]
#[serde(untagged)]
#[allow(dead_code, reason = "it is the schema of OrAuto<Geolocation>")]
pub enum GeolocationRequest {
    /// `auto`.
    Auto(String),
    /// A place; the accuracy in metres may be left out.
    Place {
        /// Degrees north of the equator.
        latitude: f64,
        /// Degrees east of Greenwich.
        longitude: f64,
        /// Within how many metres the place is.
        accuracy: Option<f64>,
    },
}

/// What pages learn of a session's user and machine; null where the browser shows what it has by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Identity {
    /// The languages, the preferred one first.
    #[schema(required)]
    pub locale: Option<Languages>,
    /// The time zone.
    #[schema(required)]
    pub timezone: Option<TimeZone>,
    /// The place; pages may ask for it without a question to the user.
    #[schema(required)]
    pub geolocation: Option<Geolocation>,
    /// The screen.
    #[schema(required)]
    pub screen: Option<ScreenSize>,
    /// What pages can do with WebRTC; null for what the worker's setting says.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub webrtc: Option<Webrtc>,
    /// Whether pages show no images.
    #[schema(required)]
    pub block_images: bool,
    /// Preferences of Firefox that the request set.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub user_preferences: Preferences,
    /// What was requested of the machine.
    #[serde(flatten)]
    pub machine: MachineChoice,
}

/// What happens to a create whose identity contradicts the place of its exit, its display or its operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Coherence {
    /// It is refused.
    #[default]
    Refuse,
    /// The session is created, and shows the contradictions: what can't be is left out.
    Warn,
}

impl Coherence {
    /// All values.
    pub const ALL: &[Self] = &[Self::Refuse, Self::Warn];
}

/// A part of an identity that does not fit something else that pages see.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Contradiction {
    /// The field of the identity: `locale`, `timezone`, `geolocation`, `screen` or `fonts`.
    #[schema(required)]
    pub field: String,
    /// What it is, such as `de-AT`.
    #[schema(required)]
    pub value: String,
    /// What it contradicts: `exit_country`, `exit_timezone`, `display` or `os`.
    #[schema(required)]
    pub against: String,
    /// What that is, such as `JP`.
    #[schema(required)]
    pub fact: String,
    /// Both sides in one sentence.
    #[schema(required)]
    pub detail: String,
}

/// The response to `GET …/identity` of a session: what it is through every restart, and where each part comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct IdentityReport {
    /// The identity.
    #[schema(required)]
    pub identity: Identity,
    /// Where its parts come from, by the names of their fields: `request`, `exit` for what was taken from the place where
    /// the session's connections leave, or `profile`. What nobody has set is not in it.
    #[schema(required)]
    pub sources: BTreeMap<String, String>,
    /// The machine that Camoufox' library drew for it; null where none is drawn.
    #[serde(deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub machine: Option<MachineSummary>,
}

/// A machine that Camoufox' own library drew, as people are shown it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct MachineSummary {
    /// The operating system: `windows`, `macos` or `linux`.
    #[schema(required)]
    pub os: String,
    /// `navigator.userAgent`, as it was drawn: a browser that was updated since names its own version.
    #[schema(required)]
    pub user_agent: String,
    /// `navigator.platform`.
    #[schema(required)]
    pub platform: Option<String>,
    /// `navigator.hardwareConcurrency`.
    #[schema(required)]
    pub cores: Option<u32>,
    /// The screen.
    #[schema(required)]
    pub screen: Area,
    /// The window on it.
    #[schema(required)]
    pub window: Area,
    /// The graphics card.
    #[schema(required)]
    pub webgl: Gpu,
    /// The languages, as `navigator.languages` lists them.
    #[schema(required)]
    pub locale: Option<String>,
    /// The time zone; null: that of the host.
    #[schema(required)]
    pub timezone: Option<String>,
    /// The place; null: pages learn none.
    #[schema(required)]
    pub geolocation: Option<Geolocation>,
    /// How many fonts it has.
    #[schema(required)]
    pub fonts: usize,
    /// How many voices it speaks with.
    #[schema(required)]
    pub voices: usize,
    /// What the library finds contradictory in it.
    #[schema(required)]
    pub contradictions: Vec<String>,
}

/// A part of a screen in pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Area {
    /// The distance from the left.
    #[schema(required)]
    pub x: u16,
    /// The distance from the top.
    #[schema(required)]
    pub y: u16,
    /// The width.
    #[schema(required)]
    pub width: u16,
    /// The height.
    #[schema(required)]
    pub height: u16,
}

/// A graphics card, as WebGL names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Gpu {
    /// `UNMASKED_VENDOR_WEBGL`.
    #[schema(required)]
    pub vendor: Option<String>,
    /// `UNMASKED_RENDERER_WEBGL`.
    #[schema(required)]
    pub renderer: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_tags_in_their_usual_case() {
        let read = |value: Value| Languages::from_json(&value).map(|languages| languages.0.join(","));
        for (given, expected) in [
            (json!("de"), Some("de")),
            (json!("DE_at"), Some("de-AT")),
            (json!("zh-hant-tw"), Some("zh-Hant-TW")),
            (json!("es-419"), Some("es-419")),
            (json!(["de-AT", "de", "de-at", "en"]), Some("de-AT,de,en")),
            (json!([]), None),
            (json!(""), None),
            (json!("german"), None),
            (json!("de-AT-1996"), None),
            (json!("de-AT;q=1"), None),
            (json!("de-AT\"); alert(1)"), None),
            (json!("дe"), None),
            (json!(["de", 5]), None),
            (json!(vec!["de"; 9]), None),
            (json!(5), None),
        ] {
            assert_eq!(read(given.clone()).as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn time_zones_are_those_of_the_database() {
        let read = |name: &str| TimeZone::from_json(&json!(name)).map(|zone| zone.0);
        for (given, expected) in [
            ("Europe/Vienna", Some("Europe/Vienna")),
            ("europe/vienna", Some("Europe/Vienna")),
            ("UTC", Some("UTC")),
            ("Europe/Atlantis", None),
            ("CET-1CEST", None),
            ("../../etc/passwd", None),
            ("", None),
        ] {
            assert_eq!(read(given).as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn places_and_screens_are_within_their_ranges() {
        let place =
            |value: Value| Geolocation::from_json(&value).map(|place| (place.latitude, place.accuracy));
        assert_eq!(place(json!({"latitude": 48, "longitude": 16.4})), Some((48.0, 50.0)));
        assert_eq!(place(json!({"latitude": -90, "longitude": 180, "accuracy": 0})), Some((-90.0, 0.0)));
        for wrong in [
            json!({"latitude": 90.1, "longitude": 0}),
            json!({"latitude": 0, "longitude": -180.5}),
            json!({"latitude": 0, "longitude": 0, "accuracy": -1}),
            json!({"latitude": 0}),
            json!({"latitude": "0", "longitude": 0}),
            json!("0,0"),
        ] {
            assert_eq!(place(wrong.clone()), None, "{wrong}");
        }
        let screen = |value: Value| ScreenSize::from_json(&value).map(|screen| (screen.width, screen.height));
        assert_eq!(screen(json!({"width": 1366, "height": 768})), Some((1366, 768)));
        assert_eq!(screen(json!({"width": 3840, "height": 2160})), Some((3840, 2160)));
        for wrong in [
            json!({"width": 7680, "height": 4320}),
            json!({"width": 319, "height": 768}),
            json!({"width": 1366}),
            json!({"width": 1366.5, "height": 768}),
        ] {
            assert_eq!(screen(wrong.clone()), None, "{wrong}");
        }
    }

    #[test]
    fn a_range_of_screens_has_the_common_sizes_within_its_limits() {
        let sizes = |value: Value| match ScreenChoice::from_json(&value)? {
            ScreenChoice::Range(range) => Some(range.sizes().map(|(size, _)| size.width).collect::<Vec<_>>()),
            ScreenChoice::Size(_) => None,
        };
        assert_eq!(sizes(json!({"max_width": 1300, "min_height": 800})), Some(vec![1280, 1280]));
        assert_eq!(
            sizes(json!({"min_width": 1366, "max_width": 1366, "max_height": null})),
            Some(vec![1366])
        );
        for wrong in [
            json!({}),
            json!({"min_width": 1921, "max_width": 1920}),
            json!({"max_width": 1000}),
            json!({"min_width": -5}),
            json!({"min_width": "1280"}),
            json!({"min_width": 1280, "width": 1366}),
        ] {
            assert_eq!(ScreenChoice::from_json(&wrong), None, "{wrong}");
        }
        assert_eq!(COMMON_SIZES.iter().map(|(_, share)| share).sum::<u32>(), 100);
    }
}
