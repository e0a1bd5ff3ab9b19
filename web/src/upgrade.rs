//! WebSocket handshakes: finds the target, checks access, and serves the connection.
//!
//! actix-http hands over a connection with its handshake request before routing. Rejected handshakes get the same JSON errors
//! as other requests.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_http::body::BodySize;
use actix_http::error::PayloadError;
use actix_http::h1::Message;
use actix_http::{HttpMessage, Request, Response, ws};
use actix_rt::net::TcpStream;
use actix_web::ResponseError;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web_actors::ws::WebsocketContext;
use bytes::{Bytes, BytesMut};
use camofleet_actors::Error;
use camofleet_actors::net::relay::frames::FrameTracker;
use camofleet_actors::session::{Attachment, AttachmentTicket, RelayPatience, UpstreamConnection};
use camofleet_actors::views::gateway::OpenTunnel;
use camofleet_actors::views::tunnel::{ViewerEnds, VncTunnel};
use camofleet_actors::worker::AttachClient;
use camofleet_api::ids::RequestId;
use futures_util::{SinkExt, Stream, StreamExt, stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::error::ApiError;
use crate::gate::GateRequest;
use crate::incoming::{Connection, offers_websocket};
use crate::request::{REQUEST_ID, decoded, request_id, view_id};
use crate::routes::extract::{find_worker, session_id};
use crate::settings::{Surface, ViewerSettings};
use crate::state::AppState;
use crate::viewer::{MESSAGE_LIMIT, Viewer};
use crate::{auth, headers};

/// How long a client may take to read an error response or the last bytes of its connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum number of bytes of one read from a viewer.
const READ_SIZE: usize = 16 << 10;

/// The target of a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    /// A session's browser.
    Session {
        /// The worker's name; `None` where there is only one.
        worker: Option<String>,
        /// The session's id as in the request, not validated.
        id: String,
    },
    /// A live view.
    View { vnc_id: String },
    /// The placeholder for clients of the Chrome DevTools Protocol, which get an error with the reason.
    Cdp,
}

/// Whether a client is Playwright connecting over CDP; with its own protocol, it would send the browser's name.
fn speaks_cdp(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    agent.starts_with("Playwright/") && !headers.contains_key("x-playwright-browser")
}

impl Target {
    /// Finds a request's target. A live view's id may be in the query, in the path, or in the header with the prefix that an
    /// ingress stripped.
    fn of(surface: &Surface, path: &str, query: &str, headers: &HeaderMap) -> Option<Self> {
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        let segments: Vec<String> = segments.map(decoded).collect::<Option<_>>()?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let segments = segments.strip_prefix(&["api"]).unwrap_or(&segments);
        match (surface, segments) {
            (Surface::Control | Surface::Worker { .. } | Surface::Runner, ["json", "cdp"]) => Some(Self::Cdp),
            (Surface::Control, ["sessions", worker, id, "ws"]) => {
                Some(Self::Session { worker: Some((*worker).to_owned()), id: (*id).to_owned() })
            }
            (Surface::Worker { .. } | Surface::Runner, ["sessions", id, "ws"]) => {
                Some(Self::Session { worker: None, id: (*id).to_owned() })
            }
            (Surface::Worker { .. } | Surface::Runner, _) => None,
            // There is only one screen, so any id is accepted.
            (Surface::SharedScreen { .. }, _) => Some(Self::View { vnc_id: String::new() }),
            (_, ["vnc", vnc_id, "websockify"]) => Some(Self::View { vnc_id: (*vnc_id).to_owned() }),
            (_, ["websockify"]) => Some(Self::View { vnc_id: view_id(query, headers).unwrap_or_default() }),
            _ => None,
        }
    }
}

/// The path for the log, which names the session or the view: a view's id may be in the query, which is not logged because it
/// can contain secrets.
fn logged_path(surface: &Surface, request: &Request) -> String {
    let path = request.path();
    let query = request.uri().query().unwrap_or_default();
    match Target::of(surface, path, query, request.headers()) {
        // It comes from a stranger, and must not break the line.
        Some(Target::View { vnc_id }) if !vnc_id.is_empty() => {
            format!("{path} (view {})", vnc_id.escape_debug())
        }
        _ => path.to_owned(),
    }
}

/// An admitted handshake, with what serves it.
enum Admitted {
    Client(Box<(UpstreamConnection, AttachmentTicket)>),
    Viewer(ViewerEnds),
}

