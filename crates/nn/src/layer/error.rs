//! The error of a layer's settings and shapes.

/// A layer's settings or the shape of its input are wrong. The message is one line.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LayerError(String);

ziffer_base::debug_as_message!(LayerError);

impl From<String> for LayerError {
    fn from(problem: String) -> Self {
        Self(problem)
    }
}

impl From<&str> for LayerError {
    fn from(problem: &str) -> Self {
        Self(problem.to_owned())
    }
}
