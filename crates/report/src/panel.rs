//! A panel: two labelled axes, and what is drawn between them.

use crate::axis::Axis;
use crate::drawing::{Anchor, Drawing, Point};
use crate::ink::Ink;

/// Units of a panel with all that belongs to it. Words stay legible at the width of a telephone.
pub(crate) const WIDTH: f32 = 360.0;
pub(crate) const HEIGHT: f32 = 250.0;

const LEFT: f32 = 68.0;
const RIGHT: f32 = 20.0;
const TOP: f32 = 30.0;
const BOTTOM: f32 = 42.0;

/// The ticks that a panel has room for.
pub(crate) const TICKS: usize = 6;

/// Points of a curve at most: more than that cannot be told apart.
const POINTS: usize = 400;

/// Points up to which each has a mark.
const MARKED: usize = 30;

pub(crate) struct Panel {
    pub(crate) drawing: Drawing,
    x: Axis,
    y: Axis,
}

impl Panel {
    /// The axes, with their names.
    pub(crate) fn new(x: Axis, x_name: &str, y: Axis, y_name: &str, are_percent: [bool; 2]) -> Self {
        let mut panel = Self { drawing: Drawing::new(WIDTH, HEIGHT), x, y };
        let [right, bottom] = [WIDTH - RIGHT, HEIGHT - BOTTOM];
        for (&tick, label) in panel.y.ticks.iter().zip(panel.y.labels(are_percent[1])) {
            let [_, y] = place(&panel.x, &panel.y, panel.x.low, tick);
            panel.drawing.line(Ink::Grid, [[LEFT, y], [right, y]]);
            panel.drawing.words(Ink::Muted, [LEFT - 6.0, y + 4.0], Anchor::End, label);
        }
        for (&tick, label) in panel.x.ticks.iter().zip(panel.x.labels(are_percent[0])) {
            let [x, _] = place(&panel.x, &panel.y, tick, panel.y.low);
            panel.drawing.line(Ink::Muted, [[x, bottom], [x, bottom + 4.0]]);
            panel.drawing.words(Ink::Muted, [x, bottom + 17.0], Anchor::Middle, label);
        }
        panel.drawing.line(Ink::Muted, [[LEFT, bottom], [right, bottom]]);
        let middle = [(LEFT + right) / 2.0, (TOP + bottom) / 2.0];
        panel.drawing.words(Ink::Text, [middle[0], HEIGHT - 7.0], Anchor::Middle, x_name);
        panel.drawing.words(Ink::Text, [12.0, middle[1]], Anchor::Upwards, y_name);
        panel
    }

    /// A panel without anything to show, which says so.
    pub(crate) fn empty(x: Axis, x_name: &str, y_name: &str) -> Self {
        let y = Axis { low: 0.0, high: 1.0, ticks: Vec::new() };
        let mut panel = Self::new(x, x_name, y, y_name, [false, false]);
        let middle = [(LEFT + WIDTH - RIGHT) / 2.0, (TOP + HEIGHT - BOTTOM) / 2.0];
        panel.drawing.words(Ink::Text, middle, Anchor::Middle, "no finite numbers");
        panel
    }

    /// What tells the curves apart, above them.
    pub(crate) fn legend(&mut self, names: &[(usize, &str)]) {
        let mut x = LEFT;
        for &(series, name) in names {
            self.drawing.line(Ink::Series(series), [[x, 14.0], [x + 24.0, 14.0]]);
            self.drawing.mark(series, [x + 12.0, 14.0], name.to_owned());
            self.drawing.words(Ink::Text, [x + 30.0, 18.0], Anchor::Start, name);
            x += 52.0 + 7.5 * name.chars().count() as f32;
        }
    }

    /// A curve through the values at 1, 2, 3 and so on; one that is not finite is a gap.
    pub(crate) fn curve(&mut self, series: usize, name: &str, values: &[f64]) {
        let kept = thinned(values);
        let ink = Ink::Series(series);
        for run in kept.split(|&(_, value)| !value.is_finite()).filter(|run| run.len() > 1) {
            let points: Vec<Point> = run.iter().map(|&(at, value)| self.place(at as f64, value)).collect();
            self.drawing.line(ink, points);
        }
        let finite = |at: usize| kept.get(at).is_some_and(|(_, value)| value.is_finite());
        for (index, &(at, value)) in kept.iter().enumerate().filter(|(_, (_, value))| value.is_finite()) {
            // Of many points, those that no line goes through.
            let is_alone = !finite(index.wrapping_sub(1)) && !finite(index + 1);
            if values.len() <= MARKED || is_alone {
                self.drawing.mark(
                    series,
                    self.place(at as f64, value),
                    format!("{name}, epoch {at}: {value:.4}"),
                );
            }
        }
    }

    pub(crate) fn place(&self, x: f64, y: f64) -> Point {
        place(&self.x, &self.y, x, y)
    }
}

fn place(x_axis: &Axis, y_axis: &Axis, x: f64, y: f64) -> Point {
    let [width, height] = [WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM];
    [LEFT + width * x_axis.place(x), TOP + height * (1.0 - y_axis.place(y))]
}

/// The values with their places from 1. Of many, each stretch is its least and its greatest one, so that nothing that stands out
/// is lost; a stretch with one that is not finite has that too.
fn thinned(values: &[f64]) -> Vec<(usize, f64)> {
    let all = || values.iter().enumerate().map(|(index, &value)| (index + 1, value));
    if values.len() <= POINTS {
        return all().collect();
    }
    let all: Vec<_> = all().collect();
    let mut kept = Vec::new();
    for stretch in all.chunks(values.len().div_ceil(POINTS / 2)) {
        let mut of_stretch: Vec<_> =
            stretch.iter().find(|(_, value)| !value.is_finite()).copied().into_iter().collect();
        let finite = || stretch.iter().filter(|(_, value)| value.is_finite()).copied();
        of_stretch.extend(finite().min_by(|a, b| a.1.total_cmp(&b.1)));
        of_stretch.extend(finite().max_by(|a, b| a.1.total_cmp(&b.1)));
        of_stretch.sort_by_key(|&(at, _)| at);
        of_stretch.dedup_by_key(|&mut (at, _)| at);
        kept.extend(of_stretch);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawing::Shape;

    #[test]
    fn many_points_are_thinned_without_losing_peaks() {
        let mut values = vec![1.0; 10_000];
        values[1234] = 9.0;
        values[5000] = f64::NAN;
        values[7777] = -3.0;
        let kept = thinned(&values);
        assert!(kept.len() <= 601, "{}", kept.len());
        assert!(kept.contains(&(1235, 9.0)) && kept.contains(&(7778, -3.0)));
        assert!(kept.iter().any(|&(at, value)| at == 5001 && value.is_nan()));
        assert!(kept.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn a_value_that_is_no_number_is_a_gap() {
        let axis = || Axis::around([0.0, 1.0], 5).unwrap();
        let mut panel = Panel::new(Axis::counting(5, 6), "epoch", axis(), "loss", [false; 2]);
        panel.drawing.shapes.clear();
        panel.curve(0, "training", &[0.1, 0.2, f64::NAN, 0.4, f64::INFINITY]);
        let lines = panel.drawing.shapes.iter().filter(|shape| matches!(shape, Shape::Line { .. })).count();
        let marks = panel.drawing.shapes.iter().filter(|shape| matches!(shape, Shape::Mark { .. })).count();
        assert_eq!((lines, marks), (1, 3));
    }
}
