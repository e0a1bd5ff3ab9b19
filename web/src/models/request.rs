//! The body of a create request, read field by field, so that an error names the field.

use std::collections::BTreeMap;
use std::time::Duration;

use camofleet_actors::session::SessionRequest;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::schema::{self, CONTEXTS, ON_CRASH, START_URL_WAITS};
use crate::error::ApiError;

/// The shortest and longest idle TTL, in seconds.
const IDLE_TTL: std::ops::RangeInclusive<u64> = 30..=3600;
/// The longest start URL, in characters.
const START_URL_LIMIT: usize = 1024;

/// The most labels of a session, the longest name or value of one in characters, and the bytes of all: every view of the
/// session carries them, to everybody who follows the fleet.
const LABELS_LIMIT: usize = 64;
const LABEL_LIMIT: usize = 256;
const LABELS_BYTES: usize = 8 << 10;

// Nothing is read into the next two: they tell documents what the reader below accepts.

/// What a session can be asked to be. Every field may be left out or null, and unknown ones are ignored.
#[derive(Debug, ToSchema)]
#[schema(as = SessionRequest)]
pub struct SessionBody {
    /// Without a window. The default is a setting.
    pub headless: Option<bool>,
    /// How long it may be idle before it ends. The default is a setting.
    #[schema(minimum = 30, maximum = 3600)]
    pub idle_ttl_seconds: Option<u64>,
    /// A page to open in it; a bare host gets `https://`.
    #[schema(max_length = 1024)]
    pub start_url: Option<String>,
    /// What counts as open; with `none` it is not opened.
    #[schema(schema_with = schema::start_url_wait_or_null)]
    pub start_url_wait: Option<String>,
    /// The caller's own words on it.
    pub labels: Option<BTreeMap<String, String>>,
    /// With a live view; `true` forces `headless: false`.
    pub vnc: Option<bool>,
    /// Whether it is built anew when its browser, display or driver breaks, or ends.
    #[schema(schema_with = schema::on_crash_or_null)]
    pub on_crash: Option<String>,
    /// What happens to contexts and pages when the last client leaves.
    #[schema(schema_with = schema::contexts_or_null)]
    pub contexts: Option<String>,
}

/// The same of a fleet, which has workers to choose from.
#[derive(Debug, ToSchema)]
#[schema(as = CreateRequest)]
pub struct CreateBody {
    /// What is wanted.
    #[serde(flatten)]
    pub session: SessionBody,
    /// On this worker and no other.
    pub worker: Option<String>,
}

/// The body of the control role's `POST /sessions`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRequest {
    /// What is wanted.
    pub session: SessionRequest,
    /// On this worker and no other.
    pub worker: Option<String>,
}

impl CreateRequest {
    /// Reads a body. An empty one asks for nothing in particular; unknown fields are ignored.
    ///
    /// # Errors
    /// [`ApiError::InvalidJson`], or [`ApiError::InvalidField`] with the field's name.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let fields = object(body)?;
        Ok(Self { session: session(&fields)?, worker: field(&fields, "worker").text(usize::MAX)? })
    }
}

/// Reads the same body where there is only one worker, so that `worker` is a field like any unknown one.
///
/// # Errors
/// As [`CreateRequest::parse`].
pub fn read_session(body: &[u8]) -> Result<SessionRequest, ApiError> {
    session(&object(body)?)
}

fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(ApiError::InvalidJson { problem: "it is another kind of value".to_owned() }),
        Err(error) => Err(ApiError::InvalidJson { problem: error.to_string() }),
    }
}

