//! `GET /events`: changes as server-sent events.

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
    summary = "Subscribe to changes (server-sent events)",
    description = "The first event is a `snapshot` (EventSnapshot). It is followed by `session` (SessionChange), `worker` \
        (WorkerStatus), `workers` (the names of all workers, when one was added or removed) and `activity` (Activity) events, \
        and by a `heartbeat` while nothing changes. To resume, send the id of the last received event as `Last-Event-ID`: the \
        events after it are sent instead of the snapshot, if they are still available. A listener that is too slow gets \
        another snapshot.",
    tag = "fleet",
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last received event, to resume after it")),
    responses((status = 200, description = "A stream that lasts until the caller disconnects", content_type = "text/event-stream", body = String))
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
        // Otherwise nginx would buffer small pieces.
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(stream::unfold(feed, |mut feed| async move {
            let piece = feed.next().await?;
            Some((Ok::<_, actix_web::Error>(piece), feed))
        }))
}
