//! The event bus: what changed, to whoever listens.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::request_id::RequestId;
use crate::session::{EndReason, SessionView};

/// Something that changed in the fleet.
#[derive(Debug, Clone)]
pub enum Event {
    /// A session is new, or something about it changed.
    Session {
        /// The worker it runs on.
        worker: String,
        /// As it is now.
        view: Arc<SessionView>,
        /// What happened to it.
        change: Change,
        /// The request that caused it, if one did.
        by: Option<RequestId>,
    },
    /// The listener was too slow and missed changes: it must read the whole state anew.
    Resync {
        /// How many changes it missed.
        missed: u64,
    },
}

/// What happened to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was asked for.
    Created,
    /// Clients can attach.
    Ready,
    /// A part broke; it is being built anew.
    Restarting {
        /// What broke.
        cause: EndReason,
        /// The same for people.
        detail: String,
    },
    /// A client attached.
    Attached,
    /// A client left.
    Detached,
    /// Its start URL could not be opened.
    StartUrlFailed,
    /// It is being taken down.
    Ending,
    /// Nothing is left of it.
    Ended,
}

/// How many events a listener may lag behind before it has to resync.
const BACKLOG: usize = 1024;

/// The bus: bounded, and never waiting for a listener. Cloning shares it.
///
/// No actor: it has no state of its own that could break, so there is nothing to supervise.
#[derive(Clone)]
pub struct EventBus(broadcast::Sender<Event>);

impl Default for EventBus {
    fn default() -> Self {
        Self(broadcast::channel(BACKLOG).0)
    }
}

impl EventBus {
    /// Tells all listeners.
    pub fn publish(&self, event: Event) {
        // An error only means that nobody listens.
        let _ = self.0.send(event);
    }

    /// All events from now on.
    pub fn subscribe(&self) -> Subscription {
        Subscription(self.0.subscribe())
    }
}

/// One listener's end of the bus.
pub struct Subscription(broadcast::Receiver<Event>);

impl Subscription {
    /// The next event, or [`Event::Resync`] in place of those that were missed; `None` when the bus is gone.
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Event::Resync { missed }),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::a_view;

    fn event() -> Event {
        Event::Session { worker: "local".into(), view: Arc::new(a_view()), change: Change::Created, by: None }
    }

    #[tokio::test]
    async fn every_listener_gets_every_event_from_its_subscription_on() {
        let bus = EventBus::default();
        let mut early = bus.subscribe();
        bus.publish(event());
        let mut late = bus.subscribe();
        bus.publish(event());
        drop(bus);
        let count = async |listener: &mut Subscription| {
            let mut count = 0;
            while listener.next().await.is_some() {
                count += 1;
            }
            count
        };
        assert_eq!((count(&mut early).await, count(&mut late).await), (2, 1));
    }

    #[tokio::test]
    async fn a_listener_that_lags_is_told_to_resync_and_goes_on() {
        let bus = EventBus::default();
        let mut slow = bus.subscribe();
        for _ in 0..BACKLOG + 5 {
            bus.publish(event());
        }
        assert!(matches!(slow.next().await, Some(Event::Resync { missed: 5 })));
        assert!(matches!(slow.next().await, Some(Event::Session { .. })));
    }
}
