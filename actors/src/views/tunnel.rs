//! The tunnel actor: proxies one viewer to a screen.
//!
//! The viewer's WebSocket is handled elsewhere and connected by two bounded channels. A screen of this process is connected
//! by two more, any other screen by TCP.

use std::time::Duration;

use actix::prelude::*;
use bytes::{Bytes, BytesMut};
use camofleet_api::view::ViewKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::display::{KEY_REQUEST, key_preamble};
use crate::model::activity::ActivityClock;
use crate::model::error::{Error, Result};
use crate::model::screen::{ScreenConnection, ScreenHandle};
use crate::net::rfb::ViewerInput;
use crate::net::timed_write::write_all_within;
use crate::supervision::Lifeline;
use crate::views::gateway::{TunnelId, TunnelStarted, TunnelTicket};

/// How much screen data is read at once, and so sent in one WebSocket message.
const CHUNK: usize = 64 << 10;
/// The capacity of each channel, in chunks.
const QUEUE: usize = 4;

/// The viewer's ends of the two channels.
pub struct ViewerEnds {
    /// Data from the VNC server; ends with the tunnel.
    pub from_server: mpsc::Receiver<Bytes>,
    /// Data from the viewer. Dropping it ends the tunnel.
    pub to_server: mpsc::Sender<Bytes>,
    /// Why the tunnel ended, for the viewer.
    pub ended: oneshot::Receiver<String>,
}

/// Closes a tunnel.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CloseTunnel {
    /// The reason for the viewer.
    pub reason: String,
}

/// Proxies one viewer.
pub struct VncTunnel {
    lifeline: Lifeline<TunnelId>,
    gateway: Recipient<TunnelStarted>,
    work: Option<std::pin::Pin<Box<dyn Future<Output = String>>>>,
    ended: Option<oneshot::Sender<String>>,
}

