//! Whether an identity fits the place where the connections of its session leave. Sites compare the two by the address that
//! they see.

use camofleet_api::egress::ProxyCheck;
use camofleet_api::identity::{Contradiction, Identity, Languages};
use icu_time::zone::IanaParser;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::egress::timezone_at;
use crate::model::identity::main_language;

/// Whether an identity has something that the place of its exit can contradict.
pub(crate) fn is_comparable(identity: &Identity) -> bool {
    identity.locale.is_some() || identity.timezone.is_some() || identity.geolocation.is_some()
}

/// What of an identity does not fit the place of its exit now; `None` if nothing is known of that place.
///
/// - Languages fit if one of them is of the exit's country, or is the one that most people speak there: `de-AT` and `de-DE` fit
///   Austria. A language without a country, such as `de`, says nothing of a place.
/// - A time zone fits if it has the same time as that of the exit at present, and is of the same country.
/// - A position fits if the time zone there does.
pub(crate) fn contradictions(
    identity: &Identity,
    exit: &ProxyCheck,
    now: Timestamp,
) -> Option<Vec<Contradiction>> {
    let exit = ExitPlace::of(exit)?;
    let locale = identity.locale.as_ref().and_then(|languages| exit.against_languages(languages));
    let timezone = identity.timezone.as_ref().and_then(|zone| {
        let (against, fact) = exit.against_zone(zone.name(), now)?;
        Some(exit.contradiction("timezone", zone.name().to_owned(), "", against, fact))
    });
    let geolocation = identity.geolocation.and_then(|place| {
        let zone = timezone_at(place.longitude(), place.latitude())?;
        let (against, fact) = exit.against_zone(&zone, now)?;
        let value = format!("{}, {}", place.latitude(), place.longitude());
        Some(exit.contradiction("geolocation", value, &format!(" in the time zone {zone}"), against, fact))
    });
    Some([locale, timezone, geolocation].into_iter().flatten().collect())
}

/// What is known of the place of an exit.
struct ExitPlace<'a> {
    check: &'a ProxyCheck,
    /// The code of its country.
    country: Option<String>,
    /// The name of its time zone.
    zone: Option<&'a str>,
}

impl<'a> ExitPlace<'a> {
    fn of(check: &'a ProxyCheck) -> Option<Self> {
        let zone = check.timezone.as_deref();
        let country = check.country.as_ref().map(|country| country.to_ascii_uppercase());
        let country = country.or_else(|| country_of_zone(zone?));
        (country.is_some() || zone.is_some()).then_some(Self { check, country, zone })
    }

    fn against_languages(&self, languages: &Languages) -> Option<Contradiction> {
        let country = self.country.as_deref()?;
        let spoken = main_language(country);
        let mut others =
            languages.tags().iter().filter_map(|tag| Some((tag, country_of_tag(tag)?))).peekable();
        others.peek()?;
        let fits = |(tag, of): (&String, &str)| {
            of == country || spoken.as_deref().is_some_and(|spoken| tag.split('-').next() == Some(spoken))
        };
        if others.any(fits) {
            return None;
        }
        let value = languages.tags().join(", ");
        Some(self.contradiction("locale", value, "", "exit_country", country.to_owned()))
    }

    /// What a time zone contradicts, if something.
    fn against_zone(&self, zone: &str, now: Timestamp) -> Option<(&'static str, String)> {
        if self.zone == Some(zone) {
            return None;
        }
        if let Some(own) = self.zone
            && offset(own, now).zip(offset(zone, now)).is_some_and(|(own, given)| own != given)
        {
            return Some(("exit_timezone", own.to_owned()));
        }
        let (country, of) = (self.country.clone()?, country_of_zone(zone)?);
        (country != of).then_some(("exit_country", country))
    }

    fn contradiction(
        &self,
        field: &str,
        value: String,
        more: &str,
        against: &str,
        fact: String,
    ) -> Contradiction {
        let city = self.check.city.as_ref().map(|city| format!(" ({city})")).unwrap_or_default();
        let country = self.country.as_ref().map(|country| format!(" in {country}{city}")).unwrap_or_default();
        let zone = self.zone.map(|zone| format!(", whose time zone is {zone}")).unwrap_or_default();
        let address = self.check.exit_ip.as_deref().unwrap_or_default();
        let detail = format!("{field}: {value}{more} does not fit the exit {address}{country}{zone}");
        Contradiction { field: field.to_owned(), value, against: against.to_owned(), fact, detail }
    }
}

