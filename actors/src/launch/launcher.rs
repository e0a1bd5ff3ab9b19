//! Launches browsers, with a display if they have a window.
//!
//! Sessions and prewarm pools launch in the same way. The result is a [`Launched`], which can be handed from a pool to
//! a session.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use actix::prelude::*;
use camofleet_api::egress::ProxyCheck;
use camofleet_api::identity::{Area, Coherence, ScreenSize, Webrtc};
use camofleet_api::ids::{RequestId, SessionId};
use camofleet_api::proxy::ProxyChoice;
use camofleet_api::view::ViewKey;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SetOnce, oneshot};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::display::{
    Display, DisplayRequest, DisplaySettings, Geometry, ScreenSessions, Screenshotter, SharedScreen,
    authority_file,
};
use crate::driver::protocol::{LaunchOptions, MachineOptions, WindowSize};
use crate::driver::{DriverSeat, LAUNCH_TIMEOUT_SETTING, Launch};
use crate::egress::{self, Egress, EgressHost, EgressSettings, Exit, ProxyPools, Route};
use crate::host::addons::Addons;
use crate::host::engine::{Engine, EngineKind};
use crate::host::rundir::{LaunchDir, RunDir};
use crate::host::slots::{SlotLease, Slots};
use crate::identities::Identities;
use crate::identities::protocol::Constraints;
use crate::launch::browser::{Browser, BrowserParts, BrowserUp};
use crate::launch::launched::{Launched, PartialLaunch, RESPONSE_TIMEOUT};
use crate::launch::{identity, policies};
use crate::metrics::Metrics;
use crate::model::activity::ActivityClock;
use crate::model::error::{Error, Result};
use crate::model::machine::Machine;
use crate::model::session::LaunchTemplate;
use crate::model::traffic::Traffic;
use crate::process::Os;
use crate::supervision::part::{CheckAlive, LaunchPart, PartBond, PartKey};
use crate::supervision::{ChildExited, PulseSettings};

/// Requests a place in one of the worker's drivers.
#[derive(Message)]
#[rtype(result = "Result<DriverSeat>")]
pub(crate) struct AssignDriver;

/// Which of Firefox' network features are disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkSwitches {
    /// HTTP/3 (QUIC), which most proxies can't forward.
    pub disable_http3: bool,
    /// WebRTC, which can reveal to a page the real address behind a proxy.
    pub disable_webrtc: bool,
}

impl NetworkSwitches {
    /// The Firefox preferences that disable them.
    pub fn preferences(self) -> BTreeMap<String, Value> {
        let switches = [
            (self.disable_http3, "network.http.http3.enable", json!(false)),
            (self.disable_webrtc, "media.peerconnection.enabled", json!(false)),
        ];
        switches.into_iter().filter(|(on, ..)| *on).map(|(_, name, value)| (name.to_owned(), value)).collect()
    }
}

/// The queue of creates that wait for their launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueSettings {
    /// How many creates may wait.
    pub length: usize,
    /// How long each may wait.
    pub patience: Duration,
}

/// How browsers are launched.
#[derive(Debug, Clone)]
pub struct LaunchSettings {
    /// The browser.
    pub engine: Engine,
    /// The add-ons that sessions may have.
    pub addons: Addons,
    /// Whether `file:` pages can be opened.
    pub file_pages: bool,
    /// The network features that are disabled.
    pub switches: NetworkSwitches,
    /// Whether requests may let WebRTC connect beside the exit.
    pub webrtc_direct: bool,
    /// How the names of the preferences begin that requests may set.
    pub user_preference_prefixes: Vec<String>,
    /// Whether pages of contexts whose client names no viewport have the size of their window.
    pub window_is_viewport: bool,
    /// How long a browser may take until its server listens.
    pub timeout: Duration,
    /// How many launches may run at once.
    pub permits: usize,
    /// How further creates wait.
    pub queue: QueueSettings,
    /// How browsers' connections are made.
    pub egress: EgressSettings,
    /// How displays are started.
    pub display: DisplaySettings,
    /// How many bytes of the disk a launch may use; `None`: no limit.
    pub disk_limit: Option<NonZeroU64>,
    /// The environment of browsers.
    pub env: Vec<(String, String)>,
    /// Directories of fonts that each browser finds in its `HOME`: the path there, and the real path.
    pub user_fonts: Vec<(PathBuf, PathBuf)>,
    /// How often a browser is polled, and how long it may take to answer.
    pub browser_pulse: PulseSettings,
}

