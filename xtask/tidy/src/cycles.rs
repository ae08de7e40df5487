//! The rule for modules: the files of a crate do not use each other in a cycle.
//!
//! A file uses another if a path in its code leads to an item that the other defines, where re-exports are followed to
//! the definition. `mod name;` and re-exports alone use nothing. The test modules of a file count as a file of their own, since
//! no other code uses them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::Result;

use crate::Finding;
use crate::modules::{Modules, TESTS};
use crate::resolve::Target;
use crate::workspace::Workspace;

/// The files that each file uses: by file and used file, the first line and the path there.
type Graph = BTreeMap<String, BTreeMap<String, (usize, String)>>;

/// Finds cycles of files. Each set of files that all reach each other is one finding.
///
/// # Errors
///
/// Returns an error if a Rust file does not parse.
pub fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for package in &workspace.packages {
        for root in &package.roots {
            let graph = graph(&Modules::read(workspace, root)?);
            for files in cycles(&graph) {
                findings.push(describe(&graph, &files));
            }
        }
    }
    Ok(findings)
}

fn graph(modules: &Modules) -> Graph {
    let mut graph = Graph::new();
    for (index, module) in modules.all.iter().enumerate() {
        let mut add = |to: usize, line: usize, path: &[String]| {
            if to != module.file && !is_tests_of(&modules.files[to], &modules.files[module.file]) {
                graph
                    .entry(modules.files[module.file].clone())
                    .or_default()
                    .entry(modules.files[to].clone())
                    .or_insert_with(|| (line, path.join("::")));
            }
        };
        for used in &module.uses {
            if used.is_macro
                && let [name] = used.path.as_slice()
                && let Some(file) = modules.macro_file(index, name)
            {
                add(file, used.line, &used.path);
            }
            for target in modules.resolve(index, &used.path) {
                match target {
                    Target::Item(file) => add(file, used.line, &used.path),
                    // An item of a glob import counts where it is named. A glob import without a named item imports traits.
                    Target::Module(from) if used.is_glob && !names_any(modules, index, from) => {
                        add(modules.all[from].file, used.line, &used.path);
                    }
                    Target::Module(_) => {}
                }
            }
        }
    }
    graph
}

/// Whether `tests` is the test modules of `file`. The file may use helpers that its test modules define.
fn is_tests_of(tests: &str, file: &str) -> bool {
    tests.strip_suffix(TESTS) == Some(file)
}

/// Whether the code of a module names anything of the module `from`.
fn names_any(modules: &Modules, module: usize, from: usize) -> bool {
    let uses = modules.all[module].uses.iter();
    uses.filter(|used| !used.is_glob).filter_map(|used| used.path.first()).any(|name| modules.has(from, name))
}

/// The sets of two or more files that all reach each other.
fn cycles(graph: &Graph) -> Vec<BTreeSet<&str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        graph.keys().map(|file| (file.as_str(), reachable(graph, file))).collect();
    let mut seen = BTreeSet::new();
    let mut cycles = Vec::new();
    for (&file, to) in &reached {
        if !to.contains(file) || seen.contains(file) {
            continue;
        }
        let back = |other: &&&str| reached.get(**other).is_some_and(|to| to.contains(file));
        let cycle: BTreeSet<&str> = to.iter().filter(back).copied().collect();
        seen.extend(cycle.iter().copied());
        cycles.push(cycle);
    }
    cycles
}

fn reachable<'a>(graph: &'a Graph, from: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut next = vec![from];
    while let Some(file) = next.pop() {
        for used in graph.get(file).into_iter().flat_map(BTreeMap::keys) {
            if found.insert(used.as_str()) {
                next.push(used);
            }
        }
    }
    found
}

/// Describes a cycle by a shortest way around.
fn describe(graph: &Graph, files: &BTreeSet<&str>) -> Finding {
    let way = files
        .iter()
        .filter_map(|file| shortest_way_around(graph, file, files))
        .min_by_key(Vec::len)
        .unwrap_or_default();
    let start = way.first().copied().unwrap_or_default();
    let mut what = match files.len() {
        count if count == way.len() => "cycle of modules:".to_owned(),
        count => format!("cycle of {count} modules, the shortest way around:"),
    };
    let mut place = 1;
    for (index, file) in way.iter().enumerate() {
        let next = way.get(index + 1).unwrap_or(&start);
        if let Some((line, path)) = graph.get(*file).and_then(|used| used.get(*next)) {
            if index == 0 {
                place = *line;
                what += &format!(" it uses `{path}` of {next}");
            } else {
                what += &format!(", which uses `{path}` of {next} in line {line}");
            }
        }
    }
    Finding::new(start.trim_end_matches(TESTS), place, what)
}

fn shortest_way_around<'a>(
    graph: &'a Graph,
    start: &str,
    within: &BTreeSet<&'a str>,
) -> Option<Vec<&'a str>> {
    let mut from: BTreeMap<&str, &str> = BTreeMap::new();
    let start = *within.get(start)?;
    let mut queue = VecDeque::from([start]);
    while let Some(file) = queue.pop_front() {
        for used in graph.get(file)?.keys().map(String::as_str) {
            if used == start {
                let mut way = vec![file];
                let mut at = file;
                while let Some(before) = from.get(at) {
                    way.push(before);
                    at = before;
                }
                way.reverse();
                return Some(way);
            }
            if within.contains(used) && !from.contains_key(used) {
                from.insert(used, file);
                queue.push_back(used);
            }
        }
    }
    None
}
