//! The progress of training, in Keras's format.

use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ziffer_nn::Model;

use crate::callback::{
    BatchLog, Callback, CallbackError, EpochBeginContext, EpochEndContext, Flow, TrainingParams,
};
use crate::sampler::BUFFER_BYTES;
use crate::{EpochLog, Resumed, ShuffleMethod, python};

/// Shows the progress of training on standard error: a progress bar per epoch on a terminal, or one line per epoch elsewhere and on
/// terminals that `TERM` calls dumb.
#[derive(Debug)]
pub struct Progress {
    on_terminal: bool,
    params: TrainingParams,
    bar: ProgressBar,
    since: Instant,
}

impl Progress {
    /// The learning rate, if a schedule or a callback sets it.
    fn rate(&self, rate: f64) -> Option<f64> {
        self.params.sets_learning_rate.then_some(rate)
    }
}

impl Default for Progress {
    fn default() -> Self {
        let params = TrainingParams {
            epochs: 0,
            steps: 0,
            has_validation: false,
            samples: 0,
            bytes: 0,
            shuffle: ShuffleMethod::None,
            has_accuracy: false,
            sets_learning_rate: false,
        };
        Self {
            on_terminal: !ProgressDrawTarget::stderr().is_hidden(),
            params,
            bar: ProgressBar::hidden(),
            since: Instant::now(),
        }
    }
}

/// The message of an unoptimized build.
const UNOPTIMIZED: &str = "Unoptimized build: steps take about 200 times as long. Run with --release, or add to Cargo.toml: \
                           [profile.dev.package.\"*\"] opt-level = 3";

/// Keras's progress bar: 20 cells of a heavy line, green for completed steps.
fn style() -> ProgressStyle {
    ProgressStyle::with_template("{pos}/{len} {bar:20.green/white} {msg}")
        .expect("a template without errors")
        .progress_chars("━━━")
}

impl Callback for Progress {
    fn name(&self) -> &'static str {
        "progress"
    }

    fn on_train_begin(&mut self, params: &TrainingParams, _: &mut Model) -> Result<(), CallbackError> {
        self.params = *params;
        if !ziffer_tensor::IS_OPTIMIZED {
            let _ = writeln!(io::stderr(), "{UNOPTIMIZED}");
        }
        // For data that fit into the buffer, the shuffle method makes no visible difference.
        if params.bytes > BUFFER_BYTES || matches!(params.shuffle, ShuffleMethod::Blocks { .. }) {
            let _ = writeln!(io::stderr(), "Shuffle: {}", params.shuffle);
        }
        Ok(())
    }

    fn on_resume(&mut self, resumed: &Resumed) -> Result<(), CallbackError> {
        let Resumed { path, epoch, step, .. } = resumed;
        let counted =
            |number: usize, unit: &str| format!("{number} {unit}{}", if number == 1 { "" } else { "s" });
        let done = format!("{} and {} done", counted(*epoch, "epoch"), counted(*step, "step"));
        let _ = writeln!(io::stderr(), "Resuming from {}: {done}", path.display());
        Ok(())
    }

    fn on_checkpoint_skipped(&mut self, path: &Path, reason: &str) {
        let _ = writeln!(io::stderr(), "Skipping {}: {reason}", path.display());
    }

    fn on_epoch_begin(&mut self, epoch: usize, _: &mut EpochBeginContext) -> Result<(), CallbackError> {
        self.since = Instant::now();
        if self.on_terminal {
            // Training continues if standard error is closed.
            let _ = writeln!(io::stderr(), "Epoch {}/{}", epoch + 1, self.params.epochs);
            self.bar = ProgressBar::new(self.params.steps as u64).with_style(style());
        }
        Ok(())
    }

    fn on_batch_end(&mut self, log: &BatchLog) {
        if !self.on_terminal {
            return;
        }
        let done = log.step + 1;
        // indicatif draws at most 20 times per second.
        self.bar.set_position(done as u64);
        let elapsed = self.since.elapsed().as_secs_f64();
        let left = elapsed / done as f64 * (self.params.steps - done) as f64;
        let metrics = metrics(&[
            ("accuracy", log.mean_accuracy),
            ("loss", Some(log.mean_loss)),
            ("learning_rate", self.rate(log.learning_rate)),
        ]);
        self.bar.set_message(format!("{} {} - {metrics}", seconds(left), per_step(elapsed / done as f64)));
    }

    fn on_epoch_end(&mut self, log: &EpochLog, _: &mut EpochEndContext<'_>) -> Result<Flow, CallbackError> {
        let (steps, per_step) = (log.steps, per_step(log.seconds / log.steps as f64));
        let metrics = metrics(&[
            ("accuracy", log.accuracy),
            ("loss", Some(log.loss)),
            ("val_accuracy", log.val_accuracy),
            ("val_loss", log.val_loss),
            ("learning_rate", self.rate(log.learning_rate)),
        ]);
        let seconds = seconds(log.seconds);
        if self.on_terminal {
            self.bar.set_position(steps as u64);
            // The bar stays on the terminal with its last message.
            self.bar.abandon_with_message(format!("{seconds} {per_step} - {metrics}"));
        } else {
            let epoch = format!("Epoch {}/{}", log.epoch + 1, log.epochs);
            let _ = writeln!(io::stderr(), "{epoch} - {steps}/{steps} - {seconds} {per_step} - {metrics}");
        }
        Ok(Flow::Continue)
    }

    fn on_message(&mut self, message: &str) {
        let show = || drop(writeln!(io::stderr(), "{message}"));
        // Above a bar in progress, below a completed one.
        if self.bar.is_finished() { show() } else { self.bar.suspend(show) }
    }
}

