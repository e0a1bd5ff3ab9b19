//! Settings with the addresses of other parts: workers, runners, VNC servers.
//!
//! Each reader returns what is wrong, and with which entry: the path of a JSON value (`[1].vnc_ws`), or the entry itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use camofleet_actors::fleet::discovery::Source;
use camofleet_actors::model::links::LinkTemplates;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::kinds::excerpt;
use super::types::{Secret, read_entries};

/// One entry of `CONTROL_WORKERS`.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerEntry {
    /// Its name, which is part of its sessions' addresses.
    pub name: String,
    /// Where its API is.
    pub url: Url,
    /// The token that it requires.
    pub token: Option<Secret>,
    /// Whether it takes sessions with a live view.
    pub supports_vnc: bool,
    /// The public addresses of its live views.
    pub links: LinkTemplates,
}

/// Reads JSON.
///
/// # Errors
/// What is wrong, after the path of the value that it is wrong with.
fn json<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        match &*error.path().to_string() {
            "." | "?" => error.inner().to_string(),
            path => format!("{path}: {}", error.inner()),
        }
    })?;
    deserializer.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// Reads a JSON array of workers.
///
/// # Errors
/// The first entry that is not a worker, or whose name an earlier one has.
pub fn workers(text: &str) -> Result<Vec<WorkerEntry>, String> {
    #[derive(Deserialize)]
    struct Written {
        name: String,
        url: String,
        token: Option<Secret>,
        #[serde(default)]
        supports_vnc: bool,
        vnc_ws: Option<String>,
        vnc_http: Option<String>,
    }
    let mut workers: Vec<WorkerEntry> = Vec::new();
    for (index, entry) in json::<Vec<Written>>(text)?.into_iter().enumerate() {
        let wrong = |field: &str, why: &str| format!("[{index}].{field}: {why}");
        if entry.name.trim().is_empty() || entry.name.contains(char::is_control) {
            return Err(wrong("name", "it has to be one line that is not empty"));
        }
        if let Some(earlier) = workers.iter().position(|worker| worker.name == entry.name) {
            return Err(wrong("name", &format!("[{earlier}] has the name {} too", excerpt(&entry.name))));
        }
        if entry.token.as_ref().is_some_and(|token| !token.is_sendable()) {
            return Err(wrong("token", "it has to be printable ASCII characters without blanks"));
        }
        workers.push(WorkerEntry {
            name: entry.name,
            url: api_base(&entry.url).map_err(|why| wrong("url", &why))?,
            token: entry.token,
            supports_vnc: entry.supports_vnc,
            links: link_templates(entry.vnc_ws, entry.vnc_http).map_err(|why| format!("[{index}].{why}"))?,
        });
    }
    Ok(workers)
}

/// The public addresses of live views, with `{id}`, `{host}` and `{worker}`. An env file for several setups leaves those
/// that it does not use empty.
fn link_templates(ws: Option<String>, http: Option<String>) -> Result<LinkTemplates, String> {
    let template = |field: &str, text: Option<String>, schemes: &[&str]| {
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
        let filled = text.replace("{id}", "6900").replace("{host}", "host").replace("{worker}", "worker");
        if filled.contains(['{', '}', ' ']) {
            return Err(format!(
                "{field}: it has a blank, or a placeholder other than {{id}}, {{host}} and {{worker}}"
            ));
        }
        base(&filled, schemes).map_err(|why| format!("{field}: {why}"))?;
        Ok(Some(text))
    };
    Ok(LinkTemplates {
        ws: template("vnc_ws", ws, &["ws", "wss"])?,
        http: template("vnc_http", http, &["http", "https"])?,
    })
}

/// Whether a text has a token in it that must not be printed.
pub fn has_token(text: &str) -> bool {
    text.contains("\"token\"")
}

/// A JSON array of objects without their tokens.
pub fn masked(text: &str) -> Option<String> {
    let mut entries: Vec<serde_json::Map<String, serde_json::Value>> = serde_json::from_str(text).ok()?;
    for token in entries.iter_mut().filter_map(|entry| entry.get_mut("token")) {
        *token = "********".into();
    }
    serde_json::to_string(&entries).ok()
}

