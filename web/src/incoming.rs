//! A filter between a client's connection and actix-http, which works around two limitations of the latter.
//!
//! actix-http answers requests that it can't parse with an empty 400, 408 or 431, and does not recognize a handshake that
//! offers WebSocket among other protocols (`Upgrade: h2c, websocket`; RFC 9110, section 7.8). It has no hook for either. So
//! this filter runs actix-http's own codec on the incoming bytes, to find the same request boundaries. A head that the codec
//! rejects is replaced by a placeholder request, which the application answers in order like any other. A list of protocols
//! that contains WebSocket is replaced by WebSocket alone. All other bytes pass unchanged.

use std::cell::OnceCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_codec::{Framed, FramedParts};
use actix_http::error::ParseError;
use actix_http::h1::{Codec, Message, MessageType};
use actix_http::{Request, ServiceConfig};
use actix_rt::net::TcpStream;
use actix_web::HttpMessage;
use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, UPGRADE};
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tokio_util::codec::Decoder;

use crate::error::ApiError;

/// A connection on which a handshake arrived.
pub(crate) type Connection = Framed<TcpStream, Codec>;

/// The maximum number of bytes of one read.
const READ_SIZE: usize = 8 << 10;
/// The limits of actix-http for a request's head, in bytes and in headers.
const HEAD_LIMIT: usize = 128 << 10;
const HEADERS_LIMIT: usize = 96;
/// The value that replaces a list of protocols in a handshake.
const WEBSOCKET: &str = "websocket";
/// The method of the placeholder for a head that can't be parsed.
const UNREADABLE: &str = "UNREADABLE";

/// Why a connection's head could not be parsed, if so. Shared with all requests of the connection.
#[derive(Clone, Default)]
pub(crate) struct Refusal(Rc<OnceCell<ApiError>>);

impl Refusal {
    /// The error to answer a request with, if it is the placeholder for a head that can't be parsed.
    pub fn of(request: &ServiceRequest) -> Option<ApiError> {
        let stands_for_one = request.method().as_str() == UNREADABLE;
        request.request().conn_data::<Self>().filter(|_| stands_for_one)?.0.get().cloned()
    }
}

/// The part of the stream that the next bytes belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    Body,
    /// Not HTTP: data after a handshake, or an invalid body, after which actix-http closes the connection.
    Other,
    /// Ignored, because a head was rejected.
    Refused,
}

/// Whose turn it is if a client has sent several requests at once. After each of them, other connections are served first;
/// otherwise a client that sends thousands would block everybody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// This connection's, with no further requests buffered.
    Own,
    /// The other connections'.
    Others,
    /// This connection's again, for its next request.
    Next,
}

/// A client's connection.
pub(crate) struct Incoming<S> {
    socket: S,
    codec: Codec,
    part: Part,
    /// An incomplete head, or requests after the current one.
    held: BytesMut,
    /// Whether further requests are buffered, and whether other connections have been served since.
    turn: Turn,
    /// Bytes that are ready for actix-http.
    passed: BytesMut,
    /// The time limit of a head, and the deadline of the current one.
    head_timeout: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
    refusal: Refusal,
}

impl<S> Incoming<S> {
    /// Wraps a connection. `head_timeout` limits the time of the first head, and that of each later one from its first byte on.
    pub fn new(socket: S, config: ServiceConfig, head_timeout: Duration) -> Self {
        Self {
            socket,
            codec: Codec::new(config),
            part: Part::Head,
            held: BytesMut::new(),
            turn: Turn::Own,
            passed: BytesMut::new(),
            head_timeout,
            deadline: Some(Box::pin(sleep(head_timeout))),
            refusal: Refusal::default(),
        }
    }

    /// The error of the connection, shared with its requests.
    pub fn refusal(&self) -> Refusal {
        self.refusal.clone()
    }

