//! Live views: who may see a screen, and the bytes between a viewer and its VNC server.

pub mod gateway;
pub mod tunnel;
