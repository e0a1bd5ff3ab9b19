//! A screen's keyboard: camofleet types on it for its viewers, as an X client of the display. Where the VNC server can't
//! put a text on the clipboard, it does that too.
//!
//! A VNC server gives a character that its layout has not to one of the few keys without a meaning, and swallows the
//! next when they are used up. Here those keys are given from one character to the next, in the order in which they were
//! last used, and only when the program that has the focus has handled what they meant before.

mod caps;
mod clipboard;
mod injector;
mod keymap;

use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use self::injector::Command;
use super::xauthority;
use crate::process::Os;
use crate::rfb::KeyStroke;

/// How many viewers' commands wait for the keyboard; each viewer waits for its own to be done.
const QUEUE: usize = 64;
/// How long a key may take: the X server is dead, or the browser has been hanging for longer than anybody waits.
const PATIENCE: Duration = Duration::from_secs(30);
/// Waits after an X server that let nobody in, before it is asked again.
const PAUSE: Duration = Duration::from_secs(5);

/// A screen's keyboard. Cloning shares it. It connects to the X server when a viewer first does something.
#[derive(Clone)]
pub(super) struct Keyboard(Arc<Inner>);

struct Inner {
    os: Arc<dyn Os>,
    display: u16,
    authority: PathBuf,
    line: Mutex<Line>,
    /// How often buttons went down or up, of all viewers.
    clicks: Arc<AtomicU64>,
    viewers: AtomicU64,
}

/// The way to the thread that speaks with the X server.
enum Line {
    Down { until: Option<Instant> },
    Up(Up),
}

/// A thread that can be spoken to.
#[derive(Clone)]
struct Up {
    commands: SyncSender<Command>,
    /// Wakes it, by a byte or by being dropped.
    bell: Arc<UnixStream>,
}

impl Keyboard {
    /// The keyboard of a display, which is let in with the key in a file.
    pub fn new(os: Arc<dyn Os>, display: u16, authority: PathBuf) -> Self {
        let line = Mutex::new(Line::Down { until: None });
        let (clicks, viewers) = (Arc::default(), AtomicU64::new(0));
        Self(Arc::new(Inner { os, display, authority, line, clicks, viewers }))
    }

    /// The hands of one more viewer.
    pub fn hands(&self) -> Hands {
        let viewer = self.0.viewers.fetch_add(1, Ordering::Relaxed);
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
        let Inner { os, display, authority, clicks, .. } = &*self.0;
        let stream = os.connect_display(*display)?;
        let key = xauthority::read(authority)?;
        let (sender, commands) = sync_channel(QUEUE);
        let (bell, rung) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        rung.set_nonblocking(true)?;
        let (display, clicks) = (*display, Arc::clone(clicks));
        // A thread of its own: it waits for the X server, which may hang. It ends with the last sender or the connection.
        std::thread::Builder::new().name(format!("keys :{display}")).spawn(move || {
            if let Err(error) = injector::run(stream, key, &commands, &rung, &clicks) {
                log::warn!("the keyboard of display :{display} broke: {error}");
            }
        })?;
        Ok(Up { commands: sender, bell: Arc::new(bell) })
    }

    /// Has a command done; false where there is no keyboard.
    async fn ask(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) -> io::Result<bool> {
        let Some(Up { commands, bell }) = self.thread() else { return Ok(false) };
        let (done, is_done) = oneshot::channel();
        if commands.try_send(command(done)).is_ok() {
            // A full pipe wakes the thread as well as one more byte would.
            let _ = (&*bell).write(&[0]);
            match timeout(PATIENCE, is_done).await {
                Ok(Ok(())) => return Ok(true),
                Ok(Err(_)) => {}
                Err(_) => {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "the X server took no key for 30 s"));
                }
            }
        }
        *self.line() = Line::Down { until: Some(Instant::now() + PAUSE) };
        Ok(false)
    }
}

/// What one viewer holds down.
pub(super) struct Hands {
    keyboard: Keyboard,
    viewer: u64,
    /// Whether the keyboard has been connected to.
    ready: bool,
}

impl Hands {
    /// Presses a key or lets it go; returns when that is done, or false where only the VNC server can do it.
    ///
    /// # Errors
    /// The X server does not take it.
    pub async fn stroke(&mut self, stroke: KeyStroke) -> io::Result<bool> {
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

    /// Puts a text on the clipboard; false where only the VNC server can do it.
    ///
    /// # Errors
    /// The X server does not take it.
    pub async fn copy(&mut self, text: String) -> io::Result<bool> {
        self.ready = true;
        self.keyboard.ask(|done| Command::Copy { text, done }).await
    }

    /// Lets all keys go that this viewer holds.
    pub async fn leave(self) {
        if self.ready {
            let viewer = self.viewer;
            // Without an X server nothing is held.
            let _ = self.keyboard.ask(|done| Command::Leave { viewer, done }).await;
        }
    }
}
