//! Injects the key events of viewers, as an X client of the display. It also transfers clipboard texts where the VNC server
//! can't.
//!
//! VNC servers map a character that the keyboard layout lacks to one of its few unused keys, and drop further characters
//! when those are used up. Here unused keys are remapped, least recently used first, and only after the focused program
//! has handled the events of their previous mapping.

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

pub(super) use self::clipboard::ClipboardSource;

/// The length of the command queue. Each viewer has one command in it at most.
const QUEUE: usize = 64;
/// How long a command may take; beyond that the X server or the browser hangs.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// The delay before a failed connection to the X server is retried.
const RECONNECT_DELAY: Duration = Duration::from_secs(5);

/// The keyboard of a screen. Clones share it. It connects to the X server when the first viewer does.
#[derive(Clone)]
pub(super) struct Keyboard(Arc<Inner>);

struct Inner {
    os: Arc<dyn Os>,
    display: u16,
    authority: PathBuf,
    clipboard_source: ClipboardSource,
    injector: Mutex<InjectorState>,
    /// How many button events all viewers have sent.
    clicks: Arc<AtomicU64>,
    viewers: Arc<ConnectedViewers>,
}

/// The ids of the connected viewers. Keys that other viewers hold are released.
#[derive(Debug, Default)]
struct ConnectedViewers {
    next: AtomicU64,
    ids: Mutex<HashSet<u64>>,
}

impl ConnectedViewers {
    fn ids(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self) -> u64 {
        let viewer = self.next.fetch_add(1, Ordering::Relaxed);
        self.ids().insert(viewer);
        viewer
    }

    fn remove(&self, viewer: u64) {
        self.ids().remove(&viewer);
    }

    fn contains(&self, viewer: u64) -> bool {
        self.ids().contains(&viewer)
    }
}

/// The outcome of a command to the keyboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CommandOutcome {
    /// It is done.
    Done,
    /// There is no connection to the X server: only the VNC server can do it.
    Unavailable,
    /// The key was ignored, because the viewer holds as many as it may.
    TooManyKeys,
}

/// The thread that is connected to the X server.
enum InjectorState {
    /// It is not started again before `retry_at`.
    Stopped {
        retry_at: Option<Instant>,
    },
    Running(InjectorHandle),
}

/// Sends commands to the injector's thread.
#[derive(Clone)]
struct InjectorHandle {
    commands: mpsc::Sender<Command>,
    /// Wakes the thread when it is written to or dropped.
    waker: Arc<UnixStream>,
}

impl InjectorHandle {
    fn wake(&self) {
        // If the pipe is full, the thread is about to wake anyway.
        let _ = (&*self.waker).write(&[0]);
    }
}

impl Keyboard {
    /// The keyboard of a display, whose key is in the file `authority`.
    pub fn new(os: Arc<dyn Os>, display: u16, authority: PathBuf, clipboard_source: ClipboardSource) -> Self {
        let injector = Mutex::new(InjectorState::Stopped { retry_at: None });
        let (clicks, viewers) = (Arc::default(), Arc::default());
        Self(Arc::new(Inner { os, display, authority, clipboard_source, injector, clicks, viewers }))
    }

    /// Whether viewers' texts have to be put on the clipboard here, because browsers can't read what x11vnc puts there.
    pub fn sets_clipboard(&self) -> bool {
        self.0.clipboard_source == ClipboardSource::CutBuffer
    }

    /// Adds a viewer.
    pub fn attach_viewer(&self) -> ViewerKeyboard {
        let viewer = self.0.viewers.add();
        // The injector also copies the session's clipboard to viewers that never type.
        let _ = self.injector();
        ViewerKeyboard { keyboard: self.clone(), viewer, connected: false }
    }

    fn state(&self) -> MutexGuard<'_, InjectorState> {
        self.0.injector.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The injector, which is started if it is not running; `None` if that failed recently.
    fn injector(&self) -> Option<InjectorHandle> {
        let mut state = self.state();
        match &*state {
            InjectorState::Running(handle) => return Some(handle.clone()),
            InjectorState::Stopped { retry_at: Some(at) } if Instant::now() < *at => return None,
            InjectorState::Stopped { .. } => {}
        }
        match self.start() {
            Ok(handle) => {
                *state = InjectorState::Running(handle.clone());
                Some(handle)
            }
            Err(error) => {
                log::debug!("the keyboard of display :{} can't be used: {error}", self.0.display);
                *state = InjectorState::Stopped { retry_at: Some(Instant::now() + RECONNECT_DELAY) };
                None
            }
        }
    }

