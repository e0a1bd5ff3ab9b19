//! Settings that say where other parts are: workers, runners, VNC servers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use serde::Deserialize;
use url::Url;

use super::types::Secret;

/// One entry of `CONTROL_WORKERS`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct WorkerEntry {
    /// Its name: shown to people, and part of its sessions' addresses.
    pub name: String,
    /// Where its API is.
    pub url: Url,
    /// The token that it asks for.
    #[serde(default)]
    pub token: Option<Secret>,
    /// Whether it takes sessions with a live view.
    #[serde(default)]
    pub supports_vnc: bool,
    /// The public address of a view's WebSocket, with `{id}`, `{host}` and `{worker}`.
    #[serde(default)]
    pub vnc_ws: Option<String>,
    /// The public address of a view's page, likewise.
    #[serde(default)]
    pub vnc_http: Option<String>,
}

/// Reads a JSON array of workers; `None` also for names that are not unique and addresses that are none.
pub fn workers(text: &str) -> Option<Vec<WorkerEntry>> {
    let mut workers: Vec<WorkerEntry> = serde_json::from_str(text).ok()?;
    for worker in &mut workers {
        // An env file for several setups leaves what it does not use empty.
        for link in [&mut worker.vnc_ws, &mut worker.vnc_http] {
            *link = link.take().filter(|link| !link.trim().is_empty());
        }
    }
    let sound = |worker: &WorkerEntry| {
        let named = !worker.name.trim().is_empty() && !worker.name.contains(char::is_control);
        named
            && is_base(&worker.url, &["http", "https"])
            && worker.token.as_ref().is_none_or(|token| token.is_sendable())
            && worker.vnc_ws.as_deref().is_none_or(|link| is_template(link, &["ws", "wss"]))
            && worker.vnc_http.as_deref().is_none_or(|link| is_template(link, &["http", "https"]))
    };
    let unique = |(index, worker): (usize, &WorkerEntry)| {
        workers[..index].iter().all(|other| other.name != worker.name)
    };
    (workers.iter().all(sound) && workers.iter().enumerate().all(unique)).then_some(workers)
}

/// Whether a text has a token in it that nobody is to read.
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
    /// The name that stands for workers.
    pub name: String,
    /// The port that they listen on; `None` is the one that is registered with them.
    pub port: Option<u16>,
    /// Who knows them.
    pub registry: Registry,
    /// Whether they take sessions with a live view.
    pub supports_vnc: bool,
    /// The public address of a view's WebSocket, with `{id}`, `{host}` and `{worker}`.
    pub vnc_ws: Option<String>,
    /// The public address of a view's page, likewise.
    pub vnc_http: Option<String>,
}

/// Who knows the workers of a name.
#[derive(Debug, Clone, PartialEq)]
pub enum Registry {
    /// A name server: this one, or the machine's own.
    Dns(Option<SocketAddr>),
    /// A Kubernetes cluster.
    Kubernetes {
        /// The namespace; `None` is this pod's own.
        namespace: Option<String>,
        /// The address of its API; `None` where this process is a pod of it.
        api: Option<Url>,
    },
}

