//! The page of a run.

mod matrix;
mod sections;

use std::fmt::Write;

use crate::escape::Escaped;
use crate::html::{Section, document, value};
use crate::run::{Fact, Run};
use crate::scene::Scene;

/// The page of a run, with its curves (loss, accuracy) and its confusion matrix.
pub(crate) fn run_page(run: &Run<'_>, curves: [&Scene; 2], matrix: &Scene) -> String {
    let header =
        format!("<h1>{}</h1><p>{}</p>{}", Escaped(run.name), Escaped(run.subject), tiles(&run.results));
    let mut all = vec![
        sections::curves(run, curves),
        matrix::section(run, matrix),
        sections::mistakes(run),
        sections::calibration(run),
    ];
    all.extend(sections::weights(run));
    let body = format!(
        "<div class=\"beside\">{}{}</div>",
        facts("Recipe", &run.settings),
        facts("Origin", &run.origin)
    );
    all.push(Section { id: "recipe", title: "Recipe and origin", body });
    document(&format!("{}: report", run.name), &header, &all)
}

/// The results, in large type.
fn tiles(results: &[Fact]) -> String {
    let tiles = results.iter().fold(String::new(), |mut tiles, fact| {
        // Writing to a string cannot fail.
        let _ = write!(tiles, "<div><dt>{}</dt><dd>{}</dd></div>", Escaped(&fact.name), value(fact));
        tiles
    });
    format!("<dl class=\"tiles\">{tiles}</dl>")
}

/// A table with a line per fact.
fn facts(title: &str, facts: &[Fact]) -> String {
    let rows = facts.iter().fold(String::new(), |mut rows, fact| {
        // Writing to a string cannot fail.
        let _ =
            write!(rows, "<tr><th scope=\"row\">{}</th><td>{}</td></tr>", Escaped(&fact.name), value(fact));
        rows
    });
    format!("<div><h3>{title}</h3><table class=\"facts\"><tbody>{rows}</tbody></table></div>")
}
