//! What a live view's page is told.

use camofleet_actors::gateway::ShownSession;
use camofleet_actors::links::ViewKey;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Which session a live view shows.
#[derive(Debug, Serialize, ToSchema)]
pub struct ViewDescription<'a> {
    /// The session; null where that is not known: at a gateway before another machine.
    #[schema(required)]
    session: Option<Uuid>,
    /// What opens this session's view, and no later one's.
    #[schema(required)]
    key: Option<&'a str>,
}

impl<'a> From<&'a ShownSession> for ViewDescription<'a> {
    fn from(shown: &'a ShownSession) -> Self {
        Self { session: shown.id, key: shown.key.as_ref().map(ViewKey::as_str) }
    }
}
