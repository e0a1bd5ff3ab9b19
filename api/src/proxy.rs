//! Proxies: how requests name them, and how sessions show them.
//!
//! Credentials are write-only: they are parsed from requests and sent on to the worker that uses them, but are part of no
//! response, log line or debug output.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};
use url::{Host, Url};
use utoipa::ToSchema;

use crate::destination::{self, DestinationPattern};
use crate::lenient::default_if_unknown;

/// The word for connections without a proxy.
const DIRECT: &str = "direct";
/// The longest URL of a proxy, in bytes.
const URL_LIMIT: usize = 2048;
/// The longest user name or password, in bytes (RFC 1929).
const CREDENTIAL_LIMIT: usize = 255;
/// How many destinations may bypass a proxy.
const BYPASS_LIMIT: usize = 100;
/// The longest name of a pool of proxies, in characters.
const POOL_LIMIT: usize = 64;

/// The protocol that a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProxyScheme {
    /// HTTP CONNECT (RFC 9110, section 9.3.6).
    Http,
    /// HTTP CONNECT over TLS.
    Https,
    /// SOCKS 5 (RFC 1928); the proxy resolves names.
    Socks5,
}

impl ProxyScheme {
    /// The scheme of a URL, in lower case.
    fn from_word(word: &str) -> Option<Self> {
        match word {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            "socks5" | "socks5h" => Some(Self::Socks5),
            _ => None,
        }
    }

    /// The scheme in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks5 => "socks5",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Socks5 => 1080,
        }
    }
}

/// The user name and password for a proxy.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The user name, 1 to 255 bytes.
    pub username: String,
    /// The password, up to 255 bytes.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// A proxy server. Its `Display` is its URL without credentials.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProxyServer {
    /// Its protocol.
    pub scheme: ProxyScheme,
    /// Its host.
    pub host: Host<String>,
    /// Its port.
    pub port: u16,
    /// What it requires of clients; `None` if nothing.
    pub credentials: Option<Credentials>,
}

impl fmt::Display for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme.as_str(), self.host, self.port)
    }
}

/// Why a value is not a proxy. The text never contains the value, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidProxy(Cow<'static, str>);

const URL_FORM: &str = "a URL such as socks5://user:password@host:port, also with http:// or https://, without a path, with a port of at \
                        most 65535, and with special characters of user name and password percent-encoded";

impl FromStr for ProxyServer {
    type Err = InvalidProxy;

    /// Parses a URL; without a scheme it is an HTTP proxy, as in Playwright.
    fn from_str(text: &str) -> Result<Self, InvalidProxy> {
        let invalid = || InvalidProxy(format!("must be {URL_FORM}").into());
        let text = text.trim();
        if text.eq_ignore_ascii_case(DIRECT) {
            return Err(InvalidProxy("must be a proxy, not 'direct'".into()));
        }
        let with_scheme: Cow<'_, str> =
            if text.contains("://") { text.into() } else { format!("http://{text}").into() };
        if with_scheme.len() > URL_LIMIT {
            return Err(InvalidProxy(format!("must be at most {URL_LIMIT} bytes long").into()));
        }
        let url = Url::parse(&with_scheme).map_err(|_| invalid())?;
        let scheme = ProxyScheme::from_word(url.scheme()).ok_or_else(invalid)?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(invalid());
        }
        let decode =
            |text: &str| percent_decode_str(text).decode_utf8().map(String::from).map_err(|_| invalid());
        // A browser's rules for special schemes do not apply to `socks5:`, so the host is parsed again.
        let host = decode(url.host_str().ok_or_else(invalid)?)?;
        let host = destination::host(&host).ok_or_else(invalid)?;
        let port = url.port().unwrap_or_else(|| scheme.default_port());
        if port == 0 {
            return Err(invalid());
        }
        let (username, password) = (decode(url.username())?, decode(url.password().unwrap_or_default())?);
        let server = Self { scheme, host, port, credentials: None };
        if username.is_empty() && password.is_empty() {
            Ok(server)
        } else {
            server.with_credentials(username, password)
        }
    }
}

