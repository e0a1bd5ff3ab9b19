//! Swagger UI at `/docs`, embedded in the binary. It loads `openapi.json` by a relative URL, so it works below any path.

use std::io::Read;

use actix_web::http::header::{
    ACCEPT_ENCODING, AcceptEncoding, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ContentType,
    Encoding, Header, LOCATION, VARY,
};
use actix_web::{HttpRequest, HttpResponse, web};
use flate2::read::GzDecoder;

use crate::error::ApiError;
use crate::headers::page_policy;
use crate::state::AppState;

/// The page.
const PAGE: &str = include_str!("swagger.html");
/// The page's own script.
const START: (&str, &str) = ("start.js", include_str!("swagger.js"));
/// The files that it loads, compressed by the build script: name, type, content.
const ASSETS: [(&str, &str, &[u8]); 2] = [
    (
        "swagger-ui-bundle.js",
        "text/javascript; charset=utf-8",
        include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui-bundle.js.gz")),
    ),
    (
        "swagger-ui.css",
        "text/css; charset=utf-8",
        include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui.css.gz")),
    ),
];
/// Cached only for an hour, because files keep their names in new versions of Swagger UI.
const FOR_AN_HOUR: &str = "public, max-age=3600";

/// `GET /docs`.
pub(crate) async fn page(state: web::Data<AppState>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::html())
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((CONTENT_SECURITY_POLICY, page_policy(&state, PAGE.as_bytes())))
        .body(PAGE)
}

/// `GET /docs/`: redirects, because with the slash the page's relative URLs would be wrong.
pub(crate) async fn without_slash() -> HttpResponse {
    to("../docs")
}

/// `GET /` of a role without a panel.
pub(crate) async fn from_root() -> HttpResponse {
    to("docs")
}

/// Redirects by a relative URL, because the prefix of an ingress is unknown.
fn to(place: &'static str) -> HttpResponse {
    HttpResponse::TemporaryRedirect().insert_header((LOCATION, place)).finish()
}

/// `GET /docs/{file}`.
pub(crate) async fn asset(request: HttpRequest, name: web::Path<String>) -> Result<HttpResponse, ApiError> {
    if name.as_str() == START.0 {
        let script = HttpResponse::Ok().content_type("text/javascript; charset=utf-8").body(START.1);
        return Ok(script);
    }
    let (_, kind, compressed) =
        ASSETS.into_iter().find(|(asset, ..)| *asset == name.as_str()).ok_or(ApiError::NoSuchRoute)?;
    let mut answer = HttpResponse::Ok();
    answer
        .content_type(kind)
        .insert_header((CACHE_CONTROL, FOR_AN_HOUR))
        .insert_header((VARY, ACCEPT_ENCODING.as_str()));
    if accepts_gzip(&request) {
        return Ok(answer.insert_header((CONTENT_ENCODING, "gzip")).body(compressed));
    }
    let mut plain = Vec::new();
    // Can't fail: the build script compressed it.
    let _ = GzDecoder::new(compressed).read_to_end(&mut plain);
    Ok(answer.body(plain))
}

fn accepts_gzip(request: &HttpRequest) -> bool {
    let choices = [Encoding::gzip(), Encoding::identity()];
    let chosen = AcceptEncoding::parse(request).ok().and_then(|accepted| accepted.negotiate(choices.iter()));
    chosen == Some(Encoding::gzip())
}
