//! SHA-256 digests: printed as hexadecimal digits, compared as bytes, computed at once or piece by piece.
//!
//! ```
//! use ziffer_base::digest::{Digest, Sha256};
//!
//! let digest = Digest::of(b"abc");
//! assert_eq!(digest.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
//!
//! let mut sha256 = Sha256::default();
//! sha256.update(b"a");
//! sha256.update(b"bc");
//! assert_eq!(sha256.finish(), digest);
//! ```

use std::fmt;
use std::io::{self, Read};

use sha2::Digest as _;

/// A SHA-256 digest. It prints as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Reads 64 hexadecimal digits.
    ///
    /// # Panics
    /// If `hex` is anything else; in a constant, that is a compile error.
    pub const fn from_hex(hex: &str) -> Digest {
        Digest(bytes_from_hex(hex))
    }

    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(sha2::Sha256::digest(bytes).into())
    }

    /// The digest of everything that `reader` yields.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn of_reader(mut reader: impl Read) -> io::Result<Digest> {
        let mut sha256 = Sha256::default();
        io::copy(&mut reader, &mut sha256)?;
        Ok(sha256.finish())
    }

    /// Reads 64 hexadecimal digits; `None` for anything else.
    pub fn parse(hex: &str) -> Option<Digest> {
        parse_hex(hex).map(Digest)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The bytes of `2 * N` hexadecimal digits, as of an MD5 digest.
///
/// # Panics
/// If `hex` is anything else; in a constant, that is a compile error.
pub const fn bytes_from_hex<const N: usize>(hex: &str) -> [u8; N] {
    parse_hex(hex).expect("two hexadecimal digits for each byte of a digest")
}

const fn parse_hex<const N: usize>(hex: &str) -> Option<[u8; N]> {
    if hex.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    let mut at = 0;
    while at < N {
        bytes[at] = match (nibble(hex.as_bytes()[2 * at]), nibble(hex.as_bytes()[2 * at + 1])) {
            (Some(high), Some(low)) => 16 * high + low,
            _ => return None,
        };
        at += 1;
    }
    Some(bytes)
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

impl fmt::Display for Digest {
    /// 64 hexadecimal digits, lower case.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// Computes a [`Digest`] piece by piece.
#[derive(Clone, Debug, Default)]
pub struct Sha256(sha2::Sha256);

impl Sha256 {
    /// Appends `bytes` to the content.
    pub fn update(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.update(bytes);
    }

    /// The digest of the content.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl io::Write for Sha256 {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The one-block example of FIPS 180-4's companion document: the digest of "abc".
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn the_example_of_the_standard() {
        assert_eq!(Digest::of(b"abc").to_string(), ABC);
        assert_eq!(Digest::of(b"abc"), Digest::from_hex(ABC));
        let mut sha256 = Sha256::default();
        sha256.update(b"a");
        sha256.update(b"bc");
        assert_eq!(sha256.finish(), Digest::from_hex(ABC));
        assert_eq!(Digest::of_reader(&b"abc"[..]).unwrap(), Digest::from_hex(ABC));
        assert_ne!(Digest::of(b"abd"), Digest::from_hex(ABC));
        assert_eq!(Digest::parse(ABC), Some(Digest::of(b"abc")));
        for wrong in ["", &ABC[1..], &ABC.replace('f', "g"), &format!("{ABC}00")] {
            assert_eq!(Digest::parse(wrong), None, "{wrong}");
        }
    }
}
