//! `/proxies`: checks of proxies.

use actix_web::{HttpRequest, HttpResponse, web};
use camofleet_actors::model::claim::Claim;
use camofleet_actors::worker::CheckProxy;
use camofleet_api::egress::ProxyCheck;
use camofleet_api::ids::RequestId;
use camofleet_api::request::{FleetProxyCheckRequest, ProxyCheckRequest};

use super::extract::find_worker;
use crate::body::read_body;
use crate::documents::refusals::CheckRefusals;
use crate::error::ApiError;
use crate::settings::Surface;
use crate::state::AppState;

/// `POST /proxies/check`: a proxy that does not work is a result, not an error.
#[utoipa::path(
    post,
    path = "/proxies/check",
    operation_id = "check_proxy",
    summary = "Check a proxy",
    tag = "proxies",
    request_body(content = FleetProxyCheckRequest, content_type = "application/json", description = "At most 64 KiB; may be empty"),
    responses((status = 200, description = "Whether connections succeed, and from which address sites see them come", body = ProxyCheck), CheckRefusals)
)]
pub(super) async fn check(
    state: web::Data<AppState>,
    request: HttpRequest,
    by: web::ReqData<RequestId>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let body = read_body(&request, payload).await?;
    let (check, worker) = match state.surface {
        Surface::Control => {
            let FleetProxyCheckRequest { check, worker } = FleetProxyCheckRequest::parse(&body)?;
            let worker = match (worker, &check.profile) {
                (worker, Some(profile)) => state.directory.keeper(profile, worker.as_deref())?,
                (Some(name), None) => state.directory.worker(&name)?,
                (None, None) => state.directory.checker(check.proxy.as_ref())?,
            };
            (check, worker)
        }
        _ => (ProxyCheckRequest::parse(&body)?, find_worker(&state, None)?),
    };
    // A check whose client disconnects ends: it would hold one of few places, and use the proxy.
    let (claim, claimant) = Claim::new();
    let check = CheckProxy { request: check, by: by.into_inner(), claimant };
    let checked = worker.ask(&worker.check_proxy, check).await?;
    claim.accept();
    Ok(HttpResponse::Ok().json(checked))
}
