//! A session's specification, and its state as seen from outside.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use camofleet_api::identity::{Coherence, Contradiction, Identity};
use camofleet_api::identity_request::IdentityRequest;
use camofleet_api::ids::{RequestId, SessionId};
use camofleet_api::proxy::{ProxyChoice, ProxyView};
use camofleet_api::request::SessionRequest;
use camofleet_api::session::{Contexts, EndReason, OnCrash, Session, StartUrlWait, Status};
use camofleet_api::view::{ViewKey, ViewLinks};
use jiff::Timestamp;
use url::Url;
use uuid::Uuid;

use super::error::{Error, Result};
use super::identity::IdentitySources;
use super::machine::Machine;
use super::profile::ProfileChoice;
use crate::model::activity::ActivityClock;
use crate::model::screen::ScreenHandle;
use crate::model::traffic::Traffic;

/// Schemes that are always allowed in a request's start URL.
const START_URL_SCHEMES: [&str; 3] = ["http", "https", "data"];

/// Default values for fields that a create request omits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionDefaults {
    /// Whether the browser runs headless.
    pub headless: bool,
    /// How long a session may be idle before it ends.
    pub idle_ttl: Duration,
    /// A page to open.
    pub start_url: Option<String>,
    /// The load state to wait for.
    pub start_url_wait: StartUrlWait,
    /// Schemes that are allowed in a request's start URL beside http, https, data and about:blank. Others are rejected by
    /// default, because they show files of the machine (`file:`) or the browser's own pages.
    pub start_url_schemes: Vec<String>,
    /// How connections leave.
    pub proxy: ProxyChoice,
    /// The names of the block lists.
    pub block: Vec<String>,
}

impl SessionDefaults {
    /// Rejects a request whose start URL has a scheme that is not allowed.
    ///
    /// # Errors
    /// [`Error::StartUrlScheme`].
    pub fn check(&self, request: &SessionRequest) -> Result<()> {
        let Some(url) = &request.start_url else { return Ok(()) };
        let url = with_scheme(url.trim());
        let scheme = url.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let allowed = START_URL_SCHEMES.contains(&scheme.as_str())
            || self.start_url_schemes.contains(&scheme)
            || url.eq_ignore_ascii_case("about:blank");
        if allowed { Ok(()) } else { Err(Error::StartUrlScheme { scheme }) }
    }
}

/// What a browser is launched with that can't be changed while it runs. A session takes a warm browser only of its own
/// template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchTemplate {
    /// Whether it runs without a window.
    pub headless: bool,
    /// What pages learn of its user and machine.
    pub identity: Identity,
    /// The user data that outlives it, if it has a profile.
    pub user_data: Option<UserData>,
}

/// User data that outlives its browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserData {
    /// Its directory.
    pub directory: PathBuf,
    /// How long a browser may take to store it when it is closed; `None` for a copy, which is deleted then.
    pub patience: Option<Duration>,
}

impl LaunchTemplate {
    /// A browser that shows what it has by itself.
    pub fn plain(headless: bool) -> Self {
        Self { headless, identity: Identity::default(), user_data: None }
    }

    /// What a request asks for, without what the exit decides. A live view needs a window, and a window needs a display:
    /// without `displays` the browser runs headless.
    pub fn new(request: &SessionRequest, defaults: &SessionDefaults, displays: bool) -> Self {
        let headless = !request.vnc && (!displays || request.headless.unwrap_or(defaults.headless));
        Self { headless, identity: request.identity.given(), user_data: None }
    }
}

/// A URL with its password masked, if it has one, because everybody who can list sessions sees it.
pub fn without_password(address: &str) -> Cow<'_, str> {
    let Ok(mut url) = Url::parse(address) else { return without_user(address) };
    if url.password().is_none() {
        return address.into();
    }
    // A URL that has a password accepts another one.
    let _ = url.set_password(Some("****"));
    String::from(url).into()
}

/// The same for a text that is not a valid URL: masks everything before the last `@` in its host part.
fn without_user(address: &str) -> Cow<'_, str> {
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match host.rsplit_once('@') {
        Some((user, _)) if user.contains(':') => format!("{scheme}://****{}", &rest[user.len()..]).into(),
        _ => address.into(),
    }
}

