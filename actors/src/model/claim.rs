//! Whether the caller of a request is still waiting for its result.
//!
//! The caller that requests a session holds a [`Claim`], and its message carries the [`Claimant`]. A claim that is dropped
//! before the session was handed over means that the caller disconnected: nobody would ever use or end that session.

use tokio::sync::watch;

use super::error::{Error, Result};

/// Held by the caller while it waits for the result. Dropped before [`Self::accept`], it signals that the caller is gone.
#[derive(Debug)]
pub struct Claim(watch::Sender<bool>);

/// Travels with a request, so that its handler can notice that the caller is gone. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Claimant(watch::Receiver<bool>);

impl Claim {
    /// A connected pair.
    pub fn new() -> (Self, Claimant) {
        let (accepted, watched) = watch::channel(false);
        (Self(accepted), Claimant(watched))
    }

    /// Records that the caller has received the result and owns it from now on.
    pub fn accept(self) {
        self.0.send_replace(true);
    }
}

impl Claimant {
    /// For requests that can't be abandoned.
    pub fn uncancellable() -> Self {
        let (claim, claimant) = Claim::new();
        claim.accept();
        claimant
    }

    /// Whether the caller disconnected before it received the result.
    pub fn is_abandoned(&self) -> bool {
        // A watch channel keeps its last value after the sender is gone.
        self.0.has_changed().is_err() && !*self.0.borrow()
    }

    /// Resolves with false once the caller has received the result, or with true once it has disconnected.
    pub async fn abandoned(mut self) -> bool {
        self.0.wait_for(|accepted| *accepted).await.is_err()
    }

    /// Resolves once the caller has disconnected; never if it receives the result.
    pub async fn until_abandoned(self) {
        if !self.abandoned().await {
            std::future::pending::<()>().await;
        }
    }

    /// Does work only for as long as the caller waits for its result: once it has disconnected, the work is dropped.
    ///
    /// # Errors
    /// That of the work; [`Error::Cancelled`] if it was dropped, which nobody waits for.
    pub async fn unless_abandoned<T>(self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            done = work => done,
            () = self.until_abandoned() => Err(Error::Cancelled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn dropping_a_claim_abandons_the_request_and_accepting_the_result_does_not() {
        let (claim, claimant) = Claim::new();
        assert!(!claimant.is_abandoned());
        let (abandoned, ()) = tokio::join!(claimant.clone().abandoned(), async { drop(claim) });
        assert!(abandoned && claimant.is_abandoned());

        let (claim, claimant) = Claim::new();
        claim.accept();
        assert!(!claimant.is_abandoned() && !claimant.abandoned().await);
        assert!(!Claimant::uncancellable().is_abandoned());
    }
}
