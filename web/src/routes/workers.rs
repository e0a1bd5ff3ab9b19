//! `/workers` and `/health`: snapshots, nobody is asked.

use actix_web::{HttpResponse, web};

use crate::app::AppState;
use crate::models::{ControlHealth, WorkerStatus};

fn statuses(state: &AppState) -> Vec<WorkerStatus> {
    state.directory.workers().iter().map(WorkerStatus::new).collect()
}

/// `GET /workers`.
pub(super) async fn list(state: web::Data<AppState>) -> HttpResponse {
    HttpResponse::Ok().json(statuses(&state))
}

/// `GET /health`: answers 200 either way; the body says whether all is well.
pub(super) async fn health(state: web::Data<AppState>) -> HttpResponse {
    let workers = statuses(&state);
    let ok = !workers.is_empty() && workers.iter().all(WorkerStatus::healthy);
    HttpResponse::Ok().json(ControlHealth { status: if ok { "ok" } else { "degraded" }, workers })
}
