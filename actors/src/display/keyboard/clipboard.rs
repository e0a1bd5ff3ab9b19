//! The clipboard of a display, as one X client holds it for the others (ICCCM, section 2).

use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ConnectionExt as _, CreateWindowAux, EventMask, PropMode, SELECTION_NOTIFY_EVENT,
    SelectionNotifyEvent, SelectionRequestEvent, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use super::injector::Result;

/// A text that others may ask for, on the clipboard and as what is selected.
pub(super) struct Clipboard {
    /// Holds it.
    window: Window,
    clipboard: Atom,
    targets: Atom,
    /// The forms of UTF-8 that programs ask for.
    utf8: Vec<Atom>,
    text: String,
    /// What of the two is ours.
    held: Vec<Atom>,
}

impl Clipboard {
    pub fn new(connection: &RustConnection, root: Window) -> Result<Self> {
        // Asked for once, so that a long text fits in one request.
        connection.prefetch_maximum_request_bytes();
        let atom = |name: &str| -> Result<Atom> {
            Ok(connection.intern_atom(false, name.as_bytes())?.reply()?.atom)
        };
        let window = connection.generate_id()?;
        let (class, nothing) = (WindowClass::INPUT_ONLY, CreateWindowAux::new());
        connection
            .create_window(0, window, root, 0, 0, 1, 1, 0, class, x11rb::COPY_FROM_PARENT, &nothing)?
            .check()?;
        Ok(Self {
            window,
            clipboard: atom("CLIPBOARD")?,
            targets: atom("TARGETS")?,
            utf8: vec![atom("UTF8_STRING")?, atom("text/plain;charset=utf-8")?],
            text: String::new(),
            held: Vec::new(),
        })
    }

    /// Holds a text until somebody else copies one.
    pub fn hold(&mut self, connection: &RustConnection, text: String) -> Result<()> {
        self.text = text;
        self.held = vec![self.clipboard, AtomEnum::PRIMARY.into()];
        for selection in &self.held {
            connection.set_selection_owner(self.window, *selection, x11rb::CURRENT_TIME)?;
        }
        Ok(())
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
            let bytes: Vec<u8> = self.text.chars().map(|char| u8::try_from(char).unwrap_or(b'?')).collect();
            Some(put(latin, &bytes)?)
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
