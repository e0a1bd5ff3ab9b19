//! Copies bytes between a browser and its destination. An idle connection holds no buffer: data is read into one that all
//! connections of a thread share, and only what the other side does not take at once is kept.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, sleep_until};

use crate::model::traffic::ConnectionTraffic;

/// How much is read at once, and so the most that is kept for a slow reader, in bytes.
const CHUNK: usize = 64 << 10;

/// How often is checked whether a browser has closed a connection from which nothing is read, as its upload waits for a slow
/// destination, or its end was read already. What it sent has until the second such check to be delivered.
const CLOSED_CHECK: Duration = Duration::from_secs(2);

/// The browser's side of a connection.
pub(super) trait BrowserSide: AsyncRead + AsyncWrite + Unpin {
    /// Whether the browser has closed it in both directions, so that it can receive nothing. What it sent may still be unread.
    fn is_closed(&self) -> bool;
}

impl BrowserSide for UnixStream {
    fn is_closed(&self) -> bool {
        // The end of both directions is reported without being asked for.
        let mut states = [PollFd::new(self.as_fd(), PollFlags::empty())];
        poll(&mut states, PollTimeout::ZERO).is_ok_and(|_| states[0].any() == Some(true))
    }
}

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK].into_boxed_slice());
}

/// One direction of a connection.
#[derive(Default)]
struct Direction {
    /// What was read and not yet written.
    pending: Bytes,
    /// Whether the reader has ended.
    ended: bool,
}

impl Direction {
    /// Copies until the reader's end was passed on.
    fn poll_copy(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
        on_bytes: &impl Fn(usize),
    ) -> Poll<io::Result<()>> {
        loop {
            while !self.pending.is_empty() {
                match ready!(Pin::new(&mut *writer).poll_write(cx, &self.pending))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    written => self.pending.advance(written),
                }
            }
            if self.ended {
                return Pin::new(&mut *writer).poll_shutdown(cx);
            }
            let copied = SCRATCH.with_borrow_mut(|scratch| {
                let mut buffer = ReadBuf::new(scratch);
                ready!(Pin::new(&mut *reader).poll_read(cx, &mut buffer))?;
                let mut filled = buffer.filled();
                on_bytes(filled.len());
                if filled.is_empty() {
                    self.ended = true;
                    return Poll::Ready(Ok(()));
                }
                while !filled.is_empty() {
                    match Pin::new(&mut *writer).poll_write(cx, filled)? {
                        Poll::Ready(0) => return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero))),
                        Poll::Ready(written) => filled = &filled[written..],
                        Poll::Pending => {
                            self.pending = Bytes::copy_from_slice(filled);
                            break;
                        }
                    }
                }
                Poll::Ready(Ok(()))
            });
            match copied {
                Poll::Pending => {
                    // A writer that collects data, as TLS does, sends it on when there is no more.
                    ready!(Pin::new(&mut *writer).poll_flush(cx))?;
                    return Poll::Pending;
                }
                Poll::Ready(copied) => copied?,
            }
        }
    }
}

