//! Scaling the digit into a box, and moving its center of mass to the center.

use crate::digit::Digit;

/// The box's fraction of the sides: 20 of 28 pixels.
const BOX: [usize; 2] = [5, 7];
/// One of so many pixels of a digit has the full value.
const SOLID: usize = 5;

/// The digit in an image of `[rows, columns]`, prepared as MNIST's: scaled to fit 20 x 20 of 28 x 28 pixels with its aspect ratio kept,
/// and moved by whole pixels so that its center of mass is in the center.
pub(crate) fn fit(digit: &Digit, [rows, columns]: [usize; 2]) -> Vec<u8> {
    let (box_rows, box_columns) = (rows * BOX[0] / BOX[1], columns * BOX[0] / BOX[1]);
    let scale = (box_rows as f64 / digit.height as f64).min(box_columns as f64 / digit.width as f64);
    let side = |side: usize, most: usize| ((side as f64 * scale + 0.5) as usize).clamp(1, most);
    let (height, width) = (side(digit.height, box_rows), side(digit.width, box_columns));
    let values: Vec<f64> = digit.values.iter().copied().map(f64::from).collect();
    let lines = scaled(&values, digit.width, width);
    let values = scaled(&transposed(&lines, width), digit.height, height);
    let values = transposed(&values, height);
    let values = full_contrast(&values);

    let (mut sum, mut sum_of_rows, mut sum_of_columns) = (0.0, 0.0, 0.0);
    for (row, line) in values.chunks(width).enumerate() {
        for (column, &value) in line.iter().enumerate() {
            let value = f64::from(value);
            sum += value;
            sum_of_rows += value * (row as f64 + 0.5);
            sum_of_columns += value * (column as f64 + 0.5);
        }
    }
    let start = |moment: f64, side: usize, all: usize| {
        // The first whole pixel that moves it to the middle or beyond: in MNIST it is at 14 to 15.
        let start = (all as f64 / 2.0 - moment / sum).ceil();
        start.clamp(0.0, (all - side) as f64) as usize
    };
    let (top, left) = (start(sum_of_rows, height, rows), start(sum_of_columns, width, columns));
    let mut image = vec![0; rows * columns];
    for (line, out) in values.chunks(width).zip(image.chunks_mut(columns).skip(top)) {
        out[left..left + width].copy_from_slice(line);
    }
    image
}

/// Resamples each line of `from` pixels to `to` pixels with the cubic kernel of Keys, "Cubic Convolution Interpolation for Digital Image
/// Processing", 1981. Where the line shrinks, the kernel is as wide as the new pixels, which gives means. Where it keeps its size, it
/// stays the same.
fn scaled(lines: &[f64], from: usize, to: usize) -> Vec<f64> {
    let step = from as f64 / to as f64;
    let unit = step.max(1.0);
    let taps: Vec<(usize, Vec<f64>)> = (0..to)
        .map(|pixel| {
            let center = (pixel as f64 + 0.5) * step;
            let first = (center - 2.0 * unit).max(0.0) as usize;
            let last = ((center + 2.0 * unit).ceil() as usize).min(from);
            let weights: Vec<f64> =
                (first..last).map(|pixel| keys((pixel as f64 + 0.5 - center).abs() / unit)).collect();
            let sum: f64 = weights.iter().sum();
            (first, weights.iter().map(|weight| weight / sum).collect())
        })
        .collect();
    let value = |line: &[f64], (first, weights): &(usize, Vec<f64>)| -> f64 {
        line[*first..].iter().zip(weights).map(|(value, weight)| value * weight).sum()
    };
    lines.chunks(from).flat_map(|line| taps.iter().map(move |tap| value(line, tap))).collect()
}

/// The kernel at a distance t.
fn keys(t: f64) -> f64 {
    if t < 1.0 {
        (1.5 * t - 2.5) * t * t + 1.0
    } else if t < 2.0 {
        ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0
    } else {
        0.0
    }
}

