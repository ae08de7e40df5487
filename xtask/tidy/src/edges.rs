//! The rule for crates: each depends on those that `ARCHITECTURE.md` draws, and on no others of the workspace.
//!
//! The drawing consists of all code blocks of the language `text` that have an arrow:
//!
//! ```text
//! app ──┬──► model ──► tensor
//!       └──► page, picture
//! page ╌╌► model
//! ```
//!
//! `a ──► b, c` draws the dependencies of `a`. `a ╌╌► b` draws a dev-dependency, which the package has in its tests,
//! examples and benches only. Text in parentheses after a name is a remark.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anyhow::{Context, Result, bail};

use crate::Finding;
use crate::workspace::{Package, Workspace};

/// The file with the drawing.
pub const FILE: &str = "ARCHITECTURE.md";

/// A dependency: the package, the package that it depends on, and whether it is a dev-dependency.
type Edge = (String, String, bool);

/// Finds dependencies that are not drawn, and arrows without a dependency.
///
/// # Errors
///
/// Returns an error if there is no drawing, or if a line of it has an arrow from or to nothing.
pub fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let drawn = parse(workspace.file(FILE)?)?;
    if drawn.is_empty() {
        bail!("{FILE}: no code block of the language `text` draws dependencies with `──►`");
    }
    let mut findings = Vec::new();
    let actual = edges(workspace);
    for (edge, package) in &actual {
        if !drawn.contains_key(edge) {
            let (from, to, dev) = edge;
            let kind = if *dev { "dev-dependency" } else { "dependency" };
            let what = format!("{FILE} does not draw the {kind} {from} {} {to}", arrow(*dev));
            findings.push(Finding::new(&package.manifest, line_of(workspace, package, to), what));
        }
    }
    for (edge, line) in &drawn {
        if !actual.contains_key(edge) {
            let (from, to, dev) = edge;
            let what = format!("{from} {} {to} is drawn, but {from} has no such dependency", arrow(*dev));
            findings.push(Finding::new(FILE, *line, what));
        }
    }
    Ok(findings)
}

/// The lines of the drawing for the dependencies as they are. Each package is above those that it depends on.
pub fn draw(workspace: &Workspace) -> String {
    let actual = edges(workspace);
    let names: BTreeSet<&str> =
        actual.keys().flat_map(|(from, to, _)| [from.as_str(), to.as_str()]).collect();
    let mut ranks: BTreeMap<&str, usize> = names.iter().map(|name| (*name, 0)).collect();
    // The longest chain of dependencies has at most as many packages as there are, so as many rounds are enough.
    for _ in 0..names.len() {
        for ((from, to, _), _) in actual.iter().filter(|((_, _, dev), _)| !dev) {
            let below = ranks[to.as_str()] + 1;
            if ranks[from.as_str()] < below {
                ranks.insert(from, below);
            }
        }
    }
    let mut order: Vec<&str> = names.iter().copied().collect();
    order.sort_by_key(|name| (std::cmp::Reverse(ranks[name]), *name));
    let width = order.iter().map(|name| name.len()).max().unwrap_or(0);
    let mut lines = String::new();
    for dev in [false, true] {
        for from in &order {
            let to: Vec<&str> = order
                .iter()
                .filter(|to| actual.contains_key(&((*from).to_owned(), (**to).to_owned(), dev)))
                .copied()
                .collect();
            if !to.is_empty() {
                let _ = writeln!(lines, "{from:width$} {} {}", arrow(dev), to.join(", "));
            }
        }
    }
    lines
}

fn arrow(dev: bool) -> &'static str {
    if dev { "╌╌►" } else { "──►" }
}

/// The dependencies between packages of the workspace. A dependency that is also a dev-dependency counts as a dependency.
fn edges(workspace: &Workspace) -> BTreeMap<Edge, &Package> {
    let mut edges = BTreeMap::new();
    for package in &workspace.packages {
        let all = &package.dependencies;
        for (to, dev) in all {
            if !dev || !all.contains(&(to.clone(), false)) {
                edges.insert((package.name.clone(), to.clone(), *dev), package);
            }
        }
    }
    edges
}

fn line_of(workspace: &Workspace, package: &Package, dependency: &str) -> usize {
    let manifest = workspace.files.get(&package.manifest);
    let named =
        |line: &str| line.strip_prefix(dependency).is_some_and(|rest| rest.starts_with(['.', ' ', '=']));
    manifest.and_then(|text| text.lines().position(named)).map_or(1, |index| index + 1)
}

/// The arrows of the drawing with their lines.
fn parse(text: &str) -> Result<BTreeMap<Edge, usize>> {
    let mut edges = BTreeMap::new();
    let mut in_text = false;
    // The names on the left of each vertical line, by its column.
    let mut branches: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_text = !in_text && line.trim() == "```text";
            branches.clear();
        } else if in_text && line.contains('►') {
            parse_line(line, index + 1, &mut branches, &mut edges)
                .with_context(|| format!("{FILE}:{}", index + 1))?;
        }
    }
    Ok(edges)
}

fn parse_line(
    line: &str,
    number: usize,
    branches: &mut BTreeMap<usize, Vec<String>>,
    edges: &mut BTreeMap<Edge, usize>,
) -> Result<()> {
    let chars: Vec<char> = line.chars().collect();
    let mut at = 0;
    // The names on the left of the arrow that was read last, and the arrow's kind.
    let mut left: Option<(Vec<String>, bool)> = None;
    while let Some(&char) = chars.get(at) {
        let from = match char {
            ' ' | '│' => {
                at += 1;
                continue;
            }
            '├' | '└' => {
                let from = branches.get(&at).context("expected a line above the branch")?;
                at += 1;
                from.clone()
            }
            _ => {
                let start = at;
                while chars.get(at).is_some_and(|char| !"─╌".contains(*char)) {
                    at += 1;
                }
                let names = names(&chars[start..at].iter().collect::<String>());
                if let Some((from, dev)) = left.take() {
                    for from in &from {
                        for to in &names {
                            edges.insert((from.clone(), to.clone(), dev), number);
                        }
                    }
                }
                names
            }
        };
        let mut dev = false;
        let start = at;
        while let Some(&char) = chars.get(at) {
            match char {
                '─' => {}
                '╌' => dev = true,
                '┬' => {
                    branches.insert(at, from.clone());
                }
                _ => break,
            }
            at += 1;
        }
        if at > start {
            if chars.get(at) != Some(&'►') || left.is_some() || from.is_empty() {
                bail!("expected an arrow from a name");
            }
            at += 1;
            left = Some((from, dev));
        }
    }
    if left.is_some() {
        bail!("expected a name after the arrow");
    }
    Ok(())
}

/// The names of a list, without remarks in parentheses.
fn names(text: &str) -> Vec<String> {
    text.split(',')
        .map(|name| name.split('(').next().unwrap_or_default().trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}
