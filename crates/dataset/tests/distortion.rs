//! The effect of distortions, measured by the moments of images.
#![allow(clippy::unwrap_used, reason = "a failure is the test's")]

use ziffer_dataset::augment::{AugmentError, Distorter, Distortion};
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

/// A smooth spot of a few pixels, at this distance from the center in rows and columns.
fn spot(row: f64, column: f64) -> Vec<u8> {
    let [rows, columns] = SHAPE.map(|size| (size as f64 - 1.0) / 2.0);
    (0..SHAPE[0] * SHAPE[1])
        .map(|i| {
            let (y, x) = ((i / SHAPE[1]) as f64 - rows - row, (i % SHAPE[1]) as f64 - columns - column);
            (250.0 * (-(y * y + x * x) / 18.0).exp()).round() as u8
        })
        .collect()
}

/// Mass, center of mass relative to the image's center, and variance along rows and columns.
fn moments(picture: &[u8]) -> (f64, [f64; 2], [f64; 2]) {
    let [rows, columns] = SHAPE.map(|size| (size as f64 - 1.0) / 2.0);
    let places = || {
        let place = |i: usize| [(i / SHAPE[1]) as f64 - rows, (i % SHAPE[1]) as f64 - columns];
        picture.iter().enumerate().map(move |(i, p)| (f64::from(*p), place(i)))
    };
    let mass: f64 = places().map(|(p, _)| p).sum();
    let mean = |axis: usize| places().map(|(p, place)| p * place[axis]).sum::<f64>() / mass;
    let center = [mean(0), mean(1)];
    let variance =
        |axis: usize| places().map(|(p, place)| p * (place[axis] - center[axis]).powi(2)).sum::<f64>() / mass;
    (mass, center, [variance(0), variance(1)])
}

/// The moments of 300 distorted copies.
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

/// Checks that values lie within `bound` of `around`, and come near both bounds.
fn assert_uniform(values: impl Iterator<Item = f64> + Clone, around: f64, bound: f64, tolerance: f64) {
    let (least, most) = values.fold((f64::MAX, f64::MIN), |(a, b), value| (a.min(value), b.max(value)));
    assert!(least >= around - bound - tolerance && most <= around + bound + tolerance, "{least} to {most}");
    assert!(least < around - 0.9 * bound && most > around + 0.9 * bound, "{least} to {most}");
}

#[test]
fn zero_settings_keep_the_image() {
    let picture = spot(3.0, -5.0);
    // A shift too small to matter passes through all stages.
    for setting in
        [NONE, Distortion { shift_pixels: 1e-6, ..NONE }, Distortion { elastic_pixels: 1e-6, ..NONE }]
    {
        let mut out = vec![7; picture.len()];
        let mut stream = Stream::new(1, Purpose::Augment, 0);
        Distorter::new(setting, SHAPE).unwrap().distort(&mut stream, &picture, &mut out);
        assert_eq!(out, picture, "{setting:?}");
    }
}

#[test]
fn shifts() {
    let all = changed(Distortion { shift_pixels: 4.0, ..NONE }, &spot(2.0, -6.0));
    assert_uniform(all.iter().map(|(_, center, _)| center[0]), 2.0, 4.0, 0.05);
    assert_uniform(all.iter().map(|(_, center, _)| center[1]), -6.0, 4.0, 0.05);
}

#[test]
fn rotates_about_the_center() {
    let all = changed(Distortion { rotation_degrees: 30.0, ..NONE }, &spot(0.0, 20.0));
    assert!(all.iter().all(|(_, [y, x], _)| (y.hypot(*x) - 20.0).abs() < 0.1));
    // A little less than the setting, by the series of the tangent.
    assert_uniform(all.iter().map(|(_, [y, x], _)| y.atan2(*x).to_degrees()), 0.0, 30.0, 0.1);
}

#[test]
fn scales_each_axis_independently() {
    let all = changed(Distortion { scale: 0.3, ..NONE }, &spot(0.0, 0.0));
    let factor = |axis: usize| all.iter().map(move |(_, _, variance)| (variance[axis] / 9.0).sqrt());
    assert_uniform(factor(0), 1.0, 0.3, 0.03);
    assert_uniform(factor(1), 1.0, 0.3, 0.03);
    assert!(factor(0).zip(factor(1)).any(|(a, b)| (a - b).abs() > 0.3));
}

