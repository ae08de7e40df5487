//! Holds gradients to central differences, in `f64`.
//!
//! For a function L of a number x, (L(x + h) - L(x - h)) / 2h differs from L'(x) by about h^2 L'''(x) / 6 and by the
//! rounding of L over h. With h = 1e-5 both are around 1e-10, so a right gradient agrees to many digits and a wrong one
//! to none.
//!
//! Where the two one-sided differences stay apart as h shrinks, x lies at a kink (of relu, say) and has no derivative: it
//! is left out and counted. That depends on values of L only, so a wrong gradient cannot hide behind it, and too many kinks
//! are an error.
//!
//! Everything goes through the training step itself, on one thread and on three, whose bits must be the same. A layer's
//! check covers numbers and pixels as input, training and inference, logits if it ends in a softmax, and its outputs apart
//! from each other if it says that they can be had so.
//!
//! ```
//! use ziffer_nn::gradcheck::GradCheck;
//! use ziffer_nn::{Activation, Dense};
//! let report = GradCheck::default().layer(Dense::new(3, Activation::Tanh), &[4], 2, 7)?;
//! // By kernel, bias and input, once more by the input of the frozen layer, and by kernel and bias for pixels.
//! assert_eq!(report.checked + report.skipped, (4 * 3 + 3 + 2 * 4) + 2 * 4 + (4 * 3 + 3));
//! # Ok::<(), ziffer_nn::gradcheck::GradientError>(())
//! ```

use ndarray::{Array2, ArrayView2, ArrayViewMut2, s};
use ziffer_tensor::Activation;
use ziffer_tensor::random::{Purpose, Stream};
use ziffer_tensor::team::Team;

use crate::layer::{
    Context, GradientSink, GradientTarget, Input, Layer, LayerError, Mode, Progress, Sharing, WeightSpec,
    Weights,
};
use crate::loss::{Loss, Target};
use crate::model::Model;
use crate::samples::Samples;
use crate::training::{Gradients, StepError};
use crate::{BuildError, Initializer, Sequential, Sgd, Training, WithValues};

/// How gradients are compared.
///
/// | setting | meaning | default |
/// |---|---|---|
/// | step | h, of a number of size 1 or less; more for a larger one | 1e-5 |
/// | tolerance | the largest difference, relative to the larger of the gradient and 1 | 1e-6 |
/// | kinks | the largest share of numbers that may lie at a kink | 0.05 |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradCheck {
    /// h.
    pub step: f64,
    /// The largest relative difference.
    pub tolerance: f64,
    /// The largest share of kinks.
    pub kinks: f64,
}

impl Default for GradCheck {
    fn default() -> Self {
        Self { step: 1e-5, tolerance: 1e-6, kinks: 0.05 }
    }
}

/// What a check that passed has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Report {
    /// How many derivatives were compared.
    pub checked: usize,
    /// How many numbers lay at a kink.
    pub skipped: usize,
    /// The largest relative difference.
    pub worst: f64,
}

/// A gradient that is wrong, or could not be checked.
#[derive(Clone, PartialEq, thiserror::Error)]
pub enum GradientError {
    /// The layer cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The step failed.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The gradient is not the derivative.
    #[error("the gradient by {of} is {gradient:e}, central differences say {difference:e}")]
    Wrong {
        /// Which number: `kernel[12]`, or `input[3]`.
        of: String,
        /// What the code computed.
        gradient: f64,
        /// What the differences say.
        difference: f64,
    },
    /// Another number of threads gave other bits.
    #[error(
        "the gradient by {of} depends on the number of threads: {one:e} from 1, {other:e} from {threads}"
    )]
    Threads {
        /// Which number.
        of: String,
        /// From one thread.
        one: f64,
        /// From several.
        other: f64,
        /// How many.
        threads: usize,
    },
    /// Some outputs alone are not what they are among all.
    #[error("{of} is {whole:e} among all outputs, {alone:e} apart from the others")]
    Outputs {
        /// Which number.
        of: String,
        /// Computed with all outputs.
        whole: f64,
        /// Computed apart from the others.
        alone: f64,
    },
    /// Too many numbers lie at a kink.
    #[error("{skipped} of {all} numbers lie at a kink; try another seed")]
    Kinks {
        /// How many.
        skipped: usize,
        /// Of how many.
        all: usize,
    },
}

ziffer_base::debug_as_message!(GradientError);

