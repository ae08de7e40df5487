//! Colours: what is drawn with which, in light and in dark.
//!
//! The series are the palette of Okabe and Ito, *Color Universal Design*, 2008, which all kinds of colour vision tell apart, each
//! taken where it stands out from its ground; series differ by their marks and dashes too. Blue and orange tell what is right
//! from what is wrong.

use std::fmt::Write;

/// What something is drawn as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    /// Words that matter.
    Text,
    /// Words at the edge, and axes.
    Muted,
    /// Lines behind everything.
    Grid,
    /// A curve, by its number.
    Series(usize),
    /// What is right.
    Hit,
    /// What is wrong.
    Miss,
}

/// Curves with a colour of their own; the next has that of the first.
pub(crate) const SERIES: usize = 7;

/// The paper, in light and in dark.
pub(crate) const PAPER: [u32; 2] = [0xFF_FFFF, 0x15_181D];

impl Ink {
    const ALL: [Self; 5 + SERIES] = [
        Self::Text,
        Self::Muted,
        Self::Grid,
        Self::Hit,
        Self::Miss,
        Self::Series(0),
        Self::Series(1),
        Self::Series(2),
        Self::Series(3),
        Self::Series(4),
        Self::Series(5),
        Self::Series(6),
    ];

    /// Red, green and blue, in light and in dark.
    pub(crate) fn colours(self) -> [u32; 2] {
        match self {
            Self::Text => [0x1B_1F24, 0xE8_EAED],
            Self::Muted => [0x55_5E68, 0xA9_B1BA],
            Self::Grid => [0xDD_E1E6, 0x32_3841],
            // With black words on them in light, and white ones in dark.
            Self::Hit => [0x56_B4E9, 0x00_649E],
            Self::Miss => [0xE6_9F00, 0x80_5C0A],
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

    /// The class of what is drawn so, in style sheets.
    pub(crate) fn class(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Muted => "muted".to_owned(),
            Self::Grid => "grid".to_owned(),
            Self::Hit => "hit".to_owned(),
            Self::Miss => "miss".to_owned(),
            Self::Series(series) => format!("s{}", series % SERIES),
        }
    }

    /// What is between the dashes of a curve and how long they are; a solid line has none.
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

/// The rules of a figure's style sheet: of lines the stroke, of all else the filling; dark where the reader wants it, and never
/// on paper.
pub(crate) fn style() -> String {
    let rules = |theme: usize| {
        Ink::ALL.iter().fold(String::new(), |mut rules, ink| {
            let (class, colour) = (ink.class(), ink.colours()[theme]);
            // Writing to a string cannot fail.
            let _ = write!(rules, "svg .{class}{{fill:#{colour:06x}}}svg .{class}.l{{stroke:#{colour:06x}}}");
            rules
        })
    };
    format!(
        "svg text{{font:12px system-ui,sans-serif}}{}svg .l{{fill:none;stroke-width:1.75;stroke-linejoin:round}}\
         svg .grid.l,svg .muted.l{{stroke-width:1}}\
         @media screen and (prefers-color-scheme:dark){{{}svg .l{{fill:none}}}}",
        rules(0),
        rules(1)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance and contrast, of the Web Content Accessibility Guidelines 2.2.
    fn contrast(a: u32, b: u32) -> f64 {
        let luminance = |colour: u32| {
            let channel = |shift: u32| {
                let value = f64::from(colour >> shift & 0xFF) / 255.0;
                if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * channel(16) + 0.7152 * channel(8) + 0.0722 * channel(0)
        };
        let [dark, light] = if luminance(a) < luminance(b) { [a, b] } else { [b, a] };
        (luminance(light) + 0.05) / (luminance(dark) + 0.05)
    }

    #[test]
    fn words_can_be_read_on_all_that_they_stand_on() {
        assert_eq!(contrast(0, 0xFF_FFFF), 21.0);
        for (theme, paper) in PAPER.into_iter().enumerate() {
            let text = Ink::Text.colours()[theme];
            for ground in [paper, Ink::Hit.colours()[theme], Ink::Miss.colours()[theme]] {
                assert!(contrast(text, ground) >= 4.5, "{theme} {ground:06x} {}", contrast(text, ground));
            }
            assert!(contrast(Ink::Muted.colours()[theme], paper) >= 4.5);
            // Graphics: 3, for the two curves of every run.
            for series in [0, 1] {
                assert!(contrast(Ink::Series(series).colours()[theme], paper) >= 3.0, "{theme} {series}");
            }
        }
    }
}
