//! The messages of a VNC viewer (RFC 6143): where they begin and end, and whether they are user input.
//!
//! An open viewer requests screen updates all the time; only keys, pointer moves and pasted text are input.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::Decoder;

/// The longest text that a viewer may put on a session's clipboard, in bytes of UTF-8. The VNC server is started with the
/// same limit, and the pages of live views reject longer texts (`CLIPBOARD_LIMIT` in `frontend/src/vnc/clipboard.ts`).
pub const CLIPBOARD_LIMIT: usize = 1 << 20;
/// The longest message of the extended clipboard, packed and unpacked. It is larger than the text, because lines end with
/// two bytes, and a text that can't be compressed grows a little.
pub(crate) const EXTENDED_CLIPBOARD_LIMIT: usize = 2 * CLIPBOARD_LIMIT + (64 << 10);
/// The bytes of a message that suffice to know its length.
const HEADER_LIMIT: usize = 12;

/// Flag of the extended clipboard: the viewer lists its capabilities, so the other flags are no actions.
const CLIPBOARD_CAPABILITIES: u32 = 1 << 24;
/// Flags of the extended clipboard, notify and provide: the user has copied a text. The other actions are requests
/// between programs.
const CLIPBOARD_TEXT: u32 = 1 << 27 | 1 << 28;

/// The phase of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The viewer sends its protocol version: 12 bytes, `RFB 003.008\n`.
    Version,
    /// It chooses a security type: 1 byte.
    Security,
    /// It answers the VNC password challenge: 16 bytes.
    Challenge,
    /// It sends whether it shares the screen: 1 byte.
    Init,
    /// It sends messages.
    Messages,
    /// It sent something unknown, so message boundaries are lost, and everything from here on counts as input.
    Unknown,
}

/// A viewer declared a message that exceeds the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong {
    /// The declared length, in bytes.
    length: u64,
    /// The limit, in bytes.
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

/// The parsed beginning of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    /// The length of the whole message, in bytes.
    length: u64,
    /// Whether it is user input.
    input: bool,
}

impl Phase {
    /// Parses the beginning of the next message, once enough of it has arrived, and advances to the next phase.
    fn head(&mut self, bytes: &[u8]) -> Result<Option<Head>, TooLong> {
        let fixed = |length| Ok(Some(Head { length, input: false }));
        match self {
            Self::Version if bytes.len() < 12 => Ok(None),
            Self::Version => {
                // In version 3.3 the server decides on the security type, and the viewer sends nothing.
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

/// Tracks the byte stream of one viewer without buffering it.
#[derive(Debug)]
pub struct ViewerInput {
    phase: Phase,
    header: BytesMut,
    /// Remaining bytes of the current message.
    remaining: u64,
}

impl Default for ViewerInput {
    fn default() -> Self {
        Self::new()
    }
}

impl ViewerInput {
    /// A viewer that has not sent anything yet.
    pub fn new() -> Self {
        Self { phase: Phase::Version, header: BytesMut::new(), remaining: 0 }
    }

    /// Advances over the next bytes; true if they contained input.
    ///
    /// # Errors
    /// [`TooLong`] for a message over the limit, before its body has arrived.
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

/// A key that a viewer pressed or released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyStroke {
    /// Whether it went down.
    pub down: bool,
    /// The key's meaning as an X11 keysym; 0 if the viewer does not know it.
    pub keysym: u32,
    /// The key's position as a scancode of an XT keyboard, if the viewer knows it.
    pub scancode: Option<u32>,
}

/// The position of a viewer's pointer, and its pressed buttons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PointerState {
    /// One bit for each button.
    pub buttons: u8,
    /// Pixels from the left.
    pub x: u16,
    /// Pixels from the top.
    pub y: u16,
}

impl PointerState {
    /// Encodes it as a `PointerEvent` (RFC 6143, section 7.5.5).
    pub fn message(self) -> [u8; 6] {
        let ([x0, x1], [y0, y1]) = (self.x.to_be_bytes(), self.y.to_be_bytes());
        [5, self.buttons, x0, x1, y0, y1]
    }
}

/// The kind of a viewer's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// A key.
    Key(KeyStroke),
    /// The pointer.
    Pointer(PointerState),
    /// A text for the clipboard in Latin-1, from the eighth byte on.
    Clipboard,
    /// A request for screen updates.
    UpdateRequest,
    /// Anything else; true if it is user input.
    Other(bool),
}

/// One complete message of a viewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewerMessage {
    /// Its kind.
    pub kind: MessageKind,
    /// The whole message.
    pub bytes: Bytes,
}

/// Splits a viewer's stream into messages, so that others can be inserted between them. A message's length is checked when
/// it is declared, before its body has arrived.
#[derive(Debug)]
pub struct ViewerMessages {
    phase: Phase,
    /// The parsed beginning of the next message.
    head: Option<Head>,
}

impl ViewerMessages {
    /// A decoder for a viewer that has already sent this protocol version, to a server that may require a password.
    pub fn after_version(version: &[u8; 12], requires_password: bool) -> Self {
        let mut phase = Phase::Version;
        // Any twelve bytes parse as a version, so this can't fail.
        let _ = phase.head(version);
        // In version 3.3 the viewer does not choose a security type, but answers the challenge at once.
        if phase == Phase::Init && requires_password {
            phase = Phase::Challenge;
        }
        Self { phase, head: None }
    }

