//! Live views: their access keys and URLs.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;
use utoipa::ToSchema;
use uuid::Uuid;

/// The query parameter that carries a view's key.
const KEY: &str = "key";

/// The secret of one session's live view: 128 random bits as 32 hexadecimal digits. The view's URLs contain it, because
/// later sessions reuse the view id in them.
#[derive(Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, pattern = "^[0-9a-f]{32}$")]
pub struct ViewKey(String);

impl ViewKey {
    /// The number of characters.
    pub const LENGTH: usize = 32;

    /// A new random key.
    pub fn random() -> Self {
        // Six bits are the same in every UUID v4, so the second UUID is rotated to make the result random in every bit.
        let bits = Uuid::new_v4().as_u128() ^ Uuid::new_v4().as_u128().rotate_left(64);
        Self(format!("{bits:032x}"))
    }

    /// Parses a key, as found in a URL.
    pub fn parse(text: &str) -> Option<Self> {
        let valid = text.len() == Self::LENGTH && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        valid.then(|| Self(text.to_ascii_lowercase()))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a text is this key, compared in constant time.
    pub fn is(&self, given: &str) -> bool {
        let (own, given) = (self.0.as_bytes(), given.as_bytes());
        own.len() == given.len()
            && own.iter().zip(given).fold(0, |difference, (own, given)| difference | (own ^ given)) == 0
    }

    /// Adds the key to the query of a URL.
    pub fn add_to(&self, address: &str) -> String {
        let (rest, fragment) = match address.split_once('#') {
            Some((rest, fragment)) => (rest, format!("#{fragment}")),
            None => (address, String::new()),
        };
        let separator = if rest.contains('?') { '&' } else { '?' };
        format!("{rest}{separator}{KEY}={}{fragment}", self.0)
    }
}

impl fmt::Debug for ViewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ViewKey(…)")
    }
}

impl Serialize for ViewKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ViewKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a view's key"))
    }
}

/// The URLs of a live view.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ViewLinks {
    /// The WebSocket that carries raw VNC.
    #[serde(default)]
    #[schema(required)]
    pub ws: Option<String>,
    /// The noVNC page.
    #[serde(default)]
    #[schema(required)]
    pub http: Option<String>,
    /// Whether the VNC server requires a password.
    #[serde(default)]
    #[schema(required)]
    pub password_protected: bool,
}

impl ViewLinks {
    /// The URLs with a session's key added.
    #[must_use]
    pub fn with_key(self, key: &ViewKey) -> Self {
        let add = |address: Option<String>| address.map(|address| key.add_to(&address));
        Self { ws: add(self.ws), http: add(self.http), ..self }
    }

    /// The URLs without their key.
    #[must_use]
    pub fn without_key(self) -> Self {
        let Some(key) = self.key() else { return self };
        let [first, further] = ['?', '&'].map(|separator| format!("{separator}{KEY}={}", key.as_str()));
        let remove = |address: Option<String>| {
            address.map(|address| address.replace(&first, "").replace(&further, ""))
        };
        Self { ws: remove(self.ws), http: remove(self.http), ..self }
    }

    /// The key in the URLs; those of the original have none.
    pub fn key(&self) -> Option<ViewKey> {
        [&self.ws, &self.http].into_iter().flatten().find_map(|address| {
            let url = absolute(address)?;
            let key = url.query_pairs().find(|(name, _)| name == KEY)?;
            ViewKey::parse(&key.1)
        })
    }

    /// The view's id in the URLs: `…/vnc/{id}` or `…?token={id}`.
    pub fn id(&self) -> Option<String> {
        let in_path = self.http.as_deref().and_then(absolute).and_then(|url| {
            let mut segments = url.path_segments()?.skip_while(|segment| *segment != "vnc");
            segments.nth(1).filter(|id| !id.is_empty()).map(str::to_owned)
        });
        in_path.or_else(|| {
            let url = self.ws.as_deref().and_then(absolute)?;
            let token = url.query_pairs().find(|(name, _)| name == "token");
            token.map(|(_, id)| id.into_owned()).filter(|id| !id.is_empty())
        })
    }
}

/// Resolves a URL that may be relative against a placeholder base: callers need only its path and query.
fn absolute(address: &str) -> Option<Url> {
    Url::parse("http://base/").and_then(|base| base.join(address)).ok()
}

/// Which session a live view shows: the response of `GET /websockify/view`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ViewDescription {
    /// The session; null where it is unknown, as in a gateway whose sessions run on other machines.
    #[schema(required)]
    pub session: Option<Uuid>,
    /// The key that opens this session's view, but no later session's.
    #[schema(required)]
    pub key: Option<ViewKey>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(ws: Option<&str>, http: Option<&str>) -> ViewLinks {
        ViewLinks { ws: ws.map(str::to_owned), http: http.map(str::to_owned), password_protected: false }
    }

    #[test]
    fn a_key_is_added_to_any_url_and_found_again() {
        let key = ViewKey::random();
        let text = key.as_str();
        assert_eq!(ViewKey::parse(text), Some(key.clone()));
        assert!(key.is(text) && !key.is(&text[1..]) && !key.is(ViewKey::random().as_str()));
        for (bare, keyed) in [
            ("/vnc/6900", format!("/vnc/6900?key={text}")),
            ("/websockify?token=6900", format!("/websockify?token=6900&key={text}")),
            ("wss://a.example/x?a=b#c", format!("wss://a.example/x?a=b&key={text}#c")),
        ] {
            let keyed_links = links(Some(bare), None).with_key(&key);
            assert_eq!(keyed_links, links(Some(&keyed), None));
            assert_eq!(keyed_links.key(), Some(key.clone()));
            assert_eq!(keyed_links.without_key(), links(Some(bare), None));
        }
        assert_eq!(links(Some("/websockify?token=6900&key=short"), None).key(), None);
        assert_eq!(format!("{key:?}"), "ViewKey(…)");
    }

    #[test]
    fn keys_are_random_in_every_bit() {
        let bits = |key: ViewKey| u128::from_str_radix(key.as_str(), 16).unwrap();
        let (ones, zeros) = (0..200)
            .map(|_| bits(ViewKey::random()))
            .fold((0, 0), |(ones, zeros), bits| (ones | bits, zeros | !bits));
        assert_eq!((ones, zeros), (u128::MAX, u128::MAX));
    }

    #[test]
    fn an_id_is_found_in_either_url() {
        for (ws, http, id) in [
            (None, Some("http://h:6900/vnc/6903"), Some("6903")),
            (None, Some("/fleet/vnc/6903/?view_only=1"), Some("6903")),
            (Some("ws://h/websockify?x=1&token=6904"), None, Some("6904")),
            (Some("/websockify?token=6905"), Some("http://h/other"), Some("6905")),
            (Some("ws://h/websockify"), Some("http://h/vnc/"), None),
            (Some("::"), Some("http://"), None),
            (None, None, None),
        ] {
            assert_eq!(links(ws, http).id().as_deref(), id, "{ws:?} {http:?}");
        }
    }
}
