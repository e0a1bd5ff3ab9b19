//! The browser actor: one Playwright server with its browser, inside a driver.

use std::sync::Arc;

use actix::prelude::*;

use crate::display::finish_later;
use crate::driver::{BrowserEnded, DriverSeat};
use crate::launcher::{Adopt, LaunchPart, PartKey};
use crate::process::{Os, Signal, wait_group_gone};
use crate::rundir::LaunchDir;
use crate::supervision::{ChildExited, Lifeline};

/// What is left to clean up when a browser goes: its process group, its place in the driver, its files.
pub(crate) struct BrowserParts {
    /// The machine it runs on.
    pub os: Arc<dyn Os>,
    /// Its process group; `None` until it has one.
    pub group: Option<u32>,
    /// Its place in a driver.
    pub seat: DriverSeat,
    /// Its profile and temporary files, and the display's key.
    pub dir: LaunchDir,
}

impl BrowserParts {
    async fn dismantle(self) {
        let Self { os, group, seat, dir } = self;
        if let Some(group) = group {
            // A browser has nothing to say that is worth waiting for: its profile goes with it.
            os.signal_group(group, Signal::Kill);
            // Killed processes write no more, so their files can go while the kernel takes their memory back.
            let gone = wait_group_gone(os.as_ref(), group);
            futures_util::future::join(gone, dir.clear()).await;
        }
        drop(seat);
        dir.remove().await;
    }
}

/// One Playwright server and its browser. Started before the launch, so that no end can be missed.
pub struct Browser {
    lifeline: Lifeline<PartKey>,
    parts: Option<BrowserParts>,
}

impl Browser {
    /// The actor of a browser that is about to be launched.
    pub(crate) fn start_empty(
        parent: Recipient<ChildExited<PartKey>>,
        launch: u64,
        parts: BrowserParts,
    ) -> Addr<Self> {
        let lifeline = Lifeline::new(parent, PartKey { launch, part: LaunchPart::Browser }, 0);
        Actor::start(Self { lifeline, parts: Some(parts) })
    }
}

impl Actor for Browser {
    type Context = Context<Self>;
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take() {
            finish_later(parts.dismantle());
        }
    }
}

/// The browser is up, in this process group.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct BrowserUp {
    /// Its process group.
    pub group: u32,
}

impl Handler<BrowserUp> for Browser {
    type Result = ();

    fn handle(&mut self, up: BrowserUp, _: &mut Context<Self>) {
        if let Some(parts) = &mut self.parts {
            parts.group = Some(up.group);
        }
    }
}

impl Handler<BrowserEnded> for Browser {
    type Result = ();

    fn handle(&mut self, ended: BrowserEnded, ctx: &mut Context<Self>) {
        // While it is being closed its parts are gone from here, and the end is wanted.
        if self.parts.is_some() {
            if ended.driver_lost {
                self.lifeline.key_mut().part = LaunchPart::Driver;
            }
            self.lifeline.fail(ended.detail);
            ctx.stop();
        }
    }
}

/// Takes the browser down; answered when its processes and files are gone.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CloseBrowser;

impl Handler<CloseBrowser> for Browser {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: CloseBrowser, _: &mut Context<Self>) -> Self::Result {
        let parts = self.parts.take();
        let close = async move {
            if let Some(parts) = parts {
                parts.dismantle().await;
            }
        };
        Box::pin(close.into_actor(self).map(|(), _, ctx| ctx.stop()))
    }
}

impl Handler<Adopt> for Browser {
    type Result = ();

    fn handle(&mut self, Adopt(parent): Adopt, _: &mut Context<Self>) {
        self.lifeline.reassign(parent);
    }
}
