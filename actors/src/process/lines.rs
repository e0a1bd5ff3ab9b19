//! The lines that a process writes, whatever it writes.

use std::io;

use bytes::{Buf, BytesMut};
use tokio_util::codec::Decoder;

/// How much of a line that is too long is kept, in bytes.
const KEPT: usize = 1 << 10;

/// A line without its end. What is no UTF-8 in it is replaced.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// All of it.
    Whole(String),
    /// The first bytes of one that was longer than it may be.
    TooLong(String),
}

impl Line {
    /// What there is of it.
    pub fn text(&self) -> &str {
        let (Self::Whole(text) | Self::TooLong(text)) = self;
        text
    }
}

/// Cuts what a process writes into lines, of which it holds no more than the limit.
///
/// It has no errors: after one, `FramedRead` reads no more, and a process whose output nobody reads stops as soon as its
/// pipe is full.
#[derive(Debug)]
pub(crate) struct Lines {
    limit: usize,
    /// How much of the buffer was searched for the line's end.
    searched: usize,
    /// The rest of the line that was too long is to come.
    skips: bool,
}

impl Lines {
    /// Lines of at most so many bytes.
    pub fn up_to(limit: usize) -> Self {
        Self { limit, searched: 0, skips: false }
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
            match (end, self.skips) {
                (Some(end), true) => {
                    bytes.advance(end);
                    self.skips = false;
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
                    self.skips = true;
                    return Ok(Some(Line::TooLong(text(&bytes[..KEPT.min(self.limit)]))));
                }
            }
        }
    }

    fn decode_eof(&mut self, bytes: &mut BytesMut) -> io::Result<Option<Line>> {
        if let Some(line) = self.decode(bytes)? {
            return Ok(Some(line));
        }
        // The last line may have no end.
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

    /// The lines of at most five bytes that are read of pieces of a text, `…` after those that were too long.
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
