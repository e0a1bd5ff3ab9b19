//! The keyboard mapping of an X server, and the spare keys in it that can be remapped.

use std::collections::HashSet;

use xkeysym::{Keysym, RawKeysym};

/// The keysym of an unmapped key.
const NONE: RawKeysym = 0;
/// The offset of the keysyms of Unicode characters.
const UNICODE: RawKeysym = 0x0100_0000;
/// The keysyms of multimedia keys (`XF86keysym.h`). Their keys serve as spare keys, on which they are mapped again on
/// demand.
const MULTIMEDIA: std::ops::RangeInclusive<RawKeysym> = 0x1008_0000..=0x1008_ffff;

/// The lock that switches a key between its two keysyms, besides Shift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lock {
    None,
    Caps,
    Num,
}

/// How to type a keysym that a key has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub keycode: u8,
    /// Whether it needs Shift to be pressed or released; `None` if Shift does not matter.
    pub shifted: Option<bool>,
    pub lock: Lock,
}

/// The spare key for a keysym that no other key has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spare {
    /// This key is mapped to it already.
    Mapped(u8),
    /// This key has to be mapped to it.
    Free {
        keycode: u8,
        /// Whether programs have handled its last stroke, so that it can be remapped.
        settled: bool,
    },
}

/// A key that can be mapped to any keysym.
#[derive(Debug)]
struct SpareKey {
    keycode: u8,
    keysym: RawKeysym,
    /// The number of its last stroke.
    used: u64,
}

/// The keyboard mapping of one X server.
#[derive(Debug)]
pub(super) struct Keymap {
    first: u8,
    /// The keysyms of each key without and with Shift, beginning with the keycode `first`.
    keys: Vec<[RawKeysym; 2]>,
    spares: Vec<SpareKey>,
    /// How many strokes there were.
    strokes: u64,
    /// How many of them programs have certainly handled.
    settled: u64,
}

impl Keymap {
    /// Parses a mapping of the core protocol: `per_key` keysyms for each key, of which the first two apply without and with
    /// Shift. The keys in `modifiers` are never remapped.
    pub fn new(first: u8, per_key: usize, keysyms: &[RawKeysym], modifiers: &HashSet<u8>) -> Self {
        let mut keymap = Self { first, keys: Vec::new(), spares: Vec::new(), strokes: 0, settled: 0 };
        let (mut free, mut multimedia) = (Vec::new(), Vec::new());
        for (keycode, levels) in (first..=u8::MAX).zip(keysyms.chunks(per_key.max(1))) {
            let level = |at: usize| levels.get(at).copied().unwrap_or(NONE);
            if modifiers.contains(&keycode) {
                keymap.keys.push([level(0), level(1)]);
            } else if levels.iter().all(|keysym| *keysym == NONE) {
                free.push(keycode);
                keymap.keys.push([NONE; 2]);
            } else if levels.iter().all(|keysym| *keysym == NONE || MULTIMEDIA.contains(keysym)) {
                multimedia.push(keycode);
                keymap.keys.push([NONE; 2]);
            } else {
                keymap.keys.push([level(0), level(1)]);
            }
        }
        let spare = |keycode| SpareKey { keycode, keysym: NONE, used: 0 };
        keymap.spares = free.into_iter().chain(multimedia).map(spare).collect();
        keymap
    }

    /// Finds the key of a keysym, spare keys excluded; `preferred` if several have it.
    pub fn locate(&self, keysym: RawKeysym, preferred: Option<u8>) -> Option<Place> {
        if keysym == NONE {
            return None;
        }
        let has = |level: usize, keycode: u8| self.keysyms_of(keycode)[level] == keysym;
        let keycodes = || preferred.into_iter().chain(self.first..=u8::MAX);
        [0, 1].into_iter().find_map(|level| {
            let keycode = keycodes().find(|keycode| has(level, *keycode))?;
            let shifted = level == 1;
            let levels = self.keysyms_of(keycode);
            let keypad = Keysym::new(keysym).is_keypad_key();
            // Keys without a character, such as Tab, are combined with Shift as they are, even if they have two keysyms.
            let exact =
                shifted || keypad || Keysym::new(keysym).key_char().is_some_and(|char| !char.is_control());
            let differ = levels[1] != NONE && levels[0] != levels[1];
            let lock = match levels {
                [lower, upper] if is_pair(lower, upper) => Lock::Caps,
                _ if keypad && differ => Lock::Num,
                _ => Lock::None,
            };
            Some(Place { keycode, shifted: (exact && differ).then_some(shifted), lock })
        })
    }

    fn keysyms_of(&self, keycode: u8) -> [RawKeysym; 2] {
        let at = keycode.checked_sub(self.first).map(usize::from);
        at.and_then(|at| self.keys.get(at)).copied().unwrap_or([NONE; 2])
    }

    /// The spare key for a keysym: the least recently used one that is not held. `None` if all are held.
    pub fn spare(&self, keysym: RawKeysym, held: impl Fn(u8) -> bool) -> Option<Spare> {
        if let Some(spare) = self.spares.iter().find(|spare| spare.keysym == keysym) {
            return Some(Spare::Mapped(spare.keycode));
        }
        let spare = self.spares.iter().filter(|spare| !held(spare.keycode)).min_by_key(|spare| spare.used)?;
        Some(Spare::Free { keycode: spare.keycode, settled: spare.used <= self.settled })
    }

    /// Whether this is a spare key.
    pub fn is_spare(&self, keycode: u8) -> bool {
        self.spares.iter().any(|spare| spare.keycode == keycode)
    }

