//! The kinds of values: what a text may be, how it is read into its Rust type, and how an error describes it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::time::Duration;

use camofleet_actors::display::{Geometry, VncPassword};
use camofleet_actors::egress::ProxyPoolSettings;
use camofleet_actors::host::addons::AddonSource;
use camofleet_api::destination::DestinationPattern;
use camofleet_api::proxy::{InvalidProxy, ProxyChoice};
use camofleet_web::CorsOrigins;
use url::Url;

use super::egress;
use super::error::SettingsError;
use super::pools::{self, PoolDefinition};
use super::sources::{InForce, Texts};
use super::topology::{self, DiscoveryEntry, VncMap, WorkerEntry};
use super::types::{self, Choice, Secret};

/// What a value has to look like.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "the bounds of a kind are named min and max")]
pub enum Kind {
    /// A whole number.
    Integer {
        min: u64,
        max: u64,
    },
    /// A span of time in whole seconds, for values that clients may also send.
    WholeSeconds {
        min: u64,
        max: u64,
    },
    /// A span of time in seconds, fractions allowed.
    Seconds {
        min: f64,
        max: f64,
    },
    /// A span of time in whole milliseconds.
    Milliseconds {
        min: u64,
        max: u64,
    },
    /// On or off.
    Switch,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// Free text.
    Text {
        max_chars: usize,
    },
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
    /// A path that is put before others; `/` is empty.
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
    /// Workers.
    Workers,
    /// Names that stand for workers.
    Discovery,
    /// The address of another part's API.
    ApiBase,
    /// What public addresses begin with.
    LinkBase,
    /// Addresses to request.
    Urls,
    /// Names of environment variables; a `*` at the end of one stands for any rest.
    Variables,
    Preferences,
    /// Ids of live views.
    IdRange,
    /// VNC servers by id.
    VncMap,
    /// An IP address to listen on.
    Address,
    /// An X display.
    Display,
    /// Destinations of connections.
    Destinations,
    /// How connections leave, or `auto`.
    Proxy,
    /// Pools of proxies.
    Proxies,
    /// Pools of warm browsers.
    Pools,
    /// Files of block lists.
    ListFiles,
    /// Add-ons by their names.
    Addons,
    /// Names of block lists.
    ListNames,
    /// A DNS server.
    NameServer,
    /// A VNC server's password: the protocol uses eight characters of it.
    VncPassword,
}

impl Kind {
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
                              'token' (which it requires), 'supports_vnc' (true or false), 'vnc_ws' (a ws(s) URL) and 'vnc_http' (an http(s) URL), in \
                              which {id}, {host} and {worker} are filled in"
                .to_owned(),
            Self::Discovery => "URLs such as dns://workers.fleet.svc:8080 or kubernetes://workers.fleet:8080, separated by \
                                commas, or a JSON array of objects with such a 'url' and the fields of CONTROL_WORKERS for live views; \
                                ?nameserver=10.0.0.2:53 or ?api=http://127.0.0.1:8001 names the server to ask"
                .to_owned(),
            Self::ApiBase => "an http(s) URL such as http://runner:8070".to_owned(),
            Self::LinkBase => "a URL without a query, such as wss://fleet.example".to_owned(),
            Self::Urls => "http(s) URLs, as a JSON array or separated by commas".to_owned(),
            Self::Variables => {
                "names of environment variables such as MOZ_LOG or MESA_*, as a JSON array or separated by commas"
                    .to_owned()
            }
            Self::Preferences => {
                "beginnings of preferences' names such as browser.display., as a JSON array or separated by commas".to_owned()
            }
            Self::IdRange => "a range of ids such as 6900-6904".to_owned(),
            Self::VncMap => r#"a JSON object such as {"6900": {"host": "10.0.0.7", "port": 5900}}"#.to_owned(),
            Self::Destinations => "hosts such as a.example, domains such as .example.com, networks such as 10.0.0.0/8, or *, each \
                                   with :port where wanted, as a JSON array or separated by commas"
                .to_owned(),
            Self::Proxy => {
                "auto, direct, a pool of RUNNER_PROXIES, or a URL such as socks5://user:password@proxy.example:1080".to_owned()
            }
            Self::Proxies => r#"a JSON object of lists of URLs such as {"eu": ["socks5://user:password@proxy.example:1080"]}, or of objects such as {"servers": […], "use": "rotate"}"#
                .to_owned(),
            Self::Pools => r#"a JSON array of pools such as [{"name": "mobile", "count": 2, "request": {"headless": true}}], with create requests"#
                .to_owned(),
            Self::Addons => {
                r#"a JSON object of files such as {"ublock": {"path": "/etc/camofleet/ublock.xpi", "sha256": "…"}}"#.to_owned()
            }
            Self::ListFiles => r#"a JSON object of paths such as {"ads": "/etc/camofleet/ads.txt"}"#.to_owned(),
            Self::ListNames => "names such as phone_home, as a JSON array or separated by commas".to_owned(),
            Self::NameServer => "an IP address such as 1.1.1.1, or with a port such as 127.0.0.1:5353".to_owned(),
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

/// Why a text is refused, where that is more than [`Kind::allowed`] says.
pub type Cause = Option<String>;

/// A kind, and how its texts are read into a Rust type.
#[derive(Clone, Copy)]
pub struct Parser<T: 'static> {
    /// The kind.
    pub kind: Kind,
    parse: fn(&Given<'_>) -> Result<T, Cause>,
}

/// The text that is to be read.
struct Given<'a> {
    /// The text, without blanks around it.
    text: &'a str,
    /// What it has to look like.
    kind: Kind,
    /// Where relative paths start from.
    directory: &'a Path,
}

