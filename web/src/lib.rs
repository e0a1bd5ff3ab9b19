//! The HTTP and WebSocket surface of camofleet.
//!
//! Ordinary requests are handled by an actix-web application ([`app`]): access log, headers, the gate ([`gate`]), CORS,
//! routes, access token. WebSocket handshakes are taken out before routing (`upgrade`): actix-http hands over the raw
//! connection, so that an attached client's bytes are relayed to its browser without decoding frames, and a viewer's
//! WebSocket is served by actix-web-actors (`viewer`). Both run in the same server ([`server`]) on the same port.
//!
//! Both read connections through `incoming`, so that requests that can't be parsed get the same kind of error response.
//!
//! This crate starts no processes and holds no locks. It sends messages to the actors, and reads their snapshots.

pub mod app;
pub mod auth;
mod body;
mod documents;
pub mod error;
mod feed;
pub mod gate;
mod headers;
mod incoming;
mod presenter;
mod request;
mod routes;
pub mod server;
pub mod settings;
pub mod state;
mod upgrade;
mod viewer;

pub use feed::SharedFeed;
pub use server::{CHATTY_LIBRARIES, run};
pub use settings::{AccessNames, AccessSettings, CorsOrigins, Reach, Surface, ViewerSettings, WebSettings};
pub use state::AppState;
