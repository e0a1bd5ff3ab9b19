//! `GET …/screenshot`: a picture of a session's screen.

use std::hash::{DefaultHasher, Hash, Hasher};

use actix_web::http::header::{CACHE_CONTROL, ContentType, ETag, EntityTag, Header, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse, mime, web};
use camofleet_actors::worker::TakeScreenshot;
use camofleet_api::ids::RequestId;
use serde::Deserialize;
use utoipa::IntoParams;

use super::extract::NamedSession;
use crate::documents::refusals::ScreenshotRefusals;
use crate::error::ApiError;

/// The allowed widths, in pixels.
const WIDTHS: std::ops::RangeInclusive<u16> = 16..=3840;

/// The parameters of a screenshot.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ScreenshotQuery {
    /// The width in pixels, at most that of the screen, which is the default.
    #[param(value_type = Option<u16>, minimum = 16, maximum = 3840)]
    width: Option<String>,
}

impl ScreenshotQuery {
    /// Parses the width.
    ///
    /// # Errors
    /// [`ApiError::InvalidField`] with the range of widths.
    fn width(&self) -> Result<Option<u16>, ApiError> {
        let Some(width) = &self.width else { return Ok(None) };
        match width.parse() {
            Ok(width) if WIDTHS.contains(&width) => Ok(Some(width)),
            _ => Err(ApiError::InvalidField {
                field: "width".to_owned(),
                problem: format!("must be a whole number from {} to {}", WIDTHS.start(), WIDTHS.end()),
            }),
        }
    }
}

/// `GET /sessions/{worker}/{id}/screenshot`.
#[utoipa::path(
    get,
    path = "/sessions/{worker}/{id}/screenshot",
    operation_id = "screenshot",
    summary = "Take a screenshot of a session",
    description = "The session needs a live view. Taking a screenshot does not count as activity. The screen is captured at most once a second.",
    tag = "views",
    params(
        ("worker" = String, Path, description = "The worker's name"),
        ("id" = String, Path, description = "The session's id: a UUID"),
        ScreenshotQuery,
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the picture that the caller has"),
    ),
    responses(
        (status = 200, description = "A JPEG", content_type = "image/jpeg", body = String, headers(
            ("ETag" = String, description = "Identifies the picture's content"),
        )),
        (status = 304, description = "The picture has not changed"),
        ScreenshotRefusals,
    )
)]
pub(super) async fn take(
    request: HttpRequest,
    NamedSession { worker, id }: NamedSession,
    by: web::ReqData<RequestId>,
    query: web::Query<ScreenshotQuery>,
) -> Result<HttpResponse, ApiError> {
    let width = query.width()?;
    let jpeg = worker.ask(&worker.screenshot, TakeScreenshot { id, width, by: by.into_inner() }).await?;
    let tag = EntityTag::new_strong(fingerprint(&jpeg));
    let known = is_known(&request, &tag);
    let mut answer = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    // Not cached, because the screen may have changed a second later.
    answer.insert_header((CACHE_CONTROL, "no-store")).insert_header(ETag(tag));
    if known {
        return Ok(answer.finish());
    }
    Ok(answer.insert_header(ContentType(mime::IMAGE_JPEG)).body(jpeg))
}

/// Whether the caller has this picture already, which saves traffic for unchanged screens.
fn is_known(request: &HttpRequest, tag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|other| other.weak_eq(tag)),
        // An invalid tag matches nothing.
        Err(_) => false,
    }
}

/// A hash of a picture's bytes, the same in every role.
fn fingerprint(jpeg: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    jpeg.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_width_must_be_a_whole_number_in_its_range() {
        let parse = |width: &str| ScreenshotQuery { width: Some(width.to_owned()) }.width();
        assert_eq!(ScreenshotQuery { width: None }.width(), Ok(None));
        for (text, width) in [("16", 16), ("320", 320), ("3840", 3840)] {
            assert_eq!(parse(text), Ok(Some(width)));
        }
        for text in ["", "15", "3841", "0", "-320", "320.0", "70000", "wide"] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.code(), "invalid_field");
            assert_eq!(error.to_string(), "width: must be a whole number from 16 to 3840", "{text}");
        }
    }

    #[test]
    fn the_documented_range_is_the_accepted_one() {
        let [width] = &ScreenshotQuery::into_params(|| None)[..] else { panic!() };
        let width = serde_json::to_value(width).unwrap();
        assert_eq!((&width["name"], &width["required"]), (&json!("width"), &json!(false)));
        assert_eq!(width["schema"]["minimum"], *WIDTHS.start());
        assert_eq!(width["schema"]["maximum"], *WIDTHS.end());
    }
}
