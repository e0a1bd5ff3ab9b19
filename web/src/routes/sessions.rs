//! `/sessions`: reads come from snapshots, writes are messages. All surfaces have the same routes; those of a control also
//! contain the worker's name.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use camofleet_actors::Error;
use camofleet_actors::fleet::PlaceSession;
use camofleet_actors::model::claim::Claim;
use camofleet_actors::worker::{
    ChangeSession, DeleteSession, FindSession, ReportEgress, ReportIdentity, TouchSession,
};
use camofleet_api::egress::EgressReport;
use camofleet_api::event::HistoryEntry;
use camofleet_api::identity::IdentityReport;
use camofleet_api::ids::RequestId;
use camofleet_api::request::{CreateRequest, SessionPatch, SessionRequest};
use camofleet_api::session::{Deleted, Session, Status};

use super::extract::{NamedSession, find_worker};
use super::{flag, not_a_handshake};
use crate::body::read_body;
use crate::documents::refusals::{
    AttachRefusals, ChangeRefusals, CreateRefusals, EgressRefusals, IdentityRefusals, ListRefusals,
    SessionRefusals, ShowRefusals, TouchRefusals,
};
use crate::error::ApiError;
use crate::presenter::Presenter;
use crate::settings::Surface;
use crate::state::AppState;

/// The parameters of `GET /sessions`.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// `true`: list recently ended sessions instead of live ones.
    #[param(value_type = Option<bool>)]
    ended: Option<String>,
}

/// The parameters of `GET` of one session.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ShowQuery {
    /// `true`: also return a session that has ended, while it is still listed.
    #[param(value_type = Option<bool>)]
    ended: Option<String>,
}

/// `GET /sessions`.
#[utoipa::path(
    get,
    path = "/sessions",
    operation_id = "list",
    summary = "List the sessions",
    tag = "sessions",
    params(ListQuery),
    responses((status = 200, description = "Live sessions, oldest first, or ended sessions, newest first", body = Vec<Session>), ListRefusals)
)]
pub(super) async fn list(
    state: web::Data<AppState>,
    presenter: Presenter,
    query: web::Query<ListQuery>,
) -> Result<HttpResponse, ApiError> {
    let ended = flag("ended", query.ended.as_deref())?;
    let mut workers = state.directory.workers();
    if !matches!(state.surface, Surface::Control) {
        workers = Arc::new(vec![find_worker(&state, None)?]);
    }
    let mut sessions: Vec<Session> = Vec::new();
    for worker in workers.iter() {
        let snapshot = worker.snapshot();
        let views = if ended { &snapshot.ended } else { &snapshot.sessions };
        let stale = snapshot.stale && !ended;
        sessions.extend(views.iter().map(|view| presenter.session(&worker.name, view, stale)));
    }
    Ok(HttpResponse::Ok().json(sessions))
}

/// `POST /sessions`: answered when the session is READY.
#[utoipa::path(
    post,
    path = "/sessions",
    summary = "Create a session",
    tag = "sessions",
    request_body(content = CreateRequest, content_type = "application/json", description = "At most 64 KiB; may be empty"),
    responses((status = 201, description = "The session, once it is READY", body = Session), CreateRefusals)
)]
pub(super) async fn create(
    state: web::Data<AppState>,
    presenter: Presenter,
    request: HttpRequest,
    by: web::ReqData<RequestId>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let body = read_body(&request, payload).await?;
    let CreateRequest { session, worker } = match state.surface {
        Surface::Control => CreateRequest::parse(&body)?,
        _ => {
            let session = SessionRequest::parse(&body)?;
            CreateRequest { session, worker: Some(find_worker(&state, None)?.name) }
        }
    };
    // Dropped with this handler if the client disconnects.
    let (claim, claimant) = Claim::new();
    let place = PlaceSession { request: session, worker, by: by.into_inner(), claimant };
    let placed = state.place.send(place).await.unwrap_or(Err(Error::Draining))?;
    claim.accept();
    Ok(HttpResponse::Created().json(presenter.session(&placed.worker, &placed.view, false)))
}

/// `GET /sessions/{worker}/{id}`. An ended session is returned only on request, because clients of the original poll until
/// they get a 404.
#[utoipa::path(
    get,
    path = "/sessions/{worker}/{id}",
    summary = "Show a session",
    tag = "sessions",
    params(("worker" = String, Path, description = "The worker's name"), ("id" = String, Path, description = "The session's id: a UUID"), ShowQuery),
    responses((status = 200, description = "The session", body = Session), ShowRefusals)
)]
pub(super) async fn show(
    NamedSession { worker, id }: NamedSession,
    by: web::ReqData<RequestId>,
    presenter: Presenter,
    query: web::Query<ShowQuery>,
) -> Result<HttpResponse, ApiError> {
    let ended = flag("ended", query.ended.as_deref())?;
    let snapshot = worker.snapshot();
    let view = match snapshot.session(id) {
        Some(view) => Arc::clone(view),
        None => worker.ask(&worker.find, FindSession { id, by: by.into_inner() }).await?,
    };
    if view.status == Status::Dead && !ended {
        return Err(Error::SessionNotFound.into());
    }
    Ok(HttpResponse::Ok().json(presenter.session(&worker.name, &view, snapshot.stale)))
}

