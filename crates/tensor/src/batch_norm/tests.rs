//! Tests of batch normalization: against scalar formulas, central differences, and cases by hand.

use std::array;

use super::*;
use crate::isa::tests::with_each;
use crate::random::{Purpose, Stream};
use ndarray::Array2;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// The results of all functions for one batch: mean, variance, y, d_scale, d_shift, d_x, and d_x of constant moments.
type Results<T> = (Vec<T>, Vec<T>, Array2<T>, Vec<T>, Vec<T>, Array2<T>, Array2<T>);

/// Random x and d, which are columns of larger matrices, and random numbers for each column.
struct Batch<T> {
    x: Array2<T>,
    d: Array2<T>,
    /// The first column of the batch in the larger matrices.
    first: usize,
    /// The number of columns of the batch.
    columns: usize,
    /// The values of mean, inverse deviation, gamma and beta.
    constants: [Vec<T>; 4],
}

impl<T: Scalar> Batch<T> {
    fn random(seed: u64, rows: usize, columns: usize) -> Self {
        let mut stream = Stream::new(seed, Purpose::Other(0), 0);
        let first = stream.below(20) as usize;
        let width = first + columns + stream.below(20) as usize;
        let mut matrix =
            || Array2::from_shape_simple_fn((rows, width), || T::from_f64(7.0 * stream.uniform() - 0.5));
        let (x, d) = (matrix(), matrix());
        let constants =
            array::from_fn(|_| (0..columns).map(|_| T::from_f64(4.0 * stream.uniform() - 2.0)).collect());
        Self { x, d, first, columns, constants }
    }

    /// The columns of the batch in the larger matrices.
    fn part(&self) -> ndarray::SliceInfo<[ndarray::SliceInfoElem; 2], ndarray::Ix2, ndarray::Ix2> {
        ndarray::s![.., self.first..self.first + self.columns]
    }

    /// Calls every function on the batch. Results that are matrices are columns of larger ones, whose other elements must not
    /// change.
    fn results(&self) -> Results<T> {
        let (x, d) = (self.x.slice(self.part()), self.d.slice(self.part()));
        let [mean, inverse, gamma, beta] = &self.constants;
        let numbers = || vec![T::from_f64(7.0); self.columns];
        let (mut own_mean, mut variance, mut d_scale, mut d_shift) =
            (numbers(), numbers(), numbers(), numbers());
        if x.nrows() > 0 {
            moments(x, &mut own_mean, &mut variance);
        }
        gradient_sums(x, d, mean, inverse, &mut d_scale, &mut d_shift);
        let matrix = |work: &dyn Fn(ArrayViewMut2<'_, T>)| {
            let mut whole = self.x.map(|_| T::from_f64(7.0));
            work(whole.slice_mut(self.part()));
            let part = whole.slice(self.part()).to_owned();
            whole.slice_mut(self.part()).fill(T::from_f64(7.0));
            assert!(whole.iter().all(|&x| x == T::from_f64(7.0)), "no write outside of the result");
            part
        };
        let y = matrix(&|y| normalize(x, mean, gamma, beta, y));
        let d_x = matrix(&|d_x| input_gradient(x, d, mean, inverse, gamma, &d_scale, &d_shift, d_x));
        let scaled = matrix(&|d_x| scale_columns(d, gamma, d_x));
        (own_mean, variance, y, d_scale, d_shift, d_x, scaled)
    }

    /// The reference: the formulas, column by column.
    fn reference(&self) -> Results<T> {
        let (x, d) = (self.x.slice(self.part()), self.d.slice(self.part()));
        let [mean, inverse, gamma, beta] = &self.constants;
        let (shape, n) = (x.dim(), T::from_f64(x.nrows() as f64));
        let by_column = |sum: &dyn Fn(usize) -> T| (0..shape.1).map(sum).collect::<Vec<T>>();
        let sum = |term: &dyn Fn(T, usize) -> T| (0..shape.0).fold(T::zero(), term);
        let own_mean = by_column(&|c| sum(&|sum, r| sum + x[[r, c]]) / n);
        let variance = by_column(&|c| {
            let deviation = |r: usize| x[[r, c]] - own_mean[c];
            sum(&|sum, r| deviation(r).mul_add(deviation(r), sum)) / n
        });
        let d_scale = by_column(&|c| sum(&|sum, r| d[[r, c]].mul_add(x[[r, c]] - mean[c], sum)) * inverse[c]);
        let d_shift = by_column(&|c| sum(&|sum, r| sum + d[[r, c]]));
        let y = Array2::from_shape_fn(shape, |(r, c)| (x[[r, c]] - mean[c]).mul_add(gamma[c], beta[c]));
        let d_x = Array2::from_shape_fn(shape, |(r, c)| {
            let slope = inverse[c] * d_scale[c] / n;
            let rest = (-(x[[r, c]] - mean[c])).mul_add(slope, d[[r, c]] - d_shift[c] / n);
            gamma[c] * inverse[c] * rest
        });
        let scaled = Array2::from_shape_fn(shape, |(r, c)| d[[r, c]] * gamma[c]);
        (own_mean, variance, y, d_scale, d_shift, d_x, scaled)
    }
}

