//! `/sessions` of the control role: reads come from snapshots, writes are messages.

use actix_web::{HttpResponse, web};
use camofleet_actors::fleet::PlaceSession;
use camofleet_actors::worker::{DeleteSession, FindSession, TouchSession};
use camofleet_actors::{Error, RequestId};

use super::{ListQuery, create_request, find_worker, session_id};
use crate::app::AppState;
use crate::error::ApiError;
use crate::models::{ControlSession, CreateRequest, Deleted};

/// A session's place in a path: its worker and its id.
type Place = web::Path<(String, String)>;

/// `GET /sessions`.
pub(super) async fn list(
    state: web::Data<AppState>,
    query: web::Query<ListQuery>,
) -> Result<HttpResponse, ApiError> {
    let ended = query.ended()?;
    let workers = state.directory.workers();
    let snapshots: Vec<_> = workers.iter().map(|worker| (&worker.name, worker.snapshot())).collect();
    let prefix = &state.settings.public_api_prefix;
    let sessions: Vec<_> = snapshots
        .iter()
        .flat_map(|(worker, snapshot)| {
            let views = if ended { &snapshot.ended } else { &snapshot.sessions };
            let stale = snapshot.stale && !ended;
            views.iter().map(move |view| ControlSession::new(worker, view, prefix, stale))
        })
        .collect();
    Ok(HttpResponse::Ok().json(sessions))
}

/// `POST /sessions`: answered when the session is READY.
pub(super) async fn create(
    state: web::Data<AppState>,
    by: web::ReqData<RequestId>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let CreateRequest { session, worker } = create_request(payload).await?;
    let placed = state.place.send(PlaceSession { request: session, worker, by: by.into_inner() }).await;
    let placed = placed.unwrap_or(Err(Error::Draining))?;
    let prefix = &state.settings.public_api_prefix;
    Ok(HttpResponse::Created().json(ControlSession::new(&placed.worker, &placed.view, prefix, false)))
}

/// `GET /sessions/{worker}/{id}`: also of a session that ended, while it is remembered.
pub(super) async fn show(
    state: web::Data<AppState>,
    by: web::ReqData<RequestId>,
    place: Place,
) -> Result<HttpResponse, ApiError> {
    let worker = find_worker(&state, Some(&place.0))?;
    let id = session_id(&place.1)?;
    let snapshot = worker.snapshot();
    let view = match snapshot.session(id) {
        Some(view) => view.clone(),
        None => worker.ask(&worker.find, FindSession { id, by: by.into_inner() }).await?,
    };
    let prefix = &state.settings.public_api_prefix;
    Ok(HttpResponse::Ok().json(ControlSession::new(&worker.name, &view, prefix, snapshot.stale)))
}

/// `DELETE /sessions/{worker}/{id}`: answered when nothing is left of it.
pub(super) async fn delete(
    state: web::Data<AppState>,
    by: web::ReqData<RequestId>,
    place: Place,
) -> Result<HttpResponse, ApiError> {
    let worker = find_worker(&state, Some(&place.0))?;
    let id = session_id(&place.1)?;
    let status = worker.ask(&worker.delete, DeleteSession { id, by: by.into_inner() }).await?;
    Ok(HttpResponse::Ok().json(Deleted { id, status }))
}

/// `POST /sessions/{worker}/{id}/touch`.
pub(super) async fn touch(
    state: web::Data<AppState>,
    by: web::ReqData<RequestId>,
    place: Place,
) -> Result<HttpResponse, ApiError> {
    let worker = find_worker(&state, Some(&place.0))?;
    let id = session_id(&place.1)?;
    let view = worker.ask(&worker.touch, TouchSession { id, by: by.into_inner() }).await?;
    let prefix = &state.settings.public_api_prefix;
    Ok(HttpResponse::Ok().json(ControlSession::new(&worker.name, &view, prefix, false)))
}
