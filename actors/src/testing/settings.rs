//! Settings for a worker on a fake machine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use camofleet_api::proxy::ProxyChoice;
use camofleet_api::session::StartUrlWait;

use super::fake_os::FakeOs;
use crate::display::{DisplaySettings, DisplayTools, Geometry, ViewerLimits, VncBackend};
use crate::driver::DriverSettings;
use crate::egress::{BlockLists, CheckSettings, CityDatabase, EgressLevel, EgressPolicy, EgressSettings};
use crate::host::addons::Addons;
use crate::host::engine::{Engine, EngineKind};
use crate::host::slots::SlotRanges;
use crate::identities::IdentitySettings;
use crate::launch::prewarm::PoolSettings;
use crate::launch::{LaunchSettings, NetworkSwitches, QueueSettings};
use crate::model::links::LinkBases;
use crate::model::profile::ProfileSettings;
use crate::model::session::{LaunchTemplate, SessionDefaults};
use crate::supervision::{Intensity, PulseSettings};
use crate::worker::{DiagnosticsSettings, WorkerSettings};

/// The interval of polls of drivers, displays and browsers, and how long they may be silent.
const PULSE: PulseSettings =
    PulseSettings { interval: Duration::from_secs(5), silence: Duration::from_secs(15) };

impl WorkerSettings {
    /// Makes Camoufox the engine, whose identities are drawn by the identity maker.
    pub fn use_camoufox(&mut self) {
        self.launch.engine = Engine {
            kind: EngineKind::Camoufox,
            executable: PathBuf::from("/opt/camoufox/camoufox-bin"),
            version: Some("156.0.1-beta.36".to_owned()),
        };
        self.identities = Some(IdentitySettings {
            python: PathBuf::from("/opt/identity/.venv/bin/python"),
            directory: PathBuf::from("/opt/identity"),
            env: Vec::new(),
            pulse: PULSE,
        });
    }

    /// Sets how many warm browsers a pool keeps: `headless` or `vnc`.
    pub fn keep_warm(&mut self, pool: &str, target: usize) {
        let named = self.pools.iter_mut().filter(|settings| settings.name.as_str() == pool);
        named.for_each(|settings| settings.target = target);
    }
}

/// A worker's settings: no warm browsers, three display slots, and no limit that tests reach.
pub fn worker_settings(os: &FakeOs) -> WorkerSettings {
    let pool = |name: &str| PoolSettings {
        name: name.into(),
        template: LaunchTemplate::plain(name == "headless"),
        target: 0,
        check_interval: Duration::from_secs(2),
    };
    WorkerSettings {
        host_name: "host-1".to_owned(),
        name: "local".to_owned(),
        defaults: SessionDefaults {
            headless: true,
            idle_ttl: Duration::from_secs(300),
            start_url: None,
            start_url_wait: StartUrlWait::Load,
            start_url_schemes: Vec::new(),
            proxy: ProxyChoice::Direct,
            block: Vec::new(),
        },
        offers_vnc: true,
        max_sessions: 10,
        restart_intensity: Intensity { limit: 3, within: Duration::from_secs(300) },
        slots: SlotRanges { displays: 100..=102, vnc_ports: 5900..=5999, vnc_ids: 6900..=6999 },
        launch: LaunchSettings {
            engine: Engine {
                kind: EngineKind::Firefox,
                executable: PathBuf::from("/usr/bin/firefox"),
                version: None,
            },
            addons: Addons::default(),
            // A fake machine has no installation of Firefox whose policies could block file pages.
            file_pages: true,
            switches: NetworkSwitches { disable_http3: true, disable_webrtc: true },
            webrtc_direct: false,
            user_preference_prefixes: Vec::new(),
            window_is_viewport: true,
            timeout: Duration::from_secs(30),
            permits: 10,
            queue: QueueSettings { length: 64, patience: Duration::from_secs(60) },
            disk_limit: None,
            egress: EgressSettings {
                policy: EgressPolicy { level: EgressLevel::NoFleet, deny: Vec::new(), allow: Vec::new() },
                lists: BlockLists::default(),
                proxies: BTreeMap::new(),
                trusted: None,
                connect_timeout: Duration::from_secs(10),
                idle_timeout: Duration::from_secs(600),
                ipv6: false,
                name_server: None,
                threads: 0,
                checks: CheckSettings {
                    urls: Vec::new(),
                    timeout: Duration::from_secs(8),
                    cities: CityDatabase::default(),
                },
            },
            display: DisplaySettings {
                tools: DisplayTools::find(VncBackend::Auto, os),
                geometry: Geometry { width: 1920, height: 1080, depth: 24 },
                bind: std::net::Ipv4Addr::LOCALHOST.into(),
                viewers: ViewerLimits { count: 16, write_timeout: Duration::from_secs(30), open: true },
                shared: None,
                startup_timeout: Duration::from_secs(5),
                links: LinkBases::below(""),
                env: Vec::new(),
                pulse: PULSE,
            },
            env: Vec::new(),
            user_fonts: Vec::new(),
            browser_pulse: PULSE,
        },
        identities: None,
        driver: DriverSettings {
            node: PathBuf::from("/usr/bin/node"),
            directory: PathBuf::from("/driver"),
            sessions_per_driver: 100,
            env: Vec::new(),
            pulse: PULSE,
        },
        pools: vec![pool("headless"), pool("vnc")],
        diagnostics: DiagnosticsSettings::default(),
        profiles: ProfileSettings {
            directory: PathBuf::from("/nowhere/profiles"),
            shared: false,
            close_patience: Duration::from_secs(5),
            import_limit: 1 << 20,
        },
        max_idle_ttl: Duration::from_secs(3600),
    }
}
