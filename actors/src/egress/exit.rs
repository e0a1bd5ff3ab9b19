//! Exits: the ways that connections of a session may leave, and pools of proxies.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use camofleet_api::destination::DestinationPattern;
use camofleet_api::egress::Refusal;
use camofleet_api::proxy::{ProxyChoice, ProxyServer};
use tokio::time::Instant;

/// How long a proxy that failed is left out of its pool.
const REST: Duration = Duration::from_secs(30);
/// How many proxies of a pool are tried for one connection.
const MOST_TRIED: usize = 3;

/// Which proxy of a pool a connection takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolUse {
    /// The same for all connections of a session.
    Sticky,
    /// The next one for each connection.
    Rotate,
}

/// The proxies of one entry of `RUNNER_PROXIES`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyPoolSettings {
    /// The proxies, at least one.
    pub servers: Vec<ProxyServer>,
    /// Which one a connection takes.
    pub pick: PoolUse,
}

/// A pool of proxies. One that fails is left out for a while.
#[derive(Debug)]
pub struct ProxyPool {
    name: String,
    servers: Vec<Arc<ProxyServer>>,
    pick: PoolUse,
    health: Mutex<Vec<ServerHealth>>,
    next: AtomicUsize,
}

/// What is known of one server of a pool. At first it is assumed to work.
#[derive(Debug, Clone, Copy, Default)]
struct ServerHealth {
    /// Until when it is left out.
    rests_until: Option<Instant>,
    /// When it last answered a request.
    answered: Option<Instant>,
    /// Whether the last line in the log says that it does not work, and when that was written.
    reported_failing: bool,
    reported_at: Option<Instant>,
}

impl ProxyPool {
    fn new(name: String, settings: ProxyPoolSettings) -> Self {
        let servers: Vec<_> = settings.servers.into_iter().map(Arc::new).collect();
        let health = Mutex::new(vec![ServerHealth::default(); servers.len()]);
        // Not always the first, for workers that all have the same list.
        let next = AtomicUsize::new(fastrand::usize(..servers.len().max(1)));
        Self { name, servers, pick: settings.pick, health, next }
    }

    /// The proxies to try for a connection of the session with this key, in this order: those that work first.
    fn candidates(&self, key: u64) -> Vec<usize> {
        let count = self.servers.len();
        let mut order: Vec<usize> = match self.pick {
            PoolUse::Rotate => {
                let first = self.next.fetch_add(1, Ordering::Relaxed);
                (0..count).map(|n| (first.wrapping_add(n)) % count).collect()
            }
            // Rendezvous hashing: a session keeps its proxy when others are left out.
            PoolUse::Sticky => {
                let mut order: Vec<usize> = (0..count).collect();
                order.sort_by_cached_key(|server| std::cmp::Reverse(hash(&(key, server))));
                order
            }
        };
        let health = self.health();
        let now = Instant::now();
        // Those that have rested longest come first among those that rest; the sort is stable.
        order.sort_by_key(|server| health[*server].rests_until.filter(|until| *until > now));
        order.truncate(MOST_TRIED);
        order
    }

    /// Records that a server works, or why it does not. Returns whether a line in the log says so: only what has changed is
    /// logged, since a dead proxy fails every half minute, and once in that time, since one may fail and work by turns.
    fn record(&self, server: usize, failure: Option<Refusal>) -> bool {
        let now = Instant::now();
        let mut all = self.health();
        let health = &mut all[server];
        health.rests_until = failure.map(|_| now + REST);
        if failure.is_none() {
            health.answered = Some(now);
        }
        let is_news = health.reported_failing != failure.is_some();
        if !is_news || health.reported_at.is_some_and(|at| now < at + REST) {
            return false;
        }
        (health.reported_failing, health.reported_at) = (failure.is_some(), Some(now));
        drop(all);
        let (pool, proxy) = (&self.name, &self.servers[server]);
        match failure {
            Some(reason) => log::warn!(
                "the proxy {proxy} of the pool {pool} does not work ({}); it is left out, and retried every {} s",
                reason.as_str(),
                REST.as_secs()
            ),
            None => log::info!("the proxy {proxy} of the pool {pool} is used again"),
        }
        true
    }

