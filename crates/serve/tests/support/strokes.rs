//! A digit of the data set as a person would draw it: its ink thinned to lines, and these followed.
//!
//! Thinning is that of Zhang and Suen, "A Fast Parallel Algorithm for Thinning Digital Patterns", 1984.

const SIDE: usize = 28;
/// Ink of a line.
const INK: u8 = 128;

/// A place in the picture, from 0 to 1 in both directions.
pub(crate) type Place = (f64, f64);

/// The neighbours of a pixel from the one above it on, clockwise.
const AROUND: [(isize, isize); 8] = [(0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1)];

fn neighbour(pixel: usize, (x, y): (isize, isize)) -> Option<usize> {
    let column = (pixel % SIDE).checked_add_signed(x).filter(|column| *column < SIDE)?;
    let row = (pixel / SIDE).checked_add_signed(y).filter(|row| *row < SIDE)?;
    Some(row * SIDE + column)
}

fn thinned(pixels: &[u8]) -> Vec<bool> {
    let mut ink: Vec<bool> = pixels.iter().map(|pixel| *pixel >= INK).collect();
    loop {
        let before = ink.clone();
        for first in [true, false] {
            let is_gone = |pixel: usize| {
                let around = AROUND.map(|step| neighbour(pixel, step).is_some_and(|other| ink[other]));
                let [up, _, right, _, down, _, left, _] = around;
                let count = around.iter().filter(|is_ink| **is_ink).count();
                let turns = (0..8).filter(|&i| !around[i] && around[(i + 1) % 8]).count();
                let sides =
                    if first { !(right && down && (up || left)) } else { !(up && left && (right || down)) };
                ink[pixel] && (2..=6).contains(&count) && turns == 1 && sides
            };
            let gone: Vec<usize> = (0..ink.len()).filter(|&pixel| is_gone(pixel)).collect();
            gone.into_iter().for_each(|pixel| ink[pixel] = false);
        }
        if ink == before {
            return ink;
        }
    }
}

/// Strokes of a digit.
pub(crate) fn strokes(pixels: &[u8]) -> Vec<Vec<Place>> {
    let line = thinned(pixels);
    let mut is_left = line.clone();
    let around = |pixel: usize, set: &[bool]| -> Vec<usize> {
        // Straight on before slantwise.
        let steps = [0, 2, 4, 6, 1, 3, 5, 7].map(|i| AROUND[i]);
        steps.iter().filter_map(|&step| neighbour(pixel, step)).filter(|&other| set[other]).collect()
    };
    let place = |pixel: usize| {
        ((((pixel % SIDE) as f64) + 0.5) / SIDE as f64, ((pixel / SIDE) as f64 + 0.5) / SIDE as f64)
    };
    let mut strokes = Vec::new();
    while let Some(start) =
        (0..line.len()).filter(|&pixel| is_left[pixel]).min_by_key(|&pixel| around(pixel, &is_left).len())
    {
        // From where it branches off.
        let branch = around(start, &line).into_iter().find(|&other| !is_left[other]);
        let mut stroke: Vec<Place> = branch.into_iter().map(place).collect();
        let mut at = Some(start);
        while let Some(pixel) = at {
            is_left[pixel] = false;
            stroke.push(place(pixel));
            at = around(pixel, &is_left).first().copied();
        }
        strokes.push(stroke);
    }
    strokes
}
