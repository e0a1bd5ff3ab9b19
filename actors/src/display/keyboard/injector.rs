//! The X client that presses the keys.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::io::{self, Read as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::oneshot;
use tokio::time::Instant;
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xinput::{self, ConnectionExt as _};
use x11rb::protocol::xkb::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{
    AtomEnum, ChangeWindowAttributesAux, ClientMessageEvent, ConnectionExt as _, EventMask, KEY_PRESS_EVENT,
    KEY_RELEASE_EVENT, KeyButMask, ModMask, Window,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::{DefaultStream, RustConnection};
use xkeysym::{Keysym, RawKeysym};

use super::caps;
use super::clipboard::Clipboard;
use super::keymap::{Keymap, Lock, Spare, foreign_letter, normal};
use crate::rfb::KeyStroke;

/// How long buttons of the pointer may be on their way through the VNC server, which takes a millisecond or two.
const CLICK_PATIENCE: Duration = Duration::from_millis(250);
/// How long the program that has the focus may take to handle all keys so far.
const PING_PATIENCE: Duration = Duration::from_secs(10);
/// The same where it can't be asked.
const UNASKED: Duration = Duration::from_millis(500);
/// Keys that make a shortcut of a letter: Ctrl, Alt, and Super.
const SHORTCUT: u16 = 1 << 2 | 1 << 3 | 1 << 6;
/// More keys than a keyboard has: whoever holds more is no person.
const MOST_HELD: usize = 256;
const NUM_LOCK: RawKeysym = 0xff7f;
/// The most levels of windows, one in another.
const DEEPEST: usize = 16;

/// What the keyboard is asked for.
pub(super) enum Command {
    /// To be there.
    Hello { done: oneshot::Sender<()> },
    /// A key of a viewer goes down or up.
    Stroke { viewer: u64, stroke: KeyStroke, done: oneshot::Sender<()> },
    /// A text is on the clipboard.
    Copy { text: String, done: oneshot::Sender<()> },
    /// A viewer lets all keys go.
    Leave { viewer: u64, done: oneshot::Sender<()> },
}

pub(super) type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Serves the commands until nobody can send any more.
pub(super) fn run(
    stream: UnixStream,
    (protocol, key): (Vec<u8>, Vec<u8>),
    commands: &Receiver<Command>,
    mut bell: &UnixStream,
    clicks: &AtomicU64,
) -> Result<()> {
    let (stream, _) = DefaultStream::from_unix_stream(stream)?;
    let connection = RustConnection::connect_to_stream_with_auth_info(stream, 0, protocol, key)?;
    let mut injector = Injector::new(connection, clicks)?;
    loop {
        injector.take_events()?;
        let x_server = injector.connection.stream().as_fd();
        let [x_server, rung] = [x_server, bell.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        poll(&mut [x_server, rung], PollTimeout::NONE)?;
        match bell.read(&mut [0; 64]) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error.into()),
            _ => {}
        }
        loop {
            let done = match commands.try_recv() {
                Ok(Command::Hello { done }) => done,
                Ok(Command::Stroke { viewer, stroke, done }) => {
                    injector.stroke(viewer, stroke)?;
                    done
                }
                Ok(Command::Copy { text, done }) => {
                    injector.copy(text)?;
                    done
                }
                Ok(Command::Leave { viewer, done }) => {
                    injector.leave(viewer)?;
                    done
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Ok(()),
            };
            // Who asked may have left.
            let _ = done.send(());
        }
    }
}

/// A key by what a viewer calls it: its scancode, or else its keysym.
type Name = (bool, u32);

struct Injector<'a> {
    connection: RustConnection,
    root: Window,
    keymap: Keymap,
    shifts: Vec<u8>,
    num_lock: u16,
    protocols: u32,
    ping: u32,
    clipboard: Clipboard,
    /// What the viewers hold.
    held: HashMap<(u64, Name), u8>,
    /// How often buttons went down or up, by the viewers and by the X server.
    clicks: &'a AtomicU64,
    clicked: u64,
    /// The last question to the program that has the focus, and the last that it answered.
    asked: u32,
    answered: u32,
}

