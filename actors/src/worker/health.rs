//! A worker's health: checks as text for people, and facts as values for programs.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use camofleet_api::facts::{EgressFacts, EngineFacts, Facts, MachineFacts, PoolFill, SessionDefaults, Slots};
use jiff::Timestamp;

use super::diagnostics::Diagnosis;
use super::drivers::DriverPool;
use super::{Check, WorkerSettings, can_launch, pool_check};
use crate::identities::{Identities, MakerVersions};
use crate::launch::launcher::Launcher;
use crate::launch::prewarm::{PoolName, PoolSettings};

/// A worker's checks by their names.
pub(super) type Checks = BTreeMap<Cow<'static, str>, Check>;

/// The state from which a worker's health is reported.
pub(super) struct HealthReport {
    settings: Arc<WorkerSettings>,
    started_at: Timestamp,
    /// The fill of each pool that is enabled.
    fills: HashMap<PoolName, PoolFill>,
    /// The results of the network diagnostics.
    pub diagnoses: Vec<Diagnosis>,
}

/// The health check of the identity maker. `answers` is whether it does, `None` while there is none: nothing can be launched
/// then. Launches wait for one that is starting.
fn maker_check(identities: &Identities, answers: Option<bool>) -> Check {
    match (identities.versions(), answers) {
        (Ok(MakerVersions { library, python, .. }), Some(answers)) => {
            let unresponsive = if answers { "" } else { ", not answering" };
            Check { ok: answers, text: format!("up{unresponsive}, camoufox {library}, python {python}") }
        }
        (Err(Some(reason)), Some(_)) => Check::fine(format!("starting; the last one ended: {reason}")),
        (_, Some(_)) => Check::fine("starting"),
        (Err(Some(reason)), None) => Check { ok: false, text: format!("restarting: {reason}") },
        (_, None) => Check { ok: false, text: "restarting".to_owned() },
    }
}

impl HealthReport {
    /// The report of a worker that is starting: no pool is enabled yet, and the diagnostics are pending.
    pub fn new(settings: Arc<WorkerSettings>) -> Self {
        let diagnoses = settings.diagnostics.urls.iter().map(Diagnosis::pending).collect();
        Self { settings, started_at: Timestamp::now(), fills: HashMap::new(), diagnoses }
    }

    /// Records the fill of a pool.
    pub fn set_pool_fill(&mut self, name: PoolName, fill: PoolFill) {
        self.fills.insert(name, fill);
    }

    /// The current checks.
    pub fn checks(&self, launcher: &Launcher, drivers: &DriverPool, maker_answers: Option<bool>) -> Checks {
        let launch = &self.settings.launch;
        let mut checks = BTreeMap::from([
            ("engine".into(), Check::fine(launch.engine.to_string())),
            ("display".into(), self.display(launcher)),
            ("driver".into(), drivers.check()),
        ]);
        if let Some(identities) = &launcher.identities {
            checks.insert("identity".into(), maker_check(identities, maker_answers));
        }
        for pool in &self.settings.pools {
            checks.insert(pool_check(pool.name.as_str()).into(), self.pool(pool, launcher));
        }
        if let Err(error) = launcher.run_dir.restore() {
            let path = launcher.run_dir.path().display();
            let text = format!("{path} can't be used: {error}; every create fails until it can");
            checks.insert("run_directory".into(), Check { ok: false, text });
        }
        for diagnosis in &self.diagnoses {
            checks.insert(diagnosis.check.clone().into(), Check::fine(diagnosis.text.clone()));
        }
        checks
    }

    fn display(&self, launcher: &Launcher) -> Check {
        Check::fine(match (&self.settings.launch.display.tools, &launcher.screen) {
            (Ok(tools), Some(screen)) => {
                let state = if screen.is_running() { "up" } else { "starting" };
                format!("{}, one shared screen :{} {state}", tools.name(), screen.settings.display)
            }
            (Ok(tools), None) => {
                let (free, all) = (launcher.slots.free(), launcher.slots.capacity());
                format!("{}, {free} of {all} slots free", tools.name())
            }
            // Healthy: headless sessions need no display tools.
            (Err(remedy), _) => remedy.clone(),
        })
    }

