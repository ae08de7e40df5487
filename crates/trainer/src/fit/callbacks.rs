//! The calls of callbacks in `fit`, and the names of their states.

use ziffer_nn::{Loss, Optimizer};

use crate::callback::{Callback, CallbackError};
use crate::{TrainError, Trainer};

impl<O: Optimizer<f32>, L: Loss<f32>> Trainer<'_, O, L> {
    /// Calls `call` with each callback.
    pub(super) fn each_callback(
        &mut self,
        mut call: impl FnMut(&mut dyn Callback) -> Result<(), CallbackError>,
    ) -> Result<(), TrainError> {
        for callback in &mut self.callbacks {
            call(callback.as_mut())
                .map_err(|source| TrainError::Callback { callback: callback.name(), source })?;
        }
        self.deliver_messages();
        Ok(())
    }

    /// Whether a callback stops training without an error when a loss is not finite.
    pub(super) fn stops_on_non_finite(&mut self, epoch: usize, step: Option<usize>, loss: f64) -> bool {
        // All callbacks are called.
        let any = |stops: bool, callback: &mut Box<dyn Callback + '_>| {
            callback.stops_on_non_finite(epoch, step, loss) || stops
        };
        let stops = self.callbacks.iter_mut().fold(false, any);
        self.deliver_messages();
        stops
    }

    /// Passes the messages of callbacks to all callbacks.
    pub(super) fn deliver_messages(&mut self) {
        let messages: Vec<String> = self.callbacks.iter_mut().flat_map(Callback::take_messages).collect();
        for message in &messages {
            self.callbacks.iter_mut().for_each(|callback| callback.on_message(message));
        }
    }
}

/// The names of the callbacks' states in a checkpoint. They depend on the callbacks' names, so that other callbacks may be added or
/// removed.
pub(super) fn state_names(callbacks: &[Box<dyn Callback + '_>]) -> Vec<String> {
    let mut names = Vec::with_capacity(callbacks.len());
    for (index, callback) in callbacks.iter().enumerate() {
        let name = callback.name();
        let before = callbacks[..index].iter().filter(|other| other.name() == name).count();
        names.push(format!("callback/{name}/{before}"));
    }
    names
}

/// The states of the callbacks, by name.
pub(super) fn callback_states(callbacks: &[Box<dyn Callback + '_>]) -> Vec<(String, Vec<u8>)> {
    let states = state_names(callbacks).into_iter().zip(callbacks);
    states.filter_map(|(name, callback)| Some((name, callback.state()?))).collect()
}
