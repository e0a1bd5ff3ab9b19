//! The pump of one attached client: both directions in one task, with back-pressure.

use std::borrow::Cow;
use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use prometheus::IntCounter;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::frames::{FrameTracker, PING, close_frame};
use crate::model::activity::ActivityClock;

/// The buffer size under low traffic.
const SMALL: usize = 8 << 10;
/// The buffer size under load. Loopback throughput levels off at two frames of 64 KiB a system call.
const LARGE: usize = 128 << 10;
/// How long to wait for the browser's answer to a client's close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);
/// How long to wait for the reason of a browser's end after it closed the connection, so that the client can be sent it.
const REASON_PATIENCE: Duration = Duration::from_secs(1);
/// "Internal error" (RFC 6455, section 7.4.1): the session can't go on.
const INTERNAL_ERROR: u16 = 1011;

/// Settings of a pump, and the clock and counters that it updates.
pub struct PumpSettings {
    /// Touched by every data frame, in either direction.
    pub activity: ActivityClock,
    /// The client is pinged when nothing was sent to it for this long, because proxies close silent connections.
    pub ping_interval: Duration,
    /// A side that reads nothing for this long is disconnected.
    pub write_timeout: Duration,
    /// The name of the other end in close reasons.
    pub peer: Cow<'static, str>,
    /// Whether the other end is a relay too, whose close frames are forwarded unchanged because they carry its reasons.
    pub hop: bool,
    /// Bytes from the client.
    pub from_client: IntCounter,
    /// Bytes to the client.
    pub to_client: IntCounter,
}

/// Moves bytes between a client and a browser until either side ends or `close` sends a reason to stop.
///
/// `early` are bytes that the browser sent with its handshake. Whatever ends the relay, the client gets a close frame
/// unless it has received one already or the stream is in the middle of a frame.
pub async fn relay<C, B>(
    client: C,
    browser: B,
    early: Bytes,
    settings: PumpSettings,
    mut close: oneshot::Receiver<String>,
) where
    C: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let client_closes = AtomicBool::new(false);
    let (client_reader, client_writer) = split(client);
    let (browser_reader, browser_writer) = split(browser);
    let mut to_client = ToClient {
        writer: client_writer,
        frames: FrameTracker::new(),
        settings: &settings,
        client_closes: &client_closes,
    };
    let reason = 'ended: {
        let upstream = from_client(client_reader, browser_writer, &settings, &client_closes);
        let downstream = to_client.run(browser_reader, early);
        tokio::pin!(upstream, downstream);
        tokio::select! {
            // Data from the browser is sent out first.
            biased;
            ended = &mut downstream => {
                let own = match ended {
                    Ok(()) => format!("{} closed the connection", settings.peer),
                    Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                        log::info!("{error} and is disconnected");
                        break 'ended error.to_string();
                    }
                    Err(error) => error.to_string(),
                };
                // A dying browser closes its connections shortly before its end is reported.
                match timeout(REASON_PATIENCE, &mut close).await {
                    Ok(Ok(reason)) if !client_closes.load(Ordering::Relaxed) => reason,
                    _ => own,
                }
            }
            reason = &mut close => reason.unwrap_or_else(|_| "the session is gone".to_owned()),
            ended = &mut upstream => match ended {
                Err(error) if error.kind() == io::ErrorKind::TimedOut => error.to_string(),
                _ => {
                    // The client has closed: forward the browser's answer to that, but don't wait long for it.
                    let _ = timeout(CLOSE_PATIENCE, &mut downstream).await;
                    "the client left".to_owned()
                }
            }
        }
    };
    let _ = timeout(CLOSE_PATIENCE, to_client.finish(&reason)).await;
}

/// The direction from the browser to the client, into which pings and a final close frame can be inserted.
struct ToClient<'a, W> {
    writer: W,
    frames: FrameTracker,
    settings: &'a PumpSettings,
    /// Whether the client has started to close, so that the browser's close is an answer to forward unchanged.
    client_closes: &'a AtomicBool,
}

