//! Launching: from a wish for a browser to one that is up, with its display if it has a window.
//!
//! Sessions and prewarm pools launch in the same way; what comes out is a [`Launched`] pair that can go from a pool
//! to a session.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::prelude::*;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::browser::{Browser, BrowserParts, BrowserUp, CloseBrowser};
use crate::display::{CloseDisplay, Display, DisplayRequest, DisplaySettings, authority_file};
use crate::driver::protocol::{LaunchOptions, WindowSize};
use crate::driver::{CancelLaunch, Driver, DriverSeat, Launch};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::process::Os;
use crate::rundir::{LaunchDir, RunDir};
use crate::slots::{SlotLease, Slots};
use crate::supervision::ChildExited;

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

/// From now on this parent is told of the part's end.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Adopt(pub Recipient<ChildExited<PartKey>>);

/// Asks the worker for a place in one of its drivers.
#[derive(Message)]
#[rtype(result = "Result<DriverSeat>")]
pub(crate) struct AssignDriver;

/// Which of Firefox' network features are switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkSwitches {
    /// HTTP/3 (QUIC): proxies don't carry it.
    pub disable_http3: bool,
    /// IPv6 lookups.
    pub disable_ipv6: bool,
    /// WebRTC, which can tell a page the real address behind a proxy.
    pub disable_webrtc: bool,
}

impl NetworkSwitches {
    /// The Firefox preferences that do it.
    pub fn preferences(self) -> BTreeMap<String, Value> {
        let switches = [
            (self.disable_http3, "network.http.http3.enable", json!(false)),
            (self.disable_ipv6, "network.dns.disableIPv6", json!(true)),
            (self.disable_webrtc, "media.peerconnection.enabled", json!(false)),
        ];
        switches.into_iter().filter(|(on, ..)| *on).map(|(_, name, value)| (name.to_owned(), value)).collect()
    }
}

/// How browsers are launched.
#[derive(Debug, Clone)]
pub struct LaunchSettings {
    /// The browser.
    pub engine: Engine,
    /// Network features that are off.
    pub switches: NetworkSwitches,
    /// How long a browser may take until its server listens.
    pub timeout: Duration,
    /// How many launches may run at once.
    pub permits: usize,
    /// How displays are started.
    pub display: DisplaySettings,
    /// The environment that browsers start from.
    pub env: Vec<(String, String)>,
}

/// What the driver may take beyond the launch's own limit to say that it ran out.
const ANSWER_MARGIN: Duration = Duration::from_secs(2);
/// How long a cancelled launch may take to be gone.
const CANCEL_PATIENCE: Duration = Duration::from_secs(5);

/// Launches browsers for one worker. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Launcher {
    pub os: Arc<dyn Os>,
    pub settings: Arc<LaunchSettings>,
    pub run_dir: RunDir,
    pub slots: Slots,
    pub drivers: Recipient<AssignDriver>,
    pub metrics: Metrics,
    permits: Arc<Semaphore>,
}

/// The number of the last launch in this process.
static LAST_LAUNCH: AtomicU64 = AtomicU64::new(0);

/// Where a browser with a window gets its display.
pub(crate) enum Window {
    /// It has none: headless.
    None,
    /// On a slot of its own.
    NewSlot,
    /// On the slot that the session already has: its live view keeps its id through a restart.
    Slot(Arc<SlotLease>),
}

