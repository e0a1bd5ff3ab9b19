//! How the settings of the egress are read: destinations, proxies and block lists.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use camofleet_actors::egress::{PoolUse, ProxyPoolSettings};
use camofleet_actors::host::addons::AddonSource;
use camofleet_api::destination::DestinationPattern;
use camofleet_api::proxy::{ProxyServer, is_pool_name};
use serde_json::{Map, Value};

use super::types::read_entries;

/// Reads hosts, domains, networks and ports.
pub fn destinations(text: &str) -> Result<Vec<DestinationPattern>, String> {
    read_entries(text, |entry| entry.parse().map_err(|_| "not a host, domain, network or port".to_owned()))
}

/// Reads names of block lists.
pub fn list_names(text: &str) -> Result<Vec<String>, String> {
    read_entries(text, |name| match is_pool_name(name) {
        true => Ok(name.to_owned()),
        false => Err("a name has letters, digits, - and _".to_owned()),
    })
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    // The parser's errors name a position; those of typed values would repeat the value, which may be a password.
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err("it is another kind of value".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn named(name: &str) -> Result<&str, String> {
    if is_pool_name(name) {
        Ok(name)
    } else if name.eq_ignore_ascii_case("direct") {
        Err(format!("the name {name:?} means no proxy; choose another one"))
    } else {
        Err(format!("the name {name:?} must have letters, digits, - and _ only, and at most 64 of them"))
    }
}

/// Reads the files of block lists by name; relative paths start from `directory`.
pub fn list_files(text: &str, directory: &Path) -> Result<BTreeMap<String, PathBuf>, String> {
    let read = |(name, value): (String, Value)| {
        let name = named(&name)?.to_owned();
        match value.as_str().filter(|path| !path.is_empty()) {
            Some(path) => Ok((name, directory.join(path))),
            None => Err(format!("{name} must be a path")),
        }
    };
    object(text)?.into_iter().map(read).collect()
}

/// Reads add-ons by name, each a file with its checksum; relative paths start from `directory`.
pub fn addons(text: &str, directory: &Path) -> Result<BTreeMap<String, AddonSource>, String> {
    let read = |(name, value): (String, Value)| {
        let name = named(&name)?.to_owned();
        let text = |field: &str| value.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
        let path = text("path").ok_or_else(|| format!("{name}: 'path' must be the path of an .xpi file"))?;
        let is_digest = |text: &&str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let sha256 = text("sha256").filter(is_digest);
        let sha256 = sha256
            .ok_or_else(|| format!("{name}: 'sha256' must be that of the file, 64 hexadecimal digits"))?;
        Ok((name, AddonSource { path: directory.join(path), sha256: sha256.to_owned() }))
    };
    object(text)?.into_iter().map(read).collect()
}

/// Reads pools of proxies. The errors name the pool and the place in it, never the value.
pub fn proxies(text: &str) -> Result<BTreeMap<String, ProxyPoolSettings>, String> {
    object(text)?
        .into_iter()
        .map(|(name, value)| Ok((named(&name)?.to_owned(), pool(&name, &value)?)))
        .collect()
}

fn pool(name: &str, value: &Value) -> Result<ProxyPoolSettings, String> {
    let (servers, pick) = match value {
        Value::Array(servers) => (Some(servers), PoolUse::Sticky),
        Value::Object(fields) => {
            let pick = match fields.get("use").map_or(Some("sticky"), Value::as_str) {
                Some("sticky") => PoolUse::Sticky,
                Some("rotate") => PoolUse::Rotate,
                _ => return Err(format!("{name}: 'use' must be \"sticky\" or \"rotate\"")),
            };
            if let Some(unknown) = fields.keys().find(|key| !["servers", "use"].contains(&key.as_str())) {
                return Err(format!("{name}: there is no field {unknown:?}, only 'servers' and 'use'"));
            }
            (fields.get("servers").and_then(Value::as_array), pick)
        }
        _ => (None, PoolUse::Sticky),
    };
    let servers = servers.filter(|servers| !servers.is_empty()).ok_or_else(|| {
        format!("{name} must be a list of at least one URL, or an object with such a list as 'servers'")
    })?;
    let server = |(at, server): (usize, &Value)| -> Result<ProxyServer, String> {
        let text = server.as_str().ok_or_else(|| format!("{name}[{at}] must be a string"))?;
        text.parse().map_err(|error| format!("{name}[{at}] {error}"))
    };
    Ok(ProxyPoolSettings { servers: servers.iter().enumerate().map(server).collect::<Result<_, _>>()?, pick })
}

/// Reads the address of a name server; its port is 53 unless given.
pub fn name_server(text: &str) -> Option<SocketAddr> {
    let plain = text.trim_matches(['[', ']']);
    text.parse().ok().or_else(|| plain.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 53)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_are_lists_of_urls_or_objects_with_one() {
        let read = proxies(
            r#"{"eu": ["socks5://me:s3cret@a:1080", "http://b"], "us_1": {"servers": ["https://c"], "use": "rotate"}}"#,
        )
        .unwrap();
        assert_eq!(read["eu"].servers.len(), 2);
        assert_eq!((read["eu"].pick, read["us_1"].pick), (PoolUse::Sticky, PoolUse::Rotate));
        for (text, expected) in [
            ("[]", "another kind"),
            ("{", "EOF"),
            (r#"{"e u": ["http://a"]}"#, "\"e u\""),
            (r#"{"direct": ["http://a"]}"#, "\"direct\" means no proxy"),
            (r#"{"eu": ["http://a", "direct"]}"#, "eu[1] must be a proxy, not 'direct'"),
            (r#"{"eu": ["socks5://me:s3cret@a:99999"]}"#, "a port of at most 65535"),
            (r#"{"eu": []}"#, "at least one URL"),
            (r#"{"eu": "http://me:s3cret@a"}"#, "must be a list"),
            (r#"{"eu": [{"s3cret": 1}]}"#, "eu[0] must be a string"),
            (r#"{"eu": ["http://a", "ftp://me:s3cret@b"]}"#, "eu[1] must be a URL such as"),
            (r#"{"eu": {"servers": ["http://a"], "use": "s3cret"}}"#, "'use' must be"),
            (r#"{"eu": {"servers": ["http://a"], "mode": "rotate"}}"#, "no field \"mode\""),
        ] {
            let error = proxies(text).unwrap_err();
            assert!(error.contains(expected) && !error.contains("s3cret"), "{text}: {error}");
        }
    }

    #[test]
    fn destinations_lists_and_name_servers_are_read() {
        assert_eq!(destinations(".example.com, 10.0.0.0/8, *:25").unwrap().len(), 3);
        assert_eq!(destinations("").unwrap(), []);
        assert!(destinations("a b").unwrap_err().contains("\"a b\""));
        assert_eq!(list_names("phone_home, ads").unwrap(), ["phone_home", "ads"]);
        assert!(list_names("a/b").is_err());
        let files =
            list_files(r#"{"ads": "lists/ads.txt", "all": "/etc/all.txt"}"#, Path::new("/srv")).unwrap();
        assert_eq!(files["ads"], Path::new("/srv/lists/ads.txt"));
        assert_eq!(files["all"], Path::new("/etc/all.txt"));
        let digest = "0".repeat(64);
        let read =
            addons(&format!(r#"{{"ublock": {{"path": "u.xpi", "sha256": "{digest}"}}}}"#), Path::new("/srv"));
        assert_eq!(read.unwrap()["ublock"], AddonSource { path: "/srv/u.xpi".into(), sha256: digest });
        for (wrong, expected) in [
            (r#"{"a": "a.xpi"}"#, "a: 'path'"),
            (r#"{"a": {"path": "a.xpi"}}"#, "a: 'sha256'"),
            (r#"{"a": {"path": "a.xpi", "sha256": "12"}}"#, "a: 'sha256'"),
            (r#"{"a/b": {}}"#, "letters, digits"),
        ] {
            assert!(addons(wrong, Path::new("/")).unwrap_err().contains(expected), "{wrong}");
        }
        assert!(list_files(r#"{"ads": 5}"#, Path::new("/")).unwrap_err().contains("ads must be a path"));
        for (text, expected) in [
            ("10.0.0.2", Some("10.0.0.2:53")),
            ("10.0.0.2:5353", Some("10.0.0.2:5353")),
            ("[::1]:5353", Some("[::1]:5353")),
            ("::1", Some("[::1]:53")),
            ("[::1]", Some("[::1]:53")),
            ("dns.example", None),
            ("", None),
        ] {
            assert_eq!(name_server(text), expected.map(|text| text.parse().unwrap()), "{text}");
        }
    }
}
