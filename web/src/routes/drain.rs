//! `/drain`: takes a worker out of service and back. Its sessions go on, unless they are to end.

use actix_web::{HttpResponse, web};
use camofleet_actors::RequestId;
use camofleet_actors::worker::{Drain, WorkerHandle};

use super::refusals::DrainRefusals;
use super::{find_worker, flag};
use crate::app::AppState;
use crate::error::ApiError;
use crate::models::{Health, WorkerStatus};

/// What `POST …/drain` can be asked.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DrainQuery {
    /// `true`: the sessions that run are ended as well, with the reason `shutdown`.
    #[param(value_type = Option<bool>)]
    end: Option<String>,
}

/// What is wanted of a worker.
#[derive(Clone, Copy)]
struct Wanted {
    on: bool,
    end: bool,
}

impl Wanted {
    const OFF: Self = Self { on: false, end: false };

    fn on(query: &DrainQuery) -> Result<Self, ApiError> {
        Ok(Self { on: true, end: flag("end", query.end.as_deref())? })
    }
}

async fn ask(
    worker: &WorkerHandle,
    Wanted { on, end }: Wanted,
    by: web::ReqData<RequestId>,
) -> Result<(), ApiError> {
    Ok(worker.ask(&worker.drain, Drain { on, end, by: by.into_inner() }).await?)
}

async fn host(
    state: &AppState,
    wanted: Wanted,
    by: web::ReqData<RequestId>,
) -> Result<HttpResponse, ApiError> {
    let worker = find_worker(state, None)?;
    ask(&worker, wanted, by).await?;
    Ok(HttpResponse::Ok().json(Health::own(&worker.snapshot(), state.settings.access.is_insecure())))
}

async fn control(
    state: &AppState,
    name: &str,
    wanted: Wanted,
    by: web::ReqData<RequestId>,
) -> Result<HttpResponse, ApiError> {
    let worker = find_worker(state, Some(name))?;
    ask(&worker, wanted, by).await?;
    Ok(HttpResponse::Ok().json(WorkerStatus::new(&worker.name, &worker.snapshot())))
}

/// `POST /drain` of a worker or a runner.
#[utoipa::path(
    post,
    path = "/drain",
    operation_id = "drain",
    summary = "Take no more sessions",
    description = "Those that run go on, unless `end` is true. `facts.draining` of the health tells, until `DELETE /drain` or a restart.",
    tag = "fleet",
    params(DrainQuery),
    responses((status = 200, description = "The health, as it is then", body = Health), DrainRefusals)
)]
pub(super) async fn host_on(
    state: web::Data<AppState>,
    query: web::Query<DrainQuery>,
    by: web::ReqData<RequestId>,
) -> Result<HttpResponse, ApiError> {
    host(&state, Wanted::on(&query)?, by).await
}

/// `DELETE /drain` of a worker or a runner.
#[utoipa::path(
    delete,
    path = "/drain",
    operation_id = "undrain",
    summary = "Take sessions again",
    tag = "fleet",
    responses((status = 200, description = "The health, as it is then", body = Health), DrainRefusals)
)]
pub(super) async fn host_off(
    state: web::Data<AppState>,
    by: web::ReqData<RequestId>,
) -> Result<HttpResponse, ApiError> {
    host(&state, Wanted::OFF, by).await
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
pub(super) async fn control_on(
    state: web::Data<AppState>,
    name: web::Path<String>,
    query: web::Query<DrainQuery>,
    by: web::ReqData<RequestId>,
) -> Result<HttpResponse, ApiError> {
    control(&state, &name, Wanted::on(&query)?, by).await
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
pub(super) async fn control_off(
    state: web::Data<AppState>,
    name: web::Path<String>,
    by: web::ReqData<RequestId>,
) -> Result<HttpResponse, ApiError> {
    control(&state, &name, Wanted::OFF, by).await
}
