//! A loss that is no number.

use ziffer_nn::Model;

use super::{Callback, CallbackError, Plan};

/// Ends training without an error when a loss is NaN or infinite, as Keras's `TerminateOnNaN`.
///
/// | setting | meaning | default (Keras's) |
/// |---|---|---|
/// | raise_error | whether it is an error all the same | false |
///
/// `fit` then returns the history of the epochs that were finished before. The weights are those before the step whose loss
/// it was, or those after the epoch whose validation loss it was. In Keras the step changes the weights, the epoch is in the
/// history, and a validation loss ends nothing.
#[derive(Clone, Debug, Default)]
pub struct TerminateOnNaN {
    raise_error: bool,
    messages: Vec<String>,
}

impl TerminateOnNaN {
    /// Ends training without an error.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether it is an error all the same.
    pub fn raise_error(mut self, raise_error: bool) -> Self {
        self.raise_error = raise_error;
        self
    }
}

impl Callback for TerminateOnNaN {
    fn name(&self) -> &'static str {
        "terminate on nan"
    }

    fn on_train_begin(&mut self, _: &Plan, _: &mut Model) -> Result<(), CallbackError> {
        self.messages.clear();
        Ok(())
    }

    fn ends_on_not_finite(&mut self, epoch: usize, step: Option<usize>, loss: f64) -> bool {
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
