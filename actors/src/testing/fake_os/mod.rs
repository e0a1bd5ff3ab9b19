//! A fake machine in memory, with processes, displays and ports.
//!
//! Programs are identified by their file name. `node` behaves like `driver.mjs`, `python` like `maker.py`, X servers report their display number, and
//! `x11vnc` its socket; both have a small screen. Tests inject faults at named [`Fault`] points, kill processes by id, and
//! check what is left.

mod programs;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use crate::process::{
    Connection, Connections, DisplayFiles, FileId, Os, ProcessEnd, ProcessId, Program, Signal, Spawned,
};

/// How long a fake browser takes to launch by default.
pub const LAUNCH_TIME: Duration = Duration::from_secs(2);

/// How long a process needs to end after SIGTERM.
const TERMINATE_TIME: Duration = Duration::from_millis(5);

/// A point at which a fault can be injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A browser launch fails with an error.
    LaunchFails,
    /// A browser launch is never answered.
    LaunchHangs,
    /// An X server starts but never becomes ready.
    DisplayHangs,
    /// An X server exits at its start, with a message on its standard error.
    DisplayDies,
    /// The driver exits at its start.
    DriverDies,
    /// A driver reports that it has started, and then hangs.
    DriverHangs,
    /// The identity maker exits at its start.
    MakerDies,
    /// The identity maker reports that it lacks something.
    MakerUnusable,
    /// A draw ends the identity maker.
    DrawKills,
    /// A draw is refused because of its field `screen`.
    DrawRefused,
    /// A draw fails.
    DrawFails,
    /// Opening a URL fails.
    OpenFails,
    /// A VNC server refuses connections.
    VncRefuses,
    /// A VNC server accepts a connection and then hangs.
    VncHangs,
    /// A VNC server closes a connection.
    VncBreaks,
    /// Opening a URL is answered with a line that is not JSON.
    OpenUnreadable,
    /// Opening a URL is never answered.
    OpenUnanswered,
    /// The browser refuses cookies.
    CookiesRefused,
    /// A request for cookies is never answered.
    CookiesUnanswered,
}

struct FakeProcess {
    name: String,
    /// The X display it serves.
    display: Option<u16>,
    env: Vec<(String, String)>,
    end: oneshot::Sender<ProcessEnd>,
}

#[derive(Default)]
struct Machine {
    last_pid: u32,
    alive: BTreeMap<u32, FakeProcess>,
    faults: HashMap<Fault, usize>,
    missing: BTreeSet<String>,
    unnoticed: BTreeSet<u32>,
    stopped: BTreeSet<u32>,
    launch_time: Option<Duration>,
    endpoint: Option<String>,
    busy_displays: BTreeSet<u16>,
    busy_ports: BTreeSet<u16>,
    listeners: BTreeMap<SocketAddr, mpsc::UnboundedSender<io::Result<Connection>>>,
    marks_killed: Vec<(String, String)>,
    display_files_removed: Vec<DisplayFiles>,
    started: Vec<String>,
    arguments: HashMap<String, Vec<String>>,
    opened: Vec<String>,
    drawn: Vec<String>,
    launched: Vec<LaunchedMachine>,
    discarded: usize,
    screens_sent: usize,
    discard_time: Duration,
    disk_use: u64,
    /// How many bytes of the disk nobody can write any more.
    disk_taken: u64,
    /// How long browsers take to end when they are asked to; `None`: they end at once.
    closing_time: Option<Duration>,
    /// How many browsers were asked to end.
    asked_to_end: usize,
    disk_walks: usize,
    death_when_ready: Option<(String, usize)>,
}

/// What a browser was given to be a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchedMachine {
    /// Its seed; `None` for a browser that shows what it has by itself.
    pub seed: Option<String>,
    /// The size of its screen.
    pub screen: (u16, u16),
    /// The names of the variables that only such a browser gets.
    pub variables: Vec<String>,
}

/// The fake machine. Clones share it.
#[derive(Clone, Default)]
pub struct FakeOs(Arc<Mutex<Machine>>);

