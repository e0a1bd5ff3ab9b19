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
mod views;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::HttpServiceFactory;
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap};
use actix_web::middleware::from_fn;
use actix_web::{FromRequest, Handler, HttpRequest, Resource, Responder, guard, web};
use camofleet_actors::session::{SessionId, SessionView, Status};
use camofleet_actors::worker::{FindSession, WorkerHandle};
use camofleet_actors::{Error, RequestId};
use tokio::time::timeout;

use crate::app::{AppState, Surface};
use crate::auth::require_token;
use crate::error::ApiError;
use crate::gate::Caller;
pub use events::SharedFeed;

/// The largest body that is read, in bytes.
const BODY_LIMIT: usize = 64 << 10;
/// How long a body may take to arrive, from its head on.
pub(crate) const BODY_TIME: Duration = Duration::from_secs(10);

/// The API's routes; they stand below `/` and below `/api` alike.
pub(crate) fn api(config: &mut web::ServiceConfig, surface: &Surface, metrics_path: &str) {
    match surface {
        Surface::Control => {
            config
                .service(probed(health::control))
                .service(guarded("/events", "GET, HEAD", |at| at.route(web::get().to(events::follow))))
                .service(guarded("/workers", "GET, HEAD", |at| at.route(web::get().to(health::workers))))
                .service(guarded("/workers/{worker}/drain", "POST, DELETE", |at| {
                    at.route(web::post().to(drain::control_on)).route(web::delete().to(drain::control_off))
                }))
                .service(guarded("/fleet/history", "GET, HEAD", |at| at.route(web::get().to(history::show))))
                .service(guarded("/sessions", "GET, HEAD, POST", |at| {
                    at.route(web::get().to(control_sessions::list))
                        .route(web::post().to(control_sessions::create))
                }))
                .service(guarded("/sessions/{worker}/{id}", "GET, HEAD, DELETE", |at| {
                    at.route(web::get().to(control_sessions::show))
                        .route(web::delete().to(control_sessions::delete))
                }))
                .service(guarded("/sessions/{worker}/{id}/touch", "POST", |at| {
                    at.route(web::post().to(control_sessions::touch))
                }))
                .service(guarded("/sessions/{worker}/{id}/events", "GET, HEAD", |at| {
                    at.route(web::get().to(events::control_history))
                }))
                .service(guarded("/sessions/{worker}/{id}/screenshot", "GET, HEAD", |at| {
                    at.route(web::get().to(screenshots::control))
                }))
                .service(guarded("/sessions/{worker}/{id}/ws", "GET, HEAD", |at| {
                    at.route(web::get().to(control_sessions::attach))
                }))
                .service(open("/websockify", "GET, HEAD").route(web::get().to(views::websockify)))
                .service(open("/websockify/view", "GET, HEAD").route(web::get().to(views::describe)));
        }
        Surface::Worker { .. } | Surface::Runner => {
            config
                .service(probed(health::host))
                .service(guarded("/drain", "POST, DELETE", |at| {
                    at.route(web::post().to(drain::host_on)).route(web::delete().to(drain::host_off))
                }))
                .service(guarded("/events", "GET, HEAD", |at| at.route(web::get().to(events::follow))))
                .service(guarded("/sessions", "GET, HEAD, POST", |at| {
                    at.route(web::get().to(host_sessions::list)).route(web::post().to(host_sessions::create))
                }))
                .service(guarded("/sessions/{id}", "GET, HEAD, DELETE", |at| {
                    at.route(web::get().to(host_sessions::show))
                        .route(web::delete().to(host_sessions::delete))
                }))
                .service(guarded("/sessions/{id}/touch", "POST", |at| {
                    at.route(web::post().to(host_sessions::touch))
                }))
                .service(guarded("/sessions/{id}/events", "GET, HEAD", |at| {
                    at.route(web::get().to(events::host_history))
                }))
                .service(guarded("/sessions/{id}/screenshot", "GET, HEAD", |at| {
                    at.route(web::get().to(screenshots::host))
                }))
                .service(guarded("/sessions/{id}/ws", "GET, HEAD", |at| {
                    at.route(web::get().to(host_sessions::attach))
                }));
        }
        Surface::Gateway | Surface::SharedScreen { .. } => {
            config
                .service(probed(health::gateway))
                .service(open("/websockify", "GET, HEAD").route(web::get().to(views::websockify)))
                .service(open("/websockify/view", "GET, HEAD").route(web::get().to(views::describe)));
        }
    }
    if !matches!(surface, Surface::Gateway | Surface::SharedScreen { .. }) {
        config
            .service(open("/json/version", "GET, HEAD").route(web::get().to(ops::cdp_version)))
            .service(open("/json/version/", "GET, HEAD").route(web::get().to(ops::cdp_version)));
    }
    config
        .service(guarded(metrics_path, "GET, HEAD", |at| at.route(web::get().to(ops::metrics))))
        .service(open("/openapi.json", "GET, HEAD").route(web::get().to(openapi::show)))
        .service(open("/docs", "GET, HEAD").route(web::get().to(swagger::page)))
        .service(open("/docs/", "GET, HEAD").route(web::get().to(swagger::without_slash)))
        .service(open("/docs/{file}", "GET, HEAD").route(web::get().to(swagger::asset)));
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
    open("/health", "GET, HEAD").route(web::get().to(health))
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
            config.service(open("/", "GET, HEAD").route(web::get().to(swagger::from_root)));
        }
    }
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

