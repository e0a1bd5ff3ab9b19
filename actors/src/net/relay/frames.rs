//! Tracks where the frames of a WebSocket stream begin and end (RFC 6455, section 5.2), without reading payloads.

/// The longest frame header: 2 bytes, 8 of extended length, 4 of mask.
const HEADER_LIMIT: usize = 14;
/// The opcode of a close frame.
const CLOSE: u8 = 0x8;
/// Opcodes from here on are control frames.
const FIRST_CONTROL: u8 = 0x8;

/// What a piece of a stream contained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Passed {
    /// Whether it had data frames: traffic, in contrast to pings and pongs.
    pub data: bool,
    /// The header of a close frame.
    pub close: bool,
    /// The offset of a complete close frame without code and reason, if the piece contains one.
    pub bare_close: Option<usize>,
}

/// Tracks one direction of a WebSocket stream.
#[derive(Debug, Clone, Default)]
pub struct FrameTracker {
    /// An incomplete header.
    partial: [u8; HEADER_LIMIT],
    partial_len: usize,
    /// Remaining payload bytes of the current frame.
    remaining: u64,
    largest: u64,
    in_data_frame: bool,
    closed: bool,
}

impl FrameTracker {
    /// A tracker at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the stream is between two frames, so that another frame can be inserted.
    pub fn at_boundary(&self) -> bool {
        self.remaining == 0 && self.partial_len == 0
    }

    /// Whether a close frame has passed, after which nothing may be sent.
    pub fn closed(&self) -> bool {
        self.closed
    }

    /// The largest payload length that a frame has declared so far, even if the payload has not arrived: readers that buffer
    /// whole frames check it before they wait for one.
    pub fn largest(&self) -> u64 {
        self.largest
    }

    /// Advances over the next piece of the stream.
    pub fn advance(&mut self, piece: &[u8]) -> Passed {
        let mut passed = Passed::default();
        let mut done = 0;
        while done < piece.len() {
            let (length, next) = self.advance_frame(&piece[done..]);
            passed.data |= next.data;
            passed.close |= next.close;
            passed.bare_close = next.bare_close.map(|at| at + done).or(passed.bare_close);
            done += length;
        }
        passed
    }

    /// Advances to the end of the current frame or of the piece, whichever is first. Returns how many bytes of the piece
    /// that is.
    pub fn advance_frame(&mut self, piece: &[u8]) -> (usize, Passed) {
        let mut passed = Passed::default();
        let mut bytes = piece;
        while !bytes.is_empty() {
            if self.remaining > 0 {
                let step = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(bytes.len());
                self.remaining -= step as u64;
                passed.data |= self.in_data_frame;
                bytes = &bytes[step..];
            } else {
                self.partial[self.partial_len] = bytes[0];
                self.partial_len += 1;
                bytes = &bytes[1..];
                let Some(length) = payload_length(&self.partial[..self.partial_len]) else { continue };
                let opcode = self.partial[0] & 0x0f;
                self.in_data_frame = opcode < FIRST_CONTROL;
                self.remaining = length;
                self.largest = self.largest.max(length);
                let header = std::mem::take(&mut self.partial_len);
                // A data frame without a payload still counts as traffic.
                passed.data |= self.in_data_frame;
                if opcode == CLOSE {
                    self.closed = true;
                    passed.close = true;
                    let end = piece.len() - bytes.len();
                    passed.bare_close = end.checked_sub(header).filter(|_| length == 0);
                }
            }
            if self.at_boundary() {
                break;
            }
        }
        (piece.len() - bytes.len(), passed)
    }
}

/// The payload's length, once the header is complete.
fn payload_length(header: &[u8]) -> Option<u64> {
    let second = *header.get(1)?;
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let (extended, length) = match second & 0x7f {
        126 => (2, u64::from(u16::from_be_bytes(header.get(2..4)?.try_into().ok()?))),
        127 => (8, u64::from_be_bytes(header.get(2..10)?.try_into().ok()?)),
        short => (0, u64::from(short)),
    };
    (header.len() == 2 + extended + mask).then_some(length)
}

/// An unmasked ping without a payload, as a server sends it.
pub const PING: &[u8] = &[0x89, 0x00];

