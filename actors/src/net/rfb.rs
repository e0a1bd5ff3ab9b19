//! What a VNC viewer says, as far as it matters here (RFC 6143): where its messages begin and end, and whether a person did
//! something.
//!
//! An open viewer asks for the next picture all the time; only keys, pointer moves and pasted text are input.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::Decoder;

/// The longest text that a viewer may put on a session's clipboard, in bytes of UTF-8. The VNC server is started with
/// room for it, and the pages of live views refuse a longer one (`CLIPBOARD_LIMIT` in `frontend/src/vnc/clipboard.ts`).
pub const CLIPBOARD_LIMIT: usize = 1 << 20;
/// The longest message of the extended clipboard, and what its text may be unpacked: lines end with two bytes in it, and
/// a text that can't be packed grows a little.
pub(crate) const EXTENDED_CLIPBOARD_LIMIT: usize = 2 * CLIPBOARD_LIMIT + (64 << 10);
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

/// A viewer that declared a message longer than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong {
    /// Bytes of the message, as declared.
    length: u64,
    /// Bytes that it may have.
    limit: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { length, limit } = self;
        write!(f, "a clipboard text of {length} bytes is longer than the {limit} that a viewer may send")
    }
}

impl From<TooLong> for std::io::Error {
    fn from(error: TooLong) -> Self {
        Self::new(std::io::ErrorKind::InvalidData, error.to_string())
    }
}

/// What the beginning of a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    /// Bytes of the whole message.
    length: u64,
    /// Whether a person did it.
    input: bool,
}

impl Phase {
    /// What the beginning of the next message says, once there is enough of it; moves on to the phase after it.
    fn head(&mut self, bytes: &[u8]) -> Result<Option<Head>, TooLong> {
        let fixed = |length| Ok(Some(Head { length, input: false }));
        match self {
            Self::Version if bytes.len() < 12 => Ok(None),
            Self::Version => {
                // In 3.3 the server decides on the security type, and the viewer says nothing.
                *self = if bytes.starts_with(b"RFB 003.003") { Self::Init } else { Self::Security };
                fixed(12)
            }
            Self::Security => {
                *self = match bytes[0] {
                    1 => Self::Init,
                    2 => Self::Challenge,
                    _ => Self::Unknown,
                };
                fixed(1)
            }
            Self::Challenge => {
                *self = Self::Init;
                fixed(16)
            }
            Self::Init => {
                *self = Self::Messages;
                fixed(1)
            }
            Self::Messages => {
                let head = message(bytes)?;
                if head.is_none() && bytes.len() >= HEADER_LIMIT {
                    *self = Self::Unknown;
                }
                Ok(head)
            }
            Self::Unknown => Ok(None),
        }
    }
}

/// Follows the bytes of one viewer, without holding any.
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
    ///
    /// # Errors
    /// [`TooLong`] for a message that is longer than it may be, before its body has come.
    pub fn advance(&mut self, mut bytes: &[u8]) -> Result<bool, TooLong> {
        let mut input = false;
        while !bytes.is_empty() {
            if self.phase == Phase::Unknown {
                return Ok(true);
            }
            if self.remaining > 0 {
                let step = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(bytes.len());
                self.remaining -= step as u64;
                bytes.advance(step);
                continue;
            }
            self.header.extend_from_slice(&bytes[..1]);
            bytes.advance(1);
            if let Some(head) = self.phase.head(&self.header)? {
                input |= head.input;
                self.remaining = head.length.saturating_sub(self.header.len() as u64);
                self.header.clear();
            }
        }
        Ok(input)
    }
}

/// A key that a viewer pressed or let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyStroke {
    /// Whether it went down.
    pub down: bool,
    /// What it means: an X11 keysym; 0 if the viewer does not know.
    pub keysym: u32,
    /// Where it is: a scancode of an XT keyboard, if the viewer knows.
    pub scancode: Option<u32>,
}