    fn pool(&self, pool: &PoolSettings, launcher: &Launcher) -> Check {
        let Some(fill) = self.fills.get(&pool.name) else { return Check::fine("off") };
        let filled = format!("{} of {} ready", fill.ready, fill.target);
        match &fill.last_error {
            // While other launches succeed an empty pool is only a warning, as sessions can still be created.
            Some(error) if fill.ready > 0 || launcher.outcomes.last_succeeded(pool.template.headless) => {
                Check::fine(format!("{filled}; warning: the pool's last launch failed: {error}"))
            }
            Some(error) => Check { ok: false, text: format!("{filled}; the last launch failed: {error}") },
            None => Check::fine(filled),
        }
    }

    /// Whether sessions of at least one kind can be created: a failing pool of one kind does not affect sessions of the
    /// other.
    pub fn is_healthy(&self, checks: &Checks) -> bool {
        let pools: Vec<String> =
            self.settings.pools.iter().map(|pool| pool_check(pool.name.as_str())).collect();
        let mut common = checks.iter().filter(|(name, _)| !pools.iter().any(|pool| **pool == **name));
        let facts = self.pools();
        let usable = |headless| can_launch(&facts, checks, headless);
        common.all(|(_, check)| check.ok) && (usable(true) || self.settings.displays() && usable(false))
    }

    fn pools(&self) -> BTreeMap<String, PoolFill> {
        self.fills.iter().map(|(name, fill)| (name.as_str().to_owned(), fill.clone())).collect()
    }

    fn egress(&self, launcher: &Launcher) -> EgressFacts {
        let (egress, defaults) = (&self.settings.launch.egress, &self.settings.defaults);
        EgressFacts {
            policy: egress.policy.level.as_str().to_owned(),
            proxies: launcher.proxies.names().map(str::to_owned).collect(),
            default_proxy: defaults.proxy.view(),
            block_lists: egress.lists.names().map(str::to_owned).collect(),
            default_block: defaults.block.clone(),
            checks_proxies: !egress.checks.urls.is_empty(),
            city_database: egress.checks.cities.description().map(str::to_owned),
        }
    }

    fn machines(&self, identities: &Identities) -> MachineFacts {
        let running = identities.versions().ok();
        let (library, python) =
            running.map(|MakerVersions { library, python, .. }| (library, python)).unzip();
        MachineFacts {
            library,
            python,
            addons: self.settings.launch.addons.names().map(str::to_owned).collect(),
        }
    }

    /// The facts of the worker, with this number of live sessions.
    pub fn facts(&self, launcher: &Launcher, drivers: &DriverPool, sessions: usize, draining: bool) -> Facts {
        let (settings, displays) = (&self.settings, self.settings.displays());
        let (engine, defaults) = (&settings.launch.engine, &settings.defaults);
        let (playwright, node) =
            drivers.versions().map(|versions| (versions.playwright, versions.node)).unzip();
        let (free, total) = (launcher.slots.free(), launcher.slots.capacity());
        // Neither a shared screen nor a worker without display tools uses slots.
        let has_slots = displays && launcher.screen.is_none();
        Facts {
            sessions,
            capacity: Some(settings.max_sessions),
            defaults: SessionDefaults {
                idle_ttl: Some(defaults.idle_ttl),
                // The effective default: without display tools all sessions are headless.
                headless: Some(defaults.headless || !displays),
                start_url: defaults.start_url.clone(),
                start_url_wait: Some(defaults.start_url_wait),
            },
            engine: Some(EngineFacts {
                name: engine.kind.as_str().to_owned(),
                version: engine.version.clone(),
            }),
            playwright,
            node,
            pools: self.pools(),
            slots: has_slots.then(|| Slots { used: total - free, total }),
            egress: Some(self.egress(launcher)),
            identity: settings.launch.identity_fields().map(str::to_owned).collect(),
            machines: launcher.identities.as_ref().map(|identities| self.machines(identities)),
            profiles: None,
            drivers: Some(drivers.iter().count()),
            draining,
            started_at: Some(self.started_at.into()),
            host_name: Some(settings.host_name.clone()),
        }
    }
}
