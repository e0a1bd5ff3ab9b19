//! The vocabulary of camofleet's HTTP API: each type that crosses it, once, with serde both ways and its schema.
//!
//! What camofleet writes is exact: every field is there. What it reads may come from another version or from the original
//! system, whose bodies have fewer fields: what is missing gets the value that a session or worker without it has, and
//! what is unknown is ignored.

pub mod error;
pub mod event;
pub mod facts;
pub mod health;
pub mod history;
pub mod ids;
mod lenient;
pub mod request;
pub mod session;
mod time;
pub mod view;

pub use time::Time;
