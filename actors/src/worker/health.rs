//! What a worker says of its health.

use std::borrow::Cow;
use std::collections::BTreeMap;

use camofleet_api::facts::{self, EngineFacts, Facts, Pools, Slots};

use super::local::LocalWorker;
use super::{Check, pool_check};
use crate::driver::DriverVersions;
use crate::launch::prewarm::PoolKind;
use crate::model::session::SessionDefaults;

impl LocalWorker {
    pub(super) fn versions(&self) -> Option<DriverVersions> {
        self.drivers.iter().find_map(|(_, driver)| driver.versions.borrow().clone())
    }

    pub(super) fn checks(&self) -> BTreeMap<Cow<'static, str>, Check> {
        let fine = |text: String| Check { ok: true, text };
        let mut checks = BTreeMap::from([("engine".into(), fine(self.settings.launch.engine.to_string()))]);
        let display = match (&self.settings.launch.display.tools, &self.launcher.screen) {
            (Ok(tools), Some(screen)) => {
                let state = if screen.is_up() { "up" } else { "starting" };
                format!("{}, one shared screen :{} {state}", tools.name(), screen.settings.display)
            }
            (Ok(tools), None) => {
                let (free, all) = (self.launcher.slots.free(), self.launcher.slots.capacity());
                format!("{}, {free} of {all} slots free", tools.name())
            }
            // Headless sessions need none: a worker without display tools is a healthy one.
            (Err(remedy), _) => remedy.clone(),
        };
        checks.insert("display".into(), fine(display));
        let up = self.drivers.iter().filter(|(_, driver)| driver.is_up()).count();
        let hung = self.drivers.iter().filter(|(_, driver)| !driver.is_answering()).count();
        let driver = match self.versions() {
            Some(DriverVersions { playwright, node }) => {
                let quiet = if hung > 0 { format!(", {hung} not answering") } else { String::new() };
                // Launches get another one, which is there in a second.
                fine(format!("{up} up{quiet}, playwright {playwright}, node {node}"))
            }
            // Launches wait for a driver that starts; one that has to be started first is a failure.
            None if self.drivers.iter().next().is_some() => fine("starting".to_owned()),
            None => Check { ok: false, text: "restarting".to_owned() },
        };
        checks.insert("driver".into(), driver);
        for kind in [PoolKind::Headless, PoolKind::Vnc] {
            let name = pool_check(kind);
            let check = match self.fills.get(name) {
                None => fine("off".to_owned()),
                Some(fill) => {
                    let filled = format!("{} of {} ready", fill.ready, fill.target);
                    match &fill.last_error {
                        // A dry pool is a warning while cold launches work: sessions are still to be had.
                        Some(error) if fill.ready > 0 || self.launcher.outcomes.works(kind) => {
                            fine(format!("{filled}; warning: the pool's last launch failed: {error}"))
                        }
                        Some(error) => {
                            Check { ok: false, text: format!("{filled}; the last launch failed: {error}") }
                        }
                        None => fine(filled),
                    }
                }
            };
            checks.insert(name.into(), check);
        }
        if let Err(error) = self.launcher.run_dir.restore() {
            let path = self.launcher.run_dir.path().display();
            let text = format!("{path} can't be used: {error}; every create fails until it can");
            checks.insert("run_directory".into(), Check { ok: false, text });
        }
        for diagnosis in &self.diagnoses {
            checks.insert(diagnosis.check.clone().into(), fine(diagnosis.text.clone()));
        }
        checks
    }

    /// Whether it can have sessions of any kind: what is wrong with the browsers of one kind is no matter of the other.
    pub(super) fn takes_any(&self, checks: &BTreeMap<Cow<'static, str>, Check>) -> bool {
        let kinds = [PoolKind::Headless, PoolKind::Vnc];
        let pools = kinds.map(pool_check);
        let common = checks.iter().filter(|(name, _)| !pools.contains(&name.as_ref()));
        let mut usable = kinds.iter().filter(|kind| **kind == PoolKind::Headless || self.displays());
        common.into_iter().all(|(_, check)| check.ok)
            && usable.any(|kind| checks.get(pool_check(*kind)).is_none_or(|check| check.ok))
    }

    /// What it is and has, with so many live sessions.
    pub(super) fn facts(&self, sessions: usize) -> Facts {
        let SessionDefaults { headless, idle_ttl, start_url, start_url_wait, start_url_schemes: _ } =
            self.settings.defaults.clone();
        let engine = &self.settings.launch.engine;
        let (playwright, node) = match self.versions() {
            Some(DriverVersions { playwright, node }) => (Some(playwright), Some(node)),
            None => (None, None),
        };
        let (free, total) = (self.launcher.slots.free(), self.launcher.slots.capacity());
        // One shared screen takes no slots, and without display tools nothing does.
        let has_slots = self.displays() && self.launcher.screen.is_none();
        let pool = |kind| self.fills.get(pool_check(kind)).cloned();
        Facts {
            sessions,
            capacity: Some(self.settings.max_sessions),
            defaults: facts::SessionDefaults {
                idle_ttl: Some(idle_ttl),
                // What comes of it: without display tools no session has a window.
                headless: Some(headless || !self.displays()),
                start_url,
                start_url_wait: Some(start_url_wait),
            },
            engine: Some(EngineFacts {
                name: engine.kind.as_str().to_owned(),
                version: engine.version.clone(),
            }),
            playwright,
            node,
            pools: Pools { headless: pool(PoolKind::Headless), vnc: pool(PoolKind::Vnc) },
            slots: has_slots.then(|| Slots { used: total - free, total }),
            drivers: Some(self.drivers.iter().count()),
            draining: self.draining,
            started_at: Some(self.started_at.into()),
            host_name: Some(self.settings.host_name.clone()),
        }
    }
}
