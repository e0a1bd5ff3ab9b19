//! The viewers of a screen: camofleet takes them and carries their bytes to the VNC server and back, so that what they do
//! is known to be done, whichever way they came, and nothing of it is left when they leave.
//!
//! They come by the screen's TCP port, or by its [`ScreenHandle`](crate::model::screen::ScreenHandle) from the gateway of this
//! process, which has checked their key; from there on all are served alike.
//!
//! Their keys it takes out and presses itself ([`keyboard`](super::keyboard)). The VNC server hears of a viewer only when
//! that has said something: whoever connects and says nothing disturbs nobody.

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

use super::keyboard::{Hands, Keyboard, Typed};
use crate::model::activity::ActivityClock;
use crate::model::screen::LocalViewer;
use crate::net::patience::{write_all_within, write_some_within};
use crate::net::rfb::{KeyStroke, PointerState, Said, ViewerMessage, ViewerMessages};
use crate::process::{Connection, Connections, Os};

/// How much of a picture is carried at once.
const PICTURE_BUFFER: usize = 64 << 10;
/// The same for keys and pointer moves, which are a few bytes each.
const INPUT_BUFFER: usize = 4 << 10;
/// How many may be connected that have not said anything yet, and how many that are to read a last answer. Each costs a few hundred bytes;
/// where one more comes, the oldest makes way.
const STRANGERS: usize = 256;
/// How long a viewer may say nothing at first, and the VNC server.
const FIRST_WORD: Duration = Duration::from_secs(10);
/// How long the handshake may take after that, between two programs, and where a person has to type a password.
const HANDSHAKE: Duration = Duration::from_secs(30);
const PASSWORD: Duration = Duration::from_secs(120);
/// How long a viewer may hold a place without any use of it: VNC programs ask for a picture as soon as they are in. From then
/// on silence says nothing: a screen on which nothing changes is silent, too, and the kernel notices who has gone.
const FIRST_REQUEST: Duration = Duration::from_secs(30);
/// How long a viewer may take to read why it is refused, and the VNC server to hear that one has left.
const FAREWELL: Duration = Duration::from_secs(2);
/// Waits after a connection that could not be taken: no file descriptors are left, and none will be in a moment.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How many keys of one viewer are remembered that the VNC server was left to press: more than a keyboard has.
const MOST_KEYS: usize = 256;
/// The protocol version of the VNC servers, said in their place.
const VERSION: &[u8; 12] = b"RFB 003.008\n";
/// Buttons that VNC servers know; the eighth bit means something else to some.
const BUTTONS: u8 = 0x7f;

/// What the viewers of a screen may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewerLimits {
    /// How many may watch one screen at once.
    pub count: usize,
    /// How long one may take nothing of what it is sent.
    pub write_timeout: Duration,
    /// Whether one needs no key of a live view.
    pub open: bool,
}

/// The sessions on a screen: their clocks, which its viewers' input sets, and the keys of their live views. Cloning shares
/// them.
///
/// A screen is up before it has a session, and can pass from a pool to one. Locked for one step only.
#[derive(Debug, Clone, Default)]
pub(crate) struct ScreenSessions(Arc<Mutex<BTreeMap<u64, ShownSession>>>);

/// A session, as its screen knows it.
#[derive(Debug)]
struct ShownSession {
    clock: ActivityClock,
    key: Option<ViewKey>,
}

impl ScreenSessions {
    fn sessions(&self) -> MutexGuard<'_, BTreeMap<u64, ShownSession>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on input counts for the session that runs on this launch, and its key opens the screen.
    pub fn enter(&self, launch: u64, clock: ActivityClock, key: Option<ViewKey>) {
        self.sessions().insert(launch, ShownSession { clock, key });
    }

    /// The launch is no longer on the screen.
    pub fn leave(&self, launch: u64) {
        self.sessions().remove(&launch);
    }

    fn touch(&self) {
        self.sessions().values().for_each(|session| session.clock.touch());
    }

    fn opens(&self, given: &str) -> bool {
        self.sessions().values().any(|session| session.key.as_ref().is_some_and(|key| key.is(given)))
    }

    /// The key of the session on it; `None` while there is none, or where there are several.
    fn key(&self) -> Option<ViewKey> {
        let sessions = self.sessions();
        let mut keys = sessions.values().map(|session| session.key.clone());
        keys.next().filter(|_| keys.next().is_none()).flatten()
    }
}

