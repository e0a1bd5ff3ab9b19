//! Exits: the ways that connections of a session may leave, and pools of proxies.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use camofleet_api::destination::DestinationPattern;
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
    servers: Vec<Arc<ProxyServer>>,
    pick: PoolUse,
    /// Until when each server is left out.
    resting: Mutex<Vec<Option<Instant>>>,
    next: AtomicUsize,
}

impl ProxyPool {
    fn new(settings: ProxyPoolSettings) -> Self {
        let servers: Vec<_> = settings.servers.into_iter().map(Arc::new).collect();
        let resting = Mutex::new(vec![None; servers.len()]);
        // Not always the first, for workers that all have the same list.
        let next = AtomicUsize::new(fastrand::usize(..servers.len().max(1)));
        Self { servers, pick: settings.pick, resting, next }
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
        let resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        // Those that have rested longest come first among those that rest; the sort is stable.
        order.sort_by_key(|server| resting[*server].filter(|until| *until > now));
        order.truncate(MOST_TRIED);
        order
    }

    fn record(&self, server: usize, works: bool) {
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let left_out = resting[server].is_some_and(|until| until > now);
        if !works && !left_out {
            log::warn!(
                "the proxy {} does not work and is left out for {} s",
                self.servers[server],
                REST.as_secs()
            );
        }
        resting[server] = (!works).then(|| now + REST);
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
        let pools = settings.into_iter().map(|(name, pool)| (name, Arc::new(ProxyPool::new(pool))));
        Self { pools: Arc::new(pools.collect()), trusted }
    }

    /// The names of all pools.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pools.keys().map(String::as_str)
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
    /// Records whether the proxy works.
    pub fn record(&self, works: bool) {
        if let Some((pool, server)) = self.pool {
            pool.record(server, works);
        }
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
        ProxyPool::new(ProxyPoolSettings { servers, pick })
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
        pool.record(order[0], false);
        assert_eq!(pool.candidates(7), [order[1], order[2], order[0]]);
        tokio::time::advance(Duration::from_secs(10)).await;
        pool.record(order[1], false);
        assert_eq!(pool.candidates(7), [order[2], order[0], order[1]], "it is tried last, not never");
        tokio::time::advance(REST - Duration::from_secs(10)).await;
        assert_eq!(pool.candidates(7), [order[0], order[2], order[1]], "it is tried again");
        pool.record(order[1], true);
        assert_eq!(pool.candidates(7), order);
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
