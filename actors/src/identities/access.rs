//! How launches reach the identity maker, through its restarts.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::protocol::Constraints;
use super::{Draw, IdentityMaker, MakerVersions, NotDrawn};
use crate::model::error::{Error, Result};
use crate::model::machine::Machine;
use camofleet_api::identity_request::IdentityRequest;

/// How long a draw may take, a restart of the process included. It takes milliseconds.
const LIMIT: Duration = Duration::from_secs(30);
/// How often a draw is tried again that was lost with its process.
const RETRIES: usize = 1;

/// The state of the identity maker.
#[derive(Clone)]
enum State {
    /// It is starting; `Some`: why the last one ended.
    Down(Option<String>),
    Up(Addr<IdentityMaker>, MakerVersions),
}

/// The identity maker, as launches use it. Clones share it, and it stays valid while the maker is restarted.
#[derive(Clone)]
pub(crate) struct Identities {
    state: watch::Sender<State>,
}

impl Default for Identities {
    fn default() -> Self {
        Self { state: watch::Sender::new(State::Down(None)) }
    }
}

impl Identities {
    /// Records that the maker is up.
    pub(super) fn open(&self, address: Addr<IdentityMaker>, versions: MakerVersions) {
        self.state.send_replace(State::Up(address, versions));
    }

    /// Records that it is down, for the reason of [`Self::fail`] if there is one.
    pub(super) fn close(&self) {
        self.state.send_if_modified(|state| {
            let was_up = matches!(state, State::Up(..));
            if was_up {
                *state = State::Down(None);
            }
            was_up
        });
    }

    /// Records why it is down.
    pub(super) fn fail(&self, detail: String) {
        self.state.send_replace(State::Down(Some(detail)));
    }

    /// Notifies of every start and every end.
    pub fn watch(&self) -> watch::Receiver<impl Sized + use<>> {
        self.state.subscribe()
    }

    /// The versions of the running maker, or why there is none; `Err(None)` while the first is starting.
    pub fn versions(&self) -> Result<MakerVersions, Option<String>> {
        match &*self.state.borrow() {
            State::Up(_, versions) => Ok(versions.clone()),
            State::Down(detail) => Err(detail.clone()),
        }
    }

    /// Draws a machine. Without a seed it is one that nobody else gets.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::Identity`] if no machine can be like that, [`Error::LaunchFailed`].
    pub async fn draw(
        &self,
        constraints: &Constraints,
        seed: Option<&str>,
        cancel: &CancellationToken,
    ) -> Result<Arc<Machine>> {
        let drawn = async {
            let mut state = self.state.subscribe();
            let mut retries = 0;
            loop {
                let usable = |state: &State| matches!(state, State::Up(address, _) if address.connected());
                // This struct holds the sender, so waiting can't fail.
                let up = state.wait_for(usable).await.map(|state| state.clone());
                let Ok(State::Up(address, _)) = up else { return Err(NotDrawn::Lost(String::new())) };
                let draw = Draw { constraints: constraints.clone(), seed: seed.map(str::to_owned) };
                match address.send(draw).await {
                    Ok(Err(NotDrawn::Lost(_))) | Err(_) if retries < RETRIES => retries += 1,
                    Ok(drawn) => return drawn,
                    Err(_) => return Err(NotDrawn::Lost("it ended".to_owned())),
                }
            }
        };
        let failed = |detail: &str| Error::LaunchFailed {
            detail: format!("its identity could not be drawn: {detail}"),
        };
        let drawn = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(Error::Cancelled),
            drawn = drawn => drawn,
            () = tokio::time::sleep(LIMIT) => {
                let reason = self.versions().err().flatten();
                let reason = reason.unwrap_or_else(|| format!("the identity maker did not answer for {LIMIT:?}"));
                return Err(failed(&reason));
            }
        };
        drawn.map_err(|error| match error {
            NotDrawn::Refused { field, reason } => match IdentityRequest::field_named(&field) {
                Some(field) => Error::Identity { field, reason },
                None => failed(&format!("{field}: {reason}")),
            },
            NotDrawn::Failed(detail) | NotDrawn::Lost(detail) => failed(&detail),
        })
    }
}