impl ProxyServer {
    fn with_credentials(mut self, username: String, password: String) -> Result<Self, InvalidProxy> {
        let fits = |text: &str| text.len() <= CREDENTIAL_LIMIT && !text.contains(['\0', '\r', '\n']);
        if username.is_empty() || !fits(&username) || !fits(&password) {
            return Err(InvalidProxy(
                format!(
                    "must have a user name of 1 to {CREDENTIAL_LIMIT} bytes and a password of up to {CREDENTIAL_LIMIT}, without \
                     line breaks"
                )
                .into(),
            ));
        }
        if username.contains(':') && self.scheme != ProxyScheme::Socks5 {
            return Err(InvalidProxy("must have a user name without a colon, which HTTP can't send".into()));
        }
        self.credentials = Some(Credentials { username, password });
        Ok(self)
    }
}

/// How the connections of a session leave: a proxy server, a pool of them, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxyChoice {
    /// No proxy.
    Direct,
    /// This proxy.
    Server {
        /// The server.
        server: ProxyServer,
        /// Destinations that are connected to without it.
        bypass: Vec<DestinationPattern>,
    },
    /// A pool of the worker's `RUNNER_PROXIES`, by its name.
    Pool(String),
}

impl ProxyChoice {
    /// Reads a string or an object of a request.
    ///
    /// # Errors
    /// [`InvalidProxy`].
    pub fn from_json(value: &Value) -> Result<Self, InvalidProxy> {
        match value {
            Value::String(text) => text.parse(),
            Value::Object(fields) => Self::from_fields(fields),
            _ => Err(InvalidProxy("must be a string or an object".into())),
        }
    }

    fn from_fields(fields: &Map<String, Value>) -> Result<Self, InvalidProxy> {
        let text = |name: &'static str| match fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(InvalidProxy(format!("must have a string as '{name}'").into())),
        };
        let server = text("server")?.ok_or(InvalidProxy("must have a 'server'".into()))?;
        let mut server: ProxyServer = server
            .parse()
            .map_err(|InvalidProxy(problem)| InvalidProxy(format!("server {problem}").into()))?;
        let (username, password) = (text("username")?, text("password")?);
        if username.is_some() || password.is_some() {
            let (username, password) = (username.unwrap_or_default(), password.unwrap_or_default());
            server = server.with_credentials(username.to_owned(), password.to_owned())?;
        }
        Ok(Self::Server { server, bypass: bypass(fields.get("bypass"))? })
    }

    /// What a session shows of it.
    pub fn view(&self) -> Option<ProxyView> {
        match self {
            Self::Direct => None,
            Self::Server { server, .. } => Some(ProxyView { server: Some(server.to_string()), pool: None }),
            Self::Pool(pool) => Some(ProxyView { server: None, pool: Some(pool.clone()) }),
        }
    }
}

impl FromStr for ProxyChoice {
    type Err = InvalidProxy;

    /// Parses `direct`, the name of a pool, or the URL of a server.
    fn from_str(text: &str) -> Result<Self, InvalidProxy> {
        let text = text.trim();
        if text.eq_ignore_ascii_case(DIRECT) {
            Ok(Self::Direct)
        } else if is_pool_name(text) {
            Ok(Self::Pool(text.to_owned()))
        } else {
            Ok(Self::Server { server: text.parse()?, bypass: Vec::new() })
        }
    }
}

/// Whether a text can be the name of a pool, and so no URL or `host:port`: letters, digits, `-` and `_`.
pub fn is_pool_name(text: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    !text.is_empty()
        && text.chars().count() <= POOL_LIMIT
        && text.chars().all(fits)
        && !text.eq_ignore_ascii_case(DIRECT)
}

