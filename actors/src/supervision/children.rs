//! A parent's records of its children. Pure: it decides what to do, and the parent does it.

use std::collections::HashMap;
use std::hash::Hash;

use tokio::time::Instant;

use super::{Backoff, ChildExited, ExitReason, Generation, Intensity, RestartWindow};

/// When a child that ended is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartPolicy {
    /// However it ended.
    Always,
    /// Unless it stopped on request.
    OnFailure,
    /// Never.
    Never,
}

/// How a parent supervises one kind of child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChildSpec {
    /// When to restart it.
    pub policy: RestartPolicy,
    /// How often it may be restarted.
    pub intensity: Intensity,
    /// How long to wait before each restart.
    pub backoff: Backoff,
}

/// What a parent has to do when a child has ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<H> {
    /// Nothing: the message belongs to an earlier generation, or to a child that was removed.
    Stale,
    /// The child is not restarted and was removed from the records; this was its handle.
    Ended(H),
    /// Build it again after this delay, as this generation, and record it with [`Children::restarted`].
    Restart {
        /// How long to wait before.
        after: std::time::Duration,
        /// The new generation.
        generation: Generation,
    },
    /// It ended too often and was removed from the records; the parent should fail with this text.
    GiveUp(String),
}

struct Record<H> {
    spec: ChildSpec,
    window: RestartWindow,
    generation: Generation,
    /// `None` while the child waits for its restart.
    handle: Option<H>,
}

/// The children of one parent: their handles by their keys.
pub struct Children<K, H> {
    records: HashMap<K, Record<H>>,
}

impl<K: Eq + Hash + Clone + Send + std::fmt::Debug + 'static, H> Default for Children<K, H> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Eq + Hash + Clone + Send + std::fmt::Debug + 'static, H> Children<K, H> {
    /// No children yet.
    pub fn new() -> Self {
        Self { records: HashMap::new() }
    }

    /// Records a new child, generation 0. Replaces a child that was recorded under the same key.
    pub fn insert(&mut self, key: K, spec: ChildSpec, handle: H) {
        let window = RestartWindow::new(spec.intensity);
        self.records.insert(key, Record { spec, window, generation: 0, handle: Some(handle) });
    }

    /// Records the handle of a child that was built after [`Verdict::Restart`]. Returns false, and records nothing, if
    /// the child was removed meanwhile or has a later generation.
    #[must_use]
    pub fn restarted(&mut self, key: &K, generation: Generation, handle: H) -> bool {
        match self.records.get_mut(key) {
            Some(record) if record.generation == generation => {
                record.handle = Some(handle);
                true
            }
            _ => false,
        }
    }

    /// Whether the child `key` still waits to be restarted as `generation`.
    pub fn awaits(&self, key: &K, generation: Generation) -> bool {
        self.records.get(key).is_some_and(|record| record.generation == generation && record.handle.is_none())
    }

    /// The handle of a running child.
    pub fn get(&self, key: &K) -> Option<&H> {
        self.records.get(key)?.handle.as_ref()
    }

    /// The running children.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &H)> + Clone {
        self.records.iter().filter_map(|(key, record)| Some((key, record.handle.as_ref()?)))
    }

    /// How many children are recorded, those that wait for a restart included.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether no child is recorded.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Removes a child from the records: its end will be [`Verdict::Stale`].
    pub fn remove(&mut self, key: &K) -> Option<H> {
        self.records.remove(key)?.handle
    }

    /// Removes all children, those that wait for a restart included: their ends will be [`Verdict::Stale`].
    pub fn take_all(&mut self) -> Vec<H> {
        self.records.drain().filter_map(|(_, record)| record.handle).collect()
    }

    /// Decides what to do about the end of a child at `now`; `jitter` in `0.0..1.0` spreads the delays.
    pub fn on_exit(&mut self, exited: &ChildExited<K>, now: Instant, jitter: f64) -> Verdict<H> {
        let Some(record) = self.records.get_mut(&exited.key) else { return Verdict::Stale };
        if record.generation != exited.generation {
            return Verdict::Stale;
        }
        // A second report of the same generation would be a bug of the lifeline; it is ignored.
        let Some(handle) = record.handle.take() else { return Verdict::Stale };
        let restart = match record.spec.policy {
            RestartPolicy::Always => true,
            RestartPolicy::OnFailure => !exited.reason.is_clean(),
            RestartPolicy::Never => false,
        };
        if !restart {
            self.records.remove(&exited.key);
            return Verdict::Ended(handle);
        }
        match record.window.admit(now) {
            Some(attempt) => {
                record.generation += 1;
                let after = record.spec.backoff.delay(attempt, jitter);
                Verdict::Restart { after, generation: record.generation }
            }
            None => {
                let text = give_up_text(&exited.key, record.spec.intensity, &exited.reason);
                self.records.remove(&exited.key);
                Verdict::GiveUp(text)
            }
        }
    }
}

