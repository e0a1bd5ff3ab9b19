//! A session, its status, and why it ended.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Time;
use crate::egress::EgressTotals;
use crate::identity::{Contradiction, Identity};
use crate::ids::RequestId;
use crate::lenient::default_if_unknown;
use crate::profile::{ProfileMode, ProfileName};
use crate::proxy::ProxyView;
use crate::view::{ViewKey, ViewLinks};

/// The state of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Its browser and display are being started, for the first time or after a crash.
    Init,
    /// Clients can attach.
    Ready,
    /// It is being shut down.
    Terminating,
    /// It has ended, and its processes and files are gone.
    Dead,
}

impl Status {
    /// All states, in the order of a session's life.
    pub const ALL: [Self; 4] = [Self::Init, Self::Ready, Self::Terminating, Self::Dead];

    /// The value as it appears in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Init => "INIT",
            Self::Ready => "READY",
            Self::Terminating => "TERMINATING",
            Self::Dead => "DEAD",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a session ended, as used in JSON, metric labels and events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// A delete request ended it.
    Deleted,
    /// It was idle for its idle TTL.
    Expired,
    /// Its browser exited, and it was not to be restarted or had been restarted too often.
    Crashed,
    /// As `crashed`, for its X server.
    DisplayLost,
    /// As `crashed`, for the SOCKS server that its connections pass.
    EgressLost,
    /// As `crashed`, for the driver that hosted its Playwright server.
    DriverLost,
    /// Its browser or display could not be started in the first place.
    LaunchFailed,
    /// Its files exceeded their disk limit, or the disk of its profile was full.
    DiskFull,
    /// Its profile could no longer be held: its storage failed, or another worker took it over.
    ProfileLost,
    /// The client that requested it disconnected before it was ready.
    Abandoned,
    /// camofleet shut down.
    Shutdown,
}

impl EndReason {
    /// All values.
    pub const ALL: [Self; 11] = [
        Self::Deleted,
        Self::Expired,
        Self::Crashed,
        Self::DisplayLost,
        Self::EgressLost,
        Self::DriverLost,
        Self::LaunchFailed,
        Self::DiskFull,
        Self::ProfileLost,
        Self::Abandoned,
        Self::Shutdown,
    ];

    /// The value as it appears in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Expired => "expired",
            Self::Crashed => "crashed",
            Self::DisplayLost => "display_lost",
            Self::EgressLost => "egress_lost",
            Self::DriverLost => "driver_lost",
            Self::LaunchFailed => "launch_failed",
            Self::DiskFull => "disk_full",
            Self::ProfileLost => "profile_lost",
            Self::Abandoned => "abandoned",
            Self::Shutdown => "shutdown",
        }
    }
}

/// The load state at which the start URL counts as open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StartUrlWait {
    /// The URL is not opened; the client navigates itself.
    None,
    /// The document has been parsed.
    DomContentLoaded,
    /// The page and its resources have been loaded.
    Load,
}

impl StartUrlWait {
    /// All values.
    pub const ALL: &[Self] = &[Self::None, Self::DomContentLoaded, Self::Load];
}

/// What happens to a session whose browser, display or driver breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnCrash {
    /// The session is rebuilt under the same id.
    #[default]
    Restart,
    /// The session ends.
    End,
}

impl OnCrash {
    /// All values.
    pub const ALL: &[Self] = &[Self::Restart, Self::End];
}

/// What happens to contexts and pages when the last client disconnects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Contexts {
    /// They stay open for the next client.
    #[default]
    Keep,
    /// They are closed.
    Discard,
}

impl Contexts {
    /// All values.
    pub const ALL: &[Self] = &[Self::Keep, Self::Discard];
}

/// The field `vnc`: a runner writes whether there is a live view, the other roles write its URLs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Vnc {
    /// Written by a runner.
    Enabled(bool),
    /// Written by all other roles.
    Links(ViewLinks),
}

