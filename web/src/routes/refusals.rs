//! What the routes can be refused with, for the documents: a status, its codes, and when it may be asked again.

use std::collections::BTreeMap;

use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Type,
};
use utoipa::{IntoResponses, ToSchema};

use crate::error::ErrorBody;

/// A table of refusals that `responses(…)` of a handler takes by its name.
macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident { $($status:literal: $codes:literal,)+ })+) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                BTreeMap::from([$(($status.to_string(), refusal($status, $codes).into()),)+])
            }
        }
    )+};
}

refusals! {
    /// Of a list.
    ListRefusals {
        422: "invalid_field",
    }
    /// Of a list of a host's sessions.
    HostListRefusals {
        422: "invalid_field",
        503: "restarting",
    }
    /// Of whatever only looks at the host's one worker.
    HostRefusals {
        503: "restarting",
    }
    /// Of a create.
    CreateRefusals {
        400: "vnc_unsupported",
        404: "worker_not_found",
        409: "session_cancelled",
        413: "body_too_large",
        422: "invalid_field, invalid_json",
        429: "at_capacity",
        502: "launch_failed, display_failed, driver_lost, upstream_unreachable, upstream_broke",
        503: "no_workers, busy, no_slot, no_vnc_tooling, draining, restarting",
        504: "launch_timed_out, upstream_timed_out",
    }
    /// Of a create on a host.
    HostCreateRefusals {
        400: "vnc_unsupported",
        409: "session_cancelled",
        413: "body_too_large",
        422: "invalid_field, invalid_json",
        429: "at_capacity",
        502: "launch_failed, display_failed, driver_lost, upstream_unreachable, upstream_broke",
        503: "no_workers, busy, no_slot, no_vnc_tooling, draining, restarting",
        504: "launch_timed_out, upstream_timed_out",
    }
    /// Of `DELETE` of one session, and of a question for its history.
    SessionRefusals {
        404: "session_not_found, worker_not_found",
        502: "upstream_unreachable, upstream_broke",
        503: "restarting",
        504: "upstream_timed_out",
    }
    /// Of `GET` of one session, which may have ended.
    ShowRefusals {
        404: "session_not_found, worker_not_found",
        422: "invalid_field",
        502: "upstream_unreachable, upstream_broke",
        503: "restarting",
        504: "upstream_timed_out",
    }
    /// Of a drain, and of its end.
    DrainRefusals {
        404: "worker_not_found",
        422: "invalid_field",
        502: "upstream_unreachable, upstream_broke, no_drain",
        503: "restarting, draining",
        504: "upstream_timed_out",
    }
    /// Of a touch.
    TouchRefusals {
        404: "session_not_found, worker_not_found",
        409: "session_not_ready",
        502: "upstream_unreachable, upstream_broke",
        503: "restarting",
        504: "upstream_timed_out",
    }
    /// Of a screenshot.
    ScreenshotRefusals {
        404: "session_not_found, worker_not_found",
        409: "session_not_ready, no_live_view",
        422: "invalid_field",
        502: "upstream_unreachable, upstream_broke, no_screenshots",
        503: "restarting, draining",
        504: "upstream_timed_out",
    }
    /// Of a Playwright client's handshake.
    AttachRefusals {
        400: "bad_websocket_handshake, cdp_unsupported",
        404: "session_not_found, worker_not_found",
        409: "session_not_ready",
        428: "playwright_version_mismatch",
        429: "too_many_clients",
        502: "upstream_unreachable, upstream_broke",
        503: "restarting",
        504: "upstream_timed_out",
    }
    /// Of a viewer's handshake.
    ViewRefusals {
        400: "bad_websocket_handshake",
        401: "unauthorized, view_key_required",
        404: "vnc_not_found",
        410: "view_over",
        502: "upstream_unreachable",
        503: "tunnel_limit, draining, restarting",
        504: "upstream_timed_out",
    }
    /// Of a question for what a live view shows.
    ViewDescriptionRefusals {
        401: "unauthorized, view_key_required",
        404: "vnc_not_found",
        410: "view_over",
        503: "restarting",
    }
}

/// One refusal, described by its codes.
pub(super) fn refusal(status: u16, codes: &str) -> Response {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name(ErrorBody::name())));
    let response = ResponseBuilder::new()
        .description(format!("`code`: {codes}"))
        .content("application/json", body.build());
    match status {
        429 | 503 => {
            let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
            let header = HeaderBuilder::new()
                .schema(Some(seconds))
                .description(Some("When to ask again, in seconds"))
                .build();
            response.header("Retry-After", header).build()
        }
        _ => response.build(),
    }
}
