//! Reads the framebuffer of a VNC server once, as a viewer that sends no input (RFC 6143).

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use super::VncPassword;
use crate::net::rfb::EXTENDED_CLIPBOARD_LIMIT;

/// The protocol version of TigerVNC and x11vnc.
const VERSION: &[u8; 12] = b"RFB 003.008\n";
/// Security types (section 7.1.2).
const NO_SECURITY: u8 = 1;
const VNC_AUTHENTICATION: u8 = 2;
/// Message types of the server (section 7.6).
const UPDATE: u8 = 0;
const BELL: u8 = 2;
const CUT_TEXT: u8 = 3;
/// `ClientInit`: other viewers stay connected.
const SHARED: u8 = 1;
/// `SetPixelFormat`: 32 bits per pixel, 24 of colour, little-endian, in the byte order of X servers, which avoids a
/// conversion: blue, green, red, unused.
const SET_PIXEL_FORMAT: [u8; 20] = [0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0];
/// `SetEncodings`: raw, which between two processes of one machine costs less than any compression.
const SET_ENCODINGS: [u8; 8] = [2, 0, 0, 1, 0, 0, 0, 0];
const RAW: i32 = 0;

/// Bytes per pixel.
pub(super) const PIXEL: usize = 4;
/// The longest side of a screen that the settings allow.
const LONGEST_SIDE: u16 = 7680;
/// The longest accepted name of a screen; camofleet's own have about twenty bytes.
const LONGEST_NAME: u32 = 1024;
/// The size of the read buffer for small messages; larger rectangles bypass it.
const BUFFER: usize = 64 << 10;

/// The content of a screen at one moment.
pub(super) struct Frame {
    pub width: u16,
    pub height: u16,
    /// Row by row, each pixel as blue, green, red and an unused byte.
    pub pixels: Vec<u8>,
}