/// What a gateway of another process says before its viewer's first word where that has brought the key of a live view: this,
/// and the key.
/// The VNC port is not asked: whoever shows a session that is over has to be refused there, where it is known.
const KEY_PREAMBLE: &[u8; 12] = b"CAMOFLEETKEY";

/// What such a gateway says to learn the key of the session that a screen shows, for a page that was opened by the number of the
/// view: the answer is the key, or just the end of the connection. As long as a protocol version.
pub(crate) const KEY_QUESTION: &[u8; 12] = b"CAMOFLEETASK";

/// The bytes of [`KEY_PREAMBLE`] and a key.
pub(crate) fn key_preamble(key: &ViewKey) -> Vec<u8> {
    [KEY_PREAMBLE, key.as_str().as_bytes()].concat()
}

/// The two ways in which viewers come.
pub(super) struct Arrivals {
    /// By the TCP port.
    pub port: Connections,
    /// By the handle.
    pub local: mpsc::Receiver<LocalViewer>,
}

/// A screen, as its viewers are served.
pub(super) struct Stage {
    pub os: Arc<dyn Os>,
    /// Where the VNC server listens.
    pub socket: PathBuf,
    pub clocks: ScreenSessions,
    pub keyboard: Keyboard,
    /// Whether the VNC server asks for a password.
    pub asks_password: bool,
    pub limits: ViewerLimits,
    /// Whether other sessions show this screen too, so that a view of it is no one session's.
    pub shared: bool,
}

/// Connections that are each served for a short time: where there are too many, the oldest makes way for the next.
struct Strangers<'a, T> {
    serving: FuturesUnordered<Abortable<BoxFuture<'a, (u64, T)>>>,
    /// Those that go on, in the order in which they came.
    there: BTreeMap<u64, AbortHandle>,
    arrived: u64,
    /// Whether that one had to make way was said.
    complained: bool,
}

impl<'a, T: 'a> Strangers<'a, T> {
    fn new() -> Self {
        Self { serving: FuturesUnordered::new(), there: BTreeMap::new(), arrived: 0, complained: false }
    }

    fn push(&mut self, served: impl Future<Output = T> + Send + 'a) {
        if self.there.len() >= STRANGERS
            && let Some((_, oldest)) = self.there.pop_first()
        {
            oldest.abort();
            if !std::mem::replace(&mut self.complained, true) {
                log::warn!(
                    "{STRANGERS} connections to a screen's port are no viewers yet, or no more; the oldest make way"
                );
            }
        }
        let number = self.arrived;
        self.arrived += 1;
        let (served, handle) = abortable(served.map(move |done| (number, done)).boxed());
        self.there.insert(number, handle);
        self.serving.push(served);
    }

    /// What came of the next that is done; `None` where nobody is.
    async fn next(&mut self) -> Option<T> {
        loop {
            // One that has made way is an error.
            if let Ok((number, done)) = self.serving.next().await? {
                self.there.remove(&number);
                self.complained &= !self.there.is_empty();
                return Some(done);
            }
        }
    }
}

/// Serves everybody who connects, for as long as this is polled; dropped, it disconnects them and gives its port back.
pub(super) async fn serve(stage: Stage, Arrivals { mut port, mut local }: Arrivals) {
    let (mut silent, mut leaving) = (Strangers::new(), Strangers::new());
    let mut watching = FuturesUnordered::new();
    // Said once, however many come.
    let (mut full, mut failing) = (false, false);
    let mut paused_until = Instant::now();
    loop {
        let paused = failing && Instant::now() < paused_until;
        tokio::select! {
            viewer = port.next(), if !paused => match viewer {
                Some(Ok(viewer)) => {
                    failing = false;
                    silent.push(greet(viewer, None));
                }
                Some(Err(error)) => {
                    if !std::mem::replace(&mut failing, true) {
                        log::warn!("a viewer could not be taken: {error}");
                    }
                    paused_until = Instant::now() + ACCEPT_PAUSE;
                }
                None => return,
            },
            Some(LocalViewer { input, pictures, reason }) = local.recv() => {
                silent.push(greet(local_connection(input, pictures), Some(reason)));
            }
            // Those who are in go on meanwhile.
            () = sleep_until(paused_until), if paused => {}
            Some(greeted) = silent.next() => match greeted {
                Some(greeted) if greeted.version == *KEY_QUESTION => {
                    leaving.push(end_with(greeted.viewer, stage.key_for_anybody()));
                }
                Some(greeted) if stage.refusal(&greeted).is_some() => {
                    let reason = stage.refusal(&greeted).unwrap_or_default().to_owned();
                    leaving.push(refuse(greeted, reason));
                }
                Some(greeted) if watching.len() >= stage.limits.count => {
                    let limit = stage.limits.count;
                    if !std::mem::replace(&mut full, true) {
                        log::warn!("a screen has {limit} viewers already; others are refused");
                    }
                    leaving.push(refuse(greeted, format!(
                        "This screen has {limit} viewers already: close one of them, or raise RUNNER_VNC_VIEWERS"
                    )));
                }
                Some(greeted) => watching.push(show(&stage, greeted)),
                None => {}
            },
            Some(()) = watching.next() => full = false,
            Some(()) = leaving.next() => {}
        }
    }
}

