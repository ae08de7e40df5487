//! A model's outputs for samples, and how good they are.

use ndarray::Array2;
use rayon::prelude::*;
use ziffer_tensor::Scalar;

use crate::classification::predicted_class;
use crate::layer::{Context, Feature, Input, InputType, Mode, Output};
use crate::loss::Loss;
use crate::model::{LayerSlot, Model};
use crate::samples::Samples;
use crate::training::{FitError, StepResult, check, last_output, matrix, matrix_mut, rows_for};

/// Samples that one thread takes through all layers at a time.
///
/// It is part of no result: samples do not mix. Large enough to use each weight several times from the cache.
const BLOCK: usize = 64;

/// The loss and the accuracy over a set of samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// The mean loss.
    pub loss: f64,
    /// The share of hits, 0 to 1. It has a meaning only where targets name classes, see [`Target::is_class`](crate::Target::is_class).
    pub accuracy: f64,
    /// How many were hits.
    pub hits: usize,
    /// How many samples there were.
    pub samples: usize,
}

impl<T: Scalar> Model<T> {
    /// The outputs for rows of samples: \[B, O\]. Parallel over rayon's threads for many samples.
    ///
    /// ```
    /// use ndarray::Array2;
    /// use ziffer_nn::{Activation, Sequential};
    /// let model = Sequential::new([4]).dense(3, Activation::Softmax).build(0)?;
    /// let p = model.predict(Array2::<f32>::zeros((2, 4)).view());
    /// assert!((p.row(0).sum() - 1.0).abs() < 1e-6);
    /// # Ok::<(), ziffer_nn::BuildError>(())
    /// ```
    ///
    /// # Panics
    /// If a row is not as long as the model's input.
    pub fn predict<V: Feature<T>>(&self, x: ndarray::ArrayView2<'_, V>) -> Array2<T> {
        assert_eq!(x.ncols(), self.inputs(), "numbers of a sample and of the model's input");
        let x = x.as_standard_layout();
        let rows = x.as_slice().expect("in order");
        let mut y = Array2::zeros((x.nrows(), self.outputs()));
        if y.is_empty() {
            return y;
        }
        let out = y.as_slice_mut().expect("a new array");
        let pairs = out.par_chunks_mut(BLOCK * self.outputs()).zip(rows.par_chunks(BLOCK * self.inputs()));
        pairs.for_each_init(Passes::default, |passes, (y, x)| {
            y.copy_from_slice(passes.forward(self, &V::input(matrix(x, self.inputs())), Output::Activated));
        });
        y
    }

    /// The outputs for one sample: \[O\].
    ///
    /// ```
    /// use ziffer_nn::{Activation, Sequential};
    /// let model = Sequential::new([4]).dense(3, Activation::Softmax).build(0)?;
    /// let p = model.predict_one(&[0.0_f32, 1.0, 0.0, 1.0]);
    /// assert_eq!(p.len(), 3);
    /// # Ok::<(), ziffer_nn::BuildError>(())
    /// ```
    ///
    /// # Panics
    /// If the sample is not as long as the model's input.
    pub fn predict_one<V: Feature<T>>(&self, x: &[V]) -> Vec<T> {
        self.predict(ndarray::ArrayView2::from_shape((1, x.len()), x).expect("one row"))
            .into_raw_vec_and_offset()
            .0
    }

    /// The class of each row of samples: [`predicted_class`] of its outputs.
    ///
    /// ```
    /// use ndarray::arr2;
    /// use ziffer_nn::{Activation, Sequential};
    /// let mut model = Sequential::new([2]).dense(2, Activation::Softmax).build(0)?;
    /// model.set_weight("dense.kernel", arr2(&[[1.0, 0.0], [0.0, 1.0]]).view()).expect("its shape");
    /// assert_eq!(model.classify(arr2(&[[3.0_f32, 1.0], [0.0, 2.0]]).view()), [0, 1]);
    /// # Ok::<(), ziffer_nn::BuildError>(())
    /// ```
    ///
    /// # Panics
    /// If a row is not as long as the model's input.
    pub fn classify<V: Feature<T>>(&self, x: ndarray::ArrayView2<'_, V>) -> Vec<usize> {
        let y = self.predict(x);
        let class = |row: ndarray::ArrayView1<'_, T>| predicted_class(row.as_slice().expect("rows in order"));
        y.rows().into_iter().map(class).collect()
    }

    /// What each layer that computes puts out for rows of samples: its name and \[B, O\] of that layer, in order. The last one's
    /// are the bits of [`predict`](Self::predict). All on this thread: for a few samples to look into.
    ///
    /// ```
    /// use ndarray::Array2;
    /// use ziffer_nn::{Activation, Sequential};
    /// let model = Sequential::new([4]).dense(3, Activation::Relu).dense(2, Activation::Softmax).build(0)?;
    /// let x = Array2::<f32>::ones((1, 4));
    /// let outputs = model.activations(x.view());
    /// assert_eq!(outputs[0].0, "dense");
    /// assert_eq!(outputs[1].1, model.predict(x.view()));
    /// # Ok::<(), ziffer_nn::BuildError>(())
    /// ```
    ///
    /// # Panics
    /// If a row is not as long as the model's input.
    pub fn activations<V: Feature<T>>(&self, x: ndarray::ArrayView2<'_, V>) -> Vec<(&str, Array2<T>)> {
        assert_eq!(x.ncols(), self.inputs(), "numbers of a sample and of the model's input");
        let x = x.as_standard_layout();
        let mut outputs = Vec::new();
        Passes::default().each_layer(self, &V::input(x.view()), Output::Activated, |slot, y| {
            outputs.push((slot.name.as_str(), matrix(y, slot.outputs()).to_owned()));
        });
        outputs
    }

