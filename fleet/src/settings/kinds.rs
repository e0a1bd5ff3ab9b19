//! What the text of a setting may be, how it is read, and how that is said to a person.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::topology::{self, DiscoveryEntry, VncMap, WorkerEntry};
use super::types::{self, CorsOrigins, Resolution, Secret};

/// The longest span, in seconds, that an interval setting accepts: one day.
pub const MAX_INTERVAL: f64 = 86_400.0;

/// What a value has to look like.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "the bounds of a kind are named min and max")]
pub enum Kind {
    /// A whole number.
    Integer { min: u64, max: u64 },
    /// A span of time in whole seconds, for values that clients may also send.
    WholeSeconds { min: u64, max: u64 },
    /// A span of time in seconds, fractions allowed.
    Seconds { min: f64, max: f64 },
    /// A span of time in whole milliseconds.
    Milliseconds { min: u64, max: u64 },
    /// On or off.
    Switch,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// Free text.
    Text { max_chars: usize },
    /// A secret that travels in an HTTP header.
    Token,
    /// A file or a directory.
    Path,
    /// A path, or the bare name of something on PATH.
    Program,
    /// An address to listen on.
    Host,
    /// A path of the HTTP surface.
    HttpPath,
    /// A path that is put before others; `/` is none.
    HttpPrefix,
    /// Origins for CORS.
    Origins,
    /// Names of hosts.
    Hosts,
    /// Schemes of URLs.
    Schemes,
    /// Who may frame pages.
    FrameAncestors,
    /// The size of a display.
    Resolution,
    /// Other machines that sessions are placed on.
    Workers,
    /// Names that stand for such machines.
    Discovery,
    /// The address of another part's API.
    ApiBase,
    /// What public addresses begin with.
    LinkBase,
    /// Addresses to look at.
    Urls,
    /// Names of environment variables; a `*` at the end of one stands for any rest.
    Variables,
    /// Ids of live views.
    IdRange,
    /// VNC servers by id.
    VncMap,
    /// An IP address to listen on.
    Address,
    /// An X display.
    Display,
    /// A VNC server's password: the protocol uses eight characters of it.
    VncPassword,
}

