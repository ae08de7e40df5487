//! Stops training when a loss is NaN or infinite.

use ziffer_nn::Model;

use super::{Callback, CallbackError, TrainingParams};

/// Stops training without an error when a loss is NaN or infinite, as Keras's `TerminateOnNaN`.
///
/// | setting | meaning | default (Keras's) |
/// |---|---|---|
/// | raise_error | whether training ends with an error | false |
///
/// `fit` then returns the history of the completed epochs. The weights are those before the step with this loss, or those after the
/// epoch with this validation loss. In Keras the step changes the weights, the epoch is in the history, and a validation loss does
/// not stop training.
#[derive(Clone, Debug, Default)]
pub struct TerminateOnNaN {
    raise_error: bool,
    messages: Vec<String>,
}

impl TerminateOnNaN {
    /// Stops training without an error.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether training ends with an error.
    pub fn raise_error(mut self, raise_error: bool) -> Self {
        self.raise_error = raise_error;
        self
    }
}

impl Callback for TerminateOnNaN {
    fn name(&self) -> &'static str {
        "terminate on nan"
    }

    fn on_train_begin(&mut self, _: &TrainingParams, _: &mut Model) -> Result<(), CallbackError> {
        self.messages.clear();
        Ok(())
    }

    fn stops_on_non_finite(&mut self, epoch: usize, step: Option<usize>, loss: f64) -> bool {
        if self.raise_error {
            return false;
        }
        let epoch = epoch + 1;
        self.messages.push(match step {
            Some(step) => {
                format!("Epoch {epoch}, batch {}: the loss is {loss}, terminating training", step + 1)
            }
            None => format!("Epoch {epoch}: the validation loss is {loss}, terminating training"),
        });
        true
    }

    fn take_messages(&mut self) -> Vec<String> {
        std::mem::take(&mut self.messages)
    }
}
