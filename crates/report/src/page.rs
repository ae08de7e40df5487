//! Pages: what all have in common, and the one of a run.

mod matrix;
mod sections;

use std::fmt::Write;

use crate::drawing::Drawing;
use crate::escape::Escaped;
use crate::ink::{self, Ink, PAPER};
use crate::run::{Fact, Run};

/// The page of a run, with its curves and its matrix.
pub(crate) fn of_run(run: &Run<'_>, curves: [&Drawing; 2], matrix: &Drawing) -> String {
    let mut body = format!(
        "<header><h1>{}</h1><p>{}</p>{}</header>",
        Escaped(run.name),
        Escaped(run.subject),
        tiles(&run.results)
    );
    body.push_str(&sections::curves(run, curves));
    body.push_str(&matrix::section(run, matrix));
    body.push_str(&sections::mistakes(run));
    body.push_str(&sections::calibration(run));
    body.push_str(&sections::weights(run));
    body.push_str("<section class=\"pair\">");
    body.push_str(&facts("Recipe", &run.settings));
    body.push_str(&facts("Origin", &run.origin));
    body.push_str("</section>");
    document(&format!("{}: report", run.name), &body)
}

/// A whole document that needs nothing from outside and may load nothing.
pub(crate) fn document(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{}</title>\n<style>{}</style></head>\n<body><main>{body}</main></body></html>\n",
        Escaped(title),
        style()
    )
}

fn style() -> String {
    let variables = |theme: usize| {
        let inks = [
            ("text", Ink::Text),
            ("muted", Ink::Muted),
            ("line", Ink::Grid),
            ("hit", Ink::Hit),
            ("miss", Ink::Miss),
        ];
        let mut rules = format!("--paper:#{:06x}", PAPER[theme]);
        for (name, ink) in inks {
            let colour = ink.colours()[theme];
            // Writing to a string cannot fail.
            let _ = match ink {
                // As channels, to which the share of a place of the matrix adds how opaque it is.
                Ink::Hit | Ink::Miss => {
                    let [_, red, green, blue] = colour.to_be_bytes();
                    write!(rules, ";--{name}:{red} {green} {blue}")
                }
                _ => write!(rules, ";--{name}:#{colour:06x}"),
            };
        }
        rules
    };
    format!(
        ":root{{color-scheme:light dark;{}}}@media screen and (prefers-color-scheme:dark){{:root{{{}}}}}\
         @media print{{:root{{color-scheme:light}}}}\n{}\n{}",
        variables(0),
        variables(1),
        ink::style(),
        include_str!("page/style.css")
    )
}

/// A value for people and for programs.
pub(crate) fn value(fact: &Fact) -> String {
    format!(
        "<data data-key=\"{}\" value=\"{}\">{}</data>",
        Escaped(&fact.key),
        Escaped(&fact.value),
        Escaped(&fact.shown)
    )
}

/// A number that the page has found out itself, with its key.
pub(crate) fn number(key: &str, value: f64, shown: &str) -> String {
    format!("<data data-key=\"{key}\" value=\"{value}\">{shown}</data>")
}

/// A share of 1 in percent.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.2}%", 100.0 * share)
}

/// A box that scrolls by itself where its content is wider than the page.
pub(crate) fn scrolling(what: &str, content: &str) -> String {
    format!(
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{}\">{content}</div>",
        Escaped(what)
    )
}

/// The results, large.
fn tiles(results: &[Fact]) -> String {
    let tiles = results.iter().fold(String::new(), |mut tiles, fact| {
        // Writing to a string cannot fail.
        let _ = write!(tiles, "<div><dt>{}</dt><dd>{}</dd></div>", Escaped(&fact.name), value(fact));
        tiles
    });
    format!("<dl class=\"tiles\">{tiles}</dl>")
}

/// A table of facts, a line each.
fn facts(title: &str, facts: &[Fact]) -> String {
    let rows = facts.iter().fold(String::new(), |mut rows, fact| {
        // Writing to a string cannot fail.
        let _ =
            write!(rows, "<tr><th scope=\"row\">{}</th><td>{}</td></tr>", Escaped(&fact.name), value(fact));
        rows
    });
    format!("<div><h2>{title}</h2><table class=\"facts\"><tbody>{rows}</tbody></table></div>")
}
