//! What the routes can be refused with, for the documents.

use std::collections::BTreeMap;

use camofleet_api::error::{ErrorBody, ErrorCode};
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Type,
};
use utoipa::{IntoResponses, ToSchema};

/// Of every route that goes on to a worker, which may be on another machine.
const ON_WORKER: &[ErrorCode] = &[
    ErrorCode::WorkerNotFound,
    ErrorCode::UpstreamUnreachable,
    ErrorCode::UpstreamBroke,
    ErrorCode::Restarting,
    ErrorCode::UpstreamTimedOut,
];

/// The refusals of handlers, which `responses(…)` takes by their name: codes of their own, and a common set.
macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident: [$($code:ident),*] $(+ $set:ident)?;)+) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                let codes: [&[ErrorCode]; _] = [&[$(ErrorCode::$code),*], $($set)?];
                by_status(&codes.concat())
            }
        }
    )+};
}

refusals! {
    /// Of a list, and of the fleet's history.
    ListRefusals: [InvalidField];
    /// Of what reads the host's one worker.
    HostRefusals: [Restarting];
    /// Of a create.
    CreateRefusals: [
        VncUnsupported, SessionCancelled, BodyTooLarge, InvalidField, InvalidJson, AtCapacity, LaunchFailed,
        DisplayFailed, DriverLost, NoWorkers, Busy, NoSlot, NoVncTooling, Draining, LaunchTimedOut
    ] + ON_WORKER;
    /// Of `DELETE` of one session, and of its history.
    SessionRefusals: [SessionNotFound] + ON_WORKER;
    /// Of `GET` of one session, which may have ended.
    ShowRefusals: [SessionNotFound, InvalidField] + ON_WORKER;
    /// Of a drain, and of its end.
    DrainRefusals: [InvalidField, NoDrain, Draining] + ON_WORKER;
    /// Of a touch.
    TouchRefusals: [SessionNotFound, SessionNotReady] + ON_WORKER;
    /// Of a screenshot.
    ScreenshotRefusals: [
        SessionNotFound, SessionNotReady, NoLiveView, InvalidField, NoScreenshots, Draining
    ] + ON_WORKER;
    /// Of a Playwright client's handshake.
    AttachRefusals: [
        BadWebSocketHandshake, CdpUnsupported, SessionNotFound, SessionNotReady, PlaywrightVersionMismatch,
        TooManyClients
    ] + ON_WORKER;
    /// Of a viewer's handshake.
    ViewRefusals: [
        BadWebSocketHandshake, Unauthorized, ViewKeyRequired, VncNotFound, ViewOver, UpstreamUnreachable, TunnelLimit,
        Draining, Restarting, UpstreamTimedOut
    ];
    /// Of the description of a live view.
    ViewDescriptionRefusals: [Unauthorized, ViewKeyRequired, VncNotFound, ViewOver, Restarting];
}

/// A response for each status of these codes.
pub(super) fn by_status(codes: &[ErrorCode]) -> BTreeMap<String, RefOr<Response>> {
    let mut statuses: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for code in codes {
        statuses.entry(code.status()).or_default().push(code.as_str());
    }
    let response =
        |(status, names): (u16, Vec<&str>)| (status.to_string(), refusal(status, &names.join(", ")).into());
    statuses.into_iter().map(response).collect()
}

/// The response with this status and any of these codes.
fn refusal(status: u16, codes: &str) -> Response {
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
