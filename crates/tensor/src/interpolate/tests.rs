//! Tests of resampling: the kernel against a pixel-by-pixel reference, and cases by hand.

use super::*;
use crate::isa::tests::with_each;
use crate::random::{Purpose, Stream};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// The reference: the definition, pixel by pixel, with sums in the order of the kernel's.
fn reference(warp: &SplineWarp, points: &[f32], image: &[u8]) -> Vec<u8> {
    let [rows, columns] = warp.shape;
    let (along_rows, along_columns) = points.split_at(points.len() / 2);
    let position = |points: &[f32], row: usize, column: usize| {
        let ((i, b), (j, c)) = (&warp.rows.weights[row], &warp.columns.weights[column]);
        let mut sum = 0.0;
        for (k, b) in b.iter().enumerate() {
            let mut at_column = 0.0;
            for (l, c) in c.iter().enumerate() {
                at_column += c * ((points[(i + k) * warp.columns.points + j + l] + 1.0) * 256.0);
            }
            sum += b * at_column;
        }
        (f64::from(sum)).round_ties_even()
    };
    let at = |row: i64, column: i64| {
        let is_inside = (0..rows as i64).contains(&row) && (0..columns as i64).contains(&column);
        if is_inside { i64::from(image[row as usize * columns + column as usize]) } else { 0 }
    };
    let pixel = |row: usize, column: usize| {
        let (y, x) = (position(along_rows, row, column), position(along_columns, row, column));
        let is_inside =
            |position: f64, size: usize| position >= 0.0 && position <= (size as f64 + 1.0) * 256.0;
        if !is_inside(y, rows) || !is_inside(x, columns) {
            return 0;
        }
        let (y, x) = (y as i64, x as i64);
        let (top, left, down, right) = (y / 256 - 1, x / 256 - 1, y % 256, x % 256);
        let upper = (256 - right) * at(top, left) + right * at(top, left + 1);
        let lower = (256 - right) * at(top + 1, left) + right * at(top + 1, left + 1);
        (((256 - down) * upper + down * lower + 0x8000) / 0x10000) as u8
    };
    (0..rows * columns).map(|i| pixel(i / columns, i % columns)).collect()
}

fn assert_equals_reference(warp: &SplineWarp, points: &[f32], image: &[u8]) {
    let expected = reference(warp, points, image);
    for (set, out) in with_each(|| {
        // Earlier contents of the working memory and of `out` must not change the result.
        let mut warp = warp.clone();
        let mut out = vec![99; image.len()];
        warp.resample(&vec![0.5; points.len()], &vec![255; image.len()], &mut out);
        warp.resample(points, image, &mut out);
        out
    }) {
        assert_eq!(out, expected, "{set:?}, {:?}", warp.shape);
    }
}

/// The control points of the identity, each moved by a random distance of at most `reach` along both axes.
fn around_identity(warp: &SplineWarp, spacing: f32, reach: f32, stream: &mut Stream) -> Vec<f32> {
    let [rows, columns] = warp.grid();
    let at = |i: usize| (i as f32 - 1.0) * spacing;
    let identity = (0..2).flat_map(|axis| {
        (0..rows * columns).map(move |i| at(if axis == 0 { i / columns } else { i % columns }))
    });
    identity.map(|at| at + reach * (2.0 * stream.uniform() as f32 - 1.0)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_kernel_equals_the_reference(
        rows in 1_usize..=40,
        columns in 1_usize..=50,
        spacing in prop_oneof![Just(1.0_f32), Just(7.0), 0.4_f32..60.0, Just(1000.0)],
        reach in prop_oneof![Just(0.0_f32), 0.0_f32..5.0, Just(100.0), Just(1e6), Just(1e30)],
        seed: u64,
    ) {
        let mut stream = Stream::new(seed, Purpose::Other(0), 0);
        let warp = SplineWarp::new([rows, columns], spacing);
        let points = around_identity(&warp, spacing, reach, &mut stream);
        // All bytes occur, 0 and 255 more often than the others.
        let image: Vec<u8> = (0..rows * columns)
            .map(|_| match stream.below(4) { 0 => 0, 1 => 255, _ => stream.bits() as u8 })
            .collect();
        assert_equals_reference(&warp, &points, &image);
    }
}

#[test]
fn images_larger_than_a_block() {
    let mut stream = Stream::new(3, Purpose::Other(0), 0);
    for shape in [[150, 20], [3, 1500], [70, 130]] {
        let warp = SplineWarp::new(shape, 5.0);
        let points = around_identity(&warp, 5.0, 2.0, &mut stream);
        let image: Vec<u8> = (0..shape[0] * shape[1]).map(|_| stream.bits() as u8).collect();
        assert_equals_reference(&warp, &points, &image);
    }
}

#[test]
fn the_identity_changes_nothing() {
    let mut stream = Stream::new(4, Purpose::Other(0), 0);
    for shape in [[1, 1], [28, 28], [5, 300], [300, 7], [600, 600]] {
        for spacing in [1.0, 7.0, 33.3, 600.0, 1000.0] {
            let mut warp = SplineWarp::new(shape, spacing);
            let points = around_identity(&warp, spacing, 0.0, &mut stream);
            let image: Vec<u8> = (0..shape[0] * shape[1]).map(|_| stream.bits() as u8).collect();
            let mut out = vec![0; image.len()];
            warp.resample(&points, &image, &mut out);
            assert!(out == image, "{shape:?}, {spacing}");
        }
    }
}

#[test]
fn half_a_pixel_by_hand() {
    let mut warp = SplineWarp::new([1, 3], 2.0);
    let mut stream = Stream::new(0, Purpose::Other(0), 0);
    let mut points = around_identity(&warp, 2.0, 0.0, &mut stream);
    points[warp.grid().iter().product()..].iter_mut().for_each(|column| *column -= 0.5);
    let mut out = [0; 3];
    warp.resample(&points, &[10, 255, 2], &mut out);
    // 5, 132.5 rounded up, 128.5 rounded up.
    assert_eq!(out, [5, 133, 129]);
}

#[test]
fn control_points_may_be_infinite_or_nan() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN] {
        let mut warp = SplineWarp::new([9, 30], 4.0);
        let points = vec![bad; 2 * warp.grid().iter().product::<usize>()];
        for (set, out) in with_each(|| {
            let mut warp = warp.clone();
            let mut out = vec![7; 270];
            warp.resample(&points, &[255; 270], &mut out);
            out
        }) {
            assert_eq!(out, [0; 270], "{set:?}, {bad}");
        }
        warp.resample(&vec![0.0; points.len()], &[3; 270], &mut vec![0; 270]);
    }
}

