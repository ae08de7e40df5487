//! A figure's shapes (lines, markers, rectangles, text) in a plane, before they become SVG.

use crate::palette::Color;

/// x to the right and y down, in units of which 13 are the height of text.
pub(crate) type Point = [f32; 2];

/// The shapes of a figure.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scene {
    pub(crate) width: f32,
    pub(crate) height: f32,
    pub(crate) shapes: Vec<Shape>,
}

#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// A line through points.
    Line { color: Color, points: Vec<Point> },
    /// A marker on a curve. One with `on_hover` is invisible until the pointer is on it.
    Marker { series: usize, at: Point, tooltip: String, on_hover: bool },
    /// Rectangles `[x, y, width, height]`; `opacity` is 0 to 1.
    Rects { color: Color, opacity: f32, rects: Vec<[f32; 4]> },
    /// A line of text.
    Text { color: Color, at: Point, anchor: Anchor, text: String },
}

/// The part of a text that lies at its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
    /// The middle of a text that runs upwards.
    Upwards,
}

/// The shapes of markers, by the number of the curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarkerShape {
    Circle,
    Square,
    Triangle,
    Diamond,
}

/// The radius of a round marker.
pub(crate) const MARKER_RADIUS: f32 = 3.2;

impl MarkerShape {
    pub(crate) fn of(series: usize) -> Self {
        [Self::Circle, Self::Square, Self::Triangle, Self::Diamond][series % 4]
    }
}

impl Scene {
    pub(crate) fn new(width: f32, height: f32) -> Self {
        Self { width, height, shapes: Vec::new() }
    }

    pub(crate) fn line(&mut self, color: Color, points: impl Into<Vec<Point>>) {
        self.shapes.push(Shape::Line { color, points: points.into() });
    }

    pub(crate) fn text(&mut self, color: Color, at: Point, anchor: Anchor, text: impl Into<String>) {
        self.shapes.push(Shape::Text { color, at, anchor, text: text.into() });
    }

    pub(crate) fn marker(&mut self, series: usize, at: Point, tooltip: String) {
        self.shapes.push(Shape::Marker { series, at, tooltip, on_hover: false });
    }

    pub(crate) fn hover_marker(&mut self, series: usize, at: Point, tooltip: String) {
        self.shapes.push(Shape::Marker { series, at, tooltip, on_hover: true });
    }

    pub(crate) fn rects(&mut self, color: Color, opacity: f32, rects: Vec<[f32; 4]>) {
        if !rects.is_empty() {
            self.shapes.push(Shape::Rects { color, opacity, rects });
        }
    }

    /// This scene with another one to the right of it.
    pub(crate) fn beside(mut self, other: Self) -> Self {
        let right = self.width;
        let moved = |[x, y]: Point| [x + right, y];
        self.shapes.extend(other.shapes.into_iter().map(|shape| match shape {
            Shape::Line { color, points } => {
                Shape::Line { color, points: points.into_iter().map(moved).collect() }
            }
            Shape::Marker { series, at, tooltip, on_hover } => {
                Shape::Marker { series, at: moved(at), tooltip, on_hover }
            }
            Shape::Rects { color, opacity, rects } => {
                let rects = rects.into_iter().map(|[x, y, width, height]| [x + right, y, width, height]);
                Shape::Rects { color, opacity, rects: rects.collect() }
            }
            Shape::Text { color, at, anchor, text } => Shape::Text { color, at: moved(at), anchor, text },
        }));
        self.width += other.width;
        self.height = self.height.max(other.height);
        self
    }
}
