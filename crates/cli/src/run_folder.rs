//! The files of a run folder: the model, the run summary and the recipe.

use std::path::{Path, PathBuf};

use anyhow::Context;
use ziffer_base::fs::AtomicFile;
use ziffer_nn::Model;

use crate::recipe::Recipe;
use crate::run_summary::RunSummary;

/// The file name of the model in a run folder.
pub const MODEL_FILE: &str = "model.safetensors";
/// The file name of the run summary.
pub const SUMMARY_FILE: &str = "summary.json";
/// The file name of the run's recipe, with every default filled in.
pub const RECIPE_FILE: &str = "recipe.toml";

/// Writes the files of a run. All are on the disk before the first gets its name, so a failure leaves an earlier run intact.
pub(crate) fn write(
    folder: &Path,
    model: &Model,
    summary: &RunSummary,
    recipe: &Recipe,
) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(summary).context("the summary as JSON")?;
    text.push('\n');
    let contents = [
        (RECIPE_FILE, recipe.to_toml().into_bytes()),
        (MODEL_FILE, model.to_safetensors()),
        (SUMMARY_FILE, text.into_bytes()),
    ];
    let mut files = Vec::new();
    for (name, bytes) in contents {
        let path = folder.join(name);
        files.push((AtomicFile::stage(&path, &bytes).with_context(|| cannot_write(&path))?, path));
    }
    files.into_iter().try_for_each(|(file, path)| file.commit().with_context(|| cannot_write(&path)))
}

/// The message for a file that cannot be written, without the cause.
pub(crate) fn cannot_write(path: &Path) -> String {
    format!("{}: cannot write", path.display())
}

/// Whether both paths exist and are the same file or folder.
pub(crate) fn is_same(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// The path of the model: in the run folder if `model` is a folder, `model` itself otherwise.
pub(crate) fn model_file(model: &Path) -> PathBuf {
    if model.is_dir() { model.join(MODEL_FILE) } else { model.to_owned() }
}

/// The run summary beside a model. `None` if there is none, or if it cannot be read.
pub(crate) fn summary_beside(model: &Path) -> Option<RunSummary> {
    let folder = if model.is_dir() { model } else { model.parent()? };
    serde_json::from_str(&std::fs::read_to_string(folder.join(SUMMARY_FILE)).ok()?).ok()
}
