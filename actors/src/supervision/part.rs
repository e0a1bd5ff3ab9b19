//! The parts of a launch, and their bond with whoever it belongs to: first its launcher, then a pool or a session.

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::SetOnce;

use crate::model::error::Error;
use crate::supervision::{ChildExited, Lifeline};

/// What a launch consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LaunchPart {
    /// The browser ended by itself, or was killed.
    Browser,
    /// The browser ended with its driver.
    Driver,
    /// The X server, or its VNC server, ended.
    Display,
}

/// Names a part of a launch to its parent. The launch's number is unique in this process, so it also tells a late
/// message of an earlier launch from the current one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartKey {
    /// The launch's number.
    pub launch: u64,
    /// Which part of it.
    pub part: LaunchPart,
}

/// The first part of a launch that ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Loss {
    /// Which part.
    pub part: LaunchPart,
    /// How it ended.
    pub detail: String,
}

impl From<Loss> for Error {
    fn from(Loss { part, detail }: Loss) -> Self {
        match part {
            LaunchPart::Browser => Self::LaunchFailed { detail },
            LaunchPart::Driver => Self::DriverLost { detail },
            LaunchPart::Display => Self::DisplayFailed { detail },
        }
    }
}

/// The bond of one part of a launch with whoever the launch belongs to.
///
/// A part can end while nobody owns the launch yet: it is still being built, or on its way from a pool to a session.
/// The message of its end finds nobody then, so the loss is noted before the message is sent: whoever takes the
/// launch over looks at the note, and gets a message of everything that comes after that.
pub(crate) struct PartBond {
    /// `None` once the end was told.
    lifeline: Option<Lifeline<PartKey>>,
    loss: Arc<SetOnce<Loss>>,
}

impl PartBond {
    /// The bond of a part to its first parent. All parts of a launch share one note of its loss.
    pub fn new(
        parent: Recipient<ChildExited<PartKey>>,
        launch: u64,
        part: LaunchPart,
        loss: &Arc<SetOnce<Loss>>,
    ) -> Self {
        let lifeline = Lifeline::new(parent, PartKey { launch, part }, 0);
        Self { lifeline: Some(lifeline), loss: Arc::clone(loss) }
    }

    /// The part ended by itself. Told at once; what is left of it is cleaned up afterwards.
    pub fn lose(&mut self, part: LaunchPart, detail: String) {
        if let Some(mut lifeline) = self.lifeline.take() {
            // Another part may have been first.
            let _ = self.loss.set(Loss { part, detail: detail.clone() });
            lifeline.key_mut().part = part;
            lifeline.fail(detail);
        }
    }

    /// From now on another parent is told.
    pub fn reassign(&mut self, parent: Recipient<ChildExited<PartKey>>) {
        if let Some(lifeline) = &mut self.lifeline {
            lifeline.reassign(parent);
        }
    }
}

impl Drop for PartBond {
    fn drop(&mut self) {
        if let Some(lifeline) = &self.lifeline {
            // Closed, or its actor panicked: gone in any case.
            let _ = self.loss.set(Loss { part: lifeline.key().part, detail: "it is gone".to_owned() });
        }
    }
}

/// Looks whether the part lives: whoever should tell of its death has missed it, or is late. A dead one is told of as lost.
#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
pub(crate) struct CheckAlive;

/// Asks a part for an answer of its process: `true` once it has come. A part that hangs does not answer at all.
#[derive(Message, Clone, Copy)]
#[rtype(result = "bool")]
pub(crate) struct Answer;

/// From now on this parent is told of the part's end.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Adopt(pub Recipient<ChildExited<PartKey>>);