/// A session as it will be built, with all defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSpec {
    /// Its id.
    pub id: SessionId,
    /// What its browser is launched with, without what the exit decides.
    pub template: LaunchTemplate,
    /// The identity that its request asks for.
    pub identity: IdentityRequest,
    /// What happens if that contradicts the place of its exit.
    pub coherence: Coherence,
    /// Whether it has a live view.
    pub vnc: bool,
    /// How long it may be idle before it ends.
    pub idle_ttl: Duration,
    /// A page to open, with a scheme.
    pub start_url: Option<String>,
    /// The load state to wait for.
    pub start_url_wait: StartUrlWait,
    /// The caller's labels.
    pub labels: Arc<BTreeMap<String, String>>,
    /// What happens when its browser, display or driver breaks.
    pub on_crash: OnCrash,
    /// What happens to contexts and pages when the last client disconnects.
    pub contexts: Contexts,
    /// How its connections left at first.
    pub proxy: ProxyChoice,
    /// The names of its block lists.
    pub block: Vec<String>,
    /// Its profile, if it has one.
    pub profile: Option<ProfileChoice>,
    /// The id of its create request; `None` where its machine does not report it.
    pub request_id: Option<RequestId>,
    /// The key of its live view, the same through every restart; `None` without a live view and on another machine.
    pub view_key: Option<ViewKey>,
}

impl SessionSpec {
    /// Fills a request from the defaults, under a new id. `displays`: whether browsers can have windows here.
    pub fn new(request: SessionRequest, by: RequestId, defaults: &SessionDefaults, displays: bool) -> Self {
        let template = LaunchTemplate::new(&request, defaults, displays);
        let (identity, profile) = (request.identity.clone(), ProfileChoice::from_request(&request));
        let start_url = request.start_url.or_else(|| defaults.start_url.clone());
        Self {
            id: Uuid::new_v4(),
            template,
            identity,
            coherence: request.coherence,
            vnc: request.vnc,
            idle_ttl: request.idle_ttl.unwrap_or(defaults.idle_ttl),
            start_url: start_url.filter(|url| !url.trim().is_empty()).map(|url| with_scheme(url.trim())),
            start_url_wait: request.start_url_wait.unwrap_or(defaults.start_url_wait),
            labels: Arc::new(request.labels),
            on_crash: request.on_crash,
            contexts: request.contexts,
            proxy: request.proxy.unwrap_or_else(|| defaults.proxy.clone()),
            block: request.block.unwrap_or_else(|| defaults.block.clone()),
            profile,
            request_id: Some(by),
            view_key: request.vnc.then(ViewKey::random),
        }
    }
}

/// Adds `https://` to a bare host. `localhost:8080` is a host with a port, although it parses as a URL with the scheme
/// `localhost`: a scheme counts as one only if `//` follows, if what follows is not a port, or if it never has a host.
fn with_scheme(url: &str) -> String {
    const SCHEMES_WITHOUT_HOST: [&str; 6] = ["about", "data", "blob", "file", "view-source", "moz-extension"];
    let has_scheme = url.split_once(':').is_some_and(|(scheme, rest)| {
        let scheme = scheme.to_ascii_lowercase();
        let well_formed = scheme.starts_with(|c: char| c.is_ascii_lowercase())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        // What follows the colon is a port, or a password after a user name.
        let port = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let host = digits || port.contains('@');
        well_formed && (rest.starts_with("//") || SCHEMES_WITHOUT_HOST.contains(&scheme.as_str()) || !host)
    });
    if has_scheme { url.to_owned() } else { format!("https://{url}") }
}

/// How the live view of a session is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VncView {
    /// The id in the URLs of the gateway's page and WebSocket; `None` where the worker reports none.
    pub id: Option<u16>,
    /// Connects viewers to the screen, for a gateway in the same process; `None` for a session of another process, and where
    /// all sessions share one screen, which belongs to the worker.
    pub screen: Option<ScreenHandle>,
    /// The TCP address of the screen, for VNC clients and gateways in other processes; `None` for a session on another machine.
    pub server: Option<SocketAddr>,
    /// The public URLs.
    pub links: ViewLinks,
    /// The key that opens it, because its id can be guessed; `None` where its machine has no keys, as the original.
    pub key: Option<ViewKey>,
}