impl<'a> Injector<'a> {
    fn new(connection: RustConnection, clicks: &'a AtomicU64) -> Result<Self> {
        let clicked = clicks.load(Ordering::SeqCst);
        let setup = connection.setup();
        let (first, last) = (setup.min_keycode, setup.max_keycode);
        let root = setup.roots.first().ok_or("it has no screen")?.root;
        connection.xtest_get_version(2, 2)?.reply()?;
        connection.xinput_xi_query_version(2, 2)?.reply()?;
        connection.xkb_use_extension(1, 0)?.reply()?;
        let raw = xinput::XIEventMask::RAW_BUTTON_PRESS | xinput::XIEventMask::RAW_BUTTON_RELEASE;
        let all_masters = 1_u16;
        let mask = xinput::EventMask { deviceid: all_masters, mask: vec![raw] };
        connection.xinput_xi_select_events(root, &[mask])?.check()?;
        // Answers to pings are sent to the root window.
        let events = ChangeWindowAttributesAux::new().event_mask(EventMask::SUBSTRUCTURE_NOTIFY);
        connection.change_window_attributes(root, &events)?.check()?;
        let mapping = connection.get_keyboard_mapping(first, last - first + 1)?.reply()?;
        let modifiers = connection.get_modifier_mapping()?.reply()?;
        let columns: Vec<&[u8]> =
            modifiers.keycodes.chunks(usize::from(modifiers.keycodes_per_modifier()).max(1)).collect();
        let of =
            |modifier: &[u8]| modifier.iter().copied().filter(|keycode| *keycode != 0).collect::<Vec<_>>();
        let shifts = columns.first().map(|shift| of(shift)).unwrap_or_default();
        let all: HashSet<u8> = columns.iter().flat_map(|modifier| of(modifier)).collect();
        let keymap = Keymap::new(first, mapping.keysyms_per_keycode.into(), &mapping.keysyms, &all);
        let num_lock_key = keymap.locate(NUM_LOCK, None).map(|place| place.keycode);
        let num_lock =
            columns.iter().position(|modifier| num_lock_key.is_some_and(|key| modifier.contains(&key)));
        let atom = |name: &str| {
            Ok::<u32, Box<dyn Error + Send + Sync>>(
                connection.intern_atom(false, name.as_bytes())?.reply()?.atom,
            )
        };
        let (protocols, ping) = (atom("WM_PROTOCOLS")?, atom("_NET_WM_PING")?);
        let clipboard = Clipboard::new(&connection, root)?;
        let injector = Self {
            root,
            clipboard,
            keymap,
            shifts,
            num_lock: num_lock.map_or(0, |at| 1 << at),
            protocols,
            ping,
            held: HashMap::new(),
            clicks,
            clicked,
            asked: 0,
            answered: 0,
            connection,
        };
        injector.stop_repeating()?;
        Ok(injector)
    }

    /// A held key is repeated by its viewer: the X server's own repetition would come on top of it, and go on for as long
    /// as the viewer's last word is on its way.
    fn stop_repeating(&self) -> Result<()> {
        let enabled_controls = xkb::Control::from(1_u32 << 31);
        let all_devices = 0_u16;
        let devices = self.connection.xinput_xi_query_device(all_devices)?.reply()?;
        let keyboards = [xinput::DeviceType::MASTER_KEYBOARD, xinput::DeviceType::SLAVE_KEYBOARD];
        for device in devices.infos.iter().filter(|device| keyboards.contains(&device.type_)) {
            // Everything else stays as it is.
            let (mods, virtual_mods) = (ModMask::from(0_u16), xkb::VMod::from(0_u16));
            let (bools, options) = (xkb::BoolCtrl::from(0_u32), xkb::AXOption::from(0_u16));
            self.connection
                .xkb_set_controls(
                    device.deviceid,
                    mods,
                    mods,
                    mods,
                    mods,
                    virtual_mods,
                    virtual_mods,
                    virtual_mods,
                    virtual_mods,
                    0,
                    0,
                    options,
                    xkb::BoolCtrl::REPEAT_KEYS,
                    bools,
                    enabled_controls,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    bools,
                    bools,
                    options,
                    options,
                    &[0; 32],
                )?
                .check()?;
        }
        Ok(())
    }

    fn stroke(&mut self, viewer: u64, stroke: KeyStroke) -> Result<()> {
        // What a click changes, the focus for one, is there before a key that comes after it.
        let expected = self.clicks.load(Ordering::SeqCst);
        if !self.wait(CLICK_PATIENCE, |this| this.clicked >= expected)? {
            // The VNC server took another viewer's button for this one's.
            self.clicked = expected;
        }
        let name = stroke.scancode.map_or((false, normal(stroke.keysym)), |scancode| (true, scancode));
        if stroke.down {
            self.press(viewer, name, stroke)?
        } else {
            self.release(viewer, name)?
        }
        self.round_trip()
    }

