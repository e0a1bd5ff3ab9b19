//! The gate in front of all routes and handshakes, which rejects callers by host and origin.
//!
//! A browser sends requests with its user's privileges for any page that it shows. Requests for pages of other origins are
//! therefore rejected, so that they neither change nor reveal anything. Programs (Playwright, scripts, other roles) send no
//! `Origin` and pass.

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

use crate::body::{ARCHIVE, BODY_TIME, TEXT};
use crate::error::ApiError;
use crate::incoming::Refusal;
use crate::request::{Caller, view_key};
use crate::settings::{AccessSettings, CorsOrigins, Reach, Surface};
use crate::state::AppState;

/// The parts of a request that the gate checks.
pub(crate) struct GateRequest<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its path, decoded as the router does it.
    pub path: String,
    /// Its target, which may be an absolute URL.
    pub target: &'a Uri,
    /// Its query.
    pub query: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Whether it is a WebSocket handshake.
    pub handshake: bool,
}

impl<'a> GateRequest<'a> {
    /// Reads a request's head.
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

    fn is_read(&self) -> bool {
        matches!(*self.method, Method::GET | Method::HEAD) && !self.handshake
    }

    /// Its path without the prefix `/api`.
    fn below_root(&self) -> &str {
        match self.path.strip_prefix("/api") {
            Some(rest) if rest.starts_with('/') => rest,
            _ => &self.path,
        }
    }

    /// Whether the response has what nobody but a trusted caller may see: the key of a live view, the cookies of a profile.
    fn reads_secrets(&self) -> bool {
        let path = self.below_root();
        let profile = path.strip_prefix("/profiles/").unwrap_or_default();
        path == "/websockify/view" || profile.ends_with("/cookies") || profile.ends_with("/archive")
    }

    /// Whether it is for a page or a part of one. These may be opened from other origins by a link, and a foreign page can't
    /// read them.
    fn is_page(&self, surface: &Surface, metrics_path: &str) -> bool {
        let path = self.below_root();
        let below =
            |root: &str| path == root || path.strip_prefix(root).is_some_and(|at| at.starts_with('/'));
        let page = match surface {
            Surface::Control | Surface::Gateway => {
                ["/", "/vnc.html"].contains(&path) || below("/assets") || below("/vnc")
            }
            Surface::Worker { .. } | Surface::Runner => path == "/",
            // noVNC's own files may have any name.
            Surface::SharedScreen { .. } => {
                !["/health", "/openapi.json", metrics_path].into_iter().any(below) && !below("/websockify")
            }
        };
        self.is_read() && (page || below("/docs"))
    }

    /// Whether its URL contains the key of a live view, which only those who received the URL know.
    fn brings_view_key(&self) -> bool {
        let view = self.path.rsplit('/').find(|segment| !segment.is_empty()) == Some("websockify");
        self.handshake && view && view_key(self.query).is_some()
    }

    /// The origin of the page that sent it, if that is another origin.
    ///
    /// `Sec-Fetch-Site` can't be set by a page, so `same-origin` is trusted: behind a proxy that changes `Host`, nothing else
    /// shows it. The scheme is not compared, because a proxy may have terminated TLS.
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

    /// The host that the request is addressed to; an absolute URL as target wins over `Host` (RFC 9112, section 3.2.2). `None`
    /// without either, as old programs send it; an error if it is not a valid host.
    fn host(&self) -> Option<Result<String, ()>> {
        let authority = match self.target.authority() {
            Some(authority) => authority.as_str().as_bytes(),
            None => self.headers.get(HOST)?.as_bytes(),
        };
        let authority = std::str::from_utf8(authority).map_err(drop);
        Some(authority.and_then(|authority| host_name(authority).ok_or(())))
    }

    /// Whether an origin is the address that the request was sent to. A page of another origin can set neither header:
    /// preflights don't grant `X-Forwarded-Host`.
    fn is_own(&self, origin: &str) -> bool {
        let Some((_, authority)) = origin.split_once("://") else { return false };
        let forwarded = self.header("x-forwarded-host").and_then(|hosts| hosts.split(',').next());
        let addressed = [self.header(HOST), forwarded].into_iter().flatten();
        addressed
            .map(str::trim)
            .any(|host| without_default_port(host).eq_ignore_ascii_case(without_default_port(authority)))
    }
}

/// A host and port, without a default port.
fn without_default_port(authority: &str) -> &str {
    authority.strip_suffix(":80").or_else(|| authority.strip_suffix(":443")).unwrap_or(authority)
}