/// Serves one handshake and the resulting connection.
pub(crate) async fn serve(state: AppState, mut request: Request, mut connection: Connection) {
    let started = Instant::now();
    if offers_websocket(request.headers()) {
        // `Upgrade` may be repeated, and actix-http reads only the first value.
        request.head_mut().headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }
    let peer = request.peer_addr().map(|peer| peer.ip().to_string()).unwrap_or_default();
    let path = logged_path(&state.surface, &request);
    let by = request_id(request.headers());
    let admitted = match connection.is_read_buf_empty() {
        true => admit(&state, &request, &by).await,
        // RFC 6455, section 4.1: a client must wait for the response before it sends anything.
        false => {
            Err(ApiError::BadHandshake { problem: "data came before the handshake was answered".to_owned() })
        }
    };
    let (admitted, mut answer) = match admitted {
        Ok(admitted) => admitted,
        Err(error) => {
            log::info!("{peer} WS {path} {} {error}, request {by}", error.status_code().as_u16());
            // Ignored: a client that does not read the error response is gone.
            let _ = timeout(CLOSE_TIMEOUT, refuse(&mut connection, &error, &by)).await;
            return;
        }
    };
    if let Admitted::Viewer(_) = &admitted
        && offers_binary(request.headers())
    {
        answer.insert_header((header::SEC_WEBSOCKET_PROTOCOL, "binary"));
    }
    answer.insert_header((REQUEST_ID, by.as_str()));
    let answer = answer.finish().drop_body();
    if connection.send(Message::Item((answer, BodySize::None))).await.is_err() {
        return;
    }
    log::info!("{peer} WS {path} opened, request {by}");
    let parts = connection.into_parts();
    let ping_interval = state.settings.ping_interval;
    // Key strokes and protocol messages are small and latency matters, so they are not delayed.
    let _ = parts.io.set_nodelay(true);
    match admitted {
        Admitted::Client(client) => {
            let (upstream, ticket) = *client;
            let write_timeout = state.settings.write_timeout;
            Attachment::run(parts.io, upstream, ticket, RelayPatience { ping_interval, write_timeout }).await;
        }
        Admitted::Viewer(ends) => {
            serve_viewer(parts.io, ends, ping_interval, state.settings.viewer, &by).await;
        }
    }
    log::info!("{peer} WS {path} closed after {:.1} s, request {by}", started.elapsed().as_secs_f32());
}

/// Checks a handshake, and connects to its target.
async fn admit(
    state: &AppState,
    request: &Request,
    by: &RequestId,
) -> Result<(Admitted, actix_http::ResponseBuilder), ApiError> {
    let query = request.uri().query().unwrap_or_default();
    let target =
        Target::of(&state.surface, request.path(), query, request.headers()).ok_or(ApiError::NoSuchRoute)?;
    let access = &state.settings.access;
    state.admit(&GateRequest::of(request.head(), true))?;
    let key = match &target {
        Target::Cdp => return Err(ApiError::CdpUnsupported),
        Target::Session { .. } if speaks_cdp(request.headers()) => return Err(ApiError::CdpUnsupported),
        Target::Session { .. } => {
            auth::check(access.api_token.as_deref(), request.headers(), query)?;
            None
        }
        Target::View { .. } => auth::check_view(access, request.headers(), query)?,
    };
    let answer = ws::handshake(request.head())
        .map_err(|error| ApiError::BadHandshake { problem: error.to_string() })?;
    let admitted = match target {
        Target::Session { worker, id } => {
            let worker = find_worker(state, worker.as_deref())?;
            let attach = AttachClient { id: session_id(&id)?, by: by.clone() };
            let ticket = worker.ask(&worker.attach, attach).await?;
            let headers: Vec<(&str, &str)> = request
                .headers()
                .iter()
                .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
                .collect();
            let playwright = worker.snapshot().playwright.clone();
            let upstream = ticket.dial(&headers, playwright.as_deref()).await?;
            Admitted::Client(Box::new((upstream, ticket)))
        }
        // An invalid handshake was already rejected above.
        Target::Cdp => return Err(ApiError::CdpUnsupported),
        Target::View { vnc_id } => {
            let ticket = state.gateway.get()?.send(OpenTunnel { vnc_id, key }).await;
            let ticket = ticket.unwrap_or(Err(Error::Restarting { what: "gateway" }))?;
            Admitted::Viewer(VncTunnel::open(ticket).await?)
        }
    };
    Ok((admitted, answer))
}

/// Whether a viewer offers the subprotocol `binary`, which older viewers of VNC over WebSocket require.
fn offers_binary(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|protocol| protocol.trim() == "binary")
}

/// Sends the error response and closes the connection.
async fn refuse(connection: &mut Connection, error: &ApiError, by: &RequestId) -> std::io::Result<()> {
    // A body of two strings can always be serialized.
    let body = Bytes::from(serde_json::to_vec(&error.body()).unwrap_or_default());
    let mut response = Response::build(error.status_code());
    response
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header((REQUEST_ID, by.as_str()));
    for header in headers::ALWAYS.into_iter().chain([headers::NO_PAGE, headers::NO_CACHE]) {
        response.insert_header(header);
    }
    response.force_close();
    if let Some(seconds) = error.retry_after() {
        response.insert_header((header::RETRY_AFTER, seconds));
    }
    let response = response.finish().drop_body();
    connection.send(Message::Item((response, BodySize::Sized(body.len() as u64)))).await?;
    connection.send(Message::Chunk(Some(body))).await?;
    connection.io_mut().shutdown().await
}

