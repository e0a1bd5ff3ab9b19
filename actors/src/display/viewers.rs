//! The viewers of a screen. camofleet accepts their connections and proxies them to the VNC server, so that their input
//! counts as activity however they connect, and keys that they hold are released when they disconnect.
//!
//! Viewers connect to the screen's TCP port, or through its [`ScreenHandle`](crate::model::screen::ScreenHandle) from the
//! gateway of this process, which has already checked their key. Both kinds are served alike.
//!
//! Key events are not forwarded: [`keyboard`](super::keyboard) injects them. The VNC server is connected to only after a
//! viewer has sent its protocol version, so idle connections to the port cost it nothing.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use camofleet_api::view::ViewKey;
use futures_util::future::{AbortHandle, Abortable, BoxFuture, abortable};
use futures_util::stream::{FuturesUnordered, poll_fn};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::codec::FramedRead;
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};
use tokio_util::sync::PollSender;

use super::keyboard::{CommandOutcome, Keyboard, ViewerKeyboard};
use crate::model::activity::ActivityClock;
use crate::model::screen::LocalViewer;
use crate::net::rfb::{KeyStroke, MessageKind, PointerState, ViewerMessage, ViewerMessages};
use crate::net::timed_write::{write_all_within, write_some_within};
use crate::process::{Connection, Connections, Os};

/// The size of the buffer for screen data.
const SCREEN_BUFFER: usize = 64 << 10;
/// The size of the buffer for input, whose messages are a few bytes each.
const INPUT_BUFFER: usize = 4 << 10;
/// How many connections may be in their handshake, and how many may be closing. Each costs a few hundred bytes; a further
/// one evicts the oldest.
const MAX_PENDING: usize = 256;
/// How long a viewer, or the VNC server, may take to send its protocol version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the rest of the handshake may take between two programs.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// The same if a person has to type a password.
const PASSWORD_TIMEOUT: Duration = Duration::from_secs(120);
/// How long after the handshake a viewer may occupy a place without using it: VNC programs request an update immediately.
/// There is no timeout after that, because a static screen is silent too, and the kernel detects dead connections.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a rejected viewer may take to read the reason, and the VNC server to close a connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// The delay after a failed accept: without free file descriptors, an immediate retry would fail as well.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);
/// How many held keys of one viewer may be forwarded to the VNC server: more than a keyboard has.
const MAX_FORWARDED_KEYS: usize = 256;
/// The protocol version of the VNC servers, sent on their behalf.
const VERSION: &[u8; 12] = b"RFB 003.008\n";
/// The buttons that VNC servers support; the eighth bit marks an extended message for some.
const BUTTONS: u8 = 0x7f;

/// What the viewers of a screen may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewerLimits {
    /// How many may watch one screen at once.
    pub count: usize,
    /// How long a viewer may read nothing of what it is sent.
    pub write_timeout: Duration,
    /// Whether viewers need no view key.
    pub open: bool,
}

/// The sessions on a screen: their activity clocks, which viewers' input resets, and their view keys. Clones share them.
///
/// The set changes while viewers are connected, because a screen starts without a session and can be handed from a pool to
/// one.
#[derive(Debug, Clone, Default)]
pub(crate) struct ScreenSessions(Arc<Mutex<BTreeMap<u64, ScreenSession>>>);

/// What a screen knows of a session on it.
#[derive(Debug)]
struct ScreenSession {
    clock: ActivityClock,
    key: Option<ViewKey>,
}

impl ScreenSessions {
    fn sessions(&self) -> MutexGuard<'_, BTreeMap<u64, ScreenSession>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the session of a launch: from now on input counts as its activity, and its key opens the screen.
    pub fn add(&self, launch: u64, clock: ActivityClock, key: Option<ViewKey>) {
        self.sessions().insert(launch, ScreenSession { clock, key });
    }

