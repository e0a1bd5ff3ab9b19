//! Makers of values that several tests need.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::EngineKind;
use crate::session::{ActivityClock, Contexts, OnCrash, SessionSpec, SessionView, StartUrlWait, Status};

/// A session's view with nothing special about it.
pub(crate) fn a_view() -> SessionView {
    let spec = SessionSpec {
        id: uuid::Uuid::new_v4(),
        headless: true,
        vnc: false,
        idle_ttl: Duration::from_secs(300),
        start_url: None,
        start_url_wait: StartUrlWait::Load,
        labels: Arc::new(BTreeMap::new()),
        on_crash: OnCrash::Restart,
        contexts: Contexts::Keep,
    };
    SessionView {
        spec: Arc::new(spec),
        status: Status::Ready,
        activity: ActivityClock::new(),
        engine: EngineKind::Firefox,
        browser_version: None,
        vnc: None,
        start_url_error: None,
        attached: 0,
        restarts: 0,
        ending: None,
    }
}
