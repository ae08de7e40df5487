//! Drawings as pixels: anti-aliased lines and marks, and words from a font that is part of the program, so that a picture is the
//! same on a machine without fonts.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

use crate::drawing::{Anchor, Drawing, MARK, Mark, Point, Shape};
use crate::ink::{Ink, PAPER};
use crate::picture::{Colours, png};

/// Pixels of a unit.
const SCALE: f32 = 2.0;

const WEIGHT: FontWeight = FontWeight::Regular;
const HEIGHT: RasterHeight = RasterHeight::Size24;

/// From the top of a letter's box to the line that it stands on, in pixels.
const BASELINE: f32 = 20.0;

/// A PNG in the light colours.
pub(crate) fn file(drawing: &Drawing) -> Vec<u8> {
    let mut canvas = Canvas::new(drawing.width, drawing.height);
    for shape in &drawing.shapes {
        canvas.draw(shape);
    }
    let Canvas { width, height, pixels } = canvas;
    png(width, height, Colours::Rgb, pixels.as_flattened())
}

struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

fn rgb(colour: u32) -> [u8; 3] {
    let [_, red, green, blue] = colour.to_be_bytes();
    [red, green, blue]
}

impl Canvas {
    fn new(width: f32, height: f32) -> Self {
        let [width, height] = [width, height].map(|side| (side * SCALE).ceil() as usize);
        Self { width, height, pixels: vec![rgb(PAPER[0]); width * height] }
    }

    fn draw(&mut self, shape: &Shape) {
        let colour = |ink: Ink| rgb(ink.colours()[0]);
        let scaled = |[x, y]: Point| [x * SCALE, y * SCALE];
        match shape {
            Shape::Line { ink, points } => {
                let width = if matches!(ink, Ink::Series(_)) { 1.75 } else { 1.0 } * SCALE;
                let points: Vec<Point> = points.iter().copied().map(scaled).collect();
                let dashes = ink.dashes().map(|dashes| dashes.map(|length| length * SCALE));
                for [from, to] in dashed(&points, dashes) {
                    self.segment(from, to, width, colour(*ink));
                }
            }
            Shape::Mark { series, at, .. } => self.mark(*series, scaled(*at), colour(Ink::Series(*series))),
            Shape::Areas { ink, opacity, areas } => {
                for &[x, y, width, height] in areas {
                    let ([left, top], [right, bottom]) = (scaled([x, y]), scaled([x + width, y + height]));
                    self.cover([left, top], [right, bottom], colour(*ink), |[x, y]| {
                        let inside = |at: f32, from: f32, to: f32| {
                            ((at + 0.5).min(to) - (at - 0.5).max(from)).clamp(0.0, 1.0)
                        };
                        opacity * inside(x, left, right) * inside(y, top, bottom)
                    });
                }
            }
            Shape::Words { ink, at, anchor, text } => self.words(scaled(*at), *anchor, text, colour(*ink)),
        }
    }

    /// Covers the pixels between two corners, each as much as `share` says of its centre, 0 to 1.
    fn cover(&mut self, [x0, y0]: Point, [x1, y1]: Point, colour: [u8; 3], share: impl Fn(Point) -> f32) {
        // A cast takes what is below 0 for 0.
        let ends = |from: f32, to: f32, most: usize| (from - 1.0) as usize..most.min((to + 2.0) as usize);
        for row in ends(y0, y1, self.height) {
            for column in ends(x0, x1, self.width) {
                let share = share([column as f32 + 0.5, row as f32 + 0.5]);
                self.blend(row, column, colour, share);
            }
        }
    }

    fn blend(&mut self, row: usize, column: usize, colour: [u8; 3], share: f32) {
        if share > 0.0 && row < self.height && column < self.width {
            let pixel = &mut self.pixels[row * self.width + column];
            for (old, new) in pixel.iter_mut().zip(colour) {
                *old = (f32::from(*old) + share * (f32::from(new) - f32::from(*old))).round() as u8;
            }
        }
    }

    fn segment(&mut self, [ax, ay]: Point, [bx, by]: Point, width: f32, colour: [u8; 3]) {
        let (dx, dy) = (bx - ax, by - ay);
        let squared = dx * dx + dy * dy;
        let margin = width / 2.0;
        self.cover(
            [ax.min(bx) - margin, ay.min(by) - margin],
            [ax.max(bx) + margin, ay.max(by) + margin],
            colour,
            |[x, y]| {
                // The place on the segment that is nearest.
                let t = if squared > 0.0 { ((x - ax) * dx + (y - ay) * dy) / squared } else { 0.0 };
                let t = t.clamp(0.0, 1.0);
                let distance = (x - ax - t * dx).hypot(y - ay - t * dy);
                (margin + 0.5 - distance).clamp(0.0, 1.0)
            },
        );
    }

