//! A screen's keyboard: camofleet types on it for its viewers, as an X client of the display. Where the VNC server can't
//! put a text on the clipboard, or get one from there, it does that too.
//!
//! A VNC server gives a character that its layout has not to one of the few keys without a meaning, and swallows the
//! next when they are used up. Here those keys are given from one character to the next, in the order in which they were
//! last used, and only when the program that has the focus has handled what they meant before.

mod caps;
mod clipboard;
mod injector;
mod keymap;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};
use x11rb::errors::{ConnectionError, ReplyError};

use self::injector::Command;
use super::xauthority;
use crate::net::rfb::KeyStroke;
use crate::process::Os;

pub(super) use self::clipboard::Outlet;

/// How many viewers' commands wait for the keyboard; each viewer waits for its own to be done.
const QUEUE: usize = 64;
/// How long a key may take: the X server is dead, or the browser has been hanging for longer than anybody waits.
const PATIENCE: Duration = Duration::from_secs(30);
/// Waits after an X server that let nobody in, before it is asked again.
const PAUSE: Duration = Duration::from_secs(5);

/// A screen's keyboard. Cloning shares it. It connects to the X server when the first viewer comes.
#[derive(Clone)]
pub(super) struct Keyboard(Arc<Inner>);

struct Inner {
    os: Arc<dyn Os>,
    display: u16,
    authority: PathBuf,
    outlet: Outlet,
    line: Mutex<Line>,
    /// How often buttons went down or up, of all viewers.
    clicks: Arc<AtomicU64>,
    viewers: Arc<Viewers>,
}

/// Who is at the keyboard. What those hold who are not, is let go.
#[derive(Debug, Default)]
struct Viewers {
    next: AtomicU64,
    here: Mutex<HashSet<u64>>,
}

impl Viewers {
    fn here(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self) -> u64 {
        let viewer = self.next.fetch_add(1, Ordering::Relaxed);
        self.here().insert(viewer);
        viewer
    }

    fn leave(&self, viewer: u64) {
        self.here().remove(&viewer);
    }

    fn has(&self, viewer: u64) -> bool {
        self.here().contains(&viewer)
    }
}

/// What came of something that the keyboard was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Typed {
    /// It is done.
    All,
    /// There is no keyboard: only the VNC server can do it.
    Nothing,
    /// Not this key: the viewer holds as many as it may.
    TooMany,
}

/// The way to the thread that speaks with the X server.
enum Line {
    Down { until: Option<Instant> },
    Up(Up),
}

/// A thread that can be spoken to.
#[derive(Clone)]
struct Up {
    commands: mpsc::Sender<Command>,
    /// Wakes it, by a byte or by being dropped.
    bell: Arc<UnixStream>,
}

impl Up {
    fn wake(&self) {
        // A full pipe wakes the thread as well as one more byte would.
        let _ = (&*self.bell).write(&[0]);
    }
}

impl Keyboard {
    /// The keyboard of a display, which is let in with the key in a file.
    pub fn new(os: Arc<dyn Os>, display: u16, authority: PathBuf, outlet: Outlet) -> Self {
        let line = Mutex::new(Line::Down { until: None });
        let (clicks, viewers) = (Arc::default(), Arc::default());
        Self(Arc::new(Inner { os, display, authority, outlet, line, clicks, viewers }))
    }

    /// Whether viewers' texts have to be put on the clipboard for the VNC server: what x11vnc puts there, browsers don't get.
    pub fn copies(&self) -> bool {
        self.0.outlet == Outlet::CutBuffer
    }

