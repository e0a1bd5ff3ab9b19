//! Create requests, parsed field by field so that errors can name the field.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::facts::seconds;
use crate::fields::{InvalidRequest, field, is_default, object};
use crate::identity::{Coherence, EngineChoice};
use crate::identity_request::IdentityRequest;
use crate::profile::{ProfileMode, ProfileName};
use crate::proxy::{ProxyChoice, ProxyRequest};
use crate::session::{Contexts, OnCrash, StartUrlWait};

/// The idle TTLs that can be requested beside 0, in seconds: up to 30 days. What a session may have depends on its profile
/// and its worker.
const IDLE_TTL: RangeInclusive<u64> = 30..=2_592_000;
/// The longest start URL, in characters.
const START_URL_LIMIT: usize = 1024;

/// The parameters of a new session. Every field may be omitted or null, which selects the worker's default; unknown fields
/// are ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct SessionRequest {
    /// Whether the browser runs headless. The default is a setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headless: Option<bool>,
    /// How long the session may be idle before it ends: 30 to 3600 seconds (a setting). With a profile up to 30 days, or 0 for
    /// as long as it is wanted. The default is a setting.
    #[serde(rename = "idle_ttl_seconds", with = "seconds", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, maximum = 2592000)]
    pub idle_ttl: Option<Duration>,
    /// A page to open; a bare host gets `https://`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1024)]
    pub start_url: Option<String>,
    /// The load state to wait for; with `none` the page is not opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_url_wait: Option<StartUrlWait>,
    /// Names and values of the caller's choice, returned with the session.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    pub labels: BTreeMap<String, String>,
    /// Whether the session has a live view; `true` forces `headless: false`.
    #[schema(value_type = Option<bool>)]
    pub vnc: bool,
    /// Whether the session is rebuilt or ends when its browser, display or driver breaks.
    #[serde(skip_serializing_if = "is_default")]
    #[schema(value_type = Option<OnCrash>)]
    pub on_crash: OnCrash,
    /// What happens to contexts and pages when the last client disconnects.
    #[serde(skip_serializing_if = "is_default")]
    #[schema(value_type = Option<Contexts>)]
    pub contexts: Contexts,
    /// How the browser's connections leave. The default is a setting. Credentials are not returned by any response.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ProxyRequest>)]
    pub proxy: Option<ProxyChoice>,
    /// The names of the block lists whose hosts the browser does not connect to, instead of those of the setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 32)]
    pub block: Option<Vec<String>>,
    /// The profile whose identity, user data and proxy it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileName>,
    /// Whether it changes the profile, or starts with a copy and keeps nothing.
    #[serde(skip_serializing_if = "is_default")]
    #[schema(value_type = Option<ProfileMode>)]
    pub profile_mode: ProfileMode,
    /// Whether a profile that does not exist is made; by default it is, to be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_create: Option<bool>,
    /// The engine of the browser; a worker has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineChoice>,
    /// What happens if the identity contradicts the place where the connections leave.
    #[serde(skip_serializing_if = "is_default")]
    #[schema(value_type = Option<Coherence>)]
    pub coherence: Coherence,
    /// What its pages learn of its user and machine.
    #[serde(flatten)]
    pub identity: IdentityRequest,
}

/// The body of the control role's `POST /sessions`, which may also name the worker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct CreateRequest {
    /// The session's parameters.
    #[serde(flatten)]
    pub session: SessionRequest,
    /// The worker to use; no other is tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
}

/// The body of `PATCH` of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SessionPatch {
    /// How the browser's connections leave from now on; null selects the default. All open connections are closed.
    #[schema(value_type = Option<ProxyRequest>, required)]
    pub proxy: Option<ProxyChoice>,
}

impl SessionPatch {
    /// Parses a body.
    ///
    /// # Errors
    /// [`InvalidRequest`], with the field's name.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidRequest> {
        Self::from_fields(&object(body)?)
    }

    fn from_fields(fields: &Map<String, Value>) -> Result<Self, InvalidRequest> {
        if !fields.contains_key("proxy") {
            return Err(InvalidRequest::Field {
                field: "proxy".to_owned(),
                problem: "must be given; it is what can be changed".to_owned(),
            });
        }
        Ok(Self { proxy: field(fields, "proxy").proxy()? })
    }
}