    /// Records that a spare key was remapped.
    pub fn assign(&mut self, keycode: u8, keysym: RawKeysym) {
        if let Some(spare) = self.spares.iter_mut().find(|spare| spare.keycode == keycode) {
            spare.keysym = keysym;
        }
    }

    /// Records that a key was pressed or released.
    pub fn stroke(&mut self, keycode: u8) {
        self.strokes += 1;
        if let Some(spare) = self.spares.iter_mut().find(|spare| spare.keycode == keycode) {
            spare.used = self.strokes;
        }
    }

    /// Records that programs have handled all strokes so far.
    pub fn settle(&mut self) {
        self.settled = self.strokes;
    }
}

/// Whether these are the lower and upper case of one letter.
fn is_pair(lower: RawKeysym, upper: RawKeysym) -> bool {
    let char = |keysym: RawKeysym| Keysym::new(keysym).key_char();
    let (Some(lower), Some(upper)) = (char(lower), char(upper)) else { return false };
    lower != upper && lower.to_uppercase().eq([upper])
}

/// Normalises the keysym of a Latin-1 character, which has two.
pub(super) fn normal(keysym: RawKeysym) -> RawKeysym {
    match keysym.checked_sub(UNICODE) {
        Some(latin @ (0x20..=0x7e | 0xa0..=0xff)) => latin,
        _ => keysym,
    }
}

/// The letter of a keysym, if it is not Latin, so that shortcuts with it have to be sent as the key of a Latin layout.
pub(super) fn foreign_letter(keysym: RawKeysym) -> Option<char> {
    // The Latin blocks end at U+024F.
    Keysym::new(keysym).key_char().filter(|char| *char >= '\u{250}' && char.is_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CYRILLIC_ES: RawKeysym = 0x6d3;
    const KP_END: RawKeysym = 0xff9c;
    const KP_1: RawKeysym = 0xffb1;
    const TAB: RawKeysym = 0xff09;
    const ISO_LEFT_TAB: RawKeysym = 0xfe20;
    const XF86_BACK: RawKeysym = 0x1008_ff26;

    /// Keys 8 to 17: a letter, a digit, the keypad's 1, Tab, Alt, a duplicate of the digit, two unmapped ones, a multimedia
    /// key, and an unmapped modifier.
    fn keymap() -> Keymap {
        let keys: [[RawKeysym; 2]; 10] = [
            [0x61, 0x41],
            [0x31, 0x21],
            [KP_END, KP_1],
            [TAB, ISO_LEFT_TAB],
            [0xffe9, 0xffe7],
            [0x31, 0x21],
            [0, 0],
            [0, 0],
            [XF86_BACK, 0],
            [0, 0],
        ];
        Keymap::new(8, 2, &keys.concat(), &HashSet::from([12, 17]))
    }

    #[test]
    fn a_key_is_found_with_the_shift_state_that_its_keysym_needs() {
        let place = |keycode, shifted, lock| Some(Place { keycode, shifted, lock });
        let keymap = keymap();
        for (keysym, expected) in [
            (0x61, place(8, Some(false), Lock::Caps)),
            (0x41, place(8, Some(true), Lock::Caps)),
            (0x21, place(9, Some(true), Lock::None)),
            (KP_1, place(10, Some(true), Lock::Num)),
            (KP_END, place(10, Some(false), Lock::Num)),
            // Viewers send Shift+Tab as Shift and either of the two keysyms.
            (TAB, place(11, None, Lock::None)),
            (ISO_LEFT_TAB, place(11, Some(true), Lock::None)),
            (0xffe9, place(12, None, Lock::None)),
            (CYRILLIC_ES, None),
            (XF86_BACK, None),
            (0, None),
        ] {
            assert_eq!(keymap.locate(keysym, None), expected, "{keysym:#x}");
        }
        assert_eq!(keymap.locate(0x31, Some(13)), place(13, Some(false), Lock::None));
        assert_eq!(keymap.locate(0x31, Some(8)), place(9, Some(false), Lock::None));
    }

    #[test]
    fn the_least_recently_used_spare_key_is_remapped_after_its_strokes_were_handled() {
        let mut keymap = keymap();
        let none_held = |_| false;
        for (keysym, keycode) in [(1001, 14), (1002, 15), (1003, 16)] {
            assert_eq!(keymap.spare(keysym, none_held), Some(Spare::Free { keycode, settled: true }));
            keymap.assign(keycode, keysym);
            keymap.stroke(keycode);
        }
        assert_eq!(keymap.spare(1002, none_held), Some(Spare::Mapped(15)));
        assert_eq!(keymap.spare(1004, none_held), Some(Spare::Free { keycode: 14, settled: false }));
        keymap.settle();
        keymap.stroke(14);
        assert_eq!(keymap.spare(1004, none_held), Some(Spare::Free { keycode: 15, settled: true }));
        assert_eq!(
            keymap.spare(1004, |keycode| keycode == 15),
            Some(Spare::Free { keycode: 16, settled: true })
        );
        assert_eq!(keymap.spare(1004, |_| true), None);
    }

    #[test]
    fn keysyms_of_latin_characters_are_normalised_and_foreign_letters_are_recognised() {
        assert_eq!(
            (normal(0x0100_0061), normal(0x0100_00e9), normal(0x0100_0441)),
            (0x61, 0xe9, 0x0100_0441)
        );
        for (keysym, letter) in
            [(CYRILLIC_ES, Some('с')), (0x0100_05d1, Some('ב')), (0x61, None), (0xe9, None)]
        {
            assert_eq!(foreign_letter(keysym), letter);
        }
        assert_eq!((foreign_letter(0xff0d), foreign_letter(0x0101_f600)), (None, None));
    }
}
