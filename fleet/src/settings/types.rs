//! How settings are read into the types of the actors and of the web surface that have no parser of their own.

use std::fmt;

use camofleet_actors::display::{Geometry, VncBackend};
use camofleet_actors::egress::EgressLevel;
use camofleet_actors::fleet::Placement;
use camofleet_actors::host::engine::EngineKind;
use camofleet_api::session::StartUrlWait;
use camofleet_web::CorsOrigins;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use url::Url;

use super::kinds::excerpt;

/// A type whose values are written as words.
pub trait Choice: Sized + 'static {
    /// The words, as they are written in a settings file.
    const WORDS: &'static [&'static str];

    /// The value that a word stands for.
    fn from_word(word: &str) -> Option<Self>;
}

macro_rules! choice {
    ($type:ty { $($word:literal => $value:expr,)+ }) => {
        impl Choice for $type {
            const WORDS: &'static [&'static str] = &[$($word),+];

            fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some($value),)+
                    _ => None,
                }
            }
        }
    };
}

choice! {
    Option<EngineKind> {
        "auto" => None,
        "camoufox" => Some(EngineKind::Camoufox),
        "firefox" => Some(EngineKind::Firefox),
    }
}

choice! {
    VncBackend {
        "auto" => Self::Auto,
        "xvnc" => Self::Xvnc,
        "x11vnc" => Self::X11vnc,
    }
}

choice! {
    StartUrlWait {
        "load" => Self::Load,
        "domcontentloaded" => Self::DomContentLoaded,
        "none" => Self::None,
    }
}

choice! {
    Placement {
        "round_robin" => Self::RoundRobin,
        "least_sessions" => Self::LeastSessions,
    }
}

choice! {
    Option<bool> {
        "auto" => None,
        "true" => Some(true),
        "false" => Some(false),
    }
}

choice! {
    EgressLevel {
        "no-fleet" => Self::NoFleet,
        "public" => Self::Public,
        "open" => Self::Open,
    }
}

/// The viewport of contexts whose client names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultViewport {
    /// The inside of the window.
    Window,
    /// Playwright's own default, 1280×720.
    Playwright,
}

choice! {
    DefaultViewport {
        "window" => Self::Window,
        "playwright" => Self::Playwright,
    }
}

/// Reads `1920x1080x24`; `None` also for a size that no browser can use.
pub fn resolution(text: &str) -> Option<Geometry> {
    let mut parts = text.split(['x', 'X']);
    let (width, height) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let depth = parts.next()?.parse().ok()?;
    let side = 320..=7680;
    let fits = side.contains(&width) && side.contains(&height) && [16, 24].contains(&depth);
    (fits && parts.next().is_none()).then_some(Geometry { width, height, depth })
}

/// Reads the origins whose pages may call the API, as a JSON array or separated by commas.
///
/// # Errors
/// The first entry that is not an origin.
pub fn cors_origins(text: &str) -> Result<CorsOrigins, String> {
    if entries(text)?.iter().any(|entry| entry == "*") {
        return Ok(CorsOrigins::Any);
    }
    read_entries(text, origin).map(CorsOrigins::List)
}

/// An origin as a browser writes it: lower case, no default port, nothing after the port.
fn origin(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let named = url.username().is_empty() && url.password().is_none() && !text.contains('*');
    if !url.origin().is_tuple() || !bare || !named {
        return Err("an origin has a scheme, a host and at most a port".to_owned());
    }
    Ok(url.origin().ascii_serialization())
}

/// Names of hosts: exact ones, and `*.example.com` for every name below one.
///
/// # Errors
/// The first entry that is malformed.
pub fn hosts(text: &str) -> Result<Vec<String>, String> {
    read_entries(text, |entry| {
        // A port is ignored: it comes along when an address is copied from a browser.
        let named = entry
            .split_once(':')
            .map_or(entry, |(host, port)| if port.parse::<u16>().is_ok() { host } else { entry });
        let host = named.strip_prefix("*.").unwrap_or(named);
        let plain = |char: char| char.is_ascii_alphanumeric() || "-_.:[]".contains(char);
        if host.is_empty() || !host.chars().all(plain) {
            return Err("not a host name".to_owned());
        }
        Ok(named.trim_end_matches('.').to_ascii_lowercase())
    })
}

/// Schemes of URLs, without the colon.
///
/// # Errors
/// The first entry that is malformed.
pub fn schemes(text: &str) -> Result<Vec<String>, String> {
    read_entries(text, |entry| {
        let name = entry.trim_end_matches(':').to_ascii_lowercase();
        let sound = name.starts_with(|char: char| char.is_ascii_lowercase())
            && name.chars().all(|char| char.is_ascii_alphanumeric() || "+-.".contains(char));
        if sound { Ok(name) } else { Err("not a scheme".to_owned()) }
    })
}

/// The pages that may frame ours, as CSP's `frame-ancestors` has it: `none`, `self`, `*` or origins, as in `self, https://a.example`.
///
/// # Errors
/// The first entry that is none of them, or `none` beside others.
pub fn frame_ancestors(text: &str) -> Result<String, String> {
    let given = entries(text)?;
    if given.is_empty() || given.iter().any(|entry| entry.trim_matches('\'') == "none") {
        return match given.len() {
            0 | 1 => Ok("'none'".to_owned()),
            _ => Err("none has to stand alone".to_owned()),
        };
    }
    let sources = read_entries(text, |entry| match entry.trim_matches('\'') {
        "self" => Ok("'self'".to_owned()),
        "*" => Ok("*".to_owned()),
        origin_text => origin(origin_text),
    })?;
    Ok(sources.join(" "))
}

