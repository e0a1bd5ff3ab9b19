//! The public URLs of live views: built from a base by the worker, and rewritten by a template where they are published.

use camofleet_api::view::{ViewKey, ViewLinks};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Characters of a worker's name that are not escaped in a URL (RFC 3986, section 2.3).
const UNESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The bases of the URLs of this machine's own views; an empty text makes them relative to the server that lists them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkBases {
    /// The base of `/websockify?token={id}`; `None` if views have no such URL.
    pub ws: Option<String>,
    /// The base of `/vnc/{id}`; `None` if views have no such URL.
    pub http: Option<String>,
}

impl LinkBases {
    /// URLs relative to the origin of the panel, for a process that is also the gateway; `prefix` is the path that an ingress
    /// puts before its pages, empty or with a leading slash.
    pub fn below(prefix: &str) -> Self {
        Self { ws: Some(prefix.to_owned()), http: Some(prefix.to_owned()) }
    }

    /// The URLs of the view with this id.
    pub fn links(&self, id: u16) -> ViewLinks {
        let base = |base: &String| base.trim_end_matches('/').to_owned();
        ViewLinks {
            ws: self.ws.as_ref().map(|ws| format!("{}/websockify?token={id}", base(ws))),
            http: self.http.as_ref().map(|http| format!("{}/vnc/{id}", base(http))),
            password_protected: false,
        }
    }
}

/// Templates of the public URLs of a worker's views. `{id}`, `{host}` and `{worker}` are filled in wherever they occur: in
/// the host, the path or the query.
///
/// A template without `{id}`, path and query is a base, to which the default path is added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkTemplates {
    /// For the WebSocket; `None` keeps the worker's own URL.
    pub ws: Option<String>,
    /// For the page; `None` keeps the worker's own URL.
    pub http: Option<String>,
}

impl LinkTemplates {
    /// URLs relative to the origin of the panel, for a control that relays viewers to its workers itself: a view is
    /// identified by its worker and its id (see [`crate::views::gateway::WorkerPorts`]). `prefix` as in [`LinkBases::below`].
    pub fn relayed(prefix: &str) -> Self {
        Self {
            ws: Some(format!("{prefix}/websockify?token={{worker}}:{{id}}")),
            http: Some(format!("{prefix}/vnc/{{worker}}:{{id}}")),
        }
    }

    /// The public URLs of a view, from the URLs that its worker reports. `host` is the worker's host as in a URL, with
    /// brackets around an IPv6 address. `key` is the view's key where the worker reports it separately from the URLs.
    pub fn apply(
        &self,
        links: ViewLinks,
        id: Option<&str>,
        key: Option<&ViewKey>,
        worker: &str,
        host: &str,
    ) -> ViewLinks {
        let worker = utf8_percent_encode(worker, UNESCAPED).to_string();
        let filled = |text: &str| text.replace("{host}", host).replace("{worker}", &worker);
        let reported = links.id();
        let id = id.map(str::to_owned).or(reported);
        let fill = |template: &Option<String>, reported: Option<String>, usual: &str| match template {
            None => reported,
            Some(template) => {
                let template = if is_base(template) {
                    format!("{}{usual}", template.trim_end_matches('/'))
                } else {
                    template.clone()
                };
                match &id {
                    Some(id) => Some(filled(&template.replace("{id}", id))),
                    // A screen that all sessions share has no id, and its URL needs none.
                    None => (!template.contains("{id}")).then(|| filled(&template)),
                }
            }
        };
        let key = key.cloned().or_else(|| links.key());
        // The worker's own URL contains the key already.
        let keyed = |template: &Option<String>, address: Option<String>| match (template, &key) {
            (Some(_), Some(key)) => address.map(|address| key.add_to(&address)),
            _ => address,
        };
        ViewLinks {
            ws: keyed(&self.ws, fill(&self.ws, links.ws, "/websockify?token={id}")),
            http: keyed(&self.http, fill(&self.http, links.http, "/vnc/{id}")),
            ..links
        }
    }
}

