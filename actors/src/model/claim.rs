//! Whether the caller of a request is still waiting for its result.
//!
//! The caller that requests a session holds a [`Claim`], and its message carries the [`Claimant`]. A claim that is dropped
//! before the session was handed over means that the caller disconnected: nobody would ever use or end that session.

use tokio::sync::watch;

/// Held by the caller while it waits for the result. Dropped before [`Self::take`], it signals that the caller is gone.
#[derive(Debug)]
pub struct Claim(watch::Sender<bool>);

/// Travels with a request, so that its handler can notice that the caller is gone. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Claimant(watch::Receiver<bool>);

impl Claim {
    /// A connected pair.
    pub fn new() -> (Self, Claimant) {
        let (taken, seen) = watch::channel(false);
        (Self(taken), Claimant(seen))
    }

    /// Records that the caller has received the result and owns it from now on.
    pub fn take(self) {
        self.0.send_replace(true);
    }
}

impl Claimant {
    /// A claimant whose caller never leaves: for requests that can't be cancelled.
    pub fn certain() -> Self {
        let (claim, claimant) = Claim::new();
        claim.take();
        claimant
    }

    /// Whether the caller is gone.
    pub fn has_left(&self) -> bool {
        // A watch channel keeps its last value after the sender is gone.
        self.0.has_changed().is_err() && !*self.0.borrow()
    }

    /// Resolves with false once the caller has received the result, or with true once it is gone.
    pub async fn left(mut self) -> bool {
        self.0.wait_for(|taken| *taken).await.is_err()
    }

    /// Resolves once the caller is gone; never if it receives the result.
    pub async fn leaves(self) {
        if !self.left().await {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn dropping_a_claim_signals_a_caller_that_left_and_taking_it_does_not() {
        let (claim, claimant) = Claim::new();
        assert!(!claimant.has_left());
        let (left, ()) = tokio::join!(claimant.clone().left(), async { drop(claim) });
        assert!(left && claimant.has_left());

        let (claim, claimant) = Claim::new();
        claim.take();
        assert!(!claimant.has_left() && !claimant.left().await);
        assert!(!Claimant::certain().has_left());
    }
}
