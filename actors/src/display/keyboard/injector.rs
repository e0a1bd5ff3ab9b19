//! The X client that presses the keys.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::io::{self, Read as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::error::TryRecvError;
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

use super::clipboard::{Clipboard, Outlet};
use super::keymap::{Keymap, Lock, Spare, foreign_letter, normal};
use super::{Typed, Viewers, caps};
use crate::net::rfb::KeyStroke;

/// How long buttons of the pointer may be on their way through the VNC server, which takes a millisecond or two.
const CLICK_PATIENCE: Duration = Duration::from_millis(250);
/// How long the program that has the focus may take to handle all keys so far.
const PING_PATIENCE: Duration = Duration::from_secs(10);
/// The same where it can't be asked.
const UNASKED: Duration = Duration::from_millis(500);
/// Keys that make a shortcut of a letter: Ctrl, Alt, and Super.
const SHORTCUT: u16 = 1 << 2 | 1 << 3 | 1 << 6;
/// How many keys one viewer may hold, more than a keyboard has: whoever holds more is no person.
const MOST_HELD: usize = 256;
const NUM_LOCK: RawKeysym = 0xff7f;
/// The most levels of windows, one in another.
const DEEPEST: usize = 16;

/// What the keyboard is asked for.
pub(super) enum Command {
    /// To be there.
    Hello { done: oneshot::Sender<Typed> },
    /// A key of a viewer goes down or up.
    Stroke { viewer: u64, stroke: KeyStroke, done: oneshot::Sender<Typed> },
    /// A text is on the clipboard.
    Copy { text: String, done: oneshot::Sender<Typed> },
}