    /// Passes on the received bytes as far as they are complete, and at most one request.
    fn sort(&mut self) {
        self.turn = Turn::Own;
        while !self.held.is_empty() {
            match self.part {
                Part::Head if !self.passed.is_empty() => {
                    self.turn = Turn::Others;
                    return;
                }
                Part::Head | Part::Body => {}
                Part::Other => return self.pass(self.held.len()),
                Part::Refused => return self.held.clear(),
            }
            let mut rest = self.held.clone();
            let read = loop {
                match self.codec.decode(&mut rest) {
                    Ok(Some(Message::Chunk(Some(_)))) => {}
                    read => break read,
                }
            };
            // The codec consumes a head as a whole, and all available bytes of a body.
            let length = self.held.len() - rest.len();
            match read {
                Ok(Some(Message::Item(request))) => self.pass_head(&request, length),
                Ok(Some(Message::Chunk(_))) => {
                    self.part = Part::Head;
                    self.pass(length);
                }
                Ok(None) => {
                    self.pass(length);
                    if self.part == Part::Head && self.deadline.is_none() {
                        self.deadline = Some(Box::pin(sleep(self.head_timeout)));
                    }
                    return;
                }
                Err(error) if self.part == Part::Head => self.refuse(parse_error(&error, &self.held)),
                // The end of an invalid body can't be found; actix-http closes the connection.
                Err(_) => self.part = Part::Other,
            }
        }
    }

    fn pass(&mut self, length: usize) {
        self.passed.extend_from_slice(&self.held[..length]);
        self.held.advance(length);
    }

    fn pass_head(&mut self, request: &Request, length: usize) {
        self.deadline = None;
        let kind = self.codec.message_type();
        // Only a GET without a body can be a WebSocket handshake.
        let handshake = kind == MessageType::None
            && request.method() == Method::GET
            && offers_websocket(request.headers());
        if handshake && let Some(plain) = with_websocket_alone(&self.held[..length]) {
            self.passed.extend_from_slice(&plain);
            self.held.advance(length);
            self.part = Part::Other;
            return;
        }
        self.pass(length);
        self.part = match kind {
            MessageType::None => Part::Head,
            MessageType::Payload => Part::Body,
            MessageType::Stream => Part::Other,
        };
    }

    /// Replaces a head that can't be parsed by the placeholder. It is the last request, because the start of the next one is
    /// unknown.
    fn refuse(&mut self, error: ApiError) {
        // Already set only if the connection was rejected before.
        let _ = self.refusal.0.set(error);
        self.part = Part::Refused;
        self.deadline = None;
        self.held.clear();
        // Without `Connection: close`, which actix-http would also add to the responses before it.
        let request = format!("{UNREADABLE} / HTTP/1.1\r\nhost: localhost\r\n\r\n");
        self.passed.extend_from_slice(request.as_bytes());
    }
}

impl Incoming<TcpStream> {
    /// Unwraps the connection after a handshake: the socket with the bytes that were already read.
    pub fn into_handshake(connection: Framed<Self, Codec>) -> Connection {
        let mut parts = connection.into_parts();
        parts.read_buf.extend_from_slice(&parts.io.passed);
        let mut plain = FramedParts::with_read_buf(parts.io.socket, parts.codec, parts.read_buf);
        plain.write_buf = parts.write_buf;
        Framed::from_parts(plain)
    }
}

/// Whether a request offers WebSocket, alone or among other protocols.
pub(crate) fn offers_websocket(headers: &HeaderMap) -> bool {
    headers.get_all(UPGRADE).any(|value| lists_websocket(value.as_bytes()))
}

fn lists_websocket(protocols: &[u8]) -> bool {
    let mut protocols = protocols.split(|byte| *byte == b',');
    protocols.any(|protocol| protocol.trim_ascii().eq_ignore_ascii_case(WEBSOCKET.as_bytes()))
}

/// A head in which lists of protocols that contain WebSocket are replaced by WebSocket alone. `None` if it is invalid.
fn with_websocket_alone(head: &[u8]) -> Option<BytesMut> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_LIMIT];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(head).ok()?;
    let mut plain = BytesMut::with_capacity(head.len());
    let mut copied = 0;
    for header in request.headers.iter() {
        if header.name.eq_ignore_ascii_case(UPGRADE.as_str()) && lists_websocket(header.value) {
            // The value is a slice of the head.
            let start = header.value.as_ptr() as usize - head.as_ptr() as usize;
            plain.extend_from_slice(&head[copied..start]);
            plain.extend_from_slice(WEBSOCKET.as_bytes());
            copied = start + header.value.len();
        }
    }
    plain.extend_from_slice(&head[copied..]);
    Some(plain)
}

