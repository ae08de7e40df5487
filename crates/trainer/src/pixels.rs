//! Picture data sets as the network's samples, and what can be asked of a model with them.

use std::ops::Range;

use ndarray::{Array2, ArrayView2};
use ziffer_dataset::{DatasetError, View};
use ziffer_nn::{
    Draw, Evaluation, Loss, Model, Samples, SamplesError, Scalar, SparseCategoricalCrossentropy, Target,
};
use ziffer_tensor::prefetch;

use crate::TrainError;

/// A view of a data set as samples: pixels as they lie in the mapped file, each standing for byte / 255, and classes.
#[derive(Clone, Copy, Debug)]
pub struct Pixels<'a>(pub View<'a>);

impl<T: Scalar> Samples<T> for Pixels<'_> {
    type Value = u8;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn features(&self) -> usize {
        self.0.features()
    }

    fn fill(&self, index: usize, _: Option<Draw>, out: &mut [u8]) {
        out.copy_from_slice(self.0.image(index));
    }

    fn prefetch(&self, index: usize) {
        prefetch(self.0.image(index));
    }

    fn target(&self, index: usize) -> Target<'_, T> {
        Target::Class(self.0.label(index))
    }

    fn will_need(&self, samples: Range<usize>) {
        self.0.will_need(samples);
    }

    fn release(&self, samples: Range<usize>) {
        self.0.release(samples);
    }

    fn check(&self) -> Result<(), SamplesError> {
        Ok(self.0.check_unchanged()?)
    }
}

/// Checks that a model's input and output are what the pictures and classes of a set need.
pub(crate) fn check(model: &Model, data: View<'_>) -> Result<(), TrainError> {
    if data.is_empty() {
        return Err(TrainError::Empty);
    }
    if model.inputs() != data.features() {
        return Err(TrainError::Pictures {
            found: data.image_shape().to_vec(),
            expected: model.input_shape().to_vec(),
        });
    }
    if model.outputs() < data.classes() {
        return Err(TrainError::Classes { found: data.classes(), expected: model.outputs() });
    }
    Ok(())
}

/// What a model says of a data set: Keras's `evaluate` and `predict`.
pub trait Evaluate {
    /// Mean cross-entropy and accuracy over all samples. Parallel over rayon's threads; the result does not depend on
    /// their number.
    ///
    /// # Errors
    /// If the set is empty or has other pictures or more classes than the model.
    fn evaluate<'a>(&self, data: impl Into<View<'a>>) -> Result<Evaluation, TrainError> {
        self.evaluate_by(&SparseCategoricalCrossentropy::default(), data)
    }

    /// As `evaluate`, by another loss.
    ///
    /// # Errors
    /// As for `evaluate`, and if the model and the loss do not fit together.
    fn evaluate_by<'a>(
        &self,
        loss: &impl Loss<f32>,
        data: impl Into<View<'a>>,
    ) -> Result<Evaluation, TrainError>;

    /// The outputs for all samples, \[N, O\].
    ///
    /// # Errors
    /// As for `evaluate`.
    fn predict_set<'a>(&self, data: impl Into<View<'a>>) -> Result<Array2<f32>, TrainError>;
}

impl Evaluate for Model {
    fn evaluate_by<'a>(
        &self,
        loss: &impl Loss<f32>,
        data: impl Into<View<'a>>,
    ) -> Result<Evaluation, TrainError> {
        let data = data.into();
        check(self, data)?;
        let evaluation = self.evaluate_with(loss, &Pixels(data))?;
        data.check_unchanged().map_err(DatasetError::from)?;
        if evaluation.loss.is_finite() {
            Ok(evaluation)
        } else {
            Err(TrainError::Evaluation { loss: evaluation.loss })
        }
    }

    fn predict_set<'a>(&self, data: impl Into<View<'a>>) -> Result<Array2<f32>, TrainError> {
        let data = data.into();
        check(self, data)?;
        let rows = ArrayView2::from_shape((data.len(), data.features()), data.pixels());
        let outputs = self.predict(rows.expect("as many pixels as samples have"));
        data.check_unchanged().map_err(DatasetError::from)?;
        Ok(outputs)
    }
}
