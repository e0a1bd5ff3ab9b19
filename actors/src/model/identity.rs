//! The identity of a session: what its request asks for, and what that is once the place of its exit is known.

use std::collections::BTreeMap;
use std::sync::Arc;

use camofleet_api::egress::ProxyCheck;
use camofleet_api::identity::{
    Contradiction, EngineChoice, Identity, Languages, OrAuto, ScreenChoice, TimeZone,
};
use camofleet_api::identity_request::IdentityRequest;
use icu_locale::{LanguageIdentifier, LocaleExpander};

use super::error::{Error, Result};

/// Where the fields of an identity come from, as [`camofleet_api::identity::IdentityReport`] names it.
pub type IdentitySources = Arc<BTreeMap<String, String>>;

/// Where each field of a request comes from.
pub(crate) fn sources_of_request(request: &IdentityRequest) -> IdentitySources {
    let from_exit = request.decided_by_exit();
    let source = |field| if from_exit.contains(&field) { "exit" } else { "request" };
    Arc::new(request.fields().map(|field| (field.to_owned(), source(field).to_owned())).collect())
}

/// The identity that was requested, of a browser with this exit.
///
/// # Errors
/// [`Error::NoExitPlace`]: what is to be taken from the exit is not known of it.
pub(crate) fn identity_at_exit(request: &IdentityRequest, exit: &ProxyCheck) -> Result<Identity> {
    let unknown = |field, what: &str| {
        let problem = match &exit.error {
            Some(error) => error.clone(),
            None => format!("the {what} of {} is not known", exit.exit_ip.as_deref().unwrap_or("it")),
        };
        Error::NoExitPlace { field, problem }
    };
    let mut identity = request.given();
    if request.locale == Some(OrAuto::Auto) {
        let languages = exit.country.as_deref().and_then(languages_of);
        identity.locale = Some(languages.ok_or_else(|| unknown("locale", "country"))?);
    }
    if request.timezone == Some(OrAuto::Auto) {
        let zone = exit.timezone.as_deref().and_then(TimeZone::from_name);
        identity.timezone = Some(zone.ok_or_else(|| unknown("timezone", "time zone"))?);
    }
    if request.geolocation == Some(OrAuto::Auto) {
        identity.geolocation = Some(exit.location.ok_or_else(|| unknown("geolocation", "place"))?);
    }
    Ok(identity)
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
    let set = IdentityRequest::FIELDS.into_iter().filter(is_set);
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
pub(crate) fn draw_screen(request: &mut IdentityRequest) {
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
    use camofleet_api::identity::Geolocation;
    use camofleet_api::request::SessionRequest;

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

    fn choice(body: &str) -> IdentityRequest {
        SessionRequest::parse(body.as_bytes()).unwrap().identity
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
        let identity = identity_at_exit(&choice, &exit).unwrap();
        let sources: Vec<_> =
            sources_of_request(&choice).iter().map(|(field, from)| format!("{field} {from}")).collect();
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
            draw_screen(&mut request.identity);
            let size = request.identity.screen.and_then(ScreenChoice::size).unwrap();
            assert!(size.width >= 1900 && size.height >= 1080, "{size:?}");
            *counts.entry((size.width, size.height)).or_insert(0) += 1;
        }
        // 40 of 55 have this one, and one of them each of the rarest.
        let most = counts[&(1920, 1080)];
        assert!((1300..1600).contains(&most) && counts.len() > 3, "{counts:?}");
        let mut size = SessionRequest::parse(br#"{"screen": {"width": 801, "height": 600}}"#).unwrap();
        draw_screen(&mut size.identity);
        assert_eq!(size.identity.screen.and_then(ScreenChoice::size).map(|size| size.width), Some(801));
    }

    #[test]
    fn what_is_not_known_of_the_exit_is_an_error() {
        let choice = choice(r#"{"timezone": "auto"}"#);
        let nowhere = ProxyCheck { ok: true, exit_ip: Some("192.0.2.1".into()), ..ProxyCheck::default() };
        let error = identity_at_exit(&choice, &nowhere).unwrap_err().to_string();
        assert!(error.contains("the time zone of 192.0.2.1 is not known"), "{error}");
        let failed = ProxyCheck { error: Some("the proxy can't be reached".into()), ..ProxyCheck::default() };
        let error = identity_at_exit(&choice, &failed).unwrap_err().to_string();
        assert!(error.contains("the proxy can't be reached"), "{error}");
    }
}
