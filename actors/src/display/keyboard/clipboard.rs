//! The clipboard of a display, as one X client holds it for the others (ICCCM, section 2).

use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::xfixes::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ConnectionExt as _, CreateWindowAux, EventMask, PropMode, Property, PropertyNotifyEvent,
    SELECTION_NOTIFY_EVENT, SelectionNotifyEvent, SelectionRequestEvent, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use super::injector::Result;
use crate::net::rfb::CLIPBOARD_LIMIT;

/// The longest text that x11vnc passes on, in bytes; it cuts what is longer.
const CUT_BUFFER_LIMIT: usize = 128 << 10;

/// How the VNC server gets what a program has put on the clipboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::display) enum Outlet {
    /// By itself, unless it comes in pieces, which Xvnc takes for nothing: a text in one piece is selected for it then.
    Selections,
    /// By the oldest of all ways: x11vnc asks for selections only when nobody has connected to it for 15 seconds, but sends
    /// at once what is in the first of the cut buffers.
    CutBuffer,
}

/// A text that comes from the program that has copied it.
#[derive(Debug)]
struct Incoming {
    /// Where it is put.
    property: Atom,
    /// Whether it comes in pieces.
    pieces: bool,
    text: Vec<u8>,
    /// Bytes that have come, and were not all kept.
    length: usize,
}

/// A text that others may ask for, on the clipboard and as what is selected; and the text of others, for the VNC server.
pub(super) struct Clipboard {
    outlet: Outlet,
    root: Window,
    /// Holds it.
    window: Window,
    clipboard: Atom,
    targets: Atom,
    /// The forms of UTF-8 that programs ask for.
    utf8: Vec<Atom>,
    /// The type of what comes in pieces.
    incremental: Atom,
    /// Where texts are put, in turn: a piece of an earlier one is not taken for one of a later.
    properties: [Atom; 2],
    incoming: Option<Incoming>,
    /// Whether the last one was too long, which is said once of several.
    was_too_long: bool,
    text: String,
    /// What of the two is ours.
    held: Vec<Atom>,
}

impl Clipboard {
    pub fn new(connection: &RustConnection, root: Window, outlet: Outlet) -> Result<Self> {
        // Asked for once, so that a long text fits in one request.
        connection.prefetch_maximum_request_bytes();
        let atom = |name: &str| -> Result<Atom> {
            Ok(connection.intern_atom(false, name.as_bytes())?.reply()?.atom)
        };
        let window = connection.generate_id()?;
        let class = WindowClass::INPUT_ONLY;
        // Pieces of a text are properties.
        let events = CreateWindowAux::new().event_mask(EventMask::PROPERTY_CHANGE);
        connection
            .create_window(0, window, root, 0, 0, 1, 1, 0, class, x11rb::COPY_FROM_PARENT, &events)?
            .check()?;
        let clipboard = atom("CLIPBOARD")?;
        connection.xfixes_query_version(1, 0)?.reply()?;
        let copied = xfixes::SelectionEventMask::SET_SELECTION_OWNER;
        connection.xfixes_select_selection_input(window, clipboard, copied)?.check()?;
        Ok(Self {
            outlet,
            root,
            window,
            clipboard,
            targets: atom("TARGETS")?,
            utf8: vec![atom("UTF8_STRING")?, atom("text/plain;charset=utf-8")?],
            incremental: atom("INCR")?,
            properties: [atom("CAMOFLEET_COPIED_1")?, atom("CAMOFLEET_COPIED_2")?],
            incoming: None,
            was_too_long: false,
            text: String::new(),
            held: Vec::new(),
        })
    }

    /// A program has copied something: asks for it as a text.
    pub fn ask(&mut self, connection: &RustConnection, copied: &xfixes::SelectionNotifyEvent) -> Result<()> {
        if copied.selection != self.clipboard || [self.window, x11rb::NONE].contains(&copied.owner) {
            return Ok(());
        }
        self.properties.reverse();
        let property = self.properties[0];
        self.incoming = Some(Incoming { property, pieces: false, text: Vec::new(), length: 0 });
        let time = copied.selection_timestamp;
        connection.convert_selection(self.window, self.clipboard, self.utf8[0], property, time)?;
        connection.flush()?;
        Ok(())
    }

    /// A program has answered: with the text, or with the announcement of its pieces.
    pub fn receive(&mut self, connection: &RustConnection, answer: &SelectionNotifyEvent) -> Result<()> {
        let awaited = |incoming: &Incoming| answer.property == incoming.property && !incoming.pieces;
        if answer.requestor != self.window || !self.incoming.as_ref().is_some_and(awaited) {
            return Ok(());
        }
        self.take(connection)
    }

    /// A piece has come.
    pub fn receive_piece(
        &mut self,
        connection: &RustConnection,
        changed: &PropertyNotifyEvent,
    ) -> Result<()> {
        let awaited = |incoming: &Incoming| changed.atom == incoming.property && incoming.pieces;
        let is_new = changed.window == self.window && changed.state == Property::NEW_VALUE;
        if !is_new || !self.incoming.as_ref().is_some_and(awaited) {
            return Ok(());
        }
        self.take(connection)
    }

