//! `GET /events`: what changes, as server-sent events.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream;

use crate::feed::{Feed, FeedSources};
use crate::presenter::Presenter;
use crate::state::AppState;

/// `GET /events` of the control role.
#[utoipa::path(
    get,
    path = "/events",
    operation_id = "events",
    summary = "Follow what changes (server-sent events)",
    description = "The first event is a `snapshot` (EventSnapshot). After it come `session` (SessionChange), `worker` \
        (WorkerStatus), `workers` (the names of all there are, when one has come or gone) and `activity` (Activity), and a \
        `heartbeat` while there is nothing else. Who names the last id \
        that it has seen in `Last-Event-ID` gets what came after it instead of the snapshot, if that is still known. A \
        listener that is too slow gets another snapshot.",
    tag = "fleet",
    params(("Last-Event-ID" = Option<String>, Header, description = "Where to go on")),
    responses((status = 200, description = "Goes on until the caller leaves", content_type = "text/event-stream", body = String))
)]
pub(super) async fn follow(
    state: web::Data<AppState>,
    presenter: Presenter,
    request: HttpRequest,
) -> HttpResponse {
    let sources = FeedSources {
        events: state.events.clone(),
        directory: state.directory.clone(),
        shared: state.feed.clone(),
        heartbeat: state.settings.ping_interval,
    };
    let feed = Feed::open(sources, presenter, request.headers());
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        // nginx would hold small pieces back.
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(stream::unfold(feed, |mut feed| async move {
            let piece = feed.next().await?;
            Some((Ok::<_, actix_web::Error>(piece), feed))
        }))
}
