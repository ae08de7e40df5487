//! What can be wrong with a file.

use std::error::Error;

use ziffer_nn::BuildError;

/// A file that cannot be imported. The message does not name the file: only the caller knows where the bytes are from. It does not
/// repeat the cause, which [`source`](Error::source) gives.
#[derive(thiserror::Error)]
pub enum ImportError {
    /// Neither of the two kinds of files.
    #[error(
        "neither an HDF5 file nor a ZIP archive, expected what Keras saves as .keras, .weights.h5 or .h5"
    )]
    Unknown,
    /// An archive that is damaged, or has other entries.
    #[error("as a .keras archive: {problem}")]
    Archive {
        /// What was found.
        problem: String,
        /// What the decoder says.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// An HDF5 file that is damaged, or beyond what is read.
    #[error("as an HDF5 file: {0}")]
    Hdf5(String),
    /// An HDF5 file of something else.
    #[error(
        "no weights of Keras's in the HDF5 file: expected the attribute model_config or layer_names, or the group layers"
    )]
    NoWeights,
    /// The architecture is too long, or not JSON.
    #[error("{place}: {problem}")]
    Json {
        /// `config.json` or `model_config`.
        place: &'static str,
        /// What is wrong.
        problem: String,
        /// What the parser says.
        source: Option<serde_json::Error>,
    },
    /// A network that is no stack of layers.
    #[error("the model {0}")]
    Model(String),
    /// A layer that there is no equal of.
    #[error("layer {position}, {name} ({class}): {problem}")]
    Layer {
        /// From 1, in the file's list.
        position: usize,
        /// Its name.
        name: String,
        /// Its class.
        class: String,
        /// What is wrong and what is expected.
        problem: String,
    },
    /// Weights that are not there, or are not those of the network.
    #[error("{path}: {problem}")]
    Weights {
        /// Where in the HDF5 file.
        path: String,
        /// What was found and what was expected.
        problem: String,
    },
    /// A shape of pictures that does not have as many numbers as the network takes.
    #[error("pictures of {shape:?} do not have the {inputs} numbers that the first Dense layer takes")]
    InputShape {
        /// What was asked for, or what the file says.
        shape: Vec<usize>,
        /// I of the first kernel.
        inputs: usize,
    },
    /// The network is nothing that can be built.
    #[error(transparent)]
    Build(#[from] BuildError),
}

ziffer_base::debug_as_message!(ImportError);

/// What messages call a layer.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    /// From 1, in the file's list.
    pub(crate) position: usize,
    pub(crate) name: String,
    pub(crate) class: String,
}

impl Label {
    /// What is wrong with this layer.
    pub(crate) fn error(&self, problem: String) -> ImportError {
        let Self { position, name, class } = self.clone();
        ImportError::Layer { position, name, class, problem }
    }
}

/// A text out of a file, short enough for a line, and no more than one.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown = String::new();
    for c in text.chars().take(LONGEST) {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    if text.chars().nth(LONGEST).is_some() {
        shown.push_str("...");
    }
    shown
}

/// Names out of a file in a message, the first few of them.
pub(crate) fn listed(names: &[impl AsRef<str>]) -> String {
    const MOST: usize = 4;
    let mut shown: Vec<String> = names.iter().take(MOST).map(|name| shown(name.as_ref())).collect();
    if names.len() > MOST {
        shown.push("...".to_owned());
    }
    shown.join(", ")
}
