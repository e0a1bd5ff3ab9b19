//! The gate before every route and every handshake: which callers may ask at all, before it matters what they ask.
//!
//! A browser sends requests in its user's name for any page that it shows. So what a browser asks on behalf of a foreign
//! page is refused: it neither changes nor reveals anything. Programs (Playwright, scripts, other roles) send no `Origin`
//! and pass.

use std::net::{IpAddr, Ipv6Addr};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{RequestHead, ServiceRequest, ServiceResponse, Url};
use actix_web::http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, ORIGIN, TRANSFER_ENCODING,
};
use actix_web::http::{ConnectionType, Method, Uri};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::body::BODY_TIME;
use crate::error::ApiError;
use crate::incoming::Refusal;
use crate::request::{Caller, view_key};
use crate::settings::{AccessSettings, CorsOrigins, Reach, Surface};
use crate::state::AppState;

/// What the gate looks at of a request.
pub(crate) struct Asked<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its path as the router reads it: decoded.
    pub path: String,
    /// Its target, which may be a whole address.
    pub target: &'a Uri,
    /// Its query.
    pub query: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// It is the handshake of a WebSocket.
    pub handshake: bool,
}

impl<'a> Asked<'a> {
    /// A request by its head.
    pub fn of(head: &'a RequestHead, handshake: bool) -> Self {
        Self {
            method: &head.method,
            path: Url::new(head.uri.clone()).path().to_owned(),
            target: &head.uri,
            query: head.uri.query().unwrap_or_default(),
            headers: &head.headers,
            handshake,
        }
    }

    fn header(&self, name: impl actix_web::http::header::AsHeaderName) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn reads(&self) -> bool {
        matches!(*self.method, Method::GET | Method::HEAD) && !self.handshake
    }

    /// Its path without the root that the API has beside `/`.
    fn below_root(&self) -> &str {
        match self.path.strip_prefix("/api") {
            Some(rest) if rest.starts_with('/') => rest,
            _ => &self.path,
        }
    }

    /// A page or a part of one: of no use to a foreign page, which can't read it, and what a person goes to by a link.
    fn is_page(&self, surface: &Surface, metrics_path: &str) -> bool {
        let path = self.below_root();
        let below =
            |root: &str| path == root || path.strip_prefix(root).is_some_and(|at| at.starts_with('/'));
        let page = match surface {
            Surface::Control | Surface::Gateway => {
                ["/", "/vnc.html"].contains(&path) || below("/assets") || below("/vnc")
            }
            Surface::Worker { .. } | Surface::Runner => path == "/",
            // noVNC's own files may have any other name.
            Surface::SharedScreen { .. } => {
                !["/health", "/openapi.json", metrics_path].into_iter().any(below) && !below("/websockify")
            }
        };
        self.reads() && (page || below("/docs"))
    }

    /// Its address has the key of a live view, which only who was given the address knows.
    fn brings_view_key(&self) -> bool {
        let view = self.path.rsplit('/').find(|segment| !segment.is_empty()) == Some("websockify");
        self.handshake && view && view_key(self.query).is_some()
    }

    /// On whose behalf it comes; the origin, if that is a foreign page's.
    ///
    /// `Sec-Fetch-Site` can't be set by a page, so it is believed where it says that page and server are one: behind a
    /// proxy that changes `Host`, nothing else does. The scheme is not compared: a proxy may have ended TLS.
    fn foreign_origin(&self) -> Option<&'a str> {
        let site = self.header("sec-fetch-site");
        match (self.header(ORIGIN), site) {
            (_, Some("same-origin")) => None,
            (None, None | Some("none")) => None,
            (None, Some(site)) => Some(site),
            (Some(origin), None | Some("none")) if self.is_own(origin) => None,
            (Some(origin), _) => Some(origin),
        }
    }

    /// What the server was called by: a whole address as the target wins (RFC 9112, section 3.2.2). `None`: no such header,
    /// as old programs may call; an error: nothing that could be a host.
    fn host(&self) -> Option<Result<String, ()>> {
        let authority = match self.target.authority() {
            Some(authority) => authority.as_str().as_bytes(),
            None => self.headers.get(HOST)?.as_bytes(),
        };
        let authority = std::str::from_utf8(authority).map_err(drop);
        Some(authority.and_then(|authority| host_name(authority).ok_or(())))
    }

    /// Whether an origin is the address that this server was called by. A foreign page can set neither header: preflights
    /// are not granted the second one.
    fn is_own(&self, origin: &str) -> bool {
        let Some((_, authority)) = origin.split_once("://") else { return false };
        let forwarded = self.header("x-forwarded-host").and_then(|hosts| hosts.split(',').next());
        let addressed = [self.header(HOST), forwarded].into_iter().flatten();
        addressed
            .map(str::trim)
            .any(|host| without_usual_port(host).eq_ignore_ascii_case(without_usual_port(authority)))
    }
}

/// A host and its port, without the port if it goes without saying.
fn without_usual_port(authority: &str) -> &str {
    authority.strip_suffix(":80").or_else(|| authority.strip_suffix(":443")).unwrap_or(authority)
}

/// The host of an authority, in small letters and without port, brackets and the dot that ends a full name. `None` if it is
/// no authority, or has more than host and port.
fn host_name(authority: &str) -> Option<String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').filter(|(host, _)| host.parse::<Ipv6Addr>().is_ok())?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port_fits = port.strip_prefix(':').unwrap_or(port).bytes().all(|byte| byte.is_ascii_digit());
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    let fits = port_fits && (port.is_empty() || port.starts_with(':')) && host.bytes().all(letters);
    let host = host.strip_suffix('.').unwrap_or(host);
    (fits && !host.is_empty()).then(|| host.to_ascii_lowercase())
}

