//! `/health` of each role, and the control role's `/workers`, both from snapshots without calling workers.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use camofleet_actors::worker::WorkerSnapshot;
use camofleet_api::health::{ControlHealth, Health, HealthStatus, WorkerStatus};
use serde::Serialize;

use super::extract::NamedWorker;
use crate::auth;
use crate::documents::refusals::HostRefusals;
use crate::error::ApiError;
use crate::request::Caller;
use crate::state::AppState;

/// The health of this process, from the snapshot of its only worker.
pub(super) fn own_health(state: &AppState, snapshot: &WorkerSnapshot) -> Health {
    Health {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        insecure: Some(state.settings.access.is_insecure()),
        ..snapshot.health()
    }
}

fn statuses(state: &AppState) -> Vec<WorkerStatus> {
    let workers = state.directory.workers();
    workers.iter().map(|worker| worker.snapshot().status(&worker.name)).collect()
}

/// `GET /workers`.
#[utoipa::path(
    get,
    path = "/workers",
    summary = "List the workers",
    tag = "fleet",
    responses((status = 200, description = "Each worker's status", body = Vec<WorkerStatus>))
)]
pub(super) async fn workers(state: web::Data<AppState>) -> HttpResponse {
    HttpResponse::Ok().json(statuses(&state))
}

/// `GET /health` of the control role. The status is always 200; the body has the health.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "health",
    summary = "Show the health",
    description = "Needs no token. If one is configured, callers without it don't get the workers' `url` and `facts`.",
    tag = "fleet",
    responses((status = 200, description = "`ok` or `degraded`, with the checks", body = ControlHealth))
)]
pub(super) async fn control(
    state: web::Data<AppState>,
    caller: web::ReqData<Caller>,
    request: HttpRequest,
) -> HttpResponse {
    let mut workers = statuses(&state);
    let access = &state.settings.access;
    if auth::check(access.api_token.as_deref(), request.headers(), request.query_string()).is_err() {
        workers = workers.into_iter().map(WorkerStatus::redacted).collect();
    }
    let health = ControlHealth::of(workers, access.is_insecure());
    answer(*caller, health.status, &health)
}

/// Answers with the health; a page of another origin gets only the status.
fn answer(caller: Caller, status: HealthStatus, health: &impl Serialize) -> HttpResponse {
    match caller {
        Caller::Trusted => HttpResponse::Ok().json(health),
        Caller::Reader | Caller::Foreign => HttpResponse::Ok().json(BTreeMap::from([("status", status)])),
    }
}

/// `GET /health` of a worker or a runner.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "health",
    summary = "Show the health",
    tag = "fleet",
    responses((status = 200, description = "`ok` or `degraded`, with the checks", body = Health), HostRefusals)
)]
pub(super) async fn host(
    state: web::Data<AppState>,
    worker: NamedWorker,
    caller: web::ReqData<Caller>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let access = &state.settings.access;
    let mut health = own_health(&state, &worker.0.snapshot());
    if auth::check(access.api_token.as_deref(), request.headers(), request.query_string()).is_err() {
        health.facts = None;
    }
    Ok(answer(*caller, health.status, &health))
}

/// `GET /health` of the gateway.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "health",
    summary = "Show the health",
    tag = "fleet",
    responses((status = 200, description = "`ok`, with the checks", body = Health), HostRefusals)
)]
pub(super) async fn gateway(
    state: web::Data<AppState>,
    caller: web::ReqData<Caller>,
) -> Result<HttpResponse, ApiError> {
    state.gateway.get()?;
    let tunnels = format!("{} open", state.metrics.tunnels());
    let health = Health {
        status: HealthStatus::Ok,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        checks: BTreeMap::from([("tunnels".to_owned(), tunnels)]),
        failing: Vec::new(),
        facts: None,
        insecure: Some(state.settings.access.is_insecure()),
    };
    Ok(answer(*caller, health.status, &health))
}
