//! `GET /fleet/history`: the fleet's last hour in figures.

use actix_web::{HttpResponse, web};

use super::refusals::ListRefusals;
use crate::app::AppState;
use crate::error::ApiError;
use crate::models::{FleetHistory, HistoryQuery};

/// `GET /fleet/history`.
#[utoipa::path(
    get,
    path = "/fleet/history",
    operation_id = "fleet_history",
    summary = "Show the last hour in figures",
    description = "A sample every few seconds, since this process began. Who names the last one's `at` gets what is newer.",
    tag = "fleet",
    params(HistoryQuery),
    responses((status = 200, description = "The samples, oldest first", body = FleetHistory), ListRefusals)
)]
pub(super) async fn show(
    state: web::Data<AppState>,
    query: web::Query<HistoryQuery>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(FleetHistory::new(&state.history.samples(), query.after()?)))
}
