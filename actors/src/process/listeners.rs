//! Which TCP ports of this machine belong to camofleet: its own, and those of the processes that it started.
//!
//! What can't be found out counts as camofleet's, and is not remembered: a page can use up the files that this process may
//! have open, and would then reach what it must not.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::{fs, io};

use nix::errno::Errno;

/// How many listening sockets' owners are remembered.
const MOST_KNOWN: usize = 1024;
/// The name of camofleet's program; one that runs while an upgrade replaces its file has the other.
const PROGRAM: [&str; 2] = ["camofleet", "camofleet (deleted)"];
/// The state LISTEN in `/proc/net/tcp` (proc_pid_net(5)).
const LISTEN: &str = "0A";

/// Whether each of these addresses is one of this machine's, or leads to it, or is a default gateway of it. In a container
/// that is its host, which may publish its ports.
pub(super) fn own_addresses(addresses: &[IpAddr]) -> Vec<bool> {
    let gateways = OnceCell::new();
    let is_own = |address: &IpAddr| {
        let address = address.to_canonical();
        let is_gateway = || match gateways.get_or_init(gateways_now) {
            Ok(gateways) => gateways.contains(&address),
            Err(_) => true,
        };
        is_own_address(address) || is_gateway()
    };
    addresses.iter().map(is_own).collect()
}

/// Whether an address is one of this machine's, or leads to it. Only those can be bound.
fn is_own_address(address: IpAddr) -> bool {
    let is_bindable = || match UdpSocket::bind((address, 0)) {
        Err(error) => error.kind() != io::ErrorKind::AddrNotAvailable,
        Ok(_) => true,
    };
    address.is_unspecified() || address.is_loopback() || is_bindable()
}

/// The default gateways of this machine.
fn gateways_now() -> io::Result<Vec<IpAddr>> {
    let (v4, v6) = (table("/proc/net/route")?, table("/proc/net/ipv6_route")?);
    Ok(gateways_v4(&v4).map(IpAddr::from).chain(gateways_v6(&v6).map(IpAddr::from)).collect())
}

/// A table of the kernel; empty where it has none, as without IPv6.
fn table(path: &str) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read,
    }
}

/// What a process shows in a file or directory; `None` if it has ended, or is another user's.
fn shown<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.raw_os_error() == Some(Errno::ESRCH as i32) => Ok(None),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
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
        self.find(ports, mark).unwrap_or_else(|error| {
            log::debug!("pages can't connect to this machine, as its listeners could not be read: {error}");
            vec![true; ports.len()]
        })
    }

    fn find(&self, ports: &[u16], mark: &str) -> io::Result<Vec<bool>> {
        let wanted: HashSet<u16> = ports.iter().copied().collect();
        let mut listening = listeners(&fs::read_to_string("/proc/net/tcp")?, &wanted);
        listening.extend(listeners(&table("/proc/net/tcp6")?, &wanted));
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
            let found = own_sockets(&unknown, mark)?;
            let mut known = self.known();
            if known.len() + unknown.len() > MOST_KNOWN {
                known.clear();
            }
            known.extend(unknown.iter().map(|inode| (*inode, found.contains(inode))));
            own.extend(found);
        }
        let own: HashSet<u16> =
            listening.into_iter().filter(|(_, inode)| own.contains(inode)).map(|(port, _)| port).collect();
        Ok(ports.iter().map(|port| own.contains(port)).collect())
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
fn own_sockets(inodes: &HashSet<u64>, mark: &str) -> io::Result<HashSet<u64>> {
    let mut found = HashSet::new();
    let program = shown(fs::metadata("/proc/self/exe"))?.map(|program| (program.dev(), program.ino()));
    for process in fs::read_dir("/proc")? {
        let process = process?;
        let is_process = process.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
        if is_process && is_own(&process.path(), program, mark)? {
            found.extend(sockets(&process.path())?.filter(|inode| inodes.contains(inode)));
            if found.len() == inodes.len() {
                break;
            }
        }
    }
    Ok(found)
}

