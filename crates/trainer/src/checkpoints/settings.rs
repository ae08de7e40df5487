//! The settings that must not change when a training resumes.

use std::collections::BTreeMap;

use ziffer_base::OneLine;
use ziffer_nn::Model;

/// The settings that must not change when a training resumes, by name.
pub(crate) type Settings = BTreeMap<String, String>;

/// The largest number of differences in a message. A file that ziffer did not write may have any number.
const MAX_DIFFERENCES: usize = 20;

/// The differences as a message: `batch_size was 32, is 64`. `None` if there are none.
pub(super) fn differences(was: &Settings, is: &Settings) -> Option<String> {
    let mut names: Vec<&String> = was.keys().chain(is.keys()).collect();
    names.sort();
    names.dedup();
    let value = |settings: &Settings, name| settings.get(name).map_or("not set", String::as_str).to_owned();
    let mut different: Vec<_> = names
        .into_iter()
        .map(|name| (name, value(was, name), value(is, name)))
        .filter(|(_, was, is)| was != is)
        .collect();
    // The initial weights follow from the seed or the layers, which are more informative.
    if different.len() > 1 {
        different.retain(|(name, ..)| *name != INITIAL_WEIGHTS);
    }
    // The layers follow from the settings of a recipe.
    if different.iter().any(|(name, ..)| !is_layer(name)) {
        different.retain(|(name, ..)| !is_layer(name));
    }
    // `: ` separates the parts of an error message.
    let shown = |value: &str| OneLine(value.replace(": ", " ")).to_string();
    let mut texts: Vec<_> = (different.iter().take(MAX_DIFFERENCES))
        .map(|(name, was, is)| format!("{} was {}, is {}", OneLine(name), shown(was), shown(is)))
        .collect();
    if different.len() > MAX_DIFFERENCES {
        texts.push(format!("and {} more", different.len() - MAX_DIFFERENCES));
    }
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// The name of the setting with the SHA-256 digest of the initial weights.
pub(crate) const INITIAL_WEIGHTS: &str = "initial weights";

/// The prefix of the settings with the layers; the layer's index, from 0, follows.
const LAYER: &str = "layer ";

/// Adds the model's layers as they are before training: the weights alone do not distinguish a relu from a tanh.
pub(super) fn set_layers(settings: &mut Settings, model: &Model) {
    for (index, layer) in model.layer_configs().into_iter().enumerate() {
        settings.insert(format!("{LAYER}{index}"), layer.to_string());
    }
}

/// The settings without the layers, for older checkpoints.
pub(super) fn without_layers(settings: &Settings) -> Settings {
    settings.iter().filter(|(name, _)| !is_layer(name)).map(|(name, is)| (name.clone(), is.clone())).collect()
}

pub(super) fn is_layer(name: &str) -> bool {
    name.strip_prefix(LAYER).is_some_and(|index| index.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_listed() {
        let settings = |entries: &[(&str, &str)]| -> Settings {
            entries.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        let was = settings(&[("batch_size", "32"), ("seed", "0"), (INITIAL_WEIGHTS, "ab")]);
        assert_eq!(differences(&was, &was), None);
        let is = settings(&[("batch_size", "64"), ("hidden", "[3]"), ("seed", "0"), (INITIAL_WEIGHTS, "cd")]);
        assert_eq!(differences(&was, &is).unwrap(), "batch_size was 32, is 64; hidden was not set, is [3]");
        let is = settings(&[("batch_size", "32"), ("seed", "0"), (INITIAL_WEIGHTS, "cd")]);
        assert_eq!(differences(&was, &is).unwrap(), "initial weights was ab, is cd");
        let with = |settings: &Settings, layer: &str| {
            let mut settings = settings.clone();
            settings.insert(format!("{LAYER}10"), layer.to_owned());
            settings
        };
        let layers = differences(&with(&was, "relu"), &with(&is, "tanh"));
        assert_eq!(layers.unwrap(), "layer 10 was relu, is tanh");
        let seed = settings(&[("batch_size", "32"), ("seed", "1"), (INITIAL_WEIGHTS, "cd")]);
        assert_eq!(differences(&with(&was, "relu"), &with(&seed, "tanh")).unwrap(), "seed was 0, is 1");
        assert_eq!(without_layers(&with(&was, "relu")), was);
        let is = (0..MAX_DIFFERENCES + 1).map(|i| (format!("{i:02}\n"), "9".repeat(1000))).collect();
        let shown = differences(&Settings::new(), &is).unwrap();
        assert!(shown.ends_with("9...; and 1 more") && !shown.contains('\n'), "{shown}");
    }
}
