//! The figures of a run: curves, reliability diagram, confusion matrix.

use crate::assessment::Assessment;
use crate::axes::{Axes, Curve, Markers, TICKS};
use crate::axis::Axis;
use crate::calibration::{BINS, Calibration};
use crate::confusion::ConfusionMatrix;
use crate::history::RunHistory;
use crate::palette::{Color, SERIES};
use crate::scene::{Anchor, Scene};

/// A metric of curves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    Loss,
    Accuracy,
}

/// The losses of a run, and its accuracies.
pub(crate) fn run_curves(history: &RunHistory<'_>) -> [Scene; 2] {
    let scene = |metric, training, validation| {
        let curves: [Curve<'_>; 2] = [(0, "training", training), (1, "validation", validation)];
        let curves = if validation.is_empty() { &curves[..1] } else { &curves };
        let mut axes = metric_axes(metric, curves, &[]);
        curves.iter().for_each(|&curve| axes.curve(curve, Markers::All));
        let names: Vec<_> = curves.iter().map(|&(series, name, _)| (series, name)).collect();
        axes.legend(&names);
        axes.scene
    };
    [
        scene(Metric::Loss, history.loss, history.val_loss),
        scene(Metric::Accuracy, history.accuracy, history.val_accuracy),
    ]
}

/// A metric of several runs, with the runs' names at the curves' ends.
pub(crate) fn compared_curves(metric: Metric, curves: &[Curve<'_>]) -> Scene {
    let names: Vec<&str> = curves.iter().map(|&(_, name, _)| name).collect();
    let has_labels = curves.len() <= SERIES;
    let mut axes = metric_axes(metric, curves, if has_labels { &names } else { &[] });
    // A short curve is drawn over a long one, and a dashed one over a solid one of the same length, so that equal values do not hide
    // a run.
    let mut by_length = curves.to_vec();
    by_length.sort_by_key(|(.., values)| std::cmp::Reverse(values.len()));
    by_length.iter().for_each(|&curve| axes.curve(curve, Markers::Last));
    if has_labels {
        axes.end_labels(curves);
    }
    axes.scene
}

/// Axes for curves by epoch. The axis of the loss begins at 0.
fn metric_axes(metric: Metric, curves: &[Curve<'_>], end_labels: &[&str]) -> Axes {
    let epochs = curves.iter().map(|(_, _, values)| values.len()).max().unwrap_or(0);
    let x = (Axis::counting(epochs.max(1), TICKS), "Epoch");
    let values = || curves.iter().flat_map(|(_, _, values)| values.iter().copied());
    let (title, is_percent, zero) = match metric {
        Metric::Loss => ("Loss", false, values().any(f64::is_finite).then_some(0.0)),
        Metric::Accuracy => ("Accuracy", true, None),
    };
    match Axis::around(values().chain(zero), TICKS - 1) {
        Some(y) => Axes::new(x, (y, title), [false, is_percent], end_labels),
        None => Axes::empty(x, title),
    }
}

/// The reliability diagram: the accuracy of each bin, beside its confidence.
pub(crate) fn reliability(calibration: &Calibration) -> Scene {
    let (x, y) = ((Axis::unit(), "Confidence"), (Axis::unit(), "Accuracy"));
    let mut axes = Axes::new(x, y, [true, true], &[]);
    let mut bars = Vec::new();
    for (index, bin) in calibration.bins().iter().enumerate() {
        if let Some(accuracy) = bin.accuracy() {
            let [left, top] = axes.point(index as f64 / BINS as f64, accuracy);
            let [right, bottom] = axes.point((index + 1) as f64 / BINS as f64, 0.0);
            bars.push([left + 0.5, top, right - left - 1.0, bottom - top]);
        }
    }
    axes.scene.rects(Color::Correct, 0.75, bars);
    let ideal = [axes.point(0.0, 0.0), axes.point(1.0, 1.0)];
    axes.scene.line(Color::Muted, ideal);
    for bin in calibration.bins() {
        if let Some((confidence, accuracy)) = bin.confidence().zip(bin.accuracy()) {
            let tooltip = format!(
                "{} images: confidence {:.1}%, accuracy {:.1}%",
                bin.samples,
                100.0 * confidence,
                100.0 * accuracy
            );
            let at = axes.point(confidence, accuracy);
            axes.scene.marker(1, at, tooltip);
        }
    }
    axes.scene
}

/// The largest number of classes of a matrix that shows its numbers.
pub(crate) const NUMBERED: usize = 20;

/// The number of opacities of a color.
const LEVELS: usize = 12;

/// The least fraction of a label's images that has the full color of wrong predictions. In a matrix almost without mistakes, the most
/// frequent confusion stays pale.
const FULL_COLOR: f64 = 0.02;

/// The opacities of a confusion matrix.
pub(crate) struct Opacity {
    /// The fraction of a label's images in the most frequent confusion.
    largest: f64,
}

impl Opacity {
    pub(crate) fn of(confusion: &ConfusionMatrix) -> Self {
        let confused = confusion.cells().filter(|(label, prediction, ..)| label != prediction);
        Self { largest: confused.map(|(.., fraction)| fraction).fold(FULL_COLOR, f64::max) }
    }

    /// The opacity, above 0 to 1, of a cell with this fraction of its label's images. That of a correct prediction is the fraction,
    /// that of a wrong one the square root of its ratio to the most frequent confusion, since most are rare.
    pub(crate) fn at(&self, is_correct: bool, fraction: f64) -> f64 {
        let exact = if is_correct { fraction } else { (fraction / self.largest).sqrt() };
        ((exact * LEVELS as f64).ceil() / LEVELS as f64).clamp(0.0, 1.0)
    }
}

/// The confusion matrix as squares: labels down, predictions across.
pub(crate) fn matrix(confusion: &ConfusionMatrix, names: &[String]) -> Scene {
    let classes = confusion.classes();
    let is_numbered = classes <= NUMBERED;
    // Names of ordinary length are whole.
    let shown: Vec<String> = names.iter().map(|name| name.chars().take(12).collect()).collect();
    let longest = shown.iter().map(|name| name.chars().count()).max().unwrap_or(1) as f32;
    let are_short = longest <= 4.0;
    let digits = confusion.samples().to_string().len() as f32;
    let side =
        if is_numbered { (8.0 + 7.5 * digits).max(36.0) } else { (620.0 / classes as f32).clamp(0.5, 14.0) };
    let has_grid = side >= 12.0;
    // As many names as there is room for.
    let step = if is_numbered { 1 } else { ((14.0_f32).max(7.5 * longest + 4.0) / side).ceil() as usize };
    let (left, top) = (34.0 + 7.5 * longest, if are_short { 44.0 } else { 30.0 + 7.5 * longest });
    let extent = side * classes as f32;
    let mut scene = Scene::new((left + extent + 12.0).max(190.0), (top + extent + 12.0).max(110.0));
    let middle = extent / 2.0;
    scene.text(Color::Text, [left + middle, 16.0], Anchor::Middle, "Prediction");
    scene.text(Color::Text, [16.0, top + middle], Anchor::Upwards, "Label");
    let corner =
        |label: usize, prediction: usize| [left + side * prediction as f32, top + side * label as f32];
    let opacity = Opacity::of(confusion);
    // All squares of one color are one shape, which keeps the file of many classes small.
    for (is_correct, color) in [(true, Color::Correct), (false, Color::Wrong)] {
        for level in 1..=LEVELS {
            let of_level = confusion.cells().filter(|&(label, prediction, _, fraction)| {
                let opacity = opacity.at(is_correct, fraction);
                (label == prediction) == is_correct && (opacity * LEVELS as f64).round() as usize == level
            });
            let squares = of_level.map(|(label, prediction, ..)| {
                let [x, y] = corner(label, prediction);
                [x, y, side, side]
            });
            scene.rects(color, level as f32 / LEVELS as f32, squares.collect());
        }
    }
    let lines = if has_grid { 0..=classes } else { 0..=0 };
    for line in lines.chain([classes]) {
        let at = side * line as f32;
        scene.line(Color::Grid, [[left + at, top], [left + at, top + extent]]);
        scene.line(Color::Grid, [[left, top + at], [left + extent, top + at]]);
    }
    if is_numbered {
        for (label, prediction, count, _) in confusion.cells() {
            let [x, y] = corner(label, prediction);
            let at = [x + side / 2.0, y + side / 2.0 + 4.5];
            scene.text(Color::Text, at, Anchor::Middle, count.to_string());
        }
    }
    for (class, name) in shown.iter().enumerate().step_by(step) {
        let [x, y] = corner(class, class);
        scene.text(Color::Muted, [left - 7.0, y + side / 2.0 + 4.5], Anchor::End, name);
        let across = if are_short { Anchor::Middle } else { Anchor::Upwards };
        let at = if are_short {
            [x + side / 2.0, top - 8.0]
        } else {
            [x + side / 2.0 + 4.5, top - 8.0 - 3.75 * name.chars().count() as f32]
        };
        scene.text(Color::Muted, at, across, name);
    }
    scene
}

/// The confusion matrix in one sentence, for screen readers.
pub(crate) fn matrix_title(assessment: &Assessment) -> String {
    let confusion = assessment.confusion();
    format!(
        "Confusion matrix of {} classes: {} of {} test images are classified correctly",
        confusion.classes(),
        confusion.correct(),
        confusion.samples()
    )
}
