//! Whether the servers of a screen still answer: one round trip with each.
//!
//! A server that is stopped or hangs keeps its sockets, so connecting proves nothing: the kernel does that.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use super::xauthority;
use crate::process::Os;
use crate::supervision::PulseSettings;

/// The request whose answer needs nothing but the server (X11 protocol, `GetInputFocus`), in little-endian order.
const GET_INPUT_FOCUS: [u8; 4] = [43, 0, 1, 0];
/// The length of the head of a server's answer to a connection, and of the rest of a reply to a request.
const SETUP_HEAD: usize = 8;
const REPLY: usize = 32;
/// What a VNC server says first: `RFB 003.008\n`.
const RFB_VERSION: usize = 12;

/// The servers of one screen, as far as polling them goes.
#[derive(Clone)]
pub(super) struct Servers {
    pub os: Arc<dyn Os>,
    /// The X display's number.
    pub display: u16,
    /// The key to it.
    pub authority: PathBuf,
    /// The socket of a VNC server that is a process of its own.
    pub vnc: Option<PathBuf>,
}

impl Servers {
    /// Resolves when all of them have answered.
    ///
    /// # Errors
    /// One of them can't be reached, or breaks off.
    pub async fn answer(&self) -> io::Result<()> {
        self.x_answers().await?;
        match &self.vnc {
            Some(socket) => {
                let mut server = self.os.connect(socket).await?;
                server.read_exact(&mut [0; RFB_VERSION]).await.map(|_| ())
            }
            None => Ok(()),
        }
    }

    /// Connects as a client does, asks for something small, and leaves.
    async fn x_answers(&self) -> io::Result<()> {
        let (protocol, key) = xauthority::read(&self.authority)?;
        let socket = Path::new("/tmp/.X11-unix").join(format!("X{}", self.display));
        let mut server = self.os.connect(&socket).await?;
        server.write_all(&setup_request(&protocol, &key)).await?;
        let mut head = [0; SETUP_HEAD];
        server.read_exact(&mut head).await?;
        let [outcome, _, _, _, _, _, low, high] = head;
        // Its description of itself, in units of four bytes: 262,140 bytes at most.
        let rest = usize::from(u16::from_le_bytes([low, high])) * 4;
        server.read_exact(&mut vec![0; rest]).await?;
        // A server that refuses, because it has too many clients, has answered as well.
        if outcome == 1 {
            server.write_all(&GET_INPUT_FOCUS).await?;
            server.read_exact(&mut [0; REPLY]).await?;
        }
        Ok(())
    }

    /// Resolves, with what happened, when one of them has not answered for too long.
    pub async fn silent(self, PulseSettings { interval, silence }: PulseSettings) -> String {
        loop {
            sleep(interval).await;
            match timeout(silence, self.answer()).await {
                Ok(Ok(())) => {}
                // Whoever waits for its end hears of it; a socket that somebody removed is no reason to end a session.
                Ok(Err(error)) => log::debug!("display :{} was polled in vain: {error}", self.display),
                Err(_) => {
                    let servers = if self.vnc.is_some() { "X or VNC server" } else { "X server" };
                    return format!("the {servers} did not answer for {silence:?}");
                }
            }
        }
    }
}

/// The first message of an X client: byte order, protocol 11.0, and its key; each field padded to four bytes.
fn setup_request(protocol: &[u8], key: &[u8]) -> Vec<u8> {
    // Read from a file that camofleet wrote: far below 64 KiB.
    let length = |field: &[u8]| (field.len() as u16).to_le_bytes();
    let mut request = vec![b'l', 0, 11, 0, 0, 0];
    request.extend(length(protocol));
    request.extend(length(key));
    request.extend([0, 0]);
    for field in [protocol, key] {
        request.extend(field);
        request.resize(request.len().next_multiple_of(4), 0);
    }
    request
}
