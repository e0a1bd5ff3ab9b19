//! The actix-web application with its routes and middleware. Production and tests use the same.

use std::time::Instant;

use actix_cors::Cors;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, Error, HttpMessage, web};

use crate::error::ApiError;
use crate::request::{REQUEST_ID, request_id};
use crate::settings::CorsOrigins;
use crate::state::AppState;
use crate::{documents, gate, headers, routes};

/// Builds the application for one thread of the server.
pub fn create_app(
    state: AppState,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let cors = cors(&state.settings.access.cors_origins);
    let surface = state.surface.clone();
    let metrics_path = state.settings.metrics_path.clone();
    let api = |config: &mut web::ServiceConfig| {
        routes::api(config, &surface, &metrics_path);
        documents::routes(config);
    };
    App::new()
        .app_data(web::Data::new(state))
        .app_data(web::QueryConfig::default().error_handler(|error, _| {
            ApiError::InvalidField { field: "query".to_owned(), problem: error.to_string() }.into()
        }))
        .wrap(cors)
        .wrap(from_fn(gate::admit))
        .wrap(from_fn(head_as_get))
        .wrap(from_fn(headers::add))
        .wrap(from_fn(access_log))
        // Works behind ingresses that strip `/api` and those that don't.
        .service(web::scope("/api").configure(api))
        .configure(api)
        .configure(|config| routes::pages(config, &surface))
        .configure(|config| documents::start_page(config, &surface))
        .default_service(web::to(|| async { Err::<String, _>(ApiError::NoSuchRoute) }))
}

fn cors(origins: &CorsOrigins) -> Cors {
    let cors = Cors::default().expose_headers([REQUEST_ID]).max_age(3600);
    match origins {
        // Browsers cache what a preflight granted, so it grants only reads, and no header by which a page could pretend to be
        // this server's own.
        CorsOrigins::Any => cors
            .allow_any_origin()
            .send_wildcard()
            .allowed_methods([Method::GET, Method::HEAD])
            .allowed_headers([ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName::from_static("last-event-id")]),
        CorsOrigins::List(origins) => {
            let cors = cors.supports_credentials().allow_any_method().allow_any_header();
            origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
        }
    }
}

/// Answers HEAD wherever GET is answered, with the same headers and no body.
async fn head_as_get(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if request.method() != Method::HEAD {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    request.head_mut().method = Method::GET;
    let response = next.call(request).await?;
    // The body is dropped here instead of being skipped while sending, because a stream of events has no end.
    Ok(response.map_body(|_, body| Unsent(body.size())).map_into_boxed_body())
}

/// A body that is not sent; only its size is known.
struct Unsent(BodySize);

impl MessageBody for Unsent {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        self.0
    }

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<web::Bytes, Self::Error>>> {
        std::task::Poll::Ready(None)
    }
}

/// Assigns the request id and logs the request: at `info` if it changes something or fails, else at `debug`, because panels
/// poll.
async fn access_log(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let id = request_id(request.headers());
    request.extensions_mut().insert(id.clone());
    let mut response = next.call(request).await?.map_into_boxed_body();
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(HeaderName::from_static(REQUEST_ID), value);
    }
    let status = response.status();
    let refusal = response.response().error().and_then(|error| error.as_error::<ApiError>());
    // Rejected callers, such as a proxy with a wrong Host, have to be visible in the log. A 404 may be a normal poll.
    let kept_out = matches!(status.as_u16(), 401 | 403 | 421);
    let level = match (status.is_server_error(), reads && !kept_out) {
        (true, _) => log::Level::Warn,
        (false, false) => log::Level::Info,
        (false, true) => log::Level::Debug,
    };
    if log::log_enabled!(level) {
        let request = response.request();
        let peer = request.peer_addr().map(|peer| peer.ip().to_string()).unwrap_or_default();
        let (method, path) = (request.method(), request.path());
        let took = started.elapsed();
        log::log!(
            level,
            "{peer} {method} {path} {} {:.1} ms, request {id}{}",
            status.as_u16(),
            took.as_secs_f64() * 1000.0,
            refusal.map(|error| format!(": {}: {error}", error.code())).unwrap_or_default()
        );
    }
    Ok(response)
}
