//! What one host has for its sessions: a browser engine, display slots, and a directory for their files.

pub mod engine;
pub mod rundir;
pub mod slots;
