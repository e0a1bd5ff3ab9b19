//! `/profiles`: reads come from snapshots, everything else is done by the worker that has the profile.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse, web};
use camofleet_actors::model::profile::ProfileError;
use camofleet_actors::profiles::archive::ArchiveStream;
use camofleet_actors::worker::WorkerHandle;
use camofleet_actors::worker::profiles::{
    ChangeProfile, CloneProfile, CreateProfile, DeleteProfile, ExportProfile, ImportProfile,
    ReadProfileCookies, WriteProfileCookies,
};
use camofleet_actors::{Error, Result};
use camofleet_api::cookie::{self, Cookie};
use camofleet_api::ids::RequestId;
use camofleet_api::profile::{Profile, ProfileName};
use camofleet_api::profile_request::{CloneRequest, FleetProfileRequest, ProfilePatch, ProfileRequest};
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use serde::Deserialize;
use utoipa::IntoParams;

use super::extract::find_worker;
use crate::body::{ARCHIVE, TEXT, read_body, read_large_body};
use crate::documents::refusals::{
    ProfileChangeRefusals, ProfileCloneRefusals, ProfileCreateRefusals, ProfileImportRefusals,
    ProfileListRefusals, ProfileRefusals,
};
use crate::error::ApiError;
use crate::settings::Surface;
use crate::state::AppState;

/// How long the sender of an archive may take for one chunk.
const CHUNK_TIME: Duration = Duration::from_secs(30);

/// The parameters of requests about one profile of a control.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ProfileQuery {
    /// The worker that has it, where several have one with this name.
    worker: Option<String>,
}

/// The parameters of an import.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ImportQuery {
    /// The name of the profile.
    #[param(value_type = ProfileName)]
    name: String,
    /// The worker that gets it.
    worker: Option<String>,
}

/// Parses a profile's name in a path: an invalid one is that of no profile.
fn name_in_path(name: &str) -> Result<ProfileName, ApiError> {
    let parsed = ProfileName::parse(name);
    parsed.ok_or_else(|| ApiError::InvalidField { field: "name".into(), problem: ProfileName::FORM.into() })
}

/// The worker that answers for a profile.
fn keeper(state: &AppState, name: &ProfileName, worker: Option<&str>) -> Result<WorkerHandle, ApiError> {
    match state.surface {
        Surface::Control => Ok(state.directory.keeper(name, worker)?),
        _ => find_worker(state, None),
    }
}

/// The worker that gets a new profile.
fn keeper_of_new(
    state: &AppState,
    name: &ProfileName,
    worker: Option<&str>,
) -> Result<WorkerHandle, ApiError> {
    match state.surface {
        Surface::Control => Ok(state.directory.keeper_of_new(name, worker)?),
        _ => find_worker(state, None),
    }
}

/// The profile in the path, which may not exist.
pub(super) struct NamedProfile {
    state: web::Data<AppState>,
    name: ProfileName,
    /// The worker that answers for it.
    worker: WorkerHandle,
    by: RequestId,
}

impl FromRequest for NamedProfile {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, actix_web::Result<Self>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        type Parts =
            (web::Data<AppState>, web::Path<String>, web::Query<ProfileQuery>, web::ReqData<RequestId>);
        let parts = Parts::from_request(request, payload);
        Box::pin(async move {
            let (state, name, query, by) = parts.await?;
            let name = name_in_path(&name)?;
            let worker = keeper(&state, &name, query.worker.as_deref())?;
            Ok(Self { state, name, worker, by: by.into_inner() })
        })
    }
}

