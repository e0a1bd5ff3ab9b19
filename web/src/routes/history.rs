//! `GET /fleet/history`: samples of the fleet's last hour.

use actix_web::{HttpResponse, web};
use camofleet_api::history::FleetHistory;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::documents::refusals::ListRefusals;
use crate::error::ApiError;
use crate::state::AppState;

/// The parameters of `GET /fleet/history`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    /// Only samples after this time, usually the `at` of the last received sample.
    #[param(value_type = Option<String>, format = DateTime)]
    after: Option<String>,
}

impl HistoryQuery {
    /// Parses the parameter.
    ///
    /// # Errors
    /// [`ApiError::InvalidField`] with an example of a time.
    fn after(&self) -> Result<Option<Timestamp>, ApiError> {
        let Some(after) = &self.after else { return Ok(None) };
        let invalid = |_| ApiError::InvalidField {
            field: "after".to_owned(),
            problem: "must be a time such as 2026-01-31T12:00:00.000Z".to_owned(),
        };
        after.parse().map(Some).map_err(invalid)
    }
}

/// `GET /fleet/history`.
#[utoipa::path(
    get,
    path = "/fleet/history",
    operation_id = "fleet_history",
    summary = "Show samples of the last hour",
    description = "There is a sample every few seconds since the start of this process. To poll, send the `at` of the last received sample as `after`.",
    tag = "fleet",
    params(HistoryQuery),
    responses((status = 200, description = "The samples, oldest first", body = FleetHistory), ListRefusals)
)]
pub(super) async fn show(
    state: web::Data<AppState>,
    query: web::Query<HistoryQuery>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(state.history.after(query.after()?)))
}
