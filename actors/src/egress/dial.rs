//! Connects to destinations: directly, or through a proxy.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use camofleet_api::egress::Refusal;
use camofleet_api::proxy::{Credentials, ProxyScheme, ProxyServer};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::client::TlsStream;
use url::Host;

use super::Route;
use super::batch::Batched;
use super::exit::{Candidate, Exit};
use super::names::NameService;
use super::policy::{self, EgressPolicy, NameVerdict, Permit, is_localhost};
use super::socks::{self, Destination};
use crate::host::rundir::RUN_DIR_MARK;
use crate::net::tls;
use crate::process::Os;

/// How long one address of a name is tried before the next one is tried as well (RFC 8305, section 5).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);
/// The longest answer of an HTTP proxy, in bytes, and the most headers in it.
const ANSWER_LIMIT: usize = 16 << 10;
const HEADERS_LIMIT: usize = 64;

/// A connection to a destination or to a proxy.
pub(super) enum Upstream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Upstream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Upstream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, data),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, data),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// An established connection, and what its other end has sent already.
pub(super) struct Connected {
    pub upstream: Upstream,
    pub early: Bytes,
}

/// What connections are made with.
pub(super) struct Dialler {
    policy: EgressPolicy,
    names: NameService,
    /// How long establishing a connection may take.
    limit: Duration,
    /// Whether addresses lead to this machine.
    own_addresses: Batched<IpAddr, bool>,
    /// Whether something of camofleet listens on ports of this machine.
    own_listeners: Batched<u16, bool>,
}

/// Why a connection through one proxy failed.
struct ProxyFailure {
    reason: Refusal,
    /// Whether another proxy may do better.
    try_next: bool,
    /// Whether this one works, or is to be left out for a while; `None` if this failure says nothing about it.
    works: Option<bool>,
}

/// How far a connection through a proxy is.
#[derive(Clone, Copy)]
enum Progress {
    /// The proxy has answered nothing.
    Connecting,
    /// The destination was requested by the first message that the proxy has to answer.
    Asked(Instant),
    /// The proxy has answered, and the destination was requested then.
    Answered,
}

impl Dialler {
    /// Connects by these rules and names, each connection within `limit`.
    pub fn new(os: Arc<dyn Os>, policy: EgressPolicy, names: NameService, limit: Duration) -> Self {
        let for_listeners = Arc::clone(&os);
        Self {
            policy,
            names,
            limit,
            own_addresses: Batched::new(move |addresses| os.own_addresses(addresses)),
            own_listeners: Batched::new(move |ports| for_listeners.own_listeners(ports, RUN_DIR_MARK)),
        }
    }

    /// Connects to a destination by the route of a session.
    ///
    /// # Errors
    /// Why there is no connection. Never falls back from a proxy to a direct connection.
    pub async fn connect(&self, route: &Route, destination: &Destination) -> Result<Connected, Refusal> {
        let Destination { host, port } = destination;
        let verdict = match host {
            Host::Domain(name) if route.block.contain(name) => return Err(Refusal::Blocked),
            Host::Domain(name) => self.policy.judge_name(name, *port)?,
            _ => NameVerdict::NONE,
        };
        let candidates = route.exit.candidates();
        let bypasses = || {
            route.exit.bypass().iter().any(|pattern| match host {
                Host::Domain(name) => pattern.matches_name(name, *port),
                Host::Ipv4(address) => pattern.matches_address((*address).into(), *port),
                Host::Ipv6(address) => pattern.matches_address((*address).into(), *port),
            })
        };
        if candidates.is_empty() || bypasses() {
            let direct = self.connect_directly(host, *port, Some(verdict));
            let stream = timeout(self.limit, direct).await.map_err(|_| Refusal::TimedOut)??;
            return Ok(Connected { upstream: Upstream::Tcp(stream), early: Bytes::new() });
        }
        // The proxy may run on this machine, or in its network.
        match addresses_of(host) {
            Some(addresses) => {
                for address in addresses {
                    self.admit(address, *port, verdict).await?;
                }
            }
            None => self.policy.judge_remote_name(verdict)?,
        }
        self.connect_through_any(candidates, destination, self.limit).await
    }

