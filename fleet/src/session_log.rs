//! The log of sessions: a subscriber of the event bus that logs one line for each change.

use camofleet_actors::model::events::{Change, Received, SessionEvent, Subscription};
use camofleet_actors::model::identity::contradictions_text;
use camofleet_actors::model::session::SessionView;
use camofleet_api::ids::RequestId;

/// Logs until the bus is dropped.
pub async fn write(mut events: Subscription) {
    while let Some(heard) = events.next().await {
        match heard {
            Received::Event(event) => {
                let SessionEvent { worker, view, change, by, .. } = event.as_ref();
                let by = by.clone().or_else(|| creating_request(view, change));
                if by.is_none() && is_logged_elsewhere(change) {
                    continue;
                }
                if let Some((level, mut line)) = line(worker, view, change) {
                    if let Some(by) = by {
                        line.push_str(&format!(", request {by}"));
                    }
                    log::log!(target: "camofleet::sessions", level, "{line}");
                }
            }
            Received::Missed(missed) => log::warn!("{missed} session events came too fast to be logged"),
        }
    }
}

/// The request behind a change that another role made: the one that created the session, until the session has crashed for
/// the first time.
fn creating_request(view: &SessionView, change: &Change) -> Option<RequestId> {
    let first =
        matches!(change, Change::Created | Change::Ready | Change::StartUrlFailed) && view.restarts == 0;
    view.spec.request_id.clone().filter(|_| first)
}

/// These changes have a request on the role that makes them; without one they were seen on another role, which logs them.
fn is_logged_elsewhere(change: &Change) -> bool {
    matches!(change, Change::Created | Change::Attached | Change::Detached)
}

fn line(worker: &str, view: &SessionView, change: &Change) -> Option<(log::Level, String)> {
    use log::Level::{Debug, Info, Warn};
    let session = format!("session {worker}/{}", view.spec.id);
    Some(match change {
        Change::Created => (Debug, format!("{session} was requested")),
        Change::Ready => {
            let mut line = format!("{session} is ready: {}", view.browser);
            if let Some(version) = &view.browser_version {
                line.push_str(&format!(" {version}"));
            }
            if let Some(id) = view.vnc.as_ref().and_then(|vnc| vnc.id) {
                line.push_str(&format!(", live view {id}"));
            }
            if let Some(profile) = &view.spec.profile {
                line.push_str(&format!(", profile {}", profile.name));
            }
            (Info, line)
        }
        Change::Restarting { detail, .. } => (Warn, format!("{session} restarts: {detail}")),
        Change::Attached => {
            (Info, format!("a client attached to {session}, which has {} now", view.attached))
        }
        Change::Detached => (Info, format!("a client left {session}, which has {} now", view.attached)),
        Change::StartUrlFailed => {
            let error = view.start_url_error.as_deref().unwrap_or_default();
            (Warn, format!("the start URL of {session} was not opened: {error}"))
        }
        Change::ProxyChanged => {
            let proxy = view.proxy.as_ref().map_or("directly".to_owned(), |proxy| format!("by {proxy}"));
            (Info, format!("the connections of {session} leave {proxy} now"))
        }
        Change::Compared => match contradictions_text(view.contradictions.as_deref().unwrap_or_default()) {
            Some(found) => (Warn, format!("the identity of {session} does not fit: {found}")),
            None => (Debug, format!("the identity of {session} fits its exit")),
        },
        // The access log has it.
        Change::Touched => return None,
        Change::Forgotten => (Info, format!("{session} is gone from its machine, which gives no reason")),
        Change::Ending => (Debug, format!("{session} is being ended")),
        Change::Ended => {
            let ending = view.ending.as_ref()?;
            (Info, format!("{session} ended ({}): {}", ending.reason.as_str(), ending.detail))
        }
    })
}
