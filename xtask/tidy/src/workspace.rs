//! Reads what the rules check: the packages of a workspace, their targets, and the text files of the tree.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// A workspace: its packages, and the text files below its root.
#[derive(Debug)]
pub struct Workspace {
    /// The packages in the order of their names.
    pub packages: Vec<Package>,
    /// The content of each text file by its path from the root, with `/` between the parts.
    pub files: BTreeMap<String, String>,
}

/// A package of the workspace.
#[derive(Debug)]
pub struct Package {
    /// The package's name.
    pub name: String,
    /// The manifest's path from the root.
    pub manifest: String,
    /// The names of the workspace's packages that this one depends on, with `true` for dev-dependencies.
    pub dependencies: Vec<(String, bool)>,
    /// The root files of the library, programs, tests, examples, benches and build script.
    pub roots: Vec<String>,
}

/// The endings of the names of text files.
const TEXT: [&str; 11] =
    [".css", ".html", ".js", ".md", ".py", ".rs", ".sh", ".svg", ".toml", ".txt", ".yml"];

impl Workspace {
    /// Reads the workspace in the folder `root`. It skips folders named `target` and hidden folders other
    /// than `.ci` and `.github`.
    ///
    /// # Errors
    ///
    /// Returns an error if `cargo metadata` fails or a file cannot be read.
    pub fn read(root: &Path) -> Result<Self> {
        let root = root.canonicalize().with_context(|| root.display().to_string())?;
        let mut files = BTreeMap::new();
        read_folder(&root, &root, &mut files)?;
        let mut packages = Vec::new();
        for manifest in own_workspaces(&files) {
            packages.extend(read_packages(&root, &manifest)?);
        }
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { packages, files })
    }

    /// The Rust files with their paths.
    pub fn rust_files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter(|(path, _)| path.ends_with(".rs"))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The content of a file.
    ///
    /// # Errors
    ///
    /// Returns an error if the file does not exist.
    pub fn file(&self, path: &str) -> Result<&str> {
        self.files.get(path).map(String::as_str).with_context(|| format!("{path}: no such file"))
    }
}

/// The manifests with a workspace: the root's, and those of packages outside of the root's workspace.
fn own_workspaces(files: &BTreeMap<String, String>) -> Vec<String> {
    files
        .iter()
        .filter(|(path, text)| {
            *path == "Cargo.toml"
                || (path.ends_with("/Cargo.toml") && text.lines().any(|line| line.trim() == "[workspace]"))
        })
        .map(|(path, _)| path.clone())
        .collect()
}

fn read_folder(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            let hidden = name.starts_with('.') && !matches!(name.as_str(), ".ci" | ".github");
            if !hidden && name != "target" {
                read_folder(root, &path, files)?;
            }
        } else if kind.is_file() {
            let relative = relative(root, &path)?;
            let script = relative.starts_with(".ci/") || matches!(name.as_str(), "build" | "run");
            if script || TEXT.iter().any(|ending| name.ends_with(ending)) {
                let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
                // A fixture with the name of a text file may not be text.
                if let Ok(text) = String::from_utf8(bytes) {
                    files.insert(relative, text);
                }
            }
        }
    }
    Ok(())
}

fn relative(root: &Path, path: &Path) -> Result<String> {
    let path = path
        .strip_prefix(root)
        .with_context(|| format!("{} is outside of {}", path.display(), root.display()))?;
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    Ok(parts.join("/"))
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<MetadataPackage>,
}

#[derive(Deserialize)]
struct MetadataPackage {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<MetadataDependency>,
    targets: Vec<MetadataTarget>,
}

#[derive(Deserialize)]
struct MetadataDependency {
    name: String,
    kind: Option<String>,
    path: Option<PathBuf>,
}

#[derive(Deserialize)]
struct MetadataTarget {
    src_path: PathBuf,
}

fn read_packages(root: &Path, manifest: &str) -> Result<Vec<Package>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .arg("--manifest-path")
        .arg(root.join(manifest))
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("{manifest}: cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    metadata
        .packages
        .into_iter()
        .map(|package| {
            let roots = package.targets.iter();
            Ok(Package {
                manifest: relative(root, &package.manifest_path)?,
                dependencies: package
                    .dependencies
                    .into_iter()
                    .filter(|dependency| dependency.path.is_some() && dependency.name != package.name)
                    .map(|dependency| (dependency.name, dependency.kind.as_deref() == Some("dev")))
                    .collect(),
                roots: roots.map(|target| relative(root, &target.src_path)).collect::<Result<_>>()?,
                name: package.name,
            })
        })
        .collect()
}
