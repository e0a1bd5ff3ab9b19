//! Lists of hosts that browsers do not connect to.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use camofleet_api::destination;
use url::Host;

/// The name of the built-in list.
pub const PHONE_HOME: &str = "phone_home";

/// What Firefox and Camoufox call by themselves: settings, experiments, telemetry, advertisements, updates and block lists.
/// Services that pages use, such as push messages and add-ons, are not in it.
const PHONE_HOME_HOSTS: &[&str] = &[
    "ads.mozilla.org",
    "ads-img.mozilla.org",
    "aus5.mozilla.org",
    "classify-client.services.mozilla.com",
    "content-signature-2.cdn.mozilla.net",
    "contile.services.mozilla.com",
    "detectportal.firefox.com",
    "firefox.settings.services.mozilla.com",
    "firefox-settings-attachments.cdn.mozilla.net",
    "img-getpocket.cdn.mozilla.net",
    "incoming.telemetry.mozilla.org",
    "location.services.mozilla.com",
    "merino.services.mozilla.com",
    "mitmdetection.services.mozilla.com",
    "mozilla-ohttp.fastly-edge.com",
    "normandy.cdn.mozilla.net",
    "prod.ohttp-gateway.prod.webservices.mozgcp.net",
    "safebrowsing.googleapis.com",
    "services.addons.mozilla.org",
    "shavar.services.mozilla.com",
    "snippets.cdn.mozilla.net",
    "spocs.getpocket.com",
    "telemetry-incoming.r53-2.services.mozilla.com",
    "tracking-protection.cdn.mozilla.net",
    "versioncheck.addons.mozilla.org",
    "versioncheck-bg.addons.mozilla.org",
];

/// A list of hosts; each stands for its subdomains as well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockList(HashSet<Box<str>>);

impl BlockList {
    /// Reads a list: one host a line, alone or, as in a hosts file, several after an address, or as `||host^` of a filter
    /// list. Lines of other kinds are ignored, and so are comments: after `#` at the start of a word, and lines with `!`.
    fn read(text: &str) -> Self {
        let name = |word: &str| match destination::host(word.strip_prefix("*.").unwrap_or(word))? {
            // A name without a dot is this machine in a hosts file, not a host of the internet.
            Host::Domain(name) if name.contains('.') => Some(name.into_boxed_str()),
            _ => None,
        };
        let mut hosts = HashSet::new();
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('!')) {
            if let Some(rule) = line.strip_prefix("||") {
                hosts.extend(rule.strip_suffix('^').and_then(name));
                continue;
            }
            let words: Vec<&str> =
                line.split_ascii_whitespace().take_while(|word| !word.starts_with('#')).collect();
            match words[..] {
                [host] => hosts.extend(name(host)),
                [address, ref names @ ..] if address.parse::<IpAddr>().is_ok() => {
                    hosts.extend(names.iter().copied().filter_map(name));
                }
                _ => {}
            }
        }
        Self(hosts)
    }

    /// Whether it contains a name or one of its parent domains.
    fn contains(&self, name: &str) -> bool {
        let mut rest = name;
        loop {
            if self.0.contains(rest) {
                return true;
            }
            match rest.split_once('.') {
                Some((_, parent)) => rest = parent,
                None => return false,
            }
        }
    }
}

/// All block lists of a worker, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockLists(BTreeMap<String, Arc<BlockList>>);

impl Default for BlockLists {
    /// The built-in list only.
    fn default() -> Self {
        let hosts = PHONE_HOME_HOSTS.iter().map(|host| (*host).into()).collect();
        Self(BTreeMap::from([(PHONE_HOME.to_owned(), Arc::new(BlockList(hosts)))]))
    }
}

impl BlockLists {
    /// Reads lists from files; a file named as the built-in list replaces it.
    ///
    /// # Errors
    /// A file can't be read, or holds no host; the text names it.
    pub fn load(files: &BTreeMap<String, PathBuf>) -> io::Result<Self> {
        let mut lists = Self::default();
        for (name, path) in files {
            let failed = |error: io::Error| io::Error::other(format!("{}: {error}", path.display()));
            let list = BlockList::read(&String::from_utf8_lossy(&std::fs::read(path).map_err(failed)?));
            if list.0.is_empty() {
                return Err(failed(io::Error::other("holds no host; give one a line, as in a hosts file")));
            }
            log::debug!("the block list {name} has {} hosts", list.0.len());
            lists.0.insert(name.clone(), Arc::new(list));
        }
        Ok(lists)
    }

    /// The names of all lists.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The lists with these names.
    ///
    /// # Errors
    /// The first name that is none.
    pub fn select<'a>(&self, names: &'a [String]) -> Result<SelectedLists, &'a str> {
        let list = |name: &'a String| self.0.get(name).cloned().ok_or(name.as_str());
        names.iter().map(list).collect::<Result<_, _>>().map(SelectedLists)
    }
}

/// The block lists of one session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelectedLists(Vec<Arc<BlockList>>);

impl SelectedLists {
    /// Whether one of them contains a name or one of its parent domains.
    pub fn contain(&self, name: &str) -> bool {
        self.0.iter().any(|list| list.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_all_usual_formats_are_read() {
        let list = BlockList::read(
            "# a comment.example\n! another.example\n!plain.example\n127.0.0.1 localhost two.example three.example #four.example\n0.0.0.0 ads.example # why\n\n  tracker.example\r\n*.wild.example\n\
             ||filter.example^\n||part.example^$third-party\nexample.com##.banner\nBÜCHER.example\n::1 ip6-localhost\n10.0.0.1\n",
        );
        for (name, contained) in [
            ("ads.example", true),
            ("a.b.ads.example", true),
            ("notads.example", false),
            ("example", false),
            ("tracker.example", true),
            ("wild.example", true),
            ("filter.example", true),
            ("part.example", false),
            ("localhost", false),
            ("two.example", true),
            ("three.example", true),
            ("four.example", false),
            ("comment.example", false),
            ("another.example", false),
            ("plain.example", false),
            ("example.com", false),
            ("xn--bcher-kva.example", true),
        ] {
            assert_eq!(list.contains(name), contained, "{name}");
        }
    }

    #[test]
    fn lists_are_selected_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            (name.to_owned(), path)
        };
        let lists = BlockLists::load(&BTreeMap::from([file("ads", "ads.example")])).unwrap();
        assert_eq!(lists.names().collect::<Vec<_>>(), ["ads", "phone_home"]);
        let names = ["ads".to_owned(), PHONE_HOME.to_owned()];
        let both = lists.select(&names).unwrap();
        for (name, blocked) in
            [("ads.example", true), ("incoming.telemetry.mozilla.org", true), ("addons.mozilla.org", false)]
        {
            assert_eq!(both.contain(name), blocked, "{name}");
        }
        assert_eq!(lists.select(&["trackers".to_owned()]).map(|_| ()), Err("trackers"));
        for bad in [file("empty", "# nothing\n"), ("missing".to_owned(), directory.path().join("missing"))] {
            let path = bad.1.clone();
            let error = BlockLists::load(&BTreeMap::from([bad])).unwrap_err().to_string();
            assert!(error.starts_with(&path.display().to_string()), "{error}");
        }
    }
}