    /// The mean loss and the accuracy over all samples. Parallel over rayon's threads; the sums run over the samples in
    /// order, whatever the number of threads.
    ///
    /// # Errors
    /// If there are no samples, or the model, the loss and the samples do not fit together.
    pub fn evaluate_with<S: Samples<T>>(
        &self,
        loss: &impl Loss<T>,
        samples: &S,
    ) -> Result<Evaluation, FitError> {
        check(self, loss, samples)?;
        if samples.is_empty() {
            return Err(FitError::NoSamples);
        }
        let layers = self.computing(Mode::Inference, S::Value::input_type());
        let output = layers.last().map_or(Output::Activated, |last| last_output(last, loss));
        let features = self.inputs();
        let blocks: Result<Vec<StepResult>, FitError> = (0..samples.len().div_ceil(BLOCK))
            .into_par_iter()
            .map_init(
                || (Passes::default(), Vec::new()),
                |(passes, x), block| {
                    let range = block * BLOCK..samples.len().min((block + 1) * BLOCK);
                    x.resize(range.len() * features, S::Value::default());
                    for (sample, x) in range.clone().zip(x.chunks_exact_mut(features)) {
                        samples.fill(sample, None, x);
                    }
                    let y = passes.forward(self, &S::Value::input(matrix(x, self.inputs())), output);
                    let mut result = StepResult { samples: range.len(), ..StepResult::default() };
                    for (y, sample) in y.chunks_exact(self.outputs()).zip(range) {
                        let target = samples.target(sample);
                        if let Some(misfit) = FitError::of_target(loss, target, sample, self.outputs()) {
                            return Err(misfit);
                        }
                        result.loss_sum += loss.value(y, target).to_f64();
                        result.hits += usize::from(loss.is_hit(y, target));
                    }
                    Ok(result)
                },
            )
            .collect();
        let blocks = blocks?;
        let hits = blocks.iter().map(|block| block.hits).sum();
        let loss_sum: f64 = blocks.iter().map(|block| block.loss_sum).sum();
        let samples = samples.len();
        let mean = |sum: f64| sum / samples as f64;
        Ok(Evaluation { loss: mean(loss_sum), accuracy: mean(hits as f64), hits, samples })
    }
}

/// Memory for a forward pass: what goes in and what comes out of a layer, by turns.
struct Passes<T> {
    from: Vec<T>,
    to: Vec<T>,
    scratch: Vec<T>,
}

impl<T> Default for Passes<T> {
    fn default() -> Self {
        Self { from: Vec::new(), to: Vec::new(), scratch: Vec::new() }
    }
}

impl<T: Scalar> Passes<T> {
    /// The outputs of the last layer, in C order.
    fn forward(&mut self, model: &Model<T>, x: &Input<'_, T>, last: Output) -> &[T] {
        self.each_layer(model, x, last, |_, _| {});
        &self.from[..x.dim().0 * model.outputs()]
    }

    /// Goes through the layers, and shows each one's outputs, in C order.
    fn each_layer<'m>(
        &mut self,
        model: &'m Model<T>,
        x: &Input<'_, T>,
        last: Output,
        mut show: impl FnMut(&'m LayerSlot<T>, &[T]),
    ) {
        let samples = x.dim().0;
        let input_type = match x {
            Input::Real(_) => InputType::Real,
            Input::Pixels(_) => InputType::Pixels,
        };
        let layers = model.computing(Mode::Inference, input_type);
        let mut width = model.inputs();
        for (l, slot) in layers.iter().copied().enumerate() {
            let input =
                if l == 0 { x.reborrow() } else { Input::Real(matrix(&self.from[..samples * width], width)) };
            width = slot.outputs();
            self.to.resize(samples * width, T::zero());
            self.scratch.resize(slot.scratch, T::zero());
            let mut context = Context::new(Mode::Inference, 0, &mut [], &mut self.scratch);
            context.output = if l + 1 == layers.len() { last } else { Output::Activated };
            context.batch_rows = samples;
            let (input, y) = rows_for(slot, input, matrix_mut(&mut self.to, width));
            slot.layer.forward(&mut context, slot.weights(model.block()), input, y);
            show(slot, &self.to);
            std::mem::swap(&mut self.from, &mut self.to);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Activation, Sequential};
    use ndarray::Array2;

    /// Weights are drawn by their place, so that the first layer alone is the same layer.
    #[test]
    fn activations_are_each_layer_s_outputs() {
        let first = || Sequential::new([3, 2]).flatten().dense(5, Activation::Relu);
        let whole = first().dense(4, Activation::Softmax).build(7).unwrap();
        let first = first().build(7).unwrap();
        let pixels = Array2::from_shape_fn((70, 6), |(n, i)| (n * 31 + i * 57) as u8);
        let outputs = whole.activations(pixels.view());
        assert_eq!(outputs.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["dense", "dense_1"]);
        assert_eq!(outputs[0].1, first.predict(pixels.view()));
        assert_eq!(outputs[1].1, whole.predict(pixels.view()));
        assert!(outputs[0].1.iter().any(|output| *output > 0.0));
    }
}
