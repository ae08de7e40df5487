//! Predictions of a model, and their evaluation.

use std::marker::PhantomData;

use ndarray::Array2;
use rayon::prelude::*;
use ziffer_tensor::{Scalar, ScalarFunction};

use crate::classification::predicted_class;
use crate::layer::{Context, Input, InputType, Mode, OutputKind, SampleValue, checked_input};
use crate::loss::Loss;
use crate::model::{LayerSlot, Model};
use crate::samples::Samples;
use crate::training::{
    DynSamples, FitError, StepResult, as_channels, check_dyn, last_output_kind, matrix, matrix_mut,
    target_error,
};

/// The number of samples that one thread takes through all layers at a time.
///
/// Results do not depend on it, since each sample is computed separately. It is large enough to use each weight several times
/// from the cache.
const BLOCK: usize = 64;

/// The loss and the accuracy over a set of samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// The mean loss.
    pub loss: f64,
    /// The fraction of correct predictions, 0 to 1. It is meaningful only if the targets are classes, see
    /// [`Target::is_class`](crate::Target::is_class).
    pub accuracy: f64,
    /// The number of correct predictions.
    pub correct: usize,
    /// The number of samples.
    pub samples: usize,
}

impl<T: Scalar> Model<T> {
    /// The outputs \[B, O\] for the rows of x \[B, I\]. Many samples are computed in parallel on rayon's threads.
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
    /// If the length of a row differs from the model's input size.
    pub fn predict<V: SampleValue<T>>(&self, x: ndarray::ArrayView2<'_, V>) -> Array2<T> {
        assert_eq!(x.ncols(), self.inputs(), "the size of a sample must equal the model's input size");
        let x = x.as_standard_layout();
        T::dispatch::<Predict<'_>>((self, checked_input(x.view())))
    }

    /// The outputs \[O\] for one sample.
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
    /// If the length of the sample differs from the model's input size.
    pub fn predict_one<V: SampleValue<T>>(&self, x: &[V]) -> Vec<T> {
        self.predict(ndarray::ArrayView2::from_shape((1, x.len()), x).expect("one row"))
            .into_raw_vec_and_offset()
            .0
    }

    /// The predicted class of each row of x: [`predicted_class`] of the row's outputs.
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
    /// If the length of a row differs from the model's input size.
    pub fn classify<V: SampleValue<T>>(&self, x: ndarray::ArrayView2<'_, V>) -> Vec<usize> {
        let y = self.predict(x);
        let class = |row: ndarray::ArrayView1<'_, T>| predicted_class(row.as_slice().expect("rows in order"));
        y.rows().into_iter().map(class).collect()
    }

    /// The outputs of each layer that computes, for the rows of x: the layer's name and its outputs \[B, O\], in order. The last
    /// layer's outputs are the bits that [`predict`](Self::predict) returns. It runs on the calling thread and is meant for few
    /// samples.
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
    /// If the length of a row differs from the model's input size.
    pub fn activations<V: SampleValue<T>>(&self, x: ndarray::ArrayView2<'_, V>) -> Vec<(&str, Array2<T>)> {
        assert_eq!(x.ncols(), self.inputs(), "the size of a sample must equal the model's input size");
        let x = x.as_standard_layout();
        T::dispatch::<Activations<'_, '_>>((self, checked_input(x.view())))
    }

    /// The mean loss and the accuracy over all samples, in parallel on rayon's threads. The bits of the result do not depend on
    /// the number of threads.
    ///
    /// # Errors
    /// If there are no samples, or the model, the loss and the samples do not fit together.
    pub fn evaluate_with<S: Samples<T>>(
        &self,
        loss: &impl Loss<T>,
        samples: &S,
    ) -> Result<Evaluation, FitError> {
        T::dispatch::<Evaluate<'_>>((self, loss, samples))
    }

    /// [`predict`](Self::predict) for an input.
    fn predict_input(&self, x: &Input<'_, T>) -> Array2<T> {
        let mut y = Array2::zeros((x.dim().0, self.outputs()));
        if y.is_empty() {
            return y;
        }
        let out = y.as_slice_mut().expect("a new array");
        out.par_chunks_mut(BLOCK * self.outputs()).enumerate().for_each_init(
            ForwardPass::default,
            |pass, (block, y)| {
                let rows = block * BLOCK..x.dim().0.min((block + 1) * BLOCK);
                y.copy_from_slice(pass.forward(self, &x.rows(rows), OutputKind::Activated));
            },
        );
        y
    }

    /// [`activations`](Self::activations) for an input.
    fn activations_of_input(&self, x: &Input<'_, T>) -> Vec<(&str, Array2<T>)> {
        let mut outputs = Vec::new();
        ForwardPass::default().each_layer(self, x, OutputKind::Activated, |slot, y| {
            outputs.push((slot.name.as_str(), matrix(y, slot.outputs()).to_owned()));
        });
        outputs
    }

