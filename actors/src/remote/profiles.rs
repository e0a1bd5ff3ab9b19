//! The profiles of a remote worker.

use std::sync::Arc;

use actix::prelude::*;
use camofleet_api::cookie::Cookie;
use camofleet_api::ids::RequestId;
use camofleet_api::profile::{Profile, ProfileName};

use super::RemoteWorker;
use super::calls::Calls;
use crate::model::error::{Error, Result};
use crate::profiles::archive::ArchiveStream;
use crate::worker::profiles::{
    ChangeProfile, CloneProfile, CreateProfile, DeleteProfile, ExportProfile, ImportProfile,
    ReadProfileCookies, WriteProfileCookies,
};

impl RemoteWorker {
    /// Why the machine can't be called about profiles now.
    fn profile_refusal(&self) -> Option<Error> {
        let keeps = self.known.facts().is_some_and(|facts| facts.profiles.is_some());
        self.refusal().or_else(|| (!keeps).then(|| Error::NoProfiles { what: self.settings.display_name() }))
    }

    /// Calls the machine, and shows the result in the snapshot before the caller gets it.
    fn call_profiles<T: 'static, F>(
        &self,
        call: impl FnOnce(Calls) -> F,
        show: impl FnOnce(&mut Self, &T) + 'static,
    ) -> ResponseActFuture<Self, Result<T>>
    where
        F: Future<Output = Result<T>> + 'static,
    {
        if let Some(refusal) = self.profile_refusal() {
            return Box::pin(actix::fut::err(refusal));
        }
        let answered = call(self.calls.clone());
        Box::pin(answered.into_actor(self).map(|answered, this, _| {
            if let Ok(answer) = &answered {
                show(this, answer);
            }
            answered
        }))
    }

    fn show_profile(&mut self, profile: &Arc<Profile>) {
        self.known.apply_profile(self.polls, &profile.name, Some(Arc::clone(profile)));
        self.publish_snapshot();
    }
}

impl Handler<CreateProfile> for RemoteWorker {
    type Result = ResponseActFuture<Self, Result<Arc<Profile>>>;

    fn handle(
        &mut self,
        CreateProfile { request, by }: CreateProfile,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let call = |calls: Calls| async move { calls.create_profile(&request, &by).await };
        self.call_profiles(call, Self::show_profile)
    }
}

impl Handler<ChangeProfile> for RemoteWorker {
    type Result = ResponseActFuture<Self, Result<Arc<Profile>>>;

    fn handle(
        &mut self,
        ChangeProfile { name, patch, by }: ChangeProfile,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let call = |calls: Calls| async move { calls.change_profile(&name, &patch, &by).await };
        self.call_profiles(call, Self::show_profile)
    }
}

impl Handler<DeleteProfile> for RemoteWorker {
    type Result = ResponseActFuture<Self, Result<()>>;

    fn handle(&mut self, DeleteProfile { name, by }: DeleteProfile, _: &mut Context<Self>) -> Self::Result {
        let deleted = name.clone();
        let call = |calls: Calls| async move { calls.delete_profile(&name, &by).await };
        self.call_profiles(call, move |this, ()| {
            this.known.apply_profile(this.polls, &deleted, None);
            this.publish_snapshot();
        })
    }
}

impl Handler<CloneProfile> for RemoteWorker {
    type Result = ResponseActFuture<Self, Result<Arc<Profile>>>;

    fn handle(
        &mut self,
        CloneProfile { name, request, by }: CloneProfile,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let call = |calls: Calls| async move { calls.clone_profile(&name, &request, &by).await };
        self.call_profiles(call, Self::show_profile)
    }
}

impl Handler<ExportProfile> for RemoteWorker {
    type Result = ResponseActFuture<Self, Result<ArchiveStream>>;

    fn handle(&mut self, ExportProfile { name, by }: ExportProfile, _: &mut Context<Self>) -> Self::Result {
        self.call_profiles(|calls| async move { calls.export_profile(&name, &by).await }, |_, _| {})
    }
}

impl Handler<ImportProfile> for RemoteWorker {
    type Result = ResponseActFuture<Self, Result<Arc<Profile>>>;

    fn handle(
        &mut self,
        ImportProfile { name, archive, by }: ImportProfile,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let call = |calls: Calls| async move { calls.import_profile(&name, archive, &by).await };
        self.call_profiles(call, Self::show_profile)
    }
}

impl Handler<ReadProfileCookies> for RemoteWorker {
    type Result = ResponseActFuture<Self, Result<Vec<Cookie>>>;

    fn handle(&mut self, read: ReadProfileCookies, _: &mut Context<Self>) -> Self::Result {
        let (name, by): (ProfileName, RequestId) = (read.name, read.by);
        self.call_profiles(|calls| async move { calls.read_cookies(&name, &by).await }, |_, _| {})
    }
}

impl Handler<WriteProfileCookies> for RemoteWorker {
    type Result = ResponseActFuture<Self, Result<()>>;

    fn handle(
        &mut self,
        WriteProfileCookies { name, cookies, by }: WriteProfileCookies,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let call = |calls: Calls| async move { calls.write_cookies(&name, &cookies, &by).await };
        self.call_profiles(call, |_, ()| {})
    }
}
