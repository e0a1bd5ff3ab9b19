//! The views of a worker's sessions: the live ones in order of birth, and the last that ended.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use camofleet_api::ids::SessionId;
use camofleet_api::session::{EndReason, Status};

use super::ENDED_LIMIT;
use crate::model::session::{Ending, SessionView};

/// All views of one worker. Pure.
#[derive(Debug, Default)]
pub(super) struct Views {
    live: BTreeMap<u64, Arc<SessionView>>,
    births: HashMap<SessionId, u64>,
    last_birth: u64,
    ended: VecDeque<Arc<SessionView>>,
}

impl Views {
    /// Views that begin with what an earlier life of the worker left: its live sessions went with it.
    pub fn after(live: &[Arc<SessionView>], ended: &[Arc<SessionView>], detail: &str) -> Self {
        let mut views = Self { ended: ended.iter().cloned().collect(), ..Self::default() };
        for view in live {
            views.update(Arc::clone(view));
            views.end_abruptly(view.spec.id, detail);
        }
        views
    }

    /// Takes a session's newest view; a DEAD one goes to the ended.
    pub fn update(&mut self, view: Arc<SessionView>) {
        let id = view.spec.id;
        if view.status == Status::Dead {
            if let Some(birth) = self.births.remove(&id) {
                self.live.remove(&birth);
            }
            self.ended.push_front(view);
            self.ended.truncate(ENDED_LIMIT);
            return;
        }
        let birth = *self.births.entry(id).or_insert_with(|| {
            self.last_birth += 1;
            self.last_birth
        });
        self.live.insert(birth, view);
    }

    /// The session's actor is gone without having said so; its last view comes back. `None` when it had.
    pub fn end_abruptly(&mut self, id: SessionId, detail: &str) -> Option<Arc<SessionView>> {
        let view = self.births.get(&id).and_then(|birth| self.live.get(birth))?;
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

    /// How many sessions stand at a status; the DEAD ones are those still remembered.
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
    fn live_views_keep_their_order_of_birth_through_updates() {
        let mut views = Views::default();
        let born = [a_view(), a_view(), a_view()];
        born.iter().for_each(|view| views.update(Arc::new(view.clone())));
        views.update(Arc::new(SessionView { attached: 7, ..born[0].clone() }));
        let live = views.live();
        assert_eq!(live.iter().map(|view| view.spec.id).collect::<Vec<_>>(), born.map(|view| view.spec.id));
        assert_eq!(live[0].attached, 7);
    }

    #[test]
    fn only_the_last_ended_are_remembered_newest_first() {
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
    fn a_session_that_ends_without_a_word_is_shown_as_crashed_once() {
        let mut views = Views::default();
        let view = a_view();
        views.update(Arc::new(view.clone()));
        assert!(views.end_abruptly(view.spec.id, "panicked").is_some());
        assert!(views.end_abruptly(view.spec.id, "panicked").is_none());
        let ending = views.ended()[0].ending.clone().unwrap();
        assert_eq!((ending.reason, ending.detail.as_str()), (EndReason::Crashed, "panicked"));
    }

    #[test]
    fn sessions_of_an_earlier_life_of_the_worker_are_ended() {
        let view = Arc::new(a_view());
        let views = Views::after(std::slice::from_ref(&view), &[], "its worker failed");
        assert!(views.live().is_empty());
        assert_eq!(views.ended()[0].spec.id, view.spec.id);
    }
}
