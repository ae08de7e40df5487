//! Evaluation and prediction over data: Keras's `evaluate` and `predict`.

use ndarray::{Array2, ArrayView2};
use ziffer_dataset::{DatasetError, View};
use ziffer_nn::{Evaluation, Loss, Model, SparseCategoricalCrossentropy};

use crate::TrainError;
use crate::into_samples::{IntoSamples, check_images};

/// Adds Keras's `evaluate` and `predict` over data to [`Model`].
pub trait Evaluate {
    /// The mean cross-entropy and the accuracy over all samples, on rayon's threads. The result does not depend on the number of
    /// threads.
    ///
    /// # Errors
    /// If there are no samples, or they do not fit the model.
    fn evaluate<Kind>(&self, data: impl IntoSamples<Kind>) -> Result<Evaluation, TrainError> {
        self.evaluate_with_loss(&SparseCategoricalCrossentropy::default(), data)
    }

    /// Like `evaluate`, with another loss.
    ///
    /// # Errors
    /// As for `evaluate`, and if the model and the loss do not fit together.
    fn evaluate_with_loss<Kind>(
        &self,
        loss: &impl Loss<f32>,
        data: impl IntoSamples<Kind>,
    ) -> Result<Evaluation, TrainError>;

    /// The outputs \[N, O\] for all images of a data set.
    ///
    /// # Errors
    /// If the data set is empty, or its images or classes do not fit the model.
    fn predict_dataset<'a>(&self, data: impl Into<View<'a>>) -> Result<Array2<f32>, TrainError>;
}

impl Evaluate for Model {
    fn evaluate_with_loss<Kind>(
        &self,
        loss: &impl Loss<f32>,
        data: impl IntoSamples<Kind>,
    ) -> Result<Evaluation, TrainError> {
        let evaluation = data.evaluate(self, loss)?;
        if evaluation.loss.is_finite() {
            Ok(evaluation)
        } else {
            Err(TrainError::Evaluation { loss: evaluation.loss })
        }
    }

    fn predict_dataset<'a>(&self, data: impl Into<View<'a>>) -> Result<Array2<f32>, TrainError> {
        let data = data.into();
        check_images(self, data)?;
        let rows = ArrayView2::from_shape((data.len(), data.features()), data.pixels());
        let outputs = self.predict(rows.expect("as many pixels as samples have"));
        data.check_unchanged().map_err(DatasetError::from)?;
        Ok(outputs)
    }
}
