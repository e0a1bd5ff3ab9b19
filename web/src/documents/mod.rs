//! The API's documents: OpenAPI, made from the handlers, and the page that shows it.

mod openapi;
pub(crate) mod refusals;
mod swagger;

use actix_web::web;

use crate::routes::open;
use crate::settings::Surface;

/// The routes of the documents; they stand below `/` and below `/api` alike.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(open("/openapi.json", "GET, HEAD").route(web::get().to(openapi::show)))
        .service(open("/docs", "GET, HEAD").route(web::get().to(swagger::page)))
        .service(open("/docs/", "GET, HEAD").route(web::get().to(swagger::without_slash)))
        .service(open("/docs/{file}", "GET, HEAD").route(web::get().to(swagger::asset)));
}

/// The page of a role that has no other.
pub(crate) fn start_page(config: &mut web::ServiceConfig, surface: &Surface) {
    if matches!(surface, Surface::Worker { .. } | Surface::Runner) {
        config.service(open("/", "GET, HEAD").route(web::get().to(swagger::from_root)));
    }
}
