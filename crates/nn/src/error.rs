//! How errors are shown.

use std::error::Error;

use crate::OneLine;

/// An error and its causes in one line, joined by ": ". A cause that the text before it says already is left out.
#[doc(hidden)]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = OneLine(error).to_string();
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    for cause in causes.map(|cause| OneLine(cause).to_string()) {
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Debug as the message with its causes: it is what is printed of an error that `main` returns, or that is unwrapped.
#[doc(hidden)]
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
    use std::io;

    #[derive(thiserror::Error)]
    #[error("no model")]
    struct Outer(#[source] io::Error);

    debug_as_message!(Outer);

    #[test]
    fn debug_is_the_message_with_its_causes() {
        assert_eq!(format!("{:?}", Outer(io::Error::other("the\ndisk"))), "no model: the\\ndisk");
    }
}
