//! Several runs beside each other.

use std::fmt::Write;

use crate::drawing::{Drawing, MARK};
use crate::error::ReportError;
use crate::escape::Escaped;
use crate::figures::{Curve, overlaid};
use crate::ink::Ink;
use crate::page::{document, scrolling, value};
use crate::run::{Fact, Run};
use crate::svg;

/// A page of several runs: their curves over each other, their results, the settings that differ, and each class's F1.
///
/// # Errors
/// As for each run's report.
pub fn comparison(runs: &[Run<'_>]) -> Result<String, ReportError> {
    runs.iter().try_for_each(Run::check)?;
    let mut body = format!("<header><h1>{} runs side by side</h1></header>", runs.len());
    body.push_str(&results(runs));
    body.push_str(&curves(runs));
    body.push_str(&classes(runs));
    Ok(document(&format!("{} runs side by side", runs.len()), &body))
}

/// What stands for a run beside its name.
fn swatch(series: usize) -> String {
    let mut drawing = Drawing::new(40.0, 12.0);
    drawing.line(Ink::Series(series), [[2.0, 6.0], [38.0, 6.0]]);
    drawing.mark(series, [20.0, 2.8 + MARK], String::new());
    format!("<span class=\"swatch\" aria-hidden=\"true\">{}</span>", svg::inline(&drawing, ""))
}

/// The keys and names of facts in the order in which they first appear, without those that all runs have alike if `only_different`.
fn keys<'a>(
    runs: &'a [Run<'_>],
    of: impl Fn(&'a Run<'_>) -> &'a [Fact],
    only_different: bool,
) -> Vec<(&'a str, &'a str)> {
    let mut keys: Vec<(&str, &str)> = Vec::new();
    for fact in runs.iter().flat_map(&of) {
        if !keys.iter().any(|(key, _)| *key == fact.key) {
            keys.push((&fact.key, &fact.name));
        }
    }
    let value = |run: &'a Run<'_>, key: &str| find(of(run), key).map(|fact| fact.value.as_str());
    let differs = |key: &str| runs.iter().any(|run| value(run, key) != value(&runs[0], key));
    keys.retain(|(key, _)| !only_different || differs(key));
    keys
}

fn find<'a>(facts: &'a [Fact], key: &str) -> Option<&'a Fact> {
    facts.iter().find(|fact| fact.key == key)
}

/// A table with a line for each run.
fn results(runs: &[Run<'_>]) -> String {
    let results = keys(runs, |run| &run.results, false);
    let different = keys(runs, |run| &run.settings, true);
    let mut out = "<table class=\"runs\"><thead><tr><th scope=\"col\" class=\"words\">Run</th>".to_owned();
    for (_, name) in results.iter().chain(&different) {
        // Writing to a string cannot fail.
        let _ = write!(out, "<th scope=\"col\">{}</th>", Escaped(name));
    }
    out.push_str("</tr></thead><tbody>");
    for (series, run) in runs.iter().enumerate() {
        let _ = write!(
            out,
            "<tr data-run=\"{0}\"><th scope=\"row\">{1}{0}</th>",
            Escaped(run.name),
            swatch(series)
        );
        let facts = results.iter().map(|(key, _)| find(&run.results, key));
        for fact in facts.chain(different.iter().map(|(key, _)| find(&run.settings, key))) {
            let _ = write!(out, "<td>{}</td>", fact.map(value).unwrap_or_default());
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table>");
    let same = if different.is_empty() { "<p class=\"note\">All settings are the same.</p>" } else { "" };
    let what = if different.is_empty() { "Results" } else { "Results, and the settings that differ" };
    format!("<section><h2>{what}</h2>{}{same}</section>", scrolling(what, &out))
}

/// The curves over each other.
fn curves(runs: &[Run<'_>]) -> String {
    let panel =
        |title: &str, y_name: &str, values: &dyn for<'a> Fn(&Run<'a>) -> &'a [f64], is_percent: bool| {
            let curves: Vec<Curve<'_>> =
                runs.iter().enumerate().map(|(series, run)| (series, run.name, values(run))).collect();
            if curves.iter().all(|(_, _, values)| values.is_empty()) {
                return String::new();
            }
            let drawing = overlaid(y_name, &curves, is_percent, false);
            let figure = svg::inline(&drawing, &format!("{title} of each run by epoch"));
            format!("<figure class=\"panel\"><figcaption>{title}</figcaption>{figure}</figure>")
        };
    format!(
        "<section><h2>Curves</h2><div class=\"panels two\">{}{}{}{}</div></section>",
        panel("Validation loss", "loss", &|run| run.history.val_loss, false),
        panel("Validation accuracy", "accuracy", &|run| run.history.val_accuracy, true),
        panel("Training loss", "loss", &|run| run.history.loss, false),
        panel("Training accuracy", "accuracy", &|run| run.history.accuracy, true)
    )
}

/// Each class's F1 in each run, if all have the same classes and not too many.
fn classes(runs: &[Run<'_>]) -> String {
    let Some(first) = runs.first() else { return String::new() };
    let are_same = runs.iter().all(|run| run.class_names == first.class_names);
    if !are_same || first.class_names.len() > 100 {
        return String::new();
    }
    let mut out = "<table><thead><tr><th scope=\"col\" class=\"words\">Class</th>".to_owned();
    for run in runs {
        // Writing to a string cannot fail.
        let _ = write!(out, "<th scope=\"col\">{}</th>", Escaped(run.name));
    }
    out.push_str("</tr></thead><tbody>");
    for (class, name) in first.class_names.iter().enumerate() {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", Escaped(name));
        for run in runs {
            let f1 = run.assessment.confusion().metrics(class).f1;
            let shown = f1.map_or("none".to_owned(), crate::page::percent);
            let _ = write!(out, "<td>{shown}</td>");
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table>");
    format!("<section><h2>F1 of each class</h2>{}</section>", scrolling("F1 of each class", &out))
}