    /// Connects by an exit to a destination that the operator has named, so that only the proxy is judged, within a time.
    ///
    /// # Errors
    /// Why there is no connection.
    pub async fn connect_trusted(
        &self,
        exit: &Exit,
        destination: &Destination,
        limit: Duration,
    ) -> Result<Connected, Refusal> {
        let candidates = exit.candidates();
        if !candidates.is_empty() {
            return self.connect_through_any(candidates, destination, limit).await;
        }
        let direct = self.connect_directly(&destination.host, destination.port, None);
        let stream = timeout(limit, direct).await.map_err(|_| Refusal::TimedOut)??;
        Ok(Connected { upstream: Upstream::Tcp(stream), early: Bytes::new() })
    }

    /// Connects through the first of these proxies that works.
    async fn connect_through_any(
        &self,
        candidates: Vec<Candidate<'_>>,
        destination: &Destination,
        limit: Duration,
    ) -> Result<Connected, Refusal> {
        let limit = limit / u32::try_from(candidates.len()).unwrap_or(1).max(1);
        let mut reason = Refusal::ProxyUnreachable;
        for candidate in candidates {
            match self.connect_through(&candidate, destination, limit).await {
                Ok(connected) => {
                    candidate.record(None);
                    return Ok(connected);
                }
                Err(failure) => {
                    if let Some(works) = failure.works {
                        candidate.record((!works).then_some(failure.reason));
                    }
                    reason = failure.reason;
                    if !failure.try_next {
                        break;
                    }
                }
            }
        }
        Err(reason)
    }

    /// Connects to a host. `verdict` is the judgement on its name; `None` for a host that need not be judged.
    async fn connect_directly(
        &self,
        host: &Host<String>,
        port: u16,
        verdict: Option<NameVerdict>,
    ) -> Result<TcpStream, Refusal> {
        let addresses = match (addresses_of(host), host) {
            (Some(addresses), _) => addresses,
            (None, Host::Domain(name)) => self.names.addresses(name).await?,
            (None, _) => return Err(Refusal::Malformed),
        };
        let mut permitted = Vec::with_capacity(addresses.len());
        let mut refusal = Refusal::Unresolved;
        for address in addresses {
            let judged = match verdict {
                Some(verdict) => self.admit(address, port, verdict).await,
                None => Ok(()),
            };
            match judged {
                Ok(()) => permitted.push(SocketAddr::new(address, port)),
                Err(reason) => refusal = reason,
            }
        }
        if permitted.is_empty() {
            return Err(refusal);
        }
        connect_first(&permitted).await.map_err(|_| Refusal::Unreachable)
    }

    /// Judges an address before it is dialled.
    async fn admit(&self, address: IpAddr, port: u16, verdict: NameVerdict) -> Result<(), Refusal> {
        match self.policy.judge_address(address, port, verdict)? {
            Permit::Granted => Ok(()),
            Permit::UnlessFleet => {
                // Without an answer it might be.
                let is_own = async |address| self.own_addresses.ask(address).await.unwrap_or(true);
                let leads_here = is_own(address).await
                    || match policy::embedded(address) {
                        Some(embedded) => is_own(embedded).await,
                        None => false,
                    };
                if leads_here && self.own_listeners.ask(port).await.unwrap_or(true) {
                    Err(Refusal::Fleet)
                } else {
                    Ok(())
                }
            }
        }
    }

