//! Profiles on the disk: identities with a name and user data, each in a directory of its own.
//!
//! ```text
//! <RUNNER_PROFILES_DIR>/<name>/profile.json   everything but the user data        manifest
//!                              data/          a Firefox profile                   files
//!                              lock, lease.json   who writes it                   lease
//! ```
//!
//! The directory is the truth; this process keeps only a list of it for readers. What is under construction or being
//! removed has a name that no profile can have, so a crash at any moment leaves whole profiles.

pub mod archive;
mod files;
mod lease;
mod manifest;
mod opened;
mod store;

pub(crate) use lease::{GIVE_UP_AFTER, RENEW_EVERY};
pub(crate) use opened::{OpenedProfile, StorageTrouble};
pub use store::{ProfileList, ProfileStore};
