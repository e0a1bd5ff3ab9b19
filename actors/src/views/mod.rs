//! Live views: admits viewers, and proxies them to the VNC server of a screen.

pub mod gateway;
pub mod tunnel;
