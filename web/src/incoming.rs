//! The connection that actix-http reads, with what it would not answer properly put right on the way.
//!
//! actix-http answers what its parser refuses with a bare 400, 408 or 431, and takes a handshake that offers WebSocket
//! among other protocols (`Upgrade: h2c, websocket`; RFC 9110, section 7.8) for no handshake. It has no hook for either. So
//! its own codec reads ahead here, which makes both agree on where each head begins, and only to know that: a head that
//! it refuses is replaced by a request that the application answers in its turn, as any other; a list of protocols with
//! WebSocket in it, by WebSocket alone. Everything else passes as it came.

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

/// The most that is read at once.
const READ_SIZE: usize = 8 << 10;
/// How much of a head actix-http reads, in bytes, and how many headers.
const HEAD_LIMIT: usize = 128 << 10;
const HEADERS_LIMIT: usize = 96;
/// What stands for a list of protocols in a handshake.
const WEBSOCKET: &str = "websocket";
/// The method of the request that stands for a head which can't be read.
const UNREADABLE: &str = "UNREADABLE";

/// Why a connection's next head can't be read, once that is so. Known to every request of the connection.
#[derive(Clone, Default)]
pub(crate) struct Refusal(Rc<OnceCell<ApiError>>);

impl Refusal {
    /// The error to answer a request with, if it stands for a head that can't be read.
    pub fn of(request: &ServiceRequest) -> Option<ApiError> {
        let stands_for_one = request.method().as_str() == UNREADABLE;
        request.request().conn_data::<Self>().filter(|_| stands_for_one)?.0.get().cloned()
    }
}

/// What the next bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    Body,
    /// No HTTP any more: what follows a handshake, or what actix-http gives the connection up for.
    Other,
    /// Nothing that is read: a head was refused.
    Refused,
}

/// Whose turn it is where a client has sent several requests at once: each is read when all other connections had theirs,
/// for one that sends thousands would otherwise be answered thousands of times before anybody else is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Its own: nothing more is there.
    Own,
    /// The others'.
    Others,
    /// Its own again.
    Next,
}

/// A client's connection.
pub(crate) struct Incoming<S> {
    socket: S,
    codec: Codec,
    part: Part,
    /// A head that is not complete, or requests that come after the one that is read.
    held: BytesMut,
    /// Whether the latter is so, and whether others were let go first since.
    turn: Turn,
    /// What is read next.
    passed: BytesMut,
    /// How long a head may take, and until when the one that is read may.
    patience: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
    refusal: Refusal,
}

impl<S> Incoming<S> {
    /// Takes a connection over. Its first head may take as long as `patience`, each later one the same from its first
    /// byte on.
    pub fn new(socket: S, config: ServiceConfig, patience: Duration) -> Self {
        Self {
            socket,
            codec: Codec::new(config),
            part: Part::Head,
            held: BytesMut::new(),
            turn: Turn::Own,
            passed: BytesMut::new(),
            patience,
            deadline: Some(Box::pin(sleep(patience))),
            refusal: Refusal::default(),
        }
    }

    /// What its requests are refused with, once one is.
    pub fn refusal(&self) -> Refusal {
        self.refusal.clone()
    }

    /// Passes on what has come, as far as it is complete, and no more than one request.
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
            // The codec takes a head as a whole, and all that there is of a body.
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
                        self.deadline = Some(Box::pin(sleep(self.patience)));
                    }
                    return;
                }
                Err(error) if self.part == Part::Head => self.refuse(refused(&error, &self.held)),
                // A body whose end nobody finds: actix-http gives the connection up.
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
        // Only a GET without a body asks for a WebSocket.
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

    /// Lets a request take the place of what can't be read. It is the last one: nothing says where another would begin.
    fn refuse(&mut self, error: ApiError) {
        // A connection is refused once.
        let _ = self.refusal.0.set(error);
        self.part = Part::Refused;
        self.deadline = None;
        self.held.clear();
        // It does not ask to close the connection: actix-http would say so with the answers before it, too.
        let request = format!("{UNREADABLE} / HTTP/1.1\r\nhost: localhost\r\n\r\n");
        self.passed.extend_from_slice(request.as_bytes());
    }
}

impl Incoming<TcpStream> {
    /// What is left of it for whoever serves a handshake: the socket, and what was read of it already.
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

/// A head whose lists of protocols with WebSocket in them are WebSocket alone. `None` if it is no head.
fn with_websocket_alone(head: &[u8]) -> Option<BytesMut> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_LIMIT];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(head).ok()?;
    let mut plain = BytesMut::with_capacity(head.len());
    let mut copied = 0;
    for header in request.headers.iter() {
        if header.name.eq_ignore_ascii_case(UPGRADE.as_str()) && lists_websocket(header.value) {
            // The value is a part of the head.
            let start = header.value.as_ptr() as usize - head.as_ptr() as usize;
            plain.extend_from_slice(&head[copied..start]);
            plain.extend_from_slice(WEBSOCKET.as_bytes());
            copied = start + header.value.len();
        }
    }
    plain.extend_from_slice(&head[copied..]);
    Some(plain)
}