/// Copies in both directions until both have ended, one breaks, the browser has closed the connection, or nothing moves for
/// `idle`. `early` is what the destination has sent already.
///
/// # Errors
/// Why the connection broke; [`io::ErrorKind::TimedOut`] for one that was idle.
pub(super) async fn pump(
    browser: &mut impl BrowserSide,
    destination: &mut (impl AsyncRead + AsyncWrite + Unpin),
    early: Bytes,
    traffic: &ConnectionTraffic,
    idle: Duration,
) -> io::Result<()> {
    let last = Cell::new(Instant::now());
    let (mut up, mut down) = (Direction::default(), Direction { pending: early, ended: false });
    traffic.down(down.pending.len() as u64);
    let (mut up_done, mut down_done) = (false, false);
    // Its state while nothing is read from the browser, so that its end is not noticed otherwise: the next check, and whether
    // the last one found it closed.
    let (mut check, mut was_closed) = (None, false);
    let copy = std::future::poll_fn(|cx| {
        // Each side is read by one direction and written by the other, one after the other.
        if !up_done {
            let count = |bytes: usize| {
                traffic.up(bytes as u64);
                last.set(Instant::now());
            };
            up_done = up.poll_copy(cx, browser, destination, &count)?.is_ready();
        }
        if !down_done {
            let count = |bytes: usize| {
                traffic.down(bytes as u64);
                last.set(Instant::now());
            };
            down_done = down.poll_copy(cx, destination, browser, &count)?.is_ready();
        }
        if up_done && down_done {
            return Poll::Ready(io::Result::Ok(()));
        }
        if !up_done && up.pending.is_empty() {
            (check, was_closed) = (None, false);
            return Poll::Pending;
        }
        while check.get_or_insert_with(|| Box::pin(sleep(CLOSED_CHECK))).as_mut().poll(cx).is_ready() {
            check = None;
            let is_closed = browser.is_closed();
            if is_closed && (up_done || was_closed) {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            was_closed = is_closed;
        }
        Poll::Pending
    });
    let silence = async {
        loop {
            let limit = last.get() + idle;
            if limit <= Instant::now() {
                return;
            }
            sleep_until(limit).await;
        }
    };
    tokio::select! {
        copied = copy => copied,
        () = silence => Err(io::ErrorKind::TimedOut.into()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::model::traffic::Traffic;

    const IDLE: Duration = Duration::from_secs(60);

    impl BrowserSide for DuplexStream {
        fn is_closed(&self) -> bool {
            false
        }
    }

    #[tokio::test]
    async fn a_connection_that_the_browser_closed_ends_although_its_upload_is_not_taken() {
        let (mut client, mut browser) = UnixStream::pair().unwrap();
        let (mut destination, _server) = duplex(1000);
        assert!(!browser.is_closed());
        client.write_all(&vec![7; CHUNK]).await.unwrap();
        client.shutdown().await.unwrap();
        assert!(!browser.is_closed(), "it may still receive");
        tokio::time::pause();
        let counted = Traffic::default().connection("a");
        let started = Instant::now();
        let pumped = pump(&mut browser, &mut destination, Bytes::new(), &counted, IDLE);
        let close = async {
            sleep(CLOSED_CHECK * 5).await;
            drop(client);
        };
        let (pumped, ()) = tokio::join!(pumped, close);
        assert_eq!(pumped.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert!(browser.is_closed());
        let took = started.elapsed() - CLOSED_CHECK * 5;
        assert!(took < CLOSED_CHECK * 3, "{took:?}");
    }

    #[tokio::test]
    async fn a_connection_that_the_browser_closed_ends_although_its_destination_is_silent() {
        let (mut client, mut browser) = UnixStream::pair().unwrap();
        let (mut destination, mut server) = duplex(1000);
        client.write_all(b"request").await.unwrap();
        drop(client);
        tokio::time::pause();
        let counted = Traffic::default().connection("a");
        let started = Instant::now();
        let pumped = pump(&mut browser, &mut destination, Bytes::new(), &counted, IDLE);
        let mut request = String::new();
        let (pumped, read) = tokio::join!(pumped, server.read_to_string(&mut request));
        read.unwrap();
        assert_eq!((request.as_str(), pumped.unwrap_err().kind()), ("request", io::ErrorKind::BrokenPipe));
        assert!(started.elapsed() < CLOSED_CHECK * 2, "{:?}", started.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_and_ends_are_passed_on_in_both_directions() {
        let ((mut client, mut browser), (mut destination, mut server)) = (duplex(100), duplex(100));
        let traffic = Traffic::default();
        let counted = traffic.connection("a");
        let pumped = pump(&mut browser, &mut destination, Bytes::from_static(b"early "), &counted, IDLE);
        let talk = async {
            client.write_all(&[7; 1000]).await.unwrap();
            client.shutdown().await.unwrap();
            client
        };
        let serve = async {
            let mut received = Vec::new();
            server.read_to_end(&mut received).await.unwrap();
            assert_eq!(received, [7; 1000]);
            server.write_all(b"answer").await.unwrap();
            server.shutdown().await.unwrap();
        };
        let (pumped, mut client, ()) = tokio::join!(pumped, talk, serve);
        pumped.unwrap();
        drop(browser);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "early answer");
        assert_eq!((traffic.totals().bytes_up, traffic.totals().bytes_down), (1000, 12));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_slows_its_writer_and_an_idle_connection_ends() {
        let ((mut client, mut browser), (mut destination, _server)) = (duplex(1 << 20), duplex(1000));
        let traffic = Traffic::default();
        let counted = traffic.connection("a");
        client.write_all(&vec![7; 1 << 20]).await.unwrap();
        let started = Instant::now();
        let error = pump(&mut browser, &mut destination, Bytes::new(), &counted, IDLE).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed().as_secs(), IDLE.as_secs());
        let taken = traffic.totals().bytes_up;
        assert!(taken <= (1000 + CHUNK) as u64, "{taken} bytes were read for a reader that took 1000");
    }

    #[tokio::test(start_paused = true)]
    async fn traffic_in_one_direction_keeps_a_connection_open() {
        let ((mut client, mut browser), (mut destination, mut server)) = (duplex(100), duplex(100));
        let traffic = Traffic::default();
        let counted = traffic.connection("a");
        let pumped = pump(&mut browser, &mut destination, Bytes::new(), &counted, IDLE);
        let trickle = async {
            for _ in 0..5 {
                tokio::time::sleep(IDLE - Duration::from_secs(1)).await;
                server.write_all(b"x").await.unwrap();
                client.read_u8().await.unwrap();
            }
            drop(client);
            drop(server);
        };
        tokio::join!(async { drop(pumped.await) }, trickle);
        assert_eq!(traffic.totals().bytes_down, 5);
    }
}