/// The `Retry-After` of a create that is refused because the queue is full: about the duration of one launch.
const BUSY_RETRY: Duration = Duration::from_secs(3);

/// How much longer than the driver's own timeout this side waits: the driver's error comes first because it includes
/// the output of the browser.
const BACKSTOP_MARGIN: Duration = Duration::from_secs(2);

/// Launches browsers for one worker. Clones share the limits.
#[derive(Clone)]
pub(crate) struct Launcher {
    pub os: Arc<dyn Os>,
    pub settings: Arc<LaunchSettings>,
    pub run_dir: RunDir,
    pub slots: Slots,
    pub drivers: Recipient<AssignDriver>,
    pub metrics: Metrics,
    /// The pools of proxies.
    pub proxies: ProxyPools,
    pub(crate) egress: EgressHost,
    /// Draws the machines that browsers show; `None` where they show what they have by themselves.
    pub identities: Option<Identities>,
    /// The screen that all browsers share, if there is one.
    pub screen: Option<SharedScreen>,
    permits: Arc<Semaphore>,
    /// How many creates wait in the queue.
    waiting: Arc<AtomicUsize>,
    /// The outcomes of the last launches.
    pub outcomes: Outcomes,
}

/// The outcomes of the last launches with and without a window, for a session or a pool. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcomes(Arc<[AtomicU8; 2]>);

impl Outcomes {
    const SUCCEEDED: u8 = 1;
    const FAILED: u8 = 2;

    fn of(&self, headless: bool) -> &AtomicU8 {
        &self.0[usize::from(headless)]
    }

    fn record(&self, headless: bool, succeeded: bool) {
        self.of(headless).store(if succeeded { Self::SUCCEEDED } else { Self::FAILED }, Ordering::Relaxed);
    }

    /// Whether the last launch with or without a window succeeded.
    pub fn last_succeeded(&self, headless: bool) -> bool {
        self.of(headless).load(Ordering::Relaxed) == Self::SUCCEEDED
    }
}

/// The number of the last launch in this process.
static LAST_LAUNCH: AtomicU64 = AtomicU64::new(0);

/// The purpose of a launch, which decides whether it may be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LaunchFor {
    /// A new session: it waits in the queue, and is refused if that is full.
    Create,
    /// A pool, or the restart of a session: never refused, as their number is limited already.
    Upkeep,
}

/// A place in the queue for a permit, freed when it is dropped.
struct QueuePlace<'a>(&'a AtomicUsize);

impl<'a> QueuePlace<'a> {
    fn take(waiting: &'a AtomicUsize, length: usize) -> Option<Self> {
        let more = |count: usize| (count < length).then_some(count + 1);
        waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Self(waiting))
    }
}

impl Drop for QueuePlace<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Which display a browser gets.
pub(crate) enum Window {
    /// None: it is headless.
    None,
    /// A display on a newly leased slot.
    NewSlot,
    /// A display on the slot that the session already has, so that its live view keeps its id when it restarts.
    Slot {
        slot: Arc<SlotLease>,
        /// The session's clock and key. The screen has them before the browser runs, so that it does not refuse the
        /// viewers of its own session as those of an ended one.
        clock: ActivityClock,
        key: Option<ViewKey>,
    },
    /// The screen that all browsers share.
    Shared(SharedScreen),
}

/// What to launch, and for whom.
pub(crate) struct LaunchRequest {
    /// What the browser is launched with.
    pub template: LaunchTemplate,
    /// The machine that it shows, if it was launched before; otherwise one is drawn where there are any.
    pub machine: Option<Arc<Machine>>,
    /// Whether a machine is drawn without what contradicts it, or is refused.
    pub coherence: Coherence,
    /// Its display.
    pub window: Window,
    /// Notified of the ends of its parts.
    pub parent: Recipient<ChildExited<PartKey>>,
    /// Whether it may be refused.
    pub purpose: LaunchFor,
    /// The request that caused it, for the logs.
    pub by: Option<RequestId>,
}

/// The display that a browser's window is on.
struct WindowPlace {
    display: u16,
    authority: PathBuf,
    geometry: Geometry,
}

