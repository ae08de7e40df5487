//! What an import assumes where a file is incomplete.

use std::fmt;

/// Something that a file does not say, and what the import assumes. The message continues the file's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assumption {
    /// The file has no architecture. Assumed are relu in hidden layers, softmax in the last one, and pixels divided by 255.
    Architecture,
    /// The network has no Rescaling. Assumed are pixels divided by 255.
    Scale,
    /// A layer that acts in training only, and that ziffer does not have, is left out.
    TrainingOnly {
        /// The layer's name.
        layer: String,
        /// The layer's class.
        class: String,
    },
    /// An initializer that ziffer does not have is replaced by the default. The weights do not depend on it.
    Initializer {
        /// The layer's name.
        layer: String,
        /// The layer's class.
        class: String,
        /// The setting: `kernel_initializer`.
        setting: String,
        /// The initializer in the file.
        initializer: String,
    },
}

impl fmt::Display for Assumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Architecture => f.write_str(
                "has no architecture; assuming relu in hidden layers, softmax in the last one, and pixels divided by 255",
            ),
            Self::Scale => f.write_str("has no Rescaling; assuming pixels divided by 255"),
            Self::TrainingOnly { layer, class } => {
                write!(f, "layer {layer} ({class}) acts in training only and is left out")
            }
            Self::Initializer { layer, class, setting, initializer } => {
                write!(
                    f,
                    "layer {layer} ({class}): {setting} is {initializer}, which is not supported; assuming the default"
                )
            }
        }
    }
}
