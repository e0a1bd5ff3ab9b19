//! Transfers texts between the clipboard of a display and the VNC server (ICCCM, section 2).

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

/// The longest text that x11vnc forwards, in bytes; it truncates longer ones.
const CUT_BUFFER_LIMIT: usize = 128 << 10;

/// Where the VNC server reads the texts that programs copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::display) enum ClipboardSource {
    /// From the selections. Xvnc ignores texts that are sent incrementally, so those are offered again in one piece.
    Selections,
    /// From the first cut buffer. x11vnc reads selections only if nobody has connected to it for 15 seconds, but forwards the
    /// cut buffer immediately.
    CutBuffer,
}

/// A text that is being received from the program that copied it.
#[derive(Debug)]
struct Incoming {
    /// The property of our window that receives it.
    property: Atom,
    /// Whether it is sent incrementally.
    incremental: bool,
    text: Vec<u8>,
    /// How many bytes were received, including those that exceed the limit and were discarded.
    length: usize,
}

/// Owns the selections while a viewer's text is on the clipboard, and receives the texts that programs copy.
pub(super) struct Clipboard {
    source: ClipboardSource,
    root: Window,
    /// Our window, which owns selections and receives texts.
    window: Window,
    clipboard: Atom,
    targets: Atom,
    /// The targets that stand for UTF-8 text.
    utf8: Vec<Atom>,
    /// The type of an incremental transfer.
    incr: Atom,
    /// The properties that receive texts, used alternately so that a late piece of one text is not added to the next.
    properties: [Atom; 2],
    incoming: Option<Incoming>,
    /// Whether the last text was too long, so that consecutive ones are logged once.
    was_too_long: bool,
    /// The text that is offered to programs.
    text: String,
    /// The selections that our window owns.
    owned: Vec<Atom>,
}

impl Clipboard {
    pub fn new(connection: &RustConnection, root: Window, source: ClipboardSource) -> Result<Self> {
        // Allows a long text in one request.
        connection.prefetch_maximum_request_bytes();
        let atom = |name: &str| -> Result<Atom> {
            Ok(connection.intern_atom(false, name.as_bytes())?.reply()?.atom)
        };
        let window = connection.generate_id()?;
        let class = WindowClass::INPUT_ONLY;
        // Notifies of the pieces of an incremental transfer.
        let events = CreateWindowAux::new().event_mask(EventMask::PROPERTY_CHANGE);
        connection
            .create_window(0, window, root, 0, 0, 1, 1, 0, class, x11rb::COPY_FROM_PARENT, &events)?
            .check()?;
        let clipboard = atom("CLIPBOARD")?;
        connection.xfixes_query_version(1, 0)?.reply()?;
        let copied = xfixes::SelectionEventMask::SET_SELECTION_OWNER;
        connection.xfixes_select_selection_input(window, clipboard, copied)?.check()?;
        Ok(Self {
            source,
            root,
            window,
            clipboard,
            targets: atom("TARGETS")?,
            utf8: vec![atom("UTF8_STRING")?, atom("text/plain;charset=utf-8")?],
            incr: atom("INCR")?,
            properties: [atom("CAMOFLEET_COPIED_1")?, atom("CAMOFLEET_COPIED_2")?],
            incoming: None,
            was_too_long: false,
            text: String::new(),
            owned: Vec::new(),
        })
    }

    /// Handles that a program has copied something: requests it as a text.
    pub fn request_text(
        &mut self,
        connection: &RustConnection,
        copied: &xfixes::SelectionNotifyEvent,
    ) -> Result<()> {
        if copied.selection != self.clipboard || [self.window, x11rb::NONE].contains(&copied.owner) {
            return Ok(());
        }
        self.properties.reverse();
        let property = self.properties[0];
        self.incoming = Some(Incoming { property, incremental: false, text: Vec::new(), length: 0 });
        let time = copied.selection_timestamp;
        connection.convert_selection(self.window, self.clipboard, self.utf8[0], property, time)?;
        connection.flush()?;
        Ok(())
    }

    /// Handles the reply: the text, or the start of an incremental transfer.
    pub fn receive(&mut self, connection: &RustConnection, answer: &SelectionNotifyEvent) -> Result<()> {
        let awaited = |incoming: &Incoming| answer.property == incoming.property && !incoming.incremental;
        if answer.requestor != self.window || !self.incoming.as_ref().is_some_and(awaited) {
            return Ok(());
        }
        self.read_property(connection)
    }

    /// Handles one piece of an incremental transfer.
    pub fn receive_piece(
        &mut self,
        connection: &RustConnection,
        changed: &PropertyNotifyEvent,
    ) -> Result<()> {
        let awaited = |incoming: &Incoming| changed.atom == incoming.property && incoming.incremental;
        let is_new = changed.window == self.window && changed.state == Property::NEW_VALUE;
        if !is_new || !self.incoming.as_ref().is_some_and(awaited) {
            return Ok(());
        }
        self.read_property(connection)
    }

