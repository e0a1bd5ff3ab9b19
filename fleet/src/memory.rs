//! Returns memory to the system: after a burst of clients the C library keeps what they used until it is trimmed.

use std::time::Duration;

/// The time between two trims: the memory of a burst is returned within seconds, and a trim with nothing to return takes a
/// millisecond.
const TRIM_EVERY: Duration = Duration::from_secs(10);

/// Trims at this interval for as long as the process lives.
pub async fn keep_trimmed() {
    let mut tick = tokio::time::interval(TRIM_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        // With much to return it takes a while, for which the actors' thread must not be blocked.
        if tokio::task::spawn_blocking(trim).await.is_err() {
            return;
        }
    }
}

/// glibc has a heap for each thread, and by itself returns only what is free at the end of each. This returns every free page
/// (malloc_trim(3)); meanwhile a thread that allocates waits for its own heap only.
#[cfg(target_env = "gnu")]
fn trim() {
    // SAFETY: malloc_trim takes a number, and may be called by any thread at any time.
    unsafe { nix::libc::malloc_trim(0) };
}

/// Other C libraries return memory by themselves, or have no such call.
#[cfg(not(target_env = "gnu"))]
fn trim() {}
