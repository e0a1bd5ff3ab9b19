//! `/drain`: takes a worker out of service and back. Its sessions go on, unless they are to end.

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
    /// `true`: the sessions that run are ended as well, with the reason `shutdown`.
    #[param(value_type = Option<bool>)]
    end: Option<String>,
}

/// `POST /workers/{worker}/drain`.
#[utoipa::path(
    post,
    path = "/workers/{worker}/drain",
    operation_id = "drain",
    summary = "Give a worker no more sessions",
    description = "Those that run on it go on, unless `end` is true. The worker itself keeps this, so it holds for every control; until `DELETE`, or the worker's restart.",
    tag = "fleet",
    params(("worker" = String, Path, description = "The worker's name"), DrainQuery),
    responses((status = 200, description = "The worker, as it is then", body = WorkerStatus), DrainRefusals)
)]
pub(super) async fn start(
    state: web::Data<AppState>,
    worker: NamedWorker,
    query: web::Query<DrainQuery>,
    by: web::ReqData<RequestId>,
) -> Result<HttpResponse, ApiError> {
    let end = flag("end", query.end.as_deref())?;
    set(&state, &worker.0, Drain { on: true, end, by: by.into_inner() }).await
}

/// `DELETE /workers/{worker}/drain`.
#[utoipa::path(
    delete,
    path = "/workers/{worker}/drain",
    operation_id = "undrain",
    summary = "Give a worker sessions again",
    tag = "fleet",
    params(("worker" = String, Path, description = "The worker's name")),
    responses((status = 200, description = "The worker, as it is then", body = WorkerStatus), DrainRefusals)
)]
pub(super) async fn stop(
    state: web::Data<AppState>,
    worker: NamedWorker,
    by: web::ReqData<RequestId>,
) -> Result<HttpResponse, ApiError> {
    set(&state, &worker.0, Drain { on: false, end: false, by: by.into_inner() }).await
}

/// Sends the order, and answers with the worker as it is then: a control with its status, a host with its own health.
async fn set(state: &AppState, worker: &WorkerHandle, order: Drain) -> Result<HttpResponse, ApiError> {
    worker.ask(&worker.drain, order).await?;
    let snapshot = worker.snapshot();
    Ok(match state.surface {
        Surface::Control => HttpResponse::Ok().json(snapshot.status(&worker.name)),
        _ => HttpResponse::Ok().json(own_health(state, &snapshot)),
    })
}
