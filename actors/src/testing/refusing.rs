//! A worker for tests of those who read snapshots.

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::watch;

use crate::model::error::Error;
use crate::worker::profiles::{
    ChangeProfile, CloneProfile, CreateProfile, DeleteProfile, ExportProfile, ImportProfile,
    ReadProfileCookies, WriteProfileCookies,
};
use crate::worker::{
    AttachClient, ChangeSession, CheckProxy, CreateSession, DeleteSession, Drain, FindSession, ReportEgress,
    ReportIdentity, ShutDown, TakeScreenshot, TouchSession, WorkerHandle, WorkerSnapshot,
};

/// A worker that has only a snapshot, and refuses all requests.
pub(crate) fn refusing_worker(name: &str, snapshot: WorkerSnapshot) -> WorkerHandle {
    struct RefusingWorker;
    impl Actor for RefusingWorker {
        type Context = Context<Self>;
    }
    macro_rules! refuses {
        ($($message:ty),*) => {$(
            impl Handler<$message> for RefusingWorker {
                type Result = <$message as Message>::Result;
                fn handle(&mut self, _: $message, _: &mut Context<Self>) -> Self::Result {
                    Err(Error::Draining)
                }
            }
        )*};
    }
    refuses!(
        CreateSession,
        FindSession,
        DeleteSession,
        TouchSession,
        ChangeSession,
        ReportEgress,
        ReportIdentity,
        CheckProxy,
        AttachClient,
        TakeScreenshot,
        Drain,
        CreateProfile,
        ChangeProfile,
        DeleteProfile,
        CloneProfile,
        ExportProfile,
        ImportProfile,
        ReadProfileCookies,
        WriteProfileCookies
    );
    impl Handler<ShutDown> for RefusingWorker {
        type Result = ();
        fn handle(&mut self, _: ShutDown, _: &mut Context<Self>) {}
    }
    WorkerHandle::new(name.to_owned(), RefusingWorker.start(), watch::channel(Arc::new(snapshot)).1)
}
