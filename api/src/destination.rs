//! Patterns of destinations: hosts, domains, networks and ports, as proxy bypass lists and egress rules name them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use url::Host;

/// Matches destinations of connections by host, port, or both.
///
/// | text | matches |
/// |---|---|
/// | `example.com` | this host |
/// | `.example.com`, `*.example.com` | this host's subdomains; the form with `.` also the host itself |
/// | `10.0.0.0/8`, `192.0.2.7`, `[2001:db8::1]`, `2001:db8::/32` | addresses |
/// | `*` | every host |
/// | any of these with `:port` | the same, on this port only; an IPv6 address needs brackets then |
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DestinationPattern {
    host: HostPattern,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum HostPattern {
    Any,
    Exact(String),
    /// The domain without the leading dot, and whether it matches itself.
    Suffix {
        domain: String,
        itself: bool,
    },
    Network(IpNet),
}

impl DestinationPattern {
    /// Whether it matches a host name, in lower case and without a trailing dot, and a port.
    pub fn matches_name(&self, name: &str, port: u16) -> bool {
        self.port.is_none_or(|own| own == port)
            && match &self.host {
                HostPattern::Any => true,
                HostPattern::Exact(host) => host == name,
                HostPattern::Suffix { domain, itself } => match name.strip_suffix(domain.as_str()) {
                    Some("") => *itself,
                    Some(rest) => rest.ends_with('.'),
                    None => false,
                },
                HostPattern::Network(_) => false,
            }
    }

    /// Whether it matches an address and a port.
    pub fn matches_address(&self, address: IpAddr, port: u16) -> bool {
        self.port.is_none_or(|own| own == port)
            && match &self.host {
                HostPattern::Any => true,
                HostPattern::Network(network) => network.contains(&address.to_canonical()),
                HostPattern::Exact(_) | HostPattern::Suffix { .. } => false,
            }
    }

    /// Whether it is about addresses rather than names.
    pub fn is_of_addresses(&self) -> bool {
        matches!(self.host, HostPattern::Network(_))
    }
}

/// Why a text is not a [`DestinationPattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is not a host, a domain such as .example.com, an address, a network such as 10.0.0.0/8, or one of these with :port"
)]
pub struct InvalidPattern {
    /// The text.
    text: String,
}

impl FromStr for DestinationPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let invalid = || InvalidPattern { text: text.to_owned() };
        let given = text.trim();
        let (host, port) = match given.rsplit_once(':') {
            // The colons of an IPv6 address or network without brackets are no port.
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(invalid)?;
                (host, Some(port))
            }
            _ => (given, None),
        };
        let host = host_pattern(host).ok_or_else(invalid)?;
        Ok(Self { host, port })
    }
}

fn host_pattern(text: &str) -> Option<HostPattern> {
    if text == "*" {
        return Some(HostPattern::Any);
    }
    let plain = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(network) = plain.parse::<IpNet>() {
        return Some(HostPattern::Network(network.trunc()));
    }
    if let Ok(address) = plain.parse::<IpAddr>() {
        return Some(HostPattern::Network(address.to_canonical().into()));
    }
    let domain = |text: &str| match host(text)? {
        Host::Domain(domain) => Some(domain),
        Host::Ipv4(_) | Host::Ipv6(_) => None,
    };
    if let Some(rest) = text.strip_prefix("*.") {
        return Some(HostPattern::Suffix { domain: domain(rest)?, itself: false });
    }
    if let Some(rest) = text.strip_prefix('.') {
        return Some(HostPattern::Suffix { domain: domain(rest)?, itself: true });
    }
    Some(HostPattern::Exact(domain(text)?))
}

/// Reads a host as a browser does: a name in lower case and without a trailing dot, or an address in any of the spellings
/// that browsers accept (`127.1`, `0x7f000001`, `2130706433`, `[::ffff:127.0.0.1]`), which a resolver or a proxy might
/// accept as well.
pub fn host(text: &str) -> Option<Host<String>> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let bracketed = text.parse::<std::net::Ipv6Addr>().is_ok().then(|| format!("[{text}]"));
    let host = Host::parse(bracketed.as_deref().unwrap_or(text)).ok()?;
    match host {
        Host::Domain(name) if name.is_empty() || name.len() > 253 || name.contains("..") => None,
        // Other characters are in no name of the internet, and some of them mean something in headers and logs.
        Host::Domain(name)
            if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) =>
        {
            None
        }
        Host::Domain(name) if name.starts_with('.') => None,
        Host::Domain(name) => Some(Host::Domain(name.strip_suffix('.').unwrap_or(&name).to_owned())),
        Host::Ipv6(address) => Some(match address.to_canonical() {
            IpAddr::V4(address) => Host::Ipv4(address),
            IpAddr::V6(address) => Host::Ipv6(address),
        }),
        Host::Ipv4(address) => Some(Host::Ipv4(address)),
    }
}

