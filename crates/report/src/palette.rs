//! Colors of figures and pages, each in a light and in a dark version.
//!
//! The series have the palette of Okabe and Ito, *Color Universal Design*, 2008, which people with any kind of color vision can tell
//! apart. Each color is used where it stands out from the background. Series also differ in markers and dashes. Blue marks correct
//! predictions, orange marks wrong ones.

use std::fmt::Write;

/// The color of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Color {
    /// Text that matters.
    Text,
    /// Axes and their tick labels.
    Muted,
    /// Grid lines.
    Grid,
    /// A curve, by its number.
    Series(usize),
    /// Correct predictions.
    Correct,
    /// Wrong predictions.
    Wrong,
}

/// The number of series colors. Series 7 has the color of series 0.
pub(crate) const SERIES: usize = 7;

/// The background, light and dark.
pub(crate) const BACKGROUND: [u32; 2] = [0xFF_FFFF, 0x15_181D];

impl Color {
    const ALL: [Self; 5 + SERIES] = [
        Self::Text,
        Self::Muted,
        Self::Grid,
        Self::Correct,
        Self::Wrong,
        Self::Series(0),
        Self::Series(1),
        Self::Series(2),
        Self::Series(3),
        Self::Series(4),
        Self::Series(5),
        Self::Series(6),
    ];

    /// `0xRRGGBB`, light and dark.
    pub(crate) fn rgb(self) -> [u32; 2] {
        match self {
            Self::Text => [0x1B_1F24, 0xE8_EAED],
            Self::Muted => [0x55_5E68, 0xA9_B1BA],
            Self::Grid => [0xDD_E1E6, 0x32_3841],
            // Backgrounds of black text in light mode and of white text in dark mode.
            Self::Correct => [0x56_B4E9, 0x00_649E],
            Self::Wrong => [0xE6_9F00, 0x80_5C0A],
            Self::Series(series) => match series % SERIES {
                0 => [0x00_72B2, 0x56_B4E9],
                1 => [0xD5_5E00, 0xE6_9F00],
                2 => [0x00_9E73, 0x00_9E73],
                3 => [0xCC_79A7, 0xCC_79A7],
                4 => [0x00_0000, 0xF0_E442],
                5 => [0x56_B4E9, 0xFF_FFFF],
                _ => [0xE6_9F00, 0xD5_5E00],
            },
        }
    }

    /// The CSS class of shapes in this color.
    pub(crate) fn class(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Muted => "muted".to_owned(),
            Self::Grid => "grid".to_owned(),
            Self::Correct => "correct".to_owned(),
            Self::Wrong => "wrong".to_owned(),
            Self::Series(series) => format!("s{}", series % SERIES),
        }
    }

    /// The lengths of a dash and of a gap; `None` for a solid line.
    pub(crate) fn dashes(self) -> Option<[f32; 2]> {
        match self {
            Self::Series(series) => match series % 4 {
                0 => None,
                1 => Some([6.0, 3.0]),
                2 => Some([2.0, 2.5]),
                _ => Some([10.0, 3.0]),
            },
            _ => None,
        }
    }
}

/// The style sheet of figures: lines have a stroke, all other shapes a fill. The dark colors apply on screens only, never in print.
pub(crate) fn style_sheet() -> String {
    let rules = |theme: usize| {
        Color::ALL.iter().fold(String::new(), |mut rules, color| {
            let (class, rgb) = (color.class(), color.rgb()[theme]);
            // Writing to a string cannot fail.
            let _ = write!(rules, "svg .{class}{{fill:#{rgb:06x}}}svg .{class}.l{{stroke:#{rgb:06x}}}");
            rules
        })
    };
    format!(
        "svg text{{font:13px system-ui,sans-serif}}{}svg .l{{fill:none;stroke-width:1.5;stroke-linejoin:round}}\
         svg .grid.l,svg .muted.l{{stroke-width:1}}svg .hover{{fill-opacity:0}}svg .hover:hover{{fill-opacity:1}}\
         @media screen and (prefers-color-scheme:dark){{{}svg .l{{fill:none}}}}",
        rules(0),
        rules(1)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance and contrast as defined by the Web Content Accessibility Guidelines 2.2.
    fn contrast(a: u32, b: u32) -> f64 {
        let luminance = |rgb: u32| {
            let channel = |shift: u32| {
                let value = f64::from(rgb >> shift & 0xFF) / 255.0;
                if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * channel(16) + 0.7152 * channel(8) + 0.0722 * channel(0)
        };
        let [dark, light] = if luminance(a) < luminance(b) { [a, b] } else { [b, a] };
        (luminance(light) + 0.05) / (luminance(dark) + 0.05)
    }

    #[test]
    fn text_has_enough_contrast_on_every_background() {
        assert_eq!(contrast(0, 0xFF_FFFF), 21.0);
        for (theme, background) in BACKGROUND.into_iter().enumerate() {
            let text = Color::Text.rgb()[theme];
            for behind in [background, Color::Correct.rgb()[theme], Color::Wrong.rgb()[theme]] {
                assert!(contrast(text, behind) >= 4.5, "{theme} {behind:06x} {}", contrast(text, behind));
            }
            assert!(contrast(Color::Muted.rgb()[theme], background) >= 4.5);
            // Graphics need 3. Every run has the first two series.
            for series in [0, 1] {
                let contrast = contrast(Color::Series(series).rgb()[theme], background);
                assert!(contrast >= 3.0, "{theme} {series}");
            }
        }
    }
}
