//! `/websockify`: a viewer's WebSocket, and what a live view's page asks beside it.

use actix_web::{HttpRequest, HttpResponse, web};
use camofleet_actors::Error;
use camofleet_actors::views::gateway::DescribeView;
use camofleet_api::view::ViewDescription;

use super::not_a_handshake;
use crate::auth;
use crate::documents::refusals::{ViewDescriptionRefusals, ViewRefusals};
use crate::error::ApiError;
use crate::request::view_id;
use crate::state::AppState;

/// `GET /websockify`: a WebSocket for a VNC viewer.
#[utoipa::path(
    get,
    path = "/websockify",
    summary = "View a screen (WebSocket)",
    tag = "views",
    params(
        ("token" = Option<String>, Query, description = "The view's id; an ingress may name it in a header instead"),
        ("key" = Option<String>, Query, description = "What opens this session's view, and no later one's"),
    ),
    responses((status = 101, description = "Raw VNC in binary messages"), ViewRefusals)
)]
pub(super) async fn websockify() -> Result<String, ApiError> {
    // A handshake never gets here: see `upgrade`.
    Err(not_a_handshake())
}

/// `GET /websockify/view`: which session a view shows at present.
#[utoipa::path(
    get,
    path = "/websockify/view",
    summary = "Show which session a live view is of",
    description = "A page that was opened by the bare id asks it once, and connects with the `key` from then on: ids are used \
        again by later sessions. It asks again when it can't connect, to know whether the session is over (410).",
    tag = "views",
    params(
        ("token" = Option<String>, Query, description = "The view's id; an ingress may name it in a header instead"),
        ("key" = Option<String>, Query, description = "What opens this session's view, and no later one's"),
    ),
    responses((status = 200, description = "The session, as far as it is known here", body = ViewDescription), ViewDescriptionRefusals)
)]
pub(super) async fn describe(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let (headers, query) = (request.headers(), request.query_string());
    let key = auth::check_view(&state.settings.access, headers, query)?;
    let vnc_id = view_id(query, headers).unwrap_or_default();
    let shown = state.gateway.get()?.send(DescribeView { vnc_id, key }).await;
    let shown = shown.unwrap_or(Err(Error::Restarting { what: "gateway" }))?;
    Ok(HttpResponse::Ok().json(ViewDescription { session: shown.id, key: shown.key }))
}