    fn take(&mut self, connection: &RustConnection) -> Result<()> {
        let Some(incoming) = &mut self.incoming else { return Ok(()) };
        let words = (CLIPBOARD_LIMIT / 4) as u32 + 1;
        let (window, property) = (self.window, incoming.property);
        let found = connection.get_property(true, window, property, AtomEnum::ANY, 0, words)?.reply()?;
        if found.type_ == self.incremental {
            // That it was taken asks for the first piece.
            incoming.pieces = true;
            return Ok(());
        }
        incoming.length += found.value.len() + found.bytes_after as usize;
        if found.bytes_after > 0 {
            // Only what was read to its end is gone.
            connection.delete_property(window, property)?;
            connection.flush()?;
        }
        if incoming.length <= CLIPBOARD_LIMIT {
            incoming.text.extend(&found.value);
        } else {
            incoming.text = Vec::new();
        }
        // An empty piece is the last.
        if incoming.pieces && !found.value.is_empty() {
            return Ok(());
        }
        let Some(Incoming { pieces, text, length, .. }) = self.incoming.take() else { return Ok(()) };
        self.pass(connection, text, length, pieces)
    }

    /// Gives a text to the VNC server, if that can't get it by itself.
    fn pass(
        &mut self,
        connection: &RustConnection,
        text: Vec<u8>,
        length: usize,
        pieces: bool,
    ) -> Result<()> {
        let text = String::from_utf8_lossy(&text);
        let limit = match self.outlet {
            Outlet::Selections => CLIPBOARD_LIMIT,
            Outlet::CutBuffer => CUT_BUFFER_LIMIT,
        };
        let latin = if self.outlet == Outlet::CutBuffer { latin_1(&text) } else { Vec::new() };
        let is_too_long = length > CLIPBOARD_LIMIT || latin.len() > limit;
        if is_too_long && !std::mem::replace(&mut self.was_too_long, true) {
            log::warn!(
                "a text of {length} bytes that was copied in a session is not passed on to its viewers: it may have {limit}"
            );
        }
        if is_too_long {
            return Ok(());
        }
        self.was_too_long = false;
        match self.outlet {
            Outlet::CutBuffer => {
                let (buffer, kind) = (AtomEnum::CUT_BUFFER0, AtomEnum::STRING);
                connection.change_property8(PropMode::REPLACE, self.root, buffer, kind, &latin)?;
                connection.flush()?;
            }
            Outlet::Selections if pieces => {
                self.text = text.into_owned();
                self.own(connection, vec![AtomEnum::PRIMARY.into()])?;
                connection.flush()?;
            }
            Outlet::Selections => {}
        }
        Ok(())
    }

    fn own(&mut self, connection: &RustConnection, selections: Vec<Atom>) -> Result<()> {
        for selection in &selections {
            connection.set_selection_owner(self.window, *selection, x11rb::CURRENT_TIME)?;
        }
        self.held = selections;
        Ok(())
    }

    /// Holds a text until somebody else copies one.
    pub fn hold(&mut self, connection: &RustConnection, text: String) -> Result<()> {
        self.text = text;
        self.own(connection, vec![self.clipboard, AtomEnum::PRIMARY.into()])
    }

    /// Somebody else has copied a text.
    pub fn lose(&mut self, selection: Atom) {
        self.held.retain(|held| *held != selection);
        if self.held.is_empty() {
            self.text = String::new();
        }
    }

    /// Gives the text to a program that asks for it, in the form that it asks for.
    pub fn answer(&self, connection: &RustConnection, request: &SelectionRequestEvent) -> Result<()> {
        let &SelectionRequestEvent { time, requestor, selection, target, .. } = request;
        let property = if request.property == x11rb::NONE { target } else { request.property };
        let latin: Atom = AtomEnum::STRING.into();
        let put = |kind: Atom, bytes: &[u8]| {
            connection
                .change_property8(PropMode::REPLACE, requestor, property, kind, bytes)
                .map(|put| put.check())
        };
        let given = if target == self.targets {
            let targets: Vec<Atom> =
                [self.targets, latin].into_iter().chain(self.utf8.iter().copied()).collect();
            let put = connection.change_property32(
                PropMode::REPLACE,
                requestor,
                property,
                AtomEnum::ATOM,
                &targets,
            );
            Some(put?.check())
        } else if self.utf8.contains(&target) {
            Some(put(target, self.text.as_bytes())?)
        } else if target == latin {
            Some(put(latin, &latin_1(&self.text))?)
        } else {
            None
        };
        // Nothing is given in a form that is not known, or to a window that is gone.
        let property = if given.is_some_and(|given| given.is_ok()) { property } else { x11rb::NONE };
        let answer = SelectionNotifyEvent {
            response_type: SELECTION_NOTIFY_EVENT,
            sequence: 0,
            time,
            requestor,
            selection,
            target,
            property,
        };
        connection.send_event(false, requestor, EventMask::NO_EVENT, answer)?.ignore_error();
        connection.flush()?;
        Ok(())
    }
}

/// A text in Latin-1, which has one byte for each character that it has.
fn latin_1(text: &str) -> Vec<u8> {
    text.chars().map(|char| u8::try_from(char).unwrap_or(b'?')).collect()
}
