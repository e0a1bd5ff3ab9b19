//! Screenshots of sessions on another machine.

use actix::prelude::*;
use awc::http::Method;
use bytes::Bytes;
use camofleet_api::error::{ErrorBody, ErrorCode};
use camofleet_api::ids::{RequestId, SessionId};

use super::RemoteWorker;
use super::calls::{Answer, Calls};
use crate::model::error::{Error, Result};
use crate::worker::TakeScreenshot;

impl Calls {
    async fn screenshot(&self, id: SessionId, width: Option<u16>, by: &RequestId) -> Result<Bytes> {
        let query = width.map(|width| format!("?width={width}")).unwrap_or_default();
        let below = format!("/screenshot{query}");
        let call = self.on_session("screenshot", Method::GET, id, &below, by);
        self.call(call, |answer| self.read(answer)).await
    }

    fn read(&self, answer: Answer) -> Result<Bytes> {
        // A machine without this route does not answer with the code for an unknown session.
        let code = serde_json::from_slice::<ErrorBody>(&answer.body).unwrap_or_default().code;
        if matches!(answer.status, 404 | 405) && code != ErrorCode::SessionNotFound.as_str() {
            return Err(Error::NoScreenshots { what: self.display_name() });
        }
        let Answer { kind, body, .. } = self.accepted(answer)?;
        match kind {
            Some(kind) if kind == "image/jpeg" => Ok(body),
            kind => Err(self.broken(format!("its picture is '{}'", kind.unwrap_or_default()))),
        }
    }
}

impl Handler<TakeScreenshot> for RemoteWorker {
    type Result = ResponseFuture<Result<Bytes>>;

    fn handle(
        &mut self,
        TakeScreenshot { id, width, by }: TakeScreenshot,
        _: &mut Context<Self>,
    ) -> Self::Result {
        let (refusal, calls) = (self.refusal(), self.calls.clone());
        Box::pin(async move {
            match refusal {
                Some(refusal) => Err(refusal),
                None => calls.screenshot(id, width, &by).await,
            }
        })
    }
}
