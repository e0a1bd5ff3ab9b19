//! The routes, with one file for each resource. The [`Surface`] decides which of them a server has.

pub(crate) mod drain;
pub(crate) mod events;
pub(crate) mod extract;
pub(crate) mod health;
pub(crate) mod history;
pub(crate) mod ops;
mod panel;
pub(crate) mod profiles;
pub(crate) mod proxies;
pub(crate) mod screenshots;
pub(crate) mod sessions;
pub(crate) mod views;

use actix_web::dev::HttpServiceFactory;
use actix_web::middleware::from_fn;
use actix_web::{FromRequest, Handler, Resource, Responder, guard, web};

use crate::auth::require_token;
use crate::error::ApiError;
use crate::settings::Surface;

/// The API's routes, which are registered both below `/` and below `/api`.
pub(crate) fn api(config: &mut web::ServiceConfig, surface: &Surface, metrics_path: &str) {
    match surface {
        Surface::Control => {
            config
                .service(probed(health::control))
                .service(guarded("/workers", "GET, HEAD", |at| at.route(web::get().to(health::workers))))
                .service(guarded("/fleet/history", "GET, HEAD", |at| at.route(web::get().to(history::show))));
            sessions(config, "/{worker}");
            profiles(config);
            drain(config, "/workers/{worker}");
            live_views(config);
        }
        Surface::Worker { .. } | Surface::Runner => {
            config.service(probed(health::host));
            sessions(config, "");
            profiles(config);
            drain(config, "");
        }
        Surface::Gateway | Surface::SharedScreen { .. } => {
            config.service(probed(health::gateway));
            live_views(config);
        }
    }
    config.service(guarded(metrics_path, "GET, HEAD", |at| at.route(web::get().to(ops::metrics))));
}

/// The routes of sessions, their events and their proxies. `worker` is the path segment with the worker's name, where there are several.
fn sessions(config: &mut web::ServiceConfig, worker: &str) {
    let below = |path: &str| format!("/sessions{worker}/{{id}}{path}");
    config
        .service(guarded("/events", "GET, HEAD", |at| at.route(web::get().to(events::follow))))
        .service(guarded("/sessions", "GET, HEAD, POST", |at| {
            at.route(web::get().to(sessions::list)).route(web::post().to(sessions::create))
        }))
        .service(guarded(&below(""), "GET, HEAD, PATCH, DELETE", |at| {
            at.route(web::get().to(sessions::show))
                .route(web::patch().to(sessions::change))
                .route(web::delete().to(sessions::delete))
        }))
        .service(guarded(&below("/egress"), "GET, HEAD", |at| at.route(web::get().to(sessions::egress))))
        .service(guarded(&below("/identity"), "GET, HEAD", |at| at.route(web::get().to(sessions::identity))))
        .service(guarded(&below("/touch"), "POST", |at| at.route(web::post().to(sessions::touch))))
        .service(guarded(&below("/events"), "GET, HEAD", |at| at.route(web::get().to(sessions::history))))
        .service(guarded(&below("/screenshot"), "GET, HEAD", |at| at.route(web::get().to(screenshots::take))))
        .service(guarded(&below("/ws"), "GET, HEAD", |at| at.route(web::get().to(sessions::attach))))
        .service(guarded("/proxies/check", "POST", |at| at.route(web::post().to(proxies::check))))
        .service(open("/json/version", "GET, HEAD").route(web::get().to(ops::cdp_version)))
        .service(open("/json/version/", "GET, HEAD").route(web::get().to(ops::cdp_version)));
}

/// The routes of profiles, which have the same paths on all surfaces.
fn profiles(config: &mut web::ServiceConfig) {
    config
        .service(guarded("/profiles", "GET, HEAD, POST", |at| {
            at.route(web::get().to(profiles::list)).route(web::post().to(profiles::create))
        }))
        .service(guarded("/profiles/import", "POST", |at| at.route(web::post().to(profiles::import))))
        .service(guarded("/profiles/{name}", "GET, HEAD, PATCH, DELETE", |at| {
            at.route(web::get().to(profiles::show))
                .route(web::patch().to(profiles::change))
                .route(web::delete().to(profiles::delete))
        }))
        .service(guarded("/profiles/{name}/clone", "POST", |at| at.route(web::post().to(profiles::clone))))
        .service(guarded("/profiles/{name}/archive", "GET, HEAD", |at| {
            at.route(web::get().to(profiles::export))
        }))
        .service(guarded("/profiles/{name}/cookies", "GET, HEAD, PUT", |at| {
            at.route(web::get().to(profiles::read_cookies)).route(web::put().to(profiles::write_cookies))
        }));
}

/// The route for draining the worker at this path.
fn drain(config: &mut web::ServiceConfig, worker: &str) {
    config.service(guarded(&format!("{worker}/drain"), "POST, DELETE", |at| {
        at.route(web::post().to(drain::start)).route(web::delete().to(drain::stop))
    }));
}

/// The routes of viewers.
fn live_views(config: &mut web::ServiceConfig) {
    config
        .service(open("/websockify", "GET, HEAD").route(web::get().to(views::websockify)))
        .service(open("/websockify/view", "GET, HEAD").route(web::get().to(views::describe)));
}

/// A resource that needs no token. `methods` are the supported ones.
pub(crate) fn open(path: &str, methods: &'static str) -> Resource {
    let refuse = move || async move { Err::<String, _>(ApiError::MethodNotAllowed { allowed: methods }) };
    web::resource(path).default_service(web::route().guard(guard::fn_guard(|_| true)).to(refuse))
}

/// The health route, which needs no token and also answers HEAD, for probes.
fn probed<F, Args>(health: F) -> Resource
where
    F: Handler<Args> + Copy,
    F::Output: Responder + 'static,
    Args: FromRequest + 'static,
{
    open("/health", "GET, HEAD").route(web::get().to(health))
}

/// A resource that requires the token, if one is configured.
fn guarded(
    path: &str,
    methods: &'static str,
    routes: fn(Resource) -> Resource,
) -> impl HttpServiceFactory + 'static {
    routes(open(path, methods)).wrap(from_fn(require_token))
}

/// The pages of a surface: the panel and the page of a live view.
pub(crate) fn pages(config: &mut web::ServiceConfig, surface: &Surface) {
    match surface {
        Surface::Control => panel::panel(config),
        Surface::Gateway => panel::views(config),
        Surface::SharedScreen { assets } => panel::shared_screen(config, assets.as_deref()),
        Surface::Worker { .. } | Surface::Runner => {}
    }
}

fn not_a_handshake() -> ApiError {
    ApiError::BadHandshake {
        problem: "the headers 'Connection: Upgrade' and 'Upgrade: websocket' are missing".to_owned(),
    }
}

/// Parses a boolean parameter, which is false by default.
fn flag(name: &str, value: Option<&str>) -> Result<bool, ApiError> {
    match value {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => {
            Err(ApiError::InvalidField { field: name.into(), problem: "must be true or false".into() })
        }
    }
}