/// What `GET` of one session can be asked.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ShowQuery {
    /// `true`: also if it has ended, while it is remembered.
    #[param(value_type = Option<bool>)]
    ended: Option<String>,
}

/// Reads the parameter `ended`.
fn read_ended(given: Option<&str>) -> Result<bool, ApiError> {
    flag("ended", given)
}

/// A parameter that is true or false, and false where it is not given.
fn flag(name: &str, value: Option<&str>) -> Result<bool, ApiError> {
    match value {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => {
            Err(ApiError::InvalidField { field: name.into(), problem: "must be true or false".into() })
        }
    }
}

/// A session as a caller may see it.
fn shown_to(caller: Caller, view: &SessionView) -> Cow<'_, SessionView> {
    match caller {
        Caller::Trusted => Cow::Borrowed(view),
        Caller::Reader | Caller::Foreign => Cow::Owned(view.keyless()),
    }
}

/// Finds a session of a worker; one that has ended only for who asks for such, as clients of the original poll for its
/// 404. Also says whether that is what was last known of it.
async fn find_session(
    worker: &WorkerHandle,
    id: &str,
    query: &ShowQuery,
    by: RequestId,
) -> Result<(Arc<SessionView>, bool), ApiError> {
    let (id, ended) = (session_id(id)?, read_ended(query.ended.as_deref())?);
    let snapshot = worker.snapshot();
    let view = match snapshot.session(id) {
        Some(view) => Arc::clone(view),
        None => worker.ask(&worker.find, FindSession { id, by }).await?,
    };
    if view.status == Status::Dead && !ended {
        return Err(Error::SessionNotFound.into());
    }
    Ok((view, snapshot.stale))
}

/// Reads the body of a create request. One that declares to be too large is refused before any of it is read.
async fn body(request: &HttpRequest, payload: web::Payload) -> Result<web::Bytes, ApiError> {
    let declared =
        request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: usize| length > BODY_LIMIT) {
        return Err(ApiError::BodyTooLarge { limit: BODY_LIMIT });
    }
    match timeout(BODY_TIME, payload.to_bytes_limited(BODY_LIMIT)).await {
        Ok(Ok(Ok(body))) => Ok(body),
        Ok(Ok(Err(error))) => Err(ApiError::InvalidJson { problem: error.to_string() }),
        Ok(Err(_)) => Err(ApiError::BodyTooLarge { limit: BODY_LIMIT }),
        Err(_) => Err(ApiError::BodyTooSlow { limit: BODY_TIME }),
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
