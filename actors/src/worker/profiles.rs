//! What a worker does with its profiles, and how a worker on this machine does it.

use std::future::Future;
use std::sync::Arc;

use actix::prelude::*;
use camofleet_api::cookie::Cookie;
use camofleet_api::identity::Coherence;
use camofleet_api::ids::{RequestId, SessionId};
use camofleet_api::profile::{Profile, ProfileMode, ProfileName};
use camofleet_api::profile_request::{CloneRequest, ProfilePatch, ProfileRequest};
use camofleet_api::request::SessionRequest;
use camofleet_api::session::{OnCrash, StartUrlWait};

use super::{CreateSession, DeleteSession, LocalWorker};
use crate::model::claim::Claimant;
use crate::model::error::{Error, Result};
use crate::profiles::archive::ArchiveStream;
use crate::session::{ReadCookies, Session, WriteCookies};

/// Makes a profile.
#[derive(Message)]
#[rtype(result = "Result<Arc<Profile>>")]
pub struct CreateProfile {
    /// The profile.
    pub request: ProfileRequest,
    /// The id of the HTTP request that causes it.
    pub by: RequestId,
}

/// Changes a profile.
#[derive(Message)]
#[rtype(result = "Result<Arc<Profile>>")]
pub struct ChangeProfile {
    /// Its name.
    pub name: ProfileName,
    /// What to change.
    pub patch: ProfilePatch,
    /// The id of the HTTP request that causes it.
    pub by: RequestId,
}

/// Deletes a profile that no session writes.
#[derive(Message)]
#[rtype(result = "Result<()>")]
pub struct DeleteProfile {
    /// Its name.
    pub name: ProfileName,
    /// The id of the HTTP request that causes it.
    pub by: RequestId,
}

/// Makes a profile from another one; answered with the new one.
#[derive(Message)]
#[rtype(result = "Result<Arc<Profile>>")]
pub struct CloneProfile {
    /// The name of the existing one.
    pub name: ProfileName,
    /// The new one.
    pub request: CloneRequest,
    /// The id of the HTTP request that causes it.
    pub by: RequestId,
}

/// Exports a profile that no session writes.
#[derive(Message)]
#[rtype(result = "Result<ArchiveStream>")]
pub struct ExportProfile {
    /// Its name.
    pub name: ProfileName,
    /// The id of the HTTP request that causes it.
    pub by: RequestId,
}

/// Makes a profile of an archive; answered when it was read completely.
#[derive(Message)]
#[rtype(result = "Result<Arc<Profile>>")]
pub struct ImportProfile {
    /// Its name.
    pub name: ProfileName,
    /// The archive.
    pub archive: ArchiveStream,
    /// The id of the HTTP request that causes it.
    pub by: RequestId,
}

/// Reads the cookies of a profile.
#[derive(Message)]
#[rtype(result = "Result<Vec<Cookie>>")]
pub struct ReadProfileCookies {
    /// Its name.
    pub name: ProfileName,
    /// The id of the HTTP request that causes it.
    pub by: RequestId,
}

/// Replaces the cookies of a profile.
#[derive(Message)]
#[rtype(result = "Result<()>")]
pub struct WriteProfileCookies {
    /// Its name.
    pub name: ProfileName,
    /// Its cookies from then on.
    pub cookies: Vec<Cookie>,
    /// The id of the HTTP request that causes it.
    pub by: RequestId,
}

/// The messages about a worker's profiles.
#[derive(Clone)]
pub struct ProfileHandle {
    /// Makes profiles.
    pub create: Recipient<CreateProfile>,
    /// Changes profiles.
    pub change: Recipient<ChangeProfile>,
    /// Deletes profiles.
    pub delete: Recipient<DeleteProfile>,
    /// Makes profiles from others.
    pub clone: Recipient<CloneProfile>,
    /// Exports profiles.
    pub export: Recipient<ExportProfile>,
    /// Imports profiles.
    pub import: Recipient<ImportProfile>,
    /// Reads cookies.
    pub read_cookies: Recipient<ReadProfileCookies>,
    /// Replaces cookies.
    pub write_cookies: Recipient<WriteProfileCookies>,
}

