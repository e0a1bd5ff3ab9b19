//! `/sessions` of the control role: reads come from snapshots, writes are messages.

use actix_web::{HttpRequest, HttpResponse, web};
use camofleet_actors::claim::Claim;
use camofleet_actors::fleet::PlaceSession;
use camofleet_actors::worker::{DeleteSession, TouchSession};
use camofleet_actors::{Error, RequestId};

use super::refusals::{
    AttachRefusals, CreateRefusals, ListRefusals, SessionRefusals, ShowRefusals, TouchRefusals,
};
use super::{
    ListQuery, ShowQuery, body, find_session, find_worker, not_a_handshake, read_ended, session_id, shown_to,
};
use crate::app::AppState;
use crate::error::ApiError;
use crate::gate::Caller;
use crate::models::{ControlSession, CreateBody, CreateRequest, Deleted};

/// A session's place in a path: its worker and its id.
type Place = web::Path<(String, String)>;

/// `GET /sessions`.
#[utoipa::path(
    get,
    path = "/sessions",
    operation_id = "list",
    summary = "List the sessions",
    tag = "sessions",
    params(ListQuery),
    responses((status = 200, description = "Live ones, oldest first; or ended ones, newest first", body = Vec<ControlSession>), ListRefusals)
)]
pub(super) async fn list(
    state: web::Data<AppState>,
    caller: web::ReqData<Caller>,
    query: web::Query<ListQuery>,
) -> Result<HttpResponse, ApiError> {
    let ended = read_ended(query.ended.as_deref())?;
    let workers = state.directory.workers();
    let snapshots: Vec<_> = workers.iter().map(|worker| (&worker.name, worker.snapshot())).collect();
    let prefix = &state.settings.public_api_prefix;
    let caller = *caller;
    let views: Vec<_> = snapshots
        .iter()
        .flat_map(|(worker, snapshot)| {
            let views = if ended { &snapshot.ended } else { &snapshot.sessions };
            let stale = snapshot.stale && !ended;
            views.iter().map(move |view| (worker, shown_to(caller, view), stale))
        })
        .collect();
    let sessions: Vec<_> =
        views.iter().map(|(worker, view, stale)| ControlSession::new(worker, view, prefix, *stale)).collect();
    Ok(HttpResponse::Ok().json(sessions))
}

/// `POST /sessions`: answered when the session is READY.
#[utoipa::path(
    post,
    path = "/sessions",
    summary = "Create a session",
    tag = "sessions",
    request_body(content = CreateBody, content_type = "application/json", description = "Of at most 64 KiB; may be empty"),
    responses((status = 201, description = "The session, which is READY", body = ControlSession), CreateRefusals)
)]
pub(super) async fn create(
    state: web::Data<AppState>,
    request: HttpRequest,
    by: web::ReqData<RequestId>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let CreateRequest { session, worker } = CreateRequest::parse(&body(&request, payload).await?)?;
    // Dropped with this handler when the client leaves.
    let (claim, claimant) = Claim::new();
    let place = PlaceSession { request: session, worker, by: by.into_inner(), claimant };
    let placed = state.place.send(place).await.unwrap_or(Err(Error::Draining))?;
    claim.take();
    let prefix = &state.settings.public_api_prefix;
    Ok(HttpResponse::Created().json(ControlSession::new(&placed.worker, &placed.view, prefix, false)))
}

/// `GET /sessions/{worker}/{id}`: also of a session that ended, where that is asked for.
#[utoipa::path(
    get,
    path = "/sessions/{worker}/{id}",
    summary = "Show a session",
    tag = "sessions",
    params(("worker" = String, Path, description = "The worker's name"), ("id" = String, Path, description = "The session's id: a UUID"), ShowQuery),
    responses((status = 200, description = "The session", body = ControlSession), ShowRefusals)
)]
pub(super) async fn show(
    state: web::Data<AppState>,
    by: web::ReqData<RequestId>,
    place: Place,
    caller: web::ReqData<Caller>,
    query: web::Query<ShowQuery>,
) -> Result<HttpResponse, ApiError> {
    let worker = find_worker(&state, Some(&place.0))?;
    let (view, stale) = find_session(&worker, &place.1, &query, by.into_inner()).await?;
    let prefix = &state.settings.public_api_prefix;
    let view = shown_to(*caller, &view);
    Ok(HttpResponse::Ok().json(ControlSession::new(&worker.name, &view, prefix, stale)))
}

/// `DELETE /sessions/{worker}/{id}`: answered when nothing is left of it.
#[utoipa::path(
    delete,
    path = "/sessions/{worker}/{id}",
    summary = "End a session",
    tag = "sessions",
    params(("worker" = String, Path, description = "The worker's name"), ("id" = String, Path, description = "The session's id: a UUID")),
    responses((status = 200, description = "Nothing of it is left", body = Deleted), SessionRefusals)
)]
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
#[utoipa::path(
    post,
    path = "/sessions/{worker}/{id}/touch",
    summary = "Keep a session alive",
    tag = "sessions",
    params(("worker" = String, Path, description = "The worker's name"), ("id" = String, Path, description = "The session's id: a UUID")),
    responses((status = 200, description = "The session", body = ControlSession), TouchRefusals)
)]
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

/// `GET /sessions/{worker}/{id}/ws`: a WebSocket that attaches a Playwright client.
#[utoipa::path(
    get,
    path = "/sessions/{worker}/{id}/ws",
    summary = "Attach a Playwright client (WebSocket)",
    tag = "sessions",
    params(("worker" = String, Path, description = "The worker's name"), ("id" = String, Path, description = "The session's id: a UUID")),
    responses((status = 101, description = "A Playwright connection"), AttachRefusals)
)]
pub(super) async fn attach() -> Result<String, ApiError> {
    // A handshake never gets here: see `upgrade`.
    Err(not_a_handshake())
}