impl<T> Parser<T> {
    /// Reads the text of a setting; relative paths start from the working directory.
    ///
    /// # Errors
    /// The text is not what [`Kind::allowed`] says.
    pub fn read(&self, found: &InForce, text: &str, texts: &Texts) -> Result<T, SettingsError> {
        let given = Given { text: text.trim(), kind: self.kind, directory: &texts.working_directory };
        (self.parse)(&given).map_err(|cause| SettingsError::Value {
            name: found.setting.name,
            given: if found.setting.is_secret() || found.setting.has_key(text) || topology::has_token(text) {
                "the value".to_owned()
            } else {
                excerpt(text)
            },
            source_name: found.source.clone(),
            allowed: self.kind.allowed(),
            // It repeats the URL.
            cause: cause.filter(|_| !found.setting.has_key(text)),
        })
    }
}

/// A value in quotes, on one line and not too long for one.
pub fn excerpt(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// `None` becomes an error about which [`Kind::allowed`] says everything.
fn plain<T>(value: Option<T>) -> Result<T, Cause> {
    value.ok_or(None)
}

const fn parser<T>(kind: Kind, parse: fn(&Given<'_>) -> Result<T, Cause>) -> Parser<T> {
    Parser { kind, parse }
}

/// A whole number within these bounds, which its type can hold.
pub const fn integer<T: TryFrom<u64>>(min: u64, max: u64) -> Parser<T> {
    parser(Kind::Integer { min, max }, |given| plain(T::try_from(given.whole_number()?).ok()))
}

/// A number of processor cores; 0 stands for all of this machine's.
pub const fn cores(max: u64) -> Parser<usize> {
    parser(Kind::Integer { min: 0, max }, |given| {
        let number = plain(usize::try_from(given.whole_number()?).ok())?;
        Ok(if number == 0 { available_parallelism().map_or(1, usize::from) } else { number })
    })
}

/// A number of MiB, as bytes; 0 is no limit.
pub const fn mebibytes(max: u64) -> Parser<Option<NonZeroU64>> {
    parser(Kind::Integer { min: 0, max }, |given| Ok(NonZeroU64::new(given.whole_number()? << 20)))
}

/// A span of time in whole seconds, for values that clients may also send.
pub const fn whole_seconds(min: u64, max: u64) -> Parser<Duration> {
    parser(Kind::WholeSeconds { min, max }, |given| given.whole_number().map(Duration::from_secs))
}

/// A span of time in seconds, fractions allowed.
pub const fn seconds(min: f64, max: f64) -> Parser<Duration> {
    parser(Kind::Seconds { min, max }, |given| given.seconds())
}

/// A span of time in whole milliseconds.
pub const fn milliseconds(min: u64, max: u64) -> Parser<Duration> {
    parser(Kind::Milliseconds { min, max }, |given| given.whole_number().map(Duration::from_millis))
}

/// One of the words of a type, in any case.
pub const fn choice<T: Choice>() -> Parser<T> {
    parser(Kind::Choice(T::WORDS), |given| {
        let word = T::WORDS.iter().find(|word| word.eq_ignore_ascii_case(given.text));
        plain(word.and_then(|word| T::from_word(word)))
    })
}

/// One line of free text.
pub const fn text(max_chars: usize) -> Parser<String> {
    parser(Kind::Text { max_chars }, |given| given.line())
}

pub const SWITCH: Parser<bool> = parser(Kind::Switch, |given| plain(switch(given.text)));
pub const TOKEN: Parser<Secret> =
    parser(Kind::Token, |given| plain(Some(Secret::new(given.text.to_owned())).filter(Secret::is_sendable)));
pub const PATH: Parser<PathBuf> =
    parser(Kind::Path, |given| given.path().map(|path| given.directory.join(path)));
/// A bare name stays one, because it is looked up on PATH.
pub const PROGRAM: Parser<PathBuf> = parser(Kind::Program, |given| {
    let path = given.path()?;
    let is_bare_name = path.components().count() == 1 && path.file_name() == Some(path.as_os_str());
    Ok(if is_bare_name { path.to_owned() } else { given.directory.join(path) })
});
pub const HOST: Parser<String> = parser(Kind::Host, |given| plain(host(given.text)));
pub const HTTP_PATH: Parser<String> =
    parser(Kind::HttpPath, |given| plain(http_path(given.text).filter(|path| !path.is_empty())));
pub const HTTP_PREFIX: Parser<String> = parser(Kind::HttpPrefix, |given| plain(http_path(given.text)));
pub const ORIGINS: Parser<CorsOrigins> =
    parser(Kind::Origins, |given| types::cors_origins(given.text).map_err(Some));
pub const HOSTS: Parser<Vec<String>> = parser(Kind::Hosts, |given| types::hosts(given.text).map_err(Some));
pub const SCHEMES: Parser<Vec<String>> =
    parser(Kind::Schemes, |given| types::schemes(given.text).map_err(Some));
pub const FRAME_ANCESTORS: Parser<String> =
    parser(Kind::FrameAncestors, |given| types::frame_ancestors(given.text).map_err(Some));
pub const RESOLUTION: Parser<Geometry> =
    parser(Kind::Resolution, |given| plain(types::resolution(given.text)));
pub const WORKERS: Parser<Vec<WorkerEntry>> =
    parser(Kind::Workers, |given| topology::workers(given.text).map_err(Some));
pub const DISCOVERY: Parser<Vec<DiscoveryEntry>> =
    parser(Kind::Discovery, |given| topology::discovery(given.text).map_err(Some));
pub const API_BASE: Parser<Url> = parser(Kind::ApiBase, |given| topology::api_base(given.text).map_err(Some));
pub const LINK_BASE: Parser<String> =
    parser(Kind::LinkBase, |given| topology::link_base(given.text).map_err(Some));
pub const URLS: Parser<Vec<Url>> = parser(Kind::Urls, |given| topology::urls(given.text).map_err(Some));
pub const VARIABLES: Parser<Vec<String>> =
    parser(Kind::Variables, |given| types::variables(given.text).map_err(Some));
pub const PREFERENCES: Parser<Vec<String>> =
    parser(Kind::Preferences, |given| types::preferences(given.text).map_err(Some));
pub const ID_RANGE: Parser<RangeInclusive<u16>> =
    parser(Kind::IdRange, |given| topology::id_range(given.text).map_err(Some));
pub const VNC_MAP: Parser<VncMap> = parser(Kind::VncMap, |given| topology::vnc_map(given.text).map_err(Some));
pub const ADDRESS: Parser<IpAddr> = parser(Kind::Address, |given| plain(given.text.parse().ok()));
pub const DISPLAY: Parser<u16> = parser(Kind::Display, |given| {
    let number = given.text.strip_prefix(':').and_then(|rest| rest.trim_end_matches(".0").parse().ok());
    plain(number.filter(|number| *number <= 59_535))
});
pub const VNC_PASSWORD: Parser<VncPassword> = parser(Kind::VncPassword, |given| {
    let typeable = (1..=8).contains(&given.text.len()) && given.text.chars().all(|c| c.is_ascii_graphic());
    plain(typeable.then(|| VncPassword::new(given.text)))
});

pub const DESTINATIONS: Parser<Vec<DestinationPattern>> =
    parser(Kind::Destinations, |given| egress::destinations(given.text).map_err(Some));
pub const PROXY: Parser<Option<ProxyChoice>> = parser(Kind::Proxy, |given| match given.text {
    "auto" => Ok(None),
    text => text.parse().map(Some).map_err(|error: InvalidProxy| Some(format!("it {error}"))),
});
pub const PROXIES: Parser<BTreeMap<String, ProxyPoolSettings>> =
    parser(Kind::Proxies, |given| egress::proxies(given.text).map_err(Some));
pub const POOLS: Parser<Vec<PoolDefinition>> =
    parser(Kind::Pools, |given| pools::definitions(given.text).map_err(Some));
pub const ADDONS: Parser<BTreeMap<String, AddonSource>> =
    parser(Kind::Addons, |given| egress::addons(given.text, given.directory).map_err(Some));
pub const LIST_FILES: Parser<BTreeMap<String, PathBuf>> =
    parser(Kind::ListFiles, |given| egress::list_files(given.text, given.directory).map_err(Some));
pub const LIST_NAMES: Parser<Vec<String>> =
    parser(Kind::ListNames, |given| egress::list_names(given.text).map_err(Some));
pub const NAME_SERVER: Parser<SocketAddr> =
    parser(Kind::NameServer, |given| plain(egress::name_server(given.text)));

pub const IDLE_TTL: Parser<Duration> = whole_seconds(30, 3600);
pub const MAX_IDLE_TTL: Parser<Duration> = whole_seconds(30, 2_592_000);
pub const WRITE_TIMEOUT: Parser<Duration> = seconds(1.0, 3600.0);
/// A wait for another machine: from a tenth of a second to an hour.
pub const PATIENCE: Parser<Duration> = seconds(0.1, 3600.0);
pub const TCP_PORT: Parser<u16> = integer(1, 65_535);
pub const LISTEN_PORT: Parser<u16> = integer(0, 65_535);
/// The longest span, in seconds, that an interval setting accepts: one day.
pub const MAX_INTERVAL: f64 = 86_400.0;

impl Given<'_> {
    /// A whole number within the bounds of its kind.
    fn whole_number(&self) -> Result<u64, Cause> {
        let (Kind::Integer { min, max } | Kind::WholeSeconds { min, max } | Kind::Milliseconds { min, max }) =
            self.kind
        else {
            return Err(None);
        };
        plain(self.text.parse().ok().filter(|number| (min..=max).contains(number)))
    }

    /// A span of time within the bounds of its kind.
    fn seconds(&self) -> Result<Duration, Cause> {
        let Kind::Seconds { min, max } = self.kind else { return Err(None) };
        let number = self.text.parse().ok().filter(|number| (min..=max).contains(number));
        plain(number.and_then(|number| Duration::try_from_secs_f64(number).ok()))
    }

    /// One line that is no longer than its kind allows.
    fn line(&self) -> Result<String, Cause> {
        let Kind::Text { max_chars } = self.kind else { return Err(None) };
        let fits = self.text.chars().count() <= max_chars && !self.text.contains(char::is_control);
        plain(fits.then(|| self.text.to_owned()))
    }

    fn path(&self) -> Result<&Path, Cause> {
        plain((!self.text.is_empty() && !self.text.contains('\0')).then(|| Path::new(self.text)))
    }
}

fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// An IPv6 address loses its brackets: sockets take it without.
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
    // A name of digits and dots only is a mistyped address: no lookup would find it.
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
    use camofleet_actors::display::VncBackend;

    use super::*;

    fn read<T>(parser: Parser<T>, text: &str) -> Option<T> {
        let given = Given { text: text.trim(), kind: parser.kind, directory: Path::new("/work") };
        (parser.parse)(&given).ok()
    }

    #[track_caller]
    fn assert_reads<T: PartialEq + std::fmt::Debug>(parser: Parser<T>, cases: &[(&str, Option<T>)]) {
        for (text, expected) in cases {
            let kind = parser.kind;
            assert_eq!(&read(Parser { ..parser }, text), expected, "{text:?} as {kind:?}");
        }
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn whole_numbers_hold_to_their_range() {
        assert_reads(
            integer::<u64>(0, 64),
            &[
                ("0", Some(0)),
                (" 64 ", Some(64)),
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
        let span = |millis| Some(Duration::from_millis(millis));
        assert_reads(
            seconds(0.1, 60.0),
            &[
                ("2.0", span(2000)),
                ("0.25", span(250)),
                ("60", span(60_000)),
                ("0", None),
                ("NaN", None),
                ("inf", None),
            ],
        );
        assert_reads(whole_seconds(30, 3600), &[("300", span(300_000)), ("30.5", None), ("29", None)]);
        assert_reads(milliseconds(1, 1000), &[("250", span(250)), ("0", None)]);
    }

    #[test]
    fn switches_know_four_words_for_each_position() {
        for word in ["true", "1", "yes", "on", "TRUE", "Yes"] {
            assert_eq!(read(SWITCH, word), Some(true), "{word}");
        }
        for word in ["false", "0", "no", "off", "OFF"] {
            assert_eq!(read(SWITCH, word), Some(false), "{word}");
        }
        assert_reads(SWITCH, &[("", None), ("2", None), ("maybe", None)]);
    }

    #[test]
    fn choices_are_words_in_any_case() {
        assert_reads(
            choice::<VncBackend>(),
            &[("xvnc", Some(VncBackend::Xvnc)), ("Auto", Some(VncBackend::Auto)), ("vnc", None), ("", None)],
        );
    }

    #[test]
    fn variables_are_names_that_a_star_may_end() {
        let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        assert_reads(
            VARIABLES,
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
    fn beginnings_of_preferences_are_read() {
        let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        assert_reads(
            PREFERENCES,
            &[
                ("browser.display.", names(&["browser.display."])),
                ("dom.event., a-b_c", names(&["dom.event.", "a-b_c"])),
                (r#"["layout."]"#, names(&["layout."])),
                ("browser.*", None),
                (r#"["a",""]"#, None),
                ("[]", None),
                ("a b", None),
            ],
        );
    }

    #[test]
    fn hosts_are_addresses_or_names() {
        assert_reads(
            HOST,
            &[
                ("127.0.0.1", some("127.0.0.1")),
                ("::1", some("::1")),
                ("[::1]", some("::1")),
                ("localhost", some("localhost")),
                ("fleet-1.example", some("fleet-1.example")),
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
            HTTP_PATH,
            &[
                ("/metrics", some("/metrics")),
                ("ops/metrics/", some("/ops/metrics")),
                ("/", None),
                ("", None),
                ("/{id}", None),
                ("/a b", None),
                ("/../a", None),
                ("/a//b", None),
            ],
        );
        assert_reads(
            HTTP_PREFIX,
            &[("/", some("")), ("/fleet/", some("/fleet")), ("fleet", some("/fleet")), ("", None)],
        );
    }

    #[test]
    fn texts_are_one_line_and_not_too_long() {
        assert_reads(text(4), &[("äöüß", some("äöüß")), ("12345", None), ("a\nb", None)]);
    }

    #[test]
    fn tokens_can_travel_in_a_header() {
        let secret = Secret::new("s3cr3t".to_owned());
        assert_reads(
            TOKEN,
            &[("s3cr3t", Some(secret)), ("two words", None), ("schlüssel", None), ("", None)],
        );
    }
}
