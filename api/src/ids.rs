//! What things are called: sessions, requests, events.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;
use uuid::Uuid;

/// A session's id: a UUID v4.
pub type SessionId = Uuid;

/// The longest request id that is accepted from a caller, in characters.
const LONGEST: usize = 64;

/// Names a request in the log lines of every role that it passes: taken from the caller's `X-Request-Id`, or generated
/// where the request first arrives, and sent on with each call that the request causes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, ToSchema)]
#[schema(value_type = String, pattern = "^[A-Za-z0-9._-]{1,64}$")]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// A new id, of 16 hexadecimal digits.
    pub fn random() -> Self {
        Self(format!("{:016x}", fastrand::u64(..)).into())
    }

    /// Reads a caller's id; `None` if it is not fit for a log line: 1 to 64 letters, digits, `.`, `_`, `-`.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        ((1..=LONGEST).contains(&text.len()) && text.bytes().all(plain)).then(|| Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a request id"))
    }
}

/// An event's place in the order of all events of one process, `{bus}-{number}`: the `id` of server-sent events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventId {
    /// Differs from one process to the next, so that nobody resumes from another process' events.
    pub bus: u32,
    /// Counts from 1; 0 is the place before the first event.
    pub number: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}", self.bus, self.number)
    }
}

/// A text that is no [`EventId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an event's id")]
pub struct InvalidEventId;

impl FromStr for EventId {
    type Err = InvalidEventId;

    fn from_str(text: &str) -> Result<Self, InvalidEventId> {
        let (bus, number) = text.split_once('-').ok_or(InvalidEventId)?;
        let bus = u32::from_str_radix(bus, 16).map_err(|_| InvalidEventId)?;
        Ok(Self { bus, number: number.parse().map_err(|_| InvalidEventId)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_could_forge_a_log_line_is_not_accepted() {
        for good in ["a", "4f2c-9.b_C", &"x".repeat(64)] {
            assert_eq!(RequestId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a\nb", "ж", &"x".repeat(65)] {
            assert_eq!(RequestId::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn generated_ids_differ_and_are_ids() {
        let (one, other) = (RequestId::random(), RequestId::random());
        assert_ne!(one, other);
        assert_eq!(RequestId::parse(one.as_str()), Some(one));
    }

    #[test]
    fn an_id_is_read_as_it_is_written() {
        let id = EventId { bus: 0x00c0_ffee, number: 42 };
        assert_eq!((id.to_string().as_str(), id.to_string().parse()), ("00c0ffee-42", Ok(id)));
        for bad in ["", "42", "x-1", "1-", "1-x", "1--1", "100000000-1"] {
            assert_eq!(bad.parse::<EventId>(), Err(InvalidEventId), "{bad}");
        }
    }
}
