//! The routes, one file a resource. Which of them a server has, its [`Surface`] decides.

mod control_sessions;
mod drain;
mod events;
mod health;
mod history;
mod host_sessions;
mod openapi;
mod ops;
mod panel;
mod refusals;
mod screenshots;
mod swagger;

use actix_web::dev::HttpServiceFactory;
use actix_web::http::header::HeaderMap;
use actix_web::middleware::from_fn;
use actix_web::{FromRequest, Handler, Resource, Responder, guard, web};
use camofleet_actors::Error;
use camofleet_actors::session::SessionId;
use camofleet_actors::worker::WorkerHandle;

use crate::app::{AppState, Surface};
use crate::auth::require_token;
use crate::error::ApiError;
use refusals::ViewRefusals;

/// The largest body that is read, in bytes.
const BODY_LIMIT: usize = 64 << 10;

/// The API's routes; they stand below `/` and below `/api` alike.
pub(crate) fn api(config: &mut web::ServiceConfig, surface: &Surface, metrics_path: &str) {
    match surface {
        Surface::Control => {
            config
                .service(probed(health::control))
                .service(guarded("/events", "GET", |at| at.route(web::get().to(events::follow))))
                .service(guarded("/workers", "GET", |at| at.route(web::get().to(health::workers))))
                .service(guarded("/workers/{worker}/drain", "POST, DELETE", |at| {
                    at.route(web::post().to(drain::control_on)).route(web::delete().to(drain::control_off))
                }))
                .service(guarded("/fleet/history", "GET", |at| at.route(web::get().to(history::show))))
                .service(guarded("/sessions", "GET, POST", |at| {
                    at.route(web::get().to(control_sessions::list))
                        .route(web::post().to(control_sessions::create))
                }))
                .service(guarded("/sessions/{worker}/{id}", "GET, DELETE", |at| {
                    at.route(web::get().to(control_sessions::show))
                        .route(web::delete().to(control_sessions::delete))
                }))
                .service(guarded("/sessions/{worker}/{id}/touch", "POST", |at| {
                    at.route(web::post().to(control_sessions::touch))
                }))
                .service(guarded("/sessions/{worker}/{id}/events", "GET", |at| {
                    at.route(web::get().to(events::control_history))
                }))
                .service(guarded("/sessions/{worker}/{id}/screenshot", "GET", |at| {
                    at.route(web::get().to(screenshots::control))
                }))
                .service(guarded("/sessions/{worker}/{id}/ws", "GET", |at| {
                    at.route(web::get().to(control_sessions::attach))
                }))
                .service(guarded("/websockify", "GET", |at| at.route(web::get().to(websockify))));
        }
        Surface::Worker { .. } | Surface::Runner => {
            config
                .service(probed(health::host))
                .service(guarded("/drain", "POST, DELETE", |at| {
                    at.route(web::post().to(drain::host_on)).route(web::delete().to(drain::host_off))
                }))
                .service(guarded("/events", "GET", |at| at.route(web::get().to(events::follow))))
                .service(guarded("/sessions", "GET, POST", |at| {
                    at.route(web::get().to(host_sessions::list)).route(web::post().to(host_sessions::create))
                }))
                .service(guarded("/sessions/{id}", "GET, DELETE", |at| {
                    at.route(web::get().to(host_sessions::show))
                        .route(web::delete().to(host_sessions::delete))
                }))
                .service(guarded("/sessions/{id}/touch", "POST", |at| {
                    at.route(web::post().to(host_sessions::touch))
                }))
                .service(guarded("/sessions/{id}/events", "GET", |at| {
                    at.route(web::get().to(events::host_history))
                }))
                .service(guarded("/sessions/{id}/screenshot", "GET", |at| {
                    at.route(web::get().to(screenshots::host))
                }))
                .service(guarded("/sessions/{id}/ws", "GET", |at| {
                    at.route(web::get().to(host_sessions::attach))
                }));
        }
        Surface::Gateway | Surface::SharedScreen { .. } => {
            config
                .service(probed(health::gateway))
                .service(guarded("/websockify", "GET", |at| at.route(web::get().to(websockify))));
        }
    }
    config
        .service(guarded(metrics_path, "GET", |at| at.route(web::get().to(ops::metrics))))
        .service(open("/openapi.json", "GET").route(web::get().to(openapi::show)))
        .service(open("/docs", "GET").route(web::get().to(swagger::page)))
        .service(open("/docs/", "GET").route(web::get().to(swagger::without_slash)))
        .service(open("/docs/{file}", "GET").route(web::get().to(swagger::asset)));
}

