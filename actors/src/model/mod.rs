//! What everything else speaks about and that does not cross HTTP as it is: sessions, errors, events, addresses of views.

pub mod activity;
pub mod claim;
pub mod error;
pub mod events;
pub mod links;
pub mod screen;
pub mod session;
