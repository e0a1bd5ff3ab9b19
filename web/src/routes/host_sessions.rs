//! `/sessions` of one host: the worker and the runner role, which differ in what they show of a session.

use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use camofleet_actors::claim::Claim;
use camofleet_actors::fleet::PlaceSession;
use camofleet_actors::session::SessionView;
use camofleet_actors::worker::{DeleteSession, TouchSession};
use camofleet_actors::{Error, RequestId};

use super::refusals::{
    AttachRefusals, HostCreateRefusals, HostListRefusals, SessionRefusals, ShowRefusals, TouchRefusals,
};
use super::{
    ListQuery, ShowQuery, authority, body, find_session, find_worker, not_a_handshake, read_ended,
    session_id, shown_to,
};
use crate::app::{AppState, Surface};
use crate::error::ApiError;
use crate::gate::Caller;
use crate::models::{Deleted, HostSession, RunnerSession, SessionBody, WorkerSession, read_session};

/// A session as the role shows it, to a caller that reached it as `authority`; `stale` if that is what was last known of
/// it.
pub(super) fn shown<'a>(
    state: &'a AppState,
    authority: &str,
    view: &'a SessionView,
    stale: bool,
) -> HostSession<'a> {
    match &state.surface {
        Surface::Worker { id } => HostSession::Worker(WorkerSession::new(id, view, stale)),
        _ => HostSession::Runner(RunnerSession::new(authority, view)),
    }
}

/// Answers with one session.
fn one(
    mut answer: HttpResponseBuilder,
    state: &AppState,
    request: &HttpRequest,
    view: &SessionView,
    stale: bool,
) -> HttpResponse {
    answer.json(shown(state, &authority(state, request.headers()), view, stale))
}

/// `GET /sessions`.
#[utoipa::path(
    get,
    path = "/sessions",
    operation_id = "list",
    summary = "List the sessions",
    tag = "sessions",
    params(ListQuery),
    responses((status = 200, description = "Live ones, oldest first; or ended ones, newest first", body = Vec<HostSession>), HostListRefusals)
)]
pub(super) async fn list(
    state: web::Data<AppState>,
    request: HttpRequest,
    caller: web::ReqData<Caller>,
    query: web::Query<ListQuery>,
) -> Result<HttpResponse, ApiError> {
    let ended = read_ended(query.ended.as_deref())?;
    let snapshot = find_worker(&state, None)?.snapshot();
    let views = if ended { &snapshot.ended } else { &snapshot.sessions };
    let authority = authority(&state, request.headers());
    let views: Vec<_> = views.iter().map(|view| shown_to(*caller, view)).collect();
    let sessions: Vec<_> =
        views.iter().map(|view| shown(&state, &authority, view, snapshot.stale && !ended)).collect();
    Ok(HttpResponse::Ok().json(sessions))
}

/// `POST /sessions`: answered when the session is READY.
#[utoipa::path(
    post,
    path = "/sessions",
    summary = "Create a session",
    tag = "sessions",
    request_body(content = SessionBody, content_type = "application/json", description = "Of at most 64 KiB; may be empty"),
    responses((status = 201, description = "The session, which is READY", body = HostSession), HostCreateRefusals)
)]
pub(super) async fn create(
    state: web::Data<AppState>,
    request: HttpRequest,
    by: web::ReqData<RequestId>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let session = read_session(&body(&request, payload).await?)?;
    let worker = find_worker(&state, None)?.name;
    // Dropped with this handler when the client leaves.
    let (claim, claimant) = Claim::new();
    let place = PlaceSession { request: session, worker: Some(worker), by: by.into_inner(), claimant };
    let placed = state.place.send(place).await.unwrap_or(Err(Error::Draining))?;
    claim.take();
    Ok(one(HttpResponse::Created(), &state, &request, &placed.view, false))
}

/// `GET /sessions/{id}`: also of a session that ended, where that is asked for.
#[utoipa::path(
    get,
    path = "/sessions/{id}",
    summary = "Show a session",
    tag = "sessions",
    params(("id" = String, Path, description = "The session's id: a UUID"), ShowQuery),
    responses((status = 200, description = "The session", body = HostSession), ShowRefusals)
)]
pub(super) async fn show(
    state: web::Data<AppState>,
    request: HttpRequest,
    by: web::ReqData<RequestId>,
    id: web::Path<String>,
    caller: web::ReqData<Caller>,
    query: web::Query<ShowQuery>,
) -> Result<HttpResponse, ApiError> {
    let worker = find_worker(&state, None)?;
    let (view, stale) = find_session(&worker, &id, &query, by.into_inner()).await?;
    Ok(one(HttpResponse::Ok(), &state, &request, &shown_to(*caller, &view), stale))
}

/// `DELETE /sessions/{id}`: answered when nothing is left of it.
#[utoipa::path(
    delete,
    path = "/sessions/{id}",
    summary = "End a session",
    tag = "sessions",
    params(("id" = String, Path, description = "The session's id: a UUID")),
    responses((status = 200, description = "Nothing of it is left", body = Deleted), SessionRefusals)
)]
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
#[utoipa::path(
    post,
    path = "/sessions/{id}/touch",
    summary = "Keep a session alive",
    tag = "sessions",
    params(("id" = String, Path, description = "The session's id: a UUID")),
    responses((status = 200, description = "The session", body = HostSession), TouchRefusals)
)]
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

/// `GET /sessions/{id}/ws`: a WebSocket that attaches a Playwright client.
#[utoipa::path(
    get,
    path = "/sessions/{id}/ws",
    summary = "Attach a Playwright client (WebSocket)",
    tag = "sessions",
    params(("id" = String, Path, description = "The session's id: a UUID")),
    responses((status = 101, description = "A Playwright connection"), AttachRefusals)
)]
pub(super) async fn attach() -> Result<String, ApiError> {
    // A handshake never gets here: see `upgrade`.
    Err(not_a_handshake())
}
