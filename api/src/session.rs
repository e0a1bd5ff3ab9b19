//! A session, and the words for its state.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Time;
use crate::ids::RequestId;
use crate::lenient::{if_understood, null_is_default};
use crate::view::{ViewKey, ViewLinks};

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Its browser (and display) are being built: at first, and again after a crash.
    Init,
    /// Clients can attach.
    Ready,
    /// Its parts are being shut down.
    Terminating,
    /// Nothing of it is left.
    Dead,
}

impl Status {
    /// All of them, in the order of a session's life.
    pub const ALL: [Self; 4] = [Self::Init, Self::Ready, Self::Terminating, Self::Dead];

    /// The API's name.
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

/// Why a session ended: in its JSON, the metric's label and the event's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Somebody deleted it.
    Deleted,
    /// It was idle for its idle TTL.
    Expired,
    /// Its browser ended, and it was not, or no longer, to be restarted.
    Crashed,
    /// The same for its X server.
    DisplayLost,
    /// The same for the driver that hosted its Playwright server.
    DriverLost,
    /// Its browser or display could not be built in the first place.
    LaunchFailed,
    /// Its files took more of the disk than they may.
    DiskFull,
    /// The client that requested it disconnected before it was ready.
    Abandoned,
    /// camofleet shut down.
    Shutdown,
}

impl EndReason {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Deleted,
        Self::Expired,
        Self::Crashed,
        Self::DisplayLost,
        Self::DriverLost,
        Self::LaunchFailed,
        Self::DiskFull,
        Self::Abandoned,
        Self::Shutdown,
    ];

    /// The API's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Expired => "expired",
            Self::Crashed => "crashed",
            Self::DisplayLost => "display_lost",
            Self::DriverLost => "driver_lost",
            Self::LaunchFailed => "launch_failed",
            Self::DiskFull => "disk_full",
            Self::Abandoned => "abandoned",
            Self::Shutdown => "shutdown",
        }
    }
}

/// What counts as "the start URL is open".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StartUrlWait {
    /// The URL is not opened at all: the client navigates itself.
    None,
    /// The document is parsed.
    DomContentLoaded,
    /// Everything on the page is loaded.
    Load,
}

impl StartUrlWait {
    /// All of them.
    pub const ALL: &[Self] = &[Self::None, Self::DomContentLoaded, Self::Load];
}

/// What happens to a session whose browser, display or driver breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnCrash {
    /// It is rebuilt under the same id.
    #[default]
    Restart,
    /// It ends.
    End,
}

impl OnCrash {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Restart, Self::End];
}

/// What happens to contexts and pages when the last client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Contexts {
    /// They stay for the next client.
    #[default]
    Keep,
    /// They are closed.
    Discard,
}

impl Contexts {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Keep, Self::Discard];
}

/// Whether a session has a live view: a runner writes `vnc` as a boolean, the other roles write the addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Vnc {
    /// A runner's.
    Enabled(bool),
    /// Everybody else's.
    Links(ViewLinks),
}

