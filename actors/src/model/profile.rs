//! Profiles as requests name them, and what can go wrong with them.

use std::path::PathBuf;
use std::time::Duration;

use camofleet_api::error::ErrorCode;
use camofleet_api::profile::{ProfileMode, ProfileName, ProfileUser};
use camofleet_api::request::SessionRequest;

/// The profile that a session is requested with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileChoice {
    /// Its name.
    pub name: ProfileName,
    /// Whether the session changes it.
    pub mode: ProfileMode,
    /// Whether it is made if it does not exist.
    pub create: bool,
    /// Whether the session's connections leave by the profile's proxy: its request names none.
    pub uses_its_proxy: bool,
}

impl ProfileChoice {
    /// What a request says; `None` if it names no profile.
    pub fn from_request(request: &SessionRequest) -> Option<Self> {
        let mode = request.profile_mode;
        Some(Self {
            name: request.profile.clone()?,
            mode,
            create: request.profile_create.unwrap_or(mode == ProfileMode::Write),
            uses_its_proxy: request.proxy.is_none(),
        })
    }
}

/// Why a profile can't be used or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// There is none with this name.
    #[error("there is no profile '{name}' here; see GET /profiles")]
    NotFound {
        /// Its name.
        name: ProfileName,
    },
    /// There is one with this name already.
    #[error("a profile '{name}' exists already; choose another name, or delete it first")]
    Exists {
        /// Its name.
        name: ProfileName,
    },
    /// A session writes it.
    #[error(
        "profile '{name}' is in use by session {} on '{}' since {}; end that session first",
        .user.session, .user.worker, .user.since
    )]
    InUse {
        /// Its name.
        name: ProfileName,
        /// Who uses it.
        user: Box<ProfileUser>,
    },
    /// It is being copied, exported or changed.
    #[error("profile '{name}' is being copied, exported or changed; try again in a moment")]
    Busy {
        /// Its name.
        name: ProfileName,
    },
    /// Its user data belong to another engine, or to a later version of it.
    #[error("profile '{name}' was last used by {browser} {version}, which {here} can't open; {remedy}")]
    Incompatible {
        /// Its name.
        name: ProfileName,
        /// The engine that it belongs to.
        browser: String,
        /// The version that last used it.
        version: String,
        /// What this worker has.
        here: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A request asks for another identity than the profile has.
    #[error(
        "{field}: profile '{name}' has another one, which does not change; leave the field out, or make another profile"
    )]
    OtherIdentity {
        /// Its name.
        name: ProfileName,
        /// The request's field.
        field: &'static str,
    },
    /// There are as many as a worker keeps.
    #[error("there are {limit} profiles here, as many as a worker keeps; delete some")]
    TooMany {
        /// How many.
        limit: usize,
    },
    /// Too many profiles are being exported, imported or cloned.
    #[error("{limit} profiles are being exported, imported or cloned already; try again in a moment")]
    TooManyArchives {
        /// How many at once.
        limit: usize,
    },
    /// An upload is not a whole archive of a profile.
    #[error("the body is not an archive of a profile: {problem}")]
    InvalidArchive {
        /// What is wrong.
        problem: String,
    },
    /// Cookies that are to be stored are not valid.
    #[error("the browser refuses the cookies: {problem}")]
    InvalidCookies {
        /// What is wrong.
        problem: String,
    },
    /// It is on another worker than the one that a request names.
    #[error("profile '{name}' is on worker '{worker}'; name that one, or none")]
    Elsewhere {
        /// Its name.
        name: ProfileName,
        /// The worker's name.
        worker: String,
    },
    /// Several workers have different profiles with this name.
    #[error("there is a profile '{name}' on each of the workers {}; name one of them", .workers.join(", "))]
    Ambiguous {
        /// Its name.
        name: ProfileName,
        /// The workers' names.
        workers: Vec<String>,
    },
    /// It is on a worker that does not answer.
    #[error(
        "profile '{name}' is on worker '{worker}', which does not answer; start it, or wait until it does"
    )]
    Away {
        /// Its name.
        name: ProfileName,
        /// The worker's name.
        worker: String,
    },
    /// Its files can't be read or written.
    #[error("the storage of profile '{name}' failed: {detail}; see RUNNER_PROFILES_DIR")]
    Storage {
        /// Its name.
        name: ProfileName,
        /// The error of the system.
        detail: String,
    },
    /// The directory of the profiles can't be used.
    #[error("profiles can't be kept here: {detail}; see RUNNER_PROFILES_DIR")]
    Unavailable {
        /// The error of the system.
        detail: String,
    },
}

impl ProfileError {
    /// Its stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound { .. } => ErrorCode::ProfileNotFound,
            Self::Exists { .. } | Self::Elsewhere { .. } => ErrorCode::ProfileExists,
            Self::Ambiguous { .. } => ErrorCode::ProfileAmbiguous,
            Self::InUse { .. } | Self::Busy { .. } => ErrorCode::ProfileInUse,
            Self::Incompatible { .. } => ErrorCode::ProfileIncompatible,
            Self::OtherIdentity { .. } | Self::InvalidCookies { .. } => ErrorCode::InvalidField,
            Self::InvalidArchive { .. } => ErrorCode::InvalidArchive,
            Self::TooManyArchives { .. } => ErrorCode::Busy,
            Self::Away { .. } => ErrorCode::ProfileAway,
            Self::TooMany { .. } | Self::Storage { .. } | Self::Unavailable { .. } => {
                ErrorCode::StorageFailed
            }
        }
    }
}

/// How profiles are kept.
#[derive(Debug, Clone)]
pub struct ProfileSettings {
    /// Their directory.
    pub directory: PathBuf,
    /// Whether other workers use the same directory.
    pub shared: bool,
    /// How long a browser may take to store its user data when its session ends.
    pub close_patience: Duration,
    /// How many bytes an imported archive may have unpacked.
    pub import_limit: u64,
}
