//! The supervision tree of camofleet.
//!
//! ```text
//! Fleet                       places sessions on workers, knows them all          fleet
//! ├─ EventBus                 what changed, to whoever listens                    events
//! ├─ LocalWorker              one host: capacity, slots, views of its sessions    worker
//! │  ├─ SharedDisplay         the one screen of RUNNER_VNC_LEGACY                 display::shared
//! │  ├─ Driver × n            one Node process each, hosting Playwright servers   driver
//! │  ├─ PrewarmPool × 2       finished (Browser [+ Display]) pairs, waiting       prewarm
//! │  └─ Session × n           INIT → READY → TERMINATING → DEAD, its idle clock   session
//! │     ├─ Display            one X server with its VNC server                    display
//! │     ├─ Browser            one Playwright server inside a Driver               browser
//! │     └─ Attachment × n     one attached Playwright client                      session::attachment
//! └─ Gateway                  admits and drains VNC tunnels                       gateway
//!    └─ VncTunnel × n         one viewer                                          tunnel
//! ```
//!
//! This crate knows no HTTP server, no command line and no environment. The operating system is behind one trait
//! ([`process::Os`]) with a fake beside it. [`supervision`] is how parents keep children; [`net::relay`] moves the bytes
//! that never ride in mailboxes.

pub mod display;
pub mod driver;
pub mod fleet;
pub mod host;
pub mod launch;
pub mod metrics;
pub mod model;
pub mod net;
pub mod probe;
pub mod process;
pub mod remote;
pub mod session;
pub mod supervision;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod views;
pub mod worker;

pub use model::error::{Error, Result};
