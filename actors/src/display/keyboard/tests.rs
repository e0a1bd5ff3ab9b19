//! Tests with a real X server: all keys are released, however the injector ends.

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
/// The limit of every wait.
const LIMIT: Duration = Duration::from_secs(20);

/// An X server for one test, and a client that reads its pressed keys.
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
        Keyboard::new(os, self.display, self.authority.clone(), ClipboardSource::Selections)
    }

    /// The number of pressed keys.
    fn pressed(&self) -> u32 {
        let keys = self.client.query_keymap().unwrap().reply().unwrap().keys;
        keys.iter().map(|byte| byte.count_ones()).sum()
    }

    async fn until_pressed(&self, count: u32) {
        let waited = timeout(LIMIT, async {
            while self.pressed() != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(waited.await.is_ok(), "{} keys are pressed, not {count}", self.pressed());
    }

    /// Makes the X server close the connection of the clipboard's owner.
    fn disconnect_clipboard_owner(&self) {
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

async fn press(viewer: &mut ViewerKeyboard, keysym: u32) -> CommandOutcome {
    viewer.stroke(KeyStroke { down: true, keysym, scancode: None }).await.unwrap()
}

/// The injector threads of this display.
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
async fn keys_of_a_dropped_viewer_are_released_and_those_of_others_stay_pressed() {
    let screen = Screen::start();
    let keyboard = screen.keyboard();
    let [mut one, mut other] = [keyboard.attach_viewer(), keyboard.attach_viewer()];
    for keysym in [A, SHIFT, ZHE] {
        assert_eq!(press(&mut one, keysym).await, CommandOutcome::Done);
    }
    for keysym in [A, B] {
        assert_eq!(press(&mut other, keysym).await, CommandOutcome::Done);
    }
    screen.until_pressed(4).await;
    drop(one);
    screen.until_pressed(2).await;
    // Dropping the last handle ends the thread.
    drop((other, keyboard));
    screen.until_pressed(0).await;
}

#[tokio::test]
async fn a_stroke_that_is_in_flight_when_its_viewer_disconnects_leaves_no_key_pressed() {
    let screen = Screen::start();
    let keyboard = screen.keyboard();
    let mut witness = keyboard.attach_viewer();
    for round in 0..50 {
        let mut viewer = keyboard.attach_viewer();
        let mut stroke = Box::pin(viewer.stroke(KeyStroke { down: true, keysym: A, scancode: None }));
        // The command is sent, and its outcome is not awaited.
        assert!(futures_util::poll!(&mut stroke).is_pending(), "{round}");
        drop(stroke);
        drop(viewer);
    }
    assert_eq!(press(&mut witness, B).await, CommandOutcome::Done);
    screen.until_pressed(1).await;
}

#[tokio::test]
async fn keys_of_an_injector_that_the_x_server_disconnected_are_released_by_the_next() {
    let screen = Screen::start();
    let keyboard = screen.keyboard();
    let mut viewer = keyboard.attach_viewer();
    for keysym in [A, SHIFT, ZHE] {
        assert_eq!(press(&mut viewer, keysym).await, CommandOutcome::Done);
    }
    assert_eq!(viewer.copy("a text".to_owned()).await.unwrap(), CommandOutcome::Done);
    screen.disconnect_clipboard_owner();
    let back = timeout(LIMIT, async {
        // The keyboard is unavailable until it reconnects.
        while press(&mut viewer, B).await == CommandOutcome::Unavailable {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    back.await.unwrap();
    screen.until_pressed(1).await;
}

#[tokio::test]
async fn the_injector_survives_signals_to_its_thread() {
    let nothing = SigAction::new(SigHandler::Handler(ignore), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing, and no other code uses this signal.
    unsafe { sigaction(Signal::SIGUSR2, &nothing) }.unwrap();
    let screen = Screen::start();
    let keyboard = screen.keyboard();
    let mut viewer = keyboard.attach_viewer();
    assert_eq!(press(&mut viewer, A).await, CommandOutcome::Done);
    let before = threads(screen.display);
    assert_eq!(before.len(), 1);
    for _ in 0..20 {
        let process = std::process::id();
        // SAFETY: the arguments of this system call are plain numbers.
        assert_eq!(unsafe { libc::syscall(libc::SYS_tgkill, process, before[0], libc::SIGUSR2) }, 0);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(press(&mut viewer, B).await, CommandOutcome::Done);
    assert_eq!(threads(screen.display), before);
    screen.until_pressed(2).await;
}

extern "C" fn ignore(_: libc::c_int) {}

#[tokio::test]
async fn keys_beyond_the_limit_of_one_viewer_are_refused_and_others_are_not_affected() {
    let screen = Screen::start();
    let keyboard = screen.keyboard();
    let [mut greedy, mut other] = [keyboard.attach_viewer(), keyboard.attach_viewer()];
    for scancode in 1..=256 {
        let stroke = KeyStroke { down: true, keysym: A, scancode: Some(scancode) };
        assert_eq!(greedy.stroke(stroke).await.unwrap(), CommandOutcome::Done);
    }
    assert_eq!(press(&mut greedy, B).await, CommandOutcome::TooManyKeys);
    screen.until_pressed(1).await;
    for keysym in [A, B, ZHE] {
        assert_eq!(press(&mut other, keysym).await, CommandOutcome::Done);
    }
    screen.until_pressed(3).await;
    drop(greedy);
    screen.until_pressed(3).await;
}

#[tokio::test]
async fn spare_keys_that_one_viewer_holds_are_released_for_another() {
    let screen = Screen::start();
    let keyboard = screen.keyboard();
    let [mut greedy, mut other] = [keyboard.attach_viewer(), keyboard.attach_viewer()];
    for character in 0..150 {
        assert_eq!(press(&mut greedy, 0x0100_4e00 + character).await, CommandOutcome::Done);
    }
    assert_eq!(press(&mut other, ZHE).await, CommandOutcome::Done);
    drop(greedy);
    screen.until_pressed(1).await;
}