/// Serves a viewer until either side closes.
async fn serve_viewer(
    socket: TcpStream,
    ends: ViewerEnds,
    ping_interval: Duration,
    patience: ViewerSettings,
    by: &RequestId,
) {
    let (reader, mut writer) = socket.into_split();
    let too_long = Rc::new(Cell::new(false));
    let viewer = Viewer::new(ends, ping_interval, Rc::clone(&too_long));
    let codec = ws::Codec::new().max_size(MESSAGE_LIMIT);
    let mut to_viewer = std::pin::pin!(WebsocketContext::with_codec(
        viewer,
        frames(reader, patience.read_timeout, too_long, by.clone()),
        codec
    ));
    while let Some(Ok(bytes)) = to_viewer.next().await {
        match timeout(patience.write_timeout, writer.write_all(&bytes)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) => {
                log::info!(
                    "a viewer did not read for {:?} and is disconnected, request {by}",
                    patience.write_timeout
                );
                return;
            }
        }
    }
    // The close frame has been sent. What the viewer still sends is read and dropped, because closing a connection with
    // unread bytes resets it, and the viewer would lose the close frame.
    let _ = timeout(CLOSE_TIMEOUT, async {
        writer.shutdown().await?;
        let socket: &TcpStream = writer.as_ref();
        let mut unread = vec![0; READ_SIZE];
        loop {
            socket.readable().await?;
            match socket.try_read(&mut unread) {
                Ok(0) => return Ok(()),
                Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
    })
    .await;
}

/// The data of a viewer's socket, in pieces that end at frame boundaries.
///
/// The codec that decodes them buffers everything that is ready, and checks a frame's size only once the frame is complete.
/// So it gets one frame at a time, and none that is longer than [`MESSAGE_LIMIT`]: if a frame declares more, `too_long` is
/// set, and the stream ends with an error.
fn frames(
    reader: impl AsyncRead + Unpin + 'static,
    read_timeout: Duration,
    too_long: Rc<Cell<bool>>,
    by: RequestId,
) -> impl Stream<Item = Result<Bytes, PayloadError>> + 'static {
    struct State<R> {
        reader: R,
        buffer: BytesMut,
        tracker: FrameTracker,
        by: RequestId,
    }
    let state = State { reader, buffer: BytesMut::new(), tracker: FrameTracker::new(), by };
    stream::unfold(state, move |mut state| {
        let too_long_now = Rc::clone(&too_long);
        async move {
            if too_long_now.get() {
                // The rest stays unread.
                return None;
            }
            if state.tracker.at_boundary() {
                // The codec decodes its buffer only when no more data is ready.
                tokio::task::yield_now().await;
            }
            if state.buffer.is_empty() {
                state.buffer.reserve(READ_SIZE);
                match timeout(
                    read_timeout,
                    (&mut state.reader).take(READ_SIZE as u64).read_buf(&mut state.buffer),
                )
                .await
                {
                    Ok(Ok(0)) => return None,
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => return Some((Err(PayloadError::Io(error)), state)),
                    Err(_) => {
                        log::info!(
                            "a viewer sent nothing for {read_timeout:?} and is disconnected, request {}",
                            state.by
                        );
                        return None;
                    }
                }
            }
            let (length, _) = state.tracker.advance_frame(&state.buffer);
            if state.tracker.largest() > MESSAGE_LIMIT as u64 {
                too_long_now.set(true);
                return Some((Err(PayloadError::Overflow), state));
            }
            let piece = state.buffer.split_to(length).freeze();
            Some((Ok(piece), state))
        }
    })
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderName;

    use super::*;

    fn target(path: &str, query: &str, prefix: Option<&'static str>) -> Option<Target> {
        let mut headers = HeaderMap::new();
        if let Some(prefix) = prefix {
            headers.insert(HeaderName::from_static("x-forwarded-prefix"), HeaderValue::from_static(prefix));
        }
        Target::of(&Surface::Control, path, query, &headers)
    }

    fn view(id: &str) -> Option<Target> {
        Some(Target::View { vnc_id: id.to_owned() })
    }

    #[test]
    fn a_session_is_found_by_its_path_with_and_without_the_prefix() {
        let session =
            |worker: &str| Some(Target::Session { worker: Some(worker.to_owned()), id: "1".to_owned() });
        assert_eq!(target("/sessions/local/1/ws", "", None), session("local"));
        assert_eq!(target("/api/sessions/local/1/ws/", "", None), session("local"));
        assert_eq!(target("/sessions/east%20a+b/1/ws", "", None), session("east a+b"));
        assert_eq!(target("/%61pi/%73essions/local/1/%77s", "", None), session("local"));
    }

    #[test]
    fn a_view_is_found_by_token_path_or_stripped_prefix() {
        assert_eq!(target("/websockify", "token=6900", None), view("6900"));
        assert_eq!(target("/api/websockify", "access_token=x&token=6901", None), view("6901"));
        assert_eq!(target("/vnc/6902/websockify", "", None), view("6902"));
        assert_eq!(target("/websockify", "", Some("/vnc/6903")), view("6903"));
        assert_eq!(target("/websockify", "", Some("/fleet/vnc/6904/")), view("6904"));
        assert_eq!(target("/websockify", "token=6900", Some("/vnc/6905")), view("6900"));
        assert_eq!(target("/websockify", "", None), view(""));
        assert_eq!(target("/%76nc/69%300/%77ebsockify", "", None), view("6900"));
    }

    #[test]
    fn a_host_s_paths_have_no_worker_and_no_views() {
        let of = |path: &str| Target::of(&Surface::Runner, path, "token=6900", &HeaderMap::new());
        let session = Some(Target::Session { worker: None, id: "1".to_owned() });
        assert_eq!((of("/sessions/1/ws"), of("/api/sessions/1/ws")), (session.clone(), session));
        assert_eq!((of("/sessions/local/1/ws"), of("/websockify")), (None, None));
        assert_eq!(Target::of(&Surface::Gateway, "/sessions/1/ws", "", &HeaderMap::new()), None);
    }

    #[test]
    fn every_handshake_gets_the_shared_screen() {
        let surface = Surface::SharedScreen { assets: None };
        for (path, query) in [("/", ""), ("/websockify", ""), ("/websockify", "token=7"), ("/any/where", "")]
        {
            assert_eq!(Target::of(&surface, path, query, &HeaderMap::new()), view(""), "{path}");
        }
    }

    /// The lengths of the pieces that the codec gets if a viewer sends this, whether a frame was too long, and whether the
    /// stream failed.
    async fn read(sent: &[u8]) -> (Vec<usize>, bool, bool) {
        let (mut theirs, ours) = tokio::io::duplex(1 << 20);
        theirs.write_all(sent).await.unwrap();
        let too_long = Rc::new(Cell::new(false));
        let frames = frames(ours, Duration::from_secs(5), Rc::clone(&too_long), RequestId::random());
        let mut frames = std::pin::pin!(frames);
        let mut lengths = Vec::new();
        loop {
            // Nothing more will be sent.
            match timeout(Duration::from_millis(50), frames.next()).await {
                Ok(Some(Ok(piece))) => lengths.push(piece.len()),
                Ok(Some(Err(error))) => {
                    assert!(matches!(error, PayloadError::Overflow));
                    return (lengths, too_long.get(), frames.next().await.is_none());
                }
                Ok(None) | Err(_) => return (lengths, too_long.get(), false),
            }
        }
    }

    #[actix_web::test]
    async fn a_viewer_s_frames_are_read_one_by_one_and_none_that_declares_too_much() {
        let small = [0x82, 0x83, 0, 0, 0, 0, 1, 2, 3];
        assert_eq!(read(&small.repeat(3)).await, (vec![9; 3], false, false));
        let declares =
            |length: u64| [&small[..], &[0x82, 0xff], &length.to_be_bytes(), &[0; 4], &[7; 100]].concat();
        assert!(!read(&declares(MESSAGE_LIMIT as u64)).await.1);
        for length in [MESSAGE_LIMIT as u64 + 1, 1 << 62, u64::MAX] {
            assert_eq!(read(&declares(length)).await, (vec![9], true, true), "{length}");
        }
    }

    #[test]
    fn the_log_names_the_view_of_a_handshake_in_one_line() {
        let logged = |uri: &str| {
            let mut request = Request::new();
            request.head_mut().uri = uri.parse().unwrap();
            logged_path(&Surface::Control, &request)
        };
        for (uri, expected) in [
            ("/websockify?token=6900&key=s3cret", "/websockify (view 6900)"),
            ("/websockify?token=6900%0a1%202", "/websockify (view 6900\\n1 2)"),
            ("/websockify", "/websockify"),
            ("/sessions/local/7/ws?access_token=s3cret", "/sessions/local/7/ws"),
        ] {
            assert_eq!(logged(uri), expected);
        }
    }

    #[test]
    fn other_paths_have_no_target() {
        for path in ["/", "/sessions", "/sessions/local/1", "/sessions/local/1/ws/more", "/vnc/6900"] {
            assert_eq!(target(path, "", None), None, "{path}");
        }
    }
}
