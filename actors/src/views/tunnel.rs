//! The tunnel actor: one viewer's connection to a screen.
//!
//! The viewer's WebSocket is somebody else's; here its messages come and go through two short channels. The screen's bytes
//! come and go through two more, where it is of this process, and through a TCP connection to its port elsewhere.

use std::time::Duration;

use actix::prelude::*;
use bytes::{Bytes, BytesMut};
use camofleet_api::view::ViewKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::display::{KEY_QUESTION, key_preamble};
use crate::model::activity::ActivityClock;
use crate::model::error::{Error, Result};
use crate::model::screen::{ScreenConnection, ScreenHandle};
use crate::net::patience::write_all_within;
use crate::net::rfb::ViewerInput;
use crate::supervision::Lifeline;
use crate::views::gateway::{TunnelId, TunnelStarted, TunnelTicket};

/// How much of a picture is read at once, and so sent in one WebSocket message.
const CHUNK: usize = 64 << 10;
/// How many pieces wait between the two sides, in each direction.
const QUEUE: usize = 4;

/// The viewer's ends of the two channels.
pub struct ViewerEnds {
    /// What the VNC server says. Its end is the tunnel's end.
    pub from_server: mpsc::Receiver<Bytes>,
    /// What the viewer says. Dropping it ends the tunnel.
    pub to_server: mpsc::Sender<Bytes>,
    /// Why the tunnel ended, for the viewer.
    pub ended: oneshot::Receiver<String>,
}

/// Closes a tunnel.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CloseTunnel {
    /// For the viewer.
    pub reason: String,
}

/// One viewer.
pub struct VncTunnel {
    lifeline: Lifeline<TunnelId>,
    gateway: Recipient<TunnelStarted>,
    work: Option<std::pin::Pin<Box<dyn Future<Output = String>>>>,
    ended: Option<oneshot::Sender<String>>,
}

impl VncTunnel {
    /// Connects to the screen of a ticket and starts to move bytes.
    ///
    /// # Errors
    /// [`Error::UpstreamUnreachable`], [`Error::UpstreamTimedOut`].
    pub async fn open(ticket: TunnelTicket) -> Result<ViewerEnds> {
        let TunnelTicket { destination, settings, metrics, gateway, lifeline } = ticket;
        let limit = settings.connect_timeout;
        let started = Instant::now();
        let connected = match tokio::time::timeout(limit, destination.connect()).await {
            Ok(connected) => connected.map_err(unreachable),
            Err(_) => Err(Error::UpstreamTimedOut { what: WHAT.into(), limit }),
        };
        let outcome = connected.as_ref().map_or_else(Error::code, |_| "ok");
        metrics.upstream("vnc", "connect", outcome, started.elapsed());
        let (reader, writer) = connected?;
        let (to_viewer, from_server) = mpsc::channel(QUEUE);
        let (to_server, from_viewer) = mpsc::channel(QUEUE);
        let open = metrics.tunnel();
        let (out, into) = (metrics.relay_bytes("vnc", "out"), metrics.relay_bytes("vnc", "in"));
        let work = async move {
            let idle = Idle::new(settings.idle_timeout);
            let reason = tokio::select! {
                reason = server_to_viewer(reader, to_viewer, &idle, &out, settings.write_timeout) => reason,
                reason = viewer_to_server(from_viewer, writer, &idle, &into, settings.write_timeout) => reason,
                () = idle.passed() => "nothing moved in it for too long".to_owned(),
            };
            drop(open);
            reason
        };
        let (ended, end) = oneshot::channel();
        Actor::start(Self { lifeline, gateway, work: Some(Box::pin(work)), ended: Some(ended) });
        Ok(ViewerEnds { from_server, to_server, ended: end })
    }

    fn end(&mut self, reason: String, ctx: &mut Context<Self>) {
        if let Some(ended) = self.ended.take() {
            let _ = ended.send(reason);
        }
        ctx.stop();
    }
}

/// What errors call the other end.
const WHAT: &str = "the VNC server";

