//! The restart of children, shared by all parents.

use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

use actix::prelude::*;
use tokio::time::Instant;

use super::{ChildExited, ChildSpec, Children, ExitReason, Generation, Verdict};

/// A parent of children that are identified by a key. It defines how a child is built and how the parent reacts to its
/// end; [`supervise`] does the rest.
///
/// An actor with several kinds of children implements this once for each type of key.
pub(crate) trait Supervisor<K>: Actor<Context = Context<Self>> + Sized
where
    K: Eq + Hash + Clone + Send + Debug + 'static,
{
    /// The parent's handle of a child.
    type Handle: 'static;

    /// The records of the children of this kind.
    fn children(&mut self) -> &mut Children<K, Self::Handle>;

    /// Builds a child as this generation; `None` if it can't be built any more.
    fn build(&mut self, key: &K, generation: Generation, ctx: &mut Context<Self>) -> Option<Self::Handle>;

    /// Called when a child has ended and will be restarted after this delay.
    fn restarting(&mut self, key: &K, reason: &ExitReason, after: Duration);

    /// Called when a child was restarted and recorded.
    fn restarted(&mut self, _key: &K) {}

    /// Called when a child has ended that is not restarted; it is no longer recorded.
    fn ended(&mut self, _key: &K, _reason: &ExitReason) {}

    /// Called when a child has ended too often; it is no longer recorded, and the parent should fail with this text.
    fn give_up(&mut self, text: String, ctx: &mut Context<Self>);
}

/// Builds a new child and records it.
pub(crate) fn start_child<A, K>(parent: &mut A, key: K, spec: ChildSpec, ctx: &mut Context<A>)
where
    A: Supervisor<K>,
    K: Eq + Hash + Clone + Send + Debug + 'static,
{
    if let Some(handle) = parent.build(&key, 0, ctx) {
        parent.children().insert(key, spec, handle);
    }
}

/// Handles the end of a child: restarts it after a delay unless it was removed meanwhile, or makes the parent give up.
pub(crate) fn supervise<A, K>(parent: &mut A, exited: ChildExited<K>, ctx: &mut Context<A>)
where
    A: Supervisor<K>,
    K: Eq + Hash + Clone + Send + Debug + 'static,
{
    match parent.children().on_exit(&exited, Instant::now(), fastrand::f64()) {
        Verdict::Restart { after, generation } => {
            let ChildExited { key, reason, .. } = exited;
            parent.restarting(&key, &reason, after);
            ctx.run_later(after, move |parent, ctx| {
                if parent.children().awaits(&key, generation)
                    && let Some(handle) = parent.build(&key, generation, ctx)
                    && parent.children().restarted(&key, generation, handle)
                {
                    parent.restarted(&key);
                }
            });
        }
        Verdict::GiveUp(text) => parent.give_up(text, ctx),
        Verdict::Ended(_) => parent.ended(&exited.key, &exited.reason),
        Verdict::Stale => {}
    }
}