/// A viewer that has said its protocol version.
struct Greeted {
    viewer: Connection,
    version: [u8; 12],
    /// The key of a live view, where its gateway has brought one.
    key: Option<String>,
    /// Takes why it is disconnected, for the gateway of this process; `None` for who came by the port.
    reason: Option<oneshot::Sender<String>>,
}

/// A viewer's two queues, as a connection.
fn local_connection(mut input: mpsc::Receiver<Bytes>, pictures: mpsc::Sender<Bytes>) -> Connection {
    let input = poll_fn(move |cx| input.poll_recv(cx).map(|piece| piece.map(io::Result::Ok)));
    let pictures = PollSender::new(pictures).sink_map_err(|_| io::ErrorKind::BrokenPipe);
    Box::new(tokio::io::join(StreamReader::new(input), SinkWriter::new(CopyToBytes::new(pictures))))
}

impl Stage {
    /// The answer to a gateway that asks for the key: none where a viewer without a key is refused.
    fn key_for_anybody(&self) -> Vec<u8> {
        let key = self.clocks.key().filter(|_| self.limits.open && !self.shared);
        key.map(|key| key.as_str().as_bytes().to_vec()).unwrap_or_default()
    }

    /// Why a viewer may not see this screen.
    fn refusal(&self, greeted: &Greeted) -> Option<&'static str> {
        match &greeted.key {
            Some(key) if self.clocks.opens(key) => None,
            Some(_) => Some("This live view is over: its session has ended"),
            // Whoever came by the handle has shown its key to the gateway, or needs none.
            None if self.limits.open || greeted.reason.is_some() => None,
            None => Some(
                "This screen opens by the address that its session shows, with its key; RUNNER_VNC_OPEN_IDS=true opens it \
                 without",
            ),
        }
    }
}

/// Exchanges protocol versions with a viewer, in the VNC server's place; `None` for one that is none.
async fn greet(mut viewer: Connection, reason: Option<oneshot::Sender<String>>) -> Option<Greeted> {
    let mut version = [0; 12];
    let mut key = None;
    let said = timeout(FIRST_WORD, async {
        viewer.write_all(VERSION).await?;
        viewer.flush().await?;
        viewer.read_exact(&mut version).await?;
        if version == *KEY_PREAMBLE {
            let mut given = [0; ViewKey::LENGTH];
            viewer.read_exact(&mut given).await?;
            key = Some(String::from_utf8_lossy(&given).into_owned());
            viewer.read_exact(&mut version).await?;
        }
        io::Result::Ok(())
    });
    match said.await {
        Ok(Ok(())) if version.starts_with(b"RFB ") || version == *KEY_QUESTION => {
            Some(Greeted { viewer, version, key, reason })
        }
        _ => None,
    }
}

/// Says why a viewer gets no picture (RFC 6143, section 7.1.2).
async fn refuse(Greeted { viewer, version, .. }: Greeted, reason: String) {
    // No security types: one byte, and four in the oldest version.
    let mut answer = if &version == b"RFB 003.003\n" { vec![0; 4] } else { vec![0] };
    answer.extend((reason.len() as u32).to_be_bytes());
    answer.extend(reason.as_bytes());
    end_with(viewer, answer).await;
}

/// Sends the last that there is for somebody who connected.
async fn end_with(mut viewer: Connection, answer: Vec<u8>) {
    // One that does not read it has gone.
    let _ = timeout(FAREWELL, async {
        viewer.write_all(&answer).await?;
        viewer.shutdown().await?;
        drain(&mut viewer).await
    })
    .await;
}

