//! The keyboard of a real X server: nothing stays down on it, whatever ends the thread that types.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use tempfile::TempDir;
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::ConnectionExt as _;
use x11rb::rust_connection::{DefaultStream, RustConnection};

use super::*;
use crate::process::SystemOs;

const A: u32 = 0x61;
const B: u32 = 0x62;
const SHIFT: u32 = 0xffe1;
const ZHE: u32 = 0x0100_0436;
/// How long anything may take here.
const SOON: Duration = Duration::from_secs(20);

/// An X server of this test's own, and a client of it that looks at its keys.
struct Screen {
    server: Child,
    display: u16,
    authority: PathBuf,
    client: RustConnection,
    _dir: TempDir,
}

impl Screen {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = xauthority::write(&dir.path().join("Xauthority")).unwrap();
        let mut server = std::process::Command::new("Xvfb")
            .args(["-displayfd", "1", "-nolisten", "tcp", "-noreset", "-screen", "0", "640x480x24", "-auth"])
            .arg(&authority)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let display = line.trim().parse().unwrap();
        let stream = SystemOs::new().connect_display(display).unwrap();
        let (protocol, key) = xauthority::read(&authority).unwrap();
        let (stream, _) = DefaultStream::from_unix_stream(stream).unwrap();
        let client = RustConnection::connect_to_stream_with_auth_info(stream, 0, protocol, key).unwrap();
        Self { server, display, authority, client, _dir: dir }
    }

    fn keyboard(&self) -> Keyboard {
        let os = Arc::new(SystemOs::new());
        Keyboard::new(os, self.display, self.authority.clone(), Outlet::Selections)
    }

    /// How many keys are down.
    fn down(&self) -> u32 {
        let keys = self.client.query_keymap().unwrap().reply().unwrap().keys;
        keys.iter().map(|byte| byte.count_ones()).sum()
    }

    async fn has_down(&self, count: u32) {
        let waited = timeout(SOON, async {
            while self.down() != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(waited.await.is_ok(), "{} keys are down, not {count}", self.down());
    }

    /// Has the X server close the connection of whoever holds the clipboard.
    fn kick_out(&self) {
        let clipboard = self.client.intern_atom(false, b"CLIPBOARD").unwrap().reply().unwrap().atom;
        let owner = self.client.get_selection_owner(clipboard).unwrap().reply().unwrap().owner;
        assert_ne!(owner, x11rb::NONE);
        self.client.kill_client(owner).unwrap();
        self.client.flush().unwrap();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

async fn press(hands: &mut Hands, keysym: u32) -> Typed {
    hands.stroke(KeyStroke { down: true, keysym, scancode: None }).await.unwrap()
}

/// The threads of keyboards of this display.
fn threads(display: u16) -> Vec<i32> {
    let name = format!("keys :{display}");
    let is_it =
        |task: &Path| std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name);
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten().map(|task| task.path());
    tasks
        .filter(|task| is_it(task))
        .map(|task| task.file_name().unwrap().to_str().unwrap().parse().unwrap())
        .collect()
}

#[tokio::test]
async fn what_a_viewer_holds_is_let_go_when_it_is_dropped_and_what_others_hold_stays() {
    let screen = Screen::start();
    let keyboard = screen.keyboard();
    let [mut one, mut other] = [keyboard.hands(), keyboard.hands()];
    for keysym in [A, SHIFT, ZHE] {
        assert_eq!(press(&mut one, keysym).await, Typed::All);
    }
    for keysym in [A, B] {
        assert_eq!(press(&mut other, keysym).await, Typed::All);
    }
    screen.has_down(4).await;
    drop(one);
    screen.has_down(2).await;
    // The last of all ends the thread.
    drop((other, keyboard));
    screen.has_down(0).await;
}

#[tokio::test]
async fn a_stroke_that_is_under_way_when_its_viewer_leaves_holds_nothing() {
    let screen = Screen::start();
    let keyboard = screen.keyboard();
    let mut witness = keyboard.hands();
    for round in 0..50 {
        let mut hands = keyboard.hands();
        let mut stroke = Box::pin(hands.stroke(KeyStroke { down: true, keysym: A, scancode: None }));
        // It is asked for, and then nobody waits for it.
        assert!(futures_util::poll!(&mut stroke).is_pending(), "{round}");
        drop(stroke);
        drop(hands);
    }
    assert_eq!(press(&mut witness, B).await, Typed::All);
    screen.has_down(1).await;
}

#[tokio::test]
async fn a_thread_that_the_x_server_has_closed_out_leaves_nothing_down_for_the_next() {
    let screen = Screen::start();
    let keyboard = screen.keyboard();
    let mut hands = keyboard.hands();
    for keysym in [A, SHIFT, ZHE] {
        assert_eq!(press(&mut hands, keysym).await, Typed::All);
    }
    assert_eq!(hands.copy("a text".to_owned()).await.unwrap(), Typed::All);
    screen.kick_out();
    let back = timeout(SOON, async {
        // The VNC server does it until the pause is over.
        while press(&mut hands, B).await == Typed::Nothing {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    back.await.unwrap();
    screen.has_down(1).await;
}

#[tokio::test]
async fn signals_to_the_thread_break_nothing() {
    let nothing = SigAction::new(SigHandler::Handler(ignore), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing, and the signal is nobody else's.
    unsafe { sigaction(Signal::SIGUSR2, &nothing) }.unwrap();
    let screen = Screen::start();
    let keyboard = screen.keyboard();
    let mut hands = keyboard.hands();
    assert_eq!(press(&mut hands, A).await, Typed::All);
    let before = threads(screen.display);
    assert_eq!(before.len(), 1);
    for _ in 0..20 {
        let process = std::process::id();
        // SAFETY: a system call that takes numbers only.
        assert_eq!(unsafe { libc::syscall(libc::SYS_tgkill, process, before[0], libc::SIGUSR2) }, 0);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(press(&mut hands, B).await, Typed::All);
    assert_eq!(threads(screen.display), before);
    screen.has_down(2).await;
}

extern "C" fn ignore(_: libc::c_int) {}

#[tokio::test]
async fn a_viewer_that_holds_too_many_keys_is_told_so_and_others_type_on() {
    let screen = Screen::start();
    let keyboard = screen.keyboard();
    let [mut greedy, mut other] = [keyboard.hands(), keyboard.hands()];
    for scancode in 1..=256 {
        let stroke = KeyStroke { down: true, keysym: A, scancode: Some(scancode) };
        assert_eq!(greedy.stroke(stroke).await.unwrap(), Typed::All);
    }
    assert_eq!(press(&mut greedy, B).await, Typed::TooMany);
    screen.has_down(1).await;
    for keysym in [A, B, ZHE] {
        assert_eq!(press(&mut other, keysym).await, Typed::All);
    }
    screen.has_down(3).await;
    drop(greedy);
    screen.has_down(3).await;
}

#[tokio::test]
async fn characters_without_keys_that_one_viewer_holds_are_let_go_for_another() {
    let screen = Screen::start();
    let keyboard = screen.keyboard();
    let [mut greedy, mut other] = [keyboard.hands(), keyboard.hands()];
    for character in 0..150 {
        assert_eq!(press(&mut greedy, 0x0100_4e00 + character).await, Typed::All);
    }
    assert_eq!(press(&mut other, ZHE).await, Typed::All);
    drop(greedy);
    screen.has_down(1).await;
}
