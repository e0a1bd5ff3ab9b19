//! Screenshots of a screen, taken from its VNC server at most once a second, however many are requested.
//!
//! They are taken through a connection of their own to the VNC server's socket, and not through the viewers' port: a
//! screenshot is no activity and does not count as a viewer.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use super::framebuffer::{self, Frame};
use super::{VncPassword, picture};
use crate::metrics::Metrics;
use crate::model::error::{Error, Result};
use crate::process::Os;

/// How long a captured frame is reused for further requests.
const CACHE_TTL: Duration = Duration::from_secs(1);
/// How long a request may take, and the VNC server to send its screen, which normally takes milliseconds.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How many requests are queued; further ones wait for a place in the queue, within the same timeout.
const QUEUE: usize = 64;
/// How many sizes of one frame are cached.
const MAX_SIZES: usize = 8;
/// The name of the server in errors.
const SERVER: &str = "the VNC server";

/// Requests screenshots of one screen. Clones share its queue.
#[derive(Debug, Clone)]
pub(crate) struct Screenshotter(mpsc::Sender<ScreenshotRequest>);

/// The receiving end of a screen's queue of requests.
pub(crate) struct ScreenshotRequests(mpsc::Receiver<ScreenshotRequest>);

#[derive(Debug)]
struct ScreenshotRequest {
    requested_at: Instant,
    /// `None` is the screen's own.
    width: Option<u16>,
    reply: oneshot::Sender<Result<Bytes>>,
}

impl Screenshotter {
    /// The queue of a screen that is about to start.
    pub fn new() -> (Self, ScreenshotRequests) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), ScreenshotRequests(receiver))
    }

    /// A JPEG of the screen with this width; with the screen's own width if that is smaller, or if `width` is `None`.
    ///
    /// # Errors
    /// [`Error::UpstreamUnreachable`], [`Error::UpstreamBroke`] and [`Error::UpstreamTimedOut`], of the VNC server.
    pub async fn jpeg(&self, width: Option<u16>) -> Result<Bytes> {
        let gone = || broke("its screen is gone".to_owned());
        let requested_at = Instant::now();
        let response = async {
            let (reply, response) = oneshot::channel();
            self.0.send(ScreenshotRequest { requested_at, width, reply }).await.map_err(|_| gone())?;
            response.await.unwrap_or_else(|_| Err(gone()))
        };
        timeout(TIMEOUT, response).await.unwrap_or_else(|_| Err(timed_out()))
    }
}

/// The VNC server that screenshots are taken from.
pub(super) struct CaptureSource {
    pub os: Arc<dyn Os>,
    /// The socket of the VNC server.
    pub socket: PathBuf,
    /// The password that it requires.
    pub password: Option<VncPassword>,
    /// How long after a connection its copy of the screen may be out of date.
    pub refresh_delay: Duration,
    pub metrics: Metrics,
}

/// Serves requests one after the other, for as long as this is polled. Dropped, it fails the queued ones.
pub(super) async fn serve(source: CaptureSource, ScreenshotRequests(mut requests): ScreenshotRequests) {
    let mut cache: Option<Capture> = None;
    loop {
        let request = match &cache {
            None => requests.recv().await,
            Some(capture) => match timeout_at(capture.valid_until, requests.recv()).await {
                Ok(request) => request,
                Err(_) => {
                    // A frame is megabytes of pixels, which are freed as soon as they have expired.
                    cache = None;
                    continue;
                }
            },
        };
        let Some(ScreenshotRequest { requested_at, width, reply }) = request else { return };
        // The requester has timed out or disconnected.
        if reply.is_closed() {
            continue;
        }
        let cached = cache.take().filter(|capture| requested_at < capture.valid_until);
        let capture = match cached {
            Some(capture) => capture,
            None => source.capture().await,
        };
        let _ = reply.send(cache.insert(capture).jpeg(width).await);
    }
}

/// The result of reading the screen once.
struct Capture {
    /// It serves requests that were made before this. A failure serves those that were queued while it was determined.
    valid_until: Instant,
    result: Result<CapturedFrame>,
}

struct CapturedFrame {
    frame: Arc<Frame>,
    /// JPEGs by width, oldest first, at most [`MAX_SIZES`].
    jpegs: Vec<(u16, Bytes)>,
}

impl CaptureSource {
    async fn capture(&self) -> Capture {
        let started = Instant::now();
        let result = timeout(TIMEOUT, self.read()).await.unwrap_or_else(|_| Err(timed_out()));
        let outcome = result.as_ref().map_or_else(Error::code, |_| "ok");
        self.metrics.screen_captured(outcome, started.elapsed());
        let done = Instant::now();
        let valid_until = if result.is_ok() { done.max(started + CACHE_TTL) } else { done };
        let result = result.map(|frame| CapturedFrame { frame: Arc::new(frame), jpegs: Vec::new() });
        Capture { valid_until, result }
    }

    async fn read(&self) -> Result<Frame> {
        let unreachable = |error: std::io::Error| Error::UpstreamUnreachable {
            what: SERVER.into(),
            detail: error.to_string(),
        };
        let server = self.os.connect(&self.socket).await.map_err(unreachable)?;
        let broke = |error: std::io::Error| broke(error.to_string());
        framebuffer::read(server, self.password.as_ref(), self.refresh_delay).await.map_err(broke)
    }
}

impl Capture {
    async fn jpeg(&mut self, width: Option<u16>) -> Result<Bytes> {
        let CapturedFrame { frame, jpegs } = match &mut self.result {
            Ok(captured) => captured,
            Err(error) => return Err(error.clone()),
        };
        let width = width.map_or(frame.width, |width| width.clamp(1, frame.width));
        if let Some((_, jpeg)) = jpegs.iter().find(|(encoded, _)| *encoded == width) {
            return Ok(jpeg.clone());
        }
        let pixels = Arc::clone(frame);
        // Encoding is CPU-bound, so it must not block the thread of the actors.
        let encoded = tokio::task::spawn_blocking(move || picture::jpeg(&pixels, width)).await;
        let jpeg = encoded.map_err(|error| broke(error.to_string()))?.map_err(broke)?;
        if jpegs.len() >= MAX_SIZES {
            jpegs.remove(0);
        }
        jpegs.push((width, jpeg.clone()));
        Ok(jpeg)
    }
}

fn broke(detail: String) -> Error {
    Error::UpstreamBroke { what: SERVER.into(), detail }
}

fn timed_out() -> Error {
    Error::UpstreamTimedOut { what: SERVER.into(), limit: TIMEOUT }
}