    /// [`evaluate_with`](Self::evaluate_with) for trait objects.
    fn evaluate_samples(
        &self,
        loss: &dyn Loss<T>,
        samples: &dyn DynSamples<T>,
    ) -> Result<Evaluation, FitError> {
        check_dyn(self, loss, samples)?;
        let count = samples.count();
        if count == 0 {
            return Err(FitError::NoSamples);
        }
        let layers = self.computing(Mode::Inference, samples.input_type());
        let output = layers.last().map_or(OutputKind::Activated, |last| last_output_kind(last, loss));
        let blocks: Result<Vec<StepResult>, FitError> = (0..count.div_ceil(BLOCK))
            .into_par_iter()
            .map_init(
                || (ForwardPass::default(), samples.block()),
                |(pass, x), block| {
                    let range = block * BLOCK..count.min((block + 1) * BLOCK);
                    let y = pass.forward(self, &x.read(range.clone()), output);
                    let mut result = StepResult { samples: range.len(), ..StepResult::default() };
                    for (y, sample) in y.chunks_exact(self.outputs()).zip(range) {
                        let target = samples.target(sample);
                        if let Some(error) = target_error(loss, target, sample, self.outputs()) {
                            return Err(error);
                        }
                        result.loss_sum += loss.value(y, target).to_f64();
                        result.correct += usize::from(loss.is_correct(y, target));
                    }
                    Ok(result)
                },
            )
            .collect();
        let blocks = blocks?;
        let correct = blocks.iter().map(|block| block.correct).sum();
        let loss_sum: f64 = blocks.iter().map(|block| block.loss_sum).sum();
        let mean = |sum: f64| sum / count as f64;
        Ok(Evaluation { loss: mean(loss_sum), accuracy: mean(correct as f64), correct, samples: count })
    }
}

/// [`Model::predict_input`], compiled for `f32`.
struct Predict<'m>(PhantomData<&'m ()>);

impl<'m> ScalarFunction for Predict<'m> {
    type Input<T: Scalar> = (&'m Model<T>, Input<'m, T>);
    type Output<T: Scalar> = Array2<T>;

    fn call<T: Scalar>((model, x): Self::Input<T>) -> Array2<T> {
        model.predict_input(&x)
    }

    fn call_f32(input: Self::Input<f32>) -> Array2<f32> {
        Self::call(input)
    }
}

/// [`Model::activations_of_input`], compiled for `f32`.
struct Activations<'m, 'x>(PhantomData<(&'m (), &'x ())>);

impl<'m, 'x> ScalarFunction for Activations<'m, 'x> {
    type Input<T: Scalar> = (&'m Model<T>, Input<'x, T>);
    type Output<T: Scalar> = Vec<(&'m str, Array2<T>)>;

    fn call<T: Scalar>((model, x): Self::Input<T>) -> Self::Output<T> {
        model.activations_of_input(&x)
    }

    fn call_f32(input: Self::Input<f32>) -> Self::Output<f32> {
        Self::call(input)
    }
}

/// [`Model::evaluate_samples`], compiled for `f32`.
struct Evaluate<'m>(PhantomData<&'m ()>);

impl<'m> ScalarFunction for Evaluate<'m> {
    type Input<T: Scalar> = (&'m Model<T>, &'m dyn Loss<T>, &'m dyn DynSamples<T>);
    type Output<T: Scalar> = Result<Evaluation, FitError>;

    fn call<T: Scalar>((model, loss, samples): Self::Input<T>) -> Self::Output<T> {
        model.evaluate_samples(loss, samples)
    }

    fn call_f32(input: Self::Input<f32>) -> Self::Output<f32> {
        Self::call(input)
    }
}

/// The memory of a forward pass: the input and the output of a layer, which alternate.
struct ForwardPass<T> {
    input: Vec<T>,
    output: Vec<T>,
    scratch: Vec<T>,
}

impl<T> Default for ForwardPass<T> {
    fn default() -> Self {
        Self { input: Vec::new(), output: Vec::new(), scratch: Vec::new() }
    }
}

impl<T: Scalar> ForwardPass<T> {
    /// The outputs of the last layer, in C order.
    fn forward(&mut self, model: &Model<T>, x: &Input<'_, T>, last: OutputKind) -> &[T] {
        self.each_layer(model, x, last, |_, _| {});
        &self.input[..x.dim().0 * model.outputs()]
    }

    /// Runs the layers, and calls `show` with the outputs of each in C order.
    fn each_layer<'m>(
        &mut self,
        model: &'m Model<T>,
        x: &Input<'_, T>,
        last: OutputKind,
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
            let input = if l == 0 {
                x.reborrow()
            } else {
                Input::Real(matrix(&self.input[..samples * width], width))
            };
            width = slot.outputs();
            self.output.resize(samples * width, T::zero());
            self.scratch.resize(slot.scratch, T::zero());
            let mut context = Context::new(Mode::Inference, 0, &mut [], &mut self.scratch);
            context.output_kind = if l + 1 == layers.len() { last } else { OutputKind::Activated };
            context.batch_rows = samples;
            let (input, y) = as_channels(slot, input, matrix_mut(&mut self.output, width));
            slot.layer.forward(&mut context, slot.weights(model.block()), input, y);
            show(slot, &self.output);
            std::mem::swap(&mut self.input, &mut self.output);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Activation, Sequential};
    use ndarray::Array2;

    /// The random numbers of a weight depend on its index only. So the model of the first layer has the same weights.
    #[test]
    fn activations_are_the_outputs_of_each_layer() {
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
