//! The section of the confusion matrix, with the metrics of each class.

use std::cmp::Ordering;
use std::fmt::Write;

use ziffer_base::thousands;

use crate::confusion::{ClassMetrics, ConfusionMatrix};
use crate::escape::Escaped;
use crate::figures::{self, NUMBERED, Opacity};
use crate::html::{Section, number, percent, scrolling};
use crate::run::Run;
use crate::scene::Scene;
use crate::svg;

/// The largest number of classes of a table with all counts.
const TABLE: usize = 64;

/// The largest number of classes whose metrics are listed.
const LISTED: usize = 100;

/// The largest number of confusions that are listed, of a matrix whose numbers are shown and of a larger one.
const CONFUSED: usize = 10;
const CONFUSED_OF_MANY: usize = 30;

/// The section: the matrix as a table with colors, or of many classes as a figure; the most frequent confusions; the metrics.
pub(crate) fn section(run: &Run<'_>, scene: &Scene) -> Section {
    let confusion = run.assessment.confusion();
    let classes = confusion.classes();
    let table = || scrolling("Confusion matrix", &matrix(confusion, run.class_names));
    let mut body = String::new();
    if classes <= NUMBERED {
        body.push_str("<div class=\"beside\"><div>");
        body.push_str(&table());
        body.push_str("</div><div>");
        body.push_str(&confused(confusion, run.class_names));
        body.push_str("</div></div>");
        body.push_str(&metrics(confusion, run.class_names));
    } else {
        let figure = svg::inline(scene, &figures::matrix_title(run.assessment));
        // Writing to a string cannot fail.
        let _ = write!(
            body,
            "<figure class=\"matrix-figure\">{figure}<figcaption>Labels down, predictions across. Blue is the fraction of a label's \
             images that are classified correctly, orange the fraction that is classified as another class. The most frequent \
             confusion has the fullest orange.</figcaption></figure>"
        );
        if classes <= TABLE {
            let _ = write!(body, "<details><summary>All counts</summary>{}</details>", table());
        }
        body.push_str("<div class=\"beside\"><div>");
        body.push_str(&metrics(confusion, run.class_names));
        body.push_str("</div><div>");
        body.push_str(&confused(confusion, run.class_names));
        body.push_str("</div></div>");
    }
    Section { id: "confusion-matrix", title: "Confusion matrix", body }
}

fn matrix(confusion: &ConfusionMatrix, names: &[String]) -> String {
    let classes = confusion.classes();
    let opacity = Opacity::of(confusion);
    let attributes = match classes > NUMBERED {
        // The number of columns determines the size of the numbers in print.
        true => format!("class=\"matrix many\" style=\"--columns:{classes}\""),
        false => "class=\"matrix\"".to_owned(),
    };
    let mut out = format!(
        "<table {attributes}><caption>Test images by label (down) and prediction (across)</caption>\
         <thead><tr><th scope=\"col\">Label</th>"
    );
    for name in names {
        // Writing to a string cannot fail.
        let _ = write!(out, "<th scope=\"col\">{}</th>", Escaped(name));
    }
    out.push_str("</tr></thead><tbody>");
    for (label, name) in names.iter().enumerate() {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", Escaped(name));
        let samples = confusion.metrics(label).samples;
        for prediction in 0..classes {
            let count = confusion.count(label, prediction);
            if count == 0 {
                out.push_str("<td class=\"zero\">·</td>");
                continue;
            }
            let is_correct = label == prediction;
            let class = if is_correct { "correct" } else { "wrong" };
            let opacity = opacity.at(is_correct, count as f64 / samples as f64);
            let _ = write!(out, "<td class=\"{class}\" style=\"--a:{opacity:.2}\">{count}</td>");
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table>");
    out
}

fn metrics(confusion: &ConfusionMatrix, names: &[String]) -> String {
    let mut classes: Vec<(usize, ClassMetrics)> =
        (0..confusion.classes()).map(|class| (class, confusion.metrics(class))).collect();
    let caption = if classes.len() > LISTED {
        // Classes that never occur come last.
        let f1 = |(_, metrics): &(usize, ClassMetrics)| metrics.f1.unwrap_or(2.0);
        classes.sort_by(|a, b| f1(a).partial_cmp(&f1(b)).unwrap_or(Ordering::Equal));
        classes.truncate(LISTED);
        format!("The {LISTED} classes with the lowest F1, of {}", confusion.classes())
    } else {
        "Metrics of each class, and their unweighted mean".to_owned()
    };
    let mut out = format!(
        "<table class=\"wide\"><caption>{caption}</caption><thead><tr><th scope=\"col\" class=\"words\">Class</th>\
         <th scope=\"col\">Images</th><th scope=\"col\">Precision</th><th scope=\"col\">Recall</th><th scope=\"col\">F1</th></tr></thead>\
         <tbody>"
    );
    let cell = |key: String, value: Option<f64>| match value {
        Some(value) => format!("<td>{}</td>", number(&key, value, &percent(value))),
        None => "<td>none</td>".to_owned(),
    };
    for (class, metrics) in classes {
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{}</td>{}{}{}</tr>",
            Escaped(&names[class]),
            thousands(metrics.samples),
            cell(format!("precision.{class}"), metrics.precision),
            cell(format!("recall.{class}"), metrics.recall),
            cell(format!("f1.{class}"), metrics.f1)
        );
    }
    let _ = write!(
        out,
        "</tbody><tfoot><tr><th scope=\"row\">Mean</th><td>{}</td>{}{}{}</tr></tfoot></table>",
        thousands(confusion.samples()),
        cell("precision.mean".to_owned(), confusion.mean(|class| class.precision)),
        cell("recall.mean".to_owned(), confusion.mean(|class| class.recall)),
        cell("f1.mean".to_owned(), confusion.mean(|class| class.f1))
    );
    scrolling("Metrics of each class", &out)
}

fn confused(confusion: &ConfusionMatrix, names: &[String]) -> String {
    let confused = confusion.confused();
    if confused.is_empty() {
        return "<p>There are no confusions.</p>".to_owned();
    }
    let mut out = "<table class=\"wide\"><caption>Most frequent confusions</caption><thead><tr>\
        <th scope=\"col\" class=\"words\">Label</th><th scope=\"col\" class=\"words\">Prediction</th><th scope=\"col\">Images</th>\
        <th scope=\"col\">Of the label's images</th></tr></thead><tbody>"
        .to_owned();
    let listed = if confusion.classes() > NUMBERED { CONFUSED_OF_MANY } else { CONFUSED };
    for (label, prediction, count) in confused.into_iter().take(listed) {
        let fraction = count as f64 / confusion.metrics(label).samples as f64;
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "<tr><th scope=\"row\">{}</th><td class=\"words\">{}</td><td>{}</td><td>{}</td></tr>",
            Escaped(&names[label]),
            Escaped(&names[prediction]),
            thousands(count),
            percent(fraction)
        );
    }
    out.push_str("</tbody></table>");
    scrolling("Most frequent confusions", &out)
}