/// A session. The last fields differ by role: each role writes only its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// The session's id: a UUID v4.
    pub id: Uuid,
    /// The session's state.
    pub status: Status,
    /// When it was requested.
    pub created_at: Time,
    /// When it was last used; it ends `idle_ttl_seconds` after that.
    pub last_seen_at: Time,
    /// The browser engine: `camoufox` or `firefox`. The original's runner omits it, since it runs only Camoufox.
    #[serde(default = "camoufox", deserialize_with = "engine")]
    #[schema(required)]
    pub browser: String,
    /// The browser's version; null until the browser runs.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub browser_version: Option<String>,
    /// The id of its live view in gateway URLs.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub vnc_id: Option<u16>,
    /// The key that opens this session's live view, but no later one with the same id; the view's URLs contain it.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub vnc_key: Option<ViewKey>,
    /// Whether the browser runs headless.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub headless: bool,
    /// How long it may be idle before it ends; 0 if it does not end by itself.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub idle_ttl_seconds: u64,
    /// The labels of its create request.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub labels: Arc<BTreeMap<String, String>>,
    /// The page that was opened in it; a password in the URL is masked.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub start_url: Option<String>,
    /// The load state that was waited for.
    #[serde(default = "load", deserialize_with = "wait")]
    #[schema(required)]
    pub start_url_wait: StartUrlWait,
    /// Why the start URL could not be opened.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub start_url_error: Option<String>,
    /// The number of attached Playwright clients.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub attached: usize,
    /// How many times it was rebuilt after a crash.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub restarts: u32,
    /// What happens when its browser, display or driver breaks.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub on_crash: OnCrash,
    /// What happens to contexts and pages when the last client disconnects.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub contexts: Contexts,
    /// The proxy that its browser's connections leave through; null if they are direct.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub proxy: Option<ProxyView>,
    /// What its browser sent and received; null where the worker does not count it.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub egress: Option<EgressTotals>,
    /// The names of its block lists.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub block: Vec<String>,
    /// What pages learn of its user and machine; null where the worker does not report it.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub identity: Option<Identity>,
    /// The name of its profile; null if it has none.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub profile: Option<ProfileName>,
    /// Whether it changes its profile or has a copy of it; null without a profile.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub profile_mode: Option<ProfileMode>,
    /// Where its identity does not fit the place where its connections leave, its display or its operating system; null
    /// where nothing of it was compared, and empty where nothing contradicts.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub contradictions: Option<Vec<Contradiction>>,
    /// The `X-Request-Id` of its create request, which also appears in the logs.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub request_id: Option<RequestId>,
    /// When it ended.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub ended_at: Option<Time>,
    /// Why it ended.
    #[serde(default, deserialize_with = "end_reason")]
    #[schema(required)]
    pub end_reason: Option<EndReason>,
    /// Why it ended, in plain text with the error of the system.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub end_detail: Option<String>,
    /// The name of its worker; only in responses of a control.
    #[serde(default, deserialize_with = "default_if_unknown", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub worker: Option<String>,
    /// The id of its worker; only in responses of a worker.
    #[serde(default, deserialize_with = "default_if_unknown", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub worker_id: Option<String>,
    /// Where Playwright clients connect: a path relative to the API's origin, or an absolute URL in responses of a runner.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub ws_endpoint: String,
    /// Whether it has a live view; only in responses of a control or a worker.
    #[serde(default, deserialize_with = "default_if_unknown", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub vnc_enabled: Option<bool>,
    /// The URLs of its live view; in responses of a runner, whether it has one.
    #[serde(default, deserialize_with = "default_if_unknown", skip_serializing_if = "Option::is_none")]
    #[schema(required, nullable = false)]
    pub vnc: Option<Vnc>,
    /// The URLs of its live view; only in responses of a runner.
    #[serde(default, deserialize_with = "default_if_unknown", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub vnc_info: Option<ViewLinks>,
    /// Whether this is the session as last seen, because its worker does not answer; only in responses of a control or a
    /// worker.
    #[serde(default, deserialize_with = "default_if_unknown", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub stale: Option<bool>,
}

impl Session {
    /// The URLs of its live view, from whichever of the two fields has them.
    pub fn links(&self) -> Option<&ViewLinks> {
        match &self.vnc {
            Some(Vnc::Links(links)) => Some(links),
            _ => self.vnc_info.as_ref(),
        }
    }

    /// Whether it has a live view, from whichever field is present.
    pub fn has_view(&self) -> bool {
        let flag = match self.vnc {
            Some(Vnc::Enabled(enabled)) => Some(enabled),
            _ => None,
        };
        let addressed = || self.links().is_some_and(|links| links.ws.is_some() || links.http.is_some());
        self.vnc_enabled.or(flag).unwrap_or_else(addressed)
    }
}

fn camoufox() -> String {
    "camoufox".to_owned()
}

fn engine<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(default_if_unknown::<D, Option<String>>(deserializer)?.unwrap_or_else(camoufox))
}

fn load() -> StartUrlWait {
    StartUrlWait::Load
}

fn wait<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StartUrlWait, D::Error> {
    Ok(default_if_unknown::<D, Option<StartUrlWait>>(deserializer)?.unwrap_or(StartUrlWait::Load))
}

/// Reads a reason that only a newer version knows as `crashed`.
fn end_reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<EndReason>, D::Error> {
    let name: Option<String> = default_if_unknown(deserializer)?;
    let known = |name: &str| EndReason::ALL.into_iter().find(|reason| reason.as_str() == name);
    Ok(name.map(|name| known(&name).unwrap_or(EndReason::Crashed)))
}

/// The response to `DELETE` of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deleted {
    /// The session's id; the original omits it.
    #[serde(default, deserialize_with = "default_if_unknown")]
    #[schema(required)]
    pub id: Uuid,
    /// Always `DEAD`: the response is sent once the session's processes and files are gone.
    pub status: Status,
}