#[test]
fn the_largest_sides() {
    let mut stream = Stream::new(0, Purpose::Other(0), 0);
    for shape in [[1, MAX_SIDE], [MAX_SIDE, 1]] {
        let warp = SplineWarp::new(shape, 4096.0);
        let points = around_identity(&warp, 4096.0, 0.2, &mut stream);
        let image: Vec<u8> = (0..MAX_SIDE).map(|_| stream.bits() as u8).collect();
        assert_equals_reference(&warp, &points, &image);
    }
    // Without pixels there is nothing to do, and no division by zero.
    for shape in [[0, 0], [0, 5], [5, 0]] {
        let mut warp = SplineWarp::new(shape, 3.0);
        let points = vec![0.0; 2 * warp.grid().iter().product::<usize>()];
        warp.resample(&points, &[], &mut []);
    }
}

#[test]
#[should_panic(expected = "at most 32766 rows and columns")]
fn larger_sides_panic() {
    SplineWarp::new([1, MAX_SIDE + 1], 7.0);
}

#[test]
fn weights_sum_to_one() {
    for (pixels, spacing) in [(28, 7.0), (1, 7.0), (100, 0.5), (5, 30.0)] {
        let axis = Axis::new(pixels, spacing);
        for (first, b) in &axis.weights {
            assert!((b.iter().sum::<f32>() - 1.0).abs() < 1e-6 && b.iter().all(|b| *b >= 0.0));
            assert!(first + 4 <= axis.points);
        }
    }
    // Rueckert's basis functions at a control point and halfway between two.
    let axis = Axis::new(2, 2.0);
    assert_eq!(axis.weights[0].1, [1.0 / 6.0, 4.0 / 6.0, 1.0 / 6.0, 0.0]);
    assert_eq!(axis.weights[1].1.map(|b| 48.0 * b), [1.0, 23.0, 23.0, 1.0]);
}

/// Compares source positions with their definition, a double sum over the grid, in f64.
#[test]
fn source_positions_equal_the_double_sum() {
    let warp = SplineWarp::new([9, 14], 4.0);
    let points = around_identity(&warp, 4.0, 2.0, &mut Stream::new(1, Purpose::Other(0), 2));
    let half = points.len() / 2;
    for (row, (i, b)) in warp.rows.weights.iter().enumerate() {
        for (column, (j, c)) in warp.columns.weights.iter().enumerate() {
            let mut sums = [0.0; 2];
            for (k, b) in b.iter().enumerate() {
                for (l, c) in c.iter().enumerate() {
                    let at = (i + k) * warp.columns.points + j + l;
                    sums[0] += f64::from(*b) * f64::from(*c) * f64::from(points[at]);
                    sums[1] += f64::from(*b) * f64::from(*c) * f64::from(points[half + at]);
                }
            }
            let position = warp.place(&points, [row, column]);
            assert!((sums[0] - f64::from(position[0])).abs() < 1e-5);
            assert!((sums[1] - f64::from(position[1])).abs() < 1e-5);
        }
    }
}
