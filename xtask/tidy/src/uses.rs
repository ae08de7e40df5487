//! The paths that code uses, in imports, types, expressions, patterns and inside macros.

use proc_macro2::{Spacing, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Macro, Path, UseTree, Visibility};

/// A path that code uses.
#[derive(Clone, Debug)]
pub(crate) struct Use {
    /// The path's parts.
    pub(crate) path: Vec<String>,
    /// The line of its first part.
    pub(crate) line: usize,
    /// Whether it is `use path::*`.
    pub(crate) is_glob: bool,
    /// Whether it is the path of a macro's call.
    pub(crate) is_macro: bool,
}

/// Collects the imports and the used paths of an item, including those of functions inside it.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) imports: Vec<(String, Vec<String>)>,
    pub(crate) globs: Vec<Vec<String>>,
    pub(crate) uses: Vec<Use>,
}

/// The imports and the used paths of an item.
pub(crate) fn of(item: &Item) -> Found {
    let mut found = Found::default();
    found.visit_item(item);
    found
}

impl Found {
    fn add(&mut self, path: Vec<String>, line: usize) {
        self.uses.push(Use { path, line, is_glob: false, is_macro: false });
    }

    /// Adds each sequence `name::name` of a macro's tokens.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut line = 0;
        // The number of colons since the last name.
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.end(&mut path, line);
                        line = name.span().start().line;
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' && !path.is_empty() => {
                    let doubled = colons == 1 || mark.spacing() == Spacing::Joint;
                    colons = if doubled { colons + 1 } else { 0 };
                    if colons == 0 || colons > 2 {
                        self.end(&mut path, line);
                        colons = 0;
                    }
                }
                TokenTree::Group(group) => {
                    self.end(&mut path, line);
                    colons = 0;
                    self.tokens(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.end(&mut path, line);
                    colons = 0;
                }
            }
        }
        self.end(&mut path, line);
    }

    fn end(&mut self, path: &mut Vec<String>, line: usize) {
        if !path.is_empty() {
            self.add(std::mem::take(path), line);
        }
    }
}

impl<'ast> Visit<'ast> for Found {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        // `::name` is a crate, even if the module has that name.
        if item.leading_colon.is_some() {
            return;
        }
        let line = item.use_token.span.start().line;
        let imported = Imported::of(&item.tree);
        // A re-export passes a name on. The file uses it only if its own code names it.
        if matches!(item.vis, Visibility::Inherited) {
            for (_, path) in &imported.names {
                self.add(path.clone(), line);
            }
            for path in &imported.globs {
                self.uses.push(Use { path: path.clone(), line, is_glob: true, is_macro: false });
            }
        }
        let names = imported.names.into_iter();
        self.imports.extend(names.filter(|(name, _)| name != "_"));
        self.globs.extend(imported.globs);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none()
            && let Some(first) = path.segments.first()
        {
            let names = path.segments.iter();
            self.add(names.map(|part| part.ident.to_string()).collect(), first.ident.span().start().line);
        }
        // Types between angle brackets are separate paths.
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        let before = self.uses.len();
        self.visit_path(&call.path);
        for used in &mut self.uses[before..] {
            used.is_macro = true;
        }
        self.tokens(call.tokens.clone());
    }

    // `pub(in path)` restricts visibility and uses nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    // A module inside a function is rare, and is ignored.
    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}
}

/// The names with their paths, and the modules of globs, that a `use` imports.
#[derive(Default)]
struct Imported {
    names: Vec<(String, Vec<String>)>,
    globs: Vec<Vec<String>>,
}

impl Imported {
    fn of(tree: &UseTree) -> Self {
        let mut imported = Self::default();
        imported.flatten(tree, &mut Vec::new());
        imported
    }

    fn flatten(&mut self, tree: &UseTree, prefix: &mut Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.flatten(&path.tree, prefix);
                prefix.pop();
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.flatten(tree, prefix);
                }
            }
            UseTree::Glob(_) => self.globs.push(prefix.clone()),
            UseTree::Name(name) => self.name(prefix, &name.ident.to_string(), None),
            UseTree::Rename(rename) => {
                let alias = rename.rename.to_string();
                self.name(prefix, &rename.ident.to_string(), Some(alias));
            }
        }
    }

    /// Adds `prefix::name`, where the name `self` stands for the prefix.
    fn name(&mut self, prefix: &[String], name: &str, alias: Option<String>) {
        let mut path = prefix.to_vec();
        if name != "self" || path.is_empty() {
            path.push(name.to_owned());
        }
        let alias = alias.or_else(|| path.last().cloned()).unwrap_or_default();
        self.names.push((alias, path));
    }
}