    fn press(&mut self, viewer: u64, name: Name, stroke: KeyStroke) -> Result<()> {
        if let Some(keycode) = self.held.get(&(viewer, name)).copied() {
            // The X server takes no second press of a key that is down.
            self.send(KEY_RELEASE_EVENT, keycode)?;
            return self.send(KEY_PRESS_EVENT, keycode);
        }
        if self.held.len() >= MOST_HELD {
            return Ok(());
        }
        let state = u16::from(self.connection.query_pointer(self.root)?.reply()?.mask);
        let Some((keycode, shifted)) = self.key(stroke, state)? else { return Ok(()) };
        let is_shifted = state & u16::from(KeyButMask::SHIFT) != 0;
        let down: Vec<u8> = match shifted {
            Some(false) if is_shifted => {
                let keys = self.connection.query_keymap()?.reply()?.keys;
                let is_down = |key: &u8| keys[usize::from(key / 8)] & (1 << (key % 8)) != 0;
                self.shifts.iter().copied().filter(is_down).collect()
            }
            _ => Vec::new(),
        };
        let missing = if shifted == Some(true) && !is_shifted { self.shifts.first().copied() } else { None };
        for shift in &down {
            self.send(KEY_RELEASE_EVENT, *shift)?;
        }
        if let Some(shift) = missing {
            self.send(KEY_PRESS_EVENT, shift)?;
        }
        self.send(KEY_PRESS_EVENT, keycode)?;
        if let Some(shift) = missing {
            self.send(KEY_RELEASE_EVENT, shift)?;
        }
        for shift in &down {
            self.send(KEY_PRESS_EVENT, *shift)?;
        }
        self.held.insert((viewer, name), keycode);
        Ok(())
    }

    /// The key that a stroke means, and whether Shift has to be down for it; given a meaning, if none has it.
    fn key(&mut self, stroke: KeyStroke, state: u16) -> Result<Option<(u8, Option<bool>)>> {
        let keysym = normal(stroke.keysym);
        let cap = stroke.scancode.and_then(caps::key_at);
        let shortcut = state & SHORTCUT != 0;
        if keysym == 0 {
            return Ok(cap.map(|keycode| (keycode, None)));
        }
        if shortcut
            && let Some(letter) = foreign_letter(keysym)
            && let Some(keycode) = cap.or_else(|| caps::key_of(letter))
        {
            return Ok(Some((keycode, None)));
        }
        let place = self.keymap.locate(keysym, cap);
        // Shift on the keypad selects: a digit that needs it there, for Num Lock is off, is rather typed on another key.
        let shift = state & u16::from(KeyButMask::SHIFT) != 0;
        let num_lock = state & self.num_lock != 0;
        let place = place.filter(|place| {
            place.lock != Lock::Num || place.shifted.is_none_or(|shifted| (shifted != num_lock) == shift)
        });
        if let Some(place) = place {
            let locked = match place.lock {
                Lock::None => false,
                Lock::Caps => state & u16::from(KeyButMask::LOCK) != 0,
                Lock::Num => num_lock,
            };
            // Ctrl and C is copy, and Ctrl, Shift and C another thing: a viewer's Caps Lock must not make the one the other.
            let letter =
                shortcut && Keysym::new(keysym).key_char().is_some_and(|char| char.is_ascii_alphabetic());
            let shifted = place.shifted.filter(|_| !letter).map(|shifted| shifted != locked);
            return Ok(Some((place.keycode, shifted)));
        }
        let held: HashSet<u8> = self.held.values().copied().collect();
        let keycode = match self.keymap.spare(keysym, |keycode| held.contains(&keycode)) {
            Some(Spare::Mapped(keycode)) => keycode,
            Some(Spare::Free { keycode, settled }) => {
                if !settled {
                    self.settle()?;
                }
                self.connection.change_keyboard_mapping(1, keycode, 2, &[keysym; 2])?;
                self.keymap.assign(keycode, keysym);
                keycode
            }
            None => {
                log::warn!("no key is free for the keysym {keysym:#x}: viewers hold {} keys", held.len());
                return Ok(None);
            }
        };
        Ok(Some((keycode, None)))
    }

    fn release(&mut self, viewer: u64, name: Name) -> Result<()> {
        let Some(keycode) = self.held.remove(&(viewer, name)) else { return Ok(()) };
        if self.held.values().any(|held| *held == keycode) {
            // Another viewer holds it.
            return Ok(());
        }
        self.send(KEY_RELEASE_EVENT, keycode)
    }

