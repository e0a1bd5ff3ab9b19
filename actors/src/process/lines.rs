//! Splits the output of a process into lines, with a bound on their length and whatever its bytes.

use std::io;

use bytes::{Buf, BytesMut};
use tokio_util::codec::Decoder;

/// How many bytes are kept of a line that is too long.
const KEPT: usize = 1 << 10;

/// A line without its line break; invalid UTF-8 in it is replaced.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// All of it.
    Whole(String),
    /// The first bytes of a line that exceeded the limit.
    TooLong(String),
}

impl Line {
    /// The text of the line, as far as it was kept.
    pub fn text(&self) -> &str {
        let (Self::Whole(text) | Self::TooLong(text)) = self;
        text
    }
}

/// A decoder that splits bytes into lines and buffers no more than the limit of each.
///
/// It never returns an error: `FramedRead` stops reading after one, and a process whose output is not read blocks as
/// soon as its pipe is full.
#[derive(Debug)]
pub(crate) struct Lines {
    limit: usize,
    /// How many bytes of the buffer are known to hold no line break.
    searched: usize,
    /// Whether the rest of a line that was too long is being skipped.
    skipping: bool,
}

impl Lines {
    /// A decoder for lines of at most `limit` bytes.
    pub fn up_to(limit: usize) -> Self {
        Self { limit, searched: 0, skipping: false }
    }
}

fn text(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
}

impl Decoder for Lines {
    type Item = Line;
    type Error = io::Error;

    fn decode(&mut self, bytes: &mut BytesMut) -> io::Result<Option<Line>> {
        loop {
            let end = bytes[self.searched..].iter().position(|byte| *byte == b'\n');
            let end = end.map(|end| self.searched + end + 1);
            self.searched = 0;
            match (end, self.skipping) {
                (Some(end), true) => {
                    bytes.advance(end);
                    self.skipping = false;
                }
                (None, true) => {
                    bytes.clear();
                    return Ok(None);
                }
                (Some(end), false) if end - 1 <= self.limit => {
                    return Ok(Some(Line::Whole(text(&bytes.split_to(end)))));
                }
                (None, false) if bytes.len() <= self.limit => {
                    self.searched = bytes.len();
                    return Ok(None);
                }
                (_, false) => {
                    self.skipping = true;
                    return Ok(Some(Line::TooLong(text(&bytes[..KEPT.min(self.limit)]))));
                }
            }
        }
    }

    fn decode_eof(&mut self, bytes: &mut BytesMut) -> io::Result<Option<Line>> {
        if let Some(line) = self.decode(bytes)? {
            return Ok(Some(line));
        }
        // The last line may end without a line break.
        self.searched = 0;
        let rest = bytes.split();
        Ok((!rest.is_empty()).then(|| Line::Whole(text(&rest))))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use tokio_util::codec::FramedRead;

    use super::*;

    /// Decodes a text that arrives in pieces, with a limit of five bytes a line; `…` marks lines that were too long.
    async fn lines(text: &[u8], piece: usize) -> Vec<String> {
        let pieces: Vec<io::Result<&[u8]>> = text.chunks(piece).map(Ok).collect();
        let reader = tokio_util::io::StreamReader::new(futures_util::stream::iter(pieces));
        let lines = FramedRead::new(reader, Lines::up_to(5));
        let lines = lines.map(|line| match line.unwrap() {
            Line::Whole(line) => line,
            Line::TooLong(start) => format!("{start}…"),
        });
        lines.collect().await
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_cut_and_those_after_it_are_read() {
        let text = b"12345\n123456\n1\r\n\n\xff\n12345678901234567890\n12\n123";
        for piece in 1..=text.len() {
            let expected = ["12345", "12345…", "1", "", "\u{fffd}", "12345…", "12", "123"];
            assert_eq!(lines(text, piece).await, expected, "in pieces of {piece} bytes");
        }
        assert_eq!(lines(b"1\n123456", 3).await, ["1", "12345…"]);
    }
}
