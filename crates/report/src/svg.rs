//! Drawings as SVG, for a page that has the style sheet, or as a file of its own.

use std::fmt::{self, Display, Write};

use crate::drawing::{Anchor, Drawing, MARK, Mark, Shape};
use crate::escape::Escaped;
use crate::ink::{Ink, PAPER, style};

/// A file, with a title and its own style sheet, in light or dark as the reader wants it.
pub(crate) fn file(drawing: &Drawing, title: &str) -> String {
    let [light, dark] = PAPER;
    let style = format!(
        "{}.paper{{fill:#{light:06x}}}@media screen and (prefers-color-scheme:dark){{.paper{{fill:#{dark:06x}}}}}",
        style()
    );
    let head = format!("<style>{style}</style><rect class=\"paper\" width=\"100%\" height=\"100%\"/>");
    let sides = format!(" width=\"{}\" height=\"{}\"", drawing.width, drawing.height);
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", element(drawing, title, &sides, &head))
}

/// An element of a page, as wide as its place; without a title where it only adorns what stands beside it.
pub(crate) fn inline(drawing: &Drawing, title: &str) -> String {
    element(drawing, title, "", "")
}

fn element(drawing: &Drawing, title: &str, attributes: &str, head: &str) -> String {
    let Drawing { width, height, shapes } = drawing;
    let mut out =
        format!("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\"{attributes}");
    if !title.is_empty() {
        let title = Escaped(title);
        // Writing to a string cannot fail.
        let _ = write!(out, " role=\"img\" aria-label=\"{title}\"><title>{title}</title>{head}");
    } else {
        let _ = write!(out, ">{head}");
    }
    for shape in shapes {
        // Writing to a string cannot fail.
        let _ = write!(out, "{shape}");
    }
    out.push_str("</svg>");
    out
}

/// A number with at most two places.
struct Short(f32);

impl Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", (self.0 * 100.0).round() / 100.0)
    }
}

impl Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { ink, points } => {
                write!(f, "<polyline class=\"{} l\"", ink.class())?;
                if let Some([dash, gap]) = ink.dashes() {
                    write!(f, " stroke-dasharray=\"{dash} {gap}\"")?;
                }
                f.write_str(" points=\"")?;
                for (index, &[x, y]) in points.iter().enumerate() {
                    write!(f, "{}{},{}", if index == 0 { "" } else { " " }, Short(x), Short(y))?;
                }
                f.write_str("\"/>")
            }
            Self::Mark { series, at: [x, y], says } => {
                let class = Ink::Series(*series).class();
                let r = MARK;
                let form = match Mark::of(*series) {
                    Mark::Circle => format!("M-{r} 0a{r} {r} 0 1 0 {0} 0a{r} {r} 0 1 0 -{0} 0z", 2.0 * r),
                    Mark::Square => "M-2.8-2.8h5.6v5.6h-5.6z".to_owned(),
                    Mark::Triangle => "M0-3.8l3.8 6.6h-7.6z".to_owned(),
                    Mark::Diamond => "M0-4l4 4-4 4-4-4z".to_owned(),
                };
                write!(
                    f,
                    "<path class=\"{class}\" transform=\"translate({} {})\" d=\"{form}\"",
                    Short(*x),
                    Short(*y)
                )?;
                match says.as_str() {
                    "" => f.write_str("/>"),
                    says => write!(f, "><title>{}</title></path>", Escaped(says)),
                }
            }
            Self::Areas { ink, opacity, areas } => {
                write!(f, "<path class=\"{}\" fill-opacity=\"{}\" d=\"", ink.class(), Short(*opacity))?;
                for &[x, y, width, height] in areas {
                    let [x, y, width, height] = [Short(x), Short(y), Short(width), Short(height)];
                    write!(f, "M{x} {y}h{width}v{height}h-{width}z")?;
                }
                f.write_str("\"/>")
            }
            Self::Words { ink, at: [x, y], anchor, text } => {
                let [x, y] = [Short(*x), Short(*y)];
                write!(f, "<text class=\"{}\" x=\"{x}\" y=\"{y}\"", ink.class())?;
                match anchor {
                    Anchor::Start => {}
                    Anchor::Middle => f.write_str(" text-anchor=\"middle\"")?,
                    Anchor::End => f.write_str(" text-anchor=\"end\"")?,
                    Anchor::Upwards => {
                        write!(f, " text-anchor=\"middle\" transform=\"rotate(-90 {x} {y})\"")?;
                    }
                }
                write!(f, ">{}</text>", Escaped(text))
            }
        }
    }
}
