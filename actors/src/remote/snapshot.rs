//! The known state of another machine: the last poll merged with writes since. Pure, without input and output.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use camofleet_api::facts::Facts;
use camofleet_api::health::{Health, HealthStatus};
use camofleet_api::ids::{RequestId, SessionId};
use camofleet_api::profile::{Profile, ProfileName};
use camofleet_api::session::{EndReason, Status};

use super::calls::Observation;
use crate::model::events::Change;
use crate::model::session::{Ending, SessionView};
use crate::profiles::ProfileList;
use crate::worker::{Check, ENDED_LIMIT, WorkerSnapshot};

/// The revision of a list that no machine has reported like this, so that it is read again.
const UNKNOWN_REVISION: u64 = u64::MAX;

/// The outcome of a write.
pub(super) enum Written {
    /// The new state of a session.
    Live(Arc<SessionView>),
    /// The new state of a session after a touch.
    Touched(Arc<SessionView>),
    /// A session was deleted, and has this status now.
    Deleted(SessionId, Status),
    /// The session does not exist.
    Gone(SessionId),
}

/// The known state of one machine.
#[derive(Default)]
pub(super) struct Known {
    health: Option<Health>,
    stale: bool,
    live: Vec<Arc<SessionView>>,
    ended: Vec<Arc<SessionView>>,
    /// Sessions that were written, each with the number of polls that had started by then: a poll that started before the
    /// write may return an older state. `None`: the session is gone.
    written: HashMap<SessionId, (u64, Option<Arc<SessionView>>)>,
    /// Sessions with a pending delete, and the id of its request: the response to it reports the end, not a poll in between.
    deleting: HashMap<SessionId, RequestId>,
    profiles: Arc<ProfileList>,
    /// Profiles that were written, like the sessions above. `None`: the profile is gone.
    written_profiles: HashMap<ProfileName, (u64, Option<Arc<Profile>>)>,
    /// Sessions that are no longer listed, and were not yet seen among the ended ones.
    vanished: HashMap<SessionId, Arc<SessionView>>,
}

/// Changes to publish, each with the session after it.
pub(super) type Changes = Vec<(Arc<SessionView>, Change)>;

impl Known {
    /// Starts with the last snapshot of the actor's previous start.
    pub fn after(before: &WorkerSnapshot) -> Self {
        Self {
            live: before.sessions.clone(),
            ended: before.ended.clone(),
            profiles: Arc::clone(&before.profiles),
            ..Self::default()
        }
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

    /// Records that draining was started or stopped, which the next poll will report too.
    pub fn drained(&mut self, on: bool) {
        if let Some(facts) = self.health.as_mut().and_then(|health| health.facts.as_mut()) {
            facts.draining = on;
        }
    }

    /// Whether the machine itself reports its sessions as last seen.
    pub fn stale(&self) -> bool {
        self.stale
    }

    /// The live sessions in the machine's order, and the ended ones.
    pub fn sessions(&self) -> (Vec<Arc<SessionView>>, Vec<Arc<SessionView>>) {
        (self.live.clone(), self.ended.clone())
    }

    /// Its profiles, also while it does not answer.
    pub fn profiles(&self) -> Arc<ProfileList> {
        Arc::clone(&self.profiles)
    }

    /// Adds, replaces or removes one profile, given the number of polls that have started; the next one will report it too.
    pub fn apply_profile(&mut self, polls: u64, name: &ProfileName, profile: Option<Arc<Profile>>) {
        let mut profiles = self.profiles.profiles.clone();
        put(&mut profiles, name, profile.as_ref());
        self.written_profiles.insert(name.clone(), (polls, profile));
        self.profiles = Arc::new(ProfileList { revision: UNKNOWN_REVISION, profiles });
    }

    pub fn live(&self, id: SessionId) -> Option<&Arc<SessionView>> {
        self.live.iter().find(|view| view.spec.id == id)
    }

    pub fn count(&self, status: Status) -> usize {
        self.live.iter().chain(&self.ended).filter(|view| view.status == status).count()
    }

    /// Whether the ended sessions have to be polled, to find out how some sessions ended.
    pub fn needs_ended(&self) -> bool {
        !self.vanished.is_empty()
    }

    /// Drops all sessions of a machine that was silent for too long; returns the changes.
    pub fn forget_sessions(&mut self) -> Changes {
        self.written.clear();
        let vanished = std::mem::take(&mut self.vanished).into_values();
        let forgotten = std::mem::take(&mut self.live).into_iter().chain(vanished);
        forgotten.map(|view| (view, Change::Forgotten)).collect()
    }

    /// Applies the result of the poll with this number; returns the changes.
    pub fn apply_poll(&mut self, number: u64, observation: Observation) -> Changes {
        let Observation { health, sessions, stale, ended, profiles } = observation;
        if let Some(mut list) = profiles {
            self.written_profiles.retain(|_, (polls, _)| *polls >= number);
            for (name, (_, profile)) in &self.written_profiles {
                put(&mut list.profiles, name, profile.as_ref());
                list.revision = UNKNOWN_REVISION;
            }
            self.profiles = Arc::new(list);
        }
        (self.health, self.stale) = (Some(health), stale);
        // Writes before the start of this poll are contained in its result.
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
            self.apply_ended(ended, &mut changes);
        }
        changes
    }

