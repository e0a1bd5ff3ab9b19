//! SOCKS 5 (RFC 1928), as the server of a browser and as the client of a proxy.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use camofleet_api::destination;
use camofleet_api::egress::Refusal;
use camofleet_api::proxy::Credentials;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use url::Host;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
/// User name and password (RFC 1929).
const PASSWORD: u8 = 2;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// The destination of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    /// A name in lower case, or an address.
    pub host: Host<String>,
    pub port: u16,
}

/// Reads what a browser wants to connect to.
///
/// # Errors
/// The browser disconnected, or does not speak SOCKS 5 ([`io::ErrorKind::InvalidData`]).
pub(super) async fn read_request(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> io::Result<Destination> {
    let invalid = |what: &'static str| io::Error::new(io::ErrorKind::InvalidData, what);
    if stream.read_u8().await? != VERSION {
        return Err(invalid("not SOCKS 5"));
    }
    let count = stream.read_u8().await?;
    let mut methods = vec![0; usize::from(count)];
    stream.read_exact(&mut methods).await?;
    if !methods.contains(&NO_AUTHENTICATION) {
        stream.write_all(&[VERSION, 0xff]).await?;
        return Err(invalid("no common authentication method"));
    }
    stream.write_all(&[VERSION, NO_AUTHENTICATION]).await?;
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [version, command, _, kind] = head;
    if version != VERSION || command != CONNECT {
        stream.write_all(&reply(Reply::CommandNotSupported)).await?;
        return Err(invalid("not a CONNECT"));
    }
    let host = match kind {
        IPV4 => Some(Host::Ipv4(Ipv4Addr::from(stream.read_u32().await?))),
        IPV6 => Some(match Ipv6Addr::from(stream.read_u128().await?).to_canonical() {
            IpAddr::V4(address) => Host::Ipv4(address),
            IpAddr::V6(address) => Host::Ipv6(address),
        }),
        NAME => {
            let length = stream.read_u8().await?;
            let mut name = vec![0; usize::from(length)];
            stream.read_exact(&mut name).await?;
            std::str::from_utf8(&name).ok().and_then(destination::host)
        }
        _ => None,
    };
    let port = stream.read_u16().await?;
    match host {
        Some(host) if port != 0 => Ok(Destination { host, port }),
        _ => {
            stream.write_all(&reply(Reply::AddressNotSupported)).await?;
            Err(invalid("not a valid destination"))
        }
    }
}

/// The replies of RFC 1928, section 6, that are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    Succeeded = 0,
    GeneralFailure = 1,
    NotAllowed = 2,
    HostUnreachable = 4,
    ConnectionRefused = 5,
    TtlExpired = 6,
    CommandNotSupported = 7,
    AddressNotSupported = 8,
}

/// The message of a reply, with an empty bound address.
fn reply(reply: Reply) -> [u8; 10] {
    [VERSION, reply as u8, 0, IPV4, 0, 0, 0, 0, 0, 0]
}

/// Tells a browser that its connection is established.
pub(super) async fn accept(stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    stream.write_all(&reply(Reply::Succeeded)).await
}

/// Tells a browser that its connection is not made. It shows its page for a failed connection at once.
pub(super) async fn refuse(stream: &mut (impl AsyncWrite + Unpin), reason: Refusal) -> io::Result<()> {
    let code = match reason {
        Refusal::NoSession
        | Refusal::Fleet
        | Refusal::LinkLocal
        | Refusal::NotPublic
        | Refusal::Denied
        | Refusal::Blocked => Reply::NotAllowed,
        Refusal::Unresolved => Reply::HostUnreachable,
        Refusal::Unreachable => Reply::ConnectionRefused,
        Refusal::TimedOut => Reply::TtlExpired,
        Refusal::Malformed => Reply::AddressNotSupported,
        Refusal::TooMany | Refusal::ProxyUnreachable | Refusal::ProxyDenied | Refusal::ProxyFailed => {
            Reply::GeneralFailure
        }
    };
    stream.write_all(&reply(code)).await?;
    stream.shutdown().await
}

