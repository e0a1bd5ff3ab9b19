//! `/websockify`: a viewer's WebSocket, and the description of its live view.

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
    summary = "Connect a viewer (WebSocket)",
    tag = "views",
    params(
        ("token" = Option<String>, Query, description = "The view's id; an ingress may send it in a header instead"),
        ("key" = Option<String>, Query, description = "The key of this session's view"),
    ),
    responses((status = 101, description = "Raw VNC in binary messages"), ViewRefusals)
)]
pub(super) async fn websockify() -> Result<String, ApiError> {
    // Handshakes are handled in `upgrade` and never get here.
    Err(not_a_handshake())
}

/// `GET /websockify/view`: which session a view shows now.
#[utoipa::path(
    get,
    path = "/websockify/view",
    summary = "Show which session a live view belongs to",
    description = "A page that was opened by the id alone calls this once and then connects with the returned `key`, because \
        later sessions reuse the id. It calls this again when it can't connect, to find out whether the session has ended (410).",
    tag = "views",
    params(
        ("token" = Option<String>, Query, description = "The view's id; an ingress may send it in a header instead"),
        ("key" = Option<String>, Query, description = "The key of this session's view"),
    ),
    responses((status = 200, description = "The session, if it is known here", body = ViewDescription), ViewDescriptionRefusals)
)]
pub(super) async fn describe(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let (headers, query) = (request.headers(), request.query_string());
    let key = auth::check_view(&state.settings.access, headers, query)?;
    let vnc_id = view_id(query, headers).unwrap_or_default();
    let description = state.gateway.get()?.send(DescribeView { vnc_id, key }).await;
    let description = description.unwrap_or(Err(Error::Restarting { what: "gateway" }))?;
    Ok(HttpResponse::Ok().json(ViewDescription { session: description.id, key: description.key }))
}
