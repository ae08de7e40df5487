//! The gradients of a batch's loss as a value.

use std::ops::Range;
use std::sync::Arc;

use ndarray::{ArrayView, ArrayViewD, ArrayViewMut, ArrayViewMutD, IxDyn};
use ziffer_tensor::{Buffer, Scalar};

use super::memory::CHUNK;
use super::result::StepResult;
use crate::model::Layout;
use crate::optimizer::Clip;

/// The gradients of a batch's mean loss with respect to all weights that are updated, from
/// [`Training::gradients`](super::Training::gradients).
#[derive(Clone, Debug)]
pub struct Gradients<T: Scalar> {
    /// The batch's loss and its number of correct predictions.
    pub result: StepResult,
    pub(super) layout: Arc<Layout>,
    /// For each weight of the layout, whether it has a gradient.
    pub(super) present: Vec<bool>,
    /// The gradients, laid out like the model's weights.
    pub(super) block: Buffer<T>,
}

impl<T: Scalar> Gradients<T> {
    fn entries(&self) -> impl Iterator<Item = (&str, &[usize], Range<usize>)> {
        let present = self.layout.iter().zip(&self.present).filter(|(_, present)| **present);
        present.map(|((name, shape, range), _)| (name.as_str(), shape.as_slice(), range.clone()))
    }

    /// The gradients with the names of their weights, in layer order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, ArrayViewD<'_, T>)> {
        self.entries().map(|(name, shape, range)| {
            let view = ArrayView::from_shape(IxDyn(shape), &self.block[range]);
            (name, view.expect("a range of the weight's length"))
        })
    }

    /// The gradient with respect to the weight of this name.
    pub fn get(&self, name: &str) -> Option<ArrayViewD<'_, T>> {
        self.iter().find(|(other, _)| *other == name).map(|(_, gradient)| gradient)
    }

    /// The gradient with respect to the weight of this name, mutably.
    pub fn get_mut(&mut self, name: &str) -> Option<ArrayViewMutD<'_, T>> {
        let (_, shape, range) = self.entries().find(|(other, ..)| *other == name)?;
        let shape = IxDyn(shape);
        ArrayViewMut::from_shape(shape, &mut self.block[range]).ok()
    }

    /// The Euclidean norm of all gradients together. Its bits do not depend on the number of threads.
    pub fn global_norm(&self) -> f64 {
        // One chunk after another across all weights, as a step sums them.
        self.entries().flat_map(|(.., range)| squares(&self.block[range])).fold(0.0, |sum, g| sum + g).sqrt()
    }

    /// Clips the gradients, as [`Training::clip`](super::Training::clip) does before an update.
    pub fn clip(&mut self, clip: Clip) {
        let global = self.global_norm();
        let ranges: Vec<_> = self.entries().map(|(.., range)| range).collect();
        for range in ranges {
            let g = &mut self.block[range];
            match clip {
                Clip::Value(bound) => clip_value(g, bound),
                Clip::Norm(_) => {
                    let norm = squares(g).sum::<f64>().sqrt();
                    scale(g, clip.factor(norm));
                }
                Clip::GlobalNorm(_) => scale(g, clip.factor(global)),
            }
        }
    }

    /// Multiplies every gradient by `factor`. [`result`](Self::result) does not change.
    pub fn scale(&mut self, factor: f64) {
        let ranges: Vec<_> = self.entries().map(|(.., range)| range).collect();
        ranges.into_iter().for_each(|range| scale(&mut self.block[range], factor));
    }

    /// Adds the gradients and the result of another batch or another loss, with respect to the same weights. For k batches of
    /// one size, the sum of their gradients times 1 / k is the gradient of the mean loss over all their samples.
    ///
    /// # Panics
    /// If the gradients belong to another model or to other weights of it.
    pub fn add(&mut self, other: &Self) {
        assert!(self.layout == other.layout && self.present == other.present, "gradients of another model");
        self.result.loss_sum += other.result.loss_sum;
        self.result.correct += other.result.correct;
        self.result.samples += other.result.samples;
        self.block.iter_mut().zip(other.block.iter()).for_each(|(sum, &g)| *sum += g);
    }
}

/// The sum of the squares of each chunk.
fn squares<T: Scalar>(g: &[T]) -> impl Iterator<Item = f64> {
    g.chunks(CHUNK).map(|chunk| chunk.iter().map(|g| g.to_f64() * g.to_f64()).sum())
}

/// Multiplies by a factor other than 1.
pub(super) fn scale<T: Scalar>(g: &mut [T], factor: f64) {
    let factor = T::from_f64(factor);
    if factor != T::one() {
        g.iter_mut().for_each(|g| *g *= factor);
    }
}

/// Clips each number to -bound..bound. NaN does not change.
pub(super) fn clip_value<T: Scalar>(g: &mut [T], bound: f64) {
    let bound = T::from_f64(bound);
    for g in g {
        if *g > bound {
            *g = bound;
        } else if *g < -bound {
            *g = -bound;
        }
    }
}
