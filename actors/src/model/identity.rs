//! The identity of a session: what its request asks for, and what that is once the place of its exit is known.

use std::collections::BTreeMap;
use std::sync::Arc;

use camofleet_api::egress::ProxyCheck;
use camofleet_api::identity::{
    Coherence, Contradiction, EngineChoice, Geolocation, Identity, Languages, OrAuto, Preferences,
    ScreenChoice, TimeZone, Webrtc,
};
use camofleet_api::machine::MachineChoice;
use camofleet_api::request::SessionRequest;
use icu_locale::{LanguageIdentifier, LocaleExpander};

use super::error::{Error, Result};

/// Where the fields of an identity come from, as [`camofleet_api::identity::IdentityReport`] names it.
pub type IdentitySources = Arc<BTreeMap<String, String>>;

/// What a request asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentityChoice {
    /// The languages.
    pub locale: Option<OrAuto<Languages>>,
    /// The time zone.
    pub timezone: Option<OrAuto<TimeZone>>,
    /// The place.
    pub geolocation: Option<OrAuto<Geolocation>>,
    /// The screen.
    pub screen: Option<ScreenChoice>,
    /// What pages can do with WebRTC.
    pub webrtc: Option<Webrtc>,
    /// Whether pages show no images.
    pub block_images: bool,
    /// Preferences of Firefox.
    pub user_preferences: Preferences,
    /// The machine.
    pub machine: MachineChoice,
}

impl From<&SessionRequest> for IdentityChoice {
    fn from(request: &SessionRequest) -> Self {
        Self {
            locale: request.locale.clone(),
            timezone: request.timezone.clone(),
            geolocation: request.geolocation.clone(),
            screen: request.screen,
            webrtc: request.webrtc,
            block_images: request.block_images,
            user_preferences: request.user_preferences.clone(),
            machine: request.machine.clone(),
        }
    }
}

impl IdentityChoice {
    /// The names of the fields that any browser may be able to show, as requests have them.
    pub const FIELDS: [&'static str; 7] =
        ["locale", "timezone", "geolocation", "screen", "webrtc", "block_images", "user_preferences"];

    /// The names of all fields, as requests have them.
    pub fn all_fields() -> impl Iterator<Item = &'static str> {
        Self::FIELDS.into_iter().chain(MachineChoice::FIELDS)
    }

    /// The field with this name.
    pub(crate) fn field_named(name: &str) -> Option<&'static str> {
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

    /// The first field that a worker can't show which can show these.
    pub fn lacking(&self, able: &[String], coherence: Coherence) -> Option<&'static str> {
        // Sessions of one screen can't have another, which is only shown if the request wants that.
        let leaves_out = |field| field == "screen" && coherence == Coherence::Warn && !able.is_empty();
        self.fields().find(|field| !able.iter().any(|able| able == field) && !leaves_out(*field))
    }

    /// Where each field that it has comes from.
    pub fn sources(&self) -> IdentitySources {
        let from_exit = self.decided_by_exit();
        let source = |field| if from_exit.contains(&field) { "exit" } else { "request" };
        Arc::new(self.fields().map(|field| (field.to_owned(), source(field).to_owned())).collect())
    }

    /// The fields that the place of the exit decides.
    fn decided_by_exit(&self) -> Vec<&'static str> {
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

    /// The identity of a browser with this exit.
    ///
    /// # Errors
    /// [`Error::NoExitPlace`]: what is to be taken from the exit is not known of it.
    pub fn at_exit(&self, exit: &ProxyCheck) -> Result<Identity> {
        let unknown = |field, what: &str| {
            let problem = match &exit.error {
                Some(error) => error.clone(),
                None => format!("the {what} of {} is not known", exit.exit_ip.as_deref().unwrap_or("it")),
            };
            Error::NoExitPlace { field, problem }
        };
        let mut identity = self.given();
        if self.locale == Some(OrAuto::Auto) {
            let languages = exit.country.as_deref().and_then(languages_of);
            identity.locale = Some(languages.ok_or_else(|| unknown("locale", "country"))?);
        }
        if self.timezone == Some(OrAuto::Auto) {
            let zone = exit.timezone.as_deref().and_then(TimeZone::from_name);
            identity.timezone = Some(zone.ok_or_else(|| unknown("timezone", "time zone"))?);
        }
        if self.geolocation == Some(OrAuto::Auto) {
            identity.geolocation = Some(exit.location.ok_or_else(|| unknown("geolocation", "place"))?);
        }
        Ok(identity)
    }
}

