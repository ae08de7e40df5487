//! Two labeled axes and the data between them.

use crate::axis::Axis;
use crate::palette::Color;
use crate::scene::{Anchor, Point, Scene};

/// The size with labels and titles. Pages show it at most at this size, so that text is as large as in tables.
pub(crate) const WIDTH: f32 = 440.0;
pub(crate) const HEIGHT: f32 = 270.0;

const LEFT: f32 = 58.0;
const RIGHT: f32 = 20.0;
const TOP: f32 = 32.0;
const BOTTOM: f32 = 44.0;

/// The width of a character, about.
const CHARACTER: f32 = 7.5;

/// Ticks that an axis has room for.
pub(crate) const TICKS: usize = 6;

/// The largest number of points of a curve. More cannot be told apart.
const POINTS: usize = 400;

/// The largest number of points that have markers.
const MARKED: usize = 30;

/// The largest number of characters of a label at a curve's end, and the distance between two labels.
const LABEL_LEN: usize = 12;
const LABEL_HEIGHT: f32 = 14.0;

/// A named curve: its series number, its name, its values.
pub(crate) type Curve<'a> = (usize, &'a str, &'a [f64]);

/// Which points of a curve have a visible marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Markers {
    /// Every point of a short curve.
    All,
    /// The last point. The others of a short curve have one that shows under the pointer.
    Last,
}

pub(crate) struct Axes {
    pub(crate) scene: Scene,
    x: Axis,
    y: Axis,
    right: f32,
}

impl Axes {
    /// Axes with their titles. `end_labels` are the names that need room to the right of the data.
    pub(crate) fn new(
        (x, x_title): (Axis, &str),
        (y, y_title): (Axis, &str),
        are_percent: [bool; 2],
        end_labels: &[&str],
    ) -> Self {
        let longest = end_labels.iter().map(|name| short(name).chars().count()).max();
        let right = WIDTH - longest.map_or(RIGHT, |longest| 14.0 + CHARACTER * longest as f32);
        let mut axes = Self { scene: Scene::new(WIDTH, HEIGHT), x, y, right };
        let bottom = HEIGHT - BOTTOM;
        for (&tick, label) in axes.y.ticks.clone().iter().zip(axes.y.labels(are_percent[1])) {
            let [_, y] = axes.point(axes.x.low, tick);
            axes.scene.line(Color::Grid, [[LEFT, y], [right, y]]);
            axes.scene.text(Color::Muted, [LEFT - 6.0, y + 4.5], Anchor::End, label);
        }
        for (&tick, label) in axes.x.ticks.clone().iter().zip(axes.x.labels(are_percent[0])) {
            let [x, _] = axes.point(tick, axes.y.low);
            axes.scene.line(Color::Muted, [[x, bottom], [x, bottom + 4.0]]);
            axes.scene.text(Color::Muted, [x, bottom + 17.0], Anchor::Middle, label);
        }
        axes.scene.line(Color::Muted, [[LEFT, bottom], [right, bottom]]);
        axes.scene.text(Color::Text, [(LEFT + right) / 2.0, HEIGHT - 8.0], Anchor::Middle, x_title);
        axes.scene.text(Color::Text, [4.0, 15.0], Anchor::Start, y_title);
        axes
    }

    /// Axes that say that there are no data.
    pub(crate) fn empty(x: (Axis, &str), y_title: &str) -> Self {
        let y = Axis { low: 0.0, high: 1.0, ticks: Vec::new() };
        let mut axes = Self::new(x, (y, y_title), [false, false], &[]);
        let middle = [(LEFT + axes.right) / 2.0, (TOP + HEIGHT - BOTTOM) / 2.0];
        axes.scene.text(Color::Text, middle, Anchor::Middle, "no finite numbers");
        axes
    }

    /// Adds a legend above the data, at the right.
    pub(crate) fn legend(&mut self, names: &[(usize, &str)]) {
        let width = |name: &str| 46.0 + CHARACTER * name.chars().count() as f32;
        let mut x = WIDTH - names.iter().map(|(_, name)| width(name)).sum::<f32>();
        for &(series, name) in names {
            self.scene.line(Color::Series(series), [[x, 11.0], [x + 24.0, 11.0]]);
            self.scene.marker(series, [x + 12.0, 11.0], name.to_owned());
            self.scene.text(Color::Text, [x + 30.0, 15.0], Anchor::Start, name);
            x += width(name);
        }
    }

    /// Adds a curve through the values at 1, 2, 3 and so on. A value that is not finite is a gap.
    pub(crate) fn curve(&mut self, (series, name, values): Curve<'_>, markers: Markers) {
        let kept = thinned(values);
        let color = Color::Series(series);
        for run in kept.split(|&(_, value)| !value.is_finite()).filter(|run| run.len() > 1) {
            let points: Vec<Point> = run.iter().map(|&(at, value)| self.point(at as f64, value)).collect();
            self.scene.line(color, points);
        }
        let finite = |at: usize| kept.get(at).is_some_and(|(_, value)| value.is_finite());
        let last = kept.iter().rposition(|(_, value)| value.is_finite());
        for (index, &(at, value)) in kept.iter().enumerate().filter(|(_, (_, value))| value.is_finite()) {
            // No line goes through such a point.
            let is_alone = !finite(index.wrapping_sub(1)) && !finite(index + 1);
            let is_short = values.len() <= MARKED;
            let (point, tooltip) = (self.point(at as f64, value), format!("{name}, epoch {at}: {value:.4}"));
            let is_shown = match markers {
                Markers::All => is_short,
                Markers::Last => last == Some(index),
            };
            if is_shown || is_alone {
                self.scene.marker(series, point, tooltip);
            } else if is_short {
                self.scene.hover_marker(series, point, tooltip);
            }
        }
    }

