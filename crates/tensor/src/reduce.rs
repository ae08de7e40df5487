//! Sums, means and the index of the largest element. The order of a sum does not depend on the number of threads.

use ndarray::parallel::prelude::*;
use ndarray::{Array1, ArrayView1, ArrayView2, Axis};

use crate::Scalar;

/// The number of elements of a chunk. One thread sums a chunk, and the partial sums of the chunks are added in order.
///
/// The bits of a sum depend on this number, but not on the number of threads.
const CHUNK: usize = 1 << 14;

/// Returns the sum of all elements in `f64`.
///
/// The elements are summed in order within chunks of a fixed size, in parallel, and then the sums of the chunks in order.
///
/// ```
/// let x = ndarray::Array1::from_elem(100_000, 0.5_f32);
/// assert_eq!(ziffer_tensor::reduce::sum(x.view()), 50_000.0);
/// ```
pub fn sum<T: Scalar>(x: ArrayView1<'_, T>) -> f64 {
    let sum_in_order = |chunk: ArrayView1<'_, T>| chunk.iter().fold(0.0, |sum, x| sum + x.to_f64());
    if x.len() <= CHUNK {
        return sum_in_order(x);
    }
    let sums: Vec<f64> = x.axis_chunks_iter(Axis(0), CHUNK).into_par_iter().map(sum_in_order).collect();
    sums.iter().sum()
}

/// Returns the mean of all elements, or NaN if there are none.
pub fn mean<T: Scalar>(x: ArrayView1<'_, T>) -> f64 {
    sum(x) / x.len() as f64
}

/// Returns the sum of each column of x \[B, O\] over the rows in order: \[O\].
pub fn sum_rows<T: Scalar>(x: ArrayView2<'_, T>) -> Array1<T> {
    let mut sums = Array1::zeros(x.ncols());
    sum_rows_into(x, sums.as_slice_mut().expect("a new array"));
    sums
}

/// Writes the result of [`sum_rows`] to `sums`, \[O\], without an allocation.
///
/// # Panics
/// If the length of `sums` is not the number of columns.
pub fn sum_rows_into<T: Scalar>(x: ArrayView2<'_, T>, sums: &mut [T]) {
    assert_eq!(sums.len(), x.ncols(), "sums and columns");
    sums.fill(T::zero());
    for row in x.rows() {
        match row.to_slice() {
            Some(row) => sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += value),
            None => sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += value),
        }
    }
}

/// Returns the index of the largest element, or the first such index if there are several.
///
/// A NaN after the first element is skipped. The result is 0 if the first element is NaN, and for an empty row.
///
/// ```
/// assert_eq!(ziffer_tensor::reduce::argmax(&[0.1_f32, 0.7, 0.7, 0.2]), 1);
/// ```
pub fn argmax<T: Scalar>(row: &[T]) -> usize {
    let Some((&first, others)) = row.split_first() else { return 0 };
    let (mut best, mut largest) = (0, first);
    for (index, &value) in (1..).zip(others) {
        // Conditional moves, not branches: a processor cannot predict which element is the largest.
        let is_larger = value > largest;
        best = if is_larger { index } else { best };
        largest = if is_larger { value } else { largest };
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array;

    #[test]
    fn sums_do_not_depend_on_threads() {
        let x = Array::from_shape_fn(CHUNK * 5 + 3, |i| ((i * 7919) % 1013) as f32 * 1e-3 - 0.4);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| sum(x.view()))
        };
        let one = with(1);
        assert!([2, 3, 8].into_iter().all(|threads| with(threads).to_bits() == one.to_bits()));
        let plain: f64 = x.iter().map(|&x| f64::from(x)).sum();
        assert!((one - plain).abs() < 1e-9);
        assert!((mean(x.view()) - plain / x.len() as f64).abs() < 1e-12);
    }

    #[test]
    fn sums_of_columns_and_of_nothing() {
        let x = ndarray::arr2(&[[1.0_f32, 2.0], [3.0, 5.0], [0.5, -1.0]]);
        assert_eq!(sum_rows(x.view()), ndarray::arr1(&[4.5, 6.0]));
        assert_eq!(sum(ndarray::arr1::<f32>(&[]).view()), 0.0);
        assert!(mean(ndarray::arr1::<f32>(&[]).view()).is_nan());
    }

    #[test]
    fn argmax_takes_the_first_of_equals_and_skips_nan() {
        assert_eq!(argmax(&[3.0_f32, 3.0, 1.0]), 0);
        assert_eq!(argmax(&[1.0_f32, f32::NAN, 2.0]), 2);
        assert_eq!(argmax::<f32>(&[]), 0);
    }
}