    fn apply_ended(&mut self, ended: Vec<SessionView>, changes: &mut Changes) {
        let listed: Vec<Arc<SessionView>> = ended.into_iter().map(Arc::new).collect();
        for view in &listed {
            if self.vanished.remove(&view.spec.id).is_some() {
                changes.push((Arc::clone(view), Change::Ended));
            }
        }
        // A session that the machine lists nowhere has ended as well.
        changes.extend(self.vanished.drain().map(|(_, view)| (view, Change::Forgotten)));
        // The original lists no ended sessions; then those that were deleted through this process are kept.
        if !listed.is_empty() {
            self.ended = listed;
        }
        self.ended.truncate(ENDED_LIMIT);
    }

    /// Records that a delete was sent.
    pub fn delete_sent(&mut self, id: SessionId, by: RequestId) {
        self.deleting.insert(id, by);
    }

    /// Records that a delete was answered.
    pub fn delete_answered(&mut self, id: SessionId) {
        self.deleting.remove(&id);
    }

    /// The request that is deleting a session, if any, which then is the cause of the changes that polls see.
    pub fn deleted_by(&self, id: SessionId) -> Option<&RequestId> {
        self.deleting.get(&id)
    }

    /// Applies the outcome of a write, given the number of polls that have started; returns the changes.
    pub fn apply_write(&mut self, polls: u64, written: Written) -> Changes {
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
                    // The machine is still ending it: the next poll reports its state.
                    self.written.remove(&id);
                    self.live.push(Arc::clone(&dead));
                    return vec![(dead, Change::Ending)];
                }
                self.ended.insert(0, Arc::clone(&dead));
                self.ended.truncate(ENDED_LIMIT);
                vec![(dead, Change::Ended)]
            }
            Written::Touched(view) => {
                let mut changes = self.apply_write(polls, Written::Live(Arc::clone(&view)));
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

/// Adds, replaces or removes a profile in a list that is sorted by name.
fn put(profiles: &mut Vec<Arc<Profile>>, name: &ProfileName, profile: Option<&Arc<Profile>>) {
    match (profiles.binary_search_by(|known| known.name.cmp(name)), profile) {
        (Ok(at), Some(profile)) => profiles[at] = Arc::clone(profile),
        (Ok(at), None) => drop(profiles.remove(at)),
        (Err(at), Some(profile)) => profiles.insert(at, Arc::clone(profile)),
        (Err(_), None) => {}
    }
}

/// The checks of a health report, each with whether it fails.
fn checks_of(health: &Health) -> BTreeMap<Cow<'static, str>, Check> {
    let check = |(name, text): (&String, &String)| {
        let check = Check { ok: !health.failing.contains(name), text: text.clone() };
        (Cow::Owned(name.clone()), check)
    };
    health.checks.iter().map(check).collect()
}

