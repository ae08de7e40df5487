//! The windows and the steps of an epoch.

use std::sync::atomic::Ordering;
use std::time::Instant;

use ziffer_nn::training::NotFinite;
use ziffer_nn::{Loss, Optimizer, Samples, StepBudget, StepError};

use super::Fit;
use crate::callback::{BatchLog, Callback};
use crate::sampler::Sampler;
use crate::{TrainError, Trainer};

impl<O: Optimizer<f32>, L: Loss<f32>> Trainer<'_, O, L> {
    /// Runs the rest of an epoch, one window after another. A thread reads the next window ahead.
    pub(super) fn run_epoch<S: Samples<f32>>(
        &mut self,
        fit: &mut Fit<'_, S, O>,
        sampler: &mut Sampler,
    ) -> Result<(), TrainError> {
        let (epoch, train) = (fit.state.epoch, fit.train);
        let first = fit.state.step * fit.batch_size / sampler.window_len();
        let mut order = Vec::new();
        for window in first..sampler.windows() {
            let current = sampler.ranges(epoch, window);
            sampler.order(epoch, window, &mut order);
            // Last, since it may draw the blocks of the next epoch.
            let next = if window + 1 < sampler.windows() {
                sampler.ranges(epoch, window + 1)
            } else if epoch + 1 < self.epochs {
                sampler.ranges(epoch + 1, 0)
            } else {
                Vec::new()
            };
            let start = window * sampler.window_len();
            std::thread::scope(|scope| {
                if !next.is_empty() {
                    // If no thread can be started, samples are read when they are used.
                    let read = || next.into_iter().for_each(|range| train.will_need(range));
                    let _ = std::thread::Builder::new().spawn_scoped(scope, read);
                }
                self.run_window(fit, start, &order)
            })?;
            current.into_iter().for_each(|range| train.release(range));
            if fit.state.stopped {
                break;
            }
        }
        Ok(())
    }

    /// Makes the remaining steps of a window, which begins at the epoch's sample `start`, and updates the sums.
    fn run_window<S: Samples<f32>>(
        &mut self,
        fit: &mut Fit<'_, S, O>,
        start: usize,
        order: &[u32],
    ) -> Result<(), TrainError> {
        let epoch = fit.state.epoch;
        let mut sum = fit.state.sum();
        while fit.state.step * fit.batch_size - start < order.len() {
            let rest = &order[fit.state.step * fit.batch_size - start..];
            let due = fit
                .checkpoints
                .as_ref()
                .and_then(|checkpoints| checkpoints.steps_left(fit.training.batches()));
            let due = due.map_or(usize::MAX, |steps| usize::try_from(steps).unwrap_or(usize::MAX));
            let until_callback = self.callbacks.iter().filter_map(Callback::steps_until_model).min();
            let max_steps = due.min(until_callback.map_or(usize::MAX, |steps| steps.max(1)));
            let batches = &rest[..max_steps.saturating_mul(fit.batch_size).min(rest.len())];
            let (threads, time) = fit.tuner.next();
            let budget = StepBudget { team: &fit.team, threads, time: Some(time) };
            let began = Instant::now();
            let first = fit.training.batches();
            let outcome = fit.training.run(fit.model, &self.loss, fit.train, batches, budget);
            let elapsed = began.elapsed();
            let (results, not_finite) = match outcome {
                Ok(results) => (results, None),
                Err(StepError::NotFinite(NotFinite { results, loss })) => (results, Some(loss)),
                Err(StepError::Fit(error)) => return Err(error.into()),
                Err(StepError::Memory(error)) => return Err(error.into()),
            };
            fit.tuner.record(results.len(), elapsed);
            fit.state.seconds += elapsed.as_secs_f64();
            let mut last = None;
            for (batch, result) in (first..).zip(&results) {
                sum.loss_sum += result.loss_sum;
                sum.correct += result.correct;
                sum.samples += result.samples;
                let log = BatchLog {
                    epoch,
                    step: fit.state.step,
                    loss: result.loss(),
                    mean_loss: sum.loss(),
                    mean_accuracy: fit.has_accuracy.then(|| sum.correct as f64 / sum.samples as f64),
                    learning_rate: fit.training.learning_rate_at(batch / self.accumulation),
                };
                self.callbacks.iter_mut().for_each(|callback| callback.on_batch_end(&log));
                last = Some(log);
                fit.state.step += 1;
            }
            fit.state.set_sum(sum);
            // Checked before anything is saved.
            fit.train.check().map_err(TrainError::Samples)?;
            if let Some(log) = last {
                self.each_callback(|callback| match callback.steps_until_model() {
                    Some(0) => callback.on_batch_end_with_model(&log, fit.model),
                    _ => Ok(()),
                })?;
            }
            if let Some(loss) = not_finite {
                if self.stops_on_non_finite(epoch, Some(fit.state.step), loss) {
                    fit.state.stopped = true;
                    return Ok(());
                }
                return Err(TrainError::NotFinite { epoch: epoch + 1, step: fit.state.step + 1, loss });
            }
            let interrupted = self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed));
            if interrupted || results.len() == due {
                fit.save(&self.callbacks)?;
            }
            if interrupted {
                let checkpoint = fit.wait()?;
                return Err(TrainError::Interrupted { epoch: epoch + 1, step: fit.state.step, checkpoint });
            }
        }
        Ok(())
    }
}