fn bypass(value: Option<&Value>) -> Result<Vec<DestinationPattern>, InvalidProxy> {
    let wrong = || InvalidProxy("must have a string with commas, or a list of strings, as 'bypass'".into());
    let texts: Vec<&str> = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::String(text)) => text.split(',').filter(|part| !part.trim().is_empty()).collect(),
        Some(Value::Array(entries)) => {
            entries.iter().map(|entry| entry.as_str().ok_or_else(wrong)).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(wrong()),
    };
    if texts.len() > BYPASS_LIMIT {
        return Err(InvalidProxy(format!("must have at most {BYPASS_LIMIT} entries in 'bypass'").into()));
    }
    let read = |text: &str| {
        text.parse()
            .map_err(|error| InvalidProxy(format!("must have destinations in 'bypass': {error}").into()))
    };
    texts.into_iter().map(read).collect()
}

impl Serialize for ProxyChoice {
    /// Writes the form with credentials, for the worker that uses them.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Direct => serializer.serialize_str(DIRECT),
            Self::Pool(name) => serializer.serialize_str(name),
            Self::Server { server, bypass } => {
                let mut fields = json!({ "server": server.to_string() });
                if let Some(Credentials { username, password }) = &server.credentials {
                    fields["username"] = json!(username);
                    fields["password"] = json!(password);
                }
                if !bypass.is_empty() {
                    let bypass: Vec<String> = bypass.iter().map(ToString::to_string).collect();
                    fields["bypass"] = bypass.join(",").into();
                }
                fields.serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for ProxyChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(&Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// How the connections of a browser leave: `direct`, the name of a pool of the worker's `RUNNER_PROXIES`, the URL of a proxy
/// (`http://`, `https://` or `socks5://`, with credentials if needed), or an object as in Playwright's options.
#[derive(ToSchema)]
#[schema(
    as = Proxy,
    examples(
        json!("direct"), json!("eu"),
        json!({"server": "socks5://proxy.example:1080", "username": "me", "password": "secret", "bypass": ".example.com"})
    )
)]
#[serde(untagged)]
#[allow(dead_code, reason = "it is the schema of ProxyChoice")]
pub enum ProxyRequest {
    /// `direct`, the name of a pool, or a URL.
    Text(String),
    /// A proxy as in Playwright's options.
    Fields {
        /// Its URL; without a scheme, that of an HTTP proxy.
        server: String,
        /// The user name that it requires.
        username: Option<String>,
        /// The password that it requires.
        password: Option<String>,
        /// Destinations that are connected to without it, separated by commas: hosts, domains as `.example.com`, addresses
        /// and networks.
        bypass: Option<String>,
    },
}

/// The proxy of a session, without credentials: one of the two fields is set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProxyView {
    /// The proxy's URL.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub server: Option<String>,
    /// The name of the pool that the proxy is taken from.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub pool: Option<String>,
}

impl ProxyView {
    /// What a profile shows whose sessions have no proxy, other than one that leaves it to the worker's default.
    pub fn direct() -> Self {
        Self { server: Some(DIRECT.to_owned()), pool: None }
    }
}

