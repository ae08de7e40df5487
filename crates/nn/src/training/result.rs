//! The results of steps, and the errors that end a run of steps.

use ziffer_tensor::NoMemory;

use super::fit_error::FitError;

/// The loss and the correct predictions of one batch, measured before the batch's update.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepResult {
    /// The sum of the samples' losses.
    pub loss_sum: f64,
    /// The number of samples that were predicted correctly.
    pub correct: usize,
    /// The number of samples.
    pub samples: usize,
}

impl StepResult {
    /// The batch's loss: the mean over its samples.
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.samples as f64
    }
}

/// A batch's loss is NaN or infinite.
#[derive(Clone, PartialEq, thiserror::Error)]
#[error("the loss is {loss}")]
pub struct NotFinite {
    /// The results of the steps before.
    pub results: Vec<StepResult>,
    /// The loss.
    pub loss: f64,
}

ziffer_base::debug_as_message!(NotFinite);

/// An error that ends a run of steps.
#[derive(Clone, PartialEq, thiserror::Error)]
pub enum StepError {
    /// The training, the model, the loss and the samples do not fit together.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// A batch's loss is not finite.
    #[error(transparent)]
    NotFinite(#[from] NotFinite),
    /// There is not enough memory for the layers' outputs or the gradients.
    #[error(transparent)]
    Memory(#[from] NoMemory),
}

ziffer_base::debug_as_message!(StepError);