/// `DELETE /sessions/{worker}/{id}`: answered when the session's processes and files are gone.
#[utoipa::path(
    delete,
    path = "/sessions/{worker}/{id}",
    summary = "End a session",
    tag = "sessions",
    params(("worker" = String, Path, description = "The worker's name"), ("id" = String, Path, description = "The session's id: a UUID")),
    responses((status = 200, description = "The session has ended, and its processes and files are gone", body = Deleted), SessionRefusals)
)]
pub(super) async fn delete(
    NamedSession { worker, id }: NamedSession,
    by: web::ReqData<RequestId>,
) -> Result<HttpResponse, ApiError> {
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
    responses((status = 200, description = "The session", body = Session), TouchRefusals)
)]
pub(super) async fn touch(
    NamedSession { worker, id }: NamedSession,
    by: web::ReqData<RequestId>,
    presenter: Presenter,
) -> Result<HttpResponse, ApiError> {
    let view = worker.ask(&worker.touch, TouchSession { id, by: by.into_inner() }).await?;
    Ok(HttpResponse::Ok().json(presenter.session(&worker.name, &view, false)))
}

/// `PATCH /sessions/{worker}/{id}`: answered when new connections go the new way.
#[utoipa::path(
    patch,
    path = "/sessions/{worker}/{id}",
    summary = "Change a session's proxy",
    tag = "sessions",
    params(("worker" = String, Path, description = "The worker's name"), ("id" = String, Path, description = "The session's id: a UUID")),
    request_body(content = SessionPatch, content_type = "application/json", description = "At most 64 KiB"),
    responses((status = 200, description = "The session; its open connections are closed, and new ones go the new way", body = Session), ChangeRefusals)
)]
pub(super) async fn change(
    NamedSession { worker, id }: NamedSession,
    request: HttpRequest,
    by: web::ReqData<RequestId>,
    presenter: Presenter,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let patch = SessionPatch::parse(&read_body(&request, payload).await?)?;
    let view = worker.ask(&worker.change, ChangeSession { id, patch, by: by.into_inner() }).await?;
    Ok(HttpResponse::Ok().json(presenter.session(&worker.name, &view, false)))
}

/// `GET /sessions/{worker}/{id}/egress`.
#[utoipa::path(
    get,
    path = "/sessions/{worker}/{id}/egress",
    operation_id = "egress",
    summary = "Show what a session's browser connected to",
    tag = "sessions",
    params(("worker" = String, Path, description = "The worker's name"), ("id" = String, Path, description = "The session's id: a UUID")),
    responses((status = 200, description = "Its proxy, totals, and the ten hosts with the most traffic", body = EgressReport), EgressRefusals)
)]
pub(super) async fn egress(
    NamedSession { worker, id }: NamedSession,
    by: web::ReqData<RequestId>,
) -> Result<HttpResponse, ApiError> {
    let report = worker.ask(&worker.egress, ReportEgress { id, by: by.into_inner() }).await?;
    Ok(HttpResponse::Ok().json(report))
}

/// `GET /sessions/{worker}/{id}/identity`.
#[utoipa::path(
    get,
    path = "/sessions/{worker}/{id}/identity",
    operation_id = "identity",
    summary = "Show a session's identity",
    tag = "sessions",
    params(("worker" = String, Path, description = "The worker's name"), ("id" = String, Path, description = "The session's id: a UUID")),
    responses((status = 200, description = "What pages learn of its user and machine, the same through every restart, and where that comes from", body = IdentityReport), IdentityRefusals)
)]
pub(super) async fn identity(
    NamedSession { worker, id }: NamedSession,
    by: web::ReqData<RequestId>,
) -> Result<HttpResponse, ApiError> {
    let report = worker.ask(&worker.identity, ReportIdentity { id, by: by.into_inner() }).await?;
    Ok(HttpResponse::Ok().json(report))
}

/// `GET /sessions/{worker}/{id}/events`.
#[utoipa::path(
    get,
    path = "/sessions/{worker}/{id}/events",
    operation_id = "history",
    summary = "Show a session's history",
    tag = "sessions",
    params(("worker" = String, Path, description = "The worker's name"), ("id" = String, Path, description = "The session's id: a UUID")),
    responses((status = 200, description = "The latest events, oldest first, without touches", body = Vec<HistoryEntry>), SessionRefusals)
)]
pub(super) async fn history(
    state: web::Data<AppState>,
    NamedSession { id, .. }: NamedSession,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(state.events.history(id).ok_or(Error::SessionNotFound)?))
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
    // Handshakes are handled in `upgrade` and never get here.
    Err(not_a_handshake())
}