/// Converts the codec's error into one for the client.
fn parse_error(error: &ParseError, head: &[u8]) -> ApiError {
    if matches!(error, ParseError::TooLarge) {
        return ApiError::HeadTooLarge { limit: HEAD_LIMIT, headers: HEADERS_LIMIT };
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_LIMIT];
    let problem = match (httparse::Request::new(&mut headers).parse(head), error) {
        (Err(error), _) => error.to_string(),
        (Ok(_), ParseError::Header) => {
            "its Host, Content-Length or Transfer-Encoding is missing, is duplicated, or \
                                        contradicts another header"
                .to_owned()
        }
        (Ok(_), error) => error.to_string(),
    };
    ApiError::BadRequest { problem }
}

impl<S: AsyncRead + Unpin> AsyncRead for Incoming<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if !this.passed.is_empty() {
                let length = this.passed.len().min(buffer.remaining());
                buffer.put_slice(&this.passed[..length]);
                this.passed.advance(length);
                return Poll::Ready(Ok(()));
            }
            match this.turn {
                Turn::Own => {}
                Turn::Others => {
                    this.turn = Turn::Next;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Turn::Next => {
                    this.sort();
                    continue;
                }
            }
            if this.part == Part::Other {
                return Pin::new(&mut this.socket).poll_read(cx, buffer);
            }
            this.held.reserve(READ_SIZE);
            match tokio_util::io::poll_read_buf(Pin::new(&mut this.socket), cx, &mut this.held) {
                // The client has disconnected.
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(_)) => this.sort(),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    let Some(deadline) = &mut this.deadline else { return Poll::Pending };
                    ready!(deadline.as_mut().poll(cx));
                    this.deadline = None;
                    if this.held.is_empty() {
                        // The client has sent nothing, so it expects no response.
                        return Poll::Ready(Ok(()));
                    }
                    this.refuse(ApiError::HeadTooSlow { limit: this.head_timeout });
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Incoming<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn connection() -> (DuplexStream, Incoming<DuplexStream>) {
        let (theirs, ours) = tokio::io::duplex(1 << 20);
        (theirs, Incoming::new(ours, ServiceConfig::default(), PATIENCE))
    }

    /// The bytes that actix-http receives if a client sends these pieces and disconnects.
    async fn read(pieces: impl IntoIterator<Item = &[u8]>) -> (String, Incoming<DuplexStream>) {
        let (mut theirs, mut ours) = connection();
        let mut read = Vec::new();
        for piece in pieces {
            theirs.write_all(piece).await.unwrap();
            // Reads everything that is available.
            let now = std::future::poll_fn(|cx| {
                let mut now = Vec::new();
                let mut bytes = [0; 999];
                loop {
                    let mut buffer = ReadBuf::new(&mut bytes);
                    match Pin::new(&mut ours).poll_read(cx, &mut buffer) {
                        Poll::Ready(result) => result.unwrap(),
                        Poll::Pending => return Poll::Ready(now),
                    }
                    now.extend_from_slice(buffer.filled());
                }
            });
            read.extend(now.await);
        }
        drop(theirs);
        ours.read_to_end(&mut read).await.unwrap();
        (String::from_utf8(read).unwrap(), ours)
    }

    /// Requests with every kind of body, whose bodies look like heads.
    fn requests() -> String {
        let body = "GET / HTTP/9\r\nUpgrade: h2c, websocket\r\n\r\n";
        let length = body.len();
        format!(
            "GET /a HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n\
             POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}\
             POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nUpgrade: h2c, websocket\r\n\r\n\
             {length:x}\r\n{body}\r\n1\r\nx\r\n0\r\n\r\n\
             HEAD /d HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
        )
    }

    #[actix_web::test]
    async fn requests_and_their_bodies_pass_unchanged_wherever_they_are_split() {
        let sent = requests();
        for size in 1..sent.len() {
            let (read, ours) = read(sent.as_bytes().chunks(size)).await;
            assert_eq!(read, sent, "in pieces of {size} bytes");
            assert!(ours.refusal.0.get().is_none());
        }
    }

    #[actix_web::test]
    async fn between_pipelined_requests_other_connections_are_served() {
        let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let (mut theirs, mut ours) = connection();
        theirs.write_all(request.repeat(3).as_bytes()).await.unwrap();
        for _ in 0..3 {
            let mut bytes = vec![0; 10 * request.len()];
            let count = std::future::poll_fn(|cx| {
                let mut buffer = ReadBuf::new(&mut bytes);
                Pin::new(&mut ours).poll_read(cx, &mut buffer).map_ok(|()| buffer.filled().len())
            });
            assert_eq!(count.await.unwrap(), request.len());
            let next = std::future::poll_fn(|cx| {
                Poll::Ready(Pin::new(&mut ours).poll_read(cx, &mut ReadBuf::new(&mut [0])).is_ready())
            });
            assert!(!next.await, "the next one was read at once");
        }
    }

    #[actix_web::test]
    async fn an_invalid_head_is_replaced_after_any_request_and_nothing_is_read_after_it() {
        for bytes in [
            "\u{1}\u{2}\r\n\r\n",
            "GET / HTTP/9.9\r\n\r\n",
            "GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            let sent = format!("{}{bytes}GET /after HTTP/1.1\r\nHost: a\r\n\r\n", requests());
            for size in [1, 7, sent.len()] {
                let (read, ours) = read(sent.as_bytes().chunks(size)).await;
                let replaced = read.strip_prefix(&requests()).unwrap();
                assert!(replaced.starts_with("UNREADABLE / ") && !replaced.contains("after"), "{replaced}");
                let parse_error = ours.refusal.0.get();
                assert!(matches!(parse_error, Some(ApiError::BadRequest { .. })), "{bytes}: {parse_error:?}");
            }
        }
    }

    #[actix_web::test]
    async fn a_list_of_protocols_with_websocket_in_it_is_a_handshake_after_any_request() {
        let handshake = |offers: &[&str]| {
            let offers: String = offers.iter().map(|offer| format!("Upgrade: {offer}\r\n")).collect();
            format!("GET /a HTTP/1.1\r\nHost: b\r\n{offers}X: y\r\n\r\n")
        };
        let frame = "what a handshake is followed by: GET / HTTP/9\r\n\r\n";
        for (offers, plain) in [
            (&["h2c, websocket"][..], &["websocket"][..]),
            (&["WebSocket,h2c"], &["websocket"]),
            (&["h2c", "a, websocket"], &["h2c", "websocket"]),
            (&["websocket"], &["websocket"]),
        ] {
            let sent = format!("{}{}{frame}", requests(), handshake(offers));
            for size in [1, 40, sent.len()] {
                let (read, _) = read(sent.as_bytes().chunks(size)).await;
                assert_eq!(read, format!("{}{}{frame}", requests(), handshake(plain)), "{offers:?}");
            }
        }
        for offer in ["h2c", "websockets, h2c"] {
            let sent = handshake(&[offer]);
            assert_eq!(read([sent.as_bytes()]).await.0, sent);
        }
    }

    #[actix_web::test]
    async fn heads_have_limits_of_size_and_number() {
        let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "y".repeat(HEAD_LIMIT));
        let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(HEADERS_LIMIT));
        for sent in [long, many] {
            let (read, ours) = read(sent.as_bytes().chunks(5000)).await;
            assert!(read.starts_with("UNREADABLE / "), "{read}");
            assert!(matches!(ours.refusal.0.get(), Some(ApiError::HeadTooLarge { .. })));
        }
        let most = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(HEAD_LIMIT - 100));
        assert_eq!(read(most.as_bytes().chunks(5000)).await.0, most);
    }

    #[actix_web::test]
    async fn every_head_has_a_time_limit_and_a_silent_client_is_disconnected_without_a_response() {
        tokio::time::pause();
        let good = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for first in ["", good] {
            let (mut theirs, mut ours) = connection();
            let mut buffer = [0; 100];
            theirs.write_all(first.as_bytes()).await.unwrap();
            if !first.is_empty() {
                assert_eq!(ours.read(&mut buffer).await.unwrap(), good.len());
                // Idle connections are limited by actix-http.
                assert!(tokio::time::timeout(PATIENCE * 9, ours.read(&mut buffer)).await.is_err());
            }
            let start = tokio::time::Instant::now();
            let drip = async {
                loop {
                    theirs.write_all(b"X").await.unwrap();
                    tokio::time::sleep(PATIENCE / 7).await;
                }
            };
            let count = tokio::select! {
                () = drip => unreachable!(),
                count = ours.read(&mut buffer) => count.unwrap(),
            };
            assert!(buffer[..count].starts_with(b"UNREADABLE / "));
            assert_eq!(ours.refusal.0.get(), Some(&ApiError::HeadTooSlow { limit: PATIENCE }));
            assert!(start.elapsed() >= PATIENCE && start.elapsed() < PATIENCE * 2);
        }
        let (_theirs, mut ours) = connection();
        assert_eq!(ours.read(&mut [0; 9]).await.unwrap(), 0, "a silent client gets no response");
    }
}
