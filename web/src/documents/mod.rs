//! The API's documentation: the OpenAPI document, generated from the handlers, and the page that displays it.

mod openapi;
pub(crate) mod refusals;
mod swagger;

use actix_web::web;

use crate::routes::open;
use crate::settings::Surface;

/// The routes of the documentation, which are registered both below `/` and below `/api`.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(open("/openapi.json", "GET, HEAD").route(web::get().to(openapi::show)))
        .service(open("/docs", "GET, HEAD").route(web::get().to(swagger::page)))
        .service(open("/docs/", "GET, HEAD").route(web::get().to(swagger::without_slash)))
        .service(open("/docs/{file}", "GET, HEAD").route(web::get().to(swagger::asset)));
}

/// The start page of a role without a panel.
pub(crate) fn start_page(config: &mut web::ServiceConfig, surface: &Surface) {
    if matches!(surface, Surface::Worker { .. } | Surface::Runner) {
        config.service(open("/", "GET, HEAD").route(web::get().to(swagger::from_root)));
    }
}
