//! What is known of another machine's sessions: what was seen of them, and what was written since. Pure.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use camofleet_api::facts::Facts;
use camofleet_api::health::{Health, HealthStatus};
use camofleet_api::ids::{RequestId, SessionId};
use camofleet_api::session::{EndReason, Status};

use super::calls::Observation;
use crate::model::events::Change;
use crate::model::session::{Ending, SessionView};
use crate::worker::{Check, ENDED_LIMIT, WorkerSnapshot};

/// The outcome of a write.
pub(super) enum Written {
    /// The session is like this now.
    Live(Arc<SessionView>),
    /// The same, by a touch.
    Touched(Arc<SessionView>),
    /// It was deleted, and stands so.
    Deleted(SessionId, Status),
    /// There is no such session.
    Gone(SessionId),
}

/// Everything that is known of one machine.
#[derive(Default)]
pub(super) struct Known {
    health: Option<Health>,
    stale: bool,
    live: Vec<Arc<SessionView>>,
    ended: Vec<Arc<SessionView>>,
    /// Sessions that were written, and how many looks had begun by then: what a look that began before the write saw
    /// of them is older than the write. `None`: it is gone.
    written: HashMap<SessionId, (u64, Option<Arc<SessionView>>)>,
    /// Sessions whose delete is under way, and the request that asked for it: its answer tells of their ends, not a look
    /// that comes in between.
    deleting: HashMap<SessionId, RequestId>,
    /// Sessions that are no longer there, and whose ends were not seen yet.
    vanished: HashMap<SessionId, Arc<SessionView>>,
}

/// The changes to tell, each with the session as it is after it.
pub(super) type Changes = Vec<(Arc<SessionView>, Change)>;

impl Known {
    /// Begins with what an earlier life of the actor left.
    pub fn after(before: &WorkerSnapshot) -> Self {
        Self { live: before.sessions.clone(), ended: before.ended.clone(), ..Self::default() }
    }

    pub fn healthy(&self) -> bool {
        self.health.as_ref().is_some_and(|health| health.status == HealthStatus::Ok)
    }

    pub fn version(&self) -> &str {
        self.health.as_ref().map(|health| health.version.as_str()).unwrap_or_default()
    }

