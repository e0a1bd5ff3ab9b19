//! What a VNC viewer says, as far as it matters here: whether a person did something (RFC 6143).
//!
//! An open viewer asks for the next picture all the time; only keys, pointer moves and pasted text are input.

use bytes::{Buf, BytesMut};

/// The longest message that is waited for as a whole, to know its length: the first 12 bytes of any suffice.
const HEADER_LIMIT: usize = 12;

/// Flags of the extended clipboard: with the first, a viewer that has just connected lists what it is capable of, and
/// means none of the others.
const CLIPBOARD_CAPABILITIES: u32 = 1 << 24;
/// Notify and provide: there is a text. The other actions are questions of one program to another.
const CLIPBOARD_TEXT: u32 = 1 << 27 | 1 << 28;

/// Where the viewer stands in the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Its protocol version is due: 12 bytes, `RFB 003.008\n`.
    Version,
    /// Its choice of a security type: 1 byte.
    Security,
    /// Its answer to a VNC password challenge: 16 bytes.
    Challenge,
    /// Whether it shares the screen: 1 byte.
    Init,
    /// Messages.
    Messages,
    /// It said something unknown: from here on everything counts as input, rather than nothing.
    Unknown,
}

/// Follows the bytes of one viewer.
#[derive(Debug)]
pub struct ViewerInput {
    phase: Phase,
    header: BytesMut,
    /// Bytes of the current message still to come.
    remaining: u64,
}

impl Default for ViewerInput {
    fn default() -> Self {
        Self::new()
    }
}

impl ViewerInput {
    /// A viewer that has not said anything yet.
    pub fn new() -> Self {
        Self { phase: Phase::Version, header: BytesMut::new(), remaining: 0 }
    }

    /// Follows the next bytes; true when there was input in them.
    pub fn advance(&mut self, mut bytes: &[u8]) -> bool {
        let mut input = false;
        while !bytes.is_empty() {
            if self.phase == Phase::Unknown {
                return true;
            }
            if self.remaining > 0 {
                let step = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(bytes.len());
                self.remaining -= step as u64;
                bytes.advance(step);
                continue;
            }
            self.header.extend_from_slice(&bytes[..1]);
            bytes.advance(1);
            if let Some(message) = self.complete() {
                input |= message.input;
                self.remaining = message.rest;
                self.header.clear();
            } else if self.header.len() >= HEADER_LIMIT {
                self.phase = Phase::Unknown;
            }
        }
        input
    }

    /// What the header says, once there is enough of it.
    fn complete(&mut self) -> Option<Message> {
        let header = &self.header[..];
        match self.phase {
            Phase::Version => {
                (header.len() == 12).then(|| {
                    // In 3.3 the server decides on the security type, and the viewer says nothing.
                    self.phase =
                        if header.starts_with(b"RFB 003.003") { Phase::Init } else { Phase::Security };
                    Message::of(12, 12, false)
                })
            }
            Phase::Security => {
                self.phase = match header[0] {
                    1 => Phase::Init,
                    2 => Phase::Challenge,
                    _ => Phase::Unknown,
                };
                Some(Message::of(1, 1, false))
            }
            Phase::Challenge => {
                self.phase = Phase::Init;
                Some(Message::of(1, 16, false))
            }
            Phase::Init => {
                self.phase = Phase::Messages;
                Some(Message::of(1, 1, false))
            }
            Phase::Messages => message(header),
            Phase::Unknown => None,
        }
    }
}

/// One message of a viewer.
struct Message {
    /// Bytes after those that were looked at.
    rest: u64,
    input: bool,
}

impl Message {
    fn of(seen: u64, length: u64, input: bool) -> Self {
        Self { rest: length.saturating_sub(seen), input }
    }
}

