//! What a worker says of its health.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::local::LocalWorker;
use super::{Check, pool_check};
use crate::driver::DriverVersions;
use crate::prewarm::PoolKind;

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
        let driver = match self.versions() {
            Some(DriverVersions { playwright, node }) => {
                fine(format!("{up} up, playwright {playwright}, node {node}"))
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
                        Some(error) => Check {
                            ok: fill.ready > 0,
                            text: format!("{filled}; the last launch failed: {error}"),
                        },
                        None => fine(filled),
                    }
                }
            };
            checks.insert(name.into(), check);
        }
        for diagnosis in &self.diagnoses {
            checks.insert(diagnosis.check.clone().into(), fine(diagnosis.text.clone()));
        }
        checks
    }
}
