//! The data types of camofleet's HTTP API: each is defined once, with serialization, deserialization and schema.
//!
//! camofleet writes every field. Bodies that it reads may come from another version or from the original system, which
//! has fewer fields: missing fields get a default, and unknown ones are ignored.

pub mod cookie;
pub mod destination;
pub mod egress;
pub mod error;
pub mod event;
pub mod facts;
pub mod fields;
pub mod health;
pub mod history;
pub mod identity;
pub mod identity_request;
pub mod ids;
mod lenient;
pub mod machine;
pub mod profile;
pub mod profile_request;
pub mod proxy;
pub mod request;
pub mod session;
mod time;
pub mod view;

pub use time::Time;