fn unreachable(error: std::io::Error) -> Error {
    Error::UpstreamUnreachable { what: WHAT.into(), detail: error.to_string() }
}

/// Connects to a VNC server, and presents the key of a live view where there is one.
async fn connect(address: &(String, u16), key: Option<&ViewKey>) -> std::io::Result<TcpStream> {
    let mut server = TcpStream::connect((address.0.as_str(), address.1)).await?;
    // A key stroke is a few bytes, and somebody waits for its effect.
    server.set_nodelay(true)?;
    if let Some(key) = key {
        server.write_all(&key_preamble(key)).await?;
    }
    Ok(server)
}

/// Asks a runner's port whether a key still opens what is behind it: one that does is offered ways to prove who one is, one
/// that does not a reason (RFC 6143, section 7.1.2).
///
/// # Errors
/// [`Error::ViewOver`], [`Error::UpstreamUnreachable`], [`Error::UpstreamTimedOut`].
pub(crate) async fn check_key(address: &(String, u16), key: &ViewKey, limit: Duration) -> Result<()> {
    let asked = tokio::time::timeout(limit, async {
        let mut server = connect(address, Some(key)).await?;
        let mut version = [0; 12];
        server.read_exact(&mut version).await?;
        server.write_all(&version).await?;
        server.read_u8().await
    });
    match asked.await {
        Ok(Ok(0)) => Err(Error::ViewOver),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(unreachable(error)),
        Err(_) => Err(Error::UpstreamTimedOut { what: WHAT.into(), limit }),
    }
}

/// Asks a runner's port for the key of the session that it shows. `None`: it tells none, as where a view opens by its key
/// alone, or is not camofleet's.
///
/// # Errors
/// [`Error::UpstreamUnreachable`], [`Error::UpstreamTimedOut`].
pub(crate) async fn ask_key(address: &(String, u16), limit: Duration) -> Result<Option<ViewKey>> {
    let asked = tokio::time::timeout(limit, async {
        let mut server = connect(address, None).await?;
        server.read_exact(&mut [0; KEY_QUESTION.len()]).await?;
        server.write_all(KEY_QUESTION).await?;
        let mut answer = Vec::with_capacity(ViewKey::LENGTH);
        server.take(ViewKey::LENGTH as u64).read_to_end(&mut answer).await?;
        std::io::Result::Ok(answer)
    });
    match asked.await {
        Ok(Ok(answer)) => Ok(std::str::from_utf8(&answer).ok().and_then(ViewKey::parse)),
        Ok(Err(error)) => Err(unreachable(error)),
        Err(_) => Err(Error::UpstreamTimedOut { what: WHAT.into(), limit }),
    }
}

/// Where a tunnel leads.
pub(crate) enum Destination {
    /// To a screen of this process, which follows what its viewer does.
    Screen(ScreenHandle),
    /// To a port, of this machine or another one.
    Port {
        /// Host and port.
        address: (String, u16),
        /// What opens the screen there.
        key: Option<ViewKey>,
        /// The session's clock, set by what the viewer does.
        activity: ActivityClock,
    },
}

impl Destination {
    async fn connect(self) -> std::io::Result<(Reader, Writer)> {
        match self {
            Self::Screen(screen) => {
                let ScreenConnection { input, pictures, reason } = screen.connect().await?;
                Ok((Reader::Screen { pictures, reason }, Writer::Screen(input)))
            }
            Self::Port { address, key, activity } => {
                let (reader, writer) = connect(&address, key.as_ref()).await?.into_split();
                let reader = Reader::Port { reader, buffer: BytesMut::new() };
                Ok((reader, Writer::Port { writer, input: ViewerInput::new(), activity }))
            }
        }
    }
}

/// What the screen says.
enum Reader {
    Screen { pictures: mpsc::Receiver<Bytes>, reason: oneshot::Receiver<String> },
    Port { reader: OwnedReadHalf, buffer: BytesMut },
}

