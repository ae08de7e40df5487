//! The modules of a target, with their files, their names and the paths that their code uses.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use syn::{Attribute, Expr, ExprLit, Item, Lit, Meta};

use crate::uses::{self, Use};
use crate::workspace::Workspace;

/// The suffix of the name of a file's test modules.
pub(crate) const TESTS: &str = " (tests)";

/// The modules of a library, a program, a test, an example or a bench.
#[derive(Debug)]
pub(crate) struct Modules {
    /// The modules. The first is the root.
    pub(crate) all: Vec<Module>,
    /// The files. Modules refer to them by index. The test modules of a file count as a file of their own, whose name ends in
    /// [`TESTS`].
    pub(crate) files: Vec<String>,
}

/// A module.
#[derive(Debug)]
pub(crate) struct Module {
    /// The module's file.
    pub(crate) file: usize,
    /// The module around it, `None` for the root.
    pub(crate) parent: Option<usize>,
    /// The items of each name. A name may stand for a module, a function and a macro at the same time.
    pub(crate) names: BTreeMap<String, Vec<Name>>,
    /// The modules of `use module::*`.
    pub(crate) globs: Vec<Vec<String>>,
    /// The macros that the module defines. Modules below it use them without a path.
    pub(crate) macros: Vec<String>,
    /// The paths in the module's code.
    pub(crate) uses: Vec<Use>,
}

/// An item that a name in a module stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// A module.
    Module(usize),
    /// An item that the module defines.
    Item,
    /// An item that the module imports by this path.
    Import(Vec<String>),
}

/// The place of a module: its file, and the folders of its children's files.
#[derive(Clone, Copy)]
struct Place<'a> {
    file: usize,
    parent: Option<usize>,
    /// The folder of the children's files.
    children: &'a str,
    /// The folder that `#[path]` starts from.
    here: &'a str,
}

impl Modules {
    /// Reads the modules of the target whose root file is `root`.
    pub(crate) fn read(workspace: &Workspace, root: &str) -> Result<Self> {
        let mut modules = Self { all: Vec::new(), files: Vec::new() };
        let folder = folder_of(root);
        modules.read_file(workspace, root, None, folder)?;
        Ok(modules)
    }

    fn read_file(
        &mut self,
        workspace: &Workspace,
        path: &str,
        parent: Option<usize>,
        children: &str,
    ) -> Result<usize> {
        let syntax = syn::parse_file(workspace.file(path)?)
            .map_err(|error| anyhow::anyhow!("{}: {error}", error.span().start().line))
            .with_context(|| path.to_owned())?;
        self.files.push(path.to_owned());
        let place = Place { file: self.files.len() - 1, parent, children, here: folder_of(path) };
        self.read_items(workspace, &syntax.items, place)
    }

    fn read_items(&mut self, workspace: &Workspace, items: &[Item], place: Place<'_>) -> Result<usize> {
        let module = self.all.len();
        self.all.push(Module {
            file: place.file,
            parent: place.parent,
            names: BTreeMap::new(),
            globs: Vec::new(),
            macros: Vec::new(),
            uses: Vec::new(),
        });
        for item in items {
            if let Item::Mod(child) = item {
                let name = child.ident.to_string();
                let inner = format!("{}/{name}", place.children);
                let index = match &child.content {
                    Some((_, items)) => {
                        let file = if is_test(&child.attrs) {
                            self.files.push(format!("{}{TESTS}", self.files[place.file]));
                            self.files.len() - 1
                        } else {
                            place.file
                        };
                        let place = Place { file, parent: Some(module), children: &inner, here: &inner };
                        Some(self.read_items(workspace, items, place)?)
                    }
                    None => match child_file(workspace, &child.attrs, &name, place) {
                        Some((file, folder)) => {
                            Some(self.read_file(workspace, &file, Some(module), &folder)?)
                        }
                        // A module for another platform may not have a file.
                        None => None,
                    },
                };
                if let Some(index) = index {
                    self.add(module, name, Name::Module(index));
                }
            } else {
                for name in defined(item) {
                    self.add(module, name, Name::Item);
                }
                if let Item::Macro(item) = item
                    && let Some(name) = &item.ident
                {
                    self.all[module].macros.push(name.to_string());
                }
                let found = uses::of(item);
                for (name, path) in found.imports {
                    self.add(module, name, Name::Import(path));
                }
                self.all[module].globs.extend(found.globs);
                self.all[module].uses.extend(found.uses);
            }
        }
        Ok(module)
    }

    fn add(&mut self, module: usize, name: String, stands_for: Name) {
        self.all[module].names.entry(name).or_default().push(stands_for);
    }
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The file of `mod name;` and the folder of its own children's files.
fn child_file(
    workspace: &Workspace,
    attributes: &[Attribute],
    name: &str,
    place: Place<'_>,
) -> Option<(String, String)> {
    if let Some(path) = attributes.iter().find_map(path_attribute) {
        let file = normalized(&format!("{}/{path}", place.here));
        let folder = folder_of(&file).to_owned();
        return workspace.files.contains_key(&file).then_some((file, folder));
    }
    let folder = normalized(&format!("{}/{name}", place.children));
    [format!("{folder}.rs"), format!("{folder}/mod.rs")]
        .into_iter()
        .find(|file| workspace.files.contains_key(file))
        .map(|file| (file, folder))
}

/// A path without `.`, `..` and a leading `/`.
fn normalized(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Whether the attributes have `#[cfg(test)]`.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string() == "test",
        _ => false,
    })
}

fn path_attribute(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(path), .. }) => Some(path.value()),
            _ => None,
        },
        _ => None,
    }
}

/// The names that an item other than a module or an import defines.
fn defined(item: &Item) -> Vec<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        Item::Macro(item) => match &item.ident {
            Some(name) => name,
            None => return Vec::new(),
        },
        Item::ForeignMod(block) => {
            let names = block.items.iter().filter_map(|item| match item {
                syn::ForeignItem::Fn(item) => Some(item.sig.ident.to_string()),
                syn::ForeignItem::Static(item) => Some(item.ident.to_string()),
                syn::ForeignItem::Type(item) => Some(item.ident.to_string()),
                _ => None,
            });
            return names.collect();
        }
        _ => return Vec::new(),
    };
    vec![name.to_string()]
}