#[test]
fn shears_columns_by_rows() {
    let all = changed(Distortion { shear: 0.4, ..NONE }, &spot(15.0, 0.0));
    assert!(all.iter().all(|(_, center, _)| (center[0] - 15.0).abs() < 0.05));
    assert_uniform(all.iter().map(|(_, center, _)| center[1]), 0.0, 6.0, 0.1);
}

#[test]
fn elastic_displacements_have_their_root_mean_square() {
    let all =
        changed(Distortion { elastic_pixels: 2.0, elastic_spacing_pixels: 40.0, ..NONE }, &spot(0.0, 0.0));
    let mean =
        |axis: usize| (all.iter().map(|(_, center, _)| center[axis].powi(2)).sum::<f64>() / 300.0).sqrt();
    // Nearly constant over the spot. 300 draws have an error of some 4%.
    assert!((mean(0) - 2.0).abs() < 0.3 && (mean(1) - 2.0).abs() < 0.3, "{} {}", mean(0), mean(1));
}

#[test]
fn pixels_outside_the_image_are_lost() {
    let mut distorter = Distorter::new(Distortion { shift_pixels: 1000.0, ..NONE }, [3, 2]).unwrap();
    let mut out = [9; 6];
    distorter.distort(&mut Stream::new(1, Purpose::Augment, 0), &[255; 6], &mut out);
    assert_eq!(out, [0; 6]);
}

/// The definition, in f64, pixel by pixel, from the draws that [`Distorter::distort`] documents.
fn defined(
    distortion: Distortion,
    [rows, columns]: [usize; 2],
    stream: &mut Stream,
    picture: &[u8],
) -> Vec<f64> {
    let bits: Vec<u64> = (0..10_000).map(|_| stream.bits()).collect();
    let drawn = |i: usize| f64::from((bits[i / 2] >> (32 * (i % 2))) as i32) / 2_f64.powi(31);
    let displaced = |i: usize| (f64::from((bits[3 + i / 4] >> (16 * (i % 4))) as i16) + 0.5) / 2_f64.powi(15);

    let half = f64::from(distortion.rotation_degrees).to_radians() / 2.0;
    let angle = 2.0 * ((half + half.powi(3) / 3.0) * drawn(0)).atan();
    let scale = [drawn(1), drawn(2)].map(|u| 1.0 + f64::from(distortion.scale) * u);
    let shear = f64::from(distortion.shear) * drawn(3);
    let shift = [drawn(4), drawn(5)].map(|u| f64::from(distortion.shift_pixels) * u);
    let (sin, cos) = angle.sin_cos();

    // The four weights around each pixel, and the index of the first control point.
    let spacing = f64::from(distortion.elastic_spacing_pixels);
    let weights = |pixel: usize| {
        let place = pixel as f64 / spacing;
        let (first, t) = (place.floor() as usize, place.fract());
        let b = [
            (1.0 - t).powi(3),
            3.0 * t.powi(3) - 6.0 * t * t + 4.0,
            -3.0 * t.powi(3) + 3.0 * t * t + 3.0 * t + 1.0,
            t.powi(3),
        ];
        (first, b.map(|b| b / 6.0))
    };
    let points = |pixels: usize| weights(pixels - 1).0 + 4;
    let factor = |pixels: usize| {
        let squares = (0..pixels).map(|pixel| weights(pixel).1.iter().map(|b| b * b).sum::<f64>());
        squares.sum::<f64>() / pixels as f64
    };
    let reach = f64::from(distortion.elastic_pixels) * (3.0 / (factor(rows) * factor(columns))).sqrt();

    let at = |row: f64, column: f64| {
        let is_inside = row >= 0.0 && column >= 0.0 && row < rows as f64 && column < columns as f64;
        if is_inside { f64::from(picture[row as usize * columns + column as usize]) } else { 0.0 }
    };
    let center = [(rows as f64 - 1.0) / 2.0, (columns as f64 - 1.0) / 2.0];
    let pixel = |row: usize, column: usize| {
        let y = (row as f64 - center[0] - shift[0]) / scale[0];
        let x = (column as f64 - center[1] - shift[1]) / scale[1];
        let mut place =
            [center[0] + cos * y - sin * x, center[1] + (sin + shear * cos) * y + (cos - shear * sin) * x];
        if reach > 0.0 {
            let ((i, b), (j, c)) = (weights(row), weights(column));
            for (axis, place) in place.iter_mut().enumerate() {
                for (k, l) in (0..16).map(|n| (n / 4, n % 4)) {
                    let number = (axis * points(rows) + i + k) * points(columns) + j + l;
                    *place += reach * b[k] * c[l] * displaced(number);
                }
            }
        }
        let (top, left) = (place[0].floor(), place[1].floor());
        let (down, right) = (place[0] - top, place[1] - left);
        let line = |row: f64| (1.0 - right) * at(row, left) + right * at(row, left + 1.0);
        (1.0 - down) * line(top) + down * line(top + 1.0)
    };
    (0..rows * columns).map(|i| pixel(i / columns, i % columns)).collect()
}

