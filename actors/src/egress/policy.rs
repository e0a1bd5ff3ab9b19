//! Which destinations browsers may connect to.
//!
//! A name is judged before it is resolved, and each of its addresses before it is dialled, so that a name whose addresses
//! change between two lookups gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use camofleet_api::destination::DestinationPattern;
use camofleet_api::egress::Refusal;

/// Which destinations are refused in general (`RUNNER_EGRESS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EgressLevel {
    /// What camofleet or its children listen on, link-local addresses and the metadata services of clouds.
    NoFleet,
    /// Those, and all addresses that are not public.
    Public,
    /// None.
    Open,
}

impl EgressLevel {
    /// Its name in settings and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoFleet => "no-fleet",
            Self::Public => "public",
            Self::Open => "open",
        }
    }
}

/// The rules for destinations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressPolicy {
    /// What is refused in general.
    pub level: EgressLevel,
    /// Destinations that are refused as well.
    pub deny: Vec<DestinationPattern>,
    /// Exceptions from `deny` and from the level. A name is no exception for addresses of camofleet and for link-local
    /// ones, since whoever owns the name decides what addresses it has.
    pub allow: Vec<DestinationPattern>,
}

/// The judgement on a name, which its addresses are judged with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NameVerdict {
    allowed: bool,
    denied: bool,
}

impl NameVerdict {
    /// That on a destination without a name.
    pub const NONE: Self = Self { allowed: false, denied: false };
}

/// An address that the rules permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permit {
    /// Without a further check.
    Granted,
    /// Unless something of camofleet listens there.
    UnlessFleet,
}

impl EgressPolicy {
    /// Judges a name before it is resolved.
    ///
    /// # Errors
    /// It is denied, whatever its addresses are.
    pub(super) fn judge_name(&self, name: &str, port: u16) -> Result<NameVerdict, Refusal> {
        let matches =
            |patterns: &[DestinationPattern]| patterns.iter().any(|pattern| pattern.matches_name(name, port));
        let verdict = NameVerdict { allowed: matches(&self.allow), denied: matches(&self.deny) };
        let may_be_lifted = self.allow.iter().any(DestinationPattern::is_of_addresses);
        if verdict.denied && !verdict.allowed && !may_be_lifted { Err(Refusal::Denied) } else { Ok(verdict) }
    }

    /// Judges a name that a proxy resolves, so that its addresses are not known.
    ///
    /// # Errors
    /// It is denied.
    pub(super) fn judge_remote_name(&self, verdict: NameVerdict) -> Result<(), Refusal> {
        if verdict.denied && !verdict.allowed { Err(Refusal::Denied) } else { Ok(()) }
    }

    /// Judges an address, whose name was judged before.
    ///
    /// # Errors
    /// It is refused.
    pub(super) fn judge_address(
        &self,
        address: IpAddr,
        port: u16,
        name: NameVerdict,
    ) -> Result<Permit, Refusal> {
        let address = address.to_canonical();
        let of_address = |pattern: &&DestinationPattern| pattern.matches_address(address, port);
        let embedded = embedded(address);
        let is_denied = |address: IpAddr| self.deny.iter().any(|deny| deny.matches_address(address, port));
        let allowed = self.allow.iter().find(of_address);
        if (name.denied || is_denied(address) || embedded.is_some_and(is_denied))
            && !name.allowed
            && allowed.is_none()
        {
            return Err(Refusal::Denied);
        }
        // `*` is about every host, not about this address.
        if self.level == EgressLevel::Open || allowed.is_some_and(DestinationPattern::is_of_addresses) {
            return Ok(Permit::Granted);
        }
        let any = |check: fn(IpAddr) -> bool| check(address) || embedded.is_some_and(check);
        if any(is_link_local) {
            return Err(Refusal::LinkLocal);
        }
        if self.level == EgressLevel::Public
            && any(|address| !is_public(address))
            && !name.allowed
            && allowed.is_none()
        {
            return Err(Refusal::NotPublic);
        }
        Ok(Permit::UnlessFleet)
    }
}