fn give_up_text<K: std::fmt::Debug>(key: &K, intensity: Intensity, reason: &ExitReason) -> String {
    format!(
        "{key:?} ended more than {} times in {} s, the last time: {reason}",
        intensity.limit,
        intensity.within.as_secs()
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn spec(policy: RestartPolicy) -> ChildSpec {
        ChildSpec {
            policy,
            intensity: Intensity { limit: 2, within: Duration::from_secs(10) },
            backoff: Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(1) },
        }
    }

    fn failed(generation: Generation) -> ChildExited<&'static str> {
        ChildExited { key: "child", generation, reason: ExitReason::Failed("it broke".into()) }
    }

    fn one_child(policy: RestartPolicy) -> Children<&'static str, u32> {
        let mut children = Children::new();
        children.insert("child", spec(policy), 1);
        children
    }

    #[test]
    fn a_failed_child_is_restarted_as_the_next_generation() {
        let mut children = one_child(RestartPolicy::OnFailure);
        let verdict = children.on_exit(&failed(0), Instant::now(), 0.0);
        assert_eq!(verdict, Verdict::Restart { after: Duration::ZERO, generation: 1 });
        assert!(children.get(&"child").is_none(), "a dead child must not be reachable");
        assert!(children.awaits(&"child", 1));
        assert!(children.restarted(&"child", 1, 2));
        assert_eq!(children.get(&"child"), Some(&2));
        assert!(!children.awaits(&"child", 1));
    }

    #[test]
    fn a_late_message_of_an_earlier_generation_is_ignored() {
        let mut children = one_child(RestartPolicy::Always);
        let now = Instant::now();
        children.on_exit(&failed(0), now, 0.0);
        assert!(children.restarted(&"child", 1, 2));
        assert_eq!(children.on_exit(&failed(0), now, 0.0), Verdict::Stale);
        assert_eq!(children.get(&"child"), Some(&2));
    }

    #[test]
    fn an_end_that_is_reported_twice_counts_once() {
        let mut children = one_child(RestartPolicy::Never);
        let now = Instant::now();
        assert_eq!(children.on_exit(&failed(0), now, 0.0), Verdict::Ended(1));
        assert_eq!(children.on_exit(&failed(0), now, 0.0), Verdict::Stale);
    }

    #[test]
    fn a_clean_stop_is_restarted_only_by_the_always_policy() {
        let stopped = || ChildExited { key: "child", generation: 0, reason: ExitReason::Stopped };
        assert_eq!(
            one_child(RestartPolicy::OnFailure).on_exit(&stopped(), Instant::now(), 0.0),
            Verdict::Ended(1)
        );
        assert!(matches!(
            one_child(RestartPolicy::Always).on_exit(&stopped(), Instant::now(), 0.0),
            Verdict::Restart { generation: 1, .. }
        ));
    }

    #[test]
    fn a_child_that_exceeds_its_restart_window_is_given_up_with_the_reason() {
        let mut children = one_child(RestartPolicy::Always);
        let now = Instant::now();
        for generation in 0..2 {
            assert!(matches!(children.on_exit(&failed(generation), now, 0.0), Verdict::Restart { .. }));
            assert!(children.restarted(&"child", generation + 1, 1));
        }
        let Verdict::GiveUp(text) = children.on_exit(&failed(2), now, 0.0) else { panic!("not given up") };
        assert!(text.contains("it broke") && text.contains("2 times in 10 s"), "{text}");
        assert!(children.is_empty());
    }

    #[test]
    fn delays_grow_with_each_restart_in_the_window() {
        let mut children = one_child(RestartPolicy::Always);
        let now = Instant::now();
        children.on_exit(&failed(0), now, 0.0);
        assert!(children.restarted(&"child", 1, 1));
        let verdict = children.on_exit(&failed(1), now, 0.0);
        assert_eq!(verdict, Verdict::Restart { after: Duration::from_millis(100), generation: 2 });
    }

    #[test]
    fn a_child_removed_while_it_waits_is_not_restarted() {
        let mut children = one_child(RestartPolicy::Always);
        children.on_exit(&failed(0), Instant::now(), 0.0);
        children.remove(&"child");
        assert!(!children.awaits(&"child", 1));
        assert!(!children.restarted(&"child", 1, 2));
        assert!(children.get(&"child").is_none());
    }
}
