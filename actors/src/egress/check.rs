//! Checks of exits: from which address connections leave, where that is, and how long they take.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use camofleet_api::egress::{ProxyCheck, Refusal};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};
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
    Exit(&'static str),
    /// The service was not reached, or has not answered as expected.
    Service(String),
}

/// Checks an exit.
pub(super) async fn check(dialler: &Dialler, settings: &CheckSettings, exit: &Exit) -> ProxyCheck {
    let deadline = Instant::now() + settings.timeout;
    let mut problems = Vec::new();
    for (at, url) in settings.urls.iter().enumerate() {
        let started = Instant::now();
        // A service that hangs leaves time for the others.
        let attempts = u32::try_from(settings.urls.len() - at).unwrap_or(u32::MAX);
        let limit = deadline.saturating_duration_since(started) / attempts;
        let asked = timeout(limit, exit_address(dialler, exit, url, limit)).await;
        match asked.unwrap_or_else(|_| Err(Failure::Service(silent(limit)))) {
            Ok(address) => {
                let latency = started.elapsed();
                let place = settings.cities.place(address).await;
                return ProxyCheck {
                    ok: true,
                    exit_ip: Some(address.to_string()),
                    country: place.country,
                    city: place.city,
                    timezone: place.timezone,
                    latency_ms: u64::try_from(latency.as_millis()).ok(),
                    error: None,
                };
            }
            Err(Failure::Exit(problem)) => {
                problems = vec![problem.to_owned()];
                break;
            }
            // Not the whole URL, which may hold a key.
            Err(Failure::Service(problem)) => {
                problems.push(format!("{}: {problem}", url.host_str().unwrap_or_default()));
            }
        }
    }
    let error = problems.join("; ");
    log::debug!("a check of a proxy failed: {error}");
    ProxyCheck { error: Some(error), ..ProxyCheck::default() }
}

fn silent(limit: Duration) -> String {
    format!("no answer within {:.1} s", limit.as_secs_f32())
}

/// The address that a service sees a connection by an exit come from.
async fn exit_address(
    dialler: &Dialler,
    exit: &Exit,
    url: &Url,
    limit: Duration,
) -> Result<IpAddr, Failure> {
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
    let Connected { upstream, early } = connected.map_err(|reason| failure(reason, limit))?;
    if !early.is_empty() {
        return Err(unreachable("it sent something before it was asked"));
    }
    let body = match secure {
        true => {
            let secured = tls::connect(&destination.host.to_string(), upstream).await;
            let secured = secured.map_err(|error| Failure::Service(format!("no TLS connection: {error}")))?;
            get(secured, url).await
        }
        false => get(upstream, url).await,
    };
    let body = body.map_err(Failure::Service)?;
    address_in(&body)
        .ok_or_else(|| unreachable("its answer is neither an address nor a JSON object with one as 'ip'"))
}

/// What a refused connection says about the exit and the service.
fn failure(reason: Refusal, limit: Duration) -> Failure {
    match reason {
        Refusal::Unresolved => Failure::Service("its name has no address".to_owned()),
        Refusal::Unreachable | Refusal::Malformed => Failure::Service("it can't be reached".to_owned()),
        Refusal::TimedOut => Failure::Service(silent(limit)),
        Refusal::ProxyUnreachable => Failure::Exit("the proxy can't be reached"),
        Refusal::ProxyDenied => Failure::Exit("the proxy requires another user name or password"),
        Refusal::ProxyFailed => Failure::Exit("the proxy answered with an error, or not as its protocol says"),
        Refusal::Fleet => Failure::Exit("something of camofleet listens at the proxy's address"),
        Refusal::LinkLocal => {
            Failure::Exit("the proxy's address is link-local, or the metadata service of a cloud")
        }
        Refusal::NotPublic => {
            Failure::Exit("the proxy's address is not public, and RUNNER_EGRESS is 'public'")
        }
        Refusal::Denied => Failure::Exit("RUNNER_EGRESS_DENY names the proxy"),
        Refusal::Blocked | Refusal::NoSession | Refusal::TooMany => Failure::Exit("it is refused"),
    }
}

/// Gets the body of a URL over a connection to its host.
async fn get<S>(stream: S, url: &Url) -> Result<Bytes, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let broke = |error: &dyn std::error::Error| format!("its answer could not be read: {}", with_sources(error));
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
