//! Writing with a timeout to peers that may have stopped reading.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Writes all bytes, however slowly the peer reads them. A peer that reads nothing at all for `limit` is an error, whose
/// text names it as `reader`.
///
/// # Errors
/// Errors of the connection, and [`io::ErrorKind::TimedOut`].
pub(crate) async fn write_all_within(
    writer: &mut (impl AsyncWrite + Unpin),
    mut bytes: &[u8],
    limit: Duration,
    reader: &str,
) -> io::Result<()> {
    while !bytes.is_empty() {
        bytes = &bytes[write_some_within(writer, bytes, limit, reader).await?..];
    }
    writer.flush().await
}

/// Writes as many of these bytes as the peer accepts at once, at least one, and returns how many. A future that is dropped
/// before it resolves has written nothing.
///
/// # Errors
/// As [`write_all_within`].
pub(crate) async fn write_some_within(
    writer: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
    limit: Duration,
    reader: &str,
) -> io::Result<usize> {
    match timeout(limit, writer.write(bytes)).await {
        Ok(Ok(0)) => Err(io::ErrorKind::WriteZero.into()),
        Ok(written) => written,
        Err(_) => {
            let problem = format!("{reader} read nothing for {} s", limit.as_secs_f32());
            Err(io::Error::new(io::ErrorKind::TimedOut, problem))
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_waited_for_and_a_stalled_one_times_out() {
        let limit = Duration::from_secs(30);
        let (mut writer, mut reader) = tokio::io::duplex(10);
        let slow = tokio::spawn(async move {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_secs(29)).await;
                reader.read_exact(&mut [0; 10]).await.unwrap();
            }
            reader
        });
        write_all_within(&mut writer, &[7; 100], limit, "the viewer").await.unwrap();
        let _reader = slow.await.unwrap();
        let stalled = write_all_within(&mut writer, &[7; 100], limit, "the viewer").await.unwrap_err();
        assert_eq!(stalled.to_string(), "the viewer read nothing for 30 s");
    }
}