fn session(fields: &Map<String, Value>) -> Result<SessionRequest, ApiError> {
    let field = |name| field(fields, name);
    Ok(SessionRequest {
        headless: field("headless").boolean()?,
        idle_ttl: field("idle_ttl_seconds").whole_number(IDLE_TTL)?.map(Duration::from_secs),
        start_url: field("start_url").text(START_URL_LIMIT)?,
        start_url_wait: field("start_url_wait").one_of(&START_URL_WAITS)?,
        labels: field("labels").texts()?,
        vnc: field("vnc").boolean()?.unwrap_or(false),
        on_crash: field("on_crash").one_of(&ON_CRASH)?.unwrap_or_default(),
        contexts: field("contexts").one_of(&CONTEXTS)?.unwrap_or_default(),
    })
}

/// The field of this name, if it says anything: null is as good as nothing.
fn field<'a>(fields: &'a Map<String, Value>, name: &'static str) -> Field<'a> {
    Field { name, value: fields.get(name).filter(|value| !value.is_null()) }
}

/// One field of a request, if it was given.
struct Field<'a> {
    name: &'static str,
    value: Option<&'a Value>,
}

impl Field<'_> {
    fn wrong<T>(&self, right: impl Into<String>) -> Result<T, ApiError> {
        Err(ApiError::InvalidField {
            field: self.name.to_owned(),
            problem: format!("must be {}", right.into()),
        })
    }

    fn boolean(self) -> Result<Option<bool>, ApiError> {
        match self.value {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(_) => self.wrong("true or false"),
        }
    }

    fn whole_number(self, range: std::ops::RangeInclusive<u64>) -> Result<Option<u64>, ApiError> {
        let Some(value) = self.value else { return Ok(None) };
        // JSON does not tell 60 from 60.0.
        let whole = value.as_u64().or_else(|| {
            let float = value.as_f64()?;
            // Exact: the range's end is far below 2^53.
            (float.fract() == 0.0 && (0.0..=*range.end() as f64).contains(&float)).then_some(float as u64)
        });
        match whole {
            Some(number) if range.contains(&number) => Ok(Some(number)),
            _ => self.wrong(format!("a whole number from {} to {}", range.start(), range.end())),
        }
    }

    fn text(self, limit: usize) -> Result<Option<String>, ApiError> {
        match self.value {
            None => Ok(None),
            Some(Value::String(text)) if text.chars().count() <= limit => Ok(Some(text.clone())),
            Some(Value::String(_)) => self.wrong(format!("at most {limit} characters long")),
            Some(_) => self.wrong("a string"),
        }
    }

    fn texts(self) -> Result<BTreeMap<String, String>, ApiError> {
        let texts = match self.value {
            None => return Ok(BTreeMap::new()),
            Some(Value::Object(texts)) => texts,
            Some(_) => return self.wrong("an object of strings"),
        };
        let read = |(key, value): (&String, &Value)| match value {
            Value::String(text) => Ok((key.clone(), text.clone())),
            _ => Err(ApiError::InvalidField {
                field: format!("{}.{key}", self.name),
                problem: "must be a string".to_owned(),
            }),
        };
        let texts: BTreeMap<String, String> = texts.iter().map(read).collect::<Result<_, _>>()?;
        let longest =
            texts.iter().flat_map(|(key, value)| [key, value]).map(|text| text.chars().count()).max();
        let bytes: usize = texts.iter().map(|(key, value)| key.len() + value.len()).sum();
        if texts.len() > LABELS_LIMIT
            || bytes > LABELS_BYTES
            || longest.is_some_and(|longest| longest > LABEL_LIMIT)
        {
            return self.wrong(format!(
                "at most {LABELS_LIMIT} labels, whose names and values have at most {LABEL_LIMIT} characters each and {} KiB \
                 together",
                LABELS_BYTES >> 10
            ));
        }
        Ok(texts)
    }

    fn one_of<T: Copy>(self, choices: &[(&str, T)]) -> Result<Option<T>, ApiError> {
        let Some(value) = self.value else { return Ok(None) };
        match choices.iter().find(|(name, _)| value.as_str() == Some(name)) {
            Some((_, choice)) => Ok(Some(*choice)),
            None => {
                let names: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
                self.wrong(format!("one of {}", names.join(", ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use camofleet_actors::session::{Contexts, OnCrash, StartUrlWait};

    use super::*;

    fn parse(body: &str) -> Result<CreateRequest, ApiError> {
        CreateRequest::parse(body.as_bytes())
    }

    #[test]
    fn a_whole_request_is_read() {
        let request = parse(
            r#"{"headless": true, "idle_ttl_seconds": 60.0, "start_url": "example.com", "start_url_wait": "none",
                "labels": {"team": "a"}, "vnc": true, "on_crash": "end", "contexts": "discard", "worker": "local",
                "something": "unknown"}"#,
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
        };
        assert_eq!(request, CreateRequest { session: expected, worker: Some("local".into()) });
    }

    #[test]
    fn nothing_and_nulls_ask_for_the_defaults() {
        let defaults = CreateRequest { session: SessionRequest::default(), worker: None };
        for body in ["", " \n", "{}", r#"{"headless": null, "vnc": null, "labels": null, "worker": null}"#] {
            assert_eq!(parse(body).unwrap(), defaults, "{body}");
        }
    }

    #[test]
    fn a_wrong_value_is_an_error_that_names_its_field_and_what_is_right() {
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
            (r#"{"idle_ttl_seconds": 29}"#, "idle_ttl_seconds", "30 to 3600"),
            (r#"{"idle_ttl_seconds": 3601}"#, "idle_ttl_seconds", "30 to 3600"),
            (r#"{"idle_ttl_seconds": -1}"#, "idle_ttl_seconds", "30 to 3600"),
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
            (r#"{"contexts": true}"#, "contexts", "\"keep\""),
            (r#"{"worker": 1}"#, "worker", "a string"),
        ] {
            match parse(body) {
                Err(error @ ApiError::InvalidField { .. }) => {
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
    fn a_body_that_is_no_object_is_refused() {
        for body in ["[]", "5", "\"x\"", "{", "{\"a\"}", "\u{1f}"] {
            assert!(matches!(parse(body), Err(ApiError::InvalidJson { .. })), "{body}");
        }
    }

    /// The properties that a body's schema has.
    fn documented<T: ToSchema>(parts: &[&str]) -> Value {
        let schema = serde_json::to_value(T::schema()).unwrap();
        parts.iter().fold(schema, |schema, part| schema[*part].clone())
    }

    #[test]
    fn what_is_documented_is_what_is_read() {
        let properties = documented::<SessionBody>(&["properties"]);
        for (name, property) in properties.as_object().unwrap() {
            // No field takes a list: the reader refuses it if it knows the field.
            let refused =
                parse(&format!("{{\"{name}\": []}}")).map(|_| ()).map_err(|error| error.to_string());
            assert!(refused.is_err_and(|text| text.starts_with(name.as_str())), "{name} is not read");
            let nullable = property["type"].as_array().is_some_and(|kinds| kinds.contains(&"null".into()));
            assert!(nullable, "{name}: null is as good as nothing");
        }
        let whole = format!("{:?}", SessionRequest::default());
        assert_eq!(properties.as_object().unwrap().len(), whole.matches(": ").count(), "{whole}");
        let ttl = &properties["idle_ttl_seconds"];
        assert_eq!(
            (ttl["minimum"].as_u64(), ttl["maximum"].as_u64()),
            (Some(*IDLE_TTL.start()), Some(*IDLE_TTL.end()))
        );
        assert_eq!(properties["start_url"]["maxLength"], START_URL_LIMIT);
        let worker = documented::<CreateBody>(&["allOf"])[1]["properties"].clone();
        assert_eq!(worker.as_object().unwrap().keys().collect::<Vec<_>>(), ["worker"]);
    }

    #[test]
    fn on_a_host_the_worker_is_an_unknown_field() {
        assert_eq!(read_session(br#"{"worker": 5}"#), Ok(SessionRequest::default()));
    }
}