/// An unmasked close frame. The reason is cut to what a control frame may hold, 123 bytes.
pub fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let reason = &reason.as_bytes()[..end];
    // At most 125, which fits the seven bits of a short length.
    let mut frame = vec![0x88, (reason.len() + 2) as u8];
    frame.extend(code.to_be_bytes());
    frame.extend(reason);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(opcode: u8, payload: usize, masked: bool) -> Vec<u8> {
        let mask_bit = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x80 | opcode];
        match payload {
            0..=125 => frame.push(mask_bit | payload as u8),
            126..=65535 => {
                frame.push(mask_bit | 126);
                frame.extend((payload as u16).to_be_bytes());
            }
            _ => {
                frame.push(mask_bit | 127);
                frame.extend((payload as u64).to_be_bytes());
            }
        }
        if masked {
            frame.extend([1, 2, 3, 4]);
        }
        // A payload that looks like headers, to catch a tracker that parses payloads.
        frame.extend(std::iter::repeat_n(0x88, payload));
        frame
    }

    #[test]
    fn every_length_form_ends_exactly_at_its_boundary() {
        for payload in [0, 1, 125, 126, 127, 65535, 65536, 100_000] {
            for masked in [false, true] {
                let bytes = frame(1, payload, masked);
                let mut tracker = FrameTracker::new();
                for (position, byte) in bytes.iter().enumerate() {
                    assert_eq!(tracker.at_boundary(), position == 0, "{payload} {masked} at {position}");
                    tracker.advance(std::slice::from_ref(byte));
                }
                assert!(tracker.at_boundary() && !tracker.closed(), "{payload} {masked}");
            }
        }
    }

    #[test]
    fn frames_split_at_any_offset_are_tracked_like_whole_ones() {
        let stream: Vec<u8> =
            [frame(2, 300, true), frame(9, 4, true), frame(0, 70_000, true), frame(1, 0, true)].concat();
        for size in [1, 2, 3, 7, 64, 1000, 65536, stream.len()] {
            let mut tracker = FrameTracker::new();
            stream.chunks(size).for_each(|piece| {
                tracker.advance(piece);
            });
            assert!(tracker.at_boundary(), "cut every {size} bytes");
        }
    }

    #[test]
    fn a_stream_is_tracked_frame_by_frame_and_a_length_is_known_before_its_payload() {
        let (first, second) = (frame(2, 300, true), frame(1, 5, true));
        let stream = [first.clone(), second.clone()].concat();
        let mut tracker = FrameTracker::new();
        assert_eq!(tracker.advance_frame(&stream[..100]).0, 100);
        assert!(!tracker.at_boundary());
        assert_eq!(tracker.advance_frame(&stream[100..]).0, first.len() - 100);
        assert!(tracker.at_boundary());
        assert_eq!(tracker.advance_frame(&stream[first.len()..]).0, second.len());
        assert_eq!(tracker.largest(), 300);
        tracker.advance(&[0x82, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
        assert_eq!(tracker.largest(), 1 << 62);
    }

    #[test]
    fn control_frames_are_no_data_and_a_close_is_noticed() {
        let mut tracker = FrameTracker::new();
        assert_eq!(tracker.advance(&frame(10, 4, true)), Passed::default());
        assert_eq!(tracker.advance(&frame(1, 3, true)), Passed { data: true, ..Passed::default() });
        assert_eq!(tracker.advance(&frame(8, 2, true)), Passed { close: true, ..Passed::default() });
        assert!(tracker.closed());
    }

    #[test]
    fn a_close_without_a_code_is_reported_with_its_offset() {
        let piece = [frame(1, 3, false), frame(8, 0, false)].concat();
        assert_eq!(FrameTracker::new().advance(&piece).bare_close, Some(5));
        let mut cut = FrameTracker::new();
        cut.advance(&piece[..6]);
        assert_eq!(cut.advance(&piece[6..]).bare_close, None, "its beginning has passed already");
    }

    #[test]
    fn a_close_reason_is_cut_at_a_character() {
        let frame = close_frame(1011, &"ж".repeat(100));
        assert_eq!(frame[1] as usize, frame.len() - 2);
        assert!(frame.len() <= 127);
        assert!(std::str::from_utf8(&frame[4..]).is_ok());
    }
}