    fn has_answered_since(&self, server: usize, since: Instant) -> bool {
        self.health()[server].answered.is_some_and(|answered| answered >= since)
    }

    fn health(&self) -> MutexGuard<'_, Vec<ServerHealth>> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// All pools of proxies of a worker, by name. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct ProxyPools {
    pools: Arc<BTreeMap<String, Arc<ProxyPool>>>,
    /// The proxy of the defaults.
    trusted: Option<ProxyServer>,
}

impl ProxyPools {
    /// Pools in which every proxy works. `trusted` is the proxy of the defaults.
    pub fn new(settings: BTreeMap<String, ProxyPoolSettings>, trusted: Option<ProxyServer>) -> Self {
        let pools =
            settings.into_iter().map(|(name, pool)| (name.clone(), Arc::new(ProxyPool::new(name, pool))));
        Self { pools: Arc::new(pools.collect()), trusted }
    }

    /// The names of all pools.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pools.keys().map(String::as_str)
    }

    /// Whether connections of a session with this proxy leave by several.
    pub(crate) fn rotates(&self, choice: &ProxyChoice) -> bool {
        let ProxyChoice::Pool(name) = choice else { return false };
        self.pools.get(name).is_some_and(|pool| pool.pick == PoolUse::Rotate && pool.servers.len() > 1)
    }

    /// The exit that a request chooses. `key` identifies the session.
    ///
    /// # Errors
    /// The name of a pool that does not exist.
    pub(crate) fn exit<'a>(&self, choice: &'a ProxyChoice, key: &impl Hash) -> Result<Exit, &'a str> {
        Ok(match choice {
            ProxyChoice::Direct => Exit::Direct,
            ProxyChoice::Server { server, bypass } => {
                let trusted = self.trusted.as_ref() == Some(server);
                Exit::Server { server: Arc::new(server.clone()), trusted, bypass: bypass.clone() }
            }
            ProxyChoice::Pool(name) => {
                let pool = self.pools.get(name).ok_or(name.as_str())?;
                Exit::Pool { pool: Arc::clone(pool), key: hash(key) }
            }
        })
    }
}

/// How the connections of one session leave.
#[derive(Debug, Clone)]
pub(crate) enum Exit {
    /// Without a proxy.
    Direct,
    /// Through a proxy of the request or of the defaults, except to these destinations.
    Server { server: Arc<ProxyServer>, trusted: bool, bypass: Vec<DestinationPattern> },
    /// Through a proxy of the operator's pool.
    Pool { pool: Arc<ProxyPool>, key: u64 },
}

/// A proxy to try for a connection.
pub(super) struct Candidate<'a> {
    pub server: &'a ProxyServer,
    /// Whether the operator has named it, so that it is not judged by the rules for destinations.
    pub trusted: bool,
    pool: Option<(&'a ProxyPool, usize)>,
}

impl Candidate<'_> {
    /// Records that the proxy works, or why it does not.
    pub fn record(&self, failure: Option<Refusal>) {
        if let Some((pool, server)) = self.pool {
            pool.record(server, failure);
        }
    }

    /// Whether the proxy has answered a request, of any session, since then.
    pub fn has_answered_since(&self, since: Instant) -> bool {
        self.pool.is_some_and(|(pool, server)| pool.has_answered_since(server, since))
    }
}