/// Whether a name means this machine wherever it is resolved (RFC 6761, section 6.3).
pub(super) fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// The IPv4 address that an IPv6 address leads to through a translator or tunnel.
pub(super) fn embedded(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(address) = address else { return None };
    let octets = address.octets();
    let at =
        |first: usize| Ipv4Addr::new(octets[first], octets[first + 1], octets[first + 2], octets[first + 3]);
    let embedded = match address.segments() {
        // IPv4-compatible (RFC 4291); `::` and `::1` are none.
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => at(12),
        // IPv4-translated (RFC 2765).
        [0, 0, 0, 0, 0xffff, 0, ..] => at(12),
        // NAT64 (RFC 6052, RFC 8215).
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] => at(12),
        // 6to4 (RFC 3056).
        [0x2002, ..] => at(2),
        // Teredo (RFC 4380): the client's address is inverted.
        [0x2001, 0, ..] => Ipv4Addr::from(!u32::from(at(12))),
        _ => return None,
    };
    Some(IpAddr::V4(embedded))
}

/// Whether an address is link-local, or one that clouds serve the metadata and credentials of a machine on.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            // Alibaba Cloud, Azure, Oracle Cloud; the others use 169.254.169.254.
            const METADATA: [Ipv4Addr; 3] = [
                Ipv4Addr::new(100, 100, 100, 200),
                Ipv4Addr::new(168, 63, 129, 16),
                Ipv4Addr::new(192, 0, 0, 192),
            ];
            address.is_link_local() || METADATA.contains(&address)
        }
        IpAddr::V6(address) => {
            // Amazon (fd00:ec2::254, ::23) and Google (fd20:ce::254).
            const METADATA: [Ipv6Addr; 3] = [
                Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
                Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
                Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
            ];
            address.is_unicast_link_local() || METADATA.contains(&address)
        }
    }
}

