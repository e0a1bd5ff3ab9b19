//! Whether somebody still waits for what was asked for.
//!
//! Who asks for a session holds a [`Claim`], and its message carries the [`Claimant`]. The claim that is dropped before the
//! session was taken says that the asker has left: then nobody will ever use that session, or end it.

use tokio::sync::watch;

/// Held by who waits for an answer. Dropped before [`Self::take`], it says that nobody waits any more.
#[derive(Debug)]
pub struct Claim(watch::Sender<bool>);

/// Goes with a request to whoever carries it out. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Claimant(watch::Receiver<bool>);

impl Claim {
    /// The two ends.
    pub fn new() -> (Self, Claimant) {
        let (taken, seen) = watch::channel(false);
        (Self(taken), Claimant(seen))
    }

    /// The answer has come, and is its asker's from now on.
    pub fn take(self) {
        self.0.send_replace(true);
    }
}

impl Claimant {
    /// One that takes what comes, whatever happens: for requests that nobody can break off.
    pub fn certain() -> Self {
        let (claim, claimant) = Claim::new();
        claim.take();
        claimant
    }

    /// Whether the asker has left.
    pub fn has_left(&self) -> bool {
        // A channel whose sender is gone keeps its last value.
        self.0.has_changed().is_err() && !*self.0.borrow()
    }

    /// Resolves when the asker has taken the answer, with false, or has left, with true.
    pub async fn left(mut self) -> bool {
        self.0.wait_for(|taken| *taken).await.is_err()
    }

    /// Resolves when the asker has left; never when it takes the answer.
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
    async fn who_drops_a_claim_has_left_and_who_takes_it_has_not() {
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