    pub fn checks(&self) -> BTreeMap<Cow<'static, str>, Check> {
        self.health.as_ref().map(checks_of).unwrap_or_default()
    }

    pub fn facts(&self) -> Option<&Facts> {
        self.health.as_ref()?.facts.as_ref()
    }

    /// The machine has been taken out of service, or back, and says so at the next look.
    pub fn drained(&mut self, on: bool) {
        if let Some(facts) = self.health.as_mut().and_then(|health| health.facts.as_mut()) {
            facts.draining = on;
        }
    }

    /// Whether the machine itself only remembers its sessions.
    pub fn stale(&self) -> bool {
        self.stale
    }

    /// The live sessions in the machine's order, and the ended ones.
    pub fn sessions(&self) -> (Vec<Arc<SessionView>>, Vec<Arc<SessionView>>) {
        (self.live.clone(), self.ended.clone())
    }

    pub fn live(&self, id: SessionId) -> Option<&Arc<SessionView>> {
        self.live.iter().find(|view| view.spec.id == id)
    }

    pub fn count(&self, status: Status) -> usize {
        self.live.iter().chain(&self.ended).filter(|view| view.status == status).count()
    }

    /// Whether the list of ended sessions is worth a call.
    pub fn misses_endings(&self) -> bool {
        !self.vanished.is_empty()
    }

    /// The machine has been silent for too long; tells what is forgotten.
    pub fn forget_sessions(&mut self) -> Changes {
        self.written.clear();
        let vanished = std::mem::take(&mut self.vanished).into_values();
        let forgotten = std::mem::take(&mut self.live).into_iter().chain(vanished);
        forgotten.map(|view| (view, Change::Forgotten)).collect()
    }

    /// Takes in what the look with this number saw; tells what changed.
    pub fn observed(&mut self, number: u64, observation: Observation) -> Changes {
        let Observation { health, sessions, stale, ended } = observation;
        (self.health, self.stale) = (Some(health), stale);
        // A look that began after the write has seen it.
        self.written.retain(|_, (polls, _)| *polls >= number);
        let mut live: Vec<Arc<SessionView>> = Vec::with_capacity(sessions.len());
        for view in sessions {
            match self.written.get(&view.spec.id) {
                Some((_, None)) => {}
                Some((_, Some(newer))) => live.push(Arc::clone(newer)),
                None => live.push(Arc::new(view)),
            }
        }
        let seen: HashSet<SessionId> = live.iter().map(|view| view.spec.id).collect();
        let unseen = self.written.values().filter_map(|(_, view)| view.as_ref());
        live.extend(unseen.filter(|view| !seen.contains(&view.spec.id)).cloned());
        let awaited = self.live.iter().filter(|view| self.deleting.contains_key(&view.spec.id));
        let awaited: Vec<_> = awaited.filter(|view| !seen.contains(&view.spec.id)).cloned().collect();
        live.extend(awaited);

        let before: HashMap<SessionId, Arc<SessionView>> =
            std::mem::replace(&mut self.live, live).into_iter().map(|view| (view.spec.id, view)).collect();
        let mut changes = Vec::new();
        for view in &self.live {
            changes.extend(
                differences(before.get(&view.spec.id), view).into_iter().map(|change| (view.clone(), change)),
            );
        }
        let now: HashSet<SessionId> = self.live.iter().map(|view| view.spec.id).collect();
        self.vanished.extend(before.into_iter().filter(|(id, _)| !now.contains(id)));
        if let Some(ended) = ended {
            self.take_ended(ended, &mut changes);
        }
        changes
    }

    fn take_ended(&mut self, ended: Vec<SessionView>, changes: &mut Changes) {
        let listed: Vec<Arc<SessionView>> = ended.into_iter().map(Arc::new).collect();
        for view in &listed {
            if self.vanished.remove(&view.spec.id).is_some() {
                changes.push((Arc::clone(view), Change::Ended));
            }
        }
        // One that the machine does not remember either has ended all the same.
        changes.extend(self.vanished.drain().map(|(_, view)| (view, Change::Forgotten)));
        // The original remembers none: those that were deleted through here are kept then.
        if !listed.is_empty() {
            self.ended = listed;
        }
        self.ended.truncate(ENDED_LIMIT);
    }

    /// A delete of a session is sent.
    pub fn delete_sent(&mut self, id: SessionId, by: RequestId) {
        self.deleting.insert(id, by);
    }

    /// A delete of a session has been answered.
    pub fn delete_answered(&mut self, id: SessionId) {
        self.deleting.remove(&id);
    }

    /// The request that whatever a look sees of a session is owed to, if one is ending it.
    pub fn deleted_by(&self, id: SessionId) -> Option<&RequestId> {
        self.deleting.get(&id)
    }

    /// Takes in what a write came to, after so many looks had begun; tells what changed.
    pub fn written(&mut self, polls: u64, written: Written) -> Changes {
        match written {
            Written::Live(view) => {
                let id = view.spec.id;
                self.written.insert(id, (polls, Some(Arc::clone(&view))));
                let place = self.live.iter_mut().find(|known| known.spec.id == id);
                let before = match place {
                    Some(known) => Some(std::mem::replace(known, Arc::clone(&view))),
                    None => {
                        self.live.push(Arc::clone(&view));
                        None
                    }
                };
                let changes = differences(before.as_ref(), &view);
                changes.into_iter().map(|change| (Arc::clone(&view), change)).collect()
            }
            Written::Deleted(id, status) => {
                self.written.insert(id, (polls, None));
                let at = self.live.iter().position(|view| view.spec.id == id);
                let Some(view) = at.map(|at| self.live.remove(at)) else { return Vec::new() };
                let ending = Ending {
                    at: jiff::Timestamp::now(),
                    reason: EndReason::Deleted,
                    detail: "deleted by a request".to_owned(),
                };
                let dead = Arc::new(SessionView {
                    status,
                    attached: 0,
                    vnc: None,
                    ending: Some(ending),
                    ..(*view).clone()
                });
                if status != Status::Dead {
                    // Its machine takes its time: the next look shows how far it is.
                    self.written.remove(&id);
                    self.live.push(Arc::clone(&dead));
                    return vec![(dead, Change::Ending)];
                }
                self.ended.insert(0, Arc::clone(&dead));
                self.ended.truncate(ENDED_LIMIT);
                vec![(dead, Change::Ended)]
            }
            Written::Touched(view) => {
                let mut changes = self.written(polls, Written::Live(Arc::clone(&view)));
                changes.push((view, Change::Touched));
                changes
            }
            Written::Gone(id) => {
                self.written.insert(id, (polls, None));
                let at = self.live.iter().position(|view| view.spec.id == id);
                at.map(|at| (self.live.remove(at), Change::Forgotten)).into_iter().collect()
            }
        }
    }
}

