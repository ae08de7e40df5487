//! Gradients as a value: of a batch's loss by all trainable weights.

use std::ops::Range;
use std::sync::Arc;

use ndarray::{ArrayView, ArrayViewD, ArrayViewMut, ArrayViewMutD, IxDyn};
use ziffer_tensor::{Buffer, Scalar};

use super::StepResult;
use super::memory::PIECE;
use crate::model::Layout;
use crate::optimizer::Clip;

/// The gradients of a batch's mean loss by all weights that are updated, from
/// [`Training::gradients`](super::Training::gradients).
#[derive(Clone, Debug)]
pub struct Gradients<T: Scalar> {
    /// What the batch's loss and hits were.
    pub result: StepResult,
    pub(super) layout: Arc<Layout>,
    /// For each weight of the layout, whether it has a gradient.
    pub(super) present: Vec<bool>,
    /// Laid out as the model's weights are.
    pub(super) block: Buffer<T>,
}

impl<T: Scalar> Gradients<T> {
    fn places(&self) -> impl Iterator<Item = (&str, &[usize], Range<usize>)> {
        let present = self.layout.iter().zip(&self.present).filter(|(_, present)| **present);
        present.map(|((name, shape, range), _)| (name.as_str(), shape.as_slice(), range.clone()))
    }

    /// The gradients with their weights' names, in layer order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, ArrayViewD<'_, T>)> {
        self.places().map(|(name, shape, range)| {
            let view = ArrayView::from_shape(IxDyn(shape), &self.block[range]);
            (name, view.expect("a range of the weight's length"))
        })
    }

    /// The gradient by the weight of that name.
    pub fn get(&self, name: &str) -> Option<ArrayViewD<'_, T>> {
        self.iter().find(|(other, _)| *other == name).map(|(_, gradient)| gradient)
    }

    /// The gradient by the weight of that name, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<ArrayViewMutD<'_, T>> {
        let (_, shape, range) = self.places().find(|(other, ..)| *other == name)?;
        let shape = IxDyn(shape);
        ArrayViewMut::from_shape(shape, &mut self.block[range]).ok()
    }

    /// The Euclidean norm of all gradients together. Its bits do not depend on threads.
    pub fn global_norm(&self) -> f64 {
        // Piece after piece, whatever weight they belong to, as a step adds them up.
        self.places().flat_map(|(.., range)| squares(&self.block[range])).fold(0.0, |sum, g| sum + g).sqrt()
    }

    /// Bounds the gradients, as [`Training::clip`](super::Training::clip) does before an update.
    pub fn clip(&mut self, clip: Clip) {
        let global = self.global_norm();
        let ranges: Vec<_> = self.places().map(|(.., range)| range).collect();
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

    /// Multiplies every gradient by `factor`; [`result`](Self::result) stays.
    pub fn scale(&mut self, factor: f64) {
        let ranges: Vec<_> = self.places().map(|(.., range)| range).collect();
        ranges.into_iter().for_each(|range| scale(&mut self.block[range], factor));
    }

    /// Adds other gradients by the same weights, of another batch or another loss, and their result. The sum of k batches'
    /// gradients times 1 / k is the gradient of the mean loss of all their samples, if the batches are of one size.
    ///
    /// # Panics
    /// If they are of another model, or of other weights of it.
    pub fn add(&mut self, other: &Self) {
        assert!(self.layout == other.layout && self.present == other.present, "gradients of another model");
        self.result.loss_sum += other.result.loss_sum;
        self.result.hits += other.result.hits;
        self.result.samples += other.result.samples;
        self.block.iter_mut().zip(other.block.iter()).for_each(|(sum, &g)| *sum += g);
    }
}

/// The sum of the squares of each piece.
fn squares<T: Scalar>(g: &[T]) -> impl Iterator<Item = f64> {
    g.chunks(PIECE).map(|piece| piece.iter().map(|g| g.to_f64() * g.to_f64()).sum())
}

/// Multiplies by a factor, unless it is 1.
pub(super) fn scale<T: Scalar>(g: &mut [T], factor: f64) {
    let factor = T::from_f64(factor);
    if factor != T::one() {
        g.iter_mut().for_each(|g| *g *= factor);
    }
}

/// Bounds each number's size; NaN stays.
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
