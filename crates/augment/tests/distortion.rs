//! What a change does to a picture, measured by its moments.
#![allow(clippy::unwrap_used, reason = "a failure is the test's")]

use ziffer_augment::{AugmentError, Distorter, Distortion};
use ziffer_tensor::random::{Purpose, Stream};

const NONE: Distortion = Distortion {
    rotation_degrees: 0.0,
    scale: 0.0,
    shear: 0.0,
    shift_pixels: 0.0,
    elastic_pixels: 0.0,
    elastic_spacing_pixels: 7.0,
};
const SHAPE: [usize; 2] = [60, 80];

/// A smooth spot of a few pixels, so many rows and columns from the centre.
fn spot(row: f64, column: f64) -> Vec<u8> {
    let [rows, columns] = SHAPE.map(|size| (size as f64 - 1.0) / 2.0);
    (0..SHAPE[0] * SHAPE[1])
        .map(|i| {
            let (y, x) = ((i / SHAPE[1]) as f64 - rows - row, (i % SHAPE[1]) as f64 - columns - column);
            (250.0 * (-(y * y + x * x) / 18.0).exp()).round() as u8
        })
        .collect()
}

/// Mass, centre of mass from the picture's centre, and variance along rows and columns.
fn moments(picture: &[u8]) -> (f64, [f64; 2], [f64; 2]) {
    let [rows, columns] = SHAPE.map(|size| (size as f64 - 1.0) / 2.0);
    let places = || {
        let place = |i: usize| [(i / SHAPE[1]) as f64 - rows, (i % SHAPE[1]) as f64 - columns];
        picture.iter().enumerate().map(move |(i, p)| (f64::from(*p), place(i)))
    };
    let mass: f64 = places().map(|(p, _)| p).sum();
    let mean = |axis: usize| places().map(|(p, place)| p * place[axis]).sum::<f64>() / mass;
    let centre = [mean(0), mean(1)];
    let variance =
        |axis: usize| places().map(|(p, place)| p * (place[axis] - centre[axis]).powi(2)).sum::<f64>() / mass;
    (mass, centre, [variance(0), variance(1)])
}

/// The moments of 300 changed copies.
fn changed(distortion: Distortion, picture: &[u8]) -> Vec<(f64, [f64; 2], [f64; 2])> {
    let mut distorter = Distorter::new(distortion, SHAPE).unwrap();
    let mut out = vec![7; picture.len()];
    (0..300)
        .map(|number| {
            distorter.distort(&mut Stream::new(1, Purpose::Augment, number), picture, &mut out);
            moments(&out)
        })
        .collect()
}

/// Checks that numbers lie within `bound` of `around`, and reach most of the way to either side.
fn assert_uniform(values: impl Iterator<Item = f64> + Clone, around: f64, bound: f64, tolerance: f64) {
    let (least, most) = values.fold((f64::MAX, f64::MIN), |(a, b), value| (a.min(value), b.max(value)));
    assert!(least >= around - bound - tolerance && most <= around + bound + tolerance, "{least} to {most}");
    assert!(least < around - 0.9 * bound && most > around + 0.9 * bound, "{least} to {most}");
}

#[test]
fn nothing_changes_nothing() {
    let picture = spot(3.0, -5.0);
    let mut out = vec![7; picture.len()];
    Distorter::new(NONE, SHAPE).unwrap().distort(
        &mut Stream::new(1, Purpose::Augment, 0),
        &picture,
        &mut out,
    );
    assert_eq!(out, picture);
}

#[test]
fn shifts() {
    let all = changed(Distortion { shift_pixels: 4.0, ..NONE }, &spot(2.0, -6.0));
    assert_uniform(all.iter().map(|(_, centre, _)| centre[0]), 2.0, 4.0, 0.05);
    assert_uniform(all.iter().map(|(_, centre, _)| centre[1]), -6.0, 4.0, 0.05);
}

#[test]
fn turns_about_the_centre() {
    let all = changed(Distortion { rotation_degrees: 30.0, ..NONE }, &spot(0.0, 20.0));
    assert!(all.iter().all(|(_, [y, x], _)| (y.hypot(*x) - 20.0).abs() < 0.1));
    // A little less than asked for, by the series of the tangent.
    assert_uniform(all.iter().map(|(_, [y, x], _)| y.atan2(*x).to_degrees()), 0.0, 30.0, 0.1);
}

#[test]
fn scales_each_axis_by_its_own() {
    let all = changed(Distortion { scale: 0.3, ..NONE }, &spot(0.0, 0.0));
    let factor = |axis: usize| all.iter().map(move |(_, _, variance)| (variance[axis] / 9.0).sqrt());
    assert_uniform(factor(0), 1.0, 0.3, 0.03);
    assert_uniform(factor(1), 1.0, 0.3, 0.03);
    assert!(factor(0).zip(factor(1)).any(|(a, b)| (a - b).abs() > 0.3));
}

#[test]
fn shears_columns_by_rows() {
    let all = changed(Distortion { shear: 0.4, ..NONE }, &spot(15.0, 0.0));
    assert!(all.iter().all(|(_, centre, _)| (centre[0] - 15.0).abs() < 0.05));
    assert_uniform(all.iter().map(|(_, centre, _)| centre[1]), 0.0, 6.0, 0.1);
}

#[test]
fn elastic_changes_move_a_spot_by_their_root_mean_square() {
    let all =
        changed(Distortion { elastic_pixels: 2.0, elastic_spacing_pixels: 40.0, ..NONE }, &spot(0.0, 0.0));
    let mean =
        |axis: usize| (all.iter().map(|(_, centre, _)| centre[axis].powi(2)).sum::<f64>() / 300.0).sqrt();
    // Nearly constant over the spot; 300 draws have an error of some 4 %.
    assert!((mean(0) - 2.0).abs() < 0.3 && (mean(1) - 2.0).abs() < 0.3, "{} {}", mean(0), mean(1));
}

#[test]
fn what_leaves_the_picture_is_gone() {
    let mut distorter = Distorter::new(Distortion { shift_pixels: 1000.0, ..NONE }, [3, 2]).unwrap();
    let mut out = [9; 6];
    distorter.distort(&mut Stream::new(1, Purpose::Augment, 0), &[255; 6], &mut out);
    assert_eq!(out, [0; 6]);
}

#[test]
fn settings_out_of_range() {
    for (distortion, part) in [
        (
            Distortion { rotation_degrees: 91.0, ..NONE },
            "rotation_degrees is 91, expected a number from 0 to 90",
        ),
        (Distortion { scale: f32::NAN, ..NONE }, "scale is NaN"),
        (Distortion { shear: -0.1, ..NONE }, "shear is -0.1"),
        (Distortion { shift_pixels: f32::INFINITY, ..NONE }, "shift_pixels is inf"),
        (Distortion { elastic_pixels: 1001.0, ..NONE }, "elastic_pixels is 1001"),
        (Distortion { elastic_spacing_pixels: 0.0, ..NONE }, "elastic_spacing_pixels is 0"),
        (Distortion::default().times(10.0), "rotation_degrees is 120"),
    ] {
        let error = Distorter::new(distortion, SHAPE).unwrap_err();
        assert!(matches!(&error, AugmentError::Setting { .. }));
        assert!(error.to_string().contains(part), "{error}");
    }
}
