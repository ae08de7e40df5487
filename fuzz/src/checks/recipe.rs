//! Recipes.

use std::fs;
use std::path::Path;

use ziffer::Recipe;

use super::{check_message, write};

/// A recipe that is accepted is within its ranges, and written as TOML it is the same recipe again.
pub fn recipe(folder: &Path, bytes: &[u8]) -> bool {
    let path = write(folder, "recipe.toml", bytes);
    let recipe = match Recipe::open(&path) {
        Ok(recipe) => recipe,
        Err(error) => {
            check_message(&error, &path);
            return false;
        }
    };
    recipe.validate().expect("checked when it was read");
    recipe.dataset_name().expect("checked when it was read");
    assert!(recipe.learning_rate() > 0.0 && recipe.learning_rate().is_finite());
    assert!(recipe.epochs > 0 && recipe.batch_size > 0 && recipe.validation_split < 1.0);
    let text = toml::to_string(&recipe).expect("a recipe as TOML");
    fs::write(&path, &text).expect("a folder that can be written");
    assert_eq!(Recipe::open(&path).expect("what was written"), recipe, "{text}");
    true
}
