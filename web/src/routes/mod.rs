//! The routes, one file a resource.

mod ops;
mod panel;
mod sessions;
mod workers;

use actix_web::middleware::from_fn;
use actix_web::{guard, web};

use crate::auth::require_token;
use crate::error::ApiError;
pub(crate) use sessions::find as find_session;

/// The API's routes; they stand below `/` and below `/api` alike.
pub(crate) fn api(config: &mut web::ServiceConfig, metrics_path: &str) {
    let no_other_method = || {
        web::route()
            .guard(guard::fn_guard(|_| true))
            .to(|| async { Err::<String, _>(ApiError::MethodNotAllowed) })
    };
    config
        .service(
            web::resource("/health")
                .route(web::get().to(workers::health))
                .route(web::head().to(workers::health))
                .route(no_other_method()),
        )
        .service(
            web::resource("/workers")
                .wrap(from_fn(require_token))
                .route(web::get().to(workers::list))
                .route(no_other_method()),
        )
        .service(
            web::resource("/sessions")
                .wrap(from_fn(require_token))
                .route(web::get().to(sessions::list))
                .route(web::post().to(sessions::create))
                .route(no_other_method()),
        )
        .service(
            web::resource("/sessions/{worker}/{id}")
                .wrap(from_fn(require_token))
                .route(web::get().to(sessions::show))
                .route(web::delete().to(sessions::delete))
                .route(no_other_method()),
        )
        .service(
            web::resource("/sessions/{worker}/{id}/touch")
                .wrap(from_fn(require_token))
                .route(web::post().to(sessions::touch))
                .route(no_other_method()),
        )
        // A handshake never gets here: see `upgrade`.
        .service(web::resource("/sessions/{worker}/{id}/ws").to(only_websocket))
        .service(web::resource("/websockify").to(only_websocket))
        .service(
            web::resource(metrics_path)
                .wrap(from_fn(require_token))
                .route(web::get().to(ops::metrics))
                .route(no_other_method()),
        );
}

/// The panel and the page with a live view.
pub(crate) fn pages(config: &mut web::ServiceConfig) {
    config.configure(panel::configure);
}

async fn only_websocket() -> Result<String, ApiError> {
    Err(ApiError::BadHandshake {
        problem: "the headers 'Connection: Upgrade' and 'Upgrade: websocket' are missing".to_owned(),
    })
}
