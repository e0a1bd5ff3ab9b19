//! The shared display of a worker that has one: kept up like its drivers and pools.

use std::sync::Arc;

use actix::prelude::*;
use tokio::time::Instant;

use super::infrastructure::INFRASTRUCTURE;
use super::local::LocalWorker;
use crate::display::{CloseSharedDisplay, SharedDisplay, SharedDisplayKey, SharedDisplayParts, SharedScreen};
use crate::supervision::{ChildExited, Generation, Verdict};

impl LocalWorker {
    /// Starts the shared display, where there is one, and publishes its comings and goings.
    pub(super) fn keep_screen(&mut self, ctx: &mut Context<Self>) {
        let Some(screen) = self.launcher.screen.clone() else { return };
        let changes = futures_util::stream::unfold(screen.watch(), |mut screen| async move {
            screen.changed().await.ok()?;
            Some((ScreenChanged, screen))
        });
        ctx.add_stream(changes);
        if let Some(display) = self.start_screen(screen, 0, ctx) {
            self.screens.insert(SharedDisplayKey, INFRASTRUCTURE, display);
        }
    }

    fn start_screen(
        &mut self,
        screen: SharedScreen,
        generation: Generation,
        ctx: &mut Context<Self>,
    ) -> Option<Addr<SharedDisplay>> {
        let dir = match self.launcher.directory() {
            Ok((_, dir)) => dir,
            Err(error) => {
                self.give_up(format!("the shared display: {error}"), ctx);
                return None;
            }
        };
        Some(SharedDisplay::start(SharedDisplayParts {
            os: Arc::clone(&self.launcher.os),
            run_dir: self.launcher.run_dir.clone(),
            metrics: self.launcher.metrics.clone(),
            dir,
            settings: self.settings.launch.display.clone(),
            screen,
            parent: ctx.address().recipient(),
            generation,
        }))
    }

    /// Takes the shared display down, for good; resolves when nothing of it is left.
    pub(super) fn close_screen(&mut self) -> impl Future<Output = ()> + use<> {
        // Forgotten first, so that its end is not taken for a failure.
        let displays = self.screens.take_all();
        async move {
            for display in displays {
                let _ = display.send(CloseSharedDisplay).await;
            }
        }
    }
}

/// The shared display is up, or gone.
struct ScreenChanged;

impl StreamHandler<ScreenChanged> for LocalWorker {
    fn handle(&mut self, _: ScreenChanged, _: &mut Context<Self>) {
        self.publish();
    }

    fn finished(&mut self, _: &mut Context<Self>) {}
}

impl Handler<ChildExited<SharedDisplayKey>> for LocalWorker {
    type Result = ();

    fn handle(&mut self, exited: ChildExited<SharedDisplayKey>, ctx: &mut Context<Self>) {
        match self.screens.on_exit(&exited, Instant::now(), fastrand::f64()) {
            Verdict::Restart { after, generation } => {
                log::error!("the shared display: {}; starting another in {after:?}", exited.reason);
                self.launcher.metrics.actor_exited("display", exited.reason.label());
                ctx.run_later(after, move |this, ctx| {
                    if this.screens.awaits(&SharedDisplayKey, generation)
                        && let Some(screen) = this.launcher.screen.clone()
                        && let Some(display) = this.start_screen(screen, generation, ctx)
                    {
                        // Checked in the lines before: nobody else runs in between.
                        let _ = this.screens.restarted(&SharedDisplayKey, generation, display);
                    }
                });
            }
            Verdict::GiveUp(text) => self.give_up(text, ctx),
            Verdict::Ended(_) | Verdict::Stale => {}
        }
    }
}