/// How and why a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// When it had ended completely.
    pub at: Timestamp,
    /// Why.
    pub reason: EndReason,
    /// The reason in plain text, with the error of the system.
    pub detail: String,
}

/// The public state of a session. Published again on every change; activity alone only updates the clock.
#[derive(Debug, Clone)]
pub struct SessionView {
    /// Its specification.
    pub spec: Arc<SessionSpec>,
    /// Its state.
    pub status: Status,
    /// The times of its creation and last activity.
    pub activity: ActivityClock,
    /// The browser engine: `camoufox`, `firefox`, or the name that another machine reports.
    pub browser: Cow<'static, str>,
    /// The browser's version, once it runs.
    pub browser_version: Option<String>,
    /// Its live view, once it has one.
    pub vnc: Option<VncView>,
    /// Where clients have to connect, on a machine that does not relay them itself.
    pub endpoint: Option<Url>,
    /// Why the start URL could not be opened.
    pub start_url_error: Option<String>,
    /// How many Playwright clients are attached.
    pub attached: usize,
    /// What pages learn of its user and machine; `None` where its machine does not report it.
    pub identity: Option<Arc<Identity>>,
    /// Where that comes from.
    pub identity_sources: IdentitySources,
    /// What of it contradicts the place of its exit, or its display; `None` where that is not known.
    pub contradictions: Option<Vec<Contradiction>>,
    /// The machine that its browser shows, once one was drawn; `None` on another machine.
    pub machine: Option<Arc<Machine>>,
    /// The proxy that its connections leave through; `None` if they are direct.
    pub proxy: Option<ProxyView>,
    /// Counts its connections; `None` where its machine does not.
    pub traffic: Option<Traffic>,
    /// How many times it was rebuilt after a crash.
    pub restarts: u32,
    /// How it ended, once it has.
    pub ending: Option<Ending>,
}

impl SessionView {
    /// Whether it is being launched again after a crash, under the same id and with the same live view.
    pub fn is_restarting(&self) -> bool {
        self.status == Status::Init && self.restarts > 0
    }

