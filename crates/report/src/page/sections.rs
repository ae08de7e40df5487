//! The parts of a run's page, but for the confusion matrix.

use std::fmt::Write;

use ziffer_base::thousands;

use crate::calibration::BINS;
use crate::drawing::Drawing;
use crate::escape::Escaped;
use crate::history::History;
use crate::page::{number, percent, scrolling};
use crate::picture::{Colours, data_address, png};
use crate::run::Run;
use crate::{figures, svg, weights};

/// Epochs that a page lists at most.
const LISTED: usize = 200;

/// The curves, and the numbers of each epoch.
pub(crate) fn curves(run: &Run<'_>, [loss, accuracy]: [&Drawing; 2]) -> String {
    let parts = if run.history.val_loss.is_empty() { "training" } else { "training and validation" };
    let figure = |drawing, what| {
        let title = format!("{what} by epoch, {parts}");
        format!("<figure class=\"panel\">{}</figure>", svg::inline(drawing, &title))
    };
    let note = if run.history.val_loss.is_empty() {
        "No validation part was set aside. Training is measured while the weights move, before each update."
    } else {
        "Training is measured while the weights move, before each update; validation after each epoch."
    };
    format!(
        "<section><h2>Curves</h2><div class=\"panels\">{}{}</div><p class=\"note\">{note}</p>{}</section>",
        figure(loss, "Loss"),
        figure(accuracy, "Accuracy"),
        epochs(&run.history)
    )
}

/// A table of the epochs, folded away where there are many.
fn epochs(history: &History<'_>) -> String {
    let series = history.series();
    let mut table = "<table><thead><tr><th scope=\"col\">Epoch</th>".to_owned();
    for (key, _) in &series {
        let name = match *key {
            "loss" => "Loss",
            "accuracy" => "Accuracy",
            "val_loss" => "Validation loss",
            "val_accuracy" => "Validation accuracy",
            "learning_rate" => "Learning rate",
            _ => "Seconds",
        };
        // Writing to a string cannot fail.
        let _ = write!(table, "<th scope=\"col\">{name}</th>");
    }
    table.push_str("</tr></thead><tbody>");
    let first = history.epochs().saturating_sub(LISTED);
    for epoch in first..history.epochs() {
        let _ = write!(table, "<tr><th scope=\"row\">{}</th>", epoch + 1);
        for (key, values) in &series {
            let value = values[epoch];
            let shown = match *key {
                "seconds" => format!("{value:.2}"),
                key if key.ends_with("accuracy") => percent(value),
                "learning_rate" => format!("{value:.3e}"),
                _ if value.abs() >= 1e5 => format!("{value:.3e}"),
                _ => format!("{value:.4}"),
            };
            let _ = write!(table, "<td>{}</td>", number(&format!("history.{key}.{epoch}"), value, &shown));
        }
        table.push_str("</tr>");
    }
    table.push_str("</tbody></table>");
    let table = scrolling("Numbers of each epoch", &table);
    match history.epochs() {
        0..=10 => table,
        11..=LISTED => format!("<details><summary>Numbers of each epoch</summary>{table}</details>"),
        _ => format!(
            "<details><summary>Numbers of the last {LISTED} epochs (history.csv has all)</summary>{table}</details>"
        ),
    }
}

/// The gallery of the worst mistakes.
pub(crate) fn mistakes(run: &Run<'_>) -> String {
    let confusion = run.assessment.confusion();
    let mistakes = confusion.samples() - confusion.hits();
    let gallery = run.assessment.gallery();
    if mistakes == 0 {
        return "<section><h2>Worst mistakes</h2><p>None: every test picture is right.</p></section>"
            .to_owned();
    }
    let which = match gallery.iter().len() {
        1 => "The only mistake".to_owned(),
        shown if shown == mistakes => format!("All {shown} mistakes"),
        shown => format!("The {shown} worst of {} mistakes", thousands(mistakes)),
    };
    let mut out = format!(
        "<section><h2>Worst mistakes</h2><p>{which}: those whose label was given the least probability come first.</p>\
         <ul class=\"gallery\">"
    );
    for (mistake, picture) in gallery.iter() {
        let (rows, columns) = (picture.rows, picture.columns);
        let address = data_address(&png(columns, rows, Colours::Grey, &picture.bytes()));
        let [label, prediction] =
            [mistake.label, mistake.prediction].map(|class| Escaped(&run.class_names[class]));
        let sample = mistake.sample;
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "<li><figure data-sample=\"{sample}\"><img src=\"{address}\" width=\"{columns}\" height=\"{rows}\" \
             alt=\"Test picture {sample}: {label} taken for {prediction}\"><figcaption>\
             <b>{label}</b> taken for <b>{prediction}</b><br>{}<br><small>no. {sample}</small></figcaption></figure></li>",
            number("confidence", f64::from(mistake.confidence), &sure(mistake.confidence)),
        );
    }
    out.push_str("</ul></section>");
    out
}

