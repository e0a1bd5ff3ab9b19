//! The panel and the page of live views, embedded in the binary.

use std::path::Path;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION,
};
use actix_web::middleware::{Compress, Next, from_fn};
use actix_web::{Error, HttpRequest, HttpResponse, Scope, guard, web};
use rust_embed::RustEmbed;

use crate::error::ApiError;
use crate::headers::{own_files_policy, page_policy};
use crate::request::stripped_vnc_id;
use crate::state::AppState;

/// The output of `npm run build` in `frontend/`.
#[derive(RustEmbed)]
#[folder = "../frontend/dist"]
#[allow_missing = true]
struct Built;

/// Files below `assets/` can be cached for ever, because their names contain a hash of their content.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// The page of a live view.
const VIEW: &str = "vnc.html";
/// Pages are revalidated each time, and sent only if they have changed.
const REVALIDATE: &str = "no-cache";

/// The routes of the panel and of the page of a live view.
pub(super) fn panel(config: &mut web::ServiceConfig) {
    config.service(
        pages()
            .route("/", web::get().to(index))
            .route(STRIPPED_PAGE, web::get().guard(stripped()).to(view))
            .default_service(no_such_route()),
    );
}

/// The routes of the page of a live view alone. `/` is one too, for an ingress that strips the rest.
pub(super) fn views(config: &mut web::ServiceConfig) {
    config.service(
        pages()
            .route("/", web::get().guard(stripped()).to(view))
            .route(STRIPPED_PAGE, web::get().guard(stripped()).to(view))
            .default_service(no_such_route()),
    );
}

/// The path of noVNC's own page, `/vnc/{id}/vnc.html`, behind an ingress that strips the prefix.
const STRIPPED_PAGE: &str = "/vnc.html";

/// Matches requests below a live view's path that an ingress has stripped.
fn stripped() -> impl guard::Guard {
    guard::fn_guard(|request| stripped_vnc_id(request.head().headers()).is_some())
}

/// The page of the shared screen: noVNC's own if its files are configured, else the embedded one. Both connect without a
/// click.
pub(super) fn shared_screen(config: &mut web::ServiceConfig, assets: Option<&Path>) {
    match assets {
        None => {
            config.service(
                pages()
                    .route("/", web::get().to(|| see_other("vnc/screen")))
                    .default_service(no_such_route()),
            );
        }
        Some(assets) => {
            config.route("/", web::get().to(|| see_other("vnc.html?autoconnect=true&resize=scale"))).service(
                web::scope("")
                    .wrap(from_fn(allow_own_files))
                    .service(actix_files::Files::new("/", assets).default_handler(no_such_route())),
            );
        }
    }
}

/// Allows inline scripts in pages that the operator provides, because noVNC's own have some.
async fn allow_own_files(
    state: web::Data<AppState>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut response = next.call(request).await?;
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, own_files_policy(&state));
    Ok(response)
}

/// Redirects to another page by a relative URL, because an ingress may have stripped the prefix of both.
async fn see_other(place: &'static str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, place)).finish()
}

fn pages() -> Scope<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    web::scope("")
        .wrap(Compress::default())
        .route("/assets/{file}", web::get().to(asset))
        // With and without a trailing slash, since an ingress may add one.
        .route("/vnc/{id}", web::get().to(view))
        .route("/vnc/{id}/{below:.*}", web::get().to(view))
}

fn no_such_route() -> actix_web::Route {
    web::to(|| async { Err::<String, _>(ApiError::NoSuchRoute) })
}

async fn index(state: web::Data<AppState>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let name = if stripped_vnc_id(request.headers()).is_some() { VIEW } else { "index.html" };
    page(&state, &request, name)
}

/// The same page for every id, which it reads from its own URL.
async fn view(state: web::Data<AppState>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    page(&state, &request, VIEW)
}

fn page(state: &web::Data<AppState>, request: &HttpRequest, name: &str) -> Result<HttpResponse, ApiError> {
    let html = Built::get(name).ok_or(ApiError::PanelMissing)?;
    let policy = page_policy(state, &html.data);
    let mut response = file(request, name, REVALIDATE).ok_or(ApiError::PanelMissing)?;
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

async fn asset(request: HttpRequest, name: web::Path<String>) -> Result<HttpResponse, ApiError> {
    file(&request, &format!("assets/{name}"), FOREVER).ok_or(ApiError::NoSuchRoute)
}

fn file(request: &HttpRequest, path: &str, cache: &'static str) -> Option<HttpResponse> {
    let file = Built::get(path)?;
    let hash: String = file.metadata.sha256_hash()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("W/\"{hash}\"");
    let known = request.headers().get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    if known.is_some_and(|known| known.split(',').any(|known| known.trim() == tag)) {
        return Some(HttpResponse::NotModified().insert_header((ETAG, tag)).finish());
    }
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    let kind = if kind.type_() == mime_guess::mime::TEXT {
        format!("{kind}; charset=utf-8")
    } else {
        kind.to_string()
    };
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, kind))
        .insert_header((CACHE_CONTROL, cache))
        .insert_header((ETAG, tag));
    Some(match file.data {
        std::borrow::Cow::Borrowed(bytes) => response.body(web::Bytes::from_static(bytes)),
        std::borrow::Cow::Owned(bytes) => response.body(bytes),
    })
}