/// The given metrics in Keras's format: `accuracy: 0.9123 - loss: 0.3012 - val_accuracy: 0.9601 - val_loss: 0.1301`.
fn metrics(metrics: &[(&str, Option<f64>)]) -> String {
    let shown = metrics.iter().filter_map(|(name, value)| Some(format!("{name}: {}", number((*value)?))));
    shown.collect::<Vec<_>>().join(" - ")
}

/// Four decimals, or scientific notation for 1e-3 and below, as in Keras: `1.2346e-04`.
fn number(value: f64) -> String {
    if value.abs() > 1e-3 || !value.is_finite() {
        return format!("{value:.4}");
    }
    python::exponent(value, 4)
}

/// `12s`, or `0.21s` below ten seconds.
fn seconds(seconds: f64) -> String {
    if seconds < 10.0 { format!("{seconds:.2}s") } else { format!("{seconds:.0}s") }
}

/// `2s/step`, `3ms/step` or `120us/step`.
fn per_step(seconds: f64) -> String {
    if seconds >= 1.0 {
        format!("{seconds:.0}s/step")
    } else if seconds >= 1e-3 {
        format!("{:.0}ms/step", seconds * 1e3)
    } else {
        format!("{:.0}us/step", seconds * 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_formatted_as_in_keras() {
        // Python: "%.4f" and "%.4e".
        assert_eq!(number(0.301_24), "0.3012");
        assert_eq!(number(1.0), "1.0000");
        assert_eq!(number(0.001), "1.0000e-03");
        assert_eq!(number(0.000_123_456), "1.2346e-04");
        assert_eq!(number(0.0), "0.0000e+00");
        assert_eq!(number(f64::NAN), "NaN");
        assert_eq!(
            [per_step(2.0), per_step(0.0031), per_step(0.000_12)],
            ["2s/step", "3ms/step", "120us/step"]
        );
        assert_eq!([seconds(0.214), seconds(12.3)], ["0.21s", "12s"]);
        assert_eq!(
            metrics(&[("loss", Some(0.3012)), ("val_loss", None), ("learning_rate", Some(0.002))]),
            "loss: 0.3012 - learning_rate: 0.0020"
        );
    }
}