    fn mark(&mut self, series: usize, [ax, ay]: Point, colour: [u8; 3]) {
        let inside = |x: f32, y: f32| match Mark::of(series) {
            Mark::Circle => x.hypot(y) <= MARK,
            Mark::Square => x.abs().max(y.abs()) <= 2.8,
            Mark::Triangle => y <= 2.8 && x.abs() * 6.6 <= (y + 3.8) * 3.8,
            Mark::Diamond => x.abs() + y.abs() <= 4.0,
        };
        let reach = 4.0 * SCALE;
        self.cover([ax - reach, ay - reach], [ax + reach, ay + reach], colour, |[x, y]| {
            let parts = (0..16).filter(|part| {
                let [dx, dy] = [part % 4, part / 4].map(|step| (step as f32 - 1.5) / 4.0);
                inside((x + dx - ax) / SCALE, (y + dy - ay) / SCALE)
            });
            parts.count() as f32 / 16.0
        });
    }

    fn words(&mut self, [x, y]: Point, anchor: Anchor, text: &str, colour: [u8; 3]) {
        let step = get_raster_width(WEIGHT, HEIGHT);
        let length = (step * text.chars().count()) as f32;
        let before = match anchor {
            Anchor::Start => 0.0,
            Anchor::Middle | Anchor::Upwards => length / 2.0,
            Anchor::End => length,
        };
        let letters = text.chars().enumerate().filter_map(|(index, letter)| {
            let letter = get_raster(letter, WEIGHT, HEIGHT).or_else(|| get_raster('?', WEIGHT, HEIGHT))?;
            Some((index, letter))
        });
        for (index, letter) in letters {
            for (down, row) in letter.rows().enumerate() {
                for (along, &share) in row.iter().enumerate() {
                    let along = (index * step + along) as f32 - before;
                    let down = down as f32 - BASELINE;
                    let [x, y] =
                        if anchor == Anchor::Upwards { [x + down, y - along] } else { [x + along, y + down] };
                    self.blend(y.round() as usize, x.round() as usize, colour, f32::from(share) / 255.0);
                }
            }
        }
    }
}

/// The segments of a line, cut into dashes.
fn dashed(points: &[Point], dashes: Option<[f32; 2]>) -> Vec<[Point; 2]> {
    let segments = points.windows(2).map(|pair| [pair[0], pair[1]]);
    let Some(lengths) = dashes else { return segments.collect() };
    let mut cut = Vec::new();
    // The number of the dash or gap, and how much of it is left.
    let (mut piece, mut left) = (0, lengths[0]);
    for [[ax, ay], [bx, by]] in segments {
        let length = (bx - ax).hypot(by - ay);
        let at = |way: f32| [ax + (bx - ax) * way / length, ay + (by - ay) * way / length];
        let mut way = 0.0;
        while way < length {
            let end = length.min(way + left);
            if piece % 2 == 0 {
                cut.push([at(way), at(end)]);
            }
            left -= end - way;
            way = end;
            // Less than that is lost in rounding.
            if left <= 1e-3 {
                piece += 1;
                left = lengths[piece % 2];
            }
        }
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_go_on_around_corners() {
        let corner = [[0.0, 0.0], [5.0, 0.0], [5.0, 5.0]];
        assert_eq!(dashed(&corner, Some([4.0, 2.0])), [[[0.0, 0.0], [4.0, 0.0]], [[5.0, 1.0], [5.0, 5.0]]]);
        assert_eq!(dashed(&corner, None).len(), 2);
    }

    #[test]
    fn lines_cover_what_they_cross_and_words_have_letters() {
        let mut drawing = Drawing::new(40.0, 20.0);
        drawing.line(Ink::Series(0), [[2.0, 10.0], [38.0, 10.0]]);
        let mut canvas = Canvas::new(drawing.width, drawing.height);
        canvas.draw(&drawing.shapes[0]);
        let at = |canvas: &Canvas, x: usize, y: usize| canvas.pixels[y * canvas.width + x];
        assert_eq!((canvas.width, canvas.height), (80, 40));
        assert_eq!(at(&canvas, 40, 20), [0x00, 0x72, 0xB2]);
        assert_eq!(at(&canvas, 40, 26), [0xFF; 3]);
        assert_eq!(at(&canvas, 1, 20), [0xFF; 3]);
        for anchor in [Anchor::Start, Anchor::Middle, Anchor::End, Anchor::Upwards] {
            let mut canvas = Canvas::new(40.0, 40.0);
            canvas.words([40.0, 40.0], anchor, "ml", [0; 3]);
            let dark = canvas.pixels.iter().filter(|pixel| pixel[0] < 128).count();
            assert!((50..300).contains(&dark), "{anchor:?}: {dark}");
        }
        // What lies outside is left out.
        Canvas::new(4.0, 4.0).words([-9.0, 100.0], Anchor::Start, "far", [0; 3]);
    }
}
