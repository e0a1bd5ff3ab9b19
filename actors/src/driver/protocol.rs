//! The protocol between camofleet and `driver.mjs`: one JSON object per line.

use std::collections::BTreeMap;

use camofleet_api::identity::Area;
use camofleet_api::session::StartUrlWait;
use serde::{Deserialize, Serialize};

use crate::host::engine::EngineKind;

/// A command to a driver, on its standard input.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(any(test, feature = "testing"), derive(Deserialize))]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Command {
    /// Start a browser with a Playwright server.
    Launch { id: String, options: LaunchOptions },
    /// End a browser: at once, or after it had this time to store its user data. Answered by [`Event::Exited`], or by
    /// [`Event::LaunchFailed`] if it is still being launched.
    Close {
        id: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        patience_ms: Option<u64>,
    },
    /// Open a page that clients who attach later see; answered by [`Event::Done`].
    Open { id: String, request: String, url: String, wait: StartUrlWait, timeout_ms: u64 },
    /// Close all contexts; answered by [`Event::Done`].
    DiscardContexts { id: String, request: String },
    /// Write the cookies of the default context to a file; answered by [`Event::Done`].
    ReadCookies { id: String, request: String, file: String },
    /// Replace the cookies of the default context by those of a file; answered by [`Event::Done`].
    WriteCookies { id: String, request: String, file: String },
    /// Check that the browser responds; answered by [`Event::Done`].
    Check { id: String, request: String, timeout_ms: u64 },
    /// Check that the driver itself responds; answered by [`Event::Pong`].
    Ping,
}

/// The options of a launch.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(any(test, feature = "testing"), derive(Deserialize))]
pub(crate) struct LaunchOptions {
    /// The kind of browser.
    pub engine: EngineKind,
    /// The browser's executable.
    pub executable: String,
    /// Whether it runs without a window.
    pub headless: bool,
    /// The directory of the profile and temporary files.
    pub directory: String,
    /// The directory of user data that outlives the browser; `None`: it has a profile of its own in `directory`.
    pub user_data: Option<String>,
    /// The browser's environment, without what makes it a machine.
    pub env: BTreeMap<String, String>,
    /// What makes a Camoufox the machine that it shows; `None` for a stock Firefox.
    pub machine: Option<MachineOptions>,
    /// Firefox preferences, those of the machine included.
    pub preferences: BTreeMap<String, serde_json::Value>,
    /// The socket of the SOCKS server that all connections go through.
    pub egress: String,
    /// Whether pages have no WebRTC.
    pub block_webrtc: bool,
    /// Whether the window is the viewport of contexts whose client names none, instead of Playwright's own default.
    pub window_is_viewport: bool,
    /// The screen's size in pixels, which a window covers.
    pub window: WindowSize,
    /// How long the launch may take until the Playwright server listens, in milliseconds.
    pub timeout_ms: u64,
}

/// What makes a Camoufox the machine that it shows: drawn once, and the same in each launch of it.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(any(test, feature = "testing"), derive(Deserialize))]
pub(crate) struct MachineOptions {
    /// The variables of the environment.
    pub env: BTreeMap<String, String>,
    /// The browser's arguments.
    pub arguments: Vec<String>,
    /// Where on the screen its window is.
    pub window: Area,
}

/// A window's size in pixels.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(any(test, feature = "testing"), derive(Deserialize))]
pub(crate) struct WindowSize {
    /// Width.
    pub width: u16,
    /// Height.
    pub height: u16,
}

/// An event of a driver, on its standard output. Unknown fields are ignored.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(any(test, feature = "testing"), derive(Serialize))]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Event {
    /// The first line: Playwright is loaded.
    Hello { playwright: String, node: String },
    /// A browser is running and its Playwright server listens.
    Ready { id: String, endpoint: String, pid: u32, browser_version: String },
    /// A launch failed or timed out; its processes have ended.
    LaunchFailed {
        id: String,
        error: String,
        #[serde(default)]
        timed_out: bool,
    },
    /// A browser that was ready has ended and was reaped.
    Exited {
        id: String,
        code: Option<i32>,
        signal: Option<String>,
        /// Why the driver ended it, if it did.
        #[serde(default)]
        reason: Option<String>,
    },
    /// The answer to a request to a running browser.
    Done {
        request: String,
        error: Option<String>,
        /// Whether the browser refused what was requested, and would do so again.
        #[serde(default)]
        refused: bool,
    },
    /// The answer to a `ping`.
    Pong,
    /// The driver did not understand a command; the ids are those that could be read from it.
    Invalid {
        error: String,
        #[serde(default)]
        id: Option<String>,
        #[serde(default)]
        request: Option<String>,
    },
}

/// What can be read from a malformed line: which launch or request it belongs to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Salvaged {
    /// The launch's id.
    pub id: Option<String>,
    /// The request's number.
    pub request: Option<String>,
    /// Whether it reports the end of a browser.
    pub exited: bool,
}

/// Reads the ids from a malformed line. The driver writes `type`, `id` and `request` before any text that it does not
/// control, and camofleet's ids consist of digits.
pub(crate) fn salvage(line: &str) -> Salvaged {
    let number = |name: &str| {
        let (_, after) = line.split_once(&format!("\"{name}\":\""))?;
        let (value, _) = after.split_once('"')?;
        (!value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit())).then(|| value.to_owned())
    };
    Salvaged { id: number("id"), request: number("request"), exited: line.starts_with(r#"{"type":"exited""#) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_a_malformed_line_can_be_read() {
        let line = r#"{"type":"done","id":"7","request":"31","error":"half \ud83d, \"id\":\"9\""}"#;
        assert!(serde_json::from_str::<Event>(line).is_err(), "half an emoji is no JSON");
        let expected = Salvaged { id: Some("7".to_owned()), request: Some("31".to_owned()), exited: false };
        assert_eq!(salvage(line), expected);
        assert!(salvage(r#"{"type":"exited","id":"7","#).exited);
        assert_eq!(salvage("Segmentation fault"), Salvaged::default());
        assert_eq!(salvage(r#"{"type":"done","id":"a","request":""#), Salvaged::default());
    }
}
