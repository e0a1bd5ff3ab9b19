//! Data types shared by all actors that are not part of the HTTP API: sessions, errors, events, URLs of live views.

pub mod activity;
pub mod claim;
pub mod error;
pub mod events;
pub mod identity;
pub mod links;
pub mod machine;
pub mod profile;
pub mod screen;
pub mod session;
pub mod traffic;