    /// Removes the session of a launch.
    pub fn remove(&self, launch: u64) {
        self.sessions().remove(&launch);
    }

    fn touch(&self) {
        self.sessions().values().for_each(|session| session.clock.touch());
    }

    fn accepts_key(&self, given: &str) -> bool {
        self.sessions().values().any(|session| session.key.as_ref().is_some_and(|key| key.is(given)))
    }

    /// The key of the only session; `None` if there is no session, or more than one.
    fn key(&self) -> Option<ViewKey> {
        let sessions = self.sessions();
        let mut keys = sessions.values().map(|session| session.key.clone());
        keys.next().filter(|_| keys.next().is_none()).flatten()
    }
}

/// The prefix that a gateway of another process sends, followed by the view key that its viewer presented, before the
/// viewer's own data. The screen checks the key, because only it knows whether the session has ended.
const KEY_PREAMBLE: &[u8; 12] = b"CAMOFLEETKEY";

/// What such a gateway sends instead of a protocol version to request the key of the session on a screen, for a page that
/// was opened by the view's number. The reply is the key, or nothing, and then the end of the connection.
pub(crate) const KEY_REQUEST: &[u8; 12] = b"CAMOFLEETASK";

/// The bytes of [`KEY_PREAMBLE`] and a key.
pub(crate) fn key_preamble(key: &ViewKey) -> Vec<u8> {
    [KEY_PREAMBLE, key.as_str().as_bytes()].concat()
}

/// The two sources of viewer connections.
pub(super) struct ViewerListeners {
    /// Connections to the TCP port.
    pub port: Connections,
    /// Connections through the screen's handle.
    pub local: mpsc::Receiver<LocalViewer>,
}

/// What serving the viewers of a screen needs.
pub(super) struct ServedScreen {
    pub os: Arc<dyn Os>,
    /// The socket of the VNC server.
    pub socket: PathBuf,
    pub clocks: ScreenSessions,
    pub keyboard: Keyboard,
    /// Whether the VNC server requires a password.
    pub requires_password: bool,
    pub limits: ViewerLimits,
    /// Whether several sessions share this screen, so that no single key belongs to it.
    pub shared: bool,
}

/// A bounded set of short-lived connections: when it is full, adding one evicts the oldest.
struct PendingConnections<'a, T> {
    tasks: FuturesUnordered<Abortable<BoxFuture<'a, (u64, T)>>>,
    /// Aborts each task, oldest first.
    handles: BTreeMap<u64, AbortHandle>,
    next_number: u64,
    /// Whether the eviction was logged since the set was last empty.
    warned: bool,
}

impl<'a, T: 'a> PendingConnections<'a, T> {
    fn new() -> Self {
        Self { tasks: FuturesUnordered::new(), handles: BTreeMap::new(), next_number: 0, warned: false }
    }

    fn push(&mut self, task: impl Future<Output = T> + Send + 'a) {
        if self.handles.len() >= MAX_PENDING
            && let Some((_, oldest)) = self.handles.pop_first()
        {
            oldest.abort();
            if !std::mem::replace(&mut self.warned, true) {
                log::warn!(
                    "{MAX_PENDING} connections to a screen's port are in their handshake, or closing; the oldest are evicted"
                );
            }
        }
        let number = self.next_number;
        self.next_number += 1;
        let (task, handle) = abortable(task.map(move |output| (number, output)).boxed());
        self.handles.insert(number, handle);
        self.tasks.push(task);
    }

    /// The output of the next task that completes; `None` if there is none.
    async fn next(&mut self) -> Option<T> {
        loop {
            // An evicted task yields an error.
            if let Ok((number, output)) = self.tasks.next().await? {
                self.handles.remove(&number);
                self.warned &= !self.handles.is_empty();
                return Some(output);
            }
        }
    }
}

