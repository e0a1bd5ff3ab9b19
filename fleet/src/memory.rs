//! Giving memory back: what a flood of clients took, the C library keeps for the next one unless it is asked to return it.

use std::time::Duration;

/// How often it is asked. A flood's memory is back seconds after it, and a process that has nothing to return is done in
/// a millisecond.
const TRIM_EVERY: Duration = Duration::from_secs(10);

/// Returns what is free to the system, again and again, for as long as the process lives.
pub async fn keep_trimmed() {
    let mut tick = tokio::time::interval(TRIM_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        // With much to return it takes the kernel a while, which the actors' thread has not.
        if tokio::task::spawn_blocking(trim).await.is_err() {
            return;
        }
    }
}

/// glibc has a heap for each thread, and returns of each only what is free at its end. This returns every free page
/// (malloc_trim(3)); threads that want memory meanwhile wait for their own heap alone.
#[cfg(target_env = "gnu")]
fn trim() {
    // SAFETY: it takes a number, and may be called by any thread at any time.
    unsafe { nix::libc::malloc_trim(0) };
}

/// Other C libraries return memory by themselves, or can't be asked.
#[cfg(not(target_env = "gnu"))]
fn trim() {}
