//! Compares gradients with central differences, in `f64`.
//!
//! For a function L of a number x, (L(x + h) - L(x - h)) / 2h differs from L'(x) by about h^2 L'''(x) / 6 and by the
//! rounding of L over h. With h = 1e-5 both are around 1e-10. So a right gradient agrees in many digits, and a wrong one in
//! none.
//!
//! If the two one-sided differences do not converge as h shrinks, x is at a kink, of relu for example, and L has no derivative
//! there. Such numbers are skipped and counted. This depends on values of L only, so that it does not hide a wrong gradient. Too
//! many kinks are an error.
//!
//! The gradients are those of the training step itself, on one thread and on three, whose bits must be equal. The check of a
//! layer covers numbers and pixels as input, training and inference, logits if the layer ends in a softmax or a sigmoid, and
//! parts of the outputs if the layer is parallel over outputs.
//!
//! ```
//! use ziffer_nn::gradcheck::GradCheck;
//! use ziffer_nn::{Activation, Dense};
//! let stats = GradCheck::default().layer(Dense::new(3, Activation::Tanh), &[4], 2, 7)?;
//! // Kernel, bias and input; the input of the frozen layer; and kernel and bias for pixels.
//! assert_eq!(stats.checked + stats.skipped, (4 * 3 + 3 + 2 * 4) + 2 * 4 + (4 * 3 + 3));
//! # Ok::<(), ziffer_nn::gradcheck::GradientError>(())
//! ```

mod error;
mod outputs;
mod probe;

use ndarray::Array2;
use ziffer_tensor::random::{Purpose, Stream};
use ziffer_tensor::thread_team::ThreadTeam;

use crate::layer::{Input, Layer, Parallelism};
use crate::loss::Loss;
use crate::model::Model;
use crate::samples::Samples;
use crate::training::{DynSamples, Gradients, StepError};
use crate::{Sequential, Sgd, Training, WithTargets};

pub use error::GradientError;
use outputs::check_parts_of_outputs;
use probe::{Dot, Probe};

/// A check of gradients against central differences, and its settings.
///
/// | setting | meaning | default |
/// |---|---|---|
/// | step | h for numbers between -1 and 1; it grows in proportion to larger numbers | 1e-5 |
/// | tolerance | the largest difference, relative to the gradient or 1, whichever is larger | 1e-6 |
/// | max_kinks | the largest fraction of numbers that may be at a kink | 0.05 |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradCheck {
    /// h, the step of the differences.
    pub step: f64,
    /// The largest relative difference.
    pub tolerance: f64,
    /// The largest fraction of kinks.
    pub max_kinks: f64,
}

impl Default for GradCheck {
    fn default() -> Self {
        Self { step: 1e-5, tolerance: 1e-6, max_kinks: 0.05 }
    }
}

/// The counts of a check that passed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GradCheckStats {
    /// The number of derivatives that were compared.
    pub checked: usize,
    /// The number of numbers that were skipped because they are at a kink.
    pub skipped: usize,
    /// The largest relative difference.
    pub max_error: f64,
}

impl GradCheck {
    /// Checks the gradients of L = sum(c y) / B, for a random c, with respect to a layer's weights and input. The weights and the
    /// `batch` samples of `input_shape` are random.
    ///
    /// # Errors
    /// The first gradient that is wrong.
    ///
    /// # Panics
    /// As a training step, if the layer breaks the rules of [`Layer`].
    pub fn layer(
        &self,
        layer: impl Layer<f64> + Clone + 'static,
        input_shape: &[usize],
        batch: usize,
        seed: u64,
    ) -> Result<GradCheckStats, GradientError> {
        self.boxed(&|| Box::new(layer.clone()), input_shape, batch, seed)
    }

