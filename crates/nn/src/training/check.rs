//! Checks that a model, a loss and samples fit together.

use ziffer_tensor::Scalar;

use super::batches::DynSamples;
use super::fit_error::FitError;
use crate::layer::{Mode, OutputKind};
use crate::loss::{Loss, Target};
use crate::model::{LayerSlot, Model};
use crate::samples::Samples;

/// Checks that a model, a loss and samples fit together. Targets are not checked: see [`check_targets`].
///
/// # Errors
/// The first thing that does not fit.
pub fn check<T: Scalar, S: Samples<T>>(
    model: &Model<T>,
    loss: &impl Loss<T>,
    samples: &S,
) -> Result<(), FitError> {
    check_dyn(model, loss, samples)
}

/// Like [`check`], for trait objects.
pub(crate) fn check_dyn<T: Scalar>(
    model: &Model<T>,
    loss: &dyn Loss<T>,
    samples: &dyn DynSamples<T>,
) -> Result<(), FitError> {
    if samples.features() != model.inputs() {
        let (found, expected) = (samples.features(), model.inputs());
        return Err(FitError::Features { found, expected, shape: model.input_shape().to_vec() });
    }
    loss.validate()?;
    let layers = model.computing(Mode::Training, samples.input_type());
    match (layers.last(), loss.activation()) {
        (Some(last), Some(activation)) if last.layer.output_activation() != Some(activation) => {
            Err(FitError::NeedsActivation { loss: loss.name(), activation, layer: last.name.clone() })
        }
        _ => Ok(()),
    }
}

/// Checks that the target of each sample fits the model and the loss.
///
/// # Errors
/// The first sample whose target does not fit.
pub fn check_targets<T: Scalar, S: Samples<T>>(
    model: &Model<T>,
    loss: &impl Loss<T>,
    samples: &S,
) -> Result<(), FitError> {
    let outputs = model.outputs();
    let error = |sample| target_error(loss, samples.target(sample), sample, outputs);
    (0..samples.len()).find_map(error).map_or(Ok(()), Err)
}

/// The reason why a sample's target does not fit this loss and a model with this many outputs, if it does not.
pub(crate) fn target_error<T: Scalar>(
    loss: &dyn Loss<T>,
    target: Target<'_, T>,
    sample: usize,
    outputs: usize,
) -> Option<FitError> {
    let classes = loss.classes(outputs);
    match target {
        Target::Class(class) if class >= classes => Some(FitError::Class { sample, class, classes }),
        Target::Values(_) if loss.needs_class() => Some(FitError::NeedsClass { sample, loss: loss.name() }),
        Target::Values(values) if values.len() != outputs => {
            Some(FitError::Targets { sample, found: values.len(), outputs })
        }
        _ => None,
    }
}

/// What the last layer returns for this loss: logits, if the loss includes the layer's activation.
pub(crate) fn last_output_kind<T: Scalar>(last: &LayerSlot<T>, loss: &dyn Loss<T>) -> OutputKind {
    let activation = loss.activation();
    let is_included = activation.is_some() && activation == last.layer.output_activation();
    if is_included { OutputKind::Logits } else { OutputKind::Activated }
}
