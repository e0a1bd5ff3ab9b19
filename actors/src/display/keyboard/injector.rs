//! The X client that injects the key events of viewers.

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

use super::clipboard::{Clipboard, ClipboardSource};
use super::keymap::{Keymap, Lock, Spare, foreign_letter, normal};
use super::{CommandOutcome, ConnectedViewers, caps};
use crate::net::rfb::KeyStroke;

/// How long the VNC server may take to forward a button event, which normally takes 1 to 2 ms.
const CLICK_TIMEOUT: Duration = Duration::from_millis(250);
/// How long the focused program may take to handle the preceding keys.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it is given if it does not support pings.
const UNPINGED_DELAY: Duration = Duration::from_millis(500);
/// The modifiers of shortcuts: Ctrl, Alt and Super.
const SHORTCUT: u16 = 1 << 2 | 1 << 3 | 1 << 6;
/// How many keys one viewer may hold: more than a keyboard has.
const MAX_HELD_KEYS: usize = 256;
const NUM_LOCK: RawKeysym = 0xff7f;
/// How many ancestors of the focused window are searched.
const MAX_WINDOW_DEPTH: usize = 16;

/// A command to the injector.
pub(super) enum Command {
    /// Replies once the injector is connected to the X server.
    Connect { reply: oneshot::Sender<CommandOutcome> },
    /// Presses or releases a key of a viewer.
    Stroke { viewer: u64, stroke: KeyStroke, reply: oneshot::Sender<CommandOutcome> },
    /// Puts a text on the clipboard.
    Copy { text: String, reply: oneshot::Sender<CommandOutcome> },
}

