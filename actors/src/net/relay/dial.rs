//! The client side of a WebSocket handshake (RFC 6455, section 4.1), for a relay that forwards bytes.
//!
//! Libraries either keep the connection to themselves or drop the response of a server that rejects the handshake. A relay
//! needs both: the raw connection, and the rejection to pass on to its own client.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use sha1::{Digest, Sha1};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

use crate::net::tls;

/// The maximum size of the response to a handshake, including the body of a rejection.
const ANSWER_LIMIT: usize = 64 << 10;
/// More headers than any server sends.
const HEADERS_LIMIT: usize = 64;
/// The GUID that a server appends to the key before hashing it (RFC 6455, section 1.3).
const ACCEPT_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A bidirectional byte stream.
pub trait Io: AsyncRead + AsyncWrite {}
impl<T: AsyncRead + AsyncWrite> Io for T {}

/// A connection after its handshake.
pub struct Dialled {
    /// The connection.
    pub socket: Box<dyn Io + Unpin>,
    /// Bytes that the server sent right after its response.
    pub early: Bytes,
}

/// Why there is no connection.
#[derive(Debug)]
pub enum DialError {
    /// The connection was refused or broke.
    Unreachable(String),
    /// The server rejected the upgrade.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its `Retry-After`, if given in seconds.
        retry_after: Option<Duration>,
        /// The body of the response, at most 64 KiB.
        body: Vec<u8>,
    },
}

impl From<std::io::Error> for DialError {
    fn from(error: std::io::Error) -> Self {
        Self::Unreachable(error.to_string())
    }
}

/// Connects to a `ws://` or `wss://` URL and sends the handshake, with these headers in addition to its own.
///
/// Sends no `Origin`, because servers would treat the client as a web page. The caller has to set a timeout.
///
/// # Errors
/// See [`DialError`].
pub async fn dial(url: &Url, headers: &[(&str, &str)]) -> Result<Dialled, DialError> {
    let host =
        url.host_str().ok_or_else(|| DialError::Unreachable("its address names no host".to_owned()))?;
    let port = url.port_or_known_default().unwrap_or(80);
    let tcp = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
    // Protocol messages are small and latency matters, so they are not delayed.
    tcp.set_nodelay(true)?;
    if url.scheme() == "wss" {
        let socket = tls::connect(host, tcp).await?;
        shake_hands(socket, url, headers).await
    } else {
        shake_hands(tcp, url, headers).await
    }
}

async fn shake_hands<S>(mut socket: S, url: &Url, headers: &[(&str, &str)]) -> Result<Dialled, DialError>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let key = BASE64.encode(fastrand::u128(..).to_be_bytes());
    socket.write_all(request(url, &key, headers).as_bytes()).await?;
    let mut answer = BytesMut::with_capacity(1024);
    let head = loop {
        if socket.read_buf(&mut answer).await? == 0 {
            return Err(DialError::Unreachable("it closed the connection during the handshake".to_owned()));
        }
        match Head::parse(&answer) {
            Ok(Some(head)) => break head,
            Ok(None) if answer.len() < ANSWER_LIMIT => {}
            _ => return Err(DialError::Unreachable("its answer to the handshake is no HTTP".to_owned())),
        }
    };
    let mut rest = answer.split_off(head.length);
    if head.status != 101 {
        let length = head.content_length.unwrap_or(0).min(ANSWER_LIMIT);
        while rest.len() < length && socket.read_buf(&mut rest).await? > 0 {}
        rest.truncate(length);
        return Err(DialError::Refused {
            status: head.status,
            retry_after: head.retry_after,
            body: rest.to_vec(),
        });
    }
    let expected = BASE64.encode(Sha1::new().chain_update(key).chain_update(ACCEPT_GUID).finalize());
    if head.accept.as_deref() != Some(expected.as_str()) {
        return Err(DialError::Unreachable("it does not speak WebSocket".to_owned()));
    }
    Ok(Dialled { socket: Box::new(socket), early: rest.freeze() })
}

