//! Which TCP ports of this machine belong to camofleet: its own, and those of the processes that it started.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// How many listening sockets' owners are remembered.
const MOST_KNOWN: usize = 1024;
/// The state LISTEN in `/proc/net/tcp` (proc_pid_net(5)).
const LISTEN: &str = "0A";

/// Whether each of these addresses is one of this machine's, or leads to it, or is a default gateway of it. In a container
/// that is its host, which may publish its ports.
pub(super) fn own_addresses(addresses: &[IpAddr]) -> Vec<bool> {
    let gateways = OnceCell::new();
    let is_own = |address: &IpAddr| {
        let address = address.to_canonical();
        is_own_address(address) || gateways.get_or_init(gateways_now).contains(&address)
    };
    addresses.iter().map(is_own).collect()
}

/// Whether an address is one of this machine's, or leads to it. Only those can be bound.
fn is_own_address(address: IpAddr) -> bool {
    address.is_unspecified() || address.is_loopback() || UdpSocket::bind((address, 0)).is_ok()
}

/// The default gateways of this machine.
fn gateways_now() -> Vec<IpAddr> {
    let read = |table| fs::read_to_string(table).unwrap_or_default();
    let (v4, v6) = (read("/proc/net/route"), read("/proc/net/ipv6_route"));
    gateways_v4(&v4).map(IpAddr::from).chain(gateways_v6(&v6).map(IpAddr::from)).collect()
}

/// The gateways of the default routes in `/proc/net/route`, whose numbers are in the machine's byte order.
fn gateways_v4(routes: &str) -> impl Iterator<Item = Ipv4Addr> {
    routes.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (destination, gateway) = (fields.next()?, fields.next()?);
        let gateway = u32::from_str_radix(gateway, 16).ok().filter(|gateway| *gateway != 0)?;
        (destination == "00000000").then(|| Ipv4Addr::from(gateway.to_ne_bytes()))
    })
}

fn gateways_v6(routes: &str) -> impl Iterator<Item = Ipv6Addr> {
    routes.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [destination, length, _, _, next, ..] = fields[..] else { return None };
        let next = u128::from_str_radix(next, 16).ok().filter(|next| *next != 0)?;
        (destination.bytes().all(|digit| digit == b'0') && length == "00").then(|| Ipv6Addr::from(next))
    })
}

/// The owners of listening sockets, by inode: sockets keep theirs for life.
#[derive(Debug, Default)]
pub(super) struct Owners(Mutex<HashMap<u64, bool>>);

impl Owners {
    /// Whether a listener of each of these TCP ports belongs to a camofleet, this one or another of the same user, or to a
    /// process that one started: those carry `mark` in their environment. Reads `/proc` once for all, which may take some
    /// milliseconds.
    pub fn own_listeners(&self, ports: &[u16], mark: &str) -> Vec<bool> {
        let wanted: HashSet<u16> = ports.iter().copied().collect();
        let listening: Vec<(u16, u64)> = ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .flat_map(|table| listeners(&fs::read_to_string(table).unwrap_or_default(), &wanted))
            .collect();
        let mut own: HashSet<u64> = HashSet::new();
        let mut unknown: HashSet<u64> = HashSet::new();
        {
            let known = self.known();
            for (_, inode) in &listening {
                match known.get(inode) {
                    Some(true) => drop(own.insert(*inode)),
                    Some(false) => {}
                    None => drop(unknown.insert(*inode)),
                }
            }
        }
        if !unknown.is_empty() {
            let found = own_sockets(&unknown, mark);
            let mut known = self.known();
            if known.len() + unknown.len() > MOST_KNOWN {
                known.clear();
            }
            known.extend(unknown.iter().map(|inode| (*inode, found.contains(inode))));
            own.extend(found);
        }
        let own: HashSet<u16> =
            listening.into_iter().filter(|(_, inode)| own.contains(inode)).map(|(port, _)| port).collect();
        ports.iter().map(|port| own.contains(port)).collect()
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<u64, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sockets that listen on these ports, by port and inode, in a table as `/proc/net/tcp`.
fn listeners(table: &str, ports: &HashSet<u16>) -> Vec<(u16, u64)> {
    let listener = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (local, state) = (fields.nth(1)?, fields.nth(1)?);
        if state != LISTEN {
            return None;
        }
        let port = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
        let inode = fields.nth(5)?.parse().ok()?;
        ports.contains(&port).then_some((port, inode))
    };
    table.lines().skip(1).filter_map(listener).collect()
}

/// Those of these sockets that belong to camofleet or its children.
fn own_sockets(inodes: &HashSet<u64>, mark: &str) -> HashSet<u64> {
    let mut found = HashSet::new();
    let program = fs::metadata("/proc/self/exe").ok().map(|program| (program.dev(), program.ino()));
    let Ok(processes) = fs::read_dir("/proc") else { return found };
    for process in processes.flatten() {
        let is_process = process.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
        if is_process && is_own(&process.path(), program, mark) {
            found.extend(sockets(&process.path()).filter(|inode| inodes.contains(inode)));
            if found.len() == inodes.len() {
                break;
            }
        }
    }
    found
}

/// Whether a process is a camofleet, or was started by one.
fn is_own(process: &Path, program: Option<(u64, u64)>, mark: &str) -> bool {
    let runs = fs::metadata(process.join("exe")).ok().map(|found| (found.dev(), found.ino()));
    if runs.is_some() && runs == program {
        return true;
    }
    let name = fs::read_link(process.join("exe")).ok();
    let is_camofleet = name.is_some_and(|name| name.file_name().is_some_and(|name| name == "camofleet"));
    let has_mark = || {
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| {
            variable.strip_prefix(mark.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'='))
        })
    };
    is_camofleet || has_mark()
}