/// Serves all viewers for as long as this is polled; dropped, it disconnects them and closes the port.
pub(super) async fn serve(screen: ServedScreen, ViewerListeners { mut port, mut local }: ViewerListeners) {
    let (mut handshaking, mut closing) = (PendingConnections::new(), PendingConnections::new());
    let mut watching = FuturesUnordered::new();
    // Each is logged once until it is over.
    let (mut full, mut failing) = (false, false);
    let mut paused_until = Instant::now();
    loop {
        let paused = failing && Instant::now() < paused_until;
        tokio::select! {
            viewer = port.next(), if !paused => match viewer {
                Some(Ok(viewer)) => {
                    failing = false;
                    handshaking.push(exchange_versions(viewer, None));
                }
                Some(Err(error)) => {
                    if !std::mem::replace(&mut failing, true) {
                        log::warn!("the connection of a viewer could not be accepted: {error}");
                    }
                    paused_until = Instant::now() + ACCEPT_RETRY_DELAY;
                }
                None => return,
            },
            Some(LocalViewer { input, pictures, reason }) = local.recv() => {
                handshaking.push(exchange_versions(local_connection(input, pictures), Some(reason)));
            }
            () = sleep_until(paused_until), if paused => {}
            Some(viewer) = handshaking.next() => match viewer {
                Some(viewer) if viewer.version == *KEY_REQUEST => {
                    closing.push(send_and_close(viewer.connection, screen.key_reply()));
                }
                Some(viewer) if screen.rejection_reason(&viewer).is_some() => {
                    let reason = screen.rejection_reason(&viewer).unwrap_or_default().to_owned();
                    closing.push(reject(viewer, reason));
                }
                Some(viewer) if watching.len() >= screen.limits.count => {
                    let limit = screen.limits.count;
                    if !std::mem::replace(&mut full, true) {
                        log::warn!("a screen has {limit} viewers already; further ones are rejected");
                    }
                    closing.push(reject(viewer, format!(
                        "This screen has {limit} viewers already: close one of them, or raise RUNNER_VNC_VIEWERS"
                    )));
                }
                Some(viewer) => watching.push(proxy(&screen, viewer)),
                None => {}
            },
            Some(()) = watching.next() => full = false,
            Some(()) = closing.next() => {}
        }
    }
}

/// A viewer that has sent its protocol version.
struct NewViewer {
    connection: Connection,
    version: [u8; 12],
    /// The view key, if its gateway sent one.
    key: Option<String>,
    /// Receives the reason of a disconnection for the gateway of this process; `None` for viewers of the TCP port.
    reason: Option<oneshot::Sender<String>>,
}

/// Joins the two queues of a viewer of this process into a connection.
fn local_connection(mut input: mpsc::Receiver<Bytes>, pictures: mpsc::Sender<Bytes>) -> Connection {
    let input = poll_fn(move |cx| input.poll_recv(cx).map(|piece| piece.map(io::Result::Ok)));
    let pictures = PollSender::new(pictures).sink_map_err(|_| io::ErrorKind::BrokenPipe);
    Box::new(tokio::io::join(StreamReader::new(input), SinkWriter::new(CopyToBytes::new(pictures))))
}

impl ServedScreen {
    /// The reply to [`KEY_REQUEST`]: empty if viewers need a key, which must not be given away then.
    fn key_reply(&self) -> Vec<u8> {
        let key = self.clocks.key().filter(|_| self.limits.open && !self.shared);
        key.map(|key| key.as_str().as_bytes().to_vec()).unwrap_or_default()
    }

    /// Why a viewer may not see this screen; `None` if it may.
    fn rejection_reason(&self, viewer: &NewViewer) -> Option<&'static str> {
        match &viewer.key {
            Some(key) if self.clocks.accepts_key(key) => None,
            Some(_) => Some("This live view is over: its session has ended"),
            // The gateway of this process has already checked the key.
            None if self.limits.open || viewer.reason.is_some() => None,
            None => Some(
                "This screen requires the key of its session: open it by the address in the session's 'vnc', or set \
                 RUNNER_VNC_OPEN_IDS=true",
            ),
        }
    }
}