impl fmt::Display for DestinationPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            HostPattern::Any => f.write_str("*")?,
            HostPattern::Exact(host) => f.write_str(host)?,
            HostPattern::Suffix { domain, itself: true } => write!(f, ".{domain}")?,
            HostPattern::Suffix { domain, itself: false } => write!(f, "*.{domain}")?,
            HostPattern::Network(network) if self.port.is_some() && matches!(network, IpNet::V6(_)) => {
                write!(f, "[{network}]")?;
            }
            HostPattern::Network(network) => write!(f, "{network}")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> DestinationPattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_pattern_matches_names_and_ports() {
        for (text, name, port, matches) in [
            ("example.com", "example.com", 80, true),
            ("Example.COM.", "example.com", 80, true),
            ("example.com", "www.example.com", 80, false),
            (".example.com", "www.example.com", 80, true),
            (".example.com", "example.com", 80, true),
            ("*.example.com", "example.com", 80, false),
            ("*.example.com", "a.b.example.com", 80, true),
            (".example.com", "notexample.com", 80, false),
            ("bücher.example", "xn--bcher-kva.example", 80, true),
            ("*", "anything", 80, true),
            ("*:25", "anything", 25, true),
            ("*:25", "anything", 80, false),
            ("example.com:8080", "example.com", 8080, true),
            ("example.com:8080", "example.com", 80, false),
            ("10.0.0.0/8", "10.0.0.1.example.com", 80, false),
        ] {
            assert_eq!(pattern(text).matches_name(name, port), matches, "{text} {name}:{port}");
        }
    }

    #[test]
    fn a_pattern_matches_addresses_in_every_form() {
        for (text, address, port, matches) in [
            ("10.0.0.0/8", "10.1.2.3", 80, true),
            ("10.0.0.0/8", "::ffff:10.1.2.3", 80, true),
            ("10.1.2.3/8", "10.9.9.9", 80, true),
            ("10.0.0.0/8:443", "10.1.2.3", 80, false),
            ("192.0.2.7", "192.0.2.7", 80, true),
            ("192.0.2.7:80", "192.0.2.7", 80, true),
            ("2001:db8::/32", "2001:db8::5", 80, true),
            ("[2001:db8::1]:443", "2001:db8::1", 443, true),
            ("[2001:db8::/32]:443", "2001:db8::1", 80, false),
            ("2001:db8::1", "2001:db8::2", 80, false),
            ("*", "192.0.2.7", 1, true),
            (".example.com", "192.0.2.7", 80, false),
        ] {
            assert_eq!(
                pattern(text).matches_address(address.parse().unwrap(), port),
                matches,
                "{text} {address}:{port}"
            );
        }
    }

    #[test]
    fn a_pattern_is_written_as_it_can_be_read() {
        for text in [
            "example.com:80",
            ".example.com",
            "*.a.b",
            "*",
            "*:25",
            "10.0.0.0/8",
            "[2001:db8::/32]:443",
            "2001:db8::1/128",
        ] {
            assert_eq!(pattern(text).to_string(), text);
            assert_eq!(pattern(&pattern(text).to_string()), pattern(text));
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in [
            "",
            " ",
            "a b",
            "example.com:0",
            "example.com:99999",
            "example.com:x",
            "..a",
            "*.10.0.0.1",
            "10.0.0.0/33",
            "a/b",
            ":80",
        ] {
            assert!(text.parse::<DestinationPattern>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn every_spelling_of_an_address_is_one() {
        for text in [
            "127.0.0.1",
            "127.1",
            "0x7f000001",
            "2130706433",
            "0177.0.0.1",
            "127.0.0.1.",
            "[::ffff:127.0.0.1]",
            "::ffff:7f00:1",
            "１２７.0.0.1",
        ] {
            assert_eq!(host(text), Some(Host::Ipv4([127, 0, 0, 1].into())), "{text}");
        }
        assert_eq!(host("::1"), Some(Host::Ipv6(std::net::Ipv6Addr::LOCALHOST)));
        assert_eq!(host("LocalHost."), Some(Host::Domain("localhost".to_owned())));
        for text in ["", ".", "a..b", ".a", "a b", "a\"b", "a*b", "256.256.256.256", &"a.".repeat(200)] {
            assert_eq!(host(text), None, "{text}");
        }
    }
}
