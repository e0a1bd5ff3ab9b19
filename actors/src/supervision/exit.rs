//! How a child ended, and the guard that makes sure its parent hears of it.

use std::cell::RefCell;
use std::fmt;

use actix::prelude::*;

/// Why an actor is no more. Also the metric's label and the event's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitReason {
    /// It was asked to stop and did.
    Stopped,
    /// It could not go on; the text says why.
    Failed(String),
    /// It panicked; the text is the panic's, when the hook saw it.
    Panicked(String),
}

impl ExitReason {
    /// A stable word for metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Failed(_) => "failed",
            Self::Panicked(_) => "panicked",
        }
    }

    /// Whether this end was wanted: the one kind that [`super::RestartPolicy::OnFailure`] leaves alone.
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

/// Counts the lives of one child, so that a late message of a dead one is told from the living one's.
pub type Generation = u64;

/// Told to a parent when one of its children is gone, however it went.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ChildExited<K: Send + 'static> {
    /// Which child.
    pub key: K,
    /// Which of its lives.
    pub generation: Generation,
    /// How it ended.
    pub reason: ExitReason,
}

/// A child's side of the bond with its parent: dropped with the child's struct, it reports the end.
///
/// An actor that panics is dropped by its runtime during the unwinding, without `Actor::stopped`. The drop
/// is the only thing that happens on every path, so this is where the report is made.
#[derive(Debug)]
pub struct Lifeline<K: Clone + Send + 'static> {
    parent: Option<Recipient<ChildExited<K>>>,
    key: K,
    generation: Generation,
    reason: ExitReason,
}

impl<K: Clone + Send + 'static> Lifeline<K> {
    /// A lifeline from the child `key`, in its life `generation`, to `parent`.
    pub fn new(parent: Recipient<ChildExited<K>>, key: K, generation: Generation) -> Self {
        Self { parent: Some(parent), key, generation, reason: ExitReason::Stopped }
    }

    /// The name the parent knows this child by.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The same name, to say more precisely what is about to end.
    pub fn key_mut(&mut self) -> &mut K {
        &mut self.key
    }

    /// Records why the child is about to stop; the first reason given is the one that is told.
    pub fn fail(&mut self, why: impl Into<String>) {
        if self.reason.is_clean() {
            self.reason = ExitReason::Failed(why.into());
        }
    }

    /// From now on another parent is told of the end: a warm browser goes from its pool to a session.
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
        // At most one message for each child: bounded by the number of children.
        parent.do_send(ChildExited { key: self.key.clone(), generation: self.generation, reason });
    }
}

thread_local! {
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Logs every panic in one line and remembers its text for [`ExitReason::Panicked`].
///
/// Call it once at the start of the process.
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
