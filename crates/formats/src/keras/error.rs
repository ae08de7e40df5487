//! Errors of an import, and the quoting of a file's texts in messages.

use std::error::Error;

use ziffer_nn::BuildError;

/// A file that cannot be imported. The message does not name the file, since only the caller knows it. It does not repeat the
/// cause, which is [`source`](Error::source).
#[derive(thiserror::Error)]
pub enum ImportError {
    /// Neither an HDF5 file nor a ZIP archive.
    #[error("neither an HDF5 file nor a ZIP archive, expected a .keras, .weights.h5 or .h5 file of Keras")]
    UnknownFormat,
    /// A ZIP archive that is damaged or has other entries.
    #[error(".keras archive: {problem}")]
    Archive {
        /// What is wrong.
        problem: String,
        /// The decoder's error.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// An HDF5 file that is damaged or uses a part of the format that is not supported.
    #[error("HDF5 file: {0}")]
    Hdf5(String),
    /// An HDF5 file without Keras weights.
    #[error(
        "no Keras weights in the HDF5 file, expected the attribute model_config or layer_names, or the group layers"
    )]
    NoWeights,
    /// The architecture is too long or is not JSON.
    #[error("{location}: {problem}")]
    Json {
        /// `config.json` or `model_config`.
        location: &'static str,
        /// What is wrong.
        problem: String,
        /// The parser's error.
        source: Option<serde_json::Error>,
    },
    /// The network is not a stack of layers, or not one of images to probabilities.
    #[error("the model {0}")]
    Model(String),
    /// A layer that is not supported, or has a setting that is not.
    #[error("layer {position}, {name} ({class}): {problem}")]
    Layer {
        /// The position in the file's list, from 1.
        position: usize,
        /// The layer's name.
        name: String,
        /// The layer's class.
        class: String,
        /// What is wrong, and what is expected.
        problem: String,
    },
    /// Weights that are missing or do not fit the architecture.
    #[error("{path}: {problem}")]
    Weights {
        /// The path in the HDF5 file.
        path: String,
        /// What is wrong, and what is expected.
        problem: String,
    },
    /// The shape of an image does not fit the first Dense layer.
    #[error("images of shape {shape:?} do not have the {inputs} inputs of the first Dense layer")]
    InputShape {
        /// The shape, from the options or from the file.
        shape: Vec<usize>,
        /// The inputs of the first kernel.
        inputs: usize,
    },
    /// The model cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
}

ziffer_base::debug_as_message!(ImportError);

impl ImportError {
    /// A damaged HDF5 file.
    pub(super) fn damaged(problem: &str) -> Self {
        Self::Hdf5(format!("damaged: {problem}"))
    }

    /// What is wrong at a path in an HDF5 file.
    pub(super) fn weights(path: &str, problem: &str) -> Self {
        let path = if path.is_empty() { "/" } else { path };
        Self::Weights { path: shown(path), problem: problem.to_owned() }
    }
}

/// A layer of a file as messages name it.
#[derive(Clone, Debug)]
pub(super) struct LayerId {
    /// The position in the file's list, from 1.
    pub(super) position: usize,
    pub(super) name: String,
    pub(super) class: String,
}

impl LayerId {
    /// An error about this layer.
    pub(super) fn error(&self, problem: String) -> ImportError {
        let Self { position, name, class } = self.clone();
        ImportError::Layer { position, name, class, problem }
    }
}

/// A text of a file for a message: control characters are escaped, and a long text is cut.
pub(super) fn shown(text: &str) -> String {
    const MAX_CHARS: usize = 60;
    let mut shown = String::new();
    for c in text.chars().take(MAX_CHARS) {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    if text.chars().nth(MAX_CHARS).is_some() {
        shown.push_str("...");
    }
    shown
}

/// The first few of a file's names, for a message.
pub(super) fn listed(names: &[impl AsRef<str>]) -> String {
    const MAX_NAMES: usize = 4;
    let mut shown: Vec<String> = names.iter().take(MAX_NAMES).map(|name| shown(name.as_ref())).collect();
    if names.len() > MAX_NAMES {
        shown.push("...".to_owned());
    }
    shown.join(", ")
}