impl Launcher {
    pub fn new(
        os: Arc<dyn Os>,
        settings: Arc<LaunchSettings>,
        run_dir: RunDir,
        slots: Slots,
        drivers: Recipient<AssignDriver>,
        identities: Option<Identities>,
        metrics: Metrics,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(settings.permits));
        let shared = settings.display.shared.clone().filter(|_| settings.display.tools.is_ok());
        let screen = shared.map(SharedScreen::new);
        let egress = EgressHost::new(&settings.egress, Arc::clone(&os), metrics.egress());
        Self {
            proxies: ProxyPools::new(settings.egress.proxies.clone(), settings.egress.trusted.clone()),
            egress,
            os,
            settings,
            run_dir,
            slots,
            drivers,
            identities,
            metrics,
            screen,
            permits,
            waiting: Arc::default(),
            outcomes: Outcomes::default(),
        }
    }

    /// The window of a browser whose session has no display slot yet.
    pub fn window(&self, template: &LaunchTemplate) -> Window {
        match &self.screen {
            _ if template.headless => Window::None,
            Some(screen) => Window::Shared(screen.clone()),
            None => Window::NewSlot,
        }
    }

    /// The route of a session's connections. `key` identifies the session, which keeps its proxy of a pool.
    ///
    /// # Errors
    /// [`Error::UnknownName`].
    pub fn route(
        &self,
        proxy: &ProxyChoice,
        block: &[String],
        key: SessionId,
        traffic: Traffic,
    ) -> Result<Route> {
        let exit = self.exit(proxy, &key)?;
        let lists = &self.settings.egress.lists;
        let block = lists.select(block).map_err(|name| Error::UnknownName {
            field: "block",
            name: name.to_owned(),
            setting: "RUNNER_EGRESS_LISTS",
            known: lists.names().map(str::to_owned).collect(),
        })?;
        Ok(Route { exit, block, traffic })
    }

    /// Rejects a route that this worker does not have.
    ///
    /// # Errors
    /// [`Error::UnknownName`].
    pub fn check_route(&self, proxy: &ProxyChoice, block: &[String]) -> Result<()> {
        self.route(proxy, block, SessionId::nil(), Traffic::default()).map(drop)
    }

    fn exit(&self, proxy: &ProxyChoice, key: &impl Hash) -> Result<Exit> {
        self.proxies.exit(proxy, key).map_err(|name| Error::UnknownName {
            field: "proxy",
            name: name.to_owned(),
            setting: "RUNNER_PROXIES",
            known: self.proxies.names().map(str::to_owned).collect(),
        })
    }

    /// Checks what sites see of connections through a proxy. `key` is that of the session whose proxy of a pool is checked;
    /// without one it is any of the pool.
    ///
    /// # Errors
    /// [`Error::UnknownName`], and those of [`EgressHost::check`].
    pub fn check_proxy(
        &self,
        proxy: &ProxyChoice,
        key: Option<SessionId>,
    ) -> impl Future<Output = Result<ProxyCheck>> + use<> {
        let exit = self.exit(proxy, &key.unwrap_or_else(SessionId::new_v4));
        let egress = self.egress.clone();
        async move {
            match key {
                Some(_) => egress.check_in_turn(exit?).await,
                None => egress.check(exit?).await,
            }
        }
    }

    /// Whether the place can be looked up where the connections of a session leave, and is the same for all of them.
    pub fn knows_places(&self, proxy: &ProxyChoice) -> bool {
        self.egress.knows_places() && !self.proxies.rotates(proxy)
    }

    /// Assigns a launch its unique number and creates its directory.
    ///
    /// # Errors
    /// The file system is full, read-only or unmounted.
    pub fn create_directory(&self) -> Result<(u64, LaunchDir)> {
        let launch = LAST_LAUNCH.fetch_add(1, Ordering::Relaxed) + 1;
        let dir = self.run_dir.launch_dir(launch).map_err(|error| Error::LaunchFailed {
            detail: format!("could not create its directory in {}: {error}", self.run_dir.path().display()),
        })?;
        Ok((launch, dir))
    }

    /// Waits for a permit to launch. New sessions wait in a queue of bounded length, for a bounded time.
    async fn acquire_permit(&self, purpose: LaunchFor) -> Result<OwnedSemaphorePermit> {
        let closed = |_| Error::Cancelled;
        let permits = Arc::clone(&self.permits);
        if purpose == LaunchFor::Upkeep {
            return permits.acquire_owned().await.map_err(closed);
        }
        if let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
            return Ok(permit);
        }
        let QueueSettings { length, patience } = self.settings.queue;
        let busy = |detail: String| Error::Busy { detail, retry_after: BUSY_RETRY };
        let _place = QueuePlace::take(&self.waiting, length).ok_or_else(|| {
            busy(format!("{length} creates are waiting already, as many as RUNNER_LAUNCH_QUEUE allows"))
        })?;
        match tokio::time::timeout(patience, permits.acquire_owned()).await {
            Ok(permit) => permit.map_err(closed),
            Err(_) => Err(busy(format!(
                "its launch could not begin within {} s (RUNNER_LAUNCH_QUEUE_SECONDS)",
                patience.as_secs_f32()
            ))),
        }
    }

    /// Launches a browser. If it is cancelled or fails, the parts that were started are closed before this returns.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::Busy`], or the reason for the failure.
    pub async fn launch(&self, request: LaunchRequest, cancel: &CancellationToken) -> Result<Launched> {
        let purpose = request.purpose;
        let by = request.by.clone();
        let permit = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(Error::Cancelled),
            permit = self.acquire_permit(purpose) => permit?,
        };
        let headless = matches!(request.window, Window::None);
        let kind = if headless { "headless" } else { "display" };
        let started = tokio::time::Instant::now();
        let launched = self.launch_permitted(request, cancel).await;
        let outcome = launched.as_ref().map_or_else(Error::code, |_| "ok");
        self.metrics.launch(kind, outcome, started.elapsed());
        if !matches!(launched, Err(Error::Cancelled)) {
            self.outcomes.record(headless, launched.is_ok());
        }
        if let Ok(Launched { launch, version, .. }) = &launched {
            let engine = self.settings.engine.kind.as_str();
            let request = by.map(|by| format!(", request {by}")).unwrap_or_default();
            let took = started.elapsed().as_millis();
            log::debug!("launch {launch}: {engine} {version} ({kind}) is ready after {took} ms{request}");
        }
        drop(permit);
        launched
    }

    async fn launch_permitted(
        &self,
        mut request: LaunchRequest,
        cancel: &CancellationToken,
    ) -> Result<Launched> {
        // Before anything is started for it.
        if let (None, Some(identities)) = (&request.machine, &self.identities) {
            let constraints = self.constraints(&request);
            let seed = request.template.identity.machine.seed.as_deref();
            request.machine = Some(identities.draw(&constraints, seed, cancel).await?);
        }
        let mut partial = PartialLaunch::default();
        match self.build(&mut partial, request, cancel).await {
            Ok(launched) => Ok(launched),
            Err(error) => {
                partial.dismantle().await;
                Err(error)
            }
        }
    }

    async fn build(
        &self,
        partial: &mut PartialLaunch,
        request: LaunchRequest,
        cancel: &CancellationToken,
    ) -> Result<Launched> {
        let LaunchRequest { template, machine, window, parent, .. } = request;
        let (launch, dir) = self.create_directory()?;
        let home = dir.make_home(&self.settings.user_fonts).map_err(|error| Error::LaunchFailed {
            detail: format!("could not create its home directory in {}: {error}", dir.path().display()),
        })?;
        let loss = Arc::new(SetOnce::new());
        let bond = PartBond::new(parent.clone(), launch, LaunchPart::Egress, &loss);
        let egress = Egress::start(&self.egress, &dir, bond);
        let (egress, gate) = egress.map_err(|error| Error::LaunchFailed { detail: error.to_string() })?;
        partial.egress = Some(egress.clone());
        let egress_answers = egress.send(CheckAlive);
        let own = ScreenSessions::default();
        let (slot, shared) = match window {
            Window::None => (None, None),
            Window::NewSlot => (Some(Arc::new(self.slots.lease(self.os.as_ref())?)), None),
            Window::Slot { slot, clock, key } => {
                own.add(launch, clock, key);
                (Some(slot), None)
            }
            Window::Shared(screen) => (None, Some(screen)),
        };
        let clocks = shared.as_ref().map_or(own, |screen| screen.clocks.clone());
        let (mut place, mut screenshotter) = (None, None);
        if let Some(screen) = &shared {
            let access = screen.ready(&self.settings.display, cancel).await?;
            let authority = access.authority;
            screenshotter = Some(access.screenshotter);
            let (display, geometry) = (screen.settings.display, screen.settings.geometry);
            place = Some(WindowPlace { display, authority, geometry });
        }
        if let Some(slot) = &slot {
            let (own_screenshotter, screenshots) = Screenshotter::new();
            screenshotter = Some(own_screenshotter);
            // A machine that was drawn earlier, for a browser without a window, may have another screen.
            let drawn = machine.as_ref().map(|machine| machine.summary.screen);
            let drawn = drawn.map(|Area { width, height, .. }| ScreenSize { width, height });
            let geometry = self.settings.display.geometry.of_size(drawn.or(template.identity.screen));
            let request = DisplayRequest {
                geometry,
                os: &self.os,
                run_dir: &self.run_dir,
                dir: &dir,
                slot: Arc::clone(slot),
                bond: PartBond::new(parent.clone(), launch, LaunchPart::Display, &loss),
                clocks: clocks.clone(),
                screenshots,
                metrics: &self.metrics,
                cancel,
            };
            let started = tokio::time::Instant::now();
            partial.display = Some(Display::start_ready(&self.settings.display, request).await?);
            self.metrics.display_ready(started.elapsed());
            let authority = authority_file(&dir);
            place = Some(WindowPlace { display: slot.display, authority, geometry });
        }
        let restarting = Error::Restarting { what: "worker" };
        let seat = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(Error::Cancelled),
            loss = loss.wait() => return Err(loss.clone().into()),
            seat = self.drivers.send(AssignDriver) => seat.map_err(|_| restarting)??,
        };
        let options =
            self.launch_options(&template, machine.as_deref(), place.as_ref(), &dir, &home, &seat)?;
        let driver = seat.driver.address.clone();
        let (os, pulse) = (Arc::clone(&self.os), self.settings.browser_pulse);
        let store_patience = template.user_data.as_ref().and_then(|data| data.patience);
        let parts = BrowserParts { launch, os, group: None, seat, dir, pulse, store_patience };
        partial.stores = store_patience.is_some();
        let bond = PartBond::new(parent, launch, LaunchPart::Browser, &loss);
        let browser = partial.browser.insert(Browser::start_empty(bond, parts)).clone();
        let (answer, answered) = oneshot::channel();
        // One message for each launch.
        driver.do_send(Launch { launch, options, watcher: browser.clone().recipient(), answer });
        let limit = self.settings.timeout;
        let up = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(Error::Cancelled),
            loss = loss.wait() => return Err(loss.clone().into()),
            () = tokio::time::sleep(limit + BACKSTOP_MARGIN) => {
                return Err(Error::LaunchTimedOut {
                    what: "browser",
                    limit,
                    setting: LAUNCH_TIMEOUT_SETTING,
                    last_output: "its driver did not report a result either".to_owned(),
                });
            }
            up = answered => up.unwrap_or_else(|_| Err(Error::DriverLost { detail: "its driver has ended".to_owned() }))?,
        };
        let endpoint = Url::parse(&up.endpoint).map_err(|error| Error::LaunchFailed {
            detail: format!(
                "its driver reported '{}' as its Playwright server, which is not a URL: {error}",
                up.endpoint
            ),
        })?;
        // If the browser has ended meanwhile, the loss is recorded and the new owner checks it.
        let _ = browser.send(BrowserUp { group: up.pid }).await;
        // Asked before the launch. A browser whose egress hangs could not connect to anything.
        if tokio::time::timeout(RESPONSE_TIMEOUT, egress_answers).await.is_err() {
            return Err(Error::LaunchFailed {
                detail: format!(
                    "its egress did not answer for {RESPONSE_TIMEOUT:?}; restart camofleet if this happens again"
                ),
            });
        }
        (partial.browser, partial.egress) = (None, None);
        let (display, stores) = (partial.display.take(), partial.stores);
        let version = up.version;
        Ok(Launched {
            launch,
            browser,
            display,
            egress,
            stores,
            gate,
            driver,
            machine,
            slot,
            endpoint,
            version,
            loss,
            clocks,
            screenshotter,
        })
    }

    /// The browser's executable. Unless `file:` pages are allowed, it is that of an installation that blocks them, if
    /// possible.
    fn executable(&self) -> PathBuf {
        let Engine { kind, executable, .. } = &self.settings.engine;
        if self.settings.file_pages || *kind != EngineKind::Firefox {
            return executable.clone();
        }
        policies::without_file_pages(self.run_dir.path(), executable).unwrap_or_else(|error| {
            log::warn!("could not block 'file:' pages in Firefox, so clients can open them: {error}");
            executable.clone()
        })
    }

    /// What a machine for this launch has to be like. A browser with a window has the screen of its display.
    fn constraints(&self, request: &LaunchRequest) -> Constraints {
        let LaunchRequest { template: LaunchTemplate { identity, .. }, window, coherence, .. } = request;
        let display = match window {
            Window::None => None,
            Window::Shared(screen) => Some(screen.settings.geometry),
            Window::NewSlot | Window::Slot { .. } => {
                Some(self.settings.display.geometry.of_size(identity.screen))
            }
        };
        let of_display = |geometry: Geometry| ScreenSize { width: geometry.width, height: geometry.height };
        let screen = display.map(of_display).or(identity.screen);
        let executable = self.settings.engine.executable.clone();
        let block_webrtc = self.settings.webrtc(identity) == Webrtc::Off;
        Constraints::of(identity, executable, screen, block_webrtc, *coherence)
    }

    fn launch_options(
        &self,
        LaunchTemplate { identity, user_data, .. }: &LaunchTemplate,
        machine: Option<&Machine>,
        place: Option<&WindowPlace>,
        dir: &LaunchDir,
        home: &Path,
        seat: &DriverSeat,
    ) -> Result<LaunchOptions> {
        let mut env: BTreeMap<String, String> = self.settings.env.iter().cloned().collect();
        env.extend([self.run_dir.mark(), seat.driver.mark.clone()]);
        if machine.is_none() {
            identity::set_environment(identity, &mut env);
        }
        env.insert("HOME".to_owned(), home.display().to_string());
        // Crashes are detected by the end of the process; the crash reporter would be one more process for each
        // browser.
        env.insert("MOZ_CRASHREPORTER_DISABLE".to_owned(), "1".to_owned());
        if let Some(place) = place {
            env.insert("DISPLAY".to_owned(), format!(":{}", place.display));
            env.insert("XAUTHORITY".to_owned(), place.authority.display().to_string());
        }
        let engine = &self.settings.engine;
        let executable = self.executable();
        let geometry = || {
            place.map_or_else(
                || self.settings.display.geometry.of_size(identity.screen),
                |place| place.geometry,
            )
        };
        let webrtc = self.settings.webrtc(identity);
        let switches = NetworkSwitches { disable_webrtc: webrtc == Webrtc::Off, ..self.settings.switches };
        let mut preferences = self.settings.user_preferences(identity);
        preferences.extend(switches.preferences());
        if machine.is_none() {
            preferences.extend(identity::preferences(identity));
        }
        preferences.extend(egress::preferences(dir.path()));
        if webrtc == Webrtc::On {
            egress::let_webrtc_out(&mut preferences);
        }
        let (window, machine) = match machine {
            None => {
                let Geometry { width, height, .. } = geometry();
                (WindowSize { width, height }, None)
            }
            Some(machine) => {
                preferences = machine.preferences(preferences);
                let addons = self.settings.addons(&identity.machine)?;
                let options = machine_options(machine, engine, &preferences, &addons, dir.path())?;
                let Area { width, height, .. } = machine.summary.screen;
                (WindowSize { width, height }, Some(options))
            }
        };
        Ok(LaunchOptions {
            engine: engine.kind,
            executable: executable.display().to_string(),
            headless: place.is_none(),
            directory: dir.path().display().to_string(),
            user_data: user_data.as_ref().map(|data| data.directory.display().to_string()),
            env,
            machine,
            preferences,
            egress: egress::socket(dir.path()).display().to_string(),
            block_webrtc: switches.disable_webrtc,
            window_is_viewport: self.settings.window_is_viewport,
            window,
            timeout_ms: u64::try_from(self.settings.timeout.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

/// The file in a launch's directory with the configuration of its machine's fonts.
const FONTS_FILE: &str = "fonts.conf";

/// What a browser is given to be a machine. Writes the configuration of its fonts.
///
/// # Errors
/// [`Error::LaunchFailed`]: the file can't be written.
fn machine_options(
    machine: &Machine,
    engine: &Engine,
    preferences: &BTreeMap<String, Value>,
    addons: &[PathBuf],
    dir: &Path,
) -> Result<MachineOptions> {
    let fonts = dir.join(FONTS_FILE);
    let installation = engine.executable.parent().unwrap_or(Path::new("/"));
    std::fs::write(&fonts, machine.fontconfig(installation)).map_err(|error| Error::LaunchFailed {
        detail: format!("could not write {}: {error}", fonts.display()),
    })?;
    Ok(MachineOptions {
        env: machine.environment(preferences, &fonts, addons, engine.version.as_deref()),
        arguments: machine.arguments.clone(),
        window: machine.summary.window,
    })
}
