//! Relays: bytes between two WebSocket peers, without decoding a frame.
//!
//! Client frames are masked already, and neither side negotiates an extension, so the bytes that one side sends are
//! the bytes that the other must get. [`frames`] follows where frames begin and end; it is what lets a ping or a close
//! of our own go out between two frames, and tells traffic from pongs. [`pump`] moves the bytes.

pub mod dial;
pub mod frames;
pub mod pump;
