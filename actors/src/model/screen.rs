//! The way from a gateway to a screen of the same process: two bounded queues of bytes for each viewer, and no socket.

use std::io;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

/// How many viewers wait for a screen that is still starting; the next ones wait for a place.
const ARRIVING: usize = 64;
/// How many pieces of a picture wait for the viewer.
const PICTURES: usize = 4;
/// How many pieces of what a viewer says wait for the screen. One may be a pasted text of some megabytes.
const INPUT: usize = 1;

/// Connects viewers to a screen of this process, as its TCP port does for everybody else: it stays the same while the
/// display behind it is restarted, and refuses viewers while there is none. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct ScreenHandle(watch::Sender<Option<mpsc::Sender<LocalViewer>>>);

/// Two handles are equal if they lead to the same screen.
impl PartialEq for ScreenHandle {
    fn eq(&self, other: &Self) -> bool {
        self.0.same_channel(&other.0)
    }
}

impl Eq for ScreenHandle {}

/// A viewer that arrives by a [`ScreenHandle`], as the screen sees it. Whoever has the handle has checked the key.
#[derive(Debug)]
pub struct LocalViewer {
    /// What the viewer says; ends when it leaves.
    pub input: mpsc::Receiver<Bytes>,
    /// What the viewer is sent. Dropping it disconnects the viewer.
    pub pictures: mpsc::Sender<Bytes>,
    /// Takes why the viewer is disconnected, if it is to be told, before `pictures` is dropped.
    pub reason: oneshot::Sender<String>,
}

/// A connection to a screen, as the viewer sees it.
#[derive(Debug)]
pub struct ScreenConnection {
    /// What the viewer says. Dropping it disconnects.
    pub input: mpsc::Sender<Bytes>,
    /// What the screen says; ends when it disconnects the viewer.
    pub pictures: mpsc::Receiver<Bytes>,
    /// Why the screen disconnected the viewer, if it says so: there when `pictures` has ended.
    pub reason: oneshot::Receiver<String>,
}

impl ScreenHandle {
    /// Takes viewers from now on, for as long as the receiver lives. Whoever did before gets no more.
    pub fn listen(&self) -> mpsc::Receiver<LocalViewer> {
        let (arrive, arriving) = mpsc::channel(ARRIVING);
        self.0.send_replace(Some(arrive));
        arriving
    }

    /// Connects a viewer; waits while [`ARRIVING`] others do.
    ///
    /// # Errors
    /// [`io::ErrorKind::ConnectionRefused`] while there is no display.
    pub async fn connect(&self) -> io::Result<ScreenConnection> {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let arrive = self.0.borrow().clone().ok_or_else(refused)?;
        let (input, said) = mpsc::channel(INPUT);
        let (to_viewer, pictures) = mpsc::channel(PICTURES);
        let (tell, reason) = oneshot::channel();
        let viewer = LocalViewer { input: said, pictures: to_viewer, reason: tell };
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
    async fn a_handle_refuses_viewers_while_nobody_takes_them_and_leads_to_the_next_who_does() {
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
    async fn the_viewers_that_wait_are_bounded_and_so_is_what_waits_for_each() {
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