/// The transposed image, given its width.
fn transposed(values: &[f64], width: usize) -> Vec<f64> {
    (0..width).flat_map(|column| values.iter().skip(column).step_by(width).copied()).collect()
}

/// Scales the values so that pale or thin strokes are as strong as those of MNIST.
fn full_contrast(values: &[f64]) -> Vec<u8> {
    let strongest = values.iter().copied().fold(0.0, f64::max);
    let mut foreground: Vec<f64> = values.iter().copied().filter(|value| *value >= strongest / 4.0).collect();
    foreground.sort_by(f64::total_cmp);
    let solid = foreground.get(foreground.len() - 1 - foreground.len() / SOLID).copied().unwrap_or(255.0);
    values.iter().map(|value| (value * 255.0 / solid + 0.5).clamp(0.0, 255.0) as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digit(width: usize, height: usize, value: impl Fn(usize, usize) -> u8) -> Digit {
        let values = (0..width * height).map(|pixel| value(pixel / width, pixel % width)).collect();
        Digit { width, height, values }
    }

    /// The center of mass of a 20 x 4 bar is its middle.
    #[test]
    fn a_digit_of_the_right_size_is_only_moved() {
        let picture = fit(&digit(4, 20, |_, _| 255), [28, 28]);
        for (pixel, value) in picture.iter().enumerate() {
            let is_inside = (4..24).contains(&(pixel / 28)) && (12..16).contains(&(pixel % 28));
            assert_eq!(*value, if is_inside { 255 } else { 0 }, "{} {}", pixel / 28, pixel % 28);
        }
        // All mass is in the last column, so that the digit moves to the left edge.
        let picture = fit(&digit(20, 20, |_, column| u8::from(column == 19) * 255), [28, 28]);
        assert!((4..24).all(|row| picture[28 * row + 19] == 255));
    }

    #[test]
    fn the_longer_side_becomes_20_of_28() {
        for (width, height) in [(1, 1), (3, 300), (40, 20), (1000, 7), (20, 20), (5, 4)] {
            for (shape, side) in [([28, 28], 20), ([14, 14], 10), ([7, 7], 5), ([56, 56], 40)] {
                let picture = fit(&digit(width, height, |_, _| 200), shape);
                let lines =
                    |has_full: &dyn Fn(usize) -> bool| (0..shape[0]).filter(|line| has_full(*line)).count();
                let rows = lines(&|row| picture[row * shape[1]..][..shape[1]].contains(&255));
                let columns =
                    lines(&|column| picture.iter().skip(column).step_by(shape[1]).any(|p| *p == 255));
                assert_eq!(rows.max(columns), side, "{width}x{height} in {shape:?}");
                let shorter = side as f64 * width.min(height) as f64 / width.max(height) as f64;
                assert!((rows.min(columns) as f64 - shorter.max(1.0)).abs() <= 0.5, "{rows}x{columns}");
            }
        }
    }

    #[test]
    fn scaling_keeps_constant_and_linear_lines() {
        let line: Vec<f64> = (0..60).map(f64::from).collect();
        for to in [15, 60, 240] {
            let scaled_line = scaled(&line, 60, to);
            let step = 60.0 / to as f64;
            // Not at the ends, where the last pixel is repeated.
            for (pixel, value) in scaled_line.iter().enumerate().skip(to / 6).take(to * 2 / 3) {
                let expected = (pixel as f64 + 0.5) * step - 0.5;
                assert!((value - expected).abs() < 1e-9, "{to}: {value} {expected}");
            }
            assert!(scaled(&[7.0; 60], 60, to).iter().all(|value| (value - 7.0).abs() < 1e-12));
        }
    }

    #[test]
    fn pale_strokes_get_full_contrast() {
        let picture = fit(&digit(20, 20, |row, _| if row < 10 { 100 } else { 80 }), [28, 28]);
        assert_eq!(picture.iter().copied().max(), Some(255));
        assert!(picture.contains(&204), "80 of 100");
    }
}