/// One entry of `CONTROL_DISCOVERY`.
#[derive(Debug, Clone, PartialEq)]
pub struct DiscoveryEntry {
    /// Where the workers are registered.
    pub registry: Registry,
    /// Whether they take sessions with a live view.
    pub supports_vnc: bool,
    /// The public addresses of their live views.
    pub links: LinkTemplates,
}

/// Where workers are registered.
#[derive(Debug, Clone, PartialEq)]
pub enum Registry {
    /// At a name server.
    Dns(Source),
    /// In a Kubernetes cluster.
    Kubernetes {
        /// The name of their Service.
        service: String,
        /// The namespace; `None` is this pod's own.
        namespace: Option<String>,
        /// The port that they listen on; `None` is the one of the Service.
        port: Option<u16>,
        /// The address of the cluster's API; `None` where this process is a pod of it.
        api: Option<Url>,
    },
}

/// Reads `dns://` and `kubernetes://` URLs that are separated by commas, or a JSON array of objects with such a `url` and
/// the fields of `CONTROL_WORKERS` that concern live views.
///
/// # Errors
/// The first entry that is malformed.
pub fn discovery(text: &str) -> Result<Vec<DiscoveryEntry>, String> {
    #[derive(Deserialize)]
    struct Written {
        url: String,
        #[serde(default)]
        supports_vnc: bool,
        vnc_ws: Option<String>,
        vnc_http: Option<String>,
    }
    if !text.starts_with('[') {
        return read_entries(text, |url| {
            Ok(DiscoveryEntry {
                registry: registry(url)?,
                supports_vnc: false,
                links: LinkTemplates::default(),
            })
        });
    }
    let read = |(index, entry): (usize, Written)| {
        Ok(DiscoveryEntry {
            registry: registry(&entry.url).map_err(|why| format!("[{index}].url: {why}"))?,
            supports_vnc: entry.supports_vnc,
            links: link_templates(entry.vnc_ws, entry.vnc_http).map_err(|why| format!("[{index}].{why}"))?,
        })
    };
    json::<Vec<Written>>(text)?.into_iter().enumerate().map(read).collect()
}

fn registry(text: &str) -> Result<Registry, String> {
    let url = base(text, &["dns", "kubernetes"])?;
    if url.fragment().is_some() || !url.username().is_empty() || !matches!(url.path(), "" | "/") {
        return Err("it has more than a name, a port and a query".to_owned());
    }
    let (mut name_server, mut api) = (None, None);
    for (name, value) in url.query_pairs() {
        match (url.scheme(), name.as_ref()) {
            ("dns", "nameserver") => name_server = Some(address_of_name_server(&value)?),
            ("kubernetes", "api") => api = Some(api_base(&value).map_err(|why| format!("api: {why}"))?),
            (scheme, name) => return Err(format!("{scheme}:// has no parameter {}", excerpt(name))),
        }
    }
    let (host, port) = (url.host_str().unwrap_or_default(), url.port());
    if url.scheme() == "dns" {
        return Ok(Registry::Dns(Source { name: host.to_owned(), port, name_server }));
    }
    let (service, namespace) = host.split_once('.').map_or((host, None), |(name, rest)| (name, Some(rest)));
    if let Some(bad) = [Some(service), namespace].into_iter().flatten().find(|name| !is_label(name)) {
        return Err(format!("{} is not the name of a Service or a namespace", excerpt(bad)));
    }
    let (service, namespace) = (service.to_owned(), namespace.map(str::to_owned));
    Ok(Registry::Kubernetes { service, namespace, port, api })
}

/// Whether it can be the name of a Service or a namespace (RFC 1123): it becomes part of a path and of a selector.
fn is_label(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// A name server's address, its port 53 unless it says another.
fn address_of_name_server(text: &str) -> Result<SocketAddr, String> {
    let without_port = || text.trim_matches(['[', ']']).parse().ok().map(|ip| SocketAddr::new(ip, 53));
    let address = text.parse().ok().or_else(without_port);
    address
        .ok_or_else(|| format!("nameserver: {} is not an IP address, with or without a port", excerpt(text)))
}

/// An absolute URL of one of these schemes, with a host. The error does not repeat it: it may have a password.
fn base(text: &str, schemes: &[&str]) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
    if !schemes.contains(&url.scheme()) {
        return Err(format!("its scheme is {}, not {}", excerpt(url.scheme()), schemes.join(" or ")));
    }
    if url.has_host() { Ok(url) } else { Err("it has no host".to_owned()) }
}

