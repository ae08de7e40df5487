//! The other sections of a run's page: curves, worst mistakes, calibration, the first layer's weights.

use std::fmt::Write;

use ziffer_base::thousands;

use crate::calibration::BINS;
use crate::escape::Escaped;
use crate::history::RunHistory;
use crate::html::{Section, number, percent, scrolling};
use crate::run::Run;
use crate::scene::Scene;
use crate::thumbnail::{PngColor, data_url, png};
use crate::{figures, svg, weights};

/// The largest number of epochs in the table.
const LISTED: usize = 200;

/// The curves (loss, accuracy), and a table of the epochs.
pub(crate) fn curves(run: &Run<'_>, [loss, accuracy]: [&Scene; 2]) -> Section {
    let has_validation = !run.history.val_loss.is_empty();
    let sets = if has_validation { "training and validation" } else { "training" };
    let figure = |scene, metric| {
        let title = format!("{metric} by epoch, {sets}");
        format!("<figure class=\"chart\">{}</figure>", svg::inline(scene, &title))
    };
    let note = if has_validation {
        "Training metrics are means over the epoch, computed before each update of the weights. Validation metrics are computed after \
         the epoch."
    } else {
        "Training metrics are means over the epoch, computed before each update of the weights. There is no validation set."
    };
    let body = format!(
        "<div class=\"charts\">{}{}</div><p class=\"note\">{note} The axis of the accuracy does not begin at 0%.</p>{}",
        figure(loss, "Loss"),
        figure(accuracy, "Accuracy"),
        epochs(&run.history)
    );
    Section { id: "curves", title: "Curves", body }
}

/// A table of the epochs. A long one is folded.
fn epochs(history: &RunHistory<'_>) -> String {
    let series = history.series();
    let mut table =
        "<table class=\"wide\"><thead><tr><th scope=\"col\" class=\"words\">Epoch</th>".to_owned();
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
    let table = scrolling("Metrics of each epoch", &table);
    match history.epochs() {
        0..=10 => table,
        11..=LISTED => format!("<details><summary>Metrics of each epoch</summary>{table}</details>"),
        _ => format!(
            "<details><summary>Metrics of the last {LISTED} epochs (history.csv has all)</summary>{table}</details>"
        ),
    }
}

/// The gallery of the worst mistakes.
pub(crate) fn mistakes(run: &Run<'_>) -> Section {
    let section = |body| Section { id: "mistakes", title: "Worst mistakes", body };
    let confusion = run.assessment.confusion();
    let mistakes = confusion.samples() - confusion.correct();
    let gallery = run.assessment.mistakes_with_images();
    if mistakes == 0 {
        return section("<p>None: every test image is classified correctly.</p>".to_owned());
    }
    let which = match gallery.iter().len() {
        1 => "The only mistake".to_owned(),
        shown if shown == mistakes => format!("All {shown} mistakes"),
        shown => format!("The {shown} worst of {} mistakes", thousands(mistakes)),
    };
    let mut body = format!(
        "<p>{which}, in ascending order of the label's probability. Each number is a row of the test set.</p><ul class=\"gallery\">"
    );
    for (mistake, thumbnail) in gallery.iter() {
        let (rows, columns) = (thumbnail.rows, thumbnail.columns);
        let url = data_url(&png(columns, rows, PngColor::Gray, &thumbnail.bytes()));
        let [label, prediction] =
            [mistake.label, mistake.prediction].map(|class| Escaped(&run.class_names[class]));
        let sample = mistake.sample;
        // Writing to a string cannot fail.
        let _ = write!(
            body,
            "<li><figure data-sample=\"{sample}\"><img src=\"{url}\" width=\"{columns}\" height=\"{rows}\" \
             alt=\"Test image {sample}: {label} taken for {prediction}\"><figcaption>\
             <b>{label}</b> taken for <b>{prediction}</b><br>{}<br><small>no. {sample}</small></figcaption></figure></li>",
            number("confidence", f64::from(mistake.confidence), &confidence(mistake.confidence)),
        );
    }
    body.push_str("</ul>");
    section(body)
}