impl GradCheck {
    /// Checks a layer's gradients by its weights and by its input, with random weights and `batch` random samples of
    /// `input_shape`: those of L = sum(c y) / B for a random c.
    ///
    /// # Errors
    /// The first gradient that is wrong.
    ///
    /// # Panics
    /// As a training step does if the layer leaves out or repeats something.
    pub fn layer(
        &self,
        layer: impl Layer<f64> + Clone + 'static,
        input_shape: &[usize],
        batch: usize,
        seed: u64,
    ) -> Result<Report, GradientError> {
        let mut stream = Stream::new(seed, Purpose::Other(1), 0);
        let inputs: usize = input_shape.iter().product();
        let mut report = Report::default();
        let probed = || Sequential::with_input(input_shape).add(Probe::of(batch)).add(layer.clone());
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
                let samples = WithValues::new(x.view(), c.view());
                report += self.unfinished(&mut model, &Dot { logits }, &samples)?;
            }
        }
        // By the weights alone: pixels have no gradient.
        if probed().build(seed)?.slots()[1].specs.is_empty() {
            return self.finish(report);
        }
        let pixels = Array2::from_shape_simple_fn((batch, inputs), || {
            if stream.below(3) == 0 { 0 } else { stream.below(256) as u8 }
        });
        let mut model = Sequential::with_input(input_shape).add(layer.clone()).build(seed)?;
        perturb(&mut model, &mut stream);
        let c = Array2::from_shape_simple_fn((batch, model.outputs()), || stream.normal());
        for logits in logits {
            let samples = WithValues::new(pixels.view(), c.view());
            report += self.unfinished(&mut model, &Dot { logits }, &samples)?;
        }
        if model.slots()[0].sharing == Sharing::RowsOrOutputs {
            outputs_apart(&model, Input::Real(x.view()), c.view())?;
            outputs_apart(&model, Input::Pixels(pixels.view()), c.view())?;
        }
        self.finish(report)
    }

    /// Checks the gradients of a model's mean loss over `samples` by all of its trainable weights, as in a training step.
    ///
    /// # Errors
    /// The first gradient that is wrong, or that the model, the loss and the samples do not fit together.
    pub fn model<S: Samples<f64>>(
        &self,
        model: &mut Model<f64>,
        loss: &impl Loss<f64>,
        samples: &S,
    ) -> Result<Report, GradientError> {
        let report = self.unfinished(model, loss, samples)?;
        self.finish(report)
    }

    fn unfinished<S: Samples<f64>>(
        &self,
        model: &mut Model<f64>,
        loss: &impl Loss<f64>,
        samples: &S,
    ) -> Result<Report, GradientError> {
        // Moving averages change with each step, and are no part of a training step's loss.
        let before = model.snapshot();
        let one_thread = Team::new(1).expect("a thread");
        let gradients = gradients(model, loss, samples, &one_thread)?;
        let threads = 3;
        let several = self::gradients(model, loss, samples, &Team::new(threads).expect("three threads"))?;
        for ((name, one), (_, other)) in gradients.iter().zip(several.iter()) {
            for (element, (&one, &other)) in one.iter().zip(other).enumerate() {
                if one.to_bits() != other.to_bits() {
                    return Err(GradientError::Threads {
                        of: format!("{name}[{element}]"),
                        one,
                        other,
                        threads,
                    });
                }
            }
        }
        let mut report = Report::default();
        for (name, gradients) in gradients.iter() {
            for (element, &gradient) in gradients.iter().enumerate() {
                model.restore(&before);
                let at = *element_mut(model, name, element);
                let along = |here: f64| {
                    model.restore(&before);
                    *element_mut(model, name, element) = here;
                    // They were computed once without an error.
                    self::gradients(model, loss, samples, &one_thread).map_or(f64::NAN, |g| g.result.loss())
                };
                self.compare(|| format!("{name}[{element}]"), gradient, at, along, &mut report)?;
            }
        }
        model.restore(&before);
        Ok(report)
    }

    /// Compares one derivative with the values of L `along` one number around `at`.
    fn compare(
        &self,
        of: impl Fn() -> String,
        gradient: f64,
        at: f64,
        mut along: impl FnMut(f64) -> f64,
        report: &mut Report,
    ) -> Result<(), GradientError> {
        let h = self.step * at.abs().max(1.0);
        let here = along(at);
        let mut one_sided = |h: f64| ((along(at + h) - here) / h, (here - along(at - h)) / h);
        let (above, below) = one_sided(h);
        let difference = 0.5 * (above + below);
        // On a smooth stretch the sides are h L'' apart, at a kink by its jump besides. Half the step halves the former only.
        let (nearer_above, nearer_below) = one_sided(0.5 * h);
        let jump = 2.0 * (nearer_above - nearer_below) - (above - below);
        if jump.abs() > self.tolerance * above.abs().max(below.abs()).max(1.0) {
            report.skipped += 1;
            return Ok(());
        }
        let error = (gradient - difference).abs() / gradient.abs().max(difference.abs()).max(1.0);
        // Not `>`, so that NaN is wrong.
        if error <= self.tolerance {
            report.checked += 1;
            report.worst = report.worst.max(error);
            Ok(())
        } else {
            Err(GradientError::Wrong { of: of(), gradient, difference })
        }
    }

    fn finish(&self, report: Report) -> Result<Report, GradientError> {
        let all = report.checked + report.skipped;
        // One is always allowed: a small layer has few numbers.
        if report.skipped > 1 && report.skipped as f64 > self.kinks * all as f64 {
            return Err(GradientError::Kinks { skipped: report.skipped, all });
        }
        Ok(report)
    }
}

