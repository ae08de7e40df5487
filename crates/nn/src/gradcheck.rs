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
//! ```
//! use ziffer_nn::gradcheck::GradCheck;
//! use ziffer_nn::{Activation, Dense};
//! let report = GradCheck::default().layer(Dense::new(3, Activation::Tanh), &[4], 2, 7)?;
//! assert_eq!(report.checked, 4 * 3 + 3 + 2 * 4);
//! # Ok::<(), ziffer_nn::gradcheck::GradientError>(())
//! ```

use ndarray::Array2;
use ziffer_tensor::random::{Purpose, Stream};

use crate::layer::{Feature, Input, Layer, Output, Part, Sink};
use crate::loss::Loss;
use crate::model::{Model, Placed};
use crate::samples::Samples;
use crate::training::{last_output, matrix, matrix_mut};
use crate::{BuildError, Sequential};

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
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GradientError {
    /// The layer cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
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
    /// A part of a weight got no gradient, or got it twice.
    #[error("element {element} of weight {index} got {times} gradients from {parts} parts, expected 1")]
    Coverage {
        /// The weight's index within its layer.
        index: usize,
        /// The element.
        element: usize,
        /// How many gradients it got.
        times: usize,
        /// The number of parts.
        parts: usize,
    },
    /// Other parts gave other bits.
    #[error("the gradient by {of} depends on the number of parts: {one:e} from 1, {other:e} from {parts}")]
    Parts {
        /// Which number.
        of: String,
        /// From one part.
        one: f64,
        /// From several.
        other: f64,
        /// How many.
        parts: usize,
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

impl GradCheck {
    /// Checks a layer's gradients by its weights and by its input, with random weights and `batch` random samples of
    /// `input_shape`: those of L = sum(c y) for a random c.
    ///
    /// # Errors
    /// The first gradient that is wrong.
    pub fn layer(
        &self,
        layer: impl Layer<f64> + 'static,
        input_shape: &[usize],
        batch: usize,
        seed: u64,
    ) -> Result<Report, GradientError> {
        let mut stream = Stream::new(seed, Purpose::Other(1), 0);
        let mut model = Sequential::with_input(input_shape).add(layer).build(seed)?;
        model.for_each_weight_mut(|_, weight| weight.iter_mut().for_each(|w| *w += 0.3 * stream.normal()));
        let mut x = Array2::from_shape_simple_fn((batch, model.inputs()), || stream.normal());
        let c = Array2::from_shape_simple_fn((batch, model.outputs()), || stream.normal());

        let placed = &model.placed()[0];
        let mut d_x = Array2::zeros(x.dim());
        let mut y = Array2::zeros(c.dim());
        let mut d = c.clone();
        let weights = placed.weights(model.block());
        placed.layer.forward(weights, Input::Real(x.view()), y.view_mut(), Output::Activated);
        placed.layer.backward(
            weights,
            Input::Real(x.view()),
            y.view(),
            d.view_mut(),
            Some(d_x.view_mut()),
            Output::Activated,
        );
        let gradients = of_weights(placed, Input::Real(x.view()), d.view())?;

        let value = |model: &Model<f64>, x: &Array2<f64>| {
            let placed = &model.placed()[0];
            let mut y = Array2::zeros(c.dim());
            placed.layer.forward(
                placed.weights(model.block()),
                Input::Real(x.view()),
                y.view_mut(),
                Output::Activated,
            );
            (&y * &c).sum()
        };
        let mut report = Report::default();
        self.by_weights(&mut model, &[gradients], &mut report, |model| value(model, &x))?;
        for element in 0..x.len() {
            let gradient = d_x.as_slice().expect("a new array")[element];
            let at = x.as_slice().expect("a new array")[element];
            let along = |here: f64| {
                x.as_slice_mut().expect("a new array")[element] = here;
                value(&model, &x)
            };
            self.compare(|| format!("input[{element}]"), gradient, at, along, &mut report)?;
            x.as_slice_mut().expect("a new array")[element] = at;
        }
        self.finish(report)
    }

    /// Checks the gradients of a model's mean loss over `samples` by all of its weights.
    ///
    /// # Errors
    /// The first gradient that is wrong.
    ///
    /// # Panics
    /// If the model, the loss and the samples do not fit together.
    pub fn model<S: Samples<f64>>(
        &self,
        model: &mut Model<f64>,
        loss: &impl Loss<f64>,
        samples: &S,
    ) -> Result<Report, GradientError> {
        let gradients = gradients(model, loss, samples)?;
        let mut report = Report::default();
        self.by_weights(model, &gradients, &mut report, |model| {
            model.evaluate_with(loss, samples).expect("a model, a loss and samples that fit together").loss
        })?;
        self.finish(report)
    }

    /// `gradients` by layer that computes, weight and element.
    fn by_weights(
        &self,
        model: &mut Model<f64>,
        gradients: &[Vec<Vec<f64>>],
        report: &mut Report,
        value: impl Fn(&Model<f64>) -> f64,
    ) -> Result<(), GradientError> {
        let names: Vec<String> = model.weight_names().collect();
        for (weight, gradients) in gradients.iter().flatten().enumerate() {
            for (element, &gradient) in gradients.iter().enumerate() {
                let at = weight_at(model, weight, element);
                let along = |here: f64| {
                    set_weight(model, weight, element, here);
                    value(model)
                };
                self.compare(|| format!("{}[{element}]", names[weight]), gradient, at, along, report)?;
                set_weight(model, weight, element, at);
            }
        }
        Ok(())
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

fn weight_at(model: &Model<f64>, weight: usize, element: usize) -> f64 {
    let (_, view) = model.weights().nth(weight).expect("a weight of the model");
    view.as_slice().expect("a weight in C order")[element]
}

fn set_weight(model: &mut Model<f64>, weight: usize, element: usize, value: f64) {
    let mut index = 0;
    model.for_each_weight_mut(|_, elements| {
        if index == weight {
            elements[element] = value;
        }
        index += 1;
    });
}

/// The gradients of a model's mean loss over `samples`, by layer that computes, weight and element: what a training step
/// hands to its optimizer, stored instead. Computed whole and in parts, and held to be the same.
///
/// # Errors
/// If parts miss or repeat an element or give other bits than the whole.
///
/// # Panics
/// If the model, the loss and the samples do not fit together.
pub fn gradients<S: Samples<f64>>(
    model: &Model<f64>,
    loss: &impl Loss<f64>,
    samples: &S,
) -> Result<Vec<Vec<Vec<f64>>>, GradientError> {
    let layers: Vec<&Placed<f64>> =
        model.placed().iter().filter(|placed| !placed.layer.is_identity()).collect();
    let batch = samples.len();
    let rows: Vec<S::Value> = (0..batch).flat_map(|sample| samples.row(sample).iter().copied()).collect();
    let x = S::Value::input(matrix(&rows, model.inputs()));
    let top = layers.len() - 1;
    let last = last_output(layers[top], loss);
    let output = |l: usize| if l == top { last } else { Output::Activated };

    let mut outputs: Vec<Vec<f64>> = Vec::new();
    for (l, placed) in layers.iter().enumerate() {
        let mut y = vec![f64::NAN; batch * placed.outputs()];
        let input = input_of(l, &x, &layers, &outputs);
        placed.layer.forward(
            placed.weights(model.block()),
            input,
            matrix_mut(&mut y, placed.outputs()),
            output(l),
        );
        outputs.push(y);
    }
    let width = layers[top].outputs();
    let mut d = vec![f64::NAN; batch * width];
    for (sample, (y, d)) in outputs[top].chunks_exact(width).zip(d.chunks_exact_mut(width)).enumerate() {
        loss.backward(y, samples.target(sample), 1.0 / batch as f64, d);
    }
    let mut found = Vec::new();
    for (l, placed) in layers.iter().enumerate().rev() {
        let width = placed.outputs();
        let mut d_x = l.checked_sub(1).map(|below| vec![f64::NAN; batch * layers[below].outputs()]);
        let input = input_of(l, &x, &layers, &outputs);
        placed.layer.backward(
            placed.weights(model.block()),
            input.reborrow(),
            matrix(&outputs[l], width),
            matrix_mut(&mut d, width),
            d_x.as_mut().map(|d_x| matrix_mut(d_x, layers[l - 1].outputs())),
            output(l),
        );
        found.push(of_weights(placed, input, matrix(&d, width))?);
        if let Some(d_x) = d_x {
            d = d_x;
        }
    }
    found.reverse();
    Ok(found)
}

fn input_of<'a>(
    l: usize,
    x: &'a Input<'_, f64>,
    layers: &[&Placed<f64>],
    outputs: &'a [Vec<f64>],
) -> Input<'a, f64> {
    match l.checked_sub(1) {
        None => x.reborrow(),
        Some(below) => Input::Real(matrix(&outputs[below], layers[below].outputs())),
    }
}

/// The gradients by a layer's weights, from one part and, to the same bits, from three.
fn of_weights(
    placed: &Placed<f64>,
    x: Input<'_, f64>,
    d: ndarray::ArrayView2<'_, f64>,
) -> Result<Vec<Vec<f64>>, GradientError> {
    let stored = |count: usize| {
        let mut store = Store {
            gradients: placed.specs.iter().map(|spec| vec![0.0; spec.len()]).collect(),
            times: placed.specs.iter().map(|spec| vec![0; spec.len()]).collect(),
        };
        for index in 0..count {
            placed.layer.gradient(x.reborrow(), d, Part { index, count }, &mut store);
        }
        for (index, times) in store.times.iter().enumerate() {
            if let Some((element, &times)) = times.iter().enumerate().find(|&(_, &times)| times != 1) {
                return Err(GradientError::Coverage { index, element, times, parts: count });
            }
        }
        Ok(store.gradients)
    };
    let whole = stored(1)?;
    let parts = 3;
    for (index, (whole, other)) in whole.iter().zip(stored(parts)?).enumerate() {
        for (element, (one, other)) in whole.iter().zip(other).enumerate() {
            if one.to_bits() != other.to_bits() {
                let of = format!("{}.{}[{element}]", placed.name, placed.specs[index].name);
                return Err(GradientError::Parts { of, one: *one, other, parts });
            }
        }
    }
    Ok(whole)
}

/// The sink that keeps what it gets.
struct Store {
    gradients: Vec<Vec<f64>>,
    times: Vec<Vec<usize>>,
}

impl Sink<f64> for Store {
    fn accept(&mut self, index: usize, offset: usize, gradient: &[f64]) {
        self.gradients[index][offset..offset + gradient.len()].copy_from_slice(gradient);
        self.times[index][offset..offset + gradient.len()].iter_mut().for_each(|times| *times += 1);
    }
}