/// A text that was found to be what its kind asks for.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each variant is what its kind of the same name reads")]
pub enum Value {
    Integer(u64),
    Span(Duration),
    Switch(bool),
    Word(&'static str),
    Text(String),
    Secret(Secret),
    Path(PathBuf),
    Origins(CorsOrigins),
    Texts(Vec<String>),
    Resolution(Resolution),
    Workers(Vec<WorkerEntry>),
    Discovery(Vec<DiscoveryEntry>),
    Url(Url),
    Urls(Vec<Url>),
    Variables(Vec<String>),
    IdRange(RangeInclusive<u16>),
    VncMap(VncMap),
    Address(IpAddr),
}

impl Kind {
    /// Reads a text; `None` when it isn't what [`Kind::allowed`] says.
    pub fn parse(&self, text: &str) -> Option<Value> {
        let text = text.trim();
        match *self {
            Self::Integer { min, max } => whole_number(text, min, max).map(Value::Integer),
            Self::WholeSeconds { min, max } => {
                whole_number(text, min, max).map(Duration::from_secs).map(Value::Span)
            }
            Self::Seconds { min, max } => seconds(text, min, max).map(Value::Span),
            Self::Milliseconds { min, max } => {
                whole_number(text, min, max).map(Duration::from_millis).map(Value::Span)
            }
            Self::Switch => switch(text).map(Value::Switch),
            Self::Choice(words) => {
                words.iter().find(|word| word.eq_ignore_ascii_case(text)).map(|word| Value::Word(word))
            }
            Self::Text { max_chars } => (text.chars().count() <= max_chars
                && !text.contains(char::is_control))
            .then(|| Value::Text(text.to_owned())),
            Self::Token => Some(Secret::new(text.to_owned())).filter(Secret::is_sendable).map(Value::Secret),
            Self::Path | Self::Program => {
                (!text.is_empty() && !text.contains('\0')).then(|| Value::Path(PathBuf::from(text)))
            }
            Self::Host => host(text).map(Value::Text),
            Self::HttpPath => http_path(text).filter(|path| !path.is_empty()).map(Value::Text),
            Self::HttpPrefix => http_path(text).map(Value::Text),
            Self::Origins => CorsOrigins::parse(text).map(Value::Origins),
            Self::Hosts => types::hosts(text).map(Value::Texts),
            Self::Schemes => types::schemes(text).map(Value::Texts),
            Self::FrameAncestors => types::frame_ancestors(text).map(Value::Text),
            Self::Resolution => Resolution::parse(text).map(Value::Resolution),
            Self::Workers => topology::workers(text).map(Value::Workers),
            Self::Discovery => topology::discovery(text).map(Value::Discovery),
            Self::ApiBase => topology::api_base(text).map(Value::Url),
            Self::LinkBase => topology::link_base(text).map(Value::Text),
            Self::Urls => topology::urls(text).map(Value::Urls),
            Self::Variables => variables(text).map(Value::Variables),
            Self::IdRange => topology::id_range(text).map(Value::IdRange),
            Self::VncMap => topology::vnc_map(text).map(Value::VncMap),
            Self::Address => text.parse().ok().map(Value::Address),
            Self::Display => {
                let number = text.strip_prefix(':').and_then(|rest| rest.trim_end_matches(".0").parse().ok());
                number.filter(|number| *number <= 59_535).map(Value::Integer)
            }
            Self::VncPassword => {
                let typeable =
                    (1..=8).contains(&text.len()) && text.chars().all(|char| char.is_ascii_graphic());
                typeable.then(|| Value::Secret(Secret::new(text.to_owned())))
            }
        }
    }