impl Exit {
    /// The proxies to try for a connection, in this order; none for a direct one.
    pub(super) fn candidates(&self) -> Vec<Candidate<'_>> {
        match self {
            Self::Direct => Vec::new(),
            Self::Server { server, trusted, .. } => vec![Candidate { server, trusted: *trusted, pool: None }],
            Self::Pool { pool, key } => {
                let candidate = |server: usize| Candidate {
                    server: &pool.servers[server],
                    trusted: true,
                    pool: Some((pool, server)),
                };
                pool.candidates(*key).into_iter().map(candidate).collect()
            }
        }
    }

    /// The destinations that are connected to directly.
    pub(super) fn bypass(&self) -> &[DestinationPattern] {
        match self {
            Self::Server { bypass, .. } => bypass,
            Self::Direct | Self::Pool { .. } => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(count: usize, pick: PoolUse) -> ProxyPool {
        let servers = (0..count).map(|n| format!("socks5://10.0.0.{n}").parse().unwrap()).collect();
        ProxyPool::new("eu".to_owned(), ProxyPoolSettings { servers, pick })
    }

    #[tokio::test(start_paused = true)]
    async fn a_sticky_session_keeps_its_proxy_and_sessions_are_spread() {
        let pool = pool(4, PoolUse::Sticky);
        let first = |key: u64| pool.candidates(key)[0];
        let mut counts = [0; 4];
        for key in 0..400 {
            assert_eq!(first(key), first(key));
            counts[first(key)] += 1;
        }
        assert!(counts.iter().all(|count| (50..150).contains(count)), "{counts:?}");
        assert_eq!(pool.candidates(1).len(), MOST_TRIED);
    }

    #[tokio::test(start_paused = true)]
    async fn a_proxy_that_fails_is_left_out_for_a_while() {
        let pool = pool(3, PoolUse::Sticky);
        let order = pool.candidates(7);
        pool.record(order[0], Some(Refusal::ProxyDenied));
        assert_eq!(pool.candidates(7), [order[1], order[2], order[0]]);
        tokio::time::advance(Duration::from_secs(10)).await;
        pool.record(order[1], Some(Refusal::ProxyDenied));
        assert_eq!(pool.candidates(7), [order[2], order[0], order[1]], "it is tried last, not never");
        tokio::time::advance(REST - Duration::from_secs(10)).await;
        assert_eq!(pool.candidates(7), [order[0], order[2], order[1]], "it is tried again");
        pool.record(order[1], None);
        assert_eq!(pool.candidates(7), order);
    }

    #[tokio::test(start_paused = true)]
    async fn the_log_has_what_changes_of_a_proxy_and_not_each_failure() {
        let pool = pool(2, PoolUse::Sticky);
        let dead = Some(Refusal::ProxyUnreachable);
        let advance = |seconds| tokio::time::advance(Duration::from_secs(seconds));
        assert!(!pool.record(0, None), "it was assumed to work");
        assert!(pool.record(0, dead));
        for _ in 0..30 {
            advance(31).await;
            assert!(!pool.record(0, dead));
            assert_eq!(pool.candidates(7).last(), Some(&0), "it is left out all the same");
        }
        assert!(pool.record(1, Some(Refusal::ProxyDenied)), "each one has its own line");
        assert!(pool.record(0, None));
        // It fails and works by turns.
        let mut lines = 0;
        for _ in 0..60 {
            advance(1).await;
            lines += usize::from(pool.record(0, dead)) + usize::from(pool.record(0, None));
        }
        assert!(lines <= 2, "{lines} lines in a minute");
        advance(31).await;
        pool.record(0, None);
        advance(31).await;
        assert!(pool.record(0, dead), "the last line said that it works");
    }

    #[tokio::test(start_paused = true)]
    async fn connections_rotate() {
        let pool = pool(3, PoolUse::Rotate);
        let firsts: Vec<_> = (0..6).map(|_| pool.candidates(7)[0]).collect();
        assert_eq!(firsts[..3], firsts[3..]);
        let mut sorted = firsts[..3].to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2]);
    }

    #[test]
    fn a_pool_that_does_not_exist_is_named() {
        let pools = ProxyPools::default();
        assert_eq!(pools.exit(&ProxyChoice::Pool("eu".into()), &1).map(|_| ()), Err("eu"));
        assert!(matches!(pools.exit(&ProxyChoice::Direct, &1), Ok(Exit::Direct)));
    }
}
