//! `/health` of each role, and the control role's `/workers`: snapshots, nobody is asked.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};

use super::find_worker;
use super::refusals::HostRefusals;
use crate::app::AppState;
use crate::error::ApiError;
use crate::models::{ControlHealth, Health, WorkerStatus};

fn statuses(state: &AppState) -> Vec<WorkerStatus> {
    state.directory.workers().iter().map(WorkerStatus::new).collect()
}

/// `GET /workers`.
#[utoipa::path(
    get,
    path = "/workers",
    summary = "Show each worker",
    tag = "fleet",
    responses((status = 200, description = "Each worker's health checks", body = Vec<WorkerStatus>))
)]
pub(super) async fn workers(state: web::Data<AppState>) -> HttpResponse {
    HttpResponse::Ok().json(statuses(&state))
}

/// `GET /health` of the control role: answers 200 either way; the body says whether all is well.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "health",
    summary = "Show the health",
    tag = "fleet",
    responses((status = 200, description = "`ok` or `degraded`, and why", body = ControlHealth))
)]
pub(super) async fn control(state: web::Data<AppState>) -> HttpResponse {
    HttpResponse::Ok().json(ControlHealth::of(statuses(&state)))
}

/// `GET /health` of a worker or a runner.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "health",
    summary = "Show the health",
    tag = "fleet",
    responses((status = 200, description = "`ok` or `degraded`, and why", body = Health), HostRefusals)
)]
pub(super) async fn host(state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(Health::own(&find_worker(&state, None)?.snapshot())))
}

/// `GET /health` of the gateway.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "health",
    summary = "Show the health",
    tag = "fleet",
    responses((status = 200, description = "`ok`, and what it serves", body = Health), HostRefusals)
)]
pub(super) async fn gateway(state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    state.directory.gateway()?;
    let tunnels = format!("{} open", state.metrics.tunnels());
    Ok(HttpResponse::Ok().json(Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION").to_owned(),
        checks: BTreeMap::from([("tunnels".to_owned(), tunnels)]),
    }))
}
