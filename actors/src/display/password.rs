//! The VNC password, in the format of VNC servers.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use des::Des;
use des::cipher::{BlockCipherEncrypt, KeyInit};

/// The fixed key of all VNC programs, which obfuscates stored passwords and protects nothing.
const KEY: [u8; 8] = [23, 82, 107, 6, 35, 78, 88, 7];

/// A VNC password. The protocol uses only its first eight bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct VncPassword([u8; 8]);

impl VncPassword {
    /// The password with this text.
    pub fn new(text: &str) -> Self {
        let mut bytes = [0; 8];
        for (byte, typed) in bytes.iter_mut().zip(text.bytes()) {
            *byte = typed;
        }
        Self(bytes)
    }

    /// The output of `vncpasswd -f`: the password, encrypted with the fixed key, whose bytes VNC uses with reversed bits.
    fn obfuscated(&self) -> [u8; 8] {
        let mut block = self.0.into();
        Des::new(&KEY.map(u8::reverse_bits).into()).encrypt_block(&mut block);
        block.into()
    }

    /// The answer to a VNC server's challenge (RFC 6143, section 7.2.2): both halves encrypted with the password.
    pub(super) fn answer(&self, challenge: [u8; 16]) -> [u8; 16] {
        let key = Des::new(&self.0.map(u8::reverse_bits).into());
        let mut answer = challenge;
        for half in answer.chunks_exact_mut(8) {
            let mut block = [0; 8];
            block.copy_from_slice(half);
            let mut block = block.into();
            key.encrypt_block(&mut block);
            half.copy_from_slice(&block);
        }
        answer
    }

    /// Writes it to a file that only the user can read.
    ///
    /// # Errors
    /// The file can't be written.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(&self.obfuscated())
    }
}

impl fmt::Debug for VncPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VncPassword(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_stored_in_the_format_of_vncpasswd() {
        // The well-known form of "password".
        let stored = [0xdb, 0xd8, 0x3c, 0xfd, 0x72, 0x7a, 0x14, 0x58];
        assert_eq!(VncPassword::new("password").obfuscated(), stored);
        assert_eq!(VncPassword::new("password and more").obfuscated(), stored);
    }

    #[test]
    fn a_challenge_is_answered_like_other_viewers_do() {
        // Computed with OpenSSL's DES and the bit-reversed key.
        let answer =
            [0xcb, 0x1c, 0x0c, 0x7f, 0x32, 0x28, 0xbb, 0x93, 0x75, 0x06, 0x91, 0x7c, 0xa0, 0x0d, 0xe5, 0xe1];
        assert_eq!(VncPassword::new("s3cret").answer(*b"0123456789abcdef"), answer);
    }

    #[test]
    fn a_password_is_not_logged() {
        assert_eq!(format!("{:?}", VncPassword::new("s3cret")), "VncPassword(…)");
    }
}
