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
    let text = recipe.to_toml();
    fs::write(&path, &text).expect("a folder that can be written");
    let again = Recipe::open(&path).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(again.to_toml(), text);
    assert_eq!(
        (again.optimizer(), again.loss, again.augment),
        (recipe.optimizer(), recipe.loss, recipe.augment)
    );
    assert_eq!(again.network_settings(), recipe.network_settings());
    // What does not fit is told by the layer; nothing is allocated before.
    assert_eq!(again.network(&[28, 28], 10).is_ok(), recipe.network(&[28, 28], 10).is_ok());
    true
}