impl<'de> Deserialize<'de> for SessionPatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_fields(&Map::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// The body of `POST /proxies/check`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProxyCheckRequest {
    /// The proxy, as in a create request. The default is a setting. Credentials are not returned by any response.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ProxyRequest>)]
    pub proxy: Option<ProxyChoice>,
    /// The profile that is to use it; without `proxy` its own proxy is checked, with the credentials that no response has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ProfileName>)]
    pub profile: Option<ProfileName>,
}

impl ProxyCheckRequest {
    /// Parses a body. An empty one checks the default.
    ///
    /// # Errors
    /// [`InvalidRequest`], with the field's name.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidRequest> {
        Self::from_fields(&object(body)?)
    }

    fn from_fields(fields: &Map<String, Value>) -> Result<Self, InvalidRequest> {
        Ok(Self { proxy: field(fields, "proxy").proxy()?, profile: field(fields, "profile").profile_name()? })
    }
}

impl<'de> Deserialize<'de> for ProxyCheckRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_fields(&Map::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// The body of the control role's `POST /proxies/check`, which may also name the worker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct FleetProxyCheckRequest {
    /// What to check.
    #[serde(flatten)]
    pub check: ProxyCheckRequest,
    /// The worker that checks it; no other is tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
}

impl FleetProxyCheckRequest {
    /// Parses a body. An empty one checks the default of any worker.
    ///
    /// # Errors
    /// [`InvalidRequest`], with the field's name.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidRequest> {
        Self::from_fields(&object(body)?)
    }

    fn from_fields(fields: &Map<String, Value>) -> Result<Self, InvalidRequest> {
        let check = ProxyCheckRequest::from_fields(fields)?;
        Ok(Self { check, worker: field(fields, "worker").text(usize::MAX)? })
    }
}

impl<'de> Deserialize<'de> for FleetProxyCheckRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_fields(&Map::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl SessionRequest {
    /// Parses a body. An empty one requests the defaults.
    ///
    /// # Errors
    /// [`InvalidRequest`], with the field's name.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidRequest> {
        Self::from_fields(&object(body)?)
    }

    /// The names of all fields, for a place where others are an error.
    pub fn fields() -> Vec<String> {
        // Its own fields, and those of the identity, which is another schema.
        let parts = match <Self as PartialSchema>::schema() {
            RefOr::T(Schema::AllOf(schema)) => schema.items,
            schema => vec![schema],
        };
        let own = parts.into_iter().flat_map(|schema| match schema {
            RefOr::T(Schema::Object(schema)) => schema.properties.keys().cloned().collect(),
            _ => Vec::new(),
        });
        own.chain(IdentityRequest::all_fields().map(str::to_owned)).collect()
    }

    /// Whether only a worker that controls the browsers' connections can fulfil it.
    pub fn needs_egress(&self) -> bool {
        self.proxy.as_ref().is_some_and(|proxy| *proxy != ProxyChoice::Direct)
            || self.block.as_ref().is_some_and(|block| !block.is_empty())
    }

    /// Reads the fields of a JSON object; unknown ones are ignored.
    ///
    /// # Errors
    /// [`InvalidRequest::Field`].
    pub fn from_fields(fields: &Map<String, Value>) -> Result<Self, InvalidRequest> {
        let field = |name| field(fields, name);
        Ok(Self {
            headless: field("headless").boolean()?,
            idle_ttl: field("idle_ttl_seconds").zero_or(IDLE_TTL)?.map(Duration::from_secs),
            start_url: field("start_url").text(START_URL_LIMIT)?,
            start_url_wait: field("start_url_wait").one_of(StartUrlWait::ALL)?,
            labels: field("labels").texts()?,
            vnc: field("vnc").boolean()?.unwrap_or(false),
            on_crash: field("on_crash").one_of(OnCrash::ALL)?.unwrap_or_default(),
            contexts: field("contexts").one_of(Contexts::ALL)?.unwrap_or_default(),
            proxy: field("proxy").proxy()?,
            block: field("block").names()?,
            profile: field("profile").profile_name()?,
            profile_mode: field("profile_mode").one_of(ProfileMode::ALL)?.unwrap_or_default(),
            profile_create: field("profile_create").boolean()?,
            engine: field("engine").one_of(EngineChoice::ALL)?,
            coherence: field("coherence").one_of(Coherence::ALL)?.unwrap_or_default(),
            identity: IdentityRequest::from_fields(fields)?,
        })
    }
}