    /// The hands of one more viewer.
    pub fn hands(&self) -> Hands {
        let viewer = self.0.viewers.enter();
        // What the session copies is for one who types nothing, too.
        let _ = self.thread();
        Hands { keyboard: self.clone(), viewer, ready: false }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way to the X server; the thread at its end is started where there is none.
    fn thread(&self) -> Option<Up> {
        let mut line = self.line();
        match &*line {
            Line::Up(up) => return Some(up.clone()),
            Line::Down { until: Some(until) } if Instant::now() < *until => return None,
            Line::Down { .. } => {}
        }
        match self.start() {
            Ok(up) => {
                *line = Line::Up(up.clone());
                Some(up)
            }
            Err(error) => {
                log::debug!("the keyboard of display :{} can't be used: {error}", self.0.display);
                *line = Line::Down { until: Some(Instant::now() + PAUSE) };
                None
            }
        }
    }

    fn start(&self) -> io::Result<Up> {
        let Inner { os, display, authority, clicks, viewers, .. } = &*self.0;
        let stream = os.connect_display(*display)?;
        let key = xauthority::read(authority)?;
        let (sender, commands) = mpsc::channel(QUEUE);
        let (bell, rung) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        rung.set_nonblocking(true)?;
        let (display, outlet) = (*display, self.0.outlet);
        let (clicks, viewers) = (Arc::clone(clicks), Arc::clone(viewers));
        // A thread of its own: it waits for the X server, which may hang. It ends with the last sender or the connection.
        std::thread::Builder::new().name(format!("keys :{display}")).spawn(move || {
            if let Err(error) = injector::run(stream, key, commands, &rung, &clicks, &viewers, outlet) {
                // An X server that ends closes its connections.
                let level = if is_closed(&*error) { log::Level::Debug } else { log::Level::Warn };
                log::log!(level, "the keyboard of display :{display} broke: {error}");
            }
        })?;
        Ok(Up { commands: sender, bell: Arc::new(bell) })
    }

    /// Has a command done.
    ///
    /// # Errors
    /// The X server does not do it.
    async fn ask(&self, command: impl FnOnce(oneshot::Sender<Typed>) -> Command) -> io::Result<Typed> {
        let Some(up) = self.thread() else { return Ok(Typed::Nothing) };
        let (done, is_done) = oneshot::channel();
        let asked = timeout(PATIENCE, async {
            up.commands.send(command(done)).await.ok()?;
            up.wake();
            is_done.await.ok()
        });
        match asked.await {
            Ok(Some(typed)) => Ok(typed),
            // The thread has ended, and let everything go.
            Ok(None) => {
                self.hang_up(&up);
                Ok(Typed::Nothing)
            }
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the X server took no key for 30 s")),
        }
    }

    /// This thread is gone; another one may have taken its place already.
    fn hang_up(&self, gone: &Up) {
        let mut line = self.line();
        if matches!(&*line, Line::Up(up) if Arc::ptr_eq(&up.bell, &gone.bell)) {
            *line = Line::Down { until: Some(Instant::now() + PAUSE) };
        }
    }
}

/// Whether the X server has closed the connection, as it does when it ends.
fn is_closed(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    let connection = match error.downcast_ref::<ReplyError>() {
        Some(ReplyError::ConnectionError(error)) => Some(error),
        _ => error.downcast_ref::<ConnectionError>(),
    };
    let io = match connection {
        Some(ConnectionError::IoError(error)) => Some(error),
        _ => error.downcast_ref::<io::Error>(),
    };
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    io.is_some_and(|error| matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof))
}

/// What one viewer holds down; dropped, it lets go of all of it.
pub(super) struct Hands {
    keyboard: Keyboard,
    viewer: u64,
    /// Whether the keyboard has been connected to.
    ready: bool,
}

impl Hands {
    /// Presses a key or lets it go; returns when that is done.
    ///
    /// # Errors
    /// The X server does not take it.
    pub async fn stroke(&mut self, stroke: KeyStroke) -> io::Result<Typed> {
        let viewer = self.viewer;
        self.ready = true;
        self.keyboard.ask(|done| Command::Stroke { viewer, stroke, done }).await
    }

    /// Buttons of the pointer are about to go down or up: keys that come later wait until they have.
    ///
    /// # Errors
    /// The X server does not answer.
    pub async fn click(&mut self, changed: u8) -> io::Result<()> {
        if !self.ready {
            self.ready = true;
            self.keyboard.ask(|done| Command::Hello { done }).await?;
        }
        self.keyboard.0.clicks.fetch_add(u64::from(changed.count_ones()), Ordering::SeqCst);
        Ok(())
    }

    /// Puts a text on the clipboard.
    ///
    /// # Errors
    /// The X server does not take it.
    pub async fn copy(&mut self, text: String) -> io::Result<Typed> {
        self.ready = true;
        self.keyboard.ask(|done| Command::Copy { text, done }).await
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        self.keyboard.0.viewers.leave(self.viewer);
        if let Line::Up(up) = &*self.keyboard.line() {
            up.wake();
        }
    }
}
