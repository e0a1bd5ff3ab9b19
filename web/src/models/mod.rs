//! The API's JSON: what is asked, and what is shown.

mod health;
mod request;
mod schema;
mod session;

pub use health::{ControlHealth, Health, WorkerStatus};
pub use request::{CreateBody, CreateRequest, SessionBody, read_session};
pub use session::{
    ControlSession, Deleted, HostSession, RunnerSession, SessionFields, ViewLinks, WorkerSession,
};
