//! The figures of a run: its curves, its calibration, its confusion matrix.

use crate::assessment::Assessment;
use crate::axis::Axis;
use crate::calibration::{BINS, Calibration};
use crate::confusion::Confusion;
use crate::drawing::{Anchor, Drawing};
use crate::history::History;
use crate::ink::Ink;
use crate::panel::{Panel, TICKS};

/// A curve: its number, its name, its values.
pub(crate) type Curve<'a> = (usize, &'a str, &'a [f64]);

/// The losses of a run, and its accuracies.
pub(crate) fn run_curves(history: &History<'_>) -> [Drawing; 2] {
    let panel = |y_name, training, validation, is_percent| {
        let curves: [Curve<'_>; 2] = [(0, "training", training), (1, "validation", validation)];
        let there = if validation.is_empty() { &curves[..1] } else { &curves };
        overlaid(y_name, there, is_percent, true)
    };
    [
        panel("loss", history.loss, history.val_loss, false),
        panel("accuracy", history.accuracy, history.val_accuracy, true),
    ]
}

/// Curves over each other, by epoch.
pub(crate) fn overlaid(y_name: &str, curves: &[Curve<'_>], is_percent: bool, has_legend: bool) -> Drawing {
    let epochs = curves.iter().map(|(_, _, values)| values.len()).max().unwrap_or(0);
    let x = Axis::counting(epochs.max(1), TICKS);
    let values = curves.iter().flat_map(|(_, _, values)| values.iter().copied());
    let mut panel = match Axis::around(values, TICKS - 1) {
        Some(y) => Panel::new(x, "epoch", y, y_name, [false, is_percent]),
        None => Panel::empty(x, "epoch", y_name),
    };
    for (series, name, values) in curves {
        panel.curve(*series, name, values);
    }
    if has_legend {
        let names: Vec<_> = curves.iter().map(|&(series, name, _)| (series, name)).collect();
        panel.legend(&names);
    }
    panel.drawing
}

/// The reliability diagram: how often each bin is right, beside how often it should be.
pub(crate) fn reliability(calibration: &Calibration) -> Drawing {
    let (x, y) = (Axis::shares(), Axis::shares());
    let mut panel = Panel::new(x, "confidence", y, "accuracy", [true, true]);
    let mut bars = Vec::new();
    for (index, bin) in calibration.bins().iter().enumerate() {
        if let Some(accuracy) = bin.accuracy() {
            let [left, top] = panel.place(index as f64 / BINS as f64, accuracy);
            let [right, bottom] = panel.place((index + 1) as f64 / BINS as f64, 0.0);
            bars.push([left + 0.5, top, right - left - 1.0, bottom - top]);
        }
    }
    panel.drawing.areas(Ink::Hit, 0.75, bars);
    let ideal = [panel.place(0.0, 0.0), panel.place(1.0, 1.0)];
    panel.drawing.line(Ink::Muted, ideal);
    for bin in calibration.bins() {
        if let Some((confidence, accuracy)) = bin.confidence().zip(bin.accuracy()) {
            let says = format!(
                "{} pictures: confidence {:.1}%, accuracy {:.1}%",
                bin.samples,
                100.0 * confidence,
                100.0 * accuracy
            );
            panel.drawing.mark(1, panel.place(confidence, accuracy), says);
        }
    }
    panel.drawing
}

/// Classes up to which a matrix has its numbers in it.
pub(crate) const NUMBERED: usize = 20;

/// Steps of a colour.
const LEVELS: usize = 12;

/// The share of a label's pictures that makes the strongest colour at least: in a matrix almost without confusions the most
/// frequent one is no alarm.
const ALARMING: f64 = 0.02;

/// How strong the colours of a matrix are.
pub(crate) struct Strength {
    /// The largest share of a label's pictures that were taken for one other class.
    largest: f64,
}

impl Strength {
    pub(crate) fn of(confusion: &Confusion) -> Self {
        let confused = confusion.shares().filter(|(label, prediction, ..)| label != prediction);
        Self { largest: confused.map(|(.., share)| share).fold(ALARMING, f64::max) }
    }

    /// That of a place with this share of its label's pictures, above 0 to 1: what is right by its share, what is wrong by the
    /// root of its part of the most frequent confusion, since it is rare.
    pub(crate) fn at(&self, is_hit: bool, share: f64) -> f64 {
        let exact = if is_hit { share } else { (share / self.largest).sqrt() };
        ((exact * LEVELS as f64).ceil() / LEVELS as f64).clamp(0.0, 1.0)
    }
}

/// The confusion matrix as squares: labels down, predictions across.
pub(crate) fn matrix(confusion: &Confusion, names: &[String]) -> Drawing {
    let classes = confusion.classes();
    let is_numbered = classes <= NUMBERED;
    // Names of ordinary length are shown whole.
    let shown: Vec<String> = names.iter().map(|name| name.chars().take(12).collect()).collect();
    let longest = shown.iter().map(|name| name.chars().count()).max().unwrap_or(1) as f32;
    let are_short = longest <= 4.0;
    let digits = confusion.samples().to_string().len() as f32;
    let side =
        if is_numbered { (8.0 + 7.0 * digits).max(36.0) } else { (620.0 / classes as f32).clamp(0.5, 14.0) };
    let has_grid = side >= 12.0;
    // As many names as there is room for.
    let step = if is_numbered { 1 } else { ((14.0_f32).max(7.0 * longest + 4.0) / side).ceil() as usize };
    let (left, top) = (34.0 + 7.0 * longest, if are_short { 44.0 } else { 30.0 + 7.0 * longest });
    let extent = side * classes as f32;
    let mut drawing = Drawing::new((left + extent + 12.0).max(190.0), (top + extent + 12.0).max(110.0));
    let middle = extent / 2.0;
    drawing.words(Ink::Text, [left + middle, 16.0], Anchor::Middle, "predicted");
    drawing.words(Ink::Text, [16.0, top + middle], Anchor::Upwards, "label");
    let corner =
        |label: usize, prediction: usize| [left + side * prediction as f32, top + side * label as f32];
    let strength = Strength::of(confusion);
    // All squares of one colour are one shape, which keeps many classes small.
    for (is_hit, ink) in [(true, Ink::Hit), (false, Ink::Miss)] {
        for level in 1..=LEVELS {
            let of_level = confusion.shares().filter(|&(label, prediction, _, share)| {
                let strength = strength.at(is_hit, share);
                (label == prediction) == is_hit && (strength * LEVELS as f64).round() as usize == level
            });
            let squares = of_level.map(|(label, prediction, ..)| {
                let [x, y] = corner(label, prediction);
                [x, y, side, side]
            });
            drawing.areas(ink, level as f32 / LEVELS as f32, squares.collect());
        }
    }
    let lines = if has_grid { 0..=classes } else { 0..=0 };
    for line in lines.chain([classes]) {
        let at = side * line as f32;
        drawing.line(Ink::Grid, [[left + at, top], [left + at, top + extent]]);
        drawing.line(Ink::Grid, [[left, top + at], [left + extent, top + at]]);
    }
    if is_numbered {
        for (label, prediction, count, _) in confusion.shares() {
            let [x, y] = corner(label, prediction);
            drawing.words(
                Ink::Text,
                [x + side / 2.0, y + side / 2.0 + 4.0],
                Anchor::Middle,
                count.to_string(),
            );
        }
    }
    for (class, name) in shown.iter().enumerate().step_by(step) {
        let [x, y] = corner(class, class);
        drawing.words(Ink::Muted, [left - 7.0, y + side / 2.0 + 4.0], Anchor::End, name);
        let across = if are_short { Anchor::Middle } else { Anchor::Upwards };
        let at = if are_short {
            [x + side / 2.0, top - 8.0]
        } else {
            [x + side / 2.0 + 4.0, top - 8.0 - 3.5 * name.chars().count() as f32]
        };
        drawing.words(Ink::Muted, at, across, name);
    }
    drawing
}

/// What a reader who does not see the matrix is told of it.
pub(crate) fn matrix_title(assessment: &Assessment) -> String {
    let confusion = assessment.confusion();
    format!(
        "Confusion matrix of {} classes: {} of {} test pictures are right",
        confusion.classes(),
        confusion.hits(),
        confusion.samples()
    )
}
