//! The API's JSON: what is asked, and what is shown.

mod event;
mod facts;
mod health;
mod history;
mod picture;
mod request;
mod schema;
mod session;
mod view;

pub use event::{Activity, AnySession, EventSnapshot, HistoryEntry, SessionChange};
pub use facts::Facts;
pub use health::{ControlHealth, Health, WorkerStatus};
pub use history::{FleetHistory, HistoryQuery};
pub use picture::{Jpeg, ScreenshotQuery};
pub use request::{CreateBody, CreateRequest, SessionBody, read_session};
pub use session::{
    ControlSession, Deleted, HostSession, RunnerSession, SessionFields, ViewLinks, WorkerSession,
};
pub use view::ViewDescription;
