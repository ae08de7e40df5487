//! Sizes and places: the digit is scaled into a box and put where its centre of mass is the picture's centre.

use crate::digit::Digit;

/// The box's share of the picture's sides: 20 of 28 pixels.
const BOX: [usize; 2] = [5, 7];
/// The share of a digit's pixels that are as dark as ink gets.
const SOLID: usize = 5;

/// The digit in a picture of `[rows, columns]`, as MNIST's are: NIST's pictures were scaled to fit 20x20 pixels of 28x28 with
/// their aspect kept, and moved by whole pixels so that their centre of mass lies in the centre.
pub(crate) fn fit(digit: &Digit, [rows, columns]: [usize; 2]) -> Vec<u8> {
    let (box_rows, box_columns) = (rows * BOX[0] / BOX[1], columns * BOX[0] / BOX[1]);
    let scale = (box_rows as f64 / digit.height as f64).min(box_columns as f64 / digit.width as f64);
    let side = |side: usize, most: usize| ((side as f64 * scale + 0.5) as usize).clamp(1, most);
    let (height, width) = (side(digit.height, box_rows), side(digit.width, box_columns));
    let amounts: Vec<f64> = digit.amounts.iter().copied().map(f64::from).collect();
    let lines = scaled(&amounts, digit.width, width);
    let amounts = scaled(&transposed(&lines, width), digit.height, height);
    let amounts = transposed(&amounts, height);
    let amounts = full(&amounts);

    let (mut sum, mut sum_of_rows, mut sum_of_columns) = (0.0, 0.0, 0.0);
    for (row, line) in amounts.chunks(width).enumerate() {
        for (column, &amount) in line.iter().enumerate() {
            let amount = f64::from(amount);
            sum += amount;
            sum_of_rows += amount * (row as f64 + 0.5);
            sum_of_columns += amount * (column as f64 + 0.5);
        }
    }
    let start = |sum_of_places: f64, side: usize, all: usize| {
        // The first whole pixel that puts it into the middle or behind: in MNIST its place is 14 to 15.
        let start = (all as f64 / 2.0 - sum_of_places / sum).ceil();
        start.clamp(0.0, (all - side) as f64) as usize
    };
    let (top, left) = (start(sum_of_rows, height, rows), start(sum_of_columns, width, columns));
    let mut picture = vec![0; rows * columns];
    for (line, out) in amounts.chunks(width).zip(picture.chunks_mut(columns).skip(top)) {
        out[left..left + width].copy_from_slice(line);
    }
    picture
}

/// Each line of `from` pixels as one of `to`, by the cubic kernel of Keys, "Cubic Convolution Interpolation for Digital Image
/// Processing", 1981, stretched over the coarser side's pixels: means where pictures shrink, smooth curves through the pixels
/// where they grow, and the same where they stay.
fn scaled(lines: &[f64], from: usize, to: usize) -> Vec<f64> {
    let step = from as f64 / to as f64;
    let unit = step.max(1.0);
    let taps: Vec<(usize, Vec<f64>)> = (0..to)
        .map(|pixel| {
            let centre = (pixel as f64 + 0.5) * step;
            let first = (centre - 2.0 * unit).max(0.0) as usize;
            let last = ((centre + 2.0 * unit).ceil() as usize).min(from);
            let weights: Vec<f64> =
                (first..last).map(|pixel| keys((pixel as f64 + 0.5 - centre).abs() / unit)).collect();
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

/// Columns as rows, of `width` pixels a row.
fn transposed(amounts: &[f64], width: usize) -> Vec<f64> {
    (0..width).flat_map(|column| amounts.iter().skip(column).step_by(width).copied()).collect()
}

/// Ink that is as dark as can be: pale or thin strokes are made as strong as MNIST's.
fn full(amounts: &[f64]) -> Vec<u8> {
    let strongest = amounts.iter().copied().fold(0.0, f64::max);
    let mut inked: Vec<f64> = amounts.iter().copied().filter(|amount| *amount >= strongest / 4.0).collect();
    inked.sort_by(f64::total_cmp);
    let solid = inked.get(inked.len() - 1 - inked.len() / SOLID).copied().unwrap_or(255.0);
    amounts.iter().map(|amount| (amount * 255.0 / solid + 0.5).clamp(0.0, 255.0) as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digit(width: usize, height: usize, amount: impl Fn(usize, usize) -> u8) -> Digit {
        let amounts = (0..width * height).map(|pixel| amount(pixel / width, pixel % width)).collect();
        Digit { width, height, amounts }
    }

    /// By hand: a bar of 20x4 has its centre of mass in its middle, which is put into the picture's.
    #[test]
    fn a_digit_of_the_right_size_is_only_moved() {
        let picture = fit(&digit(4, 20, |_, _| 255), [28, 28]);
        for (pixel, amount) in picture.iter().enumerate() {
            let is_inside = (4..24).contains(&(pixel / 28)) && (12..16).contains(&(pixel % 28));
            assert_eq!(*amount, if is_inside { 255 } else { 0 }, "{} {}", pixel / 28, pixel % 28);
        }
        // All mass in the last column: as far to the left as the picture goes.
        let picture = fit(&digit(20, 20, |_, column| u8::from(column == 19) * 255), [28, 28]);
        assert!((4..24).all(|row| picture[28 * row + 19] == 255));
    }

    #[test]
    fn the_longer_side_becomes_20_of_28() {
        for (width, height) in [(1, 1), (3, 300), (40, 20), (1000, 7), (20, 20), (5, 4)] {
            for (shape, side) in [([28, 28], 20), ([14, 14], 10), ([7, 7], 5), ([56, 56], 40)] {
                let picture = fit(&digit(width, height, |_, _| 200), shape);
                let lines = |inked: &dyn Fn(usize) -> bool| (0..shape[0]).filter(|line| inked(*line)).count();
                let rows = lines(&|row| picture[row * shape[1]..][..shape[1]].contains(&255));
                let columns =
                    lines(&|column| picture.iter().skip(column).step_by(shape[1]).any(|p| *p == 255));
                assert_eq!(rows.max(columns), side, "{width}x{height} in {shape:?}");
                let shorter = side as f64 * width.min(height) as f64 / width.max(height) as f64;
                assert!((rows.min(columns) as f64 - shorter.max(1.0)).abs() <= 0.5, "{rows}x{columns}");
            }
        }
    }

    /// Means of whole pixels stay means, and lines stay lines.
    #[test]
    fn scaling_keeps_what_is_even_or_straight() {
        let line: Vec<f64> = (0..60).map(f64::from).collect();
        for to in [15, 60, 240] {
            let scaled_line = scaled(&line, 60, to);
            let step = 60.0 / to as f64;
            // Away from the ends, where the line goes on as its last pixel.
            for (pixel, value) in scaled_line.iter().enumerate().skip(to / 6).take(to * 2 / 3) {
                let expected = (pixel as f64 + 0.5) * step - 0.5;
                assert!((value - expected).abs() < 1e-9, "{to}: {value} {expected}");
            }
            assert!(scaled(&[7.0; 60], 60, to).iter().all(|value| (value - 7.0).abs() < 1e-12));
        }
    }

    #[test]
    fn pale_ink_becomes_full() {
        let picture = fit(&digit(20, 20, |row, _| if row < 10 { 100 } else { 80 }), [28, 28]);
        assert_eq!(picture.iter().copied().max(), Some(255));
        assert!(picture.contains(&204), "80 of 100");
    }
}