fn request(url: &Url, key: &str, headers: &[(&str, &str)]) -> String {
    let host = url.host_str().unwrap_or_default();
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut request = format!(
        "GET {}{query} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n",
        url.path()
    );
    if let Some(authorization) = basic_authorization(url) {
        request.push_str(&format!("Authorization: {authorization}\r\n"));
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request + "\r\n"
}

/// The `Authorization` header for a URL that holds a user's name.
pub fn basic_authorization(url: &Url) -> Option<String> {
    let named = !url.username().is_empty() || url.password().is_some();
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = || format!("{}:{}", decoded(url.username()), decoded(url.password().unwrap_or_default()));
    named.then(|| format!("Basic {}", BASE64.encode(user())))
}

/// The parsed head of a response.
struct Head {
    /// The number of its bytes.
    length: usize,
    status: u16,
    accept: Option<String>,
    content_length: Option<usize>,
    retry_after: Option<Duration>,
}

impl Head {
    /// `None` while bytes are missing.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, httparse::Error> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_LIMIT];
        let mut answer = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = answer.parse(bytes)? else { return Ok(None) };
        let value = |name: &str| {
            let header = answer.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(header.value).ok().map(|value| value.trim().to_owned())
        };
        Ok(Some(Self {
            length,
            status: answer.code.unwrap_or_default(),
            accept: value("sec-websocket-accept"),
            content_length: value("content-length").and_then(|length| length.parse().ok()),
            retry_after: value("retry-after").and_then(|wait| wait.parse().ok()).map(Duration::from_secs),
        }))
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A server for one connection: answers the handshake with what `answer` makes of its key.
    async fn server(
        answer: impl Fn(&str) -> String + 'static,
    ) -> (Url, tokio::sync::oneshot::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://127.0.0.1:{}/a/b?c=d", listener.local_addr().unwrap().port());
        let (sender, seen) = tokio::sync::oneshot::channel();
        actix_rt::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = BytesMut::new();
            while !request.ends_with(b"\r\n\r\n") {
                assert!(socket.read_buf(&mut request).await.unwrap() > 0);
            }
            let request = String::from_utf8(request.to_vec()).unwrap();
            let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
            socket.write_all(answer(key).as_bytes()).await.unwrap();
            sender.send(request).unwrap();
        });
        (Url::parse(&url).unwrap(), seen)
    }

    fn accepting(key: &str) -> String {
        let accept = BASE64.encode(Sha1::new().chain_update(key).chain_update(ACCEPT_GUID).finalize());
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nSEC-WEBSOCKET-ACCEPT: {accept}\r\n\r\nearly"
        )
    }

    #[actix::test]
    async fn bytes_sent_right_after_the_upgrade_are_kept() {
        let (url, seen) = server(accepting).await;
        let dialled = dial(&url, &[("User-Agent", "Playwright/1.62.1")]).await.ok().unwrap();
        assert_eq!(&dialled.early[..], b"early");
        let request = seen.await.unwrap();
        assert!(request.starts_with("GET /a/b?c=d HTTP/1.1\r\nHost: 127.0.0.1:"), "{request}");
        assert!(request.contains("User-Agent: Playwright/1.62.1\r\n"), "{request}");
        assert!(!request.contains("Origin") && !request.contains("Authorization"), "{request}");
    }

    #[actix::test]
    async fn a_rejection_is_passed_on_unchanged() {
        let refusal =
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 7\r\nRetry-After: 5\r\n\r\n{\"a\":1}more";
        let (url, _seen) = server(|_| refusal.to_owned()).await;
        match dial(&url, &[]).await.err().unwrap() {
            DialError::Refused { status, retry_after, body } => {
                assert_eq!(
                    (status, retry_after, &body[..]),
                    (503, Some(Duration::from_secs(5)), &br#"{"a":1}"#[..])
                );
            }
            other => panic!("{other:?}"),
        }
    }

    #[actix::test]
    async fn a_server_that_does_not_speak_websocket_is_an_error() {
        for answer in
            ["HTTP/1.1 101 Switching\r\nSec-WebSocket-Accept: wrong\r\n\r\n", "SSH-2.0-x\r\n\r\n", ""]
        {
            let (url, _seen) = server(move |_| answer.to_owned()).await;
            assert!(matches!(dial(&url, &[]).await.err().unwrap(), DialError::Unreachable(_)), "{answer:?}");
        }
    }

    #[test]
    fn a_user_in_the_url_is_sent_in_the_authorization_header() {
        let authorization = |url: &str| basic_authorization(&Url::parse(url).unwrap());
        assert_eq!(authorization("ws://h/"), None);
        assert_eq!(authorization("ws://user:p%40ss@h/").as_deref(), Some("Basic dXNlcjpwQHNz"));
    }
}
