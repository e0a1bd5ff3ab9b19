//! The name of one request, in every role that it passes.

use std::fmt;
use std::sync::Arc;

/// The longest id that is taken over from a caller, in characters.
const LONGEST: usize = 64;

/// Names a request in the log lines of every role that it passes: taken from the caller's `X-Request-Id`, or made up
/// where the first role meets the request, and handed on with each call that the request causes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// A new name, of 16 hexadecimal digits.
    pub fn random() -> Self {
        Self(format!("{:016x}", fastrand::u64(..)).into())
    }

    /// A caller's own name for it; `None` if it is not fit for a log line: 1 to 64 letters, digits, `.`, `_`, `-`.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        ((1..=LONGEST).contains(&text.len()) && text.bytes().all(plain)).then(|| Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_forge_a_log_line_is_not_taken_over() {
        for good in ["a", "4f2c-9.b_C", &"x".repeat(64)] {
            assert_eq!(RequestId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a\nb", "ж", &"x".repeat(65)] {
            assert_eq!(RequestId::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn made_up_names_differ_and_are_names() {
        let (one, other) = (RequestId::random(), RequestId::random());
        assert_ne!(one, other);
        assert_eq!(RequestId::parse(one.as_str()), Some(one));
    }
}
