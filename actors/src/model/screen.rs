//! Connections from a gateway to a screen of the same process: two bounded queues of bytes for each viewer, without a socket.

use std::io;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

/// How many new viewers are queued for a screen; further ones wait for a place in the queue.
const ARRIVING: usize = 64;
/// The capacity of the queue to the viewer, in pieces of data.
const PICTURES: usize = 4;
/// The capacity of the queue from the viewer, in pieces of data. One piece may be a pasted text of some megabytes.
const INPUT: usize = 1;

/// Connects viewers to a screen of this process, as its TCP port does for other processes. It stays valid while the display
/// is restarted, and refuses viewers while there is none. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct ScreenHandle(watch::Sender<Option<mpsc::Sender<LocalViewer>>>);

/// Two handles are equal if they belong to the same screen.
impl PartialEq for ScreenHandle {
    fn eq(&self, other: &Self) -> bool {
        self.0.same_channel(&other.0)
    }
}

impl Eq for ScreenHandle {}

/// The screen's end of a viewer's connection. The view's key was checked by the owner of the [`ScreenHandle`].
#[derive(Debug)]
pub struct LocalViewer {
    /// The viewer's messages; ends when it disconnects.
    pub input: mpsc::Receiver<Bytes>,
    /// Data for the viewer. Dropping it disconnects the viewer.
    pub pictures: mpsc::Sender<Bytes>,
    /// Receives the reason for the viewer, if there is one, before `pictures` is dropped.
    pub reason: oneshot::Sender<String>,
}

/// The viewer's end of a connection to a screen.
#[derive(Debug)]
pub struct ScreenConnection {
    /// The viewer's messages. Dropping it disconnects.
    pub input: mpsc::Sender<Bytes>,
    /// Data from the screen; ends when it disconnects the viewer.
    pub pictures: mpsc::Receiver<Bytes>,
    /// Why the screen disconnected the viewer, if it sent a reason; available when `pictures` has ended.
    pub reason: oneshot::Receiver<String>,
}

impl ScreenHandle {
    /// Accepts viewers from now on, until the receiver is dropped. An earlier receiver gets no more.
    pub fn listen(&self) -> mpsc::Receiver<LocalViewer> {
        let (arrive, arriving) = mpsc::channel(ARRIVING);
        self.0.send_replace(Some(arrive));
        arriving
    }

    /// Connects a viewer; waits while the queue of new viewers is full.
    ///
    /// # Errors
    /// [`io::ErrorKind::ConnectionRefused`] while there is no display.
    pub async fn connect(&self) -> io::Result<ScreenConnection> {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let arrive = self.0.borrow().clone().ok_or_else(refused)?;
        let (input, from_viewer) = mpsc::channel(INPUT);
        let (to_viewer, pictures) = mpsc::channel(PICTURES);
        let (send_reason, reason) = oneshot::channel();
        let viewer = LocalViewer { input: from_viewer, pictures: to_viewer, reason: send_reason };
        arrive.send(viewer).await.map_err(|_| refused())?;
        Ok(ScreenConnection { input, pictures, reason })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn is_refused(handle: &ScreenHandle) -> bool {
        handle.connect().await.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    }

    #[tokio::test(start_paused = true)]
    async fn a_handle_refuses_viewers_without_a_listener_and_connects_them_to_the_next_one() {
        let handle = ScreenHandle::default();
        assert!(is_refused(&handle).await);
        let first = handle.listen();
        let _waits = handle.connect().await.unwrap();
        drop(first);
        assert!(is_refused(&handle).await);
        let mut second = handle.listen();
        let mut viewer = handle.clone().connect().await.unwrap();
        let LocalViewer { pictures, reason, .. } = second.recv().await.unwrap();
        reason.send("enough".to_owned()).unwrap();
        drop(pictures);
        assert_eq!(viewer.pictures.recv().await, None);
        assert_eq!(viewer.reason.try_recv().unwrap(), "enough");
    }

    #[tokio::test(start_paused = true)]
    async fn queued_viewers_and_their_queues_are_bounded() {
        let handle = ScreenHandle::default();
        let mut screen = handle.listen();
        let mut waiting = Vec::new();
        while let Ok(viewer) = timeout(Duration::from_secs(1), handle.connect()).await {
            waiting.push(viewer.unwrap());
        }
        assert_eq!(waiting.len(), ARRIVING);
        let first = screen.recv().await.unwrap();
        assert!(timeout(Duration::from_secs(1), handle.connect()).await.is_ok(), "there is a place again");
        let mut pieces = 0;
        while first.pictures.try_send(Bytes::from_static(b"picture")).is_ok() {
            pieces += 1;
        }
        assert_eq!(pieces, PICTURES);
    }
}
