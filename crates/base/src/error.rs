//! How errors are printed.

use std::error::Error;
use std::iter::successors;

use crate::one_line::{OneLine, escaped};

/// An error and its causes in one line, joined by `: `.
///
/// A cause that repeats an earlier message, or ends the text before it, is left out. Control characters are escaped, and
/// a cause, which may quote a file, is cut after 300 characters.
///
/// ```
/// use std::io;
/// use ziffer_base::chain;
/// assert_eq!(chain(&io::Error::other("the disk is full")), "the disk is full");
/// ```
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = escaped(error);
    let mut parts = vec![text.clone()];
    for cause in successors(error.source(), |&cause| cause.source()) {
        let part = OneLine(cause).to_string();
        if !text.ends_with(&part) && !parts.contains(&part) {
            text = format!("{text}: {part}");
            parts.push(part);
        }
    }
    text
}

/// Implements `Debug` for an error as its message with its causes. `Debug` is what Rust prints of an error that `main`
/// returns or that is unwrapped.
///
/// ```
/// use std::fmt;
///
/// struct NoModel;
///
/// impl fmt::Display for NoModel {
///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
///         f.write_str("no model")
///     }
/// }
///
/// impl std::error::Error for NoModel {}
///
/// ziffer_base::debug_as_message!(NoModel);
///
/// assert_eq!(format!("{NoModel:?}"), "no model");
/// ```
#[macro_export]
macro_rules! debug_as_message {
    ($error:ty) => {
        impl ::std::fmt::Debug for $error {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(&$crate::chain(self))
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    struct Caused(String, Option<Box<Caused>>);

    impl fmt::Display for Caused {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.0)
        }
    }

    impl Error for Caused {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self.1.as_deref()?)
        }
    }

    debug_as_message!(Caused);

    /// `first | second | third`: an error, its cause, and the cause of that.
    fn caused(text: &str) -> Caused {
        let parts = text.rsplit(" | ");
        *parts.fold(None, |cause, part| Some(Box::new(Caused(part.to_owned(), cause)))).unwrap()
    }

    #[test]
    fn causes_are_joined_and_not_repeated() {
        for (error, line) in [
            ("a", "a"),
            ("a | b | c", "a: b: c"),
            ("a | b | b", "a: b"),
            ("a | b | a", "a: b"),
            ("no model: b | b | c", "no model: b: c"),
            ("a\tb | c\nd", "a\\tb: c\\nd"),
        ] {
            assert_eq!(chain(&caused(error)), line);
            assert_eq!(format!("{:?}", caused(error)), line);
        }
    }

    #[test]
    fn only_causes_are_cut() {
        let long = "b".repeat(1000);
        assert_eq!(chain(&caused(&long)), long);
        assert_eq!(chain(&caused(&format!("a | {long}"))).len(), "a: ".len() + 299 + "...".len());
    }
}
