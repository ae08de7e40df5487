//! The errors of reading and writing models.

use std::io;
use std::path::PathBuf;

use safetensors::SafeTensorError;

use crate::OneLine;
use crate::sequential::BuildError;

/// A model's file cannot be read or written.
#[derive(thiserror::Error)]
pub enum FormatError {
    /// Reading or writing failed.
    #[error("{}: cannot {action}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `write`.
        action: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// The file is not a safetensors file, or is damaged.
    #[error("{}: not a whole safetensors file", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: OneLine<SafeTensorError>,
    },
    /// The tensors differ from those of the model.
    #[error("{}: {}", path.display(), OneLine(problem))]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The differences.
        problem: String,
    },
    /// The architecture is invalid.
    #[error("{}: the architecture in the metadata is wrong", path.display())]
    Architecture {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: OneLine<BuildError>,
    },
}

ziffer_base::debug_as_message!(FormatError);
