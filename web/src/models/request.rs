//! The body of a create request, read field by field, so that an error names the field.

use std::collections::BTreeMap;
use std::time::Duration;

use camofleet_actors::session::{Contexts, OnCrash, SessionRequest, StartUrlWait};
use serde_json::{Map, Value};

use crate::error::ApiError;

/// The shortest and longest idle TTL, in seconds.
const IDLE_TTL: std::ops::RangeInclusive<u64> = 30..=3600;
/// The longest start URL, in characters.
const START_URL_LIMIT: usize = 1024;

/// The body of `POST /sessions`, checked.
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
        if body.iter().all(u8::is_ascii_whitespace) {
            return Self::read(&Map::new());
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Self::read(&fields),
            Ok(_) => Err(ApiError::InvalidJson { problem: "it is another kind of value".to_owned() }),
            Err(error) => Err(ApiError::InvalidJson { problem: error.to_string() }),
        }
    }

    fn read(fields: &Map<String, Value>) -> Result<Self, ApiError> {
        let field =
            |name: &'static str| Field { name, value: fields.get(name).filter(|value| !value.is_null()) };
        let session = SessionRequest {
            headless: field("headless").boolean()?,
            idle_ttl: field("idle_ttl_seconds").whole_number(IDLE_TTL)?.map(Duration::from_secs),
            start_url: field("start_url").text(START_URL_LIMIT)?,
            start_url_wait: field("start_url_wait").one_of(&[
                ("none", StartUrlWait::None),
                ("domcontentloaded", StartUrlWait::DomContentLoaded),
                ("load", StartUrlWait::Load),
            ])?,
            labels: field("labels").texts()?,
            vnc: field("vnc").boolean()?.unwrap_or(false),
            on_crash: field("on_crash")
                .one_of(&[("restart", OnCrash::Restart), ("end", OnCrash::End)])?
                .unwrap_or_default(),
            contexts: field("contexts")
                .one_of(&[("keep", Contexts::Keep), ("discard", Contexts::Discard)])?
                .unwrap_or_default(),
        };
        Ok(Self { session, worker: field("worker").text(usize::MAX)? })
    }
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
        texts.iter().map(read).collect()
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
}