    /// Converts it to the API's type, without the fields that differ by role.
    pub fn to_api(&self) -> Session {
        let (spec, vnc, ending) = (&self.spec, self.vnc.as_ref(), self.ending.as_ref());
        Session {
            id: spec.id,
            status: self.status,
            created_at: self.activity.born_at().into(),
            last_seen_at: self.activity.last_seen_at().into(),
            browser: self.browser.clone().into_owned(),
            browser_version: self.browser_version.clone(),
            vnc_id: vnc.and_then(|vnc| vnc.id),
            vnc_key: vnc.and_then(|vnc| vnc.key.clone()),
            headless: spec.template.headless,
            idle_ttl_seconds: spec.idle_ttl.as_secs(),
            labels: Arc::clone(&spec.labels),
            start_url: spec.start_url.as_deref().map(|url| without_password(url).into_owned()),
            start_url_wait: spec.start_url_wait,
            start_url_error: self.start_url_error.clone(),
            attached: self.attached,
            restarts: self.restarts,
            on_crash: spec.on_crash,
            contexts: spec.contexts,
            proxy: self.proxy.clone(),
            egress: self.traffic.as_ref().map(Traffic::totals),
            block: spec.block.clone(),
            identity: self.identity.as_deref().cloned(),
            profile: spec.profile.as_ref().map(|profile| profile.name.clone()),
            profile_mode: spec.profile.as_ref().map(|profile| profile.mode),
            contradictions: self.contradictions.clone(),
            request_id: spec.request_id.clone(),
            ended_at: ending.filter(|_| self.status == Status::Dead).map(|ending| ending.at.into()),
            end_reason: ending.map(|ending| ending.reason),
            end_detail: ending.map(|ending| ending.detail.clone()),
            worker: None,
            worker_id: None,
            ws_endpoint: String::new(),
            vnc_enabled: None,
            vnc: None,
            vnc_info: None,
            stale: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> SessionDefaults {
        SessionDefaults {
            headless: false,
            idle_ttl: Duration::from_secs(300),
            start_url: None,
            start_url_wait: StartUrlWait::Load,
            start_url_schemes: Vec::new(),
            proxy: ProxyChoice::Direct,
            block: Vec::new(),
        }
    }

    #[test]
    fn a_start_url_needs_a_scheme_of_the_web_unless_others_are_allowed() {
        let check = |url: &str, named: &[&str]| {
            let start_url_schemes = named.iter().map(|scheme| (*scheme).to_owned()).collect();
            let request = SessionRequest { start_url: Some(url.to_owned()), ..SessionRequest::default() };
            SessionDefaults { start_url_schemes, ..defaults() }.check(&request)
        };
        for url in ["example.com", "HTTP://a", "https://a", "data:,x", "about:blank", "localhost:80", ""] {
            assert_eq!(check(url, &[]), Ok(()), "{url}");
        }
        for (url, scheme) in [
            ("file:///etc/passwd", "file"),
            (" FILE:/etc/passwd", "file"),
            ("about:config", "about"),
            ("view-source:http://a", "view-source"),
            ("chrome://browser", "chrome"),
            ("blob:x", "blob"),
            ("javascript:alert(1)", "javascript"),
        ] {
            let refused = Err(Error::StartUrlScheme { scheme: scheme.to_owned() });
            assert_eq!(check(url, &[]), refused, "{url}");
            assert_eq!(check(url, &[scheme]), Ok(()), "{url}");
        }
        // A browser would parse this as `file:`, but it counts as a host here and gets `https://`.
        assert_eq!(check("fi\nle:///etc/passwd", &[]), Ok(()));
    }

    #[test]
    fn a_password_in_a_url_is_masked() {
        assert_eq!(without_password("https://me:s3cret@a.example/x"), "https://me:****@a.example/x");
        assert_eq!(without_password("https://me:s3cret@["), "https://****@[");
        for same in ["https://me@a.example", "https://a.example/?q=a:b@c", "not a url"] {
            assert_eq!(without_password(same), same);
        }
    }

    #[test]
    fn a_bare_host_gets_https_and_a_url_stays_as_it_is() {
        let cases = [
            ("example.com", "https://example.com"),
            ("example.com:8080/a?b=//c", "https://example.com:8080/a?b=//c"),
            ("example.com/?to=http://other.com", "https://example.com/?to=http://other.com"),
            ("localhost:8080", "https://localhost:8080"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("example.com:8080/a:b", "https://example.com:8080/a:b"),
            ("user:secret@example.com", "https://user:secret@example.com"),
            ("javascript:alert(1)", "javascript:alert(1)"),
            ("javascript:/a/", "javascript:/a/"),
            ("jar:file:///a!/b", "jar:file:///a!/b"),
            ("about:blank", "about:blank"),
            ("DATA:text/html,x", "DATA:text/html,x"),
        ];
        for (given, expected) in cases {
            assert_eq!(with_scheme(given), expected);
        }
    }

    #[test]
    fn a_live_view_needs_a_window() {
        let request = SessionRequest { vnc: true, headless: Some(true), ..SessionRequest::default() };
        assert!(!SessionSpec::new(request, RequestId::random(), &defaults(), true).template.headless);
    }

    #[test]
    fn without_display_tools_a_session_without_a_view_runs_headless() {
        let request = SessionRequest { headless: Some(false), ..SessionRequest::default() };
        assert!(!SessionSpec::new(request.clone(), RequestId::random(), &defaults(), true).template.headless);
        assert!(SessionSpec::new(request, RequestId::random(), &defaults(), false).template.headless);
    }

    #[test]
    fn omitted_fields_are_filled_from_the_defaults() {
        let defaults = SessionDefaults { start_url: Some("example.com".into()), ..defaults() };
        let spec = SessionSpec::new(SessionRequest::default(), RequestId::random(), &defaults, true);
        assert_eq!(spec.start_url.as_deref(), Some("https://example.com"));
        assert_eq!((spec.idle_ttl.as_secs(), spec.start_url_wait), (300, StartUrlWait::Load));
    }
}
