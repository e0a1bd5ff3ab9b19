//! A session: one browser, its display if it has a window, and the clients attached to it.

mod actor;
mod attachment;
mod clients;
mod coherence;
mod cookies;
mod disk;
mod launching;
mod lifecycle;
mod profile;

pub(crate) use actor::{
    ChangeProxy, EndSession, GetScreenshotter, ReadySession, Session, SessionChanged, SessionParts, Touch,
};
pub(crate) use attachment::Upstream;
pub use attachment::{
    Attachment, AttachmentId, AttachmentStarted, AttachmentTicket, CloseAttachment, RelayPatience,
    UpstreamConnection,
};
pub(crate) use clients::Attach;
pub(crate) use cookies::{ReadCookies, WriteCookies};
pub use lifecycle::{Before, IllegalTransition, Lifecycle};
pub(crate) use profile::ProfileSource;