/// The changes of a session that can be derived from two polls.
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
    if before.is_some_and(|before| before.proxy != now.proxy) {
        changes.push(Change::ProxyChanged);
    }
    if before.is_some_and(|before| before.contradictions != now.contradictions)
        && now.contradictions.is_some()
    {
        changes.push(Change::Compared);
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
        Observation {
            health,
            sessions: owned(sessions),
            stale: false,
            ended: ended.map(owned),
            profiles: None,
        }
    }

    fn ids(views: &[Arc<SessionView>]) -> Vec<SessionId> {
        views.iter().map(|view| view.spec.id).collect()
    }

    fn names(changes: &Changes) -> Vec<Change> {
        changes.iter().map(|(_, change)| change.clone()).collect()
    }

    #[test]
    fn a_poll_that_started_before_a_write_does_not_undo_it() {
        let (old, new) = (a_view(), a_view());
        let mut known = Known::default();
        known.apply_poll(1, observation(&[&old], None));
        // Poll 2 is in progress when one session is created and the other deleted.
        known.apply_write(2, Written::Live(Arc::new(new.clone())));
        known.apply_write(2, Written::Deleted(old.spec.id, Status::Dead));
        known.apply_poll(2, observation(&[&old], None));
        assert_eq!(ids(&known.sessions().0), [new.spec.id]);
        known.apply_poll(3, observation(&[], None));
        assert!(known.sessions().0.is_empty(), "a poll that started after the write is newer");
    }

    #[test]
    fn a_poll_that_started_before_a_profile_was_written_does_not_undo_that() {
        let profile = |name: &str, notes: &str| {
            let fields = serde_json::json!({
                "name": name, "id": uuid::Uuid::from_u128(1), "created_at": "2026-01-31T12:00:00Z", "notes": notes,
            });
            Arc::new(serde_json::from_value::<Profile>(fields).unwrap())
        };
        let [anna, bert] = ["anna", "bert"].map(|name| ProfileName::parse(name).unwrap());
        let polled = |profiles: &[&Arc<Profile>]| Observation {
            profiles: Some(ProfileList {
                revision: 7,
                profiles: profiles.iter().map(|profile| Arc::clone(profile)).collect(),
            }),
            ..observation(&[], None)
        };
        let (old, new) = (profile("anna", "old"), profile("anna", "new"));
        let mut known = Known::default();
        known.apply_poll(1, polled(&[&old, &profile("bert", "")]));
        // Poll 2 is in progress when one profile is changed and the other deleted.
        known.apply_profile(2, &anna, Some(Arc::clone(&new)));
        known.apply_profile(2, &bert, None);
        known.apply_poll(2, polled(&[&old, &profile("bert", "")]));
        assert_eq!(known.profiles().profiles, [Arc::clone(&new)]);
        assert_eq!(known.profiles().revision, UNKNOWN_REVISION, "so that the next poll reads the list again");
        // Writes go on, and the rest of the list is taken all the same.
        let other = profile("cyrus", "");
        known.apply_profile(3, &anna, Some(Arc::clone(&new)));
        known.apply_poll(3, polled(&[&old, &other]));
        assert_eq!(known.profiles().profiles, [new, Arc::clone(&other)]);
        known.apply_poll(4, polled(&[&old, &other]));
        assert_eq!(known.profiles().profiles, [old, other], "a poll that started after the write is newer");
        assert_eq!(known.profiles().revision, 7);
    }

    #[test]
    fn a_touch_is_kept_although_a_poll_in_progress_saw_the_session_before_it() {
        let before = a_view();
        let mut known = Known::default();
        known.apply_poll(1, observation(&[&before], None));
        let touched = SessionView { attached: 7, ..before.clone() };
        known.apply_write(2, Written::Live(Arc::new(touched)));
        known.apply_poll(2, observation(&[&before], None));
        assert_eq!(known.live(before.spec.id).unwrap().attached, 7);
    }

    #[test]
    fn changes_between_two_polls_are_reported() {
        let view = a_view();
        let mut known = Known::default();
        assert_eq!(
            names(&known.apply_poll(1, observation(&[&view], None))),
            [Change::Created, Change::Ready]
        );
        assert_eq!(names(&known.apply_poll(2, observation(&[&view], None))), []);
        let attached = SessionView { attached: 1, ..view.clone() };
        assert_eq!(names(&known.apply_poll(3, observation(&[&attached], None))), [Change::Attached]);
        let compared = SessionView { contradictions: Some(Vec::new()), ..attached.clone() };
        assert_eq!(names(&known.apply_poll(3, observation(&[&compared], None))), [Change::Compared]);
        assert_eq!(names(&known.apply_poll(3, observation(&[&attached], None))), []);
        let restarted = SessionView { restarts: 1, ..view.clone() };
        let changes = names(&known.apply_poll(4, observation(&[&restarted], None)));
        assert!(
            matches!(changes[..], [Change::Restarting { .. }, Change::Ready, Change::Detached]),
            "{changes:?}"
        );
        known.apply_poll(5, observation(&[], None));
        assert!(known.needs_ended());
        let ending = Ending { at: jiff::Timestamp::now(), reason: EndReason::Expired, detail: String::new() };
        let dead = SessionView { status: Status::Dead, ending: Some(ending), ..view.clone() };
        assert_eq!(names(&known.apply_poll(6, observation(&[], Some(&[&dead])))), [Change::Ended]);
        assert!(!known.needs_ended());
        assert_eq!(ids(&known.sessions().1), [view.spec.id]);
    }

    #[test]
    fn a_session_deleted_here_is_listed_with_its_reason_even_if_the_machine_lists_no_ended_ones() {
        let view = a_view();
        let mut known = Known::default();
        known.apply_poll(1, observation(&[&view], None));
        assert_eq!(
            names(&known.apply_write(1, Written::Deleted(view.spec.id, Status::Dead))),
            [Change::Ended]
        );
        known.apply_poll(2, observation(&[], Some(&[])));
        let (_, ended) = known.sessions();
        assert_eq!(ended[0].ending.as_ref().map(|ending| ending.reason), Some(EndReason::Deleted));
    }

    #[test]
    fn the_end_of_a_session_with_a_pending_delete_is_reported_only_by_the_response() {
        let view = a_view();
        let mut known = Known::default();
        known.apply_poll(1, observation(&[&view], None));
        let by = RequestId::random();
        known.delete_sent(view.spec.id, by.clone());
        let ending = SessionView { status: Status::Terminating, ..view.clone() };
        assert_eq!(names(&known.apply_poll(2, observation(&[&ending], None))), [Change::Ending]);
        assert_eq!(known.deleted_by(view.spec.id), Some(&by), "the delete is the cause");
        assert_eq!(names(&known.apply_poll(3, observation(&[], Some(&[])))), []);
        known.delete_answered(view.spec.id);
        assert_eq!(known.deleted_by(view.spec.id), None);
        assert_eq!(
            names(&known.apply_write(3, Written::Deleted(view.spec.id, Status::Dead))),
            [Change::Ended]
        );
        assert_eq!(names(&known.apply_poll(4, observation(&[], Some(&[])))), []);
        assert!(known.sessions().0.is_empty());
    }

    #[test]
    fn a_session_that_ends_slowly_is_listed_until_it_is_gone() {
        let view = a_view();
        let mut known = Known::default();
        known.apply_poll(1, observation(&[&view], None));
        let changes = known.apply_write(1, Written::Deleted(view.spec.id, Status::Terminating));
        assert_eq!(names(&changes), [Change::Ending]);
        assert_eq!(known.count(Status::Terminating), 1);
        known.apply_poll(2, observation(&[], None));
        assert!(known.sessions().0.is_empty());
    }
}
