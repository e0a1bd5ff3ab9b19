//! Watches how much of the disk a session uses: a page can fill it with downloads and blobs.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::process::Os;

/// How often to check whether a session may have exceeded its limit.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// How long a measurement is valid while the use of the whole file system hardly grows: something else may shrink as
/// fast as this session grows.
const MEASURE_EVERY: Duration = Duration::from_secs(10);

/// The last measurement.
#[derive(Debug, Clone, Copy)]
struct Measured {
    at: Instant,
    /// The use of the directory, in bytes.
    used: u64,
    /// The use of the whole file system at that time, in bytes.
    file_system: u64,
}

impl Measured {
    /// Whether the directory can't have reached the limit since: it has not grown by more than its file system.
    fn rules_out_excess(&self, limit: u64, file_system: u64) -> bool {
        let grown = file_system.saturating_sub(self.file_system);
        self.at.elapsed() < MEASURE_EVERY && self.used.saturating_add(grown) < limit
    }
}

/// Waits until the files in a directory use more than `limit` bytes; returns how many they use. Of the user data of a profile
/// it is what they grow by.
///
/// It is cheap: one statvfs(3) a second, and a walk through some hundred files only if that can't rule out that the
/// limit was exceeded, or every ten seconds.
pub(super) async fn wait_until_over_limit(
    os: Arc<dyn Os>,
    directory: PathBuf,
    user_data: Option<PathBuf>,
    limit: u64,
) -> u64 {
    let (mut last, mut before): (Option<Measured>, Option<u64>) = (None, None);
    loop {
        tokio::time::sleep(CHECK_EVERY).await;
        let (os, directory, user_data) = (Arc::clone(&os), directory.clone(), user_data.clone());
        // File systems can be slow, so this does not run on the actors' thread.
        let measure = move || {
            // A directory that was deleted uses nothing. The user data may be on another file system.
            let places = [Some(&directory), user_data.as_ref()].into_iter().flatten();
            let file_system = places.map(|place| os.file_system_use(place)).sum::<io::Result<u64>>().ok()?;
            if last.is_some_and(|last| last.rules_out_excess(limit, file_system)) {
                return Some((last?, before));
            }
            let kept = user_data.map(|data| os.directory_use(&data));
            let before = before.or(kept);
            let grown = kept.unwrap_or(0).saturating_sub(before.unwrap_or(0));
            let used = os.directory_use(&directory) + grown;
            Some((Measured { at: Instant::now(), used, file_system }, before))
        };
        let measured = tokio::task::spawn_blocking(measure).await.ok().flatten();
        (last, before) = measured.map_or((None, before), |(last, before)| (Some(last), before));
        if let Some(Measured { used, .. }) = last
            && used > limit
        {
            return used;
        }
    }
}
