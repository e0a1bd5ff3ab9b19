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
//! ([`process::Os`]) with a fake beside it. [`supervision`] is how parents keep children; [`relay`] moves the bytes
//! that never ride in mailboxes.

mod browser;
pub mod claim;
mod demand;
pub mod discovery;
pub mod display;
pub mod driver;
pub mod engine;
pub mod error;
pub mod events;
pub mod fleet;
pub mod gateway;
pub mod history;
pub mod kubernetes;
mod launched;
mod launcher;
pub mod links;
pub mod metrics;
mod parts;
mod patience;
pub mod pod_costs;
pub(crate) mod policies;
pub mod prewarm;
pub mod probe;
pub mod process;
pub mod relay;
mod request_id;
pub mod rfb;
pub mod rundir;
pub mod session;
pub mod slots;
pub mod supervision;
#[cfg(test)]
mod testing;
mod tls;
pub mod tunnel;
pub mod worker;

pub use error::{Error, Result};
pub use launcher::{LaunchSettings, NetworkSwitches, QueueSettings};
pub use request_id::RequestId;
