//! Finds the key of a non-Latin letter, because shortcuts depend on the key and not on its letter.

/// The keycodes of a keyboard's letter block, row by row from the left.
const KEYS: [u8; 47] = [
    49, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, // ` 1 … =
    24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, // q … ]
    38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, // a … '
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, // z … /
    51, // backslash
];

/// Layouts of xkeyboard-config: the letters of [`KEYS`] without and with Shift. Latin letters are omitted, and letters that a
/// layout above has on another key; a space stands for no letter.
#[rustfmt::skip]
const LAYOUTS: &[&str] = &[
    // ru
    "ё            йцукенгшщзхъфывапролджэячсмитьбю  ",
    "Ё            ЙЦУКЕНГШЩЗХЪФЫВАПРОЛДЖЭЯЧСМИТЬБЮ  ",
    // ua
    "                        ї і        є          ґ",
    "ʼ                       Ї І        Є          Ґ",
    // by
    "                     ў                         ",
    "                     Ў                         ",
    // bg
    "                         ѝ                     ",
    // rs
    "             љњ         ђ      ј   ћ џ         ",
    "             ЉЊ         Ђ      Ј   Ћ Џ         ",
    // mk
    "                  ѕ     ѓ          ќ           ",
    "                  Ѕ     Ѓ          Ќ           ",
    // gr
    "              ςερτυθιοπ  ασδφγηξκλ  ζχψωβνμ    ",
    "              ΣΕΡΤΥΘΙΟΠ  Α ΔΦΓΗΞΚΛ  ΖΧΨΩΒΝΜ    ",
    // il
    "               קראטוןםפ  שדגכעיחלךף זסבהנמצתץ  ",
    // ara
    "ذ            ضصثقفغعهخحجدشسيبلاتنمكطئءؤرﻻىةوزظ ",
    "                 ﻹإ          ﻷأـ        ﻵآ     ",
    // ir
    "                        چ  ی      کگ      پ    ",
    "                                      ژ        ",
    // ge
    "             ქწერტყუიოპ  ასდფგჰჯკლ  ზხცვბნმ    ",
    "              ჭ ღთ        შ    ჟ    ძ ჩ        ",
    // am
    " ֆձ       օէղճփբսմուկըթծցջվգեանիտհպրժդչյզլքխշռ ",
    " ՖՁ    և  ՕԷՂՃՓԲՍՄՈՒԿԸԹԾՑՋՎԳԵԱՆԻՏՀՊՐԺԴՉՅԶԼՔԽՇՌ ",
    // th
    " ๅ  ภถ  คตจขชๆไำพะ  รนยบลฟหกดเ  าสวงผปแอ  ทมใฝฃ",
    "               ฎฑธ  ณฯญฐ ฤฆฏโฌ  ษศซ   ฉฮ   ฒฬฦฅ",
    // kg
    "           өң                                 ү",
    "           ӨҢ                                 Ү",
    // kz
    "  ә  ғ   ұқ һ                                  ",
    "  Ә  Ғ   ҰҚ Һ                                  ",
    // in(deva)
    "                  बहगदजड      परकतचट  मनवलस  य ",
    "ऒऍ          ऋऔऐआईऊभङघधझढञओएअइउफऱखथछठऎ णऩऴळशष य़ऑ",
];

/// The scancodes of the letter block on XT keyboards. They equal the kernel's key codes; X keycodes are eight higher.
const SCANCODES: std::ops::RangeInclusive<u32> = 0x02..=0x35;

/// The keycode of this scancode, if it is in the letter block.
pub(super) fn key_at(scancode: u32) -> Option<u8> {
    let keycode = u8::try_from(scancode).ok()?.checked_add(8)?;
    (SCANCODES.contains(&scancode) && KEYS.contains(&keycode)).then_some(keycode)
}

/// The keycode of a letter in the first layout that contains it.
pub(super) fn key_of(letter: char) -> Option<u8> {
    let column = LAYOUTS.iter().find_map(|row| row.chars().position(|known| known == letter && known != ' '));
    KEYS.get(column?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_found_on_their_keys() {
        // C, A and V of a Latin keyboard are 54, 38 and 55.
        for (letters, keycode) in [("сСψΨב", 54), ("фФαΑשش", 38), ("мМωהر", 55), ("ё", 49), ("ї", 35)]
        {
            for letter in letters.chars() {
                assert_eq!(key_of(letter), Some(keycode), "{letter}");
            }
        }
        assert_eq!((key_of('c'), key_of(' '), key_of('漢')), (None, None, None));
        assert!(LAYOUTS.iter().all(|row| row.chars().count() == KEYS.len()));
    }

    #[test]
    fn keys_are_found_by_their_scancodes() {
        assert_eq!((key_at(0x2e), key_at(0x1e), key_at(0x29)), (Some(54), Some(38), Some(49)));
        // Ctrl, whose scancode is within the range, a cursor key, and invalid scancodes.
        assert_eq!((key_at(0x1d), key_at(0xe04b), key_at(0), key_at(u32::MAX)), (None, None, None, None));
    }
}
