//! Checks of exits: from which address connections leave, where that is, and how long they take.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use camofleet_api::egress::{ProxyCheck, Refusal, SERVICE_FAILED};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use url::{Host, Position, Url};

use super::dial::{Connected, Dialler};
use super::exit::Exit;
use super::places::CityDatabase;
use super::socks::Destination;
use crate::model::error::with_sources;
use crate::net::tls;

/// The longest head of a service's answer, in bytes, and the longest body.
const HEAD_LIMIT: usize = 16 << 10;
const BODY_LIMIT: usize = 16 << 10;

/// How exits are checked.
#[derive(Debug, Clone)]
pub struct CheckSettings {
    /// Services that answer with the address of their caller, as plain text or as the field `ip` of a JSON object, in the
    /// order in which they are tried; `http` or `https`.
    pub urls: Vec<Url>,
    /// How long a check may take.
    pub timeout: Duration,
    /// Where the places of addresses are looked up.
    pub cities: CityDatabase,
}

/// Why a service did not name an address.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// The exit does not work, so that other services would not answer either.
    Exit(Refusal, &'static str),
    /// The proxy answered with an error, or not in time, which may be because of the service.
    Proxy(Refusal, String),
    /// The service was not reached, or has not answered as expected.
    Service(String),
}

/// Checks an exit.
pub(super) async fn check(dialler: &Dialler, settings: &CheckSettings, exit: &Exit) -> ProxyCheck {
    let deadline = Instant::now() + settings.timeout;
    let mut problems = Vec::new();
    let mut codes = Vec::new();
    for (at, url) in settings.urls.iter().enumerate() {
        let started = Instant::now();
        // A service that hangs leaves time for the others.
        let attempts = u32::try_from(settings.urls.len() - at).unwrap_or(u32::MAX);
        let limit = deadline.saturating_duration_since(started) / attempts;
        match exit_address(dialler, exit, url, limit).await {
            Ok(address) => {
                let latency = started.elapsed();
                let place = settings.cities.place(address).await;
                return ProxyCheck {
                    ok: true,
                    exit_ip: Some(address.to_string()),
                    country: place.country,
                    city: place.city,
                    location: place.location,
                    timezone: place.timezone,
                    latency_ms: u64::try_from(latency.as_millis()).ok(),
                    error: None,
                    code: None,
                };
            }
            Err(Failure::Exit(reason, problem)) => {
                (problems, codes) = (vec![problem.to_owned()], vec![reason.as_str()]);
                break;
            }
            Err(Failure::Proxy(reason, problem)) => {
                problems.push(problem);
                codes.push(reason.as_str());
            }
            // Not the whole URL, which may hold a key.
            Err(Failure::Service(problem)) => {
                problems.push(format!("{}: {problem}", url.host_str().unwrap_or_default()));
                codes.push(SERVICE_FAILED);
            }
        }
    }
    problems.dedup();
    // The proxy is at fault only if no service failed by itself.
    let code = codes.iter().find(|code| **code == SERVICE_FAILED).or(codes.first());
    let code = code.map(|code| (*code).to_owned());
    let error = problems.join("; ");
    log::debug!("a check of a proxy failed: {error}");
    ProxyCheck { error: Some(error), code, ..ProxyCheck::default() }
}

fn silent(limit: Duration) -> String {
    format!("no answer within {:.1} s", limit.as_secs_f32())
}

/// The address that a service sees a connection by an exit come from, within a time.
async fn exit_address(dialler: &Dialler, exit: &Exit, url: &Url, limit: Duration) -> Result<IpAddr, Failure> {
    let deadline = Instant::now() + limit;
    let unreachable = |problem: &str| Failure::Service(problem.to_owned());
    let host = match url.host() {
        Some(Host::Domain(name)) => Host::Domain(name.to_ascii_lowercase()),
        Some(Host::Ipv4(address)) => Host::Ipv4(address),
        Some(Host::Ipv6(address)) => Host::Ipv6(address),
        None => return Err(unreachable("it has no host")),
    };
    let secure = url.scheme() == "https";
    let port = url.port_or_known_default().unwrap_or(if secure { 443 } else { 80 });
    let destination = Destination { host, port };
    let connected = dialler.connect_trusted(exit, &destination, limit).await;
    let Connected { upstream, early } = connected.map_err(|reason| match (reason, exit) {
        (Refusal::TimedOut, Exit::Server { .. } | Exit::Pool { .. }) => {
            let problem = format!("the proxy has made no connection within {:.1} s", limit.as_secs_f32());
            Failure::Proxy(reason, problem)
        }
        _ => failure(reason, limit),
    })?;
    if !early.is_empty() {
        return Err(unreachable("it sent something before it was asked"));
    }
    let answer = async {
        match secure {
            true => {
                let secured = tls::connect(&destination.host.to_string(), upstream).await;
                get(secured.map_err(|error| format!("no TLS connection: {error}"))?, url).await
            }
            false => get(upstream, url).await,
        }
    };
    let body = timeout_at(deadline, answer).await.unwrap_or_else(|_| Err(silent(limit)));
    let body = body.map_err(Failure::Service)?;
    address_in(&body)
        .ok_or_else(|| unreachable("its answer is neither an address nor a JSON object with one as 'ip'"))
}

