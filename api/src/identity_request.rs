//! What requests ask of an identity: the same fields for a session and for a profile.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::fields::{InvalidRequest, field, is_default};
use crate::identity::{
    Coherence, Geolocation, GeolocationRequest, Identity, Languages, LocaleRequest, OrAuto, Preferences,
    ScreenChoice, ScreenRequest, TimeZone, TimeZoneRequest, Webrtc,
};
use crate::machine::{MachineChoice, MachineRequest};

const LANGUAGES_FORM: &str =
    "\"auto\", a language tag such as \"de-AT\", or a list of up to 8, the preferred one first";
const TIMEZONE_FORM: &str = "\"auto\", or a time zone of the IANA database such as \"Europe/Vienna\"";
const GEOLOCATION_FORM: &str = "\"auto\", or an object with latitude (-90 to 90), longitude (-180 to 180) and, where wanted, accuracy (0 to \
                                100000 m)";
const SCREEN_FORM: &str = "an object with width and height, each a whole number from 320 to 7680, with as many pixels as 3840x2160 at most; or \
                           one with min_width, max_width, min_height or max_height, within which a common size such as 1366x768 lies";
const PREFERENCES_FORM: &str = "an object of at most 64 preferences: names of up to 128 letters, digits, '.', '-' and '_', values true, false, \
                                whole numbers of 32 bits, or strings of up to 1024 bytes";

/// What pages are to learn of a user and a machine. Every field may be omitted or null.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct IdentityRequest {
    /// The languages of the browser: one, or several with the preferred one first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<LocaleRequest>)]
    pub locale: Option<OrAuto<Languages>>,
    /// The time zone of the browser.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<TimeZoneRequest>)]
    pub timezone: Option<OrAuto<TimeZone>>,
    /// Where the browser is; pages may ask for it without a question to the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<GeolocationRequest>)]
    pub geolocation: Option<OrAuto<Geolocation>>,
    /// The size of the screen in pixels, which the window fills, or limits for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ScreenRequest>)]
    pub screen: Option<ScreenChoice>,
    /// What pages can do with WebRTC. The default is a setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webrtc: Option<Webrtc>,
    /// Whether pages show no images.
    #[serde(skip_serializing_if = "is_default")]
    #[schema(value_type = Option<bool>)]
    pub block_images: bool,
    /// Preferences of Firefox, of those that a setting allows.
    #[serde(skip_serializing_if = "is_default")]
    #[schema(value_type = Option<Preferences>)]
    pub user_preferences: Preferences,
    /// What the browser shows of its machine.
    #[serde(flatten, skip_serializing_if = "is_default")]
    #[schema(value_type = MachineRequest)]
    pub machine: MachineChoice,
}

impl IdentityRequest {
    /// The names of the fields that any browser may be able to show, as requests have them.
    pub const FIELDS: [&'static str; 7] =
        ["locale", "timezone", "geolocation", "screen", "webrtc", "block_images", "user_preferences"];

    /// The names of all fields, as requests have them.
    pub fn all_fields() -> impl Iterator<Item = &'static str> {
        Self::FIELDS.into_iter().chain(MachineChoice::FIELDS)
    }

