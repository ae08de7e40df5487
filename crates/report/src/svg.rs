//! Scenes as SVG: inside a page, which has the style sheet, or as a file.

use std::fmt::{self, Display, Write};

use crate::escape::Escaped;
use crate::palette::{BACKGROUND, Color, style_sheet};
use crate::scene::{Anchor, MARKER_RADIUS, MarkerShape, Scene, Shape};

/// A file with a title and its own style sheet, light or dark as the reader's system is.
pub(crate) fn file(scene: &Scene, title: &str) -> String {
    let [light, dark] = BACKGROUND;
    let style = format!(
        "{}.background{{fill:#{light:06x}}}@media screen and (prefers-color-scheme:dark){{.background{{fill:#{dark:06x}}}}}",
        style_sheet()
    );
    let head = format!("<style>{style}</style><rect class=\"background\" width=\"100%\" height=\"100%\"/>");
    let sides = format!(" width=\"{}\" height=\"{}\"", scene.width, scene.height);
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", element(scene, title, &sides, &head))
}

/// An element of a page. A decoration has no title.
pub(crate) fn inline(scene: &Scene, title: &str) -> String {
    element(scene, title, "", "")
}

fn element(scene: &Scene, title: &str, attributes: &str, head: &str) -> String {
    let Scene { width, height, shapes } = scene;
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

/// A number with at most two decimal places.
struct Short(f32);

impl Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", (self.0 * 100.0).round() / 100.0)
    }
}

impl Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { color, points } => {
                write!(f, "<polyline class=\"{} l\"", color.class())?;
                if let Some([dash, gap]) = color.dashes() {
                    write!(f, " stroke-dasharray=\"{dash} {gap}\"")?;
                }
                f.write_str(" points=\"")?;
                for (index, &[x, y]) in points.iter().enumerate() {
                    write!(f, "{}{},{}", if index == 0 { "" } else { " " }, Short(x), Short(y))?;
                }
                f.write_str("\"/>")
            }
            Self::Marker { series, at: [x, y], tooltip, on_hover } => {
                let class = Color::Series(*series).class();
                let hover = if *on_hover { " hover" } else { "" };
                let r = MARKER_RADIUS;
                let path = match MarkerShape::of(*series) {
                    MarkerShape::Circle => {
                        format!("M-{r} 0a{r} {r} 0 1 0 {0} 0a{r} {r} 0 1 0 -{0} 0z", 2.0 * r)
                    }
                    MarkerShape::Square => "M-2.8-2.8h5.6v5.6h-5.6z".to_owned(),
                    MarkerShape::Triangle => "M0-3.8l3.8 6.6h-7.6z".to_owned(),
                    MarkerShape::Diamond => "M0-4l4 4-4 4-4-4z".to_owned(),
                };
                write!(
                    f,
                    "<path class=\"{class}{hover}\" transform=\"translate({} {})\" d=\"{path}\"",
                    Short(*x),
                    Short(*y)
                )?;
                match tooltip.as_str() {
                    "" => f.write_str("/>"),
                    tooltip => write!(f, "><title>{}</title></path>", Escaped(tooltip)),
                }
            }
            Self::Rects { color, opacity, rects } => {
                write!(f, "<path class=\"{}\" fill-opacity=\"{}\" d=\"", color.class(), Short(*opacity))?;
                for &[x, y, width, height] in rects {
                    let [x, y, width, height] = [Short(x), Short(y), Short(width), Short(height)];
                    write!(f, "M{x} {y}h{width}v{height}h-{width}z")?;
                }
                f.write_str("\"/>")
            }
            Self::Text { color, at: [x, y], anchor, text } => {
                let [x, y] = [Short(*x), Short(*y)];
                write!(f, "<text class=\"{}\" x=\"{x}\" y=\"{y}\"", color.class())?;
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
