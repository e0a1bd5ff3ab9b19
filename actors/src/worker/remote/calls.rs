//! The calls to another machine: one pooled client, a limit of time on each, and every outcome counted.

use std::sync::Arc;
use std::time::Duration;

use awc::error::SendRequestError;
use awc::http::{Method, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::RemoteSettings;
use super::health::WireHealth;
use super::wire::{WireDeleted, WireError, WireRequest, WireSession};
use crate::error::{Error, Result, with_sources};
use crate::metrics::Metrics;
use crate::relay::dial::basic_authorization;
use crate::request_id::RequestId;
use crate::session::{SessionId, SessionRequest, SessionView, Status};
use crate::tls;

/// The longest answer that is read: some ten thousand sessions.
const ANSWER_LIMIT: usize = 16 << 20;

/// How long an idle connection is kept. The original's servers close theirs after 5 s, and a request that meets the close
/// is lost.
const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// How many connections there may be: a create holds one for as long as a browser takes to start, and a look at the
/// machine must not wait for it.
const CONNECTIONS: usize = 1024;

/// What a machine was seen to be.
pub(super) struct Observation {
    pub health: WireHealth,
    pub sessions: Vec<SessionView>,
    /// It does not know better than we do: it stands before another machine, which does not answer.
    pub stale: bool,
    /// The ended ones, where they were asked for.
    pub ended: Option<Vec<SessionView>>,
}

/// Calls one machine. Cloning shares the connections.
#[derive(Clone)]
pub(super) struct Calls {
    client: awc::Client,
    settings: Arc<RemoteSettings>,
    metrics: Metrics,
}

/// One call.
struct Call<'a> {
    /// What the metrics call it.
    name: &'static str,
    method: Method,
    path: String,
    body: Option<Value>,
    limit: Duration,
    by: Option<&'a RequestId>,
}

impl Calls {
    pub fn new(settings: Arc<RemoteSettings>, metrics: Metrics) -> Self {
        let connector = awc::Connector::new()
            .timeout(settings.connect_timeout)
            .conn_keep_alive(KEEP_ALIVE)
            .limit(CONNECTIONS);
        let connector = if settings.url.scheme() == "https" {
            connector.rustls_0_23(tls::client_config())
        } else {
            connector
        };
        // The limits of time are each call's own.
        let mut client = awc::Client::builder().connector(connector).disable_timeout().no_default_headers();
        if let Some(authorization) = basic_authorization(&settings.url) {
            client = client.add_default_header((header::AUTHORIZATION, authorization));
        }
        Self { client: client.finish(), settings, metrics }
    }

    /// Looks at everything that snapshots show.
    pub async fn observe(&self, with_ended: bool) -> Result<Observation> {
        let limit = self.settings.poll_timeout;
        let get = |name, path: &str| Call {
            name,
            method: Method::GET,
            path: path.to_owned(),
            body: None,
            limit,
            by: None,
        };
        let ended = async {
            match with_ended {
                true => {
                    self.call::<Vec<WireSession>>(get("list_ended", "/sessions?ended=true")).await.map(Some)
                }
                false => Ok(None),
            }
        };
        let (health, sessions, ended) = futures_util::future::try_join3(
            self.call::<WireHealth>(get("health", "/health")),
            self.call::<Vec<WireSession>>(get("list", "/sessions")),
            ended,
        )
        .await?;
        let views = |sessions: Vec<WireSession>, dead: bool| {
            let wanted = sessions.into_iter().filter(|session| (session.status == Status::Dead) == dead);
            wanted.map(|session| session.into_view(&self.settings)).collect()
        };
        // One that knows no ended sessions lists the live ones again.
        Ok(Observation {
            health,
            stale: sessions.iter().any(|session| session.stale),
            sessions: views(sessions, false),
            ended: ended.map(|ended| views(ended, true)),
        })
    }

