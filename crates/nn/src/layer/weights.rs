//! The weights of a layer: their descriptions, and views of their elements.

use std::ops::Range;

use ndarray::{ArrayView1, ArrayView2};
use ziffer_tensor::Scalar;

use crate::Initializer;

/// The description of one weight of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightSpec {
    /// The name within the layer: `"kernel"`, `"bias"`.
    pub name: &'static str,
    /// The shape. The elements are in C order.
    pub shape: Vec<usize>,
    /// The initializer of the elements.
    pub initializer: Initializer,
    /// Whether the optimizer updates the weight. A moving average is not trainable: the layer itself assigns it.
    pub trainable: bool,
}

impl WeightSpec {
    /// A trainable weight.
    pub fn new(name: &'static str, shape: impl Into<Vec<usize>>, initializer: Initializer) -> Self {
        Self { name, shape: shape.into(), initializer, trainable: true }
    }

    /// The same weight, not trainable.
    pub fn non_trainable(self) -> Self {
        Self { trainable: false, ..self }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The weights of one layer, in the order of [`Layer::weights`](crate::Layer::weights).
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a, T> {
    all: &'a [T],
    ranges: &'a [Range<usize>],
}

impl<'a, T: Scalar> Weights<'a, T> {
    /// Weights at `ranges` of the block `all`.
    pub fn new(all: &'a [T], ranges: &'a [Range<usize>]) -> Self {
        Self { all, ranges }
    }

    /// The elements of weight `index`, in C order.
    ///
    /// # Panics
    /// If there is no such weight.
    pub fn slice(&self, index: usize) -> &'a [T] {
        &self.all[self.ranges[index].clone()]
    }

    /// Weight `index` as a vector.
    ///
    /// # Panics
    /// If there is no such weight.
    pub fn vector(&self, index: usize) -> ArrayView1<'a, T> {
        ArrayView1::from(self.slice(index))
    }

    /// Weight `index` as a matrix of `rows` rows.
    ///
    /// # Panics
    /// If there is no such weight, or its length is not a multiple of `rows`.
    pub fn matrix(&self, index: usize, rows: usize) -> ArrayView2<'a, T> {
        let slice = self.slice(index);
        let columns = slice.len() / rows.max(1);
        assert_eq!(rows * columns, slice.len(), "the elements of {rows} rows and of weight {index}");
        ArrayView2::from_shape((rows, columns), slice).expect("a weight of whole rows")
    }

    /// The weights from index `from` on, for a layer that contains another.
    ///
    /// # Panics
    /// If there are fewer weights.
    pub fn skip(&self, from: usize) -> Self {
        Self { all: self.all, ranges: &self.ranges[from..] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_has_all_elements() {
        let all = [0.0_f32, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        let weights = Weights::new(&all, &[0..2, 2..8]);
        assert_eq!(weights.matrix(1, 2), ndarray::arr2(&[[2.0, 3.0, 4.0], [5.0, 6.0, 7.0]]));
    }

    #[test]
    #[should_panic(expected = "the elements of 4 rows and of weight 0")]
    fn a_matrix_that_leaves_out_elements_is_rejected() {
        Weights::new(&[0.0_f32; 6], std::slice::from_ref(&(0..6))).matrix(0, 4);
    }
}
