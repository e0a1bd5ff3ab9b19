//! What is looked at of a connection's first request before actix-http reads it: two things that it would not answer as
//! they deserve.
//!
//! Bytes that are no HTTP get a body like every other error. And a client may offer WebSocket among other protocols
//! (`Upgrade: h2c, websocket`; RFC 9110, section 7.8), which actix-http takes for no upgrade at all.

use std::time::Duration;

use actix_codec::Framed;
use actix_http::Request;
use actix_http::h1::{Codec, Message};
use actix_rt::net::TcpStream;
use actix_web::ResponseError;
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::codec::Decoder;

use crate::error::ApiError;
use crate::headers;
use crate::upgrade::Connection;

/// The longest head that is looked at, in bytes; one that is longer is left to actix-http.
const HEAD_LIMIT: usize = 16 << 10;
/// As many headers as actix-http reads.
const HEADERS_LIMIT: usize = 96;
/// What stands for a list of protocols in a handshake.
const WEBSOCKET: &str = "websocket";

/// Who serves a connection.
pub(crate) enum Served {
    /// actix-http: nothing was read of it.
    Http(TcpStream),
    /// Whoever serves handshakes.
    Handshake(Box<(Request, Connection)>),
    /// Nobody: it was refused, or has gone.
    Nobody,
}

/// Decides by the first request, for which it waits as long as `patience`.
pub(crate) async fn inspect(mut stream: TcpStream, patience: Duration) -> Served {
    let mut head = vec![0; HEAD_LIMIT];
    let Ok(Ok(count)) = timeout(patience, stream.peek(&mut head)).await else { return Served::Nobody };
    head.truncate(count);
    match read(&head) {
        Head::Usual => Served::Http(stream),
        Head::Malformed(problem) => {
            // A client that does not read its refusal has gone.
            let _ = timeout(patience, refuse(&mut stream, problem)).await;
            Served::Nobody
        }
        Head::OffersWebSocket { head: rewritten, length } => {
            let mut codec = Codec::default();
            let request = match codec.decode(&mut BytesMut::from(&rewritten[..])) {
                Ok(Some(Message::Item(request))) => request,
                _ => return Served::Http(stream),
            };
            // These bytes were only peeked at so far.
            if stream.read_exact(&mut head[..length]).await.is_err() {
                return Served::Nobody;
            }
            let mut request = request;
            request.head_mut().peer_addr = stream.peer_addr().ok();
            Served::Handshake(Box::new((request, Framed::new(stream, codec))))
        }
    }
}

/// What a head is.
#[derive(Debug, PartialEq, Eq)]
enum Head {
    /// For actix-http, as whatever is not complete yet.
    Usual,
    /// No HTTP, with the reason.
    Malformed(String),
    /// A handshake that offers more than WebSocket: as one that offers nothing else, and its own length.
    OffersWebSocket { head: Bytes, length: usize },
}

fn read(bytes: &[u8]) -> Head {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_LIMIT];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Head::Usual,
        Err(error) => return Head::Malformed(error.to_string()),
    };
    let offer = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("upgrade"));
    let Some(offer) = offer.and_then(|header| std::str::from_utf8(header.value).ok()) else {
        return Head::Usual;
    };
    let alone = offer.trim().eq_ignore_ascii_case(WEBSOCKET);
    let offered = offer.split(',').any(|protocol| protocol.trim().eq_ignore_ascii_case(WEBSOCKET));
    if alone || !offered {
        return Head::Usual;
    }
    // The value is a part of the head.
    let start = offer.as_ptr() as usize - bytes.as_ptr() as usize;
    let head = [&bytes[..start], WEBSOCKET.as_bytes(), &bytes[start + offer.len()..length]].concat();
    Head::OffersWebSocket { head: head.into(), length }
}

async fn refuse(stream: &mut TcpStream, problem: String) -> std::io::Result<()> {
    let error = ApiError::BadRequest { problem };
    // A body of two strings always serializes.
    let body = serde_json::to_string(&error.body()).unwrap_or_default();
    let mut answer = format!(
        "HTTP/1.1 {}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
        error.status_code(),
        body.len()
    );
    for (name, value) in headers::ALWAYS.into_iter().chain([headers::NO_PAGE, headers::NO_CACHE]) {
        answer.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap_or_default()));
    }
    stream.write_all(format!("{answer}\r\n{body}").as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_protocols_with_websocket_in_it_is_a_handshake() {
        for (offer, rewritten) in [
            ("h2c, websocket", true),
            ("WebSocket, h2c", true),
            ("websocket", false),
            ("h2c", false),
            ("websockets, h2c", false),
        ] {
            let head =
                |offer: &str| format!("GET /a HTTP/1.1\r\nHost: b\r\nUpgrade: {offer}\r\nX: y\r\n\r\n");
            let bytes = head(offer);
            let expected = if rewritten {
                Head::OffersWebSocket { head: head("websocket").into(), length: bytes.len() }
            } else {
                Head::Usual
            };
            assert_eq!(read(format!("{bytes}early").as_bytes()), expected, "{offer}");
        }
    }

    #[test]
    fn what_is_no_http_is_told_from_what_is_not_there_yet() {
        for bytes in ["GET / HTTP/1.1\r\nHo", "", "POST /sessions HTTP/1.1\r\nHost: a\r\n\r\n{}"] {
            assert_eq!(read(bytes.as_bytes()), Head::Usual, "{bytes}");
        }
        for bytes in
            ["\u{1}\u{2}\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nHost localhost\r\n\r\n"]
        {
            assert!(matches!(read(bytes.as_bytes()), Head::Malformed(_)), "{bytes}");
        }
    }
}