    pub async fn create(&self, request: &SessionRequest, by: &RequestId) -> Result<SessionView> {
        let body = serde_json::to_value(WireRequest::new(request)).ok();
        let limit = self.settings.create_timeout;
        let call = Call {
            name: "create",
            method: Method::POST,
            path: "/sessions".into(),
            body,
            limit,
            by: Some(by),
        };
        self.call::<WireSession>(call).await.map(|session| session.into_view(&self.settings))
    }

    pub async fn find(&self, id: SessionId, by: &RequestId) -> Result<SessionView> {
        let session = self.call::<WireSession>(self.on_session("find", Method::GET, id, "", by)).await?;
        Ok(session.into_view(&self.settings))
    }

    pub async fn touch(&self, id: SessionId, by: &RequestId) -> Result<SessionView> {
        let session =
            self.call::<WireSession>(self.on_session("touch", Method::POST, id, "/touch", by)).await?;
        Ok(session.into_view(&self.settings))
    }

    pub async fn delete(&self, id: SessionId, by: &RequestId) -> Result<Status> {
        let deleted = self.call::<WireDeleted>(self.on_session("delete", Method::DELETE, id, "", by)).await?;
        Ok(deleted.status)
    }

    fn on_session<'a>(
        &self,
        name: &'static str,
        method: Method,
        id: SessionId,
        below: &str,
        by: &'a RequestId,
    ) -> Call<'a> {
        let path = format!("/sessions/{id}{below}");
        Call { name, method, path, body: None, limit: self.settings.request_timeout, by: Some(by) }
    }

    async fn call<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T> {
        let (name, limit, started) = (call.name, call.limit, Instant::now());
        let answered = match tokio::time::timeout(limit, self.send(call)).await {
            Ok(answered) => answered,
            Err(_) => Err(Error::UpstreamTimedOut { what: self.settings.what(), limit }),
        };
        let outcome = answered.as_ref().map_or_else(Error::code, |_| "ok");
        self.metrics.upstream(&self.settings.name, name, outcome, started.elapsed());
        answered
    }

    async fn send<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T> {
        let broke = |detail: String| Error::UpstreamBroke { what: self.settings.what(), detail };
        let mut request = self.client.request(call.method, self.settings.at(&call.path));
        if let Some(by) = call.by {
            request = request.insert_header(("X-Request-Id", by.as_str()));
        }
        let sent = match &call.body {
            Some(body) => request.send_json(body),
            None => request.send(),
        };
        let mut answer = sent.await.map_err(|error| match error {
            // Nothing of the request has left this machine.
            SendRequestError::Connect(error) => {
                Error::UpstreamUnreachable { what: self.settings.what(), detail: with_sources(&error) }
            }
            error => broke(error.to_string()),
        })?;
        let status = answer.status();
        let retry_after =
            answer.headers().get(header::RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.parse().ok());
        let body = answer.body().limit(ANSWER_LIMIT).await.map_err(|error| broke(error.to_string()))?;
        if !status.is_success() {
            return Err(refusal(
                self.settings.what(),
                status.as_u16(),
                retry_after.map(Duration::from_secs),
                &body,
            ));
        }
        serde_json::from_slice(&body)
            .map_err(|error| broke(format!("its answer to '{}' can't be understood: {error}", call.name)))
    }
}

/// What a machine's refusal is to the caller: its own words, with its own status and code.
pub(crate) fn refusal(
    what: std::borrow::Cow<'static, str>,
    status: u16,
    retry_after: Option<Duration>,
    body: &[u8],
) -> Error {
    let (code, detail) = WireError::read(status, body);
    match (status, code.as_str()) {
        (404, "session_not_found") => Error::SessionNotFound,
        // An error of its own is no error of the caller's.
        (400..=499 | 502..=504, _) => Error::Refused { status, code, detail, retry_after },
        _ => Error::UpstreamBroke { what, detail: format!("it answered {status}: {detail}") },
    }
}