/// The inodes of a process' sockets.
fn sockets(process: &Path) -> impl Iterator<Item = u64> {
    let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    files.filter_map(|file| {
        let target = fs::read_link(file.path()).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;
    use std::process::{Command, Stdio};

    use super::*;

    const MARK: &str = "CAMOFLEET_TEST_OF_LISTENERS";

    /// A process that listens on a port, with a variable in its environment.
    fn listening(variable: &str) -> (std::process::Child, u16) {
        let program = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()";
        let mut child = Command::new("python3")
            .args(["-c", program])
            .env(variable, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (child, line.trim().parse().unwrap())
    }

    #[test]
    fn listeners_of_this_process_and_of_marked_ones_are_own() {
        let owners = Owners::default();
        let own = TcpListener::bind("[::]:0").unwrap();
        let own_port = own.local_addr().unwrap().port();
        assert_eq!(owners.own_listeners(&[own_port], MARK), [true]);
        let (mut marked, marked_port) = listening(MARK);
        let (mut other, other_port) = listening("CAMOFLEET_TEST_OF_LISTENERS_TOO");
        for _ in 0..2 {
            let ports = [other_port, marked_port, other_port, own_port];
            assert_eq!(owners.own_listeners(&ports, MARK), [false, true, false, true]);
        }
        for child in [&mut marked, &mut other] {
            drop(child.stdin.take());
            child.wait().unwrap();
        }
        assert_eq!(owners.own_listeners(&[marked_port], MARK), [false], "nothing listens there any more");
    }

    #[test]
    fn addresses_of_this_machine_are_recognised() {
        for own in ["127.0.0.1", "127.200.0.3", "0.0.0.0", "::1", "::"] {
            assert!(is_own_address(own.parse().unwrap()), "{own}");
        }
        for other in ["192.0.2.1", "2001:db8::1", "8.8.8.8"] {
            assert!(!is_own_address(other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn default_gateways_are_read_from_the_routes() {
        let gateway = u32::from_ne_bytes([172, 17, 0, 1]);
        let routes = format!(
            "Iface\tDestination\tGateway\tFlags\neth0\t00000000\t{gateway:08X}\t0003\neth0\t000011AC\t00000000\t0001\n"
        );
        assert_eq!(gateways_v4(&routes).collect::<Vec<_>>(), [Ipv4Addr::new(172, 17, 0, 1)]);
        let zero = "0".repeat(32);
        let routes = format!(
            "{zero} 00 {zero} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n\
             20010db8000000000000000000000000 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001 eth0\n"
        );
        assert_eq!(gateways_v6(&routes).collect::<Vec<_>>(), ["fe80::1".parse::<Ipv6Addr>().unwrap()]);
    }
}
