//! `/drain`: starts and stops draining a worker. Its sessions go on unless `end` is set.

use actix_web::{HttpResponse, web};
use camofleet_actors::worker::{Drain, WorkerHandle};
use camofleet_api::health::WorkerStatus;
use camofleet_api::ids::RequestId;

use super::extract::NamedWorker;
use super::flag;
use super::health::own_health;
use crate::documents::refusals::DrainRefusals;
use crate::error::ApiError;
use crate::settings::Surface;
use crate::state::AppState;

/// The parameters of `POST …/drain`.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DrainQuery {
    /// `true`: running sessions are ended too, with the reason `shutdown`.
    #[param(value_type = Option<bool>)]
    end: Option<String>,
}

/// `POST /workers/{worker}/drain`.
#[utoipa::path(
    post,
    path = "/workers/{worker}/drain",
    operation_id = "drain",
    summary = "Start draining a worker",
    description = "The worker accepts no new sessions. Running sessions go on unless `end` is true. The worker itself keeps this state, so it applies to all controls, until `DELETE` or a restart of the worker.",
    tag = "fleet",
    params(("worker" = String, Path, description = "The worker's name"), DrainQuery),
    responses((status = 200, description = "The worker's new status", body = WorkerStatus), DrainRefusals)
)]
pub(super) async fn start(
    state: web::Data<AppState>,
    worker: NamedWorker,
    query: web::Query<DrainQuery>,
    by: web::ReqData<RequestId>,
) -> Result<HttpResponse, ApiError> {
    let end = flag("end", query.end.as_deref())?;
    send_drain(&state, &worker.0, Drain { on: true, end, by: by.into_inner() }).await
}

/// `DELETE /workers/{worker}/drain`.
#[utoipa::path(
    delete,
    path = "/workers/{worker}/drain",
    operation_id = "undrain",
    summary = "Stop draining a worker",
    tag = "fleet",
    params(("worker" = String, Path, description = "The worker's name")),
    responses((status = 200, description = "The worker's new status", body = WorkerStatus), DrainRefusals)
)]
pub(super) async fn stop(
    state: web::Data<AppState>,
    worker: NamedWorker,
    by: web::ReqData<RequestId>,
) -> Result<HttpResponse, ApiError> {
    send_drain(&state, &worker.0, Drain { on: false, end: false, by: by.into_inner() }).await
}

/// Sends the message, and answers with the worker's new state: a control with its status, a host with its own health.
async fn send_drain(state: &AppState, worker: &WorkerHandle, drain: Drain) -> Result<HttpResponse, ApiError> {
    worker.ask(&worker.drain, drain).await?;
    let snapshot = worker.snapshot();
    Ok(match state.surface {
        Surface::Control => HttpResponse::Ok().json(snapshot.status(&worker.name)),
        _ => HttpResponse::Ok().json(own_health(state, &snapshot)),
    })
}
