//! The section of a Markdown file between two marks, which holds the tables.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, bail};

const BEGIN: &str = "<!-- compare: begin -->";
const END: &str = "<!-- compare: end -->";

/// The file's text, or `None` if the file does not exist.
pub(crate) fn read(file: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{}: cannot read", file.display())),
    }
}

/// Replaces the section between the marks of a text. Without a text, it creates a heading and the marks.
pub(crate) fn insert(text: Option<&str>, section: &str) -> anyhow::Result<String> {
    let (before, after) = match text {
        None => ("# Performance\n\n", "\n"),
        Some(text) => match text
            .split_once(BEGIN)
            .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)))
        {
            Some(around) => around,
            None => bail!("expected the marks `{BEGIN}` and `{END}`, between which the tables are written"),
        },
    };
    Ok(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", section.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_has_a_heading_and_the_marks() {
        let text = insert(None, "table\n").unwrap();
        assert_eq!(text, format!("# Performance\n\n{BEGIN}\n\ntable\n\n{END}\n"));
    }

    #[test]
    fn the_text_around_the_marks_is_kept() {
        let old = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let text = insert(Some(&old), "new").unwrap();
        assert_eq!(text, format!("before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"));
        assert_eq!(insert(Some(&text), "new").unwrap(), text);
    }

    #[test]
    fn missing_or_swapped_marks_are_an_error() {
        for old in ["", BEGIN, END, &format!("{END}{BEGIN}")] {
            insert(Some(old), "new").unwrap_err();
        }
    }
}