    /// The field with this name.
    pub fn field_named(name: &str) -> Option<&'static str> {
        Self::all_fields().find(|field| *field == name)
    }

    /// The fields that it has.
    pub fn fields(&self) -> impl Iterator<Item = &'static str> {
        let given = [
            self.locale.is_some(),
            self.timezone.is_some(),
            self.geolocation.is_some(),
            self.screen.is_some(),
            self.webrtc.is_some(),
            self.block_images,
            !self.user_preferences.is_empty(),
        ];
        let fields = Self::FIELDS.into_iter().zip(given).filter(|(_, given)| *given).map(|(field, _)| field);
        fields.chain(self.machine.fields())
    }

    /// The fields that it has and that not every browser can show.
    pub fn demands(&self) -> impl Iterator<Item = &'static str> {
        self.fields().filter(|field| !self.machine.is_ordinary(field))
    }

    /// The first field that a worker can't show which can show these.
    pub fn lacking(&self, able: &[String], coherence: Coherence) -> Option<&'static str> {
        // Sessions of one screen can't have another, which is only shown if the request wants that.
        let leaves_out = |field| field == "screen" && coherence == Coherence::Warn && !able.is_empty();
        // One that reports nothing may not be an ordinary browser either.
        let ordinary = |field| !able.is_empty() && self.machine.is_ordinary(field);
        let is_able = |field| able.iter().any(|able| able == field);
        self.fields().find(|field| !is_able(*field) && !leaves_out(*field) && !ordinary(*field))
    }

    /// The fields that the place of the exit decides.
    pub fn decided_by_exit(&self) -> Vec<&'static str> {
        let auto = [
            self.locale == Some(OrAuto::Auto),
            self.timezone == Some(OrAuto::Auto),
            self.geolocation == Some(OrAuto::Auto),
        ];
        // Nothing decides about the further fields.
        Self::FIELDS.into_iter().zip(auto).filter(|(_, auto)| *auto).map(|(field, _)| field).collect()
    }

    /// The first field that the place of the exit decides.
    pub fn from_exit(&self) -> Option<&'static str> {
        self.decided_by_exit().first().copied()
    }

    /// Whether the place of the exit decides something.
    pub fn needs_exit(&self) -> bool {
        self.from_exit().is_some()
    }

    /// The identity, without what the exit decides, and without a screen that has not been drawn.
    pub fn given(&self) -> Identity {
        let given = self.locale.as_ref().and_then(OrAuto::given);
        Identity {
            locale: given.map(|languages| languages.clone().with_base()),
            timezone: self.timezone.as_ref().and_then(OrAuto::given).cloned(),
            geolocation: self.geolocation.as_ref().and_then(OrAuto::given).copied(),
            screen: self.screen.and_then(ScreenChoice::size),
            webrtc: self.webrtc,
            block_images: self.block_images,
            user_preferences: self.user_preferences.clone(),
            machine: self.machine.clone(),
        }
    }

    /// Reads the fields of a JSON object; unknown ones are ignored.
    ///
    /// # Errors
    /// [`InvalidRequest::Field`].
    pub(crate) fn from_fields(fields: &Map<String, Value>) -> Result<Self, InvalidRequest> {
        let field = |name| field(fields, name);
        Ok(Self {
            locale: field("locale").or_auto(Languages::from_json, LANGUAGES_FORM)?,
            timezone: field("timezone").or_auto(TimeZone::from_json, TIMEZONE_FORM)?,
            geolocation: field("geolocation").or_auto(Geolocation::from_json, GEOLOCATION_FORM)?,
            screen: field("screen").read(ScreenChoice::from_json, SCREEN_FORM)?,
            webrtc: field("webrtc").one_of(Webrtc::ALL)?,
            block_images: field("block_images").boolean()?.unwrap_or(false),
            user_preferences: field("user_preferences")
                .read(Preferences::from_json, PREFERENCES_FORM)?
                .unwrap_or_default(),
            machine: MachineChoice::from_fields(fields).map_err(|(name, right)| InvalidRequest::Field {
                field: name.to_owned(),
                problem: format!("must be {right}"),
            })?,
        })
    }
}

impl<'de> Deserialize<'de> for IdentityRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_fields(&Map::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_lacks_what_it_can_not_show_but_may_be_asked_for_another_screen_with_a_warning() {
        let asked = r#"{"timezone": "UTC", "screen": {"width": 800, "height": 600}}"#;
        let screen: IdentityRequest = serde_json::from_str(asked).unwrap();
        let lacks = |able: &[&str], coherence| {
            let able: Vec<String> = able.iter().map(|field| (*field).to_owned()).collect();
            screen.lacking(&able, coherence)
        };
        assert_eq!(lacks(&["screen", "timezone"], Coherence::Refuse), None);
        assert_eq!(lacks(&["timezone"], Coherence::Refuse), Some("screen"));
        assert_eq!(lacks(&["timezone"], Coherence::Warn), None);
        assert_eq!(lacks(&["screen"], Coherence::Warn), Some("timezone"));
        assert_eq!(lacks(&[], Coherence::Warn), Some("timezone"), "it may know no identities at all");
    }

    #[test]
    fn what_every_browser_is_anyway_demands_nothing() {
        let demanded = |asked: &str| {
            let asked: IdentityRequest = serde_json::from_str(asked).unwrap();
            asked.demands().collect::<Vec<_>>()
        };
        let ordinary = r#"{"fonts": [], "humanize": false, "addons": [], "main_world_eval": false}"#;
        assert_eq!(demanded(ordinary), [""; 0]);
        let other = r#"{"fonts": ["Inter"], "humanize": 1, "addons": ["a"], "main_world_eval": true}"#;
        assert_eq!(demanded(other), ["fonts", "humanize", "addons", "main_world_eval"]);
    }
}