/// Reads `dns://` and `kubernetes://` URLs that are separated by commas, or a JSON array of them with what `CONTROL_WORKERS` says of a worker.
pub fn discovery(text: &str) -> Option<Vec<DiscoveryEntry>> {
    #[derive(Default, Deserialize)]
    struct Written {
        url: String,
        #[serde(default)]
        supports_vnc: bool,
        #[serde(default)]
        vnc_ws: Option<String>,
        #[serde(default)]
        vnc_http: Option<String>,
    }
    let entries: Vec<Written> = if text.starts_with('[') {
        serde_json::from_str(text).ok()?
    } else {
        let urls = text.split(',').map(str::trim).filter(|url| !url.is_empty());
        urls.map(|url| Written { url: url.to_owned(), ..Written::default() }).collect()
    };
    let read = |entry: Written| {
        let url = Url::parse(&entry.url).ok()?;
        let plain = url.fragment().is_none() && url.username().is_empty() && matches!(url.path(), "" | "/");
        let (mut name_server, mut api) = (None, None);
        for (name, value) in url.query_pairs() {
            match (url.scheme(), name.as_ref()) {
                ("dns", "nameserver") => name_server = Some(address_of_name_server(&value)?),
                ("kubernetes", "api") => api = Some(api_base(&value)?),
                _ => return None,
            }
        }
        let present = |link: Option<String>| link.filter(|link| !link.trim().is_empty());
        let (vnc_ws, vnc_http) = (present(entry.vnc_ws), present(entry.vnc_http));
        let sound = plain
            && is_base(&url, &["dns", "kubernetes"])
            && vnc_ws.as_deref().is_none_or(|link| is_template(link, &["ws", "wss"]))
            && vnc_http.as_deref().is_none_or(|link| is_template(link, &["http", "https"]));
        let host = url.host_str().filter(|_| sound)?;
        let (name, registry) = if url.scheme() == "dns" {
            (host, Registry::Dns(name_server))
        } else {
            let (name, namespace) =
                host.split_once('.').map_or((host, None), |(name, rest)| (name, Some(rest)));
            let namespace = namespace.map(str::to_owned);
            let named = is_label(name) && namespace.as_deref().is_none_or(is_label);
            (name, named.then_some(Registry::Kubernetes { namespace, api })?)
        };
        let (name, port, supports_vnc) = (name.to_owned(), url.port(), entry.supports_vnc);
        Some(DiscoveryEntry { name, port, registry, supports_vnc, vnc_ws, vnc_http })
    };
    entries.into_iter().map(read).collect()
}

/// What Kubernetes calls a Service or a namespace (RFC 1123): it becomes part of a path and of a selector.
fn is_label(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// A name server's address, its port 53 unless it says another.
fn address_of_name_server(text: &str) -> Option<SocketAddr> {
    let without_port = || text.trim_matches(['[', ']']).parse().ok().map(|ip| SocketAddr::new(ip, 53));
    text.parse().ok().or_else(without_port)
}

/// An absolute URL of one of these schemes, with a host.
fn is_base(url: &Url, schemes: &[&str]) -> bool {
    schemes.contains(&url.scheme()) && url.has_host()
}

/// The same once its placeholders are filled in.
fn is_template(text: &str, schemes: &[&str]) -> bool {
    let filled = text.replace("{id}", "6900").replace("{host}", "host").replace("{worker}", "worker");
    !filled.contains(['{', '}', ' ']) && Url::parse(&filled).is_ok_and(|url| is_base(&url, schemes))
}

/// Reads the address of an API.
pub fn api_base(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| is_base(url, &["http", "https"]))
}

/// Reads what public addresses begin with.
pub fn link_base(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let plain = url.query().is_none() && url.fragment().is_none();
    (plain && is_base(&url, &["ws", "wss", "http", "https"])).then(|| text.trim_end_matches('/').to_owned())
}

/// Reads URLs, as a JSON array or separated by commas.
pub fn urls(text: &str) -> Option<Vec<Url>> {
    let entries: Vec<String> = if text.starts_with('[') {
        serde_json::from_str(text).ok()?
    } else {
        text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
    };
    entries.iter().map(|entry| api_base(entry)).collect()
}

/// Reads `6900-6904`, or a single number.
pub fn id_range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some(first..=last)
}

/// VNC servers by the id of their view.
pub type VncMap = BTreeMap<String, (String, u16)>;

