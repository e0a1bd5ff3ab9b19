//! Types that a setting's text becomes.

use std::fmt;

use serde::Deserialize;
use url::Url;

/// A setting that is one of a few words.
pub trait Choice: Sized + Copy + 'static {
    /// The words, as they are written in a settings file.
    const WORDS: &'static [&'static str];

    /// The value that a word stands for.
    fn from_word(word: &str) -> Option<Self>;
}

macro_rules! choices {
    ($(#[$about:meta])* $name:ident { $($(#[$meaning:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$meaning])* $variant,)+
        }

        impl Choice for $name {
            const WORDS: &'static [&'static str] = &[$($word),+];

            fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

choices! {
    /// Which browser to run.
    Engine {
        /// Camoufox where it is installed, else the system's Firefox.
        Auto = "auto",
        /// Camoufox only.
        Camoufox = "camoufox",
        /// The system's Firefox only.
        Firefox = "firefox",
    }
}

choices! {
    /// What provides a display and its VNC server.
    VncBackend {
        /// Xvnc where it is installed, else Xvfb with x11vnc.
        Auto = "auto",
        /// TigerVNC's Xvnc, display and VNC server in one.
        Xvnc = "xvnc",
        /// Xvfb, shown by x11vnc.
        X11vnc = "x11vnc",
    }
}

choices! {
    /// How far a start URL has to load.
    StartUrlWait {
        /// Until the page's load event.
        Load = "load",
        /// Until the document is parsed.
        DomContentLoaded = "domcontentloaded",
        /// The start URL isn't opened at all.
        None = "none",
    }
}

choices! {
    /// Which of the workers that fit is asked first.
    Placement {
        /// Each in turn.
        RoundRobin = "round_robin",
        /// The one with the fewest sessions.
        LeastSessions = "least_sessions",
    }
}

choices! {
    /// Whether a live view opens by its number alone.
    OpenIds {
        /// Where no token is set.
        Auto = "auto",
        /// Always.
        Open = "true",
        /// Never.
        Closed = "false",
    }
}

/// The size of a display.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolution {
    /// Pixels across.
    pub width: u16,
    /// Pixels down.
    pub height: u16,
    /// Bits a pixel: 16 or 24.
    pub depth: u8,
}

impl Resolution {
    /// Reads `1920x1080x24`; `None` also for a size that no browser can use.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(['x', 'X']);
        let (width, height) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let depth = parts.next()?.parse().ok()?;
        let side = 320..=7680;
        let fits = side.contains(&width) && side.contains(&height) && [16, 24].contains(&depth);
        (fits && parts.next().is_none()).then_some(Self { width, height, depth })
    }
}

/// The web pages that may call the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsOrigins {
    /// All of them may read, without credentials.
    Any,
    /// These origins (`https://panel.example`), written as browsers send them.
    Listed(Vec<String>),
}

impl CorsOrigins {
    /// Reads a JSON array or a comma-separated list.
    pub fn parse(text: &str) -> Option<Self> {
        let entries = entries(text)?;
        if entries.iter().any(|entry| entry == "*") {
            return Some(Self::Any);
        }
        entries.iter().map(|entry| origin(entry)).collect::<Option<_>>().map(Self::Listed)
    }
}

/// An origin as a browser writes it: lower case, no default port, nothing after the port.
fn origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let named = url.username().is_empty() && url.password().is_none() && !text.contains('*');
    (url.origin().is_tuple() && bare && named).then(|| url.origin().ascii_serialization())
}

/// Names of hosts: exact ones, and `*.example.com` for every name below one.
pub fn hosts(text: &str) -> Option<Vec<String>> {
    let name = |entry: String| {
        // A port is not compared: people copy what their browser shows.
        let named = entry
            .split_once(':')
            .map_or(&*entry, |(host, port)| if port.parse::<u16>().is_ok() { host } else { &*entry });
        let host = named.strip_prefix("*.").unwrap_or(named);
        let plain = |char: char| char.is_ascii_alphanumeric() || "-_.:[]".contains(char);
        (!host.is_empty() && host.chars().all(plain))
            .then(|| named.trim_end_matches('.').to_ascii_lowercase())
    };
    entries(text)?.into_iter().map(name).collect()
}

