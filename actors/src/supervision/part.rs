//! The parts of a launch, and how they report their end to its owner: first the launcher, then a pool or a session.

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::SetOnce;

use crate::model::error::Error;
use crate::supervision::{ChildExited, Lifeline};

/// A part of a launch, by how its loss is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LaunchPart {
    /// The browser exited or was killed.
    Browser,
    /// The browser ended with its driver.
    Driver,
    /// The X server, or its VNC server, ended.
    Display,
    /// The browser's way out ended.
    Egress,
}

/// Identifies a part of a launch to its parent. The launch's number is unique in this process, so late messages of an
/// earlier launch can be recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartKey {
    /// The launch's number.
    pub launch: u64,
    /// Which part of it.
    pub part: LaunchPart,
}

/// The first part of a launch that ended unexpectedly.
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
            LaunchPart::Browser | LaunchPart::Egress => Self::LaunchFailed { detail },
            LaunchPart::Driver => Self::DriverLost { detail },
            LaunchPart::Display => Self::DisplayFailed { detail },
        }
    }
}

/// Reports the end of one part of a launch to the launch's owner.
///
/// A part can end while the launch has no owner, because it is still being built or is being handed from a pool to a
/// session. The notification is lost then. So the loss is also recorded, before the notification is sent: a new owner
/// checks the record when it takes over, and is notified of every later end.
pub(crate) struct PartBond {
    /// `None` once the end was reported.
    lifeline: Option<Lifeline<PartKey>>,
    loss: Arc<SetOnce<Loss>>,
}

impl PartBond {
    /// The bond of a part to its first parent. All parts of a launch share one record of its loss.
    pub fn new(
        parent: Recipient<ChildExited<PartKey>>,
        launch: u64,
        part: LaunchPart,
        loss: &Arc<SetOnce<Loss>>,
    ) -> Self {
        let lifeline = Lifeline::new(parent, PartKey { launch, part }, 0);
        Self { lifeline: Some(lifeline), loss: Arc::clone(loss) }
    }

    /// Reports that the part has ended unexpectedly. This is done first; its remains are cleaned up afterwards.
    pub fn report_loss(&mut self, part: LaunchPart, detail: String) {
        if let Some(mut lifeline) = self.lifeline.take() {
            // Fails if another part has ended earlier, whose loss is the one to report.
            let _ = self.loss.set(Loss { part, detail: detail.clone() });
            lifeline.key_mut().part = part;
            lifeline.fail(detail);
        }
    }

    /// Moves the part to another parent.
    pub fn reassign(&mut self, parent: Recipient<ChildExited<PartKey>>) {
        if let Some(lifeline) = &mut self.lifeline {
            lifeline.reassign(parent);
        }
    }
}

impl Drop for PartBond {
    fn drop(&mut self) {
        if let Some(lifeline) = &self.lifeline {
            // It was closed, or its actor panicked.
            let _ = self.loss.set(Loss { part: lifeline.key().part, detail: "its actor ended".to_owned() });
        }
    }
}

/// Checks that the part's process is running, in case its end was not reported or is reported late. If it has ended,
/// the part is reported as lost.
#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
pub(crate) struct CheckAlive;

/// Polls the part's process: `true` when it has responded. There is no reply while the process hangs.
#[derive(Message, Clone, Copy)]
#[rtype(result = "bool")]
pub(crate) struct CheckResponds;

/// Moves the part to this parent, which is notified of its end from now on.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Adopt(pub Recipient<ChildExited<PartKey>>);