    async fn connect_through(
        &self,
        candidate: &Candidate<'_>,
        destination: &Destination,
        limit: Duration,
    ) -> Result<Connected, ProxyFailure> {
        let server = candidate.server;
        let dead = |reason| ProxyFailure { reason, try_next: true, works: Some(false) };
        let progress = Cell::new(Progress::Connecting);
        let connect = async {
            let verdict = match &server.host {
                _ if candidate.trusted => None,
                Host::Domain(name) => Some(self.policy.judge_name(name, server.port).map_err(dead)?),
                _ => Some(NameVerdict::NONE),
            };
            let connected = self.connect_directly(&server.host, server.port, verdict).await;
            let stream = connected.map_err(|reason| match reason {
                Refusal::Unreachable | Refusal::Unresolved => dead(Refusal::ProxyUnreachable),
                reason => dead(reason),
            })?;
            let mut upstream = match server.scheme {
                ProxyScheme::Https => {
                    let secured = tls::connect(&server.host.to_string(), stream).await;
                    let secured = secured.map_err(|error| {
                        log::debug!("the proxy {server} could not be reached by TLS: {error}");
                        dead(Refusal::ProxyUnreachable)
                    })?;
                    Upstream::Tls(Box::new(secured))
                }
                ProxyScheme::Http | ProxyScheme::Socks5 => Upstream::Tcp(stream),
            };
            let early = match server.scheme {
                ProxyScheme::Socks5 => {
                    match socks::log_in(&mut upstream, server.credentials.as_ref()).await {
                        Ok(()) => {
                            progress.set(Progress::Answered);
                            socks::connect_through(&mut upstream, destination).await.map(|()| Bytes::new())
                        }
                        Err(reason) => Err(reason),
                    }
                }
                ProxyScheme::Http | ProxyScheme::Https => {
                    progress.set(Progress::Asked(Instant::now()));
                    connect_by_http(&mut upstream, server, destination).await
                }
            };
            match early {
                Ok(early) => Ok(Connected { upstream, early }),
                Err(reason) => Err(ProxyFailure {
                    reason,
                    try_next: !matches!(
                        reason,
                        Refusal::Unreachable | Refusal::TimedOut | Refusal::Malformed
                    ),
                    works: Some(reason != Refusal::ProxyDenied),
                }),
            }
        };
        match timeout(limit, connect).await {
            Ok(connected) => connected,
            Err(_) => {
                // A proxy that works waits for a destination that is silent. Pages choose those: they must neither take it
                // from other sessions, nor meet another exit.
                let is_destinations = match progress.get() {
                    Progress::Connecting => false,
                    Progress::Asked(since) => candidate.has_answered_since(since),
                    Progress::Answered => true,
                };
                let slow = ProxyFailure { reason: Refusal::TimedOut, try_next: false, works: None };
                Err(if is_destinations { slow } else { dead(Refusal::TimedOut) })
            }
        }
    }
}