/// Reads what comes until the end: a connection that is closed with unread bytes loses what was written to it.
async fn drain(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut buffer = [0; 1024];
    while reader.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// Connects to the VNC server in a viewer's name.
async fn connect(stage: &Stage, version: &[u8; 12]) -> io::Result<Connection> {
    let connected = timeout(FIRST_WORD, async {
        let mut server = stage.os.connect(&stage.socket).await?;
        server.read_exact(&mut [0; 12]).await?;
        server.write_all(version).await?;
        server.flush().await?;
        Ok(server)
    });
    connected.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Carries the bytes of one viewer until either side is done, and lets go of all that it held.
async fn show(stage: &Stage, greeted: Greeted) {
    let server = match connect(stage, &greeted.version).await {
        Ok(server) => server,
        Err(error) => {
            log::warn!("a viewer found no VNC server: {error}");
            return refuse(greeted, format!("The VNC server of this screen does not answer: {error}")).await;
        }
    };
    let Greeted { viewer, version, reason, .. } = greeted;
    let (mut from_viewer, mut to_viewer) = tokio::io::split(viewer);
    let (mut from_server, to_server) = tokio::io::split(server);
    let limit = stage.limits.write_timeout;
    let mut input = Input {
        stage,
        hands: stage.keyboard.hands(),
        to_server: Messages { writer: to_server, unsent: Bytes::new(), limit },
        pointer: PointerState::default(),
        keys: HashMap::new(),
        overfull: false,
    };
    let (done, told) = tokio::select! {
        done = carry(&mut from_server, &mut to_viewer, limit) => (done, false),
        // It declared more than it may send, or is not taken from.
        done = input.follow(&mut from_viewer, &version) => {
            let told = done.as_ref().is_err_and(|error| {
                matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::TimedOut)
            });
            (done, told)
        }
    };
    if let Err(error) = done {
        log::info!("a viewer is disconnected: {error}");
        if let Some(reason) = reason.filter(|_| told) {
            // Its gateway may have gone first.
            let _ = reason.send(error.to_string());
        }
    }
    // It hears of the end now, and not after what may take the VNC server time.
    drop((from_viewer, to_viewer));
    let farewell = async {
        input.leave().await;
        drain(&mut from_server).await
    };
    // A server that is gone holds nothing.
    let _ = timeout(FAREWELL, farewell).await;
}

/// Moves pictures until the server's end, which is passed on. Nothing more is read until the viewer has taken it all.
async fn carry(
    reader: &mut ReadHalf<Connection>,
    writer: &mut WriteHalf<Connection>,
    limit: Duration,
) -> io::Result<()> {
    let mut buffer = vec![0; PICTURE_BUFFER];
    loop {
        let count = reader.read(&mut buffer).await?;
        if count == 0 {
            return writer.shutdown().await;
        }
        write_all_within(writer, &buffer[..count], limit, "it").await?;
    }
}

/// Takes whole messages to the VNC server.
struct Messages {
    writer: WriteHalf<Connection>,
    /// What the server has not got yet of the last message: whoever stops halfway can go on later.
    unsent: Bytes,
    limit: Duration,
}

impl Messages {
    async fn pass(&mut self, message: Bytes) -> io::Result<()> {
        self.finish().await?;
        self.unsent = message;
        self.finish().await
    }

    async fn finish(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            let count =
                write_some_within(&mut self.writer, &self.unsent, self.limit, "the VNC server").await?;
            self.unsent.advance(count);
        }
        self.writer.flush().await
    }
}

/// What one viewer does.
struct Input<'a> {
    stage: &'a Stage,
    hands: Hands,
    to_server: Messages,
    pointer: PointerState,
    /// Keys that the VNC server was left to press: the message that lets each go.
    keys: HashMap<(u32, Option<u32>), Bytes>,
    /// Whether it was said that this viewer holds more keys than it may.
    overfull: bool,
}

