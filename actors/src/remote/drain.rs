//! Draining of another machine. The machine itself keeps the state, so it applies to all its callers.

use actix::prelude::*;

use super::RemoteWorker;
use crate::model::error::Result;
use crate::worker::Drain;

impl Handler<Drain> for RemoteWorker {
    type Result = ResponseActFuture<Self, Result<()>>;

    fn handle(&mut self, Drain { on, end, by }: Drain, _: &mut Context<Self>) -> Self::Result {
        if let Some(refusal) = self.refusal() {
            return Box::pin(actix::fut::err(refusal));
        }
        let calls = self.calls.clone();
        let drained = async move { calls.drain(on, end, &by).await };
        Box::pin(drained.into_actor(self).map(move |drained, this, _| {
            if drained.is_ok() {
                this.known.drained(on);
                this.publish_snapshot();
            }
            drained
        }))
    }
}
