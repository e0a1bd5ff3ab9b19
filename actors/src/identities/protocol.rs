//! The protocol between camofleet and `maker.py`: one JSON object per line. `actors/identity/README.md` describes it.

use std::path::PathBuf;

use camofleet_api::identity::{Coherence, Geolocation, Identity, ScreenSize};
use camofleet_api::machine::{Humanize, System, WebGl};
use serde::{Deserialize, Serialize};

use crate::model::machine::Machine;

/// A command to the identity maker, on its standard input.
#[derive(Debug, Serialize)]
#[cfg_attr(any(test, feature = "testing"), derive(Deserialize))]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Command {
    /// Draw a machine; answered by [`Event::Drawn`], [`Event::Refused`] or [`Event::Failed`].
    Draw { request: String, constraints: Box<SeededConstraints> },
    /// Check that it responds; answered by [`Event::Pong`].
    Ping,
}

/// The constraints of a draw, with its seed.
#[derive(Debug, Serialize)]
#[cfg_attr(any(test, feature = "testing"), derive(Deserialize))]
pub(crate) struct SeededConstraints {
    pub seed: String,
    #[serde(flatten)]
    pub constraints: Constraints,
}

/// What a machine has to be like. Two launches with the same constraints may have any of the machines that were drawn under
/// them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(any(test, feature = "testing"), derive(Deserialize))]
pub(crate) struct Constraints {
    /// The browser.
    pub executable: PathBuf,
    /// The size of its screen; `None`: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub screen: Option<ScreenSize>,
    /// Whether its window covers what the screen has free, because a live view shows the whole screen.
    pub maximised: bool,
    /// The languages; `None`: American English.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<Vec<String>>,
    /// The time zone; `None`: that of this host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// The place; `None`: pages learn none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub geolocation: Option<Geolocation>,
    /// The systems of which one is drawn; `None`: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<Vec<System>>,
    /// The graphics card; `None`: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webgl: Option<WebGl>,
    /// Fonts in addition to those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fonts: Option<Vec<String>>,
    /// Whether the pointer moves as a hand does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub humanize: Option<Humanize>,
    /// Whether clients' scripts may run in the page's own world.
    pub main_world_eval: bool,
    /// Whether pages show no images.
    pub block_images: bool,
    /// Whether pages can't use WebRTC.
    pub block_webrtc: bool,
    /// Whether fonts that its system does not have are left out instead of refused.
    pub lenient: bool,
}

impl Constraints {
    /// Those of an identity, for a browser with a screen of this size, if it is given.
    pub fn of(
        identity: &Identity,
        executable: PathBuf,
        screen: Option<ScreenSize>,
        block_webrtc: bool,
        coherence: Coherence,
    ) -> Self {
        let machine = &identity.machine;
        let fonts = machine.fonts.clone().filter(|fonts| !fonts.is_empty());
        Self {
            executable,
            screen,
            maximised: screen.is_some(),
            locale: identity.locale.as_ref().map(|languages| languages.tags().to_vec()),
            timezone: identity.timezone.as_ref().map(|zone| zone.name().to_owned()),
            geolocation: identity.geolocation,
            os: machine.os.clone(),
            webgl: machine.webgl.clone(),
            // Otherwise it makes no difference, and the same machines do for both.
            lenient: fonts.is_some() && coherence == Coherence::Warn,
            fonts,
            humanize: machine.humanize,
            main_world_eval: machine.main_world_eval.unwrap_or_default(),
            block_images: identity.block_images,
            block_webrtc,
        }
    }
}

/// An event of the identity maker, on its standard output. Unknown fields are ignored.
#[derive(Debug, Deserialize)]
#[cfg_attr(any(test, feature = "testing"), derive(Serialize))]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Event {
    /// The first line: the library is loaded.
    Hello { camoufox: String, python: String, browser: Option<String> },
    /// Instead of it: the library, or what it needs, is not there.
    Unusable { error: String },
    /// A machine was drawn.
    Drawn { request: String, machine: Box<Machine> },
    /// No machine can be like that; the field is that of a create request.
    Refused { request: String, field: String, reason: String },
    /// The library could not draw it.
    Failed { request: String, error: String },
    /// It did not understand a line.
    Invalid { error: String },
    /// The answer to a `ping`.
    Pong,
}
