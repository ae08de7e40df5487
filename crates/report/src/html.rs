//! Building blocks of pages: the document, sections, tables, values.

use std::fmt::Write;

use crate::escape::Escaped;
use crate::palette::{self, BACKGROUND, Color};
use crate::run::Fact;

/// A section of a page. `id` is the target of the link in the list of sections.
pub(crate) struct Section {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) body: String,
}

/// A page that needs nothing from outside and may load nothing.
pub(crate) fn document(title: &str, header: &str, sections: &[Section]) -> String {
    let (mut links, mut body) = (String::new(), String::new());
    for Section { id, title, body: content } in sections {
        // Writing to a string cannot fail.
        let _ = write!(links, "<li><a href=\"#{id}\">{title}</a></li>");
        let _ = write!(body, "<section id=\"{id}\"><h2>{title}</h2>{content}</section>");
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{}</title>\n<style>{}</style></head>\n<body><main><header>{header}</header>\
         <nav aria-label=\"Sections\"><ul>{links}</ul></nav>{body}\
         <footer><p class=\"note\">The chapter \u{201c}Reading a report\u{201d} of the guide (docs/guide/report.md) explains each \
         section.</p></footer></main></body></html>\n",
        Escaped(title),
        style_sheet()
    )
}

fn style_sheet() -> String {
    let variables = |theme: usize| {
        let colors = [
            ("text", Color::Text),
            ("muted", Color::Muted),
            ("line", Color::Grid),
            ("accent", Color::Series(0)),
            ("correct", Color::Correct),
            ("wrong", Color::Wrong),
        ];
        let mut rules = format!("--background:#{:06x}", BACKGROUND[theme]);
        for (name, color) in colors {
            let rgb = color.rgb()[theme];
            // Writing to a string cannot fail.
            let _ = match color {
                // Channels, to which each cell of the matrix adds its opacity.
                Color::Correct | Color::Wrong => {
                    let [_, red, green, blue] = rgb.to_be_bytes();
                    write!(rules, ";--{name}:{red} {green} {blue}")
                }
                _ => write!(rules, ";--{name}:#{rgb:06x}"),
            };
        }
        let [negative, positive] = [0, 1].map(|series| Color::Series(series).rgb()[0]);
        let _ = write!(rules, ";--negative:#{negative:06x};--positive:#{positive:06x}");
        rules
    };
    format!(
        ":root{{color-scheme:light dark;{}}}@media screen and (prefers-color-scheme:dark){{:root{{{}}}}}\
         @media print{{:root{{color-scheme:light}}}}\n{}\n{}",
        variables(0),
        variables(1),
        palette::style_sheet(),
        include_str!("style.css")
    )
}

/// A fact's value, for people and for programs.
pub(crate) fn value(fact: &Fact) -> String {
    format!(
        "<data data-key=\"{}\" value=\"{}\">{}</data>",
        Escaped(&fact.key),
        Escaped(&fact.value),
        Escaped(&fact.shown)
    )
}

/// A number that the page itself has computed, with its key.
pub(crate) fn number(key: &str, value: f64, shown: &str) -> String {
    format!("<data data-key=\"{key}\" value=\"{value}\">{shown}</data>")
}

/// A fraction in percent.
pub(crate) fn percent(fraction: f64) -> String {
    format!("{:.2}%", 100.0 * fraction)
}

/// A box with a scroll bar of its own, for content that may be wider than the page.
pub(crate) fn scrolling(label: &str, content: &str) -> String {
    format!(
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{}\">{content}</div>",
        Escaped(label)
    )
}
