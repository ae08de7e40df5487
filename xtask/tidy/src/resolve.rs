//! Resolves a path to the file that defines its item, through re-exports.

use std::collections::BTreeSet;

use crate::modules::{Modules, Name};

/// The target of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// A module.
    Module(usize),
    /// An item that this file defines or imports from another crate.
    Item(usize),
}

/// The modules and names of the look-ups in progress. They end the recursion of imports that lead to themselves.
type Pending = BTreeSet<(usize, String)>;

impl Modules {
    /// The targets of a path in a module. There are none for paths to other crates and for local names.
    pub(crate) fn resolve(&self, module: usize, path: &[String]) -> BTreeSet<Target> {
        self.resolve_path(module, path, &mut Pending::new())
    }

    /// The file that defines a macro which is called without a path: that of the module or of a module around it.
    pub(crate) fn macro_file(&self, module: usize, name: &str) -> Option<usize> {
        let mut next = Some(module);
        while let Some(module) = next {
            let module = &self.all[module];
            if module.macros.iter().any(|own| own == name) {
                return Some(module.file);
            }
            next = module.parent;
        }
        None
    }

    /// Whether a module defines or imports a name.
    pub(crate) fn has(&self, module: usize, name: &str) -> bool {
        self.all[module].names.contains_key(name)
            || !self.look_up(module, name, &mut Pending::new()).is_empty()
    }

    fn resolve_path(&self, module: usize, path: &[String], pending: &mut Pending) -> BTreeSet<Target> {
        let Some((first, mut rest)) = path.split_first() else {
            return BTreeSet::new();
        };
        let start = match first.as_str() {
            "crate" => Target::Module(0),
            "self" => Target::Module(module),
            "super" => match self.all[module].parent {
                Some(parent) => Target::Module(parent),
                None => return BTreeSet::new(),
            },
            name => {
                let mut found = BTreeSet::new();
                for target in self.look_up(module, name, pending) {
                    found.extend(self.follow(target, rest, pending));
                }
                return found;
            }
        };
        let mut start = start;
        while let (Target::Module(at), Some((first, after))) = (start, rest.split_first())
            && first == "super"
        {
            match self.all[at].parent {
                Some(parent) => start = Target::Module(parent),
                None => return BTreeSet::new(),
            }
            rest = after;
        }
        self.follow(start, rest, pending)
    }

    /// Follows the rest of a path from a target.
    fn follow(&self, target: Target, rest: &[String], pending: &mut Pending) -> BTreeSet<Target> {
        let (Target::Module(module), Some((name, after))) = (target, rest.split_first()) else {
            // The rest of the path names a variant or an associated item.
            return BTreeSet::from([target]);
        };
        let found = self.look_up(module, name, pending);
        if found.is_empty() {
            // A macro defines the name, or another crate: it counts as an item of the module's file.
            return BTreeSet::from([Target::Item(self.all[module].file)]);
        }
        let mut targets = BTreeSet::new();
        for target in found {
            targets.extend(self.follow(target, after, pending));
        }
        targets
    }

    /// The targets of a name in a module.
    fn look_up(&self, module: usize, name: &str, pending: &mut Pending) -> BTreeSet<Target> {
        if !pending.insert((module, name.to_owned())) {
            return BTreeSet::new();
        }
        let mut found = BTreeSet::new();
        for stands_for in self.all[module].names.get(name).into_iter().flatten() {
            match stands_for {
                Name::Module(module) => {
                    found.insert(Target::Module(*module));
                }
                Name::Item => {
                    found.insert(Target::Item(self.all[module].file));
                }
                Name::Import(path) => found.extend(self.resolve_path(module, path, pending)),
            }
        }
        if found.is_empty() {
            for glob in &self.all[module].globs {
                for target in self.resolve_path(module, glob, pending) {
                    if let Target::Module(from) = target {
                        found.extend(self.look_up(from, name, pending));
                    }
                }
            }
        }
        pending.remove(&(module, name.to_owned()));
        found
    }
}
