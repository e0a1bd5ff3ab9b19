//! The keyboard mapping of an X server: which key means what, and which keys are free to mean anything.

use std::collections::HashSet;

use xkeysym::{Keysym, RawKeysym};

/// No meaning.
const NONE: RawKeysym = 0;
/// Keysyms of Unicode characters are the character's number and this.
const UNICODE: RawKeysym = 0x0100_0000;
/// The keys of multimedia keyboards (`XF86keysym.h`). No viewer's keyboard needs the key itself: whoever presses one gets it
/// on a spare key.
const MULTIMEDIA: std::ops::RangeInclusive<RawKeysym> = 0x1008_0000..=0x1008_ffff;

/// What switches a key between its two meanings, besides Shift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lock {
    None,
    Caps,
    Num,
}

/// A key that means something, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub keycode: u8,
    /// Whether Shift must be down for it; `None` if it does not matter.
    pub shifted: Option<bool>,
    pub lock: Lock,
}

/// Where a keysym that no key has goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spare {
    /// This key means it already.
    Mapped(u8),
    /// This key is to be given it.
    Free {
        keycode: u8,
        /// Whether everybody has handled its last stroke, so that its meaning may change.
        settled: bool,
    },
}

/// A key without a meaning of its own.
#[derive(Debug)]
struct SpareKey {
    keycode: u8,
    keysym: RawKeysym,
    /// The number of its last stroke.
    used: u64,
}

/// One X server's keys.
#[derive(Debug)]
pub(super) struct Keymap {
    first: u8,
    /// What each key means without and with Shift, beginning with the key `first`.
    keys: Vec<[RawKeysym; 2]>,
    spares: Vec<SpareKey>,
    /// How many strokes there were, and up to which of them everybody has handled all.
    strokes: u64,
    settled: u64,
}