impl<W: AsyncWrite + Unpin> ToClient<'_, W> {
    async fn run<R: AsyncRead + Unpin>(&mut self, mut reader: R, early: Bytes) -> io::Result<()> {
        if !early.is_empty() && self.send(&early).await?.is_break() {
            return Ok(());
        }
        let mut buffer = BytesMut::with_capacity(SMALL);
        let period = self.settings.ping_interval;
        let mut ping = interval_at(Instant::now() + period, period);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent = true;
        loop {
            tokio::select! {
                biased;
                read = reader.read_buf(&mut buffer) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    silent = false;
                    if self.send(&buffer).await?.is_break() {
                        return Ok(());
                    }
                    next_buffer(&mut buffer);
                }
                _ = ping.tick() => {
                    if silent {
                        // Frees the large buffer after a busy period.
                        buffer = BytesMut::with_capacity(SMALL);
                        if self.frames.at_boundary() && !self.frames.closed() {
                            self.write(PING).await?;
                        }
                    }
                    silent = true;
                }
            }
        }
    }

    /// Forwards bytes. If the browser closes by itself and without a reason, its close frame is withheld, so that the client
    /// can get one with a reason.
    async fn send(&mut self, bytes: &[u8]) -> io::Result<ControlFlow<()>> {
        let passed = self.frames.advance(bytes);
        if passed.data {
            self.settings.activity.touch();
        }
        self.settings.to_client.inc_by(bytes.len() as u64);
        match passed.bare_close.filter(|_| !self.settings.hop && !self.client_closes.load(Ordering::Relaxed))
        {
            None => self.write(bytes).await.map(ControlFlow::Continue),
            Some(at) => {
                self.frames = FrameTracker::new();
                self.write(&bytes[..at]).await.map(ControlFlow::Break)
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        write_all(&mut self.writer, bytes, self.settings.write_timeout, "the client").await
    }

    /// Closes the client's side, with this reason unless the browser sent one.
    async fn finish(&mut self, reason: &str) -> io::Result<()> {
        if self.frames.at_boundary() && !self.frames.closed() {
            self.writer.write_all(&close_frame(INTERNAL_ERROR, reason)).await?;
        }
        self.writer.shutdown().await
    }
}

/// The direction from the client to the browser, which ends with the client.
async fn from_client<R, W>(
    mut reader: R,
    mut writer: W,
    settings: &PumpSettings,
    client_closes: &AtomicBool,
) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut frames = FrameTracker::new();
    let mut buffer = BytesMut::with_capacity(SMALL);
    while reader.read_buf(&mut buffer).await? > 0 {
        let passed = frames.advance(&buffer);
        if passed.data {
            settings.activity.touch();
        }
        if passed.close {
            client_closes.store(true, Ordering::Relaxed);
        }
        settings.from_client.inc_by(buffer.len() as u64);
        write_all(&mut writer, &buffer, settings.write_timeout, &settings.peer).await?;
        next_buffer(&mut buffer);
    }
    writer.shutdown().await
}

/// Writes bytes to one side, however slowly it reads.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] once it has read nothing for the limit; a slow reader is no error.
async fn write_all<W: AsyncWrite + Unpin>(
    writer: &mut W,
    mut bytes: &[u8],
    limit: Duration,
    side: &str,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let taken = timeout(limit, writer.write(bytes)).await.map_err(|_| {
            io::Error::new(io::ErrorKind::TimedOut, format!("{side} read nothing for {limit:?}"))
        })??;
        if taken == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[taken..];
    }
    Ok(())
}