/// The bytes of all numbers of the results.
fn bits<T: Scalar>(results: &Results<T>) -> Vec<u8> {
    let (mean, variance, y, d_scale, d_shift, d_x, scaled) = results;
    let mut bits = Vec::new();
    let vectors = [mean, variance, d_scale, d_shift].into_iter().flatten();
    for &x in vectors.chain([y, d_x, scaled].into_iter().flatten()) {
        x.write_le(&mut bits);
    }
    bits
}

fn check<T: Scalar>(seed: u64, rows: usize, columns: usize) {
    let batch = Batch::<T>::random(seed, rows, columns);
    let mut expected = batch.reference();
    if rows == 0 {
        // `moments` is not called without rows.
        let none = vec![T::from_f64(7.0); columns];
        (expected.0, expected.1) = (none.clone(), none);
    }
    let expected = bits(&expected);
    for (set, results) in with_each(|| batch.results()) {
        assert!(bits(&results) == expected, "{rows} x {columns}, seed {seed}, {set:?}");
    }
}

#[test]
fn awkward_sizes() {
    // Fewer sizes under Miri, which takes a thousand times as long.
    let (all_rows, all_columns): (&[usize], &[usize]) = if cfg!(miri) {
        (&[2], &[1, 65])
    } else {
        (&[0, 1, 2, 33], &[0, 1, 15, 16, 17, 63, 64, 65, 80, 129])
    };
    for &rows in all_rows {
        for &columns in all_columns {
            check::<f32>(1, rows, columns);
            check::<f64>(2, rows, columns);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    #[cfg_attr(miri, ignore = "takes minutes under Miri, which runs awkward_sizes instead")]
    fn any_sizes(seed: u64, rows in 0_usize..50, columns in 0_usize..150) {
        check::<f32>(seed, rows, columns);
        check::<f64>(seed, rows, columns);
    }
}

/// The mean is 4 and the variance (9 + 1 + 1 + 9) / 4 = 5, as by `numpy.mean` and `numpy.var`.
#[test]
fn four_rows_by_hand() {
    let x = ndarray::arr2(&[[1.0_f32], [3.0], [5.0], [7.0]]);
    let (mut mean, mut variance) = ([0.0], [0.0]);
    moments(x.view(), &mut mean, &mut variance);
    assert_eq!((mean, variance), ([4.0], [5.0]));
    let mut y = Array2::zeros((4, 1));
    normalize(x.view(), &mean, &[2.0], &[1.0], y.view_mut());
    assert_eq!(y, ndarray::arr2(&[[-5.0], [-1.0], [3.0], [7.0]]));
    let d = ndarray::arr2(&[[1.0], [0.0], [0.0], [2.0]]);
    let (mut d_scale, mut d_shift) = ([0.0], [0.0]);
    gradient_sums(x.view(), d.view(), &mean, &[0.5], &mut d_scale, &mut d_shift);
    // (-3 * 1 + 3 * 2) / 2
    assert_eq!((d_scale, d_shift), ([1.5], [3.0]));
    input_gradient(x.view(), d.view(), &mean, &[0.5], &[4.0], &d_scale, &d_shift, y.view_mut());
    // 2 (d - 0.75 - (x - 4) 0.1875)
    assert_eq!(y, ndarray::arr2(&[[1.625], [-1.125], [-1.875], [1.375]]));
}

/// All sums are exact. A formula with the mean of the squares would lose the variance: near 10000^2, numbers are 8 apart.
#[test]
fn variance_is_exact_with_a_large_mean() {
    let x = Array2::from_shape_fn((64, 20), |(r, _)| 1e4_f32 + (r % 2) as f32);
    let (mut mean, mut variance) = ([0.0; 20], [0.0; 20]);
    moments(x.view(), &mut mean, &mut variance);
    assert_eq!((mean, variance), ([1e4 + 0.5; 20], [0.25; 20]));
}

/// The loss sum(c y) of a batch, where y is normalized by the moments of x.
fn loss(x: &Array2<f64>, c: &Array2<f64>, gamma: &[f64], beta: &[f64]) -> f64 {
    let columns = x.ncols();
    let (mean, inverse) = own_moments(x);
    let scale: Vec<f64> = (0..columns).map(|i| gamma[i] * inverse[i]).collect();
    let mut y = Array2::zeros(x.dim());
    normalize(x.view(), &mean, &scale, beta, y.view_mut());
    (&y * c).sum()
}

/// The mean and the inverse standard deviation of each column, with an epsilon of 0.001.
fn own_moments(x: &Array2<f64>) -> (Vec<f64>, Vec<f64>) {
    let (mut mean, mut variance) = (vec![0.0; x.ncols()], vec![0.0; x.ncols()]);
    moments(x.view(), &mut mean, &mut variance);
    (mean, variance.iter().map(|variance| 1.0 / (variance + 1e-3).sqrt()).collect())
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes under Miri, which runs awkward_sizes instead")]
fn gradients_equal_central_differences() {
    let (rows, columns, h) = (7, 19, 1e-5);
    let Batch { x, d, constants: [gamma, beta, ..], .. } = Batch::<f64>::random(3, rows, columns);
    let (x, c) =
        (x.slice(ndarray::s![.., ..columns]).to_owned(), d.slice(ndarray::s![.., ..columns]).to_owned());
    let (mean, inverse) = own_moments(&x);
    let (mut d_scale, mut d_shift) = (vec![0.0; columns], vec![0.0; columns]);
    gradient_sums(x.view(), c.view(), &mean, &inverse, &mut d_scale, &mut d_shift);
    let mut d_x = Array2::zeros(x.dim());
    input_gradient(x.view(), c.view(), &mean, &inverse, &gamma, &d_scale, &d_shift, d_x.view_mut());
    let difference = |f: &dyn Fn(f64) -> f64| (f(h) - f(-h)) / (2.0 * h);
    for column in 0..columns {
        for row in 0..rows {
            let exact = difference(&|h| {
                let mut x = x.clone();
                x[[row, column]] += h;
                loss(&x, &c, &gamma, &beta)
            });
            assert!((d_x[[row, column]] - exact).abs() < 1e-7 * (1.0 + exact.abs()), "x {row} {column}");
        }
        let moved = |values: &[f64], h: f64| {
            let mut values = values.to_vec();
            values[column] += h;
            values
        };
        let exact = difference(&|h| loss(&x, &c, &moved(&gamma, h), &beta));
        assert!((d_scale[column] - exact).abs() < 1e-7 * (1.0 + exact.abs()), "gamma {column}");
        let exact = difference(&|h| loss(&x, &c, &gamma, &moved(&beta, h)));
        assert!((d_shift[column] - exact).abs() < 1e-7 * (1.0 + exact.abs()), "beta {column}");
    }
    // If the moments are constants, the derivative is the scale.
    let scale: Vec<f64> = (0..columns).map(|i| gamma[i] * inverse[i]).collect();
    scale_columns(c.view(), &scale, d_x.view_mut());
    let y = |x: f64, column: usize| {
        let (x, mut y) = (ndarray::arr2(&[[x]]), Array2::zeros((1, 1)));
        let of = |values: &[f64]| [values[column]];
        normalize(x.view(), &of(&mean), &of(&scale), &of(&beta), y.view_mut());
        y[[0, 0]]
    };
    for ((row, column), &d) in d_x.indexed_iter() {
        let exact = difference(&|h| c[[row, column]] * y(x[[row, column]] + h, column));
        assert!((d - exact).abs() < 1e-7 * (1.0 + exact.abs()), "x {row} {column} of constant moments");
    }
}

#[test]
fn nan_affects_only_its_column() {
    let mut x = Array2::<f32>::ones((5, 20));
    x[[2, 17]] = f32::NAN;
    let (mut mean, mut variance) = ([0.0; 20], [0.0; 20]);
    moments(x.view(), &mut mean, &mut variance);
    for column in 0..20 {
        let is_nan = [mean[column].is_nan(), variance[column].is_nan()];
        assert_eq!(is_nan, [column == 17; 2], "column {column}");
    }
}

#[test]
#[should_panic(expected = "moments of no rows")]
fn moments_of_no_rows_panic() {
    moments(Array2::<f32>::zeros((0, 3)).view(), &mut [0.0; 3], &mut [0.0; 3]);
}

#[test]
#[should_panic(expected = "rows that are not in order")]
fn rows_that_are_not_contiguous_panic() {
    moments(Array2::<f32>::zeros((3, 4)).t(), &mut [0.0; 3], &mut [0.0; 3]);
}

#[test]
#[should_panic(expected = "a number for each column")]
fn too_few_numbers_per_column_panic() {
    let d = Array2::<f32>::zeros((3, 4));
    scale_columns(d.view(), &[0.0; 3], Array2::zeros((3, 4)).view_mut());
}
