//! Links that stay inside the project lead to a file, and to a heading of it; and the book has every page.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::markdown::{Document, documents, root};

/// The targets of a document's links.
fn links(document: &Document) -> Vec<String> {
    let mut in_block = false;
    let mut prose = String::new();
    for line in document.text.lines() {
        in_block ^= line.starts_with("```");
        if !in_block && !line.starts_with("```") {
            prose.extend([line, "\n"]);
        }
    }
    // Code may look like a link; a label that is code ends before the piece that has its target.
    let pieces = prose.split('`').step_by(2);
    let targets = pieces.flat_map(|piece| piece.split("](").skip(1).filter_map(|rest| rest.split_once(')')));
    targets.map(|(target, _)| target.to_owned()).collect()
}

/// The anchors of a document's headings, as code hosts and mdbook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut in_block = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        in_block ^= line.starts_with("```");
        let heading = line.trim_start_matches('#');
        if in_block || heading.len() == line.len() {
            continue;
        }
        let kept = heading.trim().chars().filter(|&c| c.is_alphanumeric() || " -_".contains(c));
        found.insert(kept.collect::<String>().to_lowercase().replace(' ', "-"));
    }
    found
}

/// The place that `target` names, seen from a document of that name; without `..` in it.
fn resolve(from: &str, target: &str) -> PathBuf {
    let mut place = PathBuf::new();
    for component in Path::new(from).parent().unwrap().join(target).components() {
        match component {
            Component::ParentDir => assert!(place.pop(), "{from}: {target} leads out of the repository"),
            other => place.push(other),
        }
    }
    place
}

#[test]
fn links_lead_somewhere() {
    let documents = documents();
    let mut inside = 0;
    for document in &documents {
        let Document { name, text } = document;
        for link in links(document) {
            if link.contains("://") {
                continue;
            }
            inside += 1;
            let (target, anchor) =
                link.split_once('#').map_or((&*link, None), |(target, anchor)| (target, Some(anchor)));
            let place = if target.is_empty() { PathBuf::from(name) } else { resolve(name, target) };
            assert!(root().join(&place).exists(), "{name}: {link} leads nowhere");
            // A book has nothing but its own folder.
            assert!(
                !name.starts_with("docs/") || place.starts_with("docs"),
                "{name}: {link} is not in the book"
            );
            if let Some(anchor) = anchor {
                let of = documents.iter().find(|document| Path::new(&document.name) == place);
                let text = if target.is_empty() {
                    text
                } else {
                    &of.unwrap_or_else(|| panic!("{name}: {link}")).text
                };
                assert!(anchors(text).contains(anchor), "{name}: {link}: no such heading");
            }
        }
    }
    assert!(inside > 50, "{inside} links");
}

#[test]
fn the_summary_lists_every_page() {
    let documents = documents();
    let summary = documents.iter().find(|document| document.name == "docs/SUMMARY.md").unwrap();
    let mut listed: Vec<PathBuf> = links(summary).iter().map(|link| resolve(&summary.name, link)).collect();
    listed.sort();
    let is_page = |name: &&str| name.starts_with("docs/") && *name != "docs/SUMMARY.md";
    let pages: Vec<PathBuf> =
        documents.iter().map(|document| document.name.as_str()).filter(is_page).map(PathBuf::from).collect();
    assert_eq!(listed, pages);
}

#[test]
fn anchors_are_as_hosts_make_them() {
    let text = "# Where a step's microseconds go\n```text\n# no heading\n```\n### Gefragt: 99 %\n## Größe_1";
    let expected = ["where-a-steps-microseconds-go", "gefragt-99-", "größe_1"].map(str::to_owned);
    assert_eq!(anchors(text), BTreeSet::from(expected));
}

/// The paths that a pattern such as `crates/nn/src/{dense,dropout}.rs` stands for.
fn expand(pattern: &str) -> Vec<String> {
    match pattern.split_once('{').and_then(|(start, rest)| Some((start, rest.split_once('}')?))) {
        Some((start, (names, end))) => {
            names.split(',').flat_map(|name| expand(&format!("{start}{name}{end}"))).collect()
        }
        None => vec![pattern.to_owned()],
    }
}

#[test]
fn paths_in_the_text_exist() {
    assert_eq!(expand("a/{b,c}/d.{e,f}"), ["a/b/d.e", "a/b/d.f", "a/c/d.e", "a/c/d.f"]);
    let mut paths = 0;
    for Document { name, text } in documents().iter().filter(|document| !document.name.contains('/')) {
        let spans = text
            .lines()
            .filter(|line| !line.starts_with("```"))
            .flat_map(|line| line.split('`').skip(1).step_by(2));
        let is_path = |span: &&str| {
            let folders = ["benches/", "crates/", "docs/", "fuzz/", "xtask/", ".ci/"];
            folders.iter().any(|folder| span.starts_with(folder)) && !span.contains(' ')
        };
        for path in spans.filter(is_path).flat_map(expand) {
            assert!(root().join(&path).exists(), "{name}: {path}");
            paths += 1;
        }
    }
    assert!(paths > 40, "{paths} paths");
}
