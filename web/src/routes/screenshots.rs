//! `GET …/screenshot`: what a session's screen shows now.

use actix_web::http::header::{CACHE_CONTROL, ContentType};
use actix_web::{HttpResponse, mime, web};
use camofleet_actors::RequestId;
use camofleet_actors::worker::TakeScreenshot;

use super::refusals::ScreenshotRefusals;
use super::{find_worker, session_id};
use crate::app::AppState;
use crate::error::ApiError;
use crate::models::{Jpeg, ScreenshotQuery};

/// `GET /sessions/{worker}/{id}/screenshot`.
#[utoipa::path(
    get,
    path = "/sessions/{worker}/{id}/screenshot",
    operation_id = "screenshot",
    summary = "Take a picture of a session's screen",
    description = "Of a session with a live view. It is no activity. The screen is looked at once a second at most.",
    tag = "views",
    params(
        ("worker" = String, Path, description = "The worker's name"),
        ("id" = String, Path, description = "The session's id: a UUID"),
        ScreenshotQuery,
    ),
    responses((status = 200, description = "A JPEG", content_type = "image/jpeg", body = Jpeg), ScreenshotRefusals)
)]
pub(super) async fn control(
    state: web::Data<AppState>,
    by: web::ReqData<RequestId>,
    place: web::Path<(String, String)>,
    query: web::Query<ScreenshotQuery>,
) -> Result<HttpResponse, ApiError> {
    take(&state, by.into_inner(), Some(&place.0), &place.1, &query).await
}

/// `GET /sessions/{id}/screenshot`.
#[utoipa::path(
    get,
    path = "/sessions/{id}/screenshot",
    operation_id = "screenshot",
    summary = "Take a picture of a session's screen",
    description = "Of a session with a live view. It is no activity. The screen is looked at once a second at most.",
    tag = "views",
    params(("id" = String, Path, description = "The session's id: a UUID"), ScreenshotQuery),
    responses((status = 200, description = "A JPEG", content_type = "image/jpeg", body = Jpeg), ScreenshotRefusals)
)]
pub(super) async fn host(
    state: web::Data<AppState>,
    by: web::ReqData<RequestId>,
    id: web::Path<String>,
    query: web::Query<ScreenshotQuery>,
) -> Result<HttpResponse, ApiError> {
    take(&state, by.into_inner(), None, &id, &query).await
}

async fn take(
    state: &AppState,
    by: RequestId,
    worker: Option<&str>,
    id: &str,
    query: &ScreenshotQuery,
) -> Result<HttpResponse, ApiError> {
    let width = query.width()?;
    let worker = find_worker(state, worker)?;
    let id = session_id(id)?;
    let jpeg = worker.ask(&worker.screenshot, TakeScreenshot { id, width, by }).await?;
    // What is a second old is another picture.
    let answer = HttpResponse::Ok()
        .insert_header(ContentType(mime::IMAGE_JPEG))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(jpeg);
    Ok(answer)
}
