//! The report's file, which has more in it than what is made here.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, bail};

const BEGIN: &str = "<!-- compare: begin -->";
const END: &str = "<!-- compare: end -->";

/// The file's text, if there is one.
pub(crate) fn read(file: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{}: cannot read", file.display())),
    }
}

/// The text with the section between its marks.
pub(crate) fn with_section(text: Option<&str>, section: &str) -> anyhow::Result<String> {
    let (before, after) = match text {
        None => ("# Performance\n\n", "\n"),
        Some(text) => match text
            .split_once(BEGIN)
            .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)))
        {
            Some(around) => around,
            None => bail!("the marks `{BEGIN}` and `{END}`, between which the tables go, are not both there"),
        },
    };
    Ok(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", section.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_report_has_a_heading_and_the_marks() {
        let text = with_section(None, "table\n").unwrap();
        assert_eq!(text, format!("# Performance\n\n{BEGIN}\n\ntable\n\n{END}\n"));
    }

    #[test]
    fn what_stands_around_the_marks_is_kept() {
        let old = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let text = with_section(Some(&old), "new").unwrap();
        assert_eq!(text, format!("before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"));
        assert_eq!(with_section(Some(&text), "new").unwrap(), text);
    }

    #[test]
    fn without_both_marks_in_order_nothing_is_made() {
        for old in ["", BEGIN, END, &format!("{END}{BEGIN}")] {
            with_section(Some(old), "new").unwrap_err();
        }
    }
}