/// The checks of a health, each with whether it fails.
fn checks_of(health: &Health) -> BTreeMap<Cow<'static, str>, Check> {
    let check = |(name, text): (&String, &String)| {
        let check = Check { ok: !health.failing.contains(name), text: text.clone() };
        (Cow::Owned(name.clone()), check)
    };
    health.checks.iter().map(check).collect()
}

/// What happened to a session between two looks at it, as far as the looks tell.
fn differences(before: Option<&Arc<SessionView>>, now: &SessionView) -> Vec<Change> {
    let mut changes = Vec::new();
    if before.is_none() {
        changes.push(Change::Created);
    }
    let restarted = before.is_some_and(|before| before.restarts < now.restarts);
    if restarted {
        let detail = "its machine has restarted it".to_owned();
        changes.push(Change::Restarting { cause: EndReason::Crashed, detail });
    }
    let status_before = before.map(|before| before.status);
    if now.status == Status::Ready && (restarted || status_before != Some(Status::Ready)) {
        changes.push(Change::Ready);
    }
    if now.status == Status::Terminating && status_before != Some(Status::Terminating) {
        changes.push(Change::Ending);
    }
    match before.map_or(0, |before| before.attached).cmp(&now.attached) {
        std::cmp::Ordering::Less => changes.push(Change::Attached),
        std::cmp::Ordering::Greater => changes.push(Change::Detached),
        std::cmp::Ordering::Equal => {}
    }
    if now.start_url_error.is_some() && before.is_none_or(|before| before.start_url_error.is_none()) {
        changes.push(Change::StartUrlFailed);
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::a_view;

    fn observation(sessions: &[&SessionView], ended: Option<&[&SessionView]>) -> Observation {
        let health = serde_json::from_value(serde_json::json!({"status": "ok"})).unwrap();
        let owned = |views: &[&SessionView]| views.iter().map(|view| (*view).clone()).collect();
        Observation { health, sessions: owned(sessions), stale: false, ended: ended.map(owned) }
    }

    fn ids(views: &[Arc<SessionView>]) -> Vec<SessionId> {
        views.iter().map(|view| view.spec.id).collect()
    }

    fn names(changes: &Changes) -> Vec<Change> {
        changes.iter().map(|(_, change)| change.clone()).collect()
    }

    #[test]
    fn a_look_that_began_before_a_write_does_not_undo_it() {
        let (old, new) = (a_view(), a_view());
        let mut known = Known::default();
        known.observed(1, observation(&[&old], None));
        // Look 2 is under way when one session is created and the other deleted.
        known.written(2, Written::Live(Arc::new(new.clone())));
        known.written(2, Written::Deleted(old.spec.id, Status::Dead));
        known.observed(2, observation(&[&old], None));
        assert_eq!(ids(&known.sessions().0), [new.spec.id]);
        known.observed(3, observation(&[], None));
        assert!(known.sessions().0.is_empty(), "a look that began after the write knows better");
    }

    #[test]
    fn a_touch_is_shown_although_a_look_under_way_saw_the_session_before_it() {
        let before = a_view();
        let mut known = Known::default();
        known.observed(1, observation(&[&before], None));
        let touched = SessionView { attached: 7, ..before.clone() };
        known.written(2, Written::Live(Arc::new(touched)));
        known.observed(2, observation(&[&before], None));
        assert_eq!(known.live(before.spec.id).unwrap().attached, 7);
    }

    #[test]
    fn what_happens_between_two_looks_is_told() {
        let view = a_view();
        let mut known = Known::default();
        assert_eq!(names(&known.observed(1, observation(&[&view], None))), [Change::Created, Change::Ready]);
        assert_eq!(names(&known.observed(2, observation(&[&view], None))), []);
        let attached = SessionView { attached: 1, ..view.clone() };
        assert_eq!(names(&known.observed(3, observation(&[&attached], None))), [Change::Attached]);
        let restarted = SessionView { restarts: 1, ..view.clone() };
        let changes = names(&known.observed(4, observation(&[&restarted], None)));
        assert!(
            matches!(changes[..], [Change::Restarting { .. }, Change::Ready, Change::Detached]),
            "{changes:?}"
        );
        known.observed(5, observation(&[], None));
        assert!(known.misses_endings());
        let ending = Ending { at: jiff::Timestamp::now(), reason: EndReason::Expired, detail: String::new() };
        let dead = SessionView { status: Status::Dead, ending: Some(ending), ..view.clone() };
        assert_eq!(names(&known.observed(6, observation(&[], Some(&[&dead])))), [Change::Ended]);
        assert!(!known.misses_endings());
        assert_eq!(ids(&known.sessions().1), [view.spec.id]);
    }

    #[test]
    fn a_session_deleted_here_is_remembered_with_its_reason_also_where_the_machine_remembers_none() {
        let view = a_view();
        let mut known = Known::default();
        known.observed(1, observation(&[&view], None));
        assert_eq!(names(&known.written(1, Written::Deleted(view.spec.id, Status::Dead))), [Change::Ended]);
        known.observed(2, observation(&[], Some(&[])));
        let (_, ended) = known.sessions();
        assert_eq!(ended[0].ending.as_ref().map(|ending| ending.reason), Some(EndReason::Deleted));
    }

    #[test]
    fn the_end_of_a_session_that_is_being_deleted_is_told_by_the_delete_s_answer_alone() {
        let view = a_view();
        let mut known = Known::default();
        known.observed(1, observation(&[&view], None));
        let by = RequestId::random();
        known.delete_sent(view.spec.id, by.clone());
        let ending = SessionView { status: Status::Terminating, ..view.clone() };
        assert_eq!(names(&known.observed(2, observation(&[&ending], None))), [Change::Ending]);
        assert_eq!(known.deleted_by(view.spec.id), Some(&by), "and that is owed to the delete");
        assert_eq!(names(&known.observed(3, observation(&[], Some(&[])))), []);
        known.delete_answered(view.spec.id);
        assert_eq!(known.deleted_by(view.spec.id), None);
        assert_eq!(names(&known.written(3, Written::Deleted(view.spec.id, Status::Dead))), [Change::Ended]);
        assert_eq!(names(&known.observed(4, observation(&[], Some(&[])))), []);
        assert!(known.sessions().0.is_empty());
    }

    #[test]
    fn a_session_that_takes_its_time_to_end_stays_until_it_is_gone() {
        let view = a_view();
        let mut known = Known::default();
        known.observed(1, observation(&[&view], None));
        let changes = known.written(1, Written::Deleted(view.spec.id, Status::Terminating));
        assert_eq!(names(&changes), [Change::Ending]);
        assert_eq!(known.count(Status::Terminating), 1);
        known.observed(2, observation(&[], None));
        assert!(known.sessions().0.is_empty());
    }
}