/// What the codec's refusal means to a client.
fn refused(error: &ParseError, head: &[u8]) -> ApiError {
    if matches!(error, ParseError::TooLarge) {
        return ApiError::HeadTooLarge { limit: HEAD_LIMIT, headers: HEADERS_LIMIT };
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_LIMIT];
    let problem = match (httparse::Request::new(&mut headers).parse(head), error) {
        (Err(error), _) => error.to_string(),
        (Ok(_), ParseError::Header) => {
            "its Host, Content-Length or Transfer-Encoding is missing, is there twice, or \
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
                // The client has left.
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(_)) => this.sort(),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    let Some(deadline) = &mut this.deadline else { return Poll::Pending };
                    ready!(deadline.as_mut().poll(cx));
                    this.deadline = None;
                    if this.held.is_empty() {
                        // It never said anything: nobody waits for an answer.
                        return Poll::Ready(Ok(()));
                    }
                    this.refuse(ApiError::HeadTooSlow { limit: this.patience });
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

    /// What is read of a client that says this in pieces of these lengths, and leaves.
    async fn read(pieces: impl IntoIterator<Item = &[u8]>) -> (String, Incoming<DuplexStream>) {
        let (mut theirs, mut ours) = connection();
        let mut read = Vec::new();
        for piece in pieces {
            theirs.write_all(piece).await.unwrap();
            // All that there is to read for now.
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
    async fn requests_and_their_bodies_pass_as_they_came_wherever_they_are_cut() {
        let said = requests();
        for size in 1..said.len() {
            let (read, ours) = read(said.as_bytes().chunks(size)).await;
            assert_eq!(read, said, "in pieces of {size} bytes");
            assert!(ours.refusal.0.get().is_none());
        }
    }

    #[actix_web::test]
    async fn of_requests_that_come_at_once_each_waits_for_other_connections() {
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
    async fn what_is_no_http_is_replaced_after_any_request_and_nothing_is_read_after_it() {
        for bytes in [
            "\u{1}\u{2}\r\n\r\n",
            "GET / HTTP/9.9\r\n\r\n",
            "GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            let said = format!("{}{bytes}GET /after HTTP/1.1\r\nHost: a\r\n\r\n", requests());
            for size in [1, 7, said.len()] {
                let (read, ours) = read(said.as_bytes().chunks(size)).await;
                let replaced = read.strip_prefix(&requests()).unwrap();
                assert!(replaced.starts_with("UNREADABLE / ") && !replaced.contains("after"), "{replaced}");
                let refused = ours.refusal.0.get();
                assert!(matches!(refused, Some(ApiError::BadRequest { .. })), "{bytes}: {refused:?}");
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
            let said = format!("{}{}{frame}", requests(), handshake(offers));
            for size in [1, 40, said.len()] {
                let (read, _) = read(said.as_bytes().chunks(size)).await;
                assert_eq!(read, format!("{}{}{frame}", requests(), handshake(plain)), "{offers:?}");
            }
        }
        for offer in ["h2c", "websockets, h2c"] {
            let said = handshake(&[offer]);
            assert_eq!(read([said.as_bytes()]).await.0, said);
        }
    }

    #[actix_web::test]
    async fn heads_have_limits_of_size_and_number() {
        let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "y".repeat(HEAD_LIMIT));
        let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(HEADERS_LIMIT));
        for said in [long, many] {
            let (read, ours) = read(said.as_bytes().chunks(5000)).await;
            assert!(read.starts_with("UNREADABLE / "), "{read}");
            assert!(matches!(ours.refusal.0.get(), Some(ApiError::HeadTooLarge { .. })));
        }
        let most = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(HEAD_LIMIT - 100));
        assert_eq!(read(most.as_bytes().chunks(5000)).await.0, most);
    }

    #[actix_web::test]
    async fn every_head_has_a_limit_of_time_and_who_says_nothing_is_let_go() {
        tokio::time::pause();
        let good = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for first in ["", good] {
            let (mut theirs, mut ours) = connection();
            let mut buffer = [0; 100];
            theirs.write_all(first.as_bytes()).await.unwrap();
            if !first.is_empty() {
                assert_eq!(ours.read(&mut buffer).await.unwrap(), good.len());
                // Idle, which actix-http has a limit for.
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
        assert_eq!(ours.read(&mut [0; 9]).await.unwrap(), 0, "it said nothing");
    }
}
