//! The OpenAPI document of each surface, generated from its handlers.

use actix_web::{HttpResponse, web};
use camofleet_api::error::{ErrorBody, ErrorCode};
use camofleet_api::event::{Activity, EventSnapshot, SessionChange};
use camofleet_api::health::Health;
use camofleet_api::request::{CreateRequest, FleetProxyCheckRequest, ProxyCheckRequest, SessionRequest};
use camofleet_api::session::{Session, Vnc};
use camofleet_api::view::ViewLinks;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, Content, InfoBuilder, LicenseBuilder, Ref, RefOr, Required, Server};
use utoipa::{OpenApi, ToSchema};

use super::refusals::by_status;
use crate::routes::{drain, events, health, history, ops, profiles, proxies, screenshots, sessions, views};
use crate::settings::{Surface, WebSettings};
use crate::state::AppState;

#[derive(OpenApi)]
#[openapi(
    paths(
        health::control,
        health::workers,
        drain::start,
        drain::stop,
        history::show,
        sessions::list,
        sessions::create,
        sessions::show,
        sessions::delete,
        sessions::touch,
        sessions::change,
        sessions::egress,
        sessions::identity,
        sessions::attach,
        sessions::history,
        screenshots::take,
        proxies::check,
        profiles::list,
        profiles::create,
        profiles::show,
        profiles::change,
        profiles::delete,
        profiles::clone,
        profiles::export,
        profiles::import,
        profiles::read_cookies,
        profiles::write_cookies,
        events::follow,
        views::websockify,
        views::describe,
        ops::metrics,
    ),
    components(schemas(Activity, ErrorBody, EventSnapshot, SessionChange))
)]
struct ControlApi;

#[derive(OpenApi)]
#[openapi(
    paths(
        health::host,
        drain::start,
        drain::stop,
        sessions::list,
        sessions::create,
        sessions::show,
        sessions::delete,
        sessions::touch,
        sessions::change,
        sessions::egress,
        sessions::identity,
        sessions::attach,
        sessions::history,
        screenshots::take,
        proxies::check,
        profiles::list,
        profiles::create,
        profiles::show,
        profiles::change,
        profiles::delete,
        profiles::clone,
        profiles::export,
        profiles::import,
        profiles::read_cookies,
        profiles::write_cookies,
        events::follow,
        ops::metrics,
    ),
    components(schemas(Activity, ErrorBody, EventSnapshot, SessionChange))
)]
struct HostApi;

#[derive(OpenApi)]
#[openapi(
    paths(health::gateway, views::websockify, views::describe, ops::metrics),
    components(schemas(ErrorBody))
)]
struct GatewayApi;

/// The default path of `GET /metrics`.
const METRICS: &str = "/metrics";
/// The only route that never needs a token.
const OPEN: &str = "/health";

/// `GET /openapi.json`, generated for each request because it is requested so rarely.
pub(crate) async fn show(state: web::Data<AppState>) -> HttpResponse {
    HttpResponse::Ok().json(document(&state.surface, &state.settings))
}

/// The document of a surface under these settings.
fn document(surface: &Surface, settings: &WebSettings) -> utoipa::openapi::OpenApi {
    let (role, mut document) = match surface {
        Surface::Control => ("a fleet of browsers", ControlApi::openapi()),
        Surface::Worker { .. } => ("one worker", host()),
        Surface::Runner => ("one host's browsers", host()),
        Surface::Gateway => ("live views", GatewayApi::openapi()),
        Surface::SharedScreen { .. } => ("one shared screen", GatewayApi::openapi()),
    };
    document.info = InfoBuilder::new()
        .title(format!("camofleet: {role}"))
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "All routes are available below both `/` and `/api`. Each response has its request's id in `X-Request-Id`.",
        ))
        .license(Some(LicenseBuilder::new().name("MIT").identifier(Some("MIT")).build()))
        .build();
    // Relative to this document, so that it works below any path of an ingress.
    document.servers = Some(vec![Server::new(".")]);
    let paths = &mut document.paths.paths;
    if let Some(metrics) = paths.remove(METRICS) {
        paths.insert(settings.metrics_path.clone(), metrics);
    }
    // Bodies are optional, which is different from nullable; but a change of a session has to name what it changes, and a new
    // profile its name.
    let named = |path: &str| path.starts_with("/profiles") && !path.ends_with("/{name}");
    let optional = paths.iter_mut().filter(|(path, _)| !named(path)).filter_map(|(path, item)| {
        // A change of a profile may change nothing.
        if path.starts_with("/profiles") { item.patch.as_mut() } else { item.post.as_mut() }
    });
    for operation in optional {
        if let Some(RefOr::T(body)) = &mut operation.request_body {
            body.required = Some(Required::False);
        }
    }
    describe_sessions(&mut document, surface);
    describe_token(&mut document, settings.access.api_token.is_some());
    describe_gate(&mut document);
    document
}