/// What a refused connection says about the exit and the service.
fn failure(reason: Refusal, limit: Duration) -> Failure {
    let problem = match reason {
        Refusal::Unresolved => return Failure::Service("its name has no address".to_owned()),
        Refusal::Unreachable | Refusal::Malformed => {
            return Failure::Service("it can't be reached".to_owned());
        }
        Refusal::TimedOut => return Failure::Service(silent(limit)),
        Refusal::ProxyFailed => {
            let problem = "the proxy answered with an error, or not as its protocol says";
            return Failure::Proxy(reason, problem.to_owned());
        }
        Refusal::ProxyUnreachable => "the proxy can't be reached",
        Refusal::ProxyDenied => "the proxy requires another user name or password",
        Refusal::Fleet => "something of camofleet listens at the proxy's address",
        Refusal::LinkLocal => "the proxy's address is link-local, or the metadata service of a cloud",
        Refusal::NotPublic => "the proxy's address is not public, and RUNNER_EGRESS is 'public'",
        Refusal::Denied => "RUNNER_EGRESS_DENY names the proxy",
        Refusal::Blocked | Refusal::NoSession | Refusal::TooMany => "it is refused",
    };
    Failure::Exit(reason, problem)
}

/// Gets the body of a URL over a connection to its host.
async fn get<S>(stream: S, url: &Url) -> Result<Bytes, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let broke =
        |error: &dyn std::error::Error| format!("its answer could not be read: {}", with_sources(error));
    let request = Request::get(&url[Position::BeforePath..Position::AfterQuery])
        .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
        .header(USER_AGENT, concat!("camofleet/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "text/plain, application/json")
        .body(Empty::<Bytes>::new())
        .map_err(|error| broke(&error))?;
    let handshake = http1::Builder::new().max_buf_size(HEAD_LIMIT).handshake(TokioIo::new(stream)).await;
    let (mut requests, connection) = handshake.map_err(|error| broke(&error))?;
    let exchange = async {
        let answer = requests.send_request(request).await.map_err(|error| broke(&error))?;
        if answer.status() != StatusCode::OK {
            return Err(format!("it answered {}", answer.status().as_u16()));
        }
        let body = Limited::new(answer.into_body(), BODY_LIMIT).collect().await;
        body.map(|body| body.to_bytes()).map_err(|error| broke(error.as_ref()))
    };
    tokio::pin!(connection, exchange);
    tokio::select! {
        biased;
        body = &mut exchange => body,
        // What was received before is still to be read.
        _ = &mut connection => exchange.await,
    }
}

/// The address in the body of an answer.
fn address_in(body: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(body).ok()?.trim();
    text.parse().ok().or_else(|| {
        let answer: Value = serde_json::from_str(text).ok()?;
        answer.get("ip")?.as_str()?.trim().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use camofleet_api::proxy::ProxyChoice;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::super::exit::ProxyPools;
    use super::super::names::NameService;
    use super::super::policy::{EgressLevel, EgressPolicy};
    use super::super::{EgressHost, MOST_CHECKS};
    use super::*;
    use crate::metrics::Metrics;
    use crate::model::error::Error;
    use crate::testing::fake_os::FakeOs;
    use crate::testing::worker_settings;

    fn dialler(level: EgressLevel) -> Dialler {
        let policy = EgressPolicy { level, deny: Vec::new(), allow: Vec::new() };
        let names = NameService { server: None, ipv6: false };
        Dialler::new(Arc::new(FakeOs::new()), policy, names, Duration::from_secs(10))
    }

    /// A service that gives each visitor this answer; the requests that it got.
    async fn service(answer: impl Into<Vec<u8>>) -> (Url, mpsc::UnboundedReceiver<String>) {
        let (answer, listener) = (answer.into(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let url = url(listener.local_addr().unwrap());
        let (sender, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let (mut visitor, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(visitor.read_u8().await.unwrap());
                }
                sender.send(String::from_utf8(request).unwrap()).ok();
                // It hangs up on those that send too much.
                visitor.write_all(&answer).await.ok();
            }
        });
        (url, requests)
    }

    fn url(address: SocketAddr) -> Url {
        format!("http://{address}/ip?key=s3cret").parse().unwrap()
    }

    fn settings(urls: impl IntoIterator<Item = Url>) -> CheckSettings {
        CheckSettings {
            urls: urls.into_iter().collect(),
            timeout: Duration::from_secs(10),
            cities: CityDatabase::default(),
        }
    }

    /// An address on which nothing listens.
    async fn closed() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
    }

    fn through(proxy: &str) -> Exit {
        let choice: ProxyChoice = proxy.parse().unwrap();
        ProxyPools::default().exit(&choice, &0).unwrap()
    }

    #[test]
    fn an_address_is_plain_text_or_the_field_ip() {
        for (body, expected) in [
            ("192.0.2.7", Some("192.0.2.7")),
            ("2001:db8::1\n", Some("2001:db8::1")),
            (r#"{"ip": "192.0.2.7", "city": "x"}"#, Some("192.0.2.7")),
            (r#"{"ip": 5}"#, None),
            (r#"{"address": "192.0.2.7"}"#, None),
            (r#"["192.0.2.7"]"#, None),
            ("<html>192.0.2.7</html>", None),
            ("192.0.2.7 192.0.2.8", None),
            ("", None),
        ] {
            assert_eq!(address_in(body.as_bytes()), expected.map(|text| text.parse().unwrap()), "{body}");
        }
        assert_eq!(address_in(&[0xff]), None);
    }

    #[tokio::test]
    async fn services_are_tried_in_order_until_one_names_an_address() {
        let large = format!("HTTP/1.1 200 OK\r\n\r\n{}", " ".repeat(BODY_LIMIT + 1));
        let head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n192.0.2.1", "x".repeat(2 * HEAD_LIMIT));
        let (bad, mut good) = (
            [
                service("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await.0,
                service("HTTP/1.1 302 Found\r\nlocation: http://192.0.2.9/\r\ncontent-length: 0\r\n\r\n").await.0,
                service("HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n<html></html>").await.0,
                service("HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n192.0.2.1").await.0,
                service("SSH-2.0-OpenSSH\r\n").await.0,
                service(large).await.0,
                service(head).await.0,
                url(closed().await),
            ],
            service("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\n{\"ip\r\n11\r\n\": \"2001:db8::7\"}\r\n0\r\n\r\n").await,
        );
        let all = settings(bad.iter().cloned().chain([good.0.clone()]));
        let checked = check(&dialler(EgressLevel::Public), &all, &Exit::Direct).await;
        assert_eq!((checked.ok, checked.exit_ip.as_deref()), (true, Some("2001:db8::7")), "{checked:?}");
        assert!(checked.latency_ms.is_some_and(|took| took < 5000) && checked.error.is_none());
        let asked = good.1.recv().await.unwrap();
        assert!(asked.starts_with("GET /ip?key=s3cret HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains(&format!("host: 127.0.0.1:{}\r\n", good.0.port().unwrap())), "{asked}");

        let checked = check(&dialler(EgressLevel::Public), &settings(bad), &Exit::Direct).await;
        assert_eq!((checked.ok, checked.exit_ip, checked.latency_ms), (false, None, None));
        assert_eq!(checked.code.as_deref(), Some(SERVICE_FAILED));
        let error = checked.error.unwrap();
        let expected = [
            "it answered 503",
            "it answered 302",
            "neither an address nor a JSON object",
            "could not be read",
            "could not be read",
            "could not be read",
            "could not be read",
            "it can't be reached",
        ];
        for (problem, expected) in error.split("; ").zip(expected) {
            assert!(problem.starts_with("127.0.0.1: ") && problem.contains(expected), "{error}");
        }
        assert_eq!(error.split("; ").count(), expected.len());
        assert!(!error.contains("s3cret"), "{error}");
    }

    #[tokio::test]
    async fn a_service_that_hangs_leaves_time_for_the_next() {
        // They accept connections, and are not read from.
        let hanging = [
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        ];
        let urls = [
            url(hanging[0].local_addr().unwrap()),
            url(hanging[1].local_addr().unwrap()),
            service("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n192.0.2.1").await.0,
        ];
        let mut all = settings(urls.clone());
        all.timeout = Duration::from_secs(3);
        let checked = check(&dialler(EgressLevel::NoFleet), &all, &Exit::Direct).await;
        assert!(checked.ok, "{checked:?}");
        all.urls.truncate(2);
        all.timeout = Duration::from_millis(400);
        let (started, checked) =
            (Instant::now(), check(&dialler(EgressLevel::NoFleet), &all, &Exit::Direct).await);
        assert!(!checked.ok && started.elapsed() >= Duration::from_millis(400));
        assert!(checked.error.unwrap().starts_with("127.0.0.1: no answer within 0.2 s"));
    }

    #[tokio::test]
    async fn the_proxy_is_judged_and_its_failure_ends_the_check() {
        let (service, mut requests) = service("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n192.0.2.1").await;
        let all = settings([service.clone(), service]);
        let dead = closed().await;
        for (level, proxy, code, expected) in [
            (
                EgressLevel::NoFleet,
                format!("socks5://me:s3cret@{dead}"),
                "proxy_unreachable",
                "the proxy can't be reached",
            ),
            (
                EgressLevel::NoFleet,
                "http://does-not-exist.invalid".to_owned(),
                "proxy_unreachable",
                "the proxy can't be reached",
            ),
            (
                EgressLevel::Public,
                format!("socks5://{dead}"),
                "not_public",
                "the proxy's address is not public, and RUNNER_EGRESS is 'public'",
            ),
            (
                EgressLevel::NoFleet,
                "http://169.254.169.254:80".to_owned(),
                "link_local",
                "the proxy's address is link-local, or the metadata service of a cloud",
            ),
        ] {
            let checked = check(&dialler(level), &all, &through(&proxy)).await;
            let (error, code) = (Some(expected.to_owned()), Some(code.to_owned()));
            assert_eq!(checked, ProxyCheck { error, code, ..ProxyCheck::default() });
        }
        assert!(requests.try_recv().is_err(), "it never connects directly");
    }

    #[tokio::test]
    async fn a_proxy_that_hangs_is_not_taken_for_a_service_that_does() {
        let (service, _requests) = service("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n192.0.2.1").await;
        // It accepts connections, and is not read from.
        let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut all = settings([service.clone(), service]);
        all.timeout = Duration::from_millis(400);
        for scheme in ["socks5", "http", "https"] {
            let proxy = through(&format!("{scheme}://{}", hanging.local_addr().unwrap()));
            let checked = check(&dialler(EgressLevel::NoFleet), &all, &proxy).await;
            assert_eq!(
                checked.error.as_deref(),
                Some("the proxy has made no connection within 0.2 s"),
                "{scheme}"
            );
            assert_eq!(checked.code.as_deref(), Some("timed_out"), "{scheme}");
        }
    }

    #[actix::test]
    async fn few_checks_run_at_once_and_one_that_is_not_waited_for_ends() {
        let os = FakeOs::new();
        let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = |urls| {
            let mut egress = worker_settings(&os).launch.egress;
            egress.checks = settings(urls);
            EgressHost::new(&egress, Arc::new(os.clone()), Metrics::new().unwrap().egress())
        };
        assert_eq!(host(vec![]).check(Exit::Direct).await, Err(Error::NoExitIpUrl { field: None }));
        let host = host(vec![url(hanging.local_addr().unwrap())]);
        let mut open = Vec::new();
        let mut checks: Vec<_> =
            (0..MOST_CHECKS).map(|_| Box::pin(host.clone().check(Exit::Direct))).collect();
        for check in &mut checks {
            tokio::select! {
                checked = check => panic!("{checked:?}"),
                accepted = hanging.accept() => open.push(accepted.unwrap().0),
            }
        }
        let surplus = host.clone().check(Exit::Direct).await;
        assert_eq!(surplus, Err(Error::TooManyChecks { limit: MOST_CHECKS }));
        checks.pop();
        // Its connection is closed, after its request.
        let mut rest = Vec::new();
        let ended = open.last_mut().unwrap().read_to_end(&mut rest);
        timeout(Duration::from_secs(10), ended).await.unwrap().unwrap();
        let mut next = Box::pin(host.check(Exit::Direct));
        tokio::select! {
            checked = &mut next => panic!("{checked:?}"),
            accepted = hanging.accept() => drop(accepted.unwrap()),
        }
        drop(checks);
    }
}