impl Reader {
    /// The next piece of it, or why there is none.
    async fn next(&mut self) -> std::result::Result<Bytes, String> {
        let closed = || "the VNC server closed the connection".to_owned();
        match self {
            Self::Screen { pictures, reason } => {
                pictures.recv().await.ok_or_else(|| reason.try_recv().unwrap_or_else(|_| closed()))
            }
            Self::Port { reader, buffer } => {
                buffer.reserve(CHUNK);
                match reader.take(CHUNK as u64).read_buf(buffer).await {
                    Ok(0) => Err(closed()),
                    Ok(_) => Ok(buffer.split().freeze()),
                    Err(error) => Err(format!("the VNC server broke the connection: {error}")),
                }
            }
        }
    }
}

/// What the screen hears.
enum Writer {
    Screen(mpsc::Sender<Bytes>),
    Port { writer: OwnedWriteHalf, input: ViewerInput, activity: ActivityClock },
}

impl Writer {
    /// Passes on what the viewer says, or says why that can't be done.
    async fn pass(&mut self, bytes: Bytes, limit: Duration) -> std::result::Result<(), String> {
        match self {
            Self::Screen(screen) => match tokio::time::timeout(limit, screen.send(bytes)).await {
                Ok(Ok(())) => Ok(()),
                // Its reader ends in this moment, too, and knows why.
                Ok(Err(_)) => std::future::pending().await,
                Err(_) => Err(format!("{WHAT} took nothing for {} s", limit.as_secs_f32())),
            },
            Self::Port { writer, input, activity } => {
                if input.advance(&bytes).map_err(|error| error.to_string())? {
                    activity.touch();
                }
                match write_all_within(writer, &bytes, limit, WHAT).await {
                    Ok(()) => Ok(()),
                    Err(error) if error.kind() == std::io::ErrorKind::TimedOut => Err(error.to_string()),
                    Err(error) => Err(format!("the VNC server broke the connection: {error}")),
                }
            }
        }
    }
}

/// When something last moved, in either direction.
struct Idle {
    limit: Duration,
    last: std::cell::Cell<Instant>,
}

impl Idle {
    fn new(limit: Duration) -> Self {
        Self { limit, last: std::cell::Cell::new(Instant::now()) }
    }

    fn moved(&self) {
        self.last.set(Instant::now());
    }

    /// Resolves when nothing has moved for the whole limit.
    async fn passed(&self) {
        loop {
            let deadline = self.last.get() + self.limit;
            if Instant::now() >= deadline {
                return;
            }
            tokio::time::sleep_until(deadline).await;
        }
    }
}

async fn server_to_viewer(
    mut reader: Reader,
    to_viewer: mpsc::Sender<Bytes>,
    idle: &Idle,
    counter: &prometheus::IntCounter,
    limit: Duration,
) -> String {
    loop {
        let piece = match reader.next().await {
            Ok(piece) => piece,
            Err(reason) => return reason,
        };
        counter.inc_by(piece.len() as u64);
        idle.moved();
        match tokio::time::timeout(limit, to_viewer.send(piece)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return "the viewer left".to_owned(),
            Err(_) => return format!("the viewer took nothing for {} s", limit.as_secs_f32()),
        }
    }
}

async fn viewer_to_server(
    mut from_viewer: mpsc::Receiver<Bytes>,
    mut writer: Writer,
    idle: &Idle,
    counter: &prometheus::IntCounter,
    limit: Duration,
) -> String {
    while let Some(bytes) = from_viewer.recv().await {
        idle.moved();
        counter.inc_by(bytes.len() as u64);
        if let Err(reason) = writer.pass(bytes, limit).await {
            return reason;
        }
    }
    "the viewer left".to_owned()
}

impl Actor for VncTunnel {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        // One message for each viewer.
        self.gateway.do_send(TunnelStarted { id: *self.lifeline.key(), close: ctx.address().recipient() });
        if let Some(work) = self.work.take() {
            ctx.spawn(work.into_actor(self).map(|reason, this, ctx| this.end(reason, ctx)));
        }
    }
}

impl Handler<CloseTunnel> for VncTunnel {
    type Result = ();

    fn handle(&mut self, close: CloseTunnel, ctx: &mut Context<Self>) {
        self.end(close.reason, ctx);
    }
}