/// The document of a host: the routes of a control without the worker, since there is only one.
fn host() -> utoipa::openapi::OpenApi {
    let mut document = HostApi::openapi();
    let paths = std::mem::take(&mut document.paths.paths);
    for (path, mut item) in paths {
        for operation in operations(&mut item) {
            if let Some(parameters) = &mut operation.parameters {
                parameters.retain(
                    |parameter| !matches!(parameter, RefOr::T(parameter) if parameter.name == "worker"),
                );
            }
        }
        document.paths.paths.insert(path.replace("/workers/{worker}", "").replace("/{worker}", ""), item);
    }
    let paths = &mut document.paths.paths;
    let health = Ref::from_schema_name(Health::name());
    for operation in paths.get_mut("/drain").into_iter().flat_map(operations) {
        if let Some(RefOr::T(answer)) = operation.responses.responses.get_mut("200") {
            set_schema(&mut answer.content, &health);
        }
    }
    if let Some(sessions) = paths.get_mut("/sessions") {
        if let Some(create) = &mut sessions.post
            && let Some(RefOr::T(body)) = &mut create.request_body
        {
            set_schema(&mut body.content, &Ref::from_schema_name(SessionRequest::name()));
        }
        if let Some(list) = &mut sessions.get {
            list.responses.responses.extend(by_status(&[ErrorCode::Restarting]));
        }
    }
    if let Some(check) = paths.get_mut("/proxies/check").and_then(|item| item.post.as_mut()) {
        check.responses.responses.extend(by_status(&[ErrorCode::ProfileNotFound]));
        if let Some(RefOr::T(body)) = &mut check.request_body {
            set_schema(&mut body.content, &Ref::from_schema_name(ProxyCheckRequest::name()));
        }
    }
    if let Some(Components { schemas, .. }) = &mut document.components {
        schemas.remove(&*CreateRequest::name());
        schemas.remove(&*FleetProxyCheckRequest::name());
    }
    document
}

/// Replaces the schema of a body, for each of its media types.
fn set_schema<'a>(content: impl IntoIterator<Item = (&'a String, &'a mut RefOr<Content>)>, schema: &Ref) {
    for (_, kind) in content {
        if let RefOr::T(kind) = kind {
            kind.schema = Some(schema.clone().into());
        }
    }
}

/// Removes fields from the session's schema that its surface does not write, and marks the others as required.
fn describe_sessions(document: &mut utoipa::openapi::OpenApi, surface: &Surface) {
    let links = || RefOr::from(Ref::from_schema_name(ViewLinks::name()));
    let (foreign, vnc): (&[&str], _) = match surface {
        Surface::Control => (&["worker_id", "vnc_info"], links()),
        Surface::Worker { .. } => (&["worker", "vnc_info"], links()),
        Surface::Runner => {
            let flag = ObjectBuilder::new().schema_type(Type::Boolean);
            (&["worker", "worker_id", "vnc_enabled", "stale"], RefOr::from(flag.build()))
        }
        Surface::Gateway | Surface::SharedScreen { .. } => return,
    };
    let Some(Components { schemas, .. }) = &mut document.components else { return };
    schemas.remove(&*Vnc::name());
    if let Some(RefOr::T(Schema::Object(session))) = schemas.get_mut(&*Session::name()) {
        session.properties.retain(|name, _| !foreign.contains(&name.as_str()));
        session.properties.insert("vnc".to_owned(), vnc);
        session.required = session.properties.keys().cloned().collect();
    }
}

/// Adds the error responses of the gate to every route.
fn describe_gate(document: &mut utoipa::openapi::OpenApi) {
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            let mut codes =
                vec![ErrorCode::UnknownHost, ErrorCode::BodyTooSlow, ErrorCode::UnsupportedMediaType];
            if path != OPEN {
                codes.push(ErrorCode::CrossOrigin);
            }
            operation.responses.responses.extend(by_status(&codes));
        }
    }
}

/// Adds the access token; if it is `needed`, to all routes but [`OPEN`].
fn describe_token(document: &mut utoipa::openapi::OpenApi, needed: bool) {
    let components = document.components.get_or_insert_default();
    let in_query =
        ApiKeyValue::with_description("access_token", "For browsers' WebSockets, which can't send headers.");
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
        for (status, response) in by_status(&[ErrorCode::Unauthorized]) {
            operation.responses.responses.entry(status).or_insert(response);
        }
    }
}

/// The operations of a path, for the methods that the API uses.
fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete]
        .into_iter()
        .filter_map(Option::as_mut)
}
