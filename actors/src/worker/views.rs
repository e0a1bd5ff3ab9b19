//! The views of a worker's sessions: the live ones in the order of their creation, and the last that ended.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use camofleet_api::ids::SessionId;
use camofleet_api::session::{EndReason, Status};

use super::ENDED_LIMIT;
use crate::model::session::{Ending, SessionView};

/// All session views of one worker. Pure.
#[derive(Debug, Default)]
pub(super) struct Views {
    /// The live sessions by their numbers.
    live: BTreeMap<u64, Arc<SessionView>>,
    /// The number of each live session, in the order of their creation.
    numbers: HashMap<SessionId, u64>,
    last_number: u64,
    ended: VecDeque<Arc<SessionView>>,
}

impl Views {
    /// The views after a restart of the worker: the sessions that were live ended with its previous generation.
    pub fn after_restart(live: &[Arc<SessionView>], ended: &[Arc<SessionView>], detail: &str) -> Self {
        let mut views = Self { ended: ended.iter().cloned().collect(), ..Self::default() };
        for view in live {
            views.update(Arc::clone(view));
            views.end_abruptly(view.spec.id, detail);
        }
        views
    }

    /// Stores a session's newest view. If it is DEAD it moves to the ended sessions.
    pub fn update(&mut self, view: Arc<SessionView>) {
        let id = view.spec.id;
        if view.status == Status::Dead {
            if let Some(number) = self.numbers.remove(&id) {
                self.live.remove(&number);
            }
            self.ended.push_front(view);
            self.ended.truncate(ENDED_LIMIT);
            return;
        }
        let number = *self.numbers.entry(id).or_insert_with(|| {
            self.last_number += 1;
            self.last_number
        });
        self.live.insert(number, view);
    }

    /// Ends a session whose actor stopped without publishing its end; returns its last view. `None` if the end was
    /// published.
    pub fn end_abruptly(&mut self, id: SessionId, detail: &str) -> Option<Arc<SessionView>> {
        let view = self.numbers.get(&id).and_then(|number| self.live.get(number))?;
        let ending = view.ending.clone().unwrap_or_else(|| Ending {
            at: jiff::Timestamp::now(),
            reason: EndReason::Crashed,
            detail: detail.to_owned(),
        });
        let dead = Arc::new(SessionView {
            status: Status::Dead,
            attached: 0,
            vnc: None,
            ending: Some(ending),
            ..(**view).clone()
        });
        self.update(Arc::clone(&dead));
        Some(dead)
    }

    /// Live sessions, oldest first.
    pub fn live(&self) -> Vec<Arc<SessionView>> {
        self.live.values().cloned().collect()
    }

    /// Ended sessions, newest first.
    pub fn ended(&self) -> Vec<Arc<SessionView>> {
        self.ended.iter().cloned().collect()
    }

    /// How many sessions have a status; the DEAD ones are those that are still kept.
    pub fn count(&self, status: Status) -> usize {
        self.live.values().chain(&self.ended).filter(|view| view.status == status).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::a_view;

    fn dead(view: &SessionView) -> Arc<SessionView> {
        Arc::new(SessionView { status: Status::Dead, ..view.clone() })
    }

    #[test]
    fn live_views_keep_the_order_of_their_creation_when_they_are_updated() {
        let mut views = Views::default();
        let created = [a_view(), a_view(), a_view()];
        created.iter().for_each(|view| views.update(Arc::new(view.clone())));
        views.update(Arc::new(SessionView { attached: 7, ..created[0].clone() }));
        let live = views.live();
        assert_eq!(
            live.iter().map(|view| view.spec.id).collect::<Vec<_>>(),
            created.map(|view| view.spec.id)
        );
        assert_eq!(live[0].attached, 7);
    }

    #[test]
    fn only_the_last_ended_are_kept_newest_first() {
        let mut views = Views::default();
        let mut last = None;
        for _ in 0..ENDED_LIMIT + 10 {
            let view = a_view();
            views.update(Arc::new(view.clone()));
            views.update(dead(&view));
            last = Some(view.spec.id);
        }
        let ended = views.ended();
        assert_eq!((ended.len(), views.live().len()), (ENDED_LIMIT, 0));
        assert_eq!(Some(ended[0].spec.id), last);
    }

    #[test]
    fn a_session_that_does_not_publish_its_end_is_shown_as_crashed_once() {
        let mut views = Views::default();
        let view = a_view();
        views.update(Arc::new(view.clone()));
        assert!(views.end_abruptly(view.spec.id, "panicked").is_some());
        assert!(views.end_abruptly(view.spec.id, "panicked").is_none());
        let ending = views.ended()[0].ending.clone().unwrap();
        assert_eq!((ending.reason, ending.detail.as_str()), (EndReason::Crashed, "panicked"));
    }

    #[test]
    fn sessions_of_an_earlier_generation_of_the_worker_are_ended() {
        let view = Arc::new(a_view());
        let views = Views::after_restart(std::slice::from_ref(&view), &[], "its worker failed");
        assert!(views.live().is_empty());
        assert_eq!(views.ended()[0].spec.id, view.spec.id);
    }
}