/// The addresses that a host is, or means wherever it is resolved.
fn addresses_of(host: &Host<String>) -> Option<Vec<IpAddr>> {
    match host {
        Host::Ipv4(address) => Some(vec![(*address).into()]),
        Host::Ipv6(address) => Some(vec![(*address).into()]),
        // Some development servers listen on one of the two only.
        Host::Domain(name) => {
            is_localhost(name).then(|| vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
        }
    }
}

/// Connects to the first of these addresses that accepts, each tried a little later than the one before or as soon as that
/// fails.
async fn connect_first(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut rest = addresses.iter();
    let mut attempts = FuturesUnordered::new();
    let mut last = io::Error::from(io::ErrorKind::HostUnreachable);
    loop {
        if let Some(address) = rest.next() {
            attempts.push(TcpStream::connect(*address));
        } else if attempts.is_empty() {
            return Err(last);
        }
        let more = rest.len() > 0;
        tokio::select! {
            Some(attempt) = attempts.next() => match attempt {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    watch_peer(&stream)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            },
            () = sleep(NEXT_ADDRESS), if more => {}
        }
    }
}

/// Lets the kernel close a connection whose other end has vanished without a word, within a minute.
fn watch_peer(stream: &TcpStream) -> io::Result<()> {
    setsockopt(stream, sockopt::KeepAlive, &true)?;
    setsockopt(stream, sockopt::TcpKeepIdle, &30)?;
    setsockopt(stream, sockopt::TcpKeepInterval, &10)?;
    setsockopt(stream, sockopt::TcpKeepCount, &3)?;
    Ok(())
}

/// Requests a tunnel from an HTTP proxy (RFC 9110, section 9.3.6); returns what came after its answer.
async fn connect_by_http(
    proxy: &mut Upstream,
    ProxyServer { credentials, .. }: &ProxyServer,
    Destination { host, port }: &Destination,
) -> Result<Bytes, Refusal> {
    let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
    if let Some(Credentials { username, password }) = credentials {
        let basic = BASE64.encode(format!("{username}:{password}"));
        request.push_str(&format!("Proxy-Authorization: Basic {basic}\r\n"));
    }
    request.push_str("\r\n");
    proxy.write_all(request.as_bytes()).await.map_err(|_| Refusal::ProxyFailed)?;
    proxy.flush().await.map_err(|_| Refusal::ProxyFailed)?;
    let mut received = BytesMut::new();
    loop {
        if received.len() >= ANSWER_LIMIT
            || proxy.read_buf(&mut received).await.map_err(|_| Refusal::ProxyFailed)? == 0
        {
            return Err(Refusal::ProxyFailed);
        }
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_LIMIT];
        let mut answer = httparse::Response::new(&mut headers);
        let Ok(parsed) = answer.parse(&received) else { return Err(Refusal::ProxyFailed) };
        if let httparse::Status::Complete(length) = parsed {
            return match answer.code {
                Some(200..=299) => Ok(received.split_off(length).freeze()),
                Some(401 | 407) => Err(Refusal::ProxyDenied),
                // 500 is that of tinyproxy.
                Some(500 | 502 | 503) => Err(Refusal::Unreachable),
                Some(504) => Err(Refusal::TimedOut),
                _ => Err(Refusal::ProxyFailed),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use camofleet_api::proxy::ProxyChoice;
    use tokio::sync::mpsc;

    use super::*;
    use crate::egress::blocking::SelectedLists;
    use crate::egress::exit::{PoolUse, ProxyPoolSettings, ProxyPools};
    use crate::egress::policy::EgressLevel;
    use crate::model::traffic::Traffic;
    use crate::process::SystemOs;

    fn dialler() -> Dialler {
        let policy = EgressPolicy { level: EgressLevel::NoFleet, deny: Vec::new(), allow: Vec::new() };
        let names = NameService { server: None, ipv6: true };
        Dialler::new(Arc::new(SystemOs::default()), policy, names, Duration::from_secs(5))
    }

    #[tokio::test]
    async fn the_fleet_is_refused_by_each_form_of_its_address() {
        let own = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = own.local_addr().unwrap().port();
        let dialler = dialler();
        let forms = [
            "127.0.0.1",
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "::ffff:0:7f00:1",
            "64:ff9b:1::7f00:1",
            "2002:7f00:1::",
        ];
        for form in forms {
            let admitted = dialler.admit(form.parse().unwrap(), port, NameVerdict::NONE).await;
            assert_eq!(admitted, Err(Refusal::Fleet), "{form}");
        }
    }

    /// A proxy that serves each connection so; its port, and how many it has accepted.
    async fn proxy<F: Future<Output = ()> + Send + 'static>(
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> (u16, Arc<AtomicUsize>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(connection));
            }
        });
        (port, accepted)
    }

    async fn read(connection: &mut TcpStream, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        connection.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    /// Reads an HTTP request.
    async fn read_head(connection: &mut TcpStream) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(connection.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    /// A route through a sticky pool of these proxies.
    fn through(urls: &[String]) -> Route {
        let servers = urls.iter().map(|url| url.parse().unwrap()).collect();
        let pool = ProxyPoolSettings { servers, pick: PoolUse::Sticky };
        let pools = ProxyPools::new(BTreeMap::from([("eu".to_owned(), pool)]), None);
        Route {
            exit: pools.exit(&ProxyChoice::Pool("eu".into()), &7).unwrap(),
            block: SelectedLists::default(),
            traffic: Traffic::default(),
        }
    }

    fn order(route: &Route) -> Vec<u16> {
        route.exit.candidates().iter().map(|candidate| candidate.server.port).collect()
    }

    fn named(name: &str) -> Destination {
        Destination { host: Host::Domain(name.into()), port: 80 }
    }

    /// Lets `connecting` run out of time once a proxy has sent the message that it waits.
    async fn run_out(
        connecting: impl Future<Output = Result<Connected, Refusal>>,
        asked: &mut mpsc::Receiver<()>,
    ) -> Option<Refusal> {
        let expire = async {
            asked.recv().await.unwrap();
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(20)).await;
            tokio::time::resume();
        };
        tokio::join!(connecting, expire).0.err()
    }

    #[tokio::test]
    async fn a_page_takes_no_socks_proxy_from_its_pool_and_meets_no_other_one_by_a_silent_destination() {
        let (notify, mut asked) = mpsc::channel(1);
        let serve = move |mut connection: TcpStream| {
            let notify = notify.clone();
            async move {
                read(&mut connection, 3).await;
                connection.write_all(&[5, 0]).await.unwrap();
                read(&mut connection, 4).await;
                notify.send(()).await.unwrap();
                std::future::pending().await
            }
        };
        let ((one, at_one), (two, at_two)) = (proxy(serve.clone()).await, proxy(serve).await);
        let route = through(&[format!("socks5://127.0.0.1:{one}"), format!("socks5://127.0.0.1:{two}")]);
        let before = order(&route);
        let failed = run_out(dialler().connect(&route, &named("silent.example")), &mut asked).await;
        assert_eq!(failed, Some(Refusal::TimedOut));
        assert_eq!(order(&route), before, "a proxy that works was left out");
        assert_eq!(at_one.load(Ordering::SeqCst) + at_two.load(Ordering::SeqCst), 1, "two exits were seen");
    }

    #[tokio::test]
    async fn a_page_takes_no_http_proxy_that_answers_others_from_its_pool_by_a_silent_destination() {
        let (notify, mut asked) = mpsc::channel(1);
        let serve = move |mut connection: TcpStream| {
            let notify = notify.clone();
            async move {
                let head = read_head(&mut connection).await;
                if head.starts_with("CONNECT silent") {
                    notify.send(()).await.unwrap();
                } else {
                    connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                }
                std::future::pending().await
            }
        };
        let ((one, at_one), (two, at_two)) = (proxy(serve.clone()).await, proxy(serve).await);
        let route = through(&[format!("http://127.0.0.1:{one}"), format!("http://127.0.0.1:{two}")]);
        let (before, dialler) = (order(&route), dialler());
        let silent = named("silent.example");
        let (forward, mut answered) = mpsc::channel(1);
        let other = async {
            asked.recv().await.unwrap();
            dialler.connect(&route, &named("other.example")).await.map(drop).unwrap();
            forward.send(()).await.unwrap();
        };
        let run_out = run_out(dialler.connect(&route, &silent), &mut answered);
        let (failed, ()) = tokio::join!(run_out, other);
        assert_eq!(failed, Some(Refusal::TimedOut));
        assert_eq!(order(&route), before, "a proxy that works was left out");
        assert_eq!(at_one.load(Ordering::SeqCst) * at_two.load(Ordering::SeqCst), 0, "two exits were seen");
    }

    #[tokio::test]
    async fn a_proxy_that_answers_nothing_is_left_out_and_the_next_one_is_taken() {
        for scheme in ["http", "socks5"] {
            let (notify, mut asked) = mpsc::channel(1);
            let first = Arc::new(AtomicUsize::new(0));
            let serve = move |mut connection: TcpStream| {
                let (notify, hangs) = (notify.clone(), first.fetch_add(1, Ordering::SeqCst) == 0);
                async move {
                    if hangs {
                        connection.read_u8().await.unwrap();
                        notify.send(()).await.unwrap();
                    } else if scheme == "http" {
                        read_head(&mut connection).await;
                        connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                    } else {
                        connection.write_all(&[5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
                    }
                    std::future::pending().await
                }
            };
            let ((one, _), (two, _)) = (proxy(serve.clone()).await, proxy(serve).await);
            let route =
                through(&[format!("{scheme}://127.0.0.1:{one}"), format!("{scheme}://127.0.0.1:{two}")]);
            let before = order(&route);
            let failed = run_out(dialler().connect(&route, &named("a.example")), &mut asked).await;
            assert_eq!(failed, None, "{scheme}");
            assert_eq!(order(&route), [before[1], before[0]], "{scheme}");
        }
    }

    #[tokio::test]
    async fn no_other_exit_meets_a_destination_that_a_proxy_could_not_reach() {
        for status in
            ["500 Unable to connect", "502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"]
        {
            let serve = move |mut connection: TcpStream| async move {
                read_head(&mut connection).await;
                connection.write_all(format!("HTTP/1.0 {status}\r\n\r\n").as_bytes()).await.unwrap();
            };
            let ((one, at_one), (two, at_two)) = (proxy(serve).await, proxy(serve).await);
            let route = through(&[format!("http://127.0.0.1:{one}"), format!("http://127.0.0.1:{two}")]);
            dialler().connect(&route, &named("closed.example")).await.map(drop).unwrap_err();
            assert_eq!(at_one.load(Ordering::SeqCst) + at_two.load(Ordering::SeqCst), 1, "{status}");
        }
    }
}
