//! Fields of a request's body, read one by one so that errors can name them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::identity::OrAuto;
use crate::profile::ProfileName;
use crate::proxy::ProxyChoice;

/// The limits of a session's labels: their number, the characters of one name or value, and the bytes of all. Labels are
/// sent with every event of the session, so they have to stay small.
const LABELS_LIMIT: usize = 64;
const LABEL_LIMIT: usize = 256;
const LABELS_BYTES: usize = 8 << 10;

/// The most block lists of one session, and the longest name of one, in characters.
const BLOCK_LIMIT: usize = 32;
const BLOCK_NAME_LIMIT: usize = 64;

/// Why a body is not a valid request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// The body is not JSON, or not an object.
    #[error("the body must be a JSON object: {problem}")]
    Json {
        /// The parser's message.
        problem: String,
    },
    /// A field has the wrong type or an invalid value.
    #[error("{field}: {problem}")]
    Field {
        /// The field's name; for a label, including the label's name.
        field: String,
        /// What the field must be.
        problem: String,
    },
}

/// Fields that were not requested are not sent, because the original does not know all of them.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

pub(crate) fn object(body: &[u8]) -> Result<Map<String, Value>, InvalidRequest> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(InvalidRequest::Json { problem: "it is another kind of value".to_owned() }),
        Err(error) => Err(InvalidRequest::Json { problem: error.to_string() }),
    }
}

/// The field with this name; null is treated like a missing field.
pub(crate) fn field<'a>(fields: &'a Map<String, Value>, name: &'static str) -> Field<'a> {
    Field { name, value: fields.get(name).filter(|value| !value.is_null()) }
}

/// One field of a request, if it is present.
pub(crate) struct Field<'a> {
    name: &'static str,
    value: Option<&'a Value>,
}

impl Field<'_> {
    fn wrong<T>(&self, right: impl Into<String>) -> Result<T, InvalidRequest> {
        Err(InvalidRequest::Field {
            field: self.name.to_owned(),
            problem: format!("must be {}", right.into()),
        })
    }

    pub(crate) fn boolean(self) -> Result<Option<bool>, InvalidRequest> {
        match self.value {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(_) => self.wrong("true or false"),
        }
    }

    pub(crate) fn zero_or(self, range: RangeInclusive<u64>) -> Result<Option<u64>, InvalidRequest> {
        let Some(value) = self.value else { return Ok(None) };
        // JSON does not distinguish 60 from 60.0.
        let whole = value.as_u64().or_else(|| {
            let float = value.as_f64()?;
            // The cast is exact: the range ends far below 2^53.
            (float.fract() == 0.0 && (0.0..=*range.end() as f64).contains(&float)).then_some(float as u64)
        });
        match whole {
            Some(number) if number == 0 || range.contains(&number) => Ok(Some(number)),
            _ => self.wrong(format!("0, or a whole number from {} to {}", range.start(), range.end())),
        }
    }

    pub(crate) fn text(self, limit: usize) -> Result<Option<String>, InvalidRequest> {
        match self.value {
            None => Ok(None),
            Some(Value::String(text)) if text.chars().count() <= limit => Ok(Some(text.clone())),
            Some(Value::String(_)) => self.wrong(format!("at most {limit} characters long")),
            Some(_) => self.wrong("a string"),
        }
    }

    pub(crate) fn texts(self) -> Result<BTreeMap<String, String>, InvalidRequest> {
        let texts = match self.value {
            None => return Ok(BTreeMap::new()),
            Some(Value::Object(texts)) => texts,
            Some(_) => return self.wrong("an object of strings"),
        };
        let read = |(key, value): (&String, &Value)| match value {
            Value::String(text) => Ok((key.clone(), text.clone())),
            _ => Err(InvalidRequest::Field {
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

    pub(crate) fn proxy(self) -> Result<Option<ProxyChoice>, InvalidRequest> {
        let proxy = self.value.map(ProxyChoice::from_json).transpose();
        proxy.map_err(|error| InvalidRequest::Field {
            field: self.name.to_owned(),
            problem: error.to_string(),
        })
    }

    pub(crate) fn read<T>(
        self,
        read: impl FnOnce(&Value) -> Option<T>,
        right: &str,
    ) -> Result<Option<T>, InvalidRequest> {
        match self.value.map(read) {
            None => Ok(None),
            Some(Some(value)) => Ok(Some(value)),
            Some(None) => self.wrong(right),
        }
    }

    pub(crate) fn or_auto<T>(
        self,
        given: impl FnOnce(&Value) -> Option<T>,
        right: &str,
    ) -> Result<Option<OrAuto<T>>, InvalidRequest> {
        self.read(|value| OrAuto::from_json(value, given), right)
    }

    pub(crate) fn names(self) -> Result<Option<Vec<String>>, InvalidRequest> {
        let Some(value) = self.value else { return Ok(None) };
        let read = |name: &Value| {
            name.as_str().filter(|name| name.chars().count() <= BLOCK_NAME_LIMIT).map(str::to_owned)
        };
        let names = value.as_array().filter(|names| names.len() <= BLOCK_LIMIT);
        match names.and_then(|names| names.iter().map(read).collect::<Option<Vec<_>>>()) {
            Some(names) => Ok(Some(names)),
            None => self.wrong(format!(
                "a list of at most {BLOCK_LIMIT} names of up to {BLOCK_NAME_LIMIT} characters"
            )),
        }
    }

    pub(crate) fn profile_name(self) -> Result<Option<ProfileName>, InvalidRequest> {
        let form = ProfileName::FORM.trim_start_matches("must be ");
        self.read(|value| ProfileName::parse(value.as_str()?), form)
    }

    pub(crate) fn one_of<T: DeserializeOwned + Serialize>(
        self,
        choices: &[T],
    ) -> Result<Option<T>, InvalidRequest> {
        let Some(value) = self.value else { return Ok(None) };
        // As an object, {"load": null} would be read as well.
        match T::deserialize(value) {
            Ok(choice) if value.is_string() => Ok(Some(choice)),
            _ => {
                let names = choices.iter().filter_map(|choice| serde_json::to_string(choice).ok());
                self.wrong(format!("one of {}", names.collect::<Vec<_>>().join(", ")))
            }
        }
    }
}
