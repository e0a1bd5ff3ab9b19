//! The HTTP and WebSocket surface of camofleet.
//!
//! Ordinary requests go through an actix-web application ([`app`]): log lines, headers, the gate ([`gate`]), CORS, routes,
//! access token. A WebSocket handshake leaves it before any route is looked at (`upgrade`): actix-http hands over
//! the bare connection, so that an attached client's bytes reach its browser without a frame being decoded, and a
//! viewer's WebSocket is served by actix-web-actors (`viewer`). Both parts run in the same server ([`server`]) on
//! the same port.
//!
//! Both read a connection through `incoming`, which has what the HTTP parser refuses answered like everything else.
//!
//! This crate starts no process and holds no lock. It knows the actors by their messages, and reads their snapshots.

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
