//! `GET …/screenshot`: what a session's screen shows now.

use std::hash::{DefaultHasher, Hash, Hasher};

use actix_web::http::header::{CACHE_CONTROL, ContentType, ETag, EntityTag, Header, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse, mime, web};
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
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the picture that is there already"),
    ),
    responses(
        (status = 200, description = "A JPEG", content_type = "image/jpeg", body = Jpeg, headers(
            ("ETag" = String, description = "Names the picture: another one has another"),
        )),
        (status = 304, description = "The picture is the one that is there already"),
        ScreenshotRefusals,
    )
)]
pub(super) async fn control(
    request: HttpRequest,
    state: web::Data<AppState>,
    by: web::ReqData<RequestId>,
    place: web::Path<(String, String)>,
    query: web::Query<ScreenshotQuery>,
) -> Result<HttpResponse, ApiError> {
    take(&request, &state, by.into_inner(), Some(&place.0), &place.1, &query).await
}

/// `GET /sessions/{id}/screenshot`.
#[utoipa::path(
    get,
    path = "/sessions/{id}/screenshot",
    operation_id = "screenshot",
    summary = "Take a picture of a session's screen",
    description = "Of a session with a live view. It is no activity. The screen is looked at once a second at most.",
    tag = "views",
    params(
        ("id" = String, Path, description = "The session's id: a UUID"),
        ScreenshotQuery,
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the picture that is there already"),
    ),
    responses(
        (status = 200, description = "A JPEG", content_type = "image/jpeg", body = Jpeg, headers(
            ("ETag" = String, description = "Names the picture: another one has another"),
        )),
        (status = 304, description = "The picture is the one that is there already"),
        ScreenshotRefusals,
    )
)]
pub(super) async fn host(
    request: HttpRequest,
    state: web::Data<AppState>,
    by: web::ReqData<RequestId>,
    id: web::Path<String>,
    query: web::Query<ScreenshotQuery>,
) -> Result<HttpResponse, ApiError> {
    take(&request, &state, by.into_inner(), None, &id, &query).await
}

async fn take(
    request: &HttpRequest,
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
    let tag = EntityTag::new_strong(fingerprint(&jpeg));
    let known = is_known(request, &tag);
    let mut answer = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    // No cache has a use for it: what is a second old is another picture.
    answer.insert_header((CACHE_CONTROL, "no-store")).insert_header(ETag(tag));
    if known {
        return Ok(answer.finish());
    }
    Ok(answer.insert_header(ContentType(mime::IMAGE_JPEG)).body(jpeg))
}

/// Whether whoever asks has this picture already: a wall of still screens costs few bytes.
fn is_known(request: &HttpRequest, tag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|other| other.weak_eq(tag)),
        // A tag that can't be read is nobody's.
        Err(_) => false,
    }
}

/// Tells pictures apart: the same for the same bytes, whichever role is asked.
fn fingerprint(jpeg: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    jpeg.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
