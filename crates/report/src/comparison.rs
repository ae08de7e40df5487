//! The page that compares several runs.

use std::fmt::Write;

use crate::axes::Curve;
use crate::error::ReportError;
use crate::escape::Escaped;
use crate::figures::{Metric, compared_curves};
use crate::html::{Section, document, percent, scrolling, value};
use crate::palette::Color;
use crate::run::{Fact, Run};
use crate::scene::{MARKER_RADIUS, Scene};
use crate::svg;

/// A page that compares several runs: their results, the settings that differ, their curves, and the F1 of each class.
///
/// # Errors
/// If the parts of a run do not fit together: see [`Run::check`].
pub fn comparison(runs: &[Run<'_>]) -> Result<String, ReportError> {
    runs.iter().try_for_each(Run::check)?;
    let title = format!("{} runs side by side", runs.len());
    let mut sections = vec![results(runs), curves(runs)];
    sections.extend(classes(runs));
    Ok(document(&title, &format!("<h1>{title}</h1>"), &sections))
}

/// The line and the marker of a run's curves, beside its name.
fn swatch(series: usize) -> String {
    let mut scene = Scene::new(40.0, 12.0);
    scene.line(Color::Series(series), [[2.0, 6.0], [38.0, 6.0]]);
    scene.marker(series, [20.0, 2.8 + MARKER_RADIUS], String::new());
    format!("<span class=\"swatch\" aria-hidden=\"true\">{}</span>", svg::inline(&scene, ""))
}

/// The keys and names of facts, in order of their first appearance. With `only_different`, those that have the same value in all runs
/// are left out.
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

/// Which of several numbers are the best. None is if all are equal.
fn best(values: &[Option<f64>], is_lower_better: bool) -> Vec<bool> {
    let known = || values.iter().flatten().copied().filter(|value| !value.is_nan());
    let (low, high) = (known().reduce(f64::min), known().reduce(f64::max));
    let best = if is_lower_better { low } else { high };
    values.iter().map(|value| low != high && value.is_some() && *value == best).collect()
}

/// A cell whose value is the best of its column or row.
fn cell(content: &str, is_best: bool) -> String {
    match is_best {
        true => format!("<td class=\"best\"><strong>{content}</strong></td>"),
        false => format!("<td>{content}</td>"),
    }
}

/// A table with a line per run.
fn results(runs: &[Run<'_>]) -> Section {
    let results = keys(runs, |run| &run.results, false);
    let different = keys(runs, |run| &run.settings, true);
    let mut out =
        "<table class=\"runs wide\"><thead><tr><th scope=\"col\" class=\"words\">Run</th>".to_owned();
    for (_, name) in results.iter().chain(&different) {
        // Writing to a string cannot fail.
        let _ = write!(out, "<th scope=\"col\">{}</th>", Escaped(name));
    }
    out.push_str("</tr></thead><tbody>");
    let best_of: Vec<Vec<bool>> = results
        .iter()
        .map(|(key, _)| {
            let number = |run: &Run<'_>| find(&run.results, key)?.value.parse().ok();
            let values: Vec<Option<f64>> = match key.ends_with("accuracy") || key.ends_with("loss") {
                true => runs.iter().map(number).collect(),
                false => vec![None; runs.len()],
            };
            best(&values, key.ends_with("loss"))
        })
        .collect();
    for (series, run) in runs.iter().enumerate() {
        let _ = write!(
            out,
            "<tr data-run=\"{0}\"><th scope=\"row\">{1}{0}</th>",
            Escaped(run.name),
            swatch(series)
        );
        for ((key, _), best) in results.iter().zip(&best_of) {
            out.push_str(&cell(&find(&run.results, key).map(value).unwrap_or_default(), best[series]));
        }
        for (key, _) in &different {
            out.push_str(&cell(&find(&run.settings, key).map(value).unwrap_or_default(), false));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table>");
    let note = if different.is_empty() { " All settings are equal." } else { "" };
    let title = if different.is_empty() { "Results" } else { "Results, and the settings that differ" };
    let body =
        format!("{}<p class=\"note\">The best value of a column is bold.{note}</p>", scrolling(title, &out));
    Section { id: "results", title, body }
}

/// The curves of all runs, a chart per metric.
fn curves(runs: &[Run<'_>]) -> Section {
    let chart = |title: &str, metric: Metric, values: &dyn for<'a> Fn(&Run<'a>) -> &'a [f64]| {
        let curves: Vec<Curve<'_>> =
            runs.iter().enumerate().map(|(series, run)| (series, run.name, values(run))).collect();
        if curves.iter().all(|(_, _, values)| values.is_empty()) {
            return String::new();
        }
        let scene = compared_curves(metric, &curves);
        let figure = svg::inline(&scene, &format!("{title} of each run by epoch"));
        format!("<figure class=\"chart\"><h3>{title}</h3>{figure}</figure>")
    };
    let body = format!(
        "<div class=\"charts\">{}{}{}{}</div><p class=\"note\">A marker is at the last epoch of each run. The axes of the accuracy do not \
         begin at 0%.</p>",
        chart("Validation loss", Metric::Loss, &|run| run.history.val_loss),
        chart("Validation accuracy", Metric::Accuracy, &|run| run.history.val_accuracy),
        chart("Training loss", Metric::Loss, &|run| run.history.loss),
        chart("Training accuracy", Metric::Accuracy, &|run| run.history.accuracy)
    );
    Section { id: "curves", title: "Curves", body }
}

/// The F1 of each class in each run, if all runs have the same classes and these are not too many.
fn classes(runs: &[Run<'_>]) -> Option<Section> {
    let first = runs.first()?;
    let are_same = runs.iter().all(|run| run.class_names == first.class_names);
    if !are_same || first.class_names.len() > 100 {
        return None;
    }
    let mut out = "<table class=\"wide\"><thead><tr><th scope=\"col\" class=\"words\">Class</th>".to_owned();
    for run in runs {
        // Writing to a string cannot fail.
        let _ = write!(out, "<th scope=\"col\">{}</th>", Escaped(run.name));
    }
    out.push_str("</tr></thead><tbody>");
    for (class, name) in first.class_names.iter().enumerate() {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", Escaped(name));
        let f1: Vec<Option<f64>> =
            runs.iter().map(|run| run.assessment.confusion().metrics(class).f1).collect();
        for (f1, is_best) in f1.iter().zip(best(&f1, false)) {
            out.push_str(&cell(&f1.map_or("none".to_owned(), percent), is_best));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table>");
    let body = format!(
        "{}<p class=\"note\">The best value of a class is bold.</p>",
        scrolling("F1 of each class", &out)
    );
    Some(Section { id: "f1", title: "F1 of each class", body })
}

#[cfg(test)]
mod tests {
    use super::best;

    #[test]
    fn the_best_of_several_numbers() {
        let values = [Some(0.5), None, Some(0.75), Some(f64::NAN), Some(0.75)];
        assert_eq!(best(&values, false), [false, false, true, false, true]);
        assert_eq!(best(&values, true), [true, false, false, false, false]);
        assert_eq!(best(&[Some(1.0), Some(1.0), None], true), [false; 3]);
    }
}
