//! Names of destinations that are connected to without a proxy.

use std::cell::RefCell;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use camofleet_api::egress::Refusal;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;
use tokio::time::Instant;

use crate::net::dns::{query_in_order, resolvers};

/// How many answers a thread's resolvers keep, for as long as their records say.
const CACHED: u64 = 4096;
/// The timeout of one query.
const TRY: Duration = Duration::from_secs(3);
/// How often is checked whether the files that describe the name servers have changed, as with a VPN.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// These files.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// Where names are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NameService {
    /// The name server; `None` for those of this machine.
    pub server: Option<SocketAddr>,
    /// Whether IPv6 addresses are used.
    pub ipv6: bool,
}

/// The resolvers of a thread. Their tasks belong to its runtime.
struct Resolvers {
    service: NameService,
    changed: [Option<SystemTime>; 2],
    checked: Instant,
    each: Rc<[TokioResolver]>,
}

thread_local! {
    static RESOLVERS: RefCell<Option<Resolvers>> = const { RefCell::new(None) };
}

impl NameService {
    /// The addresses of a name, in the order in which they are to be tried.
    ///
    /// # Errors
    /// It has none.
    pub async fn addresses(self, name: &str) -> Result<Vec<IpAddr>, Refusal> {
        let resolvers = self.resolvers().map_err(|problem| {
            log::warn!("{name} could not be looked up: {problem}");
            Refusal::Unresolved
        })?;
        let found = query_in_order(&resolvers, |resolver| resolver.lookup_ip(name)).await;
        let found = found.map_err(|problem| {
            log::debug!("{name} could not be looked up: {problem}");
            Refusal::Unresolved
        })?;
        let addresses: Vec<IpAddr> = found.iter().flat_map(|found| found.iter()).collect();
        if addresses.is_empty() { Err(Refusal::Unresolved) } else { Ok(interleaved(addresses)) }
    }

    fn resolvers(self) -> Result<Rc<[TokioResolver]>, String> {
        RESOLVERS.with_borrow_mut(|kept| {
            if let Some(kept) = kept.as_mut().filter(|kept| kept.service == self) {
                if kept.checked.elapsed() < CHECK_INTERVAL {
                    return Ok(Rc::clone(&kept.each));
                }
                kept.checked = Instant::now();
                if kept.changed == changed() {
                    return Ok(Rc::clone(&kept.each));
                }
            }
            let each: Rc<[TokioResolver]> = resolvers(self.server, |options| {
                options.cache_size = CACHED;
                options.timeout = TRY;
                options.ip_strategy =
                    if self.ipv6 { LookupIpStrategy::Ipv4AndIpv6 } else { LookupIpStrategy::Ipv4Only };
            })?
            .into();
            let checked = Instant::now();
            *kept = Some(Resolvers { service: self, changed: changed(), checked, each: Rc::clone(&each) });
            Ok(each)
        })
    }
}

fn changed() -> [Option<SystemTime>; 2] {
    FILES.map(|file| fs::metadata(file).and_then(|file| file.modified()).ok())
}

/// Alternates between the two kinds of addresses, IPv6 first, so that one that does not work here costs one attempt only
/// (RFC 8305, section 4).
fn interleaved(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let (mut v6, mut v4): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv6);
    v6.reverse();
    v4.reverse();
    let mut order = Vec::with_capacity(v6.len() + v4.len());
    while !v6.is_empty() || !v4.is_empty() {
        order.extend(v6.pop());
        order.extend(v4.pop());
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_kinds_alternate() {
        let read = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        let order = interleaved(read(&["10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::1", "2001:db8::2"]));
        assert_eq!(order, read(&["2001:db8::1", "10.0.0.1", "2001:db8::2", "10.0.0.2", "10.0.0.3"]));
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_has_no_address() {
        let service = NameService { server: None, ipv6: false };
        assert_eq!(service.addresses("localhost").await, Ok(vec![[127, 0, 0, 1].into()]));
        assert_eq!(service.addresses("does-not-exist.invalid").await, Err(Refusal::Unresolved));
    }
}