    /// Whether the viewer has completed its handshake.
    pub fn is_handshake_complete(&self) -> bool {
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
        let connected = self.is_handshake_complete();
        if self.head.is_none() {
            self.head = self.phase.head(buffer)?;
        }
        if self.phase == Phase::Unknown && self.head.is_none() {
            return Ok(Some(ViewerMessage {
                kind: MessageKind::Other(true),
                bytes: buffer.split().freeze(),
            }));
        }
        let Some(head) = self.head else { return Ok(None) };
        let length = usize::try_from(head.length).unwrap_or(usize::MAX);
        if buffer.len() < length {
            return Ok(None);
        }
        self.head = None;
        let bytes = buffer.split_to(length).freeze();
        let kind = if connected { message_kind(&bytes, head.input) } else { MessageKind::Other(false) };
        Ok(Some(ViewerMessage { kind, bytes }))
    }
}

/// The kind of a complete message.
fn message_kind(bytes: &[u8], input: bool) -> MessageKind {
    let word = |at: usize| bytes.get(at..at + 2).map_or(0, |word| u16::from_be_bytes([word[0], word[1]]));
    let long = |at: usize| u32::from(word(at)) << 16 | u32::from(word(at + 2));
    match *bytes {
        [4, down, ..] => MessageKind::Key(KeyStroke { down: down != 0, keysym: long(4), scancode: None }),
        // FramebufferUpdateRequest, EnableContinuousUpdates.
        [3, ..] | [150, 1..=255, ..] => MessageKind::UpdateRequest,
        [5, buttons, ..] => MessageKind::Pointer(PointerState { buttons, x: word(2), y: word(4) }),
        [255, 0, ..] => MessageKind::Key(KeyStroke {
            down: word(2) != 0,
            keysym: long(4),
            scancode: Some(long(8)).filter(|code| *code != 0),
        }),
        // The first bit of a length marks the extended clipboard.
        [6, _, _, _, 0..=0x7f, ..] => MessageKind::Clipboard,
        _ => MessageKind::Other(input),
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
    fn messages_split_at_any_offset_are_tracked_like_whole_ones() {
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
    fn a_password_and_the_oldest_version_are_tracked_too() {
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

    /// The messages in these bytes, which arrive in pieces of this size.
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
    fn a_stream_is_split_into_whole_messages_wherever_its_pieces_end() {
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
            let kinds: Vec<MessageKind> = messages.iter().map(|message| message.kind).collect();
            let key = |keysym, scancode| MessageKind::Key(KeyStroke { down: true, keysym, scancode });
            assert_eq!(kinds[2], key(0x61, None));
            assert_eq!(kinds[3], MessageKind::Pointer(PointerState { buttons: 0, x: 1, y: 1 }));
            assert_eq!(kinds[6], key(0x463, Some(0x1e)));
            assert_eq!(
                kinds[7..],
                [MessageKind::Other(true), MessageKind::Other(false), MessageKind::UpdateRequest]
            );
        }
    }

    #[test]
    fn a_viewer_of_the_oldest_version_answers_a_challenge_only_where_there_is_one() {
        for (requires_password, handshake) in [(true, 17), (false, 1)] {
            let mut decoder = ViewerMessages::after_version(b"RFB 003.003\n", requires_password);
            let mut bytes = BytesMut::from(&[&[4; 16][..], &[1]].concat()[17 - handshake..]);
            bytes.extend_from_slice(KEY);
            let mut kinds = Vec::new();
            while let Some(message) = decoder.decode(&mut bytes).unwrap() {
                kinds.push(message.kind);
            }
            let key = MessageKind::Key(KeyStroke { down: true, keysym: 0x61, scancode: None });
            assert_eq!(kinds.last(), Some(&key), "{kinds:?}");
            assert!(
                kinds[..kinds.len() - 1].iter().all(|kind| *kind == MessageKind::Other(false)),
                "{kinds:?}"
            );
        }
    }

    #[test]
    fn a_clipboard_text_that_is_too_long_is_rejected_before_it_arrives() {
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
    fn bytes_after_an_unknown_message_are_forwarded_unchanged() {
        let messages = messages(&[&[1, 1][..], &[77; 12], UPDATE].concat(), 14).unwrap();
        assert_eq!(messages[2..].iter().map(|message| message.bytes.len()).sum::<usize>(), 22);
    }
}