impl CreateRequest {
    /// Parses a body. An empty one requests the defaults.
    ///
    /// # Errors
    /// [`InvalidRequest`], with the field's name.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidRequest> {
        Self::from_fields(&object(body)?)
    }

    fn from_fields(fields: &Map<String, Value>) -> Result<Self, InvalidRequest> {
        let session = SessionRequest::from_fields(fields)?;
        Ok(Self { session, worker: field(fields, "worker").text(usize::MAX)? })
    }
}

impl<'de> Deserialize<'de> for SessionRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_fields(&Map::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for CreateRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_fields(&Map::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::identity::{Geolocation, OrAuto, Preferences, ScreenChoice, ScreenSize, TimeZone, Webrtc};
    use crate::machine::{MachineChoice, MachineRequest, System};

    fn parse(body: &str) -> Result<CreateRequest, InvalidRequest> {
        CreateRequest::parse(body.as_bytes())
    }

    fn identity() -> IdentityRequest {
        let os = Some(vec![System::Windows]);
        IdentityRequest {
            locale: Some(OrAuto::Auto),
            timezone: TimeZone::from_name("Europe/Vienna").map(OrAuto::Given),
            geolocation: Geolocation::new(48.2, 16.4, 50.0).map(OrAuto::Given),
            screen: Some(ScreenChoice::Size(ScreenSize { width: 1366, height: 768 })),
            webrtc: Some(Webrtc::Proxy),
            block_images: true,
            user_preferences: Preferences::from_json(&json!({"a.b": 5})).unwrap(),
            machine: MachineChoice { os, seed: Some("7".to_owned()), ..MachineChoice::default() },
        }
    }

    #[test]
    fn a_complete_request_is_parsed() {
        let request = parse(
            r#"{"headless": true, "idle_ttl_seconds": 60.0, "start_url": "example.com", "start_url_wait": "none",
                "labels": {"team": "a"}, "vnc": true, "on_crash": "end", "contexts": "discard", "worker": "local",
                "proxy": "socks5://a.example", "block": ["ads"], "locale": "auto", "timezone": "Europe/Vienna",
                "geolocation": {"latitude": 48.2, "longitude": 16.4}, "screen": {"width": 1366, "height": 768},
                "profile": "anna", "profile_mode": "copy", "profile_create": false,
                "webrtc": "proxy", "block_images": true, "user_preferences": {"a.b": 5}, "engine": "firefox",
                "coherence": "warn", "os": "windows", "seed": 7, "something": "unknown"}"#,
        )
        .unwrap();
        let expected = SessionRequest {
            headless: Some(true),
            idle_ttl: Some(Duration::from_secs(60)),
            start_url: Some("example.com".into()),
            start_url_wait: Some(StartUrlWait::None),
            labels: BTreeMap::from([("team".into(), "a".into())]),
            vnc: true,
            on_crash: OnCrash::End,
            contexts: Contexts::Discard,
            proxy: Some("socks5://a.example".parse().unwrap()),
            block: Some(vec!["ads".into()]),
            profile: ProfileName::parse("anna"),
            profile_mode: ProfileMode::Copy,
            profile_create: Some(false),
            engine: Some(EngineChoice::Firefox),
            coherence: Coherence::Warn,
            identity: identity(),
        };
        assert_eq!(request, CreateRequest { session: expected, worker: Some("local".into()) });
    }

    #[test]
    fn an_empty_body_and_nulls_request_the_defaults() {
        let defaults = CreateRequest { session: SessionRequest::default(), worker: None };
        for body in ["", " \n", "{}", r#"{"headless": null, "vnc": null, "labels": null, "worker": null}"#] {
            assert_eq!(parse(body).unwrap(), defaults, "{body}");
        }
    }

    #[test]
    fn an_invalid_value_is_an_error_that_names_its_field_and_the_allowed_values() {
        let many = format!(
            r#"{{"labels": {{{}}}}}"#,
            (0..65).map(|n| format!(r#""{n}": """#)).collect::<Vec<_>>().join(",")
        );
        let long_label = format!(r#"{{"labels": {{"a": "{}"}}}}"#, "ж".repeat(257));
        let heavy =
            (0..33).map(|n| format!(r#""{n:02}": "{}""#, "x".repeat(256))).collect::<Vec<_>>().join(",");
        let heavy = format!(r#"{{"labels": {{{heavy}}}}}"#);
        let long = format!(r#"{{"start_url": "{}"}}"#, "x".repeat(1025));
        for (body, field, right) in [
            (r#"{"headless": "yes"}"#, "headless", "true or false"),
            (r#"{"vnc": 1}"#, "vnc", "true or false"),
            (r#"{"idle_ttl_seconds": 29}"#, "idle_ttl_seconds", "0, or a whole number from 30 to 2592000"),
            (r#"{"idle_ttl_seconds": 2592001}"#, "idle_ttl_seconds", "30 to 2592000"),
            (r#"{"idle_ttl_seconds": -1}"#, "idle_ttl_seconds", "30 to 2592000"),
            (r#"{"profile": "../x"}"#, "profile", "letters, digits"),
            (r#"{"profile_mode": "read"}"#, "profile_mode", "\"write\", \"copy\""),
            (r#"{"profile_create": 1}"#, "profile_create", "true or false"),
            (r#"{"idle_ttl_seconds": 60.5}"#, "idle_ttl_seconds", "whole number"),
            (r#"{"idle_ttl_seconds": "60"}"#, "idle_ttl_seconds", "whole number"),
            (r#"{"idle_ttl_seconds": 1e300}"#, "idle_ttl_seconds", "whole number"),
            (r#"{"start_url": 5}"#, "start_url", "a string"),
            (&long, "start_url", "1024 characters"),
            (r#"{"start_url_wait": "networkidle"}"#, "start_url_wait", "\"domcontentloaded\""),
            (&many, "labels", "64 labels"),
            (&long_label, "labels", "256 characters"),
            (&heavy, "labels", "8 KiB"),
            (r#"{"labels": []}"#, "labels", "object of strings"),
            (r#"{"labels": {"a": 1}}"#, "labels.a", "a string"),
            (r#"{"on_crash": "explode"}"#, "on_crash", "\"restart\""),
            (r#"{"start_url_wait": {"load": null}}"#, "start_url_wait", "\"load\""),
            (r#"{"contexts": true}"#, "contexts", "\"keep\""),
            (r#"{"worker": 1}"#, "worker", "a string"),
            (r#"{"proxy": 5}"#, "proxy", "a string or an object"),
            (r#"{"proxy": "ftp://a"}"#, "proxy", "socks5://"),
            (r#"{"proxy": {"server": 5}}"#, "proxy", "'server'"),
            (r#"{"block": "ads"}"#, "block", "a list"),
            (r#"{"block": [5]}"#, "block", "a list"),
            (r#"{"screen": {"min_width": 4000}}"#, "screen", "a common size such as 1366x768"),
            (
                r#"{"screen": {"min_width": 1280, "width": 1280, "height": 720}}"#,
                "screen",
                "or one with min_width",
            ),
            (r#"{"webrtc": true}"#, "webrtc", "\"off\", \"proxy\", \"on\""),
            (r#"{"block_images": "yes"}"#, "block_images", "true or false"),
            (r#"{"user_preferences": {"a b": 1}}"#, "user_preferences", "at most 64 preferences"),
            (r#"{"user_preferences": {"a": 1.5}}"#, "user_preferences", "whole numbers"),
            (r#"{"user_preferences": {"a": null}}"#, "user_preferences", "whole numbers"),
            (r#"{"engine": "chrome"}"#, "engine", "\"firefox\", \"camoufox\""),
            (r#"{"coherence": "ignore"}"#, "coherence", "\"refuse\", \"warn\""),
        ] {
            match parse(body) {
                Err(error @ InvalidRequest::Field { .. }) => {
                    let text = error.to_string();
                    assert!(
                        text.starts_with(&format!("{field}: ")) && text.contains(right),
                        "{body}: {text}"
                    );
                }
                other => panic!("{body} gave {other:?}"),
            }
        }
    }

    #[test]
    fn a_check_names_a_proxy_as_a_create_request_does() {
        let read = |body: &str| FleetProxyCheckRequest::parse(body.as_bytes());
        assert_eq!(read(""), Ok(FleetProxyCheckRequest::default()));
        let both = read(r#"{"proxy": "socks5://me:s3cret@proxy.example", "worker": "w1"}"#).unwrap();
        assert_eq!(both.worker.as_deref(), Some("w1"));
        assert!(!format!("{both:?}").contains("s3cret"));
        assert_eq!(
            serde_json::to_value(&both.check).unwrap(),
            json!({"proxy": {"server": "socks5://proxy.example:1080", "username": "me", "password": "s3cret"}}),
            "the worker needs all of it"
        );
        let profile = read(r#"{"profile": "anna"}"#).unwrap();
        assert_eq!(serde_json::to_value(&profile.check).unwrap(), json!({"profile": "anna"}));
        for (body, expected) in [
            (r#"{"proxy": "ftp://me:s3cret@a"}"#, "proxy: must be a URL"),
            (r#"{"proxy": 5}"#, "proxy: must be a string or an object"),
            (r#"{"worker": 5}"#, "worker: must be a string"),
            (r#"{"profile": "no name"}"#, "profile: must be 1 to 64"),
        ] {
            let error = read(body).unwrap_err().to_string();
            assert!(error.starts_with(expected) && !error.contains("s3cret"), "{body}: {error}");
        }
    }

    #[test]
    fn a_patch_has_to_name_what_it_changes() {
        let read = |body: &str| SessionPatch::parse(body.as_bytes());
        assert_eq!(read(r#"{"proxy": "direct"}"#), Ok(SessionPatch { proxy: Some(ProxyChoice::Direct) }));
        assert_eq!(read(r#"{"proxy": null}"#), Ok(SessionPatch { proxy: None }));
        for body in ["", "{}", r#"{"labels": {}}"#, r#"{"proxy": 5}"#] {
            assert!(read(body).unwrap_err().to_string().starts_with("proxy: must be "), "{body}");
        }
    }

    #[test]
    fn a_body_that_is_not_an_object_is_rejected() {
        for body in ["[]", "5", "\"x\"", "{", "{\"a\"}", "\u{1f}"] {
            assert!(matches!(parse(body), Err(InvalidRequest::Json { .. })), "{body}");
        }
    }

    /// A part of a type's schema, by the path to it.
    fn documented<T: ToSchema>(parts: &[&str]) -> Value {
        let schema = serde_json::to_value(T::schema()).unwrap();
        parts.iter().fold(schema, |schema, part| schema[*part].clone())
    }

    #[test]
    fn the_schema_has_exactly_the_fields_that_are_parsed() {
        let own = |parts: Value| {
            let parts = parts.as_array().unwrap().clone();
            parts.iter().find_map(|part| part["properties"].as_object()).unwrap().clone()
        };
        let session = own(documented::<SessionRequest>(&["allOf"]));
        let identity = own(documented::<IdentityRequest>(&["allOf"]));
        let machine = documented::<MachineRequest>(&["properties"]).as_object().unwrap().clone();
        let all = session.clone().into_iter().chain(identity.clone()).chain(machine.clone());
        let properties = Value::Object(all.collect());
        for (name, property) in properties.as_object().unwrap() {
            // No field is a list of lists, so the parser rejects one for every field that it knows.
            let refused =
                parse(&format!("{{\"{name}\": [[]]}}")).map(|_| ()).map_err(|error| error.to_string());
            assert!(refused.is_err_and(|text| text.starts_with(name.as_str())), "{name} is not read");
            let nullable = property["type"].as_array().is_some_and(|kinds| kinds.contains(&"null".into()))
                || property["oneOf"]
                    .as_array()
                    .is_some_and(|choices| choices.iter().any(|choice| choice["type"] == "null"));
            assert!(nullable, "{name} is not nullable");
        }
        let names: BTreeSet<_> = properties.as_object().unwrap().keys().cloned().collect();
        assert_eq!(SessionRequest::fields().into_iter().collect::<BTreeSet<_>>(), names);
        let whole = format!("{:?}", SessionRequest::default());
        // The two parts are fields in Rust alone.
        assert_eq!(names.len() + 2, whole.matches(": ").count(), "{whole}");
        assert_eq!(identity.len(), IdentityRequest::FIELDS.len());
        assert_eq!(machine.len(), MachineChoice::FIELDS.len());
        let ttl = &properties["idle_ttl_seconds"];
        assert_eq!(ttl["maximum"].as_u64(), Some(*IDLE_TTL.end()));
        assert_eq!(properties["start_url"]["maxLength"], START_URL_LIMIT);
        let worker = documented::<CreateRequest>(&["allOf"])[1]["properties"].clone();
        assert_eq!(worker.as_object().unwrap().keys().collect::<Vec<_>>(), ["worker"]);
    }

    #[test]
    fn a_session_request_ignores_the_field_worker() {
        assert_eq!(SessionRequest::parse(br#"{"worker": 5}"#), Ok(SessionRequest::default()));
    }

    #[test]
    fn a_request_is_serialized_without_fields_of_camofleet_that_were_not_requested() {
        let body = |request: &SessionRequest| serde_json::to_value(request).unwrap();
        assert_eq!(body(&SessionRequest::default()), json!({"labels": {}, "vnc": false}));
        let request = SessionRequest {
            headless: Some(false),
            idle_ttl: Some(Duration::from_secs(60)),
            start_url: Some("example.com".into()),
            start_url_wait: Some(StartUrlWait::DomContentLoaded),
            labels: BTreeMap::from([("a".into(), "b".into())]),
            vnc: true,
            on_crash: OnCrash::End,
            contexts: Contexts::Discard,
            proxy: Some("socks5://a.example".parse().unwrap()),
            block: Some(vec!["ads".into()]),
            profile: ProfileName::parse("anna"),
            profile_mode: ProfileMode::Copy,
            profile_create: Some(false),
            engine: Some(EngineChoice::Firefox),
            coherence: Coherence::Warn,
            identity: identity(),
        };
        let expected = json!({
            "headless": false, "idle_ttl_seconds": 60, "start_url": "example.com",
            "start_url_wait": "domcontentloaded", "labels": {"a": "b"}, "vnc": true, "on_crash": "end",
            "contexts": "discard", "proxy": {"server": "socks5://a.example:1080"}, "block": ["ads"],
            "profile": "anna", "profile_mode": "copy", "profile_create": false, "locale": "auto", "timezone": "Europe/Vienna",
            "geolocation": {"latitude": 48.2, "longitude": 16.4, "accuracy": 50.0},
            "screen": {"width": 1366, "height": 768}, "webrtc": "proxy", "block_images": true,
            "user_preferences": {"a.b": 5}, "engine": "firefox", "coherence": "warn",
            "os": ["windows"], "webgl": null, "fonts": null, "humanize": null, "addons": null,
            "main_world_eval": null, "seed": "7",
        });
        assert_eq!(body(&request), expected);
    }
}
