//! How a child ended, and the guard that always reports it to the parent.

use std::cell::RefCell;
use std::fmt;

use actix::prelude::*;

/// Why an actor ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitReason {
    /// It stopped on request.
    Stopped,
    /// It failed, for this reason.
    Failed(String),
    /// It panicked, with this text if the hook recorded it.
    Panicked(String),
}

impl ExitReason {
    /// The value of the label in metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Failed(_) => "failed",
            Self::Panicked(_) => "panicked",
        }
    }

    /// Whether it stopped on request: [`super::RestartPolicy::OnFailure`] does not restart it then.
    pub fn is_clean(&self) -> bool {
        matches!(self, Self::Stopped)
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("stopped"),
            Self::Failed(text) => f.write_str(text),
            Self::Panicked(text) => write!(f, "panicked: {text}"),
        }
    }
}

/// Counts the restarts of one child, so that a late message of an earlier generation can be recognised.
pub type Generation = u64;

/// Notifies a parent that one of its children has ended, for whatever reason.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ChildExited<K: Send + 'static> {
    /// Which child.
    pub key: K,
    /// Its generation.
    pub generation: Generation,
    /// How it ended.
    pub reason: ExitReason,
}

/// Owned by a child; when it is dropped with the child it notifies the parent of the end.
///
/// When an actor panics, it is dropped during unwinding and `Actor::stopped` is not called. Only the drop happens in
/// every case, so the notification is sent from there.
#[derive(Debug)]
pub struct Lifeline<K: Clone + Send + 'static> {
    parent: Option<Recipient<ChildExited<K>>>,
    key: K,
    generation: Generation,
    reason: ExitReason,
}

impl<K: Clone + Send + 'static> Lifeline<K> {
    /// The lifeline of the child `key` in this generation.
    pub fn new(parent: Recipient<ChildExited<K>>, key: K, generation: Generation) -> Self {
        Self { parent: Some(parent), key, generation, reason: ExitReason::Stopped }
    }

    /// The key that identifies this child to its parent.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The key, to state more precisely what has ended.
    pub fn key_mut(&mut self) -> &mut K {
        &mut self.key
    }

    /// Records why the child is about to stop; only the first reason is reported.
    pub fn fail(&mut self, why: impl Into<String>) {
        if self.reason.is_clean() {
            self.reason = ExitReason::Failed(why.into());
        }
    }

    /// Moves the child to another parent, as when a warm browser goes from its pool to a session.
    pub fn reassign(&mut self, parent: Recipient<ChildExited<K>>) {
        self.parent = Some(parent);
    }
}

impl<K: Clone + Send + 'static> Drop for Lifeline<K> {
    fn drop(&mut self) {
        let Some(parent) = self.parent.take() else { return };
        let reason = if std::thread::panicking() {
            ExitReason::Panicked(last_panic())
        } else {
            std::mem::replace(&mut self.reason, ExitReason::Stopped)
        };
        // At most one message for each child.
        parent.do_send(ChildExited { key: self.key.clone(), generation: self.generation, reason });
    }
}

thread_local! {
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Logs every panic in one line and records its text for [`ExitReason::Panicked`].
///
/// To be called once, when the process starts.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|info| {
        let text = match info.payload_as_str() {
            Some(text) => text.to_owned(),
            None => "a panic without a text".to_owned(),
        };
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        log::error!("panicked at {place}: {text}");
        LAST_PANIC.with_borrow_mut(|last| *last = Some(format!("{text} ({place})")));
    }));
}

fn last_panic() -> String {
    LAST_PANIC.with_borrow_mut(Option::take).unwrap_or_else(|| "no text was recorded".to_owned())
}