/// A confidence in percent. It is below 100% even where an `f32` rounds it to that.
fn confidence(confidence: f32) -> String {
    match 100.0 * confidence {
        percent if percent.is_nan() => "confidence NaN".to_owned(),
        percent if percent >= 99.95 => "confidence &gt;99.9%".to_owned(),
        percent => format!("confidence {percent:.1}%"),
    }
}

/// The reliability diagram and its numbers.
pub(crate) fn calibration(run: &Run<'_>) -> Section {
    let section = |body| Section { id: "calibration", title: "Calibration", body };
    let calibration = run.assessment.calibration();
    let Some((error, confidence)) = calibration.expected_error().zip(calibration.confidence()) else {
        return section("<p>The confidence of every prediction is NaN.</p>".to_owned());
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
    let without = match calibration.without_confidence() {
        0 => String::new(),
        1 => " One prediction with a confidence of NaN is left out.".to_owned(),
        some => format!(" {} predictions with a confidence of NaN are left out.", thousands(some)),
    };
    let table = format!(
        "<table class=\"range wide\"><thead><tr><th scope=\"col\" class=\"words\">Confidence</th><th scope=\"col\">Images</th>\
         <th scope=\"col\">Mean confidence</th><th scope=\"col\">Accuracy</th></tr></thead><tbody>{rows}</tbody></table>"
    );
    section(format!(
        "<p>The expected calibration error is {}, over {BINS} bins (Guo et al., 2017). The mean confidence is {}, the accuracy \
         {}.{without}</p><div class=\"charts\"><figure class=\"chart\">{}<figcaption>Bars are the accuracy of a bin's predictions. \
         Squares are the same accuracy at the bin's mean confidence. A calibrated model's squares lie on the line. Above the line, the \
         confidence is too low, below it, too high.</figcaption></figure><div>{}</div></div>",
        number("expected_calibration_error", error, &percent(error)),
        number("mean_confidence", confidence, &percent(confidence)),
        percent(run.assessment.confusion().accuracy()),
        svg::inline(&figures::reliability(calibration), &title),
        scrolling("Predictions by confidence", &table)
    ))
}

/// The first layer's weights.
pub(crate) fn weights(run: &Run<'_>) -> Option<Section> {
    let kernel = run.kernel.filter(|kernel| kernel.ncols() > 0)?;
    let strips = weights::strips(kernel, run.assessment.shape());
    let units = match (strips.units, kernel.ncols()) {
        (1, 1) => "the only unit".to_owned(),
        (shown, all) if shown == all => format!("all {all} units"),
        (shown, all) => format!("the first {shown} of {} units", thousands(all)),
    };
    let mut images = String::new();
    for (index, strip) in strips.pngs.iter().enumerate() {
        let first = index * strips.across;
        let last = strips.units.min(first + strips.across) - 1;
        let label = if first == last { format!("unit {first}") } else { format!("units {first} to {last}") };
        // Writing to a string cannot fail.
        let _ = write!(
            images,
            "<img src=\"{}\" width=\"{}\" height=\"{}\" title=\"{label}\" alt=\"Weights of {label}\">",
            data_url(strip),
            strips.width,
            strips.height
        );
    }
    // Small images are not enlarged beyond recognition.
    let widest = 3 * strips.width;
    let body = format!(
        "<figure><div class=\"weights\" style=\"--widest:{widest}px\">{images}</div><figcaption>The weights of {units}, each in the \
         shape of the image, from unit 0, {} to a strip.<br>{:.3} <span class=\"colorbar\"></span> +{:.3} and \
         beyond</figcaption></figure>",
        strips.across, -strips.strongest, strips.strongest
    );
    Some(Section { id: "weights", title: "First layer", body })
}

#[cfg(test)]
mod tests {
    use super::confidence;

    #[test]
    fn no_confidence_is_100_percent() {
        assert_eq!([0.5, 0.9994].map(confidence), ["confidence 50.0%", "confidence 99.9%"]);
        assert_eq!([0.9995, 0.999_999, 1.0].map(confidence), ["confidence &gt;99.9%"; 3]);
        assert_eq!(confidence(f32::NAN), "confidence NaN");
    }
}