impl Launcher {
    pub fn new(
        os: Arc<dyn Os>,
        settings: Arc<LaunchSettings>,
        run_dir: RunDir,
        slots: Slots,
        drivers: Recipient<AssignDriver>,
        metrics: Metrics,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(settings.permits));
        Self { os, settings, run_dir, slots, drivers, metrics, permits }
    }

    /// Launches a browser. When `cancel` fires, everything begun is taken down before this returns.
    ///
    /// # Errors
    /// [`Error::Cancelled`], or why the launch came to nothing; nothing is left of it then.
    pub async fn launch(
        &self,
        window: Window,
        parent: Recipient<ChildExited<PartKey>>,
        cancel: &CancellationToken,
    ) -> Result<Launched> {
        let permit = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(Error::Cancelled),
            permit = self.permits.acquire() => permit,
        };
        let kind = if matches!(window, Window::None) { "headless" } else { "display" };
        let started = tokio::time::Instant::now();
        let launched = self.launch_permitted(window, parent, cancel).await;
        let outcome = launched.as_ref().map_or_else(Error::code, |_| "ok");
        self.metrics.launch(kind, outcome, started.elapsed());
        drop(permit);
        launched
    }

    async fn launch_permitted(
        &self,
        window: Window,
        parent: Recipient<ChildExited<PartKey>>,
        cancel: &CancellationToken,
    ) -> Result<Launched> {
        let launch = LAST_LAUNCH.fetch_add(1, Ordering::Relaxed) + 1;
        let dir = self.run_dir.launch_dir(launch).map_err(|error| Error::LaunchFailed {
            detail: format!("no directory for it in {}: {error}", self.run_dir.path().display()),
        })?;
        let slot = match window {
            Window::None => None,
            Window::NewSlot => Some(Arc::new(self.slots.lease(self.os.as_ref())?)),
            Window::Slot(slot) => Some(slot),
        };
        let display = match &slot {
            None => None,
            Some(slot) => {
                let request = DisplayRequest {
                    os: &self.os,
                    run_dir: &self.run_dir,
                    dir: &dir,
                    slot: Arc::clone(slot),
                    parent: parent.clone(),
                    launch,
                };
                let started = tokio::time::Instant::now();
                let display = Display::start_ready(&self.settings.display, request).await?;
                self.metrics.display_ready(started.elapsed());
                Some(DisplayGuard(display))
            }
        };
        let restarting = Error::Restarting { what: "worker" };
        let seat = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(Error::Cancelled),
            seat = self.drivers.send(AssignDriver) => seat.map_err(|_| restarting)??,
        };
        let options = self.options(slot.as_deref(), &dir, &seat);
        let driver = seat.driver.address.clone();
        let parts = BrowserParts { os: Arc::clone(&self.os), group: None, seat, dir };
        let browser = BrowserGuard(Browser::start_empty(parent, launch, parts));
        let answer = driver.send(Launch { launch, options, watcher: browser.0.clone().recipient() });
        let answer =
            async { answer.await.unwrap_or_else(|_| Err(Error::DriverLost { detail: "it is gone".into() })) };
        tokio::pin!(answer);
        let limit = self.settings.timeout;
        let failure = tokio::select! {
            biased;
            () = cancel.cancelled() => Error::Cancelled,
            () = tokio::time::sleep(limit + ANSWER_MARGIN) =>
                Error::LaunchTimedOut { what: "browser", limit, setting: "RUNNER_LAUNCH_TIMEOUT_SECONDS" },
            up = &mut answer => {
                let up = up?;
                // Fails only when the browser ended in the meantime; its parent then gets the news from it.
                let _ = browser.0.send(BrowserUp { group: up.pid }).await;
                let (browser, display) = (browser.release(), display.map(DisplayGuard::release));
                return Ok(Launched { launch, browser, display, driver, slot, endpoint: up.endpoint, version: up.version });
            }
        };
        driver.do_send(CancelLaunch { launch });
        // A browser that came up at the very last moment is killed with its process group.
        if let Ok(Ok(up)) = tokio::time::timeout(CANCEL_PATIENCE, answer).await {
            let _ = browser.0.send(BrowserUp { group: up.pid }).await;
        }
        let browser = browser.release();
        let _ = browser.send(CloseBrowser).await;
        if let Some(display) = display.map(DisplayGuard::release) {
            let _ = display.send(CloseDisplay).await;
        }
        Err(failure)
    }

    fn options(&self, slot: Option<&SlotLease>, dir: &LaunchDir, seat: &DriverSeat) -> LaunchOptions {
        let mut env: BTreeMap<String, String> = self.settings.env.iter().cloned().collect();
        env.extend([self.run_dir.mark(), seat.driver.mark.clone()]);
        // A crash is told by the process' end; a helper process for each browser would only wait for it.
        env.insert("MOZ_CRASHREPORTER_DISABLE".to_owned(), "1".to_owned());
        if let Some(slot) = slot {
            env.insert("DISPLAY".to_owned(), format!(":{}", slot.display));
            env.insert("XAUTHORITY".to_owned(), authority_file(dir).display().to_string());
        }
        let engine = &self.settings.engine;
        let geometry = self.settings.display.geometry;
        LaunchOptions {
            engine: engine.kind,
            executable: engine.executable.display().to_string(),
            version: engine.version.clone(),
            headless: slot.is_none(),
            directory: dir.path().display().to_string(),
            env,
            preferences: self.settings.switches.preferences(),
            block_webrtc: self.settings.switches.disable_webrtc,
            window: WindowSize { width: geometry.width, height: geometry.height },
            timeout_ms: u64::try_from(self.settings.timeout.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// Closes a display unless it is released: the driver's hold on addresses would keep it up otherwise.
struct DisplayGuard(Addr<Display>);

impl DisplayGuard {
    fn release(self) -> Addr<Display> {
        let display = self.0.clone();
        std::mem::forget(self);
        display
    }
}

impl Drop for DisplayGuard {
    fn drop(&mut self) {
        self.0.do_send(CloseDisplay);
    }
}

/// The same for a browser.
struct BrowserGuard(Addr<Browser>);

impl BrowserGuard {
    fn release(self) -> Addr<Browser> {
        let browser = self.0.clone();
        std::mem::forget(self);
        browser
    }
}

impl Drop for BrowserGuard {
    fn drop(&mut self) {
        self.0.do_send(CloseBrowser);
    }
}

/// A browser that is up, with its display: what pools keep and sessions run on. Dropped, it is taken down.
pub(crate) struct Launched {
    /// The launch's number.
    pub launch: u64,
    /// The Playwright server, on loopback.
    pub endpoint: String,
    /// The version that the browser reports.
    pub version: String,
    /// Where it lives.
    pub driver: Addr<Driver>,
    /// The slot of its display.
    pub slot: Option<Arc<SlotLease>>,
    browser: Addr<Browser>,
    display: Option<Addr<Display>>,
}

impl Launched {
    /// Puts the parts under a new parent. False when one of them has died already.
    pub async fn adopt(&self, parent: Recipient<ChildExited<PartKey>>) -> bool {
        let browser = self.browser.send(Adopt(parent.clone())).await.is_ok();
        match &self.display {
            Some(display) => browser && display.send(Adopt(parent)).await.is_ok(),
            None => browser,
        }
    }

    /// Takes it down; resolves when nothing of it is left.
    pub async fn dismantle(self) {
        let browser = self.browser.send(CloseBrowser);
        match &self.display {
            Some(display) => {
                // A part that is gone already has cleaned up after itself.
                let _ = futures_util::future::join(browser, display.send(CloseDisplay)).await;
            }
            None => {
                let _ = browser.await;
            }
        }
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        // No effect after `dismantle`: the mailboxes are closed.
        self.browser.do_send(CloseBrowser);
        if let Some(display) = &self.display {
            display.do_send(CloseDisplay);
        }
    }
}
