//! The key to a display, which keeps other users of the machine from connecting to it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The protocol's name, as `xauth` and the X server spell it.
const PROTOCOL: &[u8] = b"MIT-MAGIC-COOKIE-1";
/// The length of a key, in bytes.
const KEY_LENGTH: usize = 16;
/// `FamilyWild`: the entry holds for any address and display.
const FAMILY_WILD: u16 = 0xffff;

/// Writes a new random key to `path`, in the format of Xauthority files (`Xau(3)`): big-endian lengths, each
/// followed by its bytes: address, display number, protocol, key.
///
/// # Errors
/// The file can't be written.
pub(super) fn write(path: &Path) -> io::Result<PathBuf> {
    // 128 bits, of which 122 are from the system's random number generator.
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

/// Reads a key that [`write()`] wrote: its protocol's name, and the key itself.
///
/// # Errors
/// The file can't be read, or was not written by [`write()`].
pub(super) fn read(path: &Path) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let entry = fs::read(path)?;
    let key = entry.len().checked_sub(KEY_LENGTH).and_then(|at| entry.get(at..));
    let key = key.filter(|_| entry.windows(PROTOCOL.len()).any(|name| name == PROTOCOL));
    let key =
        key.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it contains no key to a display"))?;
    Ok((PROTOCOL.to_vec(), key.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = write(&directory.path().join("Xauthority")).unwrap();
        let (protocol, key) = read(&path).unwrap();
        assert_eq!((&protocol[..], key.len()), (PROTOCOL, KEY_LENGTH));
        assert!(fs::read(&path).unwrap().ends_with(&key));
        fs::write(&path, b"something else that is long enough").unwrap();
        assert!(read(&path).is_err());
    }
}
