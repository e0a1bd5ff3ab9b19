//! `/sessions`: reads come from snapshots, writes are messages.

use actix_web::{HttpResponse, web};
use camofleet_actors::Error;
use camofleet_actors::fleet::PlaceSession;
use camofleet_actors::session::{SessionId, Status};
use camofleet_actors::worker::{DeleteSession, TouchSession, WorkerHandle};
use serde::Deserialize;

use crate::app::AppState;
use crate::error::ApiError;
use crate::models::{CreateRequest, Deleted, SessionDescriptor};

/// The largest body that is read, in bytes.
const BODY_LIMIT: usize = 64 << 10;

/// What `GET /sessions` can be asked.
#[derive(Deserialize)]
pub(super) struct ListQuery {
    /// `true`: the sessions that ended last, instead of the live ones.
    ended: Option<String>,
}

/// `GET /sessions`.
pub(super) async fn list(
    state: web::Data<AppState>,
    query: web::Query<ListQuery>,
) -> Result<HttpResponse, ApiError> {
    let ended = match query.ended.as_deref() {
        None | Some("false" | "0") => false,
        Some("true" | "1" | "") => true,
        Some(_) => {
            return Err(ApiError::InvalidField {
                field: "ended".into(),
                problem: "must be true or false".into(),
            });
        }
    };
    let workers = state.directory.workers();
    let snapshots: Vec<_> = workers.iter().map(|worker| (&worker.name, worker.snapshot())).collect();
    let descriptors: Vec<_> = snapshots
        .iter()
        .flat_map(|(worker, snapshot)| {
            let views = if ended { &snapshot.ended } else { &snapshot.sessions };
            views.iter().map(|view| SessionDescriptor::new(worker, view, &state.settings.public_api_prefix))
        })
        .collect();
    Ok(HttpResponse::Ok().json(descriptors))
}

/// `POST /sessions`: answered when the session is READY.
pub(super) async fn create(
    state: web::Data<AppState>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let body = match payload.to_bytes_limited(BODY_LIMIT).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => return Err(ApiError::InvalidJson { problem: error.to_string() }),
        Err(_) => return Err(ApiError::BodyTooLarge { limit: BODY_LIMIT }),
    };
    let CreateRequest { session, worker } = CreateRequest::parse(&body)?;
    let placed = state.place.send(PlaceSession { request: session, worker }).await;
    let placed = placed.unwrap_or(Err(Error::Draining))?;
    let prefix = &state.settings.public_api_prefix;
    Ok(HttpResponse::Created().json(SessionDescriptor::new(&placed.worker, &placed.view, prefix)))
}

/// A session's place in a path. What is no id is no session's.
pub(crate) fn find(state: &AppState, worker: &str, id: &str) -> Result<(WorkerHandle, SessionId), ApiError> {
    let worker = state.directory.worker(worker)?;
    let id = id.parse().map_err(|_| Error::SessionNotFound)?;
    Ok((worker, id))
}

/// `GET /sessions/{worker}/{id}`: also of a session that ended, while it is remembered.
pub(super) async fn show(
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (worker, id) = find(&state, &path.0, &path.1)?;
    let snapshot = worker.snapshot();
    let view = snapshot.session(id).ok_or(Error::SessionNotFound)?;
    Ok(HttpResponse::Ok().json(SessionDescriptor::new(&worker.name, view, &state.settings.public_api_prefix)))
}

/// `DELETE /sessions/{worker}/{id}`: answered when nothing is left of it.
pub(super) async fn delete(
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (worker, id) = find(&state, &path.0, &path.1)?;
    let id = worker.ask(&worker.delete, DeleteSession(id)).await?;
    Ok(HttpResponse::Ok().json(Deleted { id, status: Status::Dead }))
}

/// `POST /sessions/{worker}/{id}/touch`.
pub(super) async fn touch(
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (worker, id) = find(&state, &path.0, &path.1)?;
    let view = worker.ask(&worker.touch, TouchSession(id)).await?;
    Ok(HttpResponse::Ok().json(SessionDescriptor::new(
        &worker.name,
        &view,
        &state.settings.public_api_prefix,
    )))
}