/// Where a viewer's pointer is, and which buttons it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PointerState {
    /// One bit for each button.
    pub buttons: u8,
    /// Pixels from the left.
    pub x: u16,
    /// Pixels from above.
    pub y: u16,
}

impl PointerState {
    /// The message that says so (RFC 6143, section 7.5.5).
    pub fn message(self) -> [u8; 6] {
        let ([x0, x1], [y0, y1]) = (self.x.to_be_bytes(), self.y.to_be_bytes());
        [5, self.buttons, x0, x1, y0, y1]
    }
}

/// What one message of a viewer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// A key.
    Key(KeyStroke),
    /// Its pointer.
    Pointer(PointerState),
    /// A text for the clipboard, from the eighth byte on: of Latin-1, as the protocol's first version has it.
    Clipboard,
    /// It wants pictures.
    Pictures,
    /// Anything else; true if a person did it.
    Other(bool),
}

/// One whole message of a viewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewerMessage {
    /// What it is about.
    pub said: Said,
    /// All of it.
    pub bytes: Bytes,
}

/// Cuts what a viewer says into whole messages, so that others can be put between them. A message's length is checked when
/// it is declared, before its body has come.
#[derive(Debug)]
pub struct ViewerMessages {
    phase: Phase,
    /// What is known of the next message.
    head: Option<Head>,
}

impl ViewerMessages {
    /// Those of a viewer that has said its protocol version already, to a server that asks for a password or does not.
    pub fn after_version(version: &[u8; 12], asks_password: bool) -> Self {
        let mut phase = Phase::Version;
        // Twelve bytes are a version, whatever they say.
        let _ = phase.head(version);
        // In 3.3 the viewer does not choose: it answers the challenge at once.
        if phase == Phase::Init && asks_password {
            phase = Phase::Challenge;
        }
        Self { phase, head: None }
    }

    /// Whether the viewer has said everything of its handshake.
    pub fn has_greeted(&self) -> bool {
        self.phase == Phase::Messages
    }
}

impl Decoder for ViewerMessages {
    type Item = ViewerMessage;
    type Error = std::io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> std::io::Result<Option<ViewerMessage>> {
        if buffer.is_empty() {
            return Ok(None);
        }
        let greeted = self.has_greeted();
        if self.head.is_none() {
            self.head = self.phase.head(buffer)?;
        }
        if self.phase == Phase::Unknown && self.head.is_none() {
            return Ok(Some(ViewerMessage { said: Said::Other(true), bytes: buffer.split().freeze() }));
        }
        let Some(head) = self.head else { return Ok(None) };
        let length = usize::try_from(head.length).unwrap_or(usize::MAX);
        if buffer.len() < length {
            return Ok(None);
        }
        self.head = None;
        let bytes = buffer.split_to(length).freeze();
        let said = if greeted { said(&bytes, head.input) } else { Said::Other(false) };
        Ok(Some(ViewerMessage { said, bytes }))
    }
}

/// What a whole message is about.
fn said(bytes: &[u8], input: bool) -> Said {
    let word = |at: usize| bytes.get(at..at + 2).map_or(0, |word| u16::from_be_bytes([word[0], word[1]]));
    let long = |at: usize| u32::from(word(at)) << 16 | u32::from(word(at + 2));
    match *bytes {
        [4, down, ..] => Said::Key(KeyStroke { down: down != 0, keysym: long(4), scancode: None }),
        // FramebufferUpdateRequest, EnableContinuousUpdates.
        [3, ..] | [150, 1..=255, ..] => Said::Pictures,
        [5, buttons, ..] => Said::Pointer(PointerState { buttons, x: word(2), y: word(4) }),
        [255, 0, ..] => Said::Key(KeyStroke {
            down: word(2) != 0,
            keysym: long(4),
            scancode: Some(long(8)).filter(|code| *code != 0),
        }),
        // The first bit of a length marks the extended clipboard.
        [6, _, _, _, 0..=0x7f, ..] => Said::Clipboard,
        _ => Said::Other(input),
    }
}