/// Exchanges protocol versions with a viewer on behalf of the VNC server; `None` if the peer is no viewer.
async fn exchange_versions(
    mut connection: Connection,
    reason: Option<oneshot::Sender<String>>,
) -> Option<NewViewer> {
    let mut version = [0; 12];
    let mut key = None;
    let exchanged = timeout(VERSION_TIMEOUT, async {
        connection.write_all(VERSION).await?;
        connection.flush().await?;
        connection.read_exact(&mut version).await?;
        if version == *KEY_PREAMBLE {
            let mut given = [0; ViewKey::LENGTH];
            connection.read_exact(&mut given).await?;
            key = Some(String::from_utf8_lossy(&given).into_owned());
            connection.read_exact(&mut version).await?;
        }
        io::Result::Ok(())
    });
    match exchanged.await {
        Ok(Ok(())) if version.starts_with(b"RFB ") || version == *KEY_REQUEST => {
            Some(NewViewer { connection, version, key, reason })
        }
        _ => None,
    }
}

/// Rejects a viewer with a reason (RFC 6143, section 7.1.2).
async fn reject(NewViewer { connection, version, .. }: NewViewer, reason: String) {
    // No security types: one byte, and four in the oldest version.
    let mut message = if &version == b"RFB 003.003\n" { vec![0; 4] } else { vec![0] };
    message.extend((reason.len() as u32).to_be_bytes());
    message.extend(reason.as_bytes());
    send_and_close(connection, message).await;
}

/// Sends a last message and closes the connection.
async fn send_and_close(mut connection: Connection, message: Vec<u8>) {
    // A peer that does not read it is disconnected without it.
    let _ = timeout(CLOSE_TIMEOUT, async {
        connection.write_all(&message).await?;
        connection.shutdown().await?;
        drain(&mut connection).await
    })
    .await;
}

/// Reads until the peer closes: closing a connection with unread bytes would discard what was written to it.
async fn drain(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut buffer = [0; 1024];
    while reader.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// Connects to the VNC server on behalf of a viewer, with the viewer's protocol version.
async fn connect(screen: &ServedScreen, version: &[u8; 12]) -> io::Result<Connection> {
    let connected = timeout(VERSION_TIMEOUT, async {
        let mut server = screen.os.connect(&screen.socket).await?;
        server.read_exact(&mut [0; 12]).await?;
        server.write_all(version).await?;
        server.flush().await?;
        Ok(server)
    });
    connected.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Proxies one viewer until either side disconnects, and releases the keys and buttons that the viewer held.
async fn proxy(screen: &ServedScreen, viewer: NewViewer) {
    let server = match connect(screen, &viewer.version).await {
        Ok(server) => server,
        Err(error) => {
            log::warn!("the VNC server can't be reached for a viewer: {error}");
            return reject(viewer, format!("The VNC server of this screen does not answer: {error}")).await;
        }
    };
    let NewViewer { connection, version, reason, .. } = viewer;
    let (mut from_viewer, mut to_viewer) = tokio::io::split(connection);
    let (mut from_server, to_server) = tokio::io::split(server);
    let limit = screen.limits.write_timeout;
    let mut input = InputProxy {
        screen,
        keyboard: screen.keyboard.attach_viewer(),
        to_server: MessageWriter { writer: to_server, unsent: Bytes::new(), limit },
        pointer: PointerState::default(),
        forwarded_keys: HashMap::new(),
        warned: false,
    };
    let (result, report_reason) = tokio::select! {
        result = copy_screen(&mut from_server, &mut to_viewer, limit) => (result, false),
        result = input.run(&mut from_viewer, &version) => {
            // The viewer's message is too long, or the VNC server does not read.
            let report_reason = result.as_ref().is_err_and(|error| {
                matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::TimedOut)
            });
            (result, report_reason)
        }
    };
    if let Err(error) = result {
        log::info!("a viewer is disconnected: {error}");
        if let Some(reason) = reason.filter(|_| report_reason) {
            // Its gateway may have disconnected first.
            let _ = reason.send(error.to_string());
        }
    }
    // The viewer is disconnected before the cleanup, which may have to wait for the VNC server.
    drop((from_viewer, to_viewer));
    let cleanup = async {
        input.release_all().await;
        drain(&mut from_server).await
    };
    // A server that does not react in time is hung or gone, and its poll ends the display.
    let _ = timeout(CLOSE_TIMEOUT, cleanup).await;
}

/// Copies screen data to the viewer until the server closes, which is passed on. Reading pauses while the viewer does not
/// read.
async fn copy_screen(
    reader: &mut ReadHalf<Connection>,
    writer: &mut WriteHalf<Connection>,
    limit: Duration,
) -> io::Result<()> {
    let mut buffer = vec![0; SCREEN_BUFFER];
    loop {
        let count = reader.read(&mut buffer).await?;
        if count == 0 {
            return writer.shutdown().await;
        }
        write_all_within(writer, &buffer[..count], limit, "it").await?;
    }
}

/// Writes whole messages to the VNC server, even if a write is cancelled halfway.
struct MessageWriter {
    writer: WriteHalf<Connection>,
    /// The rest of the last message, which the next call writes first.
    unsent: Bytes,
    limit: Duration,
}

impl MessageWriter {
    async fn send(&mut self, message: Bytes) -> io::Result<()> {
        self.flush().await?;
        self.unsent = message;
        self.flush().await
    }

    async fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            let count =
                write_some_within(&mut self.writer, &self.unsent, self.limit, "the VNC server").await?;
            self.unsent.advance(count);
        }
        self.writer.flush().await
    }
}

