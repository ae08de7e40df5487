//! Strokes that draw a digit of the data set: lines along its thinned pixels.
//!
//! Thinning is that of Zhang and Suen, "A Fast Parallel Algorithm for Thinning Digital Patterns", 1984.

const SIDE: usize = 28;
/// The smallest value of a line's pixels.
const LINE_MIN: u8 = 128;

/// A position in the image, x and y from 0 to 1.
pub(crate) type Position = (f64, f64);

/// The neighbors of a pixel, clockwise from the one above.
const AROUND: [(isize, isize); 8] = [(0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1)];

fn neighbor(pixel: usize, (x, y): (isize, isize)) -> Option<usize> {
    let column = (pixel % SIDE).checked_add_signed(x).filter(|column| *column < SIDE)?;
    let row = (pixel / SIDE).checked_add_signed(y).filter(|row| *row < SIDE)?;
    Some(row * SIDE + column)
}

fn thinned(pixels: &[u8]) -> Vec<bool> {
    let mut line: Vec<bool> = pixels.iter().map(|pixel| *pixel >= LINE_MIN).collect();
    loop {
        let before = line.clone();
        for first in [true, false] {
            let is_removed = |pixel: usize| {
                let around = AROUND.map(|step| neighbor(pixel, step).is_some_and(|other| line[other]));
                let [up, _, right, _, down, _, left, _] = around;
                let count = around.iter().filter(|is_line| **is_line).count();
                let turns = (0..8).filter(|&i| !around[i] && around[(i + 1) % 8]).count();
                let sides =
                    if first { !(right && down && (up || left)) } else { !(up && left && (right || down)) };
                line[pixel] && (2..=6).contains(&count) && turns == 1 && sides
            };
            let removed: Vec<usize> = (0..line.len()).filter(|&pixel| is_removed(pixel)).collect();
            removed.into_iter().for_each(|pixel| line[pixel] = false);
        }
        if line == before {
            return line;
        }
    }
}

/// The strokes of a digit.
pub(crate) fn strokes(pixels: &[u8]) -> Vec<Vec<Position>> {
    let line = thinned(pixels);
    let mut is_left = line.clone();
    let around = |pixel: usize, set: &[bool]| -> Vec<usize> {
        // Horizontal and vertical steps come before diagonal ones.
        let steps = [0, 2, 4, 6, 1, 3, 5, 7].map(|i| AROUND[i]);
        steps.iter().filter_map(|&step| neighbor(pixel, step)).filter(|&other| set[other]).collect()
    };
    let place = |pixel: usize| {
        ((((pixel % SIDE) as f64) + 0.5) / SIDE as f64, ((pixel / SIDE) as f64 + 0.5) / SIDE as f64)
    };
    let mut strokes = Vec::new();
    while let Some(start) =
        (0..line.len()).filter(|&pixel| is_left[pixel]).min_by_key(|&pixel| around(pixel, &is_left).len())
    {
        // A stroke begins at the line that it branches off from.
        let branch = around(start, &line).into_iter().find(|&other| !is_left[other]);
        let mut stroke: Vec<Position> = branch.into_iter().map(place).collect();
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