pub(super) type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Serves the commands until nobody can send any more. However it ends, nothing stays down.
pub(super) fn run(
    stream: UnixStream,
    (protocol, key): (Vec<u8>, Vec<u8>),
    mut commands: Receiver<Command>,
    mut bell: &UnixStream,
    clicks: &AtomicU64,
    viewers: &Viewers,
    outlet: Outlet,
) -> Result<()> {
    let (stream, _) = DefaultStream::from_unix_stream(stream)?;
    let connection = RustConnection::connect_to_stream_with_auth_info(stream, 0, protocol, key)?;
    let mut injector = Injector::new(connection, clicks, outlet)?;
    loop {
        injector.take_events()?;
        let x_server = injector.connection.stream().as_fd();
        let [x_server, rung] = [x_server, bell.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        wait_for(&mut [x_server, rung], PollTimeout::NONE)?;
        match bell.read(&mut [0; 64]) {
            Err(error) if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Err(error.into());
            }
            _ => {}
        }
        loop {
            // Each time: what was asked for in a viewer's last moment goes down after it has left.
            injector.release_departed(viewers)?;
            let (typed, done) = match commands.try_recv() {
                Ok(Command::Hello { done }) => (Typed::All, done),
                Ok(Command::Stroke { viewer, stroke, done }) => (injector.stroke(viewer, stroke)?, done),
                Ok(Command::Copy { text, done }) => {
                    injector.copy(text)?;
                    (Typed::All, done)
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Ok(()),
            };
            // Who asked may have left.
            let _ = done.send(typed);
        }
    }
}

/// Waits until one of these can be read; a signal to the process may end the wait before.
fn wait_for(files: &mut [PollFd<'_>], limit: PollTimeout) -> Result<()> {
    match poll(files, limit) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A key by what a viewer calls it: its scancode, or else its keysym.
type Name = (bool, u32);

/// What one viewer holds.
#[derive(Debug, Default)]
struct Held {
    keys: HashMap<Name, u8>,
    /// Whether it was said that it held more than is left for others.
    complained: bool,
}

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
    held: HashMap<u64, Held>,
    /// How often buttons went down or up, by the viewers and by the X server.
    clicks: &'a AtomicU64,
    clicked: u64,
    /// The last question to the program that has the focus, and the last that it answered.
    asked: u32,
    answered: u32,
}

impl<'a> Injector<'a> {
    fn new(connection: RustConnection, clicks: &'a AtomicU64, outlet: Outlet) -> Result<Self> {
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
        let clipboard = Clipboard::new(&connection, root, outlet)?;
        let mut injector = Self {
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
        injector.release_leftovers()?;
        Ok(injector)
    }

    /// Lets go of what an earlier connection, which the X server has closed, left down.
    fn release_leftovers(&mut self) -> Result<()> {
        for keycode in self.down()? {
            self.send(KEY_RELEASE_EVENT, keycode)?;
        }
        Ok(())
    }

    /// The keys that are down.
    fn down(&self) -> Result<Vec<u8>> {
        let keys = self.connection.query_keymap()?.reply()?.keys;
        Ok((0..=u8::MAX).filter(|key| keys[usize::from(key / 8)] & (1 << (key % 8)) != 0).collect())
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

    fn stroke(&mut self, viewer: u64, stroke: KeyStroke) -> Result<Typed> {
        // What a click changes, the focus for one, is there before a key that comes after it.
        let expected = self.clicks.load(Ordering::SeqCst);
        if !self.wait(CLICK_PATIENCE, |this| this.clicked >= expected)? {
            // The VNC server took another viewer's button for this one's.
            self.clicked = expected;
        }
        let name = stroke.scancode.map_or((false, normal(stroke.keysym)), |scancode| (true, scancode));
        let typed = if stroke.down {
            self.press(viewer, name, stroke)?
        } else {
            self.release(viewer, name)?;
            Typed::All
        };
        self.round_trip()?;
        Ok(typed)
    }

    fn press(&mut self, viewer: u64, name: Name, stroke: KeyStroke) -> Result<Typed> {
        let keys = &self.held.entry(viewer).or_default().keys;
        if let Some(keycode) = keys.get(&name).copied() {
            self.press_again(keycode)?;
            return Ok(Typed::All);
        }
        if keys.len() >= MOST_HELD {
            return Ok(Typed::TooMany);
        }
        let state = u16::from(self.connection.query_pointer(self.root)?.reply()?.mask);
        let Some((keycode, shifted)) = self.key(stroke, state)? else { return Ok(Typed::All) };
        let is_shifted = state & u16::from(KeyButMask::SHIFT) != 0;
        let down: Vec<u8> = match shifted {
            Some(false) if is_shifted => {
                self.down()?.into_iter().filter(|key| self.shifts.contains(key)).collect()
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
        let is_held = self.is_held(keycode);
        // Before it goes down: whatever fails after that, it is let go.
        self.held.entry(viewer).or_default().keys.insert(name, keycode);
        if is_held {
            // By another viewer, whose key it stays.
            self.press_again(keycode)?;
        } else {
            self.send(KEY_PRESS_EVENT, keycode)?;
        }
        if let Some(shift) = missing {
            self.send(KEY_RELEASE_EVENT, shift)?;
        }
        for shift in &down {
            self.send(KEY_PRESS_EVENT, *shift)?;
        }
        Ok(Typed::All)
    }

    /// The X server takes no second press of a key that is down.
    fn press_again(&mut self, keycode: u8) -> Result<()> {
        self.send(KEY_RELEASE_EVENT, keycode)?;
        self.send(KEY_PRESS_EVENT, keycode)
    }

    fn is_held(&self, keycode: u8) -> bool {
        self.held.values().any(|held| held.keys.values().any(|key| *key == keycode))
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
        let mut spare = self.spare(keysym);
        if spare.is_none() {
            self.take_spares()?;
            spare = self.spare(keysym);
        }
        let keycode = match spare {
            Some(Spare::Mapped(keycode)) => keycode,
            Some(Spare::Free { keycode, settled }) => {
                if !settled {
                    self.settle()?;
                }
                self.connection.change_keyboard_mapping(1, keycode, 2, &[keysym; 2])?;
                self.keymap.assign(keycode, keysym);
                keycode
            }
            // A layout that leaves no key at all.
            None => return Ok(None),
        };
        Ok(Some((keycode, None)))
    }

    fn spare(&self, keysym: RawKeysym) -> Option<Spare> {
        let held: HashSet<u8> = self.held.values().flat_map(|held| held.keys.values().copied()).collect();
        self.keymap.spare(keysym, |keycode| held.contains(&keycode))
    }

    /// No spare key is left: lets go of those of the viewer that holds the most of them, so that nobody else is silenced.
    fn take_spares(&mut self) -> Result<()> {
        let spares = |held: &Held| -> Vec<Name> {
            let is_spare = |key: &(&Name, &u8)| self.keymap.is_spare(*key.1);
            held.keys.iter().filter(is_spare).map(|(name, _)| *name).collect()
        };
        let all = self.held.iter().map(|(viewer, held)| (*viewer, spares(held)));
        let Some((viewer, names)) = all.max_by_key(|(_, names)| names.len()) else { return Ok(()) };
        if let Some(held) = self.held.get_mut(&viewer)
            && !std::mem::replace(&mut held.complained, true)
        {
            log::warn!(
                "a viewer holds {} characters down that the layout has no keys for, and left none for others; they are let go",
                names.len()
            );
        }
        names.into_iter().try_for_each(|name| self.release(viewer, name))
    }

    fn release(&mut self, viewer: u64, name: Name) -> Result<()> {
        let keycode = self.held.get_mut(&viewer).and_then(|held| held.keys.remove(&name));
        match keycode {
            // If another viewer holds it, it stays down.
            Some(keycode) if !self.is_held(keycode) => self.send(KEY_RELEASE_EVENT, keycode),
            _ => Ok(()),
        }
    }

    /// Lets go of what those hold who have left.
    fn release_departed(&mut self, viewers: &Viewers) -> Result<()> {
        let departed: Vec<u64> = self.held.keys().copied().filter(|viewer| !viewers.has(*viewer)).collect();
        if departed.is_empty() {
            return Ok(());
        }
        for viewer in departed {
            let keys = self.held.remove(&viewer).map(|held| held.keys).unwrap_or_default();
            for keycode in keys.into_values().collect::<HashSet<_>>() {
                if !self.is_held(keycode) {
                    self.send(KEY_RELEASE_EVENT, keycode)?;
                }
            }
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
            wait_for(&mut [PollFd::new(self.connection.stream().as_fd(), PollFlags::POLLIN)], left)?;
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
                Event::XfixesSelectionNotify(copied) => self.clipboard.ask(&self.connection, &copied)?,
                Event::SelectionNotify(answer) => self.clipboard.receive(&self.connection, &answer)?,
                Event::PropertyNotify(changed) => self.clipboard.receive_piece(&self.connection, &changed)?,
                Event::SelectionClear(cleared) => self.clipboard.lose(cleared.selection),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Drop for Injector<'_> {
    /// Whatever ended the thread, and even if that was a panic: the X server keeps keys down whose client has gone.
    fn drop(&mut self) {
        let held: HashSet<u8> = self.held.values().flat_map(|held| held.keys.values().copied()).collect();
        for keycode in held {
            let (released, now, nowhere) = (KEY_RELEASE_EVENT, x11rb::CURRENT_TIME, x11rb::NONE);
            let _ = self.connection.xtest_fake_input(released, keycode, now, nowhere, 0, 0, 0);
        }
        // The X server does not read on when a connection is closed. One that is broken already is the next thread's to clean
        // up after.
        let _ = self.connection.get_input_focus().map(|done| done.reply());
    }
}
