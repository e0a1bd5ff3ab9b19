//! How much of the disk a session takes: a page can fill it with downloads and blobs that nobody asked for.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::process::Os;

/// How often it is found out whether a session may have grown over its limit.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// How long a measurement is believed while the file system as a whole hardly grows: something else may shrink as fast as
/// this session grows.
const MEASURE_EVERY: Duration = Duration::from_secs(10);

/// What was last found out.
#[derive(Debug, Clone, Copy)]
struct Measured {
    at: Instant,
    /// What the directory takes.
    used: u64,
    /// What everything on its file system took then.
    file_system: u64,
}

impl Measured {
    /// Whether the directory can't have reached the limit since: it has grown by no more than its file system has.
    fn rules_out(&self, limit: u64, file_system: u64) -> bool {
        let grown = file_system.saturating_sub(self.file_system);
        self.at.elapsed() < MEASURE_EVERY && self.used.saturating_add(grown) < limit
    }
}

/// Resolves with what the files in a directory take once that is more than `limit`, in bytes.
///
/// It is cheap: one question to the file system a second, and a walk through some hundred files when the answer leaves room
/// for doubt, or every ten seconds.
pub(super) async fn until_over(os: Arc<dyn Os>, directory: PathBuf, limit: u64) -> u64 {
    let mut last: Option<Measured> = None;
    loop {
        tokio::time::sleep(CHECK_EVERY).await;
        let (os, directory) = (Arc::clone(&os), directory.clone());
        // A file system may be slow to answer, and the actors' thread has no time for it.
        let measure = move || {
            // A directory that is gone, or going, takes nothing.
            let file_system = os.file_system_use(&directory).ok()?;
            if last.is_some_and(|last| last.rules_out(limit, file_system)) {
                return last;
            }
            Some(Measured { at: Instant::now(), used: os.directory_use(&directory), file_system })
        };
        last = tokio::task::spawn_blocking(measure).await.ok().flatten();
        if let Some(Measured { used, .. }) = last
            && used > limit
        {
            return used;
        }
    }
}