impl FakeOs {
    /// A machine with every program installed and nothing running.
    pub fn new() -> Self {
        Self::default()
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Uninstalls a program, so that it is neither found nor started.
    pub fn uninstall(&self, program: &str) {
        self.machine().missing.insert(program.to_owned());
    }

    /// Installs it again.
    pub fn install(&self, program: &str) {
        self.machine().missing.remove(program);
    }

    /// Injects a fault the next `times` times that its point is reached.
    pub fn break_next(&self, fault: Fault, times: usize) {
        self.machine().faults.insert(fault, times);
    }

    /// From now on, kills all processes with this name so many turns of the scheduler after a browser reported that it is
    /// ready. Tests use it to kill at any point of the message's way through the actors.
    pub fn kill_when_ready(&self, name: &str, turns: usize) {
        self.machine().death_when_ready = Some((name.to_owned(), turns));
    }

    /// Sets how long browser launches take from now on.
    pub fn set_launch_time(&self, time: Duration) {
        self.machine().launch_time = Some(time);
    }

    /// Sets the address of the Playwright servers of browsers launched from now on; by default, nothing listens there.
    pub fn set_endpoint(&self, endpoint: String) {
        self.machine().endpoint = Some(endpoint);
    }

    /// Adds an X server of another program.
    pub fn occupy_display(&self, display: u16) {
        self.machine().busy_displays.insert(display);
    }

    /// Adds a listener of another program.
    pub fn occupy_port(&self, port: u16) {
        self.machine().busy_ports.insert(port);
    }

    /// Connects to a TCP address as another machine would; `None` if nothing listens there.
    pub fn dial(&self, address: SocketAddr) -> Option<tokio::io::DuplexStream> {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let machine = self.machine();
        machine.listeners.get(&address)?.send(Ok(Box::new(theirs))).ok()?;
        Some(ours)
    }

    /// The ids of the running processes with this name: `browser`, `node`, `Xvnc`, …
    pub fn alive(&self, name: &str) -> Vec<u32> {
        self.machine().alive.iter().filter(|(_, process)| process.name == name).map(|(pid, _)| *pid).collect()
    }

    /// An environment variable of each running process with this name.
    pub fn environments(&self, name: &str, variable: &str) -> Vec<Option<String>> {
        let machine = self.machine();
        let named = machine.alive.values().filter(|process| process.name == name);
        let value = |process: &FakeProcess| {
            process.env.iter().find(|(name, _)| name == variable).map(|(_, value)| value.clone())
        };
        named.map(value).collect()
    }

    /// The arguments of the last start of this program.
    pub fn arguments(&self, name: &str) -> Vec<String> {
        self.machine().arguments.get(name).cloned().unwrap_or_default()
    }

    /// The number of running processes.
    pub fn alive_count(&self) -> usize {
        self.machine().alive.len()
    }

    /// The names of the running processes, in order of their start.
    pub fn alive_names(&self) -> Vec<String> {
        self.machine().alive.values().map(|process| process.name.clone()).collect()
    }

    /// The names of all processes ever started, in order.
    pub fn started(&self) -> Vec<String> {
        self.machine().started.clone()
    }

    /// The seeds of all machines that were drawn, in order.
    pub fn drawn(&self) -> Vec<String> {
        self.machine().drawn.clone()
    }

    /// The machines of all browsers that were launched, in order.
    pub fn launched(&self) -> Vec<LaunchedMachine> {
        self.machine().launched.clone()
    }

    /// The URLs that drivers were requested to open.
    pub fn opened(&self) -> Vec<String> {
        self.machine().opened.clone()
    }

    /// Sets how long discarding a browser's contexts takes from now on.
    pub fn set_discard_time(&self, time: Duration) {
        self.machine().discard_time = time;
    }

    /// Sets the disk use of each launch and of the file system from now on.
    pub fn set_disk_use(&self, bytes: u64) {
        self.machine().disk_use = bytes;
    }

    /// How often all files of a launch were traversed.
    pub fn disk_walks(&self) -> usize {
        self.machine().disk_walks
    }

    /// How often a VNC server sent its whole screen.
    pub fn screens_sent(&self) -> usize {
        self.machine().screens_sent
    }

    /// Leaves so many bytes of the disk free.
    pub fn set_disk_free(&self, bytes: u64) {
        self.machine().disk_taken = u64::MAX - bytes;
    }

    /// Sets how long browsers take to end from now on when they are asked to store their data.
    pub fn set_closing_time(&self, time: Duration) {
        self.machine().closing_time = Some(time);
    }

    /// How many browsers were asked to store their data and to end.
    pub fn asked_to_end(&self) -> usize {
        self.machine().asked_to_end
    }

    /// How often a browser's contexts were discarded.
    pub fn discarded(&self) -> usize {
        self.machine().discarded
    }

    /// Ends a process as SIGKILL would, whoever owns it.
    pub fn kill(&self, pid: u32) {
        self.end(pid, ProcessEnd::Signalled(9));
    }

    /// Stops a process as SIGSTOP does.
    pub fn stop(&self, pid: u32) {
        self.machine().stopped.insert(pid);
    }

    /// Continues a stopped process.
    pub fn go_on(&self, pid: u32) {
        self.machine().stopped.remove(&pid);
    }

    /// Waits until a process is not stopped.
    async fn running(&self, pid: u32) {
        while self.machine().stopped.contains(&pid) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Kills a process without notifying anybody, as if its parent had not reaped it yet.
    pub fn kill_unnoticed(&self, pid: u32) {
        self.machine().unnoticed.insert(pid);
    }

    /// The marks whose processes were killed.
    pub fn marks_killed(&self) -> Vec<(String, String)> {
        self.machine().marks_killed.clone()
    }

    /// The files of X servers that were removed.
    pub fn display_files_removed(&self) -> Vec<DisplayFiles> {
        self.machine().display_files_removed.clone()
    }

    fn end(&self, pid: u32, end: ProcessEnd) {
        let process = self.machine().alive.remove(&pid);
        if let Some(process) = process {
            // Fails if nobody waits for it any more.
            let _ = process.end.send(end);
        }
    }

    fn fails(&self, fault: Fault) -> bool {
        match self.machine().faults.get_mut(&fault) {
            Some(times) if *times > 0 => {
                *times -= 1;
                true
            }
            _ => false,
        }
    }

    fn start(
        &self,
        name: &str,
        display: Option<u16>,
        env: Vec<(String, String)>,
    ) -> (u32, oneshot::Receiver<ProcessEnd>) {
        let (end, ended) = oneshot::channel();
        let mut machine = self.machine();
        machine.last_pid += 1;
        let pid = 1000 + machine.last_pid;
        machine.alive.insert(pid, FakeProcess { name: name.to_owned(), display, env, end });
        machine.started.push(name.to_owned());
        (pid, ended)
    }
}

/// Process ids are not reused here, so they also serve as start times.
fn id_of(pid: u32) -> ProcessId {
    ProcessId { pid, started: u64::from(pid) }
}

impl Os for FakeOs {
    fn spawn(&self, program: &Program) -> io::Result<Spawned> {
        let name = program.path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if self.machine().missing.contains(&name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let display = program.args.first().map(|first| first.trim_start_matches(':').to_owned());
        let serves =
            ["Xvnc", "Xvfb"].contains(&name.as_str()).then(|| display.as_ref()?.parse().ok()).flatten();
        self.machine().arguments.insert(name.clone(), program.args.clone());
        let (pid, ended) = self.start(&name, serves, program.env.clone());
        let (stdin, their_stdin) = tokio::io::duplex(1 << 16);
        let (stdout, their_stdout) = tokio::io::duplex(1 << 16);
        let (stderr, their_stderr) = tokio::io::duplex(1 << 16);
        let os = self.clone();
        let argument = |flag: &str| {
            let at = program.args.iter().position(|argument| argument == flag);
            at.and_then(|at| program.args.get(at + 1)).cloned().unwrap_or_default()
        };
        let socket = argument("-unixsock");
        // The program's task ends with the process.
        let (end, reaped) = oneshot::channel();
        actix_rt::spawn(async move {
            let life = async {
                match name.as_str() {
                    "node" => os.driver(pid, their_stdin, their_stdout).await,
                    "python" => os.identity_maker(pid, their_stdin, their_stdout).await,
                    "Xvnc" | "Xvfb" => {
                        os.x_server(pid, display.unwrap_or_default(), their_stdout, their_stderr).await;
                        std::future::pending().await
                    }
                    "x11vnc" => {
                        os.x11vnc(&socket, their_stderr).await;
                        std::future::pending().await
                    }
                    other => panic!("the fake machine does not know the program {other}"),
                }
            };
            let mut ended = ended;
            tokio::select! {
                biased;
                result = &mut ended => { let _ = end.send(result); }
                () = life => { let _ = end.send(ended.await); }
            }
        });
        let end = Box::pin(async move {
            reaped.await.ok().and_then(Result::ok).ok_or_else(|| io::Error::other("the fake machine is gone"))
        });
        Ok(Spawned {
            id: id_of(pid),
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
            stderr: Box::new(stderr),
            end,
        })
    }

    fn identify(&self, pid: u32) -> Option<ProcessId> {
        self.machine().alive.contains_key(&pid).then(|| id_of(pid))
    }

    fn signal_group(&self, leader: ProcessId, signal: Signal) {
        let group = leader.pid;
        match signal {
            Signal::Terminate => {
                let os = self.clone();
                // No process exits at the very moment of the signal.
                actix_rt::spawn(async move {
                    tokio::time::sleep(TERMINATE_TIME).await;
                    os.end(group, ProcessEnd::Exited(0));
                });
            }
            Signal::Kill => self.kill(group),
        }
    }

    fn kill_leader(&self, leader: ProcessId) {
        self.kill(leader.pid);
    }

    fn is_running(&self, ProcessId { pid, .. }: ProcessId) -> bool {
        let machine = self.machine();
        machine.alive.contains_key(&pid) && !machine.unnoticed.contains(&pid)
    }

    fn group_exists(&self, leader: ProcessId) -> bool {
        self.machine().alive.contains_key(&leader.pid)
    }

    fn kill_marked(&self, name: &str, value: &str) {
        let mark = (name.to_owned(), value.to_owned());
        let marked: Vec<u32> = {
            let mut machine = self.machine();
            machine.marks_killed.push(mark.clone());
            machine
                .alive
                .iter()
                .filter(|(_, process)| process.env.contains(&mark))
                .map(|(pid, _)| *pid)
                .collect()
        };
        marked.into_iter().for_each(|pid| self.kill(pid));
    }

    fn port_is_free(&self, port: u16) -> bool {
        !self.machine().busy_ports.contains(&port)
    }

    fn own_addresses(&self, addresses: &[IpAddr]) -> Vec<bool> {
        let machine = self.machine();
        addresses.iter().map(|address| machine.listeners.keys().any(|own| own.ip() == *address)).collect()
    }

    fn own_listeners(&self, ports: &[u16], _: &str) -> Vec<bool> {
        let machine = self.machine();
        ports.iter().map(|port| machine.listeners.keys().any(|own| own.port() == *port)).collect()
    }

    fn listen(&self, address: SocketAddr) -> io::Result<Connections> {
        let mut machine = self.machine();
        let taken = machine.listeners.get(&address).is_some_and(|listener| !listener.is_closed());
        if taken || machine.busy_ports.contains(&address.port()) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let (listener, mut accepted) = mpsc::unbounded_channel();
        machine.listeners.insert(address, listener);
        Ok(Box::pin(futures_util::stream::poll_fn(move |cx| accepted.poll_recv(cx))))
    }

    fn connect(&self, socket: &Path) -> BoxFuture<'static, io::Result<Connection>> {
        if let Some(display) = socket.to_str().and_then(|path| path.strip_prefix("/tmp/.X11-unix/X")) {
            let display = display.parse().ok();
            let server = {
                let machine = self.machine();
                let serves = |process: &&FakeProcess| display.is_some() && process.display == display;
                machine.alive.iter().find(|(_, process)| serves(process)).map(|(pid, _)| *pid)
            };
            let Some(server) = server else {
                return Box::pin(async { Err(io::ErrorKind::NotFound.into()) });
            };
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            actix_rt::spawn(self.clone().x_client(server, theirs));
            return Box::pin(async move { Ok(Box::new(ours) as Connection) });
        }
        if self.fails(Fault::VncRefuses) {
            return Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) });
        }
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        actix_rt::spawn(self.clone().vnc_server(theirs));
        Box::pin(async move { Ok(Box::new(ours) as Connection) })
    }

    fn connect_display(&self, _: u16) -> io::Result<UnixStream> {
        // X servers accept no clients here: keys are sent to the VNC servers.
        Err(io::ErrorKind::NotFound.into())
    }

    fn display_is_free(&self, display: u16) -> bool {
        !self.machine().busy_displays.contains(&display) && self.x_servers(display) == 0
    }

    fn display_socket(&self, display: u16) -> Option<FileId> {
        (self.x_servers(display) > 0).then(|| FileId { device: 1, inode: u64::from(display), modified: 1 })
    }

    fn remove_display_files(&self, files: &DisplayFiles) {
        self.machine().display_files_removed.push(*files);
    }

    fn file_system_use(&self, _: &Path) -> io::Result<u64> {
        Ok(self.machine().disk_use)
    }

    fn file_system_free(&self, _: &Path) -> io::Result<u64> {
        Ok(u64::MAX - self.machine().disk_taken)
    }

    fn directory_use(&self, _: &Path) -> u64 {
        let mut machine = self.machine();
        machine.disk_walks += 1;
        machine.disk_use
    }

    fn find_program(&self, program: &Path) -> Option<PathBuf> {
        let name = program.file_name()?.to_str()?.to_owned();
        let found = Path::new("/usr/bin").join(&name);
        let named = program.components().count() == 1 || program == found;
        (named && !self.machine().missing.contains(&name)).then_some(found)
    }
}
