//! The settings of a training in a checkpoint, and resuming from a checkpoint.

use std::path::Path;

use ziffer_dataset::augment::Distortion;
use ziffer_nn::{Loss, Model, Optimizer};

use super::Fit;
use super::callbacks::{callback_states, state_names};
use crate::callback::{Callback, TrainingParams};
use crate::checkpoints::{EpochLayout, INITIAL_WEIGHTS, LoadedCheckpoint, Resumed, Settings};
use crate::{CheckpointError, Checkpoints, TrainError, Trainer};

impl<O: Optimizer<f32>, L: Loss<f32>> Trainer<'_, O, L> {
    /// The settings that must not change when a training resumes.
    pub(super) fn settings(
        &self,
        checkpoints: &Checkpoints,
        model: &Model,
        params: &TrainingParams,
        validation: usize,
    ) -> Settings {
        let mut settings = checkpoints.settings.clone();
        let mut set = |name: &str, value: String| settings.insert(name.to_owned(), value);
        set("optimizer", format!("{:?}", self.optimizer));
        if let Some(clip) = self.clip {
            set(clip.name(), clip.bound().to_string());
        }
        if let Some(momentum) = self.ema_momentum {
            set("ema_momentum", momentum.to_string());
        }
        if self.accumulation > 1 {
            set("gradient_accumulation_steps", self.accumulation.to_string());
        }
        if let Some(schedule) = &self.schedule {
            set("learning rate schedule", format!("{schedule:?}"));
        }
        if let Some(distortion) = &self.augmentation {
            let Distortion {
                rotation_degrees,
                scale,
                shear,
                shift_pixels,
                elastic_pixels,
                elastic_spacing_pixels,
            } = distortion;
            for (name, value) in [
                ("augment.rotation_degrees", rotation_degrees),
                ("augment.scale", scale),
                ("augment.shear", shear),
                ("augment.shift_pixels", shift_pixels),
                ("augment.elastic_pixels", elastic_pixels),
                ("augment.elastic_spacing_pixels", elastic_spacing_pixels),
            ] {
                set(name, value.to_string());
            }
        }
        set("loss", format!("{:?}", self.loss));
        set("batch_size", self.batch_size.to_string());
        set("shuffle", params.shuffle.to_string());
        set("seed", self.seed.to_string());
        set("training samples", params.samples.to_string());
        set("validation samples", validation.to_string());
        set(INITIAL_WEIGHTS, model.weights_sha256());
        settings
    }

    /// Resumes from the newest checkpoint, if that is requested. Otherwise replaces the checkpoints of an earlier training.
    pub(super) fn resume<S>(
        &mut self,
        fit: &mut Fit<'_, S, O>,
        layout: EpochLayout,
    ) -> Result<(), TrainError> {
        let resumes = self.checkpoints.as_ref().is_some_and(|checkpoints| checkpoints.resume);
        let Some(checkpoints) = &mut fit.checkpoints else { return Ok(()) };
        if !resumes {
            return Ok(checkpoints.start_over(
                fit.model,
                &fit.training,
                &callback_states(&self.callbacks),
            )?);
        }
        let callbacks = &mut self.callbacks;
        let on_skipped = |path: &Path, reason: &str| {
            callbacks.iter_mut().for_each(|callback| callback.on_checkpoint_skipped(path, reason));
        };
        let loaded = checkpoints.resume(fit.model, &mut fit.training, self.epochs, layout, on_skipped)?;
        let Some(LoadedCheckpoint { path, mut state, callbacks: mut states }) = loaded else { return Ok(()) };
        // Older files lack the learning rates, which were constant.
        state.history.learning_rate.resize(state.epoch, fit.training.learning_rate());
        let (epoch, step) = (state.epoch, state.step);
        let mut resumed = Resumed { path, epoch, step, history: state.history.clone(), state: None };
        fit.state = state;
        for (name, callback) in state_names(&self.callbacks).into_iter().zip(&mut self.callbacks) {
            resumed.state = states.remove(&name);
            callback.on_resume(&resumed).map_err(|source| {
                let (path, callback) = (resumed.path.clone(), callback.name());
                CheckpointError::Callback { path, callback, source }
            })?;
        }
        self.deliver_messages();
        Ok(())
    }
}
