//! Drawings: lines, marks, areas and words in a plane, before they become SVG or pixels.

use crate::ink::Ink;

/// A place: to the right and down, in units of which words are 12 high.
pub(crate) type Point = [f32; 2];

/// A drawing of this size.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drawing {
    pub(crate) width: f32,
    pub(crate) height: f32,
    pub(crate) shapes: Vec<Shape>,
}

/// A part of a drawing.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// A line through these places.
    Line { ink: Ink, points: Vec<Point> },
    /// A mark on a curve, and what it says to who points at it.
    Mark { series: usize, at: Point, says: String },
    /// Squares or bars: the corner and the size of each; `opacity` is 0 to 1.
    Areas { ink: Ink, opacity: f32, areas: Vec<[f32; 4]> },
    /// Words.
    Words { ink: Ink, at: Point, anchor: Anchor, text: String },
}

/// Which part of the words is where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
    /// The middle, of words that run upwards.
    Upwards,
}

/// The forms of marks, by the number of the curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Circle,
    Square,
    Triangle,
    Diamond,
}

/// From a mark's centre to its edge.
pub(crate) const MARK: f32 = 3.2;

impl Mark {
    pub(crate) fn of(series: usize) -> Self {
        [Self::Circle, Self::Square, Self::Triangle, Self::Diamond][series % 4]
    }
}

impl Drawing {
    pub(crate) fn new(width: f32, height: f32) -> Self {
        Self { width, height, shapes: Vec::new() }
    }

    pub(crate) fn line(&mut self, ink: Ink, points: impl Into<Vec<Point>>) {
        self.shapes.push(Shape::Line { ink, points: points.into() });
    }

    pub(crate) fn words(&mut self, ink: Ink, at: Point, anchor: Anchor, text: impl Into<String>) {
        self.shapes.push(Shape::Words { ink, at, anchor, text: text.into() });
    }

    pub(crate) fn mark(&mut self, series: usize, at: Point, says: String) {
        self.shapes.push(Shape::Mark { series, at, says });
    }

    pub(crate) fn areas(&mut self, ink: Ink, opacity: f32, areas: Vec<[f32; 4]>) {
        if !areas.is_empty() {
            self.shapes.push(Shape::Areas { ink, opacity, areas });
        }
    }

    /// Puts another drawing to the right of this one.
    pub(crate) fn beside(mut self, other: Self) -> Self {
        let right = self.width;
        let moved = |[x, y]: Point| [x + right, y];
        self.shapes.extend(other.shapes.into_iter().map(|shape| match shape {
            Shape::Line { ink, points } => {
                Shape::Line { ink, points: points.into_iter().map(moved).collect() }
            }
            Shape::Mark { series, at, says } => Shape::Mark { series, at: moved(at), says },
            Shape::Areas { ink, opacity, areas } => {
                let areas = areas.into_iter().map(|[x, y, width, height]| [x + right, y, width, height]);
                Shape::Areas { ink, opacity, areas: areas.collect() }
            }
            Shape::Words { ink, at, anchor, text } => Shape::Words { ink, at: moved(at), anchor, text },
        }));
        self.width += other.width;
        self.height = self.height.max(other.height);
        self
    }
}
