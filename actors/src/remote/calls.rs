//! HTTP calls to another machine: one pooled client, with a timeout for each call and metrics of every outcome.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use awc::error::SendRequestError;
use awc::http::{Method, header};
use bytes::Bytes;
use camofleet_api::cookie::Cookie;
use camofleet_api::egress::{EgressReport, ProxyCheck};
use camofleet_api::error::{ErrorBody, ErrorCode};
use camofleet_api::health::Health;
use camofleet_api::identity::IdentityReport;
use camofleet_api::ids::{RequestId, SessionId};
use camofleet_api::profile::{Profile, ProfileName};
use camofleet_api::profile_request::{CloneRequest, ProfilePatch, ProfileRequest};
use camofleet_api::request::{ProxyCheckRequest, SessionPatch, SessionRequest};
use camofleet_api::session::{Deleted, Session, Status};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::RemoteSettings;
use super::session::view_of;
use crate::metrics::Metrics;
use crate::model::error::{Error, Result, with_sources};
use crate::model::session::SessionView;
use crate::net::http::HttpClient;
use crate::profiles::ProfileList;
use crate::profiles::archive::ArchiveStream;

/// The largest response that is read, in bytes: some ten thousand sessions fit in it.
const ANSWER_LIMIT: usize = 16 << 20;

/// The content type of an archive.
const ARCHIVE_TYPE: &str = "application/zstd";

/// How long an idle connection is kept: less than the 5 s after which the original's servers close theirs, since a request
/// sent at that moment is lost.
const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// The maximum number of connections. A create occupies one while the browser starts, and polls must not wait for it.
const CONNECTIONS: usize = 1024;

/// The result of a poll.
pub(super) struct Observation {
    pub health: Health,
    pub sessions: Vec<SessionView>,
    /// Whether the machine itself relays to another one, which does not answer, so that its list may be out of date.
    pub stale: bool,
    /// The ended sessions, if they were requested.
    pub ended: Option<Vec<SessionView>>,
    /// The profiles, if they have changed.
    pub profiles: Option<ProfileList>,
}

/// Calls one machine. Clones share the connections.
#[derive(Clone)]
pub(super) struct Calls {
    client: awc::Client,
    settings: Arc<RemoteSettings>,
    metrics: Metrics,
}

/// One call.
struct Call<'a> {
    /// The call's name in metrics.
    name: &'static str,
    method: Method,
    /// The path with its query.
    path: String,
    body: Option<Value>,
    limit: Duration,
    by: Option<&'a RequestId>,
}

/// A response with any status.
struct Answer {
    pub status: u16,
    retry_after: Option<Duration>,
    /// The content type of its body.
    pub kind: Option<String>,
    pub body: Bytes,
}

impl Answer {
    /// Whether the machine does not have the route of a session that was called: it would answer with a code of its own for
    /// an unknown session.
    fn lacks_route(&self) -> bool {
        let code = || serde_json::from_slice::<ErrorBody>(&self.body).unwrap_or_default().code;
        matches!(self.status, 404 | 405) && code() != ErrorCode::SessionNotFound.as_str()
    }
}

impl Calls {
    pub fn new(settings: Arc<RemoteSettings>, metrics: Metrics) -> Self {
        let client = HttpClient {
            secure: settings.url.scheme() == "https",
            connect_timeout: settings.connect_timeout,
            keep_alive: KEEP_ALIVE,
            connections: CONNECTIONS,
            authorization: settings.authorization(),
        };
        Self { client: client.build(), settings, metrics }
    }