    fn read_property(&mut self, connection: &RustConnection) -> Result<()> {
        let Some(incoming) = &mut self.incoming else { return Ok(()) };
        let words = (CLIPBOARD_LIMIT / 4) as u32 + 1;
        let (window, property) = (self.window, incoming.property);
        let found = connection.get_property(true, window, property, AtomEnum::ANY, 0, words)?.reply()?;
        if found.type_ == self.incr {
            // Reading the property has deleted it, which requests the first piece.
            incoming.incremental = true;
            return Ok(());
        }
        incoming.length += found.value.len() + found.bytes_after as usize;
        if found.bytes_after > 0 {
            // A property that is not read to its end has to be deleted explicitly.
            connection.delete_property(window, property)?;
            connection.flush()?;
        }
        if incoming.length <= CLIPBOARD_LIMIT {
            incoming.text.extend(&found.value);
        } else {
            incoming.text = Vec::new();
        }
        // An empty piece ends the transfer.
        if incoming.incremental && !found.value.is_empty() {
            return Ok(());
        }
        let Some(Incoming { incremental, text, length, .. }) = self.incoming.take() else { return Ok(()) };
        self.forward(connection, text, length, incremental)
    }

    /// Passes a text to the VNC server if that can't read it itself.
    fn forward(
        &mut self,
        connection: &RustConnection,
        text: Vec<u8>,
        length: usize,
        incremental: bool,
    ) -> Result<()> {
        let text = String::from_utf8_lossy(&text);
        let limit = match self.source {
            ClipboardSource::Selections => CLIPBOARD_LIMIT,
            ClipboardSource::CutBuffer => CUT_BUFFER_LIMIT,
        };
        let latin = if self.source == ClipboardSource::CutBuffer { latin_1(&text) } else { Vec::new() };
        let is_too_long = length > CLIPBOARD_LIMIT || latin.len() > limit;
        if is_too_long && !std::mem::replace(&mut self.was_too_long, true) {
            log::warn!(
                "a text of {length} bytes that was copied in a session is not sent to its viewers: the limit is {limit} bytes"
            );
        }
        if is_too_long {
            return Ok(());
        }
        self.was_too_long = false;
        match self.source {
            ClipboardSource::CutBuffer => {
                let (buffer, kind) = (AtomEnum::CUT_BUFFER0, AtomEnum::STRING);
                connection.change_property8(PropMode::REPLACE, self.root, buffer, kind, &latin)?;
                connection.flush()?;
            }
            ClipboardSource::Selections if incremental => {
                self.text = text.into_owned();
                self.own(connection, vec![AtomEnum::PRIMARY.into()])?;
                connection.flush()?;
            }
            ClipboardSource::Selections => {}
        }
        Ok(())
    }

    fn own(&mut self, connection: &RustConnection, selections: Vec<Atom>) -> Result<()> {
        for selection in &selections {
            connection.set_selection_owner(self.window, *selection, x11rb::CURRENT_TIME)?;
        }
        self.owned = selections;
        Ok(())
    }

    /// Puts a text on the clipboard, until a program copies another one.
    pub fn set_text(&mut self, connection: &RustConnection, text: String) -> Result<()> {
        self.text = text;
        self.own(connection, vec![self.clipboard, AtomEnum::PRIMARY.into()])
    }

    /// Handles that a program has taken over a selection.
    pub fn on_selection_lost(&mut self, selection: Atom) {
        self.owned.retain(|owned| *owned != selection);
        if self.owned.is_empty() {
            self.text = String::new();
        }
    }

    /// Sends the text to a program that requests it, in the format that it requests.
    pub fn send_text(&self, connection: &RustConnection, request: &SelectionRequestEvent) -> Result<()> {
        let &SelectionRequestEvent { time, requestor, selection, target, .. } = request;
        let property = if request.property == x11rb::NONE { target } else { request.property };
        let latin: Atom = AtomEnum::STRING.into();
        let put = |kind: Atom, bytes: &[u8]| {
            connection
                .change_property8(PropMode::REPLACE, requestor, property, kind, bytes)
                .map(|put| put.check())
        };
        let sent = if target == self.targets {
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
        // The request is refused if the format is unknown or the window is gone.
        let property = if sent.is_some_and(|sent| sent.is_ok()) { property } else { x11rb::NONE };
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

/// Encodes a text in Latin-1, with question marks for characters that it lacks.
fn latin_1(text: &str) -> Vec<u8> {
    text.chars().map(|char| u8::try_from(char).unwrap_or(b'?')).collect()
}