/// A confidence in percent; no softmax is certain, whatever a float rounds it to.
fn sure(confidence: f32) -> String {
    match 100.0 * confidence {
        percent if percent.is_nan() => "not a number".to_owned(),
        percent if percent >= 99.95 => "&gt; 99.9% sure".to_owned(),
        percent => format!("{percent:.1}% sure"),
    }
}

/// The reliability diagram and its numbers.
pub(crate) fn calibration(run: &Run<'_>) -> String {
    let calibration = run.assessment.calibration();
    let Some((error, confidence)) = calibration.expected_error().zip(calibration.confidence()) else {
        return "<section><h2>Calibration</h2><p>No prediction has a confidence that is a number.</p></section>".to_owned();
    };
    let title = format!("Reliability diagram: expected calibration error {}", percent(error));
    let mut rows = String::new();
    for (index, bin) in calibration.bins().iter().enumerate() {
        if let Some((confidence, accuracy)) = bin.confidence().zip(bin.accuracy()) {
            let edges = [index, index + 1].map(|edge| 100.0 * edge as f64 / BINS as f64);
            // Writing to a string cannot fail.
            let _ = write!(
                rows,
                "<tr><th scope=\"row\">{:.1}\u{2013}{:.1}%</th><td>{}</td><td>{}</td><td>{}</td></tr>",
                edges[0],
                edges[1],
                thousands(bin.samples),
                percent(confidence),
                percent(accuracy)
            );
        }
    }
    let left_out = match calibration.without_confidence() {
        0 => String::new(),
        1 => " One prediction whose confidence is no number is left out.".to_owned(),
        some => format!(" {} predictions whose confidence is no number are left out.", thousands(some)),
    };
    let table = format!(
        "<table class=\"range\"><thead><tr><th scope=\"col\" class=\"words\">Confidence</th><th scope=\"col\">Pictures</th>\
         <th scope=\"col\">Mean confidence</th><th scope=\"col\">Accuracy</th></tr></thead><tbody>{rows}</tbody></table>"
    );
    format!(
        "<section><h2>Calibration</h2><p>Expected calibration error {}, over {BINS} bins (Guo et al., 2017). Mean confidence {}, \
         accuracy {}.{left_out}</p><div class=\"panels\"><figure class=\"panel\">{}<figcaption>Bars: how often the predictions of a \
         bin are right. Squares: the same at their mean confidence. A calibrated network is on the line: above it, it is less sure \
         than it may be, below it, too sure.</figcaption></figure><div>{}</div></div></section>",
        number("expected_calibration_error", error, &percent(error)),
        number("mean_confidence", confidence, &percent(confidence)),
        percent(run.assessment.confusion().accuracy()),
        svg::inline(&figures::reliability(calibration), &title),
        scrolling("Predictions by confidence", &table)
    )
}

/// The first layer's weights.
pub(crate) fn weights(run: &Run<'_>) -> String {
    let Some(kernel) = run.kernel.filter(|kernel| kernel.ncols() > 0) else { return String::new() };
    let atlas = weights::atlas(kernel, run.assessment.shape());
    let units = match (atlas.units, kernel.ncols()) {
        (1, 1) => "the only unit".to_owned(),
        (shown, all) if shown == all => format!("all {all} units"),
        (shown, all) => format!("the first {shown} of {} units", thousands(all)),
    };
    // Twice as large where there is room.
    let (width, height) = (2 * atlas.width, 2 * atlas.height);
    let image = format!(
        "<img class=\"weights\" style=\"--least:{}px\" src=\"{}\" width=\"{width}\" height=\"{height}\" \
         alt=\"Weights of {units} as pictures\">",
        3 * atlas.width / 2,
        data_address(&atlas.png)
    );
    format!(
        "<section><h2>First layer</h2><figure>{}<figcaption>What {units} look for, {} to a row: blue weights are negative, orange ones \
         positive, the full colours are \u{b1}{:.3} and beyond.</figcaption></figure></section>",
        scrolling("Weights of the first layer", &image),
        atlas.across,
        atlas.strongest
    )
}

#[cfg(test)]
mod tests {
    use super::sure;

    #[test]
    fn nothing_is_certain() {
        assert_eq!([0.5, 0.9994].map(sure), ["50.0% sure", "99.9% sure"]);
        assert_eq!([0.9995, 0.999_999, 1.0].map(sure), ["&gt; 99.9% sure"; 3]);
        assert_eq!(sure(f32::NAN), "not a number");
    }
}