    fn start(&self) -> io::Result<InjectorHandle> {
        let Inner { os, display, authority, clicks, viewers, .. } = &*self.0;
        let stream = os.connect_display(*display)?;
        let key = xauthority::read(authority)?;
        let (sender, commands) = mpsc::channel(QUEUE);
        let (waker, wakeups) = UnixStream::pair()?;
        waker.set_nonblocking(true)?;
        wakeups.set_nonblocking(true)?;
        let (display, source) = (*display, self.0.clipboard_source);
        let (clicks, viewers) = (Arc::clone(clicks), Arc::clone(viewers));
        // A thread of its own, because the X server may block it. It ends with the last sender or the connection.
        std::thread::Builder::new().name(format!("keys :{display}")).spawn(move || {
            if let Err(error) = injector::run(stream, key, commands, &wakeups, &clicks, &viewers, source) {
                // The X server closes its connections when it ends, which is no problem of the keyboard.
                let level = if is_closed(&*error) { log::Level::Debug } else { log::Level::Warn };
                log::log!(level, "the keyboard of display :{display} failed: {error}");
            }
        })?;
        Ok(InjectorHandle { commands: sender, waker: Arc::new(waker) })
    }

    /// Sends a command to the injector and waits for its outcome.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`].
    async fn run(
        &self,
        command: impl FnOnce(oneshot::Sender<CommandOutcome>) -> Command,
    ) -> io::Result<CommandOutcome> {
        let Some(injector) = self.injector() else { return Ok(CommandOutcome::Unavailable) };
        let (reply, outcome) = oneshot::channel();
        let outcome = timeout(COMMAND_TIMEOUT, async {
            injector.commands.send(command(reply)).await.ok()?;
            injector.wake();
            outcome.await.ok()
        });
        match outcome.await {
            Ok(Some(outcome)) => Ok(outcome),
            // The thread has ended, and has released all keys.
            Ok(None) => {
                self.mark_stopped(&injector);
                Ok(CommandOutcome::Unavailable)
            }
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the X server handled no key for 30 s")),
        }
    }

    /// Records that this injector has ended, unless another one was started meanwhile.
    fn mark_stopped(&self, ended: &InjectorHandle) {
        let mut state = self.state();
        if matches!(&*state, InjectorState::Running(handle) if Arc::ptr_eq(&handle.waker, &ended.waker)) {
            *state = InjectorState::Stopped { retry_at: Some(Instant::now() + RECONNECT_DELAY) };
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

/// The keyboard, as one viewer uses it. Dropped, it releases the keys that the viewer holds.
pub(super) struct ViewerKeyboard {
    keyboard: Keyboard,
    viewer: u64,
    /// Whether a command was sent: from then on the injector counts button events.
    connected: bool,
}

impl ViewerKeyboard {
    /// Presses or releases a key; returns when the X server has handled it.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`].
    pub async fn stroke(&mut self, stroke: KeyStroke) -> io::Result<CommandOutcome> {
        let viewer = self.viewer;
        self.connected = true;
        self.keyboard.run(|reply| Command::Stroke { viewer, stroke, reply }).await
    }

    /// Announces pointer buttons that are about to be pressed or released, so that later keys are injected after them.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`].
    pub async fn click(&mut self, changed: u8) -> io::Result<()> {
        if !self.connected {
            self.connected = true;
            self.keyboard.run(|reply| Command::Connect { reply }).await?;
        }
        self.keyboard.0.clicks.fetch_add(u64::from(changed.count_ones()), Ordering::SeqCst);
        Ok(())
    }

    /// Puts a text on the clipboard.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`].
    pub async fn copy(&mut self, text: String) -> io::Result<CommandOutcome> {
        self.connected = true;
        self.keyboard.run(|reply| Command::Copy { text, reply }).await
    }
}

impl Drop for ViewerKeyboard {
    fn drop(&mut self) {
        self.keyboard.0.viewers.remove(self.viewer);
        if let InjectorState::Running(injector) = &*self.keyboard.state() {
            injector.wake();
        }
    }
}
