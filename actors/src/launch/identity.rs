//! Which identities browsers can show, and how a Firefox is made to: by its environment and preferences alone, so that pages,
//! frames, workers and headers agree.

use std::collections::BTreeMap;
use std::path::PathBuf;

use camofleet_api::identity::{
    Coherence, Contradiction, Geolocation, Identity, Languages, PreferenceValue, ScreenChoice, ScreenSize,
    Webrtc,
};
use camofleet_api::identity_request::IdentityRequest;
use camofleet_api::machine::MachineChoice;
use camofleet_api::request::SessionRequest;
use serde_json::{Value, json};

use super::launcher::LaunchSettings;
use crate::display::Geometry;
use crate::host::engine::EngineKind;
use crate::model::error::{Error, Result};
use crate::model::identity::other_engine;

/// How the names of the variables begin from which a browser takes its languages.
const LANGUAGE_VARIABLES: [&str; 2] = ["LANG", "LC_"];

impl LaunchSettings {
    /// The fields of a create request about the identity that browsers can show here.
    pub fn identity_fields(&self) -> impl Iterator<Item = &'static str> {
        IdentityRequest::all_fields().filter(|field| self.obstacle_to(field).is_none())
    }

    /// Rejects an identity that browsers can't show here.
    ///
    /// # Errors
    /// [`Error::Identity`], [`Error::NoExitIpUrl`].
    pub fn check_identity(&self, identity: &IdentityRequest, coherence: Coherence) -> Result<()> {
        for field in identity.demands() {
            let fits = || {
                let (wanted, shared) = (identity.screen?, self.shared_size()?);
                Some(coherence == Coherence::Warn || wanted.allows(shared))
            };
            if field == "screen" && fits() == Some(true) {
                // See `fit_screen`.
                continue;
            }
            if let Some(reason) = self.obstacle_to(field) {
                return Err(Error::Identity { field, reason });
            }
        }
        if identity.webrtc == Some(Webrtc::On) && !self.webrtc_direct {
            let reason = "on is not allowed here, because it leaves beside the exit; use proxy, or set RUNNER_WEBRTC_DIRECT";
            return Err(Error::Identity { field: "webrtc", reason: reason.to_owned() });
        }
        for (name, _) in identity.user_preferences.iter() {
            self.check_preference(name)?;
        }
        self.addons(&identity.machine)?;
        let field = identity.from_exit().filter(|_| self.egress.checks.urls.is_empty());
        if field.is_some() {
            return Err(Error::NoExitIpUrl { field });
        }
        Ok(())
    }

    /// Rejects a request for browsers of another engine.
    ///
    /// # Errors
    /// [`Error::Identity`].
    pub fn check_engine(&self, request: &SessionRequest) -> Result<()> {
        match request.engine {
            Some(engine) if engine.as_str() != self.engine.kind.as_str() => {
                Err(other_engine(engine, self.engine.kind.as_str()))
            }
            _ => Ok(()),
        }
    }

    /// Rejects a preference that requests can't set.
    fn check_preference(&self, name: &str) -> Result<()> {
        let prefixes = &self.user_preference_prefixes;
        let reason = if is_reserved(name) {
            format!("{name} is one that camofleet sets itself; leave it out")
        } else if !prefixes.iter().any(|prefix| name.starts_with(prefix.as_str())) {
            let allowed = prefixes.join(", ");
            format!(
                "{name} is not allowed here; RUNNER_USER_PREFERENCE_PREFIXES allows those that begin with {allowed}"
            )
        } else {
            return Ok(());
        };
        Err(Error::Identity { field: "user_preferences", reason })
    }

    /// What pages of a browser can do with WebRTC.
    pub(super) fn webrtc(&self, identity: &Identity) -> Webrtc {
        let default = if self.switches.disable_webrtc { Webrtc::Off } else { Webrtc::Proxy };
        match identity.webrtc {
            // The identity of a profile may come from another machine, where it was allowed.
            Some(Webrtc::On) if !self.webrtc_direct => Webrtc::Proxy,
            webrtc => webrtc.unwrap_or(default),
        }
    }

    /// The preferences that the request of an identity has set and that are allowed here: the identity of a profile may come from
    /// another machine. Those of camofleet take precedence.
    pub(super) fn user_preferences(&self, identity: &Identity) -> BTreeMap<String, Value> {
        let allowed = identity.user_preferences.iter().filter(|(name, _)| {
            let checked = self.check_preference(name);
            if let Err(error) = &checked {
                log::warn!("a profile has a preference that is not set here: {error}");
            }
            checked.is_ok()
        });
        let value = |value: &PreferenceValue| match value {
            PreferenceValue::Switch(on) => json!(on),
            PreferenceValue::Number(number) => json!(number),
            PreferenceValue::Text(text) => json!(text),
        };
        allowed.map(|(name, set)| (name.to_owned(), value(set))).collect()
    }

    /// Leaves the screen out of a request whose browser gets the screen that all sessions share, and says if that has another
    /// size.
    pub fn fit_screen(&self, request: &mut SessionRequest, headless: bool) -> Option<Contradiction> {
        let shared = self.shared_size().filter(|_| !headless)?;
        let wanted = request.identity.screen.take().filter(|wanted| !wanted.allows(shared))?;
        let (value, fact) = (wanted.to_string(), ScreenChoice::Size(shared).to_string());
        let detail = format!("screen: {value} is not the size of the screen that all sessions share, {fact}");
        Some(Contradiction { field: "screen".to_owned(), value, against: "display".to_owned(), fact, detail })
    }

    /// The size of the screen that all sessions share.
    fn shared_size(&self) -> Option<ScreenSize> {
        let Geometry { width, height, .. } = self.display.shared.as_ref()?.geometry;
        Some(ScreenSize { width, height })
    }

    /// The directories of the add-ons that a machine has.
    ///
    /// # Errors
    /// [`Error::UnknownName`].
    pub(super) fn addons(&self, machine: &MachineChoice) -> Result<Vec<PathBuf>> {
        let names = machine.addons.as_deref().unwrap_or_default();
        self.addons.select(names).map_err(|name| Error::UnknownName {
            field: "addons",
            name: name.to_owned(),
            setting: "RUNNER_ADDONS",
            known: self.addons.names().map(str::to_owned).collect(),
        })
    }

    /// Why a field of an identity can't be set here.
    fn obstacle_to(&self, field: &str) -> Option<String> {
        if self.engine.kind != EngineKind::Camoufox && MachineChoice::FIELDS.contains(&field) {
            let reason = "an ordinary Firefox shows the machine that it runs on; leave it out, or use Camoufox \
                          (RUNNER_ENGINE=camoufox)";
            return Some(reason.to_owned());
        }
        if field == "user_preferences" && self.user_preference_prefixes.is_empty() {
            let reason = "no preferences can be set here; leave it out, or allow some with RUNNER_USER_PREFERENCE_PREFIXES";
            return Some(reason.to_owned());
        }
        let shared = ScreenChoice::Size(self.shared_size().filter(|_| field == "screen")?);
        Some(format!(
            "all sessions here share one screen of {shared} (RUNNER_VNC_LEGACY); leave it out, or set \"coherence\": \
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
    let images = identity.block_images.then(|| vec![("permissions.default.image", json!(2))]);
    [locale, place, images]
        .into_iter()
        .flatten()
        .flatten()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// How the names of the preferences begin that camofleet or its driver set, or that would let a request out of its browser.
const RESERVED: &[&str] = &[
    // Connections, and other programs.
    "network.protocol-handler.",
    "network.gio.",
    "security.fileuri.",
    "capability.",
    "network.proxy.",
    "network.dns.",
    "network.trr.",
    "network.process.",
    "network.http.http3.",
    "network.captive-portal-service.",
    "network.connectivity-service.",
    "media.peerconnection.",
    // The identity.
    "geo.",
    "intl.",
    "permissions.default.",
    // The remote control.
    "remote.",
    "marionette.",
    "devtools.debugger.",
    "devtools.chrome.",
    // The sandbox, and code that would run outside of it.
    "security.sandbox.",
    "security.turn_off_all_security_so_that_viruses_can_take_over_this_computer",
    "general.config.",
    "autoadmin.",
    "extensions.",
    "xpinstall.",
    // What the driver sets.
    "signon.",
    "app.",
    "browser.aboutwelcome.",
    "browser.discovery.",
    "browser.messaging-system.",
    "browser.newtabpage.",
    "browser.preonboarding.",
    "browser.rights.",
    "browser.shell.",
    "browser.startup.",
    "browser.tabs.",
    "browser.translations.",
    "browser.uitour.",
    "browser.warnOnQuit",
    "dom.ipc.",
    "places.",
    "datareporting.",
    "termsofuse.",
    "toolkit.",
];

/// Whether requests can't set a preference, whatever the operator allows.
fn is_reserved(name: &str) -> bool {
    RESERVED.iter().any(|prefix| name.starts_with(prefix))
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
    use crate::launch::NetworkSwitches;
    use crate::testing::fake_os::FakeOs;
    use crate::testing::worker_settings;

    fn identity(body: &str) -> Identity {
        SessionRequest::parse(body.as_bytes()).unwrap().identity.given()
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

    #[test]
    fn what_camofleet_sets_itself_is_reserved() {
        let whole = identity(
            r#"{"locale": "de", "geolocation": {"latitude": 1, "longitude": 2}, "block_images": true, "webrtc": "on"}"#,
        );
        let switches = NetworkSwitches { disable_http3: true, disable_webrtc: true };
        let mut own: Vec<String> = preferences(&whole).into_keys().collect();
        own.extend(switches.preferences().into_keys());
        own.extend(crate::egress::preferences(std::path::Path::new("/run")).into_keys());
        // Those of the driver: the quoted keys of its objects.
        let driver = include_str!("../../driver/lib/firefox.mjs");
        let keys = driver.lines().filter_map(|line| line.split_once("': ").map(|(before, _)| before));
        let keys = keys.filter_map(|before| before.rsplit_once('\'').map(|(_, key)| key.to_owned()));
        let keys: Vec<String> = keys.filter(|key| key.contains('.') && !key.contains(' ')).collect();
        assert!(keys.len() > 25, "{keys:?}");
        own.extend(keys.into_iter().filter(|key| !key.contains('/')));
        let free: Vec<_> = own.iter().filter(|name| !is_reserved(name)).collect();
        assert_eq!(free, [""; 0]);
        assert!(
            !is_reserved("browser.display.use_document_fonts")
                && !is_reserved("network.cookie.cookieBehavior")
        );
    }

    #[test]
    fn what_is_not_allowed_here_is_not_set_even_if_an_identity_has_it() {
        let mut settings = worker_settings(&FakeOs::new()).launch;
        let brought = r#"{"webrtc": "on", "user_preferences": {"dom.a": 1, "layout.b": true, "network.proxy.type": 0}}"#;
        let brought = identity(brought);
        assert!(settings.user_preferences(&brought).is_empty());
        assert_eq!(settings.webrtc(&brought), Webrtc::Proxy);
        settings.user_preference_prefixes = vec!["layout.".to_owned(), "network.".to_owned()];
        settings.webrtc_direct = true;
        assert_eq!(settings.user_preferences(&brought), [("layout.b".to_owned(), json!(true))].into());
        assert_eq!(settings.webrtc(&brought), Webrtc::On);
        assert_eq!(settings.webrtc(&Identity::default()), Webrtc::Off);
        settings.switches.disable_webrtc = false;
        assert_eq!(settings.webrtc(&Identity::default()), Webrtc::Proxy);
    }
}