/// Proxies the messages of one viewer.
struct InputProxy<'a> {
    screen: &'a ServedScreen,
    keyboard: ViewerKeyboard,
    to_server: MessageWriter,
    pointer: PointerState,
    /// Held keys that were forwarded to the VNC server, with the message that releases each.
    forwarded_keys: HashMap<(u32, Option<u32>), Bytes>,
    /// Whether it was logged that this viewer holds too many keys.
    warned: bool,
}

impl InputProxy<'_> {
    /// Handles the viewer's messages until it disconnects.
    async fn run(&mut self, from_viewer: &mut ReadHalf<Connection>, version: &[u8; 12]) -> io::Result<()> {
        let decoder = ViewerMessages::after_version(version, self.screen.requires_password);
        let mut messages = FramedRead::with_capacity(from_viewer, decoder, INPUT_BUFFER);
        let handshake = if self.screen.requires_password { PASSWORD_TIMEOUT } else { HANDSHAKE_TIMEOUT };
        let mut deadline = Instant::now() + handshake;
        let (mut connected, mut in_use) = (false, false);
        loop {
            let message = tokio::select! {
                message = messages.next() => message,
                () = sleep_until(deadline), if !in_use => {
                    let problem = if connected {
                        format!("it requested no screen update within {} s", FIRST_REQUEST_TIMEOUT.as_secs())
                    } else {
                        format!("its handshake took longer than {} s", handshake.as_secs())
                    };
                    return Err(io::Error::other(problem));
                }
            };
            let Some(ViewerMessage { kind, bytes }) = message.transpose()? else { return Ok(()) };
            in_use |= connected && kind != MessageKind::Other(false);
            if !connected && messages.decoder().is_handshake_complete() {
                connected = true;
                deadline = Instant::now() + FIRST_REQUEST_TIMEOUT;
            }
            match kind {
                MessageKind::Key(stroke) => {
                    self.screen.clocks.touch();
                    self.handle_key(stroke, bytes).await?;
                }
                MessageKind::Pointer(pointer) => {
                    self.screen.clocks.touch();
                    self.keyboard.click((self.pointer.buttons ^ pointer.buttons) & BUTTONS).await?;
                    self.pointer = pointer;
                    self.to_server.send(bytes).await?;
                }
                MessageKind::Clipboard if self.screen.keyboard.sets_clipboard() => {
                    self.screen.clocks.touch();
                    let text = bytes[8..].iter().copied().map(char::from).collect();
                    if self.keyboard.copy(text).await? == CommandOutcome::Unavailable {
                        self.to_server.send(bytes).await?;
                    }
                }
                MessageKind::Clipboard | MessageKind::UpdateRequest | MessageKind::Other(_) => {
                    if matches!(kind, MessageKind::Clipboard | MessageKind::Other(true)) {
                        self.screen.clocks.touch();
                    }
                    self.to_server.send(bytes).await?;
                }
            }
        }
    }

    /// Injects a key event, or forwards it to the VNC server if injection is unavailable, or was when the key was pressed.
    async fn handle_key(&mut self, stroke: KeyStroke, message: Bytes) -> io::Result<()> {
        let KeyStroke { down, keysym, scancode } = stroke;
        let key = (keysym, scancode);
        let is_forwarded = self.forwarded_keys.contains_key(&key);
        let outcome =
            if is_forwarded { CommandOutcome::Unavailable } else { self.keyboard.stroke(stroke).await? };
        match outcome {
            CommandOutcome::Done => return Ok(()),
            CommandOutcome::Unavailable if !down => {
                self.forwarded_keys.remove(&key);
                return self.to_server.send(message).await;
            }
            CommandOutcome::Unavailable if is_forwarded || self.forwarded_keys.len() < MAX_FORWARDED_KEYS => {
                let mut release = BytesMut::from(&message[..]);
                // The position of the down flag in the two kinds of key messages.
                let down = if scancode.is_some() { 2..4 } else { 1..2 };
                release[down].fill(0);
                self.forwarded_keys.insert(key, release.freeze());
                return self.to_server.send(message).await;
            }
            // A key that is not recorded could not be released when the viewer disconnects.
            CommandOutcome::Unavailable | CommandOutcome::TooManyKeys => {}
        }
        if !std::mem::replace(&mut self.warned, true) {
            log::warn!(
                "a viewer holds {MAX_FORWARDED_KEYS} keys down; further ones are ignored until it releases some"
            );
        }
        Ok(())
    }

    /// Releases all keys and buttons that the viewer holds.
    async fn release_all(self) {
        let Self { keyboard, mut to_server, pointer, forwarded_keys, .. } = self;
        // First, because the VNC server may not be reading.
        drop(keyboard);
        let buttons = PointerState { buttons: 0, ..pointer };
        let buttons = (buttons != pointer).then(|| Bytes::copy_from_slice(&buttons.message()));
        for release in forwarded_keys.into_values().chain(buttons) {
            if to_server.send(release).await.is_err() {
                return;
            }
        }
        let _ = to_server.writer.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_partly_written_message_is_completed_before_the_release_that_follows_it() {
        let (ours, mut theirs) = tokio::io::duplex(10);
        let (_reader, writer) = tokio::io::split(Box::new(ours) as Connection);
        let mut messages = MessageWriter { writer, unsent: Bytes::new(), limit: Duration::from_secs(30) };
        let text = Bytes::from(vec![7; 100]);
        // The viewer disconnects while the VNC server does not read.
        assert!(timeout(Duration::from_secs(1), messages.send(text.clone())).await.is_err());
        let release = PointerState::default().message();
        let reader = tokio::spawn(async move {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).await.map(|_| all)
        });
        messages.send(Bytes::copy_from_slice(&release)).await.unwrap();
        messages.writer.shutdown().await.unwrap();
        drop((messages, _reader));
        assert_eq!(reader.await.unwrap().unwrap(), [&text[..], &release].concat());
    }
}