/// A rectangle of the screen, in pixels.
struct Rectangle {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

/// Reads the whole screen once, `refresh_delay` after connecting. No input is sent.
///
/// # Errors
/// Errors of the connection, and messages that violate the protocol.
pub(super) async fn read(
    server: impl AsyncRead + AsyncWrite + Unpin,
    password: Option<&VncPassword>,
    refresh_delay: Duration,
) -> io::Result<Frame> {
    let mut server = BufReader::with_capacity(BUFFER, server);
    handshake(&mut server, password).await?;
    let mut frame = init(&mut server).await?;
    if !refresh_delay.is_zero() {
        tokio::time::sleep(refresh_delay).await;
    }
    let mut request = vec![];
    request.extend(SET_PIXEL_FORMAT);
    request.extend(SET_ENCODINGS);
    // FramebufferUpdateRequest: the whole screen, not incremental.
    request.extend([3, 0, 0, 0, 0, 0]);
    request.extend(frame.width.to_be_bytes());
    request.extend(frame.height.to_be_bytes());
    server.write_all(&request).await?;
    server.flush().await?;
    let mut missing = usize::from(frame.width) * usize::from(frame.height);
    while missing > 0 {
        // A server may split the screen into several updates.
        missing = missing.saturating_sub(read_message(&mut server, &mut frame).await?);
    }
    Ok(frame)
}

async fn handshake(
    server: &mut (impl AsyncRead + AsyncWrite + Unpin),
    password: Option<&VncPassword>,
) -> io::Result<()> {
    let mut version = [0; 12];
    server.read_exact(&mut version).await?;
    if version != *VERSION {
        return Err(violation(format!(
            "its protocol version is '{}'",
            String::from_utf8_lossy(&version).trim()
        )));
    }
    server.write_all(VERSION).await?;
    server.flush().await?;
    let mut kinds = vec![0; usize::from(server.read_u8().await?)];
    server.read_exact(&mut kinds).await?;
    match password {
        _ if kinds.contains(&NO_SECURITY) => server.write_all(&[NO_SECURITY]).await?,
        Some(password) if kinds.contains(&VNC_AUTHENTICATION) => {
            server.write_all(&[VNC_AUTHENTICATION]).await?;
            server.flush().await?;
            let mut challenge = [0; 16];
            server.read_exact(&mut challenge).await?;
            server.write_all(&password.answer(challenge)).await?;
        }
        _ => return Err(violation(format!("it offers only the security types {kinds:?}"))),
    }
    server.flush().await?;
    match server.read_u32().await? {
        0 => Ok(()),
        refused => Err(violation(format!("it refused the handshake with {refused}"))),
    }
}

/// Sends `ClientInit` and reads the screen's size from the reply.
async fn init(server: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<Frame> {
    server.write_all(&[SHARED]).await?;
    server.flush().await?;
    let (width, height) = (server.read_u16().await?, server.read_u16().await?);
    if [width, height].iter().any(|side| !(1..=LONGEST_SIDE).contains(side)) {
        return Err(violation(format!("its screen has {width}x{height} pixels")));
    }
    // The server's pixel format, which is replaced, and its name.
    skip(server, 16).await?;
    let name = server.read_u32().await?;
    if name > LONGEST_NAME {
        return Err(violation(format!("its screen's name has {name} bytes")));
    }
    skip(server, name.into()).await?;
    let pixels = vec![0; usize::from(width) * usize::from(height) * PIXEL];
    Ok(Frame { width, height, pixels })
}

/// Reads one message, and returns how many pixels it contained.
async fn read_message(server: &mut (impl AsyncRead + Unpin), frame: &mut Frame) -> io::Result<usize> {
    match server.read_u8().await? {
        UPDATE => {
            skip(server, 1).await?;
            let mut count = 0;
            for _ in 0..server.read_u16().await? {
                count += read_rectangle(server, frame).await?;
            }
            Ok(count)
        }
        BELL => Ok(0),
        CUT_TEXT => {
            skip(server, 3).await?;
            let length = server.read_u32().await?;
            if length as usize > EXTENDED_CLIPBOARD_LIMIT {
                return Err(violation(format!("it sent a clipboard text of {length} bytes")));
            }
            skip(server, length.into()).await?;
            Ok(0)
        }
        other => Err(violation(format!("it sent a message of the unknown type {other}"))),
    }
}

async fn read_rectangle(server: &mut (impl AsyncRead + Unpin), frame: &mut Frame) -> io::Result<usize> {
    let mut sides = [0; 4];
    for side in &mut sides {
        *side = usize::from(server.read_u16().await?);
    }
    let [x, y, width, height] = sides;
    let encoding = server.read_i32().await?;
    let inside = x + width <= usize::from(frame.width) && y + height <= usize::from(frame.height);
    if encoding != RAW || !inside {
        return Err(violation(format!("it sent {width}x{height} pixels at {x},{y} in encoding {encoding}")));
    }
    for row in rows(frame, &Rectangle { x, y, width, height }) {
        server.read_exact(row).await?;
    }
    Ok(width * height)
}

/// The slices of the frame that a rectangle fills, in order: a single one if it is as wide as the screen.
fn rows<'a>(frame: &'a mut Frame, place: &Rectangle) -> impl Iterator<Item = &'a mut [u8]> + use<'a> {
    let screen = usize::from(frame.width);
    let whole = place.width == screen;
    let (stride, count) = if whole { (screen * place.height, 1) } else { (screen, place.height) };
    let start = place.y * screen * PIXEL;
    let (from, to) = if whole { (0, stride) } else { (place.x, place.x + place.width) };
    frame.pixels[start..]
        // The stride of an empty rectangle could be zero, which `chunks_mut` rejects.
        .chunks_mut((stride * PIXEL).max(1))
        .take(if place.height == 0 { 0 } else { count })
        .map(move |row| &mut row[from * PIXEL..to * PIXEL])
}

async fn skip(server: &mut (impl AsyncRead + Unpin), count: u64) -> io::Result<()> {
    let skipped = tokio::io::copy(&mut server.take(count), &mut tokio::io::sink()).await?;
    if skipped < count { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

fn violation(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;

    use super::*;

    const HELLO: &[u8] = VERSION;
    /// 3 pixels by 2, and a name of 2 letters.
    const INIT: &[u8] =
        &[0, 3, 0, 2, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0, 0, 0, 0, 2, b'h', b'i'];

    /// The frame that is read from a server that sends this, and all that the server received.
    async fn read_from(sent: &[&[u8]], password: Option<&VncPassword>) -> (io::Result<Frame>, Vec<u8>) {
        let (ours, mut theirs): (DuplexStream, DuplexStream) = tokio::io::duplex(1 << 16);
        theirs.write_all(&sent.concat()).await.unwrap();
        let received = async {
            let mut received = Vec::new();
            theirs.read_to_end(&mut received).await.unwrap();
            received
        };
        let reading = async {
            let frame = read(ours, password, Duration::ZERO);
            tokio::time::timeout(Duration::from_secs(5), frame).await.unwrap()
        };
        tokio::join!(reading, received)
    }

    fn rectangle(x: u8, y: u8, width: u8, height: u8, first: u8) -> Vec<u8> {
        let mut bytes = vec![0, x, 0, y, 0, width, 0, height, 0, 0, 0, 0];
        bytes.extend((0..width * height).flat_map(|pixel| [first + pixel; PIXEL]));
        bytes
    }

    #[tokio::test]
    async fn a_screen_is_assembled_from_rectangles_and_no_unnecessary_message_is_sent() {
        let (left, right, below) =
            (rectangle(0, 0, 1, 1, 1), rectangle(1, 0, 2, 1, 2), rectangle(0, 1, 3, 1, 4));
        let sent: &[&[u8]] = &[
            HELLO,
            &[2, 16, 1],
            &[0; 4],
            INIT,
            &[BELL],
            &[UPDATE, 0, 0, 2],
            &right,
            &left,
            &[CUT_TEXT, 0, 0, 0, 0, 0, 0, 1, b'x'],
            &[UPDATE, 0, 0, 2],
            &[0; 12],
            &below,
        ];
        let (frame, received) = read_from(sent, None).await;
        let frame = frame.unwrap();
        assert_eq!((frame.width, frame.height), (3, 2));
        assert_eq!(frame.pixels, (1..=6).flat_map(|pixel| [pixel; PIXEL]).collect::<Vec<_>>());
        let request = [3, 0, 0, 0, 0, 0, 0, 3, 0, 2];
        let expected =
            [VERSION.as_slice(), &[1, SHARED], &SET_PIXEL_FORMAT, &SET_ENCODINGS, &request].concat();
        assert_eq!(received, expected);
        assert!(!crate::net::rfb::ViewerInput::new().advance(&received).unwrap(), "none of it is input");
    }

    #[tokio::test]
    async fn a_password_is_sent_to_a_server_that_requires_one() {
        let challenge = *b"0123456789abcdef";
        let whole = rectangle(0, 0, 3, 2, 1);
        let sent: &[&[u8]] = &[HELLO, &[1, 2], &challenge, &[0; 4], INIT, &[UPDATE, 0, 0, 1], &whole];
        let password = VncPassword::new("s3cret");
        let (frame, received) = read_from(sent, Some(&password)).await;
        assert!(frame.is_ok());
        assert_eq!(received[12..29], [[2].as_slice(), &password.answer(challenge)].concat());
        let (refused, _) = read_from(&[HELLO, &[1, 2]], None).await;
        assert!(refused.err().unwrap().to_string().contains("security types [2]"));
    }

    #[tokio::test]
    async fn a_protocol_violation_is_an_error_that_describes_it() {
        let [mut huge, mut none, mut named] = [INIT.to_vec(), INIT.to_vec(), INIT.to_vec()];
        huge[0] = 255;
        named[20] = 255;
        none[1] = 0;
        let outside = rectangle(1, 1, 3, 1, 1);
        let mut packed = rectangle(0, 0, 3, 2, 1);
        packed[11] = 7;
        let ready: &[u8] = &[HELLO, &[1, 1], &[0; 4], INIT].concat();
        let in_update: &[u8] = &[ready, &[UPDATE, 0, 0, 1]].concat();
        for (sent, text) in [
            (vec![b"RFB 003.003\n".as_slice()], "RFB 003.003"),
            (vec![HELLO, &[0], &[0; 4]], "security types []"),
            (vec![HELLO, &[1, 1], &[0, 0, 0, 1]], "refused the handshake"),
            (vec![HELLO, &[1, 1], &[0; 4], &huge], "65283x2"),
            (vec![HELLO, &[1, 1], &[0; 4], &none], "0x2"),
            (vec![HELLO, &[1, 1], &[0; 4], &named], "name has 4278190082 bytes"),
            (vec![ready, &[CUT_TEXT, 0, 0, 0, 255, 0, 0, 0]], "text of 4278190080 bytes"),
            (vec![ready, &[99]], "type 99"),
            (vec![in_update, &outside], "at 1,1"),
            (vec![in_update, &packed], "encoding 7"),
        ] {
            let (frame, _) = read_from(&sent, None).await;
            let error = frame.err().unwrap().to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