    /// [`layer`](Self::layer) for the layer that `layer` returns.
    fn boxed(
        &self,
        layer: &dyn Fn() -> Box<dyn Layer<f64>>,
        input_shape: &[usize],
        batch: usize,
        seed: u64,
    ) -> Result<GradCheckStats, GradientError> {
        let mut stream = Stream::new(seed, Purpose::Other(1), 0);
        let inputs: usize = input_shape.iter().product();
        let mut stats = GradCheckStats::default();
        let probed = || Sequential::with_input_shape(input_shape).add(Probe::new(batch)).add_boxed(layer());
        let x = Array2::from_shape_simple_fn((batch, inputs), || stream.normal());
        let mut logits = vec![None];
        for frozen in [false, true] {
            let mut model = probed().build(seed)?;
            perturb(&mut model, &mut stream);
            let c = Array2::from_shape_simple_fn((batch, model.outputs()), || stream.normal());
            if let activation @ Some(_) = model.slots()[1].layer.output_activation() {
                logits = vec![None, activation];
            }
            model.slots_mut()[1].trainable = !frozen;
            for &logits in &logits {
                let samples = WithTargets::new(x.view(), c.view());
                stats += self.compare_all(&mut model, &Dot { logits }, &samples)?;
            }
        }
        // Only with respect to the weights: pixels have no gradient.
        if probed().build(seed)?.slots()[1].specs.is_empty() {
            return self.check_kinks(stats);
        }
        let pixels = Array2::from_shape_simple_fn((batch, inputs), || {
            if stream.below(3) == 0 { 0 } else { stream.below(256) as u8 }
        });
        let mut model = Sequential::with_input_shape(input_shape).add_boxed(layer()).build(seed)?;
        perturb(&mut model, &mut stream);
        let c = Array2::from_shape_simple_fn((batch, model.outputs()), || stream.normal());
        for logits in logits {
            let samples = WithTargets::new(pixels.view(), c.view());
            stats += self.compare_all(&mut model, &Dot { logits }, &samples)?;
        }
        if model.slots()[0].parallelism == Parallelism::RowsOrOutputs {
            check_parts_of_outputs(&model, Input::Real(x.view()), c.view())?;
            check_parts_of_outputs(&model, Input::Pixels(pixels.view()), c.view())?;
        }
        self.check_kinks(stats)
    }

    /// Checks the gradients of a model's mean loss over `samples` with respect to all trainable weights.
    ///
    /// # Errors
    /// The first gradient that is wrong, or an error if the model, the loss and the samples do not fit together.
    pub fn model<S: Samples<f64>>(
        &self,
        model: &mut Model<f64>,
        loss: &impl Loss<f64>,
        samples: &S,
    ) -> Result<GradCheckStats, GradientError> {
        let stats = self.compare_all(model, loss, samples)?;
        self.check_kinks(stats)
    }

    fn compare_all(
        &self,
        model: &mut Model<f64>,
        loss: &dyn Loss<f64>,
        samples: &dyn DynSamples<f64>,
    ) -> Result<GradCheckStats, GradientError> {
        TEAMS.with(|teams| self.compare_on(teams, model, loss, samples))
    }

    fn compare_on(
        &self,
        [one_thread, several_threads]: &[ThreadTeam; 2],
        model: &mut Model<f64>,
        loss: &dyn Loss<f64>,
        samples: &dyn DynSamples<f64>,
    ) -> Result<GradCheckStats, GradientError> {
        // Moving averages change with each step and do not enter a training step's loss.
        let before = model.snapshot();
        let mut step = FirstStep::new(model, samples.count())?;
        let gradients = step.gradients(model, loss, samples, one_thread)?;
        let several = step.gradients(model, loss, samples, several_threads)?;
        for ((name, one), (_, other)) in gradients.iter().zip(several.iter()) {
            for (element, (&one, &other)) in one.iter().zip(other).enumerate() {
                if one.to_bits() != other.to_bits() {
                    let (of, threads) = (format!("{name}[{element}]"), several_threads.size());
                    return Err(GradientError::Threads { of, one, other, threads });
                }
            }
        }
        let mut stats = GradCheckStats::default();
        for (name, gradients) in gradients.iter() {
            for (element, &gradient) in gradients.iter().enumerate() {
                model.restore(&before);
                let at = *element_mut(model, name, element);
                let along = |here: f64| {
                    model.restore(&before);
                    *element_mut(model, name, element) = here;
                    // The gradients were computed before without an error.
                    step.gradients(model, loss, samples, one_thread).map_or(f64::NAN, |g| g.result.loss())
                };
                self.compare(|| format!("{name}[{element}]"), gradient, at, along, &mut stats)?;
            }
        }
        model.restore(&before);
        Ok(stats)
    }