    /// What is allowed, to be read after "is not".
    pub fn allowed(&self) -> String {
        match *self {
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::WholeSeconds { min, max } => format!("a whole number of seconds from {min} to {max}"),
            Self::Seconds { min, max } => format!("a number of seconds from {min} to {max}"),
            Self::Milliseconds { min, max } => format!("a whole number of milliseconds from {min} to {max}"),
            Self::Switch => "true or false (1/0, yes/no and on/off will do)".to_owned(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Text { max_chars } => format!("one line of at most {max_chars} characters"),
            Self::Token => "printable ASCII characters without blanks".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Program => "a path or the name of a program".to_owned(),
            Self::Host => "an IP address or a host name".to_owned(),
            Self::Workers => "a JSON array of workers, each with a 'name' of its own and an http(s) 'url', and where wanted \
                              'token' (what it asks for), 'supports_vnc' (true or false), 'vnc_ws' (a ws(s) URL) and 'vnc_http' (an http(s) URL), in \
                              which {id}, {host} and {worker} are filled in"
                .to_owned(),
            Self::Discovery => "URLs such as dns://workers.fleet.svc:8080 or kubernetes://workers.fleet:8080, separated by \
                                commas, or a JSON array of objects with such a 'url' and what CONTROL_WORKERS says of a worker; \
                                ?nameserver=10.0.0.2:53 or ?api=http://127.0.0.1:8001 names who is asked"
                .to_owned(),
            Self::ApiBase => "an http(s) URL such as http://runner:8070".to_owned(),
            Self::LinkBase => "a URL without a query, such as wss://fleet.example".to_owned(),
            Self::Urls => "http(s) URLs, as a JSON array or separated by commas".to_owned(),
            Self::Variables => {
                "names of environment variables such as MOZ_LOG or MESA_*, as a JSON array or separated by commas"
                    .to_owned()
            }
            Self::IdRange => "a range of ids such as 6900-6904".to_owned(),
            Self::VncMap => r#"a JSON object such as {"6900": {"host": "10.0.0.7", "port": 5900}}"#.to_owned(),
            Self::Address => "an IP address such as 127.0.0.1 or 0.0.0.0".to_owned(),
            Self::Display => "an X display such as :1".to_owned(),
            Self::VncPassword => "1 to 8 printable ASCII characters without blanks".to_owned(),
            Self::HttpPath => "a path such as /metrics".to_owned(),
            Self::HttpPrefix => "a path such as / or /fleet".to_owned(),
            Self::Origins => {
                "* or origins such as https://panel.example, as a JSON array or separated by commas"
                    .to_owned()
            }
            Self::Hosts => {
                "host names such as fleet.example or *.fleet.example, as a JSON array or separated by commas".to_owned()
            }
            Self::Schemes => "schemes such as file, as a JSON array or separated by commas".to_owned(),
            Self::FrameAncestors => {
                "none, or self, * and origins such as https://portal.example, as a JSON array or separated by commas"
                    .to_owned()
            }
            Self::Resolution => {
                "WIDTHxHEIGHTxDEPTH with sides from 320 to 7680 and a depth of 16 or 24, such as 1920x1080x24"
                    .to_owned()
            }
        }
    }
}

fn whole_number(text: &str, min: u64, max: u64) -> Option<u64> {
    text.parse().ok().filter(|number| (min..=max).contains(number))
}

fn seconds(text: &str, min: f64, max: f64) -> Option<Duration> {
    let number: f64 = text.parse().ok().filter(|number| (min..=max).contains(number))?;
    Duration::try_from_secs_f64(number).ok()
}

fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Names of variables, which a `*` may end.
fn variables(text: &str) -> Option<Vec<String>> {
    let names: Vec<String> = match text.starts_with('[') {
        true => serde_json::from_str(text).ok()?,
        false => text.split(',').map(|name| name.trim().to_owned()).collect(),
    };
    let name = |name: &String| {
        let stem = name.strip_suffix('*').unwrap_or(name);
        !name.is_empty() && stem.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
    };
    names.iter().all(name).then_some(names)
}

/// An IPv6 address loses its brackets, because that is how sockets want it.
fn host(text: &str) -> Option<String> {
    let unbracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Ok(address) = unbracketed.unwrap_or(text).parse::<IpAddr>() {
        return Some(address.to_string());
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.chars().all(|char| char.is_ascii_alphanumeric() || "-_".contains(char))
            && !label.starts_with('-')
    };
    // A name of digits and dots only is a mistyped address, and would be looked up in vain.
    let mistyped_address = text.chars().all(|char| char.is_ascii_digit() || char == '.');
    (!mistyped_address && text.len() <= 253 && text.split('.').all(label)).then(|| text.to_owned())
}

/// A path with a leading and without a trailing slash; the root is the empty path.
fn http_path(text: &str) -> Option<String> {
    let path = text.trim_matches('/');
    let plain = |segment: &str| {
        !segment.is_empty()
            && ![".", ".."].contains(&segment)
            && segment.chars().all(|char| char.is_ascii_alphanumeric() || "-._~@".contains(char))
    };
    match path {
        "" => text.starts_with('/').then(String::new),
        _ => path.split('/').all(plain).then(|| format!("/{path}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_reads(kind: Kind, cases: &[(&str, Option<Value>)]) {
        for (text, expected) in cases {
            assert_eq!(&kind.parse(text), expected, "{text:?} as {kind:?}");
        }
    }

    fn text(text: &str) -> Option<Value> {
        Some(Value::Text(text.to_owned()))
    }

    #[test]
    fn whole_numbers_hold_to_their_range() {
        assert_reads(
            Kind::Integer { min: 0, max: 64 },
            &[
                ("0", Some(Value::Integer(0))),
                (" 64 ", Some(Value::Integer(64))),
                ("65", None),
                ("-1", None),
                ("1.5", None),
                ("lots", None),
                ("", None),
                ("99999999999999999999", None),
            ],
        );
    }

    #[test]
    fn spans_of_time_are_read_in_their_unit() {
        let span = |millis| Some(Value::Span(Duration::from_millis(millis)));
        assert_reads(
            Kind::Seconds { min: 0.1, max: 60.0 },
            &[
                ("2.0", span(2000)),
                ("0.25", span(250)),
                ("60", span(60_000)),
                ("0", None),
                ("NaN", None),
                ("inf", None),
            ],
        );
        assert_reads(
            Kind::WholeSeconds { min: 30, max: 3600 },
            &[("300", span(300_000)), ("30.5", None), ("29", None)],
        );
        assert_reads(Kind::Milliseconds { min: 1, max: 1000 }, &[("250", span(250)), ("0", None)]);
    }

    #[test]
    fn switches_know_four_words_for_each_position() {
        for word in ["true", "1", "yes", "on", "TRUE", "Yes"] {
            assert_eq!(Kind::Switch.parse(word), Some(Value::Switch(true)), "{word}");
        }
        for word in ["false", "0", "no", "off", "OFF"] {
            assert_eq!(Kind::Switch.parse(word), Some(Value::Switch(false)), "{word}");
        }
        assert_reads(Kind::Switch, &[("", None), ("2", None), ("maybe", None)]);
    }

    #[test]
    fn choices_are_words_in_any_case() {
        assert_reads(
            Kind::Choice(&["auto", "xvnc"]),
            &[
                ("xvnc", Some(Value::Word("xvnc"))),
                ("Auto", Some(Value::Word("auto"))),
                ("vnc", None),
                ("", None),
            ],
        );
    }

    #[test]
    fn variables_are_names_that_a_star_may_end() {
        let names =
            |names: &[&str]| Some(Value::Variables(names.iter().map(|name| (*name).to_owned()).collect()));
        assert_reads(
            Kind::Variables,
            &[
                ("MOZ_LOG", names(&["MOZ_LOG"])),
                ("MOZ_LOG, MESA_*", names(&["MOZ_LOG", "MESA_*"])),
                (r#"["MOZ_LOG","_2"]"#, names(&["MOZ_LOG", "_2"])),
                ("*", names(&["*"])),
                ("MOZ_*_LOG", None),
                ("MOZ LOG", None),
                ("MOZ_LOG=1", None),
                ("MOZ_LOG,,TZ", None),
                ("", None),
            ],
        );
    }

    #[test]
    fn hosts_are_addresses_or_names() {
        assert_reads(
            Kind::Host,
            &[
                ("127.0.0.1", text("127.0.0.1")),
                ("::1", text("::1")),
                ("[::1]", text("::1")),
                ("localhost", text("localhost")),
                ("fleet-1.example", text("fleet-1.example")),
                ("256.0.0.1", None),
                ("127.0.0", None),
                ("localhost:9000", None),
                ("http://localhost", None),
                ("", None),
            ],
        );
    }

    #[test]
    fn http_paths_gain_a_leading_and_lose_a_trailing_slash() {
        assert_reads(
            Kind::HttpPath,
            &[
                ("/metrics", text("/metrics")),
                ("ops/metrics/", text("/ops/metrics")),
                ("/", None),
                ("", None),
                ("/{id}", None),
                ("/a b", None),
                ("/../a", None),
                ("/a//b", None),
            ],
        );
        assert_reads(
            Kind::HttpPrefix,
            &[("/", text("")), ("/fleet/", text("/fleet")), ("fleet", text("/fleet")), ("", None)],
        );
    }

    #[test]
    fn texts_are_one_line_and_not_too_long() {
        let kind = Kind::Text { max_chars: 4 };
        assert_reads(kind, &[("äöüß", text("äöüß")), ("12345", None), ("a\nb", None)]);
    }

    #[test]
    fn tokens_can_travel_in_a_header() {
        let secret = Value::Secret(Secret::new("s3cr3t".to_owned()));
        assert_reads(
            Kind::Token,
            &[("s3cr3t", Some(secret)), ("two words", None), ("schlüssel", None), ("", None)],
        );
    }
}