/// Whether an address is one of the internet's, by the registries of special-purpose addresses (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_documentation()
                || a == 0
                || a >= 240
                // Carrier-grade NAT (RFC 6598).
                || (a == 100 && (64..128).contains(&b))
                // Protocol assignments, the former 6to4 relays, and benchmarks (RFC 2544).
                || (a, b, c) == (192, 0, 0)
                || (a, b, c) == (192, 88, 99)
                || (a == 198 && (18..20).contains(&b)))
        }
        IpAddr::V6(address) => {
            let first = address.segments()[0];
            // Only this range is global unicast (RFC 4291). Addresses of the internet's translators are judged by what they
            // embed; those for the translators of a site (RFC 8215) may embed it anywhere.
            let global = (first & 0xe000) == 0x2000 || address.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
            let documentation = address.segments()[..2] == [0x2001, 0xdb8] || address.segments()[0] == 0x3fff;
            global && !documentation
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(level: EgressLevel, deny: &[&str], allow: &[&str]) -> EgressPolicy {
        let read = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        EgressPolicy { level, deny: read(deny), allow: read(allow) }
    }

    fn judge(policy: &EgressPolicy, name: Option<&str>, address: &str) -> Result<Permit, Refusal> {
        let verdict = name.map_or(Ok(NameVerdict::NONE), |name| policy.judge_name(name, 80))?;
        policy.judge_address(address.parse().unwrap(), 80, verdict)
    }

    #[test]
    fn link_local_and_metadata_addresses_are_refused_in_every_form() {
        for level in [EgressLevel::NoFleet, EgressLevel::Public] {
            for address in [
                "169.254.169.254",
                "::ffff:169.254.169.254",
                "64:ff9b::a9fe:a9fe",
                "2002:a9fe:a9fe::1",
                "::a9fe:a9fe",
                "fe80::1",
                "fd00:ec2::254",
                "100.100.100.200",
                "168.63.129.16",
                "2001:0:0:0:0:0:5601:5601",
            ] {
                assert_eq!(
                    judge(&policy(level, &[], &[]), None, address),
                    Err(Refusal::LinkLocal),
                    "{address}"
                );
            }
        }
        assert_eq!(judge(&policy(EgressLevel::Open, &[], &[]), None, "169.254.169.254"), Ok(Permit::Granted));
    }

    #[test]
    fn only_public_addresses_are_left_with_the_level_public() {
        let (public, no_fleet) =
            (policy(EgressLevel::Public, &[], &[]), policy(EgressLevel::NoFleet, &[], &[]));
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.2.1",
            "::1",
            "::",
            "fc00::1",
            "ff02::1",
            "fec0::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001:db8::1",
            // For translators of a site, which may have the address elsewhere in it (RFC 8215).
            "64:ff9b:1:a00:0:100:101:101",
        ] {
            assert_eq!(judge(&public, None, address), Err(Refusal::NotPublic), "{address}");
            assert_eq!(judge(&no_fleet, None, address), Ok(Permit::UnlessFleet), "{address}");
        }
        for address in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101"] {
            assert_eq!(judge(&public, None, address), Ok(Permit::UnlessFleet), "{address}");
        }
    }

    #[test]
    fn rules_of_the_operator_come_on_top() {
        let rules = policy(
            EgressLevel::Public,
            &[".bad.example", "203.0.113.0/24", "*:25"],
            &["good.bad.example", "10.0.0.0/8"],
        );
        assert_eq!(judge(&rules, Some("bad.example"), "1.1.1.1"), Err(Refusal::Denied));
        assert_eq!(judge(&rules, Some("good.bad.example"), "1.1.1.1"), Ok(Permit::UnlessFleet));
        assert_eq!(judge(&rules, None, "203.0.113.9"), Err(Refusal::Denied));
        assert_eq!(judge(&rules, None, "10.0.0.1"), Ok(Permit::Granted));
        assert_eq!(
            judge(&rules, Some("bad.example"), "10.0.0.1"),
            Ok(Permit::Granted),
            "the address is an exception"
        );
        let mail = rules.judge_name("mail.example", 25).unwrap();
        assert_eq!(rules.judge_remote_name(mail), Err(Refusal::Denied), "the port is denied");
    }

    #[test]
    fn a_name_is_no_exception_for_addresses_that_its_owner_could_abuse() {
        let rules = policy(EgressLevel::Public, &["*"], &[".example.com"]);
        assert_eq!(judge(&rules, Some("www.example.com"), "1.1.1.1"), Ok(Permit::UnlessFleet));
        assert_eq!(
            judge(&rules, Some("www.example.com"), "10.0.0.1"),
            Ok(Permit::UnlessFleet),
            "an intranet"
        );
        assert_eq!(judge(&rules, Some("www.example.com"), "169.254.169.254"), Err(Refusal::LinkLocal));
        assert_eq!(judge(&rules, Some("other.example"), "1.1.1.1"), Err(Refusal::Denied));
        let anything = policy(EgressLevel::Public, &[], &["*"]);
        assert_eq!(judge(&anything, Some("www.example.com"), "127.0.0.1"), Ok(Permit::UnlessFleet));
    }

    #[test]
    fn a_denied_address_is_refused_in_every_form_and_an_exception_is_for_one_form() {
        let rules = policy(EgressLevel::NoFleet, &["10.0.0.0/8", "203.0.113.7:80"], &["10.9.0.0/16"]);
        for address in [
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::a00:1",
            "2002:a00:1::",
            "::a00:1",
            "::ffff:0:a00:1",
            "64:ff9b::cb00:7107",
        ] {
            assert_eq!(judge(&rules, None, address), Err(Refusal::Denied), "{address}");
        }
        assert_eq!(judge(&rules, None, "10.9.0.1"), Ok(Permit::Granted));
        assert_eq!(
            judge(&rules, None, "64:ff9b::a09:1"),
            Err(Refusal::Denied),
            "it leads through a translator"
        );
    }

    #[test]
    fn a_name_that_a_proxy_resolves_is_judged_alone() {
        let rules = policy(EgressLevel::NoFleet, &[".bad.example"], &["10.0.0.0/8"]);
        let bad = rules.judge_name("bad.example", 80).unwrap();
        assert_eq!(rules.judge_remote_name(bad), Err(Refusal::Denied));
        let other = rules.judge_name("other.example", 80).unwrap();
        assert_eq!(rules.judge_remote_name(other), Ok(()));
    }

    #[test]
    fn localhost_is_recognised_by_name() {
        assert!(is_localhost("localhost") && is_localhost("a.localhost"));
        assert!(!is_localhost("notlocalhost") && !is_localhost("localhost.example"));
    }
}
