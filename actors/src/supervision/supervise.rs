//! The one way in which parents restart their children.

use std::fmt::Debug;
use std::hash::Hash;
use std::time::Duration;

use actix::prelude::*;
use tokio::time::Instant;

use super::{ChildExited, ChildSpec, Children, ExitReason, Generation, Verdict};

/// A parent of children that are known by a key: it says how one is built and what an end means; [`supervise`] does
/// the rest.
///
/// Keys of different types are different kinds of children: an actor is the supervisor of each kind.
pub(crate) trait Supervisor<K>: Actor<Context = Context<Self>> + Sized
where
    K: Eq + Hash + Clone + Send + Debug + 'static,
{
    /// What the parent keeps of a child.
    type Handle: 'static;

    /// The records of the children of this kind.
    fn children(&mut self) -> &mut Children<K, Self::Handle>;

    /// Builds a child in one of its lives; `None` if it can't be built any more.
    fn build(&mut self, key: &K, generation: Generation, ctx: &mut Context<Self>) -> Option<Self::Handle>;

    /// A child ended, and is built again after this wait.
    fn restarting(&mut self, key: &K, reason: &ExitReason, after: Duration);

    /// A child was built again, and is in the records.
    fn restarted(&mut self, _key: &K) {}

    /// A child ended that is not built again, and is no longer in the records.
    fn ended(&mut self, _key: &K, _reason: &ExitReason) {}

    /// A child ended too often, and is no longer in the records: the parent should fail with this text.
    fn give_up(&mut self, text: String, ctx: &mut Context<Self>);
}

/// Builds a child in its first life and keeps it.
pub(crate) fn start_child<A, K>(parent: &mut A, key: K, spec: ChildSpec, ctx: &mut Context<A>)
where
    A: Supervisor<K>,
    K: Eq + Hash + Clone + Send + Debug + 'static,
{
    if let Some(handle) = parent.build(&key, 0, ctx) {
        parent.children().insert(key, spec, handle);
    }
}

/// Handles the end of a child: it is built again after a wait, if it is still wanted then, or the parent gives up.
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
