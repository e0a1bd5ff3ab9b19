//! What a host is and has, as values: the object `facts` of its health.

use camofleet_actors::prewarm::PoolFill;
use camofleet_actors::session::StartUrlWait;
use camofleet_actors::worker;
use serde::Serialize;
use utoipa::ToSchema;

use super::schema;
use super::session::shown;

/// What a host is and has. What another machine's version does not tell is null.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Facts {
    /// How many live sessions it has.
    sessions: usize,
    /// How many it may have.
    #[schema(required)]
    capacity: Option<usize>,
    defaults: SessionDefaults,
    #[schema(required)]
    engine: Option<EngineFacts>,
    /// Playwright's version in its drivers; null until one is up.
    #[schema(required)]
    playwright: Option<String>,
    /// Node's version in its drivers; null until one is up.
    #[schema(required)]
    node: Option<String>,
    pools: Pools,
    /// Null also where sessions get no displays of their own: without display tools, or with one shared screen.
    #[schema(required)]
    slots: Option<Slots>,
    /// How many driver processes it has.
    #[schema(required)]
    drivers: Option<usize>,
    /// Whether it takes no more sessions.
    draining: bool,
    /// Since when it runs.
    #[schema(required, format = DateTime)]
    started_at: Option<String>,
    /// What its machine calls itself: in Kubernetes, the name of its pod.
    #[schema(required)]
    host_name: Option<String>,
}

/// What a session gets where its request says nothing.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SessionDefaults {
    #[schema(required)]
    idle_ttl_seconds: Option<u64>,
    #[schema(required)]
    headless: Option<bool>,
    /// Null also where no page is opened.
    #[schema(required)]
    start_url: Option<String>,
    #[schema(required, schema_with = schema::start_url_wait_or_null)]
    start_url_wait: Option<StartUrlWait>,
}

/// The browser that a host runs.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct EngineFacts {
    /// `camoufox` or `firefox`.
    name: String,
    /// Null when its files don't tell.
    #[schema(required)]
    version: Option<String>,
}

/// The warm browsers; null is a pool that is off.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Pools {
    /// Those without a window.
    #[schema(required)]
    headless: Option<Pool>,
    /// Those on a display of their own.
    #[schema(required)]
    vnc: Option<Pool>,
}

/// How full a pool is.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Pool {
    /// Browsers that wait.
    ready: usize,
    /// Browsers on their way.
    launching: usize,
    /// Browsers wanted.
    target: usize,
    /// Why the last launch failed, until one succeeds.
    #[schema(required)]
    last_error: Option<String>,
}

/// The display slots.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Slots {
    /// Held by sessions and warm browsers.
    used: usize,
    /// All of them.
    total: usize,
}

impl From<&worker::Facts> for Facts {
    fn from(facts: &worker::Facts) -> Self {
        let engine = facts.engine.as_ref();
        Self {
            sessions: facts.sessions,
            capacity: facts.capacity,
            defaults: SessionDefaults {
                idle_ttl_seconds: facts.defaults.idle_ttl.map(|ttl| ttl.as_secs()),
                headless: facts.defaults.headless,
                start_url: facts.defaults.start_url.clone(),
                start_url_wait: facts.defaults.start_url_wait,
            },
            engine: engine
                .map(|engine| EngineFacts { name: engine.name.to_string(), version: engine.version.clone() }),
            playwright: facts.playwright.clone(),
            node: facts.node.clone(),
            pools: Pools {
                headless: facts.pools.headless.as_ref().map(Pool::from),
                vnc: facts.pools.vnc.as_ref().map(Pool::from),
            },
            slots: facts.slots.map(|slots| Slots { used: slots.used, total: slots.total }),
            drivers: facts.drivers,
            draining: facts.draining,
            started_at: facts.started_at.map(shown),
            host_name: facts.host_name.clone(),
        }
    }
}

impl From<&PoolFill> for Pool {
    fn from(fill: &PoolFill) -> Self {
        Self {
            ready: fill.ready,
            launching: fill.launching,
            target: fill.target,
            last_error: fill.last_error.clone(),
        }
    }
}