/// Whether a process is a camofleet, or was started by one.
fn is_own(process: &Path, program: Option<(u64, u64)>, mark: &str) -> io::Result<bool> {
    let runs = shown(fs::metadata(process.join("exe")))?.map(|found| (found.dev(), found.ino()));
    if runs.is_some() && runs == program {
        return Ok(true);
    }
    let name = shown(fs::read_link(process.join("exe")))?;
    if name.as_deref().and_then(Path::file_name).is_some_and(|name| PROGRAM.iter().any(|own| name == *own)) {
        return Ok(true);
    }
    let environment = shown(fs::read(process.join("environ")))?.unwrap_or_default();
    Ok(environment.split(|byte| *byte == 0).any(|variable| {
        variable.strip_prefix(mark.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'='))
    }))
}

/// The inodes of a process' sockets.
fn sockets(process: &Path) -> io::Result<impl Iterator<Item = u64>> {
    let files = shown(fs::read_dir(process.join("fd")))?.into_iter().flatten().flatten();
    Ok(files.filter_map(|file| {
        let target = fs::read_link(file.path()).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    }))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;
    use std::process::{Command, Stdio};

    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    use super::*;

    const MARK: &str = "CAMOFLEET_TEST_OF_LISTENERS";

    /// A process that listens on a port, with a variable in its environment.
    fn listening(variable: &str) -> (std::process::Child, u16) {
        run_listening(Command::new("python3").env(variable, "1"))
    }

    fn run_listening(python: &mut Command) -> (std::process::Child, u16) {
        let program = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()";
        let mut child =
            python.args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
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

    /// Set where a test has started itself to run alone in a process: its open files are limited.
    const ALONE: &str = "CAMOFLEET_TEST_ALONE";

    #[test]
    fn without_files_to_open_nothing_is_taken_for_foreign_and_nothing_is_remembered() {
        if std::env::var_os(ALONE).is_none() {
            let name = "process::listeners::tests::without_files_to_open_nothing_is_taken_for_foreign_and_nothing_is_remembered";
            let mut alone = Command::new(std::env::current_exe().unwrap());
            let run = alone.args(["--exact", name, "--nocapture"]).env(ALONE, "1").output().unwrap();
            let printed = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
            assert!(run.status.success() && printed.contains("1 passed"), "{printed}");
            return;
        }
        let own = TcpListener::bind("127.0.0.1:0").unwrap();
        let own_port = own.local_addr().unwrap().port();
        let (mut other, other_port) = listening("CAMOFLEET_TEST_OF_LISTENERS_TOO");
        let used = fs::read_dir("/proc/self/fd").unwrap().count() as u64;
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, used + 20, hard).unwrap();
        let mut others: Vec<File> = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            others.push(file);
        }
        let foreign: IpAddr = "192.0.2.1".parse().unwrap();
        // A new one each time, so that none knows what an earlier one found.
        for free in 0..8 {
            drop(others.split_off(others.len() - free));
            let owners = Owners::default();
            let answers = (owners.own_listeners(&[own_port], MARK), own_addresses(&[foreign]));
            drop(others.split_off(others.len() - (8 - free)));
            let later = owners.own_listeners(&[own_port, other_port], MARK);
            while let Ok(file) = File::open("/dev/null") {
                others.push(file);
            }
            assert_eq!(answers.0, [true], "with {free} files");
            assert_eq!(later, [true, false], "after {free} files");
            if free == 0 {
                assert_eq!(answers.1, [true], "unknown whether it is this machine's");
            }
        }
        drop(other.stdin.take());
        other.wait().unwrap();
    }

    #[test]
    fn a_camofleet_whose_program_was_replaced_is_recognised() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("camofleet");
        fs::copy(fs::canonicalize("/usr/bin/python3").unwrap(), &program).unwrap();
        let (mut older, port) = run_listening(Command::new(&program).env("PYTHONHOME", "/usr"));
        for _ in 0..2 {
            assert_eq!(Owners::default().own_listeners(&[port], MARK), [true]);
            let _ = fs::remove_file(&program);
        }
        drop(older.stdin.take());
        older.wait().unwrap();
    }
}