/// Client messages of RFC 6143, section 7.5, and of the extensions that noVNC and TigerVNC's viewer use
/// (`rfbproto.rst`, the community's wiki of the protocol).
fn message(header: &[u8]) -> Option<Message> {
    let seen = header.len() as u64;
    let word = |at: usize| Some(u64::from(u16::from_be_bytes(header.get(at..at + 2)?.try_into().ok()?)));
    let fixed = |length: u64, input: bool| Some(Message::of(seen, length, input));
    match *header.first()? {
        // SetPixelFormat
        0 => fixed(20, false),
        // SetEncodings
        2 => fixed(4 + 4 * word(2)?, false),
        // FramebufferUpdateRequest
        3 => fixed(10, false),
        // KeyEvent
        4 => fixed(8, true),
        // PointerEvent
        5 => fixed(6, true),
        // ClientCutText; a negative length marks the extended clipboard, whose flags come first in it
        6 => {
            let length = i32::from_be_bytes(header.get(4..8)?.try_into().ok()?);
            let whole = 8 + u64::from(length.unsigned_abs());
            if length >= 0 || whole < 12 {
                return fixed(whole, true);
            }
            let flags = u32::from_be_bytes(header.get(8..12)?.try_into().ok()?);
            fixed(whole, flags & CLIPBOARD_CAPABILITIES == 0 && flags & CLIPBOARD_TEXT != 0)
        }
        // EnableContinuousUpdates
        150 => fixed(10, false),
        // ClientFence: type, padding, flags, then a length of one byte
        248 => fixed(9 + u64::from(*header.get(8)?), false),
        // xvp
        250 => fixed(4, true),
        // SetDesktopSize
        251 => fixed(8 + 16 * u64::from(*header.get(6)?), false),
        // QEMU extended key event
        255 => fixed(12, true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HANDSHAKE: &[u8] = b"RFB 003.008\n\x01\x01";
    const KEY: &[u8] = &[4, 1, 0, 0, 0, 0, 0, 0x61];
    const POINTER: &[u8] = &[5, 0, 0, 1, 0, 1];
    const UPDATE: &[u8] = &[3, 1, 0, 0, 0, 0, 7, 128, 4, 56];
    const ENCODINGS: &[u8] = &[2, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0, 0];
    const FENCE: &[u8] = &[248, 0, 0, 0, 0, 0, 0, 0, 3, 9, 9, 9];
    const CLIPBOARD: &[u8] = &[6, 0, 0, 0, 0, 0, 0, 2, b'h', b'i'];
    const CLIPBOARD_NOTIFY: &[u8] = &[6, 0, 0, 0, 0xff, 0xff, 0xff, 0xfc, 8, 0, 0, 1];
    const CLIPBOARD_PROVIDE: &[u8] = &[6, 0, 0, 0, 0xff, 0xff, 0xff, 0xfa, 16, 0, 0, 1, 9, 9];
    const CLIPBOARD_ABILITIES: &[u8] = &[6, 0, 0, 0, 0xff, 0xff, 0xff, 0xf8, 31, 0, 0, 1, 0, 0, 0, 0];
    const CLIPBOARD_REQUEST: &[u8] = &[6, 0, 0, 0, 0xff, 0xff, 0xff, 0xfc, 2, 0, 0, 1];
    const CLIPBOARD_TOO_SHORT: &[u8] = &[6, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 9];

    fn after_handshake() -> ViewerInput {
        let mut viewer = ViewerInput::new();
        assert!(!viewer.advance(HANDSHAKE));
        viewer
    }

    #[test]
    fn keys_pointers_and_pasted_text_are_input_and_nothing_else_is() {
        for (message, input) in [
            (KEY, true),
            (POINTER, true),
            (CLIPBOARD, true),
            (CLIPBOARD_NOTIFY, true),
            (CLIPBOARD_PROVIDE, true),
            (CLIPBOARD_TOO_SHORT, true),
            (CLIPBOARD_ABILITIES, false),
            (CLIPBOARD_REQUEST, false),
            (UPDATE, false),
            (ENCODINGS, false),
            (FENCE, false),
        ] {
            let mut viewer = after_handshake();
            assert_eq!(viewer.advance(message), input, "{message:?}");
            assert!(!viewer.advance(UPDATE), "{message:?} must end at its own end");
            assert!(viewer.advance(KEY));
        }
    }

    #[test]
    fn messages_cut_in_any_places_are_followed_like_whole_ones() {
        let quiet = [UPDATE, ENCODINGS, CLIPBOARD_ABILITIES, FENCE, UPDATE].concat();
        for size in 1..quiet.len() {
            let mut viewer = after_handshake();
            assert!(quiet.chunks(size).all(|piece| !viewer.advance(piece)), "cut every {size} bytes");
            assert!(viewer.advance(POINTER));
        }
    }

    #[test]
    fn a_password_and_the_oldest_version_are_followed_too() {
        let mut password = ViewerInput::new();
        assert!(!password.advance(&[b"RFB 003.008\n\x02".as_slice(), &[7; 16], &[1], UPDATE].concat()));
        assert!(password.advance(KEY));
        let mut oldest = ViewerInput::new();
        assert!(!oldest.advance(&[b"RFB 003.003\n\x01".as_slice(), UPDATE].concat()));
        assert!(oldest.advance(KEY));
    }

    #[test]
    fn after_an_unknown_message_everything_counts() {
        let mut viewer = after_handshake();
        viewer.advance(&[77; 12]);
        assert!(viewer.advance(UPDATE));
    }
}
