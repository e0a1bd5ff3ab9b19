//! Makes a part of a worker panic or hang.

use actix::prelude::*;
use camofleet_api::ids::SessionId;

use crate::driver::Driver;
use crate::egress::HungThreads;
use crate::launch::prewarm::PrewarmPool;
use crate::session::Session;
use crate::views::gateway::Gateway;

/// The part of a worker that is to panic.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) enum PanicIn {
    Worker,
    Session(SessionId),
    Pool(&'static str),
    Driver,
}

/// Hangs the threads of all egresses, until the answer is dropped.
#[derive(Message)]
#[rtype(result = "HungThreads")]
pub(crate) struct HangEgress;

/// Makes an actor panic, as a bug would.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PanicNow;

macro_rules! panics {
    ($($actor:ty),*) => {$(
        impl Handler<PanicNow> for $actor {
            type Result = ();
            fn handle(&mut self, _: PanicNow, _: &mut Context<Self>) {
                panic!("a bug");
            }
        }
    )*};
}
panics!(Session, PrewarmPool, Driver, Gateway);
