//! The viewers of a screen: camofleet listens for them and carries their bytes to the VNC server and back, so that
//! what they do is known to be done, whichever way they came.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::process::{Connection, Connections, Os};
use crate::rfb::ViewerInput;
use crate::session::ActivityClock;

/// How much of a picture is carried at once.
const PICTURE_BUFFER: usize = 64 << 10;
/// The same for keys and pointer moves, which are a few bytes each.
const INPUT_BUFFER: usize = 4 << 10;
/// How many may watch one screen at once. Each costs a picture's buffer, and whoever reaches the port could ask for more.
const VIEWERS: usize = 64;
/// Waits after a connection that could not be taken: no file descriptors are left, and none will be in a moment.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The clocks of the sessions on a screen, which its viewers' input sets. Cloning shares them.
///
/// A screen is up before it has a session, and can pass from a pool to one. Locked for one step only.
#[derive(Debug, Clone, Default)]
pub(crate) struct ScreenClocks(Arc<Mutex<BTreeMap<u64, ActivityClock>>>);

impl ScreenClocks {
    fn clocks(&self) -> MutexGuard<'_, BTreeMap<u64, ActivityClock>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on input counts for the session that runs on this launch.
    pub fn enter(&self, launch: u64, clock: ActivityClock) {
        self.clocks().insert(launch, clock);
    }

    /// The launch is no longer on the screen.
    pub fn leave(&self, launch: u64) {
        self.clocks().remove(&launch);
    }

    fn touch(&self) {
        self.clocks().values().for_each(ActivityClock::touch);
    }
}

/// Serves everybody who connects, for as long as this is polled; dropped, it disconnects them and gives its port back.
pub(super) async fn serve(os: Arc<dyn Os>, mut arriving: Connections, socket: PathBuf, clocks: ScreenClocks) {
    let mut watching = FuturesUnordered::new();
    loop {
        tokio::select! {
            viewer = arriving.next() => match viewer {
                Some(Ok(_)) if watching.len() >= VIEWERS => {
                    log::warn!("a screen has {VIEWERS} viewers already; another one is turned away");
                }
                Some(Ok(viewer)) => watching.push(show(os.connect(&socket), viewer, clocks.clone())),
                Some(Err(error)) => {
                    log::warn!("a viewer could not be taken: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                None => return,
            },
            Some(()) = watching.next() => {}
        }
    }
}

/// Carries the bytes of one viewer until either side is done.
async fn show(
    server: impl Future<Output = std::io::Result<Connection>>,
    viewer: Connection,
    clocks: ScreenClocks,
) {
    let server = match server.await {
        Ok(server) => server,
        Err(error) => return log::warn!("a viewer found no VNC server: {error}"),
    };
    let (from_viewer, to_viewer) = tokio::io::split(viewer);
    let (from_server, to_server) = tokio::io::split(server);
    let mut input = ViewerInput::new();
    let done = tokio::select! {
        done = carry::<PICTURE_BUFFER>(from_server, to_viewer, |_| {}) => done,
        done = carry::<INPUT_BUFFER>(from_viewer, to_server, |bytes| {
            if input.advance(bytes) {
                clocks.touch();
            }
        }) => done,
    };
    if let Err(error) = done {
        log::debug!("a viewer's connection broke: {error}");
    }
}

/// Moves bytes until the reader's end, which is passed on. Nothing more is read until the writer has taken it all.
async fn carry<const SIZE: usize>(
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    mut seen: impl FnMut(&[u8]),
) -> std::io::Result<()> {
    let mut buffer = vec![0; SIZE];
    loop {
        let count = reader.read(&mut buffer).await?;
        if count == 0 {
            return writer.shutdown().await;
        }
        seen(&buffer[..count]);
        writer.write_all(&buffer[..count]).await?;
    }
}
