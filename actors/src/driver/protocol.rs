//! The lines that camofleet and `driver.mjs` exchange: one JSON object a line.

use std::collections::BTreeMap;

use camofleet_api::session::StartUrlWait;
use serde::{Deserialize, Serialize};

use crate::host::engine::EngineKind;

/// What camofleet asks of a driver, on its standard input.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(any(test, feature = "testing"), derive(Deserialize))]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Command {
    /// Start a browser with a Playwright server.
    Launch { id: String, options: LaunchOptions },
    /// Kill a browser; answered by [`Event::Exited`], or [`Event::LaunchFailed`] while it launches.
    Close { id: String },
    /// Open a URL in a page that clients who attach later see; answered by [`Event::Done`].
    Open { id: String, request: String, url: String, wait: StartUrlWait, timeout_ms: u64 },
    /// Close all contexts; answered by [`Event::Done`].
    DiscardContexts { id: String, request: String },
    /// Ask the browser for an answer; answered by [`Event::Done`].
    Check { id: String, request: String, timeout_ms: u64 },
    /// Answer; by [`Event::Pong`].
    Ping,
}

/// Everything a launch needs; the driver adds only the fingerprint of a Camoufox.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(any(test, feature = "testing"), derive(Deserialize))]
pub(crate) struct LaunchOptions {
    /// Which way to drive the browser.
    pub engine: EngineKind,
    /// The browser's executable.
    pub executable: String,
    /// Its version, for the fingerprint; `None` when no version file was found.
    pub version: Option<String>,
    /// Without a window.
    pub headless: bool,
    /// Where the profile and temporary files go.
    pub directory: String,
    /// The browser's whole environment.
    pub env: BTreeMap<String, String>,
    /// Firefox preferences.
    pub preferences: BTreeMap<String, serde_json::Value>,
    /// Whether the fingerprint must not offer WebRTC either.
    pub block_webrtc: bool,
    /// The window's size in pixels.
    pub window: WindowSize,
    /// How long the browser may take until its server listens, in milliseconds.
    pub timeout_ms: u64,
}

/// A window's size in pixels.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(any(test, feature = "testing"), derive(Deserialize))]
pub(crate) struct WindowSize {
    /// Pixels across.
    pub width: u16,
    /// Pixels down.
    pub height: u16,
}

/// What a driver tells, on its standard output. Fields that camofleet does not use are passed over.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(any(test, feature = "testing"), derive(Serialize))]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Event {
    /// The first line: Playwright is loaded.
    Hello { playwright: String, node: String },
    /// A browser runs and its Playwright server listens.
    Ready { id: String, endpoint: String, pid: u32, browser_version: String },
    /// A launch came to nothing, or took longer than it may; nothing of it is left.
    LaunchFailed {
        id: String,
        error: String,
        #[serde(default)]
        timed_out: bool,
    },
    /// A browser that was ready is gone and reaped.
    Exited {
        id: String,
        code: Option<i32>,
        signal: Option<String>,
        /// Why the driver itself ended it.
        #[serde(default)]
        reason: Option<String>,
    },
    /// The answer to an `open`, a `discard_contexts` or a `check`.
    Done { request: String, error: Option<String> },
    /// The answer to a `ping`.
    Pong,
    /// A line of camofleet's that the driver did not understand, and what of it could be read.
    Invalid {
        error: String,
        #[serde(default)]
        id: Option<String>,
        #[serde(default)]
        request: Option<String>,
    },
}

/// What can be read of a line that is no event: whose answer it should have been.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Remains {
    /// The launch that it names.
    pub id: Option<String>,
    /// The request that it names.
    pub request: Option<String>,
    /// Whether it tells of a browser's end.
    pub exited: bool,
}

/// Reads as much of a broken line as tells whose it was. The driver writes `type`, `id` and `request` before any text
/// of others, and camofleet's own ids are digits.
pub(crate) fn remains(line: &str) -> Remains {
    let number = |name: &str| {
        let (_, after) = line.split_once(&format!("\"{name}\":\""))?;
        let (value, _) = after.split_once('"')?;
        (!value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit())).then(|| value.to_owned())
    };
    Remains { id: number("id"), request: number("request"), exited: line.starts_with(r#"{"type":"exited""#) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_line_tells_whose_it_was() {
        let line = r#"{"type":"done","id":"7","request":"31","error":"half \ud83d, \"id\":\"9\""}"#;
        assert!(serde_json::from_str::<Event>(line).is_err(), "half an emoji is no JSON");
        let expected = Remains { id: Some("7".to_owned()), request: Some("31".to_owned()), exited: false };
        assert_eq!(remains(line), expected);
        assert!(remains(r#"{"type":"exited","id":"7","#).exited);
        assert_eq!(remains("Segmentation fault"), Remains::default());
        assert_eq!(remains(r#"{"type":"done","id":"a","request":""#), Remains::default());
    }
}
