//! The data that a model is validated on after each epoch.

use ziffer_nn::training::{check as check_fit, check_targets};
use ziffer_nn::{Evaluation, Loss, Model, Samples};

use crate::TrainError;

/// The data that a model is validated on after each epoch.
#[allow(unreachable_pub, reason = "a type in a method of a public trait's private supertrait")]
pub trait Validation<L>: Sync {
    /// The number of samples.
    fn len(&self) -> usize;

    /// Checks that the samples fit the model and the loss.
    fn check(&self, model: &Model, loss: &L) -> Result<(), TrainError>;

    /// The loss and the accuracy over all samples, on rayon's threads.
    fn evaluate(&self, model: &Model, loss: &L) -> Result<Evaluation, TrainError>;

    /// Checks that the evaluated samples are still valid. Releases their memory if `releases` is set.
    fn finish(&self, releases: bool) -> Result<(), TrainError>;
}

/// Samples as validation data.
pub(crate) struct ValidationSamples<S>(pub(crate) S);

impl<S: Samples<f32>, L: Loss<f32>> Validation<L> for ValidationSamples<S> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn check(&self, model: &Model, loss: &L) -> Result<(), TrainError> {
        check_fit(model, loss, &self.0)?;
        Ok(check_targets(model, loss, &self.0)?)
    }

    fn evaluate(&self, model: &Model, loss: &L) -> Result<Evaluation, TrainError> {
        Ok(model.evaluate_with(loss, &self.0)?)
    }

    fn finish(&self, releases: bool) -> Result<(), TrainError> {
        self.0.check().map_err(TrainError::Samples)?;
        if releases {
            self.0.release(0..self.0.len());
        }
        Ok(())
    }
}
