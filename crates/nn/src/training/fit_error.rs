//! The reasons why a model, a loss and samples do not fit together.

use ziffer_tensor::Activation;

/// A model, a loss and samples do not fit together.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// The size of a sample differs from the size of the model's input.
    #[error("samples have {found} numbers, the model takes {expected} (of shape {shape:?})")]
    Features {
        /// The size of a sample.
        found: usize,
        /// The size of the model's input.
        expected: usize,
        /// The shape of the model's input.
        shape: Vec<usize>,
    },
    /// The loss needs another activation in the last layer.
    #[error(
        "{loss} needs a model that ends in a {activation}; the last layer is {layer}; for logits set from_logits"
    )]
    NeedsActivation {
        /// The name of the loss.
        loss: &'static str,
        /// The activation that the loss needs.
        activation: Activation,
        /// The name of the last layer.
        layer: String,
    },
    /// A setting of the loss is out of range.
    #[error("{loss}: {setting} is {value}, expected {expected}")]
    Setting {
        /// The name of the loss.
        loss: &'static str,
        /// The name of the setting.
        setting: &'static str,
        /// The value found.
        value: String,
        /// The values allowed.
        expected: &'static str,
    },
    /// The loss takes a class, and the sample has target values.
    #[error("sample {sample} has target values, {loss} takes a class")]
    NeedsClass {
        /// The index of the sample, from 0.
        sample: usize,
        /// The name of the loss.
        loss: &'static str,
    },
    /// There are no samples.
    #[error("there are no samples")]
    NoSamples,
    /// The model has no output for a sample's class.
    // A negative class has its sign bit set.
    #[error(
        "sample {sample} has class {}, the model's outputs are for classes 0 to {}", *class as isize, classes - 1
    )]
    Class {
        /// The index of the sample, from 0.
        sample: usize,
        /// The class found.
        class: usize,
        /// The number of classes that the model's outputs stand for.
        classes: usize,
    },
    /// The number of target values differs from the number of the model's outputs.
    #[error("sample {sample} has {found} target values, the model has {outputs} outputs")]
    Targets {
        /// The index of the sample, from 0.
        sample: usize,
        /// The number of target values.
        found: usize,
        /// The number of the model's outputs.
        outputs: usize,
    },
    /// The training was made for another model.
    #[error("the training was made for a model with other weights")]
    OtherModel,
}

ziffer_base::debug_as_message!(FitError);