/// A resource that needs no token. `methods` are those that it has.
fn open(path: &str, methods: &'static str) -> Resource {
    let refuse = move || async move { Err::<String, _>(ApiError::MethodNotAllowed { allowed: methods }) };
    web::resource(path).default_service(web::route().guard(guard::fn_guard(|_| true)).to(refuse))
}

/// The health, which needs no token: whoever probes it may leave the body out.
fn probed<F, Args>(health: F) -> Resource
where
    F: Handler<Args> + Copy,
    F::Output: Responder + 'static,
    Args: FromRequest + 'static,
{
    open("/health", "GET, HEAD").route(web::get().to(health)).route(web::head().to(health))
}

/// A resource that needs the token, where one is set.
fn guarded(
    path: &str,
    methods: &'static str,
    routes: fn(Resource) -> Resource,
) -> impl HttpServiceFactory + 'static {
    routes(open(path, methods)).wrap(from_fn(require_token))
}

/// The pages that a surface has: the panel, and the page with a live view.
pub(crate) fn pages(config: &mut web::ServiceConfig, surface: &Surface) {
    match surface {
        Surface::Control => panel::panel(config),
        Surface::Gateway => panel::views(config),
        Surface::SharedScreen { assets } => panel::shared_screen(config, assets.as_deref()),
        Surface::Worker { .. } | Surface::Runner => {
            config.service(open("/", "GET").route(web::get().to(swagger::from_root)));
        }
    }
}

/// `GET /websockify`: a WebSocket for a VNC viewer.
#[utoipa::path(
    get,
    path = "/websockify",
    summary = "View a screen (WebSocket)",
    tag = "views",
    params(("token" = Option<String>, Query, description = "The view's id; an ingress may name it in a header instead")),
    responses((status = 101, description = "Raw VNC in binary messages"), ViewRefusals)
)]
async fn websockify() -> Result<String, ApiError> {
    // A handshake never gets here: see `upgrade`.
    Err(not_a_handshake())
}

fn not_a_handshake() -> ApiError {
    ApiError::BadHandshake {
        problem: "the headers 'Connection: Upgrade' and 'Upgrade: websocket' are missing".to_owned(),
    }
}

/// What `GET /sessions` can be asked.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// `true`: the sessions that ended last, instead of the live ones.
    #[param(value_type = Option<bool>)]
    ended: Option<String>,
}

impl ListQuery {
    fn ended(&self) -> Result<bool, ApiError> {
        match self.ended.as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => {
                Err(ApiError::InvalidField { field: "ended".into(), problem: "must be true or false".into() })
            }
        }
    }
}

/// Reads the body of a create request.
async fn body(payload: web::Payload) -> Result<web::Bytes, ApiError> {
    match payload.to_bytes_limited(BODY_LIMIT).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) => Err(ApiError::InvalidJson { problem: error.to_string() }),
        Err(_) => Err(ApiError::BodyTooLarge { limit: BODY_LIMIT }),
    }
}

/// The worker of a path, or the one that a surface of its own stands for.
pub(crate) fn find_worker(state: &AppState, name: Option<&str>) -> Result<WorkerHandle, ApiError> {
    match name {
        Some(name) => Ok(state.directory.worker(name)?),
        // A host's only worker is missing while it is built anew.
        None => Ok(state.directory.workers().first().cloned().ok_or(Error::Restarting { what: "worker" })?),
    }
}

/// A session's id in a path. What is no id is no session's.
pub(crate) fn session_id(id: &str) -> Result<SessionId, ApiError> {
    Ok(id.parse().map_err(|_| Error::SessionNotFound)?)
}

/// How the caller named this server: the `Host` of its request, else the address that is listened on.
fn authority(state: &AppState, headers: &HeaderMap) -> String {
    let named = headers.get(actix_web::http::header::HOST).and_then(|host| host.to_str().ok());
    named.filter(|host| !host.is_empty()).map_or_else(|| state.settings.address.clone(), str::to_owned)
}
