//! Metrics, and the error for clients of the Chrome DevTools Protocol.

use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse, error, web};
use serde_json::json;

use crate::presenter::authority;
use crate::request::CDP_PATH;
use crate::state::AppState;

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

/// The first request of `chromium.connectOverCDP`. Its client reports only errors of the WebSocket, so it is sent to one
/// whose error names what to use instead.
pub(super) async fn cdp_version(state: web::Data<AppState>, request: HttpRequest) -> HttpResponse {
    let authority = authority(&state.settings, request.headers());
    HttpResponse::Ok().json(json!({"webSocketDebuggerUrl": format!("ws://{authority}{CDP_PATH}")}))
}
