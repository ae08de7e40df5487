//! Recipe files.

use std::fs;
use std::path::Path;

use ziffer::Recipe;

use super::{check_message, write};

/// Checks a recipe. The settings of an accepted recipe are in range, and writing it as TOML gives the same recipe.
pub fn recipe(folder: &Path, bytes: &[u8]) -> bool {
    let path = write(folder, "recipe.toml", bytes);
    let recipe = match Recipe::open(&path) {
        Ok(recipe) => recipe,
        Err(error) => {
            check_message(&error, &path);
            return false;
        }
    };
    recipe.validate().expect("open checks it");
    recipe.dataset_name().expect("open checks it");
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
    // Layers that do not fit are an error before anything is allocated.
    assert_eq!(again.network(&[28, 28], 10).is_ok(), recipe.network(&[28, 28], 10).is_ok());
    true
}
