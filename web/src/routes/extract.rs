//! Extractors for handlers: the worker and session in the path, and the presenter for the caller. The paths of a host have
//! no worker, because there is only one.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use camofleet_actors::Error;
use camofleet_actors::worker::WorkerHandle;
use camofleet_api::ids::SessionId;

use crate::error::ApiError;
use crate::presenter::Presenter;
use crate::request::Caller;
use crate::state::AppState;

/// The worker with this name, or a host's only one.
///
/// # Errors
/// [`Error::WorkerNotFound`], or [`Error::Restarting`] while a host's worker is being restarted.
pub(crate) fn find_worker(state: &AppState, name: Option<&str>) -> Result<WorkerHandle, ApiError> {
    match name {
        Some(name) => Ok(state.directory.worker(name)?),
        None => Ok(state.directory.workers().first().cloned().ok_or(Error::Restarting { what: "worker" })?),
    }
}

/// Parses a session's id in a path. An invalid id is treated as an unknown session.
pub(crate) fn session_id(id: &str) -> Result<SessionId, ApiError> {
    Ok(id.parse().map_err(|_| Error::SessionNotFound)?)
}

/// The worker in the path.
pub(super) struct NamedWorker(pub WorkerHandle);

impl NamedWorker {
    fn of(request: &HttpRequest) -> Result<WorkerHandle, ApiError> {
        // Can't fail: every route is built with the state, see `create_app`.
        let state = request.app_data::<web::Data<AppState>>().ok_or(ApiError::NoSuchRoute)?;
        find_worker(state, segment(request, "worker").as_deref())
    }
}

/// A segment of the path, unescaped.
fn segment(request: &HttpRequest, name: &str) -> Option<String> {
    request
        .match_info()
        .get(name)
        .map(|text| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned())
}

impl FromRequest for NamedWorker {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request).map(Self))
    }
}

/// The session in the path, which may not exist.
pub(super) struct NamedSession {
    /// The worker that it is on.
    pub worker: WorkerHandle,
    /// Its id.
    pub id: SessionId,
}

impl FromRequest for NamedSession {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let named = || {
            let worker = NamedWorker::of(request)?;
            let id = session_id(&segment(request, "id").unwrap_or_default())?;
            Ok(Self { worker, id })
        };
        ready(named())
    }
}

impl FromRequest for Presenter {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        // The gate has set the caller before routing; without it, no caller is trusted.
        let caller = request.extensions().get::<Caller>().copied().unwrap_or(Caller::Foreign);
        let state = request.app_data::<web::Data<AppState>>().ok_or(ApiError::NoSuchRoute);
        let presenter = |state: &web::Data<AppState>| {
            Self::new(&state.surface, &state.settings, request.headers(), caller)
        };
        ready(state.map(presenter))
    }
}
