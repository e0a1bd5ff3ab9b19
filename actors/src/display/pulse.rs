//! Polls the servers of a screen with one round trip each.
//!
//! Connecting would not suffice: the kernel accepts connections to the socket of a server that is stopped or hangs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use super::xauthority;
use crate::process::Os;
use crate::supervision::PulseSettings;

/// A request that the X server answers without other programs (X11 protocol, `GetInputFocus`), little-endian.
const GET_INPUT_FOCUS: [u8; 4] = [43, 0, 1, 0];
/// The length of the header of an X server's reply to a connection setup.
const SETUP_HEAD: usize = 8;
/// The length of a reply to a request.
const REPLY: usize = 32;
/// The length of the first message of a VNC server, `RFB 003.008\n`.
const RFB_VERSION: usize = 12;

/// How to poll the servers of one screen.
#[derive(Clone)]
pub(super) struct Servers {
    pub os: Arc<dyn Os>,
    /// The X display's number.
    pub display: u16,
    /// The file with the key to it.
    pub authority: PathBuf,
    /// The socket of the VNC server, if that is a separate process.
    pub vnc: Option<PathBuf>,
}

impl Servers {
    /// Resolves when all of them have responded.
    ///
    /// # Errors
    /// One of them can't be reached, or closed the connection.
    pub async fn poll(&self) -> io::Result<()> {
        self.poll_x_server().await?;
        match &self.vnc {
            Some(socket) => {
                let mut server = self.os.connect(socket).await?;
                server.read_exact(&mut [0; RFB_VERSION]).await.map(|_| ())
            }
            None => Ok(()),
        }
    }

    /// Connects as an X client, sends a small request, and disconnects.
    async fn poll_x_server(&self) -> io::Result<()> {
        let (protocol, key) = xauthority::read(&self.authority)?;
        let socket = Path::new("/tmp/.X11-unix").join(format!("X{}", self.display));
        let mut server = self.os.connect(&socket).await?;
        server.write_all(&setup_request(&protocol, &key)).await?;
        let mut head = [0; SETUP_HEAD];
        server.read_exact(&mut head).await?;
        let [outcome, _, _, _, _, _, low, high] = head;
        // The length of the rest in units of four bytes: 262,140 bytes at most.
        let rest = usize::from(u16::from_le_bytes([low, high])) * 4;
        server.read_exact(&mut vec![0; rest]).await?;
        // A server that refuses the connection, because it has too many clients, has responded as well.
        if outcome == 1 {
            server.write_all(&GET_INPUT_FOCUS).await?;
            server.read_exact(&mut [0; REPLY]).await?;
        }
        Ok(())
    }

    /// Resolves with a description when one of them has not responded for too long.
    pub async fn hung(self, PulseSettings { interval, silence }: PulseSettings) -> String {
        loop {
            sleep(interval).await;
            match timeout(silence, self.poll()).await {
                Ok(Ok(())) => {}
                // The end of a server is noticed elsewhere, and a deleted socket is no reason to end a session.
                Ok(Err(error)) => log::debug!("display :{} could not be polled: {error}", self.display),
                Err(_) => {
                    let servers = if self.vnc.is_some() { "X or VNC server" } else { "X server" };
                    return format!("the {servers} did not answer for {silence:?}");
                }
            }
        }
    }
}

/// The connection setup of an X client: byte order, protocol 11.0, and its key; each field padded to four bytes.
fn setup_request(protocol: &[u8], key: &[u8]) -> Vec<u8> {
    // The fields are far below 64 KiB, because camofleet wrote the file that they were read from.
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