impl std::ops::AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.checked += other.checked;
        self.skipped += other.skipped;
        self.worst = self.worst.max(other.worst);
    }
}

/// An element of a weight of that name, which the model has.
fn element_mut<'m>(model: &'m mut Model<f64>, name: &str, element: usize) -> &'m mut f64 {
    let layout = std::sync::Arc::clone(model.layout());
    let (.., range) = layout.iter().find(|(other, ..)| other == name).expect("a weight of the model");
    &mut model.block_mut()[range.start + element]
}

/// Moves weights away from where they start.
fn perturb(model: &mut Model<f64>, stream: &mut Stream) {
    model.for_each_weight_mut(|spec, weight| {
        for w in weight {
            // A variance stays positive.
            *w += if spec.trainable { 0.3 * stream.normal() } else { 0.3 * stream.uniform() };
        }
    });
}

/// The gradients of the first batch of a training.
fn gradients<S: Samples<f64>>(
    model: &mut Model<f64>,
    loss: &impl Loss<f64>,
    samples: &S,
    team: &Team,
) -> Result<Gradients<f64>, StepError> {
    let batch: Vec<u32> = (0..samples.len() as u32).collect();
    Training::new(model, Sgd::default(), batch.len())?.gradients(model, loss, samples, &batch, team.into())
}

/// L = sum(c y), with c as target.
#[derive(Debug)]
struct Dot {
    /// The activation that is left out.
    logits: Option<Activation>,
}

impl Loss<f64> for Dot {
    fn name(&self) -> &'static str {
        "dot"
    }

    fn activation(&self) -> Option<Activation> {
        self.logits
    }

    fn value(&self, output: &[f64], target: Target<'_, f64>) -> f64 {
        let Target::Values(c) = target else { unreachable!("targets are values") };
        output.iter().zip(c).map(|(y, c)| y * c).sum()
    }

    fn backward(&self, output: &[f64], target: Target<'_, f64>, scale: f64, d: &mut [f64]) -> f64 {
        let Target::Values(c) = target else { unreachable!("targets are values") };
        d.iter_mut().zip(c).for_each(|(d, c)| *d = scale * c);
        self.value(output, target)
    }
}

/// y = x + w with a w for each number of each sample of the batch, so that the gradient by the input of the layer behind it
/// is one by a weight.
#[derive(Clone, Debug)]
struct Probe {
    batch: usize,
    inputs: usize,
}

impl Probe {
    fn of(batch: usize) -> Self {
        Self { batch, inputs: 0 }
    }
}

