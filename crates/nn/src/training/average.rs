//! The exponential moving average of the weights.

use ziffer_tensor::{Buffer, NoMemory, Scalar};

use super::fit_error::FitError;
use super::{Inner, Training};
use crate::model::Model;
use crate::optimizer::Optimizer;

impl<T: Scalar, O: Optimizer<T>> Training<T, O> {
    /// Keeps an exponential moving average of the trainable weights, as Keras's `use_ema` with this `ema_momentum`: after the
    /// first update a = w, after each later one a = momentum a + (1 - momentum) w. See [`swap_average`](Self::swap_average).
    ///
    /// # Errors
    /// If there is not enough memory for the average.
    ///
    /// # Panics
    /// If there were updates already, or the momentum is outside 0 to 1.
    pub fn ema(mut self, momentum: impl Into<Option<f64>>) -> Result<Self, NoMemory> {
        assert!(self.inner.iteration == 0, "an average must be set before the first update");
        let momentum = momentum.into();
        assert!(
            momentum.is_none_or(|momentum| (0.0..=1.0).contains(&momentum)),
            "ema_momentum is {momentum:?}, expected a number from 0 to 1"
        );
        self.inner.state.truncate(self.optimizer.state_names().len());
        if momentum.is_some() {
            self.inner.state.push(Buffer::try_zeros(self.inner.block_len())?);
        }
        self.inner.ema_momentum = momentum;
        Ok(self)
    }

    /// Exchanges the trainable weights and their average. It does nothing if no average is kept or there was no update yet.
    ///
    /// A second call restores the weights, also if layers were frozen or unfrozen in between. It must come before training
    /// continues. The average of a frozen layer starts from its weights.
    ///
    /// # Errors
    /// If the training was made for another model.
    pub fn swap_average(&mut self, model: &mut Model<T>) -> Result<(), FitError> {
        self.inner.check_model(model)?;
        if self.inner.ema_momentum.is_none() || self.inner.iteration == 0 {
            return Ok(());
        }
        let Some(average) = self.inner.state.last_mut() else { return Ok(()) };
        let swapped = self.inner.swapped.take();
        let is_second_call = swapped.is_some();
        let ranges = swapped.unwrap_or_else(|| {
            let weights = self.inner.layout.iter().zip(model.trainable());
            weights.filter(|(_, trainable)| *trainable).map(|((.., range), _)| range.clone()).collect()
        });
        for range in &ranges {
            average[range.clone()].swap_with_slice(&mut model.block_mut()[range.clone()]);
        }
        self.inner.swapped = (!is_second_call).then_some(ranges);
        Ok(())
    }
}

impl<T: Scalar> Inner<T> {
    /// Sets the average to the weights before the first update, so that it is right for layers that are unfrozen later.
    pub(super) fn begin_average(&mut self, model: &Model<T>) {
        if self.ema_momentum.is_some()
            && self.iteration == 0
            && let Some(average) = self.state.last_mut()
        {
            average.copy_from_slice(model.block());
        }
    }

    pub(super) fn assert_not_swapped(&self) {
        assert!(
            self.swapped.is_none(),
            "the model has the average of the weights; call swap_average again before training continues"
        );
    }
}