/// Reads the address of an API.
///
/// # Errors
/// It is not an http(s) URL.
pub fn api_base(text: &str) -> Result<Url, String> {
    base(text, &["http", "https"])
}

/// Reads what public addresses begin with.
///
/// # Errors
/// It is not a URL, or has a query.
pub fn link_base(text: &str) -> Result<String, String> {
    let url = base(text, &["ws", "wss", "http", "https"])?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it has a query or a fragment".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Reads URLs, as a JSON array or separated by commas.
///
/// # Errors
/// The first entry that is not an http(s) URL.
pub fn urls(text: &str) -> Result<Vec<Url>, String> {
    read_entries(text, api_base)
}

/// Reads `6900-6904`, or a single number.
///
/// # Errors
/// An end is not a number, or the range ends before it begins.
pub fn id_range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let end = |text: &str| text.trim().parse::<u16>().map_err(|error| format!("{}: {error}", excerpt(text)));
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (end(first)?, end(last)?);
    if first <= last { Ok(first..=last) } else { Err(format!("{first} is above {last}")) }
}

/// VNC servers by the id of their view.
pub type VncMap = BTreeMap<String, (String, u16)>;

/// Reads `{"<id>": {"host": …, "port": …}}`.
///
/// # Errors
/// The first entry that is malformed.
pub fn vnc_map(text: &str) -> Result<VncMap, String> {
    #[derive(Deserialize)]
    struct Server {
        host: String,
        port: u16,
    }
    if text.is_empty() {
        return Ok(VncMap::new());
    }
    let read = |(id, server): (String, Server)| {
        if id.is_empty() || server.host.is_empty() || server.port == 0 {
            return Err(format!("{}: an id, a host and a port are needed", excerpt(&id)));
        }
        Ok((id, (server.host, server.port)))
    };
    json::<BTreeMap<String, Server>>(text)?.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_a_json_array_with_unique_names_and_addresses_that_are_some() {
        let read = workers(
            r#"[{"name": "a", "url": "http://a:8080"},
                {"name": "b", "url": "https://user:pw@b/base", "supports_vnc": true, "vnc_ws": "wss://vnc-{id}.x/{host}", "vnc_http": "", "zone": 1}]"#,
        )
        .unwrap();
        assert_eq!((read[0].name.as_str(), read[0].supports_vnc, &read[0].links.ws), ("a", false, &None));
        assert_eq!(
            (read[1].links.ws.as_deref(), &read[1].links.http),
            (Some("wss://vnc-{id}.x/{host}"), &None)
        );
        assert_eq!(workers("[]"), Ok(Vec::new()));
        for bad in [
            "",
            "{}",
            r#"[{"name": "a"}]"#,
            r#"[{"name": "", "url": "http://a"}]"#,
            r#"[{"name": "a", "url": "ftp://a"}]"#,
            r#"[{"name": "a", "url": "a:8080"}]"#,
            r#"[{"name": "a", "url": "http://a"}, {"name": "a", "url": "http://b"}]"#,
            r#"[{"name": "a", "url": "http://a", "vnc_ws": "http://x/{id}"}]"#,
            r#"[{"name": "a", "url": "http://a", "vnc_http": "https://x/{ID}"}]"#,
            r#"[{"name": "a", "url": "http://a", "supports_vnc": "yes"}]"#,
        ] {
            assert_eq!(workers(bad).ok(), None, "{bad}");
        }
    }

    #[test]
    fn discovery_is_names_by_commas_or_a_json_array_with_more_to_say() {
        let at = |name: &str, port, name_server| DiscoveryEntry {
            registry: Registry::Dns(Source { name: name.to_owned(), port, name_server }),
            supports_vnc: false,
            links: LinkTemplates::default(),
        };
        let plain = |name: &str, port| at(name, port, None);
        assert_eq!(
            discovery("dns://workers.fleet.svc:8080, dns://_http._tcp.more"),
            Ok(vec![plain("workers.fleet.svc", Some(8080)), plain("_http._tcp.more", None)])
        );
        assert_eq!(discovery(""), Ok(Vec::new()));
        let read = discovery(
            r#"[{"url": "dns://w:8080/?nameserver=127.0.0.1:5353", "supports_vnc": true, "vnc_ws": "",
                 "vnc_http": "https://{worker}.example/{id}"}]"#,
        );
        let expected = DiscoveryEntry {
            supports_vnc: true,
            links: LinkTemplates { ws: None, http: Some("https://{worker}.example/{id}".to_owned()) },
            ..at("w", Some(8080), Some(([127, 0, 0, 1], 5353).into()))
        };
        assert_eq!(read, Ok(vec![expected]));
        for (text, port) in [("dns://w?nameserver=10.0.0.2", 53), ("dns://w?nameserver=[fd00::2]:54", 54)] {
            let Registry::Dns(source) = &discovery(text).unwrap()[0].registry else { panic!("{text}") };
            assert_eq!(source.name_server.map(|address| address.port()), Some(port), "{text}");
        }
        let pods = |name: &str, port, namespace: Option<&str>, api: Option<&str>| DiscoveryEntry {
            registry: Registry::Kubernetes {
                service: name.to_owned(),
                port,
                namespace: namespace.map(str::to_owned),
                api: api.map(|api| Url::parse(api).unwrap()),
            },
            ..plain(name, port)
        };
        for (text, expected) in [
            ("kubernetes://workers", pods("workers", None, None, None)),
            ("kubernetes://workers.fleet:8080", pods("workers", Some(8080), Some("fleet"), None)),
            (
                "kubernetes://w.f?api=http://127.0.0.1:8001",
                pods("w", None, Some("f"), Some("http://127.0.0.1:8001")),
            ),
        ] {
            assert_eq!(discovery(text), Ok(vec![expected]), "{text}");
        }
        for bad in [
            "workers:8080",
            "http://workers:8080",
            "dns://",
            "dns://w/path",
            "dns://w?server=10.0.0.2",
            "dns://w?nameserver=ns.example",
            "dns://w?api=http://a",
            "kubernetes://",
            "kubernetes://w.fleet.svc",
            "kubernetes://w_1",
            "kubernetes://W",
            "kubernetes://w?api=a",
            "kubernetes://w?nameserver=10.0.0.2",
            r#"[{"supports_vnc": true}]"#,
            r#"[{"url": "dns://w", "vnc_ws": "http://x/{id}"}]"#,
        ] {
            assert_eq!(discovery(bad).ok(), None, "{bad}");
        }
    }

    #[test]
    fn bases_are_urls_without_a_query() {
        assert_eq!(link_base("ws://gateway:6900/").as_deref(), Ok("ws://gateway:6900"));
        assert_eq!(link_base("https://[::1]/fleet").as_deref(), Ok("https://[::1]/fleet"));
        for bad in ["gateway:6900", "/fleet", "http://h/?a=b", "ftp://h", ""] {
            assert_eq!(link_base(bad).ok(), None, "{bad}");
        }
    }

    #[test]
    fn urls_are_a_json_array_or_separated_by_commas() {
        for text in [r#"["https://a.example/", "http://b:1"]"#, "https://a.example/, http://b:1"] {
            let read: Vec<String> = urls(text).unwrap().iter().map(Url::to_string).collect();
            assert_eq!(read, ["https://a.example/", "http://b:1/"]);
        }
        assert_eq!(urls(""), Ok(Vec::new()));
        assert_eq!(urls("a.example").ok(), None);
    }

    #[test]
    fn ranges_and_maps_say_which_server_an_id_has() {
        assert_eq!(id_range("6900-6904"), Ok(6900..=6904));
        assert_eq!(id_range("6900"), Ok(6900..=6900));
        for bad in ["6904-6900", "a-b", "6900-", "", "1-99999"] {
            assert_eq!(id_range(bad).ok(), None, "{bad}");
        }
        let map = vnc_map(r#"{"6900": {"host": "10.0.0.7", "port": 5901}}"#).unwrap();
        assert_eq!(map["6900"], ("10.0.0.7".to_owned(), 5901));
        assert_eq!(vnc_map(""), Ok(VncMap::new()));
        for bad in [
            "[]",
            r#"{"6900": {"host": "h"}}"#,
            r#"{"6900": {"host": "", "port": 1}}"#,
            r#"{"1": {"host": "h", "port": 70000}}"#,
        ] {
            assert_eq!(vnc_map(bad).ok(), None, "{bad}");
        }
    }
}