/// The host of an authority, in lower case and without port, brackets and trailing dot. `None` if it is not an authority, or
/// has more than host and port.
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
    /// Admits a request, or returns why it is rejected.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`], [`ApiError::UnknownHost`], [`ApiError::CrossOrigin`].
    pub(crate) fn admit(
        &self,
        (surface, metrics_path): (&Surface, &str),
        request: &GateRequest<'_>,
    ) -> Result<Caller, ApiError> {
        check_form(request)?;
        self.check_host(request)?;
        let Some(origin) = request.foreign_origin() else { return Ok(Caller::Trusted) };
        match &self.cors_origins {
            CorsOrigins::List(origins) if origins.iter().any(|listed| listed == origin) => {
                return Ok(Caller::Trusted);
            }
            CorsOrigins::List(_) => {}
            CorsOrigins::Any => {
                let preflight = request.header(ACCESS_CONTROL_REQUEST_METHOD);
                let is_preflight =
                    *request.method == Method::OPTIONS && matches!(preflight, Some("GET" | "HEAD"));
                if is_preflight || (request.is_read() && !request.reads_secrets()) {
                    return Ok(Caller::Reader);
                }
            }
        }
        if request.is_page(surface, metrics_path)
            || request.brings_view_key()
            || (request.is_read() && request.below_root() == "/health")
        {
            return Ok(Caller::Foreign);
        }
        Err(ApiError::CrossOrigin { origin: origin.to_owned(), setting: self.names.cors_origins })
    }

    /// Rejects requests to foreign host names, which protects against DNS rebinding: there, a page's own name resolves to this
    /// machine.
    fn check_host(&self, request: &GateRequest<'_>) -> Result<(), ApiError> {
        let checked = self.reach != Reach::Everywhere || self.public_hosts.is_some();
        let (Some(host), true) = (request.host(), checked) else { return Ok(()) };
        let Ok(host) = host else {
            return Err(ApiError::BadRequest { problem: "its Host is not a valid host name".to_owned() });
        };
        let named = |listed: &String| match listed.strip_prefix('*') {
            Some(parent) => host.len() > parent.len() && host.ends_with(parent),
            None => *listed == host,
        };
        let known = match host.parse::<IpAddr>() {
            // An address can't be rebound. Servers that listen beyond loopback are probed by it.
            Ok(address) => address.is_loopback() || self.reach != Reach::Machine,
            Err(_) if host == "localhost" || host.ends_with(".localhost") => true,
            // Containers call each other by names without a dot, which can't be registered on the internet.
            Err(_) => self.reach == Reach::Containers && !host.contains('.'),
        };
        if known || self.public_hosts.iter().flatten().any(named) {
            return Ok(());
        }
        Err(ApiError::UnknownHost { host, setting: self.names.public_hosts })
    }
}

impl AppState {
    /// Admits a request, or returns why it is rejected.
    ///
    /// # Errors
    /// As [`AccessSettings::admit`].
    pub(crate) fn admit(&self, request: &GateRequest<'_>) -> Result<Caller, ApiError> {
        self.settings.access.admit((&self.surface, &self.settings.metrics_path), request)
    }
}

/// Rejects proxy requests for other schemes (RFC 9112, section 3.2.2), and requests with two origins.
fn check_form(request: &GateRequest<'_>) -> Result<(), ApiError> {
    if request.headers.get_all(ORIGIN).nth(1).is_some() {
        return Err(ApiError::BadRequest { problem: "it has two Origins".to_owned() });
    }
    match request.target.scheme_str() {
        None | Some("http" | "https") => Ok(()),
        Some(scheme) => {
            Err(ApiError::BadRequest { problem: format!("this is no proxy to {scheme}: addresses") })
        }
    }
}

/// The gate as middleware of the whole application; handshakes are checked in `upgrade`.
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
    let admitted = match state.admit(&GateRequest::of(request.head(), false)) {
        Ok(caller) => require_json(&mut request).await.map(|()| caller),
        Err(refusal) => Err(refusal),
    };
    match admitted {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            Ok(next.call(request).await?.map_into_boxed_body())
        }
        // Returned as a response and not as an error, so that the outer middleware adds headers and logs it.
        Err(refusal) => Ok(request.error_response(refusal)),
    }
}

/// Rejects a body that is not declared as JSON, which a form of a foreign page can't do. Two routes take something else.
async fn require_json(request: &mut ServiceRequest) -> Result<(), ApiError> {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let given = text(CONTENT_TYPE).unwrap_or_default();
    let kind = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"));
    let path = request.path().strip_prefix("/api").unwrap_or(request.path());
    let is_archive = kind == ARCHIVE && path == "/profiles/import";
    // A form can't send a PUT.
    let is_text = kind == TEXT && *request.method() == Method::PUT && path.starts_with("/profiles/");
    let is_json = is_json || is_archive || is_text;
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
        // A proxy may send an empty body with chunked encoding, so the body has to be read.
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
