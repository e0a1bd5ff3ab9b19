//! The routes, one file a resource. Which of them a server has, its [`Surface`] decides.

mod control_sessions;
mod health;
mod host_sessions;
mod ops;
mod panel;

use actix_web::http::header::HeaderMap;
use actix_web::middleware::from_fn;
use actix_web::{Resource, guard, web};
use camofleet_actors::Error;
use camofleet_actors::session::SessionId;
use camofleet_actors::worker::WorkerHandle;

use crate::app::{AppState, Surface};
use crate::auth::require_token;
use crate::error::ApiError;
use crate::models::CreateRequest;

/// The largest body that is read, in bytes.
const BODY_LIMIT: usize = 64 << 10;

/// The API's routes; they stand below `/` and below `/api` alike.
pub(crate) fn api(config: &mut web::ServiceConfig, surface: &Surface, metrics_path: &str) {
    let guarded = |path: &str, resource: fn(Resource) -> Resource| {
        resource(web::resource(path)).default_service(no_other_method()).wrap(from_fn(require_token))
    };
    match surface {
        Surface::Control => {
            config
                .service(open("/health", |at| at.route(web::get().to(health::control))))
                .service(guarded("/workers", |at| at.route(web::get().to(health::workers))))
                .service(guarded("/sessions", |at| {
                    at.route(web::get().to(control_sessions::list))
                        .route(web::post().to(control_sessions::create))
                }))
                .service(guarded("/sessions/{worker}/{id}", |at| {
                    at.route(web::get().to(control_sessions::show))
                        .route(web::delete().to(control_sessions::delete))
                }))
                .service(guarded("/sessions/{worker}/{id}/touch", |at| {
                    at.route(web::post().to(control_sessions::touch))
                }))
                // A handshake never gets here: see `upgrade`.
                .service(web::resource("/sessions/{worker}/{id}/ws").to(only_websocket))
                .service(web::resource("/websockify").to(only_websocket));
        }
        Surface::Worker { .. } | Surface::Runner => {
            config
                .service(open("/health", |at| at.route(web::get().to(health::host))))
                .service(guarded("/sessions", |at| {
                    at.route(web::get().to(host_sessions::list)).route(web::post().to(host_sessions::create))
                }))
                .service(guarded("/sessions/{id}", |at| {
                    at.route(web::get().to(host_sessions::show))
                        .route(web::delete().to(host_sessions::delete))
                }))
                .service(guarded("/sessions/{id}/touch", |at| at.route(web::post().to(host_sessions::touch))))
                .service(web::resource("/sessions/{id}/ws").to(only_websocket));
        }
        Surface::Gateway | Surface::SharedScreen { .. } => {
            config
                .service(open("/health", |at| at.route(web::get().to(health::gateway))))
                .service(web::resource("/websockify").to(only_websocket));
        }
    }
    config.service(guarded(metrics_path, |at| at.route(web::get().to(ops::metrics))));
}

/// A resource that needs no token, answering HEAD as well for whoever probes it.
fn open(path: &str, resource: fn(Resource) -> Resource) -> Resource {
    resource(web::resource(path)).default_service(no_other_method())
}

fn no_other_method() -> actix_web::Route {
    web::route()
        .guard(guard::fn_guard(|_| true))
        .to(|| async { Err::<String, _>(ApiError::MethodNotAllowed) })
}

/// The pages that a surface has: the panel, and the page with a live view.
pub(crate) fn pages(config: &mut web::ServiceConfig, surface: &Surface) {
    match surface {
        Surface::Control => panel::panel(config),
        Surface::Gateway => panel::views(config),
        Surface::SharedScreen { assets } => panel::shared_screen(config, assets.as_deref()),
        Surface::Worker { .. } | Surface::Runner => {}
    }
}

async fn only_websocket() -> Result<String, ApiError> {
    Err(ApiError::BadHandshake {
        problem: "the headers 'Connection: Upgrade' and 'Upgrade: websocket' are missing".to_owned(),
    })
}

/// What `GET /sessions` can be asked.
#[derive(serde::Deserialize)]
struct ListQuery {
    /// `true`: the sessions that ended last, instead of the live ones.
    ended: Option<String>,
}

impl ListQuery {
    fn ended(&self) -> Result<bool, ApiError> {
        match self.ended.as_deref() {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1" | "") => Ok(true),
            Some(_) => {
                Err(ApiError::InvalidField { field: "ended".into(), problem: "must be true or false".into() })
            }
        }
    }
}

/// Reads and checks the body of a create request.
async fn create_request(payload: web::Payload) -> Result<CreateRequest, ApiError> {
    match payload.to_bytes_limited(BODY_LIMIT).await {
        Ok(Ok(body)) => CreateRequest::parse(&body),
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