/// Whether a template is only an origin.
fn is_base(template: &str) -> bool {
    let rest = template.split_once("://").map_or(template, |(_, rest)| rest);
    !template.contains("{id}") && !rest.trim_end_matches('/').contains(['/', '?', '#'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(ws: Option<&str>, http: Option<&str>) -> ViewLinks {
        ViewLinks { ws: ws.map(str::to_owned), http: http.map(str::to_owned), password_protected: false }
    }

    #[test]
    fn bases_of_any_shape_give_the_urls_of_a_view() {
        for (base, http, ws) in [
            ("", "/vnc/6900", "/websockify?token=6900"),
            (
                "http://gateway:6900",
                "http://gateway:6900/vnc/6900",
                "http://gateway:6900/websockify?token=6900",
            ),
            ("http://[::1]:6900/", "http://[::1]:6900/vnc/6900", "http://[::1]:6900/websockify?token=6900"),
            (
                "https://a.example/fleet/",
                "https://a.example/fleet/vnc/6900",
                "https://a.example/fleet/websockify?token=6900",
            ),
        ] {
            let bases = LinkBases { ws: Some(base.to_owned()), http: Some(base.to_owned()) };
            assert_eq!(bases.links(6900), links(Some(ws), Some(http)), "{base}");
        }
        assert_eq!(LinkBases::default().links(6900), ViewLinks::default());
    }

    #[test]
    fn a_template_keeps_the_key_of_the_worker_s_url() {
        let key = ViewKey::random();
        let silent =
            LinkTemplates::relayed("").apply(ViewLinks::default(), Some("6901"), Some(&key), "east", "w");
        assert_eq!(silent.http, Some(format!("/vnc/east:6901?key={}", key.as_str())));
        let reported =
            links(Some("ws://inner/websockify?token=6901"), Some("http://inner/vnc/6901")).with_key(&key);
        let templates = LinkTemplates { ws: Some("wss://{host}/live?id={id}".to_owned()), http: None };
        let public = templates.apply(reported.clone(), None, None, "east", "w");
        assert_eq!(public.ws, Some(format!("wss://w/live?id=6901&key={}", key.as_str())));
        assert_eq!(public.http, reported.http);
    }

    #[test]
    fn placeholders_are_filled_in_wherever_they_occur() {
        const HOST: &str = "worker-1";
        for (template, host, expected) in [
            ("wss://public.example/proxy/{id}", HOST, "wss://public.example/proxy/6901"),
            ("wss://vnc-{id}.example/live", HOST, "wss://vnc-6901.example/live"),
            (
                "wss://a.example/websockify?token={id}&h={host}",
                HOST,
                "wss://a.example/websockify?token=6901&h=worker-1",
            ),
            ("ws://{host}:6900/websockify?token={id}", HOST, "ws://worker-1:6900/websockify?token=6901"),
            ("ws://{host}:6900/websockify?token={id}", "[::1]", "ws://[::1]:6900/websockify?token=6901"),
            (
                "wss://user:pass@{host}/{id}/{id}?a=b#c",
                "10.0.0.7",
                "wss://user:pass@10.0.0.7/6901/6901?a=b#c",
            ),
            ("wss://[2001:db8::1]:443/{id}", HOST, "wss://[2001:db8::1]:443/6901"),
            ("ws://{host}:6900/websockify", HOST, "ws://worker-1:6900/websockify"),
            ("wss://{worker}.example/{id}", HOST, "wss://east%201.example/6901"),
            ("/websockify?token={worker}:{id}", HOST, "/websockify?token=east%201:6901"),
            ("wss://public.example", HOST, "wss://public.example/websockify?token=6901"),
            ("ws://{host}:6900/", HOST, "ws://worker-1:6900/websockify?token=6901"),
        ] {
            let templates = LinkTemplates { ws: Some(template.to_owned()), http: None };
            let reported =
                links(Some("ws://inner:6900/websockify?token=6901"), Some("http://inner:6900/vnc/6901"));
            let public = templates.apply(reported.clone(), None, None, "east 1", host);
            assert_eq!(public.ws.as_deref(), Some(expected), "{template}");
            assert_eq!(public.http, reported.http, "a URL without a template stays as the worker reports it");
        }
    }

    #[test]
    fn a_known_id_wins_and_a_missing_one_gives_no_incomplete_url() {
        let templates = LinkTemplates {
            ws: Some("wss://a.example/{id}".to_owned()),
            http: Some("https://{host}/screen".to_owned()),
        };
        let public = templates.apply(ViewLinks::default(), Some("6907"), None, "east", "w");
        assert_eq!(public, links(Some("wss://a.example/6907"), Some("https://w/screen")));
        let public = templates.apply(ViewLinks::default(), None, None, "east", "w");
        assert_eq!(public, links(None, Some("https://w/screen")));
    }
}