/// Starts to speak with a SOCKS 5 proxy, and logs in if it requires that.
///
/// # Errors
/// The proxy refused, or does not speak SOCKS 5.
pub(super) async fn log_in(
    proxy: &mut (impl AsyncRead + AsyncWrite + Unpin),
    credentials: Option<&Credentials>,
) -> Result<(), Refusal> {
    let broke = |_: io::Error| Refusal::ProxyFailed;
    let methods: &[u8] = match credentials {
        None => &[VERSION, 1, NO_AUTHENTICATION],
        Some(_) => &[VERSION, 2, NO_AUTHENTICATION, PASSWORD],
    };
    proxy.write_all(methods).await.map_err(broke)?;
    let mut choice = [0; 2];
    proxy.read_exact(&mut choice).await.map_err(broke)?;
    match (choice, credentials) {
        ([VERSION, NO_AUTHENTICATION], _) => Ok(()),
        ([VERSION, PASSWORD], Some(credentials)) => authenticate(proxy, credentials).await,
        ([VERSION, _], _) => Err(Refusal::ProxyDenied),
        _ => Err(Refusal::ProxyFailed),
    }
}

/// Requests a connection from a SOCKS 5 proxy after [`log_in`]; it resolves names itself.
///
/// # Errors
/// The proxy refused, or broke the connection.
pub(super) async fn connect_through(
    proxy: &mut (impl AsyncRead + AsyncWrite + Unpin),
    Destination { host, port }: &Destination,
) -> Result<(), Refusal> {
    let broke = |_: io::Error| Refusal::ProxyFailed;
    let mut request = vec![VERSION, CONNECT, 0];
    match host {
        Host::Ipv4(address) => {
            request.push(IPV4);
            request.extend(address.octets());
        }
        Host::Ipv6(address) => {
            request.push(IPV6);
            request.extend(address.octets());
        }
        Host::Domain(name) => {
            request.push(NAME);
            request.push(u8::try_from(name.len()).map_err(|_| Refusal::Malformed)?);
            request.extend(name.as_bytes());
        }
    }
    request.extend(port.to_be_bytes());
    proxy.write_all(&request).await.map_err(broke)?;
    let mut head = [0; 4];
    proxy.read_exact(&mut head).await.map_err(broke)?;
    let [VERSION, code, _, kind] = head else { return Err(Refusal::ProxyFailed) };
    match code {
        0 => {}
        3..=5 => return Err(Refusal::Unreachable),
        6 => return Err(Refusal::TimedOut),
        _ => return Err(Refusal::ProxyFailed),
    }
    let bound = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => usize::from(proxy.read_u8().await.map_err(broke)?),
        _ => return Err(Refusal::ProxyFailed),
    };
    let mut rest = vec![0; bound + 2];
    proxy.read_exact(&mut rest).await.map_err(broke)?;
    Ok(())
}