#[test]
fn pixels_agree_with_the_definition() {
    let strong = Distortion {
        rotation_degrees: 90.0,
        scale: 0.9,
        shear: 1.0,
        shift_pixels: 8.0,
        elastic_pixels: 6.0,
        elastic_spacing_pixels: 3.0,
    };
    let settings = [
        Distortion::default(),
        Distortion::default().times(0.1),
        Distortion::default().times(3.0),
        Distortion { elastic_pixels: 0.0, ..Distortion::default() },
        Distortion { elastic_pixels: 2.5, ..NONE },
        Distortion { elastic_spacing_pixels: 1.0, ..Distortion::default() },
        Distortion { elastic_spacing_pixels: 1000.0, ..Distortion::default() },
        strong,
        Distortion { shift_pixels: 1000.0, elastic_pixels: 1000.0, ..strong },
    ];
    let shapes = [[1, 1], [1, 9], [9, 1], [5, 5], [28, 28], [28, 15], [17, 33], [40, 50]];
    let mut pixels = Stream::new(5, Purpose::Other(0), 0);
    let mut nonzero = 0;
    for (setting, shape, copy) in settings
        .into_iter()
        .flat_map(|setting| shapes.map(|shape| (setting, shape)))
        .flat_map(|(setting, shape)| (0..4).map(move |copy| (setting, shape, copy)))
    {
        let picture: Vec<u8> = (0..shape[0] * shape[1]).map(|_| pixels.bits() as u8).collect();
        let stream = || Stream::new(2, Purpose::Augment, copy);
        let mut out = vec![0; picture.len()];
        Distorter::new(setting, shape).unwrap().distort(&mut stream(), &picture, &mut out);
        let expected = defined(setting, shape, &mut stream(), &picture);
        for (i, (out, expected)) in out.iter().zip(expected).enumerate() {
            // 0.5 for rounding, 255/512 for each axis of the position, and as much again for f32 far outside.
            let off = (f64::from(*out) - expected).abs();
            assert!(off < 2.5, "{setting:?}, {shape:?}, copy {copy}, pixel {i}: {out}, {expected}");
            nonzero += usize::from(*out > 0);
        }
    }
    assert!(nonzero > 50_000, "{nonzero}");
}

#[test]
fn a_distorter_can_be_reused() {
    let mut pixels = Stream::new(6, Purpose::Other(0), 0);
    for setting in [Distortion::default(), Distortion { elastic_pixels: 0.0, ..Distortion::default() }] {
        let mut used = Distorter::new(setting, [28, 28]).unwrap();
        for copy in 0..20 {
            let picture: Vec<u8> = (0..784).map(|_| pixels.bits() as u8).collect();
            let (mut of_used, mut of_new) = (vec![1; 784], vec![2; 784]);
            let stream = || Stream::new(3, Purpose::Augment, copy);
            used.distort(&mut stream(), &picture, &mut of_used);
            Distorter::new(setting, [28, 28]).unwrap().distort(&mut stream(), &picture, &mut of_new);
            assert_eq!(of_used, of_new);
        }
    }
}

#[test]
fn images_without_pixels_and_with_too_many() {
    for shape in [[0, 0], [0, 3], [3, 0]] {
        let mut distorter = Distorter::new(Distortion::default(), shape).unwrap();
        distorter.distort(&mut Stream::new(0, Purpose::Augment, 0), &[], &mut []);
    }
    assert!(Distorter::new(Distortion::default(), [32_766, 1]).is_ok());
    let error = Distorter::new(Distortion::default(), [4, 32_767]).unwrap_err();
    assert_eq!(error.to_string(), "found images of 4 rows and 32767 columns, expected at most 32766 of each");
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
