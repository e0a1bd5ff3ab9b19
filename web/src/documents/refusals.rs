//! The error responses of the routes, for the OpenAPI document.

use std::collections::BTreeMap;

use camofleet_api::error::{ErrorBody, ErrorCode};
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Type,
};
use utoipa::{IntoResponses, ToSchema};

/// Errors of all routes that call a worker, which may be on another machine.
const ON_WORKER: &[ErrorCode] = &[
    ErrorCode::WorkerNotFound,
    ErrorCode::UpstreamUnreachable,
    ErrorCode::UpstreamBroke,
    ErrorCode::Restarting,
    ErrorCode::UpstreamTimedOut,
];

/// Defines types with the error responses of handlers, for use in `responses(…)`: own codes and a common set.
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
    /// Errors of lists and of the fleet's history.
    ListRefusals: [InvalidField];
    /// Errors of reading a host's only worker.
    HostRefusals: [Restarting];
    /// Errors of a create.
    CreateRefusals: [
        VncUnsupported, NoExitIpUrl, IncoherentIdentity, SessionCancelled, ProfileNotFound, ProfileExists, ProfileAmbiguous, ProfileIncompatible,
        ProfileInUse, NoProfiles, ProfileAway, StorageFailed, BodyTooLarge, InvalidField, InvalidJson, AtCapacity, LaunchFailed,
        DisplayFailed, DriverLost, NoEgress, NoExitPlace, NoWorkers, Busy, NoSlot, NoVncTooling, Draining, LaunchTimedOut
    ] + ON_WORKER;
    /// Errors of the list of profiles.
    ProfileListRefusals: [];
    /// Errors of reading, exporting and deleting a profile.
    ProfileRefusals: [
        ProfileNotFound, ProfileAmbiguous, ProfileIncompatible, ProfileInUse, SessionCancelled, AtCapacity, InvalidField,
        NoProfiles, LaunchFailed, DriverLost, Busy, Draining, ProfileAway, StorageFailed, LaunchTimedOut
    ] + ON_WORKER;
    /// Errors of making a profile.
    ProfileCreateRefusals: [
        ProfileExists, NoExitIpUrl, BodyTooLarge, InvalidField, InvalidJson, NoProfiles, NoWorkers, StorageFailed, Draining
    ] + ON_WORKER;
    /// Errors of changing a profile or its cookies.
    ProfileChangeRefusals: [
        ProfileNotFound, ProfileAmbiguous, ProfileIncompatible, ProfileInUse, SessionCancelled, AtCapacity, BodyTooLarge,
        InvalidField, InvalidJson, NoProfiles, LaunchFailed, DriverLost, Busy, Draining, ProfileAway, StorageFailed,
        LaunchTimedOut
    ] + ON_WORKER;
    /// Errors of making a profile from another one.
    ProfileCloneRefusals: [
        ProfileNotFound, ProfileAmbiguous, ProfileExists, ProfileInUse, BodyTooLarge, InvalidField, InvalidJson, NoProfiles,
        ProfileAway, StorageFailed, Draining
    ] + ON_WORKER;
    /// Errors of an import.
    ProfileImportRefusals: [
        ProfileExists, InvalidArchive, InvalidField, NoProfiles, NoWorkers, StorageFailed, Draining
    ] + ON_WORKER;
    /// Errors of `DELETE` of a session, and of its history.
    SessionRefusals: [SessionNotFound] + ON_WORKER;
    /// Errors of `GET` of a session.
    ShowRefusals: [SessionNotFound, InvalidField] + ON_WORKER;
    /// Errors of starting and stopping a drain.
    DrainRefusals: [InvalidField, NoDrain, Draining] + ON_WORKER;
    /// Errors of a touch.
    TouchRefusals: [SessionNotFound, SessionNotReady] + ON_WORKER;
    /// Errors of a change.
    ChangeRefusals: [
        SessionNotFound, SessionNotReady, BodyTooLarge, InvalidField, InvalidJson, NoEgress
    ] + ON_WORKER;
    /// Errors of a report of a session's connections.
    EgressRefusals: [SessionNotFound, NoEgress] + ON_WORKER;
    /// Errors of a report of a session's identity.
    IdentityRefusals: [SessionNotFound, SessionNotReady, NoIdentity] + ON_WORKER;
    /// Errors of a check of a proxy.
    CheckRefusals: [
        ProfileNotFound, ProfileAmbiguous, BodyTooLarge, InvalidField, InvalidJson, NoExitIpUrl, NoEgress, NoProfiles,
        NoWorkers, Busy, ProfileAway, StorageFailed
    ] + ON_WORKER;
    /// Errors of a screenshot.
    ScreenshotRefusals: [
        SessionNotFound, SessionNotReady, NoLiveView, InvalidField, NoScreenshots, Draining
    ] + ON_WORKER;
    /// Errors of a Playwright client's handshake.
    AttachRefusals: [
        BadWebSocketHandshake, CdpUnsupported, SessionNotFound, SessionNotReady, PlaywrightVersionMismatch,
        TooManyClients
    ] + ON_WORKER;
    /// Errors of a viewer's handshake.
    ViewRefusals: [
        BadWebSocketHandshake, Unauthorized, ViewKeyRequired, VncNotFound, ViewOver, UpstreamUnreachable, TunnelLimit,
        Draining, Restarting, UpstreamTimedOut
    ];
    /// Errors of the description of a live view.
    ViewDescriptionRefusals: [
        Unauthorized, ViewKeyRequired, VncNotFound, ViewOver, UpstreamUnreachable, Restarting, UpstreamTimedOut
    ];
}

/// The responses for these codes, one for each status.
pub(super) fn by_status(codes: &[ErrorCode]) -> BTreeMap<String, RefOr<Response>> {
    let mut statuses: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for code in codes {
        statuses.entry(code.status()).or_default().push(code.as_str());
    }
    let response =
        |(status, names): (u16, Vec<&str>)| (status.to_string(), refusal(status, &names.join(", ")).into());
    statuses.into_iter().map(response).collect()
}

/// The response with this status and one of these codes.
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
                .description(Some("When to retry, in seconds"))
                .build();
            response.header("Retry-After", header).build()
        }
        _ => response.build(),
    }
}
