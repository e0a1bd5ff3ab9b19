//! The supervision tree of camofleet.
//!
//! ```text
//! Fleet                       places sessions on workers                          fleet
//! ├─ EventBus                 publishes changes to subscribers                    model::events
//! ├─ LocalWorker              one host: capacity, slots, views of its sessions    worker
//! │  ├─ SharedDisplay         the one screen of RUNNER_VNC_LEGACY                 display::shared
//! │  ├─ IdentityMaker         one Python process that draws identities of Camoufox    identities
//! │  ├─ Driver × n            one Node process each, hosting Playwright servers   driver
//! │  ├─ PrewarmPool × 2       browsers launched in advance, with their displays   launch::prewarm
//! │  └─ Session × n           INIT → READY → TERMINATING → DEAD, its idle clock   session
//! │     ├─ Egress             the only way out of the browser                     egress
//! │     ├─ Display            one X server with its VNC server                    display
//! │     ├─ Browser            one Playwright server inside a Driver               launch::browser
//! │     └─ Attachment × n     one attached Playwright client                      session::attachment
//! ├─ RemoteWorker × n         the same messages, over HTTP                        remote
//! └─ Gateway                  admits and drains VNC tunnels                       views::gateway
//!    └─ VncTunnel × n         one viewer                                          views::tunnel
//! ```
//!
//! This crate contains no HTTP server, command line or environment variables. It uses the operating system through one
//! trait ([`process::Os`]), which has a fake for tests. [`supervision`] restarts children; [`net::relay`] copies the
//! bytes of connections, which never pass through mailboxes.

pub mod display;
pub mod driver;
pub mod egress;
pub mod fleet;
pub mod host;
pub mod identities;
pub mod launch;
pub mod metrics;
pub mod model;
pub mod net;
pub mod probe;
pub mod process;
pub mod profiles;
pub mod remote;
pub mod session;
pub mod supervision;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod views;
pub mod worker;

pub use model::error::{Error, Result};