impl VncTunnel {
    /// Connects to the screen of a ticket and starts to proxy.
    ///
    /// # Errors
    /// [`Error::UpstreamUnreachable`], [`Error::UpstreamTimedOut`].
    pub async fn open(ticket: TunnelTicket) -> Result<ViewerEnds> {
        let TunnelTicket { destination, settings, metrics, gateway, lifeline } = ticket;
        let limit = settings.connect_timeout;
        let started = Instant::now();
        let connected = match tokio::time::timeout(limit, destination.connect()).await {
            Ok(connected) => connected.map_err(unreachable),
            Err(_) => Err(Error::UpstreamTimedOut { what: SERVER.into(), limit }),
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
                () = idle.expired() => "it was idle for too long".to_owned(),
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

/// The name of the VNC server in errors.
const SERVER: &str = "the VNC server";

fn unreachable(error: std::io::Error) -> Error {
    Error::UpstreamUnreachable { what: SERVER.into(), detail: error.to_string() }
}

/// Connects to a VNC server, and sends the view key if there is one.
async fn connect(address: &(String, u16), key: Option<&ViewKey>) -> std::io::Result<TcpStream> {
    let mut server = TcpStream::connect((address.0.as_str(), address.1)).await?;
    // Input is sent without delay, because users see the effect of each key.
    server.set_nodelay(true)?;
    if let Some(key) = key {
        server.write_all(&key_preamble(key)).await?;
    }
    Ok(server)
}

/// Checks at a runner's port whether a key is still valid: if it is, the port offers security types, otherwise none and a
/// reason (RFC 6143, section 7.1.2).
///
/// # Errors
/// [`Error::ViewOver`], [`Error::UpstreamUnreachable`], [`Error::UpstreamTimedOut`].
pub(crate) async fn check_key(address: &(String, u16), key: &ViewKey, limit: Duration) -> Result<()> {
    let reply = tokio::time::timeout(limit, async {
        let mut server = connect(address, Some(key)).await?;
        let mut version = [0; 12];
        server.read_exact(&mut version).await?;
        server.write_all(&version).await?;
        server.read_u8().await
    });
    match reply.await {
        Ok(Ok(0)) => Err(Error::ViewOver),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(unreachable(error)),
        Err(_) => Err(Error::UpstreamTimedOut { what: SERVER.into(), limit }),
    }
}

/// Requests the key of the session on a runner's port. `None` if the port does not reveal it, because viewers need a key, or
/// because it is not camofleet's.
///
/// # Errors
/// [`Error::UpstreamUnreachable`], [`Error::UpstreamTimedOut`].
pub(crate) async fn request_key(address: &(String, u16), limit: Duration) -> Result<Option<ViewKey>> {
    let reply = tokio::time::timeout(limit, async {
        let mut server = connect(address, None).await?;
        server.read_exact(&mut [0; KEY_REQUEST.len()]).await?;
        server.write_all(KEY_REQUEST).await?;
        let mut answer = Vec::with_capacity(ViewKey::LENGTH);
        server.take(ViewKey::LENGTH as u64).read_to_end(&mut answer).await?;
        std::io::Result::Ok(answer)
    });
    match reply.await {
        Ok(Ok(answer)) => Ok(std::str::from_utf8(&answer).ok().and_then(ViewKey::parse)),
        Ok(Err(error)) => Err(unreachable(error)),
        Err(_) => Err(Error::UpstreamTimedOut { what: SERVER.into(), limit }),
    }
}

/// The destination of a tunnel.
pub(crate) enum Destination {
    /// A screen of this process, which tracks the activity of its viewers itself.
    Screen(ScreenHandle),
    /// A port of this machine or another one.
    Port {
        /// Host and port.
        address: (String, u16),
        /// The key to send.
        key: Option<ViewKey>,
        /// The session's clock, which is reset by the viewer's input.
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

/// Reads from the screen.
enum Reader {
    Screen { pictures: mpsc::Receiver<Bytes>, reason: oneshot::Receiver<String> },
    Port { reader: OwnedReadHalf, buffer: BytesMut },
}

impl Reader {
    /// The next chunk, or the reason of the end.
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
                    Err(error) => Err(format!("the connection to the VNC server broke: {error}")),
                }
            }
        }
    }
}

/// Writes to the screen.
enum Writer {
    Screen(mpsc::Sender<Bytes>),
    Port { writer: OwnedWriteHalf, input: ViewerInput, activity: ActivityClock },
}

impl Writer {
    /// Sends data of the viewer; the error is the reason of the end.
    async fn send(&mut self, bytes: Bytes, limit: Duration) -> std::result::Result<(), String> {
        match self {
            Self::Screen(screen) => match tokio::time::timeout(limit, screen.send(bytes)).await {
                Ok(Ok(())) => Ok(()),
                // The reader ends at the same time, with the reason.
                Ok(Err(_)) => std::future::pending().await,
                Err(_) => Err(format!("{SERVER} read nothing for {} s", limit.as_secs_f32())),
            },
            Self::Port { writer, input, activity } => {
                if input.advance(&bytes).map_err(|error| error.to_string())? {
                    activity.touch();
                }
                match write_all_within(writer, &bytes, limit, SERVER).await {
                    Ok(()) => Ok(()),
                    Err(error) if error.kind() == std::io::ErrorKind::TimedOut => Err(error.to_string()),
                    Err(error) => Err(format!("the connection to the VNC server broke: {error}")),
                }
            }
        }
    }
}

/// Tracks when data was last transferred, in either direction.
struct Idle {
    limit: Duration,
    last: std::cell::Cell<Instant>,
}

impl Idle {
    fn new(limit: Duration) -> Self {
        Self { limit, last: std::cell::Cell::new(Instant::now()) }
    }

    fn reset(&self) {
        self.last.set(Instant::now());
    }

    /// Resolves when no data was transferred for the whole limit.
    async fn expired(&self) {
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
        let chunk = match reader.next().await {
            Ok(chunk) => chunk,
            Err(reason) => return reason,
        };
        counter.inc_by(chunk.len() as u64);
        idle.reset();
        match tokio::time::timeout(limit, to_viewer.send(chunk)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return "the viewer disconnected".to_owned(),
            Err(_) => return format!("the viewer read nothing for {} s", limit.as_secs_f32()),
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
        idle.reset();
        counter.inc_by(bytes.len() as u64);
        if let Err(reason) = writer.send(bytes, limit).await {
            return reason;
        }
    }
    "the viewer disconnected".to_owned()
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