/// What does not fit, in plain text; `None` if nothing contradicts.
pub fn contradictions_text(contradictions: &[Contradiction]) -> Option<String> {
    let details: Vec<&str> = contradictions.iter().map(|one| one.detail.as_str()).collect();
    (!details.is_empty()).then(|| details.join("; "))
}

/// The sources of an identity that a profile has kept.
pub(crate) fn sources_of_profile(identity: &Identity) -> IdentitySources {
    let fields = serde_json::to_value(identity).unwrap_or_default();
    let is_set = |field: &&str| {
        let nothing = serde_json::to_value(Identity::default()).unwrap_or_default();
        fields[*field] != nothing[*field]
    };
    let set = IdentityChoice::FIELDS.into_iter().filter(is_set);
    Arc::new(set.map(|field| (field.to_owned(), "profile".to_owned())).collect())
}

/// The error of a worker that has another engine than its request wants.
pub(crate) fn other_engine(wanted: EngineChoice, has: &str) -> Error {
    let wanted = wanted.as_str();
    let reason = format!(
        "the browsers here are {has}; leave it out, or name a worker whose 'facts.engine.name' is {wanted} in GET /workers"
    );
    Error::Identity { field: "engine", reason }
}

/// Draws the screen of a request that has limits for it: the size of a common screen, the more common the likelier.
pub(crate) fn draw_screen(request: &mut SessionRequest) {
    let Some(ScreenChoice::Range(range)) = request.screen else { return };
    let all: u32 = range.sizes().map(|(_, share)| share).sum();
    let mut drawn = fastrand::u32(..all.max(1));
    let size = range.sizes().find(|(_, share)| {
        let found = drawn < *share;
        drawn = drawn.saturating_sub(*share);
        found
    });
    request.screen = size.map(|(size, _)| ScreenChoice::Size(size));
}

/// The language that most people speak in a country (ISO 3166-1, two letters): `de` in `AT`.
pub(crate) fn main_language(country: &str) -> Option<String> {
    if country.len() != 2 {
        return None;
    }
    let mut likely: LanguageIdentifier = format!("und-{country}").parse().ok()?;
    LocaleExpander::new_extended().maximize(&mut likely);
    // Where the data has no language for a country, that is English, its default.
    let language = if likely.language.is_unknown() { "en" } else { likely.language.as_str() };
    Some(language.to_owned())
}

