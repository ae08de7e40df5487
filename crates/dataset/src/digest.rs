//! SHA-256 digests: written as hexadecimal, compared as bytes, computed as a stream passes.

use std::fmt;
use std::io::{self, Read};

use sha2::Digest as _;

/// The SHA-256 of some content.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Reads 64 hexadecimal digits.
    ///
    /// # Panics
    /// If `hex` is anything else; in a constant, that is an error of compilation.
    pub const fn from_hex(hex: &str) -> Digest {
        Digest(from_hex(hex))
    }

    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(sha2::Sha256::digest(bytes).into())
    }

    /// The digest of all that is still to be read.
    pub(crate) fn of_content(mut content: impl Read) -> io::Result<Digest> {
        let mut hasher = Hasher::default();
        io::copy(&mut content, &mut hasher)?;
        Ok(hasher.finish())
    }

    /// Reads 64 hexadecimal digits; `None` for anything else.
    pub(crate) fn parse(hex: &str) -> Option<Digest> {
        parse_hex(hex).map(Digest)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The bytes that hexadecimal digits are, two each.
///
/// # Panics
/// If there are not as many, or other characters.
pub(crate) const fn from_hex<const N: usize>(hex: &str) -> [u8; N] {
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
#[derive(Default)]
pub(crate) struct Hasher(sha2::Sha256);

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl io::Write for Hasher {
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
    fn the_standards_example() {
        assert_eq!(Digest::of(b"abc").to_string(), ABC);
        assert_eq!(Digest::of(b"abc"), Digest::from_hex(ABC));
        let mut pieces = Hasher::default();
        pieces.update(b"a");
        pieces.update(b"bc");
        assert_eq!(pieces.finish(), Digest::from_hex(ABC));
        assert_eq!(Digest::of_content(&b"abc"[..]).unwrap(), Digest::from_hex(ABC));
        assert_ne!(Digest::of(b"abd"), Digest::from_hex(ABC));
        assert_eq!(Digest::parse(ABC), Some(Digest::of(b"abc")));
        for wrong in ["", &ABC[1..], &ABC.replace('f', "g"), &format!("{ABC}00")] {
            assert_eq!(Digest::parse(wrong), None, "{wrong}");
        }
    }
}