/// The country in a language tag, as `AT` in `de-AT`; a group of countries, as in `es-419`, is none.
fn country_of_tag(tag: &str) -> Option<&str> {
    tag.split('-').skip(1).find(|part| part.len() == 2)
}

/// The country of a time zone; `None` for those of no country, such as `UTC`.
fn country_of_zone(zone: &str) -> Option<String> {
    // CLDR's own names of time zones begin with the country, as the places of UN/LOCODE do, except for a few.
    let place = IanaParser::new().parse(zone);
    let place = place.as_str();
    let country = match place {
        "jeruslm" => "il",
        "gazastrp" | "hebron" => "ps",
        // `utc`, `gmt`, `utce05`, `est5edt`, and `unk` for those that it does not know.
        _ if place.len() < 5
            || place.starts_with("utc")
            || place.bytes().any(|byte| byte.is_ascii_digit()) =>
        {
            return None;
        }
        _ => place.get(..2)?,
    };
    Some(country.to_ascii_uppercase())
}

/// How many seconds a time zone is ahead of UTC.
fn offset(zone: &str, now: Timestamp) -> Option<i32> {
    Some(TimeZone::get(zone).ok()?.to_offset(now).seconds())
}

#[cfg(test)]
mod tests {
    use camofleet_api::request::SessionRequest;

    use super::*;

    fn exit(country: &str, city: &str, timezone: &str) -> ProxyCheck {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        ProxyCheck {
            ok: true,
            exit_ip: Some("192.0.2.1".into()),
            country: text(country),
            city: text(city),
            timezone: text(timezone),
            ..ProxyCheck::default()
        }
    }

    /// What contradicts, as `field:against:fact`; `?` if the place is not known.
    fn compared(body: &str, exit: &ProxyCheck, at: &str) -> String {
        let identity = SessionRequest::parse(body.as_bytes()).unwrap().identity.given();
        let Some(found) = contradictions(&identity, exit, at.parse().unwrap()) else { return "?".to_owned() };
        let found = found.iter().map(|one| format!("{}:{}:{}", one.field, one.against, one.fact));
        found.collect::<Vec<_>>().join(" ")
    }

    const WINTER: &str = "2026-01-15T12:00:00Z";
    const SUMMER: &str = "2026-07-15T12:00:00Z";