/// What most browsers in a country accept: its most common language, and English.
fn languages_of(country: &str) -> Option<Languages> {
    let language = main_language(country)?;
    let local = format!("{language}-{}", country.to_ascii_uppercase());
    Languages::of([local.as_str(), language.as_str(), "en-US", "en"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(languages: Option<Languages>) -> String {
        languages.map_or_else(|| "-".to_owned(), |languages| languages.tags().join(","))
    }

    #[test]
    fn the_languages_of_a_country_are_its_most_common_one_and_english() {
        for (country, expected) in [
            ("AT", "de-AT,de,en-US,en"),
            ("us", "en-US,en"),
            ("GB", "en-GB,en,en-US"),
            ("JP", "ja-JP,ja,en-US,en"),
            ("BR", "pt-BR,pt,en-US,en"),
            ("UA", "uk-UA,uk,en-US,en"),
            ("TW", "zh-TW,zh,en-US,en"),
            ("ca", "en-CA,en,en-US"),
            ("7?", "-"),
            ("", "-"),
            ("Austria", "-"),
        ] {
            assert_eq!(tags(languages_of(country)), expected, "{country}");
        }
    }

    fn choice(body: &str) -> IdentityChoice {
        IdentityChoice::from(&SessionRequest::parse(body.as_bytes()).unwrap())
    }

    #[test]
    fn what_is_given_needs_no_exit() {
        let choice = choice(
            r#"{"locale": "de-AT", "timezone": "Europe/Vienna", "screen": {"width": 800, "height": 600}}"#,
        );
        assert!(!choice.needs_exit());
        let identity = choice.given();
        assert_eq!(tags(identity.locale.clone()), "de-AT,de");
        assert_eq!(identity.timezone.unwrap().name(), "Europe/Vienna");
        assert_eq!(choice.fields().collect::<Vec<_>>(), ["locale", "timezone", "screen"]);
        assert_eq!(tags(self::choice(r#"{"locale": ["de-AT"]}"#).given().locale), "de-AT,de");
        assert_eq!(tags(self::choice(r#"{"locale": ["fr-CA", "en-CA"]}"#).given().locale), "fr-CA,en-CA");
    }

    #[test]
    fn what_is_left_to_the_exit_is_taken_from_it() {
        let choice = choice(r#"{"locale": "auto", "timezone": "auto", "geolocation": "auto"}"#);
        assert!(choice.needs_exit());
        assert_eq!(choice.given(), Identity::default());
        let exit = ProxyCheck {
            ok: true,
            exit_ip: Some("192.0.2.1".into()),
            country: Some("JP".into()),
            timezone: Some("Asia/Tokyo".into()),
            location: Geolocation::new(35.7, 139.7, 5_000.0),
            ..ProxyCheck::default()
        };
        let identity = choice.at_exit(&exit).unwrap();
        let sources: Vec<_> =
            choice.sources().iter().map(|(field, from)| format!("{field} {from}")).collect();
        assert_eq!(sources, ["geolocation exit", "locale exit", "timezone exit"]);
        assert_eq!(sources_of_profile(&identity).values().collect::<Vec<_>>(), ["profile"; 3]);
        assert_eq!(tags(identity.locale), "ja-JP,ja,en-US,en");
        assert_eq!(identity.timezone.unwrap().name(), "Asia/Tokyo");
        assert_eq!(
            identity.geolocation.map(|place| (place.latitude(), place.accuracy())),
            Some((35.7, 5000.0))
        );
    }

    #[test]
    fn a_screen_is_drawn_within_its_limits_and_common_ones_more_often() {
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..2000 {
            let mut request =
                SessionRequest::parse(br#"{"screen": {"min_width": 1900, "min_height": 1080}}"#).unwrap();
            draw_screen(&mut request);
            let size = request.screen.and_then(ScreenChoice::size).unwrap();
            assert!(size.width >= 1900 && size.height >= 1080, "{size:?}");
            *counts.entry((size.width, size.height)).or_insert(0) += 1;
        }
        // 40 of 55 have this one, and one of them each of the rarest.
        let most = counts[&(1920, 1080)];
        assert!((1300..1600).contains(&most) && counts.len() > 3, "{counts:?}");
        let mut size = SessionRequest::parse(br#"{"screen": {"width": 801, "height": 600}}"#).unwrap();
        draw_screen(&mut size);
        assert_eq!(size.screen.and_then(ScreenChoice::size).map(|size| size.width), Some(801));
    }

    #[test]
    fn a_worker_lacks_what_it_can_not_show_but_may_be_asked_for_another_screen_with_a_warning() {
        let screen = choice(r#"{"timezone": "UTC", "screen": {"width": 800, "height": 600}}"#);
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
    fn what_is_not_known_of_the_exit_is_an_error() {
        let choice = choice(r#"{"timezone": "auto"}"#);
        let nowhere = ProxyCheck { ok: true, exit_ip: Some("192.0.2.1".into()), ..ProxyCheck::default() };
        let error = choice.at_exit(&nowhere).unwrap_err().to_string();
        assert!(error.contains("the time zone of 192.0.2.1 is not known"), "{error}");
        let failed = ProxyCheck { error: Some("the proxy can't be reached".into()), ..ProxyCheck::default() };
        let error = choice.at_exit(&failed).unwrap_err().to_string();
        assert!(error.contains("the proxy can't be reached"), "{error}");
    }
}
