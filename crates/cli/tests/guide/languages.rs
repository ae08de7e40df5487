//! The guide in English and in German: the same chapters with the same code.

use crate::markdown::{Block, Document, documents};

/// A block's code without its comments, which are translated.
fn code(block: &Block<'_>) -> Vec<String> {
    let comment = match block.language {
        "python" | "toml" => "#",
        _ => "//",
    };
    let code = |line: &&str| line.split(comment).next().unwrap_or_default().trim_end().to_owned();
    block.lines.iter().map(code).filter(|line| !line.is_empty()).collect()
}

/// The pieces that must be alike: programs, recipes, and commands with their output; `text` is free.
fn pieces(document: &Document) -> Vec<(String, String, Vec<String>)> {
    let piece = |block: &Block<'_>| {
        let lines = if block.language == "console" {
            block.lines.iter().map(|&line| line.to_owned()).collect()
        } else {
            code(block)
        };
        (block.place.clone(), block.language.to_owned(), lines)
    };
    document.blocks().iter().filter(|block| block.language != "text").map(piece).collect()
}

#[test]
fn both_have_the_same_chapters_and_the_same_code() {
    let documents = documents();
    let named = |name: &str| documents.iter().find(|document| document.name == name);
    let mut chapters = 0;
    for german in documents.iter().filter(|document| document.name.starts_with("docs/guide/de/")) {
        let english =
            named(&german.name.replace("/de/", "/")).unwrap_or_else(|| panic!("only {}", german.name));
        let (ours, theirs) = (pieces(english), pieces(german));
        for ((place, language, code), (other_place, other_language, other_code)) in ours.iter().zip(&theirs) {
            assert_eq!((language, code), (other_language, other_code), "{place} and {other_place}");
        }
        assert_eq!(ours.len(), theirs.len(), "blocks of {} and {}", english.name, german.name);
        let headings =
            |document: &Document| document.text.lines().filter(|line| line.starts_with("##")).count();
        assert_eq!(headings(english), headings(german), "headings of {} and {}", english.name, german.name);
        chapters += 1;
    }
    let english =
        documents.iter().filter(|document| document.name.starts_with("docs/guide/")).count() - chapters;
    assert_eq!(chapters, english, "chapters in German and in English");
}
