//! The resources of one host: its browser engine, display slots, and the directory for sessions' files.

pub mod addons;
pub mod engine;
pub mod pairing;
pub mod rundir;
pub mod slots;
