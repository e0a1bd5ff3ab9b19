//! The key to a display: only processes that are given it may connect, whoever else shares the machine.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The protocol's name, as `xauth` and the X server spell it.
const PROTOCOL: &[u8] = b"MIT-MAGIC-COOKIE-1";
/// `FamilyWild`: the entry holds for any address and display.
const FAMILY_WILD: u16 = 0xffff;

/// Writes a new random key to `path`, in the format of Xauthority files (`Xau(3)`): big-endian lengths, each
/// followed by its bytes: address, display number, protocol, key.
///
/// # Errors
/// The file can't be written.
pub(super) fn write(path: &Path) -> io::Result<PathBuf> {
    // 128 bits from the system's own source of randomness.
    let key = uuid::Uuid::new_v4().into_bytes();
    let mut entry = FAMILY_WILD.to_be_bytes().to_vec();
    for field in [b"".as_slice(), b"", PROTOCOL, &key] {
        // No field is longer than its protocol's name.
        entry.extend((field.len() as u16).to_be_bytes());
        entry.extend(field);
    }
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(&entry)?;
    Ok(path.to_owned())
}