    /// Writes each curve's name beside its last point, above or below those of other curves.
    pub(crate) fn end_labels(&mut self, curves: &[Curve<'_>]) {
        let end = |&(series, name, values): &Curve<'_>| {
            let last = values.iter().rposition(|value| value.is_finite())?;
            Some((series, short(name), self.point((last + 1) as f64, values[last])))
        };
        let mut labels: Vec<_> = curves.iter().filter_map(end).collect();
        labels.sort_by(|(.., [_, a]), (.., [_, b])| a.total_cmp(b));
        let reach = |[x, _]: Point, [other, _]: Point| (x - other).abs() < CHARACTER * LABEL_LEN as f32;
        // Down, and where that leaves the axes up again.
        for index in 0..labels.len() {
            for above in 0..index {
                if reach(labels[index].2, labels[above].2) {
                    labels[index].2[1] = labels[index].2[1].max(labels[above].2[1] + LABEL_HEIGHT);
                }
            }
        }
        for index in (0..labels.len()).rev() {
            labels[index].2[1] = labels[index].2[1].min(HEIGHT - BOTTOM - 4.0);
            for below in index + 1..labels.len() {
                if reach(labels[index].2, labels[below].2) {
                    labels[index].2[1] = labels[index].2[1].min(labels[below].2[1] - LABEL_HEIGHT);
                }
            }
        }
        for (series, name, [x, y]) in labels {
            self.scene.text(Color::Series(series), [x + 7.0, y + 4.5], Anchor::Start, name);
        }
    }

    pub(crate) fn point(&self, x: f64, y: f64) -> Point {
        let [width, height] = [self.right - LEFT, HEIGHT - TOP - BOTTOM];
        [LEFT + width * self.x.fraction(x), TOP + height * (1.0 - self.y.fraction(y))]
    }
}

/// The first characters of a name.
fn short(name: &str) -> String {
    match name.chars().count() {
        ..=LABEL_LEN => name.to_owned(),
        _ => name.chars().take(LABEL_LEN - 1).chain(['…']).collect(),
    }
}

/// The values with their positions from 1. Of many values, the smallest and the largest of each section are kept, and one that is
/// not finite, so that no peak and no gap is lost.
fn thinned(values: &[f64]) -> Vec<(usize, f64)> {
    let all: Vec<_> = values.iter().enumerate().map(|(index, &value)| (index + 1, value)).collect();
    if values.len() <= POINTS {
        return all;
    }
    let mut kept = Vec::new();
    for section in all.chunks(values.len().div_ceil(POINTS / 2)) {
        let mut of_section: Vec<_> =
            section.iter().find(|(_, value)| !value.is_finite()).copied().into_iter().collect();
        let finite = || section.iter().filter(|(_, value)| value.is_finite()).copied();
        of_section.extend(finite().min_by(|a, b| a.1.total_cmp(&b.1)));
        of_section.extend(finite().max_by(|a, b| a.1.total_cmp(&b.1)));
        of_section.sort_by_key(|&(at, _)| at);
        of_section.dedup_by_key(|&mut (at, _)| at);
        kept.extend(of_section);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Shape;

    fn axes() -> Axes {
        let y = Axis::around([0.0, 1.0], 5).unwrap();
        let mut axes = Axes::new((Axis::counting(5, 6), "Epoch"), (y, "Loss"), [false; 2], &["a run"]);
        axes.scene.shapes.clear();
        axes
    }

    #[test]
    fn thinning_keeps_peaks_and_gaps() {
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
    fn a_value_that_is_not_finite_is_a_gap() {
        for (markers, shown) in [(Markers::All, 3), (Markers::Last, 1)] {
            let mut axes = axes();
            axes.curve((0, "training", &[0.1, 0.2, f64::NAN, 0.4, f64::INFINITY]), markers);
            let count = |of: fn(&Shape) -> bool| axes.scene.shapes.iter().filter(|shape| of(shape)).count();
            assert_eq!(count(|shape| matches!(shape, Shape::Line { .. })), 1);
            assert_eq!(count(|shape| matches!(shape, Shape::Marker { .. })), 3);
            assert_eq!(count(|shape| matches!(shape, Shape::Marker { on_hover: false, .. })), shown);
        }
    }

    #[test]
    fn labels_of_equal_ends_are_below_each_other() {
        let mut axes = axes();
        let (low, high) = ([0.0; 5], [0.5; 5]);
        axes.end_labels(&[
            (0, "a", &low),
            (1, "b", &low),
            (2, "a name that is too long", &low),
            (3, "d", &high),
        ]);
        let places: Vec<(&str, f32)> = axes
            .scene
            .shapes
            .iter()
            .filter_map(|shape| match shape {
                Shape::Text { text, at, .. } => Some((text.as_str(), at[1])),
                _ => None,
            })
            .collect();
        assert_eq!(places.iter().map(|place| place.0).collect::<Vec<_>>(), ["d", "a", "b", "a name that…"]);
        assert!(places.windows(2).all(|pair| pair[1].1 - pair[0].1 >= LABEL_HEIGHT), "{places:?}");
        assert!(places[3].1 <= HEIGHT - BOTTOM + 4.5, "{places:?}");
    }
}