    #[test]
    fn languages_fit_their_country_and_where_most_people_speak_them() {
        for (locale, country, expected) in [
            (r#""de-AT""#, "AT", ""),
            (r#""de-DE""#, "AT", ""),
            (r#""en-US""#, "GB", ""),
            (r#""fr-CA""#, "CA", ""),
            (r#"["ja-JP", "en-US"]"#, "US", ""),
            (r#"["en-US", "de-DE"]"#, "CH", ""),
            (r#""zh-Hant-TW""#, "TW", ""),
            // These say nothing of a place.
            (r#""de""#, "JP", ""),
            (r#"["de", "en"]"#, "JP", ""),
            (r#""es-419""#, "JP", ""),
            (r#""de-AT""#, "JP", "locale:exit_country:JP"),
            (r#""en-US""#, "jp", "locale:exit_country:JP"),
            (r#"["en-US", "en"]"#, "DE", "locale:exit_country:DE"),
            (r#""fr-FR""#, "GB", "locale:exit_country:GB"),
        ] {
            let found = compared(&format!(r#"{{"locale": {locale}}}"#), &exit(country, "", ""), WINTER);
            assert_eq!(found, expected, "{locale} in {country}");
        }
    }

    #[test]
    fn a_time_zone_fits_that_has_the_same_time_in_the_same_country() {
        let (berlin, new_york) = (exit("DE", "Berlin", "Europe/Berlin"), exit("US", "", "America/New_York"));
        for (zone, exit, at, expected) in [
            ("Europe/Berlin", &berlin, WINTER, ""),
            ("Europe/Busingen", &berlin, WINTER, ""),
            ("America/Detroit", &new_york, WINTER, ""),
            ("US/Eastern", &new_york, WINTER, ""),
            ("Europe/Vienna", &berlin, WINTER, "timezone:exit_country:DE"),
            ("America/Toronto", &new_york, WINTER, "timezone:exit_country:US"),
            ("Asia/Tokyo", &berlin, WINTER, "timezone:exit_timezone:Europe/Berlin"),
            ("America/Los_Angeles", &new_york, WINTER, "timezone:exit_timezone:America/New_York"),
            // Lagos has the time of Berlin in winter only.
            ("Africa/Lagos", &exit("", "", "Europe/Berlin"), WINTER, "timezone:exit_country:DE"),
            ("Africa/Lagos", &berlin, SUMMER, "timezone:exit_timezone:Europe/Berlin"),
            ("UTC", &exit("GB", "", "Europe/London"), WINTER, ""),
            ("UTC", &exit("GB", "", "Europe/London"), SUMMER, "timezone:exit_timezone:Europe/London"),
            // What a database knows differently than the time zones do still fits itself.
            ("Europe/Belgrade", &exit("XK", "", "Europe/Belgrade"), WINTER, ""),
            ("Europe/Vienna", &exit("AT", "", ""), WINTER, ""),
            ("Europe/Vienna", &exit("JP", "", ""), WINTER, "timezone:exit_country:JP"),
            ("Europe/Vienna", &exit("", "", ""), WINTER, "?"),
        ] {
            let found = compared(&format!(r#"{{"timezone": "{zone}"}}"#), exit, at);
            assert_eq!(found, expected, "{zone} at {exit:?}");
        }
    }

    #[test]
    fn a_position_fits_by_the_time_zone_there() {
        let place = |latitude, longitude| {
            format!(r#"{{"geolocation": {{"latitude": {latitude}, "longitude": {longitude}}}}}"#)
        };
        let berlin = exit("DE", "Berlin", "Europe/Berlin");
        assert_eq!(compared(&place(48.14, 11.58), &berlin, WINTER), "");
        assert_eq!(compared(&place(48.2, 16.4), &berlin, WINTER), "geolocation:exit_country:DE");
        assert_eq!(
            compared(&place(35.69, 139.69), &berlin, WINTER),
            "geolocation:exit_timezone:Europe/Berlin"
        );
    }

    #[test]
    fn the_text_has_both_sides() {
        let request = r#"{"locale": "de-AT", "geolocation": {"latitude": 48.2, "longitude": 16.4}}"#;
        let identity = SessionRequest::parse(request.as_bytes()).unwrap().identity.given();
        let found = contradictions(&identity, &exit("JP", "Tokyo", "Asia/Tokyo"), WINTER.parse().unwrap());
        let texts: Vec<String> = found.unwrap().into_iter().map(|one| one.detail).collect();
        assert_eq!(
            texts,
            [
                "locale: de-AT, de does not fit the exit 192.0.2.1 in JP (Tokyo), whose time zone is Asia/Tokyo",
                "geolocation: 48.2, 16.4 in the time zone Europe/Vienna does not fit the exit 192.0.2.1 in JP (Tokyo), \
                 whose time zone is Asia/Tokyo",
            ]
        );
    }

    #[test]
    fn every_time_zone_with_a_place_has_a_country() {
        let mut without = Vec::new();
        for zone in jiff::tz::db().available() {
            let zone = zone.as_str();
            let Some(country) = country_of_zone(zone) else {
                without.push(zone.to_owned());
                continue;
            };
            assert!(country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()), "{zone}");
        }
        let of_a_place: Vec<_> = without
            .iter()
            .filter(|zone| zone.contains('/') && !zone.starts_with("Etc/") && !zone.starts_with("posix"))
            .collect();
        assert_eq!(of_a_place, [""; 0]);
        for (zone, country) in [
            ("Asia/Jerusalem", "IL"),
            ("Asia/Gaza", "PS"),
            ("America/Indiana/Knox", "US"),
            ("Arctic/Longyearbyen", "SJ"),
            ("America/Danmarkshavn", "GL"),
            ("Asia/Ust-Nera", "RU"),
            ("Asia/Calcutta", "IN"),
        ] {
            assert_eq!(country_of_zone(zone).as_deref(), Some(country), "{zone}");
        }
    }
}
