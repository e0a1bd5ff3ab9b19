//! The API's JSON: what is asked, and what is shown.

mod health;
mod request;
mod session;

pub use health::{ControlHealth, Health, WorkerStatus};
pub use request::CreateRequest;
pub use session::{ControlSession, Deleted, RunnerSession, SessionFields, WorkerSession};