    /// Compares the derivative with respect to one number at `at` with values of L. `along` returns L for a value of the number.
    fn compare(
        &self,
        of: impl Fn() -> String,
        gradient: f64,
        at: f64,
        mut along: impl FnMut(f64) -> f64,
        stats: &mut GradCheckStats,
    ) -> Result<(), GradientError> {
        let h = self.step * at.abs().max(1.0);
        let here = along(at);
        let mut one_sided = |h: f64| ((along(at + h) - here) / h, (here - along(at - h)) / h);
        let (above, below) = one_sided(h);
        let difference = 0.5 * (above + below);
        // Where L is smooth, the sides differ by h L''. At a kink the jump is added. Half the step halves the former only.
        let (nearer_above, nearer_below) = one_sided(0.5 * h);
        let jump = 2.0 * (nearer_above - nearer_below) - (above - below);
        if jump.abs() > self.tolerance * above.abs().max(below.abs()).max(1.0) {
            stats.skipped += 1;
            return Ok(());
        }
        let error = (gradient - difference).abs() / gradient.abs().max(difference.abs()).max(1.0);
        // `<=`, so that NaN is an error.
        if error <= self.tolerance {
            stats.checked += 1;
            stats.max_error = stats.max_error.max(error);
            Ok(())
        } else {
            Err(GradientError::Wrong { of: of(), gradient, difference })
        }
    }

    fn check_kinks(&self, stats: GradCheckStats) -> Result<GradCheckStats, GradientError> {
        let all = stats.checked + stats.skipped;
        // One kink is always allowed: a small layer has few numbers.
        if stats.skipped > 1 && stats.skipped as f64 > self.max_kinks * all as f64 {
            return Err(GradientError::Kinks { skipped: stats.skipped, all });
        }
        Ok(stats)
    }
}

impl std::ops::AddAssign for GradCheckStats {
    fn add_assign(&mut self, other: Self) {
        self.checked += other.checked;
        self.skipped += other.skipped;
        self.max_error = self.max_error.max(other.max_error);
    }
}

/// An element of the weight of this name. The model must have it.
fn element_mut<'m>(model: &'m mut Model<f64>, name: &str, element: usize) -> &'m mut f64 {
    let layout = std::sync::Arc::clone(model.layout());
    let (.., range) = layout.iter().find(|(other, ..)| other == name).expect("a weight of the model");
    &mut model.block_mut()[range.start + element]
}

/// Changes the weights randomly from their initial values.
fn perturb(model: &mut Model<f64>, stream: &mut Stream) {
    model.for_each_weight_mut(|spec, weight| {
        for w in weight {
            // A variance must stay positive.
            *w += if spec.trainable { 0.3 * stream.normal() } else { 0.3 * stream.uniform() };
        }
    });
}

thread_local! {
    /// Teams of one and of three threads for all checks of this thread.
    static TEAMS: [ThreadTeam; 2] = [1, 3].map(|threads| ThreadTeam::new(threads).expect("three threads"));
}

/// The first step of a training, as often as wanted.
struct FirstStep {
    training: Training<f64, Sgd>,
    batch: Vec<u32>,
}

impl FirstStep {
    fn new(model: &Model<f64>, samples: usize) -> Result<Self, StepError> {
        let training = Training::new(model, Sgd::default(), samples)?;
        Ok(Self { training, batch: (0..samples as u32).collect() })
    }

    fn gradients(
        &mut self,
        model: &mut Model<f64>,
        loss: &dyn Loss<f64>,
        samples: &dyn DynSamples<f64>,
        team: &ThreadTeam,
    ) -> Result<Gradients<f64>, StepError> {
        self.training.rewind();
        self.training.gradients_dyn(model, loss, samples, &self.batch, team.into())
    }
}
