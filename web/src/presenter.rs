//! Converts sessions into the form of a surface, with the fields of that surface and what the caller may see.

use actix_web::http::header::{HOST, HeaderMap};
use camofleet_actors::model::session::SessionView;
use camofleet_api::session::{Session, Vnc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::request::Caller;
use crate::settings::{Surface, WebSettings};

/// Characters that are not escaped in a segment of a path (RFC 3986, section 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Converts sessions for one caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Presenter {
    surface: Surface,
    /// The public path prefix of the API, without a trailing slash.
    prefix: String,
    /// The host and port by which the caller addressed this server.
    authority: String,
    caller: Caller,
}

impl Presenter {
    /// A presenter for a caller that sent these headers.
    pub fn new(surface: &Surface, settings: &WebSettings, headers: &HeaderMap, caller: Caller) -> Self {
        Self {
            surface: surface.clone(),
            prefix: settings.public_api_prefix.trim_end_matches('/').to_owned(),
            authority: authority(settings, headers),
            caller,
        }
    }

    /// Converts a worker's session; `stale` if the worker does not answer and this is its last known state.
    pub fn session(&self, worker: &str, view: &SessionView, stale: bool) -> Session {
        let mut session = view.to_api();
        let has_view = view.vnc.is_some();
        let mut links = view.vnc.as_ref().map(|vnc| vnc.links.clone()).unwrap_or_default();
        if self.caller != Caller::Trusted {
            session.vnc_key = None;
            links = links.without_key();
        }
        let id = session.id;
        match &self.surface {
            Surface::Runner => {
                session.ws_endpoint = format!("ws://{}/sessions/{id}/ws", self.authority);
                session.vnc = Some(Vnc::Enabled(has_view));
                session.vnc_info = Some(links);
                return session;
            }
            Surface::Worker { id: worker_id } => {
                session.worker_id = Some(worker_id.clone());
                session.ws_endpoint = format!("/sessions/{id}/ws");
            }
            Surface::Control | Surface::Gateway | Surface::SharedScreen { .. } => {
                let segment = utf8_percent_encode(worker, UNRESERVED);
                session.ws_endpoint = format!("{}/sessions/{segment}/{id}/ws", self.prefix);
                session.worker = Some(worker.to_owned());
            }
        }
        session.vnc_enabled = Some(has_view);
        session.vnc = Some(Vnc::Links(links));
        session.stale = Some(stale);
        session
    }
}

/// The host and port by which the caller addressed this server: the `Host` of its request, else the listening address.
pub(crate) fn authority(settings: &WebSettings, headers: &HeaderMap) -> String {
    let named = headers.get(HOST).and_then(|host| host.to_str().ok());
    named.filter(|host| !host.is_empty()).map_or_else(|| settings.address.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worker_names_are_escaped_in_endpoints() {
        for (name, segment) in
            [("local", "local"), ("east 1/a", "east%201%2Fa"), ("жук", "%D0%B6%D1%83%D0%BA")]
        {
            assert_eq!(utf8_percent_encode(name, UNRESERVED).to_string(), segment);
        }
    }
}
