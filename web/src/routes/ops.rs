//! What operators scrape.

use actix_web::http::header::ContentType;
use actix_web::{HttpResponse, error, web};

use crate::app::AppState;

/// The metrics in Prometheus' text format.
#[utoipa::path(
    get,
    path = "/metrics",
    summary = "Show the metrics",
    tag = "fleet",
    responses((status = 200, description = "Prometheus' text format", content_type = "text/plain", body = String))
)]
pub(super) async fn metrics(state: web::Data<AppState>) -> actix_web::Result<HttpResponse> {
    let text = state.metrics.encode().map_err(error::ErrorInternalServerError)?;
    Ok(HttpResponse::Ok().content_type(ContentType::plaintext()).body(text))
}
