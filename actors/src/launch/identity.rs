//! Which identities browsers can show, and how a Firefox is made to: by its environment and preferences alone, so that pages,
//! frames, workers and headers agree.

use std::collections::BTreeMap;

use camofleet_api::identity::{Coherence, Contradiction, Geolocation, Identity, Languages, ScreenSize};
use camofleet_api::request::SessionRequest;
use serde_json::{Value, json};

use super::launcher::LaunchSettings;
use crate::display::Geometry;
use crate::host::engine::EngineKind;
use crate::model::error::{Error, Result};
use crate::model::identity::IdentityChoice;

/// How the names of the variables begin from which a browser takes its languages.
const LANGUAGE_VARIABLES: [&str; 2] = ["LANG", "LC_"];

impl LaunchSettings {
    /// The fields of a create request about the identity that browsers can show here.
    pub fn identity_fields(&self) -> impl Iterator<Item = &'static str> {
        IdentityChoice::FIELDS.into_iter().filter(|field| self.obstacle_to(field).is_none())
    }

    /// Rejects an identity that browsers can't show here.
    ///
    /// # Errors
    /// [`Error::Identity`], [`Error::NoExitIpUrl`].
    pub fn check_identity(&self, identity: &IdentityChoice, coherence: Coherence) -> Result<()> {
        for field in identity.fields() {
            if field == "screen" && (coherence == Coherence::Warn || identity.screen == self.shared_size()) {
                // See `fit_screen`.
                continue;
            }
            if let Some(reason) = self.obstacle_to(field) {
                return Err(Error::Identity { field, reason });
            }
        }
        if identity.needs_exit() && self.egress.checks.urls.is_empty() {
            return Err(Error::NoExitIpUrl);
        }
        Ok(())
    }

    /// Leaves the screen out of a request whose browser gets the screen that all sessions share, and says if that has another
    /// size.
    pub fn fit_screen(&self, request: &mut SessionRequest, headless: bool) -> Option<Contradiction> {
        let shared = self.shared_size().filter(|_| !headless)?;
        let wanted = request.screen.take().filter(|wanted| *wanted != shared)?;
        let size = |size: ScreenSize| format!("{}x{}", size.width, size.height);
        let (value, fact) = (size(wanted), size(shared));
        let detail = format!("screen: {value} is not the size of the screen that all sessions share, {fact}");
        Some(Contradiction { field: "screen".to_owned(), value, against: "display".to_owned(), fact, detail })
    }

    /// The size of the screen that all sessions share.
    fn shared_size(&self) -> Option<ScreenSize> {
        let Geometry { width, height, .. } = self.display.shared.as_ref()?.geometry;
        Some(ScreenSize { width, height })
    }

    /// Why a field of an identity can't be set here.
    fn obstacle_to(&self, field: &str) -> Option<String> {
        if self.engine.kind == EngineKind::Camoufox {
            let reason = "it can't be set for Camoufox yet, which draws an identity of its own; leave it out";
            return Some(reason.to_owned());
        }
        let ScreenSize { width, height } = self.shared_size().filter(|_| field == "screen")?;
        Some(format!(
            "all sessions here share one screen of {width}x{height} (RUNNER_VNC_LEGACY); leave it out, or set \"coherence\": \
             \"warn\""
        ))
    }
}

/// Sets the variables of an identity in the environment of a browser, instead of those of this machine.
pub(super) fn set_environment(identity: &Identity, env: &mut BTreeMap<String, String>) {
    if let Some(languages) = &identity.locale {
        env.retain(|name, _| !LANGUAGE_VARIABLES.iter().any(|beginning| name.starts_with(beginning)));
        env.insert("LC_ALL".to_owned(), posix_locale(languages.first()));
        env.insert("LANG".to_owned(), posix_locale(languages.first()));
    }
    if let Some(zone) = &identity.timezone {
        env.insert("TZ".to_owned(), zone.name().to_owned());
    }
}

/// `de_AT.UTF-8` for `de-AT`. The system need not have it: Firefox formats with its own data.
fn posix_locale(tag: &str) -> String {
    let mut parts = tag.split('-');
    let language = parts.next().unwrap_or_default();
    // A script is not part of it.
    let region = parts.find(|part| part.len() < 4);
    let region = region.map(|region| format!("_{region}")).unwrap_or_default();
    format!("{language}{region}.UTF-8")
}

/// The preferences of an identity.
pub(super) fn preferences(identity: &Identity) -> BTreeMap<String, Value> {
    let locale = identity.locale.as_ref().map(languages);
    let place = identity.geolocation.as_ref().map(geolocation);
    locale
        .into_iter()
        .flatten()
        .chain(place.into_iter().flatten())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn languages(languages: &Languages) -> Vec<(&'static str, Value)> {
    vec![
        ("intl.accept_languages", languages.tags().join(", ").into()),
        // Dates and numbers are formatted as those of the operating system, which is that of the environment.
        ("intl.regional_prefs.use_os_locales", true.into()),
        // Of the browser's own texts, where it has them in that language.
        ("intl.locale.requested", format!("{},en-US", languages.first()).into()),
    ]
}

fn geolocation(place: &Geolocation) -> Vec<(&'static str, Value)> {
    let answer = json!({
        "location": {"lat": place.latitude(), "lng": place.longitude()},
        "accuracy": place.accuracy(),
    });
    vec![
        ("geo.enabled", true.into()),
        // Instead of a service that would look up the networks around this machine.
        ("geo.provider.network.url", format!("data:application/json,{answer}").into()),
        ("geo.provider.use_geoclue", false.into()),
        ("geo.provider.use_gpsd", false.into()),
        // Pages get it without a question that nobody answers.
        ("permissions.default.geo", 1.into()),
    ]
}

#[cfg(test)]
mod tests {
    use camofleet_api::request::SessionRequest;

    use super::*;

    fn identity(body: &str) -> Identity {
        IdentityChoice::from(&SessionRequest::parse(body.as_bytes()).unwrap()).given()
    }

    #[test]
    fn the_environment_is_that_of_the_identity_and_not_of_the_machine() {
        let machine =
            [("LANG", "C"), ("LC_TIME", "fr_FR"), ("LANGUAGE", "fr"), ("TZ", "UTC"), ("PATH", "/bin")];
        let machine: BTreeMap<String, String> =
            machine.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let mut env = machine.clone();
        set_environment(&identity(r#"{"locale": "zh-Hant-TW", "timezone": "Asia/Taipei"}"#), &mut env);
        let set = env.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ");
        assert_eq!(set, "LANG=zh_TW.UTF-8 LC_ALL=zh_TW.UTF-8 PATH=/bin TZ=Asia/Taipei");
        let mut untouched = machine.clone();
        set_environment(&Identity::default(), &mut untouched);
        assert_eq!(untouched, machine);
    }

    #[test]
    fn the_preferences_are_those_of_the_identity() {
        assert!(preferences(&Identity::default()).is_empty());
        let set = preferences(&identity(
            r#"{"locale": ["de-AT", "de"], "geolocation": {"latitude": 48.2, "longitude": 16.4}}"#,
        ));
        assert_eq!(set["intl.accept_languages"], "de-AT, de");
        assert_eq!(set["intl.locale.requested"], "de-AT,en-US");
        assert_eq!(
            set["geo.provider.network.url"],
            r#"data:application/json,{"accuracy":50.0,"location":{"lat":48.2,"lng":16.4}}"#
        );
    }
}
