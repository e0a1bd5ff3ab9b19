//! Relays, which forward bytes between two WebSocket peers without decoding frames.
//!
//! Client frames are masked already, and neither side negotiates an extension, so bytes can be forwarded unchanged.
//! [`frames`] tracks where frames begin and end, so that a ping or close of our own can be sent between two frames, and
//! traffic can be distinguished from pongs. [`pump`] moves the bytes.

pub mod dial;
pub mod frames;
pub mod pump;
