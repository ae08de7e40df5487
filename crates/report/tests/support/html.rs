//! A strict parser of pages: every element is closed in order, every attribute is quoted and unique, and every link leads to a part of
//! the same page.

use std::collections::BTreeMap;

/// An element of a page.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) attributes: BTreeMap<String, String>,
    /// The names of the elements around it, the outermost first.
    pub(crate) path: Vec<String>,
    /// Its text, with that of the elements inside it.
    pub(crate) text: String,
}

/// Elements without an end tag.
const VOID: [&str; 3] = ["meta", "img", "br"];

/// The namespace of SVG, which no browser fetches.
const NAMESPACE: &str = "http://www.w3.org/2000/svg";

/// The elements of a page, in the order of their start tags.
///
/// # Panics
/// If the page is not well-formed.
pub(crate) fn elements(page: &str) -> Vec<Element> {
    let mut rest = page.trim().strip_prefix("<!DOCTYPE html>").expect("the document's type");
    let mut elements: Vec<Element> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    while let Some(start) = rest.find('<') {
        let text = unescaped(&rest[..start]);
        open.iter().for_each(|&index| elements[index].text.push_str(&text));
        let is_style = open.last().is_some_and(|&index| elements[index].name == "style");
        rest = &rest[start + 1..];
        assert!(!is_style || rest.starts_with("/style>"), "a tag in a style sheet");
        let end = rest.find('>').expect("the end of a tag");
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            let index = open.pop().expect("an element that is open");
            assert_eq!(elements[index].name, name, "elements end in their order");
            continue;
        }
        let (tag, closes_itself) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let path = open.iter().map(|&index| elements[index].name.clone()).collect();
        let attributes = read_attributes(attributes);
        if !closes_itself && !VOID.contains(&name) {
            open.push(elements.len());
        }
        elements.push(Element { name: name.to_owned(), attributes, path, text: String::new() });
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "all is closed at the end");
    elements
}

fn read_attributes(text: &str) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"").unwrap_or_else(|| panic!("a quoted value in {rest}"));
        let (value, after) = value.split_once('"').expect("the end of a value");
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "-:".contains(c)), "the name {name:?}");
        assert!(attributes.insert(name.to_owned(), unescaped(value)).is_none(), "{name} is given twice");
        rest = after.trim_start();
    }
    attributes
}

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut parts = text.split('&');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (name, after) = part.split_once(';').expect("the end of a reference");
        out.push(match name {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "#39" => '\'',
            _ => panic!("the reference {name}"),
        });
        out.push_str(after);
    }
    out
}

/// Checks that a page runs nothing and needs no other file.
pub(crate) fn assert_self_contained(page: &str, elements: &[Element]) {
    for element in elements {
        for never in ["script", "link", "iframe", "object", "embed", "base", "form", "use", "image"] {
            assert_ne!(element.name, never);
        }
        for (name, value) in &element.attributes {
            assert!(!name.starts_with("on") && name != "srcset", "{element:?}");
            // A link leads to one element of the page.
            let targets = |id: &str| {
                elements.iter().filter(|other| other.attributes.get("id").is_some_and(|of| of == id)).count()
            };
            let is_inside = || value.strip_prefix('#').is_some_and(|id| targets(id) == 1);
            assert!(name != "href" || (element.name == "a" && is_inside()), "{element:?}");
            assert!(name != "src" || value.starts_with("data:image/png;base64,"), "{element:?}");
        }
    }
    let lowered = page.replace(NAMESPACE, "").to_lowercase();
    // Base64 may have two slashes, too.
    for never in ["http:", "https:", "url(", "@import", "=\"//", "javascript:", "ftp:", "file:"] {
        assert!(!lowered.contains(never), "{never} in the page");
    }
}

/// The values for programs, by their keys. Of equal keys, the first value.
pub(crate) fn data(elements: &[Element]) -> BTreeMap<String, String> {
    let mut data = BTreeMap::new();
    for element in elements.iter().filter(|element| element.name == "data") {
        let [key, value] = ["data-key", "value"].map(|name| element.attributes[name].clone());
        data.entry(key).or_insert(value);
    }
    data
}

/// Checks that a page has the labels that screen readers need.
pub(crate) fn assert_accessible(elements: &[Element]) {
    let count = |name: &str| elements.iter().filter(|element| element.name == name).count();
    assert_eq!((count("h1"), count("title") > 0), (1, true));
    assert_eq!(elements[0].attributes["lang"], "en");
    for element in elements {
        let has = |name: &str| element.attributes.get(name).is_some_and(|value| !value.is_empty());
        let is_hidden = element.path.contains(&"span".to_owned());
        match element.name.as_str() {
            "img" => assert!(has("alt") && has("width") && has("height"), "{element:?}"),
            "svg" => assert!((has("aria-label") && has("role")) || is_hidden, "{element:?}"),
            "th" => assert!(has("scope"), "{element:?}"),
            "table" => assert!(element.path.contains(&"main".to_owned()), "{element:?}"),
            _ => {}
        }
    }
}