/// An actor that handles all messages about profiles.
pub trait HandlesProfiles:
    Actor<Context = Context<Self>>
    + Handler<CreateProfile>
    + Handler<ChangeProfile>
    + Handler<DeleteProfile>
    + Handler<CloneProfile>
    + Handler<ExportProfile>
    + Handler<ImportProfile>
    + Handler<ReadProfileCookies>
    + Handler<WriteProfileCookies>
{
}

impl<A> HandlesProfiles for A where
    A: Actor<Context = Context<A>>
        + Handler<CreateProfile>
        + Handler<ChangeProfile>
        + Handler<DeleteProfile>
        + Handler<CloneProfile>
        + Handler<ExportProfile>
        + Handler<ImportProfile>
        + Handler<ReadProfileCookies>
        + Handler<WriteProfileCookies>
{
}

impl ProfileHandle {
    /// The handle of an actor that handles the messages.
    pub fn new<A: HandlesProfiles>(address: &Addr<A>) -> Self {
        Self {
            create: address.clone().recipient(),
            change: address.clone().recipient(),
            delete: address.clone().recipient(),
            clone: address.clone().recipient(),
            export: address.clone().recipient(),
            import: address.clone().recipient(),
            read_cookies: address.clone().recipient(),
            write_cookies: address.clone().recipient(),
        }
    }
}

impl Handler<CreateProfile> for LocalWorker {
    type Result = ResponseFuture<Result<Arc<Profile>>>;

    fn handle(
        &mut self,
        CreateProfile { request, by }: CreateProfile,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let (profiles, name) = (self.profiles.clone(), request.name.clone());
        let checked = self.check_profile(&request);
        Box::pin(async move {
            checked?;
            let made = profiles.create(request).await?;
            log::info!("profile {name} was made, request {by}");
            Ok(made)
        })
    }
}

impl Handler<ChangeProfile> for LocalWorker {
    type Result = ResponseFuture<Result<Arc<Profile>>>;

    fn handle(
        &mut self,
        ChangeProfile { name, patch, .. }: ChangeProfile,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let profiles = self.profiles.clone();
        let proxy = patch.proxy.clone().flatten();
        let checked = proxy.map_or(Ok(()), |proxy| self.launcher.check_route(&proxy, &[]));
        Box::pin(async move {
            checked?;
            profiles.change(name, patch).await
        })
    }
}

impl Handler<DeleteProfile> for LocalWorker {
    type Result = ResponseFuture<Result<()>>;

    fn handle(&mut self, DeleteProfile { name, by }: DeleteProfile, _: &mut Context<Self>) -> Self::Result {
        let profiles = self.profiles.clone();
        Box::pin(async move {
            profiles.delete(name.clone()).await?;
            log::info!("profile {name} was deleted, request {by}");
            Ok(())
        })
    }
}

impl Handler<CloneProfile> for LocalWorker {
    type Result = ResponseFuture<Result<Arc<Profile>>>;

    fn handle(
        &mut self,
        CloneProfile { name, request, by }: CloneProfile,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let profiles = self.profiles.clone();
        Box::pin(async move {
            let made = profiles.clone_profile(name.clone(), request).await?;
            log::info!("profile {} was made from {name}, request {by}", made.name);
            Ok(made)
        })
    }
}

impl Handler<ExportProfile> for LocalWorker {
    type Result = ResponseFuture<Result<ArchiveStream>>;

    fn handle(&mut self, ExportProfile { name, by }: ExportProfile, _: &mut Context<Self>) -> Self::Result {
        let profiles = self.profiles.clone();
        Box::pin(async move {
            let archive = profiles.export(name.clone()).await?;
            log::info!("profile {name} is exported, request {by}");
            Ok(archive)
        })
    }
}

impl Handler<ImportProfile> for LocalWorker {
    type Result = ResponseFuture<Result<Arc<Profile>>>;

    fn handle(
        &mut self,
        ImportProfile { name, archive, by }: ImportProfile,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let (profiles, limit) = (self.profiles.clone(), self.settings.profiles.import_limit);
        Box::pin(async move {
            let made = profiles.import(name, archive, limit).await?;
            log::info!("profile {} was imported, request {by}", made.name);
            Ok(made)
        })
    }
}