impl Layer<f64> for Probe {
    fn class_name(&self) -> &'static str {
        "Input"
    }

    fn build(&mut self, input_shape: &[usize]) -> Result<Vec<usize>, LayerError> {
        self.inputs = input_shape.iter().product();
        Ok(input_shape.to_vec())
    }

    fn weights(&self) -> Vec<WeightSpec> {
        vec![WeightSpec::new("number", [self.batch, self.inputs], Initializer::Zeros)]
    }

    fn forward(
        &self,
        context: &mut Context<'_, f64>,
        weights: Weights<'_, f64>,
        x: Input<'_, f64>,
        mut y: ArrayViewMut2<'_, f64>,
    ) {
        let rows = context.first_row()..context.first_row() + y.nrows();
        y.assign(&x.to_real());
        y += &weights.matrix(0, self.batch).slice(s![rows, ..]);
    }

    fn backward(
        &self,
        _: &mut Context<'_, f64>,
        _: Weights<'_, f64>,
        _: Input<'_, f64>,
        _: ArrayView2<'_, f64>,
        d: ArrayViewMut2<'_, f64>,
        d_x: Option<ArrayViewMut2<'_, f64>>,
    ) {
        if let Some(mut d_x) = d_x {
            d_x.assign(&d);
        }
    }

    fn gradient(
        &self,
        _: Input<'_, f64>,
        d: ArrayView2<'_, f64>,
        _: &[f64],
        sink: &mut GradientSink<'_, f64>,
    ) {
        let owned = sink.range(0);
        sink.push(0, &d.as_slice().expect("gradients in C order")[owned]);
    }
}

/// Compares some outputs of a model of one layer, and the gradients by the weights that belong to them, with the same among
/// all outputs.
fn outputs_apart(model: &Model<f64>, x: Input<'_, f64>, d: ArrayView2<'_, f64>) -> Result<(), GradientError> {
    let slot = &model.slots()[0];
    let width = slot.outputs();
    let of = |outputs: std::ops::Range<usize>| {
        // The weights' columns that belong to these outputs.
        let mut block = Vec::new();
        let mut ranges = Vec::new();
        for range in &slot.ranges {
            let start = block.len();
            let rows = model.block()[range.clone()].chunks_exact(width);
            rows.for_each(|row| block.extend_from_slice(&row[outputs.clone()]));
            ranges.push(start..block.len());
        }
        let owned: Vec<_> = ranges.iter().map(|range| 0..range.len()).collect();
        let mut scratch = vec![0.0; slot.scratch];
        let mut context = Context::new(Mode::Training, 0, &mut [], &mut scratch);
        context.batch_rows = d.nrows();
        let mut y = Array2::from_elem((d.nrows(), width), f64::NAN);
        let weights = Weights::new(&block, &ranges);
        let columns = s![.., outputs.clone()];
        slot.layer.forward(&mut context, weights, x.reborrow(), y.slice_mut(columns));
        let mut stored = Stored { gradients: vec![f64::NAN; block.len()], ranges: &ranges };
        let mut progress = Progress::default();
        let mut sink = GradientSink::new(&slot.specs, &owned, &mut progress, &mut stored);
        slot.layer.gradient(x.reborrow(), d.slice(columns), &[], &mut sink);
        sink.finish();
        let gradients: Vec<Vec<f64>> =
            ranges.iter().map(|range| stored.gradients[range.clone()].to_vec()).collect();
        (y, gradients)
    };
    let (whole_y, whole) = of(0..width);
    // A step gives each thread some outputs.
    for outputs in [0..width / 2, width / 2..width].into_iter().filter(|outputs| !outputs.is_empty()) {
        let (y, gradients) = of(outputs.clone());
        for ((place, &alone), &whole) in y.indexed_iter().zip(&whole_y) {
            if outputs.contains(&place.1) && alone.to_bits() != whole.to_bits() {
                return Err(GradientError::Outputs { of: format!("output {place:?}"), whole, alone });
            }
        }
        for ((spec, whole), part) in slot.specs.iter().zip(&whole).zip(&gradients) {
            let columns = whole.chunks_exact(width).flat_map(|row| &row[outputs.clone()]);
            for (element, (&whole, &alone)) in columns.zip(part).enumerate() {
                if alone.to_bits() != whole.to_bits() {
                    let of = format!("the gradient by {}[{element}] of outputs {outputs:?}", spec.name);
                    return Err(GradientError::Outputs { of, whole, alone });
                }
            }
        }
    }
    Ok(())
}

/// Keeps gradients.
struct Stored<'a> {
    gradients: Vec<f64>,
    ranges: &'a [std::ops::Range<usize>],
}

impl GradientTarget<f64> for Stored<'_> {
    fn push(&mut self, index: usize, offset: usize, gradient: &[f64]) {
        self.gradients[self.ranges[index].start + offset..][..gradient.len()].copy_from_slice(gradient);
    }

    fn non_trainable(&mut self, index: usize, range: std::ops::Range<usize>) -> &mut [f64] {
        let start = self.ranges[index].start;
        &mut self.gradients[start + range.start..start + range.end]
    }
}