    /// Polls everything that snapshots contain.
    /// `profiles`: the revision of the profiles that are known.
    pub async fn poll(&self, with_ended: bool, profiles: u64) -> Result<Observation> {
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
                    self.call_json::<Vec<Session>>(get("list_ended", "/sessions?ended=true")).await.map(Some)
                }
                false => Ok(None),
            }
        };
        let (health, sessions, ended) = futures_util::future::try_join3(
            self.call_json::<Health>(get("health", "/health")),
            self.call_json::<Vec<Session>>(get("list", "/sessions")),
            ended,
        )
        .await?;
        let revision = health.facts.as_ref().and_then(|facts| facts.profiles).map(|facts| facts.revision);
        let profiles = match revision {
            Some(revision) if revision != profiles => {
                let profiles = self.call_json::<Vec<Profile>>(get("list_profiles", "/profiles")).await?;
                Some(ProfileList { revision, profiles: profiles.into_iter().map(Arc::new).collect() })
            }
            _ => None,
        };
        let views = |sessions: Vec<Session>, dead: bool| {
            let matching = sessions.into_iter().filter(|session| (session.status == Status::Dead) == dead);
            matching.map(|session| view_of(session, &self.settings)).collect()
        };
        // The original ignores `ended` and lists the live sessions again, so both lists are filtered by status.
        Ok(Observation {
            health,
            stale: sessions.iter().any(|session| session.stale == Some(true)),
            sessions: views(sessions, false),
            ended: ended.map(|ended| views(ended, true)),
            profiles,
        })
    }

    pub async fn create(&self, request: &SessionRequest, by: &RequestId) -> Result<SessionView> {
        let body = serde_json::to_value(request).ok();
        let limit = self.settings.create_timeout;
        let call = Call {
            name: "create",
            method: Method::POST,
            path: "/sessions".into(),
            body,
            limit,
            by: Some(by),
        };
        self.call_json::<Session>(call).await.map(|session| view_of(session, &self.settings))
    }

    pub async fn find(&self, id: SessionId, by: &RequestId) -> Result<SessionView> {
        // Callers filter ended sessions by the status, because the original does not support the parameter `ended` here.
        let call = self.on_session("find", Method::GET, id, "?ended=true", by);
        let session = self.call_json::<Session>(call).await?;
        Ok(view_of(session, &self.settings))
    }

    pub async fn touch(&self, id: SessionId, by: &RequestId) -> Result<SessionView> {
        let session =
            self.call_json::<Session>(self.on_session("touch", Method::POST, id, "/touch", by)).await?;
        Ok(view_of(session, &self.settings))
    }

    pub async fn change(&self, id: SessionId, patch: &SessionPatch, by: &RequestId) -> Result<SessionView> {
        let mut call = self.on_session("change", Method::PATCH, id, "", by);
        call.body = serde_json::to_value(patch).ok();
        let session = self.call_json::<Session>(call).await.map_err(|error| self.without_egress(error))?;
        Ok(view_of(session, &self.settings))
    }

    pub async fn egress(&self, id: SessionId, by: &RequestId) -> Result<EgressReport> {
        let call = self.on_session("egress", Method::GET, id, "/egress", by);
        self.report(call, || Error::NoEgress { what: self.display_name() }).await
    }

    pub async fn identity(&self, id: SessionId, by: &RequestId) -> Result<IdentityReport> {
        let call = self.on_session("identity", Method::GET, id, "/identity", by);
        self.report(call, || Error::NoIdentity { what: self.display_name() }).await
    }

    pub async fn check_proxy(&self, request: &ProxyCheckRequest, by: &RequestId) -> Result<ProxyCheck> {
        let body = serde_json::to_value(request).ok();
        let (path, limit) = ("/proxies/check".to_owned(), self.settings.request_timeout);
        let call = Call { name: "check_proxy", method: Method::POST, path, body, limit, by: Some(by) };
        self.call_json(call).await.map_err(|error| self.without_egress(error))
    }

    /// The error of a machine that does not have the route.
    fn without_egress(&self, error: Error) -> Error {
        match error {
            // A machine that has the route knows no such profile.
            Error::Refused { ref code, .. } if code == ErrorCode::ProfileNotFound.as_str() => error,
            Error::Refused { status: 404 | 405, .. } => Error::NoEgress { what: self.display_name() },
            error => error,
        }
    }

    pub async fn create_profile(&self, request: &ProfileRequest, by: &RequestId) -> Result<Arc<Profile>> {
        let call = self.on_profiles("create_profile", Method::POST, "/profiles".to_owned(), by);
        self.call_json(Call { body: serde_json::to_value(request).ok(), ..call }).await.map(Arc::new)
    }

    pub async fn change_profile(
        &self,
        name: &ProfileName,
        patch: &ProfilePatch,
        by: &RequestId,
    ) -> Result<Arc<Profile>> {
        let call = self.on_profiles("change_profile", Method::PATCH, format!("/profiles/{name}"), by);
        self.call_json(Call { body: serde_json::to_value(patch).ok(), ..call }).await.map(Arc::new)
    }

    pub async fn delete_profile(&self, name: &ProfileName, by: &RequestId) -> Result<()> {
        let call = self.on_profiles("delete_profile", Method::DELETE, format!("/profiles/{name}"), by);
        self.call(call, |answer| self.accepted(answer)).await.map(drop)
    }

    pub async fn clone_profile(
        &self,
        name: &ProfileName,
        request: &CloneRequest,
        by: &RequestId,
    ) -> Result<Arc<Profile>> {
        let call = self.on_profiles("clone_profile", Method::POST, format!("/profiles/{name}/clone"), by);
        self.call_json(Call { body: serde_json::to_value(request).ok(), ..call }).await.map(Arc::new)
    }

    pub async fn read_cookies(&self, name: &ProfileName, by: &RequestId) -> Result<Vec<Cookie>> {
        let call = self.on_profiles("read_cookies", Method::GET, format!("/profiles/{name}/cookies"), by);
        self.call_json(call).await
    }

    pub async fn write_cookies(&self, name: &ProfileName, cookies: &[Cookie], by: &RequestId) -> Result<()> {
        let call = self.on_profiles("write_cookies", Method::PUT, format!("/profiles/{name}/cookies"), by);
        let call = Call { body: serde_json::to_value(cookies).ok(), ..call };
        self.call(call, |answer| self.accepted(answer)).await.map(drop)
    }

    /// Launching a browser for cookies takes as long as creating a session.
    fn on_profiles<'a>(
        &self,
        name: &'static str,
        method: Method,
        path: String,
        by: &'a RequestId,
    ) -> Call<'a> {
        Call { name, method, path, body: None, limit: self.settings.create_timeout, by: Some(by) }
    }

    /// The chunks of an archive go through as they arrive; the time limit is that of the first.
    pub async fn export_profile(&self, name: &ProfileName, by: &RequestId) -> Result<ArchiveStream> {
        let path = format!("/profiles/{name}/archive");
        let request = self.client.get(self.settings.at(&path)).insert_header(("X-Request-Id", by.as_str()));
        let mut answer = self.within_limit(request.send()).await?;
        if !answer.status().is_success() {
            return Err(self.refusal_in(&mut answer).await);
        }
        let (sender, stream) = ArchiveStream::channel();
        actix_rt::spawn(async move {
            while let Some(chunk) = answer.next().await {
                let chunk = chunk.map_err(|error| std::io::Error::other(error.to_string()));
                // Fails if the reader has gone.
                if sender.send(chunk).await.is_err() {
                    return;
                }
            }
        });
        Ok(stream)
    }

    /// As long as the machine takes chunks; it has limits of its own.
    pub async fn import_profile(
        &self,
        name: &ProfileName,
        archive: ArchiveStream,
        by: &RequestId,
    ) -> Result<Arc<Profile>> {
        let path = format!("/profiles/import?name={name}");
        let request = self
            .client
            .post(self.settings.at(&path))
            .insert_header(("X-Request-Id", by.as_str()))
            .insert_header((header::CONTENT_TYPE, ARCHIVE_TYPE));
        let chunks = futures_util::stream::unfold(archive, |mut archive| async move {
            archive.next().await.map(|chunk| (chunk, archive))
        });
        let mut answer =
            request.send_stream(Box::pin(chunks)).await.map_err(|error| self.send_error(error))?;
        if !answer.status().is_success() {
            return Err(self.refusal_in(&mut answer).await);
        }
        let body = answer.body().limit(ANSWER_LIMIT).await.map_err(|error| self.broken(error.to_string()))?;
        serde_json::from_slice(&body).map(Arc::new).map_err(|error| {
            self.broken(format!("its answer to 'import_profile' can't be understood: {error}"))
        })
    }

    async fn within_limit<T>(&self, sent: impl Future<Output = Result<T, SendRequestError>>) -> Result<T> {
        let limit = self.settings.request_timeout;
        match tokio::time::timeout(limit, sent).await {
            Ok(sent) => sent.map_err(|error| self.send_error(error)),
            Err(_) => Err(Error::UpstreamTimedOut { what: self.settings.display_name(), limit }),
        }
    }

    async fn refusal_in<S>(&self, answer: &mut awc::ClientResponse<S>) -> Error
    where
        S: futures_util::Stream<Item = Result<Bytes, awc::error::PayloadError>> + Unpin,
    {
        let status = answer.status().as_u16();
        let body = answer.body().limit(ANSWER_LIMIT).await.unwrap_or_default();
        Error::from_response(self.display_name(), status, None, &body)
    }

    pub async fn delete(&self, id: SessionId, by: &RequestId) -> Result<Status> {
        let deleted =
            self.call_json::<Deleted>(self.on_session("delete", Method::DELETE, id, "", by)).await?;
        Ok(deleted.status)
    }

    /// Starts or stops draining the machine; with `end`, its sessions are ended too.
    pub async fn drain(&self, on: bool, end: bool, by: &RequestId) -> Result<()> {
        let method = if on { Method::POST } else { Method::DELETE };
        let path = if on && end { "/drain?end=true" } else { "/drain" };
        let limit = self.settings.request_timeout;
        let call = Call { name: "drain", method, path: path.into(), body: None, limit, by: Some(by) };
        let accepted = self.call(call, |answer| self.accepted(answer)).await;
        match accepted {
            Err(Error::Refused { status: 404 | 405, .. }) => {
                Err(Error::NoDrain { what: self.display_name() })
            }
            accepted => accepted.map(|_| ()),
        }
    }

    /// Takes a picture of a session's screen.
    pub async fn screenshot(&self, id: SessionId, width: Option<u16>, by: &RequestId) -> Result<Bytes> {
        let query = width.map(|width| format!("?width={width}")).unwrap_or_default();
        let below = format!("/screenshot{query}");
        let call = self.on_session("screenshot", Method::GET, id, &below, by);
        self.call(call, |answer| self.picture_in(answer)).await
    }

    fn picture_in(&self, answer: Answer) -> Result<Bytes> {
        if answer.lacks_route() {
            return Err(Error::NoScreenshots { what: self.display_name() });
        }
        let Answer { kind, body, .. } = self.accepted(answer)?;
        match kind {
            Some(kind) if kind == "image/jpeg" => Ok(body),
            kind => Err(self.broken(format!("its picture is '{}'", kind.unwrap_or_default()))),
        }
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

    /// Makes a call with a JSON response.
    async fn call_json<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T> {
        let name = call.name;
        self.call(call, |answer| self.json_in(name, answer)).await
    }

    /// The same for a route of a session that machines may lack.
    async fn report<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
        lacking: impl FnOnce() -> Error,
    ) -> Result<T> {
        let name = call.name;
        let read = |answer: Answer| match answer.lacks_route() {
            true => Err(lacking()),
            false => self.json_in(name, answer),
        };
        self.call(call, read).await
    }

    fn json_in<T: DeserializeOwned>(&self, name: &str, answer: Answer) -> Result<T> {
        let Answer { body, .. } = self.accepted(answer)?;
        let unclear = |error| self.broken(format!("its answer to '{name}' can't be understood: {error}"));
        serde_json::from_slice(&body).map_err(unclear)
    }

    /// Makes a call, parses its response, and records the outcome.
    async fn call<T>(&self, call: Call<'_>, read: impl FnOnce(Answer) -> Result<T>) -> Result<T> {
        let (name, limit, started) = (call.name, call.limit, Instant::now());
        let answered = match tokio::time::timeout(limit, self.send(call)).await {
            Ok(answered) => answered.and_then(read),
            Err(_) => Err(Error::UpstreamTimedOut { what: self.settings.display_name(), limit }),
        };
        let outcome = answered.as_ref().map_or_else(Error::code, |_| "ok");
        self.metrics.upstream(&self.settings.name, name, outcome, started.elapsed());
        answered
    }

    async fn send(&self, call: Call<'_>) -> Result<Answer> {
        let mut request = self.client.request(call.method, self.settings.at(&call.path));
        if let Some(by) = call.by {
            request = request.insert_header(("X-Request-Id", by.as_str()));
        }
        let sent = match &call.body {
            Some(body) => request.send_json(body),
            None => request.send(),
        };
        let mut answer = sent.await.map_err(|error| self.send_error(error))?;
        let text = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let retry_after = text(header::RETRY_AFTER).and_then(|wait| wait.parse().ok());
        let kind = text(header::CONTENT_TYPE).map(str::to_owned);
        let status = answer.status().as_u16();
        let body = answer.body().limit(ANSWER_LIMIT).await.map_err(|error| self.broken(error.to_string()))?;
        Ok(Answer { status, retry_after: retry_after.map(Duration::from_secs), kind, body })
    }

    fn send_error(&self, error: SendRequestError) -> Error {
        match error {
            // The request was not sent.
            SendRequestError::Connect(error) => {
                Error::UpstreamUnreachable { what: self.display_name(), detail: with_sources(&error) }
            }
            error => self.broken(error.to_string()),
        }
    }

    /// Turns an error response into an error.
    fn accepted(&self, answer: Answer) -> Result<Answer> {
        match answer.status {
            200..=299 => Ok(answer),
            status => {
                Err(Error::from_response(self.display_name(), status, answer.retry_after, &answer.body))
            }
        }
    }

    /// The machine's name in error texts.
    fn display_name(&self) -> Cow<'static, str> {
        self.settings.display_name()
    }

    fn broken(&self, detail: String) -> Error {
        Error::UpstreamBroke { what: self.display_name(), detail }
    }
}
