//! `/sessions` of one host: the worker and the runner role, which differ in what they show of a session.

use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use camofleet_actors::fleet::PlaceSession;
use camofleet_actors::session::SessionView;
use camofleet_actors::worker::{DeleteSession, FindSession, TouchSession};
use camofleet_actors::{Error, RequestId};

use super::{ListQuery, authority, create_request, find_worker, session_id};
use crate::app::{AppState, Surface};
use crate::error::ApiError;
use crate::models::{Deleted, RunnerSession, WorkerSession};

/// Answers with one session, as the role shows it; `stale` if that is what was last known of it.
fn one(
    mut answer: HttpResponseBuilder,
    state: &AppState,
    request: &HttpRequest,
    view: &SessionView,
    stale: bool,
) -> HttpResponse {
    match &state.surface {
        Surface::Worker { id } => answer.json(WorkerSession::new(id, view, stale)),
        _ => answer.json(RunnerSession::new(&authority(state, request.headers()), view)),
    }
}

/// `GET /sessions`.
pub(super) async fn list(
    state: web::Data<AppState>,
    request: HttpRequest,
    query: web::Query<ListQuery>,
) -> Result<HttpResponse, ApiError> {
    let ended = query.ended()?;
    let snapshot = find_worker(&state, None)?.snapshot();
    let views = if ended { &snapshot.ended } else { &snapshot.sessions };
    Ok(match &state.surface {
        Surface::Worker { id } => {
            let sessions: Vec<_> =
                views.iter().map(|view| WorkerSession::new(id, view, snapshot.stale && !ended)).collect();
            HttpResponse::Ok().json(sessions)
        }
        _ => {
            let authority = authority(&state, request.headers());
            let sessions: Vec<_> = views.iter().map(|view| RunnerSession::new(&authority, view)).collect();
            HttpResponse::Ok().json(sessions)
        }
    })
}

/// `POST /sessions`: answered when the session is READY.
pub(super) async fn create(
    state: web::Data<AppState>,
    request: HttpRequest,
    by: web::ReqData<RequestId>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let session = create_request(payload).await?.session;
    let worker = find_worker(&state, None)?.name;
    let place = PlaceSession { request: session, worker: Some(worker), by: by.into_inner() };
    let placed = state.place.send(place).await.unwrap_or(Err(Error::Draining))?;
    Ok(one(HttpResponse::Created(), &state, &request, &placed.view, false))
}

/// `GET /sessions/{id}`: also of a session that ended, while it is remembered.
pub(super) async fn show(
    state: web::Data<AppState>,
    request: HttpRequest,
    by: web::ReqData<RequestId>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let worker = find_worker(&state, None)?;
    let id = session_id(&id)?;
    let snapshot = worker.snapshot();
    let view = match snapshot.session(id) {
        Some(view) => view.clone(),
        None => worker.ask(&worker.find, FindSession { id, by: by.into_inner() }).await?,
    };
    Ok(one(HttpResponse::Ok(), &state, &request, &view, snapshot.stale))
}

/// `DELETE /sessions/{id}`: answered when nothing is left of it.
pub(super) async fn delete(
    state: web::Data<AppState>,
    by: web::ReqData<RequestId>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let worker = find_worker(&state, None)?;
    let id = session_id(&id)?;
    let status = worker.ask(&worker.delete, DeleteSession { id, by: by.into_inner() }).await?;
    Ok(HttpResponse::Ok().json(Deleted { id, status }))
}

/// `POST /sessions/{id}/touch`.
pub(super) async fn touch(
    state: web::Data<AppState>,
    request: HttpRequest,
    by: web::ReqData<RequestId>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let worker = find_worker(&state, None)?;
    let id = session_id(&id)?;
    let view = worker.ask(&worker.touch, TouchSession { id, by: by.into_inner() }).await?;
    Ok(one(HttpResponse::Ok(), &state, &request, &view, false))
}
