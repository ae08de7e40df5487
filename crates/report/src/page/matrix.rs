//! The confusion matrix on a run's page, with the metrics of each class.

use std::cmp::Ordering;
use std::fmt::Write;

use ziffer_base::thousands;

use crate::confusion::{ClassMetrics, Confusion};
use crate::drawing::Drawing;
use crate::escape::Escaped;
use crate::figures::{self, NUMBERED, Strength};
use crate::page::{number, percent, scrolling};
use crate::run::Run;
use crate::svg;

/// Classes up to which all counts are in a table.
const TABLE: usize = 64;

/// Classes whose metrics are listed at most.
const LISTED: usize = 100;

/// Confusions that are listed at most.
const CONFUSED: usize = 10;

/// The same where there are many classes.
const CONFUSED_OF_MANY: usize = 30;

/// The matrix: of few classes as a table in colours, of many as a figure, with the table folded away if it is not too large.
pub(crate) fn section(run: &Run<'_>, drawing: &Drawing) -> String {
    let confusion = run.assessment.confusion();
    let classes = confusion.classes();
    let mut out = "<section><h2>Confusion matrix</h2>".to_owned();
    let table = || scrolling("Confusion matrix", &matrix(confusion, run.class_names));
    if classes <= NUMBERED {
        out.push_str(&table());
    } else {
        let figure = svg::inline(drawing, &figures::matrix_title(run.assessment));
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "<figure style=\"max-width:44rem\">{figure}<figcaption>Labels down, predictions across. Blue: the share of a label's \
             pictures that are right. Orange: those that are not, the most frequent confusion the strongest.</figcaption></figure>"
        );
        if classes <= TABLE {
            let _ = write!(out, "<details><summary>All counts</summary>{}</details>", table());
        }
    }
    out.push_str("<div class=\"pair\"><div>");
    out.push_str(&metrics(confusion, run.class_names));
    out.push_str("</div><div>");
    out.push_str(&confused(confusion, run.class_names));
    out.push_str("</div></div></section>");
    out
}

fn matrix(confusion: &Confusion, names: &[String]) -> String {
    let classes = confusion.classes();
    let strength = Strength::of(confusion);
    let form = match classes > NUMBERED {
        // The columns decide how small the numbers are in print.
        true => format!("class=\"matrix many\" style=\"--columns:{classes}\""),
        false => "class=\"matrix\"".to_owned(),
    };
    let mut out = format!(
        "<table {form}><caption>Test pictures by label (down) and prediction (across)</caption>\
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
                out.push_str("<td class=\"none\">0</td>");
                continue;
            }
            let is_hit = label == prediction;
            let class = if is_hit { "hit" } else { "miss" };
            let strength = strength.at(is_hit, count as f64 / samples as f64);
            let _ = write!(out, "<td class=\"{class}\" style=\"--a:{strength:.2}\">{count}</td>");
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table>");
    out
}

fn metrics(confusion: &Confusion, names: &[String]) -> String {
    let mut classes: Vec<(usize, ClassMetrics)> =
        (0..confusion.classes()).map(|class| (class, confusion.metrics(class))).collect();
    let caption = if classes.len() > LISTED {
        // Those that never occur last.
        let f1 = |(_, metrics): &(usize, ClassMetrics)| metrics.f1.unwrap_or(2.0);
        classes.sort_by(|a, b| f1(a).partial_cmp(&f1(b)).unwrap_or(Ordering::Equal));
        classes.truncate(LISTED);
        format!("The {LISTED} classes with the least F1, of {}", confusion.classes())
    } else {
        "Each class, and their unweighted mean".to_owned()
    };
    let mut out = format!(
        "<table><caption>{caption}</caption><thead><tr><th scope=\"col\" class=\"words\">Class</th><th scope=\"col\">Pictures</th>\
         <th scope=\"col\">Precision</th><th scope=\"col\">Recall</th><th scope=\"col\">F1</th></tr></thead><tbody>"
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

fn confused(confusion: &Confusion, names: &[String]) -> String {
    let confused = confusion.confused();
    if confused.is_empty() {
        return "<p>No class was taken for another.</p>".to_owned();
    }
    let mut out = "<table><caption>Most frequent confusions, and their share of the label's pictures</caption><thead><tr>\
        <th scope=\"col\" class=\"words\">Label</th><th scope=\"col\" class=\"words\">Taken for</th><th scope=\"col\">Pictures</th>\
        <th scope=\"col\">Share</th></tr></thead><tbody>"
        .to_owned();
    let listed = if confusion.classes() > NUMBERED { CONFUSED_OF_MANY } else { CONFUSED };
    for (label, prediction, count) in confused.into_iter().take(listed) {
        let share = count as f64 / confusion.metrics(label).samples as f64;
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "<tr><th scope=\"row\">{}</th><td class=\"words\">{}</td><td>{}</td><td>{}</td></tr>",
            Escaped(&names[label]),
            Escaped(&names[prediction]),
            thousands(count),
            percent(share)
        );
    }
    out.push_str("</tbody></table>");
    scrolling("Most frequent confusions", &out)
}