/// Client messages of RFC 6143, section 7.5, and of the extensions that noVNC and TigerVNC's viewer use
/// (`rfbproto.rst`, the community's wiki of the protocol).
fn message(header: &[u8]) -> Result<Option<Head>, TooLong> {
    let Some(kind) = header.first() else { return Ok(None) };
    let byte = |at: usize| header.get(at).map(|byte| u64::from(*byte));
    let word =
        |at: usize| header.get(at..at + 2).map(|word| u64::from(u16::from_be_bytes([word[0], word[1]])));
    let fixed = |length: u64, input: bool| Some(Head { length, input });
    Ok(match *kind {
        // SetPixelFormat
        0 => fixed(20, false),
        // SetEncodings
        2 => word(2).and_then(|count| fixed(4 + 4 * count, false)),
        // FramebufferUpdateRequest
        3 => fixed(10, false),
        // KeyEvent
        4 => fixed(8, true),
        // PointerEvent
        5 => fixed(6, true),
        // ClientCutText
        6 => clipboard(header)?,
        // EnableContinuousUpdates
        150 => fixed(10, false),
        // ClientFence: type, padding, flags, then a length of one byte
        248 => byte(8).and_then(|length| fixed(9 + length, false)),
        // xvp
        250 => fixed(4, true),
        // SetDesktopSize
        251 => byte(6).and_then(|screens| fixed(8 + 16 * screens, false)),
        // QEMU extended key event
        255 => fixed(12, true),
        _ => None,
    })
}