impl AccessSettings {
    /// Lets a request pass, or says why not.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`], [`ApiError::UnknownHost`], [`ApiError::CrossOrigin`].
    pub(crate) fn admit(
        &self,
        (surface, metrics_path): (&Surface, &str),
        asked: &Asked<'_>,
    ) -> Result<Caller, ApiError> {
        check_form(asked)?;
        self.check_host(asked)?;
        let Some(origin) = asked.foreign_origin() else { return Ok(Caller::Trusted) };
        match &self.cors_origins {
            CorsOrigins::List(origins) if origins.iter().any(|listed| listed == origin) => {
                return Ok(Caller::Trusted);
            }
            CorsOrigins::List(_) => {}
            CorsOrigins::Any => {
                let preflight = asked.header(ACCESS_CONTROL_REQUEST_METHOD);
                let asks = *asked.method == Method::OPTIONS && matches!(preflight, Some("GET" | "HEAD"));
                // What it answers with is a key.
                if asks || (asked.reads() && asked.below_root() != "/websockify/view") {
                    return Ok(Caller::Reader);
                }
            }
        }
        if asked.is_page(surface, metrics_path)
            || asked.brings_view_key()
            || (asked.reads() && asked.below_root() == "/health")
        {
            return Ok(Caller::Foreign);
        }
        Err(ApiError::CrossOrigin { origin: origin.to_owned(), setting: self.names.cors_origins })
    }

    /// A page whose name its owner lets point at this machine (DNS rebinding) calls itself by that name.
    fn check_host(&self, asked: &Asked<'_>) -> Result<(), ApiError> {
        let checked = self.reach != Reach::Everywhere || self.public_hosts.is_some();
        let (Some(host), true) = (asked.host(), checked) else { return Ok(()) };
        let Ok(host) = host else {
            return Err(ApiError::BadRequest { problem: "its Host is none".to_owned() });
        };
        let named = |listed: &String| match listed.strip_prefix('*') {
            Some(parent) => host.len() > parent.len() && host.ends_with(parent),
            None => *listed == host,
        };
        let known = match host.parse::<IpAddr>() {
            // Nobody's name: what listens wider is probed by it.
            Ok(address) => address.is_loopback() || self.reach != Reach::Machine,
            Err(_) if host == "localhost" || host.ends_with(".localhost") => true,
            // Containers call each other by names without a dot, which nobody can own on the internet.
            Err(_) => self.reach == Reach::Containers && !host.contains('.'),
        };
        if known || self.public_hosts.iter().flatten().any(named) {
            return Ok(());
        }
        Err(ApiError::UnknownHost { host, setting: self.names.public_hosts })
    }
}

impl AppState {
    /// Lets a request pass, or says why not.
    ///
    /// # Errors
    /// As [`AccessSettings::admit`].
    pub(crate) fn admit(&self, asked: &Asked<'_>) -> Result<Caller, ApiError> {
        self.settings.access.admit((&self.surface, &self.settings.metrics_path), asked)
    }
}

/// A proxy is asked for the pages of others by their whole address; this is none (RFC 9112, section 3.2.2). And a request
/// is for one page.
fn check_form(asked: &Asked<'_>) -> Result<(), ApiError> {
    if asked.headers.get_all(ORIGIN).nth(1).is_some() {
        return Err(ApiError::BadRequest { problem: "it has two Origins".to_owned() });
    }
    match asked.target.scheme_str() {
        None | Some("http" | "https") => Ok(()),
        Some(scheme) => {
            Err(ApiError::BadRequest { problem: format!("this is no proxy to {scheme}: addresses") })
        }
    }
}

/// The gate as a middleware of the whole application; handshakes pass it in `upgrade`.
pub(crate) async fn admit(
    state: web::Data<AppState>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if let Some(refusal) = Refusal::of(&request) {
        let mut response = request.error_response(refusal);
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
        return Ok(response);
    }
    let admitted = match state.admit(&Asked::of(request.head(), false)) {
        Ok(caller) => require_json(&mut request).await.map(|()| caller),
        Err(refusal) => Err(refusal),
    };
    match admitted {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            Ok(next.call(request).await?.map_into_boxed_body())
        }
        // An answer, not an error: what wraps this adds headers to answers, and logs them.
        Err(refusal) => Ok(request.error_response(refusal)),
    }
}

/// Refuses a body that is not declared to be JSON: a foreign page's form can't declare that.
async fn require_json(request: &mut ServiceRequest) -> Result<(), ApiError> {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let given = text(CONTENT_TYPE).unwrap_or_default();
    let kind = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"));
    let length = text(CONTENT_LENGTH).and_then(|length| length.trim().parse::<u64>().ok());
    let is_empty = match (length, request.headers().contains_key(TRANSFER_ENCODING)) {
        (_, true) => None,
        (length, false) => Some(length.unwrap_or(0) == 0),
    };
    let refusal = ApiError::UnsupportedMediaType { given: given.to_owned() };
    match is_empty {
        _ if is_json => Ok(()),
        Some(true) => Ok(()),
        Some(false) => Err(refusal),
        // A proxy may send an empty body in chunks: its end tells.
        None => {
            let mut payload = request.take_payload();
            let first = timeout(BODY_TIME, payload.next()).await;
            match first.map_err(|_| ApiError::BodyTooSlow { limit: BODY_TIME })? {
                None => Ok(()),
                Some(_) => Err(refusal),
            }
        }
    }
}

#[cfg(test)]
mod tests;
