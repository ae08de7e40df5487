//! What files say, quoted in messages.

use std::fmt::{self, Display, Write};

/// Characters of a text from a file that a message has at most.
const LONGEST: usize = 300;

/// A text that a file may have a say in, as a part of a message: control characters, which could move a terminal's cursor, are
/// escaped, and a text of more than 300 characters is cut.
///
/// ```
/// use ziffer_nn::OneLine;
/// assert_eq!(OneLine("a\nb\u{1b}[2J").to_string(), "a\\nb\\u{1b}[2J");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct OneLine<T>(pub T);

impl<T: Display> Display for OneLine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = Shown { f, left: LONGEST };
        write!(shown, "{}", self.0)
    }
}

/// An error whose message a file may have a say in, as the cause of another.
impl<E: std::error::Error> std::error::Error for OneLine<E> {}

/// Passes on what may be shown.
struct Shown<'a, 'b> {
    f: &'a mut fmt::Formatter<'b>,
    left: usize,
}

impl Write for Shown<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match self.left {
                0 => return Ok(()),
                1 => self.f.write_str("...")?,
                _ if c.is_control() => write!(self.f, "{}", c.escape_default())?,
                _ => self.f.write_char(c)?,
            }
            self.left -= 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut() {
        let text = "ä".repeat(LONGEST - 1);
        assert_eq!(OneLine(&text).to_string(), text);
        for more in [1, 1000] {
            assert_eq!(OneLine(text.clone() + &"\n".repeat(more)).to_string(), format!("{text}..."));
        }
    }
}
