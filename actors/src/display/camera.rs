//! A screen's camera: takes its picture out of the VNC server for everybody who asks, once a second at most.
//!
//! It is a viewer beside the others, who only looks. It goes to the VNC server's own socket, past the port where viewers
//! come in: what it does is nobody's activity, and takes no viewer's place.

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

/// How long one picture of a screen serves everybody who asks for one.
const FRESH: Duration = Duration::from_secs(1);
/// How long somebody who asks may wait, and the VNC server may take. It needs milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many may wait in line; whoever finds no place in it waits for one, and not longer either.
const LINE: usize = 64;
/// How many sizes of one picture are kept.
const SIZES: usize = 8;
/// What errors call the server.
const SERVER: &str = "the VNC server";

/// Asks a screen's camera for pictures. Cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct Camera(mpsc::Sender<Asked>);

/// Those who want a picture.
pub(crate) struct Line(mpsc::Receiver<Asked>);

/// One who wants a picture.
#[derive(Debug)]
struct Asked {
    at: Instant,
    /// `None` is the screen's own.
    width: Option<u16>,
    answer: oneshot::Sender<Result<Bytes>>,
}

impl Camera {
    /// The camera of a screen that is about to come up.
    pub fn new() -> (Self, Line) {
        let (ask, line) = mpsc::channel(LINE);
        (Self(ask), Line(line))
    }

    /// A JPEG of the screen, of this width, or its own if that is smaller or none is named.
    ///
    /// # Errors
    /// [`Error::UpstreamUnreachable`], [`Error::UpstreamBroke`] and [`Error::UpstreamTimedOut`], of the VNC server.
    pub async fn picture(&self, width: Option<u16>) -> Result<Bytes> {
        let gone = || broke("its screen is gone".to_owned());
        let at = Instant::now();
        let taken = async {
            let (answer, taken) = oneshot::channel();
            self.0.send(Asked { at, width, answer }).await.map_err(|_| gone())?;
            taken.await.unwrap_or_else(|_| Err(gone()))
        };
        timeout(PATIENCE, taken).await.unwrap_or_else(|_| Err(too_slow()))
    }
}

/// What a camera looks at.
pub(super) struct Lens {
    pub os: Arc<dyn Os>,
    /// Where the VNC server listens.
    pub socket: PathBuf,
    /// What it asks for.
    pub password: Option<VncPassword>,
    /// How long it needs, once it is connected to, to know what is on its screen.
    pub settles_in: Duration,
    pub metrics: Metrics,
}

/// Takes pictures for everybody who asks, one after the other, for as long as this is polled. Dropped, those who wait are
/// told that the screen is gone.
pub(super) async fn serve(lens: Lens, Line(mut line): Line) {
    let mut last: Option<Look> = None;
    loop {
        let asked = match &last {
            None => line.recv().await,
            Some(look) => match timeout_at(look.until, line.recv()).await {
                Ok(asked) => asked,
                Err(_) => {
                    // Its pixels are megabytes: they go as soon as nobody can want them.
                    last = None;
                    continue;
                }
            },
        };
        let Some(Asked { at, width, answer }) = asked else { return };
        // Whoever waited for too long wants none any more.
        if answer.is_closed() {
            continue;
        }
        let kept = last.take().filter(|look| at < look.until);
        let look = match kept {
            Some(look) => look,
            None => lens.look().await,
        };
        let _ = answer.send(last.insert(look).picture(width).await);
    }
}

/// What a look at the screen came to.
struct Look {
    /// Whoever asks before this gets a picture of it: its failure too, if they asked while it was being taken.
    until: Instant,
    seen: Result<Seen>,
}

struct Seen {
    frame: Arc<Frame>,
    /// By their widths, the oldest first, [`SIZES`] at most.
    pictures: Vec<(u16, Bytes)>,
}

impl Lens {
    async fn look(&self) -> Look {
        let started = Instant::now();
        let seen = timeout(PATIENCE, self.read()).await.unwrap_or_else(|_| Err(too_slow()));
        let outcome = seen.as_ref().map_or_else(Error::code, |_| "ok");
        self.metrics.screen_captured(outcome, started.elapsed());
        let done = Instant::now();
        let until = if seen.is_ok() { done.max(started + FRESH) } else { done };
        let seen = seen.map(|frame| Seen { frame: Arc::new(frame), pictures: Vec::new() });
        Look { until, seen }
    }

    async fn read(&self) -> Result<Frame> {
        let unreachable = |error: std::io::Error| Error::UpstreamUnreachable {
            what: SERVER.into(),
            detail: error.to_string(),
        };
        let server = self.os.connect(&self.socket).await.map_err(unreachable)?;
        let broke = |error: std::io::Error| broke(error.to_string());
        framebuffer::read(server, self.password.as_ref(), self.settles_in).await.map_err(broke)
    }
}

impl Look {
    async fn picture(&mut self, width: Option<u16>) -> Result<Bytes> {
        let Seen { frame, pictures } = match &mut self.seen {
            Ok(seen) => seen,
            Err(error) => return Err(error.clone()),
        };
        let width = width.map_or(frame.width, |width| width.clamp(1, frame.width));
        if let Some((_, drawn)) = pictures.iter().find(|(known, _)| *known == width) {
            return Ok(drawn.clone());
        }
        let pixels = Arc::clone(frame);
        // Not on the thread of the actors: it is pure computing.
        let drawn = tokio::task::spawn_blocking(move || picture::jpeg(&pixels, width)).await;
        let drawn = drawn.map_err(|error| broke(error.to_string()))?.map_err(broke)?;
        if pictures.len() >= SIZES {
            pictures.remove(0);
        }
        pictures.push((width, drawn.clone()));
        Ok(drawn)
    }
}

fn broke(detail: String) -> Error {
    Error::UpstreamBroke { what: SERVER.into(), detail }
}

fn too_slow() -> Error {
    Error::UpstreamTimedOut { what: SERVER.into(), limit: PATIENCE }
}
