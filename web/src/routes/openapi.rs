//! What each surface answers, as an OpenAPI document that is made from its handlers.

use actix_web::{HttpResponse, web};
use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, InfoBuilder, LicenseBuilder, RefOr, Required, Server};

use super::refusals::refusal;
use super::{control_sessions, drain, events, health, history, host_sessions, ops, screenshots};
use crate::app::{AppState, Surface, WebSettings};
use crate::error::ErrorBody;
use crate::models::{Activity, EventSnapshot, SessionChange};

#[derive(OpenApi)]
#[openapi(
    paths(
        health::control,
        health::workers,
        drain::control_on,
        drain::control_off,
        history::show,
        control_sessions::list,
        control_sessions::create,
        control_sessions::show,
        control_sessions::delete,
        control_sessions::touch,
        control_sessions::attach,
        screenshots::control,
        events::control_history,
        events::follow,
        super::views::websockify,
        super::views::describe,
        ops::metrics,
    ),
    components(schemas(Activity, ErrorBody, EventSnapshot, SessionChange))
)]
struct ControlApi;

#[derive(OpenApi)]
#[openapi(
    paths(
        health::host,
        drain::host_on,
        drain::host_off,
        host_sessions::list,
        host_sessions::create,
        host_sessions::show,
        host_sessions::delete,
        host_sessions::touch,
        host_sessions::attach,
        screenshots::host,
        events::host_history,
        events::follow,
        ops::metrics,
    ),
    components(schemas(Activity, ErrorBody, EventSnapshot, SessionChange))
)]
struct HostApi;

#[derive(OpenApi)]
#[openapi(
    paths(health::gateway, super::views::websockify, super::views::describe, ops::metrics),
    components(schemas(ErrorBody))
)]
struct GatewayApi;

/// Where [`ops::metrics`] is unless a setting says otherwise.
pub(super) const METRICS: &str = "/metrics";
/// The one route that never needs a token.
const OPEN: &str = "/health";

/// `GET /openapi.json`: asked for so rarely that it is made anew each time.
pub(super) async fn show(state: web::Data<AppState>) -> HttpResponse {
    HttpResponse::Ok().json(document(&state.surface, &state.settings))
}

/// The document of a surface under these settings.
fn document(surface: &Surface, settings: &WebSettings) -> utoipa::openapi::OpenApi {
    let (role, mut document) = match surface {
        Surface::Control => ("a fleet of browsers", ControlApi::openapi()),
        Surface::Worker { .. } => ("one worker", host("WorkerSession", "RunnerSession")),
        Surface::Runner => ("one host's browsers", host("RunnerSession", "WorkerSession")),
        Surface::Gateway => ("live views", GatewayApi::openapi()),
        Surface::SharedScreen { .. } => ("one shared screen", GatewayApi::openapi()),
    };
    document.info = InfoBuilder::new()
        .title(format!("camofleet: {role}"))
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Every route answers below `/` and below `/api` alike. Each answer names its request in `X-Request-Id`.",
        ))
        .license(Some(LicenseBuilder::new().name("MIT").identifier(Some("MIT")).build()))
        .build();
    // Relative to this document, wherever an ingress has put it.
    document.servers = Some(vec![Server::new(".")]);
    let paths = &mut document.paths.paths;
    if let Some(metrics) = paths.remove(METRICS) {
        paths.insert(settings.metrics_path.clone(), metrics);
    }
    // A body may be missing, which is something else than null.
    for operation in paths.values_mut().flat_map(operations) {
        if let Some(RefOr::T(body)) = &mut operation.request_body {
            body.required = Some(Required::False);
        }
    }
    describe_token(&mut document, settings.access.api_token.is_some());
    describe_gate(&mut document);
    document
}

/// The handlers of a host's two roles are the same, and answer with one kind of session or the other.
fn host(shown: &str, other: &str) -> utoipa::openapi::OpenApi {
    let mut document = HostApi::openapi();
    if let Some(Components { schemas, .. }) = &mut document.components {
        schemas.remove(other);
        if let Some(session) = schemas.remove(shown) {
            schemas.insert("Session".to_owned(), session);
        }
    }
    document
}

/// Describes what the gate refuses, which stands before every route.
fn describe_gate(document: &mut utoipa::openapi::OpenApi) {
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            let mut refuse = |status: u16, codes| {
                operation.responses.responses.insert(status.to_string(), refusal(status, codes).into());
            };
            refuse(421, "unknown_host");
            if path != OPEN {
                refuse(403, "cross_origin");
            }
            // The kind of any body is looked at, also of one that nobody has a use for.
            refuse(408, "body_too_slow");
            refuse(415, "unsupported_media_type");
        }
    }
}

/// Describes the access token, which guards everything but [`OPEN`] where it is `needed`.
fn describe_token(document: &mut utoipa::openapi::OpenApi, needed: bool) {
    let components = document.components.get_or_insert_default();
    let in_query =
        ApiKeyValue::with_description("access_token", "Where a header can't be sent: a browser's WebSocket.");
    components.add_security_scheme("header", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    components.add_security_scheme("query", SecurityScheme::ApiKey(ApiKey::Query(in_query)));
    if !needed {
        return;
    }
    let none: [&str; 0] = [];
    let guarded = document.paths.paths.iter_mut().filter(|(path, _)| *path != OPEN);
    for operation in guarded.flat_map(|(_, item)| operations(item)) {
        operation.security =
            Some(["header", "query"].map(|scheme| SecurityRequirement::new(scheme, none)).to_vec());
        operation
            .responses
            .responses
            .entry("401".to_owned())
            .or_insert_with(|| refusal(401, "unauthorized").into());
    }
}

/// The operations of a path, by the methods that the API has.
fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.delete].into_iter().filter_map(Option::as_mut)
}