/// Clears a buffer for the next read, and enlarges it if it was full.
fn next_buffer(buffer: &mut BytesMut) {
    let full = buffer.len() == buffer.capacity();
    buffer.clear();
    if full && buffer.capacity() < LARGE {
        *buffer = BytesMut::with_capacity((buffer.capacity() * 4).min(LARGE));
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    struct Relay {
        client: DuplexStream,
        browser: DuplexStream,
        activity: ActivityClock,
        close: Option<oneshot::Sender<String>>,
        ended: tokio::task::JoinHandle<()>,
    }

    fn start(early: &'static [u8], pipe: usize) -> Relay {
        start_towards(false, early, pipe)
    }

    fn start_towards(hop: bool, early: &'static [u8], pipe: usize) -> Relay {
        let (client, client_end) = duplex(pipe);
        let (browser, browser_end) = duplex(pipe);
        let (close, closed) = oneshot::channel();
        let activity = ActivityClock::new();
        let counter = || IntCounter::new("bytes", "bytes").unwrap();
        let settings = PumpSettings {
            activity: activity.clone(),
            ping_interval: Duration::from_secs(20),
            write_timeout: Duration::from_secs(30),
            peer: "the browser".into(),
            hop,
            from_client: counter(),
            to_client: counter(),
        };
        let ended = tokio::spawn(relay(client_end, browser_end, Bytes::from_static(early), settings, closed));
        Relay { client, browser, activity, close: Some(close), ended }
    }

    /// A masked text frame, as a client sends it.
    const HELLO: &[u8] = &[0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];
    /// The same from a server.
    const ANSWER: &[u8] = &[0x81, 0x02, b'y', b'o'];

    async fn read(stream: &mut DuplexStream, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        stream.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    async fn rest(stream: &mut DuplexStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        bytes
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_are_forwarded_unchanged_both_ways_and_count_as_activity() {
        let mut relay = start(b"", 1 << 16);
        let born = relay.activity.last_seen();
        tokio::time::advance(Duration::from_secs(5)).await;
        relay.client.write_all(HELLO).await.unwrap();
        assert_eq!(read(&mut relay.browser, HELLO.len()).await, HELLO);
        assert_eq!((relay.activity.last_seen() - born).as_secs(), 5);
        tokio::time::advance(Duration::from_secs(5)).await;
        relay.browser.write_all(ANSWER).await.unwrap();
        assert_eq!(read(&mut relay.client, ANSWER.len()).await, ANSWER);
        assert_eq!((relay.activity.last_seen() - born).as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_that_arrived_with_the_handshake_are_sent_first() {
        let mut relay = start(ANSWER, 1 << 16);
        assert_eq!(read(&mut relay.client, ANSWER.len()).await, ANSWER);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_pinged_and_its_pong_is_no_activity() {
        let mut relay = start(b"", 1 << 16);
        let born = relay.activity.last_seen();
        assert_eq!(read(&mut relay.client, 2).await, PING);
        let pong = [0x8a, 0x80, 0, 0, 0, 0];
        relay.client.write_all(&pong).await.unwrap();
        assert_eq!(read(&mut relay.browser, pong.len()).await, pong);
        assert_eq!(relay.activity.last_seen(), born);
    }

    #[tokio::test(start_paused = true)]
    async fn a_ping_is_never_inserted_into_a_frame() {
        let mut relay = start(b"", 1 << 16);
        relay.browser.write_all(&ANSWER[..3]).await.unwrap();
        assert_eq!(read(&mut relay.client, 3).await, &ANSWER[..3]);
        tokio::time::sleep(Duration::from_secs(90)).await;
        relay.browser.write_all(&ANSWER[3..]).await.unwrap();
        assert_eq!(read(&mut relay.client, 1).await, &ANSWER[3..]);
        assert_eq!(read(&mut relay.client, 2).await, PING);
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_browser_connection_is_a_close_1011_with_a_reason() {
        let mut relay = start(b"", 1 << 16);
        drop(relay.browser);
        let close = rest(&mut relay.client).await;
        assert_eq!(close, close_frame(1011, "the browser closed the connection"));
        relay.ended.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_close_of_the_browsers_own_is_not_followed_by_another() {
        let mut relay = start(b"", 1 << 16);
        let close = close_frame(1000, "bye");
        relay.browser.write_all(&close).await.unwrap();
        drop(relay.browser);
        assert_eq!(rest(&mut relay.client).await, close);
    }

    /// What Playwright's server sends when its browser is killed.
    const BARE_CLOSE: &[u8] = &[0x88, 0x00];

    #[tokio::test(start_paused = true)]
    async fn a_close_without_a_reason_is_replaced_by_one_with_the_session_s_reason() {
        let mut relay = start(b"", 1 << 16);
        relay.browser.write_all(&[ANSWER, BARE_CLOSE].concat()).await.unwrap();
        drop(relay.browser);
        assert_eq!(read(&mut relay.client, ANSWER.len()).await, ANSWER);
        tokio::time::sleep(Duration::from_millis(150)).await;
        relay.close.take().unwrap().send("the browser was ended by SIGKILL".to_owned()).unwrap();
        assert_eq!(rest(&mut relay.client).await, close_frame(1011, "the browser was ended by SIGKILL"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_close_of_another_relay_is_forwarded_unchanged() {
        for close in [close_frame(1011, "the session expired"), BARE_CLOSE.to_vec()] {
            let mut relay = start_towards(true, b"", 1 << 16);
            relay.browser.write_all(&close).await.unwrap();
            drop(relay.browser);
            assert_eq!(rest(&mut relay.client).await, close);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_answer_to_a_client_s_close_is_forwarded_unchanged() {
        let mut relay = start(b"", 1 << 16);
        let close = [0x88, 0x80, 0, 0, 0, 0];
        relay.client.write_all(&close).await.unwrap();
        assert_eq!(read(&mut relay.browser, close.len()).await, close);
        relay.browser.write_all(BARE_CLOSE).await.unwrap();
        drop(relay.browser);
        assert_eq!(rest(&mut relay.client).await, BARE_CLOSE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_ends_sends_its_client_the_reason() {
        let mut relay = start(b"", 1 << 16);
        relay.close.take().unwrap().send("the session expired".to_owned()).unwrap();
        assert_eq!(rest(&mut relay.client).await, close_frame(1011, "the session expired"));
        relay.ended.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_vanishes_ends_the_relay_and_the_browsers_side() {
        let mut relay = start(b"", 1 << 16);
        drop(relay.client);
        assert_eq!(rest(&mut relay.browser).await, b"");
        relay.ended.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_slows_its_writer() {
        let mut relay = start(b"", 1 << 10);
        let mut sent = 0;
        let frame = vec![0u8; 1 << 10];
        while timeout(Duration::from_secs(1), relay.browser.write_all(&frame)).await.is_ok() {
            sent += frame.len();
        }
        assert!(sent < 4 * LARGE, "{sent} bytes were read for a client that reads none");
        relay.ended.abort();
    }
    #[tokio::test(start_paused = true)]
    async fn a_stalled_client_is_disconnected_and_a_slow_one_is_not() {
        let mut relay = start(b"", 1 << 10);
        let frame = [&[0x82, 126, 0x0f, 0xfc][..], &[0; 4092]].concat();
        // Slow: a byte every ten seconds, for ten minutes.
        relay.browser.write_all(&frame[..1 << 10]).await.unwrap();
        let slow = async {
            for _ in 0..60 {
                tokio::time::sleep(Duration::from_secs(10)).await;
                read(&mut relay.client, 1).await;
            }
        };
        let browser = &mut relay.browser;
        let fill = async { while browser.write_all(&frame).await.is_ok() {} };
        assert!(timeout(Duration::from_secs(601), async { tokio::join!(slow, fill) }).await.is_err());
        assert!(!relay.ended.is_finished(), "it took something every ten seconds");

        let silent_since = Instant::now();
        relay.ended.await.unwrap();
        let waited = silent_since.elapsed();
        assert!((29..=33).contains(&waited.as_secs()), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_is_notified_that_its_browser_reads_nothing() {
        let mut relay = start(b"", 1 << 10);
        let flood = async { while relay.client.write_all(&[0; 1 << 10]).await.is_ok() {} };
        assert!(timeout(Duration::from_secs(29), flood).await.is_err());
        assert!(!relay.ended.is_finished());
        let received = rest(&mut relay.client).await;
        assert!(received.ends_with(&close_frame(1011, "the browser read nothing for 30s")), "{received:?}");
    }
}
