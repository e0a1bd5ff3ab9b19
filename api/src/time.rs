//! Timestamps in the format of the API.

use std::fmt;
use std::ops::Deref;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// A timestamp: RFC 3339 in UTC, to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub struct Time(pub Timestamp);

impl Time {
    /// The current time.
    pub fn now() -> Self {
        Self(Timestamp::now())
    }
}

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl Deref for Time {
    type Target = Timestamp;

    fn deref(&self) -> &Timestamp {
        &self.0
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    /// Also accepts a time without an offset, which is how Python writes UTC.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let read = text.parse::<Timestamp>().or_else(|error| {
            let civil = text.parse::<jiff::civil::DateTime>().map_err(|_| error)?;
            jiff::tz::Offset::UTC.to_timestamp(civil)
        });
        read.map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_time_without_an_offset_is_utc() {
        let read = |text: &str| serde_json::from_value::<Time>(json!(text));
        let [aware, naive] = ["2026-01-31T12:00:00.123456+00:00", "2026-01-31T12:00:00.123456"].map(read);
        assert_eq!(aware.unwrap(), naive.unwrap());
        assert!(read("yesterday").is_err());
    }
}
