//! The exponentials of softmax and cross-entropy. M is the largest logit of a row, and S the sum of e^(z - M).

use crate::float::Float;
use crate::isa::{Isa, Kernel};

/// Replaces each row of `columns` logits by its softmax.
pub(crate) struct Softmax<'a, T> {
    pub(crate) z: &'a mut [T],
    pub(crate) columns: usize,
}

impl<T: Float> Kernel for Softmax<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for row in self.z.chunks_exact_mut(self.columns) {
            let sum = exponentials(row, |x| x.exp_with(I::fma)).sum;
            row.iter_mut().for_each(|e| *e /= sum);
        }
    }
}

/// M and S of a row.
pub(crate) struct Exponentials<T> {
    /// M.
    pub(crate) largest: T,
    /// S.
    pub(crate) sum: T,
}

/// Replaces a row of logits by `exp(z - M)` and returns M and the sum.
#[inline(always)]
fn exponentials<T: Float>(row: &mut [T], exp: impl Fn(T) -> T) -> Exponentials<T> {
    let mut largest = row[0];
    for &z in row.iter() {
        largest = if z > largest { z } else { largest };
    }
    row.iter_mut().for_each(|z| *z = exp(*z - largest));
    let mut sum = T::zero();
    for &e in row.iter() {
        sum += e;
    }
    Exponentials { largest, sum }
}

/// Replaces a row of logits by e^(z - M).
pub(crate) struct Row<'a, T> {
    pub(crate) z: &'a mut [T],
}

impl<T: Float> Kernel for Row<'_, T> {
    type Output = Exponentials<T>;
    #[inline(always)]
    fn run<I: Isa>(self) -> Exponentials<T> {
        exponentials(self.z, |x| x.exp_with(I::fma))
    }
}

/// Replaces a row of logits by `scale` times its softmax. Probabilities of classes that count as impossible become 0, see
/// [`cross_entropy`](crate::softmax::cross_entropy).
pub(crate) struct CrossEntropy<'a, T> {
    pub(crate) z: &'a mut [T],
    pub(crate) scale: T,
}

impl<T: Float> Kernel for CrossEntropy<'_, T> {
    type Output = Exponentials<T>;
    #[inline(always)]
    fn run<I: Isa>(self) -> Exponentials<T> {
        // The comparison is with the exponent, because the power may be below the normal range.
        let result = exponentials(self.z, |x| {
            let impossible = x < T::LN_EPSILON_SQUARED;
            let e = (if impossible { T::zero() } else { x }).exp_with(I::fma);
            if impossible { T::zero() } else { e }
        });
        let factor = self.scale / result.sum;
        self.z.iter_mut().for_each(|e| *e *= factor);
        result
    }
}