/// A profile in the form of the surface.
fn shown(state: &AppState, worker: &WorkerHandle, profile: &Profile) -> Profile {
    let stale = worker.snapshot().unreachable.is_some();
    let is_control = matches!(state.surface, Surface::Control);
    let mut used_by = profile.used_by.clone();
    if let Some(user) = used_by.as_mut().filter(|_| is_control) {
        // A profile records what its worker calls itself, by which control does not know it.
        let workers = state.directory.workers();
        let holds = |worker: &&WorkerHandle| {
            worker.snapshot().sessions.iter().any(|view| view.spec.id == user.session)
        };
        // Mostly it is the one that reports the profile.
        let holder = std::iter::once(worker).chain(workers.iter()).find(holds);
        if let Some(holder) = holder {
            user.worker.clone_from(&holder.name);
        }
    }
    Profile {
        worker: is_control.then(|| worker.name.clone()),
        used_by,
        stale: (!matches!(state.surface, Surface::Runner)).then_some(stale),
        ..profile.clone()
    }
}

/// `GET /profiles`.
#[utoipa::path(
    get,
    path = "/profiles",
    operation_id = "list_profiles",
    summary = "List the profiles",
    tag = "profiles",
    responses((status = 200, description = "The profiles by name, of all workers", body = Vec<Profile>), ProfileListRefusals)
)]
pub(super) async fn list(state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    let mut workers = state.directory.workers();
    if !matches!(state.surface, Surface::Control) {
        workers = Arc::new(vec![find_worker(&state, None)?]);
    }
    let mut profiles: Vec<Profile> = Vec::new();
    let mut places = HashMap::new();
    for worker in workers.iter() {
        let snapshot = worker.snapshot();
        for profile in &snapshot.profiles.profiles {
            // Workers that share their storage have the same ones.
            let place = *places.entry((profile.id, profile.name.clone())).or_insert(profiles.len());
            match profiles.get_mut(place) {
                Some(listed) if listed.stale == Some(true) => *listed = shown(&state, worker, profile),
                Some(_) => {}
                None => profiles.push(shown(&state, worker, profile)),
            }
        }
    }
    profiles.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(HttpResponse::Ok().json(profiles))
}

/// `POST /profiles`.
#[utoipa::path(
    post,
    path = "/profiles",
    operation_id = "create_profile",
    summary = "Make a profile",
    tag = "profiles",
    request_body(content = FleetProfileRequest, content_type = "application/json", description = "At most 64 KiB"),
    responses((status = 201, description = "The profile", body = Profile), ProfileCreateRefusals)
)]
pub(super) async fn create(
    state: web::Data<AppState>,
    request: HttpRequest,
    by: web::ReqData<RequestId>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let body = read_body(&request, payload).await?;
    let FleetProfileRequest { profile, worker } = match state.surface {
        Surface::Control => FleetProfileRequest::parse(&body)?,
        _ => FleetProfileRequest { profile: ProfileRequest::parse(&body)?, worker: None },
    };
    let worker = keeper_of_new(&state, &profile.name, worker.as_deref())?;
    let create = CreateProfile { request: profile, by: by.into_inner() };
    let made = worker.ask(&worker.profiles.create, create).await?;
    Ok(HttpResponse::Created().json(shown(&state, &worker, &made)))
}

/// `GET /profiles/{name}`.
#[utoipa::path(
    get,
    path = "/profiles/{name}",
    operation_id = "show_profile",
    summary = "Show a profile",
    tag = "profiles",
    params(("name" = ProfileName, Path, description = "The profile's name"), ProfileQuery),
    responses((status = 200, description = "The profile", body = Profile), ProfileRefusals)
)]
pub(super) async fn show(
    state: web::Data<AppState>,
    name: web::Path<String>,
    query: web::Query<ProfileQuery>,
) -> Result<HttpResponse, ApiError> {
    let name = name_in_path(&name)?;
    let named = query.worker.as_deref().filter(|_| matches!(state.surface, Surface::Control));
    let workers = state.directory.workers();
    let has = |worker: &&WorkerHandle| worker.snapshot().profiles.get(&name).is_some();
    // Also one whose worker does not answer.
    let worker = match named {
        Some(worker) => state.directory.worker(worker)?,
        None => match workers.iter().filter(has).collect::<Vec<_>>()[..] {
            [only] => only.clone(),
            _ => keeper(&state, &name, None)?,
        },
    };
    match worker.snapshot().profiles.get(&name) {
        Some(profile) => Ok(HttpResponse::Ok().json(shown(&state, &worker, profile))),
        None => Err(Error::from(ProfileError::NotFound { name }).into()),
    }
}