/// Schemes of URLs, without the colon.
pub fn schemes(text: &str) -> Option<Vec<String>> {
    let scheme = |entry: String| {
        let name = entry.trim_end_matches(':').to_ascii_lowercase();
        let sound = name.starts_with(|char: char| char.is_ascii_lowercase())
            && name.chars().all(|char| char.is_ascii_alphanumeric() || "+-.".contains(char));
        sound.then_some(name)
    };
    entries(text)?.into_iter().map(scheme).collect()
}

/// Who may frame pages, as CSP's `frame-ancestors` has it: `none`, `self`, `*` or origins, as in `self, https://a.example`.
pub fn frame_ancestors(text: &str) -> Option<String> {
    let entries = entries(text)?;
    if entries.is_empty() || entries.iter().any(|entry| entry.trim_matches('\'') == "none") {
        return (entries.len() <= 1).then(|| "'none'".to_owned());
    }
    let source = |entry: String| match entry.trim_matches('\'') {
        "self" => Some("'self'".to_owned()),
        "*" => Some("*".to_owned()),
        origin_text => origin(origin_text),
    };
    entries.into_iter().map(source).collect::<Option<Vec<_>>>().map(|sources| sources.join(" "))
}

/// A JSON array of texts, or texts separated by commas.
fn entries(text: &str) -> Option<Vec<String>> {
    if text.starts_with('[') {
        return serde_json::from_str(text).ok();
    }
    Some(text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect())
}

/// Text that neither a log line nor a panic message may show.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolution_has_three_parts_within_limits() {
        let full_hd = Resolution { width: 1920, height: 1080, depth: 24 };
        for (text, expected) in [
            ("1920x1080x24", Some(full_hd)),
            ("1920X1080X24", Some(full_hd)),
            ("320x7680x16", Some(Resolution { width: 320, height: 7680, depth: 16 })),
            ("319x1080x24", None),
            ("1920x7681x24", None),
            ("1920x1080x32", None),
            ("1920x1080", None),
            ("1920x1080x24x1", None),
            ("x1080x24", None),
            ("", None),
        ] {
            assert_eq!(Resolution::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn origins_are_a_json_array_or_a_comma_separated_list() {
        let listed = |entries: &[&str]| {
            Some(CorsOrigins::Listed(entries.iter().map(|entry| (*entry).to_owned()).collect()))
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
            assert_eq!(CorsOrigins::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn hosts_schemes_and_ancestors_are_lists() {
        let list =
            |entries: &[&str]| Some(entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>());
        assert_eq!(hosts("Fleet.example., *.b.example"), list(&["fleet.example", "*.b.example"]));
        assert_eq!(hosts("fleet.example:9480"), list(&["fleet.example"]), "a port is not compared");
        assert_eq!(hosts(r#"["[::1]"]"#), list(&["[::1]"]));
        for bad in ["https://a.example", "a/b", "*.", "*"] {
            assert_eq!(hosts(bad), None, "{bad}");
        }
        assert_eq!(schemes("file:, moz-extension"), list(&["file", "moz-extension"]));
        assert_eq!(schemes("fi le"), None);
        for (text, sources) in [
            ("none", Some("'none'")),
            ("", Some("'none'")),
            ("self", Some("'self'")),
            ("'self', https://a.example/", Some("'self' https://a.example")),
            ("*", Some("*")),
            ("self, none", None),
            ("a.example; script-src *", None),
        ] {
            assert_eq!(frame_ancestors(text).as_deref(), sources, "{text}");
        }
    }

    #[test]
    fn a_secret_does_not_show_in_debug_output() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.expose(), "hunter2");
    }
}
