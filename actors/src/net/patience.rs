//! Writing to those who may not read.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Writes all bytes, as slowly as the reader takes them; one that takes nothing at all for `limit` is an error that names
/// it as `reader`.
///
/// # Errors
/// The connection's own, and [`io::ErrorKind::TimedOut`].
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

/// Writes what the reader takes of these bytes at once, one at least, and returns how many. Dropped before it is done, it has
/// written nothing.
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
            let problem = format!("{reader} took nothing for {} s", limit.as_secs_f32());
            Err(io::Error::new(io::ErrorKind::TimedOut, problem))
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_waited_for_and_one_that_takes_nothing_is_not() {
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
        assert_eq!(stalled.to_string(), "the viewer took nothing for 30 s");
    }
}