    fn leave(&mut self, viewer: u64) -> Result<()> {
        let names: Vec<Name> =
            self.held.keys().filter(|(holder, _)| *holder == viewer).map(|(_, name)| *name).collect();
        for name in names {
            self.release(viewer, name)?;
        }
        self.round_trip()
    }

    fn copy(&mut self, text: String) -> Result<()> {
        self.clipboard.hold(&self.connection, text)?;
        self.round_trip()
    }

    fn send(&mut self, kind: u8, keycode: u8) -> Result<()> {
        self.connection.xtest_fake_input(kind, keycode, x11rb::CURRENT_TIME, x11rb::NONE, 0, 0, 0)?;
        self.keymap.stroke(keycode);
        Ok(())
    }

    /// Returns when the X server has done all that it was asked for.
    fn round_trip(&mut self) -> Result<()> {
        self.connection.get_input_focus()?.reply()?;
        self.take_events()
    }

    /// Waits until the program that has the focus has handled all keys so far: it answers a ping (`_NET_WM_PING`, of the
    /// Extended Window Manager Hints) in the order in which it takes its events. GTK reads the keyboard's mapping when it
    /// handles a key, so a key that means something else by then would be read as that.
    fn settle(&mut self) -> Result<()> {
        if let Some(window) = self.focused()? {
            self.asked = self.asked.wrapping_add(1).max(1);
            let data = [self.ping, self.asked, window, 0, 0];
            let event = ClientMessageEvent::new(32, window, self.protocols, data);
            self.connection.send_event(false, window, EventMask::NO_EVENT, event)?;
            self.connection.flush()?;
            let asked = self.asked;
            if !self.wait(PING_PATIENCE, |this| this.answered == asked)? {
                log::warn!("a browser handled no key for {PING_PATIENCE:?}; it may take one for another");
            }
        } else {
            self.connection.flush()?;
            self.wait(UNASKED, |_| false)?;
        }
        self.keymap.settle();
        Ok(())
    }

    /// The window that keys go to, or one of the same program, which answers pings.
    fn focused(&mut self) -> Result<Option<Window>> {
        let mut window = self.connection.get_input_focus()?.reply()?.focus;
        // 0 and 1: none, and whatever is under the pointer.
        for _ in 0..DEEPEST {
            if window <= 1 || window == self.root {
                break;
            }
            if self.answers_pings(window) {
                return Ok(Some(window));
            }
            match self.connection.query_tree(window)?.reply() {
                Ok(tree) => window = tree.parent,
                // It is gone.
                Err(_) => break,
            }
        }
        let under = self.connection.query_pointer(self.root)?.reply()?.child;
        let all = self.connection.query_tree(self.root)?.reply()?.children;
        let candidates = std::iter::once(under).chain(all.into_iter().rev()).filter(|window| *window > 1);
        Ok(candidates.into_iter().find(|window| self.answers_pings(*window)))
    }

    fn answers_pings(&self, window: Window) -> bool {
        let asked = self.connection.get_property(false, window, self.protocols, AtomEnum::ATOM, 0, 32);
        let protocols = asked.ok().and_then(|asked| asked.reply().ok());
        protocols
            .is_some_and(|list| list.value32().is_some_and(|mut atoms| atoms.any(|atom| atom == self.ping)))
    }

    /// Waits for events until something holds; false when it took too long.
    fn wait(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> Result<bool> {
        let deadline = Instant::now() + limit;
        loop {
            self.take_events()?;
            if done(self) {
                return Ok(true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let left = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
            poll(&mut [PollFd::new(self.connection.stream().as_fd(), PollFlags::POLLIN)], left)?;
        }
    }

    fn take_events(&mut self) -> Result<()> {
        while let Some(event) = self.connection.poll_for_event()? {
            match event {
                Event::XinputRawButtonPress(_) | Event::XinputRawButtonRelease(_) => self.clicked += 1,
                Event::ClientMessage(message)
                    if message.type_ == self.protocols && message.window == self.root =>
                {
                    let [kind, serial, ..] = message.data.as_data32();
                    if kind == self.ping {
                        self.answered = serial;
                    }
                }
                Event::SelectionRequest(request) => self.clipboard.answer(&self.connection, &request)?,
                Event::SelectionClear(cleared) => self.clipboard.lose(cleared.selection),
                _ => {}
            }
        }
        Ok(())
    }
}