/// `PATCH /profiles/{name}`.
#[utoipa::path(
    patch,
    path = "/profiles/{name}",
    operation_id = "change_profile",
    summary = "Change a profile's labels, notes or proxy",
    tag = "profiles",
    params(("name" = ProfileName, Path, description = "The profile's name"), ProfileQuery),
    request_body(content = ProfilePatch, content_type = "application/json", description = "At most 64 KiB"),
    responses((status = 200, description = "The profile; a running session keeps its proxy", body = Profile), ProfileChangeRefusals)
)]
pub(super) async fn change(
    NamedProfile { state, name, worker, by }: NamedProfile,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let patch = ProfilePatch::parse(&read_body(&request, payload).await?)?;
    let change = ChangeProfile { name, patch, by };
    let changed = worker.ask(&worker.profiles.change, change).await?;
    Ok(HttpResponse::Ok().json(shown(&state, &worker, &changed)))
}

/// `DELETE /profiles/{name}`: answered when its files are gone.
#[utoipa::path(
    delete,
    path = "/profiles/{name}",
    operation_id = "delete_profile",
    summary = "Delete a profile",
    tag = "profiles",
    params(("name" = ProfileName, Path, description = "The profile's name"), ProfileQuery),
    responses((status = 204, description = "Its identity and user data are gone"), ProfileRefusals)
)]
pub(super) async fn delete(
    NamedProfile { name, worker, by, .. }: NamedProfile,
) -> Result<HttpResponse, ApiError> {
    worker.ask(&worker.profiles.delete, DeleteProfile { name, by }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /profiles/{name}/clone`: the new profile is on the same worker.
#[utoipa::path(
    post,
    path = "/profiles/{name}/clone",
    operation_id = "clone_profile",
    summary = "Make a profile from another one",
    tag = "profiles",
    params(("name" = ProfileName, Path, description = "The existing profile's name"), ProfileQuery),
    request_body(content = CloneRequest, content_type = "application/json", description = "At most 64 KiB"),
    responses((status = 201, description = "The new profile", body = Profile), ProfileCloneRefusals)
)]
pub(super) async fn clone(
    NamedProfile { state, name, worker, by }: NamedProfile,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let cloned = CloneRequest::parse(&read_body(&request, payload).await?)?;
    let clone = CloneProfile { name, request: cloned, by };
    let made = worker.ask(&worker.profiles.clone, clone).await?;
    Ok(HttpResponse::Created().json(shown(&state, &worker, &made)))
}

/// `GET /profiles/{name}/archive`.
#[utoipa::path(
    get,
    path = "/profiles/{name}/archive",
    operation_id = "export_profile",
    summary = "Export a profile",
    description = "The archive has the profile's cookies, stored passwords and the password of its proxy.",
    tag = "profiles",
    params(("name" = ProfileName, Path, description = "The profile's name"), ProfileQuery),
    responses((status = 200, description = "One `.tar.zst`", content_type = "application/zstd", body = String), ProfileRefusals)
)]
pub(super) async fn export(
    NamedProfile { name, worker, by, .. }: NamedProfile,
) -> Result<HttpResponse, ApiError> {
    let file = format!("attachment; filename=\"{name}.tar.zst\"");
    let export = ExportProfile { name, by };
    let archive = worker.ask(&worker.profiles.export, export).await?;
    let chunks = futures_util::stream::unfold(archive, |mut archive| async move {
        archive.next().await.map(|chunk| (chunk, archive))
    });
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, ARCHIVE))
        .insert_header((CONTENT_DISPOSITION, file))
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(chunks))
}

/// `POST /profiles/import`.
#[utoipa::path(
    post,
    path = "/profiles/import",
    operation_id = "import_profile",
    summary = "Import a profile",
    tag = "profiles",
    params(ImportQuery),
    request_body(content = String, content_type = "application/zstd", description = "An archive of `GET /profiles/{name}/archive`, of any size up to a setting"),
    responses((status = 201, description = "The profile", body = Profile), ProfileImportRefusals)
)]
pub(super) async fn import(
    state: web::Data<AppState>,
    query: web::Query<ImportQuery>,
    by: web::ReqData<RequestId>,
    mut payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let name = name_in_path(&query.name)?;
    let worker = keeper_of_new(&state, &name, query.worker.as_deref())?;
    let (sender, archive) = ArchiveStream::channel();
    let import = ImportProfile { name, archive, by: by.into_inner() };
    let sending = async move {
        loop {
            let chunk = match tokio::time::timeout(CHUNK_TIME, payload.next()).await {
                Ok(None) => return,
                Ok(Some(chunk)) => chunk.map_err(|error| std::io::Error::other(error.to_string())),
                Err(_) => Err(std::io::Error::other("its sender sends nothing")),
            };
            let failed = chunk.is_err();
            // Fails if the archive was refused.
            if sender.send(chunk).await.is_err() || failed {
                return;
            }
        }
    };
    let (made, ()) = futures_util::future::join(worker.ask(&worker.profiles.import, import), sending).await;
    Ok(HttpResponse::Created().json(shown(&state, &worker, &*made?)))
}

/// `GET /profiles/{name}/cookies`.
#[utoipa::path(
    get,
    path = "/profiles/{name}/cookies",
    operation_id = "read_cookies",
    summary = "Read a profile's cookies",
    description = "Playwright's JSON, or the text format of Netscape with `Accept: text/plain`. If no session writes the profile, its browser is started for this, which takes some seconds.",
    tag = "profiles",
    params(("name" = ProfileName, Path, description = "The profile's name"), ProfileQuery),
    responses((status = 200, description = "Its cookies", body = Vec<Cookie>), ProfileRefusals)
)]
pub(super) async fn read_cookies(
    NamedProfile { name, worker, by, .. }: NamedProfile,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let read = ReadProfileCookies { name, by };
    let cookies = worker.ask(&worker.profiles.read_cookies, read).await?;
    let accepted = request.headers().get(ACCEPT).and_then(|accepted| accepted.to_str().ok());
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CACHE_CONTROL, "no-store"));
    Ok(match accepted {
        Some(accepted) if accepted.trim_start().starts_with(TEXT) => {
            answer.content_type("text/plain; charset=utf-8").body(cookie::to_text(&cookies))
        }
        _ => answer.json(cookies),
    })
}

/// `PUT /profiles/{name}/cookies`.
#[utoipa::path(
    put,
    path = "/profiles/{name}/cookies",
    operation_id = "write_cookies",
    summary = "Replace a profile's cookies",
    description = "Playwright's JSON (a list, or a storage state), or the text format of Netscape with `Content-Type: text/plain`. If no session writes the profile, its browser is started for this, which takes some seconds.",
    tag = "profiles",
    params(("name" = ProfileName, Path, description = "The profile's name"), ProfileQuery),
    request_body(content = Vec<Cookie>, content_type = "application/json", description = "At most 8 MiB"),
    responses((status = 204, description = "It has these cookies and no others"), ProfileChangeRefusals)
)]
pub(super) async fn write_cookies(
    NamedProfile { name, worker, by, .. }: NamedProfile,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let body = read_large_body(&request, payload).await?;
    let cookies =
        if request.content_type() == TEXT { cookie::parse_text(&body)? } else { cookie::parse_json(&body)? };
    let write = WriteProfileCookies { name, cookies, by };
    worker.ask(&worker.profiles.write_cookies, write).await?;
    Ok(HttpResponse::NoContent().finish())
}