/// Names of environment variables, which a `*` may end.
///
/// # Errors
/// The first entry that is malformed, or an empty list.
pub fn variables(text: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = match text.starts_with('[') {
        true => entries(text)?,
        false => text.split(',').map(|name| name.trim().to_owned()).collect(),
    };
    for name in &names {
        let stem = name.strip_suffix('*').unwrap_or(name);
        if name.is_empty() || !stem.chars().all(|char| char.is_ascii_alphanumeric() || char == '_') {
            return Err(format!("{}: not the name of a variable", excerpt(name)));
        }
    }
    Ok(names)
}

/// Beginnings of the names of Firefox preferences, such as `browser.display.`.
///
/// # Errors
/// The first entry that is malformed, or an empty list.
pub fn preferences(text: &str) -> Result<Vec<String>, String> {
    let prefixes = entries(text)?;
    let of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    match prefixes.iter().find(|prefix| prefix.is_empty() || !prefix.bytes().all(of_a_name)) {
        Some(wrong) => Err(format!("{}: no name of a preference begins like that", excerpt(wrong))),
        None if prefixes.is_empty() => Err("it is empty".to_owned()),
        None => Ok(prefixes),
    }
}

/// A JSON array of texts, or texts separated by commas.
fn entries(text: &str) -> Result<Vec<String>, String> {
    if text.starts_with('[') {
        return serde_json::from_str(text).map_err(|error| error.to_string());
    }
    Ok(text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect())
}

/// Reads each entry of such a list; the error names the first one that is wrong.
pub fn read_entries<T>(text: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let read = |entry: String| read(&entry).map_err(|why| format!("{}: {why}", excerpt(&entry)));
    entries(text)?.into_iter().map(read).collect()
}

/// A text that must not be printed, neither in the log nor in a panic message.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text from being printed.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Whether it can travel in an HTTP header.
    pub fn is_sendable(&self) -> bool {
        !self.0.is_empty() && self.0.chars().all(|char| char.is_ascii_graphic())
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    /// The error does not say what is there instead of a text, which may be the secret.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer);
        text.map(Self).map_err(|_| D::Error::custom("it has to be a text"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolution_has_three_parts_within_limits() {
        let full_hd = Geometry { width: 1920, height: 1080, depth: 24 };
        for (text, expected) in [
            ("1920x1080x24", Some(full_hd)),
            ("1920X1080X24", Some(full_hd)),
            ("320x7680x16", Some(Geometry { width: 320, height: 7680, depth: 16 })),
            ("319x1080x24", None),
            ("1920x7681x24", None),
            ("1920x1080x32", None),
            ("1920x1080", None),
            ("1920x1080x24x1", None),
            ("x1080x24", None),
            ("", None),
        ] {
            assert_eq!(resolution(text), expected, "{text}");
        }
    }

    #[test]
    fn origins_are_a_json_array_or_a_comma_separated_list() {
        let listed = |entries: &[&str]| {
            Some(CorsOrigins::List(entries.iter().map(|entry| (*entry).to_owned()).collect()))
        };
        for (text, expected) in [
            ("*", Some(CorsOrigins::Any)),
            (r#"["*"]"#, Some(CorsOrigins::Any)),
            ("https://a.example, *", Some(CorsOrigins::Any)),
            (
                r#"["https://a.example","http://b.example:8080"]"#,
                listed(&["https://a.example", "http://b.example:8080"]),
            ),
            ("https://a.example/,http://b.example:80,", listed(&["https://a.example", "http://b.example"])),
            ("HTTPS://A.Example", listed(&["https://a.example"])),
            ("", listed(&[])),
            ("[]", listed(&[])),
            ("a.example", None),
            ("https://a.example/path", None),
            ("https://*.example", None),
            ("https://user@a.example", None),
            ("null", None),
            (r#"["https://a.example""#, None),
        ] {
            assert_eq!(cors_origins(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn hosts_schemes_and_ancestors_are_lists() {
        let list =
            |entries: &[&str]| Some(entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>());
        assert_eq!(hosts("Fleet.example., *.b.example").ok(), list(&["fleet.example", "*.b.example"]));
        assert_eq!(hosts("fleet.example:9480").ok(), list(&["fleet.example"]), "a port is not compared");
        assert_eq!(hosts(r#"["[::1]"]"#).ok(), list(&["[::1]"]));
        for bad in ["https://a.example", "a/b", "*.", "*"] {
            assert_eq!(hosts(bad).ok(), None, "{bad}");
        }
        assert_eq!(schemes("file:, moz-extension").ok(), list(&["file", "moz-extension"]));
        assert_eq!(schemes("fi le").ok(), None);
        for (text, sources) in [
            ("none", Some("'none'")),
            ("", Some("'none'")),
            ("self", Some("'self'")),
            ("'self', https://a.example/", Some("'self' https://a.example")),
            ("*", Some("*")),
            ("self, none", None),
            ("a.example; script-src *", None),
        ] {
            assert_eq!(frame_ancestors(text).ok().as_deref(), sources, "{text}");
        }
    }

    #[test]
    fn a_secret_does_not_show_in_debug_output() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.expose(), "hunter2");
    }
}