impl Keymap {
    /// Reads a mapping in the form of the core protocol: some keysyms for each key, the first two of which are its meanings
    /// without and with Shift. `modifiers` are never given another meaning.
    pub fn new(first: u8, per_key: usize, keysyms: &[RawKeysym], modifiers: &HashSet<u8>) -> Self {
        let mut keymap = Self { first, keys: Vec::new(), spares: Vec::new(), strokes: 0, settled: 0 };
        let (mut free, mut multimedia) = (Vec::new(), Vec::new());
        for (keycode, meanings) in (first..=u8::MAX).zip(keysyms.chunks(per_key.max(1))) {
            let level = |at: usize| meanings.get(at).copied().unwrap_or(NONE);
            if modifiers.contains(&keycode) {
                keymap.keys.push([level(0), level(1)]);
            } else if meanings.iter().all(|meaning| *meaning == NONE) {
                free.push(keycode);
                keymap.keys.push([NONE; 2]);
            } else if meanings.iter().all(|meaning| *meaning == NONE || MULTIMEDIA.contains(meaning)) {
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

    /// The key that means this by itself: rather this one, if there are several.
    pub fn locate(&self, keysym: RawKeysym, rather: Option<u8>) -> Option<Place> {
        if keysym == NONE {
            return None;
        }
        let has = |level: usize, keycode: u8| self.meanings(keycode)[level] == keysym;
        let keycodes = || rather.into_iter().chain(self.first..=u8::MAX);
        [0, 1].into_iter().find_map(|level| {
            let keycode = keycodes().find(|keycode| has(level, *keycode))?;
            let shifted = level == 1;
            let meanings = self.meanings(keycode);
            let keypad = Keysym::new(keysym).is_keypad_key();
            // Shift and a key of no character are a meaning of their own, even where the key has two.
            let exact =
                shifted || keypad || Keysym::new(keysym).key_char().is_some_and(|char| !char.is_control());
            let differ = meanings[1] != NONE && meanings[0] != meanings[1];
            let lock = match meanings {
                [lower, upper] if is_pair(lower, upper) => Lock::Caps,
                _ if keypad && differ => Lock::Num,
                _ => Lock::None,
            };
            Some(Place { keycode, shifted: (exact && differ).then_some(shifted), lock })
        })
    }

    fn meanings(&self, keycode: u8) -> [RawKeysym; 2] {
        let at = keycode.checked_sub(self.first).map(usize::from);
        at.and_then(|at| self.keys.get(at)).copied().unwrap_or([NONE; 2])
    }

    /// Where a keysym goes that no key has: the key that was unused for longest, and is not held. `None` if all are.
    pub fn spare(&self, keysym: RawKeysym, held: impl Fn(u8) -> bool) -> Option<Spare> {
        if let Some(spare) = self.spares.iter().find(|spare| spare.keysym == keysym) {
            return Some(Spare::Mapped(spare.keycode));
        }
        let spare = self.spares.iter().filter(|spare| !held(spare.keycode)).min_by_key(|spare| spare.used)?;
        Some(Spare::Free { keycode: spare.keycode, settled: spare.used <= self.settled })
    }

    /// Whether a key has no meaning of its own.
    pub fn is_spare(&self, keycode: u8) -> bool {
        self.spares.iter().any(|spare| spare.keycode == keycode)
    }

    /// A spare key has a new meaning.
    pub fn assign(&mut self, keycode: u8, keysym: RawKeysym) {
        if let Some(spare) = self.spares.iter_mut().find(|spare| spare.keycode == keycode) {
            spare.keysym = keysym;
        }
    }

    /// A key went down or up.
    pub fn stroke(&mut self, keycode: u8) {
        self.strokes += 1;
        if let Some(spare) = self.spares.iter_mut().find(|spare| spare.keycode == keycode) {
            spare.used = self.strokes;
        }
    }

    /// Everybody has handled all strokes so far.
    pub fn settle(&mut self) {
        self.settled = self.strokes;
    }
}

/// Whether these are the small and the capital form of one letter.
fn is_pair(lower: RawKeysym, upper: RawKeysym) -> bool {
    let char = |keysym: RawKeysym| Keysym::new(keysym).key_char();
    let (Some(lower), Some(upper)) = (char(lower), char(upper)) else { return false };
    lower != upper && lower.to_uppercase().eq([upper])
}

/// The one keysym for a character of Latin-1, which has two.
pub(super) fn normal(keysym: RawKeysym) -> RawKeysym {
    match keysym.checked_sub(UNICODE) {
        Some(latin @ (0x20..=0x7e | 0xa0..=0xff)) => latin,
        _ => keysym,
    }
}

/// The character of a keysym that no Latin keyboard has: what shortcuts can't be made of.
pub(super) fn foreign_letter(keysym: RawKeysym) -> Option<char> {
    // Up to U+024F characters are Latin.
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

    /// Keys 8 to 17: a letter, a digit, the keypad's 1, tabulator, Alt, a duplicate of the digit, two free ones, a
    /// multimedia key, and a modifier without a meaning.
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
    fn a_key_is_found_with_the_shift_that_its_meaning_needs() {
        let place = |keycode, shifted, lock| Some(Place { keycode, shifted, lock });
        let keymap = keymap();
        for (keysym, expected) in [
            (0x61, place(8, Some(false), Lock::Caps)),
            (0x41, place(8, Some(true), Lock::Caps)),
            (0x21, place(9, Some(true), Lock::None)),
            (KP_1, place(10, Some(true), Lock::Num)),
            (KP_END, place(10, Some(false), Lock::Num)),
            // Shift and the tabulator is what a viewer sends, as well as the keysym that X made for it.
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
    fn spare_keys_are_used_in_turn_and_again_only_when_their_strokes_were_handled() {
        let mut keymap = keymap();
        let nobody = |_| false;
        for (keysym, keycode) in [(1001, 14), (1002, 15), (1003, 16)] {
            assert_eq!(keymap.spare(keysym, nobody), Some(Spare::Free { keycode, settled: true }));
            keymap.assign(keycode, keysym);
            keymap.stroke(keycode);
        }
        assert_eq!(keymap.spare(1002, nobody), Some(Spare::Mapped(15)));
        assert_eq!(keymap.spare(1004, nobody), Some(Spare::Free { keycode: 14, settled: false }));
        keymap.settle();
        keymap.stroke(14);
        assert_eq!(keymap.spare(1004, nobody), Some(Spare::Free { keycode: 15, settled: true }));
        assert_eq!(
            keymap.spare(1004, |keycode| keycode == 15),
            Some(Spare::Free { keycode: 16, settled: true })
        );
        assert_eq!(keymap.spare(1004, |_| true), None);
    }

    #[test]
    fn latin_characters_have_one_keysym_and_foreign_letters_are_told_from_them() {
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