/// A session. The last fields differ by role: each role writes the ones that are its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Its id: a UUID v4.
    pub id: Uuid,
    /// Where it stands.
    pub status: Status,
    /// When it was requested.
    pub created_at: Time,
    /// When it was last used; it ends `idle_ttl_seconds` later.
    pub last_seen_at: Time,
    /// The engine: `camoufox` or `firefox`. The original's runner leaves it out, and runs nothing but Camoufox.
    #[serde(default = "camoufox", deserialize_with = "engine")]
    #[schema(required)]
    pub browser: String,
    /// Null until the browser runs.
    #[serde(default)]
    #[schema(required)]
    pub browser_version: Option<String>,
    /// The id of its live view, as gateways know it.
    #[serde(default)]
    #[schema(required)]
    pub vnc_id: Option<u16>,
    /// Opens its live view, and no later one with this id; its addresses contain it.
    #[serde(default, deserialize_with = "if_understood")]
    #[schema(required)]
    pub vnc_key: Option<ViewKey>,
    /// Whether it has no window.
    #[serde(default)]
    #[schema(required)]
    pub headless: bool,
    /// How long it may be idle.
    #[serde(default)]
    #[schema(required)]
    pub idle_ttl_seconds: u64,
    /// The labels of its create request.
    #[serde(default, deserialize_with = "null_is_default")]
    #[schema(required)]
    pub labels: Arc<BTreeMap<String, String>>,
    /// The page that was opened in it, without the password in its address.
    #[serde(default)]
    #[schema(required)]
    pub start_url: Option<String>,
    /// What counts as open.
    #[serde(default = "load", deserialize_with = "wait")]
    #[schema(required)]
    pub start_url_wait: StartUrlWait,
    /// Why the start URL could not be opened.
    #[serde(default)]
    #[schema(required)]
    pub start_url_error: Option<String>,
    /// How many Playwright clients are attached.
    #[serde(default)]
    #[schema(required)]
    pub attached: usize,
    /// How often it was rebuilt after a crash.
    #[serde(default)]
    #[schema(required)]
    pub restarts: u32,
    /// What happens when its browser, display or driver breaks.
    #[serde(default)]
    #[schema(required)]
    pub on_crash: OnCrash,
    /// What happens to contexts and pages when the last client leaves.
    #[serde(default)]
    #[schema(required)]
    pub contexts: Contexts,
    /// The `X-Request-Id` of its create request, as the logs name it.
    #[serde(default, deserialize_with = "if_understood")]
    #[schema(required)]
    pub request_id: Option<RequestId>,
    /// When nothing was left of it.
    #[serde(default)]
    #[schema(required)]
    pub ended_at: Option<Time>,
    /// Why it ended.
    #[serde(default, deserialize_with = "end_reason")]
    #[schema(required)]
    pub end_reason: Option<EndReason>,
    /// The same for people, with what the system said.
    #[serde(default)]
    #[schema(required)]
    pub end_detail: Option<String>,
    /// The name of the worker that it is on: written by a control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub worker: Option<String>,
    /// What the worker that it is on calls itself: written by a worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub worker_id: Option<String>,
    /// Where Playwright clients attach: relative to the API's origin, or the whole address at a runner.
    #[serde(default)]
    #[schema(required)]
    pub ws_endpoint: String,
    /// Whether it has a live view: written by a control and by a worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub vnc_enabled: Option<bool>,
    /// Its live view: the addresses, or whether there is one at a runner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(required, nullable = false)]
    pub vnc: Option<Vnc>,
    /// The addresses of its live view: written by a runner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub vnc_info: Option<ViewLinks>,
    /// The session as it was last seen, because its worker does not answer: written by a control and by a worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub stale: Option<bool>,
}

impl Session {
    /// Its live view's addresses, in whichever of the two fields they were written.
    pub fn links(&self) -> Option<&ViewLinks> {
        match &self.vnc {
            Some(Vnc::Links(links)) => Some(links),
            _ => self.vnc_info.as_ref(),
        }
    }

    /// Whether it has a live view, by whichever field says so.
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
    Ok(Option::deserialize(deserializer)?.unwrap_or_else(camoufox))
}

fn load() -> StartUrlWait {
    StartUrlWait::Load
}

fn wait<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StartUrlWait, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(StartUrlWait::Load))
}

/// A reason that only a newer version knows is some kind of crash.
fn end_reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<EndReason>, D::Error> {
    let name = Option::<String>::deserialize(deserializer)?;
    let known = |name: &str| EndReason::ALL.into_iter().find(|reason| reason.as_str() == name);
    Ok(name.map(|name| known(&name).unwrap_or(EndReason::Crashed)))
}

/// The answer to `DELETE` of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deleted {
    /// Which session; the original leaves it out.
    #[serde(default)]
    #[schema(required)]
    pub id: Uuid,
    /// DEAD: the answer is sent when nothing is left of it.
    pub status: Status,
}
