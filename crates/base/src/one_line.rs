//! Text from files, quoted in messages of one line.

use std::fmt::{self, Display, Write};

/// The maximum length of a quoted text, in characters.
const MAX_CHARS: usize = 300;

/// Text from a file or another crate, as part of a message. Control characters, which could move a terminal's cursor, are
/// escaped, and text of more than 300 characters is cut.
///
/// ```
/// use ziffer_base::OneLine;
/// assert_eq!(OneLine("a\nb\u{1b}[2J").to_string(), "a\\nb\\u{1b}[2J");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct OneLine<T>(pub T);

impl<T: Display> Display for OneLine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping { f, left: MAX_CHARS }, "{}", self.0)
    }
}

/// An error with text from a file, as the cause of another error.
impl<E: std::error::Error> std::error::Error for OneLine<E> {}

/// A text of any length with its control characters escaped.
pub(crate) fn escaped(text: impl Display) -> String {
    struct Escaped<T>(T);
    impl<T: Display> Display for Escaped<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(Escaping { f, left: usize::MAX }, "{}", self.0)
        }
    }
    Escaped(text).to_string()
}

/// Escapes what is written to it, and cuts it after `left` characters.
struct Escaping<'a, 'b> {
    f: &'a mut fmt::Formatter<'b>,
    left: usize,
}

impl Write for Escaping<'_, '_> {
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
        let text = "ä".repeat(MAX_CHARS - 1);
        assert_eq!(OneLine(&text).to_string(), text);
        for more in [1, 1000] {
            let long = text.clone() + &"\n".repeat(more);
            assert_eq!(OneLine(&long).to_string(), format!("{text}..."));
            assert_eq!(escaped(&long), format!("{text}{}", "\\n".repeat(more)));
        }
    }
}