pub(super) type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Executes commands until all senders are dropped. All keys are released, however it ends.
pub(super) fn run(
    stream: UnixStream,
    (protocol, key): (Vec<u8>, Vec<u8>),
    mut commands: Receiver<Command>,
    mut wakeups: &UnixStream,
    clicks: &AtomicU64,
    viewers: &ConnectedViewers,
    clipboard_source: ClipboardSource,
) -> Result<()> {
    let (stream, _) = DefaultStream::from_unix_stream(stream)?;
    let connection = RustConnection::connect_to_stream_with_auth_info(stream, 0, protocol, key)?;
    let mut injector = Injector::new(connection, clicks, clipboard_source)?;
    loop {
        injector.handle_events()?;
        let x_server = injector.connection.stream().as_fd();
        let [x_server, wakeup] = [x_server, wakeups.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        wait_for(&mut [x_server, wakeup], PollTimeout::NONE)?;
        match wakeups.read(&mut [0; 64]) {
            Err(error) if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Err(error.into());
            }
            _ => {}
        }
        loop {
            // After every command, because a key may be pressed after its viewer has disconnected.
            injector.release_disconnected(viewers)?;
            let (outcome, reply) = match commands.try_recv() {
                Ok(Command::Connect { reply }) => (CommandOutcome::Done, reply),
                Ok(Command::Stroke { viewer, stroke, reply }) => (injector.stroke(viewer, stroke)?, reply),
                Ok(Command::Copy { text, reply }) => {
                    injector.copy(text)?;
                    (CommandOutcome::Done, reply)
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Ok(()),
            };
            // The viewer may have disconnected.
            let _ = reply.send(outcome);
        }
    }
}

/// Waits until one of these is readable; may return earlier after a signal.
fn wait_for(files: &mut [PollFd<'_>], limit: PollTimeout) -> Result<()> {
    match poll(files, limit) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// How a viewer identifies a key: true and its scancode, or false and its keysym.
type KeyId = (bool, u32);

/// The keys that one viewer holds, with their keycodes.
#[derive(Debug, Default)]
struct Held {
    keys: HashMap<KeyId, u8>,
    /// Whether it was logged that it held all spare keys.
    warned: bool,
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
    /// The held keys by viewer.
    held: HashMap<u64, Held>,
    /// How many button events the viewers have sent.
    clicks: &'a AtomicU64,
    /// How many of them the X server has handled.
    clicked: u64,
    /// The number of the last ping to the focused program, and of the last one that was answered.
    last_ping: u32,
    last_pong: u32,
}

impl<'a> Injector<'a> {
    fn new(
        connection: RustConnection,
        clicks: &'a AtomicU64,
        clipboard_source: ClipboardSource,
    ) -> Result<Self> {
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
        // Replies to pings are sent to the root window.
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
        let clipboard = Clipboard::new(&connection, root, clipboard_source)?;
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
            last_ping: 0,
            last_pong: 0,
            connection,
        };
        injector.disable_repeat()?;
        injector.release_leftovers()?;
        Ok(injector)
    }

    /// Releases the keys of an earlier connection that the X server has closed.
    fn release_leftovers(&mut self) -> Result<()> {
        for keycode in self.pressed_keys()? {
            self.send(KEY_RELEASE_EVENT, keycode)?;
        }
        Ok(())
    }

    /// The keycodes of the pressed keys.
    fn pressed_keys(&self) -> Result<Vec<u8>> {
        let keys = self.connection.query_keymap()?.reply()?.keys;
        Ok((0..=u8::MAX).filter(|key| keys[usize::from(key / 8)] & (1 << (key % 8)) != 0).collect())
    }

    /// Disables key repeat in the X server, because viewers repeat held keys themselves. Otherwise keys would be repeated twice
    /// as often, and until a delayed release arrives.
    fn disable_repeat(&self) -> Result<()> {
        let enabled_controls = xkb::Control::from(1_u32 << 31);
        let all_devices = 0_u16;
        let devices = self.connection.xinput_xi_query_device(all_devices)?.reply()?;
        let keyboards = [xinput::DeviceType::MASTER_KEYBOARD, xinput::DeviceType::SLAVE_KEYBOARD];
        for device in devices.infos.iter().filter(|device| keyboards.contains(&device.type_)) {
            // All other controls stay unchanged.
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

    fn stroke(&mut self, viewer: u64, stroke: KeyStroke) -> Result<CommandOutcome> {
        // A preceding click, which may change the focus, must take effect before the key.
        let expected = self.clicks.load(Ordering::SeqCst);
        if !self.wait(CLICK_TIMEOUT, |this| this.clicked >= expected)? {
            // The VNC server has merged the button events of several viewers, so some never arrive.
            self.clicked = expected;
        }
        let id = stroke.scancode.map_or((false, normal(stroke.keysym)), |scancode| (true, scancode));
        let outcome = if stroke.down {
            self.press(viewer, id, stroke)?
        } else {
            self.release(viewer, id)?;
            CommandOutcome::Done
        };
        self.round_trip()?;
        Ok(outcome)
    }

    fn press(&mut self, viewer: u64, id: KeyId, stroke: KeyStroke) -> Result<CommandOutcome> {
        let keys = &self.held.entry(viewer).or_default().keys;
        if let Some(keycode) = keys.get(&id).copied() {
            self.press_again(keycode)?;
            return Ok(CommandOutcome::Done);
        }
        if keys.len() >= MAX_HELD_KEYS {
            return Ok(CommandOutcome::TooManyKeys);
        }
        let state = u16::from(self.connection.query_pointer(self.root)?.reply()?.mask);
        let Some((keycode, shifted)) = self.find_key(stroke, state)? else { return Ok(CommandOutcome::Done) };
        let is_shifted = state & u16::from(KeyButMask::SHIFT) != 0;
        let unwanted_shifts: Vec<u8> = match shifted {
            Some(false) if is_shifted => {
                self.pressed_keys()?.into_iter().filter(|key| self.shifts.contains(key)).collect()
            }
            _ => Vec::new(),
        };
        let missing_shift =
            if shifted == Some(true) && !is_shifted { self.shifts.first().copied() } else { None };
        for shift in &unwanted_shifts {
            self.send(KEY_RELEASE_EVENT, *shift)?;
        }
        if let Some(shift) = missing_shift {
            self.send(KEY_PRESS_EVENT, shift)?;
        }
        let is_held = self.is_held(keycode);
        // Recorded before it is pressed, so that it is released even if something fails after that.
        self.held.entry(viewer).or_default().keys.insert(id, keycode);
        if is_held {
            // Another viewer holds it too, and keeps it pressed.
            self.press_again(keycode)?;
        } else {
            self.send(KEY_PRESS_EVENT, keycode)?;
        }
        if let Some(shift) = missing_shift {
            self.send(KEY_RELEASE_EVENT, shift)?;
        }
        for shift in &unwanted_shifts {
            self.send(KEY_PRESS_EVENT, *shift)?;
        }
        Ok(CommandOutcome::Done)
    }

    /// Releases the key first, because the X server ignores a press of a pressed key.
    fn press_again(&mut self, keycode: u8) -> Result<()> {
        self.send(KEY_RELEASE_EVENT, keycode)?;
        self.send(KEY_PRESS_EVENT, keycode)
    }

    fn is_held(&self, keycode: u8) -> bool {
        self.held.values().any(|held| held.keys.values().any(|key| *key == keycode))
    }

    /// Finds the keycode of a stroke, and whether it needs Shift to be pressed or released (`None`: either). Maps a spare key
    /// if no key has the keysym.
    fn find_key(&mut self, stroke: KeyStroke, state: u16) -> Result<Option<(u8, Option<bool>)>> {
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
        // Shift with a keypad key extends the selection, so a digit that would need it is typed with another key.
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
            // Ctrl+C and Ctrl+Shift+C differ, so the Caps Lock of a viewer must not add Shift to a shortcut.
            let letter =
                shortcut && Keysym::new(keysym).key_char().is_some_and(|char| char.is_ascii_alphabetic());
            let shifted = place.shifted.filter(|_| !letter).map(|shifted| shifted != locked);
            return Ok(Some((place.keycode, shifted)));
        }
        let mut spare = self.spare(keysym);
        if spare.is_none() {
            self.free_spares()?;
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
            // The layout has no spare keys.
            None => return Ok(None),
        };
        Ok(Some((keycode, None)))
    }

    fn spare(&self, keysym: RawKeysym) -> Option<Spare> {
        let held: HashSet<u8> = self.held.values().flat_map(|held| held.keys.values().copied()).collect();
        self.keymap.spare(keysym, |keycode| held.contains(&keycode))
    }

    /// Releases the spare keys of the viewer that holds the most of them, when none is left for others.
    fn free_spares(&mut self) -> Result<()> {
        let spares = |held: &Held| -> Vec<KeyId> {
            let is_spare = |key: &(&KeyId, &u8)| self.keymap.is_spare(*key.1);
            held.keys.iter().filter(is_spare).map(|(id, _)| *id).collect()
        };
        let all = self.held.iter().map(|(viewer, held)| (*viewer, spares(held)));
        let Some((viewer, ids)) = all.max_by_key(|(_, ids)| ids.len()) else { return Ok(()) };
        if let Some(held) = self.held.get_mut(&viewer)
            && !std::mem::replace(&mut held.warned, true)
        {
            log::warn!(
                "a viewer holds {} characters down that the layout has no keys for, and leaves no spare keys for others; they are released",
                ids.len()
            );
        }
        ids.into_iter().try_for_each(|id| self.release(viewer, id))
    }

    fn release(&mut self, viewer: u64, id: KeyId) -> Result<()> {
        let keycode = self.held.get_mut(&viewer).and_then(|held| held.keys.remove(&id));
        match keycode {
            // If another viewer holds it too, it stays pressed.
            Some(keycode) if !self.is_held(keycode) => self.send(KEY_RELEASE_EVENT, keycode),
            _ => Ok(()),
        }
    }

    /// Releases the keys of viewers that have disconnected.
    fn release_disconnected(&mut self, viewers: &ConnectedViewers) -> Result<()> {
        let gone: Vec<u64> = self.held.keys().copied().filter(|viewer| !viewers.contains(*viewer)).collect();
        if gone.is_empty() {
            return Ok(());
        }
        for viewer in gone {
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
        self.clipboard.set_text(&self.connection, text)?;
        self.round_trip()
    }

    fn send(&mut self, kind: u8, keycode: u8) -> Result<()> {
        self.connection.xtest_fake_input(kind, keycode, x11rb::CURRENT_TIME, x11rb::NONE, 0, 0, 0)?;
        self.keymap.stroke(keycode);
        Ok(())
    }

    /// Returns when the X server has handled all requests.
    fn round_trip(&mut self) -> Result<()> {
        self.connection.get_input_focus()?.reply()?;
        self.handle_events()
    }

    /// Waits until the focused program has handled all previous keys. It replies to pings (`_NET_WM_PING` of the Extended
    /// Window Manager Hints) in the order of its events. This is needed before a key is remapped, because GTK looks up the
    /// mapping of a key only when it handles the event.
    fn settle(&mut self) -> Result<()> {
        if let Some(window) = self.focused()? {
            self.last_ping = self.last_ping.wrapping_add(1).max(1);
            let data = [self.ping, self.last_ping, window, 0, 0];
            let event = ClientMessageEvent::new(32, window, self.protocols, data);
            self.connection.send_event(false, window, EventMask::NO_EVENT, event)?;
            self.connection.flush()?;
            let ping = self.last_ping;
            if !self.wait(PING_TIMEOUT, |this| this.last_pong == ping)? {
                log::warn!("a browser handled no key for {PING_TIMEOUT:?}; it may read a wrong character");
            }
        } else {
            self.connection.flush()?;
            self.wait(UNPINGED_DELAY, |_| false)?;
        }
        self.keymap.settle();
        Ok(())
    }

    /// A window that replies to pings: the one that receives keys, an ancestor of it, or another one on the screen.
    fn focused(&mut self) -> Result<Option<Window>> {
        let mut window = self.connection.get_input_focus()?.reply()?.focus;
        // The focus 0 means no window, 1 the one under the pointer.
        for _ in 0..MAX_WINDOW_DEPTH {
            if window <= 1 || window == self.root {
                break;
            }
            if self.answers_pings(window) {
                return Ok(Some(window));
            }
            match self.connection.query_tree(window)?.reply() {
                Ok(tree) => window = tree.parent,
                // The window was closed.
                Err(_) => break,
            }
        }
        let under = self.connection.query_pointer(self.root)?.reply()?.child;
        let all = self.connection.query_tree(self.root)?.reply()?.children;
        let candidates = std::iter::once(under).chain(all.into_iter().rev()).filter(|window| *window > 1);
        Ok(candidates.into_iter().find(|window| self.answers_pings(*window)))
    }

    fn answers_pings(&self, window: Window) -> bool {
        let property = self.connection.get_property(false, window, self.protocols, AtomEnum::ATOM, 0, 32);
        let protocols = property.ok().and_then(|property| property.reply().ok());
        protocols.is_some_and(|property| {
            property.value32().is_some_and(|mut atoms| atoms.any(|atom| atom == self.ping))
        })
    }

    /// Handles events until the condition holds; false if it does not within the limit.
    fn wait(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> Result<bool> {
        let deadline = Instant::now() + limit;
        loop {
            self.handle_events()?;
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

    fn handle_events(&mut self) -> Result<()> {
        while let Some(event) = self.connection.poll_for_event()? {
            match event {
                Event::XinputRawButtonPress(_) | Event::XinputRawButtonRelease(_) => self.clicked += 1,
                Event::ClientMessage(message)
                    if message.type_ == self.protocols && message.window == self.root =>
                {
                    let [kind, serial, ..] = message.data.as_data32();
                    if kind == self.ping {
                        self.last_pong = serial;
                    }
                }
                Event::SelectionRequest(request) => self.clipboard.send_text(&self.connection, &request)?,
                Event::XfixesSelectionNotify(copied) => {
                    self.clipboard.request_text(&self.connection, &copied)?
                }
                Event::SelectionNotify(answer) => self.clipboard.receive(&self.connection, &answer)?,
                Event::PropertyNotify(changed) => self.clipboard.receive_piece(&self.connection, &changed)?,
                Event::SelectionClear(cleared) => self.clipboard.on_selection_lost(cleared.selection),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Drop for Injector<'_> {
    /// Releases all keys, even after a panic: the X server keeps the keys of a disconnected client pressed.
    fn drop(&mut self) {
        let held: HashSet<u8> = self.held.values().flat_map(|held| held.keys.values().copied()).collect();
        for keycode in held {
            let (released, now, nowhere) = (KEY_RELEASE_EVENT, x11rb::CURRENT_TIME, x11rb::NONE);
            let _ = self.connection.xtest_fake_input(released, keycode, now, nowhere, 0, 0, 0);
        }
        // The X server discards the requests of a closed connection, so wait until it has handled them. If the connection is
        // broken, the next injector releases the keys.
        let _ = self.connection.get_input_focus().map(|done| done.reply());
    }
}