impl fmt::Display for ProxyView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.server, &self.pool) {
            (Some(server), _) => f.write_str(server),
            (None, pool) => write!(f, "the pool {}", pool.as_deref().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> ProxyServer {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_url_names_a_proxy() {
        for (text, shown) in [
            ("http://proxy.example:3128", "http://proxy.example:3128"),
            ("proxy.example:3128", "http://proxy.example:3128"),
            ("http://proxy.example", "http://proxy.example:80"),
            ("https://proxy.example/", "https://proxy.example:443"),
            ("https://proxy.example:80", "https://proxy.example:80"),
            ("socks5://10.0.0.1", "socks5://10.0.0.1:1080"),
            ("SOCKS5H://Proxy.Example:9050", "socks5://proxy.example:9050"),
            ("socks5://[2001:db8::1]:9050", "socks5://[2001:db8::1]:9050"),
        ] {
            assert_eq!(server(text).to_string(), shown);
            assert_eq!(server(text).credentials, None, "{text}");
        }
    }

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let with = server("socks5://me%40home:p%3Aa%2Fss@proxy.example:1080");
        let credentials = with.credentials.as_ref().unwrap();
        assert_eq!((credentials.username.as_str(), credentials.password.as_str()), ("me@home", "p:a/ss"));
        for shown in [
            with.to_string(),
            format!("{with:?}"),
            format!("{:?}", ProxyChoice::Server { server: with.clone(), bypass: vec![] }),
        ] {
            assert!(!shown.contains("me@home") && !shown.contains("a/ss"), "{shown}");
        }
        assert_eq!(server("http://only-a-key@proxy.example:1").credentials.unwrap().password, "");
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_repeating_it() {
        let long = format!("socks5://{}:secret@a:1", "x".repeat(256));
        for text in [
            "ftp://a:1",
            "socks4://a:1",
            "http://",
            "http://a:0",
            "http://a:1/path?secret",
            "http://a:1#secret",
            "http://a b:1",
            "http://u:secret#x@a:1",
            "http://:secret@a:1",
            "http://a%3Ab:secret@a:1",
            "socks5://u:secret%0a@a:1",
            &long,
        ] {
            let error = text.parse::<ProxyServer>().unwrap_err().to_string();
            assert!(
                !error.contains("secret@") && !error.contains("secret%") && error.starts_with("must "),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn a_choice_is_a_word_a_pool_a_url_or_an_object() {
        let read = |value: Value| ProxyChoice::from_json(&value);
        assert_eq!(read(json!("direct")), Ok(ProxyChoice::Direct));
        assert_eq!(read(json!("eu-1")), Ok(ProxyChoice::Pool("eu-1".into())));
        assert_eq!(
            read(json!("proxy.example:3128")),
            Ok(ProxyChoice::Server { server: server("http://proxy.example:3128"), bypass: vec![] })
        );
        let object = read(json!({
            "server": "socks5://proxy.example:1080", "username": "me", "password": "a:b@c", "bypass": ".com, chromium.org",
        }));
        let expected = ProxyChoice::Server {
            server: server("socks5://me:a%3Ab%40c@proxy.example:1080"),
            bypass: vec![".com".parse().unwrap(), "chromium.org".parse().unwrap()],
        };
        assert_eq!(object, Ok(expected.clone()));
        let written = serde_json::to_value(&expected).unwrap();
        assert_eq!(read(written), Ok(expected), "it is sent on to the worker as a whole");
        for (value, problem) in [
            (json!(5), "a string or an object"),
            (json!({}), "'server'"),
            (json!({"server": "ftp://a"}), "server must be a URL"),
            (json!({"server": "direct"}), "server must be a proxy, not 'direct'"),
            (json!({"server": "http://a:99999"}), "a port of at most 65535"),
            (json!({"server": "a:1", "username": 5}), "'username'"),
            (json!({"server": "a:1", "password": "x"}), "user name"),
            (json!({"server": "a:1", "bypass": 5}), "'bypass'"),
            (json!({"server": "a:1", "bypass": ["a b"]}), "'a b'"),
            (json!({"server": "a:1", "bypass": vec!["a"; 101]}), "100"),
        ] {
            let error = read(value.clone()).unwrap_err().to_string();
            assert!(error.contains(problem), "{value}: {error}");
        }
    }

    #[test]
    fn a_view_names_the_server_or_the_pool() {
        let choice: ProxyChoice = "socks5://me:secret@proxy.example:1080".parse().unwrap();
        assert_eq!(
            serde_json::to_value(choice.view()).unwrap(),
            json!({"server": "socks5://proxy.example:1080", "pool": null})
        );
        assert_eq!(ProxyChoice::Pool("eu".into()).view().unwrap().pool.as_deref(), Some("eu"));
        assert_eq!(ProxyChoice::Direct.view(), None);
    }
}