impl Handler<ReadProfileCookies> for LocalWorker {
    type Result = ResponseFuture<Result<Vec<Cookie>>>;

    fn handle(
        &mut self,
        ReadProfileCookies { name, by }: ReadProfileCookies,
        ctx: &mut Context<Self>,
    ) -> Self::Result {
        self.in_session_of(name, ProfileMode::Copy, by, ctx, |session| async move {
            session.send(ReadCookies).await.unwrap_or(Err(Error::SessionNotFound))
        })
    }
}

impl Handler<WriteProfileCookies> for LocalWorker {
    type Result = ResponseFuture<Result<()>>;

    fn handle(
        &mut self,
        WriteProfileCookies { name, cookies, by }: WriteProfileCookies,
        ctx: &mut Context<Self>,
    ) -> Self::Result {
        self.in_session_of(name, ProfileMode::Write, by, ctx, |session| async move {
            session.send(WriteCookies { cookies }).await.unwrap_or(Err(Error::SessionNotFound))
        })
    }
}

impl LocalWorker {
    /// Rejects a profile whose sessions could not be created here.
    fn check_profile(&self, request: &ProfileRequest) -> Result<()> {
        self.settings.launch.check_identity(&request.identity, Coherence::default())?;
        request.proxy.as_ref().map_or(Ok(()), |proxy| self.launcher.check_route(proxy, &[]))
    }

    /// Does something in the session that writes a profile. If there is none, a session is made for it: only the browser
    /// itself knows its cookies.
    fn in_session_of<T, F>(
        &self,
        name: ProfileName,
        mode: ProfileMode,
        by: RequestId,
        ctx: &mut Context<Self>,
        work: impl FnOnce(Addr<Session>) -> F + 'static,
    ) -> ResponseFuture<Result<T>>
    where
        T: 'static,
        F: Future<Output = Result<T>> + 'static,
    {
        let writes = |id: &SessionId| {
            let snapshot = self.snapshot.borrow();
            snapshot.sessions.iter().any(|view| {
                view.spec.id == *id
                    && view
                        .spec
                        .profile
                        .as_ref()
                        .is_some_and(|profile| profile.name == name && profile.mode == ProfileMode::Write)
            })
        };
        let existing = self.sessions.iter().find(|(id, _)| writes(id)).map(|(_, session)| session.clone());
        if let Some(session) = existing {
            return Box::pin(work(session));
        }
        let request = SessionRequest {
            headless: Some(true),
            start_url_wait: Some(StartUrlWait::None),
            on_crash: OnCrash::End,
            profile: Some(name),
            profile_mode: mode,
            profile_create: Some(false),
            // Nobody visits a site with it.
            coherence: Coherence::Warn,
            ..SessionRequest::default()
        };
        let worker = ctx.address();
        Box::pin(async move {
            let create = CreateSession { request, by: by.clone(), claimant: Claimant::uncancellable() };
            let restarting = Error::Restarting { what: "worker" };
            let view = worker.send(create).await.map_err(|_| restarting.clone())??;
            let id = view.spec.id;
            let session = worker.send(FindActor(id)).await.map_err(|_| restarting.clone())?;
            let done = match session {
                Some(session) => work(session).await,
                None => Err(Error::SessionNotFound),
            };
            worker.send(DeleteSession { id, by }).await.map_err(|_| restarting)?.map(drop).or_else(
                |error| match error {
                    // It has ended by itself, as its result says.
                    Error::SessionNotFound => Ok(()),
                    error => Err(error),
                },
            )?;
            done
        })
    }
}

/// Finds the actor of a session.
#[derive(Message)]
#[rtype(result = "Option<Addr<Session>>")]
struct FindActor(SessionId);

impl Handler<FindActor> for LocalWorker {
    type Result = Option<Addr<Session>>;

    fn handle(&mut self, FindActor(id): FindActor, _: &mut Context<Self>) -> Self::Result {
        self.sessions.get(&id).cloned()
    }
}