/// Reads `{"<id>": {"host": …, "port": …}}`.
pub fn vnc_map(text: &str) -> Option<VncMap> {
    #[derive(Deserialize)]
    struct Server {
        host: String,
        port: u16,
    }
    if text.is_empty() {
        return Some(VncMap::new());
    }
    let servers: BTreeMap<String, Server> = serde_json::from_str(text).ok()?;
    let sound =
        servers.iter().all(|(id, server)| !id.is_empty() && !server.host.is_empty() && server.port > 0);
    sound.then(|| servers.into_iter().map(|(id, server)| (id, (server.host, server.port))).collect())
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
        assert_eq!((read[0].name.as_str(), read[0].supports_vnc, &read[0].vnc_ws), ("a", false, &None));
        assert_eq!((read[1].vnc_ws.as_deref(), &read[1].vnc_http), (Some("wss://vnc-{id}.x/{host}"), &None));
        assert_eq!(workers("[]"), Some(Vec::new()));
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
            assert_eq!(workers(bad), None, "{bad}");
        }
    }

    #[test]
    fn discovery_is_names_by_commas_or_a_json_array_with_more_to_say() {
        let plain = |name: &str, port| DiscoveryEntry {
            name: name.to_owned(),
            port,
            registry: Registry::Dns(None),
            supports_vnc: false,
            vnc_ws: None,
            vnc_http: None,
        };
        assert_eq!(
            discovery("dns://workers.fleet.svc:8080, dns://_http._tcp.more"),
            Some(vec![plain("workers.fleet.svc", Some(8080)), plain("_http._tcp.more", None)])
        );
        assert_eq!(discovery(""), Some(Vec::new()));
        let read = discovery(
            r#"[{"url": "dns://w:8080/?nameserver=127.0.0.1:5353", "supports_vnc": true, "vnc_ws": "",
                 "vnc_http": "https://{worker}.example/{id}"}]"#,
        );
        let expected = DiscoveryEntry {
            registry: Registry::Dns(Some(([127, 0, 0, 1], 5353).into())),
            supports_vnc: true,
            vnc_http: Some("https://{worker}.example/{id}".to_owned()),
            ..plain("w", Some(8080))
        };
        assert_eq!(read, Some(vec![expected]));
        for (text, port) in [("dns://w?nameserver=10.0.0.2", 53), ("dns://w?nameserver=[fd00::2]:54", 54)] {
            let Registry::Dns(Some(address)) = discovery(text).unwrap()[0].registry else { panic!("{text}") };
            assert_eq!(address.port(), port, "{text}");
        }
        let pods = |name: &str, port, namespace: Option<&str>, api: Option<&str>| DiscoveryEntry {
            registry: Registry::Kubernetes {
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
            assert_eq!(discovery(text), Some(vec![expected]), "{text}");
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
            assert_eq!(discovery(bad), None, "{bad}");
        }
    }

    #[test]
    fn bases_are_urls_without_a_query() {
        assert_eq!(link_base("ws://gateway:6900/").as_deref(), Some("ws://gateway:6900"));
        assert_eq!(link_base("https://[::1]/fleet").as_deref(), Some("https://[::1]/fleet"));
        for bad in ["gateway:6900", "/fleet", "http://h/?a=b", "ftp://h", ""] {
            assert_eq!(link_base(bad), None, "{bad}");
        }
    }

    #[test]
    fn urls_are_a_json_array_or_separated_by_commas() {
        for text in [r#"["https://a.example/", "http://b:1"]"#, "https://a.example/, http://b:1"] {
            let read: Vec<String> = urls(text).unwrap().iter().map(Url::to_string).collect();
            assert_eq!(read, ["https://a.example/", "http://b:1/"]);
        }
        assert_eq!(urls(""), Some(Vec::new()));
        assert_eq!(urls("a.example"), None);
    }

    #[test]
    fn ranges_and_maps_say_which_server_an_id_has() {
        assert_eq!(id_range("6900-6904"), Some(6900..=6904));
        assert_eq!(id_range("6900"), Some(6900..=6900));
        for bad in ["6904-6900", "a-b", "6900-", "", "1-99999"] {
            assert_eq!(id_range(bad), None, "{bad}");
        }
        let map = vnc_map(r#"{"6900": {"host": "10.0.0.7", "port": 5901}}"#).unwrap();
        assert_eq!(map["6900"], ("10.0.0.7".to_owned(), 5901));
        assert_eq!(vnc_map(""), Some(VncMap::new()));
        for bad in [
            "[]",
            r#"{"6900": {"host": "h"}}"#,
            r#"{"6900": {"host": "", "port": 1}}"#,
            r#"{"1": {"host": "h", "port": 70000}}"#,
        ] {
            assert_eq!(vnc_map(bad), None, "{bad}");
        }
    }
}