async fn authenticate(
    proxy: &mut (impl AsyncRead + AsyncWrite + Unpin),
    Credentials { username, password }: &Credentials,
) -> Result<(), Refusal> {
    let length = |text: &str| u8::try_from(text.len()).map_err(|_| Refusal::ProxyDenied);
    let mut request = vec![1, length(username)?];
    request.extend(username.as_bytes());
    request.push(length(password)?);
    request.extend(password.as_bytes());
    proxy.write_all(&request).await.map_err(|_| Refusal::ProxyFailed)?;
    let mut answer = [0; 2];
    // Some proxies close the connection instead of answering.
    proxy.read_exact(&mut answer).await.map_err(|_| Refusal::ProxyDenied)?;
    if answer[1] == 0 { Ok(()) } else { Err(Refusal::ProxyDenied) }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn request(bytes: &[u8]) -> (io::Result<Destination>, Vec<u8>) {
        let (mut browser, mut egress) = tokio::io::duplex(1024);
        browser.write_all(bytes).await.unwrap();
        browser.shutdown().await.unwrap();
        let request = read_request(&mut egress).await;
        drop(egress);
        let mut answer = Vec::new();
        browser.read_to_end(&mut answer).await.unwrap();
        (request, answer)
    }

    fn named(name: &str, port: u16) -> Vec<u8> {
        let mut bytes = vec![5, 1, 0, 5, 1, 0, 3, u8::try_from(name.len()).unwrap()];
        bytes.extend(name.as_bytes());
        bytes.extend(port.to_be_bytes());
        bytes
    }

    #[tokio::test]
    async fn a_request_names_a_host_or_an_address() {
        let destination = |host, port| Destination { host, port };
        let (read, answer) = request(&named("Example.COM", 443)).await;
        assert_eq!(read.unwrap(), destination(Host::Domain("example.com".into()), 443));
        assert_eq!(answer, [5, 0]);
        let loopback = destination(Host::Ipv4(Ipv4Addr::LOCALHOST), 80);
        for name in ["127.0.0.1", "127.1", "0x7f000001", "::ffff:127.0.0.1"] {
            assert_eq!(request(&named(name, 80)).await.0.unwrap(), loopback, "{name}");
        }
        let (read, _) = request(&[5, 2, 2, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0, 80]).await;
        assert_eq!(read.unwrap(), loopback);
        let mut mapped = vec![5, 1, 0, 5, 1, 0, 4];
        mapped.extend(Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets());
        mapped.extend([0, 80]);
        assert_eq!(request(&mapped).await.0.unwrap(), loopback);
    }

    #[tokio::test]
    async fn anything_else_is_an_error_with_the_reply_for_it() {
        for (bytes, expected) in [
            (vec![4, 1, 0, 80, 127, 0, 0, 1, 0], vec![]),
            (vec![5, 1, 2], vec![5, 0xff]),
            (vec![5, 1, 0, 5, 3, 0, 1, 127, 0, 0, 1, 0, 80], vec![5, 0, 5, 7, 0, 1, 0, 0, 0, 0, 0, 0]),
            (named("a b", 80), vec![5, 0, 5, 8, 0, 1, 0, 0, 0, 0, 0, 0]),
            (named("", 80), vec![5, 0, 5, 8, 0, 1, 0, 0, 0, 0, 0, 0]),
            (named("a", 0), vec![5, 0, 5, 8, 0, 1, 0, 0, 0, 0, 0, 0]),
            (vec![5, 1], vec![]),
        ] {
            let (read, answer) = request(&bytes).await;
            assert!(read.is_err(), "{bytes:?}");
            assert_eq!(answer, expected, "{bytes:?}");
        }
    }

    /// The result of a connection through a proxy that sends these answers, and all that it received.
    async fn through(
        credentials: Option<Credentials>,
        host: Host<String>,
        answers: &[u8],
    ) -> (Result<(), Refusal>, Vec<u8>) {
        let (mut egress, mut proxy) = tokio::io::duplex(1024);
        proxy.write_all(answers).await.unwrap();
        proxy.shutdown().await.unwrap();
        let result = match log_in(&mut egress, credentials.as_ref()).await {
            Ok(()) => connect_through(&mut egress, &Destination { host, port: 80 }).await,
            refused => refused,
        };
        drop(egress);
        let mut received = Vec::new();
        proxy.read_to_end(&mut received).await.unwrap();
        (result, received)
    }

    fn credentials() -> Option<Credentials> {
        Some(Credentials { username: "me".into(), password: "pw".into() })
    }

    #[tokio::test]
    async fn a_proxy_gets_the_name_and_the_credentials() {
        let name = || Host::Domain("a.example".into());
        let done = [5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let (result, received) = through(None, name(), &done).await;
        assert_eq!(result, Ok(()));
        assert_eq!(received, b"\x05\x01\x00\x05\x01\x00\x03\x09a.example\x00\x50");
        let (result, received) =
            through(credentials(), name(), b"\x05\x02\x01\x00\x05\x00\x00\x03\x01a\x00\x00").await;
        assert_eq!(result, Ok(()));
        assert_eq!(received, b"\x05\x02\x00\x02\x01\x02me\x02pw\x05\x01\x00\x03\x09a.example\x00\x50");
        let (_, received) = through(None, Host::Ipv6(Ipv6Addr::LOCALHOST), &done).await;
        assert_eq!(received[6], IPV6);
    }

    #[tokio::test]
    async fn every_answer_of_a_proxy_has_its_reason() {
        for (answers, reason) in [
            (&b"\x05\xff"[..], Refusal::ProxyDenied),
            (b"\x05\x02\x01\x01", Refusal::ProxyDenied),
            (b"\x05\x02", Refusal::ProxyDenied),
            (b"HTTP/1.1 400", Refusal::ProxyFailed),
            (b"", Refusal::ProxyFailed),
            (b"\x05\x00\x05\x01\x00\x01\x00\x00\x00\x00\x00\x00", Refusal::ProxyFailed),
            (b"\x05\x00\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00", Refusal::ProxyFailed),
            (b"\x05\x00\x05\x04\x00\x01\x00\x00\x00\x00\x00\x00", Refusal::Unreachable),
            (b"\x05\x00\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00", Refusal::Unreachable),
            (b"\x05\x00\x05\x06\x00\x01\x00\x00\x00\x00\x00\x00", Refusal::TimedOut),
            (b"\x05\x00\x05\x00\x00\x09", Refusal::ProxyFailed),
        ] {
            let (result, _) = through(credentials(), Host::Domain("a".into()), answers).await;
            assert_eq!(result, Err(reason), "{answers:?}");
        }
        let (result, _) = through(None, Host::Domain("a".into()), b"\x05\x02").await;
        assert_eq!(result, Err(Refusal::ProxyDenied), "it requires credentials, and none are known");
    }
}