/// ClientCutText; a negative length marks the extended clipboard, whose flags come first in it.
fn clipboard(header: &[u8]) -> Result<Option<Head>, TooLong> {
    let Some(length) = header.get(4..8) else { return Ok(None) };
    let length = i32::from_be_bytes([length[0], length[1], length[2], length[3]]);
    let limit = if length < 0 { EXTENDED_CLIPBOARD_LIMIT } else { CLIPBOARD_LIMIT };
    let body = u64::from(length.unsigned_abs());
    if body > limit as u64 {
        return Err(TooLong { length: body, limit });
    }
    let whole = Head { length: 8 + body, input: true };
    if length >= 0 || body < 4 {
        return Ok(Some(whole));
    }
    let Some(flags) = header.get(8..12) else { return Ok(None) };
    let flags = u32::from_be_bytes([flags[0], flags[1], flags[2], flags[3]]);
    let input = flags & CLIPBOARD_CAPABILITIES == 0 && flags & CLIPBOARD_TEXT != 0;
    Ok(Some(Head { input, ..whole }))
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
        assert!(!viewer.advance(HANDSHAKE).unwrap());
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
            assert_eq!(viewer.advance(message).unwrap(), input, "{message:?}");
            assert!(!viewer.advance(UPDATE).unwrap(), "{message:?} must end at its own end");
            assert!(viewer.advance(KEY).unwrap());
        }
    }

    #[test]
    fn messages_cut_in_any_places_are_followed_like_whole_ones() {
        let quiet = [UPDATE, ENCODINGS, CLIPBOARD_ABILITIES, FENCE, UPDATE].concat();
        for size in 1..quiet.len() {
            let mut viewer = after_handshake();
            assert!(
                quiet.chunks(size).all(|piece| !viewer.advance(piece).unwrap()),
                "cut every {size} bytes"
            );
            assert!(viewer.advance(POINTER).unwrap());
        }
    }

    #[test]
    fn a_password_and_the_oldest_version_are_followed_too() {
        let mut password = ViewerInput::new();
        assert!(
            !password.advance(&[b"RFB 003.008\n\x02".as_slice(), &[7; 16], &[1], UPDATE].concat()).unwrap()
        );
        assert!(password.advance(KEY).unwrap());
        let mut oldest = ViewerInput::new();
        assert!(!oldest.advance(&[b"RFB 003.003\n\x01".as_slice(), UPDATE].concat()).unwrap());
        assert!(oldest.advance(KEY).unwrap());
    }

    #[test]
    fn after_an_unknown_message_everything_counts() {
        let mut viewer = after_handshake();
        viewer.advance(&[77; 12]).unwrap();
        assert!(viewer.advance(UPDATE).unwrap());
    }

    /// The messages in these bytes, which come in pieces of a size.
    fn messages(bytes: &[u8], size: usize) -> std::io::Result<Vec<ViewerMessage>> {
        let mut decoder = ViewerMessages::after_version(b"RFB 003.008\n", false);
        let (mut buffer, mut messages) = (BytesMut::new(), Vec::new());
        for piece in bytes.chunks(size) {
            buffer.extend_from_slice(piece);
            while let Some(message) = decoder.decode(&mut buffer)? {
                messages.push(message);
            }
        }
        Ok(messages)
    }

    #[test]
    fn a_stream_is_cut_into_whole_messages_wherever_its_pieces_end() {
        const QEMU_KEY: &[u8] = &[255, 0, 0, 1, 0, 0, 4, 0x63, 0, 0, 0, 0x1e];
        let parts =
            [&[1], &[1], KEY, POINTER, CLIPBOARD, ENCODINGS, QEMU_KEY, CLIPBOARD_PROVIDE, FENCE, UPDATE];
        let stream = parts.concat();
        for size in 1..stream.len() {
            let messages = messages(&stream, size).unwrap();
            assert_eq!(
                messages.iter().map(|message| &message.bytes[..]).collect::<Vec<_>>(),
                parts,
                "{size}"
            );
            let said: Vec<Said> = messages.iter().map(|message| message.said).collect();
            let key = |keysym, scancode| Said::Key(KeyStroke { down: true, keysym, scancode });
            assert_eq!(said[2], key(0x61, None));
            assert_eq!(said[3], Said::Pointer(PointerState { buttons: 0, x: 1, y: 1 }));
            assert_eq!(said[6], key(0x463, Some(0x1e)));
            assert_eq!(said[7..], [Said::Other(true), Said::Other(false), Said::Pictures]);
        }
    }

    #[test]
    fn a_viewer_of_the_oldest_version_answers_a_challenge_only_where_there_is_one() {
        for (asks_password, handshake) in [(true, 17), (false, 1)] {
            let mut decoder = ViewerMessages::after_version(b"RFB 003.003\n", asks_password);
            let mut bytes = BytesMut::from(&[&[4; 16][..], &[1]].concat()[17 - handshake..]);
            bytes.extend_from_slice(KEY);
            let mut said = Vec::new();
            while let Some(message) = decoder.decode(&mut bytes).unwrap() {
                said.push(message.said);
            }
            let key = Said::Key(KeyStroke { down: true, keysym: 0x61, scancode: None });
            assert_eq!(said.last(), Some(&key), "{said:?}");
            assert!(said[..said.len() - 1].iter().all(|said| *said == Said::Other(false)), "{said:?}");
        }
    }

    #[test]
    fn a_clipboard_text_that_is_too_long_is_refused_before_it_comes() {
        let declares = |length: i32| [&[6, 0, 0, 0], &length.to_be_bytes()[..]].concat();
        for (length, allowed) in [
            (CLIPBOARD_LIMIT as i32, true),
            (CLIPBOARD_LIMIT as i32 + 1, false),
            (i32::MAX, false),
            (-(EXTENDED_CLIPBOARD_LIMIT as i32), true),
            (-(EXTENDED_CLIPBOARD_LIMIT as i32) - 1, false),
            (i32::MIN, false),
        ] {
            assert_eq!(after_handshake().advance(&declares(length)).is_ok(), allowed, "{length}");
            let stream = [&[1, 1][..], &declares(length)].concat();
            assert_eq!(messages(&stream, 100).is_ok(), allowed, "{length}");
        }
    }

    #[test]
    fn what_follows_an_unknown_message_passes_as_it_comes() {
        let messages = messages(&[&[1, 1][..], &[77; 12], UPDATE].concat(), 14).unwrap();
        assert_eq!(messages[2..].iter().map(|message| message.bytes.len()).sum::<usize>(), 22);
    }
}
