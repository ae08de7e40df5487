//! Gradients and updates as separate calls, for custom training loops.

use ziffer_tensor::{Scalar, update};

use super::Training;
use super::budget::StepBudget;
use super::fit_error::FitError;
use super::gradients::Gradients;
use super::result::StepError;
use crate::loss::Loss;
use crate::model::Model;
use crate::optimizer::{MAX_STATES, Optimizer};
use crate::samples::Samples;

impl<T: Scalar, O: Optimizer<T>> Training<T, O> {
    /// The gradients of the mean loss of one batch. `batch` has the indices of its samples, at most as many as the batch size.
    ///
    /// The gradients have their own memory. The weights do not change, except the moving averages of a batch normalization.
    /// The gradients are the same bits that [`run`](Self::run) updates the weights with. The time of the budget is ignored.
    ///
    /// ```
    /// use ndarray::arr2;
    /// use ziffer_nn::optimizer::Clip;
    /// use ziffer_nn::{Activation, MeanSquaredError, Sequential, Sgd, Training, WithLabels, thread_team::ThreadTeam};
    /// let x = arr2(&[[0.0_f32, 1.0], [1.0, 0.0]]);
    /// let samples = WithLabels::new(x.view(), &[1, 0]);
    /// let mut model = Sequential::new([2]).dense(2, Activation::Sigmoid).build(1)?;
    /// let mut training = Training::new(&model, Sgd::default(), 2)?;
    /// let team = ThreadTeam::new(1)?;
    /// for _ in 0..10 {
    ///     let mut gradients =
    ///         training.gradients(&mut model, &MeanSquaredError, &samples, &[0, 1], (&team).into())?;
    ///     gradients.clip(Clip::GlobalNorm(1.0));
    ///     training.apply(&mut model, &gradients)?;
    /// }
    /// assert_eq!(training.iteration(), 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for `run`, and if there is not enough memory for the gradients.
    ///
    /// # Panics
    /// As for `run`, except that the weights may be exchanged for their average. Also if the batch is empty or larger than
    /// the batch size.
    pub fn gradients<S: Samples<T>>(
        &mut self,
        model: &mut Model<T>,
        loss: &impl Loss<T>,
        samples: &S,
        batch: &[u32],
        budget: StepBudget<'_>,
    ) -> Result<Gradients<T>, StepError> {
        self.gradients_dyn(model, loss, samples, batch, budget)
    }

    /// Updates the weights once by gradients, which may have been changed or summed. The settings for clipping and
    /// accumulation do not apply. The average of the weights, if one is kept, is updated too.
    ///
    /// # Errors
    /// If the gradients or the training belong to another model.
    ///
    /// # Panics
    /// If the weights are exchanged for their average.
    pub fn apply(&mut self, model: &mut Model<T>, gradients: &Gradients<T>) -> Result<(), FitError> {
        self.inner.check_model(model)?;
        if *gradients.layout != *self.inner.layout {
            return Err(FitError::OtherModel);
        }
        self.inner.assert_not_swapped();
        self.inner.begin_average(model);
        let step = self.optimizer.step(self.inner.iteration + 1, self.learning_rate());
        let states = self.optimizer.state_names().len();
        let trainable: Vec<bool> = model.trainable().collect();
        for (((.., range), trainable), present) in
            self.inner.layout.iter().zip(trainable).zip(&gradients.present)
        {
            if !trainable || !present {
                continue;
            }
            let w = &mut model.block_mut()[range.clone()];
            let (blocks, average) = self.inner.state.split_at_mut(states);
            let mut state: [&mut [T]; MAX_STATES] = Default::default();
            for (state, block) in state.iter_mut().zip(blocks) {
                *state = &mut block[range.clone()];
            }
            O::update(&step, w, &mut state[..states], &gradients.block[range.clone()]);
            if let (Some(average), Some(momentum)) = (average.first_mut(), self.inner.ema_momentum) {
                let momentum = T::from_f64(if self.inner.iteration == 0 { 0.0 } else { momentum });
                update::moving_average(&mut average[range.clone()], w, momentum);
            }
        }
        self.inner.iteration += 1;
        Ok(())
    }
}