impl Input<'_> {
    /// Passes on what a viewer says, message by message, until its end.
    async fn follow(&mut self, from_viewer: &mut ReadHalf<Connection>, version: &[u8; 12]) -> io::Result<()> {
        let decoder = ViewerMessages::after_version(version, self.stage.asks_password);
        let mut messages = FramedRead::with_capacity(from_viewer, decoder, INPUT_BUFFER);
        let handshake = if self.stage.asks_password { PASSWORD } else { HANDSHAKE };
        let mut deadline = Instant::now() + handshake;
        let (mut greeted, mut in_use) = (false, false);
        loop {
            let message = tokio::select! {
                message = messages.next() => message,
                () = sleep_until(deadline), if !in_use => {
                    let problem = if greeted {
                        format!("it asked for no picture within {} s", FIRST_REQUEST.as_secs())
                    } else {
                        format!("its handshake took longer than {} s", handshake.as_secs())
                    };
                    return Err(io::Error::other(problem));
                }
            };
            let Some(ViewerMessage { said, bytes }) = message.transpose()? else { return Ok(()) };
            in_use |= greeted && said != Said::Other(false);
            if !greeted && messages.decoder().has_greeted() {
                greeted = true;
                deadline = Instant::now() + FIRST_REQUEST;
            }
            match said {
                Said::Key(stroke) => {
                    self.stage.clocks.touch();
                    self.stroke(stroke, bytes).await?;
                }
                Said::Pointer(pointer) => {
                    self.stage.clocks.touch();
                    self.hands.click((self.pointer.buttons ^ pointer.buttons) & BUTTONS).await?;
                    self.pointer = pointer;
                    self.to_server.pass(bytes).await?;
                }
                Said::Clipboard if self.stage.keyboard.copies() => {
                    self.stage.clocks.touch();
                    let text = bytes[8..].iter().copied().map(char::from).collect();
                    if self.hands.copy(text).await? == Typed::Nothing {
                        self.to_server.pass(bytes).await?;
                    }
                }
                Said::Clipboard | Said::Pictures | Said::Other(_) => {
                    if matches!(said, Said::Clipboard | Said::Other(true)) {
                        self.stage.clocks.touch();
                    }
                    self.to_server.pass(bytes).await?;
                }
            }
        }
    }

    /// Has a key pressed or let go: by the keyboard, or by the VNC server where that is what can, or what has pressed it.
    async fn stroke(&mut self, stroke: KeyStroke, message: Bytes) -> io::Result<()> {
        let KeyStroke { down, keysym, scancode } = stroke;
        let name = (keysym, scancode);
        let is_servers = self.keys.contains_key(&name);
        let typed = if is_servers { Typed::Nothing } else { self.hands.stroke(stroke).await? };
        match typed {
            Typed::All => return Ok(()),
            Typed::Nothing if !down => {
                self.keys.remove(&name);
                return self.to_server.pass(message).await;
            }
            Typed::Nothing if is_servers || self.keys.len() < MOST_KEYS => {
                let mut release = BytesMut::from(&message[..]);
                // Where each of the two messages for keys says that it goes down.
                let down = if scancode.is_some() { 2..4 } else { 1..2 };
                release[down].fill(0);
                self.keys.insert(name, release.freeze());
                return self.to_server.pass(message).await;
            }
            // What can't be remembered can't be let go in its name.
            Typed::Nothing | Typed::TooMany => {}
        }
        if !std::mem::replace(&mut self.overfull, true) {
            log::warn!(
                "a viewer holds {MOST_KEYS} keys down; it presses no more until it lets some of them go"
            );
        }
        Ok(())
    }

    /// Lets go of everything that the viewer holds.
    async fn leave(self) {
        let Self { hands, mut to_server, pointer, keys, .. } = self;
        // Before anything that takes time: the VNC server may take nothing.
        drop(hands);
        let buttons = PointerState { buttons: 0, ..pointer };
        let buttons = (buttons != pointer).then(|| Bytes::copy_from_slice(&buttons.message()));
        for release in keys.into_values().chain(buttons) {
            if to_server.pass(release).await.is_err() {
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
    async fn a_message_that_was_cut_short_is_whole_before_the_next_that_lets_something_go() {
        let (ours, mut theirs) = tokio::io::duplex(10);
        let (_reader, writer) = tokio::io::split(Box::new(ours) as Connection);
        let mut messages = Messages { writer, unsent: Bytes::new(), limit: Duration::from_secs(30) };
        let text = Bytes::from(vec![7; 100]);
        // Its viewer leaves while the VNC server takes nothing.
        assert!(timeout(Duration::from_secs(1), messages.pass(text.clone())).await.is_err());
        let release = PointerState::default().message();
        let reader = tokio::spawn(async move {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).await.map(|_| all)
        });
        messages.pass(Bytes::copy_from_slice(&release)).await.unwrap();
        messages.writer.shutdown().await.unwrap();
        drop((messages, _reader));
        assert_eq!(reader.await.unwrap().unwrap(), [&text[..], &release].concat());
    }
}
